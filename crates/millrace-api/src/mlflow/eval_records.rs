//! `datasets/{id}/records`: what applications are judged by. A record with the inputs of another is merged into it.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};
use millrace_metastore::eval_datasets::{EvalDatasetRow, EvalRecordRow};
use millrace_metastore::experiments::{Key, Refusal};
use serde_json::{Map, Value, json};

use super::error::{Answer, MlflowError};
use super::eval_datasets::{USER_TAG, absent, digest};
use super::search as searching;
use super::wire::Fields;
use crate::app::App;
use crate::page_token;

const SOURCES: [&str; 5] = ["UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE"];
/// Parts whose fields the schema of a dataset lists.
const PARTS: [&str; 3] = ["inputs", "outputs", "expectations"];

type Object = Map<String, Value>;

/// A record as it came, and the digest of its inputs.
struct Told {
    record: Object,
    inputs_digest: String,
}

pub(super) async fn upsert(State(app): State<App>, Path(id): Path<String>, fields: Fields) -> Answer {
    let text = fields.required("records")?;
    let records: Vec<Object> = serde_json::from_str(&text).map_err(|_| {
        MlflowError::invalid("The value of 'records' must be a JSON list of objects in a text")
    })?;
    let told = records.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let digests = told.iter().map(|one| one.inputs_digest.clone()).collect();
    let now_ms = app.clock.now().as_millisecond();
    let ids: Vec<String> = told.iter().map(|_| format!("dr-{}", app.new_id())).collect();
    let (sender, counts) = tokio::sync::oneshot::channel();
    let change = move |dataset: &mut EvalDatasetRow, known: HashMap<String, EvalRecordRow>| {
        let (records, inserted, updated) = merged(dataset, known, told.into_iter().zip(ids), now_ms);
        sender.send((inserted, updated)).ok();
        records
    };
    if !app.engine.store().change_eval_records(id.clone(), digests, change).await? {
        return Err(absent(&id));
    }
    let (inserted, updated) = counts.await.map_err(|error| MlflowError::internal(&error))?;
    Ok(Json(json!({"inserted_count": inserted, "updated_count": updated})))
}

fn read(record: Object) -> Result<Told, MlflowError> {
    let invalid = |what: &str| Err(MlflowError::invalid(format!("Invalid record: {what}")));
    for part in ["inputs", "expectations", "tags"] {
        if record.get(part).is_some_and(|value| !value.is_object() && !value.is_null()) {
            return invalid(&format!("'{part}' must be an object"));
        }
    }
    if let Some(source) = record.get("source").filter(|source| !source.is_null()) {
        let kind = source.get("source_type").and_then(Value::as_str).unwrap_or_default().to_ascii_uppercase();
        if !SOURCES.contains(&kind.as_str()) {
            return invalid(&format!("'source.source_type' must be one of {}", SOURCES.join(", ")));
        }
    }
    let inputs = record.get("inputs").cloned().unwrap_or_else(|| json!({}));
    let inputs_digest = blake3::hash(sorted(&inputs).to_string().as_bytes()).to_hex().to_string();
    Ok(Told { record, inputs_digest })
}

/// The same objects are the same, whichever order their fields came in.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut pairs: Vec<(&String, &Value)> = object.iter().collect();
            pairs.sort_by_key(|(name, _)| *name);
            Value::Object(pairs.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
        }
        Value::Array(values) => values.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// Records as they are to be stored, and how many of them are new and how many were merged.
fn merged(
    dataset: &mut EvalDatasetRow,
    known: HashMap<String, EvalRecordRow>,
    told: impl Iterator<Item = (Told, String)>,
    now_ms: i64,
) -> (Vec<EvalRecordRow>, usize, usize) {
    let (mut inserted, mut updated) = (0, 0);
    let mut rows: Vec<EvalRecordRow> = known.into_values().collect();
    let mut places: HashMap<String, usize> =
        rows.iter().enumerate().map(|(place, row)| (row.inputs_digest.clone(), place)).collect();
    let mut fields = dataset.fields.as_deref().and_then(|text| serde_json::from_str(text).ok());
    dataset.updated_by = None;
    for (Told { record, inputs_digest }, id) in told {
        add_fields(&mut fields, &record);
        let user = record.get("tags").and_then(|tags| tags.get(USER_TAG)).and_then(Value::as_str);
        // A column, and PostgreSQL has no text with a NUL.
        let user = user.filter(|user| !user.contains('\0'));
        dataset.updated_by = user.map(str::to_owned).or_else(|| dataset.updated_by.take());
        match places.get(&inputs_digest).and_then(|place| rows.get_mut(*place)) {
            Some(row) => {
                updated += 1;
                row.document = merge(&row.document, &record, user);
                row.updated_at_ms = now_ms;
            }
            None => {
                inserted += 1;
                places.insert(inputs_digest.clone(), rows.len());
                let document = first(&record, user);
                rows.push(EvalRecordRow {
                    id,
                    inputs_digest,
                    document,
                    created_at_ms: now_ms,
                    updated_at_ms: now_ms,
                });
            }
        }
    }
    dataset.fields = fields.map(|fields| fields.to_string());
    dataset.updated_at_ms = now_ms;
    dataset.digest = digest(&dataset.name, now_ms);
    (rows, inserted, updated)
}

/// The document of a record that is new.
fn first(record: &Object, user: Option<&str>) -> String {
    let mut document = Object::new();
    document.insert("inputs".to_owned(), record.get("inputs").cloned().unwrap_or_else(|| json!({})));
    for part in ["outputs", "expectations"] {
        if let Some(value) = record.get(part).filter(|value| !value.is_null()) {
            document.insert(part.to_owned(), value.clone());
        }
    }
    let tags = record.get("tags").filter(|tags| !tags.is_null());
    document.insert("tags".to_owned(), tags.cloned().unwrap_or_else(|| json!({})));
    if let Some(source) = record.get("source").filter(|source| !source.is_null()) {
        let kind = source.get("source_type").and_then(Value::as_str).unwrap_or_default().to_ascii_uppercase();
        let data =
            source.get("source_data").filter(|data| !data.is_null()).cloned().unwrap_or_else(|| json!({}));
        let id = data.get(if kind == "TRACE" { "trace_id" } else { "source_id" }).cloned();
        if let Some(id) = id.filter(Value::is_string) {
            document.insert("source_id".to_owned(), id);
        }
        document.insert("source".to_owned(), json!({"source_type": kind, "source_data": data}));
        document.insert("source_type".to_owned(), json!(kind));
    }
    for part in ["created_by", "last_updated_by"] {
        if let Some(user) = user {
            document.insert(part.to_owned(), json!(user));
        }
    }
    Value::Object(document).to_string()
}

/// A known record with what is said anew: outputs replace, expectations and tags are added.
fn merge(document: &str, record: &Object, user: Option<&str>) -> String {
    let mut document: Object = serde_json::from_str(document).unwrap_or_default();
    if let Some(outputs) = record.get("outputs") {
        document.insert("outputs".to_owned(), outputs.clone());
    }
    for part in ["expectations", "tags"] {
        if let Some(Value::Object(more)) = record.get(part) {
            match document.get_mut(part) {
                Some(Value::Object(known)) => known.extend(more.clone()),
                _ => {
                    document.insert(part.to_owned(), Value::Object(more.clone()));
                }
            }
        }
    }
    if let Some(user) = user {
        document.insert("last_updated_by".to_owned(), json!(user));
    }
    Value::Object(document).to_string()
}

/// Adds the fields of a record to the schema of its dataset.
fn add_fields(fields: &mut Option<Value>, record: &Object) {
    let fields = fields
        .get_or_insert_with(|| json!({"inputs": {}, "outputs": {}, "expectations": {}, "version": "1.0"}));
    for part in PARTS {
        let Some(known) = fields.get_mut(part) else { continue };
        match (record.get(part), known) {
            (Some(Value::Object(object)), Value::Object(known)) => {
                for (name, value) in object {
                    if !known.contains_key(name) {
                        known.insert(name.clone(), json!(type_of(value)));
                    }
                }
            }
            (Some(Value::Object(_) | Value::Null) | None, _) => {}
            (Some(value), known) => {
                if known.as_object().is_some_and(Map::is_empty) {
                    *known = json!(type_of(value));
                }
            }
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

pub(super) async fn list(State(app): State<App>, Path(id): Path<String>, fields: Fields) -> Answer {
    let limit = searching::limit(&fields, 1_000)?;
    let after = match searching::cursor(&fields)?.as_deref() {
        None => None,
        Some([Key::Int(time), Key::Text(last)]) => Some((*time, last.clone())),
        Some(_) => return Err(Refusal::ForeignToken.into()),
    };
    let store = app.engine.store();
    if store.find_eval_dataset(id.clone()).await?.is_none() {
        return Err(absent(&id));
    }
    let mut rows = store.list_eval_records(id.clone(), after, limit + 1).await?;
    let most = usize::try_from(limit).unwrap_or_default();
    let more = rows.len() > most;
    rows.truncate(most);
    let records: Vec<Value> = rows.iter().map(|row| shown(&id, row)).collect();
    let mut answer = json!({"records": Value::Array(records).to_string()});
    if let (Some(last), Some(answer)) = (rows.last().filter(|_| more), answer.as_object_mut()) {
        let cursor = vec![Key::Int(last.created_at_ms), Key::Text(last.id.clone())];
        answer.insert("next_page_token".to_owned(), json!(page_token::encode(&cursor)));
    }
    Ok(Json(answer))
}

fn shown(dataset: &str, row: &EvalRecordRow) -> Value {
    let mut shown: Object = serde_json::from_str(&row.document).unwrap_or_default();
    shown.insert("dataset_id".to_owned(), json!(dataset));
    shown.insert("dataset_record_id".to_owned(), json!(row.id));
    shown.insert("created_time".to_owned(), json!(row.created_at_ms));
    shown.insert("last_update_time".to_owned(), json!(row.updated_at_ms));
    Value::Object(shown)
}

pub(super) async fn delete(State(app): State<App>, Path(id): Path<String>, fields: Fields) -> Answer {
    let ids = fields.texts("dataset_record_ids")?;
    let deleted =
        app.engine.store().delete_eval_records(id.clone(), ids).await?.ok_or_else(|| absent(&id))?;
    Ok(Json(json!({"deleted_count": deleted})))
}
