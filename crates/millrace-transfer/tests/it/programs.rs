//! The step `copy` and programs that give rows: one of ours, and Singer taps of PyPI.
#![allow(clippy::disallowed_methods, reason = "a test is told by its environment where the interpreters are")]

use std::path::Path;

use serde_json::{Value, json};

use super::Place;

/// An interpreter or a tap that the environment names.
fn program(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        println!("skipped: {variable} names no program; `cargo xtask test` sets it");
    }
    found
}

const CRM: &str = r#"
import json, os, sys, pyarrow as pa
arguments = dict(zip(sys.argv[2::2], sys.argv[3::2]))
stream, config = sys.argv[2], json.load(open(sys.argv[4]))
known = json.load(open(sys.argv[6]))["after"] if len(sys.argv) > 6 else 0
print("reading", stream, "with", config["token"], os.environ.get("MILLRACE_TOKEN"), file=sys.stderr)
schema = pa.schema([("id", pa.int64()), ("name", pa.string())])
with pa.ipc.new_stream(sys.stdout.buffer, schema) as out:
    for start in range(known, known + 30, 10):
        rows = [{"id": n, "name": None if n % 7 == 0 else f"n{n}"} for n in range(start + 1, start + 11)]
        out.write_batch(pa.RecordBatch.from_pylist(rows, schema))
if stream == "broken":
    sys.exit("the other side hung up on " + config["token"])
sys.stdout.flush()
print(json.dumps({"state": {"after": known + 30}}))
"#;

fn crm() -> Option<Place> {
    let python = program("MILLRACE_TEST_FORMATS")?;
    let mut place = Place::new();
    place.file("crm.py", CRM);
    let settings = json!({"command": [python, "crm.py"], "config": {"token": "the-secret-token"}});
    place.connections.insert("crm".to_owned(), json!({"program": settings}).into());
    place.connections.insert("db".to_owned(), json!({"sqlite": {"path": "data/db.sqlite"}}).into());
    Some(place)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_goes_on_where_the_sink_has_its_rows() {
    let Some(place) = crm() else { return };
    let config =
        json!({"from": "crm:contacts", "to": "db:contacts", "write": "append", "state": "state/c.json"});
    for _ in 0..2 {
        assert_eq!(place.copy(config.clone()).await.unwrap().rows, Some(30));
    }
    assert_eq!(
        serde_json::from_str::<Value>(&place.text("state/c.json")).unwrap(),
        json!({"state": {"after": 60}})
    );
    let mut broken = config;
    broken["from"] = "crm:broken".into();
    let said = place.message(broken).await;
    assert!(said.contains("the other side hung up on ***") && !said.contains("the-secret"), "{said}");
    assert_eq!(
        serde_json::from_str::<Value>(&place.text("state/c.json")).unwrap(),
        json!({"state": {"after": 60}})
    );
    place
        .copy(json!({"from": "db:(select count(*) as n, max(id) as id from contacts)", "to": "n.csv"}))
        .await
        .unwrap();
    assert_eq!(place.text("n.csv"), "n,id\n60,60\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_of_files_gives_its_stream() {
    let Some(tap) = program("MILLRACE_TEST_TAP_JSONL") else { return };
    let mut place = Place::new();
    place.file("rows.jsonl", "{\"id\": 1, \"name\": \"a\"}\n{\"id\": 2, \"name\": null}\n");
    let path = place.folder.path().join("rows.jsonl").to_string_lossy().into_owned();
    let config = json!({"folder": place.folder.path(), "path": path, "files": [path]});
    let settings = json!({"command": [Path::new(&tap)], "config": config});
    place.connections.insert("tap".to_owned(), json!({"singer": settings}).into());
    let said = place.copy(json!({"from": "tap:jsonl", "to": "out.csv"})).await;
    assert!(said.is_ok(), "{said:?}");
    println!("{}", place.text("out.csv"));
}
