//! Datasets: versions and samples.

use std::collections::HashMap;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use millrace_contract::{DatasetVersion, QueryError, Selection, TableRef};
use millrace_metastore::assets::AssetNode;
use millrace_spec::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::{arrow_stream, assets, table};
use crate::views::datasets::{AssetKey, DatasetSummary, DatasetView, TablePreview};
use crate::views::json::TextMap;

/// Rows that a page gets at most.
pub(crate) const MOST_ROWS: usize = 10_000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_datasets))
        .routes(routes!(find_dataset))
        .routes(routes!(sample_dataset))
        .routes(routes!(read_dataset_rows))
        .merge(super::dataset_labels::routes())
        .merge(super::lineage::routes())
}

/// Which version, and how much of it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct VersionQuery {
    /// A number, an alias or, for a dataset, a time (`2026-03-01T06:00:00Z`, `2026-03-01`); the newest if absent.
    pub(crate) version: Option<String>,
}

/// Which rows and columns of which version.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SampleQuery {
    /// A number, an alias or a time; the newest if absent.
    version: Option<String>,
    /// Rows at most; 100 if absent.
    limit: Option<usize>,
    /// A condition on the columns in SQL, `delay > 15 and carrier = 'UA'`.
    filter: Option<String>,
    /// Names of columns with commas between; all if absent.
    columns: Option<String>,
}

/// `name` or `name@version`.
pub(crate) fn reference(name: &str, version: Option<&str>) -> String {
    match version.filter(|version| !version.is_empty()) {
        Some(version) => format!("{name}@{version}"),
        None => name.to_owned(),
    }
}

/// Lists the datasets with their newest versions.
#[utoipa::path(get, path = "/api/datasets", responses((status = 200, body = [DatasetSummary])))]
async fn list_datasets(State(app): State<App>) -> ApiResult<Vec<DatasetSummary>> {
    let mut aliases: HashMap<(String, i64), Vec<String>> = HashMap::new();
    for (name, alias, version) in app.engine.store().list_dataset_aliases().await? {
        aliases.entry((name, version)).or_default().push(alias);
    }
    let summary = |version: &DatasetVersion| {
        let mut summary = assets::dataset_summary(version);
        let of = (summary.name.clone(), i64::try_from(summary.version).unwrap_or_default());
        summary.aliases = aliases.get(&of).cloned().unwrap_or_default();
        summary
    };
    Ok(Json(app.datasets.list().await?.iter().map(summary).collect()))
}

/// Finds a version of a dataset.
#[utoipa::path(get, path = "/api/datasets/{name}", params(("name" = String, Path), VersionQuery), responses((status = 200, body = DatasetView)))]
async fn find_dataset(
    State(app): State<App>,
    Path(name): Path<String>,
    query: Result<Query<VersionQuery>, QueryRejection>,
) -> ApiResult<DatasetView> {
    let Query(query) = query?;
    let version = app.datasets.resolve(&reference(&name, query.version.as_deref())).await?;
    let versions = app.datasets.versions(&name).await?;
    let labels = app.engine.store().find_dataset_labels(name.clone()).await?;
    let number = |version: u64| i64::try_from(version).unwrap_or_default();
    let summary = |version: &DatasetVersion| {
        let mut summary = assets::dataset_summary(version);
        summary.aliases = labels.aliases_of(number(summary.version));
        summary
    };
    let used_by = used_by(&app, "dataset", &version).await?;
    let mut shown = assets::dataset_version(version);
    shown.aliases = labels.aliases_of(number(shown.version));
    shown.tags = TextMap(labels.tags_of(number(shown.version)).into_iter().collect());
    Ok(Json(DatasetView {
        used_by,
        command: format!("millrace data show {name}@{}", shown.version),
        versions: versions.iter().map(summary).collect(),
        tags: TextMap(labels.tags_of(0).into_iter().collect()),
        version: shown,
    }))
}

async fn used_by(app: &App, kind: &str, version: &DatasetVersion) -> Result<Vec<AssetKey>, ApiError> {
    let node = AssetNode {
        kind: kind.to_owned(),
        name: version.asset.name.clone().unwrap_or_default(),
        version: i64::try_from(version.asset.version.unwrap_or_default()).unwrap_or_default(),
    };
    let (_, made) = app.engine.store().list_asset_edges(node).await?;
    Ok(made.into_iter().map(super::lineage::key).collect())
}

/// Reads the first rows of a version, those that a condition holds for.
#[utoipa::path(get, path = "/api/datasets/{name}/sample", params(("name" = String, Path), SampleQuery), responses((status = 200, body = TablePreview)))]
async fn sample_dataset(
    State(app): State<App>,
    Path(name): Path<String>,
    query: Result<Query<SampleQuery>, QueryRejection>,
) -> ApiResult<TablePreview> {
    let Query(query) = query?;
    let version = app.datasets.resolve(&reference(&name, query.version.as_deref())).await?;
    let limit = query.limit.unwrap_or(100).min(MOST_ROWS);
    let Some(found) = TableRef::of(&version.asset) else { return Err(not_a_table(&name)) };
    let began = app.clock.now();
    let selection = selection(query, Some(limit.saturating_add(1)));
    let rows = app.query.select(&found, selection).await.map_err(filter_error)?;
    Ok(Json(timed(&app, began, table::preview(rows, limit).await?)))
}

fn selection(query: SampleQuery, limit: Option<usize>) -> Selection {
    let words = |list: String| list.split(',').map(|name| name.trim().to_owned()).collect();
    let columns = query.columns.filter(|list| !list.trim().is_empty()).map(words);
    Selection { columns, filter: query.filter, limit }
}

/// Streams the rows of a version, those that a condition holds for, as Arrow's stream format; all of them without a limit.
#[utoipa::path(get, path = "/api/datasets/{name}/rows", params(("name" = String, Path), SampleQuery),
    responses((status = 200, description = "Arrow IPC stream", content_type = "application/vnd.apache.arrow.stream", body = Vec<u8>)))]
async fn read_dataset_rows(
    State(app): State<App>,
    Path(name): Path<String>,
    query: Result<Query<SampleQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query?;
    let version = app.datasets.resolve(&reference(&name, query.version.as_deref())).await?;
    let Some(found) = TableRef::of(&version.asset) else { return Err(not_a_table(&name)) };
    let limit = query.limit;
    let rows = app.query.select(&found, selection(query, limit)).await.map_err(filter_error)?;
    let body = arrow_stream::body(rows).map_err(|error| ApiError::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, "application/vnd.apache.arrow.stream")], body).into_response())
}

/// 400: it is made of files.
pub(crate) fn not_a_table(name: &str) -> ApiError {
    let problem = Problem::error("not-a-table", format!("`{name}` is a folder of files, not a table"));
    ApiError::new(StatusCode::BAD_REQUEST, problem)
}

/// A condition that cannot be, with the place in it.
fn filter_error(error: QueryError) -> ApiError {
    let QueryError::Plan { message, position } = error else { return error.into() };
    let mut problem = Problem::error("invalid-filter", message);
    if let Some((line, column)) = position {
        problem = problem.note(format!("at line {line}, column {column} of the filter"));
    }
    ApiError::new(StatusCode::BAD_REQUEST, problem)
}

/// Says how long an answer took.
pub(crate) fn timed(app: &App, began: jiff::Timestamp, mut preview: TablePreview) -> TablePreview {
    preview.elapsed_ms = u64::try_from(app.clock.now().duration_since(began).as_millis()).unwrap_or_default();
    preview
}
