//! `TraceInfoV3` and the times in it: texts such as `2026-03-01T06:00:00.250Z` and `0.250s`.

use jiff::Timestamp;
use millrace_metastore::traces::{NAME_TAG, Trace, TraceRow};
use millrace_tracking::traces::{Span, TRACE_PREFIX, client_preview, json_text, tag, trace_files};
use serde_json::{Map, Value, json};

use super::error::MlflowError;
use super::present::OWN;
use super::wire::Fields;

const STATES: [&str; 4] = ["STATE_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS"];
const LONGEST_ID: usize = 128;
/// Protobuf's limit of a duration, about 10,000 years.
const LONGEST_DURATION_MS: f64 = 315_576_000_000_000.0;
const LOCATION_TAG: &str = "mlflow.artifactLocation";

/// The experiment that a trace says it is in.
pub(super) fn experiment(info: &Fields) -> Result<String, MlflowError> {
    let location = info.message("trace_location")?.ok_or_else(|| info.missing("trace_location"))?;
    let experiment = location.message("mlflow_experiment")?;
    let experiment = experiment.ok_or_else(|| location.missing("mlflow_experiment"))?;
    experiment.required("experiment_id")
}

/// A trace as its client tells it, without its assessments.
pub(super) fn read_info(info: &Fields, experiment_id: i64) -> Result<Trace, MlflowError> {
    let id = info.required("trace_id")?;
    let plain = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_' | '.' | ':');
    if id.len() > LONGEST_ID || !id.chars().all(plain) || id.contains("..") {
        return Err(MlflowError::invalid(format!(
            "Invalid value \"{id}\" for parameter 'trace_id' supplied"
        )));
    }
    let state = info.text("state")?.unwrap_or_else(|| "STATE_UNSPECIFIED".to_owned());
    if !STATES.contains(&state.as_str()) {
        return Err(MlflowError::invalid(format!(
            "Invalid value \"{state}\" for parameter 'state' supplied"
        )));
    }
    let requested_at_ms = time(info, "request_time")?.ok_or_else(|| info.missing("request_time"))?;
    let (mut tags, metadata) = (texts(info, "tags")?, texts(info, "trace_metadata")?);
    let name = tags.iter().find(|(name, _)| name == NAME_TAG).map(|(_, value)| value.clone());
    tags.retain(|(name, _)| name != NAME_TAG && name != LOCATION_TAG);
    let row = TraceRow {
        id,
        experiment_id,
        name,
        state,
        requested_at_ms,
        duration_ms: duration(info, "execution_duration")?,
        client_request_id: info.text("client_request_id")?,
        request_preview: info.text("request_preview")?.map(|text| client_preview(&text)),
        response_preview: info.text("response_preview")?.map(|text| client_preview(&text)),
    };
    Ok(Trace { row, tags, metadata, assessments: Vec::new() })
}

fn texts(info: &Fields, list: &str) -> Result<Vec<(String, String)>, MlflowError> {
    let text = |(name, value): (String, String)| {
        tag(&name, &value).ok_or_else(|| {
            MlflowError::invalid(format!("Invalid value \"{name}\" for a key of parameter '{list}' supplied"))
        })
    };
    info.map(list)?.into_iter().map(text).collect()
}

/// Milliseconds since 1970.
pub(super) fn time(fields: &Fields, name: &str) -> Result<Option<i64>, MlflowError> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    match text.parse::<Timestamp>() {
        Ok(time) => Ok(Some(time.as_millisecond())),
        Err(_) => Err(MlflowError::invalid(format!(
            "Invalid value \"{text}\" for parameter '{}{name}' supplied: it is no time such as 2026-03-01T06:00:00Z",
            fields.place()
        ))),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "checked to be in range")]
fn duration(fields: &Fields, name: &str) -> Result<Option<i64>, MlflowError> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    let seconds = text.strip_suffix('s').and_then(|digits| digits.parse::<f64>().ok());
    let milliseconds = seconds.map(|seconds| (seconds * 1000.0).round());
    let in_range = milliseconds.filter(|duration| (0.0..=LONGEST_DURATION_MS).contains(duration));
    in_range.map(|duration| Some(duration as i64)).ok_or_else(|| {
        MlflowError::invalid(format!(
            "Invalid value \"{text}\" for parameter '{}{name}' supplied: it is no duration such as 0.250s",
            fields.place()
        ))
    })
}

/// A time as protobuf's JSON has it.
pub(super) fn shown_time(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// `TraceInfoV3`.
pub(super) fn info(trace: &Trace) -> Value {
    let row = &trace.row;
    let object = |pairs: &[(String, String)]| {
        pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>()
    };
    let mut tags = object(&trace.tags);
    if let Some(name) = &row.name {
        tags.insert(NAME_TAG.to_owned(), json!(name));
    }
    tags.insert(LOCATION_TAG.to_owned(), json!(format!("{OWN}{}", trace_files(&row.id))));
    let mut info = json!({
        "trace_id": row.id,
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": row.experiment_id.to_string()},
        },
        "request_time": shown_time(row.requested_at_ms),
        "state": row.state,
        "trace_metadata": object(&trace.metadata),
        "tags": tags,
        "assessments": trace.assessments.iter().map(super::assessments::shown).collect::<Vec<_>>(),
    });
    let duration = row.duration_ms.map(|duration| format!("{}.{:03}s", duration / 1000, duration % 1000));
    if let Some(info) = info.as_object_mut() {
        for (name, value) in [
            ("execution_duration", duration.as_ref()),
            ("client_request_id", row.client_request_id.as_ref()),
            ("request_preview", row.request_preview.as_ref()),
            ("response_preview", row.response_preview.as_ref()),
        ] {
            if let Some(value) = value {
                info.insert(name.to_owned(), json!(value));
            }
        }
    }
    info
}

/// A span in a file of spans: attributes are JSON in texts.
pub(super) fn span_file(trace_id: &str, span: &Span) -> Value {
    let mut file = crate::otlp::proto_json(trace_id, span);
    let texts = |attributes: &Map<String, Value>| {
        attributes.iter().map(|(name, value)| (name.clone(), json!(json_text(value)))).collect::<Map<_, _>>()
    };
    let mut attributes = texts(&span.attributes);
    attributes.insert("mlflow.traceRequestId".to_owned(), json!(json_text(&json!(trace_id))));
    if let Some(file) = file.as_object_mut() {
        file.insert("attributes".to_owned(), Value::Object(attributes));
        let parent = file.get("parent_span_id").filter(|id| id.as_str() != Some("")).cloned();
        file.insert("parent_span_id".to_owned(), parent.unwrap_or_default());
        let events: Vec<Value> = span
            .events
            .iter()
            .map(|event| json!({"name": event.name, "time_unix_nano": event.at_ns, "attributes": event.attributes}))
            .collect();
        file.insert("events".to_owned(), json!(events));
        let links: Vec<Value> = span
            .links
            .iter()
            .map(|link| {
                json!({
                    "trace_id": format!("{TRACE_PREFIX}{}", link.trace_id),
                    "span_id": link.span_id,
                    "attributes": link.attributes,
                })
            })
            .collect();
        file.insert("links".to_owned(), json!(links));
    }
    file
}
