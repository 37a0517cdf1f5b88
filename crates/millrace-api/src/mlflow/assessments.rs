//! `traces/{id}/assessments/…`: feedback, expectations, and references to issues.

use axum::Json;
use axum::extract::{Path, State};
use millrace_metastore::traces::{Assessed, AssessmentRow};
use millrace_tracking::traces::json_text;
use serde_json::{Map, Value, json};

use super::error::{Answer, MlflowError};
use super::trace_wire::{shown_time, time};
use super::wire::Fields;
use crate::app::App;

const KINDS: [&str; 3] = ["feedback", "expectation", "issue"];
const SOURCES: [&str; 5] = ["SOURCE_TYPE_UNSPECIFIED", "HUMAN", "LLM_JUDGE", "AI_JUDGE", "CODE"];
/// Characters of a name.
const LONGEST_NAME: usize = 250;

pub(super) fn new_id(app: &App) -> String {
    format!("a-{}", app.new_id())
}

/// Reads an assessment of a trace. Its id is empty if the client gave none.
pub(super) fn read(fields: &Fields, trace_id: &str, now_ms: i64) -> Result<AssessmentRow, MlflowError> {
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| fields.has(kind)).collect();
    let [kind] = given.as_slice() else {
        return Err(MlflowError::invalid(
            "Exactly one of `expectation`, `feedback`, or `issue` should be specified.",
        ));
    };
    let name = name(fields)?;
    let created_at_ms = time(fields, "create_time")?.unwrap_or(now_ms);
    let updated_at_ms = time(fields, "last_update_time")?.unwrap_or(created_at_ms);
    let mut document = Map::new();
    document.insert("source".to_owned(), source(fields)?);
    document.insert("create_time".to_owned(), json!(shown_time(created_at_ms)));
    document.insert("last_update_time".to_owned(), json!(shown_time(updated_at_ms)));
    for field in ["rationale", "span_id"] {
        if let Some(text) = fields.text(field)?.filter(|text| !text.is_empty()) {
            document.insert(field.to_owned(), json!(text));
        }
    }
    document.insert("metadata".to_owned(), metadata(fields)?);
    let overrides = fields.text("overrides")?.filter(|id| !id.is_empty());
    let mut row = AssessmentRow {
        trace_id: trace_id.to_owned(),
        id: fields.text("assessment_id")?.unwrap_or_default(),
        kind: (*kind).to_owned(),
        name,
        is_valid: fields.bool("valid")?.unwrap_or(true),
        overrides,
        created_at_ms,
        ..AssessmentRow::default()
    };
    set_value(&mut row, &mut document, fields)?;
    row.document = Value::Object(document).to_string();
    Ok(row)
}

fn name(fields: &Fields) -> Result<String, MlflowError> {
    let name = fields.required("assessment_name")?;
    if name.chars().count() > LONGEST_NAME {
        let message = format!("'assessment_name' exceeds the maximum length of {LONGEST_NAME} characters");
        return Err(MlflowError::invalid(message));
    }
    Ok(name)
}

fn source(fields: &Fields) -> Result<Value, MlflowError> {
    let source = fields.message("source")?.unwrap_or_default();
    let kind = source.text("source_type")?.unwrap_or_else(|| SOURCES[0].to_owned());
    if !SOURCES.contains(&kind.as_str()) {
        return Err(MlflowError::invalid(format!(
            "Invalid value \"{kind}\" for parameter 'source.source_type' supplied"
        )));
    }
    Ok(json!({"source_type": kind, "source_id": source.text("source_id")?.unwrap_or_default()}))
}

fn metadata(fields: &Fields) -> Result<Value, MlflowError> {
    Ok(Value::Object(fields.map("metadata")?.into_iter().map(|(key, value)| (key, json!(value))).collect()))
}

/// Reads the value of the row's kind into the row and its document.
fn set_value(
    row: &mut AssessmentRow,
    document: &mut Map<String, Value>,
    fields: &Fields,
) -> Result<(), MlflowError> {
    let message = fields.message(&row.kind)?.unwrap_or_default();
    let mut kept = Map::new();
    let value = match row.kind.as_str() {
        "issue" => json!(message.required("issue_name")?),
        "expectation" => match message.message("serialized_value")? {
            None => message.json("value").cloned().unwrap_or_default(),
            Some(serialized) => {
                let text = serialized.required("value")?;
                let value = serde_json::from_str(&text).map_err(|_| {
                    MlflowError::invalid("The serialized value of an expectation must be JSON")
                })?;
                let format = serialized.text("serialization_format")?;
                let format = format.unwrap_or_else(|| "JSON_FORMAT".to_owned());
                kept.insert(
                    "serialized_value".to_owned(),
                    json!({"serialization_format": format, "value": text}),
                );
                value
            }
        },
        _ => message.json("value").cloned().unwrap_or_default(),
    };
    if let Some(error) = message.message("error")? {
        let mut shown = Map::new();
        for field in ["error_code", "error_message", "stack_trace"] {
            if let Some(text) = error.text(field)? {
                shown.insert(field.to_owned(), json!(text));
            }
        }
        kept.insert("error".to_owned(), Value::Object(shown));
    }
    if row.kind == "issue" {
        kept.insert("issue_name".to_owned(), value.clone());
    } else if !kept.contains_key("serialized_value") {
        kept.insert("value".to_owned(), value.clone());
    }
    row.number = value.as_f64().filter(|number| number.is_finite());
    row.content = json_text(&value);
    document.insert(row.kind.clone(), Value::Object(kept));
    Ok(())
}

/// An assessment as MLflow's message.
pub(super) fn shown(row: &AssessmentRow) -> Value {
    let document: Map<String, Value> = serde_json::from_str(&row.document).unwrap_or_default();
    let mut shown = json!({
        "assessment_id": row.id,
        "assessment_name": row.name,
        "trace_id": row.trace_id,
        "valid": row.is_valid,
    });
    if let Some(shown) = shown.as_object_mut() {
        if let Some(overrides) = &row.overrides {
            shown.insert("overrides".to_owned(), json!(overrides));
        }
        shown.extend(document);
    }
    shown
}

fn answer(row: &AssessmentRow) -> Answer {
    Ok(Json(json!({"assessment": shown(row)})))
}

fn no_assessment(trace_id: &str, id: &str) -> MlflowError {
    MlflowError::absent(format!("Assessment with ID '{id}' not found for trace '{trace_id}'"))
}

/// What is said of an assessment that is not there: perhaps the trace is not either.
async fn absent(app: &App, trace_id: String, id: &str) -> MlflowError {
    match app.engine.store().find_traces(vec![trace_id.clone()]).await {
        Ok(traces) if traces.is_empty() => {
            MlflowError::absent(format!("Trace with request_id '{trace_id}' not found"))
        }
        Ok(_) => no_assessment(&trace_id, id),
        Err(error) => error.into(),
    }
}

pub(super) async fn create(State(app): State<App>, Path(trace_id): Path<String>, fields: Fields) -> Answer {
    let message = fields.message("assessment")?.ok_or_else(|| fields.missing("assessment"))?;
    let mut row = read(&message, &trace_id, app.clock.now().as_millisecond())?;
    row.id = new_id(&app);
    match app.engine.store().create_assessment(row.clone()).await? {
        Assessed::Done => answer(&row),
        Assessed::NoTrace => Err(MlflowError::absent(format!("Trace with ID '{trace_id}' not found."))),
        Assessed::NothingToOverride => {
            Err(no_assessment(&trace_id, row.overrides.as_deref().unwrap_or_default()))
        }
    }
}

pub(super) async fn find(State(app): State<App>, Path((trace_id, id)): Path<(String, String)>) -> Answer {
    match app.engine.store().find_assessment(trace_id.clone(), id.clone()).await? {
        Some(row) => answer(&row),
        None => Err(absent(&app, trace_id, &id).await),
    }
}

pub(super) async fn update(
    State(app): State<App>,
    Path((trace_id, id)): Path<(String, String)>,
    fields: Fields,
) -> Answer {
    let message = fields.message("assessment")?.ok_or_else(|| fields.missing("assessment"))?;
    let mask = fields.text("update_mask")?.ok_or_else(|| fields.missing("update_mask"))?;
    let now_ms = app.clock.now().as_millisecond();
    let change = move |row| changed(row, &message, &mask, now_ms);
    match app.engine.store().change_assessment(trace_id.clone(), id.clone(), change).await? {
        Some(changed) => answer(&changed?),
        None => Err(absent(&app, trace_id, &id).await),
    }
}

/// The row with the fields that the mask names, `assessmentName,rationale`.
fn changed(
    mut row: AssessmentRow,
    message: &Fields,
    mask: &str,
    now_ms: i64,
) -> Result<AssessmentRow, MlflowError> {
    let mut document: Map<String, Value> = serde_json::from_str(&row.document).unwrap_or_default();
    for path in mask.split(',').map(str::trim).filter(|path| !path.is_empty()) {
        match path {
            "assessmentName" | "assessment_name" => row.name = name(message)?,
            "rationale" => {
                document
                    .insert("rationale".to_owned(), json!(message.text("rationale")?.unwrap_or_default()));
            }
            "metadata" => {
                let more = metadata(message)?;
                if let (Some(Value::Object(known)), Value::Object(more)) =
                    (document.get_mut("metadata"), more)
                {
                    known.extend(more);
                }
            }
            "valid" => row.is_valid = message.bool("valid")?.unwrap_or(true),
            "feedback" | "expectation" if path == row.kind => set_value(&mut row, &mut document, message)?,
            "feedback" | "expectation" => {
                return Err(MlflowError::invalid(format!(
                    "Cannot update {path} value on an assessment that is {}.",
                    row.kind
                )));
            }
            other => {
                return Err(MlflowError::invalid(format!(
                    "Invalid value \"{other}\" for parameter 'update_mask' supplied"
                )));
            }
        }
    }
    document.insert("last_update_time".to_owned(), json!(shown_time(now_ms)));
    row.document = Value::Object(document).to_string();
    Ok(row)
}

pub(super) async fn delete(State(app): State<App>, Path((trace_id, id)): Path<(String, String)>) -> Answer {
    app.engine.store().delete_assessment(trace_id, id).await?;
    Ok(Json(json!({})))
}
