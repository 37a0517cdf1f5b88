//! Columns that the source does not have.

use std::sync::{Arc, PoisonError};

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray, UInt64Array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use serde_json::Value;

use super::{FILE_COLUMN, Facts};
use crate::error::CopyError;
use crate::source::Modified;

/// Where the values come from.
#[derive(Debug)]
pub(super) enum Added {
    /// The same value in every row: an array of one.
    Constant(ArrayRef),
    /// The number of the row.
    Row,
    /// The column of the source that tells the file.
    File(usize),
    /// The same column, and when the files changed.
    Modified(usize, Modified),
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
                "$file" | "$modified" => {
                    let found = source.index_of(FILE_COLUMN).map_err(|_| {
                        CopyError::config(
                            format!(
                                "the column `{name}` is to tell the file, but the source is none of files"
                            ),
                            format!("leave `{name}` out of `add`"),
                        )
                    })?;
                    match word.as_str() {
                        "$file" => Self::File(found),
                        _ => Self::Modified(found, facts.modified.clone()),
                    }
                }
                other => {
                    return Err(CopyError::config(
                        format!("`{other}` of the column `{name}` is not known"),
                        "add: {file: $file, changed: $modified, row: $row, run: $run, at: $loaded_at}",
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

    pub(super) fn data_type(&self) -> DataType {
        match self {
            Self::Constant(array) => array.data_type().clone(),
            Self::Row => DataType::Int64,
            Self::File(_) => DataType::Utf8,
            Self::Modified(..) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
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
            Self::Modified(index, modified) => {
                let times = modified.lock().unwrap_or_else(PoisonError::into_inner);
                let files = batch.column(*index).as_string_opt::<i32>();
                let at = files.into_iter().flatten().map(|file| times.get(file?).copied());
                Arc::new(at.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
        })
    }
}
