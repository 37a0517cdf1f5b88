//! A disk that is full: the step says so, nothing half-written is seen, and the work goes on once there is room.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::process::Command;

use crate::project::Project;

/// About 14 MB of a table that does not compress well.
const BIG: &str = "
steps:
  big: {sql: \"select value as n, md5(cast(value as varchar)) as hash from generate_series(1, 600000)\"}
";
const SMALL: &str = "
steps:
  small: {sql: \"select value as n from generate_series(1, 1000)\"}
";
/// A program that fills the disk with its own output, however much room there is.
const GREEDY: &str = "
steps:
  greedy: {run: 'yes > \"$MILLRACE_OUTPUT_ALL\"', outputs: {all: file}, retry: {max: 1, delay: 10ms}}
  after: {run: echo never, needs: greedy}
finally:
  cleanup: {run: echo tidied >> tidied}
";
/// A workspace on a disk of 32 MB; unmounted when dropped.
struct SmallDisk {
    project: Project,
}

impl SmallDisk {
    /// `None` where mounting is not permitted.
    fn mount() -> Option<Self> {
        let project = Project::new(&[]);
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=32m", "millrace-test"]).arg(project.path());
        if !mount.output().is_ok_and(|output| output.status.success()) {
            return None;
        }
        let disk = Self { project };
        disk.project.write("millrace.yaml", "name: test\n");
        Some(disk)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(self.project.path()).status().ok();
    }
}

#[test]
fn a_full_disk_fails_the_step_and_nothing_else() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: a small disk for the test cannot be mounted; that takes root");
        return;
    };
    let project = &disk.project;
    for (name, pipeline) in [("big", BIG), ("small", SMALL)] {
        project.write(&format!("pipelines/{name}.yaml"), pipeline);
    }
    let said = project.millrace(&["run", "small"]);
    assert!(said.starts_with("exit 0"), "{said}");
    project.write("ballast", vec![1; 22 << 20]);

    let said = project.millrace(&["run", "big", "--idempotency-key", "k"]);
    assert!(said.starts_with("exit 1") && said.contains("1 failed"), "{said}");
    assert!(
        said.contains("the disk is full") && said.contains("[folder]/.millrace/storage/datasets"),
        "{said}"
    );
    let integrity = Command::new("python3")
        .args(["-c", "import sqlite3; print(*sqlite3.connect('.millrace/millrace.db').execute('pragma integrity_check'))"])
        .current_dir(project.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&integrity.stdout), "('ok',)\n");
    let data = project.output(&["data", "--json"]);
    assert_eq!(String::from_utf8_lossy(&data.stdout).lines().count(), 1, "a half-written dataset is seen");
    let count = |table: &str| {
        project.json(&["sql", &format!("select count(*) as n from {table}"), "--json"])["n"].clone()
    };
    assert_eq!(count("small_small"), 1000);
    assert!(project.output(&["runs", "--json", "--state", "running"]).stdout.is_empty());

    std::fs::remove_file(project.path().join("ballast")).unwrap();
    // The key belongs to the run that failed; a new one does the work.
    assert_eq!(project.output(&["run", "big", "--idempotency-key", "k"]).status.code(), Some(1));
    assert_eq!(project.json(&["run", "big", "--json", "--idempotency-key", "l"])["state"], "succeeded");
    assert_eq!(count("big_big"), 600_000);
}

#[test]
fn a_program_that_fills_the_disk_fails_and_the_run_goes_on() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: a small disk for the test cannot be mounted; that takes root");
        return;
    };
    let project = &disk.project;
    project.write("pipelines/greedy.yaml", GREEDY);
    let said = project.millrace(&["run", "greedy"]);
    assert!(said.starts_with("exit 1") && said.contains("1 done, 0 reused, 1 failed, 1 skipped"), "{said}");
    assert!(said.contains("No space left on device") && said.contains("the disk is full"), "{said}");
    assert_eq!(project.read("tidied"), "tidied\n");
    // What the first attempt wrote was gone when the second began, and it all can be done again.
    let output = project.output(&["run", "greedy", "--json"]);
    let last = String::from_utf8(output.stdout).unwrap().lines().last().unwrap_or_default().to_owned();
    let ran: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert_eq!((&ran["state"], &ran["steps"][0]["attempts"]), (&"failed".into(), &2.into()), "{ran}");
}
