//! Traces, their spans and what is thought of them.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::json::{Json, JsonMap, TextMap};

/// What somebody or something thinks of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct AssessmentView {
    /// `a-` and 32 hex digits.
    pub id: String,
    /// `feedback`, `expectation` or `issue`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Its value.
    pub value: Json,
    /// Why.
    pub rationale: Option<String>,
    /// `HUMAN`, `LLM_JUDGE`, `CODE`.
    pub source: String,
    /// Who.
    pub source_id: Option<String>,
    /// The span that it is about; the whole trace if absent.
    pub span_id: Option<String>,
    /// Whether none overrides it.
    pub valid: bool,
    /// Why there is no value.
    pub error: Option<String>,
    /// RFC 3339.
    pub updated_at: Option<String>,
}

/// Tokens that a trace or span spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct TokenUsage {
    /// Read.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// In all.
    pub total: u64,
}

/// A trace in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TraceSummary {
    /// `tr-` and 32 hex digits, or what its client chose.
    pub id: String,
    /// Name of its root span.
    pub name: Option<String>,
    /// Its experiment.
    pub experiment_id: String,
    /// `OK`, `ERROR`, `IN_PROGRESS` or `STATE_UNSPECIFIED`.
    pub status: String,
    /// RFC 3339.
    pub started_at: String,
    /// Until its last span ended, milliseconds.
    pub duration_ms: Option<u64>,
    /// Beginning of what went in.
    pub request: Option<String>,
    /// Beginning of what came out.
    pub response: Option<String>,
    /// Tokens that it spent.
    pub tokens: Option<TokenUsage>,
    /// Number of its spans that have come.
    pub spans: u64,
    /// The conversation that it is part of.
    pub session: Option<String>,
    /// Who asked.
    pub user: Option<String>,
    /// The tracked run that it was made in.
    pub run_id: Option<String>,
    /// Tags, without its name.
    pub tags: TextMap,
    /// What is thought of it.
    pub assessments: Vec<AssessmentView>,
}

/// A page of traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TracePage {
    /// The traces.
    pub traces: Vec<TraceSummary>,
    /// Token of the next page.
    pub next: Option<String>,
}

/// A version of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct PromptRef {
    /// Name.
    pub name: String,
    /// Version.
    pub version: u64,
}

/// A trace's page, without its spans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TraceView {
    /// The trace.
    pub trace: TraceSummary,
    /// What its client told once and for all.
    pub metadata: TextMap,
    /// The caller's id.
    pub client_request_id: Option<String>,
    /// Tracked runs that it is linked to.
    pub runs: Vec<String>,
    /// Prompt versions that it used.
    pub prompts: Vec<PromptRef>,
    /// The command that shows it.
    pub command: String,
}

/// A span in the tree of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct SpanSummary {
    /// 16 hex digits.
    pub id: String,
    /// The span that it is part of.
    pub parent_id: Option<String>,
    /// Name.
    pub name: String,
    /// MLflow's type, `LLM`, `TOOL`; empty if nobody said.
    pub kind: String,
    /// `UNSET`, `OK` or `ERROR`.
    pub status: String,
    /// Milliseconds after the trace's first span began.
    pub start_ms: f64,
    /// How long it took, milliseconds; absent while it goes on.
    pub duration_ms: Option<f64>,
    /// Tokens that it spent in all.
    pub tokens: Option<u64>,
}

/// Something that happened during a span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct SpanEventView {
    /// Name, `exception` for a failure.
    pub name: String,
    /// Milliseconds after the span began.
    pub at_ms: f64,
    /// What is known of it.
    pub attributes: JsonMap,
}

/// A span with all that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct SpanView {
    /// 16 hex digits.
    pub id: String,
    /// Name.
    pub name: String,
    /// MLflow's type, `LLM`, `TOOL`; empty if nobody said.
    pub kind: String,
    /// `UNSET`, `OK` or `ERROR`.
    pub status: String,
    /// Why it failed.
    pub message: Option<String>,
    /// RFC 3339.
    pub started_at: String,
    /// How long it took, milliseconds; absent while it goes on.
    pub duration_ms: Option<f64>,
    /// What went in.
    pub inputs: Json,
    /// What came out.
    pub outputs: Json,
    /// Tokens that it spent.
    pub tokens: Option<TokenUsage>,
    /// Everything else that is known of it.
    pub attributes: JsonMap,
    /// What happened meanwhile.
    pub events: Vec<SpanEventView>,
}
