//! Bad input and programs that misbehave.

use insta::assert_snapshot;

use crate::project::Project;

/// Runs a pipeline of these steps and answers what the program says.
fn run(steps: &str, files: &[(&str, &str)]) -> (Project, String) {
    let project = Project::new(files);
    project.write("pipelines/p.yaml", format!("steps:\n{steps}"));
    let said = project.millrace(&["run", "p"]);
    (project, said)
}

#[test]
fn a_script_that_fails_is_shown_with_its_last_words_and_what_follows_is_skipped() {
    let (_, said) = run(
        "  bad: {run: \"echo it broke >&2; exit 3\"}\n  next: {run: echo never, needs: bad}\n  other: {run: echo fine}\n",
        &[],
    );
    assert!(said.starts_with("exit 1\nrun [id] failed"), "{said}");
    assert!(said.contains("1 done, 0 reused, 1 failed, 1 skipped"), "{said}");
    assert!(said.contains("pipelines/p.yaml:2:3") && said.contains("it broke"), "{said}");
}

#[test]
fn a_script_that_hangs_runs_into_its_timeout() {
    let (_, said) = run("  slow: {run: sleep 600, timeout: 300ms}\n", &[]);
    assert!(said.contains("error[step-timed-out]: `slow` ran into its timeout"), "{said}");
}

#[test]
fn a_script_that_is_killed_says_by_which_signal() {
    let (_, said) = run("  gone: {run: \"kill -9 $$\"}\n", &[]);
    assert!(said.starts_with("exit 1") && said.contains("signal 9"), "{said}");
}

#[test]
fn a_failing_step_is_tried_again_as_often_as_asked() {
    let steps = "  flaky:\n    run: echo x >> tries; test $(wc -l < tries) -ge 3\n    retry: {max: 3, delay: 10ms, backoff: 1}\n";
    let (project, said) = run(steps, &[]);
    assert!(said.starts_with("exit 0"), "{said}");
    assert_eq!(project.read("tries").lines().count(), 3);
}

#[test]
fn what_is_last_runs_whatever_became_of_the_rest() {
    let project = Project::new(&[(
        "pipelines/p.yaml",
        "steps:\n  bad: {run: exit 1}\nfinally:\n  cleanup: {run: \"echo $STATE > state\", env: {STATE: \"${{ steps.bad.state }}\"}}\n",
    )]);
    project.output(&["run", "p"]);
    assert_eq!(project.read("state"), "failed\n");
}

#[test]
fn broken_rows_stop_a_copy_and_can_be_collected_instead() {
    let rows: String = (0..200)
        .map(|row| format!("{row},{}\n", if row == 150 { "many".to_owned() } else { row.to_string() }))
        .collect();
    let csv = format!("id,amount\n{rows}");
    let step = |extra: &str| {
        format!("  c:\n    copy: {{from: raw.csv, to: \"data:c\", columns: {{amount: integer}}{extra}}}\n")
    };
    let (_, said) = run(&step(""), &[("raw.csv", &csv)]);
    assert!(said.starts_with("exit 1") && said.contains("raw.csv") && said.contains("amount"), "{said}");
    let (project, said) = run(&step(", on_error: reject"), &[("raw.csv", &csv)]);
    assert!(said.starts_with("exit 0"), "{said}");
    assert_snapshot!(project.millrace(&["sql", "select count(*) as kept from c"]), @r"
    exit 0
    kept
    199
    ----
    ");
}

#[test]
fn a_missing_file_and_a_wrong_encoding_name_the_file() {
    let (_, said) = run("  c: {copy: {from: nowhere.csv, to: \"data:c\"}}\n", &[]);
    assert!(said.starts_with("exit 1") && said.contains("nowhere.csv"), "{said}");
    let project =
        Project::new(&[("pipelines/p.yaml", "steps:\n  c: {copy: {from: raw.csv, to: \"data:c\"}}\n")]);
    project.write("raw.csv", b"name\nM\xfcller\n");
    let said = project.millrace(&["run", "p"]);
    assert!(said.starts_with("exit 1") && said.contains("raw.csv"), "{said}");
    project.write("pipelines/bad.yaml", b"steps: \xff");
    assert!(project.millrace(&["check"]).contains("it is not UTF-8"));
}

#[test]
fn secrets_do_not_reach_the_log() {
    let project = Project::new(&[(
        "pipelines/p.yaml",
        "steps:\n  s: {run: \"echo key=$KEY\", env: {KEY: \"${{ secrets.api }}\"}}\n",
    )]);
    let ran = project.command(&["run", "p"]).env("MILLRACE_SECRET_API", "hunter2hunter2").output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_snapshot!(project.millrace(&["logs", "latest", "s"]), @r"
    exit 0
    key=***
    ----
    ");
}

#[test]
fn a_flood_of_output_is_cut_and_the_last_words_are_kept() {
    let (project, said) = run(
        "  flood: {run: \"seq 2000000; echo at the end; echo why >&2; exit 3\"}\n",
        &[("millrace.yaml", "name: test\nmax_log: 2MB\n")],
    );
    assert!(said.starts_with("exit 1") && said.contains("exit code 3") && said.contains("why"), "{said}");
    let log = String::from_utf8(project.output(&["logs", "latest", "flood"]).stdout).unwrap();
    assert!(log.len() < 2_100_000, "{} bytes", log.len());
    let (head, rest) = log.split_once("\n[").unwrap();
    assert!(head.starts_with("1\n2\n") && rest.contains("2000000\nat the end\n"), "no head or tail");
    project.write("millrace.yaml", "name: test\nmax_log: 2 lines\n");
    let refused = project.millrace(&["check"]);
    assert!(refused.contains("millrace.yaml:2:10") && refused.contains("max_log: 256MB"), "{refused}");
    assert!(rest.contains("bytes of output were dropped: `max_log` is reached]\n"), "no count");
}
