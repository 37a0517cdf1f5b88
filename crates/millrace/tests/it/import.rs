//! MLflow's own package fills a store, `millrace import` takes it over, and MLflow's client compares the two.

use std::path::{Path, PathBuf};
use std::time::Duration;

use millrace_metastore::testing::TestPostgres;
use serde_json::Value;

use crate::clients::drive;
use crate::project::Project;
use crate::server::Up;

/// A folder of MLflow, or `None` without its package.
fn folder(project: &Project) -> Option<PathBuf> {
    let folder = project.path().join("mlruns");
    drive("mlflow_store.py", &[&folder.to_string_lossy()], project.path()).then_some(folder)
}

/// A database of MLflow.
fn database(project: &Project, more: &[&str]) -> Option<String> {
    let url = format!("sqlite:///{}/mlflow.db", project.path().display());
    let arguments: Vec<&str> = [url.as_str()].into_iter().chain(more.iter().copied()).collect();
    drive("mlflow_store.py", &arguments, project.path()).then_some(url)
}

/// How many of a kind the source has and how many are here; both digests must be equal.
fn count(report: &Value, kind: &str) -> u64 {
    let kinds = report["kinds"].as_array().unwrap();
    let found = kinds.iter().find(|one| one["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {report}"));
    assert_eq!(found["source_digest"], found["here_digest"], "{found}");
    assert_eq!(found["source"], found["here"], "{found}");
    found["source"].as_u64().unwrap()
}

fn digests(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kinds = report["kinds"].as_array().unwrap().iter();
    kinds.map(|kind| (text(&kind["kind"]), text(&kind["here_digest"]))).collect()
}

#[test]
fn a_folder_is_here_as_it_was_and_goes_out_again() {
    let source = Project::new(&[]);
    let Some(mlruns) = folder(&source) else { return };
    let mlruns = mlruns.to_string_lossy().into_owned();
    let project = Project::new(&[]);
    let dry = project.json(&["import", "mlflow", &mlruns, "--dry-run", "--json"]);
    assert_eq!((&dry["sound"], &dry["new"]), (&Value::Bool(true), &Value::from(0)), "{dry}");
    let report = project.json(&["import", "mlflow", &mlruns, "--json"]);
    assert_eq!(report["sound"], true, "{report}");
    let kinds = [
        "experiments",
        "runs",
        "params",
        "metric points",
        "dataset inputs",
        "logged models",
        "model versions",
    ];
    assert_eq!(kinds.map(|kind| count(&report, kind)), [3, 7, 7, 308, 3, 3, 5]);
    assert_eq!(
        ["traces", "spans", "assessments", "artifacts"].map(|kind| count(&report, kind)),
        [2, 3, 3, 9]
    );
    let again = project.json(&["import", "mlflow", &mlruns, "--json"]);
    assert_eq!((&again["sound"], &again["new"]), (&Value::Bool(true), &Value::from(0)), "{again}");
    let server = Up::start(&project);
    drive("mlflow_compare.py", &[&mlruns, &server.url, "without-datasets"], source.path());
    drop(server);

    let out = project.path().join("out/mlruns").to_string_lossy().into_owned();
    std::fs::create_dir(project.path().join("out")).unwrap();
    let exported = project.json(&["export", "mlruns", &out, "--json"]);
    assert_eq!(exported["sound"], true, "{exported}");
    assert_eq!(digests(&exported), digests(&report));
    drive("mlflow_compare.py", &[&mlruns, &out, "without-datasets"], source.path());
    let other = Project::new(&[]);
    let back = other.json(&["import", "mlflow", &out, "--json"]);
    assert_eq!(back["sound"], true, "{back}");
    assert_eq!(digests(&back), digests(&report));
}

#[test]
fn a_database_is_here_as_it_was() {
    let source = Project::new(&[]);
    let Some(url) = database(&source, &[]) else { return };
    let project = Project::new(&[]);
    let report = project.json(&["import", "mlflow", &url, "--json"]);
    assert_eq!(report["sound"], true, "{report}");
    let kinds =
        ["runs", "metric points", "evaluation records", "logged model metrics", "webhooks", "webhook events"];
    assert_eq!(kinds.map(|kind| count(&report, kind)), [7, 310, 2, 2, 3, 4]);
    assert_eq!(report["disabled"], serde_json::json!(["signed"]), "{report}");
    let server = Up::start(&project);
    drive("mlflow_compare.py", &[&url, &server.url], source.path());
    let statuses = |server: &Up| {
        let webhooks = server.get("/api/2.0/mlflow/webhooks")["webhooks"].clone();
        let one = |one: &Value| format!("{} {}", one["name"], one["status"]).replace('"', "");
        let mut all: Vec<String> = webhooks.as_array().unwrap().iter().map(one).collect();
        all.sort();
        all
    };
    assert_eq!(statuses(&server), ["asleep DISABLED", "plain ACTIVE", "signed DISABLED"]);
    // Our own server as the source of another workspace.
    let other = Project::new(&[]);
    let over_http = other.json(&["import", "mlflow", &server.url, "--json"]);
    assert_eq!(over_http["sound"], true, "{over_http}");
    let kinds = [
        "experiments",
        "runs",
        "params",
        "tags",
        "metric points",
        "dataset inputs",
        "artifacts",
        "spans",
        "assessments",
    ];
    assert_eq!(kinds.map(|kind| count(&over_http, kind)), kinds.map(|kind| count(&report, kind)));
    let second = Up::start(&other);
    // No server says whether there is a secret.
    assert_eq!(over_http["disabled"], serde_json::json!(["plain"]), "{over_http}");
    assert_eq!(statuses(&second), ["asleep DISABLED", "plain DISABLED", "signed DISABLED"]);
    drive("mlflow_compare.py", &[&server.url, &second.url], source.path());
}

#[test]
fn a_database_of_postgresql_is_here_as_it_was() {
    let Some(postgres) = TestPostgres::start() else { return };
    let source = Project::new(&[]);
    let socket = postgres.socket_folder().display();
    let url = format!("postgresql+psycopg2://millrace@/postgres?host={socket}");
    if !drive("mlflow_store.py", &[&url], source.path()) {
        return;
    }
    let project = Project::new(&[]);
    let artifacts = source.path().join("mlruns").to_string_lossy().into_owned();
    let report = project.json(&["import", "mlflow", &url, "--artifacts", &artifacts, "--json"]);
    assert_eq!(report["sound"], true, "{report}");
    let kinds = ["runs", "metric points", "artifacts", "evaluation records", "spans"];
    assert_eq!(kinds.map(|kind| count(&report, kind)), [7, 310, 9, 2, 3]);
    let server = Up::start(&project);
    drive("mlflow_compare.py", &[&url, &server.url], source.path());
}

#[test]
fn an_import_that_is_killed_goes_on() {
    const RUNS: u64 = 400;
    let source = Project::new(&[]);
    let Some(url) = database(&source, &[&RUNS.to_string()]) else { return };
    let project = Project::new(&[]);
    // A fixed sequence, so that a failure can be repeated.
    let mut state = 7_u64;
    let mut killed = 0;
    for _ in 0..8 {
        let mut child = project.spawn(&["import", "mlflow", &url]);
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros((state >> 33) % 400_000));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
    }
    assert!(killed > 0, "every import was quicker than its killer");
    let report = project.json(&["import", "mlflow", &url, "--json"]);
    assert_eq!(report["sound"], true, "{report}");
    let counts = ["experiments", "runs", "params", "metric points"].map(|kind| count(&report, kind));
    assert_eq!(counts, [2, RUNS, RUNS, 5 * RUNS]);
    let server = Up::start(&project);
    drive("mlflow_compare.py", &[&url, &server.url], source.path());
}

#[test]
fn what_is_broken_is_named_and_the_rest_is_taken_over() {
    let source = Project::new(&[]);
    let Some(mlruns) = folder(&source) else { return };
    let named = |ending: &str| find(&mlruns, ending).unwrap_or_else(|| panic!("no {ending}"));
    let curve = named("metrics/curve");
    std::fs::write(&curve, "1700000000000 0.5 1\nnot a point\n1700000000001 0.25 2\n").unwrap();
    std::fs::write(named("params/depth"), b"\xff").unwrap();
    let artifacts = curve.parent().unwrap().parent().unwrap().join("artifacts");
    std::fs::write(artifacts.join("a #1.txt"), "one").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", artifacts.join("link")).unwrap();
    let doomed = find(&mlruns, "metrics/m").unwrap();
    std::fs::write(doomed.parent().unwrap().parent().unwrap().join("meta.yaml"), "run_id: [\n").unwrap();
    let project = Project::new(&[]);
    let output = project.output(&["import", "mlflow", &mlruns.to_string_lossy(), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let broken: Vec<String> = report["broken"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let place = one["place"].as_str().unwrap();
            format!("{}: {}", place.rsplit('/').next().unwrap(), one["reason"].as_str().unwrap())
        })
        .collect();
    for expected in [
        "curve:2: this is no `time number step` of a metric",
        "depth: it is not UTF-8: byte 1 is not part of a character",
        "link: it is a link or no plain file, which is not followed",
    ] {
        assert!(broken.iter().any(|one| one == expected), "{broken:#?}");
    }
    assert!(broken.iter().any(|one| one.starts_with("meta.yaml: this is not YAML")), "{broken:#?}");
    assert_eq!(broken.len(), 4, "{broken:#?}");
    assert!(report["renamed"][0]["here"].as_str().unwrap().ends_with("/a \u{ff03}1.txt"), "{report}");
    assert_eq!(["runs", "params", "metric points"].map(|kind| count(&report, kind)), [6, 5, 9]);
}

#[test]
fn names_that_are_taken_are_a_choice() {
    let source = Project::new(&[]);
    let Some(url) = database(&source, &["3"]) else { return };
    let project = Project::new(&[]);
    let server = Up::start(&project);
    server.post("/api/2.0/mlflow/experiments/create", r#"{"name": "many"}"#);
    let mut said = project.millrace(&["import", "mlflow", &url]);
    insta::assert_snapshot!(said, @r"
    exit 1
    ----
    error[import-names-taken]: other experiments here already have these names: many
    hint: give those of the source a prefix: `--experiment-prefix old/`
    ");
    // Beside a server that works: it sees what is new.
    said = project.millrace(&["import", "mlflow", &url, "--experiment-prefix", "old/"]);
    insta::assert_snapshot!(said, @r"
    exit 0
    KIND           SOURCE  HERE  CONTENT  DIGEST
    experiments    2       2     equal    [key]
    metric points  15      15    equal    [key]
    params         3       3     equal    [key]
    runs           3       3     equal    [key]
    tags           3       3     equal    [key]
    5 new; everything of the source is here
    ----
    the experiment `old/Default` has the number 2 here, not 0
    the experiment `old/many` has the number 3 here, not 1
    ");
    let body = r#"{"experiment_ids": ["3"], "filter": "metrics.loss >= 0 and params.number = '2'"}"#;
    let found = server.post("/api/2.0/mlflow/runs/search", body);
    assert_eq!(found["runs"].as_array().unwrap().len(), 1, "{found}");
    let again = project.json(&["import", "mlflow", &url, "--json"]);
    assert_eq!((&again["sound"], &again["new"]), (&Value::Bool(true), &Value::from(0)), "{again}");
}

#[test]
fn what_is_no_store_is_refused() {
    let project = Project::new(&[("empty/x.txt", "")]);
    insta::assert_snapshot!(project.millrace(&["import", "mlflow", "empty"]), @r"
    exit 1
    ----
    error[failed]: `[folder]/empty` is no `mlruns` folder: no folder in it has a `meta.yaml` of an experiment
    ");
    insta::assert_snapshot!(project.millrace(&["import", "mlflow", "ftp://me:secret@host/x"]), @r"
    exit 1
    ----
    error[failed]: `host/x` is none of MLflow's stores: give a folder such as `./mlruns`, `sqlite:///mlflow.db`, `postgresql://…` or `http://…`
    ");
    insta::assert_snapshot!(project.millrace(&["export", "mlruns", "empty"]), @r"
    exit 1
    ----
    error[failed]: cannot write `[folder]/empty`
     = it is not empty; name a folder that is not there yet
    ");
}

/// The first file below a folder whose path ends so.
fn find(folder: &Path, ending: &str) -> Option<PathBuf> {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(here) = folders.pop() {
        for entry in std::fs::read_dir(here).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with(ending) {
                return Some(path);
            }
        }
    }
    None
}
