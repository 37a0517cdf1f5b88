//! The process is killed with -9 right before and right after every transaction of a run, and begun again: each time the run ends as the
//! undisturbed one, no command runs twice, and nothing is left open.
//!
//! The points are found by counting: the undisturbed run leaves a byte for each (`boot/faults.rs`, which no user's build has).
#![allow(clippy::print_stderr, reason = "how far a long test came is of use when it fails")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::project::Project;

/// A retry, items, a step that waits for people until its deadline, a reused step, a table, a nested pipeline, and what is last.
const PIPELINE: &str = r#"
outputs: {total: "${{ steps.table.rows }}"}
steps:
  flaky:
    run: "echo flaky >> ran; [ -e again ] || { touch again; exit 3; }"
    retry: {max: 2, delay: 10ms}
  many:
    foreach: [1, 2, 3]
    run: "echo item ${{ item }} >> ran; echo n=${{ item }} >> $MILLRACE_OUTPUT"
    outputs: {n: integer}
  gate: {approve: {by: [user:anna], timeout: 100ms, on_timeout: approve}, needs: flaky}
  table: {sql: "select 1 as k union all select 2", needs: gate}
  inner: {pipeline: inner, needs: many}
  reused: {set: {answer: 42}}
  named: {set: {of: "${{ steps.many.n }}", rows: "${{ steps.table.rows }}"}}
finally:
  last: {run: "echo last >> ran"}
"#;
const INNER: &str = "steps:\n  work: {run: echo inner >> ran}\n";
const RAN: [&str; 7] = ["flaky", "flaky", "inner", "item 1", "item 2", "item 3", "last"];

/// What must not depend on kills.
#[derive(Debug, PartialEq)]
struct Outcome {
    state: Value,
    /// Of each step its state and what it left.
    steps: BTreeMap<String, (Value, Value)>,
    /// Lines that commands have written.
    ran: Vec<String>,
    rows: Value,
}

fn run(project: &Project, kill_at: Option<u64>) -> Command {
    let mut command = project.command(&["run", "p", "--json", "--idempotency-key", "k"]);
    command.envs(kill_at.map(|number| ("MILLRACE_TEST_KILL_AT", number.to_string())));
    command
}

/// Goes on to the end and says how it was.
fn outcome(project: &Project) -> Outcome {
    let said = run(project, None).output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let ended: Value = serde_json::from_str(said.lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {said}"));
    let shown = project.json(&["runs", "show", "p", "--json"]);
    let mut steps = BTreeMap::new();
    for (step, left) in shown["steps"].as_array().unwrap().iter().zip(ended["steps"].as_array().unwrap()) {
        let tries = step["attempts"].as_array().unwrap();
        let good = |attempt: &&Value| attempt["state"] == "succeeded" || attempt["state"] == "cached";
        assert!(tries.iter().filter(good).count() <= 1, "an attempt was committed twice: {step}");
        let mut outputs = left["outputs"].clone();
        if let Some(outputs) = outputs.as_object_mut() {
            outputs.retain(|name, _| !["decided_at", "approval", "run_id"].contains(&name.as_str()));
        }
        if let Some(table) = outputs.get_mut("data").and_then(Value::as_object_mut) {
            // Killed between the table's commit and its entry in the catalog, the rows are written again.
            table.remove("delta_version");
            // Each lane has a folder of its own.
            table.remove("uri");
        }
        steps.insert(step["step"].as_str().unwrap().to_owned(), (step["state"].clone(), outputs));
    }
    let mut ran: Vec<String> = project.read("ran").lines().map(str::to_owned).collect();
    ran.sort();
    for state in ["queued", "running"] {
        let open = project.output(&["runs", "--json", "--all", "--state", state]);
        assert!(open.stdout.is_empty(), "a run is left {state}");
    }
    let rows = project.json(&["sql", "select count(*) as n from p_table", "--json"])["n"].clone();
    Outcome { state: ended["state"].clone(), steps, ran, rows }
}

/// Makes one folder like another.
fn copy(from: &Path, to: &Path) {
    let wiped = Command::new("find").arg(to).args(["-mindepth", "1", "-delete"]).status().unwrap();
    let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(wiped.success() && copied.success());
}

/// A workspace that has its tables, and a step in its cache.
fn prepared() -> (Project, tempfile::TempDir) {
    let project = Project::new(&[("pipelines/p.yaml", PIPELINE), ("pipelines/inner.yaml", INNER)]);
    assert!(project.output(&["run", "p", "--only", "reused"]).status.success());
    let kept = tempfile::tempdir().unwrap();
    copy(project.path(), kept.path());
    (project, kept)
}

#[test]
fn killed_at_every_commit_a_run_ends_as_if_it_had_not_been() {
    let (project, kept) = prepared();
    let count = project.path().join("commits");
    let calm = run(&project, None).env("MILLRACE_TEST_COMMITS", &count).output().unwrap();
    assert!(calm.status.success(), "{}", String::from_utf8_lossy(&calm.stderr));
    let points = std::fs::metadata(&count).unwrap().len();
    let expected = outcome(&project);
    assert_eq!((&expected.state, &expected.rows), (&json!("succeeded"), &json!(2)), "{expected:?}");
    assert_eq!(expected.ran, RAN);
    assert!(points >= 40, "{points} points are fewer than a run has");
    drop((project, kept));

    // Two lanes: the program waits for its disk most of the time.
    std::thread::scope(|threads| {
        for lane in 0..2 {
            let expected = &expected;
            threads.spawn(move || {
                let (project, kept) = prepared();
                // Some more, since what happens side by side is not committed together each time.
                for point in (lane..points + 6).step_by(2) {
                    copy(kept.path(), project.path());
                    let killed = run(&project, Some(point)).output().unwrap();
                    let found = outcome(&project);
                    assert_eq!(&found, expected, "killed at {point} of {points}: {:?}", killed.status);
                    if point < points / 2 {
                        assert_eq!(killed.status.code(), None, "nothing was killed at {point}");
                    }
                    eprintln!("killed at {point} of {points}");
                }
            });
        }
    });
}
