use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventKind, EventSpec};
use crate::ids::PipelineName;

/// The end of a run of another pipeline of this workspace.
///
/// `event.run` has its `id`, `number`, `state`, `inputs` and `cause`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineEnd {
    /// Name of the other pipeline.
    pub pipeline: PipelineName,
    /// How it ended.
    #[serde(default = "succeeded")]
    pub states: Vec<EndState>,
}

impl EventKind for PipelineEnd {
    const WORD: &'static str = "pipeline";
    const EXAMPLE: &'static str = "{pipeline: ingest_orders, states: [succeeded]}";

    fn into_spec(self) -> EventSpec {
        EventSpec::Pipeline(self)
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndState {
    /// Every step that ran succeeded.
    Succeeded,
    /// A step failed for good.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl EndState {
    /// The word that is stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

fn succeeded() -> Vec<EndState> {
    vec![EndState::Succeeded]
}
