//! Experiments and runs from their deletion to their end: command line, API, and the unmodified client.

use insta::assert_snapshot;
use serde_json::json;

use crate::clients::drive;
use crate::project::{Project, wait_until};
use crate::server::Up;

/// Makes an experiment with runs, and gives its id and theirs.
fn experiment(server: &Up, name: &str, runs: usize) -> (String, Vec<String>) {
    let made = server.post("/api/2.0/mlflow/experiments/create", &json!({ "name": name }).to_string());
    let id = made["experiment_id"].as_str().unwrap().to_owned();
    let run = |number: usize| {
        let body = json!({"experiment_id": id, "run_name": format!("run {number}"), "start_time": number});
        let made = server.post("/api/2.0/mlflow/runs/create", &body.to_string());
        made["run"]["info"]["run_id"].as_str().unwrap().to_owned()
    };
    let runs = (0..runs).map(run).collect();
    (id, runs)
}

#[test]
fn experiments_are_deleted_renamed_and_purged_on_the_command_line() {
    let project = Project::new(&[]);
    let server = Up::start(&project);
    let (_, runs) = experiment(&server, "churn", 3);
    drop(server);
    assert_snapshot!(project.millrace(&["experiments", "purge", "churn", "--yes"]), @r"
    exit 1
    ----
    error[failed]: the experiment `churn` is not deleted: `millrace experiments delete` it first, or say `--force`
    ");
    assert_snapshot!(project.millrace(&["experiments", "purge-runs", &runs[0], "0000", "--dry-run"]), @r"
    exit 1
    would purge 0 runs and 0 logged models of theirs, 0 B
    ----
    kept 0000: there is no such run
    kept [id]: it is not deleted; `--force` purges it all the same
    ");
    assert_snapshot!(project.millrace(&["experiments", "delete", "churn"]), @r"
    exit 0
    `churn` (id 1) is deleted; `millrace experiments restore` brings it back
    ----
    ");
    assert_snapshot!(project.millrace(&["experiments", "rename", "churn", "old churn"]), @r"
    exit 0
    `churn` (id 1) is `old churn` now
    ----
    ");
    assert_snapshot!(project.millrace(&["experiments", "list", "--deleted", "--json"]), @r#"
    exit 0
    {"id":"1","name":"old churn","deleted":true,"runs":3,"traces":0,"files":0,"artifact_bytes":0,"point_bytes":0,"document_bytes":12,"trace_bytes":0,"total_bytes":12}
    ----
    "#);
    assert_snapshot!(project.millrace(&["experiments", "purge", "old churn", "--dry-run"]), @r"
    exit 0
    would purge `old churn` (id 1): 3 runs, 0 logged models, 0 traces, 12 B
    ----
    ");
    assert_snapshot!(project.millrace(&["experiments", "purge", "old churn"]), @r"
    exit 1
    ----
    error[failed]: nobody can be asked here; say `--yes` to do it, or `--dry-run` to see what it would do
    ");
    assert_snapshot!(project.millrace(&["experiments", "purge", "old churn", "--yes"]), @r"
    exit 0
    purged `old churn` (id 1): 3 runs, 0 logged models, 0 traces, 12 B
    ----
    ");
    assert_snapshot!(project.millrace(&["experiments", "list"]), @r"
    exit 0
    ID  EXPERIMENT  RUNS  FILES  TAKES
    0   Default     0     0      0 B
    ----
    ");
    assert_snapshot!(project.millrace(&["experiments", "list", "--deleted"]), @r"
    exit 0
    ----
    no experiment is deleted
    ");
    assert_snapshot!(project.millrace(&["experiments", "restore", "old churn"]), @r"
    exit 1
    ----
    error[failed]: there is no experiment `old churn`; list them with `millrace experiments list`, deleted ones with `--deleted`
    ");
}

#[test]
fn rules_of_retention_are_set_tried_and_taken_away() {
    let project = Project::new(&[]);
    let server = Up::start(&project);
    let (_, runs) = experiment(&server, "churn", 3);
    for run in &runs {
        let body = json!({"run_id": run, "status": "FINISHED", "end_time": 5});
        server.post("/api/2.0/mlflow/runs/update", &body.to_string());
    }
    drop(server);
    assert_snapshot!(project.millrace(&["experiments", "retention", "churn"]), @r"
    exit 0
    nothing is deleted by itself
    ----
    ");
    assert_snapshot!(project.millrace(&["experiments", "retention", "churn", "--keep-newest", "1"]), @r"
    exit 1
    ----
    error[failed]: rules need `delete_after_days` or `purge_after_days`
    ");
    assert_snapshot!(project.millrace(&["experiments", "retention", "default", "--purge-after", "30"]), @r"
    exit 0
    what was deleted 30 days ago is purged
    what a registered model or a deployment refers to is kept
    ----
    ");
    assert_snapshot!(project.millrace(&["experiments", "retention", "churn"]), @r"
    exit 0
    what was deleted 30 days ago is purged
    what a registered model or a deployment refers to is kept
    these are the default rules; it has none of its own
    ----
    ");
    let rules = ["experiments", "retention", "churn", "--delete-after", "90", "--keep-newest", "1"];
    assert_snapshot!(project.millrace(&[&rules[..], &["--dry-run"]].concat()), @r"
    exit 0
    would delete 2 runs, and purge 0 runs and 0 logged models
    delete [id] run 1
    delete [id] run 0
    1 old runs are kept by the rules, 0 since something refers to them
    ----
    ");
    assert_snapshot!(project.millrace(&[&rules[..], &["--keep-best", "2:loss:smallest", "--json"]].concat()), @r#"
    exit 0
    {"experiment":"churn","own":true,"rules":{"delete_after_days":90,"keep_best":{"count":2,"metric":"loss","smallest":true},"keep_newest":1}}
    ----
    "#);
    assert_snapshot!(project.millrace(&["experiments", "retention", "churn", "--remove"]), @r"
    exit 0
    what was deleted 30 days ago is purged
    what a registered model or a deployment refers to is kept
    these are the default rules; it has none of its own
    ----
    ");
}

#[test]
fn the_api_purges_what_is_deleted_and_says_what_it_took() {
    let project = Project::new(&[]);
    let server = Up::start(&project);
    let (id, runs) = experiment(&server, "churn", 3);
    let post = |path: &str, body: serde_json::Value| server.post(path, &body.to_string());
    let ids = json!({"ids": [&runs[0], &runs[1]]});
    assert_eq!(post("/api/tracked-runs/delete", json!({"ids": [&runs[0]]}))["changed"], 1);
    let deleted = server.get(&format!("/api/experiments/{id}/runs?deleted=true"));
    assert_eq!((&deleted["total"], &deleted["runs"][0]["id"]), (&json!(1), &json!(runs[0])));
    assert!(
        server.get(&format!("/api/tracked-runs/{}/lifecycle", runs[0]))["storage"]["total_bytes"].as_u64()
            > Some(0)
    );
    let tried = json!({"ids": ids["ids"], "dry_run": true});
    let tried = post("/api/tracked-runs/purge", tried);
    assert!(tried["bytes"].as_u64() > Some(0), "{tried}");
    assert_eq!(tried["kept"], json!([{"id": runs[1], "reason": "not-deleted"}]));
    let purged = post("/api/tracked-runs/purge", ids);
    assert_eq!((&purged["runs"], &purged["kept"]), (&json!(1), &tried["kept"]));
    assert_eq!(server.get(&format!("/api/tracked-runs/{}", runs[0]))["code"], "unknown-run");
    assert_eq!(post(&format!("/api/experiments/{id}/purge"), json!({}))["code"], "not-deleted");
    assert_eq!(post("/api/experiments/0/purge", json!({"force": true}))["code"], "default-experiment");
    assert_eq!(post(&format!("/api/experiments/{id}/delete"), json!({}))["deleted"], true);
    assert_eq!(post(&format!("/api/experiments/{id}/rename"), json!({"name": "old"}))["name"], "old");
    let listed = server.get("/api/storage-use");
    assert_eq!(listed["experiments"].as_array().unwrap().len(), 2);
    assert_eq!(post(&format!("/api/experiments/{id}/purge"), json!({}))["runs"], 2);
    assert_eq!(server.get(&format!("/api/experiments/{id}/lifecycle"))["code"], "unknown-experiment");
    // What waits to be deleted is counted until it is gone; the collector waits a minute before it begins.
    assert_eq!(server.get("/api/storage-use")["waiting_folders"], 3);
}

#[test]
fn the_storage_use_of_an_experiment_is_measured_by_the_server() {
    let project = Project::new(&[]);
    let server = Up::start(&project);
    let (id, _) = experiment(&server, "churn", 2);
    drop(server);
    // A server measures when it starts.
    let server = Up::start(&project);
    let measured = || server.get(&format!("/api/experiments/{id}/lifecycle"))["storage"]["runs"] == 2;
    wait_until(measured);
}

#[test]
fn the_mlflow_client_finds_nothing_of_what_was_purged() {
    let project = Project::new(&[]);
    let server = Up::start(&project);
    drive("mlflow_purge_client.py", &[&server.url], project.path());
}
