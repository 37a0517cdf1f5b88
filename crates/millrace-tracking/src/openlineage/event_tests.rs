//! Events of runs that are made up here.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_metastore::lineage::{StepAsset, StepUse};
use millrace_metastore::runs::PipelineRunRow;

use super::*;

const MINUTE: i64 = 60_000_000;

fn run(state: &str) -> RunFacts {
    let run = PipelineRunRow {
        id: "0189000000007000800000000000000a".to_owned(),
        pipeline: "daily".to_owned(),
        cause: "{}".to_owned(),
        options: "{}".to_owned(),
        state: state.to_owned(),
        started_at: Some(0),
        ended_at: Some(9 * MINUTE),
        ..PipelineRunRow::default()
    };
    RunFacts { run, steps: Vec::new(), uses: Vec::new(), versions: HashMap::new(), parents: None }
}

fn step(name: &str, kind: &str, state: &str, (started, ended): (Option<i64>, Option<i64>)) -> StepRunRow {
    StepRunRow {
        step: name.to_owned(),
        kind: kind.to_owned(),
        state: state.to_owned(),
        started_at: started.map(|at| at * MINUTE),
        ended_at: ended.map(|at| at * MINUTE),
        ..StepRunRow::default()
    }
}

fn events(facts: &RunFacts) -> Vec<Made> {
    let sources: SourceIdentity =
        Arc::new(|name| Some(Identity { namespace: "file".to_owned(), name: format!("/w/{name}") }));
    let (namespace, base_url, still_running) = ("millrace://shop", "", 10 * MINUTE);
    EventMaker { namespace, facts, sources: &sources, code: None, base_url, still_running }.all(25 * MINUTE)
}

fn ids(facts: &RunFacts) -> Vec<String> {
    events(facts).into_iter().map(|made| made.id).collect()
}

fn body(facts: &RunFacts, id: &str) -> Value {
    events(facts).into_iter().find(|made| made.id == id).map(|made| made.body).unwrap_or_default()
}

#[test]
fn events_are_told_in_the_order_in_which_they_happened() {
    let mut facts = run("failed");
    facts.steps = vec![
        step("load", "copy", "succeeded", (Some(0), Some(4))),
        step("known", "sql", "cached", (None, Some(4))),
        step("broken", "run", "timed_out", (Some(4), Some(9))),
        step("wrong", "set", "failed", (None, Some(9))),
        step("stopped", "run", "cancelled", (Some(4), Some(9))),
        step("never", "run", "skipped", (None, Some(9))),
        step("later", "run", "pending", (None, None)),
    ];
    assert_eq!(
        ids(&facts),
        [
            "START ",
            "START load",
            "COMPLETE load",
            "START known",
            "COMPLETE known",
            "START broken",
            "START stopped",
            "FAIL broken",
            "START wrong",
            "FAIL wrong",
            "ABORT stopped",
            "FAIL ",
        ]
    );
}

#[test]
fn what_goes_on_is_told_again_now_and_then() {
    let mut facts = run("running");
    facts.run.ended_at = None;
    facts.steps = vec![
        step("load", "copy", "succeeded", (Some(0), Some(4))),
        step("train", "python", "running", (Some(4), None)),
        step("young", "python", "running", (Some(20), None)),
    ];
    let expected = [
        "START ",
        "START load",
        "START train",
        "COMPLETE load",
        "RUNNING/2 train",
        "START young",
        "RUNNING/2 ",
    ];
    let mut told = ids(&facts);
    told.sort();
    let mut expected: Vec<String> = expected.iter().map(|id| (*id).to_owned()).collect();
    expected.sort();
    assert_eq!(told, expected);
    let event = body(&facts, "RUNNING/2 train");
    assert_eq!(
        (&event["eventType"], &event["eventTime"]),
        (&json!("RUNNING"), &json!("1970-01-01T00:24:00Z"))
    );
}

#[test]
fn columns_that_a_step_knows_the_origin_of_are_told_with_what_is_done_with_them() {
    let mut facts = run("running");
    facts.uses = vec![StepUse {
        run_id: facts.run.id.clone(),
        pipeline: "daily".to_owned(),
        step: "total".to_owned(),
        step_kind: "sql".to_owned(),
        ended_at: None,
        asset: StepAsset {
            direction: Direction::Wrote,
            kind: "dataset".to_owned(),
            name: "totals".to_owned(),
            version: 1,
            digest: String::new(),
        },
    }];
    let orders = json!({"kind": "dataset", "name": "orders", "version": 1});
    let outcome = json!({"outputs": {}, "columns": [{
        "dataset": "totals",
        "columns": {"total": [{"of": orders, "column": "amount", "use_as": "aggregation"}], "one": []},
        "rows": [{"of": {"kind": "source", "name": "crm:paid", "version": 0}, "column": "id", "use_as": "filter"}],
    }]});
    let total = step("total", "sql", "succeeded", (Some(1), Some(2)));
    facts.steps = vec![StepRunRow { outcome: Some(outcome.to_string()), ..total }];
    let facet = body(&facts, "COMPLETE total")["outputs"][0]["facets"]["columnLineage"].clone();
    let field = &facet["fields"]["total"]["inputFields"][0];
    let named = [&field["namespace"], &field["name"], &field["field"]];
    assert_eq!(named, ["millrace://shop", "orders", "amount"]);
    assert_eq!(field["transformations"][0]["subtype"], "AGGREGATION");
    assert_eq!(facet["fields"]["one"]["inputFields"], json!([]));
    assert_eq!(
        (&facet["dataset"][0]["namespace"], &facet["dataset"][0]["name"]),
        (&json!("file"), &json!("/w/crm:paid"))
    );
}

#[test]
fn a_run_that_was_cancelled_before_it_began_has_a_beginning_too() {
    let mut facts = run("cancelled");
    facts.run.started_at = None;
    assert_eq!(ids(&facts), ["START ", "ABORT "]);
}

#[test]
fn times_are_those_of_the_window_or_of_the_schedule() {
    let times = |facts: &RunFacts| {
        let facet = &body(facts, "START ")["run"]["facets"]["nominalTime"];
        (facet["nominalStartTime"].clone(), facet["nominalEndTime"].clone())
    };
    let mut scheduled = run("running");
    scheduled.run.cause = json!({"by": "cron", "trigger": "t", "at": "2026-03-01T06:00:00Z"}).to_string();
    assert_eq!(times(&scheduled), (json!("2026-03-01T06:00:00Z"), Value::Null));
    let mut window = run("running");
    let (start, end) = ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00");
    window.run.cause = json!({"by": "window", "trigger": "t", "window": start, "attempt": 1}).to_string();
    window.run.options =
        json!({"window": {"trigger": "t", "start": start, "end": end, "attempt": 1}}).to_string();
    assert_eq!(times(&window), (json!(start), json!(end)));
    assert_eq!(times(&run("running")), (Value::Null, Value::Null));
}

#[test]
fn a_run_of_a_run_names_the_step_that_started_it_and_the_run_at_the_top() {
    let mut facts = run("running");
    let parent = "0189000000007000800000000000000b";
    facts.run.parent_run = Some(parent.to_owned());
    facts.run.parent_step = Some("each[3]".to_owned());
    facts.parents =
        Some(("weekly".to_owned(), ("0189000000007000800000000000000c".to_owned(), "yearly".to_owned())));
    facts.steps = vec![step("load", "copy", "running", (Some(1), None))];
    let facet = |id: &str| body(&facts, id)["run"]["facets"]["parent"].clone();
    let of_run = facet("START ");
    assert_eq!(of_run["run"]["runId"], step_run_id(parent, "each"));
    assert_eq!(of_run["job"], json!({"namespace": "millrace://shop", "name": "weekly.each"}));
    assert_eq!(of_run["root"]["job"]["name"], "yearly");
    let of_step = facet("START load");
    assert_eq!(of_step["run"]["runId"], "01890000-0000-7000-8000-00000000000a");
    assert_eq!(of_step["job"]["name"], "daily");
    assert_eq!(of_step["root"]["run"]["runId"], "01890000-0000-7000-8000-00000000000c");
}

#[test]
fn a_step_tells_what_it_read_and_left_with_its_items() {
    let mut facts = run("running");
    let used = |step: &str, direction: Direction, name: &str, version: i64| StepUse {
        run_id: facts.run.id.clone(),
        pipeline: "daily".to_owned(),
        step: step.to_owned(),
        step_kind: "copy".to_owned(),
        ended_at: None,
        asset: StepAsset {
            direction,
            kind: "dataset".to_owned(),
            name: name.to_owned(),
            version,
            digest: String::new(),
        },
    };
    let uses = vec![
        used("each[0]", Direction::Wrote, "north", 2),
        used("each[1]", Direction::Wrote, "south", 5),
        used("each", Direction::Read, "regions", 1),
        used("other", Direction::Read, "else", 1),
    ];
    let outcome = json!({
        "outputs": {"data": {"kind": "file", "name": null, "uri": "out.csv"}}, "rows": 7,
        "sources": [{"kind": "source", "name": "raw.csv", "version": 0}],
    });
    let each = step("each", "copy", "succeeded", (Some(1), Some(2)));
    facts.steps = vec![StepRunRow { outcome: Some(outcome.to_string()), ..each }];
    facts.uses = uses;
    let event = body(&facts, "COMPLETE each");
    let named = |end: &str| -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = event[end].as_array().into_iter().flatten();
        all.map(|data| format!("{} {}", text(&data["namespace"]), text(&data["name"]))).collect()
    };
    assert_eq!(named("inputs"), ["file /w/raw.csv", "millrace://shop regions"]);
    assert_eq!(named("outputs"), ["file /w/out.csv", "millrace://shop north", "millrace://shop south"]);
    assert_eq!(event["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"], 7);
    assert_eq!(event["outputs"][2]["facets"]["version"]["datasetVersion"], "5");
}

#[test]
fn an_error_says_what_happened_and_in_which_language() {
    let mut facts = run("failed");
    let problem = Problem::error("step-failed", "the script ended with 3").note("ZeroDivisionError: x");
    let error = serde_json::to_string(&problem).unwrap_or_default();
    let broken = step("fit", "python", "failed", (Some(1), Some(2)));
    facts.steps = vec![StepRunRow { error: Some(error), ..broken }];
    let facet = &body(&facts, "FAIL fit")["run"]["facets"]["errorMessage"];
    assert_eq!(facet["message"], "the script ended with 3\nZeroDivisionError: x");
    assert_eq!(facet["programmingLanguage"], "PYTHON");
}

#[test]
fn a_namespace_is_a_uri_or_made_one() {
    for (namespace, expected) in [
        ("millrace://shop", "millrace://shop"),
        ("postgres://db:5432", "postgres://db:5432"),
        ("file", "file:///"),
        ("my team", "urn:millrace:my-team"),
        ("c:x", "urn:millrace:c-x"),
    ] {
        assert_eq!(uri(namespace), expected);
    }
}
