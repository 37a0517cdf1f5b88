//! From OTLP's messages to spans as they are kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_tracking::traces::{Event, Link, Span, SpanStatus, TRACE_PREFIX};
use serde_json::{Map, Value, json};

use super::messages::{self, Any, AnyValue, KeyValue};

/// A span that cannot be one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Cannot convert OpenTelemetry span to MLflow span: {0}")]
pub(super) struct Unconvertible(&'static str);

/// The id of the span's trace, and the span.
pub(super) fn span(span: messages::Span) -> Result<(String, Span), Unconvertible> {
    let trace_id = id(&span.trace_id, 16).ok_or(Unconvertible("its trace id is no 16 bytes"))?;
    let status = span.status.unwrap_or_default();
    let converted = Span {
        id: id(&span.span_id, 8).ok_or(Unconvertible("its span id is no 8 bytes"))?,
        parent_id: match span.parent_span_id.iter().all(|byte| *byte == 0) {
            true => None,
            false => Some(id(&span.parent_span_id, 8).ok_or(Unconvertible("its parent's id is no 8 bytes"))?),
        },
        name: span.name,
        start_ns: span.start_time_unix_nano,
        end_ns: span.end_time_unix_nano,
        status: match status.code {
            1 => SpanStatus::Ok,
            2 => SpanStatus::Error,
            _ => SpanStatus::Unset,
        },
        message: status.message,
        attributes: attributes(span.attributes),
        events: span
            .events
            .into_iter()
            .map(|event| Event {
                name: event.name,
                at_ns: event.time_unix_nano,
                attributes: attributes(event.attributes),
            })
            .collect(),
        // Some producers make ids that are no ids; their links lead nowhere.
        links: span
            .links
            .into_iter()
            .filter_map(|link| {
                Some(Link {
                    trace_id: id(&link.trace_id, 16)?,
                    span_id: id(&link.span_id, 8)?,
                    attributes: attributes(link.attributes),
                })
            })
            .collect(),
    };
    Ok((format!("{TRACE_PREFIX}{trace_id}"), converted))
}

/// Hex digits of an id that is not zero, with zeros before a short one.
fn id(bytes: &[u8], length: usize) -> Option<String> {
    if bytes.len() > length || bytes.iter().all(|byte| *byte == 0) {
        return None;
    }
    Some(format!("{}{}", "00".repeat(length - bytes.len()), hex::encode(bytes)))
}

/// Names and values; of a name that comes twice the last value counts.
pub(super) fn attributes(pairs: Vec<KeyValue>) -> Map<String, Value> {
    pairs.into_iter().map(|pair| (pair.key, value(pair.value.unwrap_or_default()))).collect()
}

/// As deep as the message, which has a limit of its own.
fn value(any: AnyValue) -> Value {
    match any.value {
        None => Value::Null,
        Some(Any::Text(text)) => Value::String(text),
        Some(Any::Bool(truth)) => Value::Bool(truth),
        Some(Any::Int(number)) => json!(number),
        Some(Any::Double(number)) => double(number),
        Some(Any::Bytes(bytes)) => Value::String(STANDARD.encode(bytes)),
        Some(Any::Array(array)) => array.values.into_iter().map(value).collect(),
        Some(Any::Map(map)) => Value::Object(attributes(map.values)),
    }
}

/// JSON has no other numbers than finite ones.
fn double(number: f64) -> Value {
    let word = || {
        if number.is_nan() {
            "NaN"
        } else if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
    };
    if number.is_finite() { json!(number) } else { json!(word()) }
}

/// A value as OTLP's `AnyValue` in JSON.
pub(crate) fn any_value(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(truth) => json!({"bool_value": truth}),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => json!({"int_value": whole}),
            None => json!({"double_value": number.as_f64()}),
        },
        Value::String(text) => json!({"string_value": text}),
        Value::Array(values) => {
            json!({"array_value": {"values": values.iter().map(any_value).collect::<Vec<_>>()}})
        }
        Value::Object(map) => json!({"kvlist_value": {"values": key_values(map)}}),
    }
}

fn key_values(map: &Map<String, Value>) -> Value {
    map.iter().map(|(key, value)| json!({"key": key, "value": any_value(value)})).collect()
}

/// A kept span as OTLP's message in protobuf's JSON: ids in base64.
pub(crate) fn proto_json(trace_id: &str, span: &Span) -> Value {
    let bytes = |digits: &str| STANDARD.encode(hex::decode(digits).unwrap_or_default());
    let digits = trace_id.strip_prefix(TRACE_PREFIX).unwrap_or(trace_id);
    json!({
        "trace_id": bytes(digits),
        "span_id": bytes(&span.id),
        "parent_span_id": span.parent_id.as_deref().map(bytes).unwrap_or_default(),
        "name": span.name,
        "start_time_unix_nano": span.start_ns,
        "end_time_unix_nano": span.end_ns,
        "status": {"code": format!("STATUS_CODE_{}", span.status.word()), "message": span.message},
        "attributes": key_values(&span.attributes),
        "events": span.events.iter().map(|event| json!({
            "name": event.name,
            "time_unix_nano": event.at_ns,
            "attributes": key_values(&event.attributes),
        })).collect::<Vec<_>>(),
        "links": span.links.iter().map(|link| json!({
            "trace_id": bytes(&link.trace_id),
            "span_id": bytes(&link.span_id),
            "attributes": key_values(&link.attributes),
        })).collect::<Vec<_>>(),
    })
}
