//! A server of a workspace, started as users start it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::project::Project;

/// The administrator's, where everybody must log in.
pub(crate) const TOKEN: &str = "the-token-of-the-tests";

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
        command.stderr(Stdio::null());
        Self::of(command)
    }

    /// The same with its tables in a PostgreSQL database.
    pub(crate) fn start_on(project: &Project, database: &str) -> Self {
        let mut command = project.command(&["up", "--listen", "127.0.0.1:0", "--json"]);
        command.env("MILLRACE_DATABASE", database).stderr(Stdio::null());
        Self::of(command)
    }

    /// The same with what it says of itself in `server.log`.
    pub(crate) fn logged(project: &Project, database: Option<&str>) -> Self {
        let mut command = project.command(&["up", "--listen", "127.0.0.1:0", "--json"]);
        command.envs(database.map(|database| ("MILLRACE_DATABASE", database)));
        command.stderr(std::fs::File::create(project.path().join("server.log")).unwrap());
        Self::of(command)
    }

    /// The same where everybody must log in, the administrator with [`TOKEN`].
    pub(crate) fn start_with_login(project: &Project, database: Option<&str>) -> Self {
        let mut command = project.command(&["up", "--listen", "127.0.0.1:0", "--json", "--login"]);
        command.env("MILLRACE_TOKEN", TOKEN).envs(database.map(|database| ("MILLRACE_DATABASE", database)));
        command.stderr(Stdio::null());
        Self::of(command)
    }

    /// The same with what it says of itself in `server.log`.
    pub(crate) fn logged_with_login(project: &Project) -> Self {
        let mut command = project.command(&["up", "--listen", "127.0.0.1:0", "--json", "--login"]);
        command.env("MILLRACE_TOKEN", TOKEN);
        command.stderr(std::fs::File::create(project.path().join("server.log")).unwrap());
        Self::of(command)
    }

    /// Starts a command that serves, and waits until it answers.
    fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        Self { child, url: told["url"].as_str().unwrap().to_owned() }
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The JSON document at a path of the API.
    pub(crate) fn get(&self, path: &str) -> Value {
        self.ask("GET", path, "")
    }

    /// What the API answers to a JSON document.
    pub(crate) fn post(&self, path: &str, body: &str) -> Value {
        self.ask("POST", path, body)
    }

    /// What the API answers to a JSON document that replaces something.
    pub(crate) fn put(&self, path: &str, body: &str) -> Value {
        self.ask("PUT", path, body)
    }

    /// What the API answers to a request without a body.
    pub(crate) fn send(&self, method: &str, path: &str) -> Value {
        self.ask(method, path, "")
    }

    /// The body of an answer as it comes; `resumed` is the id of the last event that the reader has.
    pub(crate) fn stream(&self, path: &str, resumed: Option<&str>) -> BufReader<std::net::TcpStream> {
        let address = self.url.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let resumed = resumed.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n{resumed}\r\n").unwrap();
        let mut body = BufReader::new(stream);
        let mut line = String::new();
        while body.read_line(&mut line).unwrap() > 0 && line != "\r\n" {
            line.clear();
        }
        body
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let address = self.url.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json");
        write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
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
