use std::borrow::Cow;

use super::{Operator, required};
use crate::attributes::Attributes;
use crate::error::OnnxError;
use crate::tensor::{Tensor, TensorData, element_count};

/// A number from a number.
type Function<T> = fn(T) -> T;

/// A function of one number.
#[derive(Debug)]
pub(crate) struct Unary {
    single: Function<f32>,
    double: Function<f64>,
    integer: Option<Function<i64>>,
}

impl Unary {
    pub(crate) fn new(operator: &str) -> Result<Self, OnnxError> {
        let (single, double): (Function<f32>, Function<f64>) = match operator {
            "Abs" => (f32::abs, f64::abs),
            "Exp" => (f32::exp, f64::exp),
            "Log" => (f32::ln, f64::ln),
            "Neg" => (|x| -x, |x| -x),
            "Relu" => (|x| if x < 0.0 { 0.0 } else { x }, |x| if x < 0.0 { 0.0 } else { x }),
            "Sigmoid" => (|x| 1.0 / (1.0 + (-x).exp()), |x| 1.0 / (1.0 + (-x).exp())),
            "Sqrt" => (f32::sqrt, f64::sqrt),
            "Tanh" => (f32::tanh, f64::tanh),
            _ => return Err(OnnxError::unsupported(operator)),
        };
        let integer: Option<Function<i64>> = match operator {
            "Abs" => Some(i64::wrapping_abs),
            "Neg" => Some(i64::wrapping_neg),
            "Relu" => Some(|x| x.max(0)),
            _ => None,
        };
        Ok(Self { single, double, integer })
    }
}

impl Operator for Unary {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        let data: TensorData = match (input.data(), self.integer) {
            (TensorData::Float(values), _) => {
                values.iter().map(|x| (self.single)(*x)).collect::<Vec<_>>().into()
            }
            (TensorData::Double(values), _) => {
                values.iter().map(|x| (self.double)(*x)).collect::<Vec<_>>().into()
            }
            (TensorData::Int64(values), Some(map)) => {
                values.iter().map(|x| map(*x)).collect::<Vec<_>>().into()
            }
            (other, _) => return Err(OnnxError::run(format!("does not take {}", other.element_type()))),
        };
        Ok(vec![Tensor::new(input.shape().to_vec(), data)?])
    }
}

/// Add, Sub, Mul, Div.
#[derive(Debug)]
pub(crate) struct Arithmetic {
    single: fn(f32, f32) -> f32,
    double: fn(f64, f64) -> f64,
    integer: fn(i64, i64) -> Option<i64>,
}

impl Arithmetic {
    pub(crate) fn new(operator: &str) -> Result<Self, OnnxError> {
        Ok(match operator {
            "Add" => {
                Self { single: |a, b| a + b, double: |a, b| a + b, integer: |a, b| Some(a.wrapping_add(b)) }
            }
            "Sub" => {
                Self { single: |a, b| a - b, double: |a, b| a - b, integer: |a, b| Some(a.wrapping_sub(b)) }
            }
            "Mul" => {
                Self { single: |a, b| a * b, double: |a, b| a * b, integer: |a, b| Some(a.wrapping_mul(b)) }
            }
            "Div" => Self { single: |a, b| a / b, double: |a, b| a / b, integer: i64::checked_div },
            _ => return Err(OnnxError::unsupported(operator)),
        })
    }
}

impl Operator for Arithmetic {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let (a, b) = (required(inputs, 0)?, required(inputs, 1)?);
        let shape = broadcast(a.shape(), b.shape())?;
        let data: TensorData = match (a.data(), b.data()) {
            (TensorData::Float(x), TensorData::Float(y)) => {
                zip(x, a.shape(), y, b.shape(), &shape, |x, y| (self.single)(*x, *y)).into()
            }
            (TensorData::Double(x), TensorData::Double(y)) => {
                zip(x, a.shape(), y, b.shape(), &shape, |x, y| (self.double)(*x, *y)).into()
            }
            (TensorData::Int64(x), TensorData::Int64(y)) => {
                let results = zip(x, a.shape(), y, b.shape(), &shape, |x, y| (self.integer)(*x, *y));
                let results = results.into_iter().collect::<Option<Vec<i64>>>();
                results.ok_or_else(|| OnnxError::run("divides an integer by zero"))?.into()
            }
            (x, y) => return Err(mismatch(x, y)),
        };
        Ok(vec![Tensor::new(shape, data)?])
    }
}

/// Equal, Less, Greater and their kin.
#[derive(Debug)]
pub(crate) struct Comparison(fn(Option<std::cmp::Ordering>) -> bool);

impl Comparison {
    pub(crate) fn new(operator: &str) -> Result<Self, OnnxError> {
        use std::cmp::Ordering::{Equal, Greater, Less};
        Ok(Self(match operator {
            "Equal" => |order| order == Some(Equal),
            "Less" => |order| order == Some(Less),
            "Greater" => |order| order == Some(Greater),
            "LessOrEqual" => |order| matches!(order, Some(Less | Equal)),
            "GreaterOrEqual" => |order| matches!(order, Some(Greater | Equal)),
            _ => return Err(OnnxError::unsupported(operator)),
        }))
    }

    fn compare<T: PartialOrd + Clone>(
        &self,
        a: (&[T], &[usize]),
        b: (&[T], &[usize]),
        shape: &[usize],
    ) -> TensorData {
        zip(a.0, a.1, b.0, b.1, shape, |x, y| (self.0)(x.partial_cmp(y))).into()
    }
}

impl Operator for Comparison {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let (a, b) = (required(inputs, 0)?, required(inputs, 1)?);
        let shape = broadcast(a.shape(), b.shape())?;
        let data = match (a.data(), b.data()) {
            (TensorData::Float(x), TensorData::Float(y)) => {
                self.compare((x, a.shape()), (y, b.shape()), &shape)
            }
            (TensorData::Double(x), TensorData::Double(y)) => {
                self.compare((x, a.shape()), (y, b.shape()), &shape)
            }
            (TensorData::Int64(x), TensorData::Int64(y)) => {
                self.compare((x, a.shape()), (y, b.shape()), &shape)
            }
            (TensorData::Bool(x), TensorData::Bool(y)) => {
                self.compare((x, a.shape()), (y, b.shape()), &shape)
            }
            (TensorData::String(x), TensorData::String(y)) => {
                self.compare((x, a.shape()), (y, b.shape()), &shape)
            }
            (x, y) => return Err(mismatch(x, y)),
        };
        Ok(vec![Tensor::new(shape, data)?])
    }
}

/// Chooses between two by a third.
#[derive(Debug)]
pub(crate) struct Where;

impl Operator for Where {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let (condition, a, b) = (required(inputs, 0)?, required(inputs, 1)?, required(inputs, 2)?);
        let TensorData::Bool(chosen) = condition.data() else {
            return Err(OnnxError::run("needs booleans to choose by"));
        };
        let shape = broadcast(condition.shape(), &broadcast(a.shape(), b.shape())?)?;
        let chosen = expand(chosen, condition.shape(), &shape);
        macro_rules! choose {
            ($x:expr, $y:expr) => {{
                let (x, y) = (expand($x, a.shape(), &shape), expand($y, b.shape(), &shape));
                let pairs = x.iter().zip(y.iter());
                chosen
                    .iter()
                    .zip(pairs)
                    .map(|(c, (x, y))| if *c { x } else { y }.clone())
                    .collect::<Vec<_>>()
                    .into()
            }};
        }
        let data: TensorData = match (a.data(), b.data()) {
            (TensorData::Float(x), TensorData::Float(y)) => choose!(x, y),
            (TensorData::Double(x), TensorData::Double(y)) => choose!(x, y),
            (TensorData::Int64(x), TensorData::Int64(y)) => choose!(x, y),
            (TensorData::Bool(x), TensorData::Bool(y)) => choose!(x, y),
            (TensorData::String(x), TensorData::String(y)) => choose!(x, y),
            (x, y) => return Err(mismatch(x, y)),
        };
        Ok(vec![Tensor::new(shape, data)?])
    }
}

/// Limits, from attributes (before operator set 11) or inputs.
#[derive(Debug)]
pub(crate) struct Clip {
    min: Option<f32>,
    max: Option<f32>,
}

impl Clip {
    pub(crate) fn new(attributes: Attributes<'_>) -> Self {
        Self { min: attributes.float("min"), max: attributes.float("max") }
    }
}

impl Operator for Clip {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        let limit = |index: usize, fixed: Option<f32>| match inputs.get(index).copied().flatten() {
            None => Ok(fixed.map(f64::from)),
            Some(tensor) => match tensor.data() {
                TensorData::Double(values) => Ok(values.first().copied()),
                _ => Ok(tensor.to_f32()?.first().map(|value| f64::from(*value))),
            },
        };
        let low = limit(1, self.min)?.unwrap_or(f64::NEG_INFINITY);
        let high = limit(2, self.max)?.unwrap_or(f64::INFINITY);
        let clip = |x: f64| {
            if x > high {
                high
            } else if x < low {
                low.min(high)
            } else {
                x
            }
        };
        let data: TensorData = match input.data() {
            TensorData::Float(values) => {
                values.iter().map(|x| clip(f64::from(*x)) as f32).collect::<Vec<_>>().into()
            }
            TensorData::Double(values) => values.iter().map(|x| clip(*x)).collect::<Vec<_>>().into(),
            TensorData::Int64(values) => {
                values.iter().map(|x| clip(*x as f64) as i64).collect::<Vec<_>>().into()
            }
            other => return Err(OnnxError::run(format!("does not take {}", other.element_type()))),
        };
        Ok(vec![Tensor::new(input.shape().to_vec(), data)?])
    }
}

/// Negates booleans.
#[derive(Debug)]
pub(crate) struct Not;

impl Operator for Not {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        let TensorData::Bool(values) = input.data() else { return Err(OnnxError::run("needs booleans")) };
        let data = values.iter().map(|value| !value).collect::<Vec<_>>();
        Ok(vec![Tensor::new(input.shape().to_vec(), data)?])
    }
}

/// Finds what is not a number.
#[derive(Debug)]
pub(crate) struct IsNan;

impl Operator for IsNan {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        let data: Vec<bool> = match input.data() {
            TensorData::Float(values) => values.iter().map(|x| x.is_nan()).collect(),
            TensorData::Double(values) => values.iter().map(|x| x.is_nan()).collect(),
            other => return Err(OnnxError::run(format!("does not take {}", other.element_type()))),
        };
        Ok(vec![Tensor::new(input.shape().to_vec(), data)?])
    }
}

/// The shape of two tensors combined element by element, sizes of 1 repeated.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, OnnxError> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], place: usize| {
        (place + shape.len()).checked_sub(rank).and_then(|index| shape.get(index).copied()).unwrap_or(1)
    };
    let mut shape = Vec::with_capacity(rank);
    for place in 0..rank {
        shape.push(match (size(a, place), size(b, place)) {
            (x, y) if x == y => x,
            (1, other) | (other, 1) => other,
            _ => return Err(OnnxError::run(format!("cannot combine shapes {a:?} and {b:?}"))),
        });
    }
    element_count(&shape)
        .ok_or_else(|| OnnxError::run(format!("a result of shape {shape:?} is too large")))?;
    Ok(shape)
}

/// Repeats elements so that `from` becomes `to`, a shape that [`broadcast`] gave.
pub(crate) fn expand<'a, T: Clone>(values: &'a [T], from: &[usize], to: &[usize]) -> Cow<'a, [T]> {
    let count: usize = to.iter().product();
    if values.len() == count {
        return Cow::Borrowed(values);
    }
    if let [value] = values {
        return Cow::Owned(vec![value.clone(); count]);
    }
    // From the last dimension to the first: blocks of `inner` elements stand `size` times after one another where `from` has one.
    let mut grown = values.to_vec();
    let mut inner = 1;
    for (back, size) in to.iter().rev().enumerate() {
        let had = from.len().checked_sub(back + 1).and_then(|index| from.get(index).copied()).unwrap_or(1);
        if had == 1 && *size != 1 && inner > 0 {
            grown = grown
                .chunks(inner)
                .flat_map(|block| std::iter::repeat_n(block, *size).flatten().cloned())
                .collect();
        }
        inner *= size;
    }
    Cow::Owned(grown)
}

fn zip<T: Clone, R>(
    x: &[T],
    x_shape: &[usize],
    y: &[T],
    y_shape: &[usize],
    shape: &[usize],
    combine: impl Fn(&T, &T) -> R,
) -> Vec<R> {
    let (x, y) = (expand(x, x_shape, shape), expand(y, y_shape, shape));
    x.iter().zip(y.iter()).map(|(x, y)| combine(x, y)).collect()
}

fn mismatch(x: &TensorData, y: &TensorData) -> OnnxError {
    OnnxError::run(format!("cannot combine {} with {}", x.element_type(), y.element_type()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_one_are_repeated() {
        assert_eq!(broadcast(&[2, 1], &[3]).unwrap(), [2, 3]);
        assert!(broadcast(&[2], &[3]).is_err());
        assert_eq!(*expand(&[1, 2], &[2, 1], &[2, 3]), [1, 1, 1, 2, 2, 2]);
        assert_eq!(*expand(&[1, 2, 3], &[3], &[2, 3]), [1, 2, 3, 1, 2, 3]);
        assert_eq!(*expand(&[1, 2, 3, 4], &[2, 1, 2], &[2, 2, 2]), [1, 2, 1, 2, 3, 4, 3, 4]);
    }
}
