//! Pipelines come from other orchestrators' files, and run.

use crate::project::Project;

/// A file of the cases of `millrace-convert`.
macro_rules! case {
    ($path:literal) => {
        include_str!(concat!("../../../millrace-convert/tests/cases/", $path))
    };
}

const COUNT: &str =
    "tr ' ' '\\n' < \"$1\" | sort | uniq -c | sort -rn | awk -v n=\"$2\" '$1 >= n' > \"$3/counts.txt\"\n";

#[test]
fn an_azure_ml_pipeline_is_imported_and_runs() {
    let project = Project::new(&[
        ("theirs/pipeline.yml", case!("azureml/pipeline.yml")),
        ("theirs/count.yml", case!("azureml/count.yml")),
        ("theirs/src/count.sh", COUNT),
        ("theirs/words.txt", "a b a c b a\n"),
    ]);
    let said = project.millrace(&["import", "azureml", "theirs/pipeline.yml"]);
    assert!(said.contains("pipelines/count_words.yaml written"), "{said}");
    assert!(said.contains("warning[not-converted]") && said.contains("theirs/pipeline.yml:5"), "{said}");
    let checked = project.millrace(&["check"]);
    assert!(checked.starts_with("exit 0"), "{checked}");
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
    assert_eq!(dry["files"][0], "pipelines/count_words.yaml");
    assert!(
        dry["not_converted"].as_array().unwrap().iter().all(|gap| gap["place"]["line"].as_u64().is_some()),
        "{dry}"
    );
}

#[test]
fn a_data_factory_folder_is_imported_and_what_is_whole_runs() {
    let project = Project::new(&[("arm/template.json", case!("adf_template.json"))]);
    let said = project.millrace(&["import", "adf", "arm"]);
    assert!(said.contains("pipelines/pause.yaml written; everything has a counterpart"), "{said}");
    let checked = project.millrace(&["check"]);
    assert!(checked.starts_with("exit 0"), "{checked}");
    assert_eq!(project.json(&["run", "pause", "--json"])["state"], "succeeded");
}

#[test]
fn a_dbt_project_is_imported_and_its_models_are_tables() {
    let project = Project::new(&[
        ("target/manifest.json", case!("manifest.json")),
        ("seeds/raw_orders.csv", "id,amount\n1,10\n2,32\n"),
    ]);
    let said = project.millrace(&["import", "dbt", "target/manifest.json"]);
    assert!(said.contains("pipelines/jaffle_shop.yaml written"), "{said}");
    assert!(said.contains("the model `costly` (models/costly.sql) uses `{{ cents("), "{said}");
    let ended = project.json(&["run", "jaffle_shop", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let total = project.json(&["sql", "select total from jaffle_shop_totals", "--json"]);
    assert_eq!(total["total"], 42);
}

#[test]
fn a_workflow_of_github_is_imported() {
    let project = Project::new(&[(".github/workflows/nightly.yml", case!("workflow.yml"))]);
    let said = project.millrace(&["import", "github", ".github/workflows/nightly.yml"]);
    assert!(said.contains("pipelines/nightly.yaml written"), "{said}");
    let shown = project.read("pipelines/nightly.yaml");
    assert!(shown.contains("cron: \"30 5 * * 1-5\"") && shown.contains("timezone: UTC"), "{shown}");
}

#[test]
fn a_pipeline_is_exported() {
    let project = Project::new(&[(
        "pipelines/p.yaml",
        "triggers: {daily: {cron: \"30 6 * * *\"}}\nsteps: {wait: {run: sleep 1}, sums: {sql: select 1 as one}}\n",
    )]);
    let said = project.millrace(&["export", "adf", "p", "--to", "out"]);
    assert!(said.contains("p.pipeline.json, p_daily.trigger.json written; 1 things"), "{said}");
    assert!(said.contains("`sums` is a `sql` step, which has no counterpart"), "{said}");
    // What was written there comes back as it was, but for what has no counterpart.
    let back = Project::new(&[]);
    for file in ["p.pipeline.json", "p_daily.trigger.json"] {
        back.write(&format!("adf/{file}"), project.read(&format!("out/{file}")));
    }
    let said = back.millrace(&["import", "adf", "adf"]);
    assert!(said.contains("everything has a counterpart"), "{said}");
    assert_eq!(back.json(&["run", "p", "--json"])["state"], "succeeded");
    let said = project.millrace(&["export", "azureml", "p", "--to", "ml"]);
    assert!(said.contains("p.azureml.yml"), "{said}");
}
