//! Exports of scikit-learn, LightGBM and XGBoost give what onnxruntime gives; `test-data/export.py` writes them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;

use millrace_onnx::{Session, Tensor, TensorData};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    inputs: BTreeMap<String, Values>,
    outputs: BTreeMap<String, Values>,
}

#[derive(Deserialize)]
struct Values {
    r#type: String,
    shape: Vec<usize>,
    data: Vec<serde_json::Value>,
}

impl Values {
    fn tensor(&self) -> Tensor {
        let cells = self.data.iter();
        let data: TensorData = match self.r#type.as_str() {
            "float" => cells
                .map(|cell| cell.as_f64().map_or(f32::NAN, |cell| cell as f32))
                .collect::<Vec<_>>()
                .into(),
            "int64" => cells.map(|cell| cell.as_i64().unwrap()).collect::<Vec<_>>().into(),
            _ => cells.map(|cell| cell.as_str().unwrap().to_owned()).collect::<Vec<_>>().into(),
        };
        Tensor::new(self.shape.clone(), data).unwrap()
    }
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/test-data"))
}

/// Runs a model on its inputs and compares every output within 1e-5, relative for numbers above 1.
fn agrees(name: &str) {
    let model = std::fs::read(folder().join(format!("{name}.onnx"))).unwrap();
    let case = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    let case: Case = serde_json::from_str(&case).unwrap();
    let session = Session::load(&model).unwrap_or_else(|error| panic!("{name}: {error}"));
    let inputs =
        case.inputs.iter().map(|(input, values)| (input.clone(), values.tensor())).collect::<Vec<_>>();
    let outputs = session.run(&inputs).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(outputs.len(), case.outputs.len(), "{name}");
    for (output, tensor) in outputs {
        let expected = case.outputs[&output].tensor();
        assert_eq!(tensor.shape(), expected.shape(), "{name}: {output}");
        let (TensorData::Float(got), TensorData::Float(wanted)) = (tensor.data(), expected.data()) else {
            assert_eq!(tensor, expected, "{name}: {output}");
            continue;
        };
        for (row, (got, wanted)) in got.iter().zip(wanted).enumerate() {
            let near = (got - wanted).abs() <= 1e-5 * wanted.abs().max(1.0);
            assert!(near, "{name}: {output}: {got} instead of {wanted} at {row}");
        }
    }
}

macro_rules! agreement {
    ($($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            agrees(stringify!($name));
        }
    )*};
}
agreement!(
    forest,
    forest_binary,
    gradient_regressor,
    lightgbm_binary,
    lightgbm_classes,
    normal_linear,
    pipeline_logistic,
    pipeline_mlp,
    xgboost_binary,
    xgboost_regressor,
);

#[test]
fn labels_are_told_although_zipmap_gives_a_matrix() {
    let model = std::fs::read(folder().join("pipeline_logistic.onnx")).unwrap();
    assert_eq!(Session::load(&model).unwrap().class_labels(), ["early", "late"]);
}
