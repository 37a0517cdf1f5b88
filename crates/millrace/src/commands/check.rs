use std::process::ExitCode;

use anyhow::Result;

use crate::boot;
use crate::cli::Check;
use crate::printer::Printer;

pub(crate) async fn run(arguments: &Check, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let files = if arguments.files.is_empty() {
        rooms.workspace.check_all()
    } else {
        let relative = |file: &std::path::PathBuf| file.to_string_lossy().trim_start_matches("./").to_owned();
        let checked: Result<Vec<_>, _> =
            arguments.files.iter().map(|file| rooms.workspace.check_file(&relative(file))).collect();
        checked?
    };
    for file in &files {
        for problem in &file.problems {
            printer.problem(problem, Some(&file.text));
        }
    }
    let wrong = files.iter().filter(|file| file.has_errors()).count();
    let steps: usize =
        files.iter().filter_map(|file| file.loaded.as_ref()).map(|loaded| loaded.pipeline.steps.len()).sum();
    printer.note(&match wrong {
        0 => format!("{} pipelines with {steps} steps are sound", files.len()),
        _ => format!("{wrong} of {} pipelines have errors", files.len()),
    });
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
