//! Several servers on one PostgreSQL: any of them may be killed, nothing runs twice, nothing stops.

use std::process::Command;

use millrace_metastore::testing::TestPostgres;
use serde_json::Value;

use crate::project::{Project, wait_until};
use crate::server::Up;

fn steps_of(server: &Up, run: &str) -> Vec<(String, String, usize)> {
    let run = server.get(&format!("/api/runs/{run}"));
    let steps = run["steps"].as_array().unwrap();
    let step = |step: &Value| {
        let text = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
        (text("id"), text("status"), step["attempts"].as_array().map_or(0, Vec::len))
    };
    steps.iter().map(step).collect()
}

fn state_of(server: &Up, run: &str) -> String {
    server.get(&format!("/api/runs/{run}"))["run"]["status"].as_str().unwrap_or_default().to_owned()
}

fn start(server: &Up, pipeline: &str) -> String {
    let run = server.post(&format!("/api/pipelines/{pipeline}/runs"), r#"{"inputs": {}}"#);
    run["id"].as_str().unwrap_or_else(|| panic!("{run}")).to_owned()
}

fn kill(server: &Up) {
    Command::new("kill").args(["-9", &server.pid().to_string()]).status().unwrap();
}

const WAITS: &str = r#"
steps:
  long:
    run: |
      echo begun >> $DIR/log
      for i in $(seq 6000); do [ -e $DIR/go ] && break; sleep 0.02; done
      python3 - <<END
      import os, urllib.request
      url = open(os.environ["MILLRACE_SERVER_FILE"]).read().strip()
      print(urllib.request.urlopen(url + "/health").read().decode())
      END
      echo ended >> $DIR/log
    env: {DIR: "[DIR]"}
  after: {run: "echo after >> $DIR/log", needs: long, env: {DIR: "[DIR]"}}
"#;

#[test]
fn the_runs_of_a_killed_server_go_on_with_the_other_one() {
    let Some(postgres) = TestPostgres::start() else { return };
    let shared = tempfile::tempdir().unwrap();
    let pipeline = WAITS.replace("[DIR]", &shared.path().to_string_lossy());
    let project = || Project::new(&[("pipelines/p.yaml", &pipeline)]);
    let (here, there) = (project(), project());
    let first = Up::start_on(&here, &postgres.url());
    let second = Up::start_on(&there, &postgres.url());
    let log = || std::fs::read_to_string(shared.path().join("log")).unwrap_or_default();
    let run = start(&first, "p");
    wait_until(|| log().contains("begun"));
    kill(&first);
    drop(first);
    // The command outlives its server and ends while nobody may look after it.
    wait_until(|| there.path().join(".millrace/server.url").exists());
    wait_until(|| {
        // Its own server's address is replaced by that of the one that took over.
        here.read(".millrace/server.url").trim() == second.url
    });
    std::fs::write(shared.path().join("go"), "").unwrap();
    wait_until(|| state_of(&second, &run) == "succeeded");
    assert_eq!(log(), "begun\nended\nafter\n", "nothing ran twice");
    let succeeded = |name: &str| (name.to_owned(), "succeeded".to_owned(), 1);
    assert_eq!(steps_of(&second, &run), [succeeded("long"), succeeded("after")]);
    // The log lies where the killed server kept it.
    let page = second.get(&format!("/api/runs/{run}/steps/long/log"));
    assert!(page.to_string().contains("OK"), "{page}");
    // The one that comes back finds nothing to do.
    let again = Up::start_on(&here, &postgres.url());
    assert_eq!(state_of(&again, &run), "succeeded");
}

#[test]
fn a_run_is_cancelled_and_awaited_through_any_server() {
    let Some(postgres) = TestPostgres::start() else { return };
    let project = || Project::new(&[("pipelines/p.yaml", "steps:\n  long: {run: sleep 600}\n")]);
    let (here, there) = (project(), project());
    let first = Up::start_on(&here, &postgres.url());
    let second = Up::start_on(&there, &postgres.url());
    let run = start(&first, "p");
    wait_until(|| steps_of(&second, &run).iter().any(|(_, state, _)| state == "running"));
    second.post(&format!("/api/runs/{run}/cancel"), "{}");
    wait_until(|| state_of(&second, &run) == "cancelled");
    assert_eq!(state_of(&first, &run), "cancelled");
}

#[test]
fn one_that_was_stopped_for_too_long_finds_its_runs_taken_and_does_nothing_twice() {
    let Some(postgres) = TestPostgres::start() else { return };
    let shared = tempfile::tempdir().unwrap();
    let pipeline = WAITS.replace("[DIR]", &shared.path().to_string_lossy());
    let project = || Project::new(&[("pipelines/p.yaml", &pipeline)]);
    let (here, there) = (project(), project());
    let first = Up::start_on(&here, &postgres.url());
    let second = Up::start_on(&there, &postgres.url());
    let log = || std::fs::read_to_string(shared.path().join("log")).unwrap_or_default();
    let run = start(&first, "p");
    wait_until(|| log().contains("begun"));
    let signal = |name: &str| Command::new("kill").args([name, &first.pid().to_string()]).status().unwrap();
    signal("-STOP");
    // Its process is there, so the other one waits until its lease is over.
    wait_until(|| here.read(".millrace/server.url").trim() == second.url);
    signal("-CONT");
    std::fs::write(shared.path().join("go"), "").unwrap();
    wait_until(|| state_of(&second, &run) == "succeeded");
    assert_eq!(log(), "begun\nended\nafter\n", "nothing ran twice");
    // It goes on as a server: a run that it is asked for now is its own.
    std::fs::write(shared.path().join("log"), "").unwrap();
    let next = start(&first, "p");
    wait_until(|| state_of(&first, &next) == "succeeded");
    assert_eq!(log(), "begun\nended\nafter\n");
}

/// Sessions of a database that have been in a transaction for half a second without a word of who began it.
fn left_alone(postgres: &TestPostgres) -> bool {
    let held = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
    let long = format!("{held} AND state_change < clock_timestamp() - interval '0.5 s'");
    if postgres.sql(held).trim() == "0" {
        return false;
    }
    std::thread::sleep(std::time::Duration::from_secs(1));
    postgres.sql(&long).trim() != "0"
}

#[test]
fn one_that_is_stopped_in_the_midst_of_a_write_keeps_nobody_waiting() {
    let Some(postgres) = TestPostgres::start() else { return };
    let shared = tempfile::tempdir().unwrap();
    let log = shared.path().join("log");
    let pipeline = format!(
        "steps:\n  a: {{run: 'echo $MILLRACE_IDEMPOTENCY_KEY >> {}'}}\n  b: {{run: 'true', needs: a}}\n",
        log.display()
    );
    let project = || Project::new(&[("pipelines/p.yaml", &pipeline)]);
    let (here, there) = (project(), project());
    let first = Up::start_on(&here, &postgres.url());
    let second = Up::start_on(&there, &postgres.url());
    let signal = |name: &str| Command::new("kill").args([name, &first.pid().to_string()]).status().unwrap();
    let mut runs = Vec::new();
    wait_until(|| {
        runs.push(start(&first, "p"));
        signal("-STOP");
        let midst = left_alone(&postgres);
        if !midst {
            signal("-CONT");
        }
        midst
    });
    for run in &runs {
        wait_until(|| state_of(&second, run) == "succeeded");
    }
    signal("-CONT");
    let next = start(&first, "p");
    wait_until(|| state_of(&first, &next) == "succeeded");
    runs.push(next);
    let ran = std::fs::read_to_string(log).unwrap();
    let mut keys: Vec<&str> = ran.lines().collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!((keys.len(), ran.lines().count()), (runs.len(), runs.len()), "every run did its work once");
}
