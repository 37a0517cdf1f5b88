//! `millrace sql` without a query: statements from standard input, and talk at a terminal.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::project::Project;

fn project() -> Project {
    let project = Project::new(&[("orders.csv", "order_no,total\n7001,1.5\n7002,2\n7003,\n")]);
    assert!(project.output(&["copy", "orders.csv", "data:orders"]).status.success());
    project
}

fn told(project: &Project, script: &str) -> Output {
    let mut sql = project.command(&["sql", "--json"]);
    let mut sql = sql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    sql.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    sql.wait_with_output().unwrap()
}

#[test]
fn statements_of_standard_input_are_run_in_turn() {
    let project = project();
    let said = told(
        &project,
        "select count(*) as n from orders; -- all\nselect order_no from orders\nwhere total > 1.5;",
    );
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(String::from_utf8_lossy(&said.stdout), "{\"n\":3}\n{\"order_no\":7002}\n");
    // The first that fails ends it.
    let said = told(&project, "select 1 as a; select b from orders; select 2 as c");
    assert!(!said.status.success());
    let stdout = String::from_utf8_lossy(&said.stdout);
    assert!(stdout.starts_with("{\"a\":1}\n") && !stdout.contains("\"c\""), "{stdout}");
    let listed = told(&project, "\\d;");
    assert_eq!(
        String::from_utf8_lossy(&listed.stdout),
        "{\"name\":\"orders\",\"kind\":\"dataset\",\"rows\":3}\n"
    );
}

#[test]
#[allow(clippy::disallowed_methods, reason = "which interpreter to use is told by the environment")]
fn somebody_at_a_terminal_is_answered() {
    let Some(python) = std::env::var_os("MILLRACE_TEST_PYTHON") else { return };
    let project = project();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../python/tests/sql_terminal.py");
    let mut talk = Command::new(python);
    let said =
        talk.args([script, env!("CARGO_BIN_EXE_millrace")]).current_dir(project.path()).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}
