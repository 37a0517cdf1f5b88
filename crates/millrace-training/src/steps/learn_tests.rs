use std::ops::ControlFlow;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::Float64Type;
use millrace_contract::{ModelColumn, ModelSignature};
use millrace_onnx::Session;
use serde_json::{Value, json};

use super::learn::graph;
use super::train_tests::rows;
use crate::columns::{Choice, ColumnKind, Rows, choose};
use crate::features::Features;
use crate::target::{Target, TargetKind};
use crate::testing::tensors;
use crate::trainers::{self, Examples, Lesson};

/// The rows as a trainer sees them.
fn gathered(batch: &RecordBatch, target: &str) -> Rows {
    let features = ["distance", "hour", "weekend", "carrier"].map(str::to_owned);
    let schema = batch.schema();
    let specs = choose(&schema, Choice { target, features: Some(&features), exclude: &[] }).unwrap();
    let kind = TargetKind::of(target, schema.field_with_name(target).unwrap().data_type()).unwrap();
    let mut rows = Rows::new(&specs, Target::new(target, kind));
    let places: Vec<usize> = rows.names().iter().map(|name| schema.index_of(name).unwrap()).collect();
    rows.add(&batch.project(&places).unwrap()).unwrap();
    rows
}

/// Trains, then scores other rows twice: natively, and by the exported graph. Some have holes, some levels that were not learned.
fn check(target: &str, trainer: Value) {
    let training = gathered(&rows(0, 600), target);
    let trainer = trainers::read(&trainer).unwrap().1;
    let resolved = training.target.resolve(None, trainer.tasks()).unwrap();
    let features = Features::learn(&training.columns, trainer.encoding(), 3);
    let order = training.order();
    let values = training.target.values(&resolved);
    let examples = Examples {
        matrix: features.matrix(&training.columns, &order),
        targets: order.iter().map(|row| values[*row].unwrap()).collect(),
    };
    let lesson = Lesson { classes: resolved.classes.len(), training: examples, validation: None, seed: 1 };
    let fit = trainer.fit(lesson, &mut |_| ControlFlow::Continue(())).unwrap();

    // `delay` has no holes, so all rows stay and keep their order.
    let batch = rows(600, 400);
    let others = gathered(&batch, "delay");
    let all: Vec<usize> = (0..400).collect();
    let native = fit.predictor.predict(&features.matrix(&others.columns, &all)).unwrap();
    let session = Session::load(&graph(&features, fit.predictor.as_ref(), &resolved.classes)).unwrap();
    let inputs = features.columns().iter().map(|(spec, _)| ModelColumn {
        name: spec.name.clone(),
        data_type: if spec.kind == ColumnKind::Text { "string" } else { "double" }.into(),
        required: false,
    });
    let signature = ModelSignature { inputs: inputs.collect(), outputs: Vec::new() };
    let outputs = session.run(&tensors(&signature, &batch)).unwrap();
    let exported = outputs.last().unwrap().1.to_f32().unwrap().into_owned();
    assert_eq!(native.len(), exported.len());
    for (a, b) in native.iter().zip(&exported) {
        assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{target}: {a} {b}");
    }
    let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        if resolved.classes.is_empty() { vec!["variable"] } else { vec!["label", "probabilities"] }
    );
}

#[test]
fn the_exported_graph_predicts_what_the_trainer_does() {
    check("late", json!({"gradient_boosting": {"trees": 40}}));
    check("size", json!({"gradient_boosting": {"trees": 20, "max_leaves": 6}}));
    check("delay", json!({"gradient_boosting": {"trees": 40, "subsample": 0.8}}));
    check("late", json!("logistic_regression"));
    check("size", json!("logistic_regression"));
    check("delay", json!("linear_regression"));
}

#[test]
fn the_test_rows_have_holes_and_a_level_that_is_not_learned() {
    let batch = rows(600, 400);
    assert!(
        batch.column_by_name("distance").unwrap().as_primitive::<Float64Type>().iter().any(|x| x.is_none())
    );
    assert!(batch.column_by_name("carrier").unwrap().as_string::<i32>().iter().any(|x| x == Some("rare")));
}

#[test]
fn a_feature_may_have_the_name_of_an_output() {
    let names: Vec<String> = ["label", "hour"].map(str::to_owned).to_vec();
    let batch = rows(0, 300);
    let renamed = RecordBatch::try_from_iter_with_nullable([
        ("label", batch.column_by_name("distance").unwrap().clone(), true),
        ("hour", batch.column_by_name("hour").unwrap().clone(), true),
        ("late", batch.column_by_name("weekend").unwrap().clone(), true),
    ])
    .unwrap();
    let schema = renamed.schema();
    let specs = choose(&schema, Choice { target: "late", features: Some(&names), exclude: &[] }).unwrap();
    let mut training = Rows::new(&specs, Target::new("late", TargetKind::Truth));
    training.add(&renamed).unwrap();
    let features = Features::learn(&training.columns, crate::features::Encoding::Raw, 3);
    let matrix = features.matrix(&training.columns, &training.order());
    let targets = (0..matrix.rows).map(|row| (row % 2) as f32).collect();
    let lesson = Lesson { classes: 2, training: Examples { matrix, targets }, validation: None, seed: 0 };
    let trainer = trainers::read(&json!({"gradient_boosting": {"trees": 2}})).unwrap().1;
    let fit = trainer.fit(lesson, &mut |_| ControlFlow::Continue(())).unwrap();
    let bytes = graph(&features, fit.predictor.as_ref(), &["false".into(), "true".into()]);
    let session = Session::load(&bytes).unwrap();
    assert_eq!(session.outputs().next().unwrap().name, "output_label");
}
