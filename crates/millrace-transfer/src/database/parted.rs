//! Reads that are divided among connections: each reads one part after another, and the rows come part after part.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use millrace_contract::BatchStream;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::cells::Rows;
use super::kept::Kept;
use crate::error::CopyError;
use crate::meter::Meter;
use crate::source::Outcome;

/// Batches of a part that wait for the parts before it.
const AHEAD: usize = 32;
/// Batches that wait if there is one part.
const BATCHES: usize = 4;
/// Parts for each connection if nobody says how many, so that none waits long for another one.
pub(super) const EACH: usize = 4;

/// Takes the batches of a part.
pub(super) type Batches = mpsc::Sender<Result<RecordBatch, CopyError>>;

/// A connection that reads.
#[async_trait]
pub(super) trait PartReader: Send + 'static {
    /// Sends the rows for which the condition holds; all of them without one. It ends early if nobody takes more.
    async fn read(&mut self, part: Option<&str>, to: &Batches) -> Result<(), CopyError>;
}

/// What connections of one read ask for.
pub(super) struct Query {
    /// Its name in messages.
    pub(super) what: String,
    pub(super) schema: SchemaRef,
    /// `select … from …`.
    pub(super) select: String,
    pub(super) condition: Option<String>,
    /// What is bound in the condition.
    pub(super) values: Vec<Value>,
    pub(super) meter: Arc<Meter>,
}

/// What is read, and how it is divided.
pub(super) struct Parted {
    pub(super) schema: SchemaRef,
    /// Conditions of which each row fulfils one; none reads everything at once.
    pub(super) parts: Vec<String>,
    pub(super) outcome: Outcome,
    /// Where parts are kept that outlive the attempt.
    pub(super) kept: Option<Kept>,
}

impl Parted {
    /// How many of so many connections have something to do.
    pub(super) fn workers(&self, connections: usize) -> usize {
        connections.min(self.parts.len()).max(1)
    }

    /// The rows, part after part, as long as somebody takes them. `held` is there as long as they come.
    pub(super) fn read<R: PartReader>(self, readers: Vec<R>, held: impl Any + Send) -> BatchStream {
        let Self { schema, parts, outcome, kept } = self;
        let ahead = if parts.is_empty() { BATCHES } else { AHEAD };
        let (senders, receivers): (Vec<Batches>, Vec<_>) =
            (0..parts.len().max(1)).map(|_| mpsc::channel(ahead)).unzip();
        let (room, next) = (Arc::new(Semaphore::new(readers.len() + 1)), AtomicUsize::new(0));
        let shared =
            Arc::new(Shared { parts, senders, next, room: room.clone(), schema: schema.clone(), kept });
        let mut tasks = JoinSet::new();
        for reader in readers {
            tasks.spawn(work(reader, shared.clone()));
        }
        let held: Box<dyn Any + Send> = Box::new(held);
        in_order(schema, receivers, (tasks, held), room, outcome)
    }
}

/// What the connections of a read share.
struct Shared {
    parts: Vec<String>,
    senders: Vec<Batches>,
    next: AtomicUsize,
    /// Parts that may be begun.
    room: Arc<Semaphore>,
    schema: SchemaRef,
    kept: Option<Kept>,
}

/// Reads one part after another, until there are none or nobody wants more.
async fn work(mut reader: impl PartReader, shared: Arc<Shared>) {
    loop {
        let Ok(permit) = shared.room.acquire().await else { return };
        permit.forget();
        let part = shared.next.fetch_add(1, Ordering::SeqCst);
        let Some(sender) = shared.senders.get(part) else { return };
        let condition = shared.parts.get(part).map(String::as_str);
        let done = match &shared.kept {
            Some(kept) => kept.part(part, &mut reader, condition, (sender, &shared.schema)).await,
            None => reader.read(condition, sender).await,
        };
        if let Err(error) = done {
            let _ = sender.send(Err(error)).await;
            return;
        }
        // The senders are all alive as long as the read: an empty batch is the end of a part.
        let end = RecordBatch::new_empty(shared.schema.clone());
        if sender.send(Ok(end)).await.is_err() {
            return;
        }
    }
}

/// The batches, part after part.
fn in_order(
    schema: SchemaRef,
    receivers: Vec<mpsc::Receiver<Result<RecordBatch, CopyError>>>,
    reading: (JoinSet<()>, Box<dyn Any + Send>),
    room: Arc<Semaphore>,
    outcome: Outcome,
) -> BatchStream {
    let state = Some((receivers.into_iter(), None, reading, room, outcome));
    let batches = futures::stream::unfold(state, |state| async move {
        let (mut parts, mut open, reading, room, outcome) = state?;
        loop {
            let mut part: mpsc::Receiver<_> = match open.take() {
                Some(part) => part,
                None => parts.next()?,
            };
            let broken = || Err(CopyError::read("the source", &"reading it broke off"));
            match part.recv().await.unwrap_or_else(broken) {
                Ok(batch) if batch.num_rows() == 0 => room.add_permits(1),
                Ok(batch) => {
                    return Some((Ok(batch), Some((parts, Some(part), reading, room, outcome))));
                }
                Err(error) => return Some((Err(outcome.fail(error)), None)),
            }
        }
    });
    BatchStream { schema, batches: Box::pin(batches) }
}

/// Sends what has come row by row; whether somebody takes more.
pub(super) async fn give(rows: &mut Rows, to: &Batches, meter: &Meter) -> Result<bool, String> {
    let Some((batch, bytes)) = rows.finish()? else { return Ok(true) };
    meter.read(bytes);
    Ok(to.send(Ok(batch)).await.is_ok())
}

/// A query of the rows of a part.
pub(super) fn query(select: &str, condition: Option<&str>, part: Option<&str>) -> String {
    let condition = condition.map(|condition| format!("({condition})"));
    let conditions: Vec<String> = condition.into_iter().chain(part.map(str::to_owned)).collect();
    match conditions.as_slice() {
        [] => select.to_owned(),
        all => format!("{select} where {}", all.join(" and ")),
    }
}
