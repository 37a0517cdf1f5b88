use std::process::ExitCode;

use anyhow::{Result, bail};
use millrace_metastore::runs::StepRunRow;
use millrace_orchestration::{attempt_folder, for_each_line};
use millrace_spec::ids::StepKey;
use serde_json::json;

use crate::boot;
use crate::cli::Logs;
use crate::commands::runs;
use crate::printer::Printer;

pub(crate) async fn run(arguments: &Logs, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let run = runs::find(&rooms.store, &arguments.run).await?;
    let steps = rooms.store.list_step_runs(run.id.clone()).await?;
    let item = match &arguments.step {
        // An item of a step: `train[3]`.
        Some(name) if name.contains('[') => rooms.store.find_step_run(run.id.clone(), name.clone()).await?,
        _ => None,
    };
    let step = match &item {
        Some(item) => item,
        None => pick(&steps, arguments.step.as_deref())?,
    };
    if step.attempt == 0 {
        bail!("`{}` never began: it is {}", step.step, step.state);
    }
    let key: StepKey = step.step.parse()?;
    let attempt = u32::try_from(step.attempt)?;
    let folder = attempt_folder(&rooms.workspace.state_folder(), &run.id, &key, attempt);
    let mut lines = 0;
    for_each_line(&folder, |line| {
        lines += 1;
        if printer.is_json() {
            printer.line(&json!(line).to_string());
        } else {
            printer.line(if line.text.is_empty() { " " } else { &line.text });
        }
    })?;
    if lines == 0 {
        printer.note(&format!("`{}` wrote nothing", step.step));
    }
    Ok(ExitCode::SUCCESS)
}

/// The step that is named; otherwise the first that failed, or the last that ran.
fn pick<'a>(steps: &'a [StepRunRow], wanted: Option<&str>) -> Result<&'a StepRunRow> {
    let found = match wanted {
        Some(name) => steps.iter().find(|step| step.step == name),
        None => {
            let failed =
                steps.iter().find(|step| matches!(step.state.as_str(), "failed" | "timed_out" | "rejected"));
            failed.or_else(|| steps.iter().rev().find(|step| step.attempt > 0))
        }
    };
    match (found, wanted) {
        (Some(step), _) => Ok(step),
        (None, Some(name)) => {
            let names: Vec<&str> = steps.iter().map(|step| step.step.as_str()).collect();
            bail!("the run has no step `{name}`; its steps are {}", names.join(", "))
        }
        (None, None) => bail!("no step of the run has begun"),
    }
}
