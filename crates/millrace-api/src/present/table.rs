//! Rows of tables as JSON.

use std::time::Instant;

use arrow::array::{Array as _, RecordBatch};
use arrow::datatypes::DataType;
use arrow::json::WriterBuilder;
use arrow::json::writer::JsonArray;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::StreamExt as _;
use millrace_contract::BatchStream;
use serde_json::Value;

use crate::error::ApiError;
use crate::views::datasets::{FieldView, TablePreview};
use crate::views::json::Json;

/// The first `limit` rows of a stream that gives at most one more.
pub(crate) async fn preview(stream: BatchStream, limit: usize) -> Result<TablePreview, ApiError> {
    let began = Instant::now();
    let field = |field: &std::sync::Arc<arrow::datatypes::Field>| FieldView {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
        nullable: field.is_nullable(),
    };
    let columns = stream.schema.fields().iter().map(field).collect();
    let mut batches = stream.batches;
    let mut rows = Vec::new();
    while rows.len() <= limit
        && let Some(batch) = batches.next().await
    {
        append(&mut rows, &batch?)?;
    }
    let truncated = rows.len() > limit;
    rows.truncate(limit);
    let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(TablePreview { columns, rows, truncated, elapsed_ms })
}

fn append(rows: &mut Vec<Vec<Json>>, batch: &RecordBatch) -> Result<(), ApiError> {
    let mut columns = Vec::with_capacity(batch.num_columns());
    for column in batch.columns() {
        columns.push(values(column)?);
    }
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    for _ in 0..batch.num_rows() {
        rows.push(columns.iter_mut().map(|column| Json(column.next().unwrap_or_default())).collect());
    }
    Ok(())
}

/// A column as JSON: numbers, booleans and nested values as such, everything else as text; a number that JSON lacks is its word.
fn values(column: &arrow::array::ArrayRef) -> Result<Vec<Value>, ApiError> {
    let failed = |error: arrow::error::ArrowError| ApiError::internal(&error);
    let kind = column.data_type();
    if kind.is_nested() {
        let schema =
            arrow::datatypes::Schema::new(vec![arrow::datatypes::Field::new("v", kind.clone(), true)]);
        let batch = RecordBatch::try_new(std::sync::Arc::new(schema), vec![std::sync::Arc::clone(column)])
            .map_err(failed)?;
        let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(Vec::new());
        writer.write(&batch).and_then(|()| writer.finish()).map_err(failed)?;
        let rows: Vec<serde_json::Map<String, Value>> = serde_json::from_slice(&writer.into_inner())?;
        return Ok(rows.into_iter().map(|mut row| row.remove("v").unwrap_or_default()).collect());
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(column.as_ref(), &options).map_err(failed)?;
    let bare = matches!(kind, DataType::Boolean) || kind.is_integer() || kind.is_floating();
    let value = |index: usize| {
        if column.is_null(index) {
            return Value::Null;
        }
        let text = formatter.value(index).to_string();
        if bare { serde_json::from_str(&text).unwrap_or(Value::String(text)) } else { Value::String(text) }
    };
    Ok((0..column.len()).map(value).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};

    use super::*;

    #[tokio::test]
    async fn rows_keep_their_types_and_their_order() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("n", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]))),
            ("x", Arc::new(Float64Array::from(vec![0.5, f64::NAN, 2.0]))),
            ("ok", Arc::new(BooleanArray::from(vec![true, false, true]))),
            ("s", Arc::new(StringArray::from(vec!["a", "1", "c"]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let found = preview(BatchStream::from_batches(batch.schema(), vec![batch]), 2).await.unwrap();
        assert!(found.truncated);
        insta::assert_snapshot!(serde_json::to_string(&found.rows).unwrap(), @r#"[[1,0.5,true,"a"],[null,"NaN",false,"1"]]"#);
    }
}
