//! Reading from servers over one connection, row by row, by a task of its own.

use std::future::Future;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use millrace_contract::BatchStream;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::Reading;
use super::cells::Rows;
use crate::error::CopyError;
use crate::source::Outcome;

/// Batches that wait.
const BATCHES: usize = 4;

type Batch = Result<Option<RecordBatch>, CopyError>;

/// Takes the batches of the task.
pub(super) struct Sender {
    batches: mpsc::Sender<Batch>,
    outcome: Outcome,
}

impl Sender {
    /// Sends what has come; whether somebody takes more.
    pub(super) async fn give(&self, rows: &mut Rows) -> Result<bool, String> {
        let Some((batch, bytes)) = rows.finish()? else { return Ok(true) };
        self.outcome.meter.read(bytes);
        Ok(self.batches.send(Ok(Some(batch))).await.is_ok())
    }
}

/// A read that is about to begin.
pub(super) struct Starting {
    schema: SchemaRef,
    sender: mpsc::Sender<Batch>,
    receiver: mpsc::Receiver<Batch>,
    outcome: Outcome,
}

pub(super) fn channel(schema: SchemaRef, outcome: Outcome) -> (Starting, Sender) {
    let (sender, receiver) = mpsc::channel(BATCHES);
    let giving = Sender { batches: sender.clone(), outcome: outcome.clone() };
    (Starting { schema, sender, receiver, outcome }, giving)
}

impl Starting {
    /// Runs the reading task as long as somebody takes its rows.
    pub(super) fn run(
        self,
        reading: impl Future<Output = Result<(), CopyError>> + Send + 'static,
    ) -> BatchStream {
        let Self { schema, sender, receiver, outcome } = self;
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let end = reading.await.map(|()| None);
            let _ = sender.send(end).await;
        }));
        let batches = futures::stream::unfold(Some((receiver, task, outcome)), |state| async move {
            let (mut receiver, task, outcome) = state?;
            let broken = || Err(CopyError::read("the source", &"reading it broke off"));
            match receiver.recv().await.unwrap_or_else(broken) {
                Ok(Some(batch)) => Some((Ok(batch), Some((receiver, task, outcome)))),
                Ok(None) => None,
                Err(error) => Some((Err(outcome.fail(error)), None)),
            }
        });
        BatchStream { schema, batches: Box::pin(batches) }
    }
}

/// These servers have no snapshot that several connections share.
pub(super) fn check(reading: &Reading) -> Result<(), CopyError> {
    match reading.partition {
        Some(_) => Err(CopyError::config(
            "`partition` is for PostgreSQL, whose connections can share one snapshot",
            "leave `partition` out",
        )),
        None => Ok(()),
    }
}
