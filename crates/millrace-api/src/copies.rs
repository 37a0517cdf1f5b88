//! What is asked of copies before they run.

use async_trait::async_trait;
use millrace_contract::BatchStream;
use millrace_spec::problem::Problem;
use serde_json::Value;

/// The first rows of a copy, as its sink would get them.
#[derive(Debug)]
pub struct CopyRows {
    /// One row more than was asked for, if there are more.
    pub rows: BatchStream,
    /// Rows that cannot be read.
    pub rejected: u64,
    /// The first of them as `rejects.csv` has them, its header first.
    pub rejects: Vec<String>,
    /// What the step said.
    pub log: Vec<String>,
}

/// Copies of the workspace.
#[async_trait]
pub trait Copies: Send + Sync {
    /// Copies the first `limit` rows to where nobody sees them. `config` is what stands under `copy:` in a pipeline. Dropping it ends the work.
    async fn preview_copy(&self, config: Value, limit: usize) -> Result<CopyRows, Problem>;

    /// Writes a pipeline file that is not there yet; the same text again is no mistake.
    async fn write_pipeline(&self, name: &str, yaml: &str) -> Result<(), Problem>;
}
