use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_spec::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::catalog::AssetKey;
use crate::columns::ColumnLineage;
use crate::compute::{CommandExit, CommandSpec};
use crate::kind::KindDoc;

/// What kind a step is as far as the orchestrator cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepTraits {
    /// Equal inputs give equal outputs, so a result may be reused.
    pub deterministic: bool,
    /// Raised when the kind's meaning changes, so that old results are not reused.
    pub version: u32,
}

/// An output that a step of this kind and config will have, for `check`, `explain` and the canvas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputDoc {
    /// Name: `steps.<id>.<name>`.
    pub name: String,
    /// Scalar or asset type, or `json`.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// Where a step's work is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Placement {
    /// Inside this process, by [`StepKind::run`].
    InProcess,
    /// By a program under the shim; [`StepKind::collect`] takes in what it left.
    Command(Box<CommandSpec>),
}

/// What a step that waits has found.
#[derive(Debug, Clone, PartialEq)]
pub enum Look {
    /// What it waits for has not come.
    Waiting {
        /// On what, for people: `for 1 of 2 approvals by role:ml_owner`.
        reason: String,
        /// Longest time until the next look; a nudge makes it sooner.
        look_again: Duration,
    },
    /// It has come.
    Done(StepOutcome),
}

/// How far a step is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Share done, 0 to 1, if it can be known.
    pub fraction: Option<f64>,
    /// Rows so far.
    pub rows: Option<u64>,
    /// Bytes so far.
    pub bytes: Option<u64>,
    /// What it does now, a few words.
    pub message: Option<String>,
}

/// Takes progress; never blocks.
pub trait ProgressSink: Send + Sync {
    /// The newest state replaces the one before.
    fn report(&self, progress: Progress);
}

/// Takes lines for the step's log; never blocks on a reader.
pub trait StepLog: Send + Sync {
    /// Appends one line, without its newline.
    fn line(&self, text: &str);
}

/// Everything an attempt of a step may use.
#[derive(Clone)]
pub struct StepContext {
    /// Pipeline run id, 32 hex digits.
    pub run_id: String,
    /// Pipeline name.
    pub pipeline: String,
    /// Step id; with its number for an item of a `foreach`: `train[3]`.
    pub step: String,
    /// Number of this attempt, from 1.
    pub attempt: u32,
    /// Hash of run, step and item, the same over retries.
    pub idempotency_key: String,
    /// Root of the workspace.
    pub workspace: PathBuf,
    /// This attempt's own folder; kept with the run.
    pub folder: PathBuf,
    /// What stands under the kind's key, expressions resolved.
    pub config: Value,
    /// `inputs:`, expressions resolved and references (`data:…`) turned into assets.
    pub inputs: IndexMap<String, Value>,
    /// `outputs:` as declared: name to type.
    pub outputs: IndexMap<String, String>,
    /// `environment:`.
    pub environment: Option<String>,
    /// `env:`, resolved, plus what the server sets (`MLFLOW_TRACKING_URI`, …).
    pub env: IndexMap<String, String>,
    /// Values to be masked in logs.
    pub secrets: Vec<String>,
    /// Longest run time of the attempt, milliseconds.
    pub timeout_ms: Option<u64>,
    /// The tracked run that the step logs into, 32 hex digits.
    pub tracking_run_id: String,
    /// Set when somebody cancels the run or the time is up.
    pub cancel: CancellationToken,
    /// The step's log.
    pub log: Arc<dyn StepLog>,
    /// The step's progress.
    pub progress: Arc<dyn ProgressSink>,
}

impl StepContext {
    /// Name of a dataset that the step makes without being told one: `<pipeline>_<step>`, for an item `<pipeline>_<step>_<number>`.
    pub fn dataset_name(&self) -> String {
        format!("{}_{}", self.pipeline, self.step.replace('[', "_").replace(']', ""))
    }
}

/// What a finished step leaves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepOutcome {
    /// `steps.<id>.<name>`: plain values and assets.
    pub outputs: IndexMap<String, Value>,
    /// Numbers to be logged into the step's tracked run.
    #[serde(default)]
    pub metrics: IndexMap<String, f64>,
    /// Rows it read or wrote, whichever its users would name first.
    #[serde(default)]
    pub rows: Option<u64>,
    /// Bytes it moved.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// Sources outside Millrace that it read, for the lineage.
    #[serde(default)]
    pub sources: Vec<AssetKey>,
    /// Which columns the columns of its datasets come from, where that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnLineage>,
}

/// Code of a step that was rejected, which is a state of its own.
pub const REJECTED: &str = "rejected";

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", problem.message)]
pub struct StepError {
    /// What, where, what to do.
    pub problem: Problem,
    /// Whether trying again could help: a lost connection, yes; a type error, no.
    pub transient: bool,
    /// Set if it ended because it was cancelled.
    pub cancelled: bool,
}

impl StepError {
    /// A failure that trying again will not mend.
    pub fn permanent(problem: Problem) -> Self {
        Self { problem, transient: false, cancelled: false }
    }

    /// A "no" of somebody who was asked: the step ends as rejected and is never tried again.
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::permanent(Problem::error(REJECTED, message))
    }

    /// A failure that may pass.
    pub fn transient(problem: Problem) -> Self {
        Self { problem, transient: true, cancelled: false }
    }

    /// The end of a cancelled step.
    pub fn cancelled() -> Self {
        Self {
            problem: Problem::error("cancelled", "the step was cancelled"),
            transient: false,
            cancelled: true,
        }
    }
}

/// A kind of step: one file in the room that does the work, one line in `boot`.
#[async_trait]
pub trait StepKind: Send + Sync {
    /// Its page.
    fn doc(&self) -> &KindDoc;

    /// Determinism and semantic version.
    fn traits(&self) -> StepTraits;

    /// Whether this very step's result may be reused. Narrower than [`StepTraits::deterministic`]: a copy of local files may, one of a
    /// live table may not.
    fn reusable(&self, config: &Value) -> bool {
        let _ = config;
        self.traits().deterministic
    }

    /// Whether what an earlier run did outside its outputs is still so: an alias still points there, an endpoint still serves it. Asked
    /// before its result is reused.
    async fn still_holds(&self, context: &StepContext, outcome: &StepOutcome) -> bool {
        let _ = (context, outcome);
        true
    }

    /// Whether its attempts log into a tracked run of their own, which is then started before they are.
    fn tracked(&self) -> bool {
        false
    }

    /// Fields of the config in which `${{ }}` is bound as a parameter, never pasted. After resolving, such a field is
    /// `{"text": "… $1 …", "params": [value]}` instead of a string.
    fn bound_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// What `steps.<id>` will have.
    fn outputs(&self, config: &Value, declared: &IndexMap<String, String>) -> Vec<OutputDoc>;

    /// Files of the workspace whose content is part of what the step does (scripts, flow files), relative paths.
    fn code_files(&self, config: &Value) -> Vec<String> {
        let _ = config;
        Vec::new()
    }

    /// Problems that the schema cannot express; `config` has its expressions unresolved.
    fn check(&self, config: &Value) -> Vec<Problem> {
        let _ = config;
        Vec::new()
    }

    /// The same with the places: each problem with the JSON pointer into `config` that it is about.
    fn check_places(&self, config: &Value) -> Vec<(String, Problem)> {
        self.check(config).into_iter().map(|problem| (String::new(), problem)).collect()
    }

    /// Where this attempt is to run.
    async fn place(&self, context: &StepContext) -> Result<Placement, StepError> {
        let _ = context;
        Ok(Placement::InProcess)
    }

    /// Whether attempts of such a step only wait for something outside: an approval, a run of another system. They hold no worker, slot or
    /// pool meanwhile. Of a kind that waits, [`StepKind::begin_waiting`], [`StepKind::look`] and [`StepKind::abandon`] are called, and
    /// neither `place` nor `run`.
    fn waits(&self, config: &Value) -> bool {
        let _ = config;
        false
    }

    /// Begins what is waited for and returns how to find it again, which is stored with the attempt. Called anew with the same idempotency
    /// key if the server was killed before that was stored, so it must not begin twice.
    async fn begin_waiting(&self, context: &StepContext) -> Result<Value, StepError> {
        let _ = context;
        Ok(Value::Null)
    }

    /// Looks whether what is waited for has come. Called at once, after the time it asked for, after a restart, and when nudged.
    async fn look(&self, context: &StepContext, handle: &Value) -> Result<Look, StepError> {
        let _ = (context, handle);
        Ok(Look::Done(StepOutcome::default()))
    }

    /// Gives up what is waited for: the run was cancelled or the time is up.
    async fn abandon(&self, context: &StepContext, handle: &Value) {
        let _ = (context, handle);
    }

    /// Does the work in this process. Called unless `place` named a command.
    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError>;

    /// Turns what a command left in the attempt's folder into outputs. Called after a command that `place` named has ended.
    async fn collect(&self, context: StepContext, exit: CommandExit) -> Result<StepOutcome, StepError> {
        let _ = (context, exit);
        Ok(StepOutcome::default())
    }

    /// Frees what an attempt that did not succeed leaves and nobody will read, its half-written outputs. Called before the end of the
    /// attempt is stored: an attempt that filled the disk must not keep its own failure from being known.
    async fn discard(&self, context: &StepContext) {
        let _ = context;
    }
}
