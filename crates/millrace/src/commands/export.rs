use std::process::ExitCode;

use anyhow::Result;
use millrace_mlflow::{Exported, Target};

use crate::boot;
use crate::cli::ExportMlruns;
use crate::commands::import::{Screen, explain, shown};
use crate::printer::Printer;

pub(crate) async fn run(arguments: &ExportMlruns, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let folder = std::path::absolute(boot::current_folder()?.join(&arguments.folder))?;
    let exported = Exported {
        target: Target { store: rooms.store.clone(), artifacts: rooms.storage.artifacts.clone() },
        models: rooms.storage.models.clone(),
        experiments: arguments.experiments.clone(),
    };
    let screen = Screen::new(printer);
    let report = millrace_mlflow::export(exported, &folder, &screen).await;
    screen.bar.finish_and_clear();
    let report = report?;
    explain(&report, printer);
    printer.document(&report.to_json(), || shown(&report, "the workspace", "is in the folder"));
    Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
