//! The inbox of event triggers: what happened elsewhere, what became of it, dead letters and their replay.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use millrace_contract::Event;
use millrace_metastore::inbox::{EventFilter, EventRow};
use millrace_spec::problem::Problem;
use millrace_spec::triggers::Trigger;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::{count, instant};
use crate::views::inbox::{EventTriggerView, InboxCount, InboxEventDetail, InboxEventView, InboxPage};
use crate::views::json::Json as AnyJson;

/// States of an event.
const STATES: [&str; 5] = ["waiting", "held", "started", "filtered", "dead"];

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_inbox))
        .routes(routes!(find_event))
        .routes(routes!(replay_event))
        .routes(routes!(list_event_triggers))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct InboxQuery {
    /// Only of this pipeline.
    pipeline: Option<String>,
    /// Only of this trigger.
    trigger: Option<String>,
    /// Only in this state.
    status: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Events a page; 50 if absent, at most 500.
    limit: Option<i64>,
}

/// Lists the events that came, newest first.
#[utoipa::path(get, path = "/api/inbox", params(InboxQuery), responses((status = 200, body = InboxPage)))]
async fn list_inbox(
    State(app): State<App>,
    query: Result<Query<InboxQuery>, QueryRejection>,
) -> ApiResult<InboxPage> {
    let Query(query) = query?;
    let limit = query.limit.unwrap_or(50).clamp(1, 500);
    let given = |value: Option<String>| value.filter(|value| !value.is_empty());
    let state = given(query.status);
    if let Some(word) = state.as_deref().filter(|word| !STATES.contains(word)) {
        let problem = Problem::error("invalid-query", format!("`{word}` is not a state of events"));
        return Err(problem.hint(format!("states are {}", STATES.join(", "))).into());
    }
    let before = match given(query.after) {
        Some(token) => {
            let parts = token.split_once('-').and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
            Some(parts.ok_or_else(|| {
                ApiError::from(Problem::error("invalid-query", "`after` is not a token of an earlier page"))
            })?)
        }
        None => None,
    };
    let filter = EventFilter {
        pipeline: given(query.pipeline),
        trigger: given(query.trigger),
        state,
        before,
        limit: limit + 1,
    };
    let store = app.engine.store();
    let mut rows = store.list_events(filter).await?;
    let more = rows.len() as i64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = rows.last().filter(|_| more).map(|row| format!("{}-{}", row.received_at, row.new.id));
    let counts = store.count_events().await?;
    let counts = counts.into_iter().map(|(status, events)| InboxCount { status, events: count(events) });
    Ok(Json(InboxPage { events: rows.into_iter().map(view).collect(), next, counts: counts.collect() }))
}

/// Shows an event with all that its source told.
#[utoipa::path(get, path = "/api/inbox/{id}", params(("id" = String, Path)), responses((status = 200, body = InboxEventDetail)))]
async fn find_event(State(app): State<App>, Path(id): Path<String>) -> ApiResult<InboxEventDetail> {
    let row = event_row(&app, &id).await?;
    let event: Event = serde_json::from_str(&row.new.event)?;
    Ok(Json(InboxEventDetail { value: AnyJson(event.to_value()), event: view(row) }))
}

/// Looks at a dead letter again, or at an event that its trigger's filter left out, with the pipeline's file as it is now.
#[utoipa::path(post, path = "/api/inbox/{id}/replay", params(("id" = String, Path)), responses((status = 200, body = InboxEventView)))]
async fn replay_event(State(app): State<App>, Path(id): Path<String>) -> ApiResult<InboxEventView> {
    let row = event_row(&app, &id).await?;
    if !app.inbox.replay(&id).await? {
        let problem = Problem::error("not-replayable", format!("the event `{id}` is {}", row.state));
        let problem = problem.hint("only events that are dead or filtered are looked at again");
        return Err(ApiError::new(StatusCode::CONFLICT, problem));
    }
    Ok(Json(view(event_row(&app, &id).await?)))
}

/// Lists the triggers that wait for events, and how their sources do.
#[utoipa::path(get, path = "/api/event-triggers", responses((status = 200, body = [EventTriggerView])))]
async fn list_event_triggers(State(app): State<App>) -> ApiResult<Vec<EventTriggerView>> {
    let cursors = app.engine.store().list_event_cursors().await?;
    let mut views = Vec::new();
    for pipeline in
        app.definitions.definitions().await.into_iter().filter_map(|definition| definition.pipeline)
    {
        for (name, trigger) in &pipeline.triggers {
            let Trigger::Event(trigger) = trigger else { continue };
            let cursor = cursors
                .iter()
                .find(|cursor| cursor.pipeline == pipeline.name.as_str() && cursor.trigger == *name)
                .filter(|_| trigger.source.is_polled());
            let takes_requests = trigger.source.webhook().is_some();
            views.push(EventTriggerView {
                pipeline: pipeline.name.to_string(),
                trigger: name.clone(),
                kind: trigger.source.word().to_owned(),
                watches: trigger.source.watches(),
                hook: takes_requests.then(|| format!("/hooks/{}/{name}", pipeline.name)),
                asked_at: cursor.map(|cursor| instant(cursor.asked_at)),
                found_at: cursor.and_then(|cursor| cursor.found_at).map(instant),
                error: cursor.and_then(|cursor| cursor.error.clone()),
            });
        }
    }
    Ok(Json(views))
}

async fn event_row(app: &App, id: &str) -> Result<EventRow, ApiError> {
    let found = app.engine.store().find_events(vec![id.to_owned()]).await?;
    found.into_iter().next().ok_or_else(|| ApiError::unknown("event", id))
}

fn view(row: EventRow) -> InboxEventView {
    let waits = matches!(row.state.as_str(), "waiting" | "held");
    InboxEventView {
        id: row.new.id,
        pipeline: row.new.pipeline,
        trigger: row.new.trigger,
        kind: row.new.kind,
        source: row.new.source,
        subject: row.new.subject,
        status: row.state,
        why: row.reason,
        attempts: count(row.attempts),
        repeats: count(row.repeats),
        run_id: row.run_id,
        received_at: instant(row.received_at),
        next_at: waits.then(|| instant(row.next_at)),
        settled_at: row.settled_at.map(instant),
    }
}
