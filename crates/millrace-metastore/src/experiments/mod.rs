//! Experiments, tracked runs, what they logged, and the models they made.
//!
//! Names and rules are MLflow's. Times are microseconds since 1970. Two tags are columns, so that they cannot differ from them:
//! [`NAME_TAG`] is the run's name and [`PARENT_TAG`] the run it is nested in.

mod condition;
mod document;
mod experiment;
mod garbage;
mod import;
mod import_experiments;
mod import_models;
mod index;
mod keys;
mod linked;
mod log;
mod models;
mod own;
mod pack;
mod packing;
mod points;
mod purge;
mod query;
mod remembered;
mod retention;
mod run;
mod search;
mod series;
mod usage;

pub(crate) use condition::{in_sql, operator};
pub use experiment::ExperimentFull;
pub use garbage::{Garbage, OWN_ARTIFACTS, Swept, model_artifact_uri, run_artifact_uri};
pub use import::ImportedRun;
pub use import_models::ImportedModel;
pub(crate) use index::RunIndex;
pub use index::{FoundRuns, RunGroup, Spread};
pub(crate) use keys::Keys;
pub use linked::{DatasetInput, DatasetSummary, Linked, ModelLink};
pub(crate) use log::{LogQueue, log_until_closed};
pub use log::{ParamRule, TrackedBatch};
pub use models::{LoggedModelRow, ModelMetric};
pub use own::ExperimentRow;
pub use packing::Unreadable;
pub use purge::{Kept, PurgeRule, Purged};
pub use query::{
    Attribute, Clause, Compare, Condition, Cursor, Field, Filter, Key, MeasuredOn, ModelDataset, Order,
    Query, View,
};
pub use retention::ALL_EXPERIMENTS;
pub use run::RunChange;
pub use usage::{MeasuredFiles, StorageUse, ToMeasure};

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::{MetastoreError, Row, Session};

use self::document::{Document, Point};

/// The tag that MLflow keeps a run's name in.
pub const NAME_TAG: &str = "mlflow.runName";
/// The tag that MLflow keeps the id of the enclosing run in.
pub const PARENT_TAG: &str = "mlflow.parentRunId";

/// Parameters and tags: family (`param` or `tag`), name, content.
pub type Text = (String, String, String);

/// Why a request about experiments and runs is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such experiment.
    #[error("No Experiment with id={id} exists")]
    NoExperiment {
        /// Which.
        id: i64,
    },
    /// It is deleted.
    #[error("The experiment {id} must be in the 'active' state. Current state is deleted.")]
    ExperimentDeleted {
        /// Which.
        id: i64,
    },
    /// It is not deleted.
    #[error("The experiment {id} must be in the 'deleted' state. Current state is active.")]
    ExperimentActive {
        /// Which.
        id: i64,
    },
    /// Another one has the name.
    #[error("Experiment '{name}' already exists{}", if *deleted { " in deleted state. You can restore it or choose another name." } else { "." })]
    NameTaken {
        /// The name.
        name: String,
        /// Whether the other one is deleted.
        deleted: bool,
    },
    /// No such run.
    #[error("Run with id={id} not found")]
    NoRun {
        /// Which.
        id: String,
    },
    /// It is deleted.
    #[error("The run {id} must be in the 'active' state. Current state is deleted.")]
    RunDeleted {
        /// Which.
        id: String,
    },
    /// It is not deleted.
    #[error("The run {id} must be in the 'deleted' state. Current state is active.")]
    RunActive {
        /// Which.
        id: String,
    },
    /// The experiment that is always there.
    #[error("The default experiment cannot be deleted")]
    DefaultExperiment,
    /// A pipeline run that is not over writes to it.
    #[error("The run {id} belongs to a pipeline run that is not over: cancel it, or wait for its end")]
    RunInUse {
        /// Which.
        id: String,
    },
    /// Files that were of a run of this id are being deleted.
    #[error("Files of an earlier run {id} are being deleted: try again in a minute")]
    FilesGoing {
        /// Which.
        id: String,
    },
    /// A parameter has another value already.
    #[error(
        "Changing param values is not allowed. Param with key='{key}' was already logged with value='{old}' for run ID='{run_id}'. Attempted logging new value '{new}'."
    )]
    ParamChanged {
        /// The run.
        run_id: String,
        /// The parameter.
        key: String,
        /// What it has.
        old: String,
        /// What it was to get.
        new: String,
    },
    /// No such tag.
    #[error("No tag with name: {key} in {what} with id {id}")]
    NoTag {
        /// `run`, `experiment` or `logged model`.
        what: &'static str,
        /// Which.
        id: String,
        /// The tag.
        key: String,
    },
    /// The page token was made by another search.
    #[error("Invalid page token: it is not of this search")]
    ForeignToken,
    /// No such model.
    #[error("Logged model with ID '{id}' not found.")]
    NoModel {
        /// Which.
        id: String,
    },
}

/// A row of `tracked_run`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrackedRunRow {
    /// 32 hex digits.
    pub id: String,
    /// Id of its experiment; given by the database.
    pub experiment_id: i64,
    /// Name of its experiment.
    pub experiment: String,
    /// The run it is nested in.
    pub parent_id: Option<String>,
    /// Name for people.
    pub name: String,
    /// MLflow's word: `RUNNING`, `FINISHED`, `FAILED`, `KILLED`, `SCHEDULED`.
    pub status: String,
    /// Microseconds since 1970.
    pub started_at: i64,
    /// Microseconds since 1970.
    pub ended_at: Option<i64>,
    /// Who started it; empty if nobody said.
    pub user_id: String,
    /// Whether it is deleted.
    pub deleted: bool,
    /// Where its experiment keeps files, if not here.
    pub artifact_location: Option<String>,
    /// What it logged; given by the database.
    pub values: RunValues,
}

/// What a run logged, each by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunValues {
    /// The latest point of each metric.
    pub metrics: Vec<MetricRow>,
    /// Parameters.
    pub params: Vec<(String, String)>,
    /// Tags, without the two that are columns.
    pub tags: Vec<(String, String)>,
}

impl RunValues {
    /// Leaves the values that are named: `metrics.auc`, `params.depth`, `tags.team`.
    pub fn keep_only(&mut self, columns: &[&str]) {
        let named = |family: &str| -> BTreeSet<&str> {
            columns.iter().filter_map(|column| column.strip_prefix(family)?.strip_prefix('.')).collect()
        };
        let (metrics, params, tags) = (named("metrics"), named("params"), named("tags"));
        self.metrics.retain(|point| metrics.contains(point.name.as_str()));
        self.params.retain(|(name, _)| params.contains(name.as_str()));
        self.tags.retain(|(name, _)| tags.contains(name.as_str()));
    }
}

/// A point of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricRow {
    /// Name.
    pub name: String,
    /// Step.
    pub step: i64,
    /// Microseconds since 1970; milliseconds are kept.
    pub logged_at: i64,
    /// The number; infinities are stored as the largest finite ones.
    pub number: f64,
}

impl MetricRow {
    fn point(&self) -> Point {
        Point::new(self.step, self.logged_at.div_euclid(1_000), self.number)
    }

    fn of(name: &str, point: Point) -> Self {
        let logged_at = point.time.saturating_mul(1_000);
        Self { name: name.to_owned(), step: point.step, logged_at, number: point.number }
    }
}

/// Columns of a run; its document comes with them.
const SELECT_RUN: &str = "SELECT this.number, this.id, this.experiment_id, experiment.name AS experiment, experiment.artifact_location, \
     this.parent_id, this.name, this.status, this.started_at, this.ended_at, this.user_id, this.lifecycle, this.document";

/// Reads rows of [`SELECT_RUN`].
async fn run_rows(
    session: &mut Session,
    keys: &Keys,
    rows: &[Row],
) -> Result<Vec<TrackedRunRow>, MetastoreError> {
    let documents = rows.iter().map(|row| Ok(Document::decode(&row.bytes("document")?)?));
    let documents: Vec<Document> = documents.collect::<Result<_, MetastoreError>>()?;
    let ids: BTreeSet<u32> = documents.iter().flat_map(Document::keys).collect();
    let names = keys.names(session, &ids).await?;
    rows.iter().zip(documents).map(|(row, document)| run_row(row, document.named(&names))).collect()
}

fn run_row(row: &Row, values: RunValues) -> Result<TrackedRunRow, MetastoreError> {
    Ok(TrackedRunRow {
        id: row.text("id")?,
        experiment_id: row.int("experiment_id")?,
        experiment: row.text("experiment")?,
        parent_id: row.opt_text("parent_id")?,
        name: row.text("name")?,
        status: row.text("status")?,
        started_at: row.int("started_at")?,
        ended_at: row.opt_int("ended_at")?,
        user_id: row.text("user_id")?,
        deleted: row.text("lifecycle")? == "deleted",
        artifact_location: row.opt_text("artifact_location")?,
        values,
    })
}

impl Document {
    fn keys(&self) -> impl Iterator<Item = u32> + '_ {
        let metrics = self.metrics.iter().map(|(key, _)| *key);
        metrics.chain(self.params.iter().chain(&self.tags).map(|(key, _)| *key))
    }

    fn named(self, names: &HashMap<u32, Arc<str>>) -> RunValues {
        let name = |key: &u32| names.get(key).map(|name| name.to_string()).unwrap_or_default();
        let texts = |texts: Vec<(u32, String)>| {
            let mut named: Vec<(String, String)> =
                texts.into_iter().map(|(key, value)| (name(&key), value)).collect();
            named.sort();
            named
        };
        let mut metrics: Vec<MetricRow> =
            self.metrics.iter().map(|(key, metric)| MetricRow::of(&name(key), metric.latest)).collect();
        metrics.sort_by(|a, b| a.name.cmp(&b.name));
        RunValues { metrics, params: texts(self.params), tags: texts(self.tags) }
    }
}

/// The number of this transaction's changes, to be stored with every run that it changes. It waits for other transactions that have one, so
/// it is taken last.
async fn next_change(session: &mut Session) -> Result<i64, MetastoreError> {
    let last = last_change(session);
    let sql = format!("UPDATE tracked_clock SET changed = {last} + 1 WHERE id = 1 RETURNING changed");
    let row = session.fetch_optional(&sql, &[]).await?;
    row.ok_or_else(|| MetastoreError::stale("the clock of changes is gone"))?.int("changed")
}

/// The number of the last change, in a statement that reads or writes `tracked_clock`. On SQLite what is logged does not move the clock: the
/// runs have its numbers alone.
fn last_change(session: &Session) -> &'static str {
    if session.is_postgres() {
        "changed"
    } else {
        "MAX(changed, (SELECT COALESCE(MAX(changed), 0) FROM tracked_run))"
    }
}

/// `$from, $from+1, …`: so many placeholders with commas between.
fn placeholders(from: usize, count: usize) -> String {
    (from..from + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}
