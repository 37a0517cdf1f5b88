use std::borrow::Cow;
use std::collections::HashMap;

use prost::Message as _;

use crate::attributes::Attributes;
use crate::builder::ML_DOMAIN;
use crate::error::OnnxError;
use crate::operators::{self, Operator};
use crate::proto::{DimensionValue, GraphProto, ModelProto, NodeProto, TypeValue, ValueInfoProto};
use crate::tensor::{ElementType, Tensor, TensorData};

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueDoc {
    /// Name.
    pub name: String,
    /// Type of its elements; `None` for lists and dictionaries.
    pub element: Option<ElementType>,
    /// Shape, `None` where any size will do; empty also if the file does not tell.
    pub shape: Vec<Option<usize>>,
}

/// A model that is ready to run. Running does not change it, so threads may share one.
#[derive(Debug)]
pub struct Session {
    inputs: Vec<(ValueDoc, usize)>,
    outputs: Vec<(ValueDoc, usize)>,
    constants: Vec<(usize, Tensor)>,
    steps: Vec<Step>,
    slots: usize,
    class_labels: Vec<String>,
    metadata: Vec<(String, String)>,
}

#[derive(Debug)]
struct Step {
    name: String,
    operator: Box<dyn Operator>,
    inputs: Vec<Option<usize>>,
    outputs: Vec<Option<usize>>,
}

impl Session {
    /// Reads and prepares a model.
    ///
    /// # Errors
    /// If the bytes are no model, the model is malformed or an operator is not supported.
    pub fn load(bytes: &[u8]) -> Result<Self, OnnxError> {
        let model =
            ModelProto::decode(bytes).map_err(|error| OnnxError::Decode { message: error.to_string() })?;
        Self::from_model(&model)
    }

    /// Prepares a model that has been read.
    ///
    /// # Errors
    /// If the model is malformed or an operator is not supported.
    pub fn from_model(model: &ModelProto) -> Result<Self, OnnxError> {
        let graph = model.graph.as_ref().ok_or_else(|| OnnxError::malformed("it has no graph"))?;
        let mut names = Slots::default();
        let mut constants = Vec::new();
        for proto in &graph.initializer {
            constants.push((names.define(&proto.name)?, Tensor::from_proto(proto)?));
        }
        let mut inputs = Vec::new();
        for value in graph.input.iter().filter(|value| graph.initializer.iter().all(|c| c.name != value.name))
        {
            inputs.push((value_doc(value), names.define(&value.name)?));
        }
        let mut steps = Vec::with_capacity(graph.node.len());
        for node in &graph.node {
            steps.push(prepare(node, model, &mut names)?);
        }
        let mut outputs = Vec::new();
        for value in &graph.output {
            outputs.push((value_doc(value), names.find(&value.name)?));
        }
        if outputs.is_empty() {
            return Err(OnnxError::malformed("it has no outputs"));
        }
        let metadata =
            model.metadata_props.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect();
        Ok(Self {
            inputs,
            outputs,
            constants,
            steps,
            slots: names.0.len(),
            class_labels: class_labels(graph)?,
            metadata,
        })
    }

    /// Inputs, in the model's order.
    pub fn inputs(&self) -> impl Iterator<Item = &ValueDoc> {
        self.inputs.iter().map(|(doc, _)| doc)
    }

    /// Outputs, in the model's order.
    pub fn outputs(&self) -> impl Iterator<Item = &ValueDoc> {
        self.outputs.iter().map(|(doc, _)| doc)
    }

    /// Class labels of a classifier as text, in the order of its scores; empty if the model does not tell.
    pub fn class_labels(&self) -> &[String] {
        &self.class_labels
    }

    /// Named text of the model.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Computes every output. Inputs are found by name, others than the model's are ignored. A `ZipMap` gives the matrix of scores,
    /// one column a class in the order of [`Session::class_labels`], not dictionaries.
    ///
    /// # Errors
    /// [`OnnxError::Input`] for a missing or mistyped input, [`OnnxError::Run`] for what shows up later.
    pub fn run(&self, inputs: &[(String, Tensor)]) -> Result<Vec<(String, Tensor)>, OnnxError> {
        let mut values: Vec<Option<Cow<'_, Tensor>>> = vec![None; self.slots];
        for (slot, tensor) in &self.constants {
            put(&mut values, *slot, Cow::Borrowed(tensor));
        }
        for (doc, slot) in &self.inputs {
            let (_, tensor) = inputs
                .iter()
                .find(|(name, _)| *name == doc.name)
                .ok_or_else(|| OnnxError::input(format!("the input `{}` is missing", doc.name)))?;
            check_input(doc, tensor)?;
            put(&mut values, *slot, Cow::Borrowed(tensor));
        }
        for step in &self.steps {
            let computed = step.run(&values).map_err(|error| step.name_in(error))?;
            for (slot, tensor) in step.outputs.iter().zip(computed) {
                if let Some(slot) = slot {
                    put(&mut values, *slot, Cow::Owned(tensor));
                }
            }
        }
        let mut outputs = Vec::with_capacity(self.outputs.len());
        for (doc, slot) in &self.outputs {
            let value = values.get(*slot).and_then(Option::as_ref);
            let tensor =
                value.ok_or_else(|| OnnxError::malformed(format!("nothing computes `{}`", doc.name)))?;
            outputs.push((doc.name.clone(), tensor.clone().into_owned()));
        }
        Ok(outputs)
    }
}

impl Step {
    fn run(&self, values: &[Option<Cow<'_, Tensor>>]) -> Result<Vec<Tensor>, OnnxError> {
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for slot in &self.inputs {
            inputs.push(match slot {
                None => None,
                Some(slot) => match values.get(*slot).and_then(Option::as_deref) {
                    Some(tensor) => Some(tensor),
                    None => return Err(OnnxError::run("one of its inputs was not computed")),
                },
            });
        }
        self.operator.run(&inputs)
    }

    fn name_in(&self, error: OnnxError) -> OnnxError {
        match error {
            OnnxError::Run { node, message } if node.is_empty() => {
                OnnxError::Run { node: self.name.clone(), message }
            }
            other => other,
        }
    }
}

/// Numbers for the names of values.
#[derive(Default)]
struct Slots(HashMap<String, usize>);

impl Slots {
    fn define(&mut self, name: &str) -> Result<usize, OnnxError> {
        let slot = self.0.len();
        match self.0.insert(name.to_owned(), slot) {
            None => Ok(slot),
            Some(_) => Err(OnnxError::malformed(format!("the value `{name}` is defined twice"))),
        }
    }

    fn find(&self, name: &str) -> Result<usize, OnnxError> {
        let slot = self.0.get(name).copied();
        slot.ok_or_else(|| OnnxError::malformed(format!("the value `{name}` is used before it is computed")))
    }
}

fn prepare(node: &NodeProto, model: &ModelProto, names: &mut Slots) -> Result<Step, OnnxError> {
    let domain = if node.domain == "ai.onnx" { "" } else { node.domain.as_str() };
    let opset =
        model.opset_import.iter().find(|opset| opset.domain == node.domain).map_or(1, |opset| opset.version);
    let name = format!("{} {}", node.op_type, node.name).trim_end().to_owned();
    let operator =
        operators::prepare(domain, &node.op_type, Attributes(&node.attribute), opset).map_err(|error| {
            match error {
                OnnxError::Run { message, .. } => OnnxError::malformed(format!("`{name}`: {message}")),
                other => other,
            }
        })?;
    let given = |name: &String| (!name.is_empty()).then_some(name.clone());
    let inputs = node.input.iter().map(given).map(|name| name.map(|name| names.find(&name)).transpose());
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let outputs = node.output.iter().map(given).map(|name| name.map(|name| names.define(&name)).transpose());
    let outputs = outputs.collect::<Result<Vec<_>, _>>()?;
    Ok(Step { name, operator, inputs, outputs })
}

fn put<'a>(values: &mut [Option<Cow<'a, Tensor>>], slot: usize, tensor: Cow<'a, Tensor>) {
    if let Some(place) = values.get_mut(slot) {
        *place = Some(tensor);
    }
}

fn check_input(doc: &ValueDoc, tensor: &Tensor) -> Result<(), OnnxError> {
    let fits = doc.shape.is_empty()
        || (doc.shape.len() == tensor.shape().len()
            && doc
                .shape
                .iter()
                .zip(tensor.shape())
                .all(|(wanted, size)| wanted.is_none_or(|wanted| wanted == *size)));
    if doc.element.is_some_and(|element| element != tensor.element_type()) || !fits {
        let shape = doc.shape.iter().map(|size| size.map_or("N".to_owned(), |size| size.to_string()));
        let element = doc.element.map_or_else(String::new, |element| element.to_string());
        return Err(OnnxError::input(format!(
            "the input `{}` wants {element} of shape [{}], not {} of shape {:?}",
            doc.name,
            shape.collect::<Vec<_>>().join(", "),
            tensor.element_type(),
            tensor.shape()
        )));
    }
    Ok(())
}

fn value_doc(value: &ValueInfoProto) -> ValueDoc {
    let tensor = match value.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
        Some(TypeValue::Tensor(tensor)) => Some(tensor),
        _ => None,
    };
    let dimensions =
        tensor.and_then(|tensor| tensor.shape.as_ref()).map_or(&[][..], |shape| shape.dim.as_slice());
    let size = |value: &Option<DimensionValue>| match value {
        Some(DimensionValue::Size(size)) => usize::try_from(*size).ok().filter(|size| *size > 0),
        _ => None,
    };
    ValueDoc {
        name: value.name.clone(),
        element: tensor.and_then(|tensor| ElementType::from_code(tensor.elem_type)),
        shape: dimensions.iter().map(|dimension| size(&dimension.value)).collect(),
    }
}

fn class_labels(graph: &GraphProto) -> Result<Vec<String>, OnnxError> {
    for node in graph.node.iter().rev().filter(|node| node.domain == ML_DOMAIN) {
        let attributes = Attributes(&node.attribute);
        let labels = match node.op_type.as_str() {
            "ZipMap" | "TreeEnsembleClassifier" => {
                attributes.labels("classlabels_strings", "classlabels_int64s")?
            }
            "LinearClassifier" => attributes.labels("classlabels_strings", "classlabels_ints")?,
            _ => continue,
        };
        match labels {
            TensorData::String(labels) if !labels.is_empty() => return Ok(labels),
            TensorData::Int64(labels) if !labels.is_empty() => {
                return Ok(labels.iter().map(ToString::to_string).collect());
            }
            _ => {}
        }
    }
    Ok(Vec::new())
}
