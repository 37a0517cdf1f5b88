use std::process::ExitCode;

use anyhow::{Result, bail};
use millrace_metastore::runs::StepRunRow;
use millrace_orchestration::cache::ReuseDecision;
use millrace_orchestration::{why_late, why_waiting};
use millrace_spec::problem::Problem;
use serde_json::{Value, json};

use crate::boot;
use crate::cli::Why;
use crate::commands::runs;
use crate::printer::Printer;

pub(crate) async fn run(arguments: &Why, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let run = runs::find(&rooms.store, &arguments.run).await?;
    let steps = rooms.store.list_step_runs(run.id.clone()).await?;
    let mut chosen: Vec<StepRunRow> = steps
        .iter()
        .filter(|step| arguments.step.as_ref().is_none_or(|name| *name == step.step))
        .cloned()
        .collect();
    if let (true, Some(name)) = (chosen.is_empty(), &arguments.step) {
        // An item of a step is found by its own name, `train[3]`.
        chosen.extend(rooms.store.find_step_run(run.id.clone(), name.clone()).await?);
    }
    if chosen.is_empty() {
        bail!("the run has no step `{}`", arguments.step.as_deref().unwrap_or_default());
    }
    let now = rooms.clock.now().as_microsecond();
    let mut reasons: Vec<Value> = Vec::with_capacity(chosen.len());
    for step in &chosen {
        let waits = why_waiting(&rooms.store, &run, &steps, step, now).await?;
        let mut why = if waits.is_empty() { sentence(step) } else { waits.join("; ") };
        if let Some(engine) = engine(step) {
            why = format!("{why}; it ran on {engine}");
        }
        if let Some(late) = why_late(&run, now).filter(|_| step.ended_at.is_none()) {
            why = format!("{why}; {late}");
        }
        reasons.push(json!({
            "step": step.step, "state": step.state, "why": why, "reuse": document(step.reuse.as_deref()),
            "waits_for": step.waits_for,
        }));
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    printer.list(&reasons, &["STEP", "STATE", "WHY"], |row| {
        vec![text(&row["step"]), Printer::state(&text(&row["state"])), text(&row["why"])]
    });
    Ok(ExitCode::SUCCESS)
}

fn document(text: Option<&str>) -> Option<Value> {
    serde_json::from_str(text?).ok()
}

/// Where a step ran that could have run elsewhere, and why there.
fn engine(step: &StepRunRow) -> Option<String> {
    document(step.outcome.as_deref())?
        .get("outputs")?
        .get("engine")?
        .get("reason")?
        .as_str()
        .map(str::to_owned)
}

/// Why a step is as it is, one sentence.
fn sentence(step: &StepRunRow) -> String {
    if let Some(reason) = &step.reason {
        return match step.state.as_str() {
            "waiting" => format!("it waits {reason}"),
            _ => format!("{} because {reason}", step.state),
        };
    }
    let reuse = step.reuse.as_deref().and_then(|text| serde_json::from_str::<ReuseDecision>(text).ok());
    let ran = reuse.map(|decision| decision.sentence()).unwrap_or_default();
    match step.error.as_deref().and_then(|text| serde_json::from_str::<Problem>(text).ok()) {
        Some(problem) if ran.is_empty() => problem.message,
        Some(problem) => format!("{ran}; {}", problem.message),
        None if ran.is_empty() && step.items_total.is_some() => {
            format!("{} items, which `millrace items` lists", step.items_total.unwrap_or_default())
        }
        None if ran.is_empty() => format!("it is {}", step.state),
        None => ran,
    }
}
