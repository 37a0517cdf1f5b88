use millrace_metastore::experiments::{Attribute, Clause, Compare, Condition, Field, Filter, Order};
use proptest::prelude::*;

use super::{Target, parse_filter, parse_order};

fn check(filter: &str, field: Field, condition: Condition) {
    let found = parse_filter(Target::Runs, filter);
    assert_eq!(found, Ok(Clause { field, condition }.into()), "{filter}");
}

#[test]
fn clauses_are_read_as_mlflow_reads_them() {
    let metric = |name: &str| Field::Metric(name.to_owned());
    let text = |text: &str| Condition::Text(Compare::Equal, text.to_owned());
    check("metrics.auc > 0.9", metric("auc"), Condition::Number(Compare::Greater, 0.9));
    check("metric.a>=-1e-3", metric("a"), Condition::Number(Compare::GreaterOrEqual, -1e-3));
    check("METRICS.`val loss` != 1", metric("val loss"), Condition::Number(Compare::NotEqual, 1.0));
    check("metrics.val/loss.x < .5", metric("val/loss.x"), Condition::Number(Compare::Less, 0.5));
    check("params.depth = '7'", Field::Param("depth".to_owned()), text("7"));
    check("parameter.\"a.b c\" = \"x'y\"", Field::Param("a.b c".to_owned()), text("x'y"));
    check("tags.mlflow.source.name = 'x'", Field::Tag("mlflow.source.name".to_owned()), text("x"));
    check("tag.k IS not NULL", Field::Tag("k".to_owned()), Condition::NotNull);
    check("run_name = 'a'", Field::Attribute(Attribute::Name), text("a"));
    check("attributes.`Run Name` = 'a'", Field::Attribute(Attribute::Name), text("a"));
    check(
        "Created <= 5",
        Field::Attribute(Attribute::StartTime),
        Condition::Number(Compare::LessOrEqual, 5.0),
    );
    let like = Condition::Like { pattern: "%x_".to_owned(), any_case: true, negated: false };
    check("params.a ilike '%x_'", Field::Param("a".to_owned()), like);
    let values = vec!["a".to_owned(), "b".to_owned()];
    check(
        "run_id not in ('a','b')",
        Field::Attribute(Attribute::Id),
        Condition::In { values: values.clone(), negated: true },
    );
    check("dataset.name IN ('a', 'b')", Field::Dataset("name"), Condition::In { values, negated: false });
    assert_eq!(parse_filter(Target::Runs, "  "), Ok(Filter::default()));
    assert_eq!(shown("metrics.a>1 AND params.b='c' and tags.d!='e'"), "(a & b & d)");
}

/// The names of a filter's clauses, with how they are joined.
fn shown(filter: &str) -> String {
    fn show(filter: &Filter) -> String {
        let joined = |parts: &[Filter], sign: &str| {
            format!("({})", parts.iter().map(show).collect::<Vec<_>>().join(sign))
        };
        match filter {
            Filter::All(parts) => joined(parts, " & "),
            Filter::Any(parts) => joined(parts, " | "),
            Filter::Clause(Clause { field, .. }) => match field {
                Field::Metric(name) | Field::Param(name) | Field::Tag(name) => name.clone(),
                other => format!("{other:?}"),
            },
        }
    }
    parse_filter(Target::Runs, filter).map_or_else(|error| error.to_string(), |filter| show(&filter))
}

#[test]
fn what_goes_beyond_mlflow() {
    assert_eq!(shown("metrics.a > 1 or metrics.b > 1 and metrics.c > 1"), "(a | (b & c))");
    assert_eq!(shown("(metrics.a > 1 OR metrics.b > 1) AND metrics.c > 1"), "((a | b) & c)");
    assert_eq!(shown("((metrics.a > 1))"), "a");
    assert_eq!(shown("metrics.a between 0 and 1 and params.b = 'c'"), "((a & a) & b)");
    let metric = || Field::Metric("a".to_owned());
    check("metrics.a in (1, -2)", metric(), Condition::NumberIn { values: vec![1.0, -2.0], negated: false });
    check("metrics.a is null", metric(), Condition::Null);
    let values = vec!["b".to_owned()];
    check("params.a not in ('b')", Field::Param("a".to_owned()), Condition::In { values, negated: true });
    let like =
        |pattern: &str, negated| Condition::Like { pattern: pattern.to_owned(), any_case: false, negated };
    check("params.a NOT LIKE 'b'", Field::Param("a".to_owned()), like("b", true));
    check("start_time like '2026-11-%'", Field::Attribute(Attribute::StartTime), like("2026-11-%", false));
    check("end_time is null", Field::Attribute(Attribute::EndTime), Condition::Null);
}

#[test]
fn what_mlflow_refuses_is_refused() {
    for filter in [
        "metrics.a",
        "metrics.a >",
        "metrics.a > '1'",
        "metrics.a LIKE '1'",
        "metrics.a > 1 AND",
        "metrics.a > 1 OR",
        "(metrics.a > 1",
        "metrics.a > 1)",
        "()",
        "NOT metrics.a > 1",
        "metrics.a BETWEEN 1",
        "params.a BETWEEN 'a' AND 'b'",
        "metrics.a IN ('b')",
        "metrics.a NOT > 1",
        "AND metrics.a > 1",
        "metrics.a > 1 metrics.b > 1",
        "metrics.a = 1e999",
        "metrics.a = 1x",
        "metrics. > 1",
        "params.a = 1",
        "params.a > '1'",
        "params.a = 'b",
        "params.a = b",
        "run_id IN ()",
        "run_id IN ('a',)",
        "run_id IN ('a'",
        "start_time = '1'",
        "status > 'RUNNING'",
        "nothing = 'a'",
        "model.a = 'b'",
        "dataset.source = 'a'",
        "params.a = 'b'; DROP TABLE experiment",
        "\"metrics\".a > 1",
        "metrics.a == 1",
        "1 = metrics.a",
        "'a' = 'a'",
    ] {
        assert!(parse_filter(Target::Runs, filter).is_err(), "{filter}");
    }
    assert!(parse_filter(Target::Experiments, "metrics.a > 1").is_err());
    assert!(parse_filter(Target::Experiments, "run_id = 'a'").is_err());
}

#[test]
fn orders_are_read() {
    let order = |field, ascending| Ok(Order { field, ascending });
    let read = |text| parse_order(Target::Runs, text);
    assert_eq!(read("metrics.auc DESC"), order(Field::Metric("auc".to_owned()), false));
    assert_eq!(read("params.`a b`"), order(Field::Param("a b".to_owned()), true));
    assert_eq!(read("start_time asc"), order(Field::Attribute(Attribute::StartTime), true));
    for wrong in ["", "metrics.a UP", "metrics.a DESC x", "datasets.name", "'a'", "nothing"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(filter in "\\PC{0,60}") {
        parse_filter(Target::Runs, &filter).ok();
        parse_order(Target::LoggedModels, &filter).ok();
    }

    #[test]
    fn any_key_and_value_survive_their_quotes(key in "[^`]{1,20}", value in "[^']{0,20}") {
        let filter = format!("params.`{key}` = '{value}'");
        let expected = Clause { field: Field::Param(key), condition: Condition::Text(Compare::Equal, value) };
        prop_assert_eq!(parse_filter(Target::Runs, &filter), Ok(expected.into()));
    }
}
