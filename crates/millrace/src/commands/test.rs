use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use millrace_spec::problem::Problem;
use millrace_transform::flow::{CaseFile, CaseOutcome, same_value};
use serde_json::{Map, Value, json};

use crate::boot::{self, Rooms};
use crate::cli::Test;
use crate::printer::Printer;
use crate::workspace::read;

/// How files of cases end.
const ENDING: &str = ".flow-test.yaml";

pub(crate) async fn run(arguments: &Test, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let files = case_files(&rooms, arguments.path.as_deref())?;
    let (mut passed, mut failed) = (0_usize, 0_usize);
    for file in files {
        let text = read(&rooms.workspace.root, &file)?;
        let (cases, tree) = match CaseFile::read(&file, &text) {
            Ok(read) => read,
            Err(problem) => {
                failed += 1;
                printer.problem(&problem, Some(&text));
                continue;
            }
        };
        for outcome in cases.run(&rooms.tables, &tree, &|path| rooms.workspace.text_of(path)).await {
            if outcome.passed {
                passed += 1
            } else {
                failed += 1
            }
            tell(&rooms, &file, &cases.flow, &outcome, printer);
        }
    }
    if !printer.is_json() {
        printer.note(&format!("{passed} passed, {failed} failed"));
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(rooms: &Rooms, file: &str, flow: &str, outcome: &CaseOutcome, printer: &Printer) {
    if printer.is_json() {
        let mut line = serde_json::to_value(outcome).unwrap_or_default();
        if let Some(fields) = line.as_object_mut() {
            fields.insert("file".to_owned(), json!(file));
            fields.insert("line".to_owned(), json!(outcome.place.as_ref().map(|place| place.line)));
        }
        printer.line(&line.to_string());
        return;
    }
    let word = Printer::state(if outcome.passed { "succeeded" } else { "failed" });
    let sign = word.split(' ').next().unwrap_or_default();
    let line = outcome.place.as_ref().map_or_else(String::new, |place| format!(":{}", place.line));
    printer.line(&format!("{sign} {file}{line}: {}", outcome.case));
    for text in difference(&outcome.missing, &outcome.unexpected) {
        printer.line(&format!("    {text}"));
    }
    if let Some(problem) = &outcome.problem {
        show(rooms, flow, problem, printer);
    }
}

fn show(rooms: &Rooms, flow: &str, problem: &Problem, printer: &Printer) {
    let text = rooms.workspace.text_of(flow).unwrap_or_default();
    printer.problem(problem, Some(&text));
}

/// What differs, a line each: rows that are alike but for some cells beside each other, then rows that are only on one side.
fn difference(missing: &[Map<String, Value>], unexpected: &[Map<String, Value>]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut left: Vec<&Map<String, Value>> = unexpected.iter().collect();
    let mut alone = Vec::new();
    for row in missing {
        let nearest = left.iter().enumerate().map(|(at, other)| (cells(row, other).len(), at)).min();
        match nearest {
            Some((count, at)) if count < row.len().max(1) => {
                let other = left.remove(at);
                let changes: Vec<String> = cells(row, other)
                    .into_iter()
                    .map(|name| format!("{name}: expected {}, got {}", cell(row, name), cell(other, name)))
                    .collect();
                let alike: Vec<String> = row
                    .keys()
                    .filter(|name| !cells(row, other).contains(&name.as_str()))
                    .map(|name| format!("{name}={}", cell(row, name)))
                    .collect();
                lines.push(format!("~ {}  ({})", changes.join("; "), alike.join(" ")));
            }
            _ => alone.push(row),
        }
    }
    let whole = |row: &Map<String, Value>| {
        row.keys().map(|name| format!("{name}={}", cell(row, name))).collect::<Vec<_>>().join(" ")
    };
    lines.extend(alone.iter().map(|row| format!("- expected, and not there: {}", whole(row))));
    lines.extend(left.iter().map(|row| format!("+ there, and not expected: {}", whole(row))));
    lines
}

/// Columns in which two rows differ.
fn cells<'a>(row: &'a Map<String, Value>, other: &'a Map<String, Value>) -> Vec<&'a str> {
    let mut names: Vec<&str> = row.keys().chain(other.keys()).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| {
        !same_value(row.get(*name).unwrap_or(&Value::Null), other.get(*name).unwrap_or(&Value::Null))
    });
    names
}

fn cell(row: &Map<String, Value>, name: &str) -> String {
    row.get(name).map_or_else(|| "nothing".to_owned(), Value::to_string)
}

/// The files of cases at or below a path, or in the whole workspace, in their order.
fn case_files(rooms: &Rooms, path: Option<&Path>) -> Result<Vec<String>> {
    let root = &rooms.workspace.root;
    let start = match path {
        None => root.clone(),
        Some(path) => fs_err::canonicalize(path)?,
    };
    let mut found = Vec::new();
    collect(&start, &mut found)?;
    if path.is_some_and(|path| path.is_file()) && found.is_empty() {
        bail!("a file of cases ends with `{ENDING}`");
    }
    let inside = fs_err::canonicalize(root)?;
    let mut files: Vec<String> = found
        .iter()
        .filter_map(|file| {
            let file = fs_err::canonicalize(file).ok()?;
            Some(file.strip_prefix(&inside).ok()?.to_string_lossy().into_owned())
        })
        .collect();
    files.sort();
    if files.is_empty() {
        let place =
            path.map_or_else(|| "in the workspace".to_owned(), |path| format!("at `{}`", path.display()));
        bail!("there is no file that ends with `{ENDING}` {place}");
    }
    Ok(files)
}

fn collect(place: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    if place.is_file() {
        if place.to_string_lossy().ends_with(ENDING) {
            found.push(place.to_owned());
        }
        return Ok(());
    }
    for entry in fs_err::read_dir(place)? {
        let entry = entry?;
        // Neither hidden folders, such as the state's, nor links that may lead in circles.
        if !entry.file_name().to_string_lossy().starts_with('.') && !entry.file_type()?.is_symlink() {
            collect(&entry.path(), found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Map<String, Value>> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn rows_that_are_nearly_alike_stand_beside_each_other() {
        let missing = rows(r#"[{"id": 1, "late": true}, {"id": 9, "late": null}]"#);
        let unexpected = rows(r#"[{"id": 7, "late": 0}, {"id": 1, "late": false}]"#);
        insta::assert_snapshot!(difference(&missing, &unexpected).join("\n"), @r"
        ~ late: expected true, got false  (id=1)
        - expected, and not there: id=9 late=null
        + there, and not expected: id=7 late=0
        ");
    }
}
