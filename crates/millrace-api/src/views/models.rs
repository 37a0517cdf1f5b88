//! Registered models.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::datasets::{AssetKey, Producer};
use super::json::{Json, NumberMap, TextMap};

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

/// An input or an output of a graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct OnnxPort {
    /// Name.
    pub name: String,
    /// Type of its elements.
    pub element: String,
    /// A number, a name or `?` for each dimension.
    pub shape: Vec<String>,
}

/// Numbers of a model on one dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct DatasetMetrics {
    /// Dataset; empty for numbers that name none.
    pub dataset: String,
    /// Its version, if it is one of ours.
    pub version: Option<u64>,
    /// Who judged: a pipeline run or a tracked run.
    pub run_id: String,
    /// Step of the pipeline run.
    pub step: Option<String>,
    /// By name.
    pub metrics: NumberMap,
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
    /// What it takes.
    pub inputs: Vec<OnnxPort>,
    /// What it gives.
    pub outputs: Vec<OnnxPort>,
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
    /// Why its ONNX file cannot be shown.
    pub onnx_problem: Option<String>,
    /// An input it was logged with, as its client wrote it.
    pub input_example: Option<Json>,
    /// Its numbers by the data they are about.
    pub metrics_by_dataset: Vec<DatasetMetrics>,
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

/// What is written about a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ModelCardView {
    /// What people wrote, Markdown; null if nobody did.
    pub written: Option<String>,
    /// Number of that text, from 1; 0 without one.
    pub revision: u64,
    /// Who wrote it.
    pub written_by: Option<String>,
    /// RFC 3339.
    pub written_at: Option<String>,
    /// What is known, Markdown: data, metrics, lineage, signature.
    pub generated: String,
}

/// A text about a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct WriteCard {
    /// Markdown; at most 256 KiB.
    pub content: String,
    /// Who writes; the name of the login if there is one.
    #[serde(default)]
    #[ts(optional)]
    pub by: Option<String>,
}

/// A line of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ComparedRow {
    /// `facts`, `metrics`, `params`, `data`, `signature` or `onnx`.
    pub group: String,
    /// What is compared.
    pub name: String,
    /// One for each version, in their order; null where a version has none.
    pub values: Vec<Option<String>>,
    /// Whether they are not all the same.
    pub differs: bool,
}

/// Versions beside each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ModelComparison {
    /// In the order asked for.
    pub versions: Vec<ModelSummary>,
    /// By group and name.
    pub rows: Vec<ComparedRow>,
}

/// Asks to point an alias at a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct RequestPromotion {
    /// Version.
    pub version: u64,
    /// Alias.
    pub alias: String,
    /// Why.
    #[serde(default)]
    pub comment: String,
    /// Approvals wanted; at least those that the model's tag `millrace.approvals` asks for.
    #[serde(default)]
    #[ts(optional)]
    pub approvals: Option<u32>,
    /// Who asks; the name of the login if there is one.
    #[serde(default)]
    #[ts(optional)]
    pub by: Option<String>,
}

/// A yes or a no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct CastVote {
    /// For or against.
    pub approve: bool,
    /// Why; a no needs one.
    #[serde(default)]
    pub comment: String,
    /// Who; the name of the login if there is one.
    #[serde(default)]
    #[ts(optional)]
    pub by: Option<String>,
}

/// Who takes a request back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Withdraw {
    /// Who; the name of the login if there is one.
    #[serde(default)]
    #[ts(optional)]
    pub by: Option<String>,
}

/// What one said to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct VoteView {
    /// Who.
    pub by: String,
    /// For or against.
    pub approve: bool,
    /// Why.
    pub comment: String,
    /// RFC 3339.
    pub at: String,
}

/// A request to point an alias at a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct PromotionView {
    /// Id.
    pub id: String,
    /// Model.
    pub model: String,
    /// Version.
    pub version: u64,
    /// Alias.
    pub alias: String,
    /// Digest of the content that was asked about.
    pub digest: String,
    /// Approvals that it needs.
    pub approvals: u32,
    /// Who may vote: `user:NAME`, `group:NAME`, `role:NAME`.
    pub approvers: Vec<String>,
    /// `pending`, `approved`, `rejected`, `withdrawn` or `outdated`.
    pub state: String,
    /// Why.
    pub comment: String,
    /// Who asked.
    pub by: String,
    /// RFC 3339.
    pub at: String,
    /// When it was decided, RFC 3339.
    pub decided_at: Option<String>,
    /// The version that the alias pointed at before.
    pub replaced: Option<u64>,
    /// Oldest first.
    pub votes: Vec<VoteView>,
}
