//! Damaged models are refused or computed, never a panic.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use millrace_onnx::{ElementType, Session, Tensor, TensorData};
use proptest::prelude::*;

fn models() -> Vec<Vec<u8>> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/test-data"));
    ["lightgbm_binary", "normal_linear", "pipeline_logistic", "pipeline_mlp", "xgboost_regressor"]
        .iter()
        .map(|name| std::fs::read(folder.join(format!("{name}.onnx"))).unwrap())
        .collect()
}

/// Two rows for whatever the model says it wants.
fn try_to_run(bytes: &[u8]) {
    let Ok(session) = Session::load(bytes) else { return };
    let mut inputs = Vec::new();
    for input in session.inputs() {
        let shape = input.shape.iter().map(|size| size.unwrap_or(2).min(64)).collect::<Vec<_>>();
        let count = shape.iter().fold(1_usize, |count, size| count.saturating_mul(*size));
        if count > 1 << 16 {
            return;
        }
        let data: TensorData = match input.element.unwrap_or(ElementType::Float) {
            ElementType::Float => vec![0.5_f32; count].into(),
            ElementType::Double => vec![0.5_f64; count].into(),
            ElementType::Int64 => vec![1_i64; count].into(),
            ElementType::Bool => vec![true; count].into(),
            ElementType::String => vec!["AA".to_owned(); count].into(),
        };
        inputs.push((input.name.clone(), Tensor::new(shape, data).unwrap()));
    }
    let _ = session.run(&inputs);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_do_not_panic(model in 0_usize..5, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = models().swap_remove(model);
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        try_to_run(&bytes);
    }

    #[test]
    fn cut_files_do_not_panic(model in 0_usize..5, end in any::<prop::sample::Index>()) {
        let bytes = models().swap_remove(model);
        try_to_run(&bytes[..end.index(bytes.len())]);
    }
}
