//! Where rows come from.

pub(crate) mod files;
mod running;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::future::BoxFuture;
use jiff::Timestamp;
use millrace_contract::{BatchStream, QueryError};

use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::format::{self, Opening};
use crate::meter::Meter;
use crate::rejects::{Reject, Rejects};
use crate::store::Trouble;
use files::SourceFile;
pub(crate) use running::stream;

/// Rows in a batch.
pub(crate) const BATCH_ROWS: usize = 8192;

/// What a source leaves beside its rows. The error is kept here because a stream of batches can only carry words.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) error: Arc<Mutex<Option<CopyError>>>,
    pub(crate) rejects: Arc<Mutex<Rejects>>,
    pub(crate) meter: Arc<Meter>,
    /// When the files of the source changed, by their names.
    pub(crate) modified: Modified,
    /// What the sink loads the rows by, if the source has a say in that.
    load_key: Arc<Mutex<Option<String>>>,
    /// Before the sink knows that it has all rows.
    commit: Owed,
    /// Once the sink has its rows.
    settle: Owed,
}

/// What is done at the source, once.
#[derive(Clone, Default)]
struct Owed(Arc<Mutex<Option<Work>>>);

type Work = BoxFuture<'static, Result<(), CopyError>>;

impl Owed {
    fn set(&self, work: Work) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(work);
    }

    async fn done(&self) -> Result<(), CopyError> {
        let work = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match work {
            Some(work) => work.await,
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for Owed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Owed")
    }
}

/// Microseconds since 1970, by the names of files.
pub(crate) type Modified = Arc<Mutex<HashMap<String, i64>>>;

impl Outcome {
    pub(crate) fn new(rejects: Rejects, meter: Arc<Meter>) -> Self {
        Self {
            error: Arc::default(),
            rejects: Arc::new(Mutex::new(rejects)),
            meter,
            modified: Arc::default(),
            load_key: Arc::default(),
            commit: Owed::default(),
            settle: Owed::default(),
        }
    }

    /// What the source wants to be done once the sink has its rows.
    pub(crate) fn settle_with(&self, settle: Work) {
        self.settle.set(settle);
    }

    /// What the source wants to be done when it has given its last row, before the sink commits.
    pub(crate) fn commit_after(&self, note: Work) {
        self.commit.set(note);
    }

    /// The key that the sink is to load the rows by.
    pub(crate) fn load_by(&self, key: String) {
        *self.load_key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    /// The key that the source wants its rows to be loaded by; the attempt's if it wants none.
    pub(crate) fn load_key(&self) -> Option<String> {
        self.load_key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The sink has the rows.
    pub(crate) async fn settle(&self) -> Result<(), CopyError> {
        self.settle.done().await
    }

    /// For what is read beside the source: its bytes are not counted, and its errors are not the source's.
    pub(crate) fn aside(&self) -> Self {
        Self { error: Arc::default(), meter: Arc::new(Meter::new(1)), ..self.clone() }
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

    /// The file of rejected rows is whole.
    pub(crate) fn close_rejects(&self) -> Result<(), CopyError> {
        self.rejects.lock().unwrap_or_else(PoisonError::into_inner).close()
    }

    /// Every row was read, and the sink may commit them.
    pub(crate) async fn end(&self) -> Result<(), CopyError> {
        self.rejects.lock().unwrap_or_else(PoisonError::into_inner).end(self.meter.passed())?;
        self.commit.done().await
    }

    /// Sets rows aside, or fails if they may not be.
    pub(crate) fn reject(&self, rejects: &[Reject]) -> Result<(), CopyError> {
        let mut kept = self.rejects.lock().unwrap_or_else(PoisonError::into_inner);
        rejects.iter().try_for_each(|reject| kept.take(reject))
    }
}

/// What a piece of a source became: rows in the source's order, and the rows that could not be read.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) rejects: Vec<Reject>,
    /// The file it comes from, if it comes from one.
    pub(crate) file: Option<Arc<str>>,
    /// Bytes of the source that it was.
    pub(crate) bytes: u64,
}

impl Piece {
    /// Nothing yet, from a file.
    pub(crate) fn of_file(name: &str) -> Self {
        Self { file: Some(name.into()), ..Self::default() }
    }
}

/// Takes pieces; an error means that nobody wants more.
pub(crate) type Emit<'a> = dyn FnMut(Piece) -> Result<(), CopyError> + 'a;

/// Decodes a part of a source, on whichever thread has time.
pub(crate) type Job = Box<dyn FnOnce(&mut Emit<'_>) -> Result<(), CopyError> + Send>;

/// Something that knows its schema and is read from its start to its end by one blocking thread. What can be done on other threads it gives
/// away as a job; several jobs run at once, and their rows come in the order of the jobs.
pub(crate) trait Reader: Send + 'static {
    fn schema(&self) -> SchemaRef;

    /// The next job; `None` at the end.
    fn next(&mut self) -> Result<Option<Job>, CopyError>;
}

/// Opens files of one format, which looks at their beginning.
pub(crate) async fn open(
    files: Vec<SourceFile>,
    config: Arc<CopyConfig>,
    outcome: Outcome,
) -> Result<BatchStream, CopyError> {
    let files = unarchived(changed(files, &config, &outcome), &config).await?;
    let format = match config.format {
        Some(format) => format,
        None => format::of_files(&files)?,
    };
    let (threads, wants_files) = (config.threads(), config.wants_files());
    outcome.meter.expect(files.iter().map(SourceFile::size_bytes).sum());
    // The files of one source share it.
    let trouble = files.first().map(SourceFile::trouble).unwrap_or_default();
    let opening = Opening { files, config, meter: outcome.meter.clone() };
    let opened = tokio::task::spawn_blocking(move || format.of().reader(opening));
    let reader = opened.await.map_err(|error| CopyError::read("the source", &error))?;
    let reader = reader.map_err(|error| trouble.cause_of(error))?;
    Ok(stream(Box::new(Blaming { reader, trouble }), threads, wants_files, outcome))
}

/// The files that may have something new; always the one that changed last, since it tells the columns.
fn changed(files: Vec<SourceFile>, config: &CopyConfig, outcome: &Outcome) -> Vec<SourceFile> {
    if !config.wants_modified() {
        return files;
    }
    let mut times = outcome.modified.lock().unwrap_or_else(PoisonError::into_inner);
    let of = |file: &SourceFile| file.modified().map(Timestamp::as_microsecond);
    let known: Vec<(SourceFile, Option<i64>)> =
        files.into_iter().map(|file| (of(&file), file)).map(|(at, file)| (file, at)).collect();
    times.extend(known.iter().filter_map(|(file, at)| Some((file.name.clone(), (*at)?))));
    let newest = known.iter().filter_map(|(_, at)| *at).max();
    let low = config.newer_than.map(|low| newest.map_or(low, |newest| newest.min(low)));
    let stays = |at: Option<i64>| at.is_none() || low.is_none_or(|low| at >= Some(low));
    known.into_iter().filter(|(_, at)| stays(*at)).map(|(file, _)| file).collect()
}

/// The files, with those in archives in the place of the archives.
async fn unarchived(files: Vec<SourceFile>, config: &Arc<CopyConfig>) -> Result<Vec<SourceFile>, CopyError> {
    if !files.iter().any(SourceFile::is_archive) {
        return Ok(files);
    }
    let config = config.clone();
    let opened = tokio::task::spawn_blocking(move || format::unarchived(files, &config));
    opened.await.map_err(|error| CopyError::read("the source", &error))?
}

/// A reader that tells what a store said instead of what a decoder made of it.
struct Blaming {
    reader: Box<dyn Reader>,
    trouble: Trouble,
}

impl Reader for Blaming {
    fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }

    fn next(&mut self) -> Result<Option<Job>, CopyError> {
        let trouble = self.trouble.clone();
        let blaming = |job: Job| -> Job {
            let trouble = trouble.clone();
            Box::new(move |emit| job(emit).map_err(|error| trouble.cause_of(error)))
        };
        self.reader.next().map(|job| job.map(blaming)).map_err(|error| trouble.cause_of(error))
    }
}
