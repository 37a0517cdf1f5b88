use serde_json::{Value, json};

use super::*;
use crate::triggers::{Cron, Recurrence, Window};

fn schedule(trigger: Trigger, zone: &str, calendars: &Calendars) -> Schedule {
    Schedule::of("daily/t", &trigger, zone, calendars).unwrap().unwrap()
}

fn cron(expression: &str, zone: &str) -> Schedule {
    let cron: Cron = serde_json::from_value(json!({"cron": expression})).unwrap();
    schedule(cron.into(), zone, &Calendars::new())
}

fn recurrence(rule: Value, zone: &str) -> Schedule {
    let recurrence: Recurrence = serde_json::from_value(rule).unwrap();
    schedule(recurrence.into(), zone, &Calendars::new())
}

fn local(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    let written = |preview: Preview| preview.local.replace(":00+", "+").replace(":00-", "-");
    schedule.preview(after.parse().unwrap(), count).into_iter().map(written).collect()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Changes of the clock in 2026: Berlin 29 March 02:00 to 03:00 and 25 October 03:00 to 02:00; New York 8 March and 1 November at 02:00;
/// Lord Howe 5 April 02:00 to 01:30 and 4 October 02:00 to 02:30, half an hour; Kolkata none.
#[test]
#[allow(clippy::too_many_lines, reason = "a table of vectors")]
fn schedule_cron_with_zones_and_dst() {
    let vectors: &[(&str, &str, &str, &[&str])] = &[
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            &["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"],
        ),
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            &["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"],
        ),
        (
            "0 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:30:00Z",
            &["2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"],
        ),
        (
            "0 * * * *",
            "Europe/Berlin",
            "2026-10-24T23:30:00Z",
            &["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00"],
        ),
        (
            "30 2 * * *",
            "America/New_York",
            "2026-03-07T12:00:00Z",
            &["2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00"],
        ),
        (
            "30 1 * * *",
            "America/New_York",
            "2026-10-31T12:00:00Z",
            &["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"],
        ),
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T00:00:00Z",
            &["2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"],
        ),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T00:00:00Z",
            &["2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30"],
        ),
        (
            "*/30 * * * *",
            "Australia/Lord_Howe",
            "2026-04-04T14:00:00Z",
            &["2026-04-05T01:30+11:00", "2026-04-05T01:30+10:30", "2026-04-05T02:00+10:30"],
        ),
        (
            "0 0 29 2 *",
            "Asia/Kolkata",
            "2026-01-01T00:00:00Z",
            &["2028-02-29T00:00+05:30", "2032-02-29T00:00+05:30"],
        ),
        (
            "59 23 31 12 *",
            "Asia/Kolkata",
            "2026-06-01T00:00:00Z",
            &["2026-12-31T23:59+05:30", "2027-12-31T23:59+05:30"],
        ),
        (
            "0 6 L * *",
            "Europe/Berlin",
            "2028-02-01T12:00:00Z",
            &["2028-02-29T06:00+01:00", "2028-03-31T06:00+02:00"],
        ),
        ("0 6 15W * *", "UTC", "2026-02-01T00:00:00Z", &["2026-02-16T06:00+00:00", "2026-03-16T06:00+00:00"]),
        (
            "0 6 * * fri#2",
            "UTC",
            "2026-01-01T00:00:00Z",
            &["2026-01-09T06:00+00:00", "2026-02-13T06:00+00:00"],
        ),
        (
            "0 6 * * friL",
            "UTC",
            "2026-01-01T00:00:00Z",
            &["2026-01-30T06:00+00:00", "2026-02-27T06:00+00:00"],
        ),
        ("@daily", "America/New_York", "2026-12-31T12:00:00Z", &["2027-01-01T00:00-05:00"]),
    ];
    for (expression, zone, after, expected) in vectors {
        assert_eq!(local(&cron(expression, zone), after, expected.len()), *expected, "{expression} {zone}");
    }
    let seconds = cron("*/20 * * * * *", "UTC");
    let next: Vec<_> = seconds.after(at("2026-01-01T00:00:05.5Z")).take(2).collect();
    assert_eq!(next, [at("2026-01-01T00:00:20Z"), at("2026-01-01T00:00:40Z")]);
}

#[test]
fn schedule_recurrence() {
    let vectors: &[(Value, &str, &str, &[&str])] = &[
        (
            json!({"every": "2w", "weekdays": ["mon", "thu"], "at": ["08:30", "16:30"], "from": "2026-01-05"}),
            "Europe/Berlin",
            "2026-01-08T20:00:00Z",
            &["2026-01-19T08:30+01:00", "2026-01-19T16:30+01:00", "2026-01-22T08:30+01:00"],
        ),
        (
            json!({"every": "1mo", "month_days": [-1], "at": ["06:00"]}),
            "UTC",
            "2028-01-31T12:00:00Z",
            &["2028-02-29T06:00+00:00", "2028-03-31T06:00+00:00"],
        ),
        (
            json!({"every": "1mo", "month_days": [31], "at": ["06:00"]}),
            "UTC",
            "2026-03-31T12:00:00Z",
            &["2026-05-31T06:00+00:00", "2026-07-31T06:00+00:00"],
        ),
        (
            json!({"every": "1mo", "nth": [{"fri": -1}], "at": ["17:00"]}),
            "America/New_York",
            "2026-10-01T00:00:00Z",
            &["2026-10-30T17:00-04:00", "2026-11-27T17:00-05:00"],
        ),
        (
            json!({"every": "1y", "from": "2024-02-29"}),
            "UTC",
            "2024-03-01T00:00:00Z",
            &["2028-02-29T00:00+00:00"],
        ),
        (
            json!({"every": "1d", "at": ["02:30"]}),
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            &["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"],
        ),
        (
            json!({"every": "1d", "at": ["02:30"]}),
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            &["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"],
        ),
        // Two times in one gap fire once.
        (
            json!({"every": "1d", "at": ["02:10", "02:15"]}),
            "Australia/Lord_Howe",
            "2026-10-03T00:00:00Z",
            &["2026-10-04T02:30+11:00", "2026-10-05T02:10+11:00"],
        ),
        // Elapsed time does not look at the clock.
        (
            json!({"every": "6h", "from": "2026-03-28T18:00"}),
            "Europe/Berlin",
            "2026-03-28T20:00:00Z",
            &["2026-03-29T00:00+01:00", "2026-03-29T07:00+02:00"],
        ),
        (
            json!({"every": "1d", "weekdays": ["mon", "tue", "wed", "thu", "fri"], "at": ["9:00"]}),
            "Asia/Kolkata",
            "2026-12-31T12:00:00Z",
            &["2027-01-01T09:00+05:30", "2027-01-04T09:00+05:30"],
        ),
        (
            json!({"every": "1d", "from": "2026-01-01T06:00", "until": "2026-01-02"}),
            "UTC",
            "2025-06-01T00:00:00Z",
            &["2026-01-01T06:00+00:00", "2026-01-02T06:00+00:00"],
        ),
    ];
    for (rule, zone, after, expected) in vectors {
        let count = expected.len();
        assert_eq!(local(&recurrence(rule.clone(), zone), after, count), *expected, "{rule} {zone}");
    }
    // `from` in the past is an anchor, whenever one looks: every third day from 7 April.
    let third = recurrence(json!({"every": "3d", "from": "2026-04-07"}), "UTC");
    assert_eq!(
        local(&third, "2026-04-09T01:00:00Z", 2),
        ["2026-04-10T00:00+00:00", "2026-04-13T00:00+00:00"]
    );
    // After `until` there is nothing.
    let over = recurrence(json!({"every": "1d", "until": "2026-01-02"}), "UTC");
    assert_eq!(over.next(at("2026-01-02T00:00:00Z")), None);
}

#[test]
fn schedule_tumbling_windows_with_civil_days() {
    let hours = |size: &str, from: &str, zone: &str, count: i64| -> Vec<f64> {
        let window: Window = serde_json::from_value(json!({"window": size, "from": from})).unwrap();
        let series = WindowSeries::new(&window, TimeZone::get(zone).unwrap()).unwrap();
        let length = |window: Interval| window.end.duration_since(window.start).as_secs_f64() / 3_600.0;
        (0..count).map(|k| length(series.at(k).unwrap())).collect()
    };
    assert_eq!(hours("1d", "2026-03-28", "Europe/Berlin", 3), [24.0, 23.0, 24.0]);
    assert_eq!(hours("1d", "2026-10-24", "Europe/Berlin", 3), [24.0, 25.0, 24.0]);
    assert_eq!(hours("1d", "2026-11-01", "America/New_York", 2), [25.0, 24.0]);
    assert_eq!(hours("1d", "2026-04-05", "Australia/Lord_Howe", 2), [24.5, 24.0]);
    assert_eq!(hours("1d", "2026-10-04", "Australia/Lord_Howe", 2), [23.5, 24.0]);
    assert_eq!(hours("1d", "2026-12-31", "Asia/Kolkata", 2), [24.0, 24.0]);
    assert_eq!(hours("6h", "2026-03-29", "Europe/Berlin", 2), [6.0, 6.0]);
    assert_eq!(hours("1mo", "2028-01-31", "UTC", 3), [29.0 * 24.0, 31.0 * 24.0, 30.0 * 24.0]);

    let window: Window = serde_json::from_value(
        json!({"window": "1d", "from": "2026-01-01", "until": "2026-12-31", "offset": "6h"}),
    )
    .unwrap();
    let series = WindowSeries::new(&window, TimeZone::get("Europe/Berlin").unwrap()).unwrap();
    // The day of 29 March begins at six too, though the clock has moved.
    let day = series.at(series.index_of(at("2026-03-29T12:00:00Z"))).unwrap();
    assert_eq!(series.written(day.start), "2026-03-29T06:00:00+02:00");
    assert_eq!(series.index_of(at("2026-01-01T04:59:59Z")), -1);
    assert_eq!(series.first_from(day.start), series.index_of(day.start));
    assert_eq!(series.first_from(day.start + 1.second()), series.index_of(day.start) + 1);
    let two_days = Interval { start: day.start, end: day.end + 1.second() };
    assert_eq!(series.overlapping(two_days, 10).len(), 2);
    assert_eq!(series.last_complete(day.end).unwrap(), day);
    let last = series.last_complete(at("2030-01-01T00:00:00Z")).unwrap();
    assert_eq!(series.written(last.start), "2026-12-31T06:00:00+01:00");
}

#[test]
fn schedule_calendars() {
    let calendar = Calendar::parse("calendars/work.yaml", "except: [sat, sun, 05-01]\n").unwrap();
    let calendars = Calendars::from([("work".to_owned(), Arc::new(calendar))]);
    let daily: Cron = serde_json::from_value(json!({"cron": "0 6 * * *", "calendar": "work"})).unwrap();
    let daily = schedule(daily.into(), "UTC", &calendars);
    // 1 May 2026 is a Friday.
    assert_eq!(
        local(&daily, "2026-04-29T12:00:00Z", 2),
        ["2026-04-30T06:00+00:00", "2026-05-04T06:00+00:00"]
    );
    let unknown: Cron = serde_json::from_value(json!({"cron": "0 6 * * *", "calendar": "wrok"})).unwrap();
    let problem = Schedule::of("a/b", &unknown.into(), "UTC", &calendars).unwrap().unwrap_err();
    assert_eq!(problem.message, "there is no calendar `wrok`");
}

#[test]
fn what_is_owed_for_the_past_is_as_the_rule_says() {
    let (since, now) = (at("2026-05-01T00:00:00Z"), at("2026-05-04T12:00:00Z"));
    let due = |rule: Value| {
        let cron: Cron = serde_json::from_value(rule).unwrap();
        let due = schedule(cron.into(), "UTC", &Calendars::new()).due(since, now);
        due.into_iter().map(|at| at.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(due(json!({"cron": "0 6 * * *"})), ["2026-05-04T06:00:00Z"]);
    assert_eq!(due(json!({"cron": "0 6 * * *", "missed": "all"})), ["2026-05-04T06:00:00Z"]);
    assert_eq!(due(json!({"cron": "0 6 * * *", "missed": "all", "missed_for": "7d"})).len(), 4);
    assert_eq!(due(json!({"cron": "0 6 * * *", "missed": "none"})), [""; 0]);
    assert_eq!(due(json!({"cron": "0 6 2 5 *"})), [""; 0], "older than `missed_for`");
    assert_eq!(due(json!({"cron": "0 6 2 5 *", "missed_for": "3d"})), ["2026-05-02T06:00:00Z"]);
    // A rule of seconds has 129,600 instants since then; only the newest is looked for.
    assert_eq!(due(json!({"cron": "*/2 * * * * *"})), ["2026-05-04T12:00:00Z"]);
    assert_eq!(due(json!({"cron": "*/2 * * * * *", "missed": "all"})).len(), MOST_MISSED);
}

#[test]
fn jitter_is_the_same_each_time_and_differs_between_triggers() {
    let cron: Trigger =
        serde_json::from_value::<Cron>(json!({"cron": "0 6 * * *", "jitter": "10m"})).unwrap().into();
    let of = |id: &str| Schedule::of(id, &cron, "UTC", &Calendars::new()).unwrap().unwrap();
    assert_eq!(of("a/t").jitter, of("a/t").jitter);
    assert_ne!(of("a/t").jitter, of("b/t").jitter);
    assert!(of("a/t").jitter < SignedDuration::from_mins(10));
    let six = at("2026-05-01T06:00:00Z");
    let schedule = of("a/t");
    assert_eq!(schedule.due(at("2026-05-01T00:00:00Z"), schedule.begins(six)), [six]);
    assert_eq!(schedule.due(six - 1.hour(), six - 1.second()), []);
}

#[test]
fn an_editor_sees_which_instants_the_clock_touches() {
    let flags = |expression: &str, after: &str| -> Vec<Option<String>> {
        let schedule = cron(expression, "Europe/Berlin");
        schedule.preview(at(after), 2).into_iter().map(|preview| preview.clock_change).collect()
    };
    assert_eq!(
        flags("30 2 * * *", "2026-03-28T12:00:00Z"),
        [Some("the clock goes from 02:00 to 03:00 at this moment".to_owned()), None]
    );
    assert_eq!(
        flags("30 2 * * *", "2026-10-24T12:00:00Z"),
        [Some("the clock shows 02:30 twice on this day; this is the first time".to_owned()), None]
    );
    assert!(cron("30 6 * * mon-fri", "UTC").describe().contains("06:30"));
    let fridays = recurrence(json!({"every": "1mo", "nth": [{"fri": -1}], "at": ["17:00"]}), "UTC");
    assert_eq!(fridays.describe(), "every 1mo on the last fri at 17:00");
}
