//! Pipeline runs, their steps and attempts, the step cache and trigger state.
//!
//! Documents are JSON text that the orchestration room reads and writes; instants are microseconds since 1970.

use crate::lineage::StepAsset;
use crate::windows::WindowRunRow;

/// A row of `pipeline_run`.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineRunRow {
    /// 32 hex digits.
    pub id: String,
    /// Counts the runs of a pipeline from 1; given by [`Metastore::insert_pipeline_run`].
    pub number: i64,
    /// Pipeline name.
    pub pipeline: String,
    /// The definition it began with.
    pub definition: String,
    /// Resolved inputs.
    pub inputs: String,
    /// What was asked for beside: steps to force or leave out.
    pub options: String,
    /// What started it.
    pub cause: String,
    /// State word.
    pub state: String,
    /// Key of the request that made it; a second request with it finds this run.
    pub idempotency_key: Option<String>,
    /// Runs with this key count against `concurrency_limit`.
    pub concurrency_key: Option<String>,
    /// Runs with the same key at once.
    pub concurrency_limit: Option<i64>,
    /// Whether somebody asked for its end.
    pub cancel_requested: bool,
    /// Problem of the run.
    pub error: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// When its first step could begin.
    pub started_at: Option<i64>,
    /// When it was over.
    pub ended_at: Option<i64>,
}

/// A row of `step_run`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepRunRow {
    /// Step id.
    pub step: String,
    /// Order in the file.
    pub position: i64,
    /// Kind of step.
    pub kind: String,
    /// State word.
    pub state: String,
    /// Attempts begun.
    pub attempt: i64,
    /// Attempts lost with their process.
    pub lost: i64,
    /// When the next attempt is due.
    pub retry_at: Option<i64>,
    /// When its needs were met.
    pub ready_at: Option<i64>,
    /// When its first attempt began.
    pub started_at: Option<i64>,
    /// When it was over.
    pub ended_at: Option<i64>,
    /// What it left.
    pub outcome: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// Why it was or was not reused.
    pub reuse: Option<String>,
    /// Why it was skipped, or on what it waits.
    pub reason: Option<String>,
}

/// A row of `step_attempt`.
#[derive(Debug, Clone, PartialEq)]
pub struct StepAttemptRow {
    /// Step id.
    pub step: String,
    /// From 1.
    pub number: i64,
    /// Epoch of the engine that began or re-attached it.
    pub epoch: i64,
    /// State word.
    pub state: String,
    /// How to find its command again.
    pub handle: Option<String>,
    /// How its command ended.
    pub exit: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it began.
    pub started_at: i64,
    /// When it was over.
    pub ended_at: Option<i64>,
}

/// Part of one transition of a run: what happens to one step.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "a handful at a time, moved once")]
pub enum StepChange {
    /// An attempt begins, if the limits allow.
    Begin {
        /// Which step.
        step: String,
        /// Number of the attempt.
        attempt: i64,
        /// Since when it could have begun.
        ready_at: i64,
        /// Whether it only waits for something outside: it begins whatever the limits, and does not count.
        waits: bool,
        /// Slots it takes: pool, slots, size of the pool.
        pools: Vec<(String, i64, i64)>,
    },
    /// The running attempt is over.
    EndAttempt {
        /// Which step.
        step: String,
        /// Which attempt; any other is stale and refused.
        attempt: i64,
        /// State word of the attempt.
        attempt_state: String,
        /// State word of the step from now on.
        step_state: String,
        /// When the next attempt is due, if there is one.
        retry_at: Option<i64>,
        /// Whether the attempt was lost.
        lost: bool,
        /// What it left.
        outcome: Option<String>,
        /// Why it failed.
        error: Option<String>,
        /// Why it was or was not reused.
        reuse: Option<String>,
        /// How its command ended.
        exit: Option<String>,
        /// To be kept for reuse.
        cache: Option<StepCacheRow>,
        /// What it read and left, if it succeeded.
        assets: Vec<StepAsset>,
    },
    /// The step ends without an attempt.
    End {
        /// Which step.
        step: String,
        /// State word.
        state: String,
        /// Why.
        reason: Option<String>,
        /// The problem, if it is one.
        error: Option<String>,
    },
}

/// A row of `step_cache`.
#[derive(Debug, Clone, PartialEq)]
pub struct StepCacheRow {
    /// The key.
    pub cache_key: String,
    /// Pipeline name.
    pub pipeline: String,
    /// Step id.
    pub step: String,
    /// Kind of step.
    pub kind: String,
    /// What the key was made of.
    pub components: String,
    /// The result.
    pub outcome: String,
    /// The run that made it.
    pub run_id: String,
    /// When.
    pub created_at: i64,
}

/// One transition of a run: all of it is stored, or none.
#[derive(Debug, Clone, PartialEq)]
pub struct RunTransition {
    /// Which run.
    pub run_id: String,
    /// Epoch of the engine that asks.
    pub epoch: i64,
    /// Now.
    pub now: i64,
    /// Attempts that may run at once in all.
    pub max_running: i64,
    /// The steps' changes, in order.
    pub steps: Vec<StepChange>,
    /// State word of the run from now on, and its problem.
    pub run: Option<(String, Option<String>)>,
}

/// What became of a transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransitionResult {
    /// Stored. Steps whose `Begin` found no free slot are named and unchanged.
    Stored {
        /// Steps that must wait for a slot.
        waiting: Vec<String>,
    },
    /// Another engine has taken over; nothing was stored.
    StaleEpoch,
}

/// What a run stands for, stored with it: what stands for the same starts no second run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunOrigin {
    /// An instant of a schedule.
    Firing(FiringRow),
    /// A window.
    Window(WindowRunRow),
}

/// An instant of a schedule, stored with the run that it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiringRow {
    /// Name of the trigger.
    pub trigger: String,
    /// The instant it stands for.
    pub instant: i64,
    /// Whether it starts nothing while an earlier run of the trigger goes on.
    pub skip_if_running: bool,
}

/// What became of a new run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsertedRun {
    /// Stored under this number.
    New {
        /// Number of the run within its pipeline.
        number: i64,
    },
    /// The same request or firing had made this run before.
    Existing {
        /// Its id.
        id: String,
    },
    /// Nothing was stored but the firing, since an earlier run of its trigger goes on.
    Skipped {
        /// Which run.
        running: String,
    },
}
