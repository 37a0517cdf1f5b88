//! Pipeline runs: lists, details, what can be done to them, logs.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use millrace_metastore::runs::PipelineRunRow;
use millrace_metastore::runs_read::RunFilter;
use millrace_orchestration::state::RunState;
use millrace_orchestration::{RerunOf, why_waiting};
use millrace_spec::ids::StepKey;
use millrace_spec::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::runs as present;
use crate::views::json::JsonMap;
use crate::views::runs::{RunPage, RunSummary, RunView, WhyView};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_runs))
        .routes(routes!(find_run))
        .routes(routes!(cancel_run))
        .routes(routes!(rerun))
        .routes(routes!(explain_run))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RunQuery {
    /// Only of this pipeline.
    pipeline: Option<String>,
    /// Only in this state.
    status: Option<String>,
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
    let given = |value: Option<String>| value.filter(|value| !value.is_empty());
    let state = given(query.status);
    if let Some(word) = state.as_deref().filter(|word| RunState::parse(word).is_none()) {
        return Err(Problem::error("invalid-query", format!("`{word}` is not a state of runs")).into());
    }
    let before = match given(query.after) {
        Some(token) => Some(read_token(&token)?),
        None => None,
    };
    // One more than asked for tells whether there is a next page.
    let parent = given(query.parent).map(|run| (run, given(query.step)));
    let filter = RunFilter {
        pipeline: given(query.pipeline),
        state,
        before,
        parent,
        all: query.all,
        limit: limit + 1,
    };
    let mut rows = app.engine.store().list_pipeline_runs(filter).await?;
    let more = rows.len() as i64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = rows.last().filter(|_| more).map(|row| format!("{}-{}", row.created_at, row.id));
    let runs = summaries(&app, rows).await?;
    Ok(Json(RunPage { total: runs.len() as u32, runs, next }))
}

fn read_token(token: &str) -> Result<(i64, String), ApiError> {
    let parts = token.split_once('-').and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
    parts.ok_or_else(|| Problem::error("invalid-query", "`after` is not a token of an earlier page").into())
}

/// Shows a run with its steps.
#[utoipa::path(get, path = "/api/runs/{id}", params(("id" = String, Path)), responses((status = 200, body = RunView)))]
async fn find_run(State(app): State<App>, Path(id): Path<String>) -> ApiResult<RunView> {
    let row = run_row(&app, &id).await?;
    let store = app.engine.store();
    let steps = store.list_step_runs(id.clone()).await?;
    let attempts = store.list_step_attempts(id.clone()).await?;
    let experiment = store.find_tracked_run(id.clone()).await?.map(|run| run.experiment_id);
    let tracked = store.list_nested_runs(id.clone()).await?;
    let pipeline = present::definition(&row)?;
    let mut views = Vec::with_capacity(steps.len());
    let counts = store.count_step_items(id.clone()).await?;
    for step in &steps {
        let at_the_end = pipeline.finally.values().find(|found| found.id.as_str() == step.step);
        let found = pipeline.steps.values().find(|found| found.id.as_str() == step.step).or(at_the_end);
        let progress = app.engine.progress(&id, &step.step).filter(|_| step.state == "running");
        let mut view = present::step_view(step, found, at_the_end.is_some(), &attempts, progress, &tracked)?;
        if step.items_total.is_some() {
            let failures = super::run_items::first_failures(&app, &id, &step.step).await?;
            view.items = present::items_view(step, counts.get(&step.step), &failures);
        }
        if step.kind == "pipeline" {
            view.sub_run = super::run_items::sub_run(&app, &id, &step.step).await?;
        }
        views.push(view);
    }
    let yaml = app.definitions.definition(&row.pipeline).await.map(|definition| definition.yaml);
    Ok(Json(RunView {
        run: present::run_summary(&row, &steps, now_of(&app)),
        inputs: JsonMap(present::inputs(&row)?),
        steps: views,
        yaml: yaml.unwrap_or_default(),
        command: format!("millrace run {}", row.pipeline),
        experiment_id: experiment.map(|id| id.to_string()),
    }))
}

/// Asks a run to end.
#[utoipa::path(post, path = "/api/runs/{id}/cancel", params(("id" = String, Path)),
    responses((status = 200, body = RunSummary)))]
async fn cancel_run(State(app): State<App>, Path(id): Path<String>) -> ApiResult<RunSummary> {
    app.engine.cancel(&id).await?;
    summary(&app, &id).await.map(Json)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RerunQuery {
    /// Only what did not succeed, and what comes after it; the rest is taken over.
    #[serde(default)]
    failed: bool,
    /// This step and what comes after it, and what did not succeed; the rest is taken over.
    from: Option<String>,
}

/// Starts the pipeline again as its file is now, with the inputs of this run; what did not change is reused.
#[utoipa::path(post, path = "/api/runs/{id}/rerun", params(("id" = String, Path), RerunQuery),
    responses((status = 200, body = RunSummary)))]
async fn rerun(
    State(app): State<App>,
    Path(id): Path<String>,
    query: Result<Query<RerunQuery>, QueryRejection>,
) -> ApiResult<RunSummary> {
    let Query(query) = query?;
    let row = run_row(&app, &id).await?;
    let current = app.definitions.definition(&row.pipeline).await.and_then(|definition| definition.pipeline);
    let what = match (query.from.filter(|step| !step.is_empty()), query.failed) {
        (Some(step), _) => RerunOf::From(step),
        (None, true) => RerunOf::Failed,
        (None, false) => RerunOf::Everything,
    };
    let started = app.engine.rerun(&id, what, current).await?;
    summary(&app, &started).await.map(Json)
}

/// Says why each step ran, was reused, was skipped or waits.
#[utoipa::path(get, path = "/api/runs/{id}/why", params(("id" = String, Path)), responses((status = 200, body = [WhyView])))]
async fn explain_run(State(app): State<App>, Path(id): Path<String>) -> ApiResult<Vec<WhyView>> {
    let row = run_row(&app, &id).await?;
    let steps = app.engine.store().list_step_runs(id).await?;
    let mut views = Vec::with_capacity(steps.len());
    for step in &steps {
        let decision = step.reuse.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let mut why = present::why(step, decision.as_ref());
        why.extend(why_waiting(app.engine.store(), &row, &steps, step).await?);
        views.push(WhyView { step: step.step.clone(), status: step.state.clone(), why });
    }
    Ok(Json(views))
}

/// Microseconds since 1970.
pub(crate) fn now_of(app: &App) -> i64 {
    app.clock.now().as_microsecond()
}

pub(crate) async fn run_row(app: &App, id: &str) -> Result<PipelineRunRow, ApiError> {
    app.engine.store().find_pipeline_run(id.to_owned()).await?.ok_or_else(|| ApiError::unknown("run", id))
}

pub(crate) async fn summary(app: &App, id: &str) -> Result<RunSummary, ApiError> {
    let row = run_row(app, id).await?;
    let steps = app.engine.store().list_step_runs(id.to_owned()).await?;
    Ok(present::run_summary(&row, &steps, now_of(app)))
}

pub(crate) async fn summaries(app: &App, rows: Vec<PipelineRunRow>) -> Result<Vec<RunSummary>, ApiError> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let steps = app.engine.store().list_step_runs(row.id.clone()).await?;
        found.push(present::run_summary(&row, &steps, now_of(app)));
    }
    Ok(found)
}

/// A step or an item of one as a path says it.
pub(crate) fn step_key(step: &str) -> Result<StepKey, ApiError> {
    step.parse().map_err(|_| ApiError::unknown("step", step))
}
