//! Pipeline runs, their steps and attempts, the step cache and trigger state.
//!
//! Documents are JSON text that the orchestration room reads and writes; instants are microseconds since 1970.

use crate::lineage::StepAsset;
use crate::windows::WindowRunRow;

/// A row of `pipeline_run`.
#[derive(Debug, Clone, PartialEq, Default)]
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
    /// Epoch of the server that drives it.
    pub owner: i64,
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
    /// The run whose step started it.
    pub parent_run: Option<String>,
    /// That step, with its item: `score[3]`.
    pub parent_step: Option<String>,
    /// Runs above it.
    pub depth: i64,
    /// What it leaves for its parent, once it succeeded.
    pub outputs: Option<String>,
    /// Among steps that wait for room, those of a higher priority begin first.
    pub priority: i64,
    /// Whether somebody holds it.
    pub paused: bool,
    /// By when it is to be over.
    pub deadline_at: Option<i64>,
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
    /// The step that it is an item of.
    pub item_of: Option<String>,
    /// Which item, from 0.
    pub item: Option<i64>,
    /// What people know the item by.
    pub label: Option<String>,
    /// How many items it is done for, once that is known.
    pub items_total: Option<i64>,
    /// Those items, a JSON list, when a run is stored; reading leaves it away, since it may be large.
    pub items: Option<String>,
    /// What it waits for, if it could begin: `slots`, `pool:<name>`, `rate:<name>`.
    pub waits_for: Option<String>,
    /// Since when.
    pub queued_at: Option<i64>,
}

/// What an attempt used, as far as it was measured: columns of `step_attempt`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttemptCostRow {
    /// Processor time in the program, milliseconds.
    pub cpu_user_ms: Option<i64>,
    /// Processor time in the kernel, milliseconds.
    pub cpu_system_ms: Option<i64>,
    /// Largest resident set of a process.
    pub peak_memory_bytes: Option<i64>,
    /// Bytes read.
    pub read_bytes: Option<i64>,
    /// Bytes written.
    pub written_bytes: Option<i64>,
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
    /// What it used.
    pub cost: AttemptCostRow,
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
        /// What it takes from named pools.
        pools: Vec<PoolClaim>,
        /// Where it belongs, if it is an item: its row is made when it begins.
        item: Option<ItemRow>,
    },
    /// No more items of a step begin.
    CloseItems {
        /// Which step.
        step: String,
    },
    /// The items of a step are known.
    Expand {
        /// Which step.
        step: String,
        /// JSON list of what it is done for.
        items: String,
        /// How many those are.
        total: i64,
        /// When that was known.
        ready_at: i64,
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
        /// What it used.
        cost: AttemptCostRow,
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

/// What an attempt takes from a named pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolClaim {
    /// Name.
    pub pool: String,
    /// Slots it takes.
    pub slots: i64,
    /// Slots there are.
    pub size: i64,
    /// Attempts that may begin in so many microseconds.
    pub rate: Option<(i64, i64)>,
}

/// What the row of an item says beside its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRow {
    /// The step that it is an item of.
    pub of: String,
    /// Which item, from 0.
    pub number: i64,
    /// What people know it by.
    pub label: String,
    /// Kind of the step.
    pub kind: String,
    /// Place of the step in the file.
    pub position: i64,
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
    /// Epoch of the server that asks; the run must be its own.
    pub epoch: i64,
    /// Now.
    pub now: i64,
    /// Attempts that may run at once on this server.
    pub max_running: i64,
    /// The steps' changes, in order.
    pub steps: Vec<StepChange>,
    /// State of the run from now on, if it is over.
    pub run: Option<RunEnd>,
}

/// How a run ends.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunEnd {
    /// State word.
    pub state: String,
    /// Its problem.
    pub error: Option<String>,
    /// What it leaves for its parent.
    pub outputs: Option<String>,
    /// Whether somebody is to be told of it.
    pub told: bool,
}

/// What became of a transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransitionResult {
    /// Stored. Steps whose `Begin` found no room are named and have not begun.
    Stored {
        /// Steps that must wait for room.
        waiting: Vec<String>,
        /// When the rate of a pool lets the next one begin.
        again_at: Option<i64>,
    },
    /// Another server has taken over the run; nothing was stored.
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
