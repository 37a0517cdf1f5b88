//! Columns of rows, found by name, as the tensors a graph wants.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type};
use arrow::record_batch::RecordBatch;
use millrace_contract::{ModelError, ModelSignature};
use millrace_onnx::{ElementType, Session, Tensor, TensorData};

use super::graph::width;

/// How rows become the inputs of a graph.
#[derive(Debug)]
pub(crate) enum InputPlan {
    /// One input a column: number of the column in the signature, the input's name, its type, whether it is a vector.
    Columns(Vec<(usize, String, ElementType, bool)>),
    /// All columns side by side in one input: its name, its type.
    Matrix(String, ElementType),
}

impl InputPlan {
    /// Finds out how the signature's columns fit the graph's inputs.
    ///
    /// # Errors
    /// In words, if they do not.
    pub(crate) fn new(session: &Session, signature: &ModelSignature) -> Result<Self, String> {
        let docs: Vec<_> = session.inputs().collect();
        if let [doc] = docs.as_slice() {
            let element = doc.element.ok_or_else(|| format!("its input `{}` is not a tensor", doc.name))?;
            let columns = signature.inputs.len();
            let named = signature.inputs.iter().any(|column| column.name == doc.name);
            if width(doc).is_none_or(|width| width == columns) && (columns > 1 || !named) {
                return Ok(Self::Matrix(doc.name.clone(), element));
            }
            if !named {
                return Err(format!(
                    "its signature has {columns} columns and its input `{}` {}",
                    doc.name,
                    width(doc).unwrap_or_default()
                ));
            }
        }
        let mut plan = Vec::with_capacity(docs.len());
        for doc in docs {
            let at = signature.inputs.iter().position(|column| column.name == doc.name);
            let at = at.ok_or_else(|| {
                format!("its signature lacks the column `{}` that its graph wants", doc.name)
            })?;
            let element = doc.element.ok_or_else(|| format!("its input `{}` is not a tensor", doc.name))?;
            plan.push((at, doc.name.clone(), element, doc.shape.len() == 1));
        }
        Ok(Self::Columns(plan))
    }

    /// The tensors for `rows`.
    ///
    /// # Errors
    /// [`ModelError::Input`] with the column's name.
    pub(crate) fn tensors(
        &self,
        signature: &ModelSignature,
        rows: &RecordBatch,
    ) -> Result<Vec<(String, Tensor)>, ModelError> {
        let count = rows.num_rows();
        match self {
            Self::Columns(plan) => plan
                .iter()
                .map(|(at, input, element, vector)| {
                    let column = signature.inputs.get(*at);
                    let (name, required) =
                        column.map_or(("", true), |column| (&column.name, column.required));
                    let data = column_data(rows, name, required, *element)?;
                    Ok((input.clone(), if *vector { Tensor::vector(data) } else { Tensor::column(data) }))
                })
                .collect(),
            Self::Matrix(input, element) => {
                let mut columns = Vec::with_capacity(signature.inputs.len());
                for column in &signature.inputs {
                    columns.push(column_data(rows, &column.name, column.required, *element)?);
                }
                let shape = vec![count, columns.len()];
                let tensor = Tensor::new(shape, side_by_side(&columns, *element, count));
                let tensor = tensor.map_err(|error| ModelError::Run { message: error.to_string() })?;
                Ok(vec![(input.clone(), tensor)])
            }
        }
    }
}

/// Row-major elements of columns of one type.
fn side_by_side(columns: &[TensorData], element: ElementType, rows: usize) -> TensorData {
    macro_rules! weave {
        ($variant:ident) => {{
            let slices: Vec<_> = columns
                .iter()
                .filter_map(|column| match column {
                    TensorData::$variant(values) => Some(values.as_slice()),
                    _ => None,
                })
                .collect();
            let mut all = Vec::with_capacity(rows * slices.len());
            for row in 0..rows {
                all.extend(slices.iter().filter_map(|column| column.get(row).cloned()));
            }
            TensorData::$variant(all)
        }};
    }
    match element {
        ElementType::Float => weave!(Float),
        ElementType::Double => weave!(Double),
        ElementType::Int64 => weave!(Int64),
        ElementType::Bool => weave!(Bool),
        ElementType::String => weave!(String),
    }
}

fn column_data(
    rows: &RecordBatch,
    name: &str,
    required: bool,
    element: ElementType,
) -> Result<TensorData, ModelError> {
    let Some(column) = rows.column_by_name(name) else {
        if required {
            return Err(ModelError::Input { message: format!("the column `{name}` is missing") });
        }
        return absent(name, element, rows.num_rows());
    };
    let wrong = || ModelError::Input {
        message: format!("the column `{name}` is {}, which is not {element}", type_name(column.data_type())),
    };
    let no_nulls = |array: &dyn Array| match array.null_count() {
        0 => Ok(()),
        _ => Err(ModelError::Input {
            message: format!("the column `{name}` has nulls, which {element} cannot be"),
        }),
    };
    let kind = column.data_type();
    Ok(match element {
        ElementType::Float | ElementType::Double if is_number(kind) => {
            numbers(column, element).ok_or_else(wrong)?
        }
        ElementType::Int64 if kind.is_integer() || *kind == DataType::Boolean => {
            no_nulls(column)?;
            let cast = cast(column, &DataType::Int64).ok_or_else(wrong)?;
            TensorData::Int64(cast.as_primitive::<Int64Type>().values().to_vec())
        }
        ElementType::Bool if *kind == DataType::Boolean => {
            no_nulls(column)?;
            TensorData::Bool(column.as_boolean().values().iter().collect())
        }
        ElementType::String if is_text(kind) => {
            let cast = cast(column, &DataType::Utf8).ok_or_else(wrong)?;
            let texts = cast.as_string::<i32>();
            TensorData::String(texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect())
        }
        // A column without a single value has no type of its own.
        _ if *kind == DataType::Null => absent(name, element, rows.num_rows())?,
        _ => return Err(wrong()),
    })
}

/// Not-a-number for numbers and nothing for text: what imputers and encoders take for a missing value.
fn absent(name: &str, element: ElementType, rows: usize) -> Result<TensorData, ModelError> {
    match element {
        ElementType::Float => Ok(TensorData::Float(vec![f32::NAN; rows])),
        ElementType::Double => Ok(TensorData::Double(vec![f64::NAN; rows])),
        ElementType::String => Ok(TensorData::String(vec![String::new(); rows])),
        _ => Err(ModelError::Input {
            message: format!("the column `{name}` has nulls, which {element} cannot be"),
        }),
    }
}

fn numbers(column: &ArrayRef, element: ElementType) -> Option<TensorData> {
    let cast = cast(column, &DataType::Float64);
    let cast = match (column.data_type(), element) {
        (DataType::Float32, ElementType::Float) => {
            let values = column.as_primitive::<Float32Type>();
            return Some(TensorData::Float(values.iter().map(|v| v.unwrap_or(f32::NAN)).collect()));
        }
        _ => cast?,
    };
    let values = cast.as_primitive::<Float64Type>().iter().map(|value| value.unwrap_or(f64::NAN));
    Some(match element {
        ElementType::Float => TensorData::Float(values.map(|value| value as f32).collect()),
        _ => TensorData::Double(values.collect()),
    })
}

fn cast(column: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    if column.data_type() == to { Some(column.clone()) } else { arrow::compute::cast(column, to).ok() }
}

fn is_number(kind: &DataType) -> bool {
    kind.is_numeric() || *kind == DataType::Boolean
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn type_name(kind: &DataType) -> String {
    match kind {
        kind if is_text(kind) => "string".to_owned(),
        kind => kind.to_string().to_lowercase(),
    }
}
