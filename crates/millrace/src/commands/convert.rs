//! Other orchestrators' files into pipelines, and back. What became of each thing is said with its place; gaps stand in the files as comments, too.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use millrace_convert::{
    Converted, Finding, Importer, Outcome, SourceFile, shown, to_azureml, to_data_factory,
};
use millrace_spec::pipeline::Pipeline;
use millrace_spec::problem::Problem;
use serde_json::json;

use crate::boot;
use crate::cli::convert::{ExportPipeline, ImportFiles};
use crate::printer::Printer;

/// What an import is of: its way from files to pipelines.
type Reads = dyn Fn(&Importer, &[SourceFile]) -> Result<Converted, Box<Problem>>;

pub(super) async fn import_azureml(arguments: &ImportFiles, printer: &Printer) -> Result<ExitCode> {
    let reads = |importer: &Importer, files: &[SourceFile]| {
        let beside = |folder: &str, name: &str| fs_err::read_to_string(Path::new(folder).join(name)).ok();
        importer.azureml(files, &beside)
    };
    import(arguments, &["yml", "yaml"], &reads, printer).await
}

pub(super) async fn import_data_factory(arguments: &ImportFiles, printer: &Printer) -> Result<ExitCode> {
    import(arguments, &["json"], &|importer, files| importer.data_factory(files), printer).await
}

pub(super) async fn import_dbt(arguments: &ImportFiles, printer: &Printer) -> Result<ExitCode> {
    let reads = |importer: &Importer, files: &[SourceFile]| {
        let mut all = Converted::default();
        for file in files {
            let one = importer.dbt(file)?;
            all.files.extend(one.files);
            all.findings.extend(one.findings);
        }
        Ok(all)
    };
    import(arguments, &["json"], &reads, printer).await
}

pub(super) async fn import_github(arguments: &ImportFiles, printer: &Printer) -> Result<ExitCode> {
    import(arguments, &["yml", "yaml"], &|importer, files| importer.github(files), printer).await
}

pub(super) async fn export_azureml(arguments: &ExportPipeline, printer: &Printer) -> Result<ExitCode> {
    export(arguments, &to_azureml, printer).await
}

pub(super) async fn export_data_factory(arguments: &ExportPipeline, printer: &Printer) -> Result<ExitCode> {
    export(arguments, &|pipeline, _| to_data_factory(pipeline), printer).await
}

async fn import(
    arguments: &ImportFiles,
    endings: &[&str],
    reads: &Reads,
    printer: &Printer,
) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let known = rooms.workspace.check_all().into_iter().filter_map(|file| file.loaded);
    let importer = Importer { pipelines: known.map(|loaded| loaded.pipeline.name.to_string()).collect() };
    let mut files = Vec::new();
    for path in &arguments.files {
        collect(path, endings, &mut files)?;
    }
    let converted = match reads(&importer, &files) {
        Ok(converted) => converted,
        Err(problem) => {
            let place = problem.place.as_ref();
            let source = place.and_then(|place| files.iter().find(|file| file.path == place.file));
            printer.problem(&problem, source.map(|file| file.text.as_str()));
            return Ok(ExitCode::FAILURE);
        }
    };
    if !arguments.dry_run {
        write(&rooms.workspace.root, &converted, arguments.overwrite)?;
    }
    tell(&converted, arguments.dry_run, printer);
    Ok(ExitCode::SUCCESS)
}

/// A file, or every one below a folder that ends so.
fn collect(path: &Path, endings: &[&str], files: &mut Vec<SourceFile>) -> Result<()> {
    if path.is_dir() {
        let mut entries: Vec<PathBuf> =
            fs_err::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        entries.sort();
        let wanted = |entry: &PathBuf| {
            entry.is_dir()
                || entry.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted))
        };
        for entry in entries.into_iter().filter(wanted) {
            collect(&entry, endings, files)?;
        }
        return Ok(());
    }
    let text = fs_err::read_to_string(path)?;
    files.push(SourceFile { path: path.to_string_lossy().trim_start_matches("./").to_owned(), text });
    Ok(())
}

async fn export(
    arguments: &ExportPipeline,
    writes: &dyn Fn(&Pipeline, &str) -> Converted,
    printer: &Printer,
) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let file = rooms.workspace.find_pipeline(&arguments.pipeline)?;
    for problem in &file.problems {
        printer.problem(problem, Some(&file.text));
    }
    let (false, Some(loaded)) = (file.has_errors(), file.loaded.as_ref()) else {
        return Ok(ExitCode::FAILURE);
    };
    let folder = boot::current_folder()?.join(&arguments.to);
    let converted = writes(&loaded.pipeline, &way_to(&rooms.workspace.root, &folder));
    write(&folder, &converted, arguments.overwrite)?;
    tell(&converted, false, printer);
    Ok(ExitCode::SUCCESS)
}

/// The way from a folder to the workspace: `..` as often as it lies below it, else the whole path.
fn way_to(root: &Path, folder: &Path) -> String {
    let below = folder.strip_prefix(root).ok().filter(|below| {
        below
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir))
    });
    match below {
        Some(below) => {
            let depth =
                below.components().filter(|part| matches!(part, std::path::Component::Normal(_))).count();
            vec![".."; depth].join("/")
        }
        None => root.to_string_lossy().into_owned(),
    }
}

/// All of them or none: one that is there already is somebody's work.
fn write(folder: &Path, converted: &Converted, overwrite: bool) -> Result<()> {
    let taken = converted.files.iter().find(|(path, _)| !overwrite && folder.join(path).exists());
    if let Some((path, _)) = taken {
        bail!("`{path}` is there already: move it, or give `--overwrite`");
    }
    for (path, text) in &converted.files {
        let target = folder.join(path);
        if let Some(parent) = target.parent() {
            fs_err::create_dir_all(parent)?;
        }
        let staged = target.with_extension("staged");
        fs_err::write(&staged, text)?;
        fs_err::rename(&staged, &target).with_context(|| format!("cannot write `{path}`"))?;
    }
    Ok(())
}

fn tell(converted: &Converted, dry_run: bool, printer: &Printer) {
    let files: Vec<&str> = converted.files.iter().map(|(path, _)| path.as_str()).collect();
    let count =
        |outcome: Outcome| converted.findings.iter().filter(|finding| finding.outcome == outcome).count();
    let counts = [Outcome::TakenOver, Outcome::Changed, Outcome::NoCounterpart].map(count);
    let findings: Vec<_> = converted.findings.iter().map(Finding::to_json).collect();
    let document = json!({
        "files": files, "written": !dry_run, "findings": findings,
        "taken_over": counts[0], "changed": counts[1], "no_counterpart": counts[2],
    });
    printer.document(&document, || shown(converted));
    let [taken, changed, missing] = counts;
    let made = if dry_run { "would be written" } else { "written" };
    printer.note(&format!(
        "{} {made}: {taken} taken over, {changed} changed, {missing} without a counterpart",
        files.join(", ")
    ));
}
