//! Two runs beside each other.

use axum::Json;
use axum::extract::{Path, State};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::runs::{run_row, run_view};
use crate::app::App;
use crate::error::ApiResult;
use crate::present::compare::{differing, step_pairs};
use crate::views::compare::RunComparison;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(compare_runs))
}

/// Compares two runs: inputs, definitions, and each step's time, cost, outputs and numbers.
#[utoipa::path(get, path = "/api/runs/{id}/compare/{other}", params(("id" = String, Path), ("other" = String, Path)),
    responses((status = 200, body = RunComparison)))]
async fn compare_runs(
    State(app): State<App>,
    Path((id, other)): Path<(String, String)>,
) -> ApiResult<RunComparison> {
    let (a, b) = (run_row(&app, &id).await?, run_row(&app, &other).await?);
    let (a, b) = (run_view(&app, a).await?, run_view(&app, b).await?);
    Ok(Json(RunComparison {
        inputs: differing(&a.inputs.0, &b.inputs.0),
        steps: step_pairs(&a.steps, &b.steps),
        a: a.run,
        b: b.run,
        cost_a: a.cost,
        cost_b: b.cost,
        definition_a: a.definition,
        definition_b: b.definition,
    }))
}
