//! OTLP in JSON: protobuf's JSON with ids in hex digits. Names come in either case, numbers may be texts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::messages::{Any, AnyValue, ArrayValue, Event, KeyValue, KeyValueList, Link, Span, Status};

/// Spans with the attributes of what sent them; `None` if the document is none of OTLP.
pub(super) fn read(body: &[u8]) -> Option<Vec<(Vec<KeyValue>, Vec<Span>)>> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let document = document.as_object()?;
    list(document, "resourceSpans", |resource_spans| {
        let resource = match field(resource_spans, "resource") {
            None => Vec::new(),
            Some(resource) => attributes(resource.as_object()?)?,
        };
        let scopes = list(resource_spans, "scopeSpans", |scope| list(scope, "spans", span))?;
        Some((resource, scopes.into_iter().flatten().collect()))
    })
}

fn span(fields: &Map<String, Value>) -> Option<Span> {
    Some(Span {
        trace_id: id(fields, "traceId")?,
        span_id: id(fields, "spanId")?,
        parent_span_id: id(fields, "parentSpanId")?,
        name: text(fields, "name")?,
        start_time_unix_nano: unsigned(fields, "startTimeUnixNano")?,
        end_time_unix_nano: unsigned(fields, "endTimeUnixNano")?,
        attributes: attributes(fields)?,
        events: list(fields, "events", |event| {
            Some(Event {
                time_unix_nano: unsigned(event, "timeUnixNano")?,
                name: text(event, "name")?,
                attributes: attributes(event)?,
            })
        })?,
        links: list(fields, "links", |link| {
            Some(Link {
                trace_id: id(link, "traceId")?,
                span_id: id(link, "spanId")?,
                attributes: attributes(link)?,
            })
        })?,
        status: match field(fields, "status") {
            None => None,
            Some(status) => {
                let status = status.as_object()?;
                Some(Status { message: text(status, "message")?, code: code(field(status, "code"))? })
            }
        },
    })
}

/// A field by its name in JSON or in protobuf; `null` is absent.
fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let found = fields.get(name).or_else(|| {
        let mut snake = String::new();
        for sign in name.chars() {
            if sign.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(sign.to_ascii_lowercase());
        }
        fields.get(&snake)
    });
    found.filter(|value| !value.is_null())
}

fn list<T>(
    fields: &Map<String, Value>,
    name: &str,
    read: impl Fn(&Map<String, Value>) -> Option<T>,
) -> Option<Vec<T>> {
    match field(fields, name) {
        None => Some(Vec::new()),
        Some(values) => values.as_array()?.iter().map(|value| read(value.as_object()?)).collect(),
    }
}

fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    match field(fields, name) {
        None => Some(String::new()),
        Some(value) => value.as_str().map(str::to_owned),
    }
}

fn id(fields: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    hex::decode(text(fields, name)?).ok()
}

fn unsigned(fields: &Map<String, Value>, name: &str) -> Option<u64> {
    match field(fields, name) {
        None => Some(0),
        Some(Value::String(digits)) => digits.parse().ok(),
        Some(value) => value.as_u64(),
    }
}

fn code(code: Option<&Value>) -> Option<i32> {
    match code {
        None => Some(0),
        Some(Value::String(word)) => match word.as_str() {
            "STATUS_CODE_UNSET" => Some(0),
            "STATUS_CODE_OK" => Some(1),
            "STATUS_CODE_ERROR" => Some(2),
            _ => None,
        },
        Some(number) => i32::try_from(number.as_i64()?).ok(),
    }
}

fn attributes(fields: &Map<String, Value>) -> Option<Vec<KeyValue>> {
    list(fields, "attributes", key_value)
}

fn key_value(pair: &Map<String, Value>) -> Option<KeyValue> {
    let value = match field(pair, "value") {
        None => None,
        Some(value) => Some(any_value(value.as_object()?)?),
    };
    Some(KeyValue { key: text(pair, "key")?, value })
}

/// As deep as the JSON, whose reader has a limit.
fn any_value(fields: &Map<String, Value>) -> Option<AnyValue> {
    let value = if let Some(value) = field(fields, "stringValue") {
        Any::Text(value.as_str()?.to_owned())
    } else if let Some(value) = field(fields, "boolValue") {
        Any::Bool(value.as_bool()?)
    } else if let Some(value) = field(fields, "intValue") {
        Any::Int(value.as_i64().or_else(|| value.as_str()?.parse().ok())?)
    } else if let Some(value) = field(fields, "doubleValue") {
        // The words of protobuf's JSON, `NaN` and `Infinity`, are among those that Rust reads.
        Any::Double(value.as_f64().or_else(|| value.as_str()?.parse().ok())?)
    } else if let Some(value) = field(fields, "arrayValue") {
        Any::Array(ArrayValue { values: list(value.as_object()?, "values", any_value)? })
    } else if let Some(value) = field(fields, "kvlistValue") {
        Any::Map(KeyValueList { values: list(value.as_object()?, "values", key_value)? })
    } else if let Some(value) = field(fields, "bytesValue") {
        Any::Bytes(STANDARD.decode(value.as_str()?).ok()?)
    } else {
        return Some(AnyValue { value: None });
    };
    Some(AnyValue { value: Some(value) })
}
