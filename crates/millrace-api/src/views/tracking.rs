//! Experiments and their runs.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::json::{NumberMap, TextMap};

/// An experiment in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ExperimentSummary {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How many runs.
    pub runs: u64,
    /// RFC 3339.
    pub last_run_at: Option<String>,
}

/// A tracked run with the last value of each metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TrackedRun {
    /// 32 hex digits.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Its experiment.
    pub experiment_id: String,
    /// MLflow's word.
    pub status: String,
    /// RFC 3339.
    pub start_time: Option<String>,
    /// RFC 3339.
    pub end_time: Option<String>,
    /// Parameters.
    pub params: TextMap,
    /// Last value of each metric.
    pub metrics: NumberMap,
    /// Tags.
    pub tags: TextMap,
    /// The run it is nested in.
    pub parent_id: Option<String>,
    /// The pipeline run that made it.
    pub pipeline_run_id: Option<String>,
    /// And the step.
    pub step: Option<String>,
    /// Where its files are, `mlflow-artifacts:/…` if this server keeps them.
    pub artifact_uri: String,
}

/// A page of tracked runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TrackedRunPage {
    /// The runs.
    pub runs: Vec<TrackedRun>,
    /// Token of the next page.
    pub next: Option<String>,
    /// How many runs there are in all.
    pub total: u64,
    /// Every metric of these runs.
    pub metric_keys: Vec<String>,
    /// Every parameter of these runs.
    pub param_keys: Vec<String>,
}

/// The numbers of a metric within a group of runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct MetricSpread {
    /// How many runs have it.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The least.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

/// Runs with the same value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct RunGroupView {
    /// The value; null for runs that have none.
    pub value: Option<String>,
    /// How many runs.
    pub runs: u64,
    /// What each metric is, in the order in which they were asked for; null if no run of the group has it.
    pub metrics: Vec<Option<MetricSpread>>,
}

/// Runs gathered by a value that they share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct RunGroupList {
    /// The groups, the first thousand in the order asked for.
    pub groups: Vec<RunGroupView>,
    /// How many groups there are.
    pub total: u64,
    /// How many runs there are in all.
    pub runs: u64,
}

/// A point of a curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct MetricPoint {
    /// Step.
    pub step: i64,
    /// RFC 3339.
    pub at: String,
    /// The number.
    pub value: f64,
}

/// A metric of a run over its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct MetricCurve {
    /// The run.
    pub run_id: String,
    /// The metric.
    pub key: String,
    /// In the order of steps.
    pub points: Vec<MetricPoint>,
}

/// A file or folder among a run's or a model's files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ArtifactFile {
    /// Relative path.
    pub path: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Its size.
    pub size_bytes: Option<u64>,
}
