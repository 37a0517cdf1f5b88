//! Monitors and alerts.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::json::{NumberMap, TextMap};

/// Drift of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct DriftColumn {
    /// Column.
    pub column: String,
    /// `numeric` or `categorical`.
    pub kind: String,
    /// Which measure.
    pub metric: String,
    /// Its value.
    pub score: f64,
    /// From here on it counts as drifted.
    pub threshold: f64,
    /// Of the test, if there is one.
    pub p_value: Option<f64>,
    /// Adjusted for many columns.
    pub adjusted_p: Option<f64>,
    /// Whether it drifted.
    pub drifted: bool,
    /// Names of the bins.
    pub bins: Vec<String>,
    /// Share of reference rows in each bin.
    pub reference: Vec<f64>,
    /// Share of current rows in each bin.
    pub current: Vec<f64>,
    /// Why, a sentence.
    pub reason: Option<String>,
}

/// A monitor in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct MonitorSummary {
    /// Name.
    pub name: String,
    /// What it watches: `drift`, `quality`.
    pub kind: String,
    /// Whether the last run found drift.
    pub drifted: bool,
    /// In how many columns.
    pub drifted_columns: u32,
    /// Of how many.
    pub columns: u32,
    /// RFC 3339.
    pub last_run_at: Option<String>,
    /// The reference data.
    pub reference: String,
    /// The data watched.
    pub current: String,
}

/// One result of a monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct MonitorReport {
    /// RFC 3339.
    pub at: String,
    /// The run that made it.
    pub run_id: Option<String>,
    /// And the step.
    pub step: Option<String>,
    /// The reference data.
    pub reference: String,
    /// The data watched.
    pub current: String,
    /// Column by column.
    pub columns: Vec<DriftColumn>,
    /// Whether it found drift.
    pub drifted: bool,
}

/// A result's scores in a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct MonitorPoint {
    /// RFC 3339.
    pub at: String,
    /// Score by column.
    pub scores: NumberMap,
    /// Whether it found drift.
    pub drifted: bool,
}

/// A monitor's page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct MonitorView {
    /// The monitor.
    pub monitor: MonitorSummary,
    /// Its newest result.
    pub latest: Option<MonitorReport>,
    /// Oldest first.
    pub history: Vec<MonitorPoint>,
    /// Its file, if it has one.
    pub yaml: Option<String>,
    /// The command that runs it.
    pub command: String,
}

/// A change of an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct AlertChange {
    /// RFC 3339.
    pub at: String,
    /// Its new state.
    pub state: String,
    /// The value that made it change.
    pub value: Option<f64>,
}

/// An alert rule and its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct AlertView {
    /// Name.
    pub name: String,
    /// `ok`, `pending`, `firing` or `resolved`.
    pub state: String,
    /// What it watches.
    pub expression: String,
    /// For people.
    pub severity: Option<String>,
    /// RFC 3339; in this state since.
    pub since: Option<String>,
    /// Last value.
    pub value: Option<f64>,
    /// Limit.
    pub threshold: Option<f64>,
    /// Who is told.
    pub channels: Vec<String>,
    /// Labels.
    pub labels: TextMap,
    /// Oldest first.
    pub history: Vec<AlertChange>,
}
