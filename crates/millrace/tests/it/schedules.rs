//! Triggers that time drives, by the commands and the server.

use crate::project::{Project, wait_until};
use crate::server::Up;

const DAILY: &str = "\
inputs: {region: eu}
triggers:
  days: {window: 1d, from: 2026-03-27, until: 2026-03-30, timezone: Europe/Berlin, parallel: 2}
steps:
  note:
    run: echo \"$DAY $REGION\"
    env: {DAY: \"${{ window.start | date }} ${{ window.end }} ${{ window.attempt }}\", REGION: \"${{ inputs.region }}\"}
";

#[test]
fn schedule_tumbling_windows_backfill() {
    let project = Project::new(&[("pipelines/daily.yaml", DAILY)]);
    insta::assert_snapshot!(project.millrace(&[
        "backfill",
        "daily",
        "--from",
        "2026-03-28",
        "--to",
        "2026-03-29"
    ]));
    insta::assert_snapshot!(project.millrace(&["windows", "daily"]));
    let rows = project.output(&["windows", "daily", "--json"]);
    let rows: Vec<serde_json::Value> = String::from_utf8(rows.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let log = |row: &serde_json::Value| {
        let output = project.output(&["logs", row["run"].as_str().unwrap(), "note"]);
        String::from_utf8(output.stdout).unwrap()
    };
    // The day of the change has 23 hours.
    assert!(log(&rows[1]).contains("2026-03-29 2026-03-30T00:00:00+02:00 1 eu"), "{}", log(&rows[1]));
    // One of them again, by the command alone; then it waits for a server.
    insta::assert_snapshot!(project.millrace(&["windows", "daily", "--rerun", "--from", "2026-03-29"]));
    let server = Up::start(&project);
    wait_until(|| {
        let listed = server.get("/api/pipelines/daily/windows");
        let windows = listed["windows"].as_array().unwrap().clone();
        windows.len() == 4 && windows.iter().all(|window| window["state"] == "succeeded")
    });
    let listed = server.get("/api/pipelines/daily/windows");
    let attempts: Vec<u64> = listed["windows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|window| window["attempt"].as_u64().unwrap())
        .collect();
    assert_eq!(attempts, [1, 1, 2, 1]);
    let changed =
        server.post("/api/pipelines/daily/windows/rerun", r#"{"from": "2026-03-27", "until": "2026-03-28"}"#);
    assert_eq!(changed["windows"], 2);
    wait_until(|| server.get("/api/pipelines/daily/windows")["windows"][1]["attempt"] == 2);
}

#[test]
fn a_run_by_hand_is_about_the_last_complete_window_or_the_one_it_names() {
    let project = Project::new(&[("pipelines/daily.yaml", DAILY)]);
    let log = |arguments: &[&str]| {
        let run = project.json(arguments)["run"].as_str().unwrap().to_owned();
        String::from_utf8(project.output(&["logs", &run, "note"]).stdout).unwrap()
    };
    assert!(log(&["run", "daily", "--json"]).contains("2026-03-30 2026-03-31T00:00:00+02:00 1 eu"));
    let named = log(&["run", "daily", "--json", "--window", "2026-03-27T15:00"]);
    assert!(named.contains("2026-03-27 2026-03-28T00:00:00+01:00 1 eu"), "{named}");
    assert!(
        project.millrace(&["run", "daily", "--window", "2025-01-01"]).contains("has no window at 2025-01-01")
    );
}

#[test]
fn schedule_cron_fires_is_listed_and_can_be_paused() {
    let ticking =
        "triggers:\n  tick: {cron: \"* * * * * *\", timezone: UTC}\nsteps:\n  note: {set: {on: true}}\n";
    let project = Project::new(&[("pipelines/ticking.yaml", ticking)]);
    let server = Up::start(&project);
    wait_until(|| server.get("/api/triggers")[0]["last"]["status"] == "succeeded");
    let paused = server.post("/api/pipelines/ticking/triggers/tick/pause", "");
    assert_eq!(paused["paused"], true);
    assert_eq!(paused["why"], "it is paused");
    let listed = project.json(&["triggers", "--json"]);
    assert_eq!((&listed["state"], &listed["rule"]), (&"paused".into(), &"* * * * * *".into()));
    let newest = || server.get("/api/runs?limit=1")["runs"][0]["id"].clone();
    // What was begun before the pause may still come; afterwards nothing does.
    let before = newest();
    let resumed = project.millrace(&["triggers", "resume", "ticking"]);
    assert!(resumed.contains("ticking/tick goes on"), "{resumed}");
    wait_until(|| newest() != before);
}

#[test]
fn schedule_late_data_marks_a_window_stale() {
    let load = "steps:\n  orders: {copy: {from: orders.csv, to: \"data:orders\"}}\n";
    let report = "triggers:\n  days: {window: 1d, from: 2026-03-27, until: 2026-03-27, lateness: 3650d}\n\
                  steps:\n  total:\n    sql: select count(*) as n from orders where day < ${{ window.end | date }}\n    \
                  inputs: {orders: \"data:orders\"}\n";
    let project = Project::new(&[
        ("orders.csv", "day,amount\n2026-03-27,5\n"),
        ("pipelines/load.yaml", load),
        ("pipelines/report.yaml", report),
    ]);
    assert!(project.output(&["run", "load"]).status.success());
    let server = Up::start(&project);
    let window = || server.get("/api/pipelines/report/windows")["windows"][0].clone();
    wait_until(|| window()["state"] == "succeeded");
    project.write("orders.csv", "day,amount\n2026-03-27,5\n2026-03-27,7\n");
    server.post("/api/pipelines/load/runs", "{}");
    wait_until(|| window()["state"] == "stale");
    assert_eq!(
        window()["reason"],
        "data:orders was version 1 when this window ran, and has changed content in version 2"
    );
    server.post("/api/pipelines/report/windows/rerun", r#"{"from": "2026-03-27"}"#);
    wait_until(|| window()["state"] == "succeeded" && window()["attempt"] == 2);
}

#[test]
fn mistakes_in_triggers_are_told_where_they_stand() {
    let project = Project::new(&[
        ("calendars/holidays.yaml", "except: [2026-02-30]\n"),
        (
            "pipelines/p.yaml",
            "triggers:\n  a: {cron: \"0 0 31 2 *\"}\n  b: {every: 6h, at: [\"08:30\"]}\n  c: {windw: 1d}\nsteps: {s: {set: {on: true}}}\n",
        ),
        (
            "pipelines/q.yaml",
            "triggers:\n  a: {cron: \"@daily\", calendar: holydays}\n  b: {window: 1d, from: 2026-01-01, after: [{pipeline: r}]}\nsteps: {s: {set: {on: \"${{ window.begin }}\"}}}\n",
        ),
        (
            "pipelines/r.yaml",
            "triggers:\n  b: {window: 1d, from: 2026-01-01, after: [{pipeline: q}]}\nsteps: {s: {set: {on: true}}}\n",
        ),
    ]);
    insta::assert_snapshot!(project.millrace(&["check"]));
}

#[test]
fn a_range_without_windows_says_where_they_begin_and_end() {
    let project = Project::new(&[("pipelines/daily.yaml", DAILY)]);
    let said = |range: &[&str]| project.millrace(&[&["backfill", "daily"], range].concat());
    insta::assert_snapshot!(said(&["--from", "2026-01-05", "--to", "2026-01-09"]), @r"
    exit 1
    ----
    error[no-such-window]: `days` of `daily` has no window from 2026-01-05 to 2026-01-09: the first by its `from` is [time]+01:00 to [time]+01:00
    hint: `millrace backfill daily --from [time]+01:00`
    hint: for earlier ones, write an earlier `from` for `days` into pipelines/daily.yaml
    ");
    insta::assert_snapshot!(said(&["--from", "2026-01-05"]), @r"
    exit 1
    ----
    error[no-such-window]: `days` of `daily` has no window at 2026-01-05: the first by its `from` is [time]+01:00 to [time]+01:00
    hint: `millrace backfill daily --from [time]+01:00`
    hint: for earlier ones, write an earlier `from` for `days` into pipelines/daily.yaml
    ");
    insta::assert_snapshot!(said(&["--from", "2026-05-05"]), @r"
    exit 1
    ----
    error[no-such-window]: `days` of `daily` has no window at 2026-05-05: the last by its `until` is [time]+02:00 to [time]+02:00
    hint: `millrace backfill daily --from [time]+02:00`
    ");
}

#[test]
fn a_file_with_errors_is_named_where_its_triggers_are_missed() {
    let project = Project::new(&[
        ("pipelines/fine.yaml", "triggers: {daily: {cron: \"0 6 * * *\"}}\nsteps: {a: {run: \"true\"}}\n"),
        ("pipelines/listed.yaml", "triggers: [{cron: \"0 6 * * *\"}]\nsteps: {a: {run: \"true\"}}\n"),
    ]);
    let listed = project.millrace(&["triggers"]);
    assert!(listed.contains("fine/daily"), "{listed}");
    assert!(
        listed
            .contains("left out, since they have errors that `millrace check` shows: pipelines/listed.yaml"),
        "{listed}"
    );
    let checked = project.millrace(&["check"]);
    assert!(checked.contains("give each a name: `triggers: {daily: {cron: \"0 6 * * *\"}}`"), "{checked}");
}
