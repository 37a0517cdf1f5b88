//! Cards of model versions, and versions beside each other.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use millrace_spec::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::datasets::VersionQuery;
use crate::accounts::Caller;
use crate::actor::person;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::model_sheet::{ModelSheet, compare};
use crate::views::models::{ModelCardView, ModelComparison, WriteCard};

/// Longest card, bytes.
const LONGEST_CARD: usize = 256 * 1024;
/// Versions that are compared at once.
const MOST_VERSIONS: usize = 20;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(find_model_card, write_model_card))
        .routes(routes!(compare_model_versions))
}

async fn sheet(app: &App, name: &str, version: Option<&str>) -> Result<ModelSheet, ApiError> {
    let version = version.filter(|version| !version.is_empty()).unwrap_or("latest");
    let model = app.models.resolve(&format!("{name}@{version}")).await?;
    Ok(ModelSheet::gather(app.engine.store(), app.inspector.as_ref(), model).await?)
}

fn of(sheet: &ModelSheet) -> (String, i64) {
    let asset = &sheet.version.asset;
    let number = asset.version.and_then(|version| i64::try_from(version).ok());
    (asset.name.clone().unwrap_or_default(), number.unwrap_or_default())
}

/// Finds what is written about a version.
#[utoipa::path(get, path = "/api/models/{name}/card", params(("name" = String, Path), VersionQuery),
    responses((status = 200, body = ModelCardView)))]
async fn find_model_card(
    State(app): State<App>,
    Path(name): Path<String>,
    query: Result<Query<VersionQuery>, QueryRejection>,
) -> ApiResult<ModelCardView> {
    let Query(query) = query?;
    let sheet = sheet(&app, &name, query.version.as_deref()).await?;
    let written = app.engine.store().list_model_cards(of(&sheet)).await?.into_iter().next();
    Ok(Json(sheet.card(written)))
}

/// Writes about a version. What was written before is kept.
#[utoipa::path(put, path = "/api/models/{name}/card", params(("name" = String, Path), VersionQuery),
    request_body = WriteCard, responses((status = 200, body = ModelCardView)))]
async fn write_model_card(
    State(app): State<App>,
    Path(name): Path<String>,
    query: Result<Query<VersionQuery>, QueryRejection>,
    Extension(caller): Extension<Caller>,
    body: Result<Json<WriteCard>, JsonRejection>,
) -> ApiResult<ModelCardView> {
    let (Query(query), Json(card)) = (query?, body?);
    if card.content.len() > LONGEST_CARD || card.content.contains('\0') {
        let problem = Problem::error("invalid-card", "a card is text of at most 256 KiB");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, problem));
    }
    let by = person(&app, &caller, card.by.as_deref())?.name;
    let sheet = sheet(&app, &name, query.version.as_deref()).await?;
    let now = app.clock.now().as_microsecond();
    let written = app.engine.store().write_model_card(of(&sheet), card.content, by, now).await?;
    Ok(Json(sheet.card(Some(written))))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CompareQuery {
    /// Versions or aliases with commas between, at least two.
    versions: String,
}

/// Puts versions beside each other: facts, metrics, parameters, data, signature and graph.
#[utoipa::path(get, path = "/api/models/{name}/compare", params(("name" = String, Path), CompareQuery),
    responses((status = 200, body = ModelComparison)))]
async fn compare_model_versions(
    State(app): State<App>,
    Path(name): Path<String>,
    query: Result<Query<CompareQuery>, QueryRejection>,
) -> ApiResult<ModelComparison> {
    let Query(query) = query?;
    let versions: Vec<&str> =
        query.versions.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    if !(2..=MOST_VERSIONS).contains(&versions.len()) {
        let problem =
            Problem::error("invalid-versions", format!("name 2 to {MOST_VERSIONS} versions to compare"))
                .hint("?versions=1,2");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, problem));
    }
    let mut sheets = Vec::with_capacity(versions.len());
    for version in versions {
        sheets.push(sheet(&app, &name, Some(version)).await?);
    }
    Ok(Json(compare(&sheets)))
}
