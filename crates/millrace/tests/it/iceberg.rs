//! Iceberg tables and the conditions of the query engine: what cannot match is not read.

use std::process::Command;

use serde_json::Value;

use crate::project::Project;

#[test]
#[allow(clippy::disallowed_methods, reason = "a test is told by its environment where the interpreters are")]
fn files_in_which_no_row_matches_are_not_read() {
    let Some(python) = std::env::var_os("MILLRACE_TEST_FORMATS") else {
        println!(
            "skipped: MILLRACE_TEST_FORMATS names no interpreter with pyiceberg; `cargo xtask test` sets it"
        );
        return;
    };
    let copy = |condition: &str| {
        format!("steps: {{load: {{copy: {{from: \"iceberg:wh/db/divided\", {condition}to: out.csv}}}}}}\n")
    };
    let project = Project::new(&[
        ("pipelines/all.yaml", &copy("")),
        ("pipelines/day.yaml", &copy("where: \"at >= '2026-03-02' and at < '2026-03-03'\", ")),
        ("pipelines/wrong.yaml", &copy("where: \"no_such_column = 1\", ")),
    ]);
    let warehouse = format!("file://{}/wh", project.path().display());
    let script = include_str!("../../../millrace-transfer/tests/it/iceberg.py");
    let output =
        Command::new(python).args(["-c", script, &warehouse]).current_dir(project.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let run = |name: &str| project.millrace(&["run", name]);
    assert!(run("all").starts_with("exit 0"));
    assert_eq!(project.read("out.csv").lines().count(), 11);
    // The files of the other days are gone: only who reads them notices. The manifests have no bounds, so it is the partition that tells.
    for day in ["2026-03-01", "2026-03-03", "None"] {
        let file = said["divided"]["files"][day].as_str().unwrap();
        std::fs::remove_file(file.trim_start_matches("file://")).unwrap();
    }
    let said = run("day");
    assert!(said.starts_with("exit 0"), "{said}");
    assert_eq!(project.read("out.csv").lines().count(), 4);
    let said = run("all");
    assert!(said.starts_with("exit 1") && said.contains("No such file"), "{said}");
    let said = run("wrong");
    assert!(said.starts_with("exit 1") && said.contains("no_such_column"), "{said}");
}
