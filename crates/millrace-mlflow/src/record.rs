//! What a store of MLflow has, record by record.

use async_trait::async_trait;
use millrace_metastore::eval_datasets::{EvalDatasetRow, EvalRecordRow};
use millrace_metastore::experiments::{ExperimentFull, ImportedModel, ImportedRun, NAME_TAG, PARENT_TAG};
use millrace_metastore::registry::{ImportedRegistered, WebhookRow};
use millrace_metastore::traces::ImportedTrace;
use millrace_tracking::webhooks::events as known_events;

use crate::ImportError;
use crate::database::DatabaseSource;
use crate::files::Places;
use crate::folder::FolderSource;
use crate::server::{Access, ServerSource};

pub use crate::files::Files;

/// A record that cannot be read; the others go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its file, table or address.
    pub place: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Broken {
    pub(crate) fn new(place: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self { place: place.into(), reason: reason.to_string() }
    }
}

/// Records that were read, and those that could not be.
#[derive(Debug, Clone)]
pub struct Found<T> {
    /// The sound ones.
    pub records: Vec<T>,
    /// The others.
    pub broken: Vec<Broken>,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self { records: Vec::new(), broken: Vec::new() }
    }
}

impl<T> Found<T> {
    /// Takes a record or what is wrong with it.
    pub(crate) fn take(&mut self, read: Result<T, Broken>) {
        match read {
            Ok(record) => self.records.push(record),
            Err(broken) => self.broken.push(broken),
        }
    }
}

/// A run and where it says that its files are.
#[derive(Debug, Clone)]
pub struct Run {
    /// The run; its experiment has the source's number.
    pub run: ImportedRun,
    /// MLflow's `artifact_uri`.
    pub uri: String,
}

/// A logged model and where it says that its files are.
#[derive(Debug, Clone)]
pub struct Model {
    /// The model; its experiment has the source's number.
    pub model: ImportedModel,
    /// MLflow's `artifact_uri`.
    pub uri: String,
}

/// A trace and where it says that its files are.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The trace; its experiment has the source's number.
    pub trace: ImportedTrace,
    /// MLflow's `mlflow.artifactLocation`; empty if it says nothing.
    pub uri: String,
}

/// Who is told of changes in the registry, without the secret.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The webhook, with the events that there are here.
    pub row: WebhookRow,
    /// Whether nothing is missing: it is known to have no secret.
    pub is_whole: bool,
    /// Events that there are none of here.
    pub unknown: Vec<String>,
}

/// A webhook with its events, each `entity.action`.
pub(crate) fn webhook(row: WebhookRow, events: Vec<String>, is_whole: bool) -> Webhook {
    let (mut events, unknown): (Vec<String>, Vec<String>) =
        events.into_iter().partition(|event| known_events().any(|known| known == event));
    events.sort_unstable();
    Webhook { row: WebhookRow { events, ..row }, is_whole, unknown }
}

/// An evaluation dataset with its records.
pub type EvalDataset = (EvalDatasetRow, Vec<EvalRecordRow>);

/// A store of MLflow that is read from its beginning to its end, some records at a time. Each `next_…` gives `None` after the last.
#[async_trait]
pub trait Source: Send + Sync {
    /// What tells the source from others; without a password.
    fn identity(&self) -> &str;

    /// All experiments, deleted ones too. They say where the source keeps their files.
    async fn experiments(&mut self) -> Result<Found<ExperimentFull>, ImportError>;
    /// Runs, in any order.
    async fn next_runs(&mut self) -> Result<Option<Found<Run>>, ImportError>;
    /// Logged models, in any order.
    async fn next_models(&mut self) -> Result<Option<Found<Model>>, ImportError>;
    /// Registered models and prompts. The location of a version is where the source keeps its files.
    async fn next_registered(&mut self) -> Result<Option<Found<ImportedRegistered>>, ImportError>;
    /// Traces, in any order.
    async fn next_traces(&mut self) -> Result<Option<Found<Trace>>, ImportError>;
    /// Evaluation datasets.
    async fn next_datasets(&mut self) -> Result<Option<Found<EvalDataset>>, ImportError>;

    /// All webhooks. None, if the source has no such thing.
    async fn webhooks(&mut self) -> Result<Found<Webhook>, ImportError> {
        Ok(Found::default())
    }

    /// Whether files at this location of an experiment are taken over; else they stay where they are.
    fn takes(&self, location: &str) -> bool;
    /// Where the files of a run, a logged model or a trace are. `uri` is what it says, `owner` its id.
    fn files(&self, uri: &str, owner: &str) -> Files;
    /// Names of the files below an address of a server, with their sizes.
    async fn list_files(&self, address: &str) -> Result<Vec<(String, u64)>, ImportError>;
    /// A file below an address of a server.
    async fn read_file(&self, address: &str, path: &str) -> Result<reqwest::Response, ImportError>;

    /// What is in the source and not taken over, for people.
    async fn left_out(&mut self) -> Result<Vec<String>, ImportError>;
}

/// Opens a folder, a database or a server of MLflow.
///
/// # Errors
/// If it cannot be read or is none of these.
pub async fn open(given: &str, places: Places, access: Access) -> Result<Box<dyn Source>, ImportError> {
    let scheme = given.split_once("://").map(|(scheme, _)| scheme);
    match scheme {
        Some("sqlite" | "postgresql" | "postgres" | "postgresql+psycopg2" | "postgresql+psycopg") => {
            Ok(Box::new(DatabaseSource::open(given, places).await?))
        }
        Some("http" | "https") => Ok(Box::new(ServerSource::open(given, places, access)?)),
        Some("file") | None => Ok(Box::new(FolderSource::open(given, places)?)),
        Some(_) => {
            let shown = given.rsplit_once('@').map_or(given, |(_, rest)| rest);
            Err(ImportError::UnknownSource { given: shown.to_owned() })
        }
    }
}

/// Moves the tags that are columns here into their columns.
pub(crate) fn settle(run: &mut ImportedRun) {
    for (key, value) in std::mem::take(&mut run.tags) {
        match key.as_str() {
            NAME_TAG => run.row.name = value,
            PARENT_TAG => run.row.parent_id = Some(value),
            _ => run.tags.push((key, value)),
        }
    }
}

/// Text without NUL, which PostgreSQL has in no text.
pub(crate) fn clean(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// Milliseconds of MLflow as microseconds.
pub(crate) fn micros(milliseconds: i64) -> i64 {
    milliseconds.saturating_mul(1_000)
}
