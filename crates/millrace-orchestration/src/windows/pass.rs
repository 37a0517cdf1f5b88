//! One look at the windows of a trigger: makes rows for what is over, takes in what runs left, starts what is due.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use millrace_metastore::schedules::TriggerStateRow;
use millrace_metastore::windows::{StaleRange, WindowChange, WindowFilter, WindowRow};
use millrace_spec::check_triggers::parent_trigger;
use millrace_spec::pipeline::Pipeline;
use millrace_spec::schedule::{Interval, WindowSeries};
use millrace_spec::triggers::{Dependency, OnTimeout, Rerun, Window};
use serde_json::json;

use super::dependencies::{MOST_PARENTS, affected, is_met, wanted};
use super::late::{self, Late};
use super::{RunWindow, instant};
use crate::engine::{Engine, RunRequest};
use crate::error::OrchestrationError;
use crate::firing::Started;
use crate::state::RunState;

/// Rows that one pass makes, and looks at.
const MOST_ROWS: i64 = 1_000;
/// Waiting windows that are looked at in one pass, the oldest first: each asks for the windows it waits for.
const MOST_LOOKED_AT: usize = 100;
/// How much older than `lateness` a window may be for late data to be told of, in lateness.
const LATE_ALERTS: i64 = 10;

/// A trigger with windows, ready to be looked at.
#[derive(Debug, Clone)]
pub(crate) struct PlannedWindow {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) trigger: String,
    pub(crate) window: Window,
    pub(crate) series: WindowSeries,
}

/// One look at all windows.
pub(crate) struct Pass<'a> {
    pub(crate) engine: &'a Engine,
    /// Every trigger with windows, since they wait for each other.
    pub(crate) all: &'a [PlannedWindow],
    pub(crate) now: Timestamp,
    /// Late data that was told of.
    pub(crate) told: &'a mut HashSet<String>,
}

/// What a look at one trigger's windows said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// When the next window is due.
    pub(crate) next_at: Option<Timestamp>,
    /// Since when a window waits longer than it should.
    pub(crate) overdue_since: Option<Timestamp>,
    /// Why nothing runs.
    pub(crate) note: Option<String>,
    /// Whether there is more to do at once.
    pub(crate) again: bool,
    /// Moves of windows that go together into one transaction.
    moves: Vec<WindowChange>,
}

impl Pass<'_> {
    /// Looks at the windows of one trigger.
    pub(crate) async fn look(
        &mut self,
        planned: &PlannedWindow,
        state: Option<&TriggerStateRow>,
    ) -> Result<Outlook, OrchestrationError> {
        let paused = state.is_some_and(|state| state.paused);
        let (until, again) = self.make_rows(planned, state).await?;
        self.take_in_late_data(planned).await?;
        let open = self.open_windows(planned).await?;
        let mut running = 0;
        for row in open.iter().filter(|row| row.state == "running") {
            running += u32::from(!self.settle(planned, row).await?);
        }
        let mut outlook = Outlook { again, ..Outlook::default() };
        if !paused {
            for row in open.iter().filter(|row| row.state != "running").take(MOST_LOOKED_AT) {
                self.advance(planned, row, &mut running, &mut outlook).await?;
            }
        }
        let moves = std::mem::take(&mut outlook.moves);
        if !moves.is_empty() {
            self.change(moves, Vec::new()).await?;
        }
        let upcoming = planned.series.at(planned.series.first_from(until));
        let upcoming = upcoming.map(|window| due(planned, window.end));
        outlook.next_at = outlook.next_at.or(upcoming);
        self.store_outlook(planned, state, until, &outlook).await?;
        Ok(outlook)
    }

    /// Looks only at the windows of a range that have rows. Answers how many of the trigger run, and when the next of the range may.
    pub(crate) async fn look_at_range(
        &mut self,
        planned: &PlannedWindow,
        range: Interval,
    ) -> Result<(u32, Option<Timestamp>), OrchestrationError> {
        let mut running = 0;
        for row in self.open_windows(planned).await?.iter().filter(|row| row.state == "running") {
            running += u32::from(!self.settle(planned, row).await?);
        }
        let mut outlook = Outlook::default();
        // Read again: what has just failed may be tried again.
        let open = self.open_windows(planned).await?;
        let inside = |row: &&WindowRow| row.state != "running" && interval(row).overlaps(range);
        for row in open.iter().filter(inside).take(MOST_LOOKED_AT) {
            self.advance(planned, row, &mut running, &mut outlook).await?;
        }
        if !outlook.moves.is_empty() {
            self.change(outlook.moves, Vec::new()).await?;
        }
        Ok((running, outlook.next_at.filter(|next| *next > self.now)))
    }

    /// Makes rows for windows that are over and have none. Answers the end of the last one, and whether there are more.
    async fn make_rows(
        &self,
        planned: &PlannedWindow,
        state: Option<&TriggerStateRow>,
    ) -> Result<(Timestamp, bool), OrchestrationError> {
        let series = &planned.series;
        let rule = series.text();
        let known = state.filter(|state| state.rule == rule).map(|state| instant(state.checked_until));
        // Windows of an earlier rule stay, and the new ones begin where those end.
        let taken: Vec<Interval> = match known {
            Some(_) => Vec::new(),
            None => self.list(planned, i64::MAX).await?.iter().map(interval).collect(),
        };
        let first = known.map_or(0, |known| series.first_from(known));
        let over = |window: &Interval| window.end <= self.now;
        let mut rows = Vec::new();
        let mut until = known.or_else(|| Some(series.at(0)?.start)).unwrap_or(self.now);
        let mut more = false;
        for window in (first..).map_while(|k| series.at(k)).take_while(over) {
            if rows.len() >= MOST_ROWS as usize {
                more = true;
                break;
            }
            until = window.end;
            if !overlaps_any(&taken, window) {
                rows.push(self.new_row(planned, window));
            }
        }
        if !rows.is_empty() {
            let stored = self.engine.store().insert_windows(rows, self.now.as_microsecond()).await;
            stored.map_err(OrchestrationError::store("store new windows"))?;
        }
        Ok((until, more))
    }

    fn new_row(&self, planned: &PlannedWindow, window: Interval) -> WindowRow {
        WindowRow {
            pipeline: planned.pipeline.name.to_string(),
            trigger: planned.trigger.clone(),
            start: window.start.as_microsecond(),
            end: window.end.as_microsecond(),
            due_at: due(planned, window.end).as_microsecond(),
            state: "waiting".to_owned(),
            ..WindowRow::default()
        }
    }

    /// Takes in how the run of a window ended. `false` if it goes on.
    async fn settle(&self, planned: &PlannedWindow, row: &WindowRow) -> Result<bool, OrchestrationError> {
        let run = row.run_id.as_deref().unwrap_or_default();
        let found = self.engine.store().find_pipeline_run(run.to_owned()).await;
        let found = found.map_err(OrchestrationError::store("read a window's run"))?;
        let state = found.as_ref().and_then(|run| RunState::parse(&run.state)).unwrap_or(RunState::Cancelled);
        if !state.is_final() {
            // Somebody may have asked for its end from outside this process.
            if found.is_some_and(|run| run.cancel_requested) {
                self.engine.cancel(run).await?;
            }
            return Ok(false);
        }
        let now = self.now.as_microsecond();
        let mut change = change(row, "succeeded");
        let mut stale = Vec::new();
        match state {
            RunState::Succeeded => {
                change.succeeded_at = Some(now);
                stale = self.dependents(planned, interval(row));
            }
            RunState::Cancelled => {
                change.state = "cancelled".to_owned();
                change.reason = Some(format!("the run {run} was cancelled"));
            }
            _ if row.tried <= i64::from(planned.window.retries()) => {
                change.state = "waiting".to_owned();
                change.reason = Some(format!(
                    "the run {run} failed; retry {} of {}",
                    row.tried,
                    planned.window.retries()
                ));
                change.retry_at = Some(now.saturating_add(planned.window.retry_delay().micros()));
            }
            _ => {
                change.state = "failed".to_owned();
                change.reason = Some(format!("the run {run} failed"));
            }
        }
        self.change(vec![change], stale).await?;
        Ok(true)
    }

    /// Windows that built on one that has just succeeded: those that had succeeded before it did are stale.
    fn dependents(&self, parent: &PlannedWindow, interval: Interval) -> Vec<StaleRange> {
        let mut stale = Vec::new();
        for child in self.all.iter().filter(|child| child.window.rerun != Rerun::Ignore) {
            for dependency in &child.window.after {
                let same = child.pipeline.name == parent.pipeline.name && child.trigger == parent.trigger;
                let on_parent = match &dependency.pipeline {
                    None => same,
                    Some(name) => {
                        *name == parent.pipeline.name
                            && parent_trigger(&parent.pipeline, dependency)
                                .is_ok_and(|(trigger, _)| trigger == parent.trigger)
                    }
                };
                if !on_parent {
                    continue;
                }
                for window in affected(&child.window, &child.series, dependency, interval) {
                    stale.push(StaleRange {
                        pipeline: child.pipeline.name.to_string(),
                        trigger: child.trigger.clone(),
                        from: window.start.as_microsecond(),
                        until: window.end.as_microsecond(),
                        again: child.window.rerun == Rerun::Auto,
                        reason: format!(
                            "`{}` ran again for {}",
                            parent.pipeline.name,
                            parent.series.written(interval.start)
                        ),
                    });
                }
            }
        }
        stale
    }

    /// Starts a window that waits, or says why it cannot begin.
    async fn advance(
        &self,
        planned: &PlannedWindow,
        row: &WindowRow,
        running: &mut u32,
        outlook: &mut Outlook,
    ) -> Result<(), OrchestrationError> {
        let due_at = due(planned, instant(row.end)).max(row.retry_at.map_or(Timestamp::MIN, instant));
        outlook.next_at = Some(outlook.next_at.map_or(due_at, |next| next.min(due_at)));
        if due_at > self.now {
            return Ok(());
        }
        let missing = self.missing(planned, row).await?;
        if let Some((dependency, reason)) = missing {
            return self.hold((planned, row), dependency, reason, running, outlook).await;
        }
        self.start_if_room(planned, row, running, outlook).await
    }

    async fn start_if_room(
        &self,
        planned: &PlannedWindow,
        row: &WindowRow,
        running: &mut u32,
        outlook: &mut Outlook,
    ) -> Result<(), OrchestrationError> {
        let most = planned.window.at_once();
        if *running < most {
            *running += u32::from(self.start(planned, row).await?);
            return Ok(());
        }
        let note = format!("{most} of at most {most} windows run");
        if row.state == "waiting_on_dependency" {
            outlook.moves.push(change(row, "waiting"));
        }
        outlook.note.get_or_insert(note);
        Ok(())
    }

    /// Keeps a window waiting for others, until its patience ends.
    async fn hold(
        &self,
        (planned, row): (&PlannedWindow, &WindowRow),
        dependency: &Dependency,
        reason: String,
        running: &mut u32,
        outlook: &mut Outlook,
    ) -> Result<(), OrchestrationError> {
        let now = self.now.as_microsecond();
        let since = row.waiting_since.unwrap_or(now);
        let waited = now.saturating_sub(since);
        let mut change = change(row, "waiting_on_dependency");
        change.waiting_since = Some(since);
        change.reason = Some(reason.clone());
        if waited > dependency.patience().micros() {
            let given_up = format!("{reason}; it has waited for {}", dependency.patience());
            match dependency.on_timeout {
                OnTimeout::Run => return self.start_if_room(planned, row, running, outlook).await,
                OnTimeout::Fail => change.state = "failed".to_owned(),
                OnTimeout::Skip => change.state = "cancelled".to_owned(),
            }
            change.reason = Some(given_up);
            change.waiting_since = None;
        } else {
            if waited > row.end.saturating_sub(row.start) {
                outlook.overdue_since.get_or_insert_with(|| instant(since));
            }
            outlook.note.get_or_insert(reason);
            if row.state == change.state && row.reason == change.reason {
                return Ok(());
            }
        }
        outlook.moves.push(change);
        Ok(())
    }

    /// The first dependency that is not met, and what is missing.
    async fn missing<'p>(
        &self,
        planned: &'p PlannedWindow,
        row: &WindowRow,
    ) -> Result<Option<(&'p Dependency, String)>, OrchestrationError> {
        let child = interval(row);
        for dependency in &planned.window.after {
            let parent = match &dependency.pipeline {
                None => Some(planned),
                Some(name) => self.parent(name.as_str(), dependency),
            };
            let Some(parent) = parent else {
                let name = dependency.pipeline.as_ref().map(ToString::to_string).unwrap_or_default();
                return Ok(Some((dependency, format!("waits for `{name}`, which has no windows"))));
            };
            let Some(wanted) = wanted(&planned.window, &planned.series, dependency, child) else { continue };
            let filter = WindowFilter {
                pipeline: parent.pipeline.name.to_string(),
                trigger: Some(parent.trigger.clone()),
                from: Some(wanted.start.as_microsecond()),
                until: Some(wanted.end.as_microsecond()),
                limit: MOST_PARENTS as i64,
            };
            let rows = self.engine.store().list_windows(filter).await;
            let rows = rows.map_err(OrchestrationError::store("read the windows that are waited for"))?;
            let name = parent.pipeline.name.as_str();
            if let Err(reason) = is_met(dependency, (name, &parent.series), wanted, &rows) {
                return Ok(Some((dependency, reason)));
            }
        }
        Ok(None)
    }

    fn parent(&self, name: &str, dependency: &Dependency) -> Option<&PlannedWindow> {
        let first = self.all.iter().find(|other| other.pipeline.name.as_str() == name)?;
        let (trigger, _) = parent_trigger(&first.pipeline, dependency).ok()?;
        self.all.iter().find(|other| other.pipeline.name.as_str() == name && other.trigger == trigger)
    }

    /// Starts the run of a window. `false` if another scheduler did.
    async fn start(&self, planned: &PlannedWindow, row: &WindowRow) -> Result<bool, OrchestrationError> {
        let interval = interval(row);
        let written = (planned.series.written(interval.start), planned.series.written(interval.end));
        let attempt = row.attempt + 1;
        let request = RunRequest {
            inputs: planned.window.inputs.clone(),
            cause: json!({"by": "window", "trigger": planned.trigger, "window": written.0, "attempt": attempt}),
            window: Some(RunWindow {
                trigger: planned.trigger.clone(),
                interval,
                written,
                attempt,
                takes: true,
            }),
            ..RunRequest::default()
        };
        match self.engine.begin(&planned.pipeline, request).await {
            Ok(started) => Ok(matches!(started, Started::New(_))),
            Err(OrchestrationError::Invalid(problem)) => {
                let mut change = change(row, "failed");
                change.reason = Some(problem.message.clone());
                self.change(vec![change], Vec::new()).await?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn take_in_late_data(&mut self, planned: &PlannedWindow) -> Result<(), OrchestrationError> {
        let Some(lateness) = planned.window.lateness else { return Ok(()) };
        let now = self.now.as_microsecond();
        let since = now.saturating_sub(lateness.micros().saturating_mul(LATE_ALERTS));
        let name = planned.pipeline.name.to_string();
        let changed = self.engine.store().changed_inputs(name, planned.trigger.clone(), since).await;
        let mut stale = Vec::new();
        for changed in changed.map_err(OrchestrationError::store("look for late data"))? {
            match late::judge(&planned.pipeline, &planned.trigger, &planned.window, &changed, now) {
                Some(Late::Stale(range)) => stale.push(range),
                Some(Late::TooLate(reason)) => {
                    let window = planned.series.written(instant(changed.start));
                    if self.told.insert(format!("{} {window} {reason}", planned.pipeline.name)) {
                        tracing::warn!(pipeline = %planned.pipeline.name, %window, "late data: {reason}");
                    }
                }
                None => {}
            }
        }
        if stale.is_empty() { Ok(()) } else { self.change(Vec::new(), stale).await }
    }

    async fn open_windows(&self, planned: &PlannedWindow) -> Result<Vec<WindowRow>, OrchestrationError> {
        let name = planned.pipeline.name.to_string();
        let open = self.engine.store().open_windows(name, planned.trigger.clone(), MOST_ROWS).await;
        open.map_err(OrchestrationError::store("read the windows"))
    }

    async fn list(&self, planned: &PlannedWindow, limit: i64) -> Result<Vec<WindowRow>, OrchestrationError> {
        let filter = WindowFilter {
            pipeline: planned.pipeline.name.to_string(),
            trigger: Some(planned.trigger.clone()),
            limit,
            ..WindowFilter::default()
        };
        self.engine.store().list_windows(filter).await.map_err(OrchestrationError::store("read the windows"))
    }

    async fn change(
        &self,
        changes: Vec<WindowChange>,
        stale: Vec<StaleRange>,
    ) -> Result<(), OrchestrationError> {
        let stored = self.engine.store().change_windows(changes, stale, self.now.as_microsecond()).await;
        stored.map(drop).map_err(OrchestrationError::store("store what became of a window"))
    }

    async fn store_outlook(
        &self,
        planned: &PlannedWindow,
        state: Option<&TriggerStateRow>,
        until: Timestamp,
        outlook: &Outlook,
    ) -> Result<(), OrchestrationError> {
        let row = TriggerStateRow {
            pipeline: planned.pipeline.name.to_string(),
            trigger: planned.trigger.clone(),
            rule: planned.series.text(),
            checked_until: until.as_microsecond(),
            paused: state.is_some_and(|state| state.paused),
            next_at: outlook.next_at.map(Timestamp::as_microsecond),
            overdue_since: outlook.overdue_since.map(Timestamp::as_microsecond),
            note: outlook.note.clone(),
        };
        if state == Some(&row) {
            return Ok(());
        }
        let stored = self.engine.store().store_trigger_states(vec![row]).await;
        stored.map_err(OrchestrationError::store("store the trigger's state"))
    }
}

/// When a window may run.
fn due(planned: &PlannedWindow, end: Timestamp) -> Timestamp {
    let delay = planned.window.delay.unwrap_or_default().micros();
    instant(end.as_microsecond().saturating_add(delay))
}

fn interval(row: &WindowRow) -> Interval {
    Interval { start: instant(row.start), end: instant(row.end) }
}

/// Whether one of some intervals, in order and apart, overlaps a window.
fn overlaps_any(taken: &[Interval], window: Interval) -> bool {
    let next = taken.partition_point(|other| other.end <= window.start);
    taken.get(next).is_some_and(|other| other.overlaps(window))
}

/// A window as it is, to be moved to another state.
fn change(row: &WindowRow, state: &str) -> WindowChange {
    WindowChange {
        pipeline: row.pipeline.clone(),
        trigger: row.trigger.clone(),
        start: row.start,
        was: row.state.clone(),
        state: state.to_owned(),
        reason: None,
        retry_at: None,
        waiting_since: None,
        succeeded_at: None,
    }
}
