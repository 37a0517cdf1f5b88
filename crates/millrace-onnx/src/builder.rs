use prost::Message as _;

use crate::proto::{
    AttributeProto, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorShapeProto, TensorTypeProto, TypeProto, TypeValue, ValueInfoProto,
    attribute_type,
};
use crate::tensor::{ElementType, Tensor};

/// Domain of the operators for classical machine learning.
pub const ML_DOMAIN: &str = "ai.onnx.ml";

/// Version of the format that built models declare: readers since 2021 take it.
const IR_VERSION: i64 = 8;

/// A node's constant.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "named as their types")]
pub enum AttributeValue {
    Float(f32),
    Int(i64),
    String(String),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
    Strings(Vec<String>),
    Tensor(Tensor),
}

macro_rules! attribute_from {
    ($($source:ty => $variant:ident),*) => {$(
        impl From<$source> for AttributeValue {
            fn from(value: $source) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}
attribute_from!(f32 => Float, i64 => Int, bool => Int, &str => String, String => String, Vec<f32> => Floats,
    Vec<i64> => Ints, Vec<String> => Strings, Tensor => Tensor);

impl AttributeValue {
    fn to_proto(&self, name: &str) -> AttributeProto {
        let mut proto = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
        proto.r#type = match self {
            Self::Float(value) => {
                proto.f = Some(*value);
                attribute_type::FLOAT
            }
            Self::Int(value) => {
                proto.i = Some(*value);
                attribute_type::INT
            }
            Self::String(value) => {
                proto.s = Some(value.as_bytes().to_vec());
                attribute_type::STRING
            }
            Self::Floats(values) => {
                proto.floats.clone_from(values);
                attribute_type::FLOATS
            }
            Self::Ints(values) => {
                proto.ints.clone_from(values);
                attribute_type::INTS
            }
            Self::Strings(values) => {
                proto.strings = values.iter().map(|value| value.as_bytes().to_vec()).collect();
                attribute_type::STRINGS
            }
            Self::Tensor(value) => {
                proto.t = Some(value.to_proto(""));
                attribute_type::TENSOR
            }
        };
        proto
    }
}

/// Writes a model, node by node.
///
/// ```
/// use millrace_onnx::{ElementType, GraphBuilder, ML_DOMAIN, Session, Tensor};
///
/// let mut graph = GraphBuilder::new("scale");
/// graph.input_column("age", ElementType::Float);
/// graph.node("Scaler", ML_DOMAIN, &["age"], &["scaled"], [("offset", vec![40.0_f32].into()), ("scale", vec![0.1_f32].into())]);
/// graph.output("scaled", ElementType::Float, &[None, Some(1)]);
/// let session = Session::load(&graph.encode())?;
/// let outputs = session.run(&[("age".into(), Tensor::column(vec![50.0_f32]))])?;
/// assert_eq!(outputs, [("scaled".into(), Tensor::column(vec![1.0_f32]))]);
/// # Ok::<(), millrace_onnx::OnnxError>(())
/// ```
#[derive(Debug, Clone)]
pub struct GraphBuilder {
    model: ModelProto,
    graph: GraphProto,
}

impl GraphBuilder {
    /// An empty graph against the standard operators 17 and [`ML_DOMAIN`] 3.
    pub fn new(name: &str) -> Self {
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: "millrace".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..ModelProto::default()
        };
        let mut builder =
            Self { model, graph: GraphProto { name: name.to_owned(), ..GraphProto::default() } };
        builder.opset("", 17).opset(ML_DOMAIN, 3);
        builder
    }

    /// Declares the version of an operator set, in place of the one declared before.
    pub fn opset(&mut self, domain: &str, version: i64) -> &mut Self {
        self.model.opset_import.retain(|opset| opset.domain != domain);
        self.model.opset_import.push(OperatorSetIdProto { domain: domain.to_owned(), version });
        self
    }

    /// Adds named text to the model.
    pub fn metadata(&mut self, key: &str, value: &str) -> &mut Self {
        self.model
            .metadata_props
            .push(StringStringEntryProto { key: key.to_owned(), value: value.to_owned() });
        self
    }

    /// Declares an input; `None` stands for the number of rows.
    pub fn input(&mut self, name: &str, element: ElementType, shape: &[Option<usize>]) -> &mut Self {
        self.graph.input.push(value_info(name, element, shape));
        self
    }

    /// Declares an input `[N, 1]`.
    pub fn input_column(&mut self, name: &str, element: ElementType) -> &mut Self {
        self.input(name, element, &[None, Some(1)])
    }

    /// Declares an output; `None` stands for the number of rows.
    pub fn output(&mut self, name: &str, element: ElementType, shape: &[Option<usize>]) -> &mut Self {
        self.graph.output.push(value_info(name, element, shape));
        self
    }

    /// Adds a constant.
    pub fn initializer(&mut self, name: &str, tensor: &Tensor) -> &mut Self {
        self.graph.initializer.push(tensor.to_proto(name));
        self
    }

    /// Adds a node. `domain` is empty for the standard operators, else [`ML_DOMAIN`]; it comes after the nodes that give its inputs.
    pub fn node<'a>(
        &mut self,
        operator: &str,
        domain: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: impl IntoIterator<Item = (&'a str, AttributeValue)>,
    ) -> &mut Self {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: outputs.iter().map(|name| (*name).to_owned()).collect(),
            name: format!("{operator}_{}", self.graph.node.len()),
            op_type: operator.to_owned(),
            domain: domain.to_owned(),
            attribute: attributes.into_iter().map(|(name, value)| value.to_proto(name)).collect(),
            doc_string: String::new(),
        });
        self
    }

    /// The model as messages.
    pub fn build(&self) -> ModelProto {
        ModelProto { graph: Some(self.graph.clone()), ..self.model.clone() }
    }

    /// The model as the bytes of a `.onnx` file.
    pub fn encode(&self) -> Vec<u8> {
        self.build().encode_to_vec()
    }
}

fn value_info(name: &str, element: ElementType, shape: &[Option<usize>]) -> ValueInfoProto {
    let dim = shape
        .iter()
        .map(|size| DimensionProto {
            value: Some(match size {
                Some(size) => DimensionValue::Size(*size as i64),
                None => DimensionValue::Name("N".to_owned()),
            }),
        })
        .collect();
    let tensor = TensorTypeProto { elem_type: element.code(), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)) }),
        doc_string: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut graph = GraphBuilder::new("g");
        graph
            .metadata("k", "v")
            .opset(ML_DOMAIN, 1)
            .input_column("x", ElementType::String)
            .initializer("w", &Tensor::vector(vec![1.5_f64]))
            .node("Identity", "", &["x"], &["y"], [("zero", AttributeValue::Int(0))])
            .output("y", ElementType::String, &[None, Some(1)]);
        let read = ModelProto::decode(graph.encode().as_slice()).unwrap();
        assert_eq!(read, graph.build());
        assert_eq!(read.graph.as_ref().unwrap().node[0].attribute[0].i, Some(0), "a zero is written out");
    }
}
