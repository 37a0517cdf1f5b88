//! The program is killed and started again: nothing is lost, nothing is done twice unnoticed.

use std::time::{Duration, Instant};

use crate::project::{BETWEEN_LOOKS, Project, wait_until};

/// Kills the program so long after its start.
fn kill_after(project: &Project, arguments: &[&str], delay: Duration) {
    let mut child = project.spawn(arguments);
    let until = Instant::now() + delay;
    while Instant::now() < until && child.try_wait().unwrap().is_none() {
        std::thread::sleep(BETWEEN_LOOKS);
    }
    child.kill().ok();
    child.wait().unwrap();
}

#[test]
fn a_command_goes_on_while_nobody_watches_and_is_found_again() {
    let project = Project::new(&[(
        "pipelines/p.yaml",
        "steps:\n  long: {run: \"echo begun >> log; for i in $(seq 3000); do [ -e go ] && break; sleep 0.02; done; echo ended >> log\"}\n  after: {run: echo after >> log, needs: long}\n",
    )]);
    let run = ["run", "p", "--json", "--idempotency-key", "k"];
    let mut child = project.spawn(&run);
    wait_until(|| project.read("log").contains("begun"));
    child.kill().unwrap();
    child.wait().unwrap();
    project.write("go", "");
    wait_until(|| project.read("log").contains("ended"));
    let ended = project.json(&run);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(project.read("log"), "begun\nended\nafter\n");
    assert_eq!(ended["steps"][0]["attempts"], 1);
}

#[test]
fn killed_at_any_instant_a_run_ends_with_the_same_result() {
    let pipeline = r#"
steps:
  rows: {copy: {from: raw.csv, to: "data:rows"}}
  sums:
    sql: select k, sum(v) as total from rows group by k
    inputs: {rows: "${{ steps.rows.data }}"}
  note: {run: "echo $N > note", env: {N: "${{ steps.sums.rows }}"}}
  doubled:
    sql: select k, 2 * total as total from sums
    inputs: {sums: "${{ steps.sums.data }}"}
  named: {set: {rows: "${{ steps.doubled.rows }}"}, needs: note}
"#;
    let raw: String = std::iter::once("k,v\n".to_owned())
        .chain((0..2_000).map(|row| format!("{},{row}\n", row % 7)))
        .collect();
    let run = ["run", "p", "--json", "--idempotency-key", "k"];
    // A fixed sequence (SplitMix64's increments), so that a failure can be repeated.
    let mut state = 7_u64;
    for kill in 0..20 {
        let project = Project::new(&[("pipelines/p.yaml", pipeline), ("raw.csv", &raw)]);
        for _ in 0..2 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            kill_after(&project, &run, Duration::from_micros((state >> 33) % 250_000));
        }
        let ended = project.json(&run);
        assert_eq!(ended["state"], "succeeded", "kill {kill}: {ended}");
        assert_eq!(ended["steps"][4]["outputs"]["rows"], 7, "kill {kill}");
        assert_eq!(project.read("note"), "7\n", "kill {kill}");
        let total = project.json(&["sql", "select sum(total) as total from p_doubled", "--json"]);
        assert_eq!(total["total"], 2 * (0..2_000).sum::<i64>(), "kill {kill}");
        let open = project.output(&["runs", "--json", "--state", "running"]);
        assert!(open.stdout.is_empty(), "kill {kill}: a run is left open");
    }
}

/// The server that is started anew listens on another port than the one that the step was started by.
#[test]
fn a_script_logs_into_the_server_that_was_started_anew() {
    let script = "import millrace, os, time\nmillrace.log_metric('before', 1)\nopen('begun', 'w').close()\nfor _ in range(3000):\n  if os.path.exists('go'): break\n  time.sleep(0.02)\nmillrace.log_metric('after', 2)\nmillrace.output_value('tracked', os.environ['MLFLOW_RUN_ID'])\n";
    let project =
        Project::new(&[("pipelines/p.yaml", "steps:\n  log: {python: log.py}\n"), ("log.py", script)]);
    let run = ["run", "p", "--json", "--idempotency-key", "k"];
    let mut child = project.spawn(&run);
    wait_until(|| project.path().join("begun").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    project.write("go", "");
    let ended = project.json(&run);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(ended["steps"][0]["attempts"], 1, "{ended}");
    let server = crate::server::Up::start(&project);
    let tracked = ended["steps"][0]["outputs"]["tracked"].as_str().unwrap();
    let text = server.get(&format!("/api/tracked-runs/{tracked}")).to_string();
    assert!(text.contains("\"before\"") && text.contains("\"after\""), "{text}");
}
