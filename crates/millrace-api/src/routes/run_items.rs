//! Items of steps, page by page, and the runs that steps started.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use millrace_metastore::runs::StepRunRow;
use millrace_metastore::runs_items::ItemFilter;
use millrace_metastore::runs_search::RunSearch;
use millrace_orchestration::state::StepState;
use millrace_spec::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::runs::{run_row, summary};
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::runs as present;
use crate::views::runs::{ItemPage, RunSummary};

/// Failed items that a run's page shows of each step.
const FIRST_FAILURES: i64 = 5;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_items)).routes(routes!(pause_run)).routes(routes!(resume_run))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ItemQuery {
    /// Only in this state; `failed` also has those that timed out or were rejected.
    status: Option<String>,
    /// `next` of the page before.
    after: Option<u32>,
    /// Items a page; 100 if absent, at most 1,000.
    limit: Option<i64>,
}

/// Lists the items of a step that have begun, in order.
#[utoipa::path(get, path = "/api/runs/{id}/steps/{step}/items", params(("id" = String, Path), ("step" = String, Path), ItemQuery),
    responses((status = 200, body = ItemPage)))]
async fn list_items(
    State(app): State<App>,
    Path((id, step)): Path<(String, String)>,
    query: Result<Query<ItemQuery>, QueryRejection>,
) -> ApiResult<ItemPage> {
    let Query(query) = query?;
    run_row(&app, &id).await?;
    let store = app.engine.store();
    let row = store.find_step_run(id.clone(), step.clone()).await?;
    if row.is_none() {
        return Err(ApiError::unknown("step", &step));
    }
    let limit = query.limit.unwrap_or(100).clamp(1, 1_000);
    let states = match query.status.filter(|word| !word.is_empty()) {
        None => Vec::new(),
        Some(word) => states(&word)?,
    };
    // One more than asked for tells whether there is a next page.
    let filter = ItemFilter { states, after: query.after.map(Into::into), limit: limit + 1 };
    let mut rows = store.list_step_items(id, step, filter).await?;
    let more = rows.len() as i64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let items = rows.iter().map(present::item_view).collect::<Result<Vec<_>, _>>()?;
    let next = items.last().filter(|_| more).map(|item| item.index);
    Ok(Json(ItemPage { items, next }))
}

fn states(word: &str) -> Result<Vec<String>, ApiError> {
    let state = StepState::parse(word)
        .ok_or_else(|| Problem::error("invalid-query", format!("`{word}` is not a state of steps")))?;
    if state == StepState::Failed {
        return Ok(failures());
    }
    Ok(vec![word.to_owned()])
}

fn failures() -> Vec<String> {
    let all = StepState::ALL.into_iter().filter(|state| state.is_failure());
    all.map(|state| state.as_str().to_owned()).collect()
}

/// The first items of a step that failed.
pub(crate) async fn first_failures(app: &App, run: &str, step: &str) -> Result<Vec<StepRunRow>, ApiError> {
    let filter = ItemFilter { states: failures(), after: None, limit: FIRST_FAILURES };
    Ok(app.engine.store().list_step_items(run.to_owned(), step.to_owned(), filter).await?)
}

/// The newest run that a step started.
pub(crate) async fn sub_run(app: &App, run: &str, step: &str) -> Result<Option<String>, ApiError> {
    let parent = Some((run.to_owned(), Some(step.to_owned())));
    let search = RunSearch { parent, limit: 1, ..RunSearch::default() };
    let found = app.engine.store().search_pipeline_runs(search).await?;
    Ok(found.into_iter().next().map(|row| row.id))
}

/// Holds a run: what runs goes on, nothing begins.
#[utoipa::path(post, path = "/api/runs/{id}/pause", params(("id" = String, Path)),
    responses((status = 200, body = RunSummary)))]
async fn pause_run(State(app): State<App>, Path(id): Path<String>) -> ApiResult<RunSummary> {
    app.engine.pause(&id).await?;
    summary(&app, &id).await.map(Json)
}

/// Lets a run that is held go on.
#[utoipa::path(post, path = "/api/runs/{id}/resume", params(("id" = String, Path)),
    responses((status = 200, body = RunSummary)))]
async fn resume_run(State(app): State<App>, Path(id): Path<String>) -> ApiResult<RunSummary> {
    app.engine.resume(&id).await?;
    summary(&app, &id).await.map(Json)
}
