//! The files of runs and models, as their pages show them. A path is one of the artifact store: what follows `mlflow-artifacts:/`.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use millrace_contract::TableRef;
use millrace_spec::problem::Problem;
use millrace_storage::Entry;
use serde::Deserialize;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::archive::write_archive;
use crate::error::{ApiError, ApiResult};
use crate::mlflow::{Purpose, send, stored};
use crate::present::table;
use crate::views::datasets::TablePreview;
use crate::views::models::ModelFolderView;
use crate::views::tracking::ArtifactFile;

const MOST_ROWS: usize = 10_000;
/// Parts of an archive that wait to be sent.
const WAITING: usize = 4;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_folder))
        .routes(routes!(show_file))
        .routes(routes!(preview_table))
        .routes(routes!(archive_folder))
        .routes(routes!(inspect_model))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FolderQuery {
    /// A path of the artifact store, for example a run's id.
    path: String,
}

/// Lists what lies in a folder, by name; names are relative to the folder. Nothing if there is no such folder.
#[utoipa::path(get, path = "/api/artifacts", params(FolderQuery), responses((status = 200, body = [ArtifactFile])))]
async fn list_folder(
    State(app): State<App>,
    query: Result<Query<FolderQuery>, QueryRejection>,
) -> ApiResult<Vec<ArtifactFile>> {
    let Query(FolderQuery { path }) = query?;
    let (storage, folder) = stored(&app, &path)?;
    let entries = storage.list(&folder).await?;
    let file = |entry: Entry| ArtifactFile {
        path: entry.name,
        is_dir: entry.is_dir,
        size_bytes: (!entry.is_dir).then_some(entry.size_bytes),
    };
    Ok(Json(entries.into_iter().map(file).collect()))
}

/// Sends a file, or a range of it, to be shown within a page: sandboxed, and without a name to be saved under.
#[utoipa::path(get, path = "/api/artifacts/{*path}", params(("path" = String, Path)), responses((status = 200, body = [u8])))]
async fn show_file(
    State(app): State<App>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (storage, file) = stored(&app, &path)?;
    Ok(send(storage, &file, &headers, Purpose::Show).await?)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TableQuery {
    /// A path of the artifact store: a Parquet file.
    path: String,
    /// Rows at most; 200 if absent.
    limit: Option<usize>,
}

/// Reads the first rows of a Parquet file.
#[utoipa::path(get, path = "/api/artifact-table", params(TableQuery), responses((status = 200, body = TablePreview)))]
async fn preview_table(
    State(app): State<App>,
    query: Result<Query<TableQuery>, QueryRejection>,
) -> ApiResult<TablePreview> {
    let Query(TableQuery { path, limit }) = query?;
    let limit = limit.unwrap_or(200).clamp(1, MOST_ROWS);
    let (storage, file) = stored(&app, &path)?;
    if !path.to_ascii_lowercase().ends_with(".parquet") {
        return Err(Problem::error("not-a-table", format!("`{path}` is no Parquet file")).into());
    }
    let uri = storage.url(&file);
    let rows = app.query.scan(&TableRef::Parquet { uri }, None, Some(limit + 1)).await.map_err(|error| {
        // Where the store lies on the disk is nothing for a page.
        tracing::warn!(%error, path, "an artifact that should be a table cannot be read");
        Problem::error("table-unreadable", format!("`{path}` cannot be read as Parquet"))
            .hint("download the file and look at it with another program")
    })?;
    Ok(Json(table::preview(rows, limit).await?))
}

/// Sends a folder as one ZIP file.
#[utoipa::path(get, path = "/api/artifact-archive", params(FolderQuery), responses((status = 200, body = [u8])))]
async fn archive_folder(
    State(app): State<App>,
    query: Result<Query<FolderQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(FolderQuery { path }) = query?;
    let (storage, folder) = stored(&app, &path)?;
    // A file is no folder, and neither is what is not there.
    if storage.list(&folder).await?.is_empty() {
        return Err(Problem::error("not-a-folder", format!("`{path}` is no folder")).into());
    }
    let (sender, parts) = tokio::sync::mpsc::channel(WAITING);
    let storage = storage.clone();
    tokio::spawn(async move {
        if let Err(error) = write_archive(&storage, &folder, &sender).await {
            if error.kind() != std::io::ErrorKind::BrokenPipe {
                tracing::warn!(%error, "a folder could not be packed");
            }
            // The download breaks off instead of ending as if it were whole.
            sender.send(Err(error)).await.ok();
        }
    });
    let last = path.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty());
    let plain = |sign: char| if sign.is_ascii_alphanumeric() || "-_.".contains(sign) { sign } else { '_' };
    let name: String = last.unwrap_or("artifacts").chars().map(plain).collect();
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.zip\"")),
    ];
    Ok((headers, Body::from_stream(ReceiverStream::new(parts))).into_response())
}

/// Looks into a model folder: flavors, signature, ONNX.
#[utoipa::path(get, path = "/api/artifact-model", params(FolderQuery), responses((status = 200, body = ModelFolderView)))]
async fn inspect_model(
    State(app): State<App>,
    query: Result<Query<FolderQuery>, QueryRejection>,
) -> ApiResult<ModelFolderView> {
    let Query(FolderQuery { path }) = query?;
    let (storage, folder) = stored(&app, &path)?;
    let facts = app.inspector.inspect(&storage.url(&folder)).await;
    Ok(Json(ModelFolderView {
        flavors: facts.flavors,
        signature: facts.signature,
        task: facts.task,
        onnx: facts.onnx,
    }))
}
