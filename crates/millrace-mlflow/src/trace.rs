//! A trace as every store tells it, made into what is kept here.

use millrace_metastore::traces::{ImportedTrace, NAME_TAG, RUN_LINK, RUN_METADATA, Trace};
use millrace_tracking::traces::{SPANS_ARE_HERE, SPANS_LOCATION_TAG, Span, gather_rows};
use serde_json::Value;

use crate::digest::LOCATION_TAG;
use crate::{record, span};

/// Our word of a trace's state.
pub(crate) fn state(word: &str) -> &'static str {
    match word.strip_prefix("TRACE_STATUS_").unwrap_or(word) {
        "OK" => "OK",
        "ERROR" => "ERROR",
        "IN_PROGRESS" => "IN_PROGRESS",
        _ => "STATE_UNSPECIFIED",
    }
}

/// The spans of a `traces.json`.
pub(crate) fn read_file(bytes: &[u8]) -> Result<Vec<Span>, String> {
    spans_in(&serde_json::from_slice(bytes).map_err(|error| format!("it is not JSON: {error}"))?)
}

/// The spans of such a document.
pub(crate) fn spans_in(document: &Value) -> Result<Vec<Span>, String> {
    let spans = document.get("spans").and_then(Value::as_array).ok_or("it has no list of `spans`")?;
    spans.iter().map(span::read).collect()
}

/// A trace with its spans. Its name is a column, the run that it was made in a link, and its spans are here.
pub(crate) fn imported(
    mut trace: Trace,
    spans: Vec<Span>,
    mut links: Vec<(String, String)>,
) -> record::Trace {
    let mut uri = String::new();
    for (name, value) in std::mem::take(&mut trace.tags) {
        match name.as_str() {
            NAME_TAG => trace.row.name = Some(value),
            LOCATION_TAG => uri = value,
            SPANS_LOCATION_TAG => {}
            _ => trace.tags.push((name, value)),
        }
    }
    if !spans.is_empty() {
        trace.tags.push((SPANS_LOCATION_TAG.to_owned(), SPANS_ARE_HERE.to_owned()));
    }
    let run = trace.metadata.iter().find(|(name, _)| name == RUN_METADATA).map(|(_, run)| run.clone());
    links.extend(run.map(|run| (RUN_LINK.to_owned(), run)));
    links.sort();
    links.dedup();
    let (rows, lines) = gather_rows(spans);
    record::Trace { trace: ImportedTrace { trace, spans: rows, lines, links }, uri }
}
