//! Prompts, webhooks, evaluation datasets and logged models.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::json::{Json, JsonMap, NumberMap, TextMap};

/// A prompt in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct PromptSummary {
    /// Name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Its newest version, if it has one.
    pub version: Option<u64>,
    /// Versions by alias, `production: 3`.
    pub aliases: NumberMap,
    /// Its tags.
    pub tags: TextMap,
    /// RFC 3339.
    pub updated_at: String,
}

/// Prompts by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct PromptPage {
    /// The prompts.
    pub prompts: Vec<PromptSummary>,
    /// Token of the next page.
    pub next: Option<String>,
}

/// A version of a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct PromptVersionView {
    /// From 1.
    pub version: u64,
    /// The template; messages as JSON if it is a chat.
    pub template: String,
    /// `text` or `chat`.
    pub kind: String,
    /// What the model is told besides, JSON.
    pub model_config: Option<Json>,
    /// What the model's answers look like, JSON.
    pub response_format: Option<Json>,
    /// Why it was made.
    pub message: Option<String>,
    /// Aliases that point at it.
    pub aliases: Vec<String>,
    /// Its tags, without those that hold the prompt itself.
    pub tags: TextMap,
    /// RFC 3339.
    pub created_at: String,
}

/// A prompt's page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct PromptView {
    /// The prompt.
    pub prompt: PromptSummary,
    /// Its versions, newest first; the newest 200 if there are more.
    pub versions: Vec<PromptVersionView>,
}

/// Who is told of changes in the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct WebhookView {
    /// 32 hex digits.
    pub id: String,
    /// Name.
    pub name: String,
    /// Where notes go.
    pub url: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it is told of anything.
    pub active: bool,
    /// Whether notes are signed.
    pub signed: bool,
    /// What it is told of, `model_version.created`.
    pub events: Vec<String>,
    /// RFC 3339.
    pub created_at: String,
}

/// Every webhook, and what webhooks can be told of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct WebhookList {
    /// Newest first.
    pub webhooks: Vec<WebhookView>,
    /// `model_version.created`, ….
    pub known_events: Vec<String>,
}

/// A note that was sent to a webhook, or is to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct DeliveryView {
    /// Unique.
    pub id: String,
    /// `delivered`, `waiting`, `retrying` or `dead`.
    pub state: String,
    /// `model_version.created`.
    pub event: String,
    /// Tries so far.
    pub attempts: u64,
    /// When it arrived, is tried next or was given up, RFC 3339.
    pub at: String,
    /// Why the last try failed.
    pub error: Option<String>,
    /// What is sent.
    pub body: Json,
}

/// An evaluation dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct EvaluationDatasetView {
    /// `d-` and 32 hex digits.
    pub id: String,
    /// Name; several may have the same.
    pub name: String,
    /// Changes with the records.
    pub digest: String,
    /// Number of its records.
    pub records: u64,
    /// Experiments that it belongs to.
    pub experiments: Vec<String>,
    /// Its tags.
    pub tags: TextMap,
    /// Who made it.
    pub created_by: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
}

/// A record of an evaluation dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct EvaluationRecordView {
    /// `dr-` and 32 hex digits.
    pub id: String,
    /// What the application is given.
    pub inputs: JsonMap,
    /// What it answered, if that is kept.
    pub outputs: Option<Json>,
    /// What is expected.
    pub expectations: JsonMap,
    /// `TRACE`, `HUMAN`, `DOCUMENT`, `CODE`.
    pub source: Option<String>,
    /// The trace that it was made of.
    pub trace_id: Option<String>,
    /// Its tags.
    pub tags: JsonMap,
    /// RFC 3339.
    pub created_at: String,
}

/// A page of records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct EvaluationRecordPage {
    /// In the order in which they came.
    pub records: Vec<EvaluationRecordView>,
    /// Token of the next page.
    pub next: Option<String>,
}

/// A model that a run saved, before anybody gives it a name and a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct LoggedModelView {
    /// `m-` and 32 hex digits.
    pub id: String,
    /// Name.
    pub name: String,
    /// Its experiment.
    pub experiment_id: String,
    /// `pending`, `ready` or `failed`.
    pub status: String,
    /// Kind, as the client says.
    pub model_type: Option<String>,
    /// The run that made it.
    pub run_id: Option<String>,
    /// Where its files are.
    pub artifact_uri: String,
    /// Parameters.
    pub params: TextMap,
    /// Tags.
    pub tags: TextMap,
    /// What was measured of it.
    pub metrics: Vec<LoggedModelMetric>,
    /// RFC 3339.
    pub created_at: String,
}

/// A number that tells of a logged model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct LoggedModelMetric {
    /// Name of the metric.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Step.
    pub step: i64,
    /// Name of the dataset that it was measured on.
    pub dataset: Option<String>,
    /// The run that measured it.
    pub run_id: String,
}
