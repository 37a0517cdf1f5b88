//! Lineage goes out and comes in: receivers hear of runs, other systems' jobs become part of ours.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::clients::drive;
use crate::project::{Project, wait_until};
use crate::server::Up;

const ORDERS: &str = "id,amount\n1,10\n2,32\n";
const PIPELINE: &str = "description: Sums of orders\nsteps:\n  orders: {copy: {from: orders.csv, to: \"data:orders\"}}\n  total:\n    sql: select sum(amount) as total from orders\n    inputs: {orders: \"${{ steps.orders.data }}\"}\n  broken: {run: \"echo oh no >&2; exit 3\", needs: total}\n  never: {run: \"true\", needs: broken}\n";

/// A server that takes events and keeps them, but for those of jobs that begin with `poison`; ends when it is dropped.
struct Receiver {
    url: String,
    events: Arc<Mutex<Vec<Value>>>,
    status: Arc<AtomicU16>,
    over: Arc<AtomicBool>,
    serving: Option<std::thread::JoinHandle<()>>,
}

impl Receiver {
    fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (events, over) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::<AtomicBool>::default());
        let status = Arc::new(AtomicU16::new(201));
        let (kept, ends, answer) = (events.clone(), over.clone(), status.clone());
        let serving = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                take(stream.unwrap(), answer.load(Ordering::SeqCst), &kept);
            }
        });
        Self { url, events, status, over, serving: Some(serving) }
    }

    fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// `START daily`, `COMPLETE daily.orders`: what was told so far.
    fn told(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events
            .iter()
            .map(|event| format!("{} {}", word(&event["eventType"]), word(&event["job"]["name"])))
            .collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        TcpStream::connect(("127.0.0.1", self.port())).ok();
        if let Some(serving) = self.serving.take() {
            serving.join().ok();
        }
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Requests of one connection, until it is closed.
fn take(stream: TcpStream, status: u16, events: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line).unwrap_or_default() > 0 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    if length == 0 || reader.read_exact(&mut body).is_err() {
        return;
    }
    let event: Value = serde_json::from_slice(&body).unwrap();
    let status = if word(&event["job"]["name"]).starts_with("poison") { 500 } else { status };
    if status < 300 {
        events.lock().unwrap().push(event);
    }
    write!(writer, "HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok();
}

fn workspace(receiver: &str) -> Project {
    let lineage =
        format!("receivers:\n  catalog: {{url: \"{receiver}\"}}\n  kept: {{file: out/lineage.ndjson}}\n");
    Project::new(&[("orders.csv", ORDERS), ("pipelines/daily.yaml", PIPELINE), ("lineage.yaml", &lineage)])
}

const TOLD: [&str; 8] = [
    "START daily",
    "START daily.orders",
    "COMPLETE daily.orders",
    "START daily.total",
    "COMPLETE daily.total",
    "START daily.broken",
    "FAIL daily.broken",
    "FAIL daily",
];

#[test]
fn runs_are_told_to_a_server_and_a_file() {
    let receiver = Receiver::start(0);
    let project = workspace(&receiver.url);
    let checked = project.millrace(&["check"]);
    assert!(checked.starts_with("exit 0"), "{checked}");
    let up = Up::start(&project);
    let run = up.post("/api/pipelines/daily/runs?wait=60s", "{}");
    wait_until(|| receiver.told().len() >= TOLD.len());
    assert_eq!(receiver.told(), TOLD);
    wait_until(|| project.read("out/lineage.ndjson").lines().count() == TOLD.len());
    let events = receiver.events.lock().unwrap().clone();
    let total = events
        .iter()
        .find(|event| event["eventType"] == "COMPLETE" && event["job"]["name"] == "daily.total")
        .unwrap();
    let id = word(&run["id"]).to_owned();
    let hyphenated = |id: &str| uuid::Uuid::parse_str(id).unwrap().to_string();
    assert_eq!(total["run"]["facets"]["parent"]["run"]["runId"], hyphenated(&id), "{run}");
    assert_eq!(total["job"]["namespace"], "millrace://test");
    assert!(word(&total["job"]["facets"]["sql"]["query"]).starts_with("select sum(amount)"));
    assert_eq!(total["inputs"][0]["name"], "orders");
    assert_eq!(total["inputs"][0]["facets"]["version"]["datasetVersion"], "1");
    let fields = &total["outputs"][0]["facets"]["schema"]["fields"];
    assert_eq!(fields[0]["name"], "total", "{total}");
    assert_eq!(total["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"], 1);
    let lineage = &total["outputs"][0]["facets"]["columnLineage"]["fields"]["total"]["inputFields"][0];
    let from = [&lineage["name"], &lineage["field"], &lineage["transformations"][0]["subtype"]];
    assert_eq!(from, ["orders", "amount", "AGGREGATION"], "{total}");
    let copied = events
        .iter()
        .find(|event| event["eventType"] == "COMPLETE" && event["job"]["name"] == "daily.orders")
        .unwrap();
    assert_eq!(copied["inputs"][0]["namespace"], "file");
    assert!(word(&copied["inputs"][0]["name"]).ends_with("/orders.csv"), "{copied}");
    let failed = events.iter().find(|event| event["eventType"] == "FAIL").unwrap();
    assert!(!word(&failed["run"]["facets"]["errorMessage"]["message"]).is_empty(), "{failed}");
    // Once told, nothing is kept, and a second run is told from its beginning.
    up.post("/api/pipelines/daily/runs?wait=60s", "{}");
    wait_until(|| receiver.told().iter().filter(|told| *told == "FAIL daily").count() == 2);
    assert_eq!(receiver.told().iter().filter(|told| *told == "START daily").count(), 2);
    drive("openlineage_read.py", &["out/lineage.ndjson"], project.path());
}

#[test]
fn a_step_that_goes_on_is_told_again_as_running() {
    let pipeline = "steps:\n  wait: {run: 'until [ -e go ]; do sleep 0.02; done'}\n";
    let lineage = "still_running: 1s\nreceivers: {kept: {file: out.ndjson}}\n";
    let project = Project::new(&[("pipelines/daily.yaml", pipeline), ("lineage.yaml", lineage)]);
    let up = Up::start(&project);
    let run = up.post("/api/pipelines/daily/runs", "{}");
    let told = || -> Vec<String> {
        let lines = std::fs::read_to_string(project.path().join("out.ndjson")).unwrap_or_default();
        // The last line may be read while it is written.
        let whole = lines.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let events = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.map(|event| format!("{} {}", word(&event["eventType"]), word(&event["job"]["name"]))).collect()
    };
    let again = |name: &str| told().iter().filter(|told| **told == format!("RUNNING {name}")).count();
    wait_until(|| again("daily.wait") >= 2 && again("daily") >= 2);
    project.write("go", "");
    wait_until(|| told().last().is_some_and(|last| last == "COMPLETE daily"));
    let told = told();
    assert_eq!(told[..2], ["START daily", "START daily.wait"], "{run}");
    assert_eq!(told[told.len() - 2], "COMPLETE daily.wait");
    drive("openlineage_read.py", &["out.ndjson"], project.path());
}

#[test]
fn what_a_receiver_did_not_hear_is_told_later_also_after_a_kill() {
    let receiver = Receiver::start(0);
    let port = receiver.port();
    let project = workspace(&receiver.url);
    receiver.status.store(503, Ordering::SeqCst);
    let up = Up::start(&project);
    let run = up.post("/api/pipelines/daily/runs?wait=60s", "{}");
    assert_eq!(run["status"], "failed", "a receiver that is away is nothing to a run: {run}");
    // The other one hears everything meanwhile, and people see who does not.
    wait_until(|| project.read("out/lineage.ndjson").lines().count() == TOLD.len());
    let waits = || -> Value {
        let rows = project.output(&["doctor", "--json"]).stdout;
        let rows = String::from_utf8(rows).unwrap();
        let mut rows = rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.find(|row| row["what"] == "lineage to `catalog`").unwrap()
    };
    wait_until(|| waits()["attempts"].as_i64() > Some(0));
    let row = waits();
    assert_eq!((&row["ok"], &row["runs"]), (&json!(false), &json!(1)), "{row}");
    assert!(word(&row["error"]).contains("503"), "{row}");
    drop(up);
    assert_eq!(receiver.told(), [""; 0]);
    drop(receiver);
    // Nobody listens at all, and the server begins again.
    let up = Up::start(&project);
    let receiver = Receiver::start(port);
    wait_until(|| receiver.told().len() >= TOLD.len());
    assert_eq!(receiver.told(), TOLD);
    wait_until(|| waits()["ok"] == true);
    drop(up);
}

#[test]
fn a_kill_in_the_middle_of_a_run_loses_no_event_and_changes_none() {
    let receiver = Receiver::start(0);
    let project = workspace(&receiver.url);
    let held = "steps:\n  first: {run: \"true\"}\n  held: {run: \"for i in $(seq 3000); do [ -e go ] && break; sleep 0.02; done\", needs: first}\n  last: {run: \"true\", needs: held}\n";
    project.write("pipelines/daily.yaml", held);
    let up = Up::start(&project);
    let run = up.post("/api/pipelines/daily/runs", "{}");
    let told = |event: &str| receiver.told().iter().any(|told| told == event);
    wait_until(|| told("START daily.held"));
    drop(up);
    project.write("go", "");
    let up = Up::start(&project);
    wait_until(|| told("COMPLETE daily"));
    drop(up);
    let mut seen: Vec<(String, Value)> = Vec::new();
    let events = receiver.events.lock().unwrap().clone();
    for (name, event) in receiver.told().into_iter().zip(events) {
        match seen.iter().find(|(known, _)| *known == name) {
            // What was told before the kill and not yet noted as told comes again, the same as before.
            Some((_, before)) => assert_eq!(before, &event),
            None => seen.push((name, event)),
        }
    }
    let names: Vec<&str> = seen.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "START daily",
            "START daily.first",
            "COMPLETE daily.first",
            "START daily.held",
            "COMPLETE daily.held",
            "START daily.last",
            "COMPLETE daily.last",
            "COMPLETE daily",
        ],
        "{run}"
    );
}

#[test]
fn an_event_that_is_never_taken_and_a_receiver_that_never_answers_hold_up_no_other() {
    let receiver = Receiver::start(0);
    // It accepts connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let project = workspace(&receiver.url);
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    let file = format!(
        "receivers:\n  silent: {{url: \"{silent_url}\"}}\n  catalog: {{url: \"{}\"}}\n",
        receiver.url
    );
    project.write("lineage.yaml", file);
    project.write("pipelines/poison.yaml", "steps:\n  one: {run: \"true\"}\n");
    project.write("pipelines/sound.yaml", "steps:\n  one: {run: \"true\"}\n");
    let up = Up::start(&project);
    for pipeline in ["poison", "sound", "poison", "sound"] {
        up.post(&format!("/api/pipelines/{pipeline}/runs?wait=60s"), "{}");
    }
    let ends = || receiver.told().iter().filter(|told| *told == "COMPLETE sound").count();
    wait_until(|| ends() == 2);
    let doctor = project.millrace(&["doctor"]);
    let line = |name: &str| doctor.lines().find(|line| line.contains(name)).unwrap_or_default().to_owned();
    assert!(line("`catalog`").contains("2 runs to be told of since"), "{doctor}");
    assert!(line("`silent`").contains("4 runs to be told of since"), "{doctor}");
}

#[test]
fn what_a_receiver_refuses_for_good_is_not_sent_again() {
    let receiver = Receiver::start(0);
    let project = workspace(&receiver.url);
    receiver.status.store(422, Ordering::SeqCst);
    let up = Up::start(&project);
    up.post("/api/pipelines/daily/runs?wait=60s", "{}");
    let heard =
        || project.millrace(&["doctor"]).lines().filter(|line| line.contains("heard everything")).count();
    wait_until(|| heard() == 2);
    receiver.status.store(201, Ordering::SeqCst);
    up.post("/api/pipelines/daily/runs?wait=60s", "{}");
    wait_until(|| receiver.told().len() >= TOLD.len());
    assert_eq!(receiver.told(), TOLD, "of the second run only");
}

#[test]
fn a_run_without_a_server_is_told_before_it_returns() {
    let receiver = Receiver::start(0);
    let project = workspace(&receiver.url);
    project.last_json(&["run", "daily", "--json"]);
    assert_eq!(receiver.told(), TOLD);
}

#[test]
fn jobs_of_others_are_part_of_the_lineage() {
    let project = Project::new(&[
        ("orders.csv", ORDERS),
        ("connections.yaml", "lake: {s3: {bucket: lake, region: eu, endpoint: \"http://127.0.0.1:1\"}}\n"),
    ]);
    let copied = project.millrace(&["copy", "orders.csv", "data:orders"]);
    assert!(copied.starts_with("exit 0"), "{copied}");
    let up = Up::start(&project);
    let told = drive("openlineage_client.py", &[&up.url], project.path());
    if !told {
        return;
    }
    let jobs = up.get("/api/lineage/jobs");
    let names: Vec<&str> = jobs.as_array().unwrap().iter().map(|job| word(&job["key"])).collect();
    assert_eq!(names, ["dbt/marts", "airflow/nightly.load", "spark://cluster/enrich_orders"], "{jobs}");
    assert_eq!(jobs[1]["latest"]["state"], "failed", "the start that came later does not undo the end");
    assert_eq!(jobs[1]["latest"]["error"], "no space left");
    let job = up.get("/api/lineage/job?key=spark%3A%2F%2Fcluster%2Fenrich_orders");
    assert_eq!(job["runs"][0]["state"], "succeeded", "{job}");
    assert_eq!(job["uses"].as_array().unwrap().len(), 3, "{job}");
    let data = up.get("/api/lineage/dataset?key=s3%3A%2F%2Flake%2Fenriched%2Forders.parquet");
    assert_eq!(data["columns"], json!([{"name": "id", "type": "BIGINT"}]), "{data}");
    let users: Vec<_> =
        data["users"].as_array().unwrap().iter().map(|user| (&user["job"], &user["writes"])).collect();
    assert_eq!(
        users,
        [
            (&json!("airflow/nightly.load"), &json!(false)),
            (&json!("spark://cluster/enrich_orders"), &json!(true)),
        ]
    );
    let graph = up.get("/api/lineage?kind=dataset&name=orders&version=1");
    let edge = |edge: &Value| {
        let end = |key: &str| format!("{}:{}", word(&edge[key]["kind"]), word(&edge[key]["name"]));
        format!("{} {} {}", end("from"), word(&edge["tie"]), end("to"))
    };
    let mut edges: Vec<String> = graph["edges"].as_array().unwrap().iter().map(edge).collect();
    edges.sort();
    assert_eq!(
        edges,
        [
            "dataset:orders read job:dbt/marts",
            "dataset:orders read job:spark://cluster/enrich_orders",
            "job:airflow/nightly.load made dataset:orders",
            "job:spark://cluster/enrich_orders made outside:s3://lake/enriched/orders.parquet",
            "outside:postgres://crm:5432/crm.public.customers read job:spark://cluster/enrich_orders",
            "outside:s3://lake/enriched/orders.parquet read job:airflow/nightly.load",
            "source:orders.csv made dataset:orders",
        ],
        "{graph}"
    );
    drop(up);
    let shown = project.millrace(&["data", "lineage", "orders"]);
    assert!(shown.contains("job:spark://cluster/enrich_orders"), "{shown}");
}

#[test]
fn what_is_no_event_is_refused_whole_and_a_login_is_asked_for() {
    let project = Project::new(&[]);
    let up = Up::start(&project);
    let event =
        json!({"eventTime": "2026-03-01T06:00:00Z", "producer": "p", "job": {"namespace": "n", "name": "j"}});
    let refused = up.post("/api/v1/lineage", &json!([event, {"job": 1}]).to_string());
    assert_eq!((&refused["status"], &refused["code"]), (&422.into(), &"not-an-event".into()), "{refused}");
    assert_eq!(refused["message"], "event 2 of 2: the event has no `eventTime`", "{refused}");
    assert_eq!(up.get("/api/lineage/jobs"), json!([]), "all or nothing");
    assert_eq!(up.post("/api/v1/lineage", &event.to_string())["events"], 1);
    assert_eq!(up.get("/api/lineage/jobs").as_array().unwrap().len(), 1);
    let many = vec![event.clone(); 1_001];
    assert_eq!(up.post("/api/v1/lineage", &json!(many).to_string())["status"], 413);
    let large = json!({"job": "x".repeat(17 * 1024 * 1024)});
    assert_eq!(up.post("/api/v1/lineage", &large.to_string())["status"], 413);
    assert_eq!(up.post("/api/v1/lineage", "{")["status"], 400);
    drop(up);
    let up = Up::start_with_login(&project, None);
    assert_eq!(up.post("/api/v1/lineage", &event.to_string())["status"], 401);
}

#[test]
fn mistakes_in_the_file_are_told_where_they_stand() {
    let project = Project::new(&[("lineage.yaml", "receivers:\n  catalog: {uri: \"http://x\"}\n")]);
    let schema = project.json(&["schema", "lineage"]);
    assert!(schema.pointer("/properties/receivers").is_some(), "{schema}");
    let said = project.millrace(&["check", "lineage.yaml"]);
    assert!(said.contains("lineage.yaml:2:13") && said.contains("did you mean `url`?"), "{said}");
}
