use std::process::ExitCode;

use anyhow::{Context as _, Result};
use indexmap::IndexMap;
use millrace_contract::{DatasetCatalog as _, QueryRequest, TableRef};
use millrace_spec::asset::AssetType;
use serde_json::Value;

use crate::boot::{self, Rooms};
use crate::cli::Sql;
use crate::printer::Printer;

pub(crate) async fn run(arguments: &Sql, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let request = QueryRequest {
        sql: arguments.query.clone(),
        params: Vec::new(),
        tables: dataset_tables(&rooms).await?,
        limit: Some(arguments.limit.saturating_add(1)),
    };
    let stream = rooms.queries.query(request).await.context("the query cannot be run")?;
    let columns: Vec<String> = stream.schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut rows =
        millrace_transform::rows::to_json(&stream.collect().await.context("the query cannot be run")?);
    let more = rows.len() > arguments.limit;
    rows.truncate(arguments.limit);
    let header: Vec<&str> = columns.iter().map(String::as_str).collect();
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
        printer.note(&format!("only the first {} rows; `-n` shows more", arguments.limit));
    }
    Ok(ExitCode::SUCCESS)
}

/// The newest version of every dataset, by its name.
async fn dataset_tables(rooms: &Rooms) -> Result<IndexMap<String, TableRef>> {
    let datasets = rooms.catalog.list().await?;
    let table = |asset: millrace_spec::asset::Asset| {
        let name = asset.name?;
        let table = TableRef::Delta { uri: asset.uri, version: asset.delta_version? };
        (asset.kind == AssetType::Table).then_some((name, table))
    };
    Ok(datasets.into_iter().filter_map(|dataset| table(dataset.asset)).collect())
}
