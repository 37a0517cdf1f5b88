use std::process::ExitCode;

use anyhow::Result;
use millrace_orchestration::plan::{PlannedAction, PlannedStep};
use serde_json::{Value, json};

use crate::boot;
use crate::cli::Plan;
use crate::commands::run::request;
use crate::printer::Printer;

pub(crate) async fn run(arguments: &Plan, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let file = rooms.workspace.find_pipeline(&arguments.pipeline)?;
    file.print_problems(&rooms.workspace, printer);
    let (false, Some(loaded)) = (file.has_errors(), file.loaded.as_ref()) else {
        return Ok(ExitCode::FAILURE);
    };
    let engine = rooms.planning_engine()?;
    let request = request(&engine, &loaded.pipeline, &arguments.inputs, &arguments.part).await?;
    let plan = engine.plan(&loaded.pipeline, &request).await?;
    let rows: Vec<Value> = plan.iter().map(|step| json!(step)).collect();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    printer.list(&rows, &["STEP", "KIND", "PLAN", "ITEMS", "WHY"], |row| {
        vec![text(&row["step"]), text(&row["kind"]), text(&row["action"]), items(row), text(&row["why"])]
    });
    if !printer.is_json() {
        printer.note(&summary(&plan));
    }
    let fails = plan.iter().any(|step| step.action == PlannedAction::Fail);
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn items(row: &Value) -> String {
    match (row["items"].as_u64(), row["items_reused"].as_u64()) {
        (Some(total), Some(reused)) if reused > 0 => format!("{total}, {reused} reused"),
        (Some(total), _) => total.to_string(),
        _ => String::new(),
    }
}

fn summary(plan: &[PlannedStep]) -> String {
    let count = |action| plan.iter().filter(|step| step.action == action).count();
    let words = [
        (PlannedAction::Run, "run"),
        (PlannedAction::Reuse, "reused"),
        (PlannedAction::Depends, "depend on those"),
        (PlannedAction::Skip, "skipped"),
        (PlannedAction::Fail, "cannot begin"),
    ];
    let parts = words.iter().map(|(action, word)| (count(*action), word)).filter(|(n, _)| *n > 0);
    parts.map(|(n, word)| format!("{n} {word}")).collect::<Vec<_>>().join(", ")
}
