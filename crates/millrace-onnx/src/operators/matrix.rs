use super::elementwise::{broadcast, expand};
use super::{Operator, axis, required};
use crate::attributes::Attributes;
use crate::error::OnnxError;
use crate::tensor::{Tensor, TensorData, element_count};

/// Product of a matrix (or a stack of rows) and a matrix.
#[derive(Debug)]
pub(crate) struct MatMul;

impl Operator for MatMul {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let (a, b) = (required(inputs, 0)?, required(inputs, 1)?);
        let (Some((depth, outer)), &[rows_b, columns]) = (a.shape().split_last(), b.shape()) else {
            return Err(OnnxError::unsupported(format!(
                "MatMul of shapes {:?} and {:?}",
                a.shape(),
                b.shape()
            )));
        };
        if *depth != rows_b {
            return Err(OnnxError::run(format!(
                "cannot multiply shapes {:?} and {:?}",
                a.shape(),
                b.shape()
            )));
        }
        let rows = outer.iter().product();
        let shape: Vec<usize> = outer.iter().copied().chain([columns]).collect();
        let data: TensorData = match (a.data(), b.data()) {
            (TensorData::Float(x), TensorData::Float(y)) => product(x, y, [rows, *depth, columns])?.into(),
            (TensorData::Double(x), TensorData::Double(y)) => product(x, y, [rows, *depth, columns])?.into(),
            _ => return Err(OnnxError::run("multiplies float with float or double with double")),
        };
        Ok(vec![Tensor::new(shape, data)?])
    }
}

/// `x` (rows × depth) times `y` (depth × columns), row-major.
fn product<T>(x: &[T], y: &[T], [rows, depth, columns]: [usize; 3]) -> Result<Vec<T>, OnnxError>
where
    T: Copy + Default + std::ops::Mul<Output = T> + std::ops::AddAssign,
{
    let count = element_count(&[rows, columns]).ok_or_else(|| OnnxError::run("the result is too large"))?;
    let mut result = vec![T::default(); count];
    if depth == 0 || columns == 0 {
        return Ok(result);
    }
    for (out, row) in result.chunks_exact_mut(columns).zip(x.chunks_exact(depth)) {
        for (factor, weights) in row.iter().zip(y.chunks_exact(columns)) {
            for (sum, weight) in out.iter_mut().zip(weights) {
                *sum += *factor * *weight;
            }
        }
    }
    Ok(result)
}

/// `alpha · A · B + beta · C`, A and B transposed if asked.
#[derive(Debug)]
pub(crate) struct Gemm {
    alpha: f32,
    beta: f32,
    transpose: [bool; 2],
}

impl Gemm {
    pub(crate) fn new(attributes: Attributes<'_>) -> Self {
        Self {
            alpha: attributes.float("alpha").unwrap_or(1.0),
            beta: attributes.float("beta").unwrap_or(1.0),
            transpose: [attributes.flag("transA", false), attributes.flag("transB", false)],
        }
    }
}

impl Operator for Gemm {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let [transpose_a, transpose_b] = self.transpose;
        let (a, rows, depth) = oriented(required(inputs, 0)?, transpose_a)?;
        let (b, depth_b, columns) = oriented(required(inputs, 1)?, transpose_b)?;
        if depth != depth_b {
            return Err(OnnxError::run(format!("cannot multiply {rows} × {depth} by {depth_b} × {columns}")));
        }
        let mut result = product(&a, &b, [rows, depth, columns])?;
        result.iter_mut().for_each(|value| *value *= self.alpha);
        let shape = vec![rows, columns];
        if let Some(c) = inputs.get(2).copied().flatten() {
            if broadcast(c.shape(), &shape)? != shape {
                return Err(OnnxError::run("its third input is larger than the product"));
            }
            let values = c.to_f32()?;
            for (value, added) in result.iter_mut().zip(expand(&values, c.shape(), &shape).iter()) {
                *value += self.beta * added;
            }
        }
        Ok(vec![Tensor::new(shape, result)?])
    }
}

fn oriented(tensor: &Tensor, transpose: bool) -> Result<(Vec<f32>, usize, usize), OnnxError> {
    let (TensorData::Float(values), &[rows, columns]) = (tensor.data(), tensor.shape()) else {
        return Err(OnnxError::run("multiplies matrices of floats"));
    };
    if !transpose {
        return Ok((values.clone(), rows, columns));
    }
    let turned = (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns).copied());
    Ok((turned.collect(), columns, rows))
}

/// Exponentials that sum to 1 along an axis.
#[derive(Debug)]
pub(crate) struct Softmax {
    axis: i64,
    /// Before operator set 13: over everything from the axis on.
    to_the_end: bool,
}

impl Softmax {
    pub(crate) fn new(attributes: Attributes<'_>, opset: i64) -> Self {
        let to_the_end = opset < 13;
        Self { axis: attributes.int("axis").unwrap_or(if to_the_end { 1 } else { -1 }), to_the_end }
    }
}

impl Operator for Softmax {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        let axis = axis(self.axis, input.shape().len())?;
        let inner: usize = input.shape().iter().skip(axis + 1).product();
        if inner != 1 && !self.to_the_end {
            return Err(OnnxError::unsupported("Softmax over a dimension that is not the last"));
        }
        let width: usize = input.shape().iter().skip(axis).product();
        let mut values = input.to_f32()?.into_owned();
        for row in values.chunks_exact_mut(width.max(1)) {
            softmax(row);
        }
        Ok(vec![Tensor::new(input.shape().to_vec(), values)?])
    }
}

/// In place, the largest subtracted first so that nothing overflows.
pub(crate) fn softmax(row: &mut [f32]) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.iter_mut().for_each(|value| *value = (*value - largest).exp());
    let sum: f32 = row.iter().sum();
    row.iter_mut().for_each(|value| *value /= sum);
}

/// Place of the largest along an axis, the first of equals.
#[derive(Debug)]
pub(crate) struct ArgMax {
    axis: i64,
    keep: bool,
    last: bool,
}

impl ArgMax {
    pub(crate) fn new(attributes: Attributes<'_>) -> Self {
        Self {
            axis: attributes.int("axis").unwrap_or(0),
            keep: attributes.flag("keepdims", true),
            last: attributes.flag("select_last_index", false),
        }
    }
}

impl Operator for ArgMax {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        let axis = axis(self.axis, input.shape().len())?;
        let values = input.to_f32()?;
        let largest = |lane: &[f32]| {
            let mut best = (0_usize, f32::NEG_INFINITY);
            for (place, value) in lane.iter().enumerate() {
                if *value > best.1 || (self.last && *value == best.1) {
                    best = (place, *value);
                }
            }
            best.0 as i64
        };
        let data = lanes(&values, input.shape(), axis).iter().map(|lane| largest(lane)).collect::<Vec<i64>>();
        Ok(vec![Tensor::new(reduced(input.shape(), &[axis], self.keep), data)?])
    }
}

/// Values along `axis`, one list for each place in the other dimensions.
fn lanes(values: &[f32], shape: &[usize], axis: usize) -> Vec<Vec<f32>> {
    let size = shape.get(axis).copied().unwrap_or(1);
    let inner: usize = shape.iter().skip(axis + 1).product();
    let mut lanes = Vec::new();
    for block in values.chunks((size * inner).max(1)) {
        lanes.extend((0..inner).map(|place| block.iter().skip(place).step_by(inner).copied().collect()));
    }
    lanes
}

fn reduced(shape: &[usize], axes: &[usize], keep: bool) -> Vec<usize> {
    let sizes = shape.iter().enumerate();
    match keep {
        true => sizes.map(|(place, size)| if axes.contains(&place) { 1 } else { *size }).collect(),
        false => sizes.filter(|(place, _)| !axes.contains(place)).map(|(_, size)| *size).collect(),
    }
}

/// Sums along axes, from an attribute (before operator set 13) or an input.
#[derive(Debug)]
pub(crate) struct ReduceSum {
    axes: Vec<i64>,
    keep: bool,
    none_means_none: bool,
}

impl ReduceSum {
    pub(crate) fn new(attributes: Attributes<'_>) -> Self {
        Self {
            axes: attributes.ints("axes").to_vec(),
            keep: attributes.flag("keepdims", true),
            none_means_none: attributes.flag("noop_with_empty_axes", false),
        }
    }
}

impl Operator for ReduceSum {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        let rank = input.shape().len();
        let given = match inputs.get(1).copied().flatten() {
            Some(tensor) => tensor.as_i64()?,
            None => self.axes.as_slice(),
        };
        let mut axes = given.iter().map(|value| axis(*value, rank)).collect::<Result<Vec<_>, _>>()?;
        if axes.is_empty() {
            if self.none_means_none {
                return Ok(vec![input.clone()]);
            }
            axes = (0..rank).collect();
        }
        let mut values = input.to_f32()?.into_owned();
        let mut shape = input.shape().to_vec();
        for axis in &axes {
            values = lanes(&values, &shape, *axis).iter().map(|lane| lane.iter().sum()).collect();
            shape = reduced(&shape, &[*axis], true);
        }
        Ok(vec![Tensor::new(reduced(&shape, &axes, self.keep), values)?])
    }
}
