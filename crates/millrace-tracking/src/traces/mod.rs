//! Traces of programs that call models and tools: spans as they are kept, and what a trace is by its spans.
//!
//! Start from [`Span`], and from [`gather`], which makes of arrived spans what the metastore keeps.

mod conventions;
mod gather;
mod preview;
mod span;
mod spent;

pub use conventions::{INPUTS, OUTPUTS, USAGE};
pub use gather::{Arrived, gather, gather_rows};
pub use span::{Event, Link, Span, SpanStatus, UnknownSpan, json_text, read_spans};
pub use spent::totals;

/// Prefix of a trace's id before the hex digits of OpenTelemetry's.
pub const TRACE_PREFIX: &str = "tr-";
/// Folder among the artifacts with the files of traces.
pub const TRACES: &str = "traces";
/// Folder among a trace's files with what was attached to its spans, each under the id that they name it by.
pub const ATTACHMENTS: &str = "attachments";
/// What the address of something attached begins with; its id follows.
pub const ATTACHMENT_SCHEME: &str = "mlflow-attachment://";
/// Tag: where the spans lie.
pub const SPANS_LOCATION_TAG: &str = "mlflow.trace.spansLocation";
/// Value of it: here.
pub const SPANS_ARE_HERE: &str = "TRACKING_STORE";
/// Metadata: sizes and number of the spans, a JSON document.
pub const SIZE_METADATA: &str = "mlflow.trace.sizeStats";

/// Longest name of a tag, in characters.
const LONGEST_TAG_NAME: usize = 250;
/// A tag's value is cut here.
const LONGEST_TAG: usize = 8_000;
const LONGEST_CLIENT_PREVIEW: usize = 10_000;

/// Where the files of a trace are among the artifacts.
pub fn trace_files(id: &str) -> String {
    format!("{TRACES}/{id}/artifacts")
}

/// A tag with its value cut at MLflow's limit; `None` if its name cannot be one.
pub fn tag(name: &str, value: &str) -> Option<(String, String)> {
    if name.is_empty() || name.chars().count() > LONGEST_TAG_NAME {
        return None;
    }
    Some((clean(name), cut(&clean(value), LONGEST_TAG)))
}

/// A preview that a client made, cut where it would fill a list.
pub fn client_preview(text: &str) -> String {
    cut(&clean(text), LONGEST_CLIENT_PREVIEW)
}

/// So many characters at most.
fn cut(text: &str, longest: usize) -> String {
    text.char_indices().nth(longest).map_or(text, |(end, _)| text.get(..end).unwrap_or(text)).to_owned()
}

/// Without NUL, which PostgreSQL has in no text.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
