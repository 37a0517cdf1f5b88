//! SQL over datasets and files, and what it can read.

use std::time::Duration;

use axum::extract::Query;
use axum::extract::State;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::StatusCode;
use axum::{Extension, Json};
use millrace_contract::{QueryError, QueryRequest};
use millrace_spec::problem::{Place, Problem};
use millrace_tracking::tables::{self, TablesError};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::datasets::{MOST_ROWS, timed};
use crate::accounts::Caller;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::{assets, table};
use crate::views::datasets::TablePreview;
use crate::views::sql::{QueryTable, SqlRequest, WorkspaceFile};

/// Time that a query gets unless it asks for less or more.
const USUAL_TIME: Duration = Duration::from_secs(30);
/// Time that it gets at most; shorter than what a request may take in all.
const MOST_TIME: Duration = Duration::from_secs(110);
/// Rows unless a request says how many.
const USUAL_ROWS: u32 = 200;
/// Entries of a folder that are listed.
const MOST_FILES: usize = 2_000;
/// What a place in a query is a place of.
const QUERY: &str = "query";

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(run_sql))
        .routes(routes!(list_query_tables))
        .routes(routes!(list_files))
}

/// Runs one SELECT over datasets by their names (`flights` is the newest version, `flights@3` and `flights@alias` are others) and over files
/// of the workspace by their paths in double quotes (`"raw/flights.csv"`). It ends when its time is over or the caller goes away.
#[utoipa::path(post, path = "/api/sql", request_body = SqlRequest, responses((status = 200, body = TablePreview)))]
async fn run_sql(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Result<Json<SqlRequest>, JsonRejection>,
) -> ApiResult<TablePreview> {
    let Json(request) = body?;
    let foreign = app.query.foreign_names(&request.sql).await.map_err(query_error)?;
    if let Some(table) = foreign.first().filter(|_| !caller.is_admin()) {
        return Err(not_yours(table));
    }
    let time = request.timeout_ms.map_or(USUAL_TIME, |ms| Duration::from_millis(ms.into()));
    let time = time.clamp(Duration::from_millis(100), MOST_TIME);
    // Whoever goes away drops this, and with it the work.
    match tokio::time::timeout(time, answer(&app, request)).await {
        Ok(answer) => answer.map(Json),
        Err(_) => Err(too_slow(time)),
    }
}

async fn answer(app: &App, request: SqlRequest) -> Result<TablePreview, ApiError> {
    let (engine, datasets) = (app.query.as_ref(), app.datasets.as_ref());
    let tables = tables::named_in(engine, datasets, &app.folder, &request.sql).await.map_err(tables_error)?;
    let limit = (request.limit.unwrap_or(USUAL_ROWS) as usize).min(MOST_ROWS);
    let began = app.clock.now();
    let params = request.params.into_iter().map(|value| value.0).collect();
    let query = QueryRequest { sql: request.sql, params, tables, limit: Some(limit.saturating_add(1)) };
    let rows = engine.query(query).await.map_err(query_error)?;
    Ok(timed(app, began, table::preview(rows, limit).await?))
}

/// What a connection may read is more than what an account may see here.
fn not_yours(table: &str) -> ApiError {
    let message = format!("only administrators may read `{table}`, a table of a connection");
    let problem = Problem::error("forbidden", message);
    ApiError::new(StatusCode::FORBIDDEN, problem.hint("ask for a pipeline that copies it into a dataset"))
}

fn too_slow(time: Duration) -> ApiError {
    let problem = Problem::error(
        "query-timeout",
        format!("the query took longer than {} s and was ended", time.as_secs_f64()),
    )
    .hint("read fewer rows or columns, or give it more time");
    ApiError::new(StatusCode::GATEWAY_TIMEOUT, problem)
}

fn tables_error(error: TablesError) -> ApiError {
    match error {
        TablesError::Query(error) => query_error(error),
        other => other.into(),
    }
}

/// What is wrong with a query, at its place in the text.
fn query_error(error: QueryError) -> ApiError {
    let QueryError::Plan { message, position } = error else { return error.into() };
    let mut problem = Problem::error("query-failed", message);
    if let Some((line, column)) = position {
        problem = problem.at(Place { file: QUERY.to_owned(), line, column, length: 1 });
    }
    ApiError::new(StatusCode::BAD_REQUEST, problem)
}

/// Lists the datasets with their columns, for whoever writes a query.
#[utoipa::path(get, path = "/api/sql/tables", responses((status = 200, body = [QueryTable])))]
async fn list_query_tables(State(app): State<App>) -> ApiResult<Vec<QueryTable>> {
    let newest = app.datasets.list().await?.into_iter().map(assets::dataset_version);
    let table = |version: crate::views::datasets::DatasetVersionView| QueryTable {
        name: version.name,
        version: version.version,
        rows: version.rows,
        columns: version.schema,
    };
    Ok(Json(newest.filter(|version| version.kind != "folder").map(table).collect()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FolderQuery {
    /// Path relative to the workspace; its root if absent.
    folder: Option<String>,
}

/// Lists a folder of the workspace: folders first, then files by name. Hidden ones are left out.
#[utoipa::path(get, path = "/api/files", params(FolderQuery), responses((status = 200, body = [WorkspaceFile])))]
async fn list_files(
    State(app): State<App>,
    query: Result<Query<FolderQuery>, QueryRejection>,
) -> ApiResult<Vec<WorkspaceFile>> {
    let folder = query?.0.folder.unwrap_or_default();
    let folder = folder.trim_matches('/').to_owned();
    let root = app.folder.clone();
    let listed = tokio::task::spawn_blocking({
        let folder = folder.clone();
        move || list_folder(&root, &folder)
    });
    let listed = listed.await.map_err(|error| ApiError::internal(&error))?;
    listed.map(Json).ok_or_else(|| ApiError::unknown("folder", &folder))
}

fn list_folder(root: &std::path::Path, folder: &str) -> Option<Vec<WorkspaceFile>> {
    let found = fs_err::read_dir(tables::seen_path(root, folder)?).ok()?;
    let mut files: Vec<WorkspaceFile> = Vec::new();
    for entry in found.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        // A link that leads out of the workspace is not there.
        let Some(seen) = tables::seen_path(root, &path) else { continue };
        let Ok(about) = fs_err::metadata(&seen) else { continue };
        files.push(WorkspaceFile {
            is_folder: about.is_dir(),
            is_table: about.is_file() && tables::file_table(root, &path).is_some(),
            size_bytes: about.is_file().then_some(about.len()),
            name,
            path,
        });
        if files.len() >= MOST_FILES {
            break;
        }
    }
    files.sort_by(|one, other| (!one.is_folder, &one.name).cmp(&(!other.is_folder, &other.name)));
    Some(files)
}
