//! Brings runs back from their rows: those that another server has left, and a new one right after it was stored.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use millrace_contract::CommandHandle;
use millrace_metastore::runs::{PipelineRunRow, StepRunRow};
use millrace_metastore::runs_items::ItemFilter;
use millrace_spec::ids::{StepId, StepKey};
use millrace_spec::pipeline::Pipeline;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::attempt::attempt_folder;
use crate::engine::{Force, Shared};
use crate::error::OrchestrationError;
use crate::items::Items;
use crate::state::{RunSnapshot, RunState, StepRun, StepState};

/// A run as loaded, and what of it was in an earlier engine's hands.
pub(crate) struct LoadedRun {
    pub(crate) run: RunSnapshot,
    pub(crate) force: Force,
    /// Steps whose attempt had begun and not ended.
    pub(crate) interrupted: Vec<(StepKey, Interrupted)>,
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
    #[serde(default)]
    partial: bool,
}

/// Loads one run. `left_in`: the state folder of the server that drove it before, if that is on this machine.
pub(crate) async fn load(
    shared: &Arc<Shared>,
    id: &str,
    left_in: Option<&Path>,
) -> Result<LoadedRun, OrchestrationError> {
    let state = left_in.unwrap_or(&shared.settings.state_folder);
    let row = shared
        .store
        .find_pipeline_run(id.to_owned())
        .await
        .map_err(OrchestrationError::store("read the run"))?;
    let row = row.ok_or_else(|| OrchestrationError::UnknownRun { id: id.to_owned() })?;
    load_row(shared, row, state).await
}

async fn load_row(
    shared: &Arc<Shared>,
    row: PipelineRunRow,
    state_folder: &Path,
) -> Result<LoadedRun, OrchestrationError> {
    let id = row.id.clone();
    let pipeline: Pipeline = document("definition", &id, &row.definition)?;
    let options: RunOptions = document("options", &id, &row.options)?;
    let rows =
        shared.store.list_step_runs(id.clone()).await.map_err(OrchestrationError::store("read the steps"))?;
    let mut steps = IndexMap::new();
    let mut interrupted = Vec::new();
    for row in rows {
        let Ok(step_id) = row.step.parse::<StepId>() else { continue };
        let mut step = step_from_row(&id, &row)?;
        if row.items_total.is_some() {
            step.items = Some(Box::new(
                load_items((shared, state_folder), &id, &step_id, step.state, &mut interrupted).await?,
            ));
        } else if let Some(left) =
            what_is_left((shared, state_folder), &id, &step_id.clone().into(), &step).await?
        {
            interrupted.push((step_id.clone().into(), left));
        }
        steps.insert(step_id, step);
    }
    let run = RunSnapshot {
        inputs: document("inputs", &id, &row.inputs)?,
        state: RunState::parse(&row.state).unwrap_or(RunState::Queued),
        cancel_requested: row.cancel_requested,
        window: options.window,
        paused: row.paused,
        created_at: row.created_at,
        event: options.event,
        events: options.events,
        partial: options.partial,
        deadline_at: row.deadline_at,
        url: shared.page_of(&id),
        parent: row.parent_run.zip(row.parent_step),
        pipeline,
        steps,
        id,
    };
    Ok(LoadedRun { run, force: options.force, interrupted })
}

/// The items of a step: what it is done for, and those that have begun from their rows.
async fn load_items(
    (shared, state_folder): (&Arc<Shared>, &Path),
    run_id: &str,
    step: &StepId,
    state: StepState,
    interrupted: &mut Vec<(StepKey, Interrupted)>,
) -> Result<Items, OrchestrationError> {
    let read = shared.store.find_items_document(run_id.to_owned(), step.to_string()).await;
    let text = read.map_err(OrchestrationError::store("read the items"))?.unwrap_or_default();
    let mut items = Items::new(document("items", run_id, &text)?);
    let filter = ItemFilter { limit: i64::MAX, ..ItemFilter::default() };
    let rows = shared.store.list_step_items(run_id.to_owned(), step.to_string(), filter).await;
    for row in rows.map_err(OrchestrationError::store("read the items"))? {
        let Some(number) = row.item.and_then(|number| u32::try_from(number).ok()) else { continue };
        let run = step_from_row(run_id, &row)?;
        let key = StepKey::item(step.clone(), number);
        if let Some(left) = what_is_left((shared, state_folder), run_id, &key, &run).await? {
            interrupted.push((key, left));
        }
        items.update(number, |item| *item = run);
    }
    if state.is_final() {
        // Those that never began have no row.
        items.close(StepState::Skipped);
    }
    items.skip_begun();
    Ok(items)
}

/// What is left of a step's attempt, if one had begun and not ended.
async fn what_is_left(
    (shared, state_folder): (&Arc<Shared>, &Path),
    run_id: &str,
    key: &StepKey,
    step: &StepRun,
) -> Result<Option<Interrupted>, OrchestrationError> {
    match step.state {
        StepState::Waiting => find_waiting(shared, run_id, key, step.attempt).await.map(Some),
        StepState::Running => {
            let folder = attempt_folder(state_folder, run_id, key, step.attempt);
            Ok(Some(match shared.services.compute.find(&folder).await {
                Ok(handle) => handle.map_or(Interrupted::Gone, Interrupted::Command),
                Err(error) => {
                    tracing::warn!(run = %run_id, step = %key, %error, "the attempt's folder cannot be read; it counts as lost");
                    Interrupted::Gone
                }
            }))
        }
        _ => Ok(None),
    }
}

async fn find_waiting(
    shared: &Shared,
    run_id: &str,
    key: &StepKey,
    attempt: u32,
) -> Result<Interrupted, OrchestrationError> {
    let attempts = shared.store.list_attempts_of(run_id.to_owned(), key.to_string()).await;
    let attempts = attempts.map_err(OrchestrationError::store("read the attempts"))?;
    let attempt = attempts.into_iter().find(|row| row.number == i64::from(attempt));
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
        items: None,
    })
}

pub(crate) fn document<T: DeserializeOwned>(
    what: &'static str,
    id: &str,
    text: &str,
) -> Result<T, OrchestrationError> {
    serde_json::from_str(text).map_err(|error| OrchestrationError::Document {
        what,
        id: id.to_owned(),
        error,
    })
}
