//! Registered models.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use millrace_contract::ModelVersion;
use millrace_tracking::REGISTERED;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::datasets::VersionQuery;
use crate::app::App;
use crate::error::ApiResult;
use crate::model_sheet::ModelSheet;
use crate::present::assets;
use crate::views::endpoints::EndpointSummary;
use crate::views::json::{Json as AnyJson, TextMap};
use crate::views::models::{ModelSummary, ModelVersionView, ModelView};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_models))
        .routes(routes!(find_model))
        .merge(super::model_cards::routes())
        .merge(super::promotions::routes())
}

/// Lists the models with their newest versions.
#[utoipa::path(get, path = "/api/models", responses((status = 200, body = [ModelSummary])))]
async fn list_models(State(app): State<App>) -> ApiResult<Vec<ModelSummary>> {
    let newest = app.models.list().await?;
    let counts = app.engine.store().count_asset_versions("model").await?;
    let count = |model: &ModelVersion| {
        let name = model.asset.name.as_deref().unwrap_or_default();
        counts.get(name).and_then(|count| usize::try_from(*count).ok()).unwrap_or_default()
    };
    Ok(Json(newest.iter().map(|model| assets::model_summary(model, count(model))).collect()))
}

/// Finds a version of a model.
#[utoipa::path(get, path = "/api/models/{name}", params(("name" = String, Path), VersionQuery), responses((status = 200, body = ModelView)))]
async fn find_model(
    State(app): State<App>,
    Path(name): Path<String>,
    query: Result<Query<VersionQuery>, QueryRejection>,
) -> ApiResult<ModelView> {
    let Query(query) = query?;
    // MLflow's names may contain an `@`, so the version is always said.
    let version = query.version.filter(|version| !version.is_empty()).unwrap_or_else(|| "latest".to_owned());
    let model = app.models.resolve(&format!("{name}@{version}")).await?;
    let registered = app.engine.store().find_registered_model(name.clone()).await?;
    let versions = app.models.versions(&name).await?;
    let sheet = ModelSheet::gather(app.engine.store(), app.inspector.as_ref(), model).await?;
    let ModelSheet { version: model, facts, metrics_by_dataset, .. } = sheet;
    let serves =
        |endpoint: &EndpointSummary| endpoint.deployments.iter().any(|deployment| deployment.model == name);
    let endpoints = app
        .endpoints
        .list_endpoints()
        .await?
        .into_iter()
        .filter(serves)
        .map(|endpoint| endpoint.name)
        .collect();
    let version = ModelVersionView {
        name: name.clone(),
        version: model.asset.version.unwrap_or_default(),
        artifact_path: artifact_path(&app, &model.asset.uri),
        uri: model.asset.uri,
        digest: model.asset.digest,
        size_bytes: model.asset.size_bytes,
        aliases: model.aliases,
        stage: model.stage,
        tags: TextMap(model.tags),
        metrics: assets::numbers(&model.metrics),
        signature: facts.signature,
        task: facts.task,
        description: model.description,
        producer: model.producer.map(Into::into),
        tracking_run_id: model.tracking_run_id,
        run_link: model.run_link,
        inputs: model.inputs.into_iter().map(Into::into).collect(),
        onnx: facts.onnx,
        onnx_problem: facts.onnx_problem,
        input_example: facts.input_example.map(AnyJson),
        metrics_by_dataset,
        flavors: facts.flavors,
        created_at: model.created_at.to_string(),
    };
    let count = versions.len();
    let command = format!("millrace models show {name}@{}", version.version);
    Ok(Json(ModelView {
        description: registered.description.filter(|text| !text.is_empty()),
        tags: TextMap(registered.tags.into_iter().collect()),
        version,
        versions: versions.iter().map(|version| assets::model_summary(version, count)).collect(),
        endpoints,
        command,
    }))
}

/// The path of a folder in the artifact store; `None` if it lies elsewhere.
fn artifact_path(app: &App, uri: &str) -> Option<String> {
    if let Some(path) = app.registered.path_of(uri) {
        return Some(format!("{REGISTERED}/{}", path.as_str()));
    }
    Some(app.artifacts.path_of(uri)?.as_str().to_owned())
}
