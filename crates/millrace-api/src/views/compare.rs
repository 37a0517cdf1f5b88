//! Two runs beside each other.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::json::Json;
use super::runs::{CostView, RunSummary};

/// A value that is not the same in both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ValuePair {
    /// Its name.
    pub name: String,
    /// In the first run; absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub a: Option<Json>,
    /// In the second run; absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub b: Option<Json>,
}

/// A number of both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct NumberPair {
    /// Its name.
    pub name: String,
    /// In the first run.
    pub a: Option<f64>,
    /// In the second run.
    pub b: Option<f64>,
}

/// How a step went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct StepBrief {
    /// The kind's word.
    pub kind: String,
    /// State word.
    pub status: String,
    /// How many there were.
    pub attempts: u32,
    /// How long it waited for a slot, milliseconds.
    pub queued_ms: Option<u64>,
    /// How long it worked, milliseconds.
    pub took_ms: Option<u64>,
    /// Rows it read or wrote.
    pub rows: Option<u64>,
    /// What its attempts used.
    pub cost: CostView,
}

/// A step of either run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct StepPair {
    /// Its key.
    pub step: String,
    /// In the first run; `null` if it has no such step.
    pub a: Option<StepBrief>,
    /// In the second run.
    pub b: Option<StepBrief>,
    /// Outputs that differ.
    pub outputs: Vec<ValuePair>,
    /// Numbers of either.
    pub metrics: Vec<NumberPair>,
}

/// Two runs beside each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct RunComparison {
    /// The first run.
    pub a: RunSummary,
    /// The second run.
    pub b: RunSummary,
    /// What the first used.
    pub cost_a: CostView,
    /// What the second used.
    pub cost_b: CostView,
    /// Inputs that differ.
    pub inputs: Vec<ValuePair>,
    /// The definition that the first began with.
    pub definition_a: String,
    /// The definition that the second began with.
    pub definition_b: String,
    /// Steps in the order of the first run, then those that only the second has.
    pub steps: Vec<StepPair>,
}
