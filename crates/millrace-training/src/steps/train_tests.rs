use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampSecondArray,
};
use millrace_contract::{ModelRuntime as _, StepError, StepKind as _, StepOutcome};
use millrace_spec::asset::Asset;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::TrainStep;
use crate::model_folder::{local_folder, read_metadata};
use crate::testing::{Heard, OwnRuntime, Tables, context, table};

/// Rows with numbers, truth values, texts and holes. `late` and `delay` follow `distance` and `carrier`, `size` has three classes.
pub(super) fn rows(from: u32, count: u32) -> RecordBatch {
    let rows = || from..from + count;
    // The finaliser of SplitMix64, so that columns are independent of each other.
    let noise = |k: u32, by: u64| {
        let mut x = (u64::from(k) << 8 | by).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 40) as f64 / 16_777_216.0
    };
    let carrier = |k: u32| ["AA", "UA", "DL", "B6", "rare"][(noise(k, 7) * 4.05) as usize];
    let distance = |k: u32| noise(k, 3) * 1000.0;
    let delay = |k: u32| distance(k) / 50.0 + if carrier(k) == "UA" { 15.0 } else { 0.0 } + noise(k, 5) * 2.0;
    let holes = |k: u32, value: f64| (!k.is_multiple_of(11)).then_some(value);
    let late: BooleanArray = rows().map(|k| (k % 97 != 5).then_some(delay(k) > 16.0)).collect();
    let columns: [(&str, ArrayRef); 8] = [
        ("distance", Arc::new(rows().map(|k| holes(k, distance(k))).collect::<Float64Array>())),
        ("hour", Arc::new(rows().map(|k| Some((noise(k, 11) * 24.0) as i64)).collect::<Int64Array>())),
        ("weekend", Arc::new(rows().map(|k| Some(k % 7 > 4)).collect::<BooleanArray>())),
        (
            "carrier",
            Arc::new(rows().map(|k| (!k.is_multiple_of(13)).then(|| carrier(k))).collect::<StringArray>()),
        ),
        ("late", Arc::new(late)),
        ("delay", Arc::new(rows().map(|k| Some(delay(k))).collect::<Float64Array>())),
        ("size", Arc::new(rows().map(|k| Some((distance(k) / 334.0) as i64)).collect::<Int64Array>())),
        ("at", Arc::new(rows().map(|k| Some(i64::from(k))).collect::<TimestampSecondArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

pub(super) fn tables() -> Arc<Tables> {
    let mut tables = Tables::default();
    tables.0.insert("train".into(), vec![rows(0, 700), rows(700, 800)]);
    tables.0.insert("backwards".into(), vec![rows(700, 800), rows(0, 700)]);
    tables.0.insert("test".into(), vec![rows(1500, 500)]);
    tables.0.insert("empty".into(), vec![rows(0, 0)]);
    Arc::new(tables)
}

pub(super) async fn train(folder: &Path, config: Value) -> (Result<StepOutcome, StepError>, Arc<Heard>) {
    train_heard(folder, config, Arc::new(Heard::default())).await
}

async fn train_heard(
    folder: &Path,
    config: Value,
    heard: Arc<Heard>,
) -> (Result<StepOutcome, StepError>, Arc<Heard>) {
    let step = TrainStep::new(tables(), heard.clone());
    (step.run(context(folder, config, &heard)).await, heard)
}

pub(super) fn model(outcome: &StepOutcome) -> Asset {
    Asset::from_value(&outcome.outputs["model"]).unwrap()
}

const FEATURES: [&str; 4] = ["distance", "hour", "weekend", "carrier"];

/// Trains on the table `train`, judges on `test` by way of the exported graph, and gives the outcome.
async fn learn(target: &str, trainer: Value) -> StepOutcome {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"data": table("train"), "target": target, "features": FEATURES, "trainer": trainer,
        "validation": table("test"), "max_levels": 3});
    let (outcome, heard) = train(folder.path(), config).await;
    let outcome = outcome.unwrap();
    // The same rows through the graph and its evaluator: what the trainer predicted itself must come out.
    let evaluate = super::EvaluateStep::new(tables(), Arc::new(OwnRuntime));
    let config = json!({"model": outcome.outputs["model"], "data": table("test")});
    let scored = evaluate.run(context(folder.path(), config, &heard)).await.unwrap();
    for (name, value) in &scored.metrics {
        if let Some(native) = outcome.metrics.get(&format!("validation_{name}")) {
            assert!((native - value).abs() < 1e-5 * value.abs().max(1.0), "{name}: {native} {value}");
        }
    }
    outcome
}

#[tokio::test]
async fn every_trainer_learns_what_is_there_to_learn() {
    let outcome = learn("late", json!({"gradient_boosting": {"trees": 60}})).await;
    assert!(outcome.metrics["validation_auc"] > 0.93, "{:?}", outcome.metrics);
    let outcome =
        learn("late", json!({"gradient_boosting": {"trees": 60, "max_leaves": 8, "subsample": 0.7}})).await;
    assert!(outcome.metrics["validation_auc"] > 0.93, "{:?}", outcome.metrics);
    let outcome = learn("late", json!("logistic_regression")).await;
    assert!(outcome.metrics["validation_auc"] > 0.93, "{:?}", outcome.metrics);
    let outcome = learn("size", json!({"gradient_boosting": {"trees": 30}})).await;
    assert!(outcome.metrics["validation_accuracy"] > 0.9, "{:?}", outcome.metrics);
    let outcome = learn("size", json!("logistic_regression")).await;
    assert!(outcome.metrics["validation_accuracy"] > 0.8, "{:?}", outcome.metrics);
    let outcome = learn("delay", json!({"gradient_boosting": {"trees": 60}})).await;
    assert!(outcome.metrics["validation_r2"] > 0.85, "{:?}", outcome.metrics);
    let outcome = learn("delay", json!("linear_regression")).await;
    assert!(outcome.metrics["validation_r2"] > 0.8, "{:?}", outcome.metrics);
}

#[tokio::test]
async fn the_step_says_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"data": table("train"), "target": "late", "exclude": ["delay", "at", "size"],
        "trainer": {"gradient_boosting": {"trees": 3}}, "validation": table("test")});
    let (outcome, heard) = train(folder.path(), config).await;
    let outcome = outcome.unwrap();
    assert_eq!(outcome.rows, Some(1484));
    assert_eq!((outcome.metrics["dropped_rows"], outcome.metrics["features"]), (16.0, 4.0));
    let lines = heard.lines.lock().unwrap().clone();
    assert_eq!(
        lines[..3],
        [
            "training: 1484 rows, 4 columns",
            "warning: 16 training rows have no `late` and are left out",
            "validation: 495 rows, 4 columns"
        ]
    );
    assert!(
        lines[4].starts_with("[1] log_loss: training 0.") && lines[4].contains(", validation 0."),
        "{lines:?}"
    );
    assert_eq!(heard.progress.lock().unwrap().last().unwrap().fraction, Some(1.0));
    let series = heard.metrics.lock().unwrap().clone();
    assert_eq!(series.iter().filter(|(name, _, _)| name == "rounds/validation_log_loss").count(), 3);
    assert!(heard.params.lock().unwrap().contains(&("trees".to_owned(), "3".to_owned())));
    let metadata = read_metadata(&local_folder(&model(&outcome).uri).unwrap()).unwrap().unwrap();
    assert_eq!(
        (metadata.target.as_deref(), metadata.classes),
        (Some("late"), vec!["false".into(), "true".into()])
    );
    assert!((metadata.importance.values().sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(["distance", "carrier"].contains(&metadata.importance.keys().next().unwrap().as_str()));
    let loaded = OwnRuntime.load(&model(&outcome).uri).await.unwrap();
    let required: Vec<bool> = loaded.signature().inputs.iter().map(|input| input.required).collect();
    assert_eq!(required, [false, true, true, false], "columns with holes are optional");
    let unseen = RecordBatch::try_from_iter_with_nullable([
        ("distance", Arc::new(Float64Array::from(vec![None, Some(900.0)])) as ArrayRef, true),
        ("hour", Arc::new(Int64Array::from(vec![None, Some(3)])), true),
        ("weekend", Arc::new(BooleanArray::from(vec![None, Some(true)])), true),
        ("carrier", Arc::new(StringArray::from(vec![None, Some("never seen")])), true),
    ]);
    let scores = loaded.score(&unseen.unwrap()).unwrap();
    assert_eq!(scores.num_rows(), 2);
}

#[tokio::test]
async fn the_model_does_not_depend_on_the_order_of_rows_or_on_the_time() {
    for trainer in
        [json!({"gradient_boosting": {"trees": 20, "subsample": 0.5}}), json!("logistic_regression")]
    {
        let mut digests = Vec::new();
        for name in ["train", "backwards"] {
            let folder = tempfile::tempdir().unwrap();
            let config =
                json!({"data": table(name), "target": "late", "features": FEATURES, "trainer": trainer});
            digests.push(model(&train(folder.path(), config).await.0.unwrap()).digest);
        }
        assert_eq!(digests[0], digests[1]);
    }
}

#[tokio::test]
async fn bad_inputs_are_explained() {
    let told = async |changes: Value| {
        let folder = tempfile::tempdir().unwrap();
        let mut config = json!({"data": table("train"), "target": "late", "features": ["distance"],
            "trainer": "gradient_boosting"});
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        let problem = train(folder.path(), config).await.0.unwrap_err().problem;
        format!("{}: {} ({})", problem.code, problem.message, problem.hints.join("; "))
    };
    insta::assert_snapshot!(told(json!({"target": "lat"})).await, @"unknown-column: `data` has no column `lat` (did you mean `at`?)");
    insta::assert_snapshot!(told(json!({"features": ["distanse"]})).await, @"unknown-column: `data` has no column `distanse` (did you mean `distance`?)");
    insta::assert_snapshot!(told(json!({"features": ["late"]})).await, @"target-is-feature: the target `late` cannot be a feature as well (remove it from `features`)");
    insta::assert_snapshot!(told(json!({"features": ["distance"], "exclude": ["distance"]})).await, @"no-features: no column is left to learn from (name some: `features: [distance, carrier]`)");
    insta::assert_snapshot!(told(json!({"features": ["at"]})).await, @"temporal-feature: the column `at` is a time (Timestamp(s)), which a model cannot learn from as it stands (derive numbers from it in a flow, for example the hour or the days since an event; leave it out: `exclude: [at]`)");
    insta::assert_snapshot!(told(json!({"data": table("empty")})).await, @"no-rows: `data` has no rows with a value of `late` ()");
    insta::assert_snapshot!(told(json!({"validation": table("empty")})).await, @"no-rows: `validation` has no rows with a value of `late` ()");
    insta::assert_snapshot!(told(json!({"target": "delay", "task": "classification"})).await, @"target-type: the target `delay` has the value 0.17943835258483887, which is no class (task: regression)");
    insta::assert_snapshot!(told(json!({"target": "late", "task": "regression"})).await, @"target-type: the target `late` is no number, so there is no regression (use a trainer for classes: `trainer: logistic_regression`)");
    insta::assert_snapshot!(told(json!({"target": "at"})).await, @"target-type: the target `at` is Timestamp(s), which cannot be predicted (a target is a number, a text or a truth value; make one of it in a flow or with `sql:`)");
    insta::assert_snapshot!(told(json!({"trainer": "linear_regression"})).await, @"target-type: the target `late` is no number, so there is no regression (use a trainer for classes: `trainer: logistic_regression`)");
    insta::assert_snapshot!(told(json!({"trainer": "logistic_regression", "task": "regression"})).await, @"trainer-task: `logistic_regression` does no regression (trainer: gradient_boosting)");
    insta::assert_snapshot!(told(json!({"trainer": {"gradient_boosting": {"early_stopping": 5}}})).await, @"no-validation: `early_stopping` needs rows to watch, and there is no `validation` (split some off and name them: `validation: ${{ steps.split.validation }}`; remove `early_stopping`)");
}

#[tokio::test]
async fn a_cancelled_training_ends_after_its_round() {
    let folder = tempfile::tempdir().unwrap();
    let heard = Arc::new(Heard { stop: Some((2, CancellationToken::new())), ..Heard::default() });
    let config = json!({"data": table("train"), "target": "late", "features": FEATURES,
        "trainer": {"gradient_boosting": {"trees": 5000}}});
    let (outcome, heard) = train_heard(folder.path(), config, heard).await;
    assert!(outcome.unwrap_err().cancelled);
    assert_eq!(heard.progress.lock().unwrap().len(), 2);
}

#[test]
fn the_example_is_right_and_check_finds_what_the_schema_cannot() {
    let step = TrainStep::new(tables(), Arc::new(Heard::default()));
    let config = millrace_spec::yaml::parse("e", step.doc().example).unwrap().to_json()["train"].clone();
    assert_eq!(millrace_spec::validate::violations(step.doc().schema.as_value(), &config), []);
    assert_eq!(step.check(&config), []);
    let problems = step.check(&json!({"trainer": {"gradient_boosting": {"early_stopping": 5, "tres": 1}}}));
    let codes: Vec<&str> = problems.iter().map(|problem| problem.code.as_str()).collect();
    assert_eq!(codes, ["unknown-key", "no-validation"]);
}

/// A quarter of a million rows, by hand: `cargo test --release -p millrace-training -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "takes long without optimisation"]
async fn a_large_table_is_learned_in_seconds() {
    let mut tables = Tables::default();
    tables.0.insert("train".into(), (0..25).map(|k| rows(k * 10_000, 10_000)).collect());
    let folder = tempfile::tempdir().unwrap();
    let heard = Arc::new(Heard::default());
    let step = TrainStep::new(Arc::new(tables), heard.clone());
    let trainer = json!({"gradient_boosting": {"trees": 100}});
    let config = json!({"data": table("train"), "target": "late", "features": FEATURES, "trainer": trainer});
    let outcome = step.run(context(folder.path(), config, &heard)).await.unwrap();
    println!("{:?}", outcome.metrics);
}
