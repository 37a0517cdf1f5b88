//! Assessments as MLflow's messages, and as they are kept here.

use jiff::Timestamp;
use millrace_metastore::traces::AssessmentRow;
use millrace_tracking::traces::json_text;
use serde_json::{Map, Value, json};

const KINDS: [&str; 3] = ["feedback", "expectation", "issue"];

/// Milliseconds since 1970 of a text such as `2026-03-01T06:00:00.250Z`.
pub(crate) fn time(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// A time as MLflow's messages have it.
pub(crate) fn shown_time(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// Reads a message, as a folder and a server have it.
pub(crate) fn read(message: &Value, trace_id: &str) -> Result<AssessmentRow, String> {
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    let kind = KINDS.into_iter().find(|kind| message.get(kind).is_some());
    let kind = kind.ok_or("an assessment is neither feedback nor an expectation")?;
    let mut told = message.get(kind).and_then(Value::as_object).cloned().unwrap_or_default();
    let created_at_ms = text("create_time").and_then(time).unwrap_or(0);
    let updated_at_ms = text("last_update_time").and_then(time).unwrap_or(created_at_ms);
    let serialized = told.get("serialized_value").and_then(|value| value.get("value"));
    let serialized = serialized.and_then(Value::as_str).map(str::to_owned);
    let value = match (kind, serialized.as_deref()) {
        ("issue", _) => told.get("issue_name").cloned().unwrap_or_default(),
        (_, Some(text)) => serde_json::from_str(text).map_err(|_| "a value of an assessment is no JSON")?,
        (_, None) => told.get("value").cloned().unwrap_or_default(),
    };
    let source = message.get("source").cloned().unwrap_or_default();
    let source_text = |name: &str| source.get(name).and_then(Value::as_str);
    let mut document = Map::new();
    let source = json!({
        "source_type": source_text("source_type").unwrap_or("SOURCE_TYPE_UNSPECIFIED"),
        "source_id": source_text("source_id").unwrap_or_default(),
    });
    document.insert("source".to_owned(), source);
    document.insert("create_time".to_owned(), json!(shown_time(created_at_ms)));
    document.insert("last_update_time".to_owned(), json!(shown_time(updated_at_ms)));
    for field in ["rationale", "span_id"] {
        if let Some(text) = text(field).filter(|text| !text.is_empty()) {
            document.insert(field.to_owned(), json!(text));
        }
    }
    let metadata = message.get("metadata").filter(|metadata| metadata.is_object());
    document.insert("metadata".to_owned(), metadata.cloned().unwrap_or_else(|| json!({})));
    let is_plain = serialized.is_none();
    if kind != "issue" && is_plain {
        told.insert("value".to_owned(), value.clone());
    }
    document.insert(kind.to_owned(), Value::Object(told));
    Ok(AssessmentRow {
        trace_id: trace_id.to_owned(),
        id: text("assessment_id").unwrap_or_default().to_owned(),
        kind: kind.to_owned(),
        name: text("assessment_name").unwrap_or_default().to_owned(),
        number: value.as_f64().filter(|number| number.is_finite()),
        content: json_text(&value),
        is_valid: message.get("valid").and_then(Value::as_bool).unwrap_or(true),
        overrides: text("overrides").filter(|id| !id.is_empty()).map(str::to_owned),
        document: Value::Object(document).to_string().replace('\0', "\u{fffd}"),
        created_at_ms,
    })
}

/// A message of an assessment that is kept here.
pub(crate) fn written(row: &AssessmentRow) -> Value {
    let mut message = json!({
        "assessment_id": row.id,
        "assessment_name": row.name,
        "trace_id": row.trace_id,
        "valid": row.is_valid,
    });
    let document: Map<String, Value> = serde_json::from_str(&row.document).unwrap_or_default();
    if let Some(message) = message.as_object_mut() {
        message.extend(row.overrides.as_ref().map(|id| ("overrides".to_owned(), json!(id))));
        message.extend(document);
    }
    message
}
