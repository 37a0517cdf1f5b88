//! Brings runs back from their rows: at a start of the engine, and for a new run right after it was stored.

use std::sync::Arc;

use indexmap::IndexMap;
use millrace_contract::CommandHandle;
use millrace_metastore::runs::{PipelineRunRow, StepRunRow};
use millrace_spec::ids::StepId;
use millrace_spec::pipeline::Pipeline;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::attempt::attempt_folder;
use crate::engine::Shared;
use crate::error::OrchestrationError;
use crate::request::Force;
use crate::run_task;
use crate::state::{RunSnapshot, RunState, StepRun, StepState};

/// A run as loaded, and what of it was in an earlier engine's hands.
pub(crate) struct LoadedRun {
    pub(crate) run: RunSnapshot,
    pub(crate) force: Force,
    /// Steps whose attempt had begun and not ended.
    pub(crate) interrupted: Vec<(StepId, Interrupted)>,
}

/// What is left of an attempt that had begun.
pub(crate) enum Interrupted {
    /// A command to wait for.
    Command(CommandHandle),
    /// It was done in process, and is gone.
    Gone,
    /// It waits for something outside.
    Waiting {
        /// How to find that again, unless the server was killed before it knew.
        handle: Option<Value>,
        /// When the attempt began, microseconds since 1970.
        began_at: i64,
    },
}

#[derive(Debug, Default, Deserialize)]
struct RunOptions {
    #[serde(default)]
    force: Force,
    #[serde(default)]
    window: Option<Value>,
    #[serde(default)]
    event: Option<Value>,
    #[serde(default)]
    events: Vec<Value>,
}

/// Goes on with every open run.
pub(crate) async fn resume_open_runs(shared: &Arc<Shared>) -> Result<(), OrchestrationError> {
    let open =
        shared.store.open_pipeline_runs().await.map_err(OrchestrationError::store("list the open runs"))?;
    for row in open {
        let id = row.id.clone();
        match load_row(shared, row).await {
            Ok(loaded) => run_task::spawn(shared, loaded),
            // One unreadable run must not keep the others from going on.
            Err(error) => {
                tracing::error!(run = %id, error = %crate::error::chain(&error), "a run cannot be resumed")
            }
        }
    }
    Ok(())
}

/// Loads one run.
pub(crate) async fn load(shared: &Arc<Shared>, id: &str) -> Result<LoadedRun, OrchestrationError> {
    let row = shared
        .store
        .find_pipeline_run(id.to_owned())
        .await
        .map_err(OrchestrationError::store("read the run"))?;
    let row = row.ok_or_else(|| OrchestrationError::UnknownRun { id: id.to_owned() })?;
    load_row(shared, row).await
}

async fn load_row(shared: &Arc<Shared>, row: PipelineRunRow) -> Result<LoadedRun, OrchestrationError> {
    let id = row.id.clone();
    let pipeline: Pipeline = document("definition", &id, &row.definition)?;
    let options: RunOptions = document("options", &id, &row.options)?;
    let rows =
        shared.store.list_step_runs(id.clone()).await.map_err(OrchestrationError::store("read the steps"))?;
    let mut steps = IndexMap::new();
    let mut interrupted = Vec::new();
    for row in rows {
        let Ok(step_id) = row.step.parse::<StepId>() else { continue };
        let step = step_from_row(&id, &row)?;
        if step.state == StepState::Waiting {
            interrupted.push((step_id.clone(), find_waiting(shared, &id, &row).await?));
        }
        if step.state == StepState::Running {
            let folder = attempt_folder(shared, &id, step_id.as_str(), step.attempt);
            let handle = match shared.services.compute.find(&folder).await {
                Ok(handle) => handle.map_or(Interrupted::Gone, Interrupted::Command),
                Err(error) => {
                    tracing::warn!(run = %id, step = %step_id, %error, "the attempt's folder cannot be read; it counts as lost");
                    Interrupted::Gone
                }
            };
            interrupted.push((step_id.clone(), handle));
        }
        steps.insert(step_id, step);
    }
    let run = RunSnapshot {
        inputs: document("inputs", &id, &row.inputs)?,
        state: RunState::parse(&row.state).unwrap_or(RunState::Queued),
        cancel_requested: row.cancel_requested,
        window: options.window,
        created_at: row.created_at,
        event: options.event,
        events: options.events,
        pipeline,
        steps,
        id,
    };
    Ok(LoadedRun { run, force: options.force, interrupted })
}

async fn find_waiting(
    shared: &Shared,
    run_id: &str,
    row: &StepRunRow,
) -> Result<Interrupted, OrchestrationError> {
    let attempts = shared.store.list_step_attempts(run_id.to_owned()).await;
    let attempts = attempts.map_err(OrchestrationError::store("read the attempts"))?;
    let attempt =
        attempts.into_iter().find(|attempt| attempt.step == row.step && attempt.number == row.attempt);
    let began_at = attempt.as_ref().map_or_else(|| shared.now(), |attempt| attempt.started_at);
    let handle = attempt.and_then(|attempt| attempt.handle);
    let handle = handle.map(|text| document("handle", run_id, &text)).transpose()?;
    Ok(Interrupted::Waiting { handle, began_at })
}

fn step_from_row(run_id: &str, row: &StepRunRow) -> Result<StepRun, OrchestrationError> {
    Ok(StepRun {
        state: StepState::parse(&row.state).unwrap_or(StepState::Pending),
        attempt: u32::try_from(row.attempt).unwrap_or_default(),
        lost: u32::try_from(row.lost).unwrap_or_default(),
        retry_at: row.retry_at,
        outcome: row.outcome.as_deref().map(|text| document("outcome", run_id, text)).transpose()?,
        error: row.error.as_deref().map(|text| document("error", run_id, text)).transpose()?,
    })
}

fn document<T: DeserializeOwned>(what: &'static str, id: &str, text: &str) -> Result<T, OrchestrationError> {
    serde_json::from_str(text).map_err(|error| OrchestrationError::Document {
        what,
        id: id.to_owned(),
        error,
    })
}
