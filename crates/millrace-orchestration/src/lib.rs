//! Orchestration: what runs when, and what becomes of it.
//!
//! Owns: the durable state machine of runs, steps and attempts; retries, timeouts, cancellation, conditions, `finally`; the step cache
//! and its reasons; schedules and windows. Leaves to others: what a step does (`StepKind`s of the other rooms) and where commands run
//! (`ComputeTarget`). The planner is a pure function of rows and a clock; every transition is one transaction, fenced by attempt and
//! epoch. Start from [`Engine`] and [`planner::decide`].
#![warn(missing_docs)]

// Tests in here and those beside it share their rooms, which name this crate from outside.
#[cfg(test)]
extern crate self as millrace_orchestration;

pub mod approvals;
mod assets;
mod attempt;
pub mod cache;
mod context;
mod control;
pub mod cost;
mod critical;
mod early_stop;
mod engine;
pub mod environments;
mod error;
pub mod evaluations;
mod events;
mod firing;
pub mod inbox;
mod inputs;
pub mod items;
mod leases;
mod log;
mod notices;
pub mod plan;
pub mod planner;
mod recovery;
pub mod retry;
mod reuse;
mod run_task;
mod secret_env;
mod settings;
pub mod state;
pub mod steps;
mod submit;
mod sweep;
mod triggers;
mod waiting;
mod why_waiting;
mod windows;

pub use attempt::attempt_folder;
pub use control::{RerunOf, Selection};
pub use critical::{CriticalPath, StepSpan, critical_path, step_spans};
pub use engine::{Engine, EngineServices, Force, Parent, RunEvents, RunRequest, StepRegistry};
pub use error::OrchestrationError;
pub use events::{RunEvent, RunEventKind};
pub use firing::{Firing, Started};
pub use leases::ADDRESS_FILE;
pub use log::{
    AttemptLog, DroppedPart, LogLine, LogLines, LogMatch, LogPattern, LogStream, MAX_PATTERN, PatternError,
    search,
};
pub use secret_env::{AttemptIds, SecretEnv};
pub use settings::{EngineSettings, PoolSize, ServerPlace};
pub use submit::{TakeOver, TakenStep};
pub use triggers::{
    LastFiring, NextFiring, PipelineSource, TriggerLoop, TriggerStatus, describe_trigger, list_triggers,
    next_firings, trigger_docs,
};
pub use why_waiting::{why_late, why_waiting};
pub use windows::{
    RangeRequest, RunWindow, WindowEdge, backfill, cancel_range, first_window_trigger, range_filter,
    rerun_range, run_range, window_at, window_dependencies, written_window,
};
