mod repl;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use millrace_contract::{BatchStream, QueryRequest};
use millrace_tracking::tables;
use serde_json::Value;

use crate::boot;
use crate::cli::Sql;
use crate::printer::Printer;

pub(crate) async fn run(arguments: &Sql, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let Some(query) = &arguments.query else {
        return repl::run(&rooms, arguments.limit, printer).await;
    };
    let (engine, catalog) = (rooms.queries.as_ref(), rooms.catalog.as_ref());
    let tables = match tables::named_in(engine, catalog, &rooms.workspace.root, query).await {
        Ok(tables) => tables,
        Err(error) => {
            printer.problem(&error.problem(), None);
            return Ok(ExitCode::FAILURE);
        }
    };
    let request = QueryRequest {
        sql: query.clone(),
        params: arguments.params.iter().map(|text| value(text)).collect(),
        tables,
        limit: Some(arguments.limit.saturating_add(1)),
    };
    let stream = rooms.queries.query(request).await.context("the query cannot be run")?;
    print_rows(stream, arguments.limit, printer).await
}

/// A value by its look, as the SQL page reads it.
fn value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::Array(_) | Value::Object(_)) | Err(_) => Value::from(text),
        Ok(plain) => plain,
    }
}

/// Columns of what `explain` gives; a plan is a text of many lines and no cell of a table.
const PLAN: [&str; 2] = ["plan_type", "plan"];

/// Prints the first rows of a stream that gives at most one more.
pub(crate) async fn print_rows(stream: BatchStream, limit: usize, printer: &Printer) -> Result<ExitCode> {
    let columns: Vec<String> = stream.schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut rows =
        millrace_transform::rows::to_json(&stream.collect().await.context("the query cannot be run")?);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let header: Vec<&str> = columns.iter().map(String::as_str).collect();
    if header == PLAN && !printer.is_json() {
        for row in &rows {
            let text = |column: &str| row.get(column).and_then(Value::as_str).unwrap_or_default();
            printer.line(&format!("{}:\n{}", text(PLAN[0]), text(PLAN[1]).trim_end()));
        }
        return Ok(ExitCode::SUCCESS);
    }
    printer.list(&rows, &header, |row| {
        columns
            .iter()
            .map(|column| match row.get(column) {
                Some(Value::String(text)) => text.clone(),
                None | Some(Value::Null) => String::new(),
                Some(other) => other.to_string(),
            })
            .collect()
    });
    if more {
        printer.note(&format!("only the first {} rows; `-n` shows more", limit));
    }
    Ok(ExitCode::SUCCESS)
}
