//! Triggers and windows: how they are, and what a person asks of them.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use millrace_metastore::windows::{WindowFilter, WindowRow};
use millrace_orchestration::{
    OrchestrationError, RangeRequest, TriggerStatus, backfill, cancel_range, list_triggers, rerun_range,
    window_dependencies, written_window,
};
use millrace_spec::pipeline::Pipeline;
use millrace_spec::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::{count, instant};
use crate::views::triggers::{
    LastFiringView, TriggerStatusView, UpcomingView, WindowCount, WindowDependencyView, WindowListView,
    WindowRange, WindowView, WindowsChanged,
};

/// Instants of a schedule that a page shows.
const UPCOMING: usize = 10;
/// Windows that one answer has at most.
const MOST_WINDOWS: i64 = 5_000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_all_triggers))
        .routes(routes!(pause_trigger))
        .routes(routes!(resume_trigger))
        .routes(routes!(list_windows))
        .routes(routes!(rerun_windows))
        .routes(routes!(cancel_windows))
        .routes(routes!(backfill_windows))
}

/// Lists every trigger with its health.
#[utoipa::path(get, path = "/api/triggers", responses((status = 200, body = [TriggerStatusView])))]
async fn list_all_triggers(State(app): State<App>) -> ApiResult<Vec<TriggerStatusView>> {
    let triggers = list_triggers(app.engine.store(), &*app.triggers, app.clock.now(), UPCOMING).await?;
    Ok(Json(triggers.into_iter().map(status_view).collect()))
}

/// Pauses a trigger. Nothing is owed for the pause.
#[utoipa::path(post, path = "/api/pipelines/{name}/triggers/{trigger}/pause",
    params(("name" = String, Path), ("trigger" = String, Path)), responses((status = 200, body = TriggerStatusView)))]
async fn pause_trigger(
    State(app): State<App>,
    Path((name, trigger)): Path<(String, String)>,
) -> ApiResult<TriggerStatusView> {
    set_paused(&app, &name, &trigger, true).await
}

/// Lets a paused trigger go on.
#[utoipa::path(post, path = "/api/pipelines/{name}/triggers/{trigger}/resume",
    params(("name" = String, Path), ("trigger" = String, Path)), responses((status = 200, body = TriggerStatusView)))]
async fn resume_trigger(
    State(app): State<App>,
    Path((name, trigger)): Path<(String, String)>,
) -> ApiResult<TriggerStatusView> {
    set_paused(&app, &name, &trigger, false).await
}

async fn set_paused(app: &App, name: &str, trigger: &str, paused: bool) -> ApiResult<TriggerStatusView> {
    let pipeline = pipeline(app, name).await?;
    if !pipeline.triggers.contains_key(trigger) {
        return Err(ApiError::unknown("trigger", trigger));
    }
    let now = app.clock.now();
    let store = app.engine.store();
    store.pause_trigger(name.to_owned(), trigger.to_owned(), paused, now.as_microsecond()).await?;
    app.engine.wake_triggers();
    let listed = list_triggers(store, &*app.triggers, now, UPCOMING).await?;
    let found = listed.into_iter().find(|status| status.pipeline == name && status.trigger == trigger);
    found.map(|status| Json(status_view(status))).ok_or_else(|| ApiError::unknown("trigger", trigger))
}

/// Which windows are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
struct WindowQuery {
    /// Only of this trigger.
    trigger: Option<String>,
    /// At most so many, the newest.
    limit: Option<u32>,
}

/// Lists the windows of a pipeline, oldest first.
#[utoipa::path(get, path = "/api/pipelines/{name}/windows", params(("name" = String, Path), WindowQuery),
    responses((status = 200, body = WindowListView)))]
async fn list_windows(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(query): Query<WindowQuery>,
) -> ApiResult<WindowListView> {
    let pipeline = pipeline(&app, &name).await?;
    let limit = query.limit.map_or(1_000, i64::from).clamp(1, MOST_WINDOWS);
    let filter =
        WindowFilter { pipeline: name.clone(), trigger: query.trigger, limit, ..WindowFilter::default() };
    let rows = app.engine.store().list_windows(filter).await?;
    let statuses = list_triggers(app.engine.store(), &*app.triggers, app.clock.now(), 0).await?;
    let all = app.triggers.pipelines().await;
    let dependencies = window_dependencies(&all);
    let zone = &app.workspace.timezone;
    Ok(Json(WindowListView {
        triggers: statuses
            .into_iter()
            .filter(|status| status.pipeline == name && status.kind == "window")
            .map(status_view)
            .collect(),
        dependents: {
            let waits = dependencies.iter().filter(|edge| edge.parent == name && edge.pipeline != name);
            let mut names: Vec<String> = waits.map(|edge| edge.pipeline.clone()).collect();
            names.sort_unstable();
            names.dedup();
            names
        },
        dependencies: dependencies
            .into_iter()
            .filter(|edge| edge.pipeline == name)
            .map(|edge| WindowDependencyView {
                trigger: edge.trigger,
                pipeline: edge.parent,
                offset: edge.offset,
                size: edge.size,
                require: edge.require,
            })
            .collect(),
        windows: rows.iter().map(|row| window_view(&pipeline, zone, row)).collect(),
    }))
}

/// Asks for windows again that are over.
#[utoipa::path(post, path = "/api/pipelines/{name}/windows/rerun", request_body = WindowRange, params(("name" = String, Path)),
    responses((status = 200, body = WindowsChanged)))]
async fn rerun_windows(
    State(app): State<App>,
    Path(name): Path<String>,
    body: Result<Json<WindowRange>, JsonRejection>,
) -> ApiResult<WindowsChanged> {
    let (pipeline, request) = (pipeline(&app, &name).await?, range(body?.0));
    let zone = &app.workspace.timezone;
    changed(&app, rerun_range(app.engine.store(), &pipeline, zone, &request, app.clock.now()).await)
}

/// Cancels windows: those that wait, and the runs of those that go on.
#[utoipa::path(post, path = "/api/pipelines/{name}/windows/cancel", request_body = WindowRange, params(("name" = String, Path)),
    responses((status = 200, body = WindowsChanged)))]
async fn cancel_windows(
    State(app): State<App>,
    Path(name): Path<String>,
    body: Result<Json<WindowRange>, JsonRejection>,
) -> ApiResult<WindowsChanged> {
    let (pipeline, request) = (pipeline(&app, &name).await?, range(body?.0));
    let zone = &app.workspace.timezone;
    changed(&app, cancel_range(app.engine.store(), &pipeline, zone, &request, app.clock.now()).await)
}

/// Runs the windows of a range, also before the trigger's beginning, and those again that are over.
#[utoipa::path(post, path = "/api/pipelines/{name}/backfill", request_body = WindowRange, params(("name" = String, Path)),
    responses((status = 200, body = WindowsChanged)))]
async fn backfill_windows(
    State(app): State<App>,
    Path(name): Path<String>,
    body: Result<Json<WindowRange>, JsonRejection>,
) -> ApiResult<WindowsChanged> {
    let (pipeline, request) = (pipeline(&app, &name).await?, range(body?.0));
    let zone = &app.workspace.timezone;
    let rows = backfill(app.engine.store(), &pipeline, zone, &request, app.clock.now()).await;
    changed(&app, rows.map(|rows| rows.len() as u64))
}

fn changed(app: &App, count: Result<u64, OrchestrationError>) -> ApiResult<WindowsChanged> {
    app.engine.wake_triggers();
    Ok(Json(WindowsChanged { windows: u32::try_from(count?).unwrap_or(u32::MAX) }))
}

fn range(range: WindowRange) -> RangeRequest {
    RangeRequest { trigger: range.trigger, from: range.from, until: range.until }
}

async fn pipeline(app: &App, name: &str) -> Result<Pipeline, ApiError> {
    let definition =
        app.definitions.definition(name).await.ok_or_else(|| ApiError::unknown("pipeline", name))?;
    definition.pipeline.ok_or_else(|| {
        let problem = Problem::error("invalid-pipeline", format!("`{name}` cannot be read"));
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, problem.hint("millrace check"))
    })
}

fn status_view(status: TriggerStatus) -> TriggerStatusView {
    TriggerStatusView {
        pipeline: status.pipeline,
        trigger: status.trigger,
        kind: status.kind.to_owned(),
        rule: status.rule,
        description: status.description,
        timezone: status.timezone,
        paused: status.paused,
        next_at: status.next_at.map(|at| at.to_string()),
        upcoming: status
            .upcoming
            .into_iter()
            .map(|preview| UpcomingView {
                at: preview.at.to_string(),
                local: preview.local,
                clock_change: preview.clock_change,
            })
            .collect(),
        last: status.last.map(|last| LastFiringView {
            at: last.at.to_string(),
            run_id: last.run_id,
            status: last.state,
            note: last.note,
        }),
        overdue_since: status.overdue_since.map(|since| since.to_string()),
        why: status.why,
        windows: status
            .windows
            .into_iter()
            .map(|(state, windows)| WindowCount { state, windows: count(windows) })
            .collect(),
    }
}

fn window_view(pipeline: &Pipeline, zone: &str, row: &WindowRow) -> WindowView {
    let (start, end) = written_window(pipeline, zone, row);
    WindowView {
        trigger: row.trigger.clone(),
        start,
        end,
        state: row.state.clone(),
        reason: row.reason.clone(),
        attempt: count(row.attempt),
        run_id: row.run_id.clone(),
        due_at: instant(row.due_at),
    }
}
