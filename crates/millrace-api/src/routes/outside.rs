//! OpenLineage: what others tell, and what is known of their jobs.

use axum::Json;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use millrace_metastore::outside::{OutsideDataset, OutsideJob, OutsideRun, OutsideUse};
use millrace_spec::problem::Problem;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::instant;
use crate::views::datasets::AssetKey;
use crate::views::outside::{
    OutsideColumnView, OutsideDatasetView, OutsideJobSummary, OutsideJobView, OutsideRunView, OutsideUseView,
    OutsideUserView,
};

/// Events that one request may bring.
const MOST_EVENTS: usize = 1_000;
/// Runs that a job's page shows.
const SHOWN_RUNS: u32 = 50;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(take_lineage))
        .routes(routes!(list_outside_jobs))
        .routes(routes!(find_outside_job))
        .routes(routes!(find_outside_dataset))
}

/// Takes events of OpenLineage in: one, or a list of them. The address is the one that its clients use.
#[utoipa::path(post, path = "/api/v1/lineage", request_body = crate::views::json::Json, responses((status = 201, body = crate::views::json::Json)))]
async fn take_lineage(
    State(app): State<App>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let refused = |status, message: String| {
        ApiError::new(
            status,
            Problem::error("not-an-event", message)
                .hint("send RunEvent, JobEvent or DatasetEvent of OpenLineage 2-0-2"),
        )
    };
    let body = body.map_err(|error| refused(error.status(), error.body_text()))?;
    let document: Value = serde_json::from_slice(&body)
        .map_err(|error| refused(StatusCode::BAD_REQUEST, format!("the body is no JSON: {error}")))?;
    let events = match document {
        Value::Array(events) if events.len() > MOST_EVENTS => {
            return Err(refused(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("{} events are more than {MOST_EVENTS}", events.len()),
            ));
        }
        Value::Array(events) => events,
        one => vec![one],
    };
    let taken = (app.taker)().take(&events, app.clock.now().as_microsecond()).await?;
    let count = taken.map_err(|wrong| refused(StatusCode::UNPROCESSABLE_ENTITY, wrong.to_string()))?;
    Ok((StatusCode::CREATED, Json(json!({"events": count}))).into_response())
}

/// Lists jobs of other systems that told of themselves, the newest first.
#[utoipa::path(get, path = "/api/lineage/jobs", responses((status = 200, body = Vec<OutsideJobSummary>)))]
async fn list_outside_jobs(State(app): State<App>) -> ApiResult<Vec<OutsideJobSummary>> {
    let store = app.engine.store();
    let mut jobs = Vec::new();
    for job in store.list_outside_jobs().await? {
        let latest = store.list_outside_runs(job.key.clone(), 1).await?.into_iter().next();
        jobs.push(summary(&job, latest.map(run)));
    }
    Ok(Json(jobs))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct KeyQuery {
    /// Namespace, `/`, name.
    key: String,
}

/// Finds a job of another system, with its runs and what it reads and writes.
#[utoipa::path(get, path = "/api/lineage/job", params(KeyQuery), responses((status = 200, body = OutsideJobView)))]
async fn find_outside_job(
    State(app): State<App>,
    query: Result<Query<KeyQuery>, QueryRejection>,
) -> ApiResult<OutsideJobView> {
    let Query(KeyQuery { key }) = query?;
    let store = app.engine.store();
    let job = store.find_outside_job(key.clone()).await?.ok_or_else(|| ApiError::unknown("job", &key))?;
    let runs: Vec<OutsideRunView> =
        store.list_outside_runs(key.clone(), SHOWN_RUNS).await?.into_iter().map(run).collect();
    let uses = store.list_uses_of_outside_job(key).await?.into_iter().map(used).collect();
    let facets = crate::views::json::Json(job.facets.clone());
    Ok(Json(OutsideJobView { job: summary(&job, runs.first().cloned()), runs, uses, facets }))
}

/// Finds a dataset of another system, with its columns and the jobs that read or write it.
#[utoipa::path(get, path = "/api/lineage/dataset", params(KeyQuery), responses((status = 200, body = OutsideDatasetView)))]
async fn find_outside_dataset(
    State(app): State<App>,
    query: Result<Query<KeyQuery>, QueryRejection>,
) -> ApiResult<OutsideDatasetView> {
    let Query(KeyQuery { key }) = query?;
    let store = app.engine.store();
    let found = store.find_outside_dataset(key.clone()).await?;
    let dataset = found.ok_or_else(|| ApiError::unknown("dataset", &key))?;
    let users = store.list_uses_of_outside_dataset(key).await?;
    let user = |used: OutsideUse| OutsideUserView {
        job: used.job,
        writes: used.writes,
        used_at: instant(used.used_at),
    };
    Ok(Json(OutsideDatasetView {
        columns: columns(&dataset),
        users: users.into_iter().map(user).collect(),
        key: dataset.key,
        namespace: dataset.namespace,
        name: dataset.name,
        facets: crate::views::json::Json(dataset.facets),
    }))
}

fn columns(dataset: &OutsideDataset) -> Vec<OutsideColumnView> {
    let fields = dataset.facets.pointer("/schema/fields").and_then(Value::as_array).into_iter().flatten();
    let text = |field: &Value, key: &str| field.get(key).and_then(Value::as_str).map(str::to_owned);
    let column = |field: &Value| {
        Some(OutsideColumnView { name: text(field, "name")?, column_type: text(field, "type") })
    };
    fields.filter_map(column).collect()
}

fn summary(job: &OutsideJob, latest: Option<OutsideRunView>) -> OutsideJobSummary {
    OutsideJobSummary {
        key: job.key.clone(),
        namespace: job.namespace.clone(),
        name: job.name.clone(),
        producer: job.producer.clone(),
        latest,
        updated_at: instant(job.updated_at),
    }
}

fn run(run: OutsideRun) -> OutsideRunView {
    let error = run.facets.pointer("/errorMessage/message").and_then(Value::as_str).map(str::to_owned);
    OutsideRunView {
        id: run.id,
        error: error.filter(|_| run.state == "failed"),
        state: run.state,
        started_at: run.started_at.map(instant),
        ended_at: run.ended_at.map(instant),
    }
}

fn used(used: OutsideUse) -> OutsideUseView {
    let asset = used.asset_name.map(|name| AssetKey {
        kind: "dataset".to_owned(),
        name,
        version: u64::try_from(used.asset_version).unwrap_or_default(),
    });
    OutsideUseView { dataset: used.dataset, asset, writes: used.writes, used_at: instant(used.used_at) }
}
