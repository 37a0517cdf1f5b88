//! Rows of sources that cannot be asked for less: those that a condition does not hold for are left out as they come.

use arrow::array::AsArray as _;
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use futures::StreamExt as _;
use millrace_contract::{BatchStream, QueryEngine, QueryError};

use super::convert::word;
use crate::config::Condition;
use crate::error::CopyError;
use crate::source::Outcome;

/// The rows that the condition holds for; it is one expression in the engine's SQL over the source's columns.
///
/// # Errors
/// If it is none, or no condition.
pub(crate) async fn filtered(
    rows: BatchStream,
    condition: &Condition,
    engine: &dyn QueryEngine,
    outcome: &Outcome,
) -> Result<BatchStream, CopyError> {
    let (text, values) = match condition {
        Condition::Text(text) => (text, [].as_slice()),
        Condition::Bound { text, params } => (text, params.as_slice()),
    };
    let example = "where: price > 10 and city = 'Bern'";
    let prepared = engine.expressions(rows.schema.clone(), std::slice::from_ref(text), values).await;
    let prepared = prepared.map_err(|error| CopyError::config(format!("`where`: {error}"), example))?;
    if let Some(kind) = prepared.data_types().first().filter(|kind| **kind != DataType::Boolean) {
        let message = format!("`where` is to be true or false and not {}", word(kind));
        return Err(CopyError::config(message, example));
    }
    let (schema, outcome) = (rows.schema.clone(), outcome.clone());
    let batches = rows.batches.map(move |batch| {
        let batch = batch?;
        let values = prepared.evaluate(&batch)?;
        let Some(holds) = values.first().and_then(|values| values.as_boolean_opt()) else {
            return Err(QueryError::Run { message: "the condition has no values".to_owned() });
        };
        let kept = filter_record_batch(&batch, holds);
        kept.map_err(|error| outcome.fail(CopyError::read("the source", &error)))
    });
    Ok(BatchStream { schema, batches: Box::pin(batches) })
}
