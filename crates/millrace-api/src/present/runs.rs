//! Pipeline runs as views.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use millrace_contract::{AttemptCost, CommandExit, Progress, StepOutcome};
use millrace_metastore::experiments::TrackedRunRow;
use millrace_metastore::runs::{AttemptCostRow, PipelineRunRow, StepAttemptRow, StepRunRow};
use millrace_metastore::runs_search::{RunListRow, StepCount};
use millrace_orchestration::cache::ReuseDecision;
use millrace_orchestration::state::StepState;
use millrace_orchestration::{cost, step_spans};
use millrace_spec::pipeline::{Pipeline, Step};
use millrace_spec::problem::Problem;
use serde_json::Value;

use super::{count, instant};
use crate::error::ApiError;
use crate::views::json::{JsonMap, NumberMap};
use crate::views::runs::{
    AttemptView, CostView, CriticalPathView, ItemView, ItemsView, ParentView, ProgressView, RunSummary,
    StepView,
};

/// A run with its steps for a list. `now` is in microseconds since 1970.
pub(crate) fn run_summary(row: &PipelineRunRow, steps: &[StepRunRow], now: i64) -> RunSummary {
    let counts: Vec<_> = steps.iter().map(|step| StepCount { state: step.state.clone(), steps: 1 }).collect();
    listed_run(&RunListRow::from(row), &counts, now)
}

/// A run for a list. `now` is in microseconds since 1970.
pub(crate) fn listed_run(row: &RunListRow, counts: &[StepCount], now: i64) -> RunSummary {
    let with = |test: fn(StepState) -> bool| {
        let counted = counts.iter().filter(|count| StepState::parse(&count.state).is_some_and(test));
        count(counted.map(|count| count.steps).sum())
    };
    RunSummary {
        id: row.id.clone(),
        number: row.number,
        pipeline: row.pipeline.clone(),
        status: row.state.clone(),
        trigger: trigger(&row.cause),
        created_at: instant(row.created_at),
        started_at: row.started_at.map(instant),
        ended_at: row.ended_at.map(instant),
        steps_total: count(counts.iter().map(|count| count.steps).sum()),
        steps_done: with(StepState::is_final),
        steps_cached: with(|state| state == StepState::Cached),
        problem: problem(row.error.as_deref()).map(Into::into),
        paused: row.paused,
        parent: row
            .parent_run
            .clone()
            .zip(row.parent_step.clone())
            .map(|(run, step)| ParentView { run, step }),
        deadline_at: row.deadline_at.map(instant),
        late: row.deadline_at.is_some_and(|at| row.ended_at.unwrap_or(now) > at),
    }
}

/// The word for what started a run.
pub(crate) fn trigger(cause: &str) -> String {
    let cause: Value = serde_json::from_str(cause).unwrap_or_default();
    cause.get("by").and_then(Value::as_str).unwrap_or("manual").to_owned()
}

/// Items of a step in numbers, with the first that failed.
pub(crate) fn items_view(
    row: &StepRunRow,
    counts: Option<&BTreeMap<String, i64>>,
    failures: &[StepRunRow],
) -> Option<ItemsView> {
    let total = row.items_total?;
    let begun: i64 = counts.map(|counts| counts.values().sum()).unwrap_or_default();
    let counts = counts.into_iter().flatten().map(|(state, n)| (state.clone(), count(*n))).collect();
    Some(ItemsView {
        total: count(total),
        not_begun: count(total - begun),
        counts,
        failures: failures.iter().filter_map(|item| item_view(item).ok()).collect(),
    })
}

/// An item of a step.
pub(crate) fn item_view(row: &StepRunRow) -> Result<ItemView, ApiError> {
    let outcome: StepOutcome = match &row.outcome {
        Some(text) => serde_json::from_str(text)?,
        None => StepOutcome::default(),
    };
    let decision = row.reuse.as_deref().and_then(|text| serde_json::from_str::<ReuseDecision>(text).ok());
    Ok(ItemView {
        index: count(row.item.unwrap_or_default()),
        step: row.step.clone(),
        label: row.label.clone().unwrap_or_default(),
        status: row.state.clone(),
        attempts: count(row.attempt),
        started_at: row.started_at.map(instant),
        ended_at: row.ended_at.map(instant),
        outputs: JsonMap(outcome.outputs),
        why: why(row, decision.as_ref()),
        problem: problem(row.error.as_deref()).map(Into::into),
    })
}

fn problem(stored: Option<&str>) -> Option<Problem> {
    let stored = stored?;
    Some(serde_json::from_str(stored).unwrap_or_else(|_| Problem::error("run-failed", stored)))
}

/// What a run stored about its pipeline.
pub(crate) fn definition(row: &PipelineRunRow) -> Result<Pipeline, ApiError> {
    Ok(serde_json::from_str(&row.definition)?)
}

/// The values that a run began with.
pub(crate) fn inputs(row: &PipelineRunRow) -> Result<IndexMap<String, Value>, ApiError> {
    Ok(serde_json::from_str(&row.inputs)?)
}

/// A step with its attempts.
pub(crate) fn step_view(
    row: &StepRunRow,
    definition: Option<&Step>,
    at_the_end: bool,
    attempts: &[StepAttemptRow],
    progress: Option<Progress>,
    tracked: &[TrackedRunRow],
) -> Result<StepView, ApiError> {
    let outcome: StepOutcome = match &row.outcome {
        Some(text) => serde_json::from_str(text)?,
        None => StepOutcome::default(),
    };
    let decision = row.reuse.as_deref().and_then(|text| serde_json::from_str::<ReuseDecision>(text).ok());
    let cached_from = match &decision {
        Some(ReuseDecision::Reused { from_run } | ReuseDecision::TakenOver { from_run })
            if row.state == "cached" =>
        {
            Some(from_run.clone())
        }
        _ => None,
    };
    let attempts: Vec<_> = attempts.iter().filter(|attempt| attempt.step == row.step).collect();
    let cost = cost_view(&sum(attempts.iter().map(|attempt| &attempt.cost)));
    let attempts = attempts.into_iter().map(attempt_view).collect();
    let tracked = tracked.iter().find(|tracked| tracked.name == row.step).map(|tracked| tracked.id.clone());
    Ok(StepView {
        id: row.step.clone(),
        kind: row.kind.clone(),
        status: row.state.clone(),
        needs: definition
            .map(|step| step.needs.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        at_the_end,
        attempts,
        ready_at: row.ready_at.map(instant),
        started_at: row.started_at.map(instant),
        ended_at: row.ended_at.map(instant),
        progress: progress.map(|progress| ProgressView {
            fraction: progress.fraction,
            rows: progress.rows,
            bytes: progress.bytes,
            message: progress.message,
        }),
        inputs: JsonMap(definition.map(|step| step.inputs.clone()).unwrap_or_default()),
        outputs: JsonMap(outcome.outputs),
        metrics: NumberMap(outcome.metrics),
        rows: outcome.rows,
        bytes: outcome.bytes,
        cost,
        cached_from,
        why: why(row, decision.as_ref()),
        problem: problem(row.error.as_deref()).map(Into::into),
        tracking_run_id: tracked,
        items: None,
        sub_run: None,
    })
}

/// Why a step ran, was reused, was skipped or waits.
pub(crate) fn why(row: &StepRunRow, decision: Option<&ReuseDecision>) -> Vec<String> {
    let mut sentences: Vec<String> = decision.map(ReuseDecision::sentence).into_iter().collect();
    sentences.extend(row.reason.clone());
    if let Some(at) = row.retry_at {
        sentences.push(format!("the next attempt begins at {}", instant(at)));
    }
    sentences
}

fn attempt_view(row: &StepAttemptRow) -> AttemptView {
    let exit = row.exit.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    AttemptView {
        attempt: count(row.number),
        status: row.state.clone(),
        started_at: Some(instant(row.started_at)),
        ended_at: row.ended_at.map(instant),
        problem: problem(row.error.as_deref()).map(Into::into),
        exit: exit.as_ref().and_then(exit_text),
        cost: cost_view(&cost::of_row(&row.cost)),
    }
}

fn exit_text(exit: &Value) -> Option<String> {
    Some(match serde_json::from_value::<CommandExit>(exit.clone()).ok()? {
        CommandExit::Exited { code } => format!("exit code {code}"),
        CommandExit::Signalled { signal, out_of_memory: true } => format!("signal {signal}, out of memory"),
        CommandExit::Signalled { signal, .. } => format!("signal {signal}"),
        CommandExit::TimedOut => "timed out".to_owned(),
        CommandExit::Cancelled => "cancelled".to_owned(),
        CommandExit::Lost => "lost".to_owned(),
        CommandExit::NotStarted { message } => format!("not started: {message}"),
    })
}

/// The chain of steps that set the length of a run, which may still go on.
pub(crate) fn critical_path(
    row: &PipelineRunRow,
    steps: &[StepRunRow],
    pipeline: &Pipeline,
    now: i64,
) -> CriticalPathView {
    let spans = step_spans(steps, Some(pipeline));
    let path = millrace_orchestration::critical_path(&spans, row.ended_at.unwrap_or(now));
    let milliseconds = |micros: i64| u64::try_from(micros / 1_000).unwrap_or(0);
    CriticalPathView {
        steps: path.steps,
        queued_ms: milliseconds(path.queued_us),
        worked_ms: milliseconds(path.worked_us),
    }
}

/// What all of these used together.
pub(crate) fn sum<'a>(rows: impl IntoIterator<Item = &'a AttemptCostRow>) -> AttemptCost {
    rows.into_iter().map(cost::of_row).fold(AttemptCost::default(), AttemptCost::and)
}

pub(crate) fn cost_view(cost: &AttemptCost) -> CostView {
    CostView {
        cpu_ms: cost.cpu_ms(),
        cpu_user_ms: cost.cpu_user_ms,
        cpu_system_ms: cost.cpu_system_ms,
        peak_memory_bytes: cost.peak_memory_bytes,
        read_bytes: cost.read_bytes,
        written_bytes: cost.written_bytes,
    }
}
