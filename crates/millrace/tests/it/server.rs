//! A server of a workspace, started as users start it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
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

    /// The JSON document at a path of the API.
    pub(crate) fn get(&self, path: &str) -> Value {
        self.ask("GET", path, "")
    }

    /// What the API answers to a document.
    pub(crate) fn post(&self, path: &str, document: &Value) -> Value {
        self.ask("POST", path, &document.to_string())
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let address = self.url.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let head =
            format!("Host: {address}\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
        write!(stream, "{method} {path} HTTP/1.0\r\n{head}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
