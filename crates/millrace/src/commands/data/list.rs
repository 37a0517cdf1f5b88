use std::process::ExitCode;

use anyhow::Result;
use millrace_contract::DatasetCatalog as _;
use serde_json::{Value, json};

use crate::boot;
use crate::printer::Printer;

pub(crate) async fn run(printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let aliases = rooms.store.list_dataset_aliases().await?;
    let datasets: Vec<Value> = rooms
        .catalog
        .list()
        .await?
        .into_iter()
        .map(|dataset| {
            let own = aliases.iter().filter(|(name, ..)| Some(name) == dataset.asset.name.as_ref());
            let own: Vec<String> = own.map(|(_, alias, version)| format!("{alias}={version}")).collect();
            json!({
                "name": dataset.asset.name, "version": dataset.asset.version, "rows": dataset.asset.rows,
                "size_bytes": dataset.asset.size_bytes, "created_at": dataset.created_at.to_string(), "digest": dataset.asset.digest,
                "aliases": own.join(" "),
            })
        })
        .collect();
    if datasets.is_empty() {
        printer.note("no datasets yet; a `copy` step to `data:NAME` makes one");
        return Ok(ExitCode::SUCCESS);
    }
    printer.list(&datasets, &["NAME", "VERSION", "ROWS", "BYTES", "CREATED", "ALIASES"], |row| {
        ["name", "version", "rows", "size_bytes", "created_at", "aliases"]
            .iter()
            .map(|field| match &row[*field] {
                Value::String(text) if *field == "created_at" => text.chars().take(19).collect(),
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            })
            .collect()
    });
    Ok(ExitCode::SUCCESS)
}
