//! Pipelines come from other orchestrators' files, pass the check, and run.

use crate::project::Project;

/// A file of the cases of `millrace-convert`.
macro_rules! case {
    ($path:literal) => {
        include_str!(concat!("../../../millrace-convert/tests/cases/", $path))
    };
}

const COUNT: &str =
    "tr ' ' '\\n' < \"$1\" | sort | uniq -c | sort -rn | awk -v n=\"$2\" '$1 >= n' > \"$3/counts.txt\"\n";

fn sound(project: &Project) {
    let checked = project.millrace(&["check"]);
    assert!(checked.starts_with("exit 0"), "{checked}");
}

#[test]
fn an_azure_ml_pipeline_is_imported_and_runs() {
    let project = Project::new(&[
        ("theirs/pipeline.yml", case!("azureml/pipeline.yml")),
        ("theirs/nightly.schedule.yml", case!("azureml/nightly.schedule.yml")),
        ("theirs/count.yml", case!("azureml/count.yml")),
        ("theirs/src/count.sh", COUNT),
        ("theirs/words.txt", "a b a c b a\n"),
    ]);
    let said = project.millrace(&["import", "azureml", "theirs/pipeline.yml", "theirs/nightly.schedule.yml"]);
    assert!(said.contains("pipelines/count_words.yaml written"), "{said}");
    assert!(said.contains("no counterpart  theirs/pipeline.yml:5"), "{said}");
    sound(&project);
    let ended = project.json(&["run", "count_words", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let report = ended["steps"][1]["outputs"]["report"]["uri"]
        .as_str()
        .unwrap()
        .trim_start_matches("file://")
        .to_owned();
    let first = std::fs::read_to_string(std::path::Path::new(&report).join("first.txt")).unwrap();
    assert_eq!(first.trim(), "3 a");
    let again = project.millrace(&["import", "azureml", "theirs/pipeline.yml"]);
    assert!(again.starts_with("exit 1") && again.contains("is there already"), "{again}");
    let dry = project.json(&["import", "azureml", "theirs/pipeline.yml", "--dry-run", "--json"]);
    assert_eq!((&dry["files"][0], &dry["written"]), (&"pipelines/count_words.yaml".into(), &false.into()));
    let findings = dry["findings"].as_array().unwrap();
    for outcome in ["taken_over", "changed", "no_counterpart"] {
        let of: Vec<_> = findings.iter().filter(|finding| finding["outcome"] == outcome).collect();
        assert_eq!(Some(of.len() as u64), dry[outcome].as_u64());
        assert!(!of.is_empty() && of.iter().all(|finding| finding["place"]["line"].is_u64()), "{dry}");
    }
}

#[test]
fn components_of_azure_ml_run_as_pipelines() {
    let project = Project::new(&[
        ("ml/pipeline.yml", case!("azureml/nested/pipeline.yml")),
        ("ml/parts/prepare.yml", case!("azureml/nested/parts/prepare.yml")),
        ("ml/src/.keep", ""),
        ("ml/rows/rows.txt", "b\na\n"),
    ]);
    let said = project.millrace(&["import", "azureml", "ml/pipeline.yml"]);
    assert!(said.contains("pipelines/retrain.yaml, pipelines/prepare_rows.yaml written"), "{said}");
    sound(&project);
    let ended = project.json(&["run", "retrain", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let state = |step: &str| {
        let steps = ended["steps"].as_array().unwrap();
        steps.iter().find(|row| row["step"] == step).unwrap()["state"].clone()
    };
    assert_eq!((state("train"), state("keep")), ("succeeded".into(), "skipped".into()));
}

#[test]
fn a_data_factory_folder_is_imported_and_what_is_whole_runs() {
    let project = Project::new(&[
        ("adf/pipeline/nightly.json", case!("adf/pipeline/nightly.json")),
        ("adf/pipeline/Load Region.json", case!("adf/pipeline/Load Region.json")),
        ("adf/pipeline/Export Shop.json", case!("adf/pipeline/Export Shop.json")),
        ("adf/pipeline/hourly_ingest.json", case!("adf/pipeline/hourly_ingest.json")),
        ("adf/trigger/hourly.json", case!("adf/trigger/hourly.json")),
        ("adf/trigger/daily.json", case!("adf/trigger/daily.json")),
        ("adf/trigger/arrived.json", case!("adf/trigger/arrived.json")),
        ("adf/trigger/export_windows.json", case!("adf/trigger/export_windows.json")),
        ("adf/dataset/orders_table.json", case!("adf/dataset/orders_table.json")),
        ("adf/dataset/orders_hour.json", case!("adf/dataset/orders_hour.json")),
        ("adf/dataset/orders_file.json", case!("adf/dataset/orders_file.json")),
        ("arm/template.json", case!("adf_template.json")),
    ]);
    let said = project.millrace(&["import", "adf", "adf"]);
    assert!(said.contains("the activity `Until it is there` (Until) has no counterpart"), "{said}");
    let said = project.millrace(&["import", "adf", "arm"]);
    assert!(said.contains("pipelines/pause.yaml written: 3 taken over, 1 changed, 0 without"), "{said}");
    sound(&project);
    assert_eq!(project.json(&["run", "pause", "--json"])["state"], "succeeded");
    let ended = project.json(&["run", "load_region", "-i", "region=eu", "-i", "day=1", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(ended["steps"][1]["outputs"]["loaded"], "eu/1");
    // What is missing fails where it is missing, and says what it is.
    let ended = project.last_json(&["run", "export_shop", "--json"]);
    assert_eq!(ended["state"], "failed", "{ended}");
}

#[test]
fn a_dbt_project_is_imported_and_its_models_are_tables() {
    let project = Project::new(&[
        ("shop/target/manifest.json", case!("manifest.json")),
        ("shop/seeds/raw_orders.csv", "id,amount\n1,10\n2,32\n"),
        ("customers.csv", "id,name\n1,Ann\n"),
    ]);
    project.millrace(&["copy", "customers.csv", "data:shop_customers"]);
    let said = project.millrace(&["import", "dbt", "shop/target/manifest.json"]);
    assert!(said.contains("pipelines/jaffle_shop.yaml, "), "{said}");
    assert!(said.contains("the model `costly` (models/costly.sql) uses `{{ cents("), "{said}");
    sound(&project);
    let ended = project.last_json(&["run", "jaffle_shop", "--json"]);
    assert_eq!(ended["state"], "failed", "{ended}");
    let built = |arguments: &[&str]| {
        let whole = [&["sql-models", "build", "--json"][..], arguments].concat();
        let lines = String::from_utf8(project.output(&whole).stdout).unwrap();
        let lines: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        move |name: &str| {
            let found = lines.iter().find(|line| line["name"] == name);
            found.unwrap_or_else(|| panic!("no {name} in {lines:#?}"))["status"].clone()
        }
    };
    // Those that stand for what is missing fail; everything else is built, and its tests pass.
    let state = built(&["--full-refresh"]);
    assert_eq!([state("costly"), state("py")], ["failed", "failed"]);
    for model in ["stg_orders", "totals", "by_customer", "recent", "orders_history"] {
        assert_ne!(state(model), "failed", "{model}");
    }
    for test in ["total_is_positive", "no_gaps", "accepted"] {
        assert_eq!(state(test), "pass", "{test}");
    }
    let total = project.json(&["sql", "select total from totals", "--json"]);
    assert_eq!(total["total"], 42);
    // An order twice: what is tested of the seed fails, the test that only warns does so.
    project.write("shop/seeds/raw_orders.csv", "id,amount\n1,10\n1,33\n");
    project.last_json(&["run", "jaffle_shop", "--json"]);
    let state = built(&["--exclude", "orders_history"]);
    assert_eq!(state("accepted"), "fail");
    // Nothing is made of a seed that a test fails of.
    assert_eq!(state("stg_orders"), "skipped");
    project.write("shop/seeds/raw_orders.csv", "id,amount\n1,10\n1,32\n");
    project.last_json(&["run", "jaffle_shop", "--json"]);
    let state = built(&["--exclude", "orders_history"]);
    assert_eq!(state("accepted"), "pass");
    assert_eq!(state("stg_orders_order_id_unique"), "warn");
    assert_eq!(state("stg_orders_order_id_not_null"), "pass");
}

#[test]
fn workflows_of_github_are_imported() {
    let project = Project::new(&[
        (".github/workflows/nightly.yml", case!("github/nightly.yml")),
        (".github/workflows/reuse.yml", case!("github/reuse.yml")),
    ]);
    let said = project.millrace(&["import", "github", ".github/workflows"]);
    assert!(said.contains("pipelines/nightly.yaml, pipelines/reuse.yaml written"), "{said}");
    sound(&project);
    let shown = project.read("pipelines/nightly.yaml");
    assert!(shown.contains("cron: \"30 5 * * 1-5\"") && shown.contains("timezone: UTC"), "{shown}");
    let ended = project.json(&["run", "reuse", "-i", "region=eu", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
}

#[test]
fn a_pipeline_is_exported() {
    let project = Project::new(&[(
        "pipelines/p.yaml",
        "triggers: {daily: {every: 1d, at: [\"06:30\"]}}\nsteps: {wait: {run: sleep 0}, sums: {sql: select 1 as one, needs: wait}}\n",
    )]);
    let said = project.millrace(&["export", "adf", "p", "--to", "out"]);
    assert!(
        said.contains("pipeline/p.json, trigger/daily.json written: 3 taken over, 0 changed, 1 without"),
        "{said}"
    );
    assert!(said.contains("the step `sums` (sql) has no counterpart"), "{said}");
    // What was written there comes back, with a failure in the place of what has no counterpart.
    let back = Project::new(&[]);
    for file in ["pipeline/p.json", "trigger/daily.json"] {
        back.write(&format!("adf/{file}"), project.read(&format!("out/{file}")));
    }
    let said = back.millrace(&["import", "adf", "adf"]);
    assert!(said.contains("4 taken over, 0 changed, 1 without a counterpart"), "{said}");
    sound(&back);
    let ended = back.last_json(&["run", "p", "--json"]);
    assert_eq!((&ended["state"], &ended["steps"][0]["state"]), (&"failed".into(), &"succeeded".into()));
    let said = project.millrace(&["export", "azureml", "p", "--to", "ml"]);
    assert!(said.contains("p.yml"), "{said}");
}
