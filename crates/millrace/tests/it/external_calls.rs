//! Flows ask a web API about their rows: what is sent, what becomes of the answers, and when nothing is sent.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::project::Project;
use crate::server::Up;

/// A web API that scores customers, and keeps what it was asked: `GET /v1/customers/a`, or with the body behind it.
struct Api {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Api {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let kept = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = kept.clone();
                std::thread::spawn(move || answer(stream.unwrap(), &kept));
            }
        });
        Self { port, asked }
    }

    /// How often each request came; none is kept.
    fn asked(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in self.asked.lock().unwrap().drain(..) {
            *counts.entry(request).or_default() += 1;
        }
        counts
    }
}

fn answer(mut stream: TcpStream, asked: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut length, mut token) = (String::new(), 0, String::new());
    reader.read_line(&mut line).ok()?;
    let request = line.rsplit_once(" HTTP")?.0.to_owned();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(("authorization", value)) => token = value.to_owned(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).unwrap();
    let request = if body.is_empty() { request } else { format!("{request} {body}") };
    let mut asked = asked.lock().unwrap();
    let again = asked.contains(&request);
    asked.push(request.clone());
    drop(asked);
    let (status, said) = match request.as_str() {
        _ if token != "Bearer s3cret" => ("401 Unauthorized", json!({"error": "who?"}).to_string()),
        request if request.starts_with("POST") => ("201 Created", String::new()),
        // It has too much to do when it is asked first.
        request if request.contains("/busy") && !again => ("503 Service Unavailable", String::new()),
        request if request.contains("/gone") => {
            ("404 Not Found", json!({"error": "no such customer"}).to_string())
        }
        request if request.contains("/odd") => ("200 OK", json!({"score": "high"}).to_string()),
        request => {
            let score = request.len() as f64 / 4.0;
            ("200 OK", json!({"score": score, "reasons": ["age", "place"], "more": 1}).to_string())
        }
    };
    let length = said.len();
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{said}").ok()
}

const CUSTOMERS: &str =
    "id,customer,lang,amount\n1,a/b c,de,2.5\n2,busy,,1\n3,gone,,1\n4,odd,,1\n5,busy,,7\n6,skip,,0\n7,,,3\n";
const SCORED: &str = "nodes:
  customers: {source: customers}
  scored:
    external_call:
      connection: scores
      path: customers/{customer}
      params: {lang: lang}
      when: customer is distinct from 'skip'
      as: {score: float, reasons: [string]}
      expand: true
      status: status
      error: wrong
    from: customers
";
const PIPELINE: &str = "steps:
  load: {copy: {from: customers.csv, to: \"data:customers\"}}
  score: {flow: {file: flows/scored.yaml, to: \"data:scored\"}, inputs: {customers: \"${{ steps.load.data }}\"}}
";

fn project(api: &Api, flow: &str) -> Project {
    let connections = format!(
        "scores: {{rest: {{url: \"http://127.0.0.1:{}/v1/\", auth: {{bearer: s3cret}}, allow_http: true}}}}\n",
        api.port
    );
    Project::new(&[
        ("connections.yaml", &connections),
        ("customers.csv", CUSTOMERS),
        ("flows/scored.yaml", flow),
        ("pipelines/p.yaml", PIPELINE),
    ])
}

fn rows(project: &Project, sql: &str) -> Vec<Value> {
    let output = project.output(&["sql", sql, "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn rows_get_what_is_answered_about_them() {
    let api = Api::start();
    let project = project(&api, SCORED);
    let ended = project.json(&["run", "p", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let expected = [
        ("GET /v1/customers/a%2Fb%20c?lang=de", 1),
        ("GET /v1/customers/busy", 2),
        ("GET /v1/customers/gone", 1),
        ("GET /v1/customers/odd", 1),
    ];
    let expected: BTreeMap<String, usize> =
        expected.into_iter().map(|(request, count)| (request.to_owned(), count)).collect();
    assert_eq!(api.asked(), expected);
    let found = rows(&project, "select id, score, reasons, status, wrong from scored order by id");
    let reasons = json!(["age", "place"]);
    assert_eq!(found[0], json!({"id": 1, "score": 8.75, "reasons": reasons, "status": 200, "wrong": null}));
    assert_eq!(found[1], json!({"id": 2, "score": 5.5, "reasons": reasons, "status": 200, "wrong": null}));
    let wrong = |row: usize| found[row]["wrong"].as_str().unwrap().to_owned();
    assert!(wrong(2).contains("answers 404 Not Found: `{\"error\":\"no such customer\"}`"), "{}", wrong(2));
    assert_eq!((&found[3]["score"], &found[3]["status"]), (&Value::Null, &json!(200)));
    assert!(wrong(3).starts_with("the answer `{\"score\":\"high\"}` does not fit `as`"), "{}", wrong(3));
    assert_eq!(found[4]["score"], found[1]["score"]);
    let nothing = json!({"id": 6, "score": null, "reasons": null, "status": null, "wrong": null});
    assert_eq!(found[5], nothing);
    assert_eq!(wrong(6), "`customer` is empty, and stands in the path");
}

#[test]
fn what_is_sent_is_sent_once_a_row_though_nobody_reads_the_answers() {
    let api = Api::start();
    let flow = "nodes:
  customers: {source: customers}
  few: {filter: id <= 2, from: customers}
  told: {external_call: {connection: scores, path: notes, body: {id: id, who: \"named_struct('name', customer, 'lang', lang)\"}, status: status}, from: few}
  ids: {select: [id], from: told}
output: ids
";
    let project = project(&api, flow);
    let ended = project.json(&["run", "p", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let asked: Vec<(String, usize)> = api.asked().into_iter().collect();
    let bodies: Vec<Value> = asked
        .iter()
        .map(|(request, _)| serde_json::from_str(request.strip_prefix("POST /v1/notes ").unwrap()).unwrap())
        .collect();
    assert_eq!(
        bodies,
        [
            json!({"id": 1, "who": {"name": "a/b c", "lang": "de"}}),
            json!({"id": 2, "who": {"name": "busy", "lang": null}}),
        ]
    );
    assert!(asked.iter().all(|(_, times)| *times == 1), "{asked:?}");
    assert_eq!(rows(&project, "select * from scored order by id"), [json!({"id": 1}), json!({"id": 2})]);
}

#[test]
fn a_flow_fails_where_no_column_takes_what_went_wrong() {
    let api = Api::start();
    let project = project(&api, &SCORED.replace("      error: wrong\n", ""));
    let output = project.output(&["run", "p"]);
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("`scores`: "), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn a_look_reads_about_few_rows_and_sends_nothing() {
    let api = Api::start();
    let project = project(&api, SCORED);
    let many: String = (0..500).map(|id| format!("{id},c{id},,1\n")).collect();
    project.write("customers.csv", format!("id,customer,lang,amount\n{many}"));
    let up = Up::start(&project);
    let look = |yaml: &str| {
        let tables = json!({"customers": "customers.csv"});
        let body = json!({"yaml": yaml, "node": "scored", "tables": tables, "limit": 50});
        up.post("/api/flow-previews", &body.to_string())
    };
    let seen = look(SCORED);
    assert_eq!(seen["rows"].as_array().map(Vec::len), Some(20), "{seen}");
    assert_eq!(api.asked().values().sum::<usize>(), 20);
    let sending = SCORED.replace("params: {lang: lang}", "body: {lang: lang}");
    let refused = look(&sending)["message"].as_str().unwrap().to_owned();
    assert!(refused.contains("POST may change something, and is sent by a run only"), "{refused}");
    assert!(api.asked().is_empty());
}

#[test]
fn mistakes_are_told_with_their_place_before_anything_is_sent() {
    let api = Api::start();
    let project = project(&api, SCORED);
    let check = |flow: &str| {
        project.write("flows/scored.yaml", flow);
        project.millrace(&["check"])
    };
    let typed = SCORED.replace(
        "{source: customers}",
        "{source: {name: customers, columns: {id: integer, customer: string, lang: string, amount: float}}}",
    );
    let fine = check(&typed);
    assert!(fine.starts_with("exit 0"), "{fine}");
    for (from, to, place, message) in [
        ("connection: scores", "connection: score", "5:19", "there is no connection `score` to a web API"),
        ("{customer}", "{client}", "6:13", "there is no column `client` here"),
        ("lang: lang", "lang: lung", "7:22", "there is no column `lung` in the parameter `lang`"),
        ("expand: true", "into: customer", "10:13", "the column `customer` is there already"),
    ] {
        let said = check(&typed.replace(from, to));
        assert!(said.contains(&format!("flows/scored.yaml:{place}")) && said.contains(message), "{said}");
    }
    assert!(api.asked().is_empty());
}

#[test]
fn a_test_of_a_flow_has_its_answers_written_down() {
    let api = Api::start();
    let project = project(&api, SCORED);
    let cases = r#"flow: flows/scored.yaml
cases:
  - name: a customer is scored
    inputs: {customers: [{id: 1, customer: x, lang: de}]}
    answers: {scores: {"GET customers/x?lang=de": {score: 0.5, reasons: [age]}}}
    expect: [{id: 1, customer: x, lang: de, score: 0.5, reasons: [age], status: 200, wrong: null}]
  - name: what was not written down is an error of the row
    inputs: {customers: [{id: 1, customer: y, lang: de}]}
    answers: {scores: {}}
    node: scored
    expect: [{id: 1, customer: y, lang: de, score: null, reasons: null, status: null, wrong: "the case has no answer to `GET customers/y?lang=de`"}]
  - name: nobody is asked
    inputs: {customers: [{id: 1, customer: y, lang: de}]}
    expect_error: a test asks nobody
"#;
    project.write("tests/scored.flow-test.yaml", cases);
    let said = project.millrace(&["test"]);
    assert!(said.starts_with("exit 0"), "{said}");
    assert!(api.asked().is_empty());
}

#[test]
fn no_other_engine_asks() {
    let api = Api::start();
    let project = project(&api, SCORED);
    let typed = SCORED.replace(
        "{source: customers}",
        "{source: {name: customers, columns: {id: integer, customer: string, lang: string, amount: float}}}",
    );
    project.write("flows/scored.yaml", &typed);
    let said = project.millrace(&["export", "spark", "flows/scored.yaml"]);
    assert!(said.contains("node `scored`: no other engine does it"), "{said}");
    assert!(said.contains("engine: local") && api.asked().is_empty(), "{said}");
}
