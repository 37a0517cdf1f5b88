use std::path::Path;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// A column that a model takes or gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelColumn {
    /// Name.
    pub name: String,
    /// MLflow's type words: `boolean`, `integer`, `long`, `float`, `double`, `string`, `datetime`.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether a row without it is refused.
    #[serde(default = "required_default")]
    pub required: bool,
}

fn required_default() -> bool {
    true
}

/// What a model takes and gives, MLflow's column signature.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSignature {
    /// In the order the model wants them.
    pub inputs: Vec<ModelColumn>,
    /// In the order it gives them.
    pub outputs: Vec<ModelColumn>,
}

/// A model in memory, ready to score.
#[async_trait]
pub trait LoadedModel: Send + Sync {
    /// What it takes and gives.
    fn signature(&self) -> &ModelSignature;

    /// `classification` or `regression`.
    fn task(&self) -> &str;

    /// Class labels in the order of the probability columns; empty for regression.
    fn classes(&self) -> &[String];

    /// Scores rows. The result has as many rows as `rows` and the columns of the signature's outputs: `prediction`, and for
    /// classifiers `probability_<class>` for each class (float64).
    ///
    /// Columns of `rows` are found by name; others are ignored; integers are taken for doubles.
    ///
    /// # Errors
    /// [`ModelError::Input`] for a missing or mistyped column.
    fn score(&self, rows: &RecordBatch) -> Result<RecordBatch, ModelError>;

    /// The folder on this machine that it was loaded from.
    fn folder(&self) -> &Path;
}

/// Loads models of the formats it knows.
#[async_trait]
pub trait ModelRuntime: Send + Sync {
    /// Loads the model folder at `uri` (absolute URL, `MLmodel` inside).
    async fn load(&self, uri: &str) -> Result<Arc<dyn LoadedModel>, ModelError>;
}

/// Why a model does not load or score.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The folder or a file in it is missing or broken.
    #[error("cannot load the model `{uri}`: {message}")]
    Load {
        /// The folder.
        uri: String,
        /// Why.
        message: String,
    },
    /// The rows do not fit the signature.
    #[error("{message}")]
    Input {
        /// Which column, and what was expected; no data.
        message: String,
    },
    /// It failed on good rows.
    #[error("the model failed: {message}")]
    Run {
        /// Why.
        message: String,
    },
}
