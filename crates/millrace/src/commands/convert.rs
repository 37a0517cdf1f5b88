//! Other orchestrators' files into pipelines, and back. What has no counterpart is said line by line, and stands in the files as comments.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use millrace_convert::{Converted, Importer, SourceFile, to_azureml, to_data_factory};
use millrace_spec::pipeline::Pipeline;
use millrace_spec::problem::Problem;
use serde_json::json;

use crate::boot::{self, Rooms};
use crate::cli::{ExportPipeline, ImportFiles};
use crate::printer::Printer;

pub(super) async fn import_azureml(arguments: &ImportFiles, printer: &Printer) -> Result<ExitCode> {
    let reads = |importer: &Importer, files: &[SourceFile]| {
        each(files, |file| {
            let folder = Path::new(&file.path).parent().map(Path::to_path_buf).unwrap_or_default();
            let beside = |name: &str| fs_err::read_to_string(folder.join(name)).ok();
            importer.azureml(file, &beside)
        })
    };
    import(arguments, &["yml", "yaml"], reads, printer).await
}

pub(super) async fn import_data_factory(arguments: &ImportFiles, printer: &Printer) -> Result<ExitCode> {
    import(arguments, &["json"], |importer, files| importer.data_factory(files), printer).await
}

pub(super) async fn import_dbt(arguments: &ImportFiles, printer: &Printer) -> Result<ExitCode> {
    let reads = |importer: &Importer, files: &[SourceFile]| each(files, |file| importer.dbt(file));
    import(arguments, &["json"], reads, printer).await
}

pub(super) async fn import_github(arguments: &ImportFiles, printer: &Printer) -> Result<ExitCode> {
    let reads = |importer: &Importer, files: &[SourceFile]| each(files, |file| importer.github(file));
    import(arguments, &["yml", "yaml"], reads, printer).await
}

pub(super) async fn export_azureml(arguments: &ExportPipeline, printer: &Printer) -> Result<ExitCode> {
    export(arguments, to_azureml, printer).await
}

pub(super) async fn export_data_factory(arguments: &ExportPipeline, printer: &Printer) -> Result<ExitCode> {
    export(arguments, to_data_factory, printer).await
}

/// Files of which each is read by itself.
fn each(
    files: &[SourceFile],
    reads: impl Fn(&SourceFile) -> Result<Converted, Box<Problem>>,
) -> Result<Converted, Box<Problem>> {
    let mut all = Converted::default();
    for file in files {
        let one = reads(file)?;
        all.files.extend(one.files);
        all.gaps.extend(one.gaps);
    }
    Ok(all)
}

async fn import(
    arguments: &ImportFiles,
    endings: &[&str],
    reads: impl Fn(&Importer, &[SourceFile]) -> Result<Converted, Box<Problem>>,
    printer: &Printer,
) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let importer = Importer {
        kinds: rooms.kinds.keys().map(|kind| (*kind).to_owned()).collect(),
        triggers: millrace_spec::triggers::ALL.iter().map(|entry| entry.word.to_owned()).collect(),
    };
    let mut files = Vec::new();
    for path in &arguments.files {
        collect(path, endings, &mut files)?;
    }
    let sources: HashMap<String, String> =
        files.iter().map(|file| (file.path.clone(), file.text.clone())).collect();
    let converted = match reads(&importer, &files) {
        Ok(converted) => converted,
        Err(problem) => {
            let source = problem.place.as_ref().and_then(|place| sources.get(&place.file));
            printer.problem(&problem, source.map(String::as_str));
            return Ok(ExitCode::FAILURE);
        }
    };
    let root = rooms.workspace.root.clone();
    if !arguments.dry_run {
        write(&root, &converted, arguments.overwrite)?;
    }
    tell(&converted, &sources, arguments.dry_run, printer);
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
    files.push(SourceFile { path: path.to_string_lossy().into_owned(), text });
    Ok(())
}

async fn export(
    arguments: &ExportPipeline,
    writes: impl Fn(&Pipeline) -> Converted,
    printer: &Printer,
) -> Result<ExitCode> {
    let rooms: Rooms = boot::open_here().await?;
    let file = rooms.workspace.find_pipeline(&arguments.pipeline)?;
    for problem in &file.problems {
        printer.problem(problem, Some(&file.text));
    }
    let (false, Some(loaded)) = (file.has_errors(), file.loaded.as_ref()) else {
        return Ok(ExitCode::FAILURE);
    };
    let converted = writes(&loaded.pipeline);
    write(&boot::current_folder()?.join(&arguments.to), &converted, arguments.overwrite)?;
    tell(&converted, &HashMap::from([(file.file.clone(), file.text.clone())]), false, printer);
    Ok(ExitCode::SUCCESS)
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

fn tell(converted: &Converted, sources: &HashMap<String, String>, dry_run: bool, printer: &Printer) {
    let files: Vec<&str> = converted.files.iter().map(|(path, _)| path.as_str()).collect();
    if !printer.is_json() {
        for gap in &converted.gaps {
            let source = gap.place.as_ref().and_then(|place| sources.get(&place.file));
            printer.problem(gap, source.map(String::as_str));
        }
    }
    let document = json!({"files": files, "not_converted": converted.gaps});
    printer.document(&document, || {
        let made = if dry_run { "would be made" } else { "written" };
        let gaps = match converted.gaps.len() {
            0 => "everything has a counterpart".to_owned(),
            count => format!("{count} things have no counterpart; comments in the files say where"),
        };
        format!("{} {made}; {gaps}", files.join(", "))
    });
}
