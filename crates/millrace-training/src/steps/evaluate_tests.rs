use std::path::Path;
use std::sync::Arc;

use millrace_contract::{StepError, StepKind as _, StepOutcome};
use millrace_spec::asset::{Asset, AssetType};
use serde_json::{Value, json};

use super::EvaluateStep;
use super::train_tests::{model, tables, train};
use crate::model_folder::local_folder;
use crate::testing::{Heard, OwnRuntime, asset, context, table};

async fn trained(folder: &Path, target: &str, trainer: &str) -> Asset {
    let config = json!({"data": table("train"), "target": target,
        "features": ["distance", "hour", "carrier"], "trainer": trainer});
    model(&train(folder, config).await.0.unwrap())
}

async fn evaluate(folder: &Path, model: &Asset, changes: Value) -> Result<StepOutcome, StepError> {
    let mut config = json!({"model": model.to_value(), "data": table("test")});
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    let step = EvaluateStep::new(tables(), Arc::new(OwnRuntime));
    step.run(context(folder, config, &Arc::new(Heard::default()))).await
}

fn report(outcome: &StepOutcome) -> Value {
    let asset = Asset::from_value(&outcome.outputs["report"]).unwrap();
    let text = fs_err::read(local_folder(&asset.uri).unwrap()).unwrap();
    assert_eq!(asset.digest, format!("blake3:{}", blake3::hash(&text).to_hex()));
    serde_json::from_slice(&text).unwrap()
}

fn keys(value: &Value) -> String {
    value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn two_classes_have_curves_and_importance() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), "late", "logistic_regression").await;
    let outcome = evaluate(folder.path(), &model, json!({})).await.unwrap();
    assert_eq!((outcome.rows, outcome.metrics["dropped_rows"]), (Some(495), 5.0));
    let report = report(&outcome);
    insta::assert_snapshot!(keys(&report), @"version task model data target rows classes positive metrics roc pr calibration thresholds confusion importance importance_measure");
    insta::assert_snapshot!(keys(&report["metrics"]), @"auc average_precision accuracy precision recall f1 log_loss brier");
    let cells: u64 = report["confusion"]["matrix"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|cell| cell.as_u64().unwrap())
        .sum();
    assert_eq!(cells, 495);
    let names: Vec<&str> = report["importance"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["feature"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["carrier", "distance", "hour"]);
    assert!(report["importance"][0]["importance"].as_f64().unwrap() > 0.1);
    assert!(report["importance"][2]["importance"].as_f64().unwrap().abs() < 0.01);
    let again = evaluate(folder.path(), &model, json!({})).await.unwrap();
    assert_eq!(again, outcome, "it is deterministic");
    // The other class as the positive one: the same ranking, seen from the other side.
    let flipped = evaluate(folder.path(), &model, json!({"positive": false})).await.unwrap();
    assert!((flipped.metrics["auc"] - outcome.metrics["auc"]).abs() < 1e-9);
    assert!((flipped.metrics["accuracy"] - outcome.metrics["accuracy"]).abs() < 1e-9);
    assert!(flipped.metrics["precision"] != outcome.metrics["precision"]);
}

#[tokio::test]
async fn several_classes_and_numbers_have_their_own_report() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), "size", "logistic_regression").await;
    let outcome = evaluate(folder.path(), &model, json!({})).await.unwrap();
    insta::assert_snapshot!(keys(&report(&outcome)), @"version task model data target rows classes metrics confusion importance importance_measure");
    insta::assert_snapshot!(keys(&report(&outcome)["metrics"]), @"accuracy macro_f1 log_loss");
    let model = trained(folder.path(), "delay", "linear_regression").await;
    let outcome = evaluate(folder.path(), &model, json!({})).await.unwrap();
    insta::assert_snapshot!(keys(&report(&outcome)), @"version task model data target rows classes metrics residuals importance importance_measure");
    insta::assert_snapshot!(keys(&report(&outcome)["metrics"]), @"rmse mae r2 rae rse");
    assert!(outcome.metrics["r2"] > 0.8);
}

#[tokio::test]
async fn bad_inputs_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let late = trained(folder.path(), "late", "logistic_regression").await;
    let told = async |changes: Value| {
        let problem = evaluate(folder.path(), &late, changes).await.unwrap_err().problem;
        format!("{}: {} ({})", problem.code, problem.message, problem.hints.join("; "))
    };
    insta::assert_snapshot!(told(json!({"target": "lte"})).await, @"unknown-column: `data` has no column `lte` (did you mean `late`?)");
    insta::assert_snapshot!(told(json!({"target": "carrier"})).await, @"unknown-class: no value of `carrier` is a class of the model ()");
    insta::assert_snapshot!(told(json!({"positive": "tru"})).await, @"unknown-class: `model` has no class `tru` (did you mean `true`?)");
    insta::assert_snapshot!(told(json!({"data": table("empty")})).await, @"no-rows: `data` has no rows with a value of `late` ()");
    let file = asset(AssetType::File, "file:///model.pkl", None).to_value();
    insta::assert_snapshot!(told(json!({"model": file})).await, @"not-a-model: `model` is not a model (name a step's output: `model: ${{ steps.train.model }}`; name a registered one: `model: model:late_flights@champion`)");
}

#[test]
fn the_example_is_right() {
    let step = EvaluateStep::new(tables(), Arc::new(OwnRuntime));
    let config = millrace_spec::yaml::parse("e", step.doc().example).unwrap().to_json()["evaluate"].clone();
    assert_eq!(millrace_spec::validate::violations(step.doc().schema.as_value(), &config), []);
}
