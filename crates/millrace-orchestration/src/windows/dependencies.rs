//! Whether the windows that a window waits for have succeeded.

use jiff::Timestamp;
use millrace_metastore::windows::WindowRow;
use millrace_spec::period::Period;
use millrace_spec::schedule::{Interval, WindowSeries};
use millrace_spec::triggers::{Dependency, Window};

/// Windows that one dependency may cover.
pub(crate) const MOST_PARENTS: usize = 10_000;

/// The interval that a dependency asks for. `None` beyond the calendar.
pub(crate) fn wanted(
    window: &Window,
    series: &WindowSeries,
    dependency: &Dependency,
    child: Interval,
) -> Option<Interval> {
    let offset = dependency.own.or(dependency.offset).unwrap_or(Period::ZERO);
    let start = series.moved(child.start, offset)?;
    let end = match dependency.size {
        Some(size) => series.moved(start, size)?,
        // The whole window moved, so that a day stays a day whatever the clock does.
        None if offset == Period::ZERO => child.end,
        None => series.moved(start, window.window)?,
    };
    Some(Interval { start, end })
}

/// Whether enough of the parent's windows succeeded: `Ok`, or what is missing in words. `rows` are the parent's windows there are.
pub(crate) fn is_met(
    dependency: &Dependency,
    parent: (&str, &WindowSeries),
    wanted: Interval,
    rows: &[WindowRow],
) -> Result<(), String> {
    let (name, series) = parent;
    let interval =
        |row: &WindowRow| Interval { start: super::instant(row.start), end: super::instant(row.end) };
    let there: Vec<&WindowRow> = rows.iter().filter(|row| interval(row).overlaps(wanted)).collect();
    // Windows that are not over yet, or whose rows are still to come.
    let to_come: Vec<Interval> = series
        .overlapping(wanted, MOST_PARENTS)
        .into_iter()
        .filter(|expected| !there.iter().any(|row| interval(row).overlaps(*expected)))
        .collect();
    // A stale window did succeed; whether it runs again is somebody's decision.
    let succeeded = |row: &&&WindowRow| matches!(row.state.as_str(), "succeeded" | "stale");
    let needed = dependency.require.of(there.len() + to_come.len());
    let met = there.iter().filter(succeeded).count();
    if met >= needed {
        return Ok(());
    }
    let first = there.iter().find(|row| !succeeded(row));
    let missing = match (first, to_come.first()) {
        (Some(row), _) => {
            format!("{} is {}", series.written(interval(row).start), row.state.replace('_', " "))
        }
        (None, Some(expected)) => format!("{} has not begun", series.written(expected.start)),
        (None, None) => "there are too few".to_owned(),
    };
    let others = needed - met - 1;
    let more = if others == 0 { String::new() } else { format!(", and {others} more are missing") };
    Err(format!("waits for `{name}`: {missing}{more}"))
}

/// Windows of a child that ask for an interval of the parent.
pub(crate) fn affected(
    window: &Window,
    series: &WindowSeries,
    dependency: &Dependency,
    parent: Interval,
) -> Vec<Interval> {
    let offset = dependency.own.or(dependency.offset).unwrap_or(Period::ZERO).nominal_ms().abs();
    let size = dependency.size.unwrap_or(window.window).nominal_ms().max(window.window.nominal_ms());
    // Wider than any month or change of the clock makes it; what does not ask for it is sorted out below.
    let slack = jiff::SignedDuration::from_millis(offset / 9 * 10 + size * 2 + 2 * 3_600_000);
    let around = Interval {
        start: parent.start.checked_sub(slack).unwrap_or(Timestamp::MIN),
        end: parent.end.checked_add(slack).unwrap_or(Timestamp::MAX),
    };
    let asks = |child: &Interval| {
        wanted(window, series, dependency, *child).is_some_and(|wanted| wanted.overlaps(parent))
    };
    series.overlapping(around, MOST_PARENTS).into_iter().filter(asks).collect()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use serde_json::json;

    use super::*;

    fn daily(after: serde_json::Value) -> (Window, WindowSeries) {
        let window: Window =
            serde_json::from_value(json!({"window": "1d", "from": "2026-03-01", "after": [after]})).unwrap();
        let series = WindowSeries::new(&window, TimeZone::get("Europe/Berlin").unwrap()).unwrap();
        (window, series)
    }

    fn row(series: &WindowSeries, k: i64, state: &str) -> WindowRow {
        let interval = series.at(k).unwrap();
        WindowRow {
            start: interval.start.as_microsecond(),
            end: interval.end.as_microsecond(),
            state: state.to_owned(),
            ..WindowRow::default()
        }
    }

    fn check(after: serde_json::Value, k: i64, states: &[&str]) -> Result<(), String> {
        let (window, series) = daily(after);
        let rows: Vec<WindowRow> = states.iter().zip(0..).map(|(state, k)| row(&series, k, state)).collect();
        let dependency = &window.after[0];
        let wanted = wanted(&window, &series, dependency, series.at(k).unwrap()).unwrap();
        is_met(dependency, ("ingest", &series), wanted, &rows)
    }

    #[test]
    fn schedule_window_dependencies() {
        let same = json!({"pipeline": "ingest"});
        assert_eq!(check(same.clone(), 0, &["succeeded"]), Ok(()));
        assert_eq!(
            check(same.clone(), 0, &["failed"]),
            Err("waits for `ingest`: 2026-03-01T00:00:00+01:00 is failed".to_owned())
        );
        assert_eq!(
            check(same, 1, &["succeeded"]),
            Err("waits for `ingest`: 2026-03-02T00:00:00+01:00 has not begun".to_owned())
        );
        let three = json!({"pipeline": "ingest", "offset": "-2d", "size": "3d"});
        assert_eq!(check(three.clone(), 2, &["succeeded", "stale", "succeeded"]), Ok(()));
        assert_eq!(
            check(three, 2, &["succeeded", "running", "waiting"]),
            Err("waits for `ingest`: 2026-03-02T00:00:00+01:00 is running, and 1 more are missing".to_owned())
        );
        let some = json!({"pipeline": "ingest", "offset": "-2d", "size": "3d", "require": {"at_least": 1}});
        assert_eq!(check(some, 2, &["failed", "failed", "succeeded"]), Ok(()));
        let missing =
            json!({"pipeline": "ingest", "offset": "-2d", "size": "3d", "require": {"missing_ok": 1}});
        assert_eq!(check(missing.clone(), 2, &["failed", "succeeded", "succeeded"]), Ok(()));
        assert!(check(missing, 2, &["failed", "failed", "succeeded"]).is_err());
    }

    #[test]
    fn schedule_window_self_dependency() {
        let own = json!({"self": "-1d"});
        // Nothing comes before the first.
        assert_eq!(check(own.clone(), 0, &[]), Ok(()));
        assert!(check(own.clone(), 1, &["running"]).is_err());
        assert_eq!(check(own.clone(), 1, &["succeeded"]), Ok(()));
        // The day of 29 March has 23 hours; the one before it is still one whole window.
        let (window, series) = daily(own);
        let parent = series.at(28).unwrap();
        assert_eq!(affected(&window, &series, &window.after[0], parent), [series.at(29).unwrap()]);
        let wanted = wanted(&window, &series, &window.after[0], series.at(29).unwrap()).unwrap();
        assert_eq!(wanted, parent);
    }
}
