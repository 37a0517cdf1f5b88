//! Structs and lists as JSON text, for formats that have rows of plain cells.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, make_encoder};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

/// Rows with texts where there are columns with an inner structure.
pub(super) struct AsText {
    schema: SchemaRef,
    any: bool,
}

impl AsText {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let field = |field: &FieldRef| match field.data_type().is_nested() {
            true => Arc::new(Field::new(field.name(), DataType::Utf8, true)),
            false => field.clone(),
        };
        let any = schema.fields().iter().any(|field| field.data_type().is_nested());
        Self { schema: Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>())), any }
    }

    /// The columns as they are after [`Self::of`].
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn of(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        if !self.any {
            return Ok(batch.clone());
        }
        let schema = batch.schema();
        let column = |(field, column): (&FieldRef, &ArrayRef)| match field.data_type().is_nested() {
            true => texts(field, column),
            false => Ok(column.clone()),
        };
        let columns = schema.fields().iter().zip(batch.columns()).map(column).collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
    }
}

fn texts(field: &FieldRef, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let mut encoder = make_encoder(field, column.as_ref(), &options)?;
    let mut texts = StringBuilder::with_capacity(column.len(), column.len() * 16);
    let mut scratch = Vec::new();
    for row in 0..column.len() {
        if column.is_null(row) {
            texts.append_null();
            continue;
        }
        scratch.clear();
        encoder.encode(row, &mut scratch);
        let text = std::str::from_utf8(&scratch).map_err(|error| ArrowError::JsonError(error.to_string()))?;
        texts.append_value(text);
    }
    Ok(Arc::new(texts.finish()))
}
