//! What others can follow while runs go on.

use serde::Serialize;

/// Something that changed in a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunEvent {
    /// Which run.
    pub run_id: String,
    /// Its pipeline.
    pub pipeline: String,
    /// What changed.
    #[serde(flatten)]
    pub kind: RunEventKind,
}

/// The kinds of change.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEventKind {
    /// The run has a new state.
    RunChanged {
        /// The state's word.
        state: &'static str,
    },
    /// A step has a new state.
    StepChanged {
        /// Which step.
        step: String,
        /// The state's word.
        state: &'static str,
        /// Its attempt.
        attempt: u32,
    },
    /// A step got further.
    StepProgress {
        /// Which step.
        step: String,
        /// How far.
        progress: millrace_contract::Progress,
    },
}
