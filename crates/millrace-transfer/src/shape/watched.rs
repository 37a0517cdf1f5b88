//! Rows as they pass: counted, slowed down, summed up, and stopped when the step is cancelled.

use std::num::NonZeroU64;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use futures::StreamExt as _;
use millrace_contract::{BatchStream, QueryError, StepContext};

use crate::error::CopyError;
use crate::meter::Meter;
use crate::source::Outcome;
use crate::verification::Passing;

/// What is done with rows that pass.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) outcome: Outcome,
    /// Rows to stop after.
    pub(crate) limit: Option<u64>,
    pub(crate) max_bytes_per_s: Option<NonZeroU64>,
    /// Sums them up.
    pub(crate) passing: Option<Passing>,
}

impl Watch {
    /// As many of the rows as are still wanted; `None` if none are.
    fn wanted(&self, batch: RecordBatch) -> Option<RecordBatch> {
        let Some(limit) = self.limit else { return Some(batch) };
        let left = limit.saturating_sub(self.outcome.meter.passed());
        let rows = usize::try_from(left).unwrap_or(usize::MAX).min(batch.num_rows());
        (rows > 0).then(|| batch.slice(0, rows))
    }

    /// Before the sink gets a batch.
    async fn pass(&self, batch: &RecordBatch, context: &StepContext) -> Result<(), CopyError> {
        let meter: &Arc<Meter> = &self.outcome.meter;
        meter.rows(batch.num_rows() as u64);
        context.progress.report(meter.progress());
        if let Some(passing) = &self.passing {
            passing.add(batch).map_err(|error| CopyError::read("the source", &error))?;
        }
        if let Some(limit) = self.max_bytes_per_s {
            tokio::time::sleep(meter.ahead_of(limit)).await;
        }
        Ok(())
    }

    /// After the last batch, before the sink knows that it was the last.
    async fn end(&self) -> Result<(), CopyError> {
        self.outcome.end().await
    }
}

/// Rows that are watched. They end with an error when the step is cancelled, or when too large a share of them was rejected.
pub(crate) fn watched(rows: BatchStream, watch: Watch, context: &StepContext) -> BatchStream {
    let schema = rows.schema.clone();
    let context = context.clone();
    let batches = futures::stream::unfold(Some(rows.batches), move |batches| {
        let (watch, context) = (watch.clone(), context.clone());
        async move {
            let mut batches = batches?;
            let passed = tokio::select! {
                biased;
                () = context.cancel.cancelled() => return Some((Err(QueryError::Cancelled), None)),
                next = async {
                    match batches.next().await {
                        Some(Ok(batch)) => match watch.wanted(batch) {
                            Some(batch) => watch.pass(&batch, &context).await.map(|()| Some(Ok(batch))),
                            None => watch.end().await.map(|()| None),
                        },
                        Some(Err(error)) => Ok(Some(Err(error))),
                        None => watch.end().await.map(|()| None),
                    }
                } => next,
            };
            match passed {
                Ok(Some(next)) => Some((next, Some(batches))),
                Ok(None) => None,
                Err(error) => Some((Err(watch.outcome.fail(error)), None)),
            }
        }
    });
    BatchStream { schema, batches: Box::pin(batches) }
}
