//! The workspace, problems, and what changed.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

/// A place in a file of the workspace; lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct Place {
    /// Path relative to the workspace.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Characters to underline.
    pub length: u32,
}

/// How serious a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing runs until it is mended.
    Error,
    /// It runs, but probably not as meant.
    Warning,
}

/// What went wrong, where, and what to type next. Failed requests answer this as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct Problem {
    /// Stable kebab-case code.
    pub code: String,
    /// Error or warning.
    pub severity: Severity,
    /// One sentence.
    pub message: String,
    /// Where, if a file is to blame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional = nullable)]
    pub place: Option<Place>,
    /// Details, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<String>>")]
    pub notes: Vec<String>,
    /// Ways out: each is something to type or to edit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<String>>")]
    pub hints: Vec<String>,
}

impl From<millrace_spec::problem::Problem> for Problem {
    fn from(problem: millrace_spec::problem::Problem) -> Self {
        use millrace_spec::problem::Severity as Told;
        Self {
            code: problem.code,
            severity: if problem.severity == Told::Warning { Severity::Warning } else { Severity::Error },
            message: problem.message,
            place: problem.place.map(|place| Place {
                file: place.file,
                line: place.line,
                column: place.column,
                length: place.length,
            }),
            notes: problem.notes,
            hints: problem.hints,
        }
    }
}

/// The workspace that this server serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct WorkspaceView {
    /// `name:` in millrace.yaml.
    pub name: String,
    /// IANA zone of triggers that name none.
    pub timezone: String,
    /// Version of Millrace.
    pub version: String,
    /// Its folder.
    pub path: String,
}

/// Something that a search found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct SearchHit {
    /// `pipeline`, `run`, `dataset`, `model`, `experiment`, `endpoint` or `monitor`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// A few words about it.
    pub detail: Option<String>,
    /// Path of its page.
    pub path: String,
}

/// Something that changed, as the event stream tells it; the stream's event name is the kind too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct EventView {
    /// `run`, `step`, `progress`.
    pub kind: String,
    /// What it happened to: a run's id.
    pub id: String,
    /// When, RFC 3339.
    pub at: String,
}

/// A kind of step, transform, connector or trainer that can be named in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct KindView {
    /// `step`, `transform`, `connector`, `trainer`, `drift_test`, `channel`, `trigger`.
    pub family: String,
    /// The word users write.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// The whole text.
    pub description: String,
    /// A working example, YAML.
    pub example: String,
    /// JSON Schema of what stands under the key.
    pub schema: super::json::Json,
}
