//! A node's constants, by name.

use crate::error::OnnxError;
use crate::proto::AttributeProto;
use crate::tensor::{Tensor, TensorData, texts};

/// Attributes of one node.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [AttributeProto]);

impl<'a> Attributes<'a> {
    fn find(&self, name: &str) -> Option<&'a AttributeProto> {
        self.0.iter().find(|attribute| attribute.name == name)
    }

    pub(crate) fn float(&self, name: &str) -> Option<f32> {
        self.find(name).and_then(|attribute| attribute.f)
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.find(name).and_then(|attribute| attribute.i)
    }

    /// An integer that is a switch.
    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        self.int(name).map_or(default, |value| value != 0)
    }

    pub(crate) fn ints(&self, name: &str) -> &'a [i64] {
        self.find(name).map_or(&[], |attribute| attribute.ints.as_slice())
    }

    /// Floats, from `name` or the tensor `<name>_as_tensor` that carries doubles.
    pub(crate) fn floats(&self, name: &str) -> Result<Vec<f32>, OnnxError> {
        if let Some(attribute) = self.find(name) {
            return Ok(attribute.floats.clone());
        }
        match self.tensor(&format!("{name}_as_tensor"))? {
            Some(tensor) => Ok(tensor.to_f32()?.into_owned()),
            None => Ok(Vec::new()),
        }
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<String>, OnnxError> {
        let Some(bytes) = self.find(name).and_then(|attribute| attribute.s.as_ref()) else { return Ok(None) };
        Ok(texts(std::slice::from_ref(bytes))?.pop())
    }

    pub(crate) fn strings(&self, name: &str) -> Result<Vec<String>, OnnxError> {
        self.find(name).map_or_else(|| Ok(Vec::new()), |attribute| texts(&attribute.strings))
    }

    pub(crate) fn tensor(&self, name: &str) -> Result<Option<Tensor>, OnnxError> {
        self.find(name).and_then(|attribute| attribute.t.as_ref()).map(Tensor::from_proto).transpose()
    }

    /// Class labels, which are strings or integers: attributes `strings` and `ints`.
    pub(crate) fn labels(&self, strings: &str, ints: &str) -> Result<TensorData, OnnxError> {
        let labels = self.strings(strings)?;
        Ok(if labels.is_empty() { self.ints(ints).to_vec().into() } else { labels.into() })
    }
}
