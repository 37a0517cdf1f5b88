//! What happens to rows between source and sink.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use futures::StreamExt as _;
use indexmap::IndexMap;
use millrace_contract::{BatchStream, QueryError, StepContext};

use crate::error::CopyError;
use crate::meter::Meter;

/// Gives columns other names.
pub(crate) fn renamed(rows: BatchStream, names: &IndexMap<String, String>) -> Result<BatchStream, CopyError> {
    if names.is_empty() {
        return Ok(rows);
    }
    if let Some(unknown) = names.keys().find(|name| rows.schema.field_with_name(name).is_err()) {
        let known: Vec<&str> = rows.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let hint = format!("the columns are: {}", known.join(", "));
        return Err(CopyError::config(format!("there is no column `{unknown}` to rename"), hint));
    }
    let rename = |field: &arrow::datatypes::FieldRef| -> Field {
        let field = field.as_ref().clone();
        match names.get(field.name()) {
            Some(name) => field.with_name(name),
            None => field,
        }
    };
    let schema = Arc::new(Schema::new(rows.schema.fields().iter().map(rename).collect::<Vec<_>>()));
    let new_schema = schema.clone();
    let batches = rows.batches.map(move |batch| {
        let (_, columns, _) = batch?.into_parts();
        RecordBatch::try_new(new_schema.clone(), columns)
            .map_err(|error| QueryError::Source { message: error.to_string() })
    });
    Ok(BatchStream { schema, batches: Box::pin(batches) })
}

/// Reports rows and bytes as they pass, and ends with an error when the step is cancelled.
pub(crate) fn watched(rows: BatchStream, meter: &Arc<Meter>, context: &StepContext) -> BatchStream {
    let (cancel, progress, meter) = (context.cancel.clone(), context.progress.clone(), meter.clone());
    let schema = rows.schema.clone();
    let batches = futures::stream::unfold(Some(rows.batches), move |batches| {
        let (cancel, progress, meter) = (cancel.clone(), progress.clone(), meter.clone());
        async move {
            let mut batches = batches?;
            let next = tokio::select! {
                biased;
                () = cancel.cancelled() => return Some((Err(QueryError::Cancelled), None)),
                next = batches.next() => next?,
            };
            if let Ok(batch) = &next {
                meter.rows(batch.num_rows() as u64);
                progress.report(meter.progress());
            }
            Some((next, Some(batches)))
        }
    });
    BatchStream { schema, batches: Box::pin(batches) }
}
