//! Traces: what they are found by, their spans as compressed documents, assessments and links.
//!
//! Spans lie in `trace_spans`, one document a batch, which a list never reads; what a search compares of a span is a row of
//! `trace_span`. Words are MLflow's. Two texts are columns or links, so that they cannot differ from them: the tag [`NAME_TAG`] is the
//! trace's name, and the run in [`RUN_METADATA`] is linked.

mod assessments;
mod import;
mod pack;
mod query;
mod read;
mod search;
mod write;

pub use assessments::{Assessed, AssessmentRow};
pub use import::ImportedTrace;
pub use query::{Holds, Rest, SpanColumn, TraceClause, TraceColumn, TraceField, TraceOrder, TraceQuery};
pub use read::SpanSummary;
pub use write::{RootSpan, SpanBatch, SpanRow, Spent, TagRemoval, Totals, TraceRange};

use crate::{MetastoreError, Row};

/// The tag that MLflow keeps a trace's name in.
pub const NAME_TAG: &str = "mlflow.traceName";
/// The metadata that names the run that a trace was made in.
pub const RUN_METADATA: &str = "mlflow.sourceRun";

/// Links of a trace to runs.
pub const RUN_LINK: &str = "run";
/// Links of a trace to prompt versions, `name/version`.
pub const PROMPT_LINK: &str = "prompt";

/// Names and contents.
pub type Pairs = Vec<(String, String)>;

/// A row of `trace`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceRow {
    /// `tr-` and 32 hex digits, or what its client chose.
    pub id: String,
    /// Its experiment.
    pub experiment_id: i64,
    /// Name, if it has one.
    pub name: Option<String>,
    /// `OK`, `ERROR`, `IN_PROGRESS` or `STATE_UNSPECIFIED`.
    pub state: String,
    /// Milliseconds since 1970.
    pub requested_at_ms: i64,
    /// Until its last span ended.
    pub duration_ms: Option<i64>,
    /// The caller's id.
    pub client_request_id: Option<String>,
    /// Beginning of what went in.
    pub request_preview: Option<String>,
    /// Beginning of what came out.
    pub response_preview: Option<String>,
}

/// A trace without its spans.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// Its row.
    pub row: TraceRow,
    /// Tags, without its name.
    pub tags: Pairs,
    /// What its client told once and for all.
    pub metadata: Pairs,
    /// In the order in which they were made.
    pub assessments: Vec<AssessmentRow>,
}

const COLUMNS: &str = "this.id, this.experiment_id, this.name, this.state, this.requested_at_ms, this.duration_ms, \
     this.client_request_id, this.request_preview, this.response_preview";

fn trace_row(row: &Row) -> Result<TraceRow, MetastoreError> {
    Ok(TraceRow {
        id: row.text("id")?,
        experiment_id: row.int("experiment_id")?,
        name: row.opt_text("name")?,
        state: row.text("state")?,
        requested_at_ms: row.int("requested_at_ms")?,
        duration_ms: row.opt_int("duration_ms")?,
        client_request_id: row.opt_text("client_request_id")?,
        request_preview: row.opt_text("request_preview")?,
        response_preview: row.opt_text("response_preview")?,
    })
}

/// `$from, $from+1, …`: so many placeholders with commas between.
fn placeholders(from: usize, count: usize) -> String {
    (from..from + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}
