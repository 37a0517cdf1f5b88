//! What a model is made of, without preparing it: any ONNX file can be looked at, also one that cannot be evaluated here.

use std::collections::BTreeMap;

use prost::Message as _;

use crate::error::OnnxError;
use crate::proto::ModelProto;

/// What a model is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Version of the format.
    pub ir_version: i64,
    /// Version of the standard operator set; 0 if the model imports none.
    pub opset: i64,
    /// Who wrote it.
    pub producer: String,
    /// Nodes of the graph.
    pub nodes: usize,
    /// Operator, with its domain unless that is the standard one, to the number of its nodes.
    pub operators: BTreeMap<String, u64>,
    /// Numbers in initializers and in the nodes' own attributes: weights, and what trees hold.
    pub parameters: u64,
}

/// Reads what a model is made of.
///
/// # Errors
/// If the bytes are no ONNX model.
pub fn summarise(bytes: &[u8]) -> Result<Summary, OnnxError> {
    let model =
        ModelProto::decode(bytes).map_err(|error| OnnxError::Decode { message: error.to_string() })?;
    let graph = model.graph.unwrap_or_default();
    let mut operators = BTreeMap::new();
    let mut parameters = 0_u64;
    for node in &graph.node {
        let domain = if node.domain.is_empty() { String::new() } else { format!("{}::", node.domain) };
        *operators.entry(format!("{domain}{}", node.op_type)).or_insert(0) += 1;
        for attribute in &node.attribute {
            parameters += attribute.floats.len() as u64;
        }
    }
    for weights in &graph.initializer {
        let product = weights.dims.iter().map(|size| u64::try_from(*size).unwrap_or(0)).product::<u64>();
        parameters = parameters.saturating_add(product);
    }
    let standard = model.opset_import.iter().find(|set| set.domain.is_empty() || set.domain == "ai.onnx");
    Ok(Summary {
        ir_version: model.ir_version,
        opset: standard.map_or(0, |set| set.version),
        producer: model.producer_name,
        nodes: graph.node.len(),
        operators,
        parameters,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{GraphProto, NodeProto, OperatorSetIdProto, TensorProto};

    #[test]
    fn operators_and_weights_are_counted() {
        let node = |domain: &str, op_type: &str| NodeProto {
            domain: domain.to_owned(),
            op_type: op_type.to_owned(),
            ..NodeProto::default()
        };
        let model = ModelProto {
            ir_version: 8,
            producer_name: "test".to_owned(),
            opset_import: vec![
                OperatorSetIdProto { domain: "ai.onnx.ml".to_owned(), version: 3 },
                OperatorSetIdProto { domain: String::new(), version: 17 },
            ],
            graph: Some(GraphProto {
                node: vec![node("", "MatMul"), node("", "MatMul"), node("ai.onnx.ml", "Normalizer")],
                initializer: vec![TensorProto { dims: vec![4, 3], ..TensorProto::default() }],
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        };
        let summary = summarise(&model.encode_to_vec()).unwrap();
        assert_eq!((summary.ir_version, summary.opset, summary.nodes, summary.parameters), (8, 17, 3, 12));
        assert_eq!(
            summary.operators.into_iter().collect::<Vec<_>>(),
            [("MatMul".to_owned(), 2), ("ai.onnx.ml::Normalizer".to_owned(), 1)]
        );
    }

    #[test]
    fn other_files_are_refused() {
        assert!(matches!(summarise(b"<html></html>"), Err(OnnxError::Decode { .. })));
    }
}
