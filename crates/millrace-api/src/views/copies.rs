//! Copies before they run.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::datasets::TablePreview;
use super::json::Json;
use super::workspace::Problem;

/// A copy to be looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct PreviewCopy {
    /// What stands under `copy:` in a pipeline; `to` may be absent.
    pub copy: Json,
    /// Rows at most; 50 if absent, at most 1,000.
    #[serde(default)]
    #[ts(optional)]
    pub limit: Option<u32>,
}

/// What a copy would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct CopyPreview {
    /// The columns and the first rows as the sink would get them; null if there are none.
    pub table: Option<TablePreview>,
    /// Rows among them that cannot be read.
    pub rejected: u64,
    /// The first of those as `rejects.csv` has them, its header first.
    pub rejects: Vec<String>,
    /// Why there are no rows.
    pub problem: Option<Problem>,
    /// The pipeline that does it.
    pub yaml: String,
    /// The command that does it once; null if no command line can say it.
    pub command: Option<String>,
}

/// A copy to be kept as a pipeline and run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct StartCopy {
    /// Name of the pipeline that is written for it.
    pub name: String,
    /// What stands under `copy:`.
    pub copy: Json,
}
