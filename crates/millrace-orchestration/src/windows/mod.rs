//! Tumbling windows: which there are, what each waits for, and what becomes of it.
//!
//! A window is a row; every move of it is one transaction that names the state it starts from, so two schedulers cannot both make it. The
//! run of a window is stored together with the window's taking.

mod dependencies;
mod late;
mod pass;
mod range;

use std::sync::Arc;

use jiff::Timestamp;
use millrace_metastore::windows::{WindowRow, WindowRunRow};
use millrace_spec::pipeline::Pipeline;
use millrace_spec::problem::Problem;
use millrace_spec::schedule::{Interval, WindowSeries, find_zone};
use millrace_spec::triggers::{Require, Trigger, Window};
use serde_json::{Value, json};

pub(crate) use pass::{Pass, PlannedWindow};
pub use range::{RangeRequest, backfill, cancel_range, range_filter, rerun_range, run_range};

/// The window that a run is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunWindow {
    /// Trigger name.
    pub trigger: String,
    /// Its time.
    pub interval: Interval,
    /// Its time as expressions see it: first instant, instant after the last.
    pub written: (String, String),
    /// From 1.
    pub attempt: i64,
    /// Whether the run takes the window's row.
    pub takes: bool,
}

impl RunWindow {
    /// What `${{ window }}` is, as a run keeps it.
    pub(crate) fn document(&self) -> Value {
        json!({"trigger": self.trigger, "start": self.written.0, "end": self.written.1, "attempt": self.attempt})
    }

    /// The window of an earlier run, for one that does the same again; the window's row is not taken.
    pub(crate) fn of_document(document: &Value) -> Option<Self> {
        let text = |key: &str| document.get(key)?.as_str().map(str::to_owned);
        let (start, end) = (text("start")?, text("end")?);
        let interval = Interval { start: start.parse().ok()?, end: end.parse().ok()? };
        let attempt = document.get("attempt").and_then(Value::as_i64).unwrap_or(1);
        Some(Self { trigger: text("trigger")?, interval, written: (start, end), attempt, takes: false })
    }

    pub(crate) fn row(&self) -> WindowRunRow {
        WindowRunRow {
            trigger: self.trigger.clone(),
            start: self.interval.start.as_microsecond(),
            end: self.interval.end.as_microsecond(),
            attempt: self.attempt,
            takes: self.takes,
        }
    }
}

/// The first trigger of a pipeline that has windows.
pub(crate) fn first_series(pipeline: &Pipeline, default_zone: &str) -> Option<(String, WindowSeries)> {
    let (name, window) =
        pipeline.triggers.iter().find_map(|(name, trigger)| Some((name, trigger.window()?)))?;
    Some((name.clone(), series_of(window, default_zone).ok()?))
}

/// The trigger whose windows a pipeline's commands mean when they name none.
pub fn first_window_trigger(pipeline: &Pipeline) -> Option<&str> {
    pipeline.triggers.iter().find_map(|(name, trigger)| trigger.window().map(|_| name.as_str()))
}

/// Every trigger with windows whose rule can be read.
pub(crate) fn planned_windows(pipelines: &[Pipeline], default_zone: &str) -> Vec<PlannedWindow> {
    let mut planned = Vec::new();
    for pipeline in pipelines {
        let pipeline = Arc::new(pipeline.clone());
        for (name, trigger) in &pipeline.triggers {
            let Some(window) = trigger.window() else { continue };
            match series_of(window, default_zone) {
                Ok(series) => planned.push(PlannedWindow {
                    pipeline: pipeline.clone(),
                    trigger: name.clone(),
                    window: window.clone(),
                    series,
                }),
                Err(problem) => {
                    tracing::error!(pipeline = %pipeline.name, trigger = name, "a trigger is left out: {}", problem.message);
                }
            }
        }
    }
    planned
}

/// The windows of a trigger.
///
/// # Errors
/// If its zone is unknown or its beginning is no date.
pub(crate) fn series_of(window: &Window, default_zone: &str) -> Result<WindowSeries, Box<Problem>> {
    let zone = find_zone(window.timezone.as_deref().unwrap_or(default_zone))?;
    WindowSeries::new(window, zone)
        .ok_or_else(|| Box::new(Problem::error("bad-window", "`from` and `offset` lead beyond the calendar")))
}

/// The newest complete window of a pipeline, for a run that names none.
pub(crate) fn last_complete(pipeline: &Pipeline, default_zone: &str, now: i64) -> Option<RunWindow> {
    let (trigger, series) = first_series(pipeline, default_zone)?;
    let interval = series.last_complete(Timestamp::from_microsecond(now).ok()?)?;
    Some(by_hand(trigger, &series, interval))
}

/// The window of a pipeline that an instant or a date is in, for a run that a person starts.
///
/// # Errors
/// If the pipeline has no windows, or none there.
pub fn window_at(pipeline: &Pipeline, default_zone: &str, text: &str) -> Result<RunWindow, Box<Problem>> {
    let problem = |code: &str, message: String| Box::new(Problem::error(code, message));
    let (trigger, series) = first_series(pipeline, default_zone)
        .ok_or_else(|| problem("no-windows", format!("`{}` has no trigger with windows", pipeline.name)))?;
    let instant = range::boundary(&series, text)?;
    let index = series.index_of(instant);
    let interval = series.at(index).ok_or_else(|| {
        let command = format!("run {} --window", pipeline.name);
        let place = format!("at {text}");
        let absent = range::Absent { pipeline, trigger: &trigger, series: &series, place, command: &command };
        Box::new(absent.problem(index < 0))
    })?;
    Ok(by_hand(trigger, &series, interval))
}

fn by_hand(trigger: String, series: &WindowSeries, interval: Interval) -> RunWindow {
    let written = (series.written(interval.start), series.written(interval.end));
    RunWindow { trigger, interval, written, attempt: 1, takes: false }
}

/// Microseconds as an instant; the calendar's end for what is beyond it.
pub(crate) fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

/// One dependency between the windows of two triggers, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowEdge {
    /// The pipeline that waits.
    pub pipeline: String,
    /// Its trigger.
    pub trigger: String,
    /// The pipeline that it waits for.
    pub parent: String,
    /// Where the interval begins that it waits for, from the window's beginning.
    pub offset: String,
    /// How long that interval is.
    pub size: String,
    /// `all`, `at least 2`, `all but 1`.
    pub require: String,
}

/// Every dependency between windows.
pub fn window_dependencies(pipelines: &[Pipeline]) -> Vec<WindowEdge> {
    let mut edges = Vec::new();
    for pipeline in pipelines {
        let windows = pipeline.triggers.iter().filter_map(|(name, trigger)| Some((name, trigger.window()?)));
        for (name, window) in windows {
            for dependency in &window.after {
                let parent = dependency.pipeline.as_ref().unwrap_or(&pipeline.name).to_string();
                let offset = dependency.own.or(dependency.offset).unwrap_or_default();
                edges.push(WindowEdge {
                    pipeline: pipeline.name.to_string(),
                    trigger: name.clone(),
                    parent,
                    offset: offset.to_string(),
                    size: dependency.size.unwrap_or(window.window).to_string(),
                    require: match dependency.require {
                        Require::All => "all".to_owned(),
                        Require::AtLeast(count) => format!("at least {count}"),
                        Require::MissingOk(count) => format!("all but {count}"),
                    },
                });
            }
        }
    }
    edges
}

/// The first instant of a window and the one after its last, in its trigger's zone.
pub fn written_window(pipeline: &Pipeline, default_zone: &str, row: &WindowRow) -> (String, String) {
    let window = pipeline.triggers.get(&row.trigger).and_then(Trigger::window);
    match window.and_then(|window| series_of(window, default_zone).ok()) {
        Some(series) => (series.written(instant(row.start)), series.written(instant(row.end))),
        None => (instant(row.start).to_string(), instant(row.end).to_string()),
    }
}
