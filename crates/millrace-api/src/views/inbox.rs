//! What happened elsewhere, and what became of it.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::json::Json;

/// An event in the inbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct InboxEventView {
    /// 32 hex digits.
    pub id: String,
    /// Pipeline of the trigger that it is for.
    pub pipeline: String,
    /// Name of the trigger.
    pub trigger: String,
    /// What happened: `github.push`, `file.created`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it happened.
    pub source: String,
    /// What it happened to.
    pub subject: Option<String>,
    /// `waiting`, `held`, `started`, `filtered` or `dead`.
    pub status: String,
    /// Why it is held, started nothing, or failed.
    pub why: Option<String>,
    /// Tries that failed.
    pub attempts: u32,
    /// How often the same came again.
    pub repeats: u32,
    /// The run that it started.
    pub run_id: Option<String>,
    /// RFC 3339.
    pub received_at: String,
    /// RFC 3339; when it is tried again, if it is.
    pub next_at: Option<String>,
    /// RFC 3339.
    pub settled_at: Option<String>,
}

/// Some events, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct InboxPage {
    /// The events.
    pub events: Vec<InboxEventView>,
    /// `after` of the next page.
    pub next: Option<String>,
    /// How many events are in each state.
    pub counts: Vec<InboxCount>,
}

/// How many events are in a state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct InboxCount {
    /// The state.
    pub status: String,
    /// How many.
    pub events: u32,
}

/// An event with all that its source told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct InboxEventDetail {
    /// The event.
    pub event: InboxEventView,
    /// What `event` is in expressions.
    pub value: Json,
}

/// A trigger that waits for events, and how its source does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct EventTriggerView {
    /// Pipeline.
    pub pipeline: String,
    /// Name of the trigger.
    pub trigger: String,
    /// `webhook`, `git`, `blob`, …
    pub kind: String,
    /// What it watches, in a few words.
    pub watches: String,
    /// Where requests go, if it takes some.
    pub hook: Option<String>,
    /// RFC 3339; when its source was read or found changed last, if it is asked.
    pub asked_at: Option<String>,
    /// RFC 3339; when its source told of something last.
    pub found_at: Option<String>,
    /// Why its source could not be asked.
    pub error: Option<String>,
}
