//! SQL models: what is in their files, and what was made of them.

use axum::Json;
use axum::extract::{Path, State};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::views::sql_models::{SqlModelView, SqlModels};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_sql_models)).routes(routes!(find_sql_model))
}

/// Lists the SQL models with their sources, and what is wrong with their files.
#[utoipa::path(get, path = "/api/sql-models", responses((status = 200, body = SqlModels)))]
async fn list_sql_models(State(app): State<App>) -> ApiResult<SqlModels> {
    Ok(Json(app.sql_models.list_sql_models().await?))
}

/// Shows a SQL model: its query, columns and tests.
#[utoipa::path(get, path = "/api/sql-models/{name}", params(("name" = String, Path)), responses((status = 200, body = SqlModelView)))]
async fn find_sql_model(State(app): State<App>, Path(name): Path<String>) -> ApiResult<SqlModelView> {
    let found = app.sql_models.find_sql_model(&name).await?;
    Ok(Json(found.ok_or_else(|| ApiError::unknown("SQL model", &name))?))
}
