//! The step `copy` and programs that give rows: one of ours, and Singer taps of PyPI.
#![allow(clippy::disallowed_methods, reason = "a test is told by its environment where the interpreters are")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Place;

/// An interpreter or a tap that the environment names.
pub(crate) fn program(variable: &str) -> Option<String> {
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

/// Whether a process is there and does something.
fn works(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    // What is dead and waits for its parent has the state `Z`; the name before it stands in brackets.
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Waits until something is so, for half a minute at most.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < patience, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A place with a program of a line of shell.
fn shell(script: &str, more: Value) -> Place {
    let mut place = Place::new();
    let mut settings = json!({"command": ["sh", "-c", script, "sh"]});
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    place.connections.insert("crm".to_owned(), json!({"program": settings}).into());
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_program_ends_with_its_children() {
    for word in ["program", "singer"] {
        // One of them in a session of its own.
        let script = "sleep 1000 & echo $! > child; setsid sh -c 'echo $$ > stray.new; mv stray.new stray; exec sleep 1000' & \
            while [ ! -e stray ]; do sleep 0.01; done; echo $$ > parent.new; mv parent.new parent; sleep 1000";
        let mut place = Place::new();
        let settings = json!({"command": ["sh", "-c", script]});
        place.connections.insert("crm".to_owned(), json!({ word: settings }).into());
        let path = |name: &str| place.folder.path().join(name);
        let copying = place.copy(json!({"from": "crm:contacts", "to": "out.csv"}));
        let cancelling = async {
            until("the program did not start", || path("parent").exists()).await;
            assert!(["parent", "child", "stray"].iter().all(|name| works(&place.text(name))));
            place.cancel.cancel();
        };
        let (copied, ()) = tokio::join!(copying, cancelling);
        assert!(copied.unwrap_err().cancelled);
        let gone = || ["parent", "child", "stray"].iter().all(|name| !works(&place.text(name)));
        until("they go on", gone).await;
        assert!(!path("out.csv").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_are_held_to_their_limits_and_say_why_they_failed() {
    let copy = json!({"from": "crm:contacts", "to": "out.csv"});
    let mut said = Vec::new();
    for (script, more) in [
        ("echo waiting >&2; exec sleep 1000", json!({"timeout": "200ms"})),
        ("exec yes", json!({"max_output": "1MB"})),
        ("echo hello; echo oh no >&2; exit 3", json!({})),
        ("for n in 1 2 3 4 5 6 7; do echo line $n >&2; done; exit 1", json!({})),
        ("echo \"$OPENER\" is wrong >&2; exit 1", json!({"env": {"OPENER": "the-secret-token"}})),
        ("cat \"$4\" >&2; exit 1", json!({"config": {"password": "the-secret-password", "user": "us"}})),
        ("kill -9 $$", json!({})),
    ] {
        let place = shell(script, more);
        said.push(place.message(copy.clone()).await);
    }
    for settings in [
        json!({"command": []}),
        json!({"command": ["no-such-program"]}),
        json!({"command": ["true"], "max_output": "much"}),
        json!({"command": ["true"], "env": {"A=B": "x"}}),
    ] {
        let mut place = Place::new();
        place.connections.insert("crm".to_owned(), json!({"program": settings}).into());
        said.push(place.message(copy.clone()).await);
    }
    insta::assert_snapshot!(said.join("\n"), @r###"
    cannot read `crm:contacts`: `sh`: it did not end within its `timeout` of 200ms: waiting
    cannot read `crm:contacts`: what it writes is no Arrow stream (Io error: it writes more than its `max_output` of 1000000 bytes)
    cannot read `crm:contacts`: `sh` ended with exit status: 3: oh no
    cannot read `crm:contacts`: `sh` ended with exit status: 1: line 3; line 4; line 5; line 6; line 7
    cannot read `crm:contacts`: `sh` ended with exit status: 1: *** is wrong
    cannot read `crm:contacts`: `sh` ended with exit status: 1: {"password":"***","user":"us"}
    cannot read `crm:contacts`: `sh` ended with signal: 9 (SIGKILL)
    the connection `crm`: `command` names no program
    the program `no-such-program` does not start: No such file or directory (os error 2)
    the connection `crm`: `max_output`: `much` is not an amount such as `64MB` or `1GiB`
    the connection `crm`: `env`: `A=B` is no name of a variable
    "###);
}

#[tokio::test(flavor = "multi_thread")]
async fn state_is_kept_of_programs_and_taps_alone() {
    let mut place = Place::new();
    place.file("a.csv", "id\n1\n");
    place.connections.insert("db".to_owned(), json!({"sqlite": {"path": "data/db.sqlite"}}).into());
    place.connections.insert("api".to_owned(), json!({"rest": {"url": "https://api.example/"}}).into());
    place.connections.insert("crm".to_owned(), json!({"program": {"command": ["true"]}}).into());
    for from in ["a.csv", "db:orders", "api:orders"] {
        let said = place.message(json!({"from": from, "to": "b.csv", "state": "state/a.json"})).await;
        assert_eq!(said, "`state` is for programs, taps and `incremental: {changes: true}`", "{from}");
    }
    let said = place.message(json!({"from": "crm:orders", "to": "b.csv", "state": "../a.json"})).await;
    assert_eq!(said, "`../a.json` is no file of the workspace");
}

#[tokio::test]
async fn what_a_source_has_no_use_for_is_refused() {
    let mut place = Place::new();
    place.file("a.csv", "id\n1\n");
    for (name, connection) in [
        ("crm", json!({"program": {"command": ["true"]}})),
        ("web", json!({"clickhouse": {"url": "https://ch.example:8443"}})),
        ("shop", json!({"mongodb": {"url": "mongodb://m.example/", "database": "shop"}})),
        ("erp", json!({"sqlserver": {"host": "s.example", "user": "u", "password": "p"}})),
        ("lake", json!({"flight_sql": {"url": "https://f.example:443"}})),
    ] {
        place.connections.insert(name.to_owned(), connection.into());
    }
    let mut said = Vec::new();
    for (from, part) in [
        ("a.csv", json!({"partition": {"column": "id"}})),
        ("crm:orders", json!({"partition": {"column": "id"}})),
        ("crm:orders", json!({"where": "id > 1"})),
        ("web:orders", json!({"records": "$.data"})),
        ("shop:orders", json!({"format": "csv"})),
        ("erp:orders", json!({"request": {}})),
        ("lake:orders", json!({"records": "$.data"})),
    ] {
        let mut config = json!({"from": from, "to": "b.csv"});
        config.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        said.push(place.message(config).await);
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    `partition` is for databases, which several connections read side by side
    `partition` is for databases, which several connections read side by side
    `where` says nothing to a program
    `records` says nothing to ClickHouse
    `format` says nothing to MongoDB
    `request` says nothing to SQL Server
    `records` says nothing to a system that answers queries
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_of_files_gives_its_stream() {
    let Some(tap) = program("MILLRACE_TEST_TAP_JSONL") else { return };
    let mut place = Place::new();
    place.file("rows.jsonl", "{\"id\": 1, \"name\": \"a\"}\n{\"id\": 2, \"name\": null}\n");
    let path = place.folder.path().join("rows.jsonl").to_string_lossy().into_owned();
    let settings = json!({"command": [tap], "config": {"path": path, "stream_name": "people"}});
    place.connections.insert("tap".to_owned(), json!({"singer": settings}).into());
    place.copy(json!({"from": "tap:people", "to": "out.csv", "select": ["id", "name"]})).await.unwrap();
    assert_eq!(place.text("out.csv"), "id,name\n1,a\n2,\n");
    assert_eq!(place.probed("tap").await.unwrap().1, ["people"]);
    let said = place.message(json!({"from": "tap:pets", "to": "out.csv"})).await;
    assert_eq!(said, "cannot read `tap:pets`: the tap has no stream `pets`; it has `people`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_of_an_api_goes_on_where_it_was() {
    let Some(tap) = program("MILLRACE_TEST_TAP_REST") else { return };
    let Some(server) = super::web::api() else { return };
    let mut place = Place::new();
    std::fs::create_dir(place.folder.path().join("schema")).unwrap();
    let schema = json!({"type": "object", "properties": {
        "id": {"type": ["null", "integer"]}, "name": {"type": ["null", "string"]},
        "amount": {"type": ["null", "number"]}}});
    place.file("schema/rows.json", schema.to_string());
    let config = json!({
        "url": format!("http://127.0.0.1:{}/keyed?since_id={{last_update}}", server.port),
        "streams": "rows", "schema_dir": place.folder.path().join("schema"), "auth_method": "no_auth",
        "index_key": "id", "start_index": 0, "items_per_page": 100, "drop_unknown_properties": true,
    });
    place
        .connections
        .insert("tap".to_owned(), json!({"singer": {"command": [tap], "config": config}}).into());
    place.connections.insert("db".to_owned(), json!({"sqlite": {"path": "data/db.sqlite"}}).into());
    let copy = json!({"from": "tap:rows", "to": "db:rows", "write": "append", "state": "state/rows.json"});
    let rows = async || place.copy(copy.clone()).await.unwrap().rows;
    assert_eq!(rows().await, Some(250));
    let kept: Value = serde_json::from_str(&place.text("state/rows.json")).unwrap();
    assert_eq!(kept["state"]["bookmarks"]["rows"]["last_update"], 250, "{kept}");
    assert_eq!(rows().await, Some(0));
    // From the beginning it is all of them again.
    std::fs::remove_file(place.folder.path().join("state/rows.json")).unwrap();
    assert_eq!(rows().await, Some(250));
    let sums = "db:(select count(*) as n, count(distinct id) as ids, sum(amount) as amount from rows)";
    place.copy(json!({"from": sums, "to": "n.csv"})).await.unwrap();
    assert_eq!(place.text("n.csv"), "n,ids,amount\n500,250,7843.75\n");
}
