use std::process::ExitCode;

use anyhow::Result;

use crate::boot;
use crate::cli::Check;
use crate::declared::Declared;
use crate::printer::Printer;

pub(crate) async fn run(arguments: &Check, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let workspace = &rooms.workspace;
    let everything = arguments.files.is_empty();
    let named: Vec<String> = arguments
        .files
        .iter()
        .map(|file| file.to_string_lossy().trim_start_matches("./").to_owned())
        .collect();
    let asked = |file: &str| everything || named.iter().any(|name| name == file);
    let endpoints: Vec<_> = workspace.endpoint_files().into_iter().filter(|file| asked(&file.file)).collect();
    let rules: Vec<_> = workspace.alert_rules().into_iter().filter(|file| asked(&file.file)).collect();
    let pipelines = if everything {
        workspace.check_all()
    } else {
        let declared = |name: &&String| {
            !endpoints.iter().any(|file| file.file == **name) && !rules.iter().any(|file| file.file == **name)
        };
        let checked: Result<Vec<_>, _> =
            named.iter().filter(declared).map(|file| workspace.check_file(file)).collect();
        checked?
    };
    for file in &pipelines {
        for problem in &file.problems {
            printer.problem(problem, Some(&file.text));
        }
    }
    let wrong = pipelines.iter().filter(|file| file.has_errors()).count()
        + print_wrong(&endpoints, printer)
        + print_wrong(&rules, printer);
    let steps: usize = pipelines
        .iter()
        .filter_map(|file| file.loaded.as_ref())
        .map(|loaded| loaded.pipeline.steps.len())
        .sum();
    let mut kinds = vec![format!("{} pipelines with {steps} steps", pipelines.len())];
    if !endpoints.is_empty() {
        kinds.push(format!("{} endpoints", endpoints.len()));
    }
    if !rules.is_empty() {
        kinds.push(format!("{} alert rules", rules.len()));
    }
    printer.note(&match wrong {
        0 => format!("{}: sound", kinds.join(", ")),
        _ => format!("{wrong} of {} files have errors", pipelines.len() + endpoints.len() + rules.len()),
    });
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what is wrong with files and counts those.
fn print_wrong<T>(files: &[Declared<T>], printer: &Printer) -> usize {
    let mut wrong = 0;
    for file in files {
        let Err(problems) = &file.content else { continue };
        wrong += 1;
        for problem in problems {
            printer.problem(problem, Some(&file.text));
        }
    }
    wrong
}
