//! Single files by what they belong to, as MLflow's pages and old clients ask for them.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::error::MlflowError;
use super::wire::Fields;
use super::{artifacts, present, registry, runs, sources};
use crate::app::App;

/// `/get-artifact?run_id&path`: of a run.
pub(super) async fn of_run(
    State(app): State<App>,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let row = runs::found(&app, &fields.run_id()?).await?;
    read(app, &present::run_uri(&row), &fields.required("path")?, headers).await
}

/// `/model-versions/get-artifact?name&version&path`: of a version.
pub(super) async fn of_version(
    State(app): State<App>,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let (name, version) = registry::version(&fields)?;
    let row = app.engine.store().find_model_version(name, version).await?;
    let mut uri = row.location.unwrap_or(row.source);
    if let Some((run_id, below)) = sources::of_run(&uri) {
        let run = runs::found(&app, run_id).await?;
        uri = format!("{}/{below}", present::run_uri(&run));
    }
    read(app, &uri, &fields.required("path")?, headers).await
}

/// `logged-models/{id}/artifacts/files?artifact_file_path`: of a logged model.
pub(super) async fn of_model(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let row = app.engine.store().find_logged_model(id).await?;
    read(app, &present::model_uri(&row), &fields.required("artifact_file_path")?, headers).await
}

async fn read(app: App, uri: &str, path: &str, headers: HeaderMap) -> Result<Response, MlflowError> {
    let path = artifacts::path_below(uri, path)?;
    artifacts::read_file(State(app), Path(path.to_string()), headers).await
}
