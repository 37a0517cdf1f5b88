//! The firing of a schedule as a request, and what becomes of a request.

use millrace_spec::triggers::Overlap;

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
