//! A server of a workspace, started as users start it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::project::Project;

/// A server; killed when dropped.
pub(crate) struct Up {
    child: Child,
    /// Where it answers.
    pub(crate) url: String,
}

impl Up {
    /// Starts `millrace up` on a free port and waits until it answers.
    pub(crate) fn start(project: &Project) -> Self {
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
