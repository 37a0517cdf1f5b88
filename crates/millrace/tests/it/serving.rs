//! From a file to an endpoint, and the endpoint as its clients see it.

use crate::clients::drive;
use crate::project::Project;
use crate::server::Up;

pub(crate) const PIPELINE: &str = r#"
steps:
  rows: {copy: {from: raw.csv, to: "data:rows"}}
  parts:
    split: {data: "${{ steps.rows.data }}", fractions: {train: 0.8, test: 0.2}, seed: 1, to: rows}
  model:
    train:
      data: ${{ steps.parts.train }}
      target: late
      trainer: {gradient_boosting: {trees: 20}}
  quality:
    evaluate: {model: "${{ steps.model.model }}", data: "${{ steps.parts.test }}"}
  register:
    register: {model: "${{ steps.model.model }}", name: late, alias: champion, metrics: "${{ steps.quality.metrics }}"}
  deploy:
    deploy: {model: "${{ steps.register.version }}", to: "endpoint:late"}
"#;

/// Rows whose answer follows from them: long distances on windy days are late.
pub(crate) fn rows() -> String {
    let row = |n: u64| {
        let (distance, wind) = ((n * 37) % 1_000, (n * 11) % 40);
        let carrier = ["AA", "UA", "DL"][usize::try_from(n % 3).unwrap()];
        format!("{carrier},{distance},{wind},{}\n", distance > 500 && wind > 15)
    };
    std::iter::once("carrier,distance,wind,late\n".to_owned()).chain((0..2_000).map(row)).collect()
}

#[test]
fn a_deployed_model_answers_every_client() {
    let project = Project::new(&[("pipelines/p.yaml", PIPELINE), ("raw.csv", &rows())]);
    let ended = project.json(&["run", "p", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let auc = ended["steps"][3]["outputs"]["metrics"]["auc"].as_f64().unwrap();
    assert!(auc > 0.95, "{ended}");
    // Deployed by a process that is over: the server finds it in the store.
    let server = Up::start(&project);
    drive("serving_client.py", &[&server.url, "late"], project.path());
}

#[test]
fn a_deployment_that_was_moved_by_hand_is_made_again() {
    let project = Project::new(&[("pipelines/p.yaml", PIPELINE), ("raw.csv", &rows())]);
    project.json(&["run", "p", "--json"]);
    let states = |ended: &serde_json::Value| -> Vec<String> {
        let steps = ended["steps"].as_array().unwrap();
        steps.iter().map(|step| step["state"].as_str().unwrap().to_owned()).collect()
    };
    let again = project.json(&["run", "p", "--json"]);
    assert!(states(&again).iter().all(|state| state == "cached"), "{again}");
    let other = PIPELINE.replace("trees: 20", "trees: 5");
    project.write("pipelines/other.yaml", &other);
    assert_eq!(project.json(&["run", "other", "--json"])["state"], "succeeded");
    let back = project.json(&["run", "p", "--json"]);
    assert_eq!(
        states(&back),
        ["cached", "cached", "cached", "cached", "succeeded", "succeeded"],
        "the alias and the endpoint point at the other pipeline's model: {back}"
    );
}
