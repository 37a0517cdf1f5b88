//! Several processes make versions of one dataset at once, the first ones among them.

use std::process::Stdio;

use serde_json::json;

use crate::project::Project;

#[test]
fn processes_that_write_a_new_dataset_at_once_make_a_version_each() {
    const WRITERS: u64 = 4;
    let project = Project::new(&[]);
    // The tables of the workspace are there; the dataset is not.
    assert!(project.output(&["runs"]).status.success());
    for writer in 0..WRITERS {
        let rows: String = (0..500).map(|row| format!("{writer},{row}\n")).collect();
        project.write(&format!("raw{writer}.csv"), format!("writer,row\n{rows}"));
    }
    let start = |writer: u64| {
        let mut command = project.command(&["copy", &format!("raw{writer}.csv"), "data:rows"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let writers: Vec<_> = (0..WRITERS).map(start).collect();
    for writer in writers {
        let ended = writer.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    let mut seen = Vec::new();
    for version in 1..=WRITERS {
        let sql = format!("select min(writer) as a, max(writer) as b, count(*) as n from rows@{version}");
        let found = project.json(&["sql", &sql, "--json"]);
        assert_eq!((&found["a"], &found["n"]), (&found["b"], &json!(500)), "{found}");
        seen.push(found["a"].as_u64().unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3], "a version is lost, or there twice");
}
