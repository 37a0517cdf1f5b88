//! The inbox of event triggers: what happened elsewhere, what became of it, and how far sources that have to be asked were read.
//!
//! An event is stored once for each trigger that it is for; the same again is counted and starts nothing. The run that it starts is
//! stored in one transaction with the event's new state. Documents are JSON that the orchestration room reads and writes.

mod read;
mod write;

/// Ids in one statement.
const CHUNK: usize = 500;

/// An event to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEventRow {
    /// 32 hex digits, in the order of arrival.
    pub id: String,
    /// Pipeline of the trigger.
    pub pipeline: String,
    /// Name of the trigger.
    pub trigger: String,
    /// Where it happened.
    pub source: String,
    /// Tells it from other events of the source.
    pub dedup_key: String,
    /// What happened.
    pub kind: String,
    /// What it happened to.
    pub subject: Option<String>,
    /// The event.
    pub event: String,
}

/// A row of `event_inbox`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// What came.
    pub new: NewEventRow,
    /// `waiting`, `held`, `started`, `filtered` or `dead`.
    pub state: String,
    /// Why it is held, was filtered out, or failed.
    pub reason: Option<String>,
    /// What it is serialised by.
    pub order_key: Option<String>,
    /// Tries that failed.
    pub attempts: i64,
    /// How often the same came again.
    pub repeats: i64,
    /// The run that it started.
    pub run_id: Option<String>,
    /// When it came; microseconds since 1970, as all instants.
    pub received_at: i64,
    /// When it is looked at next.
    pub next_at: i64,
    /// When it was over.
    pub settled_at: Option<i64>,
}

/// An event that passed its filter and waits for others or for its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldEvent {
    /// Its id.
    pub id: String,
    /// What it is serialised by.
    pub order_key: Option<String>,
    /// When it came.
    pub received_at: i64,
}

/// What became of an event that was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedEvent {
    /// Its id in the inbox; that of the earlier one if it came again.
    pub id: String,
    /// Whether it had come before.
    pub repeated: bool,
}

/// What is next for an event that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventVerdict {
    /// It passed its filter and waits until `next_at` at the latest.
    Held {
        /// What it is serialised by.
        order_key: Option<String>,
        /// When to look again.
        next_at: i64,
    },
    /// It starts nothing.
    Filtered {
        /// Why.
        reason: String,
    },
    /// It failed: tried again at `next_at`, or never if there is none.
    Failed {
        /// Why.
        reason: String,
        /// When it is tried again.
        next_at: Option<i64>,
    },
}

/// A row of `event_cursor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventCursorRow {
    /// Pipeline of the trigger.
    pub pipeline: String,
    /// Name of the trigger.
    pub trigger: String,
    /// The source as it was written when this began; another one begins anew.
    pub rule: String,
    /// How far it was read, a document of the source.
    pub position: String,
    /// When it was asked last.
    pub asked_at: i64,
    /// When it told of something last.
    pub found_at: Option<i64>,
    /// Why it could not be asked last time.
    pub error: Option<String>,
    /// Since when it cannot be asked. The store counts it: what is given here is not looked at.
    pub failing_since: Option<i64>,
}

/// Which events a listing wants.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only of this pipeline.
    pub pipeline: Option<String>,
    /// Only of this trigger.
    pub trigger: Option<String>,
    /// Only in this state.
    pub state: Option<String>,
    /// Only older ones than this: received at, id.
    pub before: Option<(i64, String)>,
    /// At most so many.
    pub limit: i64,
}

/// Placeholders of so many values.
fn marks(count: usize, first: usize) -> String {
    (first..first + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}
