//! Registered models.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::datasets::{AssetKey, Producer};
use super::json::{NumberMap, TextMap};

/// A column that a model takes or gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ModelColumn {
    /// Name.
    pub name: String,
    /// MLflow's type word.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether a row without it is refused.
    pub required: bool,
}

/// What a model takes and gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ModelSignature {
    /// Takes.
    pub inputs: Vec<ModelColumn>,
    /// Gives.
    pub outputs: Vec<ModelColumn>,
}

/// A model version in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ModelSummary {
    /// Name.
    pub name: String,
    /// Version.
    pub version: u64,
    /// Aliases that point at it.
    pub aliases: Vec<String>,
    /// MLflow's stage: `None`, `Staging`, `Production` or `Archived`.
    pub stage: String,
    /// Evaluation metrics.
    pub metrics: NumberMap,
    /// RFC 3339.
    pub created_at: String,
    /// How many versions the model has.
    pub versions: u32,
}

/// What is inside an ONNX file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct OnnxView {
    /// IR version.
    pub ir_version: u32,
    /// Opset.
    pub opset: u32,
    /// Who wrote it.
    pub producer: String,
    /// Nodes.
    pub nodes: u32,
    /// Nodes by operator.
    pub operators: NumberMap,
    /// Numbers in its initialisers.
    pub parameters: u64,
}

/// What a model folder says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ModelFolderView {
    /// Flavors of its `MLmodel`.
    pub flavors: Vec<String>,
    /// What it takes and gives.
    pub signature: Option<ModelSignature>,
    /// `classification` or `regression`.
    pub task: Option<String>,
    /// Its ONNX file, if it has one.
    pub onnx: Option<OnnxView>,
}

/// A model version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ModelVersionView {
    /// Name.
    pub name: String,
    /// Version.
    pub version: u64,
    /// Where it lies.
    pub uri: String,
    /// Of its content.
    pub digest: String,
    /// Bytes on disk.
    pub size_bytes: Option<u64>,
    /// Aliases that point at it.
    pub aliases: Vec<String>,
    /// MLflow's stage: `None`, `Staging`, `Production` or `Archived`.
    pub stage: String,
    /// Its tags.
    pub tags: TextMap,
    /// Evaluation metrics.
    pub metrics: NumberMap,
    /// What it takes and gives.
    pub signature: Option<ModelSignature>,
    /// `classification` or `regression`.
    pub task: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Who trained it.
    pub producer: Option<Producer>,
    /// The tracked run.
    pub tracking_run_id: Option<String>,
    /// A page that shows the run, if it is tracked elsewhere.
    pub run_link: Option<String>,
    /// What it was made from.
    pub inputs: Vec<AssetKey>,
    /// Its folder in the artifact store, if it lies there.
    pub artifact_path: Option<String>,
    /// Its ONNX file, if it has one.
    pub onnx: Option<OnnxView>,
    /// Flavors of its `MLmodel`.
    pub flavors: Vec<String>,
    /// RFC 3339.
    pub created_at: String,
}

/// A model's page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ModelView {
    /// What all its versions are for.
    pub description: Option<String>,
    /// Tags of the model itself.
    pub tags: TextMap,
    /// The version asked for.
    pub version: ModelVersionView,
    /// All versions, newest first.
    pub versions: Vec<ModelSummary>,
    /// Endpoints that serve it.
    pub endpoints: Vec<String>,
    /// The command that shows it.
    pub command: String,
}
