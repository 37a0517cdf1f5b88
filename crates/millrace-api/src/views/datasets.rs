//! Datasets, their profiles, rows and lineage.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::json::{Json, TextMap};

/// A column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct FieldView {
    /// Name.
    pub name: String,
    /// Arrow type as text.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether nulls may occur.
    pub nullable: bool,
}

/// Rows in `[from, to)`; the last bin includes `to`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct HistogramBin {
    /// Lower edge.
    pub from: f64,
    /// Upper edge.
    pub to: f64,
    /// Rows.
    pub count: u64,
}

/// A value and how often it occurs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TopValue {
    /// As text; null for null.
    pub value: Option<String>,
    /// Rows.
    pub count: u64,
}

/// Statistics of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ColumnProfile {
    /// Name.
    pub name: String,
    /// Arrow type as text.
    pub data_type: String,
    /// Nulls.
    pub nulls: u64,
    /// Distinct values, estimated.
    pub distinct: u64,
    /// Smallest value.
    pub min: Json,
    /// Largest value.
    pub max: Json,
    /// Mean, for numbers.
    pub mean: Option<f64>,
    /// Sample standard deviation, for numbers.
    pub stddev: Option<f64>,
    /// 0.05, 0.25, 0.5, 0.75, 0.95.
    pub quantiles: Vec<f64>,
    /// The commonest values.
    pub top: Vec<TopValue>,
    /// Bins of equal width.
    pub histogram: Vec<HistogramBin>,
}

/// Statistics of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TableProfile {
    /// Rows that were read.
    pub rows: u64,
    /// In the schema's order.
    pub columns: Vec<ColumnProfile>,
}

/// Something that lineage points at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, TS)]
pub struct AssetKey {
    /// `dataset`, `model`, `source`, `endpoint`; `job` and `outside` for what others told of.
    pub kind: String,
    /// Name, or a source's URL.
    pub name: String,
    /// Version; 0 for things without.
    pub version: u64,
}

/// Who made a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Producer {
    /// Run id.
    pub run_id: String,
    /// Step id.
    pub step: Option<String>,
}

/// A dataset version in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct DatasetSummary {
    /// Name.
    pub name: String,
    /// Version.
    pub version: u64,
    /// Rows.
    pub rows: Option<u64>,
    /// Bytes on disk.
    pub size_bytes: Option<u64>,
    /// How many columns.
    pub columns: u32,
    /// RFC 3339.
    pub created_at: String,
    /// Who made it.
    pub producer: Option<Producer>,
    /// Those that point at it.
    pub aliases: Vec<String>,
}

/// A dataset version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct DatasetVersionView {
    /// Name.
    pub name: String,
    /// Version.
    pub version: u64,
    /// `table`, `folder` or `file`.
    pub kind: String,
    /// Where it lies.
    pub uri: String,
    /// Of its content.
    pub digest: String,
    /// Rows.
    pub rows: Option<u64>,
    /// Bytes on disk.
    pub size_bytes: Option<u64>,
    /// Columns.
    pub schema: Vec<FieldView>,
    /// Statistics.
    pub profile: Option<TableProfile>,
    /// Who made it.
    pub producer: Option<Producer>,
    /// What it was made from.
    pub inputs: Vec<AssetKey>,
    /// RFC 3339.
    pub created_at: String,
    /// Those that point at it.
    pub aliases: Vec<String>,
    /// Its tags.
    pub tags: TextMap,
}

/// A dataset's page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct DatasetView {
    /// The version asked for.
    pub version: DatasetVersionView,
    /// All versions, newest first.
    pub versions: Vec<DatasetSummary>,
    /// What was made from this version.
    pub used_by: Vec<AssetKey>,
    /// Tags of the dataset itself.
    pub tags: TextMap,
    /// The command that shows it.
    pub command: String,
}

/// Some rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TablePreview {
    /// Columns.
    pub columns: Vec<FieldView>,
    /// One array per row, in the order of the columns.
    pub rows: Vec<Vec<Json>>,
    /// Whether there are more.
    pub truncated: bool,
    /// How long it took.
    pub elapsed_ms: u64,
}

/// An arrow of a lineage graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct LineageEdge {
    /// Made from this.
    pub from: AssetKey,
    /// This was made.
    pub to: AssetKey,
    /// How: `made`, `read`, `evaluated` or `serves`.
    pub tie: String,
    /// By this run.
    pub run_id: Option<String>,
    /// In this step.
    pub step: Option<String>,
}

/// What an asset was made from and what was made from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct LineageView {
    /// Every asset once.
    pub nodes: Vec<AssetKey>,
    /// Every arrow once.
    pub edges: Vec<LineageEdge>,
    /// Names of the tracked runs, by id.
    pub run_names: TextMap,
    /// Whether there is more than is shown.
    pub cut: bool,
}

/// Which version an alias is to point at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct AliasTarget {
    /// The version.
    pub version: u64,
}

/// The value of a tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TagValue {
    /// Any text.
    pub value: String,
}

/// What points at the versions of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct DatasetAlias {
    /// Alias.
    pub alias: String,
    /// The version that it points at.
    pub version: u64,
}

/// A change of a column between two versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ColumnChange {
    /// Name.
    pub column: String,
    /// `added`, `removed`, `type`, `nullability` or `moved`.
    pub change: String,
    /// How it was; null for a new one.
    pub before: Option<FieldView>,
    /// How it is; null for one that is gone.
    pub after: Option<FieldView>,
    /// Whether who reads the old version can fail on the new one.
    pub breaking: bool,
}

/// What changed in the columns between two versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct SchemaDiff {
    /// The old one.
    pub from: DatasetSummary,
    /// The new one.
    pub to: DatasetSummary,
    /// In the order of the new columns, then what is gone.
    pub changes: Vec<ColumnChange>,
}

/// Something that read a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct DatasetRead {
    /// Pipeline run, or a tracked run where there is no step.
    pub run_id: String,
    /// The pipeline, or the tracked run's name.
    pub name: String,
    /// Step of the pipeline.
    pub step: Option<String>,
    /// Kind of step, or what MLflow's client read it for.
    pub context: Option<String>,
    /// RFC 3339.
    pub at: Option<String>,
}
