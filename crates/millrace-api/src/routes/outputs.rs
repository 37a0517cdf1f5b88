//! What steps left: tables, reports.

use std::path::PathBuf;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use millrace_contract::{StepOutcome, TableRef};
use millrace_metastore::runs::StepRunRow;
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::problem::Problem;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::table;
use crate::views::json::Json as AnyJson;

/// Largest document that is read for a page.
const MAX_DOCUMENT: u64 = 32 * 1024 * 1024;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read_output))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OutputQuery {
    /// Rows of a table; 50 if absent, at most 1,000.
    limit: Option<usize>,
}

/// Shows an output: the first rows of a table, the document of a report or of metrics, otherwise the value.
#[utoipa::path(get, path = "/api/runs/{id}/steps/{step}/outputs/{output}",
    params(("id" = String, Path), ("step" = String, Path), ("output" = String, Path), OutputQuery),
    responses((status = 200, body = AnyJson)))]
async fn read_output(
    State(app): State<App>,
    Path((id, step, output)): Path<(String, String, String)>,
    query: Result<Query<OutputQuery>, QueryRejection>,
) -> ApiResult<Value> {
    let limit = query?.0.limit.unwrap_or(50).min(1_000);
    let row = step_row(&app, &id, &step).await?;
    let outcome: StepOutcome = match &row.outcome {
        Some(text) => serde_json::from_str(text)?,
        None => StepOutcome::default(),
    };
    let value = outcome.outputs.get(&output).ok_or_else(|| ApiError::unknown("output", &output))?;
    let Some(asset) = Asset::from_value(value) else { return Ok(Json(value.clone())) };
    if let Some(table) = TableRef::of(&asset) {
        let rows = app.query.scan(&table, None, Some(limit + 1)).await?;
        return Ok(Json(serde_json::to_value(table::preview(rows, limit).await?)?));
    }
    if matches!(asset.kind, AssetType::Metrics | AssetType::Report | AssetType::File)
        && let Some(path) = asset.uri.strip_prefix("file://")
    {
        return read_document(PathBuf::from(path)).await.map(Json);
    }
    Ok(Json(value.clone()))
}

async fn read_document(path: PathBuf) -> Result<Value, ApiError> {
    let size = fs_err::tokio::metadata(&path).await.map_err(|_| gone())?.len();
    if size > MAX_DOCUMENT {
        let message = format!("the document has {size} bytes, more than a page can show");
        return Err(Problem::error("document-too-large", message).into());
    }
    let bytes = fs_err::tokio::read(&path).await.map_err(|_| gone())?;
    Ok(serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned())))
}

fn gone() -> ApiError {
    let problem =
        Problem::error("output-gone", "the file of this output is gone").hint("run the pipeline again");
    ApiError::new(axum::http::StatusCode::GONE, problem)
}

async fn step_row(app: &App, id: &str, step: &str) -> Result<StepRunRow, ApiError> {
    let found = app.engine.store().find_step_run(id.to_owned(), step.to_owned()).await?;
    found.ok_or_else(|| ApiError::unknown("step", step))
}
