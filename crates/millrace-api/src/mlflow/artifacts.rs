//! `artifacts/list` and `mlflow-artifacts/artifacts`: the files of runs and logged models.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use millrace_storage::{AskedRange, Entry, FilePath, Storage, StorageError};
use millrace_tracking::REGISTERED;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{Answer, MlflowError};
use super::wire::Fields;
use super::{owners, present, runs};
use crate::app::App;

fn file_info(prefix: &str, entry: &Entry) -> Value {
    let path = if prefix.is_empty() { entry.name.clone() } else { format!("{prefix}/{}", entry.name) };
    if entry.is_dir {
        json!({"path": path, "is_dir": true})
    } else {
        json!({"path": path, "is_dir": false, "file_size": entry.size_bytes})
    }
}

/// What follows the folder of registered models, if a path begins with it.
fn registered(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(REGISTERED)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// The storage that a path is in, and the path there: models that steps registered lie beside the artifacts.
fn placed<'a>(app: &'a App, path: &FilePath) -> Result<(&'a Storage, FilePath), MlflowError> {
    match registered(path.as_str()) {
        Some(rest) => Ok((&app.registered, FilePath::new(rest)?)),
        None => Ok((&app.artifacts, path.clone())),
    }
}

/// A path that clients may write to: what is registered stays as it is.
pub(super) fn changeable(path: &str) -> Result<FilePath, MlflowError> {
    let inside = FilePath::new(path)?;
    if registered(inside.as_str()).is_some() {
        return Err(MlflowError::invalid(format!("'{path}' is a registered model, which cannot be changed")));
    }
    Ok(inside)
}

/// A file of the artifacts, wherever it is.
pub(crate) fn stored<'a>(app: &'a App, path: &str) -> Result<(&'a Storage, FilePath), MlflowError> {
    placed(app, &FilePath::new(path)?)
}

/// Where the files of an address of ours lie: `file:///…` or `s3://…`.
pub(super) fn own_url(app: &App, uri: &str) -> Option<String> {
    let path = uri.strip_prefix(present::OWN)?;
    let (storage, path) = stored(app, path).ok()?;
    Some(storage.url(&path))
}

/// The path among our artifacts of a file below an address.
pub(super) fn path_below(uri: &str, path: &str) -> Result<FilePath, MlflowError> {
    let Some(root) = uri.strip_prefix(present::OWN) else {
        return Err(MlflowError::invalid(format!("The files are kept at '{uri}', not by this server")));
    };
    Ok(FilePath::new(root)?.join(path)?)
}

/// Lists below a root, with paths relative to the root.
async fn list_below(app: &App, uri: &str, path: &str) -> Answer {
    let (storage, inside) = placed(app, &path_below(uri, path)?)?;
    let entries = storage.list(&inside).await?;
    let path = path.trim_end_matches('/');
    let files: Vec<Value> = entries.iter().map(|entry| file_info(path, entry)).collect();
    Ok(Json(json!({"root_uri": uri, "files": files})))
}

pub(super) async fn list_of_run(State(app): State<App>, fields: Fields) -> Answer {
    let row = runs::found(&app, &fields.run_id()?).await?;
    list_below(&app, &present::run_uri(&row), &fields.text("path")?.unwrap_or_default()).await
}

pub(super) async fn list_of_model(State(app): State<App>, Path(id): Path<String>, fields: Fields) -> Answer {
    let row = app.engine.store().find_logged_model(id).await?;
    let path = fields.text("artifact_directory_path")?.unwrap_or_default();
    list_below(&app, &present::model_uri(&row), &path).await
}

/// Lists a folder, with paths relative to it.
pub(super) async fn list_folder(State(app): State<App>, fields: Fields) -> Answer {
    let (storage, inside) = stored(&app, &fields.text("path")?.unwrap_or_default())?;
    let entries = storage.list(&inside).await?;
    Ok(Json(json!({"files": entries.iter().map(|entry| file_info("", entry)).collect::<Vec<_>>()})))
}

pub(super) async fn write_file(
    State(app): State<App>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, MlflowError> {
    write(&app, &changeable(&path)?, request).await
}

/// Streams a request's body into a file, unless what it is of is gone.
pub(super) async fn write(app: &App, path: &FilePath, request: Request) -> Result<Response, MlflowError> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()).and_then(|value| value.parse().ok());
    owners::require(app, path.as_str()).await?;
    app.artifacts.write(path, request.into_body().into_data_stream(), length).await?;
    owners::confirm(app, path.as_str()).await?;
    Ok(Json(json!({})).into_response())
}

#[derive(Deserialize)]
pub(super) struct UploadQuery {
    run_uuid: Option<String>,
    path: Option<String>,
}

/// `upload-artifact`: what MLflow's own UI stores with a run.
pub(super) async fn upload_to_run(
    State(app): State<App>,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> Result<Response, MlflowError> {
    let given = |value: Option<String>, name: &str| {
        let value = value.filter(|value| !value.is_empty());
        value.ok_or_else(|| MlflowError::invalid(format!("Request must specify {name}.")))
    };
    let run = runs::found(&app, &given(query.run_uuid, "run_uuid")?).await?;
    let path = path_below(&present::run_uri(&run), &given(query.path, "path")?)?;
    write(&app, &changeable(path.as_str())?, request).await
}

/// Removes a file, or a folder with everything in it.
pub(super) async fn delete_file(State(app): State<App>, Path(path): Path<String>) -> Answer {
    let inside = changeable(&path)?;
    if inside.is_root() {
        return Err(MlflowError::invalid("The root of all artifacts cannot be deleted"));
    }
    app.artifacts.delete(&inside).await?;
    owners::changed(&app, inside.as_str());
    Ok(Json(json!({})))
}

/// What a browser is to do with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Keep it.
    Download,
    /// Show it within a page of ours.
    Show,
}

pub(super) async fn read_file(
    State(app): State<App>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, MlflowError> {
    let (storage, inside) = stored(&app, &path)?;
    send(storage, &inside, &headers, Purpose::Download).await
}

/// Streams a file, or the range of it that is asked for.
pub(crate) async fn send(
    storage: &Storage,
    path: &FilePath,
    headers: &HeaderMap,
    purpose: Purpose,
) -> Result<Response, MlflowError> {
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).and_then(range);
    let kind = mime_guess::from_path(path.as_str()).first_or_octet_stream();
    let answer = Response::builder()
        .header(header::CONTENT_TYPE, kind.to_string())
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONTENT_DISPOSITION, disposition(path.name(), purpose));
    let answer = match purpose {
        // Whatever a run logged must not run as a page of this server.
        Purpose::Download => answer.header(header::CONTENT_SECURITY_POLICY, "sandbox"),
        Purpose::Show => answer
            .header(header::CONTENT_SECURITY_POLICY, shown_policy(kind.essence_str()))
            .header(header::X_FRAME_OPTIONS, "SAMEORIGIN"),
    };
    let answer = match storage.read(path, asked).await {
        Ok(content) => {
            let answer = match asked {
                None => answer,
                Some(_) => {
                    let (start, length, size) = (content.start, content.length, content.size_bytes);
                    let range = format!("bytes {start}-{}/{size}", start + length.saturating_sub(1));
                    answer.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, range)
                }
            };
            answer.header(header::CONTENT_LENGTH, content.length).body(Body::from_stream(content.body))
        }
        Err(StorageError::OutOfRange { size_bytes, .. }) => answer
            .status(StatusCode::RANGE_NOT_SATISFIABLE)
            .header(header::CONTENT_RANGE, format!("bytes */{size_bytes}"))
            .body(Body::empty()),
        Err(error) => return Err(error.into()),
    };
    answer.map_err(|error| MlflowError::internal(&error))
}

/// What a file may do that is shown within a page. A report's own scripts run, as charts need them, but of no origin: they reach neither
/// this server nor any other. A browser shows no PDF that is sandboxed, and runs none as a page.
fn shown_policy(kind: &str) -> &'static str {
    match kind {
        "text/html" | "application/xhtml+xml" => {
            "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' data: blob:; \
             style-src 'unsafe-inline' data:; img-src data: blob:; font-src data:; media-src data: blob:; worker-src blob:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
        }
        "application/pdf" => {
            "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors 'self'"
        }
        _ => {
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src 'self'; frame-ancestors 'self'"
        }
    }
}

/// The only range of `bytes=…`; `None` to send all.
fn range(asked: &str) -> Option<AskedRange> {
    let (first, last) = asked.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        return last.parse().ok().map(AskedRange::Last);
    }
    let first: u64 = first.parse().ok()?;
    if last.is_empty() {
        return Some(AskedRange::From(first));
    }
    let last: u64 = last.parse().ok()?;
    (last >= first).then_some(AskedRange::Between(first, last))
}

/// Under its own name, whatever signs it has (RFC 6266).
fn disposition(name: &str, purpose: Purpose) -> String {
    let encoded: String = name
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    let kind = if purpose == Purpose::Show { "inline" } else { "attachment" };
    format!("{kind}; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::{AskedRange, range};

    #[test]
    fn one_range_is_understood() {
        assert_eq!(range("bytes=0-4"), Some(AskedRange::Between(0, 4)));
        assert_eq!(range("bytes=3-"), Some(AskedRange::From(3)));
        assert_eq!(range("bytes=-3"), Some(AskedRange::Last(3)));
        for whole in ["bytes=1-2,4-5", "bytes=5-2", "lines=1-2", "bytes=a-b", "bytes=-"] {
            assert_eq!(range(whole), None, "{whole}");
        }
    }
}
