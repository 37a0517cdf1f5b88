//! Connections: what stands in their file, changes to it, and whether they lead anywhere.

use std::time::Duration;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::Caller;
use crate::app::App;
use crate::connections::tried;
use crate::error::ApiResult;
use crate::views::connections::{ConnectionsView, SaveConnection, TriedConnection, TryConnection};

/// How long the other side may keep silent.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_connections))
        .routes(routes!(save_connection, remove_connection))
        .routes(routes!(try_connection))
}

/// Lists the connections and the kinds that there are. No secret is told.
#[utoipa::path(get, path = "/api/connections", responses((status = 200, body = ConnectionsView)))]
async fn list_connections(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Json<ConnectionsView> {
    Json(view(&app, &caller).await)
}

async fn view(app: &App, caller: &Caller) -> ConnectionsView {
    let mut found = app.connections.connections().await;
    if matches!(caller, Caller::Account(account) if !account.is_admin) {
        found.read_only = Some("files are changed by administrators".to_owned());
    }
    found
}

/// Writes a connection: comments and order of the file stay, secrets are kept encrypted beside it.
#[utoipa::path(put, path = "/api/connections/{name}", params(("name" = String, Path)), request_body = SaveConnection,
    responses((status = 200, body = ConnectionsView), (status = 409, description = "The file has another text meanwhile.")))]
async fn save_connection(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    body: Result<Json<SaveConnection>, JsonRejection>,
) -> ApiResult<ConnectionsView> {
    let Json(wanted) = body?;
    app.connections.save_connection(&name, wanted).await?;
    Ok(Json(view(&app, &caller).await))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FileQuery {
    /// That of the file it was read from.
    etag: Option<String>,
}

/// Takes a connection out of the file. Its secrets stay.
#[utoipa::path(delete, path = "/api/connections/{name}", params(("name" = String, Path), FileQuery),
    responses((status = 200, body = ConnectionsView), (status = 409, description = "The file has another text meanwhile.")))]
async fn remove_connection(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    query: Result<Query<FileQuery>, QueryRejection>,
) -> ApiResult<ConnectionsView> {
    let Query(query) = query?;
    app.connections.remove_connection(&name, query.etag.as_deref()).await?;
    Ok(Json(view(&app, &caller).await))
}

/// Connects as a copy would, and tells what answered. Nothing is kept.
#[utoipa::path(post, path = "/api/connection-tests", request_body = TryConnection, responses((status = 200, body = TriedConnection)))]
async fn try_connection(
    State(app): State<App>,
    body: Result<Json<TryConnection>, JsonRejection>,
) -> ApiResult<TriedConnection> {
    let Json(wanted) = body?;
    Ok(Json(tried(app.connections.as_ref(), wanted, PATIENCE).await))
}
