//! Columns that the source does not have.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    UInt64Array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use serde_json::Value;

use super::{FILE_COLUMN, Facts};
use crate::error::CopyError;

/// Where the values come from.
#[derive(Debug)]
pub(super) enum Added {
    /// The same value in every row: an array of one.
    Constant(ArrayRef),
    /// The number of the row.
    Row,
    /// The column of the source that tells the file.
    File(usize),
}

impl Added {
    pub(super) fn new(
        name: &str,
        value: &Value,
        source: &SchemaRef,
        facts: &Facts,
    ) -> Result<Self, CopyError> {
        Ok(match value {
            Value::String(word) if word.starts_with('$') => match word.as_str() {
                "$row" => Self::Row,
                "$run" => Self::Constant(Arc::new(StringArray::from(vec![facts.run_id.as_str()]))),
                "$loaded_at" => {
                    let began = facts.began.as_microsecond();
                    Self::Constant(Arc::new(
                        TimestampMicrosecondArray::from(vec![began]).with_timezone("UTC"),
                    ))
                }
                "$file" => {
                    let found = source.index_of(FILE_COLUMN).map_err(|_| {
                        CopyError::config(
                            format!(
                                "the column `{name}` is to tell the file, but the source is none of files"
                            ),
                            format!("leave `{name}` out of `add`"),
                        )
                    })?;
                    Self::File(found)
                }
                other => {
                    return Err(CopyError::config(
                        format!("`{other}` of the column `{name}` is not known"),
                        "add: {file: $file, row: $row, run: $run, at: $loaded_at}",
                    ));
                }
            },
            Value::String(text) => Self::Constant(Arc::new(StringArray::from(vec![text.as_str()]))),
            Value::Bool(value) => Self::Constant(Arc::new(BooleanArray::from(vec![*value]))),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Self::Constant(Arc::new(Int64Array::from(vec![integer]))),
                (None, real) => Self::Constant(Arc::new(Float64Array::from(vec![real]))),
            },
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(CopyError::config(
                    format!("the value of the added column `{name}` is none for a cell"),
                    format!("add: {{{name}: \"a text, a number, true or false\"}}"),
                ));
            }
        })
    }

    pub(super) fn data_type(&self) -> &DataType {
        const INTEGER: &DataType = &DataType::Int64;
        const TEXT: &DataType = &DataType::Utf8;
        match self {
            Self::Constant(array) => array.data_type(),
            Self::Row => INTEGER,
            Self::File(_) => TEXT,
        }
    }

    /// The column for a batch; `before` rows came before it.
    pub(super) fn array(&self, batch: &RecordBatch, before: u64) -> Result<ArrayRef, ArrowError> {
        let rows = batch.num_rows();
        Ok(match self {
            Self::Constant(value) => take(value, &UInt64Array::from(vec![0; rows]), None)?,
            Self::Row => {
                let first = i64::try_from(before).unwrap_or(i64::MAX).saturating_add(1);
                Arc::new(Int64Array::from_iter_values((first..).take(rows)))
            }
            Self::File(index) => batch.column(*index).clone(),
        })
    }
}
