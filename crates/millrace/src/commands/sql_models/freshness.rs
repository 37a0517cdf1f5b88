use std::process::ExitCode;

use anyhow::Result;
use millrace_spec::duration::Elapsed;
use millrace_spec::sql_models::Project;
use millrace_transform::sql_models::{FreshnessStatus, freshness};
use serde_json::{Value, json};

use super::{print, services};
use crate::boot::Rooms;
use crate::printer::Printer;

pub(super) async fn run(
    rooms: &Rooms,
    project: &Project,
    sources: &[String],
    printer: &Printer,
) -> Result<ExitCode> {
    let results = match freshness(&services(rooms), project, sources).await {
        Ok(results) => results,
        Err(problem) => {
            printer.problem(&problem, None);
            return Ok(ExitCode::FAILURE);
        }
    };
    if results.is_empty() {
        printer.note(
            "`sources.yaml` says of no table how new it has to be: write `freshness: {warn_after: 12h}`",
        );
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Value> = results.iter().map(|result| json!(result)).collect();
    printer.list(&rows, &["TABLE", "STATE", "AGE", "NEWEST"], |row| {
        let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let age = row["age_ms"].as_u64().map(age).unwrap_or_default();
        vec![format!("{}.{}", text("source"), text("table")), text("status"), age, text("newest")]
    });
    for problem in results.iter().filter_map(|result| result.problem.as_ref()) {
        print(problem, &rooms.workspace, printer);
    }
    let is_old = results.iter().any(|result| result.status == FreshnessStatus::Error);
    Ok(if is_old { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A length of time in its largest unit of which there are at least two.
fn age(ms: u64) -> String {
    let units = [86_400_000, 3_600_000, 60_000, 1_000];
    let unit = units.into_iter().find(|unit| ms >= 2 * unit).unwrap_or(1_000);
    Elapsed::from_ms(ms / unit * unit).to_string()
}
