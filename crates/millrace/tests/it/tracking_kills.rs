//! The server is killed with -9 while clients log: what it acknowledged is there, and nothing is there twice.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::project::Project;
use crate::server::Up;

const LIVES: u32 = 12;
const CLIENTS: usize = 4;
const KEYS: [&str; 3] = ["loss", "auc", "lr"];
const STEPS: i64 = 7;

/// What the server answers; `None` if it is gone.
fn post(url: &str, path: &str, body: &Value) -> Option<Value> {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).ok()?;
    let body = body.to_string();
    let head = format!("Host: {address}\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
    write!(stream, "POST /api/2.0/mlflow/{path} HTTP/1.0\r\n{head}\r\n\r\n{body}").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.0 200"), "{answer}");
    serde_json::from_str(body).ok()
}

/// A client of one run.
#[derive(Default)]
struct Client {
    run_id: String,
    /// The next step to be logged.
    next: i64,
    /// Steps below this were acknowledged.
    acknowledged: i64,
}

impl Client {
    /// Logs until the server is gone; what was not acknowledged is sent again by the next life.
    fn log(&mut self, url: &str) {
        self.next = self.acknowledged;
        loop {
            let steps = self.next..self.next + STEPS;
            let metrics: Vec<Value> = steps
                .flat_map(|step| {
                    KEYS.map(|key| json!({"key": key, "value": step, "timestamp": step * 10, "step": step}))
                })
                .collect();
            self.next += STEPS;
            match post(url, "runs/log-batch", &json!({"run_id": self.run_id, "metrics": metrics})) {
                Some(_) => self.acknowledged = self.next,
                None => return,
            }
        }
    }

    fn check(&self, server: &Up) {
        for key in KEYS {
            let path = format!("/api/2.0/mlflow/metrics/get-history?run_id={}&metric_key={key}", self.run_id);
            let history = server.get(&path);
            let steps: Vec<i64> = history["metrics"]
                .as_array()
                .unwrap()
                .iter()
                .map(|point| point["step"].as_i64().unwrap())
                .collect();
            let distinct: BTreeSet<i64> = steps.iter().copied().collect();
            assert_eq!(distinct.len(), steps.len(), "{key}: a point is there twice");
            let missing: Vec<i64> = (0..self.acknowledged).filter(|step| !distinct.contains(step)).collect();
            assert!(missing.is_empty(), "{key}: acknowledged and gone: {missing:?}");
            // The last request may have been stored without an answer, but only as a whole.
            assert!(
                steps.len() as i64 == self.acknowledged || steps.len() as i64 == self.next,
                "{key}: {} of {}",
                steps.len(),
                self.next
            );
        }
    }
}

#[test]
fn what_was_acknowledged_survives_the_server_and_is_there_once() {
    let project = Project::new(&[]);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::default()).collect();
    // A fixed sequence, so that a failure can be repeated.
    let mut state = 5_u64;
    for _ in 0..LIVES {
        let server = Up::start(&project);
        for client in &mut clients {
            if client.run_id.is_empty() {
                let run = post(&server.url, "runs/create", &json!({"experiment_id": "0"})).unwrap();
                client.run_id = run["run"]["info"]["run_id"].as_str().unwrap().to_owned();
            } else {
                client.check(&server);
            }
        }
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let until = Instant::now() + Duration::from_micros((state >> 33) % 600_000);
        let url = server.url.clone();
        std::thread::scope(|scope| {
            for client in &mut clients {
                let url = &url;
                scope.spawn(move || client.log(url));
            }
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
            // Killed with -9.
            drop(server);
        });
    }
    let server = Up::start(&project);
    for client in &clients {
        assert!(client.acknowledged > 0, "a client never got an answer");
        client.check(&server);
    }
}
