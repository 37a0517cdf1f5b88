use std::collections::HashMap;

use super::{Operator, required};
use crate::attributes::Attributes;
use crate::error::OnnxError;
use crate::tensor::{Tensor, TensorData, element_count};

/// A value that can be looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Text(String),
    Int(i64),
    /// Bits of a double; every NaN is one key, and so are both zeros.
    Number(u64),
}

fn number_key(value: f64) -> Key {
    let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
    Key::Number(value.to_bits())
}

fn keys(data: &TensorData) -> Vec<Key> {
    match data {
        TensorData::String(values) => values.iter().cloned().map(Key::Text).collect(),
        TensorData::Int64(values) => values.iter().copied().map(Key::Int).collect(),
        TensorData::Bool(values) => values.iter().map(|value| Key::Int(i64::from(*value))).collect(),
        TensorData::Float(values) => values.iter().map(|value| number_key(f64::from(*value))).collect(),
        TensorData::Double(values) => values.iter().copied().map(number_key).collect(),
    }
}

/// Replaces values by others, one for one.
#[derive(Debug)]
pub(crate) struct LabelEncoder {
    places: HashMap<Key, usize>,
    /// The values, and after them the default.
    values: TensorData,
    /// In the first version of the operator the same node reads strings and integers: the way back.
    inverse: Option<Box<LabelEncoder>>,
}

impl LabelEncoder {
    pub(crate) fn new(attributes: Attributes<'_>) -> Result<Self, OnnxError> {
        let classes = attributes.strings("classes_strings")?;
        let text = || {
            Ok::<_, OnnxError>(attributes.string("default_string")?.unwrap_or_else(|| "_Unused".to_owned()))
        };
        let int = attributes.int("default_int64").unwrap_or(-1);
        if !classes.is_empty() {
            let numbers: Vec<i64> = (0..classes.len() as i64).collect();
            let back = Self::build(&numbers.clone().into(), with(classes.clone(), text()?).into())?;
            let mut encoder = Self::build(&classes.into(), with(numbers, int).into())?;
            encoder.inverse = Some(Box::new(back));
            return Ok(encoder);
        }
        let keys = Self::list(attributes, "keys")?;
        let fallback = attributes.tensor("default_tensor")?.map(Tensor::into_data);
        let values = match (Self::list(attributes, "values")?, fallback) {
            (TensorData::String(values), Some(TensorData::String(default))) => {
                [values, default].concat().into()
            }
            (TensorData::Int64(values), Some(TensorData::Int64(default))) => {
                [values, default].concat().into()
            }
            (TensorData::Float(values), Some(TensorData::Float(default))) => {
                [values, default].concat().into()
            }
            (TensorData::Double(values), Some(TensorData::Double(default))) => {
                [values, default].concat().into()
            }
            (TensorData::String(values), None) => with(values, text()?).into(),
            (TensorData::Int64(values), None) => with(values, int).into(),
            (TensorData::Float(values), None) => {
                with(values, attributes.float("default_float").unwrap_or(-0.0)).into()
            }
            (TensorData::Double(values), None) => with(values, -0.0).into(),
            _ => return Err(OnnxError::run("its values and their default have different types")),
        };
        Self::build(&keys, values)
    }

    fn list(attributes: Attributes<'_>, what: &str) -> Result<TensorData, OnnxError> {
        if let Some(tensor) = attributes.tensor(&format!("{what}_tensor"))? {
            return Ok(tensor.into_data());
        }
        let floats = attributes.floats(&format!("{what}_floats"))?;
        if !floats.is_empty() {
            return Ok(floats.into());
        }
        attributes.labels(&format!("{what}_strings"), &format!("{what}_int64s"))
    }

    fn build(from: &TensorData, values: TensorData) -> Result<Self, OnnxError> {
        if from.len() + 1 != values.len() {
            return Err(OnnxError::run(format!("has {} keys and {} values", from.len(), values.len() - 1)));
        }
        let mut places = HashMap::with_capacity(from.len());
        for (place, key) in keys(from).into_iter().enumerate() {
            places.entry(key).or_insert(place);
        }
        Ok(Self { places, values, inverse: None })
    }
}

fn with<T>(mut values: Vec<T>, default: T) -> Vec<T> {
    values.push(default);
    values
}

impl Operator for LabelEncoder {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        if let (TensorData::Int64(_), Some(inverse)) = (input.data(), &self.inverse) {
            return inverse.run(inputs);
        }
        let default = self.values.len().saturating_sub(1);
        let places =
            keys(input.data()).into_iter().map(|key| self.places.get(&key).copied().unwrap_or(default));
        macro_rules! look_up {
            ($values:expr) => {
                places.filter_map(|place| $values.get(place).cloned()).collect::<Vec<_>>().into()
            };
        }
        let data: TensorData = match &self.values {
            TensorData::String(values) => look_up!(values),
            TensorData::Int64(values) => look_up!(values),
            TensorData::Float(values) => look_up!(values),
            TensorData::Double(values) => look_up!(values),
            TensorData::Bool(values) => look_up!(values),
        };
        Ok(vec![Tensor::new(input.shape().to_vec(), data)?])
    }
}

/// A column for every category, 1 where the value is that category.
#[derive(Debug)]
pub(crate) struct OneHotEncoder {
    places: HashMap<Key, usize>,
    texts: bool,
    width: usize,
    unknown_is_zero: bool,
}

impl OneHotEncoder {
    pub(crate) fn new(attributes: Attributes<'_>) -> Result<Self, OnnxError> {
        let categories = attributes.labels("cats_strings", "cats_int64s")?;
        if categories.is_empty() {
            return Err(OnnxError::run("has no categories"));
        }
        let texts = matches!(categories, TensorData::String(_));
        let places = keys(&categories).into_iter().enumerate().map(|(place, key)| (key, place)).collect();
        Ok(Self { places, texts, width: categories.len(), unknown_is_zero: attributes.flag("zeros", true) })
    }
}

impl Operator for OneHotEncoder {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        let found = match input.data() {
            TensorData::String(_) if self.texts => keys(input.data()),
            TensorData::String(_) => return Err(OnnxError::run("its categories are integers, not strings")),
            _ if self.texts => return Err(OnnxError::run("its categories are strings, not numbers")),
            TensorData::Float(values) => values.iter().map(|value| Key::Int(*value as i64)).collect(),
            TensorData::Double(values) => values.iter().map(|value| Key::Int(*value as i64)).collect(),
            TensorData::Int64(_) | TensorData::Bool(_) => keys(input.data()),
        };
        let mut shape = input.shape().to_vec();
        shape.push(self.width);
        let count = element_count(&shape).ok_or_else(|| OnnxError::run("the result is too large"))?;
        let mut values = vec![0.0_f32; count];
        for (row, key) in values.chunks_exact_mut(self.width).zip(&found) {
            match self.places.get(key).and_then(|place| row.get_mut(*place)) {
                Some(cell) => *cell = 1.0,
                None if self.unknown_is_zero => {}
                None => return Err(OnnxError::run("meets a category it does not know")),
            }
        }
        Ok(vec![Tensor::new(shape, values)?])
    }
}
