use super::{Operator, required};
use crate::attributes::Attributes;
use crate::error::OnnxError;
use crate::tensor::{Tensor, TensorData, element_count};

/// Puts values in the place of missing ones.
#[derive(Debug)]
pub(crate) struct Imputer {
    floats: Vec<f32>,
    ints: Vec<i64>,
    missing_float: f32,
    missing_int: i64,
}

impl Imputer {
    pub(crate) fn new(attributes: Attributes<'_>) -> Result<Self, OnnxError> {
        Ok(Self {
            floats: attributes.floats("imputed_value_floats")?,
            ints: attributes.ints("imputed_value_int64s").to_vec(),
            missing_float: attributes.float("replaced_value_float").unwrap_or(0.0),
            missing_int: attributes.int("replaced_value_int64").unwrap_or(0),
        })
    }
}

impl Operator for Imputer {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        let (_, columns) = input.rows_and_columns();
        let data: TensorData = match input.data() {
            TensorData::Float(values) => {
                let missing =
                    |x: &f32| *x == self.missing_float || (x.is_nan() && self.missing_float.is_nan());
                fill(values, &self.floats, columns, missing)?.into()
            }
            TensorData::Int64(values) => {
                fill(values, &self.ints, columns, |x| *x == self.missing_int)?.into()
            }
            other => return Err(OnnxError::run(format!("does not take {}", other.element_type()))),
        };
        Ok(vec![Tensor::new(input.shape().to_vec(), data)?])
    }
}

fn fill<T: Copy>(
    values: &[T],
    fills: &[T],
    columns: usize,
    missing: impl Fn(&T) -> bool,
) -> Result<Vec<T>, OnnxError> {
    check_width(fills.len(), columns)?;
    let filled = values.iter().zip(fills.iter().cycle());
    Ok(filled.map(|(value, fill)| if missing(value) { *fill } else { *value }).collect())
}

/// One value for every column, or one for all.
fn check_width(given: usize, columns: usize) -> Result<(), OnnxError> {
    if given == 1 || given == columns {
        return Ok(());
    }
    Err(OnnxError::run(format!("has {given} values for {columns} columns")))
}

/// `(x - offset) · scale`, column by column.
#[derive(Debug)]
pub(crate) struct Scaler {
    offset: Vec<f32>,
    scale: Vec<f32>,
}

impl Scaler {
    pub(crate) fn new(attributes: Attributes<'_>) -> Result<Self, OnnxError> {
        let filled = |values: Vec<f32>, default| if values.is_empty() { vec![default] } else { values };
        Ok(Self {
            offset: filled(attributes.floats("offset")?, 0.0),
            scale: filled(attributes.floats("scale")?, 1.0),
        })
    }
}

impl Operator for Scaler {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        let (_, columns) = input.rows_and_columns();
        check_width(self.offset.len(), columns)?;
        check_width(self.scale.len(), columns)?;
        let values = input.to_f32()?;
        let factors = self.offset.iter().cycle().zip(self.scale.iter().cycle());
        let scaled = values.iter().zip(factors).map(|(x, (offset, scale))| (x - offset) * scale);
        Ok(vec![Tensor::new(input.shape().to_vec(), scaled.collect::<Vec<f32>>())?])
    }
}

/// Divides every row by its norm.
#[derive(Debug)]
pub(crate) struct Normalizer(fn(&[f32]) -> f32);

impl Normalizer {
    pub(crate) fn new(attributes: Attributes<'_>) -> Result<Self, OnnxError> {
        Ok(Self(match attributes.string("norm")?.as_deref() {
            None | Some("MAX") => |row| row.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            Some("L1") => |row| row.iter().map(|x| x.abs()).sum(),
            Some("L2") => |row| row.iter().map(|x| x * x).sum::<f32>().sqrt(),
            Some(other) => return Err(OnnxError::unsupported(format!("Normalizer with norm {other}"))),
        }))
    }
}

impl Operator for Normalizer {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        let (_, columns) = input.rows_and_columns();
        let mut values = input.to_f32()?.into_owned();
        for row in values.chunks_exact_mut(columns.max(1)) {
            let norm = (self.0)(row);
            if norm != 0.0 {
                row.iter_mut().for_each(|x| *x /= norm);
            }
        }
        Ok(vec![Tensor::new(input.shape().to_vec(), values)?])
    }
}

/// Picks columns by number.
#[derive(Debug)]
pub(crate) struct ArrayFeatureExtractor;

impl Operator for ArrayFeatureExtractor {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let (input, wanted) = (required(inputs, 0)?, required(inputs, 1)?.as_i64()?);
        let outer = input.shape().split_last().map_or(&[][..], |(_, outer)| outer);
        let columns = input.shape().last().copied().unwrap_or(1);
        let places = wanted.iter().map(|place| usize::try_from(*place).ok().filter(|place| *place < columns));
        let places = places.collect::<Option<Vec<_>>>();
        let places = places.ok_or_else(|| OnnxError::run(format!("picks a column beyond {columns}")))?;
        let mut shape = if outer.is_empty() { vec![1] } else { outer.to_vec() };
        shape.push(places.len());
        element_count(&shape).ok_or_else(|| OnnxError::run("the result is too large"))?;
        macro_rules! pick {
            ($values:expr) => {{
                let rows = $values.chunks_exact(columns.max(1));
                rows.flat_map(|row| places.iter().filter_map(|place| row.get(*place).cloned()))
                    .collect::<Vec<_>>()
                    .into()
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

/// Puts columns beside one another as floats.
#[derive(Debug)]
pub(crate) struct FeatureVectorizer {
    widths: Vec<usize>,
}

impl FeatureVectorizer {
    pub(crate) fn new(attributes: Attributes<'_>) -> Result<Self, OnnxError> {
        let widths = attributes.ints("inputdimensions").iter();
        let widths = widths.map(|width| usize::try_from(*width).ok()).collect::<Option<Vec<_>>>();
        Ok(Self { widths: widths.ok_or_else(|| OnnxError::run("an input cannot have a negative width"))? })
    }
}

impl Operator for FeatureVectorizer {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let (rows, _) = required(inputs, 0)?.rows_and_columns();
        let total = self.widths.iter().try_fold(0_usize, |sum, width| sum.checked_add(*width));
        let total = total.filter(|total| element_count(&[rows, *total]).is_some());
        let total = total.ok_or_else(|| OnnxError::run("the result is too large"))?;
        let mut parts = Vec::with_capacity(self.widths.len());
        for (place, width) in self.widths.iter().enumerate() {
            let input = required(inputs, place)?;
            let (input_rows, columns) = input.rows_and_columns();
            if input_rows != rows {
                return Err(OnnxError::run("its inputs have different numbers of rows"));
            }
            parts.push((input.to_f32()?, columns, *width));
        }
        let mut values = Vec::with_capacity(rows * total);
        for row in 0..rows {
            for (part, columns, width) in &parts {
                let cells = part.iter().skip(row * columns).take(*columns).copied();
                values.extend(cells.chain(std::iter::repeat(0.0)).take(*width));
            }
        }
        Ok(vec![Tensor::new(vec![rows, total], values)?])
    }
}
