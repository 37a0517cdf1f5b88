//! Where rows come from.

pub(crate) mod csv;
pub(crate) mod files;
mod json;
pub(crate) mod objects;
mod parquet;
pub(crate) mod postgres;
mod text;

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use millrace_contract::{BatchStream, QueryError};
use tokio::sync::mpsc;

pub use files::Format;
pub use text::Encoding;

use crate::copy::CopyConfig;
use crate::error::CopyError;
use crate::rejects::Rejects;
use files::SourceFile;

/// Rows in a batch.
pub(crate) const BATCH_ROWS: usize = 8192;
/// Batches that a reader may be ahead of the writer.
const AHEAD: usize = 2;

/// What a source leaves beside its rows. The error is kept here because a stream of batches can only carry words.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) error: Arc<Mutex<Option<CopyError>>>,
    pub(crate) rejects: Arc<Mutex<Rejects>>,
}

impl Outcome {
    pub(crate) fn new(rejects: Rejects) -> Self {
        Self { error: Arc::default(), rejects: Arc::new(Mutex::new(rejects)) }
    }

    pub(crate) fn fail(&self, error: CopyError) -> QueryError {
        let message = error.to_string();
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        QueryError::Source { message }
    }

    pub(crate) fn take_error(&self) -> Option<CopyError> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn rejected(&self) -> u64 {
        self.rejects.lock().unwrap_or_else(PoisonError::into_inner).count()
    }
}

/// Takes batches from a reader; an error means that nobody wants more.
pub(crate) type Emit<'a> = dyn FnMut(RecordBatch) -> Result<(), CopyError> + 'a;

/// Something that knows its schema and can then be read from its start to its end, on a thread of its own.
pub(crate) trait Reader: Send + 'static {
    fn schema(&self) -> SchemaRef;
    fn read(self: Box<Self>, emit: &mut Emit<'_>) -> Result<(), CopyError>;
}

/// Opens files of one format, which looks at their beginning.
pub(crate) async fn open(
    files: Vec<SourceFile>,
    config: Arc<CopyConfig>,
    outcome: Outcome,
) -> Result<BatchStream, CopyError> {
    let format = match config.format {
        Some(format) => format,
        None => files::format_of(&files)?,
    };
    let kept = outcome.clone();
    let opened = tokio::task::spawn_blocking(move || -> Result<Box<dyn Reader>, CopyError> {
        Ok(match format {
            Format::Csv => Box::new(csv::CsvReader::open(files, config, kept.rejects)?),
            Format::Jsonl => Box::new(json::JsonReader::open(files)?),
            Format::Parquet => Box::new(parquet::ParquetReader::open(files)?),
        })
    });
    let reader = opened.await.map_err(|error| CopyError::read("the source", &error))??;
    Ok(stream(reader, outcome))
}

/// Runs a reader on a blocking thread, at most some batches ahead. The thread ends when the stream is dropped.
fn stream(reader: Box<dyn Reader>, outcome: Outcome) -> BatchStream {
    let schema = reader.schema();
    let (sender, mut receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut emit = |batch| sender.blocking_send(Ok(batch)).map_err(|_| CopyError::Cancelled);
        if let Err(error) = reader.read(&mut emit) {
            // The receiver is gone if the copy ended first.
            let _ = sender.blocking_send(Err(outcome.fail(error)));
        }
    });
    BatchStream {
        schema,
        batches: Box::pin(futures::stream::poll_fn(move |context| receiver.poll_recv(context))),
    }
}
