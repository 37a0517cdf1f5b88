//! Experiments, tracked runs, what they logged, and the models they made.
//!
//! Names and rules are MLflow's. Times are microseconds since 1970. Two tags are columns, so that they cannot differ from them:
//! [`NAME_TAG`] is the run's name and [`PARENT_TAG`] the run it is nested in.

mod experiment;
mod linked;
mod models;
mod own;
mod query;
mod run;
mod search;
mod values;

pub use experiment::ExperimentFull;
pub use linked::{DatasetInput, Linked, ModelLink};
pub use models::{LoggedModelRow, ModelMetric};
pub use own::ExperimentRow;
pub use query::{Attribute, Clause, Compare, Condition, Cursor, Field, Key, Order, Query, View};
pub use run::RunChange;
pub use values::{ParamRule, TrackedBatch};

use crate::{MetastoreError, Row};

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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
}

/// A point of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricRow {
    /// Name.
    pub name: String,
    /// Step.
    pub step: i64,
    /// Microseconds since 1970.
    pub logged_at: i64,
    /// The number; infinities are stored as the largest finite ones.
    pub number: f64,
}

impl MetricRow {
    /// The number and the mark of "not a number" as columns: no database has a NaN that both kinds read back alike.
    fn columns(&self) -> (f64, i64) {
        if self.number.is_nan() { (0.0, 1) } else { (self.number.clamp(f64::MIN, f64::MAX), 0) }
    }
}

const SELECT_RUN: &str = "SELECT this.id, this.experiment_id, experiment.name AS experiment, experiment.artifact_location, \
     this.parent_id, this.name, this.status, this.started_at, this.ended_at, this.user_id, this.lifecycle";

fn run_row(row: &Row) -> Result<TrackedRunRow, MetastoreError> {
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
    })
}

fn metric_row(row: &Row) -> Result<MetricRow, MetastoreError> {
    Ok(MetricRow {
        name: row.text("name")?,
        step: row.int("step")?,
        logged_at: row.int("logged_at")?,
        number: if row.bool("is_nan")? { f64::NAN } else { row.real("number")? },
    })
}

/// `$from, $from+1, …`: so many placeholders with commas between.
fn placeholders(from: usize, count: usize) -> String {
    (from..from + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}
