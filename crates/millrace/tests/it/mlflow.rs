//! The unmodified MLflow client against the real executable.

use millrace_metastore::testing::TestPostgres;

use crate::clients::drive;
use crate::project::Project;
use crate::server::{TOKEN, Up};

#[test]
fn the_mlflow_client_tracks_here() {
    let project = Project::new(&[]);
    let server = Up::start(&project);
    drive("mlflow_client.py", &[&server.url], project.path());
}

#[test]
fn the_mlflow_client_sends_large_files_in_parts() {
    let project = Project::new(&[]);
    let server = Up::start(&project);
    drive("mlflow_large_files.py", &[&server.url, "folder"], project.path());
}

/// Trains and registers; `TREES` stands for a number.
const REGISTER: &str = r#"
steps:
  rows: {copy: {from: raw.csv, to: "data:rows"}}
  model: {train: {data: "${{ steps.rows.data }}", target: late, trainer: {gradient_boosting: {trees: TREES}}}}
  register: {register: {model: "${{ steps.model.model }}", name: late, alias: champion, description: From the test.}}
"#;

#[test]
fn the_mlflow_client_registers_beside_the_register_step() {
    let row = |n: u32| format!("{},{},{}\n", n * 37 % 1_000, n * 11 % 40, n * 37 % 1_000 > 500);
    let rows: String = std::iter::once("distance,wind,late\n".to_owned()).chain((0..500).map(row)).collect();
    let project = Project::new(&[("pipelines/p.yaml", &REGISTER.replace("TREES", "5")), ("raw.csv", &rows)]);
    let number = |pipeline: &str| {
        let ended = project.json(&["run", pipeline, "--json"]);
        ended["steps"][2]["outputs"]["number"].as_u64().unwrap_or_else(|| panic!("{ended}"))
    };
    assert_eq!(number("p"), 1);
    let server = Up::start(&project);
    drive("mlflow_registry_client.py", &[&server.url], project.path());
    let own = server.get("/api/models/late");
    drop(server);
    if own["versions"][0]["aliases"] == serde_json::json!(["best", "champion"]) {
        // The client made the second version and deleted it again; a number is not given twice.
        project.write("pipelines/again.yaml", REGISTER.replace("TREES", "6"));
        assert_eq!(number("again"), 3);
    }
}

#[test]
fn pages_show_what_the_mlflow_client_left() {
    let project = Project::new(&[]);
    let server = Up::start(&project);
    drive("pages_client.py", &[&server.url], project.path());
}

#[test]
fn the_mlflow_client_traces_here() {
    let project = Project::new(&[]);
    let server = Up::start(&project);
    drive("mlflow_traces_client.py", &[&server.url], project.path());
}

#[test]
fn the_mlflow_client_works_hard_here() {
    let project = Project::new(&[]);
    let server = Up::start(&project);
    drive("mlflow_areas_client.py", &[&server.url, &server.pid().to_string()], project.path());
}

/// The same clients with the tables in PostgreSQL; files are kept as before, so that large ones need no second look.
#[test]
fn the_mlflow_client_tracks_on_postgres() {
    let Some(postgres) = TestPostgres::start() else { return };
    let project = Project::new(&[]);
    let server = Up::start_on(&project, &postgres.url());
    drive("mlflow_client.py", &[&server.url], project.path());
    let areas = [&server.url, &server.pid().to_string(), "BoostedTrees", "ManyProcesses", "OwnPages"];
    drive("mlflow_areas_client.py", &areas, project.path());
}

#[test]
fn the_mlflow_client_registers_and_traces_on_postgres() {
    let Some(postgres) = TestPostgres::start() else { return };
    let project = Project::new(&[]);
    let server = Up::start_on(&project, &postgres.url());
    drive("mlflow_registry_client.py", &[&server.url], project.path());
    drive("mlflow_traces_client.py", &[&server.url], project.path());
}

/// Accounts by the unmodified client of MLflow's authentication, on both databases.
#[test]
fn mlflows_client_makes_accounts_here() {
    let project = Project::new(&[]);
    let server = Up::start_with_login(&project, None);
    drive("mlflow_accounts_client.py", &[&server.url, TOKEN], project.path());
}

#[test]
fn mlflows_client_makes_accounts_on_postgres() {
    let Some(postgres) = TestPostgres::start() else { return };
    let project = Project::new(&[]);
    let server = Up::start_with_login(&project, Some(&postgres.url()));
    drive("mlflow_accounts_client.py", &[&server.url, TOKEN], project.path());
}
