//! SQL models: the queries in `models/`, what they read, and what was made of them.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::workspace::Problem;

/// The SQL models of the workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct SqlModels {
    /// Models, by name.
    pub models: Vec<SqlModelSummary>,
    /// Tables that they read and that are none of them.
    pub sources: Vec<SqlModelSource>,
    /// What is wrong with the files.
    pub problems: Vec<Problem>,
}

/// A model in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct SqlModelSummary {
    /// Name, which is also that of its dataset.
    pub name: String,
    /// Its query, relative to the workspace.
    pub file: String,
    /// What people should know of it.
    pub description: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// `table`, `incremental`, `snapshot` or `ephemeral`.
    pub materialized: String,
    /// Models, and sources as `source.table`, that it reads.
    pub reads: Vec<String>,
    /// Models that read it.
    pub read_by: Vec<String>,
    /// Tests of it and of its columns.
    pub tests: u32,
    /// Newest version of its dataset.
    pub version: Option<u64>,
    /// Rows of that version.
    pub rows: Option<u64>,
    /// When that version was made (RFC 3339).
    pub built_at: Option<String>,
}

/// A table of another system, or a dataset that no model makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct SqlModelSource {
    /// `source.table`.
    pub name: String,
    /// What people should know of it.
    pub description: Option<String>,
    /// Where it is: `data:name` or `connection:schema.table`.
    pub from: String,
    /// Models that read it.
    pub read_by: Vec<String>,
}

/// A model with its query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct SqlModelView {
    /// As in the list.
    #[serde(flatten)]
    pub summary: SqlModelSummary,
    /// The query as it was written.
    pub sql: String,
    /// Columns of its newest version, then those that only its file names.
    pub columns: Vec<SqlModelColumn>,
    /// Tests of whole rows, by name.
    pub row_tests: Vec<SqlModelTest>,
}

/// A column of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct SqlModelColumn {
    /// Name.
    pub name: String,
    /// Type in the newest version.
    #[serde(rename = "type")]
    pub data_type: Option<String>,
    /// What people should know of it.
    pub description: Option<String>,
    /// Its tests.
    pub tests: Vec<SqlModelTest>,
}

/// A test of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct SqlModelTest {
    /// Name.
    pub name: String,
    /// `error` or `warn`.
    pub severity: String,
}
