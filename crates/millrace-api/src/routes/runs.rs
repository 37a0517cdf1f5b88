//! Pipeline runs: their pages, and what can be done to them.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use millrace_metastore::runs::PipelineRunRow;
use millrace_orchestration::{RerunOf, why_late, why_waiting};
use millrace_spec::ids::StepKey;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wait::{WaitQuery, until_over};
use crate::accounts::Caller;
use crate::actor::person;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::definition::definition_text;
use crate::present::runs as present;
use crate::views::json::JsonMap;
use crate::views::runs::{RunSummary, RunView, WhyView};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(find_run))
        .routes(routes!(cancel_run))
        .routes(routes!(rerun))
        .routes(routes!(explain_run))
}

/// Shows a run with its steps; with `wait`, as soon as it is over or the time is up.
#[utoipa::path(get, path = "/api/runs/{id}", params(("id" = String, Path), WaitQuery),
    responses((status = 200, body = RunView)))]
async fn find_run(
    State(app): State<App>,
    Path(id): Path<String>,
    query: Result<Query<WaitQuery>, QueryRejection>,
) -> ApiResult<RunView> {
    let Query(query) = query?;
    if let Some(wait) = query.duration()? {
        until_over(&app, &id, wait).await?;
    }
    let row = run_row(&app, &id).await?;
    run_view(&app, row).await.map(Json)
}

pub(crate) async fn run_view(app: &App, row: PipelineRunRow) -> Result<RunView, ApiError> {
    let id = row.id.clone();
    let store = app.engine.store();
    let steps = store.list_step_runs(id.clone()).await?;
    let attempts = store.list_step_attempts(id.clone()).await?;
    let experiment = store.find_tracked_run(id.clone()).await?.map(|run| run.experiment_id);
    let tracked = store.list_nested_runs(id.clone()).await?;
    let pipeline = present::definition(&row)?;
    let mut views = Vec::with_capacity(steps.len());
    let counts = store.count_step_items(id.clone()).await?;
    let costs = store.step_costs(id.clone()).await?;
    for step in &steps {
        let at_the_end = pipeline.finally.values().find(|found| found.id.as_str() == step.step);
        let found = pipeline.steps.values().find(|found| found.id.as_str() == step.step).or(at_the_end);
        let progress = app.engine.progress(&id, &step.step).filter(|_| step.state == "running");
        let mut view = present::step_view(step, found, at_the_end.is_some(), &attempts, progress, &tracked)?;
        view.cost = present::cost_view(&present::sum(costs.get(&step.step)));
        if step.items_total.is_some() {
            let failures = super::run_items::first_failures(app, &id, &step.step).await?;
            view.items = present::items_view(step, counts.get(&step.step), &failures);
        }
        if step.kind == "pipeline" {
            view.sub_run = super::run_items::sub_run(app, &id, &step.step).await?;
        }
        views.push(view);
    }
    let yaml = app.definitions.definition(&row.pipeline).await.map(|definition| definition.yaml);
    let cost = present::sum(costs.values());
    Ok(RunView {
        run: present::run_summary(&row, &steps, now_of(app)),
        inputs: JsonMap(present::inputs(&row)?),
        steps: views,
        cost: present::cost_view(&cost),
        critical_path: present::critical_path(&row, &steps, &pipeline, now_of(app)),
        yaml: yaml.unwrap_or_default(),
        definition: definition_text(&pipeline)?,
        command: format!("millrace run {}", row.pipeline),
        experiment_id: experiment.map(|id| id.to_string()),
    })
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
    Extension(caller): Extension<Caller>,
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
    let user = person(&app, &caller, None)?.name;
    let started = Box::pin(app.engine.rerun(&id, what, current, &user)).await?;
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
        why.extend(why_waiting(app.engine.store(), &row, &steps, step, now_of(&app)).await?);
        if step.ended_at.is_none() {
            why.extend(why_late(&row, now_of(&app)));
        }
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

/// A step or an item of one as a path says it.
pub(crate) fn step_key(step: &str) -> Result<StepKey, ApiError> {
    step.parse().map_err(|_| ApiError::unknown("step", step))
}
