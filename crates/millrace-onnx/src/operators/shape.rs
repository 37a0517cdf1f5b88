use super::{Operator, axis, required};
use crate::attributes::Attributes;
use crate::error::OnnxError;
use crate::proto::data_type;
use crate::tensor::{ElementType, Tensor, TensorData, element_count};

/// Gives what it gets; ZipMap too, see `Session::run`.
#[derive(Debug)]
pub(crate) struct Identity;

impl Operator for Identity {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        Ok(vec![required(inputs, 0)?.clone()])
    }
}

/// Changes the type of the elements.
#[derive(Debug)]
pub(crate) struct Cast {
    to: ElementType,
    narrow: bool,
}

impl Cast {
    pub(crate) fn new(attributes: Attributes<'_>) -> Result<Self, OnnxError> {
        let code = attributes.int("to").and_then(|code| i32::try_from(code).ok()).unwrap_or(0);
        let to = match code {
            data_type::FLOAT | data_type::DOUBLE | data_type::STRING | data_type::BOOL => {
                ElementType::from_code(code)
            }
            data_type::INT32 | data_type::INT64 => Some(ElementType::Int64),
            _ => None,
        };
        let to = to.ok_or_else(|| OnnxError::unsupported(format!("Cast to type {code}")))?;
        Ok(Self { to, narrow: code == data_type::INT32 })
    }
}

impl Operator for Cast {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        let data = match self.to {
            ElementType::Float => TensorData::Float(match input.data() {
                TensorData::String(texts) => parse(texts)?,
                _ => input.to_f32()?.into_owned(),
            }),
            ElementType::Double => TensorData::Double(doubles(input.data())?),
            ElementType::Bool => {
                doubles(input.data())?.iter().map(|x| *x != 0.0).collect::<Vec<bool>>().into()
            }
            ElementType::Int64 => {
                let values = match input.data() {
                    TensorData::Int64(values) => values.clone(),
                    TensorData::String(texts) => parse(texts)?,
                    other => doubles(other)?.iter().map(|x| *x as i64).collect(),
                };
                let values =
                    if self.narrow { values.iter().map(|x| i64::from(*x as i32)).collect() } else { values };
                TensorData::Int64(values)
            }
            ElementType::String => TensorData::String(match input.data() {
                TensorData::Float(values) => values.iter().map(|x| general(f64::from(*x), 8)).collect(),
                TensorData::Double(values) => values.iter().map(|x| general(*x, 17)).collect(),
                TensorData::Int64(values) => values.iter().map(ToString::to_string).collect(),
                TensorData::Bool(values) => values.iter().map(|x| u8::from(*x).to_string()).collect(),
                TensorData::String(values) => values.clone(),
            }),
        };
        Ok(vec![Tensor::new(input.shape().to_vec(), data)?])
    }
}

fn doubles(data: &TensorData) -> Result<Vec<f64>, OnnxError> {
    Ok(match data {
        TensorData::Float(values) => values.iter().map(|x| f64::from(*x)).collect(),
        TensorData::Double(values) => values.clone(),
        TensorData::Int64(values) => values.iter().map(|x| *x as f64).collect(),
        TensorData::Bool(values) => values.iter().map(|x| f64::from(u8::from(*x))).collect(),
        TensorData::String(texts) => parse(texts)?,
    })
}

fn parse<T: std::str::FromStr>(texts: &[String]) -> Result<Vec<T>, OnnxError> {
    let numbers = texts.iter().map(|text| text.trim().parse().ok()).collect::<Option<Vec<T>>>();
    numbers.ok_or_else(|| OnnxError::run("a text is not a number"))
}

/// C's `%g`, in which ONNX wants numbers as text.
fn general(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "INF" } else { "-INF" }.to_owned();
    }
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(digits as i32 - 1 - exponent).unwrap_or(0);
    trim(&format!("{value:.decimals$}"))
}

/// Puts tensors beside one another along an axis.
#[derive(Debug)]
pub(crate) struct Concat {
    axis: i64,
}

impl Concat {
    pub(crate) fn new(attributes: Attributes<'_>) -> Self {
        Self { axis: attributes.int("axis").unwrap_or(1) }
    }
}

impl Operator for Concat {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let first = required(inputs, 0)?;
        let rank = first.shape().len();
        let axis = axis(self.axis, rank)?;
        let tensors = inputs.iter().copied().flatten().collect::<Vec<_>>();
        let mut shape = first.shape().to_vec();
        let Some(joined) = shape.get_mut(axis) else { return Err(OnnxError::run("has no such axis")) };
        *joined = 0;
        for tensor in &tensors {
            let same = |(place, (a, b)): (usize, (&usize, &usize))| place == axis || a == b;
            if tensor.shape().len() != rank || !first.shape().iter().zip(tensor.shape()).enumerate().all(same)
            {
                let shapes = (first.shape(), tensor.shape());
                return Err(OnnxError::run(format!(
                    "cannot put shapes {:?} and {:?} together",
                    shapes.0, shapes.1
                )));
            }
            *joined += tensor.shape().get(axis).copied().unwrap_or(0);
            shape_limit(*joined)?;
        }
        let outer: usize = shape.iter().take(axis).product();
        macro_rules! join {
            ($variant:ident) => {{
                let mut joined = Vec::new();
                for row in 0..outer {
                    for tensor in &tensors {
                        let TensorData::$variant(values) = tensor.data() else {
                            return Err(OnnxError::run("cannot put tensors of different types together"));
                        };
                        let width = values.len() / outer;
                        joined.extend_from_slice(values.get(row * width..(row + 1) * width).unwrap_or(&[]));
                    }
                }
                TensorData::$variant(joined)
            }};
        }
        let data = match first.element_type() {
            ElementType::Float => join!(Float),
            ElementType::Double => join!(Double),
            ElementType::Int64 => join!(Int64),
            ElementType::Bool => join!(Bool),
            ElementType::String => join!(String),
        };
        Ok(vec![Tensor::new(shape, data)?])
    }
}

fn shape_limit(size: usize) -> Result<(), OnnxError> {
    element_count(&[size]).map(|_| ()).ok_or_else(|| OnnxError::run("the result is too large"))
}

/// Another shape for the same elements: 0 keeps a dimension, -1 takes what is left.
#[derive(Debug)]
pub(crate) struct Reshape {
    zero_is_zero: bool,
    fixed: Option<Vec<i64>>,
}

impl Reshape {
    pub(crate) fn new(attributes: Attributes<'_>) -> Self {
        let fixed = attributes.ints("shape");
        Self {
            zero_is_zero: attributes.flag("allowzero", false),
            fixed: (!fixed.is_empty()).then(|| fixed.to_vec()),
        }
    }
}

impl Operator for Reshape {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        let wanted = match &self.fixed {
            Some(shape) => shape,
            None => required(inputs, 1)?.as_i64()?,
        };
        let mut shape = Vec::with_capacity(wanted.len());
        let mut open = None;
        for (place, size) in wanted.iter().enumerate() {
            shape.push(match size {
                -1 if open.is_none() => {
                    open = Some(place);
                    1
                }
                0 if !self.zero_is_zero => input.shape().get(place).copied().unwrap_or(0),
                size => usize::try_from(*size).map_err(|_| OnnxError::run(format!("a size of {size}")))?,
            });
        }
        if let Some(place) = open {
            let rest = element_count(&shape).ok_or_else(|| OnnxError::run("the result is too large"))?;
            let size = input.data().len().checked_div(rest).unwrap_or(0);
            shape.iter_mut().skip(place).take(1).for_each(|open| *open = size);
        }
        Ok(vec![input.clone().reshaped(shape)?])
    }
}

/// Picks places along an axis.
#[derive(Debug)]
pub(crate) struct Gather {
    axis: i64,
}

impl Gather {
    pub(crate) fn new(attributes: Attributes<'_>) -> Self {
        Self { axis: attributes.int("axis").unwrap_or(0) }
    }
}

impl Operator for Gather {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let (input, wanted) = (required(inputs, 0)?, required(inputs, 1)?);
        let axis = axis(self.axis, input.shape().len())?;
        let Some(size) = input.shape().get(axis).copied() else {
            return Err(OnnxError::run("has no such axis"));
        };
        let inner: usize = input.shape().iter().skip(axis + 1).product();
        let place = |place: &i64| {
            let place = if *place < 0 { place.saturating_add(size as i64) } else { *place };
            usize::try_from(place).ok().filter(|place| *place < size)
        };
        let places = wanted.as_i64()?.iter().map(place).collect::<Option<Vec<_>>>();
        let places = places.ok_or_else(|| OnnxError::run(format!("picks a place beyond {size}")))?;
        let shape = [&input.shape()[..axis], wanted.shape(), &input.shape()[axis + 1..]].concat();
        element_count(&shape).ok_or_else(|| OnnxError::run("the result is too large"))?;
        macro_rules! pick {
            ($values:expr) => {{
                let blocks = $values.chunks_exact((size * inner).max(1));
                let picked = blocks.flat_map(|block| {
                    places
                        .iter()
                        .flat_map(|place| block.get(place * inner..(place + 1) * inner).unwrap_or(&[]))
                });
                picked.cloned().collect::<Vec<_>>().into()
            }};
        }
        let data: TensorData = match input.data() {
            TensorData::Float(values) => pick!(values),
            TensorData::Double(values) => pick!(values),
            TensorData::Int64(values) => pick!(values),
            TensorData::Bool(values) => pick!(values),
            TensorData::String(values) => pick!(values),
        };
        Ok(vec![Tensor::new(shape, data)?])
    }
}

/// Two dimensions: those before the axis, and the others.
#[derive(Debug)]
pub(crate) struct Flatten {
    axis: i64,
}

impl Flatten {
    pub(crate) fn new(attributes: Attributes<'_>) -> Self {
        Self { axis: attributes.int("axis").unwrap_or(1) }
    }
}

impl Operator for Flatten {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        let axis = axis(self.axis, input.shape().len())?;
        let rows: usize = input.shape().iter().take(axis).product();
        let columns: usize = input.shape().iter().skip(axis).product();
        Ok(vec![input.clone().reshaped(vec![rows, columns])?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_text_as_in_c() {
        let texts = [0.0, 3.0, 2.5, 1e-5, 123_456_789.0, -0.1].map(|value| general(value, 8));
        assert_eq!(texts, ["0", "3", "2.5", "1e-05", "1.2345679e+08", "-0.1"]);
    }
}
