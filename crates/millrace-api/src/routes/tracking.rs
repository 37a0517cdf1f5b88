//! Experiments and what their runs logged.

use std::path::{Component, Path as FilePath};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use indexmap::{IndexMap, IndexSet};
use millrace_metastore::experiments::TrackedRunRow;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::models::list_files;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::instant;
use crate::views::json::{NumberMap, TextMap};
use crate::views::tracking::{
    ArtifactFile, ExperimentSummary, MetricCurve, MetricPoint, TrackedRun, TrackedRunPage,
};

const MOST_RUNS: i64 = 2_000;
/// Curves in one answer.
const MOST_CURVES: usize = 1_000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_experiments))
        .routes(routes!(list_tracked_runs))
        .routes(routes!(find_tracked_run))
        .routes(routes!(list_metric_curves))
        .routes(routes!(list_artifacts))
        .routes(routes!(read_artifact))
}

/// Lists the experiments, the one that was used last first.
#[utoipa::path(get, path = "/api/experiments", responses((status = 200, body = [ExperimentSummary])))]
async fn list_experiments(State(app): State<App>) -> ApiResult<Vec<ExperimentSummary>> {
    let rows = app.engine.store().list_experiments().await?;
    let summary = |row: millrace_metastore::experiments::ExperimentRow| ExperimentSummary {
        id: row.id.to_string(),
        name: row.name,
        runs: u64::try_from(row.runs).unwrap_or_default(),
        last_run_at: row.last_run_at.map(instant),
    };
    Ok(Json(rows.into_iter().map(summary).collect()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RunsQuery {
    /// `metrics.auc`, `params.depth`, `name` or `start_time`, `-` before it for the largest first.
    sort: Option<String>,
    /// Runs at most.
    limit: Option<i64>,
}

/// Lists the runs of an experiment.
#[utoipa::path(get, path = "/api/experiments/{id}/runs", params(("id" = String, Path), RunsQuery), responses((status = 200, body = TrackedRunPage)))]
async fn list_tracked_runs(
    State(app): State<App>,
    Path(id): Path<String>,
    query: Result<Query<RunsQuery>, QueryRejection>,
) -> ApiResult<TrackedRunPage> {
    let Query(query) = query?;
    let number: i64 = id.parse().map_err(|_| ApiError::unknown("experiment", &id))?;
    let rows = app
        .engine
        .store()
        .list_tracked_runs(number, query.limit.unwrap_or(MOST_RUNS).clamp(1, MOST_RUNS))
        .await?;
    let mut runs = Vec::with_capacity(rows.len());
    let (mut metric_keys, mut param_keys) = (IndexSet::new(), IndexSet::new());
    for row in rows {
        let run = tracked_run(&app, row).await?;
        metric_keys.extend(run.metrics.0.keys().cloned());
        param_keys.extend(run.params.0.keys().cloned());
        runs.push(run);
    }
    if let Some(sort) = &query.sort {
        sort_runs(&mut runs, sort);
    }
    Ok(Json(TrackedRunPage {
        total: runs.len() as u64,
        runs,
        next: None,
        metric_keys: metric_keys.into_iter().collect(),
        param_keys: param_keys.into_iter().collect(),
    }))
}

/// Sorts by a metric, a parameter or a field; runs without it come last.
fn sort_runs(runs: &mut [TrackedRun], sort: &str) {
    let (falling, key) = sort.strip_prefix('-').map_or((false, sort), |key| (true, key));
    let number =
        |run: &TrackedRun| key.strip_prefix("metrics.").and_then(|name| run.metrics.0.get(name).copied());
    let text = |run: &TrackedRun| match key.strip_prefix("params.") {
        Some(name) => run.params.0.get(name).cloned(),
        None if key == "name" => Some(run.name.clone()),
        None if key == "start_time" => run.start_time.clone(),
        None if key == "status" => Some(run.status.clone()),
        None => None,
    };
    runs.sort_by(|one, other| {
        let missing = |run: &TrackedRun| number(run).is_none() && text(run).is_none();
        let order = number(one)
            .partial_cmp(&number(other))
            .unwrap_or(std::cmp::Ordering::Equal)
            .then_with(|| text(one).cmp(&text(other)));
        missing(one).cmp(&missing(other)).then(if falling { order.reverse() } else { order })
    });
}

async fn tracked_run(app: &App, row: TrackedRunRow) -> Result<TrackedRun, ApiError> {
    let store = app.engine.store();
    let mut metrics = IndexMap::new();
    for point in row.values.metrics {
        // JSON has no word for "not a number".
        if !point.number.is_nan() {
            metrics.insert(point.name, point.number);
        }
    }
    let pipeline_run = row.parent_id.clone().unwrap_or_else(|| row.id.clone());
    let known = store.find_pipeline_run(pipeline_run.clone()).await?.is_some();
    Ok(TrackedRun {
        step: row.parent_id.as_ref().filter(|_| known).map(|_| row.name.clone()),
        pipeline_run_id: known.then_some(pipeline_run),
        id: row.id,
        name: row.name,
        experiment_id: row.experiment_id.to_string(),
        status: row.status,
        start_time: Some(instant(row.started_at)),
        end_time: row.ended_at.map(instant),
        params: TextMap(row.values.params.into_iter().collect()),
        metrics: NumberMap(metrics),
        tags: TextMap(row.values.tags.into_iter().collect()),
        parent_id: row.parent_id,
    })
}

async fn run_row(app: &App, id: &str) -> Result<TrackedRunRow, ApiError> {
    app.engine.store().find_tracked_run(id.to_owned()).await?.ok_or_else(|| ApiError::unknown("run", id))
}

/// Finds a tracked run.
#[utoipa::path(get, path = "/api/tracked-runs/{id}", params(("id" = String, Path)), responses((status = 200, body = TrackedRun)))]
async fn find_tracked_run(State(app): State<App>, Path(id): Path<String>) -> ApiResult<TrackedRun> {
    let row = run_row(&app, &id).await?;
    Ok(Json(tracked_run(&app, row).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CurvesQuery {
    /// Run ids with commas between.
    runs: String,
    /// Metric names with commas between; all if empty.
    #[serde(default)]
    keys: String,
    /// Points a curve at most; first and last are kept.
    points: Option<usize>,
}

/// Reads the history of metrics, thinned to what a screen can show.
#[utoipa::path(get, path = "/api/metrics", params(CurvesQuery), responses((status = 200, body = [MetricCurve])))]
async fn list_metric_curves(
    State(app): State<App>,
    query: Result<Query<CurvesQuery>, QueryRejection>,
) -> ApiResult<Vec<MetricCurve>> {
    let Query(query) = query?;
    let wanted: Vec<&str> = query.keys.split(',').filter(|key| !key.is_empty()).collect();
    let most = query.points.unwrap_or(2_000).clamp(2, 10_000);
    let mut curves: Vec<MetricCurve> = Vec::new();
    for run in query.runs.split(',').filter(|id| !id.is_empty()).take(100) {
        let mut of_run: IndexMap<String, Vec<MetricPoint>> = IndexMap::new();
        let one = match wanted.as_slice() {
            [only] => Some((*only).to_owned()),
            _ => None,
        };
        for point in app.engine.store().list_tracked_metrics(run.to_owned(), one).await? {
            if (wanted.is_empty() || wanted.contains(&point.name.as_str())) && !point.number.is_nan() {
                let shown =
                    MetricPoint { step: point.step, at: instant(point.logged_at), value: point.number };
                of_run.entry(point.name).or_default().push(shown);
            }
        }
        curves.extend(of_run.into_iter().map(|(key, points)| MetricCurve {
            run_id: run.to_owned(),
            key,
            points: thinned(points, most),
        }));
        curves.truncate(MOST_CURVES);
    }
    Ok(Json(curves))
}

/// Every n-th point, first and last kept.
fn thinned(points: Vec<MetricPoint>, most: usize) -> Vec<MetricPoint> {
    let count = points.len();
    if count <= most {
        return points;
    }
    let stride = count.div_ceil(most - 1);
    points
        .into_iter()
        .enumerate()
        .filter(|(index, _)| index % stride == 0 || index + 1 == count)
        .map(|(_, point)| point)
        .collect()
}

/// Lists the files of a run.
#[utoipa::path(get, path = "/api/tracked-runs/{id}/artifacts", params(("id" = String, Path)), responses((status = 200, body = [ArtifactFile])))]
async fn list_artifacts(State(app): State<App>, Path(id): Path<String>) -> ApiResult<Vec<ArtifactFile>> {
    run_row(&app, &id).await?;
    let folder = app.artifacts.join(&id);
    let files = tokio::task::spawn_blocking(move || list_files(&folder, &folder)).await;
    Ok(Json(files.map_err(|error| ApiError::internal(&error))??))
}

/// Reads a file of a run.
#[utoipa::path(get, path = "/api/tracked-runs/{id}/artifacts/{*path}", params(("id" = String, Path), ("path" = String, Path)), responses((status = 200, body = [u8])))]
async fn read_artifact(
    State(app): State<App>,
    Path((id, path)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    run_row(&app, &id).await?;
    let inside = FilePath::new(&path);
    if !inside.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(ApiError::unknown("file", &path));
    }
    let content = match tokio::fs::read(app.artifacts.join(&id).join(inside)).await {
        Ok(content) => content,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(ApiError::unknown("file", &path));
        }
        Err(error) => return Err(error.into()),
    };
    let kind = mime_guess::from_path(inside).first_or_octet_stream();
    // Whatever a run logged must not run as a page of this server.
    let sandbox = (header::CONTENT_SECURITY_POLICY, "sandbox".to_owned());
    Ok(([(header::CONTENT_TYPE, kind.to_string()), sandbox], content).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_keeps_its_ends() {
        let point = |step| MetricPoint { step, at: String::new(), value: 0.0 };
        let thin = thinned((0..10_001).map(point).collect(), 100);
        assert!(thin.len() <= 101, "{}", thin.len());
        assert_eq!((thin.first().map(|p| p.step), thin.last().map(|p| p.step)), (Some(0), Some(10_000)));
    }
}
