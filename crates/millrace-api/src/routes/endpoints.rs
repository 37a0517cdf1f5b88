//! Endpoints and monitors: what the pages show.

use axum::Json;
use axum::extract::{Path, State};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::views::endpoints::{EndpointSummary, EndpointView};
use crate::views::monitors::{AlertView, MonitorSummary, MonitorView};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_endpoints))
        .routes(routes!(find_endpoint))
        .routes(routes!(list_monitors))
        .routes(routes!(find_monitor))
        .routes(routes!(list_alerts))
}

/// Lists the endpoints by name.
#[utoipa::path(get, path = "/api/endpoints", responses((status = 200, body = [EndpointSummary])))]
async fn list_endpoints(State(app): State<App>) -> ApiResult<Vec<EndpointSummary>> {
    Ok(Json(app.endpoints.list_endpoints().await?))
}

/// Finds an endpoint.
#[utoipa::path(get, path = "/api/endpoints/{name}", params(("name" = String, Path)), responses((status = 200, body = EndpointView)))]
async fn find_endpoint(State(app): State<App>, Path(name): Path<String>) -> ApiResult<EndpointView> {
    app.endpoints.find_endpoint(&name).await?.map(Json).ok_or_else(|| ApiError::unknown("endpoint", &name))
}

/// Lists the monitors by name.
#[utoipa::path(get, path = "/api/monitors", responses((status = 200, body = [MonitorSummary])))]
async fn list_monitors(State(app): State<App>) -> ApiResult<Vec<MonitorSummary>> {
    Ok(Json(app.monitors.list_monitors().await?))
}

/// Finds a monitor with its newest result.
#[utoipa::path(get, path = "/api/monitors/{name}", params(("name" = String, Path)), responses((status = 200, body = MonitorView)))]
async fn find_monitor(State(app): State<App>, Path(name): Path<String>) -> ApiResult<MonitorView> {
    app.monitors.find_monitor(&name).await?.map(Json).ok_or_else(|| ApiError::unknown("monitor", &name))
}

/// Lists the alert rules with their states.
#[utoipa::path(get, path = "/api/alerts", responses((status = 200, body = [AlertView])))]
async fn list_alerts(State(app): State<App>) -> ApiResult<Vec<AlertView>> {
    Ok(Json(app.monitors.list_alerts().await?))
}
