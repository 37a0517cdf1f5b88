//! Orchestration: what runs when, and what becomes of it.
//!
//! Owns: the durable state machine of runs, steps and attempts; retries, timeouts, cancellation, conditions, `finally`; the step cache
//! and its reasons; cron triggers. Leaves to others: what a step does (`StepKind`s of the other rooms) and where commands run
//! (`ComputeTarget`). The planner is a pure function of rows and a clock; every transition is one transaction, fenced by attempt and
//! epoch. Start from [`Engine`] and [`planner::decide`].
#![warn(missing_docs)]

pub mod approvals;
mod assets;
mod attempt;
pub mod cache;
mod context;
mod control;
mod engine;
pub mod environments;
mod error;
pub mod evaluations;
mod events;
mod inputs;
pub mod items;
mod log;
pub mod plan;
pub mod planner;
mod recovery;
pub mod retry;
mod run_task;
pub mod state;
pub mod steps;
mod submit;
mod triggers;
mod waiting;
mod why_waiting;

pub use attempt::attempt_folder;
pub use control::{RerunOf, Selection};
pub use engine::{Engine, EngineServices, EngineSettings, Force, Parent, PoolSize, RunRequest, StepRegistry};
pub use error::OrchestrationError;
pub use events::{RunEvent, RunEventKind};
pub use log::{LogLine, LogPage, for_each_line, read_log};
pub use submit::{TakeOver, TakenStep};
pub use triggers::{NextFiring, PipelineSource, TriggerLoop, next_firings, trigger_docs};
pub use why_waiting::why_waiting;
