//! The inbox of event triggers: what happens elsewhere comes in at least once, and starts exactly one run.
//!
//! A request or a source's answer is stored before its sender is told so ([`Inbox::receive_hook`], `poller`). The `worker` then looks at
//! each event: filter, order, gathering; the run is stored in one transaction with the events that it is of, so that a kill between the
//! two neither loses nor doubles one. What fails is tried again five times and then kept as a dead letter.

mod book;
mod filter;
mod gather;
mod hook;
mod house;
mod poller;
mod worker;

use std::sync::Arc;

use millrace_contract::{Clock, Event, EventSources};
use millrace_metastore::inbox::{NewEventRow, ReceivedEvent};
use millrace_spec::pipeline::Pipeline;
use millrace_spec::triggers::Trigger;
use millrace_spec::triggers::event::EventTrigger;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::OrchestrationError;
use crate::triggers::PipelineSource;
use book::Book;
pub use hook::{HookRefusal, HookRequest};

/// Takes events in and starts their runs. Cheap to clone.
#[derive(Clone)]
pub struct Inbox {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    clock: Arc<dyn Clock>,
    book: Book,
    /// Sources outside of this workspace.
    sources: Arc<dyn EventSources>,
    /// Rung when something came.
    came: Notify,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inbox")
    }
}

impl Inbox {
    /// Makes the inbox; sources are asked and runs start once [`Inbox::run`] goes on, requests are taken at once.
    pub fn new(
        engine: Engine,
        pipelines: Arc<dyn PipelineSource>,
        sources: Arc<dyn EventSources>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let book = Book::new(pipelines, engine.secret_source(), clock.clone());
        Self { shared: Arc::new(Shared { engine, clock, book, sources, came: Notify::new() }) }
    }

    /// Asks sources and starts runs until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(worker::work(&self.shared, &stop), poller::watch(&self.shared, &stop));
    }

    /// Takes a request to `/hooks/PIPELINE/TRIGGER`. When this returns, its events are stored.
    ///
    /// # Errors
    /// [`HookError::Refused`] if it is not believed or cannot be read, [`HookError::Store`] if the database fails.
    pub async fn receive_hook(
        &self,
        pipeline: &str,
        trigger: &str,
        request: &HookRequest,
    ) -> Result<Vec<ReceivedEvent>, HookError> {
        let shared = &self.shared;
        let unknown = || HookRefusal::Unknown { pipeline: pipeline.to_owned(), trigger: trigger.to_owned() };
        let page = shared.book.page().await;
        let spec = page.event_trigger(pipeline, trigger).ok_or_else(unknown)?;
        if spec.source.webhook().is_none() {
            return Err(unknown().into());
        }
        let secret = spec.source.secret().and_then(|name| page.secret(name));
        let address = format!("/hooks/{pipeline}/{trigger}");
        let events = hook::read(&spec.source, secret, request, &address, shared.clock.now())?;
        let rows = events.iter().map(|event| new_row(pipeline, trigger, event)).collect();
        let received = shared.engine.store().receive_events(rows, shared.now()).await;
        let received = received.map_err(OrchestrationError::store("store the events of a request"))?;
        shared.came.notify_one();
        Ok(received)
    }

    /// Looks at a dead letter or a filtered event again; `false` if there is none with this id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn replay(&self, id: &str) -> Result<bool, OrchestrationError> {
        let replayed = self.shared.engine.store().replay_event(id.to_owned(), self.shared.now()).await;
        let replayed = replayed.map_err(OrchestrationError::store("replay the event"))?;
        self.shared.came.notify_one();
        Ok(replayed)
    }

    /// Says that events may have come in from elsewhere.
    pub fn wake(&self) {
        self.shared.came.notify_one();
    }
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The request is to blame.
    #[error(transparent)]
    Refused(#[from] HookRefusal),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] OrchestrationError),
}

impl Shared {
    fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }
}

/// The event trigger of a pipeline by its name.
fn event_trigger<'p>(pipeline: &'p Pipeline, name: &str) -> Option<&'p EventTrigger> {
    match pipeline.triggers.get(name)? {
        Trigger::Event(event) => Some(event),
        _ => None,
    }
}

fn new_row(pipeline: &str, trigger: &str, event: &Event) -> NewEventRow {
    NewEventRow {
        id: uuid::Uuid::now_v7().simple().to_string(),
        pipeline: pipeline.to_owned(),
        trigger: trigger.to_owned(),
        source: event.source.clone(),
        dedup_key: event.id.clone(),
        kind: event.kind.clone(),
        subject: event.subject.clone(),
        event: serde_json::to_string(event).unwrap_or_default(),
    }
}
