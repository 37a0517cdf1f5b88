//! The workspace, what can be named in it, and the search over it.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::ApiResult;
use crate::views::json::Json as AnyJson;
use crate::views::workspace::{KindView, SearchHit, WorkspaceView};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(find_workspace)).routes(routes!(list_kinds)).routes(routes!(search))
}

/// Tells which workspace this is.
#[utoipa::path(get, path = "/api/workspace", responses((status = 200, body = WorkspaceView)))]
async fn find_workspace(State(app): State<App>) -> Json<WorkspaceView> {
    Json(app.workspace.clone())
}

/// Lists everything that can be named in a file.
#[utoipa::path(get, path = "/api/kinds", responses((status = 200, body = [KindView])))]
async fn list_kinds(State(app): State<App>) -> ApiResult<Vec<KindView>> {
    let mut kinds = Vec::with_capacity(app.kinds.len());
    for kind in &app.kinds {
        kinds.push(KindView {
            family: serde_json::to_value(kind.family)?.as_str().unwrap_or_default().to_owned(),
            name: kind.name.to_owned(),
            summary: kind.summary.clone(),
            description: kind.description.clone(),
            example: kind.example.to_owned(),
            schema: AnyJson(serde_json::to_value(&kind.schema)?),
        });
    }
    Ok(Json(kinds))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Search {
    /// Part of a name.
    q: String,
    /// Hits at most; 20 if absent.
    limit: Option<usize>,
}

/// Finds things by a part of their name.
#[utoipa::path(get, path = "/api/search", params(Search), responses((status = 200, body = [SearchHit])))]
async fn search(
    State(app): State<App>,
    query: Result<Query<Search>, QueryRejection>,
) -> ApiResult<Vec<SearchHit>> {
    let Query(Search { q, limit }) = query?;
    let wanted = q.trim().to_lowercase();
    let mut hits = Vec::new();
    let mut add = |kind: &str, page: &str, name: &str, detail: Option<String>| {
        if name.to_lowercase().contains(&wanted) {
            hits.push(SearchHit {
                kind: kind.to_owned(),
                name: name.to_owned(),
                detail,
                path: format!("/{page}/{name}"),
            });
        }
    };
    for definition in app.definitions.definitions().await {
        let about = definition.pipeline.and_then(|pipeline| pipeline.description);
        add("pipeline", "pipelines", &definition.name, about);
    }
    for dataset in app.datasets.list().await? {
        let rows = dataset.asset.rows.map(|rows| format!("{rows} rows"));
        add("dataset", "data", dataset.asset.name.as_deref().unwrap_or_default(), rows);
    }
    for model in app.models.list().await? {
        let version = model.asset.version.map(|version| format!("version {version}"));
        add("model", "models", model.asset.name.as_deref().unwrap_or_default(), version);
    }
    for endpoint in app.endpoints.list_endpoints().await? {
        add("endpoint", "endpoints", &endpoint.name, Some(endpoint.status));
    }
    for monitor in app.monitors.list_monitors().await? {
        add("monitor", "monitoring", &monitor.name, Some(monitor.kind));
    }
    if wanted.len() >= 6
        && wanted.bytes().all(|byte| byte.is_ascii_hexdigit())
        && let Some(run) = app.engine.store().find_pipeline_run(wanted.clone()).await?
    {
        add("run", "runs", &run.id, Some(run.pipeline));
    }
    // Names that begin with the words first, then the shortest.
    hits.sort_by_key(|hit| (!hit.name.to_lowercase().starts_with(&wanted), hit.name.len()));
    hits.truncate(limit.unwrap_or(20).min(100));
    Ok(Json(hits))
}
