use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, Float64Array, Int32Array, StringArray};
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::record_batch::RecordBatch;
use millrace_contract::{ModelError, ModelRuntime as _};
use millrace_deployment::OnnxRuntime;
use millrace_onnx::{ElementType, GraphBuilder};
use serde_json::Value;

use crate::support::{LATE, expected, folder, late_model, limited_runtime, runtime, signature};

/// The inputs of a test file as columns: one a tensor, or `<name>_0`, … of a matrix.
fn columns(document: &Value) -> RecordBatch {
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for (name, tensor) in document["inputs"].as_object().unwrap() {
        let width = tensor["shape"][1].as_u64().unwrap() as usize;
        for at in 0..width {
            let cells = tensor["data"].as_array().unwrap().iter().skip(at).step_by(width);
            let name = if width == 1 { name.clone() } else { format!("{name}_{at}") };
            let column: ArrayRef = match tensor["type"].as_str().unwrap() {
                "string" => Arc::new(cells.map(Value::as_str).collect::<StringArray>()),
                _ => Arc::new(cells.map(Value::as_f64).collect::<Float64Array>()),
            };
            columns.push((name, column));
        }
    }
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .unwrap()
}

#[tokio::test]
async fn every_graph_answers_as_onnxruntime_does_without_a_signature() {
    let place = tempfile::tempdir().unwrap();
    let classifiers = [
        "pipeline_logistic",
        "pipeline_mlp",
        "forest",
        "forest_binary",
        "lightgbm_binary",
        "lightgbm_classes",
        "xgboost_binary",
    ];
    for name in classifiers.into_iter().chain(["gradient_regressor", "normal_linear", "xgboost_regressor"]) {
        let document = expected(name);
        let url = folder(&place.path().join(name), name, "");
        let model = runtime().load(&url).await.unwrap();
        let scored = model.score(&columns(&document)).unwrap();
        let outputs: Vec<&Value> = document["outputs"].as_object().unwrap().values().collect();
        let first = outputs[0]["data"].as_array().unwrap();
        assert_eq!(scored.num_rows(), first.len());
        let names: Vec<String> = scored.schema().fields().iter().map(|field| field.name().clone()).collect();
        let promised: Vec<String> =
            model.signature().outputs.iter().map(|column| column.name.clone()).collect();
        assert_eq!(names, promised, "{name}");
        let close = |wanted: &Value, found: f64| {
            let wanted = wanted.as_f64().unwrap();
            assert!((wanted - found).abs() <= 1e-5 * wanted.abs().max(1.0), "{name}: {wanted} and {found}");
        };
        if !classifiers.contains(&name) {
            assert_eq!((model.task(), model.classes().len()), ("regression", 0));
            let found = scored.column(0).as_primitive::<Float64Type>();
            first.iter().enumerate().for_each(|(row, wanted)| close(wanted, found.value(row)));
            continue;
        }
        assert_eq!(model.task(), "classification");
        for (row, label) in first.iter().enumerate() {
            match label.as_str() {
                Some(label) => assert_eq!(scored.column(0).as_string::<i32>().value(row), label, "{name}"),
                None => {
                    assert_eq!(Some(scored.column(0).as_primitive::<Int64Type>().value(row)), label.as_i64())
                }
            }
            for class in 0..model.classes().len() {
                let wanted = &outputs[1]["data"][row * model.classes().len() + class];
                close(wanted, scored.column(class + 1).as_primitive::<Float64Type>().value(row));
            }
        }
    }
}

#[tokio::test]
async fn the_signature_names_a_matrix_and_the_metadata_its_classes() {
    let place = tempfile::tempdir().unwrap();
    let names = ["a", "b", "c", "d", "e"];
    let text = format!(
        "{}metadata: {{millrace: {{task: classification, classes: [\"no\", \"yes\"]}}}}\n",
        signature(&names.map(|name| (name, "double")))
    );
    let url = folder(&place.path().join("m"), "forest_binary", &text);
    let model = runtime().load(&url).await.unwrap();
    let document = expected("forest_binary");
    let given = columns(&document);
    // Another order, one column more, whole numbers and truth values: all are found by name and cast.
    let swapped = names.iter().enumerate().rev().map(|(at, name)| (*name, given.column(at).clone()));
    let extra: ArrayRef = Arc::new(BooleanArray::from(vec![true; given.num_rows()]));
    let rows = RecordBatch::try_from_iter(swapped.chain([("extra", extra)])).unwrap();
    let scored = model.score(&rows).unwrap();
    assert_eq!(model.classes(), ["no", "yes"]);
    assert_eq!(scored.schema().field(2).name(), "probability_yes");
    for (row, label) in document["outputs"]["label"]["data"].as_array().unwrap().iter().enumerate() {
        let wanted = if label == &Value::from(1) { "yes" } else { "no" };
        assert_eq!(scored.column(0).as_string::<i32>().value(row), wanted);
    }
    let whole: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let truth: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    let row = |first: &ArrayRef| {
        RecordBatch::try_from_iter(names.map(|n| (n, if n == "a" { first } else { &whole }.clone()))).unwrap()
    };
    assert_eq!(model.score(&row(&whole)).unwrap(), model.score(&row(&truth)).unwrap());
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let refused = |rows: &RecordBatch| match model.score(rows) {
        Err(ModelError::Input { message }) => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&row(&text)), "the column `a` is string, which is not float");
    let short = RecordBatch::try_from_iter([("a", whole)]).unwrap();
    assert_eq!(refused(&short), "the column `b` is missing");
}

#[tokio::test]
async fn nulls_are_missing_values_of_numbers_and_texts() {
    let place = tempfile::tempdir().unwrap();
    let model = runtime().load(&late_model(place.path())).await.unwrap();
    let numbers =
        |first: Option<f64>| -> ArrayRef { Arc::new(Float64Array::from(vec![first, Some(f64::NAN)])) };
    let carrier: ArrayRef = Arc::new(StringArray::from(vec![None, Some("")]));
    let columns = ["x0", "x1", "x2", "x3", "x4"].map(|name| (name, numbers(None), true));
    let rows =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().chain([("carrier", carrier, true)]))
            .unwrap();
    let scored = model.score(&rows).unwrap();
    assert_eq!(scored.slice(0, 1), scored.slice(1, 1));
    assert_eq!(scored.column(0).null_count(), 0);
}

#[tokio::test]
async fn a_folder_that_cannot_be_served_says_why() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    let refused = async |runtime: OnnxRuntime, url: String| match runtime.load(&url).await {
        Err(ModelError::Load { message, .. }) => message,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("{url} loads"),
    };
    let good = runtime();
    let mut found = vec![
        refused(good.clone(), "s3://bucket/model".to_owned()).await,
        refused(good.clone(), format!("file://{}", path("none").display())).await,
    ];
    let url = folder(&path("large"), "forest", "");
    found.push(refused(limited_runtime(1000), url).await);
    let url = folder(&path("other"), "forest", "");
    fs_err::write(path("other").join("MLmodel"), "flavors: {sklearn: {}, python_function: {}}\n").unwrap();
    found.push(refused(good.clone(), url.clone()).await);
    fs_err::write(path("other").join("MLmodel"), "flavors: {onnx: {data: ../large/model.onnx}}\n").unwrap();
    found.push(refused(good.clone(), url.clone()).await);
    fs_err::write(path("other").join("model.onnx"), "no graph").unwrap();
    fs_err::write(path("other").join("MLmodel"), "flavors: {onnx: {data: model.onnx}}\n").unwrap();
    assert!(refused(good.clone(), url.clone()).await.starts_with("not an ONNX model"));
    let mut unknown = GraphBuilder::new("unknown");
    unknown.input_column("x", ElementType::Float);
    unknown.node("Conv", "", &["x"], &["y"], []);
    unknown.output("y", ElementType::Float, &[None, Some(1)]);
    fs_err::write(path("other").join("model.onnx"), unknown.encode()).unwrap();
    found.push(refused(good.clone(), url).await);
    let url = folder(&path("classes"), "forest", "metadata: {millrace: {classes: [a, b]}}\n");
    found.push(refused(good.clone(), url).await);
    let url =
        folder(&path("columns"), "pipeline_logistic", &format!("{LATE}{}", signature(&[("x0", "double")])));
    found.push(refused(good.clone(), url).await);
    let url = folder(&path("time"), "forest", &signature(&[("x0", "datetime")]));
    found.push(refused(good.clone(), url).await);
    insta::assert_snapshot!(found.join("\n"), @r#"
    `s3://bucket/model` is neither a folder of this machine nor in the workspace's storage, `file:///nonexistent`
    `MLmodel` is missing
    its graph has 11517 bytes, and 1000 are allowed
    it has no flavor `onnx`, only sklearn, python_function: save it with `mlflow.onnx.save_model` or `millrace.save_model`
    `../large/model.onnx` is not a path inside the model's folder
    the operator `Conv` is not supported
    its `MLmodel` names 2 classes and its graph 3
    its signature lacks the column `x1` that its graph wants
    its column `x0` is `datetime`, which has no place in ONNX
    "#);
}
