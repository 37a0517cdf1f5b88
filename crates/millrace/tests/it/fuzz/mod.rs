//! Requests that are nearly right, at a real server: no answer is a 500, none tells of the database, nothing leaves the artifact folder.
//!
//! Seeded and short in the normal run; `MILLRACE_FUZZ_ROUNDS` (each about two seconds) with `MILLRACE_FUZZ_SEED` for longer ones.
#![allow(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a longer run is asked for by the environment"
)]

mod client;
mod mutate;
mod paths;

use std::collections::HashMap;

use millrace_metastore::testing::TestPostgres;
use serde_json::Value;

use crate::project::Project;
use crate::server::Up;
use client::{Answer, Client};
use mutate::{Random, body, encoded, part, text};

/// Words of databases and of crashes, none of which an answer may contain.
const TELLTALES: [&str; 12] = [
    "sqlite",
    "sqlx",
    "postgres",
    "sqlstate 4",
    "syntax error at",
    "no such column",
    "no such table",
    "unique constraint",
    "foreign key",
    "insert into",
    "panicked",
    "rust_backtrace",
];

/// A line of `requests.txt`.
struct Request {
    method: String,
    path: String,
    body: String,
    /// Name of a placeholder and where in the answer its value is.
    told: Option<(String, String)>,
}

fn corpus() -> Vec<Request> {
    let lines = include_str!("requests.txt").lines().filter(|line| !line.starts_with('#'));
    let request = |line: &str| {
        let (line, told) = match line.split_once(" -> ") {
            Some((line, told)) => (line, told.split_once('=')),
            None => (line, None),
        };
        let (method, rest) = line.split_once(' ').unwrap();
        let (path, body) = rest.split_once(' ').unwrap();
        let told = told.map(|(name, place)| (name.to_owned(), place.to_owned()));
        Request { method: method.to_owned(), path: path.to_owned(), body: body.to_owned(), told }
    };
    lines.map(request).collect()
}

/// A setting of the environment, or else what the normal run does.
fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

struct Fuzz {
    client: Client,
    random: Random,
    known: HashMap<String, String>,
    count: u64,
}

impl Fuzz {
    fn new(server: &Up) -> Self {
        let seed = setting("MILLRACE_FUZZ_SEED", 20_261_128);
        eprintln!("seed {seed}");
        let client = Client::new(&server.url);
        Self { client, random: Random(seed), known: HashMap::new(), count: 0 }
    }

    /// With the ids of this round in it.
    fn filled(&mut self, text: &str) -> String {
        self.count += 1;
        let text = text.replace('#', &format!("{:032}", self.count));
        self.known.iter().fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    fn send(&mut self, request: &Request, body: &Value, parts: &[String]) -> Answer {
        let path = format!("/api/{}", parts.join("/"));
        if request.method != "GET" {
            let bytes = text(&mut self.random, body);
            return self.client.send(&request.method, &path, "application/json", &bytes);
        }
        let pairs: Vec<String> = body.as_object().into_iter().flatten().flat_map(query).collect();
        let path = format!("{path}?{}", pairs.join("&"));
        // Longer addresses are refused before anything of ours sees them.
        let path: String = path.chars().take(60_000).collect();
        self.client.send("GET", &path, "", b"")
    }

    /// Sends everything of the corpus once as it is, and between each two of them what is nearly so.
    fn round(&mut self, corpus: &[Request], mutants: usize) {
        for request in corpus {
            let whole: Value = serde_json::from_str(&self.filled(&request.body)).unwrap();
            let path = self.filled(&request.path);
            let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
            for _ in 0..mutants {
                let mutant = body(&mut self.random, whole.clone());
                let mut asked = parts.clone();
                if self.random.below(3) == 0 {
                    // What stands in braces is the client's to choose, the rest is the address itself.
                    for (part_of, place) in request.path.split('/').zip(asked.iter_mut()) {
                        if part_of.starts_with('{') {
                            *place = part(&mut self.random, place);
                        }
                    }
                }
                // What deletes is sent whole in the end, so that the round has something to work on.
                if request.path.ends_with("delete") && mutant == whole {
                    continue;
                }
                let answer = self.send(request, &mutant, &asked);
                answer.check(&request.path, &mutant);
            }
            // Made anew, since one of the others may have taken the name.
            let (whole, answer) = self.send_whole(request);
            answer.check(&request.path, &whole);
        }
    }

    /// Sends a line of the corpus as it is and keeps what its answer tells.
    fn send_whole(&mut self, request: &Request) -> (Value, Answer) {
        let (path, body) = (self.filled(&request.path), self.filled(&request.body));
        let whole: Value = serde_json::from_str(&body).unwrap();
        let path = format!("/api/{path}");
        let answer = match request.method.as_str() {
            "GET" => {
                let pairs: Vec<String> = whole.as_object().into_iter().flatten().flat_map(query).collect();
                self.client.send("GET", &format!("{path}?{}", pairs.join("&")), "", b"")
            }
            method => self.client.send(method, &path, "application/json", body.as_bytes()),
        };
        if let (200, Some((name, place))) = (answer.status, &request.told) {
            let told: Value = serde_json::from_str(&answer.body).unwrap();
            let value = told.pointer(place).and_then(Value::as_str).unwrap().to_owned();
            self.known.insert(name.clone(), value);
        }
        (whole, answer)
    }
}

/// A field of a query.
fn query((name, value): (&String, &Value)) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pair = |value: &Value| format!("{}={}", encoded(name), encoded(&text(value)));
    match value {
        Value::Array(values) => values.iter().map(pair).collect(),
        value => vec![pair(value)],
    }
}

fn fuzz(project: &Project, server: Up) {
    let corpus = corpus();
    let mut fuzz = Fuzz::new(&server);
    for _ in 0..setting("MILLRACE_FUZZ_ROUNDS", 2) {
        fuzz.round(&corpus, 10);
    }
    assert_eq!(fuzz.client.send("GET", "/health", "", b"").status, 200);
    let log = project.read("server.log");
    assert!(!log.contains("panicked") && !log.contains("a request of an MLflow client failed"), "{log}");
}

#[test]
fn nearly_right_requests_are_answered() {
    let project = Project::new(&[]);
    let server = Up::logged(&project, None);
    fuzz(&project, server);
}

#[test]
fn nearly_right_requests_are_answered_on_postgres() {
    let Some(postgres) = TestPostgres::start() else { return };
    let project = Project::new(&[]);
    let server = Up::logged(&project, Some(&postgres.url()));
    fuzz(&project, server);
}

/// What longer runs found.
#[test]
fn what_once_failed_does_not_fail_again() {
    let project = Project::new(&[]);
    let server = Up::logged(&project, None);
    let (client, run) = (Client::new(&server.url), "0123456789abcdef0123456789abcdef");
    let webhook =
        r#"{"name": "w", "url": "https://hooks.example", "status": -9223372036854775808, "events": []}"#;
    for (method, path, body, status) in [
        // Its number before the first overflowed.
        ("POST", "/api/2.0/mlflow/webhooks".to_owned(), webhook, 400),
        // Refused in plain text, which no client reads.
        ("DELETE", "/api/3.0/mlflow/datasets/%ff/tags/c".to_owned(), "{}", 400),
        // A NUL is in no name of a file.
        ("GET", format!("/api/tracked-runs/{run}/artifacts/a%00"), "", 404),
    ] {
        let answer = client.send(method, &path, "application/json", body.as_bytes());
        answer.check(&path, &Value::Null);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
    }
}

#[test]
fn the_corpus_has_every_route_and_is_right() {
    let project = Project::new(&[]);
    let server = Up::logged(&project, None);
    let (corpus, mut fuzz) = (corpus(), Fuzz::new(&server));
    for request in &corpus {
        let (whole, answer) = fuzz.send_whole(request);
        assert_eq!(answer.status, 200, "{} {} {whole}: {}", request.method, request.path, answer.body);
    }
    let routes = include_str!("../../../../millrace-api/src/mlflow/mod.rs");
    let route = regex::Regex::new(r#"\.route\(\s*"(/[^"]*)""#).unwrap();
    let hole = regex::Regex::new(r"\\\{[^}]*\\\}").unwrap();
    for found in route.captures_iter(routes) {
        let found = &found[1];
        // Files have tests of their own; the others are no calls of a client.
        if found.contains("{*")
            || ["/version", "/graphql", "/mlflow/graphql"].contains(&found)
            || found.ends_with("get-artifact")
            || found.ends_with("/artifacts/files")
            || found.ends_with("/upload-artifact")
            || found.ends_with("/presigned-download-url")
            || found.starts_with("/mpu/part/")
            || found.ends_with("/traces/metrics")
            || found.ends_with("/webhooks/{id}/test")
            // Nobody logs in here.
            || found.starts_with("/users/")
            || found.starts_with("/roles/")
        {
            continue;
        }
        let pattern = hole.replace_all(&regex::escape(found), "[^/]+").into_owned();
        let pattern = regex::Regex::new(&format!("{pattern}$")).unwrap();
        assert!(
            corpus.iter().any(|request| pattern.is_match(&format!("/{}", request.path))),
            "no request in `requests.txt` is for `{found}`"
        );
    }
}
