//! `traces/…`: what clients tell of traces, finding them, reading their spans, tags, links.

use std::collections::HashMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use millrace_metastore::experiments::Refusal;
use millrace_metastore::traces::{PROMPT_LINK, RUN_LINK, TagRemoval, Trace, TraceQuery, TraceRange};
use millrace_storage::FilePath;
use millrace_tracking::search::{parse_trace_filter, parse_trace_order};
use millrace_tracking::traces::{ATTACHMENTS, SIZE_METADATA, Span, read_spans, trace_files};
use serde_json::{Value, json};

use super::error::{Answer, MlflowError};
use super::wire::Fields;
use super::{artifacts, names, require_active_experiment, search as searching, trace_wire};
use crate::app::App;
use crate::otlp;
use crate::page_token;

/// Traces of one page, and of one request for several.
const MOST: i64 = 500;
const MOST_LINKED: usize = 100;
/// Experiments of one search, and fields that it is sorted by: each is a value or a table of a statement.
const MOST_EXPERIMENTS: usize = 5_000;
const MOST_ORDERS: usize = 10;
/// Tags that only the server sets.
const OWN_TAGS: [&str; 3] =
    ["mlflow.trace.spansLocation", "mlflow.trace.archiveLocation", "mlflow.trace.archivalFailure"];
/// How long a reader waits for spans that are on their way.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

fn absent(id: &str) -> MlflowError {
    MlflowError::absent(format!("Trace with ID '{id}' not found."))
}

/// The only trace of an id.
async fn found(app: &App, id: String) -> Result<Trace, MlflowError> {
    let found = app.engine.store().find_traces(vec![id.clone()]).await?.pop();
    found.ok_or_else(|| absent(&id))
}

pub(super) async fn start(State(app): State<App>, fields: Fields) -> Answer {
    let message = fields.message("trace")?.ok_or_else(|| fields.missing("trace"))?;
    let info = message.message("trace_info")?.ok_or_else(|| message.missing("trace_info"))?;
    let experiment = require_active_experiment(&app, &trace_wire::experiment(&info)?).await?;
    let now_ms = app.clock.now().as_millisecond();
    let mut trace = trace_wire::read_info(&info, experiment)?;
    for message in info.messages("assessments")? {
        let mut row = super::assessments::read(&message, &trace.row.id, now_ms)?;
        if row.id.is_empty() {
            row.id = super::assessments::new_id(&app);
        }
        trace.assessments.push(row);
    }
    let stored = app.engine.store().store_trace(trace).await?;
    if let Err(error) = app.engine.store().pack_spans(stored.row.id.clone()).await {
        tracing::warn!(%error, trace = stored.row.id, "the spans of a trace could not be joined");
    }
    Ok(Json(json!({"trace": {"trace_info": trace_wire::info(&stored)}})))
}

pub(super) async fn find(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let trace = found(&app, id).await?;
    Ok(Json(json!({"trace": {"trace_info": trace_wire::info(&trace)}})))
}

pub(super) async fn search(State(app): State<App>, fields: Fields) -> Answer {
    let limit = fields.int("max_results")?.unwrap_or(100);
    if !(1..=MOST).contains(&limit) {
        return Err(MlflowError::invalid(format!(
            "Invalid value {limit} for parameter 'max_results' supplied: it must be between 1 and {MOST}"
        )));
    }
    let mut query = TraceQuery {
        after: searching::cursor(&fields)?,
        limit: usize::try_from(limit).unwrap_or_default(),
        ..TraceQuery::default()
    };
    for location in fields.messages("locations")? {
        if let Some(experiment) = location.message("mlflow_experiment")? {
            // What is no number is no experiment.
            query.experiments.extend(experiment.required("experiment_id")?.parse::<i64>());
        }
    }
    if query.experiments.len() > MOST_EXPERIMENTS {
        return Err(MlflowError::invalid(format!("A search can name at most {MOST_EXPERIMENTS} locations")));
    }
    let filter = parse_trace_filter(&fields.text("filter")?.unwrap_or_default())?;
    (query.clauses, query.rest) = (filter.clauses, filter.rest);
    for text in fields.texts("order_by")? {
        let order = parse_trace_order(&text)?;
        if query.order.iter().any(|other| other.field == order.field) {
            return Err(MlflowError::invalid(format!("`order_by` contains duplicate fields: {text}")));
        }
        query.order.push(order);
    }
    if query.order.len() > MOST_ORDERS {
        return Err(MlflowError::invalid(format!("`order_by` can name at most {MOST_ORDERS} fields")));
    }
    let (traces, next) = app.engine.store().search_traces(query).await?;
    let mut answer = json!({"traces": traces.iter().map(trace_wire::info).collect::<Vec<_>>()});
    if let (Some(next), Some(answer)) = (next, answer.as_object_mut()) {
        answer.insert("next_page_token".to_owned(), json!(page_token::encode(&next)));
    }
    Ok(Json(answer))
}

/// Spans by the ids of their traces, the root first; reading them is work for the pool.
async fn spans(app: &App, ids: Vec<String>) -> Result<HashMap<String, Vec<Span>>, MlflowError> {
    let lines = app.engine.store().read_span_lines(ids).await?;
    let read = tokio::task::spawn_blocking(move || {
        lines.into_iter().map(|(id, lines)| Ok((id, read_spans(&lines)?))).collect::<Result<_, _>>()
    });
    let read: Result<_, millrace_tracking::traces::UnknownSpan> =
        read.await.map_err(|error| MlflowError::internal(&error))?;
    read.map_err(|error| MlflowError::internal(&error))
}

fn full(trace: &Trace, spans: &[Span]) -> Value {
    let spans: Vec<Value> = spans.iter().map(|span| otlp::proto_json(&trace.row.id, span)).collect();
    json!({"trace_info": trace_wire::info(trace), "spans": spans})
}

/// How many spans its client says that a trace has; at least one.
fn announced(trace: &Trace) -> usize {
    let sizes = trace.metadata.iter().find(|(name, _)| name == SIZE_METADATA);
    let sizes = sizes.and_then(|(_, text)| serde_json::from_str::<Value>(text).ok());
    let count = sizes.and_then(|sizes| sizes.get("num_spans")?.as_u64());
    usize::try_from(count.unwrap_or(1)).unwrap_or(usize::MAX).max(1)
}

/// A trace with its spans. Unless a part is enough, those that are on their way are waited for.
pub(super) async fn get(State(app): State<App>, fields: Fields) -> Answer {
    let id = fields.required("trace_id")?;
    let partial = fields.bool("allow_partial")?.unwrap_or(false);
    let mut waited = Duration::ZERO;
    loop {
        let trace = found(&app, id.clone()).await?;
        let spans = spans(&app, vec![id.clone()]).await?.remove(&id).unwrap_or_default();
        if partial || spans.len() >= announced(&trace) {
            return Ok(Json(json!({"trace": full(&trace, &spans)})));
        }
        if waited >= PATIENCE {
            return Err(MlflowError::absent(format!(
                "Trace with ID {id} is not fully exported yet, please try again later."
            )));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        waited += LOOK_AGAIN;
    }
}

/// Ids of a request, and the traces of them that are in the experiments that it names, if it names any.
async fn several(app: &App, fields: &Fields) -> Result<Vec<Trace>, MlflowError> {
    let ids = fields.texts("trace_ids")?;
    if ids.is_empty() {
        return Err(fields.missing("trace_ids"));
    }
    if ids.len() > usize::try_from(MOST).unwrap_or_default() {
        return Err(MlflowError::invalid(format!("A request can name at most {MOST} traces")));
    }
    let mut traces = app.engine.store().find_traces(ids).await?;
    if fields.has("experiment_ids") {
        let within = searching::experiments(fields)?;
        traces.retain(|trace| within.contains(&trace.row.experiment_id));
    }
    Ok(traces)
}

/// Traces with their spans; those without are left out.
pub(super) async fn batch_get(State(app): State<App>, fields: Fields) -> Answer {
    let traces = several(&app, &fields).await?;
    let spans = spans(&app, traces.iter().map(|trace| trace.row.id.clone()).collect()).await?;
    let with_spans = traces.iter().filter_map(|trace| Some(full(trace, spans.get(&trace.row.id)?)));
    Ok(Json(json!({"traces": with_spans.collect::<Vec<_>>()})))
}

pub(super) async fn batch_get_infos(State(app): State<App>, fields: Fields) -> Answer {
    let traces = several(&app, &fields).await?;
    Ok(Json(json!({"trace_infos": traces.iter().map(trace_wire::info).collect::<Vec<_>>()})))
}

/// The spans of a trace as a file, as MLflow's pages read them; with `path`, what was attached to a span under this id.
pub(super) async fn download(
    State(app): State<App>,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let id = fields.required("request_id")?;
    let trace = found(&app, id.clone()).await?;
    if let Some(name) = fields.text("path")?.filter(|name| !name.is_empty()) {
        let is_id = uuid::Uuid::parse_str(&name).is_ok_and(|parsed| parsed.to_string() == name);
        if !is_id {
            let message = format!("Invalid attachment path: '{name}'. Attachment path must be a valid UUID.");
            return Err(MlflowError::invalid(message));
        }
        let path = FilePath::new(&trace_files(&id))?.join(&format!("{ATTACHMENTS}/{name}"))?;
        return artifacts::read_file(State(app), Path(path.to_string()), headers).await;
    }
    let spans = spans(&app, vec![id.clone()]).await?.remove(&id).unwrap_or_default();
    let spans: Vec<Value> = spans.iter().map(|span| trace_wire::span_file(&trace.row.id, span)).collect();
    let attachment = HeaderValue::from_static("attachment; filename=\"traces.json\"");
    Ok(([(header::CONTENT_DISPOSITION, attachment)], Json(json!({"spans": spans}))).into_response())
}

fn check_settable(key: &str, operation: &str) -> Result<(), MlflowError> {
    if OWN_TAGS.contains(&key) {
        let message = format!("Tag '{key}' is immutable and cannot be {operation} on a trace.");
        return Err(MlflowError::invalid(message));
    }
    Ok(())
}

pub(super) async fn set_tag(State(app): State<App>, Path(id): Path<String>, fields: Fields) -> Answer {
    let key = fields.required("key")?;
    names::check_key("key", &key)?;
    check_settable(&key, "set")?;
    let value = names::tag_value(fields.text("value")?.unwrap_or_default());
    if !app.engine.store().set_trace_tag(id.clone(), key, value).await? {
        return Err(absent(&id));
    }
    Ok(Json(json!({})))
}

pub(super) async fn delete_tag(State(app): State<App>, Path(id): Path<String>, fields: Fields) -> Answer {
    let key = fields.required("key")?;
    check_settable(&key, "deleted")?;
    match app.engine.store().delete_trace_tag(id.clone(), key.clone()).await? {
        TagRemoval::Done => Ok(Json(json!({}))),
        TagRemoval::NoTrace => Err(absent(&id)),
        TagRemoval::NoTag => {
            Err(MlflowError::absent(format!("No trace tag with key '{key}' for trace with ID '{id}'")))
        }
    }
}

pub(super) async fn delete(State(app): State<App>, fields: Fields) -> Answer {
    let experiment = super::experiments::experiment_id(&fields)?;
    let ids = fields.texts("request_ids")?;
    let (until_ms, most) = (fields.int("max_timestamp_millis")?, fields.int("max_traces")?);
    let range = match (ids.is_empty(), until_ms) {
        (false, None) if most.is_none() => TraceRange::Ids(ids),
        (true, Some(until_ms)) => TraceRange::Until { until_ms: Some(until_ms), most },
        _ => {
            return Err(MlflowError::invalid(
                "Either `max_timestamp_millis` (with or without `max_traces`) or `trace_ids` must be specified, but not both.",
            ));
        }
    };
    if most.is_some_and(|most| most <= 0) {
        return Err(MlflowError::invalid("`max_traces` must be a positive number"));
    }
    let deleted = app.engine.store().delete_traces(experiment, range).await?;
    Ok(Json(json!({"traces_deleted": deleted})))
}

pub(super) async fn link_to_run(State(app): State<App>, fields: Fields) -> Answer {
    let (run_id, ids) = (fields.run_id()?, fields.texts("trace_ids")?);
    if ids.len() > MOST_LINKED {
        let count = ids.len();
        return Err(MlflowError::invalid(format!(
            "Cannot link more than {MOST_LINKED} traces to a run in a single request. Provided {count} traces."
        )));
    }
    let store = app.engine.store();
    if store.find_tracked_run(run_id.clone()).await?.is_none() {
        return Err(Refusal::NoRun { id: run_id }.into());
    }
    for id in ids {
        // Traces that are gone are passed over, as MLflow does.
        store.link_trace(id, RUN_LINK, vec![run_id.clone()]).await?;
    }
    Ok(Json(json!({})))
}

pub(super) async fn link_prompts(State(app): State<App>, fields: Fields) -> Answer {
    let id = fields.required("trace_id")?;
    let prompt = |message: Fields| {
        Ok::<_, MlflowError>(format!("{}/{}", message.required("name")?, message.required("version")?))
    };
    let prompts = fields.messages("prompt_versions")?.into_iter().map(prompt);
    let prompts = prompts.collect::<Result<Vec<_>, _>>()?;
    if !app.engine.store().link_trace(id.clone(), PROMPT_LINK, prompts).await? {
        return Err(absent(&id));
    }
    Ok(Json(json!({})))
}
