//! Large files: uploads in parts (`mpu`), and addresses that need no token (`presigned`). In a bucket the latter lead past this server.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use millrace_storage::{FilePath, Storage, UploadError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{Answer, MlflowError};
use super::wire::Fields;
use super::{artifacts, owners, present, runs};
use crate::app::App;
use crate::origin;
use crate::signed_url::Deed;

/// Most parts of an upload.
const MOST_PARTS: i64 = 10_000;
/// How long an address is good, seconds: if nobody says, for a download, and at most (S3's limit).
const UPLOAD_SECONDS: i64 = 900;
const DOWNLOAD_SECONDS: i64 = 300;
const MOST_SECONDS: i64 = 604_800;
/// The way to an address that needs no token.
pub(crate) const SIGNED: &str = "/api/2.0/mlflow-artifacts/signed/";
/// The way to a part of an upload; its id, not to be guessed, is the proof.
pub(crate) const PART: &str = "/api/2.0/mlflow-artifacts/mpu/part/";

/// This server as the caller knows it, perhaps behind a proxy: `https://host/prefix`.
fn base(headers: &HeaderMap) -> Result<String, MlflowError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("x-forwarded-host").or_else(|| text("host"));
    let host = host.ok_or_else(|| MlflowError::invalid("The request does not say its Host"))?;
    let scheme = origin::scheme(headers);
    let prefix = text("x-forwarded-prefix").unwrap_or_default().trim_end_matches('/');
    Ok(format!("{scheme}://{host}{prefix}"))
}

/// The file that an upload becomes: the client says the folder in the address and the file as it is called at its own end.
fn target(folder: &str, fields: &Fields) -> Result<FilePath, MlflowError> {
    let name = fields.required("path")?;
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let path = artifacts::changeable(folder)?.join(name)?;
    if name.is_empty() {
        return Err(MlflowError::invalid("The path of the upload does not end with a file's name"));
    }
    Ok(path)
}

/// Begins an upload, and says where its parts go.
pub(super) async fn create(
    State(app): State<App>,
    Path(folder): Path<String>,
    headers: HeaderMap,
    fields: Fields,
) -> Answer {
    let count = fields.int("num_parts")?.unwrap_or(1);
    if !(1..=MOST_PARTS).contains(&count) {
        let message = format!("A file has from 1 to {MOST_PARTS} parts, not {count}: choose larger ones");
        return Err(MlflowError::invalid(message));
    }
    let base = base(&headers)?;
    let path = target(&folder, &fields)?;
    owners::require(&app, path.as_str()).await?;
    let upload = app.artifacts.begin_upload(&path).await?;
    let credential = |number: i64| {
        let url = format!("{base}{PART}{}/{number}", upload.id);
        json!({"url": url, "part_number": number, "headers": {}})
    };
    let credentials: Vec<Value> = (1..=count).map(credential).collect();
    Ok(Json(json!({"upload_id": upload.id, "credentials": credentials})))
}

/// Takes in a part.
pub(super) async fn put_part(
    State(app): State<App>,
    Path((id, number)): Path<(String, u32)>,
    request: Request,
) -> Result<Response, MlflowError> {
    let receipt = app.artifacts.put_part(&id, number, request.into_body().into_data_stream()).await?;
    let etag = HeaderValue::from_str(&format!("\"{}\"", receipt.etag.trim_matches('"')));
    let etag = etag.map_err(|error| MlflowError::internal(&error))?;
    Ok(([(header::ETAG, etag)], Json(json!({}))).into_response())
}

/// The parts that have come, for a client that goes on after it was stopped. MLflow's protocol has no such call.
pub(super) async fn list_parts(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let parts = app.artifacts.list_parts(&id).await?;
    let part = |part: &millrace_storage::PartReceipt| json!({"part_number": part.number, "etag": part.etag, "size": part.size_bytes});
    Ok(Json(json!({"parts": parts.iter().map(part).collect::<Vec<_>>()})))
}

/// Makes the file out of its parts.
pub(super) async fn complete(State(app): State<App>, Path(folder): Path<String>, fields: Fields) -> Answer {
    let (path, id) = (target(&folder, &fields)?, fields.required("upload_id")?);
    let mut parts = Vec::new();
    for part in fields.messages("parts")? {
        let number = part.int("part_number")?.ok_or_else(|| part.missing("part_number"))?;
        let number = u32::try_from(number).map_err(|_| UploadError::Number { number: 0 })?;
        parts.push((number, part.text("etag")?.unwrap_or_default()));
    }
    owners::require(&app, path.as_str()).await?;
    app.artifacts.finish_upload(&id, &path, &parts).await?;
    owners::confirm(&app, path.as_str()).await?;
    Ok(Json(json!({})))
}

/// Forgets an upload.
pub(super) async fn abort(State(app): State<App>, Path(folder): Path<String>, fields: Fields) -> Answer {
    let (path, id) = (target(&folder, &fields)?, fields.required("upload_id")?);
    app.artifacts.abort_upload(&id, &path).await?;
    Ok(Json(json!({})))
}

/// An address that needs no token, and how large the file is.
pub(super) async fn presigned(
    State(app): State<App>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let (storage, inside) = artifacts::stored(&app, &path)?;
    let size = storage.read(&inside, None).await?.size_bytes;
    let path = FilePath::new(&path)?;
    let url = address(&app, storage, (&path, &inside), Deed::Read, DOWNLOAD_SECONDS, &headers).await?;
    Ok(Json(json!({"url": url, "headers": {}, "file_size": size})))
}

/// `path`: among all artifacts, and in its storage.
async fn address(
    app: &App,
    storage: &Storage,
    path: (&FilePath, &FilePath),
    deed: Deed,
    seconds: i64,
    headers: &HeaderMap,
) -> Result<String, MlflowError> {
    let valid_for = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    if let Some(url) = storage.signed_url(path.1, deed == Deed::Write, valid_for).await? {
        return Ok(url);
    }
    let query = app.signer.query(deed, path.0, app.clock.now().as_second(), valid_for);
    let mut url =
        url::Url::parse(&base(headers)?).map_err(|error| MlflowError::invalid(error.to_string()))?;
    let whole = format!("{}{SIGNED}{}", url.path().trim_end_matches('/'), percent(path.0.as_str()));
    url.set_path(&whole);
    url.set_query(Some(&query));
    Ok(url.into())
}

/// `%` in a file's name must not be read as the beginning of a sign.
fn percent(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3F")
}

fn seconds(fields: &Fields, default: i64) -> Result<i64, MlflowError> {
    let seconds = fields.int("expiration")?.unwrap_or(default);
    if (1..=MOST_SECONDS).contains(&seconds) {
        return Ok(seconds);
    }
    let message = format!("expiration must be between 1 and {MOST_SECONDS} seconds (got {seconds}).");
    Err(MlflowError::invalid(message))
}

pub(super) async fn presigned_upload(State(app): State<App>, headers: HeaderMap, fields: Fields) -> Answer {
    let filled = |name: &str| Ok::<_, MlflowError>(fields.text(name)?.filter(|text| !text.is_empty()));
    let root = match (filled("run_id")?, filled("model_id")?) {
        (Some(run_id), None) => present::run_uri(&runs::found(&app, &run_id).await?),
        (None, Some(model_id)) => present::model_uri(&app.engine.store().find_logged_model(model_id).await?),
        _ => return Err(MlflowError::invalid("Exactly one of run_id and model_id must be provided.")),
    };
    let path = artifacts::path_below(&root, &fields.required("path")?)?;
    let path = artifacts::changeable(path.as_str())?;
    let seconds = seconds(&fields, UPLOAD_SECONDS)?;
    let url = address(&app, &app.artifacts, (&path, &path), Deed::Write, seconds, &headers).await?;
    Ok(Json(json!({"presigned_url": url, "headers": {}})))
}

pub(super) async fn presigned_download(State(app): State<App>, headers: HeaderMap, fields: Fields) -> Answer {
    let run = runs::found(&app, &fields.required("run_id")?).await?;
    let path = artifacts::path_below(&present::run_uri(&run), &fields.required("path")?)?;
    let (storage, inside) = artifacts::stored(&app, path.as_str())?;
    let seconds = seconds(&fields, DOWNLOAD_SECONDS)?;
    let size = storage.read(&inside, None).await?.size_bytes;
    let url = address(&app, storage, (&path, &inside), Deed::Read, seconds, &headers).await?;
    Ok(Json(json!({"presigned_url": url, "headers": {}, "file_size": size})))
}

#[derive(Deserialize)]
pub(super) struct Signature {
    #[serde(default)]
    expires: i64,
    #[serde(default)]
    signature: String,
}

fn check(app: &App, deed: Deed, path: &FilePath, given: &Signature) -> Result<(), MlflowError> {
    let now = app.clock.now().as_second();
    if app.signer.is_good(deed, path, given.expires, &given.signature, now) {
        return Ok(());
    }
    let message = "This address is not one of this server, or its time is over: ask for another.";
    Err(MlflowError::new(axum::http::StatusCode::FORBIDDEN, "PERMISSION_DENIED", message))
}

pub(super) async fn read_signed(
    State(app): State<App>,
    Path(path): Path<String>,
    Query(given): Query<Signature>,
    headers: HeaderMap,
) -> Result<Response, MlflowError> {
    check(&app, Deed::Read, &FilePath::new(&path)?, &given)?;
    let (storage, inside) = artifacts::stored(&app, &path)?;
    artifacts::send(storage, &inside, &headers, artifacts::Purpose::Download).await
}

pub(super) async fn write_signed(
    State(app): State<App>,
    Path(path): Path<String>,
    Query(given): Query<Signature>,
    request: Request,
) -> Result<Response, MlflowError> {
    let inside = artifacts::changeable(&path)?;
    check(&app, Deed::Write, &inside, &given)?;
    artifacts::write(&app, &inside, request).await
}
