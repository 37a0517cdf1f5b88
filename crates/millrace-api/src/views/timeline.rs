//! All pipelines over time.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

/// A run on the timeline. Instants are milliseconds since 1970: there may be thousands of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TimelineRun {
    /// 32 hex digits.
    pub id: String,
    /// Counts the runs of its pipeline from 1.
    pub number: i64,
    /// State word.
    pub status: String,
    /// What started it.
    pub trigger: String,
    /// When it was made.
    pub created_ms: i64,
    /// When its first step could begin.
    pub started_ms: Option<i64>,
    /// When it was over.
    pub ended_ms: Option<i64>,
}

/// A pipeline's runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TimelineLane {
    /// The pipeline.
    pub pipeline: String,
    /// Newest first.
    pub runs: Vec<TimelineRun>,
}

/// What went on between two instants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TimelineView {
    /// Milliseconds since 1970.
    pub from_ms: i64,
    /// Milliseconds since 1970.
    pub to_ms: i64,
    /// Pipelines that have runs then, by name.
    pub lanes: Vec<TimelineLane>,
    /// Set if there are more runs than one answer has: what was made before this instant is not all here.
    pub whole_since_ms: Option<i64>,
}
