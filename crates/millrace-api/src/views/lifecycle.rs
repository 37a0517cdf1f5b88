//! What was deleted, what is purged, what all takes, and for how long runs are kept.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

/// Bytes that something takes, as they were measured last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct StorageUseView {
    /// Runs that were measured.
    pub runs: u64,
    /// Latest values, parameters and tags, compressed.
    pub document_bytes: u64,
    /// Histories of metrics, compressed.
    pub point_bytes: u64,
    /// Files of runs and of the models that they logged.
    pub artifact_bytes: u64,
    /// How many files.
    pub files: u64,
    /// Traces.
    pub traces: u64,
    /// Their spans, compressed.
    pub trace_bytes: u64,
    /// All of these bytes.
    pub total_bytes: u64,
    /// When the oldest part was measured, RFC 3339.
    pub measured_at: Option<String>,
}

/// What an experiment takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct ExperimentUse {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Since when it is deleted, RFC 3339.
    pub deleted_at: Option<String>,
    /// Whether it is deleted.
    pub deleted: bool,
    /// What it takes.
    pub storage: StorageUseView,
}

/// What all experiments take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct StorageUseList {
    /// The largest first, deleted ones too.
    pub experiments: Vec<ExperimentUse>,
    /// Folders of purged runs whose files are still to be deleted.
    pub waiting_folders: u64,
    /// Those of them that could not be deleted so far.
    pub failing_folders: u64,
}

/// An experiment's state and what it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct ExperimentLifecycle {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it is deleted.
    pub deleted: bool,
    /// Since when, RFC 3339.
    pub deleted_at: Option<String>,
    /// Runs, deleted ones too.
    pub runs: u64,
    /// Logged models, deleted ones too.
    pub models: u64,
    /// What it takes.
    pub storage: StorageUseView,
}

/// A run's state and what it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct RunLifecycle {
    /// Its id.
    pub id: String,
    /// Whether it is deleted.
    pub deleted: bool,
    /// What it takes, measured now.
    pub storage: StorageUseView,
}

/// Runs by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct RunIds {
    /// Their ids, 10,000 at most.
    pub ids: Vec<String>,
}

/// Runs that are to be purged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct PurgeRuns {
    /// Their ids, 10,000 at most.
    pub ids: Vec<String>,
    /// Also those that are not deleted.
    #[serde(default)]
    pub force: bool,
    /// Only say what would go.
    #[serde(default)]
    pub dry_run: bool,
}

/// How an experiment is to be purged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(default)]
pub struct PurgeExperiment {
    /// Also if it is not deleted.
    pub force: bool,
    /// Only say what would go.
    pub dry_run: bool,
}

/// A run that was not purged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct KeptRun {
    /// Its id.
    pub id: String,
    /// `absent`, `not-deleted`, `in-use` by a pipeline run, or `registered`.
    pub reason: String,
}

/// What was purged, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct PurgeOutcome {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// How many runs.
    pub runs: u64,
    /// How many logged models.
    pub models: u64,
    /// How many traces.
    pub traces: u64,
    /// What they take, as it was measured last.
    pub bytes: u64,
    /// Runs that are not purged.
    pub kept: Vec<KeptRun>,
    /// Places whose files this server does not keep and so does not delete; a few of them.
    pub elsewhere: Vec<String>,
}

/// A new name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct NewName {
    /// 1 to 500 characters.
    pub name: String,
}

/// How many things changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct Changed {
    /// How many.
    pub changed: u64,
}

/// The best runs by the latest value of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(deny_unknown_fields)]
pub struct BestRuns {
    /// How many.
    pub count: u32,
    /// Name of the metric.
    pub metric: String,
    /// Whether the smallest values are the best.
    #[serde(default)]
    pub smallest: bool,
}

/// For how long runs are kept. Runs that a version of a registered model, a deployment or an open pipeline run refers to are always kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionRulesView {
    /// Runs that ended so many days ago are deleted.
    pub delete_after_days: Option<u32>,
    /// But not the best of all,
    pub keep_best: Option<BestRuns>,
    /// nor so many of the newest,
    pub keep_newest: Option<u32>,
    /// nor those with one of these tags: `key` or `key=value`.
    pub keep_tagged: Vec<String>,
    /// What was deleted so many days ago is purged.
    pub purge_after_days: Option<u32>,
}

/// The rules that hold for an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct RetentionView {
    /// Its own.
    pub own: Option<RetentionRulesView>,
    /// Those of all experiments without rules of their own.
    pub default: Option<RetentionRulesView>,
}

/// A run's id and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct RunName {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// What rules would do now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct RetentionPlanView {
    /// How many runs would be deleted.
    pub deletes: u64,
    /// The first hundred of them.
    pub delete: Vec<RunName>,
    /// Deleted runs that would be purged.
    pub purges: u64,
    /// Deleted logged models that would be purged.
    pub purges_models: u64,
    /// Whether the experiment itself would be purged.
    pub purges_experiment: bool,
    /// Old runs that the rules keep.
    pub kept: u64,
    /// Old runs that are kept since something refers to them.
    pub referenced: u64,
    /// Whether there is more than one evaluation does.
    pub more: bool,
}
