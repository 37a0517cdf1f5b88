//! Environments that are deployed into. Their rules stand in a file; here they are shown.

use axum::Json;
use axum::extract::State;
use millrace_metastore::approvals::{ApprovalFilter, approval_state};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::ApiResult;
use crate::present::environments::environment;
use crate::views::environments::EnvironmentView;

/// Approvals that are counted.
const MOST: i64 = 1_000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_environments))
}

/// Lists the environments with their rules, in the order of the file.
#[utoipa::path(get, path = "/api/environments", responses((status = 200, body = [EnvironmentView])))]
async fn list_environments(State(app): State<App>) -> ApiResult<Vec<EnvironmentView>> {
    let all = app.environments.list().await.map_err(|problem| *problem)?;
    let state = Some(approval_state::WAITING.to_owned());
    let filter = ApprovalFilter { state, limit: MOST, ..ApprovalFilter::default() };
    let waiting = app.engine.store().list_approvals(filter).await?;
    let of =
        |name: &str| waiting.iter().filter(|row| row.environment.as_deref() == Some(name)).count() as u32;
    Ok(Json(
        all.into_iter()
            .map(|status| {
                let waiting = of(&status.name);
                environment(status, waiting)
            })
            .collect(),
    ))
}
