//! `GET /api/events`: what changes, as server-sent events.
//!
//! Runs and their steps are told of one by one; what clients change by its noun (`tracking`, `trace`, `model`, …), every two seconds at most.
//!
//! The events only tell that something is stale; a client that missed some reads again. A receiver that lags gets `lagged` instead of
//! what it missed, so a slow reader costs no memory.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use millrace_orchestration::{RunEvent, RunEventKind};
use serde::Deserialize;
use tokio_stream::wrappers::BroadcastStream;

use crate::app::App;
use crate::changes::GATHER;
use crate::views::workspace::EventView;

const HEARTBEAT: Duration = Duration::from_secs(15);

/// Which events.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct EventFilter {
    /// Only of this run.
    run: Option<String>,
}

pub(crate) async fn follow_events(
    State(app): State<App>,
    Query(filter): Query<EventFilter>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stop = app.stop.clone();
    // Who follows one run is told of it alone.
    let changes: BoxStream<'static, Event> = match &filter.run {
        Some(_) => futures::stream::empty().boxed(),
        None => {
            let app = app.clone();
            app.changes().follow(GATHER).map(move |noun| told(&app, noun.word(), String::new())).boxed()
        }
    };
    let events = BroadcastStream::new(app.engine.subscribe()).filter_map(move |event| {
        let told = match event {
            Ok(event) if filter.run.as_ref().is_none_or(|run| *run == event.run_id) => {
                Some(tell(&app, &event))
            }
            Ok(_) => None,
            Err(_) => Some(Event::default().event("lagged").data("{}")),
        };
        std::future::ready(told.map(Ok))
    });
    let ended = async move { stop.cancelled().await };
    let all = futures::stream::select(events, changes.map(Ok));
    Sse::new(all.take_until(ended)).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}

fn tell(app: &App, event: &RunEvent) -> Event {
    let kind = match &event.kind {
        RunEventKind::RunChanged { .. } => "run",
        RunEventKind::StepChanged { .. } | RunEventKind::StepProgress { .. } => "step",
    };
    told(app, kind, event.run_id.clone())
}

fn told(app: &App, kind: &'static str, id: String) -> Event {
    let view = EventView { kind: kind.to_owned(), id, at: app.clock.now().to_string() };
    let data = serde_json::to_string(&view).unwrap_or_default();
    Event::default().event(kind).data(data)
}
