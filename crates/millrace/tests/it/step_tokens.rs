//! What the program of a step may do with the token that it gets.

use serde_json::{Value, json};

use crate::approvals::{ask_as, with_accounts};
use crate::project::{Project, wait_until};
use crate::server::{TOKEN, Up};

/// Tries what it may and what it may not, and keeps the answers.
const TRIES: &str = r#"
import json, os, time, urllib.error, urllib.request
import millrace

TOKEN = os.environ["MLFLOW_TRACKING_TOKEN"]
OWN = os.environ["MLFLOW_RUN_ID"]

def server():
    return open(os.environ["MILLRACE_SERVER_FILE"]).read().strip()

def ask(method, path, body=None):
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server() + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")

def mlflow(name, body):
    return ask("POST", f"/api/2.0/mlflow/{name}", body)

def answers(other, approval, run):
    own = ask("GET", f"/api/2.0/mlflow/runs/get?run_id={OWN}")[1]["run"]["info"]
    experiment = own["experiment_id"]
    nested = mlflow("runs/create", {"experiment_id": experiment})[1]["run"]
    metric = {"key": "auc", "value": 0.5, "timestamp": 1, "step": 0}
    parent = {tag["key"]: tag["value"] for tag in nested["data"]["tags"]}["mlflow.parentRunId"]
    assert parent == OWN, nested
    return {
        "may": {
            "log": mlflow("runs/log-metric", {"run_id": OWN, **metric})[0],
            "log nested": mlflow("runs/log-metric", {"run_id": nested["info"]["run_id"], **metric})[0],
            "read data": ask("GET", "/api/datasets/rows")[0],
            "read another run": ask("GET", f"/api/2.0/mlflow/runs/get?run_id={other}")[0],
            "register": mlflow("registered-models/create", {"name": f"made-{OWN}"})[0],
            "ask sql": ask("POST", "/api/sql", {"sql": "select count(*) as n from rows"})[0],
            "who": ask("GET", "/api/workspace")[0],
        },
        "may not": {
            "log into another run": mlflow("runs/log-metric", {"run_id": other, **metric})[0],
            "nest in another run": mlflow("runs/create", {"experiment_id": experiment, "tags": [
                {"key": "mlflow.parentRunId", "value": other}]})[0],
            "write a file of another run": ask("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{other}/artifacts/a.txt", {})[0],
            "delete its run": mlflow("runs/delete", {"run_id": OWN})[0],
            "rename its experiment": mlflow("experiments/update", {"experiment_id": experiment, "new_name": "x"})[0],
            "make an experiment": mlflow("experiments/create", {"name": "mine"})[0],
            "make an account": mlflow("users/create", {"username": "eve", "password": "a long password"})[0],
            "list accounts": ask("GET", "/api/2.0/mlflow/users/list")[0],
            "make a role": mlflow("roles/create", {"name": "eve", "workspace": "default"})[0],
            "see webhooks": ask("GET", "/api/2.0/mlflow/webhooks")[0],
            "move an alias": mlflow("registered-models/alias", {"name": f"made-{OWN}", "alias": "live", "version": "1"})[0],
            "approve": ask("POST", f"/api/approvals/{approval}/decisions", {"approve": True})[0],
            "start a run": ask("POST", "/api/pipelines/p/runs", {})[0],
            "cancel its run": ask("POST", f"/api/runs/{run}/cancel", {})[0],
            "read runs": ask("GET", "/api/runs")[0],
            "ask by graphql": ask("POST", "/graphql", {"query": "{ mlflowSearchRuns(input: {}) { runs { info { runId } } } }"})[0],
        },
    }

open("token", "w").write(TOKEN)
millrace.log_metric("begun", 1)
deadline = time.monotonic() + 120
while not os.path.exists("go") and time.monotonic() < deadline:
    time.sleep(0.02)
# Perhaps another server by now, at another port.
while time.monotonic() < deadline:
    try:
        ask("GET", "/api/workspace")
        break
    except OSError:
        time.sleep(0.05)
told = json.load(open("go"))
json.dump(answers(told["other"], told["approval"], told["run"]), open("answers.staged", "w"))
os.rename("answers.staged", "answers")
print("my token is", TOKEN)
"#;

const PIPELINE: &str = r#"
steps:
  rows: {copy: {from: raw.csv, to: "data:rows"}}
  gate: {approve: {by: [user:anna]}}
  tries: {python: tries.py, needs: rows}
"#;

fn start(server: &Up, operator: &str) -> String {
    let (status, run) = ask_as(server, operator, "POST", "/api/pipelines/p/runs", "{}");
    assert_eq!(status, 200, "{run}");
    run["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_steps_program_logs_into_its_own_run_and_decides_nothing() {
    let files = [("pipelines/p.yaml", PIPELINE), ("raw.csv", "a\n1\n"), ("tries.py", TRIES)];
    let project = Project::new(&files);
    let server = with_accounts(&project, &["anna"]);
    let operator = format!("Authorization: Bearer {TOKEN}\r\n");
    let run = start(&server, &operator);
    wait_until(|| !project.read("token").is_empty());
    let token = project.read("token");
    assert!(token.starts_with("millrace_step_") && !token.contains(TOKEN), "{token}");
    let way = format!("/api/approvals?run={run}");
    let mut approval = Value::Null;
    wait_until(|| {
        approval = ask_as(&server, &operator, "GET", &way, "").1["approvals"][0]["id"].clone();
        !approval.is_null()
    });
    let other = json!({"experiment_id": "0"}).to_string();
    let (_, other) = ask_as(&server, &operator, "POST", "/api/2.0/mlflow/runs/create", &other);
    let other = other["run"]["info"]["run_id"].clone();

    // The token outlives the server that gave it, and is good at the port of the next one.
    let port = server.url.clone();
    drop(server);
    let server = Up::start_with_login(&project, None);
    assert_ne!(server.url, port);
    let program = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(ask_as(&server, &program, "GET", "/api/workspace", "").0, 200);
    project.write("go", json!({"other": other, "approval": approval, "run": run}).to_string());
    wait_until(|| !project.read("answers").is_empty());
    let answers: Value = serde_json::from_str(&project.read("answers")).unwrap();
    for (what, status) in answers["may"].as_object().unwrap() {
        assert_eq!(status, 200, "{what}: {answers}");
    }
    for (what, status) in answers["may not"].as_object().unwrap() {
        assert_eq!(status, 403, "{what}: {answers}");
    }
    assert_eq!(answers["may not"].as_object().unwrap().len(), 16);

    // With its attempt the token is over.
    let step = format!("/api/runs/{run}");
    wait_until(|| {
        let (_, view) = ask_as(&server, &operator, "GET", &step, "");
        let steps = view["steps"].as_array().cloned().unwrap_or_default();
        steps.iter().any(|step| step["id"] == "tries" && step["status"] == "succeeded")
    });
    assert_eq!(ask_as(&server, &program, "GET", "/api/workspace", "").0, 401);
    let log = project.command(&["logs", &run, "tries"]).output().unwrap();
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    assert!(log.contains("my token is ***") && !log.contains(&token), "{log}");
}

#[test]
fn mlflows_client_logs_from_a_step() {
    let Some(python) = crate::clients::interpreter() else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../python/tests/mlflow_step.py");
    let pipeline = format!("steps:\n  train: {{run: \"{} {script}\"}}\n", python.display());
    let project = Project::new(&[("pipelines/p.yaml", &pipeline)]);
    let server = Up::start_with_login(&project, None);
    let operator = format!("Authorization: Bearer {TOKEN}\r\n");
    let run = start(&server, &operator);
    let (_, ended) = ask_as(&server, &operator, "GET", &format!("/api/runs/{run}?wait=100s"), "");
    let log = project.command(&["logs", &run, "train"]).output().unwrap();
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    assert_eq!(ended["run"]["status"], "succeeded", "{log}");
    assert!(log.contains("all of it"), "{log}");
}

#[test]
fn where_nobody_logs_in_programs_need_no_token() {
    let pipeline = "steps:\n  tells: {run: \"echo token=[${MLFLOW_TRACKING_TOKEN-}] > told\"}\n";
    let project = Project::new(&[("pipelines/p.yaml", pipeline)]);
    assert_eq!(project.json(&["run", "p", "--json"])["state"], "succeeded");
    assert_eq!(project.read("told"), "token=[]\n");
}
