//! `artifacts/list` and `mlflow-artifacts/artifacts`: the files of runs and logged models.

use std::path::{Path as FilePath, PathBuf};

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use millrace_tracking::REGISTERED;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::error::{Answer, MlflowError};
use super::stored::{self, Entry, Inside, refused};
use super::wire::Fields;
use super::{present, runs};
use crate::app::App;

/// Bytes that are read at once.
const CHUNK: usize = 256 * 1024;

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

/// The folder that a path is below, and the path there: models that steps registered lie beside the artifacts.
fn placed<'a>(app: &'a App, inside: &Inside) -> Result<(&'a FilePath, Inside), MlflowError> {
    match registered(inside.as_str()) {
        Some(rest) => Ok((&app.registered, Inside::new(rest)?)),
        None => Ok((&app.artifacts, inside.clone())),
    }
}

/// A path that clients may write to: what is registered stays as it is.
fn changeable(path: &str) -> Result<Inside, MlflowError> {
    let inside = Inside::new(path)?;
    if registered(inside.as_str()).is_some() {
        return Err(MlflowError::invalid(format!("'{path}' is a registered model, which cannot be changed")));
    }
    Ok(inside)
}

/// Where the files of an address of ours lie.
pub(super) fn own_folder(app: &App, uri: &str) -> Option<PathBuf> {
    let path = uri.strip_prefix(present::OWN)?;
    let (folder, inside) = placed(app, &Inside::new(path).ok()?).ok()?;
    Some(inside.under(folder))
}

/// Lists below a root, with paths relative to the root.
async fn list_below(app: &App, uri: &str, path: &str) -> Answer {
    let Some(root) = uri.strip_prefix(present::OWN) else {
        return Err(MlflowError::invalid(format!("The files are kept at '{uri}', not by this server")));
    };
    let (folder, inside) = placed(app, &Inside::new(root)?.join(path)?)?;
    let entries = stored::list(folder, &inside).await?;
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
    let (folder, inside) = placed(&app, &Inside::new(&fields.text("path")?.unwrap_or_default())?)?;
    let entries = stored::list(folder, &inside).await?;
    Ok(Json(json!({"files": entries.iter().map(|entry| file_info("", entry)).collect::<Vec<_>>()})))
}

pub(super) async fn write_file(
    State(app): State<App>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, MlflowError> {
    let inside = changeable(&path)?;
    stored::write(&app.artifacts, &inside, &app.new_id(), request.into_body().into_data_stream()).await?;
    Ok(Json(json!({})).into_response())
}

/// Removes a file, or a folder with everything in it.
pub(super) async fn delete_file(State(app): State<App>, Path(path): Path<String>) -> Answer {
    let inside = changeable(&path)?;
    if inside.as_str().is_empty() {
        return Err(MlflowError::invalid("The root of all artifacts cannot be deleted"));
    }
    let target = inside.under(&app.artifacts);
    let failed = |error: std::io::Error| refused(&path, &error);
    if fs_err::tokio::symlink_metadata(&target).await.map_err(failed)?.is_dir() {
        fs_err::tokio::remove_dir_all(&target).await.map_err(failed)?;
    } else {
        fs_err::tokio::remove_file(&target).await.map_err(failed)?;
    }
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

/// Where a path of the artifact store really lies: a link that a step left among the files must not lead out of them.
pub(crate) async fn real_path(app: &App, path: &str) -> Result<PathBuf, MlflowError> {
    let (folder, inside) = placed(app, &Inside::new(path)?)?;
    let failed = |error: std::io::Error| refused(path, &error);
    let real = fs_err::tokio::canonicalize(&inside.under(folder)).await.map_err(failed)?;
    let root = fs_err::tokio::canonicalize(folder).await.map_err(failed)?;
    if !real.starts_with(&root) {
        return Err(MlflowError::absent(format!("No such artifact: '{path}'")));
    }
    Ok(real)
}

/// What lies in a folder of the artifact store, by name.
pub(crate) async fn folder_entries(app: &App, path: &str) -> Result<Vec<Entry>, MlflowError> {
    let (folder, inside) = placed(app, &Inside::new(path)?)?;
    stored::list(folder, &inside).await
}

pub(super) async fn read_file(
    State(app): State<App>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, MlflowError> {
    send_file(&app, &path, &headers, Purpose::Download).await
}

/// Sends a file of the artifact store, or the range of it that is asked for.
pub(crate) async fn send_file(
    app: &App,
    path: &str,
    headers: &HeaderMap,
    purpose: Purpose,
) -> Result<Response, MlflowError> {
    let failed = |error: std::io::Error| refused(path, &error);
    let real = real_path(app, path).await?;
    let mut file = fs_err::tokio::File::open(&real).await.map_err(failed)?;
    let facts = file.metadata().await.map_err(failed)?;
    if facts.is_dir() {
        return Err(MlflowError::invalid(format!("'{path}' is a folder")));
    }
    let size = facts.len();
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let kind = mime_guess::from_path(&real).first_or_octet_stream();
    let mut answer = Response::builder()
        .header(header::CONTENT_TYPE, kind.to_string())
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONTENT_DISPOSITION, disposition(path, purpose));
    answer = match purpose {
        // Whatever a run logged must not run as a page of this server.
        Purpose::Download => answer.header(header::CONTENT_SECURITY_POLICY, "sandbox"),
        Purpose::Show => answer
            .header(header::CONTENT_SECURITY_POLICY, shown_policy(kind.essence_str()))
            .header(header::X_FRAME_OPTIONS, "SAMEORIGIN"),
    };
    let (start, length) = match asked.and_then(|asked| range(asked, size)) {
        None => (0, size),
        Some(None) => {
            let answer = answer.status(StatusCode::RANGE_NOT_SATISFIABLE);
            let answer = answer.header(header::CONTENT_RANGE, format!("bytes */{size}"));
            return answer.body(Body::empty()).map_err(|error| MlflowError::internal(&error));
        }
        Some(Some((start, end))) => {
            answer = answer
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, format!("bytes {start}-{end}/{size}"));
            (start, end - start + 1)
        }
    };
    if start > 0 {
        file.seek(std::io::SeekFrom::Start(start)).await.map_err(failed)?;
    }
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK));
    let answer = answer.header(header::CONTENT_LENGTH, length).body(body);
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

/// The only range of `bytes=…`, its last byte included; `Some(None)` if the file does not have it, `None` to send all.
fn range(asked: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = asked.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let suffix: u64 = last.parse().ok()?;
        return Some((suffix > 0 && size > 0).then(|| (size.saturating_sub(suffix), size - 1)));
    }
    let first: u64 = first.parse().ok()?;
    let last = if last.is_empty() { u64::MAX } else { last.parse().ok()? };
    if last < first {
        return None;
    }
    Some((first < size).then(|| (first, last.min(size - 1))))
}

/// Under its own name, whatever signs it has (RFC 6266).
fn disposition(path: &str, purpose: Purpose) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
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
    let todo = if purpose == Purpose::Show { "inline" } else { "attachment" };
    format!("{todo}; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn one_range_is_understood() {
        assert_eq!(range("bytes=0-4", 10), Some(Some((0, 4))));
        assert_eq!(range("bytes=8-99", 10), Some(Some((8, 9))));
        assert_eq!(range("bytes=3-", 10), Some(Some((3, 9))));
        assert_eq!(range("bytes=-3", 10), Some(Some((7, 9))));
        assert_eq!(range("bytes=10-", 10), Some(None));
        assert_eq!(range("bytes=-3", 0), Some(None));
        for whole in ["bytes=1-2,4-5", "bytes=5-2", "lines=1-2", "bytes=a-b"] {
            assert_eq!(range(whole, 10), None, "{whole}");
        }
    }
}
