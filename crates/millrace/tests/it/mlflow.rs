//! The unmodified MLflow client against the real executable.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]
#![allow(clippy::disallowed_methods, reason = "a test is told by its environment where the clients are")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::project::Project;

/// A server of a workspace; stopped when dropped.
struct Up {
    child: Child,
    url: String,
}

impl Up {
    fn start(project: &Project) -> Self {
        let mut command = project.command(&["up", "--listen", "127.0.0.1:0", "--json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        Self { child, url: told["url"].as_str().unwrap().to_owned() }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn the_mlflow_client_tracks_here() {
    let Some(python) = std::env::var_os("MILLRACE_TEST_PYTHON") else {
        eprintln!(
            "skipped: MILLRACE_TEST_PYTHON names no interpreter with MLflow; `cargo xtask test` sets it"
        );
        return;
    };
    let project = Project::new(&[]);
    let server = Up::start(&project);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../python/tests/mlflow_client.py");
    let output = Command::new(python)
        .args([script, &server.url])
        .current_dir(project.path())
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
