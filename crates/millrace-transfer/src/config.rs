//! What a `copy` step says.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::format::{Encoding, Format};
use crate::rejects::OnError;
use crate::types::ColumnSpec;

/// Copies a table: from files, a bucket, a web server, a database or a dataset, to a dataset, a file, a bucket or a database.
///
/// What is written appears whole or not at all, so a copy that fails or is cancelled may simply run again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CopyConfig {
    /// Path or glob relative to the workspace, `http(s)://…`, `connection:schema.table`, `connection:(select …)`, `connection:key-or-glob`,
    /// `s3://bucket/key-or-glob` or `data:name`.
    pub from: Value,
    /// `data:name`, a path, `connection:schema.table`, `connection:key` or `s3://bucket/key`.
    pub to: Value,
    /// Format of the source's files; told by their ending if absent.
    #[serde(default)]
    pub format: Option<Format>,
    /// Types of columns by name, or `{type, format, culture, null_values}`; the others are inferred. CSV only.
    #[serde(default)]
    pub columns: IndexMap<String, ColumnSpec>,
    /// What stands between the cells: one ASCII character, or `tab`. CSV only.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// What stands around cells that hold delimiters or lines; `"` if absent. CSV only.
    #[serde(default)]
    pub quote: Option<String>,
    /// What stands before a quote within quotes, beside the doubled quote. CSV only.
    #[serde(default)]
    pub escape: Option<String>,
    /// First character of lines that are none. CSV only.
    #[serde(default)]
    pub comment: Option<String>,
    /// Lines before the header that are none. CSV only.
    #[serde(default)]
    pub skip_lines: u64,
    /// Whether the first row names the columns. CSV only.
    #[serde(default = "yes")]
    pub header: bool,
    /// Texts that mean null, beside the empty one. CSV only.
    #[serde(default)]
    pub null_values: Vec<String>,
    /// How characters stand in the file. CSV only.
    #[serde(default)]
    pub encoding: Encoding,
    /// Condition on the rows, SQL. Databases only.
    #[serde(default, rename = "where")]
    pub condition: Option<Condition>,
    /// What becomes of the copy when a row cannot be read. CSV only.
    #[serde(default)]
    pub on_error: OnError,
    /// Fails after all when more rows than this are rejected.
    #[serde(default)]
    pub max_rejects: Option<u64>,
    /// How the write treats what is there.
    #[serde(default)]
    pub write: Write,
    /// New names of columns.
    #[serde(default)]
    pub rename: IndexMap<String, String>,
    /// Threads that decode side by side; as many as the machine has cores if absent.
    #[serde(default)]
    pub parallelism: Option<std::num::NonZeroUsize>,
}

impl CopyConfig {
    /// Threads that decode side by side.
    pub(crate) fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().unwrap_or(std::num::NonZeroUsize::MIN);
        self.parallelism.unwrap_or_else(cores).get()
    }
}

fn yes() -> bool {
    true
}

/// How a write treats what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Write {
    /// The rows become the whole table.
    #[default]
    Overwrite,
    /// The rows are added. Running it twice adds them twice.
    Append,
    /// Rows with equal keys are replaced, the others added. Databases only.
    Upsert(Vec<String>),
}

/// A condition with its values bound.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Condition {
    /// SQL without values from expressions.
    Text(String),
    /// SQL with `$1`, `$2`, …
    Bound {
        /// The SQL.
        text: String,
        /// The values.
        params: Vec<Value>,
    },
}
