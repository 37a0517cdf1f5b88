//! Orchestration: what runs when, and what becomes of it.
//!
//! Owns: the durable state machine of runs, steps and attempts; retries, timeouts, cancellation, conditions, `finally`; the step cache
//! and its reasons; schedules and windows. Leaves to others: what a step does (`StepKind`s of the other rooms) and where commands run
//! (`ComputeTarget`). The planner is a pure function of rows and a clock; every transition is one transaction, fenced by attempt and
//! epoch. Start from [`Engine`] and [`planner::decide`].
#![warn(missing_docs)]

mod assets;
mod attempt;
pub mod cache;
mod context;
mod engine;
mod error;
mod events;
pub mod inbox;
mod inputs;
mod log;
pub mod planner;
mod recovery;
mod request;
mod run_task;
pub mod state;
pub mod steps;
mod triggers;
mod waiting;
mod windows;

pub use engine::{Engine, EngineServices, EngineSettings, StepRegistry};
pub use error::OrchestrationError;
pub use events::{RunEvent, RunEventKind};
pub use log::{LogLine, LogPage, for_each_line, read_log};
pub use request::{Firing, Force, RunEvents, RunRequest, Started};
pub use triggers::{
    LastFiring, NextFiring, PipelineSource, TriggerLoop, TriggerStatus, describe_trigger, list_triggers,
    next_firings, trigger_docs,
};
pub use windows::{
    RangeRequest, RunWindow, WindowEdge, backfill, cancel_range, first_window_trigger, range_filter,
    rerun_range, run_range, window_at, window_dependencies, written_window,
};
