//! What is known of every trigger: when it fires next, when it did last, and why it does not.

use std::collections::HashMap;

use jiff::Timestamp;
use millrace_metastore::Metastore;
use millrace_metastore::schedules::{LastFiringRow, TriggerStateRow};
use millrace_spec::pipeline::Pipeline;
use millrace_spec::problem::Problem;
use millrace_spec::schedule::{Calendars, Preview, Schedule};
use millrace_spec::triggers::Trigger;

use super::{PipelineSource, overdue_since};
use crate::error::OrchestrationError;
use crate::windows::{instant, series_of};

/// The next instants of a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextFiring {
    /// Name of the trigger.
    pub trigger: String,
    /// When.
    pub at: Timestamp,
}

/// The newest firing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFiring {
    /// The instant, or the window's beginning.
    pub at: Timestamp,
    /// The run that it started.
    pub run_id: Option<String>,
    /// That run's state word.
    pub state: Option<String>,
    /// Why it started none.
    pub note: Option<String>,
}

/// A trigger as listings and pages show it.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerStatus {
    /// Pipeline name.
    pub pipeline: String,
    /// Trigger name.
    pub trigger: String,
    /// The kind's word.
    pub kind: &'static str,
    /// The rule as written, in short.
    pub rule: String,
    /// The rule in words.
    pub description: String,
    /// IANA zone.
    pub timezone: String,
    /// Whether somebody paused it.
    pub paused: bool,
    /// When it is expected next.
    pub next_at: Option<Timestamp>,
    /// The next instants, as an editor shows them.
    pub upcoming: Vec<Preview>,
    /// The newest firing.
    pub last: Option<LastFiring>,
    /// Since when it should have fired.
    pub overdue_since: Option<Timestamp>,
    /// Why it does not fire, or did not last time.
    pub why: Option<String>,
    /// Windows by state word.
    pub windows: Vec<(String, i64)>,
}

impl TriggerStatus {
    /// Whether it waits for something that happens, and not for a time.
    pub fn is_event(&self) -> bool {
        !matches!(self.kind, "cron" | "every" | "window")
    }
}

/// The next `count` instants of every trigger of a pipeline after `after`, soonest first: those of its schedules, and the ends of its
/// windows.
///
/// # Errors
/// If a rule, a zone or a calendar is not valid.
pub fn next_firings(
    pipeline: &Pipeline,
    default_zone: &str,
    calendars: &Calendars,
    after: Timestamp,
    count: usize,
) -> Result<Vec<NextFiring>, Problem> {
    let mut firings = Vec::new();
    for (name, trigger) in &pipeline.triggers {
        let firing = |at: Timestamp| NextFiring { trigger: name.clone(), at };
        if let Some(window) = trigger.window() {
            let series = series_of(window, default_zone).map_err(|problem| *problem)?;
            let first = series.first_from(after).saturating_sub(1).max(0);
            let ends =
                (first..).map_while(|k| series.at(k)).map(|window| window.end).filter(|end| *end > after);
            firings.extend(ends.take(count).map(firing));
            continue;
        }
        let id = format!("{}/{name}", pipeline.name);
        if let Some(schedule) = Schedule::of(&id, trigger, default_zone, calendars) {
            let schedule = schedule.map_err(|problem| *problem)?;
            firings.extend(schedule.after(after).take(count).map(firing));
        }
    }
    firings.sort_by_key(|firing| firing.at);
    Ok(firings)
}

/// Every trigger of the workspace, by pipeline; `upcoming` instants of each.
///
/// # Errors
/// If the database fails.
pub async fn list_triggers(
    store: &Metastore,
    source: &dyn PipelineSource,
    now: Timestamp,
    upcoming: usize,
) -> Result<Vec<TriggerStatus>, OrchestrationError> {
    let read = OrchestrationError::store;
    let (pipelines, calendars) = (source.pipelines().await, source.calendars().await);
    let states = store.list_trigger_states().await.map_err(read("read the triggers' states"))?;
    let states: HashMap<(&str, &str), &TriggerStateRow> =
        states.iter().map(|state| ((&*state.pipeline, &*state.trigger), state)).collect();
    let firings = store.last_firings().await.map_err(read("read the last firings"))?;
    let firings: HashMap<(&str, &str), &LastFiringRow> =
        firings.iter().map(|firing| ((&*firing.pipeline, &*firing.trigger), firing)).collect();
    let mut listed = Vec::new();
    for pipeline in &pipelines {
        for (name, trigger) in &pipeline.triggers {
            let key = (pipeline.name.as_str(), name.as_str());
            let mut status = describe(pipeline, (name, trigger), source, &calendars, now, upcoming);
            if let Some(state) = states.get(&key) {
                status.paused = state.paused;
                status.overdue_since = overdue_since(state, now);
                status.next_at = state.next_at.map(instant).filter(|next| *next > now).or(status.next_at);
                status.why = status.why.or_else(|| state.note.clone());
            }
            if status.is_event() && status.why.is_none() {
                // Why its source cannot be asked.
                let cursor = store.find_event_cursor(pipeline.name.to_string(), name.clone()).await;
                status.why =
                    cursor.map_err(read("read how far sources were read"))?.and_then(|row| row.error);
            }
            status.last = firings.get(&key).map(|firing| last_firing(firing));
            if trigger.window().is_some() {
                let counted = store.count_windows(pipeline.name.to_string(), name.clone()).await;
                status.windows = counted.map_err(read("count the windows"))?;
            }
            if status.paused {
                status.why = Some("it is paused".to_owned());
                status.next_at = None;
            } else if status.overdue_since.is_some() && status.why.is_none() {
                status.why = Some("no server ran at that time, or it could not fire".to_owned());
            }
            listed.push(status);
        }
    }
    Ok(listed)
}

/// A trigger's rule in words, as far as it can be said without the workspace's calendars.
pub fn describe_trigger(trigger: &Trigger, default_zone: &str) -> String {
    if let Some(window) = trigger.window() {
        return format!("once for each {} from {}", window.window, String::from(window.from.clone()));
    }
    if let Trigger::Event(event) = trigger {
        return format!("{} {}", event.source.word(), event.source.watches());
    }
    let mut trigger = trigger.clone();
    trigger.forget_calendar();
    match Schedule::of("", &trigger, default_zone, &Calendars::new()) {
        Some(Ok(schedule)) => schedule.describe(),
        _ => trigger.word().to_owned(),
    }
}

fn describe(
    pipeline: &Pipeline,
    (name, trigger): (&str, &Trigger),
    source: &dyn PipelineSource,
    calendars: &Calendars,
    now: Timestamp,
    upcoming: usize,
) -> TriggerStatus {
    let default_zone = source.timezone();
    let mut status = TriggerStatus {
        pipeline: pipeline.name.to_string(),
        trigger: name.to_owned(),
        kind: trigger.word(),
        rule: String::new(),
        description: String::new(),
        timezone: default_zone.clone(),
        paused: false,
        next_at: None,
        upcoming: Vec::new(),
        last: None,
        overdue_since: None,
        why: None,
        windows: Vec::new(),
    };
    if let Some(window) = trigger.window() {
        status.rule = window.window.to_string();
        status.description = describe_trigger(trigger, &default_zone);
        status.timezone = window.timezone.clone().unwrap_or_else(|| default_zone.clone());
        match next_firings(pipeline, &default_zone, calendars, now, 1) {
            Ok(ends) => status.next_at = ends.iter().find(|next| next.trigger == name).map(|next| next.at),
            Err(problem) => status.why = Some(problem.message),
        }
        return status;
    }
    if matches!(trigger, Trigger::Event(_)) {
        status.description = describe_trigger(trigger, &default_zone);
        status.rule = status.description.clone();
        return status;
    }
    match Schedule::of(&format!("{}/{name}", pipeline.name), trigger, &default_zone, calendars) {
        Some(Ok(schedule)) => {
            let (rule, zone) = schedule.text.rsplit_once(' ').unwrap_or((&schedule.text, ""));
            (status.rule, status.timezone) = (rule.to_owned(), zone.to_owned());
            status.description = schedule.describe();
            status.upcoming = schedule.preview(now, upcoming);
            status.next_at = schedule.next(now).map(|at| schedule.begins(at));
            if status.next_at.is_none() {
                status.why = Some("its rule has no further instant".to_owned());
            }
        }
        Some(Err(problem)) => status.why = Some(problem.message),
        None => {}
    }
    status
}

fn last_firing(row: &LastFiringRow) -> LastFiring {
    let (run_id, state) = row.run.clone().unzip();
    LastFiring { at: instant(row.instant), run_id, state, note: row.note.clone() }
}
