//! What steps pass to each other beside plain values: tables, folders, files, models, metrics and reports.
//!
//! An asset travels through `steps.<id>.<output>` as the JSON of [`Asset`], so that expressions, the cache key and the lineage see the
//! same thing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The types that an output or an input may declare beside scalars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssetType {
    /// One file.
    #[serde(alias = "uri_file")]
    File,
    /// A folder of files.
    #[serde(alias = "uri_folder")]
    Folder,
    /// A Delta table at one version.
    #[serde(alias = "mltable")]
    Table,
    /// A model folder in MLflow's layout (`MLmodel` inside).
    #[serde(alias = "mlflow_model", alias = "custom_model")]
    Model,
    /// A JSON object of numbers.
    Metrics,
    /// A JSON document for people: curves, matrices, tables.
    Report,
}

/// A concrete piece of data: where it is and which bytes it was when it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Asset {
    /// What it is.
    #[serde(rename = "asset")]
    pub kind: AssetType,
    /// Name in the dataset catalog or the model registry, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Version under that name, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Absolute URL: `file:///…` or `s3://…`. For a table, its Delta root.
    pub uri: String,
    /// Version in the Delta log, for tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta_version: Option<u64>,
    /// `blake3:<hex>` of the content: equal digests mean equal data, whoever made it.
    pub digest: String,
    /// Rows, for tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Size of the stored bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

impl Asset {
    /// Reads an asset out of a step's output; `None` if the value is a plain value.
    pub fn from_value(value: &serde_json::Value) -> Option<Self> {
        value.as_object()?.get("asset")?;
        serde_json::from_value(value.clone()).ok()
    }

    /// The JSON that stands in `steps.<id>.<output>`.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or(serde_json::Value::Null)
    }

    /// `name@version`, or the URI of an unnamed asset.
    pub fn label(&self) -> String {
        match (&self.name, self.version) {
            (Some(name), Some(version)) => format!("{name}@{version}"),
            (Some(name), None) => name.clone(),
            _ => self.uri.clone(),
        }
    }
}
