//! The server is killed with -9 at fifty seeded instants while the demo's pipeline runs; each time, the next server takes over.
#![allow(clippy::print_stderr, reason = "how far a long test came is of use when it fails")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::project::{BETWEEN_LOOKS, Project, wait_until};
use crate::server::Up;

const KILLS: u32 = 50;
/// A step that takes its server down every time must not do so for ever: the fourth loss fails it. So a run is left alone after the third.
const KILLS_OF_A_RUN: u32 = 3;
/// Flights of each month: enough for every kind of step to have work, few enough for fifty lives.
const FLIGHTS_A_MONTH: usize = 300;

/// The demo's workspace with fewer flights.
fn small_demo() -> Project {
    let project = Project::new(&[]);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights");
    for path in files(&example) {
        let relative = path.strip_prefix(&example).unwrap().to_string_lossy().into_owned();
        let content = std::fs::read(&path).unwrap();
        if relative.starts_with(".millrace") {
            continue;
        }
        let few = relative.starts_with("raw/flights/");
        project.write(&relative, if few { first_lines(&content) } else { content });
    }
    project
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn first_lines(compressed: &[u8]) -> Vec<u8> {
    let text = zstd::decode_all(compressed).unwrap();
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').take(FLIGHTS_A_MONTH + 1).collect();
    zstd::encode_all(&*lines.concat(), 1).unwrap()
}

/// What must be the same however often the server died.
fn result(project: &Project, steps: &Value) -> Value {
    let metrics: Vec<Value> = steps
        .as_array()
        .unwrap()
        .iter()
        .map(|step| serde_json::json!([step["id"], step["metrics"], step["outputs"]["rows"]]))
        .collect();
    let tables = ["flights", "weather", "flights_training", "late_flights_scored"];
    let rows = tables.map(|table| {
        project.json(&["sql", &format!("select count(*) as n from {table}"), "--json"])["n"].clone()
    });
    serde_json::json!({"steps": metrics, "rows": rows})
}

fn finished(server: &Up, run: &str) -> Option<Value> {
    let view = server.get(&format!("/api/runs/{run}"));
    let state = view["run"]["status"].as_str().unwrap();
    let over = !matches!(state, "queued" | "running" | "cancelling");
    over.then(|| view.clone())
}

fn assert_sound(view: &Value) {
    for step in view["steps"].as_array().unwrap() {
        assert_eq!(step["status"], "succeeded", "{}: {}", step["id"], step["problem"]);
    }
    assert_eq!(view["run"]["status"], "succeeded");
}

#[test]
fn killed_at_fifty_instants_the_demo_ends_with_the_same_result() {
    let start = |server: &Up| {
        let run = server.post("/api/pipelines/flights/runs", r#"{"force": true}"#);
        run["id"].as_str().unwrap().to_owned()
    };
    // The undisturbed run also builds the Python environment, which both share.
    let calm = small_demo();
    let server = Up::start(&calm);
    let run = start(&server);
    wait_until(|| finished(&server, &run).is_some());
    let expected = finished(&server, &run).unwrap();
    assert_sound(&expected);
    let expected = result(&calm, &expected["steps"]);
    drop(server);

    let project = small_demo();
    let mut runs: Vec<String> = Vec::new();
    let mut kills_of_run = 0;
    // A fixed sequence, so that a failure can be repeated.
    let mut state = 11_u64;
    for kill in 0..KILLS {
        let server = Up::start(&project);
        if kills_of_run == KILLS_OF_A_RUN {
            let run = runs.last().unwrap();
            wait_until(|| finished(&server, run).is_some());
        }
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let until = Instant::now() + Duration::from_micros((state >> 33) % 2_500_000);
        while Instant::now() < until {
            match runs.last() {
                Some(run) if finished(&server, run).is_none() => std::thread::sleep(BETWEEN_LOOKS),
                _ => {
                    runs.push(start(&server));
                    kills_of_run = 0;
                }
            }
        }
        kills_of_run += 1;
        eprintln!("kill {kill}: run {}", runs.len());
        // Dropped: killed with -9.
    }
    let server = Up::start(&project);
    let last = runs.last().unwrap();
    wait_until(|| finished(&server, last).is_some());
    for run in &runs {
        let view = finished(&server, run).unwrap();
        assert_sound(&view);
        assert_eq!(result(&project, &view["steps"]), expected, "run {run}");
    }
    check_assets(&server, &calm);
    let open = project.output(&["runs", "--json", "--state", "running"]);
    assert!(open.stdout.is_empty(), "a run is left open");
}

/// The same content is one version, however many runs and attempts made it, and nothing that an attempt left lies about.
fn check_assets(server: &Up, calm: &Project) {
    let calm_server = Up::start(calm);
    for dataset in server.get("/api/datasets").as_array().unwrap() {
        let path = format!("/api/datasets/{}", dataset["name"].as_str().unwrap());
        let versions = |server: &Up| server.get(&path)["versions"].as_array().unwrap().len();
        assert_eq!(versions(server), versions(&calm_server), "{path}");
    }
    let model = server.get("/api/models/late_flights");
    assert_eq!(model["versions"].as_array().unwrap().len(), 1, "{model}");
    assert_eq!(model["endpoints"], serde_json::json!(["late_flights"]));
    let firing = |server: &Up| server.get("/api/alerts")[0]["state"].clone();
    assert_eq!(firing(server), firing(&calm_server));
}
