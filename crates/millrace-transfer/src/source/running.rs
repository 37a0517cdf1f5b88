//! Readers at work: one thread reads, several decode, and the rows come in the source's order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::StringArray;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use millrace_contract::{BatchStream, QueryError};
use tokio::sync::{Semaphore, mpsc};

use super::{Outcome, Piece, Reader};
use crate::error::CopyError;
use crate::meter::Stage;
use crate::shape::FILE_COLUMN;

/// Jobs that are done and that nobody took yet, beside those at work.
const AHEAD: usize = 2;
/// Pieces of a job that wait.
const PIECES: usize = 2;

/// Gives the pieces of a job as they are decoded; `None` is their end.
type Decoded = mpsc::Receiver<Result<Option<Piece>, CopyError>>;

/// Runs a reader, at most some pieces ahead of who takes the rows. Everything ends soon after the stream is dropped.
///
/// `files`: whether the rows have a column [`FILE_COLUMN`] that tells the file each comes from.
pub(crate) fn stream(reader: Box<dyn Reader>, threads: usize, files: bool, outcome: Outcome) -> BatchStream {
    let mut schema = reader.schema();
    let mut with_files = None;
    if files {
        let file = Arc::new(Field::new(FILE_COLUMN, DataType::Utf8, true));
        let fields: Vec<FieldRef> = schema.fields().iter().cloned().chain([file]).collect();
        schema = Arc::new(Schema::new(fields));
        with_files = Some(schema.clone());
    }
    let (jobs, receiver) = mpsc::channel(threads + AHEAD);
    let reading = outcome.clone();
    tokio::task::spawn_blocking(move || read(reader, threads, &jobs, &reading));
    let taking = Some(Taking { jobs: receiver, open: None, ready: VecDeque::new(), with_files, outcome });
    let batches = futures::stream::unfold(taking, |taking| async move {
        let mut taking = taking?;
        match taking.next().await? {
            Ok(batch) => Some((Ok(batch), Some(taking))),
            Err(error) => Some((Err(error), None)),
        }
    });
    BatchStream { schema, batches: Box::pin(batches) }
}

/// Reads to the end and lets others decode. Nobody is told of an error but who takes the pieces.
fn read(mut reader: Box<dyn Reader>, threads: usize, jobs: &mpsc::Sender<Decoded>, outcome: &Outcome) {
    let runtime = tokio::runtime::Handle::current();
    let room = Arc::new(Semaphore::new(threads));
    loop {
        let begun = Instant::now();
        let next = reader.next();
        outcome.meter.add(Stage::Read, begun.elapsed());
        if matches!(next, Ok(None)) {
            return;
        }
        let (pieces, decoded) = mpsc::channel(PIECES);
        // The receiver is gone if the copy ended first.
        if jobs.blocking_send(decoded).is_err() {
            return;
        }
        let job = match next {
            Ok(Some(job)) => job,
            Ok(None) => return,
            Err(error) => {
                let _ = pieces.blocking_send(Err(error));
                return;
            }
        };
        let Ok(turn) = runtime.block_on(room.clone().acquire_owned()) else { return };
        let meter = outcome.meter.clone();
        tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let mut waited = Duration::ZERO;
            let mut emit = |piece| {
                let begun = Instant::now();
                let sent = pieces.blocking_send(Ok(Some(piece)));
                waited += begun.elapsed();
                sent.map_err(|_| CopyError::Cancelled)
            };
            let end = job(&mut emit).map(|()| None);
            meter.add(Stage::Decode, begun.elapsed().saturating_sub(waited));
            drop(turn);
            let _ = pieces.blocking_send(end);
        });
    }
}

struct Taking {
    jobs: mpsc::Receiver<Decoded>,
    open: Option<Decoded>,
    ready: VecDeque<RecordBatch>,
    /// The schema with the file's column, if that is wanted.
    with_files: Option<SchemaRef>,
    outcome: Outcome,
}

impl Taking {
    async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Some(Ok(batch));
            }
            let Some(open) = &mut self.open else {
                self.open = Some(self.jobs.recv().await?);
                continue;
            };
            // A job that panicked tells no end.
            let broken =
                || Err(CopyError::read("the source", &"decoding it broke off; the server's log tells more"));
            let taken = open.recv().await.unwrap_or_else(broken).and_then(|piece| {
                let Some(piece) = piece else {
                    self.open = None;
                    return Ok(());
                };
                self.outcome.meter.read(piece.bytes);
                self.outcome.reject(&piece.rejects)?;
                for batch in piece.batches {
                    self.ready.push_back(match &self.with_files {
                        Some(schema) => with_file(&batch, schema, piece.file.as_deref())?,
                        None => batch,
                    });
                }
                Ok(())
            });
            if let Err(error) = taken {
                return Some(Err(self.outcome.fail(error)));
            }
        }
    }
}

fn with_file(batch: &RecordBatch, schema: &SchemaRef, file: Option<&str>) -> Result<RecordBatch, CopyError> {
    let rows = batch.num_rows();
    let names: StringArray = std::iter::repeat_n(file, rows).collect();
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(names));
    RecordBatch::try_new(schema.clone(), columns)
        .map_err(|error| CopyError::read(file.unwrap_or("the source"), &error))
}
