use proptest::prelude::*;
use serde_json::json;

use super::*;

fn context() -> Value {
    json!({
        "inputs": {"month": 7, "region": "eu", "months": [1, 2, 3]},
        "steps": {"train": {"state": "succeeded", "metrics": {"auc": 0.81}}},
    })
}

fn rendered(text: &str) -> Result<Value, String> {
    render(&Value::String(text.to_owned()), &context()).map_err(|error| error.to_string())
}

#[test]
fn a_whole_expression_keeps_its_type_and_inside_text_it_is_rendered() {
    assert_eq!(rendered("${{ inputs.month }}"), Ok(json!(7)));
    assert_eq!(rendered("${{ inputs.months }}"), Ok(json!([1, 2, 3])));
    assert_eq!(rendered("m${{ inputs.month }}-${{ inputs.region | upper }}"), Ok(json!("m7-EU")));
    assert_eq!(rendered("${{ 'a}}b' }}"), Ok(json!("a}}b")));
    assert_eq!(rendered("${{ {'a': {'b': 1}}.a.b }}"), Ok(json!(1)));
    assert_eq!(rendered("no expression"), Ok(json!("no expression")));
}

#[test]
fn names_without_a_value_are_refused_with_the_nearest_name() {
    assert_eq!(
        rendered("${{ inputs.mont }}"),
        Err("`inputs.mont` has no value here; did you mean `month`?".to_owned())
    );
    assert_eq!(
        rendered("${{ steps.trian.metrics.auc > 1 }}"),
        Err("`steps.trian` has no value here; did you mean `train`?".to_owned())
    );
    assert_eq!(rendered("${{ inputs.month"), Err("`${{` at character 0 is never closed by `}}`".to_owned()));
    assert!(rendered("${{ 1 + }}").unwrap_err().starts_with("`1 +` is not an expression"));
}

#[test]
fn sql_gets_parameters_and_never_text() {
    let bound = render_bound(
        "select * from t where m = ${{ inputs.month }} and r = ${{ inputs.region }}",
        &context(),
    );
    assert_eq!(
        bound,
        Ok(BoundText {
            text: "select * from t where m = $1 and r = $2".to_owned(),
            params: vec![json!(7), json!("eu")]
        })
    );
    let quoted = render_bound("select * from t where r = '${{ inputs.region }}'", &context());
    assert!(matches!(quoted, Err(ExpressionError::Quoted { .. })));
}

#[test]
fn conditions_know_what_became_of_the_needs() {
    let status = RunStatus { succeeded: false, failed: true, any_succeeded: true };
    let holds = |text: &str| evaluate_condition(text, &context(), status).map_err(|error| error.to_string());
    assert_eq!(holds("failed()"), Ok(true));
    assert_eq!(holds("succeeded() or steps.train.metrics.auc >= 0.8"), Ok(true));
    assert_eq!(holds("${{ steps.train.metrics.auc > 0.9 }}"), Ok(false));
    assert_eq!(holds("always()"), Ok(true));
    assert_eq!(holds("any(inputs.month == 8, inputs.region == 'eu')"), Ok(true));
}

#[test]
fn references_are_found_in_slices_too_and_not_in_strings() {
    let names = |text: &str| {
        references(&Value::String(text.to_owned()))
            .map(|found| found.into_iter().map(|reference| reference.path.join(".")).collect::<Vec<_>>())
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        names("${{ steps.a.text[:10] }} ${{ inputs.b }}"),
        Ok(vec!["inputs.b".to_owned(), "steps.a.text".to_owned()])
    );
    assert_eq!(names("${{ 'steps.a.b' }}"), Ok(vec![]));
    assert_eq!(
        names("${{ steps['a'].b }}"),
        Err("`steps['a'].b` names a step by `steps[…]`; write `steps.<id>`".to_owned())
    );
}

#[test]
fn an_expression_cannot_run_for_ever() {
    let long = evaluate("range(100000) | map('string') | list | length", &json!({}));
    assert!(long.is_err() || long == Ok(json!(100_000)), "{long:?}");
    assert!(evaluate("range(1000000000)|list", &json!({})).is_err());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\$\\{\\{|\\}\\}|[a-z.'\"\\[\\]{} ()|+é]){0,24}") {
        let value = Value::String(text.clone());
        render(&value, &context()).ok();
        render_bound(&text, &context()).ok();
        references(&value).ok();
    }
}

#[test]
fn instants_of_a_window_are_cut_to_dates_and_formatted() {
    let context = json!({"window": {"start": "2026-03-29T00:00:00+01:00"}});
    let rendered =
        |text: &str| render(&Value::String(text.to_owned()), &context).map_err(|error| error.to_string());
    assert_eq!(rendered("day=${{ window.start | date }}"), Ok(json!("day=2026-03-29")));
    assert_eq!(rendered("${{ window.start | strftime('%Y/%m/%d %H') }}"), Ok(json!("2026/03/29 00")));
    assert!(rendered("${{ 'noon' | date }}").unwrap_err().contains("`noon` is not an instant"));
}
