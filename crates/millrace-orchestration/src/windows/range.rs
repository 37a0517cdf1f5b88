//! What a person asks of a range of windows: run them, run them again, cancel them.

use std::collections::HashSet;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::Timestamp;
use jiff::civil::Date;
use millrace_contract::Clock;
use millrace_metastore::Metastore;
use millrace_metastore::windows::{WindowFilter, WindowRow};
use millrace_spec::pipeline::Pipeline;
use millrace_spec::problem::Problem;
use millrace_spec::schedule::{Interval, WindowSeries};
use millrace_spec::triggers::Boundary;

use super::{Pass, PlannedWindow, planned_windows, series_of};
use crate::engine::Engine;
use crate::error::OrchestrationError;
use crate::triggers::{PipelineSource, ended_run};

/// Windows that one request may be about.
const MOST: usize = 100_000;
/// Longest time between two looks at windows that run.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// A range of windows of one trigger.
#[derive(Debug, Clone)]
pub struct RangeRequest {
    /// Which trigger; the first with windows if absent.
    pub trigger: Option<String>,
    /// The first day or instant.
    pub from: String,
    /// The last day, included, or the instant that it ends before; the window that `from` is in if absent.
    pub until: Option<String>,
}

struct Range {
    trigger: String,
    series: WindowSeries,
    interval: Interval,
}

impl Range {
    fn filter(&self, pipeline: &Pipeline) -> WindowFilter {
        WindowFilter {
            pipeline: pipeline.name.to_string(),
            trigger: Some(self.trigger.clone()),
            from: Some(self.interval.start.as_microsecond()),
            until: Some(self.interval.end.as_microsecond()),
            limit: i64::try_from(MOST).unwrap_or(i64::MAX),
        }
    }
}

/// Makes the windows of a range that are not there yet, and asks for those again that are over. Answers the range's windows, oldest first.
/// There are none before the trigger's `from`.
///
/// # Errors
/// If the range is none, reaches into the future, or the database fails.
pub async fn backfill(
    store: &Metastore,
    pipeline: &Pipeline,
    default_zone: &str,
    request: &RangeRequest,
    now: Timestamp,
) -> Result<Vec<WindowRow>, OrchestrationError> {
    let range = resolve(pipeline, default_zone, request)?;
    let there = store.list_windows(range.filter(pipeline)).await;
    let there = there.map_err(OrchestrationError::store("read the windows"))?;
    let complete = |window: &Interval| window.end <= now;
    let free = |window: &Interval| {
        !there.iter().any(|row| {
            Interval { start: super::instant(row.start), end: super::instant(row.end) }.overlaps(*window)
        })
    };
    let row = |window: Interval| WindowRow {
        pipeline: pipeline.name.to_string(),
        trigger: range.trigger.clone(),
        start: window.start.as_microsecond(),
        end: window.end.as_microsecond(),
        due_at: window.end.as_microsecond(),
        state: "waiting".to_owned(),
        reason: Some("asked for by a backfill".to_owned()),
        ..WindowRow::default()
    };
    let windows = range.series.overlapping(range.interval, MOST);
    let new: Vec<WindowRow> = windows.into_iter().filter(complete).filter(free).map(row).collect();
    if new.is_empty() && there.is_empty() {
        let place = match &request.until {
            Some(until) => format!("from {} to {until}", request.from),
            None => format!("at {}", request.from),
        };
        let command = format!("backfill {} --from", pipeline.name);
        let (trigger, series) = (range.trigger.as_str(), &range.series);
        let absent = Absent { pipeline, trigger, series, place, command: &command };
        let problem = match series.overlapping(range.interval, 1).is_empty() {
            true => absent.problem(series.index_of(range.interval.start) < 0),
            false => absent.incomplete(now),
        };
        return Err(OrchestrationError::Invalid(Box::new(problem)));
    }
    let micros = now.as_microsecond();
    store.insert_windows(new, micros).await.map_err(OrchestrationError::store("store the windows"))?;
    let asked =
        store.rerun_windows(range.filter(pipeline), "asked for by a backfill".to_owned(), micros).await;
    asked.map_err(OrchestrationError::store("ask for the windows again"))?;
    let rows = store.list_windows(range.filter(pipeline)).await;
    rows.map_err(OrchestrationError::store("read the windows"))
}

/// Asks for windows again that are over. Answers how many.
///
/// # Errors
/// If the range is none or the database fails.
pub async fn rerun_range(
    store: &Metastore,
    pipeline: &Pipeline,
    default_zone: &str,
    request: &RangeRequest,
    now: Timestamp,
) -> Result<u64, OrchestrationError> {
    let range = resolve(pipeline, default_zone, request)?;
    let asked =
        store.rerun_windows(range.filter(pipeline), "asked for again".to_owned(), now.as_microsecond());
    let count = asked.await.map_err(OrchestrationError::store("ask for the windows again"))?;
    Ok(count)
}

/// Cancels windows: those that wait, and the runs of those that go on. Answers how many.
///
/// # Errors
/// If the range is none or the database fails.
pub async fn cancel_range(
    store: &Metastore,
    pipeline: &Pipeline,
    default_zone: &str,
    request: &RangeRequest,
    now: Timestamp,
) -> Result<u64, OrchestrationError> {
    let range = resolve(pipeline, default_zone, request)?;
    let reason = "cancelled by hand".to_owned();
    let cancelled = store.cancel_windows(range.filter(pipeline), reason, now.as_microsecond()).await;
    let (mut count, runs) = cancelled.map_err(OrchestrationError::store("cancel the windows"))?;
    for run in runs {
        // The engine that has the run sees it with its next look at the window.
        let asked = store.request_run_cancel(run).await;
        count += u64::from(asked.map_err(OrchestrationError::store("cancel a window's run"))?);
    }
    Ok(count)
}

/// The windows of a range, for a listing of at most `limit`.
///
/// # Errors
/// If the range is none.
pub fn range_filter(
    pipeline: &Pipeline,
    default_zone: &str,
    request: &RangeRequest,
    limit: i64,
) -> Result<WindowFilter, OrchestrationError> {
    Ok(WindowFilter { limit, ..resolve(pipeline, default_zone, request)?.filter(pipeline) })
}

/// Runs the windows of a range that wait until nothing of it can go on, and answers them. For a command that is its own server.
///
/// # Errors
/// If the range is none or the database fails.
pub async fn run_range(
    engine: &Engine,
    source: &dyn PipelineSource,
    clock: &dyn Clock,
    pipeline: &Pipeline,
    request: &RangeRequest,
) -> Result<Vec<WindowRow>, OrchestrationError> {
    let zone = source.timezone();
    let range = resolve(pipeline, &zone, request)?;
    let all = planned_windows(&source.pipelines().await, &zone);
    let this =
        |planned: &&PlannedWindow| planned.pipeline.name == pipeline.name && planned.trigger == range.trigger;
    let Some(planned) = all.iter().find(this) else { return Ok(Vec::new()) };
    let mut told = HashSet::new();
    let mut events = engine.subscribe();
    loop {
        let now = clock.now();
        let mut pass = Pass { engine, all: &all, now, told: &mut told };
        let (running, next) = pass.look_at_range(planned, range.interval).await?;
        if running == 0 && next.is_none() {
            break;
        }
        let pause = next.map_or(LOOK_AGAIN, |next| next.duration_since(now).min(LOOK_AGAIN));
        tokio::select! {
            _ = ended_run(&mut events) => {}
            () = tokio::time::sleep(Duration::try_from(pause).unwrap_or_default()) => {}
        }
    }
    let rows = engine.store().list_windows(range.filter(pipeline)).await;
    rows.map_err(OrchestrationError::store("read the windows"))
}

fn resolve(
    pipeline: &Pipeline,
    default_zone: &str,
    request: &RangeRequest,
) -> Result<Range, OrchestrationError> {
    let invalid = |problem: Box<Problem>| OrchestrationError::Invalid(problem);
    let wanted = |name: &String| request.trigger.as_ref().is_none_or(|trigger| trigger == name);
    let found = pipeline
        .triggers
        .iter()
        .find_map(|(name, trigger)| Some((name.clone(), trigger.window().filter(|_| wanted(name))?)));
    let Some((trigger, window)) = found else {
        let message = match &request.trigger {
            Some(name) => format!("`{}` has no trigger `{name}` with windows", pipeline.name),
            None => format!("`{}` has no trigger with windows", pipeline.name),
        };
        return Err(invalid(Box::new(Problem::error("no-windows", message))));
    };
    let series = series_of(window, default_zone).map_err(invalid)?;
    let start = boundary(&series, &request.from).map_err(invalid)?;
    let index = series.index_of(start);
    if request.until.is_none() && series.at(index).is_none() {
        let (place, command) = (format!("at {}", request.from), format!("backfill {} --from", pipeline.name));
        let absent = Absent { pipeline, trigger: &trigger, series: &series, place, command: &command };
        return Err(invalid(Box::new(absent.problem(index < 0))));
    }
    let end = match &request.until {
        Some(until) if is_date(until) => series.moved(boundary(&series, until).map_err(invalid)?, one_day()),
        Some(until) => Some(boundary(&series, until).map_err(invalid)?),
        None => series.at(index).map(|window| window.end),
    };
    match end.filter(|end| *end > start) {
        Some(end) => Ok(Range { trigger, series, interval: Interval { start, end } }),
        None => Err(invalid(Box::new(Problem::error("empty-range", "the range ends before it begins")))),
    }
}

/// What was asked for in vain, for a problem that says so.
pub(super) struct Absent<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) trigger: &'a str,
    pub(super) series: &'a WindowSeries,
    /// `at 2026-03-01`.
    pub(super) place: String,
    /// The command with which a window is asked for, up to its time.
    pub(super) command: &'a str,
}

impl Absent<'_> {
    /// The trigger has no windows there: before its `from`, or after its `until`.
    pub(super) fn problem(&self, is_before: bool) -> Problem {
        let Self { pipeline, trigger, series, place, .. } = self;
        let none = format!("`{trigger}` of `{}` has no window {place}", pipeline.name);
        let edge = if is_before { series.at(0) } else { series.last_complete(Timestamp::MAX) };
        let Some(window) = edge else { return Problem::error("no-such-window", none) };
        let (edge, key) = if is_before { ("the first", "from") } else { ("the last", "until") };
        let message = format!("{none}: {edge} by its `{key}` is {}", self.written(window));
        let problem = Problem::error("no-such-window", message).hint(self.way(window));
        if !is_before {
            return problem;
        }
        problem
            .hint(format!("for earlier ones, write an earlier `from` for `{trigger}` into {}", pipeline.file))
    }

    /// The trigger has windows there, but none is over.
    fn incomplete(&self, now: Timestamp) -> Problem {
        let message = format!("no window of `{}` {} is complete", self.pipeline.name, self.place);
        let problem = Problem::error("no-such-window", message);
        match self.series.last_complete(now) {
            Some(last) => problem
                .note(format!("the newest complete one is {}", self.written(last)))
                .hint(self.way(last)),
            None => problem.note("none of the trigger's windows is complete yet"),
        }
    }

    fn written(&self, window: Interval) -> String {
        format!("{} to {}", self.series.written(window.start), self.series.written(window.end))
    }

    fn way(&self, window: Interval) -> String {
        format!("`millrace {} {}`", self.command, self.series.written(window.start))
    }
}

/// An instant, a local time or a date that a person wrote, in the zone of a series.
pub(super) fn boundary(series: &WindowSeries, text: &str) -> Result<Timestamp, Box<Problem>> {
    let problem = || {
        Box::new(
            Problem::error("not-a-time", format!("`{text}` is neither a date nor a time"))
                .hint("write `2026-03-01`, `2026-03-01T06:00` or `2026-03-01T05:00:00Z`"),
        )
    };
    let boundary = Boundary::try_from(text.to_owned()).map_err(|_| problem())?;
    boundary.starts(series.zone()).ok_or_else(problem)
}

fn is_date(text: &str) -> bool {
    text.trim().len() == 10 && text.trim().parse::<Date>().is_ok()
}

fn one_day() -> millrace_spec::period::Period {
    millrace_spec::period::Period { days: 1, ..millrace_spec::period::Period::ZERO }
}
