//! Pipelines as their files say.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::json::{Json, JsonMap};
use super::runs::RunSummary;
use super::workspace::Problem;

/// An input of a pipeline, as its form shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct InputView {
    /// Name.
    pub name: String,
    /// Type word.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Value if none is given.
    pub default: Json,
    /// Whether it must be given.
    pub required: bool,
    /// Allowed values.
    pub allowed: Option<Vec<Json>>,
    /// For people.
    pub description: Option<String>,
}

/// An output that a step will have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct OutputView {
    /// Name.
    pub name: String,
    /// Type word.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// A step of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct PipelineStepView {
    /// Its key.
    pub id: String,
    /// The kind's word.
    pub kind: String,
    /// Steps that come before.
    pub needs: Vec<String>,
    /// Whether it runs at the end whatever became of the others.
    #[serde(rename = "finally")]
    pub at_the_end: bool,
    /// `if:`.
    pub condition: Option<String>,
    /// What it gives.
    pub outputs: Vec<OutputView>,
}

/// What starts a pipeline, beside a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TriggerView {
    /// Its key.
    pub name: String,
    /// The kind's word: `cron`, `every`, `window`, …
    pub kind: String,
    /// The rule in words.
    pub description: String,
    /// RFC 3339.
    pub next_firing: Option<String>,
}

/// A pipeline in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct PipelineSummary {
    /// Name.
    pub name: String,
    /// One sentence.
    pub description: Option<String>,
    /// Path relative to the workspace.
    pub file: String,
    /// How many steps.
    pub steps: u32,
    /// RFC 3339.
    pub next_firing: Option<String>,
    /// Newest first.
    pub recent_runs: Vec<RunSummary>,
    /// What is wrong with its file.
    pub problems: Vec<Problem>,
}

/// A pipeline's page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct PipelineView {
    /// Name.
    pub name: String,
    /// One sentence.
    pub description: Option<String>,
    /// Path relative to the workspace.
    pub file: String,
    /// The file's text.
    pub yaml: String,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// Inputs.
    pub inputs: Vec<InputView>,
    /// Steps in the file's order.
    pub steps: Vec<PipelineStepView>,
    /// Triggers.
    pub triggers: Vec<TriggerView>,
    /// Newest first.
    pub recent_runs: Vec<RunSummary>,
    /// The command that runs it.
    pub command: String,
}

/// What to start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema, TS)]
#[serde(default, deny_unknown_fields)]
pub struct StartRun {
    /// Values of inputs; defaults stand in for the others.
    #[ts(optional, as = "Option<JsonMap>")]
    pub inputs: JsonMap,
    /// Run every step, reuse nothing.
    #[ts(optional, as = "Option<bool>")]
    pub force: bool,
    /// A date or an instant in the window that the run is about; the last complete window if absent.
    #[ts(optional)]
    pub window: Option<String>,
}
