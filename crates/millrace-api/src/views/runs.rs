//! Pipeline runs, their steps, attempts and logs.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::json::{JsonMap, NumberMap};
use super::workspace::Problem;

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct RunSummary {
    /// 32 hex digits.
    pub id: String,
    /// Its pipeline.
    pub pipeline: String,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    pub status: String,
    /// What started it: `manual`, `cron`, …
    pub trigger: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub started_at: Option<String>,
    /// RFC 3339.
    pub ended_at: Option<String>,
    /// Steps in all.
    pub steps_total: u32,
    /// Steps that will not change any more.
    pub steps_done: u32,
    /// Steps whose earlier result stood in.
    pub steps_cached: u32,
    /// Why it failed.
    pub problem: Option<Problem>,
    /// Whether somebody holds it: what runs goes on, nothing begins.
    pub paused: bool,
    /// The run whose step started it.
    pub parent: Option<ParentView>,
    /// By when it is to be over, RFC 3339.
    pub deadline_at: Option<String>,
    /// Whether it went on beyond its deadline.
    pub late: bool,
}

/// The step of another run that started a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ParentView {
    /// That run.
    pub run: String,
    /// Its step, with its item: `score[3]`.
    pub step: String,
}

/// Some runs, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct RunPage {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// `after` of the next page.
    pub next: Option<String>,
    /// How many runs this page has.
    pub total: u32,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ProgressView {
    /// Share done, 0 to 1.
    pub fraction: Option<f64>,
    /// Rows so far.
    pub rows: Option<u64>,
    /// Bytes so far.
    pub bytes: Option<u64>,
    /// What it does now.
    pub message: Option<String>,
}

/// One try of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct AttemptView {
    /// From 1.
    pub attempt: u32,
    /// State word.
    pub status: String,
    /// RFC 3339.
    pub started_at: Option<String>,
    /// RFC 3339.
    pub ended_at: Option<String>,
    /// Why it failed.
    pub problem: Option<Problem>,
    /// How its process ended.
    pub exit: Option<String>,
    /// Largest resident memory of its process.
    pub peak_memory_bytes: Option<u64>,
    /// Processor time of its process, milliseconds.
    pub cpu_ms: Option<u64>,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct StepView {
    /// Its key.
    pub id: String,
    /// The kind's word.
    pub kind: String,
    /// `pending`, `running`, `waiting`, `retrying`, `succeeded`, `cached`, `failed`, `timed_out`, `rejected`, `skipped` or
    /// `cancelled`.
    pub status: String,
    /// Steps that come before.
    pub needs: Vec<String>,
    /// Whether it runs at the end whatever became of the others.
    #[serde(rename = "finally")]
    pub at_the_end: bool,
    /// Oldest first.
    pub attempts: Vec<AttemptView>,
    /// RFC 3339; when its needs were met.
    pub ready_at: Option<String>,
    /// RFC 3339.
    pub started_at: Option<String>,
    /// RFC 3339.
    pub ended_at: Option<String>,
    /// How far it is, while it runs.
    pub progress: Option<ProgressView>,
    /// `inputs:` as written.
    pub inputs: JsonMap,
    /// What it left: plain values and assets.
    pub outputs: JsonMap,
    /// Numbers it logged.
    pub metrics: NumberMap,
    /// Rows it read or wrote.
    pub rows: Option<u64>,
    /// Bytes it moved.
    pub bytes: Option<u64>,
    /// The run whose result stood in.
    pub cached_from: Option<String>,
    /// Why it ran, was reused or skipped; a sentence each.
    pub why: Vec<String>,
    /// Why it failed.
    pub problem: Option<Problem>,
    /// The tracked run that it logs into.
    pub tracking_run_id: Option<String>,
    /// What it is done for, in numbers; `/api/runs/{id}/steps/{step}/items` lists it.
    pub items: Option<ItemsView>,
    /// The run that it started and waits for.
    pub sub_run: Option<String>,
}

/// Items of a step in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ItemsView {
    /// How many.
    pub total: u32,
    /// Of those, how many never began.
    pub not_begun: u32,
    /// How many are in each state, of those that have begun.
    pub counts: std::collections::BTreeMap<String, u32>,
    /// The first that failed.
    pub failures: Vec<ItemView>,
}

/// An item of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ItemView {
    /// From 0.
    pub index: u32,
    /// Its name among steps, for logs and outputs: `train[3]`.
    pub step: String,
    /// What people know it by.
    pub label: String,
    /// State word.
    pub status: String,
    /// Attempts begun.
    pub attempts: u32,
    /// RFC 3339.
    pub started_at: Option<String>,
    /// RFC 3339.
    pub ended_at: Option<String>,
    /// What it left: plain values and assets.
    pub outputs: JsonMap,
    /// Why it ran, was reused or waits; a sentence each.
    pub why: Vec<String>,
    /// Why it failed.
    pub problem: Option<Problem>,
}

/// Some items of a step, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ItemPage {
    /// Those that have begun.
    pub items: Vec<ItemView>,
    /// `after` of the next page.
    pub next: Option<u32>,
}

/// A run's page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct RunView {
    /// The run.
    pub run: RunSummary,
    /// Resolved inputs.
    pub inputs: JsonMap,
    /// Steps in the file's order.
    pub steps: Vec<StepView>,
    /// The pipeline's file as it is now; empty if it is gone.
    pub yaml: String,
    /// The command that starts such a run again.
    pub command: String,
    /// The experiment its tracked runs are in.
    pub experiment_id: Option<String>,
}

/// Some of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct LogChunk {
    /// Whole lines.
    pub text: String,
    /// Where the text begins, a byte offset to be taken as given.
    pub offset: u64,
    /// Where to read on.
    pub next_offset: u64,
    /// Where the log ends now.
    pub size: u64,
    /// Number of the first line on the error stream, from 0 within this text.
    pub first_error: Option<u64>,
    /// Whether nothing more will come.
    pub ended: bool,
}

/// Why a step ran, was reused, was skipped or waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct WhyView {
    /// The step.
    pub step: String,
    /// Its state word.
    pub status: String,
    /// A sentence each.
    pub why: Vec<String>,
}
