//! Nested values as JSON texts.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, StringArray};
use arrow::datatypes::{Field, Schema};
use arrow::json::writer::{LineDelimited, WriterBuilder};
use arrow::record_batch::RecordBatch;

/// Each value as JSON.
pub(super) fn texts(array: &ArrayRef) -> Result<StringArray, String> {
    let schema = Arc::new(Schema::new(vec![Field::new("v", array.data_type().clone(), true)]));
    let batch = RecordBatch::try_new(schema, vec![array.clone()]).map_err(|error| error.to_string())?;
    let mut writer =
        WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::<u8>::new());
    writer.write(&batch).and_then(|()| writer.finish()).map_err(|error| error.to_string())?;
    let lines = String::from_utf8(writer.into_inner()).map_err(|error| error.to_string())?;
    let value = |(row, line): (usize, &str)| {
        let text = line.strip_prefix("{\"v\":").and_then(|rest| rest.strip_suffix('}'));
        if array.is_null(row) { None } else { text.map(str::to_owned) }
    };
    Ok(lines.lines().enumerate().map(value).collect())
}
