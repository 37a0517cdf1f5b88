use super::{outputs, runs, settled, wait_until_asked};
use crate::project::Project;
use crate::server::Up;

const FIRST: &str = "inputs: {day: d1}\nsteps: {note: {set: {day: \"${{ inputs.day }}\"}}}\n";

#[test]
fn event_pipeline_completion_of_another_pipeline() {
    let second = r#"
inputs: {day: {type: string}}
triggers:
  after: {pipeline: first, inputs: {day: "${{ event.run.inputs.day }}"}}
  broken: {pipeline: failing, states: [failed], inputs: {day: "${{ event.run.error.message }}"}}
steps: {note: {set: {day: "${{ inputs.day }}", of: "${{ event.subject }}"}}}
"#;
    let failing = "steps: {boom: {run: \"exit 3\"}}\n";
    let project = Project::new(&[
        ("pipelines/first.yaml", FIRST),
        ("pipelines/second.yaml", second),
        ("pipelines/failing.yaml", failing),
    ]);
    let server = Up::start(&project);
    wait_until_asked(&server, "after");
    wait_until_asked(&server, "broken");
    server.post("/api/pipelines/first/runs", "{\"inputs\": {\"day\": \"d7\"}}");
    let event = settled(&server, "after");
    assert_eq!(event["type"], "millrace.pipeline.ended");
    assert_eq!(outputs(&server, &event["run_id"]), serde_json::json!({"day": "d7", "of": "first"}));
    server.post("/api/pipelines/failing/runs", "{}");
    let event = settled(&server, "broken");
    assert_eq!(outputs(&server, &event["run_id"])["of"], "failing");
    assert_eq!(runs(&server, "second").len(), 2);
}

/// The alert is of drift, whose result a step of another pipeline stores.
#[test]
fn event_alert_that_fires_and_that_is_resolved() {
    let watch = r#"
inputs: {current: {type: string}}
steps:
  usual: {copy: {from: usual.csv, to: "data:usual"}}
  now: {copy: {from: "${{ inputs.current }}", to: "data:now"}}
  drift: {monitor: {name: churn_features, reference: "${{ steps.usual.data }}", current: "${{ steps.now.data }}"}}
"#;
    let retrain = r#"
triggers:
  drift: {alert: churn_feature_drift}
  over: {alert: churn_feature_drift, states: [resolved]}
steps: {note: {set: {of: "${{ event.alert.name }}", state: "${{ event.alert.state }}", columns: "${{ event.alert.value }}"}}}
"#;
    let rule =
        "alert: churn_feature_drift\nsignal: {drift: churn_features}\ncondition: {op: '>', threshold: 0}\n";
    let rows = |shift: u32| -> String {
        let rows = (0..600_u32).map(|n| format!("{},{}\n", n % 50 + shift, n % 7));
        std::iter::once("age,calls\n".to_owned()).chain(rows).collect()
    };
    let project = Project::new(&[
        ("pipelines/watch.yaml", watch),
        ("pipelines/retrain.yaml", retrain),
        ("monitors/drift.yaml", rule),
        ("usual.csv", &rows(0)),
        ("shifted.csv", &rows(40)),
    ]);
    let server = Up::start(&project);
    wait_until_asked(&server, "drift");
    wait_until_asked(&server, "over");
    let look = |file: &str| {
        let inputs = serde_json::json!({"inputs": {"current": file}}).to_string();
        server.post("/api/pipelines/watch/runs", &inputs);
    };
    look("shifted.csv");
    let event = settled(&server, "drift");
    let left = outputs(&server, &event["run_id"]);
    assert_eq!(left, serde_json::json!({"of": "churn_feature_drift", "state": "firing", "columns": 1.0}));
    look("usual.csv");
    let event = settled(&server, "over");
    assert_eq!(outputs(&server, &event["run_id"])["state"], "resolved");
    assert_eq!(runs(&server, "retrain").len(), 2);
}

#[test]
fn event_dataset_version_published_and_model_version_published_and_alias_moved() {
    let makes = crate::serving::PIPELINE;
    let follows = r#"
triggers:
  fresh: {dataset: rows}
  trained: {model: late}
  promoted: {model: late, events: [alias], aliases: [champion]}
steps: {note: {set: {what: "${{ event.type }}", name: "${{ event.subject }}", version: "${{ event.version }}"}}}
"#;
    let project = Project::new(&[
        ("pipelines/p.yaml", makes),
        ("pipelines/follows.yaml", follows),
        ("raw.csv", &crate::serving::rows()),
    ]);
    let server = Up::start(&project);
    for trigger in ["fresh", "trained", "promoted"] {
        wait_until_asked(&server, trigger);
    }
    server.post("/api/pipelines/p/runs", "{}");
    let given = |trigger: &str| outputs(&server, &settled(&server, trigger)["run_id"]);
    assert_eq!(
        given("fresh"),
        serde_json::json!({"what": "millrace.dataset.version", "name": "rows", "version": 1})
    );
    assert_eq!(
        given("trained"),
        serde_json::json!({"what": "millrace.model.version", "name": "late", "version": 1})
    );
    assert_eq!(
        given("promoted"),
        serde_json::json!({"what": "millrace.model.alias", "name": "late", "version": 1})
    );
    assert_eq!(runs(&server, "follows").len(), 3);
}
