//! Starts runs: resolves inputs, stores the run with its steps in one transaction, and hands it to a task.

use indexmap::IndexMap;
use millrace_metastore::runs::{FiringRow, InsertedRun, PipelineRunRow, RunOrigin, StepRunRow};
use millrace_spec::expression;
use millrace_spec::ids::StepId;
use millrace_spec::pipeline::{Pipeline, Step};
use millrace_spec::problem::Problem;
use millrace_spec::triggers::Overlap;
use serde_json::{Value, json};

use crate::cache::ReuseDecision;
use crate::engine::{Engine, Force, RunEvents, RunRequest};
use crate::environments::with_branch;
use crate::error::OrchestrationError;
use crate::firing::{Firing, Started};
use crate::state::{RunState, StepState};
use crate::windows::{self, RunWindow};
use crate::{inputs, recovery, run_task};

/// Steps of a new run that do not run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TakeOver {
    /// What an earlier run left stands in for these.
    pub steps: IndexMap<StepId, TakenStep>,
    /// These are left out.
    pub left_out: Vec<StepId>,
}

/// What a step left in an earlier run.
#[derive(Debug, Clone, PartialEq)]
pub struct TakenStep {
    /// That run.
    pub from_run: String,
    /// The step's row there.
    pub row: StepRunRow,
    /// What it was done for, a JSON list.
    pub items: Option<String>,
    /// The rows of those items that succeeded. The others are done now.
    pub succeeded: Vec<StepRunRow>,
}

impl Engine {
    /// Starts a run and returns its id; the id of the earlier run if the request or the firing was seen before.
    ///
    /// # Errors
    /// If the inputs do not fit or the database fails.
    pub async fn submit(
        &self,
        pipeline: Pipeline,
        request: RunRequest,
    ) -> Result<String, OrchestrationError> {
        Ok(match self.begin(&pipeline, request).await? {
            Started::New(id) | Started::Earlier(id) | Started::Skipped { running: id } => id,
        })
    }

    /// As [`Engine::submit`], and says whether the run is new.
    ///
    /// # Errors
    /// If the inputs do not fit or the database fails.
    pub async fn begin(
        &self,
        pipeline: &Pipeline,
        request: RunRequest,
    ) -> Result<Started, OrchestrationError> {
        let shared = &self.shared;
        let inputs = inputs::resolve(pipeline, &request.inputs)
            .map_err(|problem| OrchestrationError::Invalid(Box::new(problem)))?;
        let (concurrency_key, concurrency_limit) = match concurrency(pipeline, &inputs)? {
            (None, _) => one_at_a_time(pipeline, request.firing.as_ref()),
            ruled => ruled,
        };
        let now = shared.now();
        let window =
            request.window.or_else(|| windows::last_complete(pipeline, &shared.settings.timezone, now));
        let rows = step_rows(pipeline, request.take_over.as_ref(), now);
        let partial = request.take_over.as_ref().is_some_and(|take_over| !take_over.left_out.is_empty());
        let document = |value: Value| value.to_string();
        let due_at = request.firing.as_ref().map_or(now, |firing| firing.instant);
        let deadline_at =
            pipeline.deadline.as_ref().and_then(|rule| rule.at(now, due_at, &shared.settings.timezone));
        let parent = request.parent;
        let row = PipelineRunRow {
            id: uuid::Uuid::now_v7().simple().to_string(),
            pipeline: pipeline.name.to_string(),
            definition: serde_json::to_string(&pipeline.without_triggers()).unwrap_or_default(),
            inputs: document(json!(inputs)),
            options: document(options(&request.force, window.as_ref(), request.events.as_ref(), partial)),
            cause: document(with_branch(request.cause, pipeline, &shared.settings.workspace)),
            state: RunState::Queued.as_str().to_owned(),
            idempotency_key: request.idempotency_key,
            concurrency_key,
            concurrency_limit,
            owner: shared.epoch(),
            created_at: now,
            priority: pipeline.priority,
            deadline_at,
            depth: parent.as_ref().map_or(0, |parent| parent.depth.into()),
            parent_step: parent.as_ref().map(|parent| parent.step.clone()),
            parent_run: parent.map(|parent| parent.run_id),
            ..PipelineRunRow::default()
        };
        let id = row.id.clone();
        let stored = match request.events {
            Some(events) => shared.store.insert_run_of_events(row, rows, events.ids).await,
            None => shared.store.insert_pipeline_run(row, rows, origin(request.firing, window)).await,
        };
        match stored.map_err(OrchestrationError::store("store the new run"))? {
            InsertedRun::Existing { id } => Ok(Started::Earlier(id)),
            InsertedRun::Skipped { running } => Ok(Started::Skipped { running }),
            InsertedRun::New { .. } => {
                run_task::spawn(shared, recovery::load(shared, &id, None).await?);
                Ok(Started::New(id))
            }
        }
    }
}

/// What is stored of a request beside its inputs.
fn options(force: &Force, window: Option<&RunWindow>, events: Option<&RunEvents>, partial: bool) -> Value {
    let mut options = json!({"force": force, "window": window.map(RunWindow::document), "partial": partial});
    if let (Some(events), Some(options)) = (events, options.as_object_mut()) {
        options.insert("event".to_owned(), events.newest.clone());
        options.insert("events".to_owned(), json!(events.all));
    }
    options
}

/// What a run stands for.
fn origin(firing: Option<Firing>, window: Option<RunWindow>) -> Option<RunOrigin> {
    match (firing, window) {
        (Some(firing), _) => Some(RunOrigin::Firing(FiringRow {
            trigger: firing.trigger,
            instant: firing.instant,
            skip_if_running: firing.overlap == Overlap::Skip,
        })),
        (None, Some(window)) => Some(RunOrigin::Window(window.row())),
        (None, None) => None,
    }
}

/// The key of a trigger whose runs wait for each other, where the pipeline has no rule of its own.
fn one_at_a_time(pipeline: &Pipeline, firing: Option<&Firing>) -> (Option<String>, Option<i64>) {
    match firing {
        Some(firing) if matches!(firing.overlap, Overlap::Queue | Overlap::CancelRunning) => {
            (Some(format!("{}//{}", pipeline.name, firing.trigger)), Some(1))
        }
        _ => (None, None),
    }
}

/// Key and limit under which a run is counted.
fn concurrency(
    pipeline: &Pipeline,
    inputs: &IndexMap<String, Value>,
) -> Result<(Option<String>, Option<i64>), OrchestrationError> {
    let Some(rule) = &pipeline.concurrency else { return Ok((None, None)) };
    let key = match &rule.key {
        None => String::new(),
        Some(text) => {
            let context = json!({"inputs": inputs});
            let value = expression::render(&Value::String(text.clone()), &context).map_err(|error| {
                OrchestrationError::Invalid(Box::new(Problem::error("concurrency-key", error.to_string())))
            })?;
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        }
    };
    Ok((Some(format!("{}/{key}", pipeline.name)), Some(rule.limit.into())))
}

/// A row for each step, and for each item that is taken over.
fn step_rows(pipeline: &Pipeline, take_over: Option<&TakeOver>, now: i64) -> Vec<StepRunRow> {
    let steps = pipeline.steps.values().chain(pipeline.finally.values());
    let mut rows = Vec::new();
    for (position, step) in steps.enumerate() {
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        let taken = take_over.and_then(|take_over| take_over.steps.get(&step.id));
        let left_out = take_over.is_some_and(|take_over| take_over.left_out.contains(&step.id));
        rows.push(match taken {
            Some(taken) => taken_row(step, position, taken, now),
            None if left_out => StepRunRow {
                state: StepState::Skipped.as_str().to_owned(),
                reason: Some("this run leaves it out".to_owned()),
                ended_at: Some(now),
                ..pending_row(step, position)
            },
            None => pending_row(step, position),
        });
        for item in taken.map(|taken| taken.succeeded.as_slice()).unwrap_or_default() {
            rows.push(StepRunRow {
                state: StepState::Cached.as_str().to_owned(),
                reuse: taken.map(taken_over),
                ended_at: Some(now),
                position,
                attempt: 0,
                lost: 0,
                retry_at: None,
                started_at: None,
                ready_at: None,
                ..item.clone()
            });
        }
    }
    rows
}

fn pending_row(step: &Step, position: i64) -> StepRunRow {
    StepRunRow {
        step: step.id.to_string(),
        position,
        kind: step.kind.clone(),
        state: StepState::Pending.as_str().to_owned(),
        ..StepRunRow::default()
    }
}

/// A step whose earlier result stands in; one of whose items some failed goes on with those.
fn taken_row(step: &Step, position: i64, taken: &TakenStep, now: i64) -> StepRunRow {
    let over = StepState::parse(&taken.row.state).is_some_and(StepState::is_success);
    let state = if over { StepState::Cached } else { StepState::Running };
    StepRunRow {
        state: state.as_str().to_owned(),
        outcome: taken.row.outcome.clone().filter(|_| over),
        reuse: Some(taken_over(taken)),
        ready_at: (!over).then_some(now),
        started_at: (!over).then_some(now),
        ended_at: over.then_some(now),
        items: taken.items.clone(),
        items_total: taken.row.items_total,
        ..pending_row(step, position)
    }
}

fn taken_over(taken: &TakenStep) -> String {
    let decision = ReuseDecision::TakenOver { from_run: taken.from_run.clone() };
    serde_json::to_string(&decision).unwrap_or_default()
}
