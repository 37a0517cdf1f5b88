//! `call` steps against a real Airflow, Prefect and Dagster, and Airflow's operator against a real server of ours.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test is told by its environment where the orchestrators are"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::project::Project;
use crate::server::Up;

/// An orchestrator; it ends with its standard input.
struct Orchestrator {
    child: Child,
    /// What its script told: `url`, perhaps a `token`.
    facts: Value,
    _folder: tempfile::TempDir,
}

impl Orchestrator {
    /// Starts it with the interpreter that `MILLRACE_TEST_<NAME>` names; without one it says so and gives nothing.
    fn start(name: &str) -> Option<Self> {
        let variable = format!("MILLRACE_TEST_{}", name.to_uppercase());
        let Some(python) = std::env::var_os(&variable) else {
            eprintln!(
                "skipped: {variable} names no interpreter with {name}; `cargo xtask test orchestrators` sets it"
            );
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/../../python/tests/orchestrators");
        let mut child = Command::new(python)
            .arg(format!("{scripts}/{name}_server.py"))
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let facts = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"));
        Some(Self { child, facts, _folder: folder })
    }

    fn url(&self) -> &str {
        self.facts["url"].as_str().unwrap()
    }

    /// What its API answers; `body` makes it a POST.
    fn ask(&self, path: &str, body: Option<Value>) -> Value {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "-H", "Content-Type: application/json"]);
        if let Some(token) = self.facts["token"].as_str() {
            command.args(["-H", &format!("Authorization: Bearer {token}")]);
        }
        if let Some(body) = body {
            command.args(["-d", &body.to_string()]);
        }
        let output = command.arg(format!("{}{path}", self.url())).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{path}: {error}: {output:?}"))
    }
}

impl Drop for Orchestrator {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}

/// These servers take seconds for what takes milliseconds elsewhere.
fn eventually(mut holds: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(180);
    while !holds() {
        assert!(Instant::now() < patience, "nothing happened for three minutes");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// Waits for it to be this, and says what it was if it never is.
fn eventually_is(expected: &str, mut actual: impl FnMut() -> Value) {
    let patience = Instant::now() + Duration::from_secs(180);
    loop {
        let seen = actual();
        if seen == expected {
            return;
        }
        assert!(Instant::now() < patience, "after three minutes it is {seen}, not {expected}");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// A pipeline of one call with this target.
fn pipeline(target: &Value) -> String {
    json!({"inputs": {"day": "2026-03-01"}, "steps": {"call": {"call": target, "timeout": "5m"}}}).to_string()
}

/// Calls that succeed, fail, are cancelled, and outlive a server that is killed. `target` is the call with a day, whether it is to fail and
/// how many seconds it is to take; `states` gives the words of the last run for success, failure and having been cancelled.
fn all_of_it(target: impl Fn(bool, u32) -> Value, words: [&str; 3], last_state: impl Fn() -> String) {
    let project = Project::new(&[
        ("pipelines/good.yaml", &pipeline(&target(false, 0))),
        ("pipelines/bad.yaml", &pipeline(&target(true, 0))),
        ("pipelines/long.yaml", &pipeline(&target(false, 3600))),
        ("pipelines/outlives.yaml", &pipeline(&target(false, 5))),
    ]);
    let checked = project.millrace(&["check"]);
    assert!(checked.starts_with("exit 0"), "{checked}");
    let good = project.last_json(&["run", "good", "--json"]);
    assert_eq!(good["state"], "succeeded", "{good}");
    let outputs = &good["steps"][0]["outputs"];
    assert_eq!(outputs["state"], words[0], "{good}");
    assert!(outputs["url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{good}");
    assert_eq!(last_state(), words[0]);

    let bad = project.last_json(&["run", "bad", "--json"]);
    assert_eq!(bad["state"], "failed", "{bad}");
    assert_eq!(bad["steps"][0]["error"]["code"], "call-failed", "{bad}");

    let server = Up::start(&project);
    let id = server.post("/api/pipelines/long/runs", "{}")["id"].as_str().unwrap().to_owned();
    let step = |server: &Up, id: &str| server.get(&format!("/api/runs/{id}"))["steps"][0].clone();
    eventually(|| step(&server, &id)["why"].to_string().contains("is "));
    server.post(&format!("/api/runs/{id}/cancel"), "");
    eventually(|| server.get(&format!("/api/runs/{id}"))["run"]["status"] == "cancelled");
    eventually(|| last_state() == words[2]);

    let id = server.post("/api/pipelines/outlives/runs", "{}")["id"].as_str().unwrap().to_owned();
    eventually(|| {
        step(&server, &id)["status"] == "waiting" && step(&server, &id)["why"].to_string().contains("is ")
    });
    drop(server);
    let server = Up::start(&project);
    eventually(|| !server.get(&format!("/api/runs/{id}"))["run"]["ended_at"].is_null());
    let ended = step(&server, &id);
    assert_eq!(
        (&ended["status"], ended["attempts"].as_array().unwrap().len()),
        (&json!("succeeded"), 1),
        "{ended}"
    );
}

#[test]
fn call_airflow_and_wait() {
    let Some(airflow) = Orchestrator::start("airflow") else { return };
    let login = |mut target: Value| {
        for (key, value) in
            [("url", airflow.url()), ("username", "millrace"), ("password", "${{ secrets.airflow }}")]
        {
            target[key] = json!(value);
        }
        json!({"airflow": target})
    };
    let nightly = |conf: Value| login(json!({"dag": "nightly", "conf": conf, "result_task": "train"}));
    let project = Project::new(&[
        ("pipelines/good.yaml", &pipeline(&nightly(json!({"day": "${{ inputs.day }}"})))),
        ("pipelines/bad.yaml", &pipeline(&nightly(json!({"fail": true})))),
        ("pipelines/endless.yaml", &pipeline(&login(json!({"dag": "endless"})))),
        ("pipelines/absent.yaml", &pipeline(&login(json!({"dag": "absent"})))),
        (
            "pipelines/inner.yaml",
            "inputs: {day: {type: date}}\nsteps: {a: {set: {day: \"${{ inputs.day }}\"}}}\n",
        ),
    ])
    .with_variables(vec![("MILLRACE_SECRET_AIRFLOW".to_owned(), "s3cret".to_owned())]);
    let good = project.last_json(&["run", "good", "--json"]);
    let outputs = &good["steps"][0]["outputs"];
    assert_eq!(
        (&outputs["state"], &outputs["result"]),
        (&json!("success"), &json!({"auc": 0.91, "day": "2026-03-01"})),
        "{good}"
    );
    assert!(outputs["url"].as_str().unwrap().contains("/dags/nightly/runs/millrace__"), "{good}");
    let said = project.millrace(&["run", "bad"]);
    assert!(said.contains("the DAG `nightly` ended as failed: task `train` failed"), "{said}");
    let said = project.millrace(&["run", "absent"]);
    assert!(said.contains("error[call-refused]") && said.contains("404"), "{said}");

    // Cancelled here, it ends there; a server that is killed meanwhile does not begin it again.
    let server = Up::start(&project);
    let id = server.post("/api/pipelines/endless/runs", "{}")["id"].as_str().unwrap().to_owned();
    let run = |server: &Up| server.get(&format!("/api/runs/{id}"));
    eventually(|| run(&server)["steps"][0]["why"].to_string().contains("the DAG `endless` is"));
    drop(server);
    let server = Up::start(&project);
    eventually(|| run(&server)["steps"][0]["status"] == "waiting");
    let runs = || airflow.ask("/api/v2/dags/endless/dagRuns", None)["dag_runs"].clone();
    eventually_is("running", || runs()[0]["state"].clone());
    // Of a run whose only task has not begun, Airflow skips the task, and may then take the run for a success.
    let tasks = || {
        let run = runs()[0]["dag_run_id"].as_str().unwrap().to_owned();
        airflow.ask(&format!("/api/v2/dags/endless/dagRuns/{run}/taskInstances"), None)["task_instances"]
            .clone()
    };
    eventually_is("running", || tasks()[0]["state"].clone());
    server.post(&format!("/api/runs/{id}/cancel"), "");
    eventually_is("cancelled", || run(&server)["run"]["status"].clone());
    eventually_is("failed", || runs()[0]["state"].clone());
    eventually_is("failed", || tasks()[0]["state"].clone());
    assert_eq!(runs().as_array().unwrap().len(), 1);

    // The other way round: a task of Airflow runs a pipeline here, by the operator, once in its slot and once deferred.
    let conf = json!({"server": server.url, "day": "2026-03-01"});
    let target = login(json!({"dag": "through_millrace", "conf": conf, "result_task": "deferred"}));
    project.write("pipelines/outer.yaml", pipeline(&target));
    let id = server.post("/api/pipelines/outer/runs", "{}")["id"].as_str().unwrap().to_owned();
    eventually(|| !server.get(&format!("/api/runs/{id}"))["run"]["ended_at"].is_null());
    let outer = server.get(&format!("/api/runs/{id}"));
    let result = &outer["steps"][0]["outputs"]["result"];
    assert_eq!(result["outputs"], json!({"a": {"day": "2026-03-01"}}), "{outer}");
    let inner = server.get("/api/runs?pipeline=inner");
    assert_eq!((&inner["total"], &inner["runs"][0]["trigger"]), (&json!(2), &json!("airflow")), "{inner}");
}

#[test]
fn call_prefect_and_wait() {
    let Some(prefect) = Orchestrator::start("prefect") else { return };
    let target = |fail: bool, seconds: u32| {
        let parameters = json!({"day": "${{ inputs.day }}", "fail": fail, "seconds": seconds});
        json!({"prefect": {"url": prefect.url(), "deployment": "churn/nightly", "parameters": parameters}})
    };
    let last_state = || {
        let newest =
            prefect.ask("/flow_runs/filter", Some(json!({"sort": "EXPECTED_START_TIME_DESC", "limit": 1})));
        newest[0]["state"]["name"].as_str().unwrap_or_default().to_owned()
    };
    all_of_it(target, ["Completed", "Failed", "Cancelled"], last_state);
}

#[test]
fn call_dagster_and_wait() {
    let Some(dagster) = Orchestrator::start("dagster") else { return };
    let target = |fail: bool, seconds: u32| {
        let config = json!({"ops": {"train": {"config": {"day": "${{ inputs.day }}", "fail": fail, "seconds": seconds}}}});
        json!({"dagster": {"url": dagster.url(), "job": "nightly", "run_config": config}})
    };
    let last_state = || {
        let query = json!({"query": "{ runsOrError(limit: 1) { ... on Runs { results { status } } } }"});
        let answer = dagster.ask("/graphql", Some(query));
        answer["data"]["runsOrError"]["results"][0]["status"].as_str().unwrap_or_default().to_owned()
    };
    all_of_it(target, ["SUCCESS", "FAILURE", "CANCELED"], last_state);
}
