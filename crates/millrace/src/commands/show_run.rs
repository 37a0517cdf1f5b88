//! `millrace runs show`: a run, its steps, and what they used.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use millrace_contract::{AttemptCost, Clock as _, SystemClock};
use millrace_metastore::runs::{AttemptCostRow, PipelineRunRow, StepAttemptRow, StepRunRow};
use millrace_orchestration::{CriticalPath, cost, critical_path, step_spans};
use millrace_spec::pipeline::Pipeline;
use serde_json::{Value, json};

use crate::boot;
use crate::commands::follow::{duration, short};
use crate::commands::runs;
use crate::printer::{Printer, table};

/// What each step used, its items together.
type Costs = HashMap<String, AttemptCostRow>;

pub(crate) async fn run(wanted: &str, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let run = runs::find(&rooms.store, wanted).await?;
    let steps = rooms.store.list_step_runs(run.id.clone()).await?;
    let attempts = rooms.store.list_step_attempts(run.id.clone()).await?;
    let costs = rooms.store.step_costs(run.id.clone()).await?;
    let now = run.ended_at.unwrap_or_else(|| SystemClock.now().as_microsecond());
    // A definition that a newer version wrote says nothing of what came before what.
    let pipeline = serde_json::from_str::<Pipeline>(&run.definition).ok();
    let path = critical_path(&step_spans(&steps, pipeline.as_ref()), now);
    let mut document = runs::run_json(&(&run).into());
    if let Some(fields) = document.as_object_mut() {
        let rows = steps.iter().map(|step| step_json(step, &attempts, &costs, &path));
        fields.insert("cost".to_owned(), cost_json(&sum(costs.values())));
        fields.insert("critical_path".to_owned(), json!(path.steps));
        fields.insert("steps".to_owned(), rows.collect());
    }
    printer.document(&document, || text(&run, &steps, &costs, &path));
    Ok(ExitCode::SUCCESS)
}

fn sum<'a>(rows: impl IntoIterator<Item = &'a AttemptCostRow>) -> AttemptCost {
    rows.into_iter().map(cost::of_row).fold(AttemptCost::default(), AttemptCost::and)
}

fn cost_json(cost: &AttemptCost) -> Value {
    json!({
        "cpu_ms": cost.cpu_ms(), "cpu_user_ms": cost.cpu_user_ms, "cpu_system_ms": cost.cpu_system_ms,
        "peak_memory_bytes": cost.peak_memory_bytes, "read_bytes": cost.read_bytes,
        "written_bytes": cost.written_bytes,
    })
}

fn step_json(step: &StepRunRow, attempts: &[StepAttemptRow], costs: &Costs, path: &CriticalPath) -> Value {
    let at = |micros: Option<i64>| Some(Timestamp::from_microsecond(micros?).ok()?.to_string());
    let tries = attempts.iter().filter(|attempt| attempt.step == step.step).map(|attempt| {
        json!({
            "attempt": attempt.number, "state": attempt.state, "started_at": at(Some(attempt.started_at)),
            "ended_at": at(attempt.ended_at), "cost": cost_json(&cost::of_row(&attempt.cost)),
        })
    });
    json!({
        "step": step.step, "kind": step.kind, "state": step.state, "ready_at": at(step.ready_at),
        "started_at": at(step.started_at), "ended_at": at(step.ended_at), "critical": path.steps.contains(&step.step),
        "cost": cost_json(&sum(costs.get(&step.step))), "attempts": tries.collect::<Value>(),
    })
}

fn text(run: &PipelineRunRow, steps: &[StepRunRow], costs: &Costs, path: &CriticalPath) -> String {
    let between = |from: Option<i64>, to: Option<i64>| {
        let micros = u64::try_from(to?.checked_sub(from?)?).ok()?;
        Some(duration(Duration::from_micros(micros)))
    };
    let rows: Vec<Vec<String>> = steps
        .iter()
        .map(|step| {
            let used = sum(costs.get(&step.step));
            let critical = if path.steps.contains(&step.step) { "*" } else { "" };
            vec![
                format!("{}{critical}", step.step),
                Printer::state(&step.state),
                step.attempt.to_string(),
                between(step.ready_at, step.started_at).unwrap_or_default(),
                used.cpu_ms().map(|ms| duration(Duration::from_millis(ms))).unwrap_or_default(),
                size(used.peak_memory_bytes),
                size(used.read_bytes),
                size(used.written_bytes),
                between(step.started_at, step.ended_at).unwrap_or_default(),
            ]
        })
        .collect();
    let header = ["STEP", "STATE", "ATTEMPTS", "QUEUED", "CPU", "MEMORY", "READ", "WRITTEN", "TOOK"];
    let late = if runs::is_late(&run.into()) { ", late" } else { "" };
    let head =
        format!("{} #{} {} {}{late}", run.pipeline, run.number, short(&run.id), Printer::state(&run.state));
    format!("{head}\n{}\n* on the critical path", table(&header, &rows).trim_end())
}

/// `1.5 MB`; nothing for what is not known.
fn size(bytes: Option<u64>) -> String {
    let Some(bytes) = bytes else { return String::new() };
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut number = bytes as f64;
    let mut unit = 0;
    while number >= 1000.0 && unit + 1 < units.len() {
        number /= 1000.0;
        unit += 1;
    }
    let word = units.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{bytes} {word}") } else { format!("{number:.1} {word}") }
}
