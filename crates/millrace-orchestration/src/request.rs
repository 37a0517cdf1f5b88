//! What is asked of the engine when a run is started, and what it answers.

use indexmap::IndexMap;
use millrace_spec::triggers::Overlap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::windows::RunWindow;

/// What is asked for when a run is started.
#[derive(Debug, Clone, Default)]
pub struct RunRequest {
    /// Values for the pipeline's inputs.
    pub inputs: IndexMap<String, Value>,
    /// What started it, for people: `{"by": "manual"}`, `{"by": "cron", "trigger": …}`.
    pub cause: Value,
    /// A request with the same key starts nothing.
    pub idempotency_key: Option<String>,
    /// Steps that are not to be reused.
    pub force: Force,
    /// The firing of a schedule that this run stands for.
    pub firing: Option<Firing>,
    /// The window that it is about; the last complete one if absent, where the pipeline has windows.
    pub window: Option<RunWindow>,
    /// Events of the inbox that this run is of; it is stored together with their end.
    pub events: Option<RunEvents>,
}

/// The events that a run is of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunEvents {
    /// Their ids in the inbox.
    pub ids: Vec<String>,
    /// What `event` is in expressions: the newest of them.
    pub newest: Value,
    /// What `events` is, if several are gathered: all of them, oldest first.
    pub all: Vec<Value>,
}

/// An instant of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// Trigger name.
    pub trigger: String,
    /// Microseconds since 1970.
    pub instant: i64,
    /// What it does while an earlier run of the trigger goes on.
    pub overlap: Overlap,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// A new run.
    New(String),
    /// The run that the same request, firing or window had started before.
    Earlier(String),
    /// None: an earlier run of the trigger goes on.
    Skipped {
        /// Which.
        running: String,
    },
}

/// Which steps run although an earlier result would fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Force {
    /// None.
    #[default]
    Nothing,
    /// Every step.
    All,
    /// These.
    Steps(Vec<String>),
}

impl Force {
    pub(crate) fn covers(&self, step: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Steps(steps) => steps.iter().any(|name| name == step),
        }
    }
}
