use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use millrace_contract::StepOutcome;
use millrace_spec::asset::Asset;
use serde_json::{Value, json};

use crate::cli::Sync;
use crate::commands::copy::{given, open, step};
use crate::commands::experiments::size;
use crate::commands::follow::duration;
use crate::printer::{Printer, counted};

/// Copies files outside of any pipeline: the same step kind, the same options.
pub(crate) async fn run(arguments: &Sync, printer: &Printer) -> Result<ExitCode> {
    let rooms = open(&[&arguments.from, &arguments.to]).await?;
    let mut config = given(&arguments.options)?;
    config.insert("from".to_owned(), Value::from(arguments.from.as_str()));
    config.insert("to".to_owned(), Value::from(arguments.to.as_str()));
    for (name, given) in [("delete", arguments.delete), ("dry_run", arguments.dry_run)] {
        if given {
            config.insert(name.to_owned(), Value::from(true));
        }
    }
    for (name, globs) in [("include", &arguments.include), ("exclude", &arguments.exclude)] {
        if !globs.is_empty() {
            config.insert(name.to_owned(), json!(globs));
        }
    }
    for (name, word) in [("compare", &arguments.compare), ("verify", &arguments.verify)] {
        if let Some(word) = word {
            config.insert(name.to_owned(), Value::from(word.as_str()));
        }
    }
    let dry_run = config.get("dry_run") == Some(&Value::from(true));
    let began = Instant::now();
    let printing = if dry_run { printer.quieter() } else { *printer };
    let Some(outcome) = step(&rooms, "sync", Value::Object(config), &printing).await? else {
        return Ok(ExitCode::FAILURE);
    };
    if dry_run {
        return dry(&outcome, printer);
    }
    let took = began.elapsed();
    let document =
        json!({"outputs": outcome.outputs, "bytes": outcome.bytes, "duration_ms": took.as_millis() as u64});
    printer.document(&document, || said(&outcome, took));
    Ok(ExitCode::SUCCESS)
}

fn said(outcome: &StepOutcome, took: std::time::Duration) -> String {
    let number = |name: &str| outcome.outputs.get(name).and_then(Value::as_u64).unwrap_or_default();
    let deleted = match number("deleted") {
        0 => String::new(),
        deleted => format!(", deleted {deleted}"),
    };
    let bytes = size(i64::try_from(number("bytes")).unwrap_or(i64::MAX));
    let files = counted(number("files"), "file");
    let verification = outcome.outputs.get("verification").cloned().unwrap_or_default();
    let why = verification["why"].as_str().unwrap_or_default();
    let verified = if verification["result"] == "Verified" { "verified" } else { "not verified" };
    format!(
        "copied {files} ({bytes}) in {}, left {} that are the same{deleted}; {verified}: {why}",
        duration(took),
        number("same")
    )
}

/// Lists what would be done.
fn dry(outcome: &StepOutcome, printer: &Printer) -> Result<ExitCode> {
    let manifest = outcome.outputs.get("manifest").and_then(Asset::from_value);
    let path = manifest.and_then(|asset| url::Url::parse(&asset.uri).ok()?.to_file_path().ok());
    let text = path.map(fs_err::read_to_string).transpose()?.unwrap_or_default();
    let records: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let (same, changes): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| record["action"] == "same");
    printer.list(&changes, &["ACTION", "BYTES", "FILE"], |record| {
        let action = if record["action"] == "would_copy" { "copy" } else { "delete" };
        let size = record["size_bytes"].as_u64().map_or_else(String::new, |size| size.to_string());
        vec![action.to_owned(), size, record["file"].as_str().unwrap_or_default().to_owned()]
    });
    printer.note(&format!("{} would be left as they are", counted(same.len(), "file")));
    Ok(ExitCode::SUCCESS)
}
