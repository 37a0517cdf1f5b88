use std::process::ExitCode;

use anyhow::Result;
use millrace_contract::{DatasetCatalog as _, DatasetVersion};
use millrace_metastore::asset_labels::AssetLabels;
use millrace_tracking::schema_diff;
use serde_json::{Map, Value, json};

use crate::boot::{self, Rooms};
use crate::printer::{Printer, table};

pub(super) async fn show(dataset: &str, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let version = rooms.catalog.resolve(dataset).await?;
    let labels = labels(&rooms, &version).await?;
    let shown = document(&version, &labels);
    printer.document(&shown, || text(&shown, &version));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn versions(dataset: &str, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let newest = rooms.catalog.resolve(dataset).await?;
    let labels = labels(&rooms, &newest).await?;
    let versions = rooms.catalog.versions(newest.asset.name.as_deref().unwrap_or_default()).await?;
    let documents: Vec<Value> = versions.iter().map(|version| document(version, &labels)).collect();
    printer.list(&documents, &["VERSION", "ROWS", "BYTES", "CREATED", "ALIASES", "BY"], |row| {
        let word = |value: &Value| value.as_str().map_or_else(|| plain(value), str::to_owned);
        vec![
            word(&row["version"]),
            word(&row["rows"]),
            word(&row["size_bytes"]),
            word(&row["created_at"]).chars().take(19).collect(),
            words(&row["aliases"]),
            word(&row["producer"]["step"]),
        ]
    });
    Ok(ExitCode::SUCCESS)
}

async fn labels(rooms: &Rooms, version: &DatasetVersion) -> Result<AssetLabels> {
    Ok(rooms.store.find_dataset_labels(version.asset.name.clone().unwrap_or_default()).await?)
}

/// A version with what is said of it.
pub(super) fn document(version: &DatasetVersion, labels: &AssetLabels) -> Value {
    let asset = &version.asset;
    let number = asset.version.and_then(|version| i64::try_from(version).ok()).unwrap_or_default();
    let tags = |of: i64| -> Map<String, Value> {
        labels.tags_of(of).into_iter().map(|(key, value)| (key, Value::String(value))).collect()
    };
    json!({
        "name": asset.name, "version": asset.version, "asset": asset.kind, "uri": asset.uri, "digest": asset.digest,
        "rows": asset.rows, "size_bytes": asset.size_bytes, "created_at": version.created_at.to_string(),
        "aliases": labels.aliases_of(number), "tags": tags(number), "dataset_tags": tags(0),
        "schema": version.schema, "producer": version.producer, "inputs": version.inputs,
    })
}

fn text(shown: &Value, version: &DatasetVersion) -> String {
    let mut text = format!("{}\n", version.asset.label());
    let tags = |tags: &Value| {
        let pairs = tags.as_object().into_iter().flatten();
        pairs
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let made = version.producer.as_ref().map(|made| match &made.step {
        Some(step) => format!("{step} of run {}", made.run_id),
        None => made.run_id.clone(),
    });
    let from: Vec<String> = version.inputs.iter().map(super::lineage::label).collect();
    let facts = [
        ("lies in", version.asset.uri.clone()),
        ("digest", version.asset.digest.clone()),
        ("rows", plain(&shown["rows"])),
        ("bytes", plain(&shown["size_bytes"])),
        ("made at", plain(&shown["created_at"])),
        ("made by", made.unwrap_or_default()),
        ("made from", from.join(", ")),
        ("aliases", words(&shown["aliases"])),
        ("tags", tags(&shown["tags"])),
        ("of all versions", tags(&shown["dataset_tags"])),
    ];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(&format!("  {name:<16}{value}\n"));
    }
    let nulls = |nullable: bool| if nullable { "yes" } else { "no" }.to_owned();
    let columns: Vec<Vec<String>> = schema_diff::columns(&version.schema)
        .into_iter()
        .map(|column| vec![column.name, column.data_type, nulls(column.nullable)])
        .collect();
    if !columns.is_empty() {
        text.push('\n');
        text.push_str(&table(&["COLUMN", "TYPE", "NULLS"], &columns));
    }
    text
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn words(list: &Value) -> String {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}
