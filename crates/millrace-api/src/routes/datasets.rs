//! Datasets: versions, samples, SQL over them.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use indexmap::IndexMap;
use millrace_contract::{DatasetVersion, QueryRequest, TableRef};
use millrace_metastore::assets::AssetNode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::{assets, table};
use crate::views::datasets::{AssetKey, DatasetSummary, DatasetView, SqlRequest, TablePreview};

const MOST_ROWS: usize = 10_000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_datasets))
        .routes(routes!(find_dataset))
        .routes(routes!(sample_dataset))
        .routes(routes!(run_sql))
        .merge(super::lineage::routes())
}

/// Which version, and how much of it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct VersionQuery {
    /// The newest if absent.
    pub(crate) version: Option<u64>,
    /// Rows at most; 100 if absent.
    limit: Option<usize>,
}

/// `name` or `name@version`.
fn reference(name: &str, version: Option<u64>) -> String {
    version.map_or_else(|| name.to_owned(), |version| format!("{name}@{version}"))
}

/// Lists the datasets with their newest versions.
#[utoipa::path(get, path = "/api/datasets", responses((status = 200, body = [DatasetSummary])))]
async fn list_datasets(State(app): State<App>) -> ApiResult<Vec<DatasetSummary>> {
    Ok(Json(app.datasets.list().await?.iter().map(assets::dataset_summary).collect()))
}

/// Finds a version of a dataset.
#[utoipa::path(get, path = "/api/datasets/{name}", params(("name" = String, Path), VersionQuery), responses((status = 200, body = DatasetView)))]
async fn find_dataset(
    State(app): State<App>,
    Path(name): Path<String>,
    query: Result<Query<VersionQuery>, QueryRejection>,
) -> ApiResult<DatasetView> {
    let Query(query) = query?;
    let version = app.datasets.resolve(&reference(&name, query.version)).await?;
    let versions = app.datasets.versions(&name).await?;
    Ok(Json(DatasetView {
        used_by: used_by(&app, "dataset", &version).await?,
        command: format!("millrace sql \"select * from {name} limit 10\""),
        versions: versions.iter().map(assets::dataset_summary).collect(),
        version: assets::dataset_version(version),
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

/// Reads the first rows of a version.
#[utoipa::path(get, path = "/api/datasets/{name}/sample", params(("name" = String, Path), VersionQuery), responses((status = 200, body = TablePreview)))]
async fn sample_dataset(
    State(app): State<App>,
    Path(name): Path<String>,
    query: Result<Query<VersionQuery>, QueryRejection>,
) -> ApiResult<TablePreview> {
    let Query(query) = query?;
    let version = app.datasets.resolve(&reference(&name, query.version)).await?;
    let limit = query.limit.unwrap_or(100).min(MOST_ROWS);
    let Some(found) = table::table_ref(&version.asset) else { return Err(ApiError::unknown("table", &name)) };
    let began = app.clock.now();
    let rows = app.query.scan(&found, None, Some(limit.saturating_add(1))).await?;
    Ok(Json(timed(&app, began, table::preview(rows, limit).await?)))
}

/// Says how long an answer took.
fn timed(app: &App, began: jiff::Timestamp, mut preview: TablePreview) -> TablePreview {
    preview.elapsed_ms = u64::try_from(app.clock.now().duration_since(began).as_millis()).unwrap_or_default();
    preview
}

/// Runs one SELECT over the newest versions of all datasets.
#[utoipa::path(post, path = "/api/sql", request_body = SqlRequest, responses((status = 200, body = TablePreview)))]
async fn run_sql(
    State(app): State<App>,
    body: Result<Json<SqlRequest>, JsonRejection>,
) -> ApiResult<TablePreview> {
    let Json(request) = body?;
    let mut tables: IndexMap<String, TableRef> = IndexMap::new();
    for dataset in app.datasets.list().await? {
        if let (Some(name), Some(found)) = (dataset.asset.name.clone(), table::table_ref(&dataset.asset)) {
            tables.insert(name, found);
        }
    }
    let limit = request.limit.map_or(200, |limit| limit as usize).min(MOST_ROWS);
    let began = app.clock.now();
    let query =
        QueryRequest { sql: request.sql, params: Vec::new(), tables, limit: Some(limit.saturating_add(1)) };
    let rows = app.query.query(query).await?;
    Ok(Json(timed(&app, began, table::preview(rows, limit).await?)))
}
