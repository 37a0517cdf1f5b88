//! Queries, and what they can read.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::datasets::FieldView;
use super::json::Json;

/// One SELECT over datasets by name and files by path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct SqlRequest {
    /// The query; `$1`, `$2`, … stand for `params`.
    pub sql: String,
    /// Bound values: null, booleans, numbers, text.
    #[serde(default)]
    #[ts(optional, as = "Option<Vec<Json>>")]
    pub params: Vec<Json>,
    /// Rows to stop after; 200 if absent, at most 10,000.
    #[serde(default)]
    #[ts(optional)]
    pub limit: Option<u32>,
    /// Time after which it is ended, milliseconds; 30,000 if absent, at most 110,000.
    #[serde(default)]
    #[ts(optional)]
    pub timeout_ms: Option<u32>,
}

/// A dataset that a query can read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct QueryTable {
    /// Name.
    pub name: String,
    /// Newest version.
    pub version: u64,
    /// Rows of it.
    pub rows: Option<u64>,
    /// In order.
    pub columns: Vec<FieldView>,
}

/// What lies in a folder of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct WorkspaceFile {
    /// Last part of its path.
    pub name: String,
    /// Path relative to the workspace.
    pub path: String,
    /// Whether it holds others.
    pub is_folder: bool,
    /// Whether a query can read it.
    pub is_table: bool,
    /// Size of a file.
    pub size_bytes: Option<u64>,
}
