use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use millrace_metastore::runs::StepRunRow;
use millrace_metastore::runs_items::ItemFilter;
use millrace_orchestration::state::StepState;
use millrace_spec::problem::Problem;
use serde_json::{Value, json};

use crate::boot;
use crate::cli::Items;
use crate::commands::follow::duration;
use crate::commands::runs;
use crate::printer::Printer;

pub(crate) async fn run(arguments: &Items, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let run = runs::find(&rooms.store, &arguments.run).await?;
    let Some(step) = rooms.store.find_step_run(run.id.clone(), arguments.step.clone()).await? else {
        bail!("the run has no step `{}`", arguments.step)
    };
    let Some(total) = step.items_total else {
        bail!(
            "`{}` has no items: it is {} and is done once, or its list is not known yet",
            step.step,
            step.state
        )
    };
    let filter = ItemFilter {
        states: states(arguments.state.as_deref())?,
        after: arguments.after.map(Into::into),
        limit: arguments.limit.into(),
    };
    let items = rooms.store.list_step_items(run.id.clone(), step.step.clone(), filter).await?;
    let rows: Vec<Value> = items.iter().map(item_json).collect();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    printer.list(&rows, &["ITEM", "FOR", "STATE", "WHY", "TOOK"], |row| {
        let took = row["duration_ms"].as_u64().map(|ms| duration(Duration::from_millis(ms)));
        vec![
            text(&row["step"]),
            text(&row["label"]),
            Printer::state(&text(&row["state"])),
            text(&row["why"]),
            took.unwrap_or_default(),
        ]
    });
    let counts = rooms.store.count_step_items(run.id.clone()).await?.remove(&step.step).unwrap_or_default();
    let begun: i64 = counts.values().sum();
    let counted: Vec<String> = counts.iter().map(|(state, n)| format!("{n} {state}")).collect();
    printer.note(&format!("{total} items: {}, {} not begun", counted.join(", "), total - begun));
    Ok(ExitCode::SUCCESS)
}

fn states(word: Option<&str>) -> Result<Vec<String>> {
    let Some(word) = word else { return Ok(Vec::new()) };
    let Some(state) = StepState::parse(word) else { bail!("`{word}` is not a state of steps") };
    let same = StepState::ALL
        .into_iter()
        .filter(|other| *other == state || state == StepState::Failed && other.is_failure());
    Ok(same.map(|state| state.as_str().to_owned()).collect())
}

fn item_json(item: &StepRunRow) -> Value {
    let document =
        |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let problem = item.error.as_deref().and_then(|text| serde_json::from_str::<Problem>(text).ok());
    let why = problem.as_ref().map(|problem| problem.message.clone()).or_else(|| item.reason.clone());
    let took = item.started_at.zip(item.ended_at).map(|(began, ended)| (ended - began) / 1_000);
    json!({
        "step": item.step, "item": item.item, "label": item.label, "state": item.state, "attempts": item.attempt,
        "outputs": document(&item.outcome).and_then(|outcome| outcome.get("outputs").cloned()),
        "error": problem, "why": why, "duration_ms": took,
    })
}
