//! Traces, as their pages show them.

use std::collections::HashMap;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use millrace_metastore::traces::{PROMPT_LINK, RUN_LINK, Trace, TraceQuery};
use millrace_spec::problem::Problem;
use millrace_tracking::search::{parse_trace_filter, parse_trace_order};
use millrace_tracking::traces::{Span, read_spans};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::page_token;
use crate::present::traces as present;
use crate::views::json::TextMap;
use crate::views::traces::{SpanSummary, SpanView, TracePage, TraceView};

const MOST: usize = 500;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_traces))
        .routes(routes!(find_trace))
        .routes(routes!(list_spans))
        .routes(routes!(find_span))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct TracesQuery {
    /// Only of this experiment; of all of them if empty.
    experiment: String,
    /// Which traces, as MLflow's search of traces: `status = 'ERROR' AND span.name LIKE 'chat%'`.
    filter: String,
    /// `execution_time`, `name`, `status` or `timestamp`, `-` before it for the largest first; several with commas between. Newest first
    /// if empty.
    sort: String,
    /// Traces at most, 100 if absent.
    limit: Option<usize>,
    /// Token of the page before.
    after: Option<String>,
}

fn trace_query(asked: &TracesQuery) -> Result<TraceQuery, ApiError> {
    let invalid = |message: String| ApiError::from(Problem::error("invalid-query", message));
    let filter = parse_trace_filter(&asked.filter).map_err(|error| invalid(error.to_string()))?;
    let experiments = match asked.experiment.as_str() {
        "" | "*" => Vec::new(),
        id => vec![id.parse().map_err(|_| ApiError::unknown("experiment", id))?],
    };
    let mut query = TraceQuery {
        everywhere: experiments.is_empty(),
        experiments,
        clauses: filter.clauses,
        rest: filter.rest,
        limit: asked.limit.unwrap_or(100).clamp(1, MOST),
        ..TraceQuery::default()
    };
    for sort in asked.sort.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let order = sort.strip_prefix('-').map_or_else(|| format!("{sort} ASC"), |key| format!("{key} DESC"));
        query.order.push(parse_trace_order(&order).map_err(|error| invalid(error.to_string()))?);
    }
    if let Some(token) = &asked.after {
        let cursor = page_token::decode(token);
        query.after =
            Some(cursor.ok_or_else(|| invalid("`after` is not a token of an earlier page".to_owned()))?);
    }
    Ok(query)
}

/// Lists traces, by page.
#[utoipa::path(get, path = "/api/traces", params(TracesQuery), responses((status = 200, body = TracePage)))]
async fn list_traces(
    State(app): State<App>,
    query: Result<Query<TracesQuery>, QueryRejection>,
) -> ApiResult<TracePage> {
    let Query(asked) = query?;
    let store = app.engine.store();
    let (traces, next) = store.search_traces(trace_query(&asked)?).await?;
    let ids = traces.iter().map(|trace| trace.row.id.clone()).collect();
    let mut known = store.summarise_spans(ids).await?;
    Ok(Json(TracePage {
        traces: traces
            .iter()
            .map(|trace| present::summary(trace, known.remove(&trace.row.id).unwrap_or_default()))
            .collect(),
        next: next.as_ref().map(page_token::encode),
    }))
}

async fn trace_of(app: &App, id: &str) -> Result<Trace, ApiError> {
    let found = app.engine.store().find_traces(vec![id.to_owned()]).await?.pop();
    found.ok_or_else(|| ApiError::unknown("trace", id))
}

/// Finds a trace.
#[utoipa::path(get, path = "/api/traces/{id}", params(("id" = String, Path)), responses((status = 200, body = TraceView)))]
async fn find_trace(State(app): State<App>, Path(id): Path<String>) -> ApiResult<TraceView> {
    let trace = trace_of(&app, &id).await?;
    let store = app.engine.store();
    let spans = store.summarise_spans(vec![id.clone()]).await?.remove(&id).unwrap_or_default();
    let mut links: HashMap<String, Vec<String>> = HashMap::new();
    for (kind, target) in store.list_trace_links(vec![id.clone()]).await?.remove(&id).unwrap_or_default() {
        links.entry(kind).or_default().push(target);
    }
    let mut linked = |kind: &str| links.remove(kind).unwrap_or_default();
    let summary = present::summary(&trace, spans);
    let mut runs = linked(RUN_LINK);
    runs.extend(summary.run_id.clone().filter(|run| !runs.contains(run)));
    Ok(Json(TraceView {
        prompts: present::prompts(&linked(PROMPT_LINK), &trace.tags),
        runs,
        metadata: TextMap(trace.metadata.iter().cloned().collect()),
        client_request_id: trace.row.client_request_id.clone(),
        command: format!("mlflow traces get --trace-id {id}"),
        trace: summary,
    }))
}

/// The spans of a trace, the root first; reading them is work for the pool.
async fn spans_of(app: &App, id: &str) -> Result<Vec<Span>, ApiError> {
    trace_of(app, id).await?;
    let lines = app.engine.store().read_span_lines(vec![id.to_owned()]).await?.remove(id).unwrap_or_default();
    let read = tokio::task::spawn_blocking(move || read_spans(&lines)).await;
    let read = read.map_err(|error| ApiError::internal(&error))?;
    read.map_err(|error| ApiError::internal(&error))
}

/// Lists the spans of a trace, the root first, then by time; without what went in and came out.
#[utoipa::path(get, path = "/api/traces/{id}/spans", params(("id" = String, Path)), responses((status = 200, body = [SpanSummary])))]
async fn list_spans(State(app): State<App>, Path(id): Path<String>) -> ApiResult<Vec<SpanSummary>> {
    Ok(Json(present::span_summaries(&spans_of(&app, &id).await?)))
}

/// Finds a span with everything that is known of it.
#[utoipa::path(get, path = "/api/traces/{id}/spans/{span}", params(("id" = String, Path), ("span" = String, Path)), responses((status = 200, body = SpanView)))]
async fn find_span(State(app): State<App>, Path((id, span)): Path<(String, String)>) -> ApiResult<SpanView> {
    let spans = spans_of(&app, &id).await?;
    let found = spans.iter().find(|one| one.id == span);
    Ok(Json(present::span(found.ok_or_else(|| ApiError::unknown("span", &span))?)))
}
