//! Carries out one attempt of a step: resolve, look in the cache, run, take in what it left.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use millrace_contract::{
    AttemptCost, CommandExit, CommandHandle, Explain as _, Placement, Progress, ProgressSink, REJECTED,
    StepContext, StepError, StepKind, StepOutcome,
};
use millrace_metastore::lineage::StepAsset;
use millrace_spec::asset::Asset;
use millrace_spec::ids::StepKey;
use millrace_spec::pipeline::Step;
use millrace_spec::problem::Problem;
use millrace_spec::secret::{self, SecretText};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::assets;
use crate::cache::{Components, ReuseDecision};
use crate::context::{refuse_unreadable, resolve_config, resolve_map};
use crate::engine::Shared;
use crate::events::RunEventKind;
use crate::log::FileLog;
use crate::recovery::Interrupted;
use crate::reuse::look_in_cache;
use crate::secret_env::AttemptIds;
use crate::sweep::take_objective;
use crate::waiting;

/// How an attempt ended, for the run's task.
#[derive(Debug)]
pub(crate) struct AttemptEnd {
    /// Of which step or item.
    pub(crate) key: StepKey,
    pub(crate) attempt: u32,
    pub(crate) result: AttemptResult,
    /// What the look in the cache said.
    pub(crate) reuse: Option<ReuseDecision>,
    /// Exit record of a command.
    pub(crate) exit: Option<CommandExit>,
    /// What it used.
    pub(crate) cost: AttemptCost,
    /// To be kept for reuse, when it succeeded.
    pub(crate) remember: Option<Remember>,
    /// What it read and left, when it succeeded.
    pub(crate) assets: Vec<StepAsset>,
}

impl AttemptEnd {
    /// An end without anything beside it.
    pub(crate) fn of(key: StepKey, attempt: u32, result: AttemptResult) -> Self {
        let cost = AttemptCost::default();
        Self { key, attempt, result, reuse: None, exit: None, cost, remember: None, assets: Vec::new() }
    }
}

/// A result worth keeping.
#[derive(Debug)]
pub(crate) struct Remember {
    pub(crate) key: String,
    pub(crate) components: Components,
}

/// The ways an attempt ends.
#[derive(Debug)]
pub(crate) enum AttemptResult {
    Succeeded(StepOutcome),
    Cached(StepOutcome),
    Failed {
        problem: Problem,
        /// Whether it may pass by itself.
        transient: bool,
    },
    /// Somebody said no.
    Rejected(Problem),
    TimedOut,
    Cancelled,
    /// The process is gone without a trace; not the user's fault.
    Lost,
}

/// What an attempt needs to begin.
pub(crate) struct AttemptStart {
    pub(crate) run_id: String,
    pub(crate) pipeline: String,
    /// Which step or item.
    pub(crate) key: StepKey,
    pub(crate) step: Arc<Step>,
    /// What its expressions may name, but for secrets, as it was when the attempt began.
    pub(crate) values: Value,
    pub(crate) attempt: u32,
    pub(crate) force: bool,
    pub(crate) cancel: CancellationToken,
    /// What an earlier engine began and this one goes on with.
    pub(crate) resume: Option<Interrupted>,
}

struct ProgressEvents {
    shared: Arc<Shared>,
    run_id: String,
    pipeline: String,
    step: String,
}

impl ProgressSink for ProgressEvents {
    fn report(&self, progress: Progress) {
        self.shared.keep_progress(&self.run_id, &self.step, progress.clone());
        let kind = RunEventKind::StepProgress { step: self.step.clone(), progress };
        self.shared.publish(&self.run_id, &self.pipeline, kind);
    }
}

/// Folder of an attempt: `<state>/runs/<run>/<step>/<attempt>`, of an item `<state>/runs/<run>/<step>/item-<number>/<attempt>`.
pub fn attempt_folder(state_folder: &Path, run_id: &str, key: &StepKey, attempt: u32) -> PathBuf {
    let mut folder = state_folder.join("runs").join(run_id).join(key.step.as_str());
    if let Some(item) = key.item {
        folder.push(format!("item-{item}"));
    }
    folder.join(attempt.to_string())
}

/// Runs an attempt to its end. Never fails: every way out is an [`AttemptEnd`].
pub(crate) async fn carry_out(shared: Arc<Shared>, start: AttemptStart) -> AttemptEnd {
    let mut end = AttemptEnd::of(start.key.clone(), start.attempt, AttemptResult::Cancelled);
    let work = work(&shared, &start, &mut end);
    let outcome = match in_process_limit(&shared, &start) {
        // The kind sees the cancelled token and stops; a kind that does not is left behind after the grace time.
        Some(limit) => match tokio::time::timeout(limit, work).await {
            Ok(outcome) => outcome,
            Err(_) => {
                start.cancel.cancel();
                Ok(AttemptResult::TimedOut)
            }
        },
        None => work.await,
    };
    end.result = match outcome {
        Ok(result) => result,
        Err(error) if error.cancelled => AttemptResult::Cancelled,
        Err(error) if error.problem.code == REJECTED => {
            AttemptResult::Rejected(place_at(error.problem, &start.step))
        }
        Err(error) => AttemptResult::Failed {
            problem: place_at(error.problem, &start.step),
            transient: error.transient,
        },
    };
    end
}

/// The shim keeps the time of commands, and what waits keeps its own, so that a restart does not lengthen it; this is for everything else
/// and, with slack, a belt.
fn in_process_limit(shared: &Shared, start: &AttemptStart) -> Option<Duration> {
    let kind = shared.kinds.get(start.step.kind.as_str());
    if kind.is_some_and(|kind| kind.waits(&start.step.config)) {
        return None;
    }
    let limit = start.step.timeout_ms?;
    let slack = if matches!(start.step.kind.as_str(), "run" | "python") { 60_000 } else { 0 };
    Some(Duration::from_millis(limit + slack))
}

/// A problem without a place of its own is shown at the step.
fn place_at(mut problem: Problem, step: &Step) -> Problem {
    problem.place.get_or_insert_with(|| step.place.clone());
    // The system's words, whichever library passed them on.
    let full = |text: &String| text.contains("No space left on device");
    if full(&problem.message) || problem.notes.iter().any(full) {
        problem = problem.hint("the disk is full: make room, then run it again");
    }
    problem
}

async fn work(
    shared: &Arc<Shared>,
    start: &AttemptStart,
    end: &mut AttemptEnd,
) -> Result<AttemptResult, StepError> {
    let kind = shared.kinds.get(start.step.kind.as_str()).cloned().ok_or_else(|| {
        StepError::permanent(Problem::error(
            "unknown-kind",
            format!("there is no step kind `{}`", start.step.kind),
        ))
    })?;
    let context = build_context(shared, start, kind.as_ref()).await?;
    let read = assets::read_by(&context);
    if start.resume.is_none()
        && let Some(outcome) = look_in_cache(shared, start, kind.as_ref(), &context, end).await
    {
        end.assets = assets::step_assets(&read, &outcome);
        return Ok(AttemptResult::Cached(outcome));
    }
    if kind.tracked() {
        start_tracking(shared, &context, start.step.kind.as_str(), &read).await?;
    }
    let ended = do_work(shared, start, kind.as_ref(), context.clone(), end).await;
    if !matches!(ended, Ok(Some(_))) {
        kind.discard(&context).await;
    }
    if kind.tracked() {
        let word = match &ended {
            Ok(_) => "FINISHED",
            Err(error) if error.cancelled => "KILLED",
            Err(_) => "FAILED",
        };
        if let Err(error) = shared.services.tracker.end_run(&context.tracking_run_id, word).await {
            tracing::warn!(%error, "a tracked run stays open");
        }
    }
    let mut outcome = match ended {
        Ok(Some(outcome)) => outcome,
        Ok(None) => return Ok(AttemptResult::Lost),
        Err(error) if error.problem.code == TIMED_OUT => return Ok(AttemptResult::TimedOut),
        Err(error) => return Err(error),
    };
    log_metrics(shared, kind.as_ref(), &context, &outcome).await?;
    take_objective(shared, &start.step, &context, &mut outcome).await?;
    end.assets = assets::step_assets(&read, &outcome);
    Ok(AttemptResult::Succeeded(outcome))
}

pub(crate) const TIMED_OUT: &str = "timed-out";

/// `None` means that the command was lost.
async fn do_work(
    shared: &Arc<Shared>,
    start: &AttemptStart,
    kind: &dyn StepKind,
    context: StepContext,
    end: &mut AttemptEnd,
) -> Result<Option<StepOutcome>, StepError> {
    if kind.waits(&start.step.config) {
        return waiting::see_through(shared, start, kind, &context).await.map(Some);
    }
    let handle = match &start.resume {
        Some(Interrupted::Command(handle)) => handle.clone(),
        _ => match kind.place(&context).await? {
            Placement::InProcess => return kind.run(context).await.map(Some),
            Placement::Command(command) => {
                let handle = shared
                    .services
                    .compute
                    .start(context.folder.clone(), *command)
                    .await
                    .map_err(compute_error)?;
                shared.store_handle(&context.run_id, &context.step, context.attempt, &handle).await?;
                handle
            }
        },
    };
    let exit = wait_or_cancel(shared, &handle, &context.cancel).await?;
    end.exit = Some(exit.clone());
    end.cost = shared.services.compute.cost(&handle).await.unwrap_or_default();
    match exit {
        CommandExit::Lost => Ok(None),
        CommandExit::Cancelled => Err(StepError::cancelled()),
        CommandExit::TimedOut => {
            Err(StepError::permanent(Problem::error(TIMED_OUT, "the step ran into its timeout")))
        }
        exit => kind.collect(context, exit).await.map(Some),
    }
}

async fn wait_or_cancel(
    shared: &Arc<Shared>,
    handle: &CommandHandle,
    cancel: &CancellationToken,
) -> Result<CommandExit, StepError> {
    let waiting = shared.services.compute.wait(handle);
    tokio::pin!(waiting);
    tokio::select! {
        exit = &mut waiting => return exit.map_err(compute_error),
        () = cancel.cancelled() => {}
    }
    shared.services.compute.cancel(handle).await.map_err(compute_error)?;
    waiting.await.map_err(compute_error)
}

fn compute_error(error: millrace_contract::ComputeError) -> StepError {
    let code = match &error {
        millrace_contract::ComputeError::Environment { .. } => "environment-failed",
        millrace_contract::ComputeError::Folder { .. } => "attempt-folder",
        millrace_contract::ComputeError::Start { .. } => "command-not-started",
    };
    StepError::transient(Problem::error(code, error.to_string()))
}

pub(crate) async fn build_context(
    shared: &Arc<Shared>,
    start: &AttemptStart,
    kind: &dyn StepKind,
) -> Result<StepContext, StepError> {
    let step = &start.step;
    let secrets = shared.services.secrets.secrets();
    refuse_unreadable(&secrets, step)?;
    let mut values = start.values.clone();
    if let Some(fields) = values.as_object_mut() {
        fields.insert("secrets".to_owned(), secrets.to_value());
    }
    let config = resolve_config(shared, &step.config, kind.bound_fields(), &values, step).await?;
    let inputs = resolve_map(shared, &step.inputs, &values, step).await?;
    let run_id = start.run_id.clone();
    let key = start.key.to_string();
    let folder = match &start.resume {
        // Perhaps that of a server that is gone.
        Some(Interrupted::Command(handle)) => handle.folder.clone(),
        _ => attempt_folder(&shared.settings.state_folder, &run_id, &start.key, start.attempt),
    };
    let tracking_run_id = tracking_run_id(&run_id, &key, start.attempt);
    let mut env: IndexMap<String, String> = shared.services.step_env.clone();
    let ids =
        AttemptIds { run_id: &run_id, step: &key, attempt: start.attempt, tracking_run_id: &tracking_run_id };
    let secret_env = (shared.services.secret_env)(&ids);
    env.extend(secret_env.clone());
    if kind.tracked() {
        // MLflow's client, and ours, log into the run of this name.
        env.insert("MLFLOW_RUN_ID".to_owned(), tracking_run_id.clone());
        env.insert("MLFLOW_EXPERIMENT_NAME".to_owned(), start.pipeline.clone());
    }
    for (name, value) in resolve_map(shared, &step.env, &values, step).await? {
        env.insert(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    let hidden = secrets.readable().map(SecretText::reveal);
    let masks = secret::masks(hidden.chain(secret_env.values().map(String::as_str)));
    let idempotency = blake3::hash(format!("{run_id}/{key}").as_bytes()).to_hex().to_string();
    Ok(StepContext {
        pipeline: start.pipeline.clone(),
        step: key.clone(),
        attempt: start.attempt,
        idempotency_key: idempotency,
        workspace: shared.settings.workspace.clone(),
        config,
        inputs,
        outputs: step.outputs.clone(),
        environment: step.environment.clone(),
        env,
        log: Arc::new(FileLog::new(&folder, shared.services.clock.clone(), masks.clone())),
        secrets: masks,
        timeout_ms: step.timeout_ms,
        tracking_run_id,
        cancel: start.cancel.clone(),
        progress: Arc::new(ProgressEvents {
            shared: shared.clone(),
            run_id: run_id.clone(),
            pipeline: start.pipeline.clone(),
            step: key,
        }),
        folder,
        run_id,
    })
}

/// Id of the tracked run of an attempt: derived, so that a re-attached command logs into the same one.
pub(crate) fn tracking_run_id(run_id: &str, step: &str, attempt: u32) -> String {
    let hash = blake3::hash(format!("{run_id}/{step}/{attempt}").as_bytes()).to_hex();
    hash.as_str().chars().take(32).collect()
}

pub(crate) fn tracking_failed(error: millrace_contract::TrackerError) -> StepError {
    StepError::transient(Problem::error("tracking-failed", error.to_string()))
}

async fn start_tracking(
    shared: &Arc<Shared>,
    context: &StepContext,
    kind: &str,
    read: &[Asset],
) -> Result<(), StepError> {
    let tracker = &shared.services.tracker;
    let started = async {
        tracker.start_run(&context.run_id, &context.pipeline, &context.pipeline, None).await?;
        tracker
            .start_run(&context.tracking_run_id, &context.pipeline, &context.step, Some(&context.run_id))
            .await?;
        tracker.log_inputs(&context.tracking_run_id, read.to_vec(), assets::purpose(kind)).await
    };
    started.await.map_err(tracking_failed)
}

/// Logs the numbers of a step. A step that is not tracked puts them into the pipeline's run under `<step>.<name>`.
async fn log_metrics(
    shared: &Arc<Shared>,
    kind: &dyn StepKind,
    context: &StepContext,
    outcome: &StepOutcome,
) -> Result<(), StepError> {
    if outcome.metrics.is_empty() {
        return Ok(());
    }
    let tracker = &shared.services.tracker;
    let own = kind.tracked().then(|| {
        let metrics = outcome.metrics.iter().map(|(name, value)| (name.clone(), *value, 0)).collect();
        tracker.log(&context.tracking_run_id, metrics, Vec::new(), Vec::new())
    });
    let logged = async {
        if let Some(own) = own {
            own.await?;
        } else {
            tracker.start_run(&context.run_id, &context.pipeline, &context.pipeline, None).await?;
        }
        let metrics = outcome
            .metrics
            .iter()
            .map(|(name, value)| (format!("{}.{name}", context.step), *value, 0))
            .collect();
        tracker.log(&context.run_id, metrics, Vec::new(), Vec::new()).await
    };
    logged.await.map_err(tracking_failed)
}

/// Turns `data:…` and `model:…` into assets.
pub(crate) async fn resolve_reference(shared: &Shared, text: &str, step: &Step) -> Result<Value, StepError> {
    let resolved: Result<Asset, millrace_contract::CatalogError> = if text.starts_with("data:") {
        shared.services.datasets.resolve(text).await.map(|version| version.asset)
    } else {
        shared.services.models.resolve(text).await.map(|version| version.asset)
    };
    resolved.map(|asset| asset.to_value()).map_err(|error| {
        let mut problem = error.problem();
        problem.place.get_or_insert_with(|| step.place.clone());
        StepError::permanent(problem)
    })
}
