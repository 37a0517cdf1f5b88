use async_trait::async_trait;
use indexmap::IndexMap;
use jiff::Timestamp;
use millrace_spec::asset::Asset;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::query::TableProfile;

/// Who made a version: a step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    /// Pipeline run id, or a tracked run's.
    pub run_id: String,
    /// Step id, if a pipeline's step made it.
    pub step: Option<String>,
}

/// Something that lineage points at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AssetKey {
    /// `dataset`, `model`, `source`, `endpoint`.
    pub kind: String,
    /// Name, or URL of a source.
    pub name: String,
    /// Version; 0 for things without.
    pub version: u64,
}

/// A dataset version to be recorded; its table is already written.
#[derive(Debug, Clone)]
pub struct NewDatasetVersion {
    /// Dataset name.
    pub name: String,
    /// The table or folder. `name` and `version` in it are ignored.
    pub asset: Asset,
    /// `[{"name", "type", "nullable"}]`.
    pub schema: Value,
    /// Statistics, if they were computed.
    pub profile: Option<TableProfile>,
    /// Who made it.
    pub producer: Option<Producer>,
    /// What it was made from.
    pub inputs: Vec<AssetKey>,
}

/// A recorded dataset version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetVersion {
    /// The data; `name` and `version` are set.
    pub asset: Asset,
    /// `[{"name", "type", "nullable"}]`.
    pub schema: Value,
    /// Statistics, if they were computed.
    pub profile: Option<TableProfile>,
    /// Who made it.
    pub producer: Option<Producer>,
    /// What it was made from.
    pub inputs: Vec<AssetKey>,
    /// When it was recorded.
    pub created_at: Timestamp,
}

/// Named, versioned data.
#[async_trait]
pub trait DatasetCatalog: Send + Sync {
    /// URL where the tables of dataset `name` belong.
    fn location(&self, name: &str) -> Result<String, CatalogError>;

    /// Records the next version. If the newest version has the same digest, that one is returned instead and nothing is recorded.
    async fn commit(&self, new: NewDatasetVersion) -> Result<DatasetVersion, CatalogError>;

    /// Finds `name`, `name@3`, `name@latest` or `name@alias` (a leading `data:` is allowed).
    async fn resolve(&self, reference: &str) -> Result<DatasetVersion, CatalogError>;

    /// The newest version of every dataset, by name.
    async fn list(&self) -> Result<Vec<DatasetVersion>, CatalogError>;

    /// All versions of one dataset, newest first.
    async fn versions(&self, name: &str) -> Result<Vec<DatasetVersion>, CatalogError>;
}

/// A model version to be recorded.
#[derive(Debug, Clone)]
pub struct NewModelVersion {
    /// Registered model name.
    pub name: String,
    /// The model folder.
    pub asset: Asset,
    /// Who trained it.
    pub producer: Option<Producer>,
    /// Tracked run to link to, MLflow's `run_id`.
    pub tracking_run_id: Option<String>,
    /// Evaluation metrics worth showing beside it.
    pub metrics: IndexMap<String, f64>,
    /// Datasets and models it was made from.
    pub inputs: Vec<AssetKey>,
    /// Free text.
    pub description: Option<String>,
    /// Aliases to point at it.
    pub aliases: Vec<String>,
}

/// A recorded model version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelVersion {
    /// The model folder; `name` and `version` are set.
    pub asset: Asset,
    /// Who trained it.
    pub producer: Option<Producer>,
    /// MLflow's `run_id`.
    pub tracking_run_id: Option<String>,
    /// Evaluation metrics.
    pub metrics: IndexMap<String, f64>,
    /// What it was made from.
    pub inputs: Vec<AssetKey>,
    /// Free text.
    pub description: Option<String>,
    /// Aliases that point at it.
    pub aliases: Vec<String>,
    /// MLflow's stage: `None`, `Staging`, `Production`, `Archived`.
    pub stage: String,
    /// By key.
    pub tags: IndexMap<String, String>,
    /// A page that shows the run, if it is tracked elsewhere.
    pub run_link: Option<String>,
    /// When it was recorded.
    pub created_at: Timestamp,
}

/// Named, versioned models.
#[async_trait]
pub trait ModelRegistry: Send + Sync {
    /// Records the next version and moves the aliases to it. The model's folder is copied into the registry's storage.
    /// If the newest version has the same digest, that one is returned, with the aliases moved.
    async fn register(&self, new: NewModelVersion) -> Result<ModelVersion, CatalogError>;

    /// Finds `name`, `name@3`, `name/3`, `name@latest` or `name@alias` of what a step or an MLflow client registered (a leading `model:` or `models:/` is allowed).
    async fn resolve(&self, reference: &str) -> Result<ModelVersion, CatalogError>;

    /// The newest version of every model, by name.
    async fn list(&self) -> Result<Vec<ModelVersion>, CatalogError>;

    /// All versions of one model, newest first.
    async fn versions(&self, name: &str) -> Result<Vec<ModelVersion>, CatalogError>;
}

/// Why a name does not resolve or a version cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No such name, version or alias.
    #[error("there is no {kind} `{reference}`")]
    NotFound {
        /// `dataset` or `model`.
        kind: &'static str,
        /// As asked.
        reference: String,
        /// A close name, if there is one.
        suggestion: Option<String>,
    },
    /// A name that cannot be one.
    #[error("`{name}` is not a name for a {kind}: {reason}")]
    InvalidName {
        /// `dataset` or `model`.
        kind: &'static str,
        /// As asked.
        name: String,
        /// Why not.
        reason: String,
    },
    /// The name has rules of its own that forbid it.
    #[error("`{name}` cannot be registered so: {reason}")]
    Refused {
        /// Which.
        name: String,
        /// Why not.
        reason: String,
    },
    /// The database or the storage failed.
    #[error("cannot {action}: {message}")]
    Store {
        /// What was being done.
        action: &'static str,
        /// The cause, whole chain.
        message: String,
    },
}

impl crate::Explain for CatalogError {
    fn problem(&self) -> millrace_spec::problem::Problem {
        use millrace_spec::problem::Problem;
        match self {
            Self::NotFound { kind, suggestion, .. } => {
                let problem = Problem::error(format!("unknown-{kind}"), self.to_string());
                match suggestion {
                    Some(name) => problem.hint(format!("did you mean `{name}`?")),
                    None => problem,
                }
            }
            Self::InvalidName { .. } => Problem::error("invalid-name", self.to_string()),
            Self::Refused { name, .. } => Problem::error("alias-protected", self.to_string()).hint(format!(
                "register it without the alias, then `millrace models request {name}@VERSION ALIAS`"
            )),
            Self::Store { .. } => Problem::error("store-failed", self.to_string()),
        }
    }
}
