use std::process::ExitCode;

use anyhow::Result;
use millrace_spec::sql_models::Project;
use serde_json::{Value, json};

use super::chosen;
use crate::cli::ModelPart;
use crate::printer::Printer;
use crate::sql_models::short;

pub(super) fn run(project: &Project, part: &ModelPart, printer: &Printer) -> Result<ExitCode> {
    let Some(names) = chosen(project, part, printer) else { return Ok(ExitCode::FAILURE) };
    let models = names.iter().filter_map(|name| project.models.get(name));
    let rows: Vec<Value> = models
        .map(|model| {
            let reads: Vec<String> = model.reads().into_iter().map(short).collect();
            let tests = project.tests.iter().filter(|test| test.parents().contains(&model.name.as_str()));
            let tests: Vec<&str> = tests.map(|test| test.name.as_str()).collect();
            json!({
                "name": model.name, "materialized": model.materialization(), "reads": reads, "tests": tests, "tags": model.doc.tags,
                "file": model.file, "description": model.doc.description,
            })
        })
        .collect();
    printer.list(&rows, &["MODEL", "MATERIALIZED", "READS", "TESTS", "TAGS", "FILE"], |row| {
        let words = |field: &str| match &row[field] {
            Value::Array(words) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
            Value::String(word) => word.clone(),
            _ => String::new(),
        };
        let count = row["tests"].as_array().map_or(0, Vec::len).to_string();
        vec![words("name"), words("materialized"), words("reads"), count, words("tags"), words("file")]
    });
    Ok(ExitCode::SUCCESS)
}
