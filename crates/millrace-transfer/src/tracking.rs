//! Sources that note which of their rows changed. Each has a number that grows with its changes: a version, a place in a log.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt as _;
use millrace_contract::{BatchStream, ChangedBetween, RowChange};

use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::source::Outcome;

/// A table whose changes are noted.
#[async_trait]
pub(crate) trait Tracked: Send + Sync {
    /// Up to where its changes go now, or, the first time, from where on they will be known: no row that is read afterwards lacks a change before it.
    /// `since`: up to where they were read; those after it have to be known still.
    async fn now(&self, since: Option<u64>) -> Result<u64, CopyError>;

    /// Every row as it was at `until`; `None` if the table is read as it is at any other time.
    async fn whole(&self, _until: u64) -> Result<Option<BatchStream>, CopyError> {
        Ok(None)
    }

    /// The rows that changed after `since` and up to `until`, and behind their columns [`Tracking::op`]. A row that changed several times may come once, as it is
    /// by now. Asked again, the same rows come.
    async fn changes(&self, between: ChangedBetween) -> Result<BatchStream, CopyError>;

    /// Nobody asks again for changes up to there.
    async fn taken(&self, _until: u64) -> Result<(), CopyError> {
        Ok(())
    }
}

/// What is asked of a source that tracks its changes.
#[derive(Clone)]
pub(crate) struct Tracking {
    /// The table, as it stands after `connection:`.
    pub(crate) table: String,
    /// The source as the user names it.
    pub(crate) label: String,
    /// The column that says what a row does.
    pub(crate) op: String,
    pub(crate) config: Arc<CopyConfig>,
    pub(crate) outcome: Outcome,
}

impl Tracking {
    /// The changes cannot be read.
    pub(crate) fn failed(&self, message: impl Into<String>) -> CopyError {
        CopyError::Read { what: self.label.clone(), message: message.into(), transient: false }
    }

    /// Whether the table has no column of the name of the one that says what a row does.
    pub(crate) fn check_op<'n>(&self, mut columns: impl Iterator<Item = &'n str>) -> Result<(), CopyError> {
        match columns.any(|name| name == self.op) {
            true => Err(has_op(&self.label, &self.op)),
            false => Ok(()),
        }
    }

    /// What was noted between `since` and what is known now is lost.
    pub(crate) fn forgotten(&self, why: &str) -> CopyError {
        self.failed(format!(
            "{why}, so what changed since the last copy is not known; remove what was copied, and the next copy takes every row"
        ))
    }
}

fn has_op(label: &str, op: &str) -> CopyError {
    CopyError::config(
        format!("`{label}` has a column `{op}`, and one of this name is to say what a row does"),
        "write: {apply_changes: {keys: [id], op: row_change}}",
    )
}

/// Rows of which each is to be there.
pub(crate) fn all_there(rows: BatchStream, op: &str, label: &str) -> Result<BatchStream, CopyError> {
    if rows.schema.field_with_name(op).is_ok() {
        return Err(has_op(label, op));
    }
    let fields = rows.schema.fields().iter().cloned();
    let change = Arc::new(Field::new(op, DataType::Utf8, false));
    let schema = Arc::new(Schema::new(fields.chain([change]).collect::<Vec<_>>()));
    let (whole, label) = (schema.clone(), label.to_owned());
    let batches = rows.batches.map(move |batch| {
        let batch = batch?;
        let word = std::iter::repeat_n(RowChange::Upsert.word(), batch.num_rows());
        let change: ArrayRef = Arc::new(StringArray::from_iter_values(word));
        let columns = batch.columns().iter().cloned().chain([change]).collect();
        RecordBatch::try_new(whole.clone(), columns)
            .map_err(|error| millrace_contract::QueryError::Source { message: format!("{label}: {error}") })
    });
    Ok(BatchStream { schema, batches: Box::pin(batches) })
}
