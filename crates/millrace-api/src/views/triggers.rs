//! Triggers and windows.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

/// One of the next instants of a schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct UpcomingView {
    /// RFC 3339, UTC.
    pub at: String,
    /// The same in the trigger's zone.
    pub local: String,
    /// What a change of the clock has to do with it.
    pub clock_change: Option<String>,
}

/// The newest firing of a trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct LastFiringView {
    /// The instant it stands for, RFC 3339.
    pub at: String,
    /// The run that it started.
    pub run_id: Option<String>,
    /// That run's state word.
    pub status: Option<String>,
    /// Why it started none.
    pub note: Option<String>,
}

/// How many windows are in a state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct WindowCount {
    /// The state's word.
    pub state: String,
    /// How many.
    pub windows: u32,
}

/// A trigger and how it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TriggerStatusView {
    /// Its pipeline.
    pub pipeline: String,
    /// Its key.
    pub trigger: String,
    /// The kind's word: `cron`, `every`, `window`, …
    pub kind: String,
    /// The rule as written, in short.
    pub rule: String,
    /// The rule in words.
    pub description: String,
    /// IANA zone.
    pub timezone: String,
    /// Whether somebody paused it.
    pub paused: bool,
    /// When it is expected next, RFC 3339.
    pub next_at: Option<String>,
    /// The next instants.
    pub upcoming: Vec<UpcomingView>,
    /// The newest firing.
    pub last: Option<LastFiringView>,
    /// Since when it should have fired, RFC 3339.
    pub overdue_since: Option<String>,
    /// Why it does not fire, or did not last time.
    pub why: Option<String>,
    /// Its windows by state.
    pub windows: Vec<WindowCount>,
}

/// A window of a trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct WindowView {
    /// Its trigger.
    pub trigger: String,
    /// Its first instant, RFC 3339 in the trigger's zone.
    pub start: String,
    /// The instant after its last.
    pub end: String,
    /// `waiting`, `waiting_on_dependency`, `running`, `succeeded`, `failed`, `cancelled` or `stale`.
    pub state: String,
    /// Why it is in that state.
    pub reason: Option<String>,
    /// Runs begun for it.
    pub attempt: u32,
    /// The newest of them.
    pub run_id: Option<String>,
    /// When it may run, RFC 3339.
    pub due_at: String,
}

/// A dependency of a trigger's windows, in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct WindowDependencyView {
    /// The trigger that waits.
    pub trigger: String,
    /// The pipeline that it waits for; its own for an earlier window.
    pub pipeline: String,
    /// Where the interval begins that it waits for, from the window's beginning.
    pub offset: String,
    /// How long that interval is.
    pub size: String,
    /// `all`, `at least 2`, `all but 1`.
    pub require: String,
}

/// The windows of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct WindowListView {
    /// Its triggers with windows.
    pub triggers: Vec<TriggerStatusView>,
    /// What they wait for.
    pub dependencies: Vec<WindowDependencyView>,
    /// Pipelines whose windows wait for these.
    pub dependents: Vec<String>,
    /// Oldest first; if there are more than were asked for, the newest of them.
    pub windows: Vec<WindowView>,
}

/// A range of windows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema, TS)]
#[serde(default, deny_unknown_fields)]
pub struct WindowRange {
    /// Which trigger; the first with windows if absent.
    #[ts(optional)]
    pub trigger: Option<String>,
    /// The first day, local time or instant.
    pub from: String,
    /// The last day, included, or the instant that it ends before; the one window that `from` is in if absent.
    #[ts(optional)]
    pub until: Option<String>,
}

/// How many windows a request was about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct WindowsChanged {
    /// How many.
    pub windows: u32,
}
