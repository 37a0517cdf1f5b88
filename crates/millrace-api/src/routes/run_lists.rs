//! Runs as a list: searched, page by page, cancelled together.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use jiff::Timestamp;
use millrace_metastore::runs_search::{RunListRow, RunSearch};
use millrace_orchestration::state::RunState;
use millrace_spec::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::runs::now_of;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::runs as present;
use crate::views::runs::{CancelRuns, CancelledRuns, NotCancelled, RunPage, RunSummary};

/// Runs that are cancelled together at most.
const MOST_CANCELLED: usize = 500;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_runs)).routes(routes!(cancel_runs))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RunQuery {
    /// Only of these pipelines, separated by commas.
    pipeline: Option<String>,
    /// Only in these states, separated by commas.
    status: Option<String>,
    /// Only started by these, separated by commas: `manual`, `cron`, `rerun`, …
    trigger: Option<String>,
    /// Only made at or after this instant, RFC 3339.
    since: Option<String>,
    /// Only made before this instant, RFC 3339.
    until: Option<String>,
    /// In the id from its beginning, or anywhere in the pipeline's name, the inputs or the problem, whatever the case.
    text: Option<String>,
    /// Only those that steps of this run started.
    parent: Option<String>,
    /// Only those that this step of it started, with its item: `score[3]`.
    step: Option<String>,
    /// Also those that steps of other runs started.
    #[serde(default)]
    all: bool,
    /// `next` of the page before.
    after: Option<String>,
    /// Runs a page; 50 if absent, at most 500.
    limit: Option<i64>,
}

/// Lists runs, newest first.
#[utoipa::path(get, path = "/api/runs", params(RunQuery), responses((status = 200, body = RunPage)))]
async fn list_runs(
    State(app): State<App>,
    query: Result<Query<RunQuery>, QueryRejection>,
) -> ApiResult<RunPage> {
    let Query(query) = query?;
    let limit = query.limit.unwrap_or(50).clamp(1, 500);
    let states = words(query.status);
    if let Some(word) = states.iter().find(|word| RunState::parse(word).is_none()) {
        return Err(Problem::error("invalid-query", format!("`{word}` is not a state of runs")).into());
    }
    let search = RunSearch {
        pipelines: words(query.pipeline),
        states,
        causes: words(query.trigger),
        since: given(query.since).map(|text| instant("since", &text)).transpose()?,
        until: given(query.until).map(|text| instant("until", &text)).transpose()?,
        text: given(query.text),
        parent: given(query.parent).map(|run| (run, given(query.step))),
        all: query.all,
        before: given(query.after).map(|token| read_token(&token)).transpose()?,
        // One more than asked for tells whether there is a next page.
        limit: limit + 1,
    };
    let mut rows = app.engine.store().search_pipeline_runs(search).await?;
    let more = rows.len() as i64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = rows.last().filter(|_| more).map(|row| format!("{}-{}", row.created_at, row.id));
    let runs = listed(&app, rows).await?;
    Ok(Json(RunPage { total: runs.len() as u32, runs, next }))
}

fn given(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty())
}

fn words(list: Option<String>) -> Vec<String> {
    let list = list.unwrap_or_default();
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn instant(name: &str, text: &str) -> Result<i64, ApiError> {
    text.parse().map(Timestamp::as_microsecond).map_err(|_| {
        let problem = Problem::error("invalid-query", format!("`{name}` is not an instant: `{text}`"));
        problem.hint(format!("{name}=2026-03-01T06:00:00Z")).into()
    })
}

fn read_token(token: &str) -> Result<(i64, String), ApiError> {
    let parts = token.split_once('-').and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
    parts.ok_or_else(|| Problem::error("invalid-query", "`after` is not a token of an earlier page").into())
}

/// The runs of a list with how far they are.
pub(crate) async fn listed(app: &App, rows: Vec<RunListRow>) -> Result<Vec<RunSummary>, ApiError> {
    let ids = rows.iter().map(|row| row.id.clone()).collect();
    let counts = app.engine.store().count_steps(ids).await?;
    let none = Vec::new();
    Ok(rows
        .iter()
        .map(|row| present::listed_run(row, counts.get(&row.id).unwrap_or(&none), now_of(app)))
        .collect())
}

/// Asks some runs to end, and says which of them cannot be.
#[utoipa::path(post, path = "/api/runs/cancel", request_body = CancelRuns, responses((status = 200, body = CancelledRuns)))]
async fn cancel_runs(
    State(app): State<App>,
    body: Result<Json<CancelRuns>, JsonRejection>,
) -> ApiResult<CancelledRuns> {
    let Json(CancelRuns { runs }) = body?;
    if runs.len() > MOST_CANCELLED {
        let message = format!(
            "{} runs are more than {MOST_CANCELLED}, which are cancelled together at most",
            runs.len()
        );
        return Err(Problem::error("invalid-body", message).into());
    }
    let mut done = CancelledRuns { cancelled: Vec::new(), failed: Vec::new() };
    for run in runs {
        match app.engine.cancel(&run).await {
            Ok(()) => done.cancelled.push(run),
            Err(error) => {
                let problem = ApiError::from(error).into_problem().into();
                done.failed.push(NotCancelled { run, problem });
            }
        }
    }
    Ok(Json(done))
}
