//! What is asked of systems that take SQL and give batches of rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::needless::{FORMAT, RECORDS, REQUEST, refuse};
use crate::source::{Job, Piece, Reader};

/// The query that a stream is: one in brackets, or everything of a table.
///
/// # Errors
/// If the name is none that every dialect takes as it is.
pub(super) fn query_of(stream: &str) -> Result<String, CopyError> {
    let stream = stream.trim();
    if let Some(query) = stream.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return Ok(query.trim().to_owned());
    }
    let part = |part: &str| {
        !part.is_empty()
            && part.chars().all(|sign| sign.is_alphanumeric() || sign == '_')
            && !part.starts_with(|sign: char| sign.is_numeric())
    };
    if stream.split('.').all(part) {
        return Ok(format!("select * from {stream}"));
    }
    // How a name is quoted, each system says for itself.
    let message = format!("`{stream}` is no plain name of a table");
    Err(CopyError::config(message, "write the query: `from: 'lake:(select * from \"odd name\")'`"))
}

/// Whether a table is named that can be written.
pub(super) fn check_table(table: &str) -> Result<(), CopyError> {
    if table.trim_start().starts_with('(') {
        return Err(CopyError::config("a query cannot be written", "to: \"erp:sales.orders\""));
    }
    query_of(table).map(drop)
}

/// What of a step says nothing to such a system.
pub(super) fn check(stream: &str, config: &CopyConfig) -> Result<(), CopyError> {
    let hint = "write the query: `from: \"lake:(select …)\"`";
    refuse(config, &[REQUEST, RECORDS, FORMAT], "a system that answers queries", hint)?;
    query_of(stream).map(drop)
}

/// Gives the next batch; it may wait for it.
pub(super) type Next = Box<dyn FnMut() -> Result<Option<RecordBatch>, CopyError> + Send>;

/// Batches that come from elsewhere.
pub(super) struct Given {
    what: String,
    schema: SchemaRef,
    next: Next,
}

impl Given {
    /// `schema` may have notes of the system's own, which the rows do not get.
    pub(super) fn new(what: String, schema: &Schema, next: Next) -> Self {
        Self { what, schema: Arc::new(Schema::new(plain(schema.fields()))), next }
    }
}

fn plain(fields: &Fields) -> Fields {
    let without = |field: &FieldRef| {
        let field = field.as_ref().clone();
        // Some systems tell words of a dictionary and send the values themselves.
        let kind = match field.data_type() {
            DataType::Dictionary(_, value) => value.as_ref().clone(),
            other => other.clone(),
        };
        Arc::new(field.with_data_type(kind).with_metadata(HashMap::new()))
    };
    fields.iter().map(without).collect()
}

impl Reader for Given {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next(&mut self) -> Result<Option<Job>, CopyError> {
        let Some(batch) = (self.next)()? else { return Ok(None) };
        let (schema, what) = (self.schema.clone(), self.what.clone());
        Ok(Some(Box::new(move |emit| {
            let bytes = batch.get_array_memory_size() as u64;
            let batches = vec![cast_to(&batch, &schema).map_err(|error| CopyError::read(&what, &error))?];
            emit(Piece { batches, bytes, ..Piece::default() })
        })))
    }
}

/// The rows in columns of these types, by their places.
///
/// # Errors
/// If a value has no place in its column's type.
pub(super) fn cast_to(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, String> {
    let casting = CastOptions { safe: false, ..CastOptions::default() };
    let cast = |(column, field): (&ArrayRef, &FieldRef)| {
        let named = |error: ArrowError| format!("column `{}`: {error}", field.name());
        cast_with_options(column, field.data_type(), &casting).map_err(named)
    };
    let columns = batch.columns().iter().zip(schema.fields()).map(cast).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_queries() {
        let check = |stream: &str, expected: Option<&str>| {
            assert_eq!(query_of(stream).ok().as_deref(), expected, "{stream}");
        };
        check("public.orders", Some("select * from public.orders"));
        check(" (select 1 as n) ", Some("select 1 as n"));
        check("orders; drop table x", None);
        check("odd name", None);
        check("", None);
    }
}
