//! What a model is made of, without preparing it: any ONNX file can be looked at, also one that cannot be evaluated here.

use std::collections::BTreeMap;

use prost::Message as _;

use crate::error::OnnxError;
use crate::proto::{DimensionValue, GraphProto, ModelProto, TypeProto, TypeValue, ValueInfoProto};

/// An input or an output as the file says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name.
    pub name: String,
    /// `float`, `int64`, `string`, …; `sequence(…)` and `map(…, …)` around others; empty if the file does not tell.
    pub element: String,
    /// A number, a name for a size that is given when it is run, or `?`, for each dimension.
    pub shape: Vec<String>,
}

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
    /// What it takes, without what the file itself gives a value.
    pub inputs: Vec<Port>,
    /// What it gives.
    pub outputs: Vec<Port>,
}

/// Reads what a model is made of.
///
/// # Errors
/// If the bytes are no ONNX model.
pub fn summarise(bytes: &[u8]) -> Result<Summary, OnnxError> {
    let model =
        ModelProto::decode(bytes).map_err(|error| OnnxError::Decode { message: error.to_string() })?;
    let graph = model.graph.unwrap_or_default();
    let mut counts = Counts::default();
    counts.add(&graph);
    let Counts { nodes, operators, mut parameters } = counts;
    for weights in &graph.initializer {
        let product = weights.dims.iter().map(|size| u64::try_from(*size).unwrap_or(0)).product::<u64>();
        parameters = parameters.saturating_add(product);
    }
    let standard = model.opset_import.iter().find(|set| set.domain.is_empty() || set.domain == "ai.onnx");
    Ok(Summary {
        ir_version: model.ir_version,
        opset: standard.map_or(0, |set| set.version),
        producer: model.producer_name,
        nodes,
        operators,
        parameters,
        inputs: graph
            .input
            .iter()
            .filter(|input| graph.initializer.iter().all(|weights| weights.name != input.name))
            .map(port)
            .collect(),
        outputs: graph.output.iter().map(port).collect(),
    })
}

#[derive(Default)]
struct Counts {
    nodes: usize,
    operators: BTreeMap<String, u64>,
    parameters: u64,
}

impl Counts {
    /// Counts a graph and the graphs in its nodes: the branches of `If`, the bodies of loops.
    fn add(&mut self, graph: &GraphProto) {
        self.nodes += graph.node.len();
        for node in &graph.node {
            let domain = if node.domain.is_empty() { String::new() } else { format!("{}::", node.domain) };
            *self.operators.entry(format!("{domain}{}", node.op_type)).or_insert(0) += 1;
            for attribute in &node.attribute {
                self.parameters += attribute.floats.len() as u64;
                // The decoder refuses files that are nested without end.
                attribute.g.iter().for_each(|inner| self.add(inner));
            }
        }
    }
}

fn port(value: &ValueInfoProto) -> Port {
    let mut shape = Vec::new();
    if let Some(TypeValue::Tensor(tensor)) = value.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
        let sizes = tensor.shape.iter().flat_map(|shape| &shape.dim);
        shape = sizes
            .map(|size| match &size.value {
                Some(DimensionValue::Size(size)) if *size >= 0 => size.to_string(),
                Some(DimensionValue::Name(name)) if !name.is_empty() => name.clone(),
                _ => "?".to_owned(),
            })
            .collect();
    }
    Port {
        name: value.name.clone(),
        element: value.r#type.as_ref().map(type_word).unwrap_or_default(),
        shape,
    }
}

fn type_word(kind: &TypeProto) -> String {
    let inner = |kind: &Option<Box<TypeProto>>| kind.as_deref().map(type_word).unwrap_or_default();
    match &kind.value {
        Some(TypeValue::Tensor(tensor)) => element_word(tensor.elem_type).to_owned(),
        Some(TypeValue::Sequence(list)) => format!("sequence({})", inner(&list.elem_type)),
        Some(TypeValue::Map(map)) => {
            format!("map({}, {})", element_word(map.key_type), inner(&map.value_type))
        }
        None => String::new(),
    }
}

/// The words of the ONNX specification.
fn element_word(number: i32) -> &'static str {
    match number {
        1 => "float",
        2 => "uint8",
        3 => "int8",
        4 => "uint16",
        5 => "int16",
        6 => "int32",
        7 => "int64",
        8 => "string",
        9 => "bool",
        10 => "float16",
        11 => "double",
        12 => "uint32",
        13 => "uint64",
        14 => "complex64",
        15 => "complex128",
        16 => "bfloat16",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{
        DimensionProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto,
    };

    #[test]
    fn operators_and_weights_are_counted() {
        let node = |domain: &str, op_type: &str| NodeProto {
            domain: domain.to_owned(),
            op_type: op_type.to_owned(),
            ..NodeProto::default()
        };
        let value = |name: &str, size: Option<&str>| {
            let name_of = |size: &str| DimensionProto { value: Some(DimensionValue::Name(size.to_owned())) };
            let shape = TensorShapeProto { dim: size.into_iter().map(name_of).collect() };
            let tensor = TensorTypeProto { elem_type: 1, shape: Some(shape) };
            let kind = TypeProto { value: Some(TypeValue::Tensor(tensor)) };
            ValueInfoProto { name: name.to_owned(), r#type: Some(kind), ..ValueInfoProto::default() }
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
                initializer: vec![TensorProto {
                    name: "weights".to_owned(),
                    dims: vec![4, 3],
                    ..TensorProto::default()
                }],
                input: vec![value("x", Some("rows")), value("weights", None)],
                output: vec![value("y", None)],
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        };
        let summary = summarise(&model.encode_to_vec()).unwrap();
        assert_eq!((summary.ir_version, summary.opset, summary.nodes, summary.parameters), (8, 17, 3, 12));
        let port = |name: &str, shape: &[&str]| Port {
            name: name.to_owned(),
            element: "float".to_owned(),
            shape: shape.iter().map(|size| (*size).to_owned()).collect(),
        };
        assert_eq!((summary.inputs, summary.outputs), (vec![port("x", &["rows"])], vec![port("y", &[])]));
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
