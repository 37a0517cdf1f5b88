//! From spans as they arrive to what the metastore keeps of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use millrace_metastore::traces::{Pairs, RootSpan, SpanBatch, SpanRow};
use serde_json::{Map, Value};

use super::conventions::{INPUTS, OUTPUTS, translate};
use super::span::{Span, SpanStatus, json_text};
use super::spent::spent;
use super::{SPANS_ARE_HERE, SPANS_LOCATION_TAG, clean, preview, tag};

/// Prefix of a root span's attributes that are tags of its trace.
const TAG_PREFIX: &str = "mlflow.traceTag.";
/// Where the session and the user of a request are told, and the metadata that keeps them.
const WHOSE: &[(&str, &[&str])] = &[
    ("mlflow.trace.session", &["session.id", "gen_ai.conversation.id"]),
    ("mlflow.trace.user", &["user.id"]),
];
const NANOSECONDS: u64 = 1_000_000;

/// A span and what it came with.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrived {
    /// Id of its trace, `tr-…`.
    pub trace_id: String,
    /// The span.
    pub span: Span,
    /// What is known of the program that sent it.
    pub resource: Arc<Map<String, Value>>,
}

/// Spans by trace, in the order of the traces' ids. Of a span that came twice the last counts.
pub fn gather(arrived: Vec<Arrived>) -> Vec<SpanBatch> {
    let mut traces: BTreeMap<String, Vec<Arrived>> = BTreeMap::new();
    for one in arrived {
        traces.entry(one.trace_id.clone()).or_default().push(one);
    }
    traces.into_iter().map(|(trace_id, arrived)| batch(trace_id, arrived)).collect()
}

fn batch(trace_id: String, arrived: Vec<Arrived>) -> SpanBatch {
    let mut batch = SpanBatch {
        trace_id,
        tags: arrived.iter().find(|one| !one.resource.is_empty()).map(resource_tags).unwrap_or_default(),
        ..SpanBatch::default()
    };
    let last: HashMap<String, usize> =
        arrived.iter().enumerate().map(|(place, one)| (one.span.id.clone(), place)).collect();
    let mut starts_ns = u64::MAX;
    for (place, Arrived { mut span, .. }) in arrived.into_iter().enumerate() {
        if last.get(&span.id) != Some(&place) {
            continue;
        }
        translate(&mut span);
        starts_ns = starts_ns.min(span.start_ns);
        if span.end_ns > 0 {
            batch.ends_at_ms = batch.ends_at_ms.max(Some(milliseconds(span.end_ns)));
        }
        add_whose(&mut batch.metadata, &span);
        if span.parent_id.is_none() {
            for (name, value) in &span.attributes {
                let value = || value.as_str().map_or_else(|| json_text(value), str::to_owned);
                if let Some(name) = name.strip_prefix(TAG_PREFIX) {
                    batch.tags.extend(tag(name, &value()));
                }
            }
            batch.root = Some(root(&span));
        }
        batch.spans.push(row(&span));
        // Its trace is known by the document; MLflow's clients send it along with each span.
        span.attributes.shift_remove("mlflow.traceRequestId");
        span.write_line(&mut batch.lines);
    }
    batch.starts_at_ms = milliseconds(starts_ns);
    batch.tags.push((SPANS_LOCATION_TAG.to_owned(), SPANS_ARE_HERE.to_owned()));
    batch
}

/// What a search compares of spans that are taken over as they are, and their lines.
pub fn gather_rows(spans: Vec<Span>) -> (Vec<SpanRow>, Vec<u8>) {
    let mut lines = Vec::new();
    spans.iter().for_each(|span| span.write_line(&mut lines));
    let mut rows: BTreeMap<String, SpanRow> = BTreeMap::new();
    rows.extend(spans.iter().map(|span| (span.id.clone(), row(span))));
    (rows.into_values().collect(), lines)
}

#[allow(clippy::cast_possible_wrap, reason = "a millionth of the largest number")]
fn milliseconds(nanoseconds: u64) -> i64 {
    (nanoseconds / NANOSECONDS) as i64
}

/// Facts of the sending program as tags; not those of its telemetry library, nor any in MLflow's name.
fn resource_tags(arrived: &Arrived) -> Pairs {
    let known = arrived.resource.iter();
    let kept = known.filter(|(name, _)| !name.starts_with("telemetry.sdk.") && !name.starts_with("mlflow."));
    kept.filter_map(|(name, value)| match value {
        Value::String(text) => tag(name, text),
        value => tag(name, &json_text(value)),
    })
    .collect()
}

fn add_whose(metadata: &mut Pairs, span: &Span) {
    for (name, attributes) in WHOSE {
        let said = attributes.iter().find_map(|attribute| span.text_attribute(attribute));
        if let Some(said) = said
            && metadata.iter().all(|(known, _)| known != name)
        {
            metadata.extend(tag(name, said));
        }
    }
}

fn root(span: &Span) -> RootSpan {
    let preview_of =
        |attribute, role| span.attributes.get(attribute).map(|value| preview::preview(value, role));
    RootSpan {
        state: if span.status == SpanStatus::Error { "ERROR" } else { "OK" }.to_owned(),
        name: None,
        request_preview: preview_of(INPUTS, "user"),
        response_preview: preview_of(OUTPUTS, "assistant"),
    }
}

fn row(span: &Span) -> SpanRow {
    SpanRow {
        span_id: span.id.clone(),
        parent_id: span.parent_id.clone(),
        name: clean(&span.name),
        kind: clean(span.kind()),
        status: span.status.word().to_owned(),
        spent: spent(span),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::read_spans;
    use super::*;

    fn arrived(id: &str, parent: Option<&str>, attributes: Value) -> Arrived {
        let Value::Object(attributes) = attributes else { unreachable!("an object") };
        let span = Span {
            id: id.to_owned(),
            parent_id: parent.map(str::to_owned),
            name: format!("span {id}"),
            start_ns: 5_000_000,
            end_ns: 9_000_000,
            attributes,
            ..Span::default()
        };
        let resource = json!({"service.name": "shop", "telemetry.sdk.name": "x", "mlflow.a": "b", "n": 1});
        let Value::Object(resource) = resource else { unreachable!("an object") };
        Arrived { trace_id: "tr-1".to_owned(), span, resource: Arc::new(resource) }
    }

    #[test]
    fn a_trace_is_what_its_root_and_its_program_say() {
        let batches = gather(vec![
            arrived("b", Some("a"), json!({"openinference.span.kind": "LLM", "llm.token_count.prompt": 3})),
            arrived(
                "a",
                None,
                json!({"input.value": "{\"q\": 1}", "mlflow.traceTag.env": "prod", "session.id": "s"}),
            ),
            arrived("b", Some("a"), json!({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 4})),
        ]);
        let [batch] = batches.as_slice() else { unreachable!("one trace") };
        let root = batch.root.as_ref().unwrap();
        assert_eq!((root.state.as_str(), root.request_preview.as_deref()), ("OK", Some("{\"q\": 1}")));
        assert_eq!((batch.starts_at_ms, batch.ends_at_ms), (5, Some(9)));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let here = pair(SPANS_LOCATION_TAG, SPANS_ARE_HERE);
        assert_eq!(batch.tags, [pair("service.name", "shop"), pair("n", "1"), pair("env", "prod"), here]);
        assert_eq!(batch.metadata, [pair("mlflow.trace.session", "s")]);
        let rows: Vec<_> = batch.spans.iter().map(|row| (row.span_id.as_str(), row.kind.as_str())).collect();
        assert_eq!(rows, [("a", ""), ("b", "CHAT_MODEL")]);
        assert_eq!(batch.spans[1].spent.as_deref(), Some("{\"tokens\":{\"input_tokens\":4}}"));
        let spans = read_spans(&batch.lines).unwrap();
        assert_eq!(spans.len(), 2);
        assert!(spans[0].full_text().contains("\"mlflow.spanInputs\": {\"q\": 1}\n"));
    }
}
