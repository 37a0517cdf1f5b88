//! The `call` step against recorded shapes: each file in `tests/cases/` has a step, what it must ask, what is answered as the vendor's
//! documentation has it, and what comes of that.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod recorded;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indexmap::IndexMap;
use millrace_call::{Call, CallServices};
use millrace_contract::{FixedClock, Look, Progress, ProgressSink, StepContext, StepKind as _, StepLog};
use millrace_spec::problem::Problem;
use millrace_spec::yaml;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use recorded::Server;

/// In the cases: the address of the recorded server, and what the system knows the attempt by.
const SERVER: &str = "SERVER";
const KEY: &str = "KEY";
const RUN_AND_STEP: &str = "0123456789abcdef0123456789abcdef";

/// The step's log.
#[derive(Default)]
struct Said(Mutex<Vec<String>>);

impl StepLog for Said {
    fn line(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

struct Nowhere;

impl ProgressSink for Nowhere {
    fn report(&self, _: Progress) {}
}

fn context(config: Value, folder: &Path, log: Arc<dyn StepLog>) -> StepContext {
    StepContext {
        run_id: RUN_AND_STEP.to_owned(),
        pipeline: "p".to_owned(),
        step: "s".to_owned(),
        attempt: 1,
        idempotency_key: format!("{RUN_AND_STEP}fedcba"),
        workspace: folder.to_path_buf(),
        folder: folder.join("attempt"),
        config,
        inputs: IndexMap::new(),
        outputs: IndexMap::new(),
        environment: None,
        env: IndexMap::new(),
        secrets: Vec::new(),
        timeout_ms: None,
        tracking_run_id: RUN_AND_STEP.to_owned(),
        cancel: CancellationToken::new(),
        log,
        progress: Arc::new(Nowhere),
    }
}

fn call(connections: Value) -> Call {
    let connection = move |name: &str| {
        connections.get(name).cloned().ok_or_else(|| Box::new(Problem::error("unknown-connection", name)))
    };
    Call::new(CallServices {
        client: reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap(),
        clock: Arc::new(FixedClock::at("2026-03-01T06:00:00Z".parse().unwrap())),
        connections: Arc::new(connection),
    })
}

/// Replays a case. Its `script` has exchanges, which the server expects in this order, and what the step does meanwhile.
async fn replay(name: &str, text: &str) {
    let server = Server::start().await;
    let host = server.url.trim_start_matches("http://");
    let text =
        text.replace(SERVER, &server.url).replace("HOST", host).replace(KEY, &format!("{RUN_AND_STEP}-1"));
    let case = yaml::parse(name, &text).unwrap_or_else(|problem| panic!("{name}: {problem:?}")).to_json();
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(Said::default());
    let context = context(case["call"].clone(), folder.path(), log.clone());
    let step = call(case["connections"].clone());
    assert_eq!(step.check(&context.config), [], "{name}");
    let violations = millrace_spec::validate::violations(step.doc().schema.as_value(), &context.config);
    assert_eq!(violations, [], "{name}");
    let mut handle = Value::Null;
    for line in case["script"].as_array().unwrap() {
        let (does, expected) = line.as_object().unwrap().iter().next().unwrap();
        match does.as_str() {
            "ask" => {
                server.expect(line.clone());
                continue;
            }
            "begin" => {
                handle =
                    step.begin_waiting(&context).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
                let url = handle["url"].as_str().unwrap_or_default();
                assert_eq!(&json!({"id": handle["id"], "url": url}), expected, "{name}");
            }
            "refused" => {
                let error = step.begin_waiting(&context).await.unwrap_err();
                assert_eq!(json!(error.problem.message), *expected, "{name}");
            }
            "waiting" => match step.look(&context, &handle).await.unwrap() {
                Look::Waiting { reason, .. } => assert_eq!(json!(reason), *expected, "{name}"),
                Look::Done(outcome) => panic!("{name}: {outcome:?}"),
            },
            "done" => match step.look(&context, &handle).await.unwrap() {
                Look::Done(outcome) => {
                    assert_eq!(outcome.outputs["state"], expected["state"], "{name}");
                    assert_eq!(outcome.outputs["result"], expected["result"], "{name}");
                }
                Look::Waiting { reason, .. } => panic!("{name}: {reason}"),
            },
            "failed" => {
                let error = step.look(&context, &handle).await.map(|_| ()).unwrap_err();
                let said = format!("{}: {}", error.problem.code, error.problem.message);
                assert_eq!(json!(said), *expected, "{name}");
            }
            "cancel" => {
                step.abandon(&context, &handle).await;
                assert_eq!(json!(log.0.lock().unwrap().last()), *expected, "{name}");
            }
            other => panic!("{name}: what is `{other}`?"),
        }
        server.all_asked(name);
    }
}

#[tokio::test]
async fn targets_talk_as_their_vendors_document() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        replay(&name, &std::fs::read_to_string(&file).unwrap()).await;
    }
}

/// Every target has a page: a sentence, an example that fits its schema.
#[test]
fn every_target_has_a_sound_page() {
    let step = call(json!({}));
    let mut pages = Vec::new();
    for doc in millrace_call::docs() {
        assert!(doc.summary.ends_with('.'), "{}: {}", doc.name, doc.summary);
        let example = yaml::parse(doc.name, doc.example).unwrap().to_json();
        assert_eq!(step.check(&example), [], "{}", doc.name);
        let violations = millrace_spec::validate::violations(step.doc().schema.as_value(), &example);
        assert_eq!(violations, [], "{}", doc.name);
        pages.push(format!("{}: {}", doc.name, doc.summary));
    }
    insta::assert_snapshot!(pages.join("\n"), @r"
    airflow: Runs a DAG of Airflow.
    prefect: Runs a deployment of Prefect 3.
    dagster: Launches a job of Dagster.
    azureml: Runs a pipeline component of Azure Machine Learning as a job.
    data_factory: Runs a pipeline of Azure Data Factory.
    databricks: Runs a job of Databricks.
    logic_apps: Runs a workflow of Azure Logic Apps (Consumption) that begins with a request.
    azure_devops: Runs a pipeline of Azure DevOps.
    github_actions: Runs a workflow of GitHub Actions that has `workflow_dispatch`.
    argo: Submits a workflow of Argo Workflows from its template.
    http: Submits a job to any web service and asks for its status until it is over.
    ");
}

#[test]
fn mistakes_in_a_call_are_found_before_it_is_made() {
    let step = call(json!({}));
    let said = |config: Value| {
        let found = step.check(&config).into_iter();
        let found = found.map(|problem| format!("{} ({})", problem.message, problem.hints.join("; ")));
        let shape = millrace_spec::validate::violations(step.doc().schema.as_value(), &config).into_iter();
        found
            .chain(shape.map(|wrong| format!("{} {}", wrong.pointer, wrong.message)))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let configs = [
        json!({"airflov": {"url": "http://a", "dag": "d"}}),
        json!({"airflow": {"dag": "d"}, "poll": "often"}),
        json!({"airflow": {"url": "http://a", "dagg": "d"}}),
        json!({"airflow": {"url": "http://a", "dag": "d"}, "argo": {"template": "t"}}),
    ];
    insta::assert_snapshot!(configs.map(said).join("\n--\n"), @r"
    a call names one system to call (`airflow: {…}`)
     there is no key `airflov`
    --
    `airflow` needs a `url` or a `connection` (millrace explain airflow)
    `often` is not a duration (write a number and a unit: `poll: 10s`)
    --
    /airflow there is no key `dagg`
    /airflow the key `dag` is missing
    --
    a call names one system to call (for example `airflow: {url: http://airflow:8080, dag: nightly}`)
    ");
}
