//! Spans as MLflow writes them into its database and into `traces.json`, and back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_tracking::traces::{Event, Link, Span, SpanStatus, TRACE_PREFIX, json_text};
use serde_json::{Map, Value, json};

/// The attribute in which each span names its trace.
const TRACE_ATTRIBUTE: &str = "mlflow.traceRequestId";

/// Reads a span of MLflow 3, or of 2.14 and later.
pub(crate) fn read(value: &Value) -> Result<Span, String> {
    let fields = value.as_object().ok_or("a span is no object")?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let is_old = fields.contains_key("context");
    let (id, parent_id) = if is_old {
        let id = fields.get("context").and_then(|context| context.get("span_id")).and_then(Value::as_str);
        (hex_id(id.unwrap_or_default()), hex_id(text("parent_id")))
    } else {
        (base64_id(text("span_id")), base64_id(text("parent_span_id")))
    };
    let time = |name: &str, old: &str| {
        let value = fields.get(if is_old { old } else { name });
        value.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok())).unwrap_or(0)
    };
    let status = fields.get("status");
    let code = status
        .and_then(|status| status.get("code"))
        .and_then(Value::as_str)
        .unwrap_or_else(|| text("status_code"));
    let message = status.and_then(|status| status.get("message")).and_then(Value::as_str);
    let empty = Map::new();
    let attributes = fields.get("attributes").and_then(Value::as_object).unwrap_or(&empty);
    // Each value is JSON in a text.
    let attributes = attributes.iter().filter(|(name, _)| *name != TRACE_ATTRIBUTE);
    let attributes = attributes.map(|(name, value)| (name.clone(), unpacked(value))).collect();
    Ok(Span {
        id: id.ok_or("a span has no id")?,
        parent_id,
        name: text("name").to_owned(),
        start_ns: time("start_time_unix_nano", "start_time"),
        end_ns: time("end_time_unix_nano", "end_time"),
        status: match code.rsplit('_').next() {
            Some("OK") => SpanStatus::Ok,
            Some("ERROR") => SpanStatus::Error,
            _ => SpanStatus::Unset,
        },
        message: message.unwrap_or_else(|| text("status_message")).to_owned(),
        attributes,
        events: list(fields, "events").iter().map(event).collect(),
        links: list(fields, "links").iter().filter_map(link).collect(),
    })
}

fn list<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    fields.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn event(value: &Value) -> Event {
    let time = value.get("time_unix_nano").or_else(|| value.get("timestamp"));
    Event {
        name: value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
        // Before MLflow 3 in microseconds.
        at_ns: match time.and_then(Value::as_u64) {
            Some(time) if value.get("timestamp").is_some() => time.saturating_mul(1_000),
            time => time.unwrap_or(0),
        },
        attributes: value.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default(),
    }
}

fn link(value: &Value) -> Option<Link> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let trace_id = text("trace_id")?;
    Some(Link {
        trace_id: trace_id.strip_prefix(TRACE_PREFIX).unwrap_or(trace_id).to_owned(),
        span_id: text("span_id")?.to_owned(),
        attributes: value.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default(),
    })
}

/// A value that is JSON in a text, as that.
fn unpacked(value: &Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        value => value.clone(),
    }
}

fn base64_id(text: &str) -> Option<String> {
    let bytes = STANDARD.decode(text).ok().filter(|bytes| bytes.iter().any(|byte| *byte != 0))?;
    Some(hex::encode(bytes))
}

fn hex_id(text: &str) -> Option<String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    (!digits.is_empty()).then(|| format!("{digits:0>16}"))
}

/// A span as MLflow 3 writes it.
pub(crate) fn written(trace_id: &str, span: &Span) -> Value {
    let bytes = |digits: &str| STANDARD.encode(hex::decode(digits).unwrap_or_default());
    let mut attributes: Map<String, Value> =
        span.attributes.iter().map(|(name, value)| (name.clone(), json!(json_text(value)))).collect();
    attributes.insert(TRACE_ATTRIBUTE.to_owned(), json!(json_text(&json!(trace_id))));
    json!({
        "trace_id": bytes(trace_id.strip_prefix(TRACE_PREFIX).unwrap_or(trace_id)),
        "span_id": bytes(&span.id),
        "parent_span_id": span.parent_id.as_deref().map(bytes),
        "name": span.name,
        "start_time_unix_nano": span.start_ns,
        "end_time_unix_nano": span.end_ns,
        "events": span.events.iter().map(|event| json!({
            "name": event.name, "time_unix_nano": event.at_ns, "attributes": event.attributes,
        })).collect::<Vec<_>>(),
        "status": {"code": format!("STATUS_CODE_{}", span.status.word()), "message": span.message},
        "attributes": attributes,
        "links": span.links.iter().map(|link| json!({
            "trace_id": format!("{TRACE_PREFIX}{}", link.trace_id), "span_id": link.span_id, "attributes": link.attributes,
        })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_as_it_was_written() {
        let value = json!({
            "trace_id": "caPGkoj0wRo7R3Eciw6qlA==", "span_id": "DH+DGMsWFEs=", "parent_span_id": "msx6kSwz90k=", "name": "fails",
            "start_time_unix_nano": 1_795_833_809_858_659_103_u64, "end_time_unix_nano": 1_795_833_809_859_915_057_u64,
            "events": [{"name": "exception", "time_unix_nano": 5, "attributes": {"exception.message": "no"}}],
            "status": {"code": "STATUS_CODE_ERROR", "message": "ValueError: no"},
            "attributes": {"mlflow.spanType": "\"LLM\"", "mlflow.spanInputs": "{\"a\": [1]}", "mlflow.traceRequestId": "\"tr-71a3c69288f4c11a3b47711c8b0eaa94\""},
            "links": [],
        });
        let span = read(&value).unwrap();
        assert_eq!(
            (span.id.as_str(), span.parent_id.as_deref()),
            ("0c7f8318cb16144b", Some("9acc7a912c33f749"))
        );
        assert_eq!(span.attributes["mlflow.spanInputs"], json!({"a": [1]}));
        let again = written("tr-71a3c69288f4c11a3b47711c8b0eaa94", &span);
        assert_eq!(crate::digest::sorted(&again), crate::digest::sorted(&value));
    }

    #[test]
    fn a_span_of_mlflow_2_is_read() {
        let value = json!({
            "name": "ask", "context": {"span_id": "0xd2f5", "trace_id": "0x1"}, "parent_id": null, "start_time": 7, "end_time": 9,
            "status_code": "OK", "status_message": "", "attributes": {"mlflow.spanType": "\"AGENT\""},
            "events": [{"name": "e", "timestamp": 3, "attributes": {}}],
        });
        let span = read(&value).unwrap();
        assert_eq!(
            (span.id.as_str(), span.parent_id, span.start_ns, span.end_ns),
            ("000000000000d2f5", None, 7, 9)
        );
        assert_eq!((span.status, span.events[0].at_ns), (SpanStatus::Ok, 3_000));
    }
}
