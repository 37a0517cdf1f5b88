//! What the page of a run shows: what steps used, what set the run's length, their logs.

use std::io::BufRead as _;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::project::{Project, wait_until};
use crate::server::Up;

/// A server-sent event: its name, its id, its document.
type Event = (String, String, Value);

/// The next event of a stream; `None` at its end.
fn next_event(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> Option<Event> {
    let mut event = (String::new(), String::new(), Value::Null);
    loop {
        let line = lines.next()?.unwrap();
        match line.split_once(": ") {
            Some(("event", name)) => event.0 = name.to_owned(),
            Some(("id", id)) => event.1 = id.to_owned(),
            Some(("data", data)) => event.2 = serde_json::from_str(data).unwrap(),
            _ if line.is_empty() && !event.0.is_empty() => return Some(event),
            _ => {}
        }
    }
}

/// All events of a stream that ends.
fn events(up: &Up, path: &str, resumed: Option<&str>) -> Vec<Event> {
    let mut lines = up.stream(path, resumed).lines();
    std::iter::from_fn(|| next_event(&mut lines)).collect()
}

/// What a search found, and what it said in the end.
fn found(up: &Up, path: &str) -> (Vec<Value>, Value) {
    let mut events = events(up, path, None);
    let (name, _, done) = events.pop().unwrap();
    assert_eq!(name, "done");
    events.retain(|(name, ..)| name == "match");
    (events.into_iter().map(|(_, _, matched)| matched).collect(), done)
}

fn texts(lines: &Value) -> Vec<String> {
    let said =
        |line: &Value| format!("{} {}", line["stream"].as_str().unwrap(), line["text"].as_str().unwrap());
    lines.as_array().unwrap().iter().map(said).collect()
}

#[test]
fn a_run_says_what_its_steps_used_and_what_set_its_length() {
    let busy =
        "python3 -c 'import time\nwhile time.process_time() < 0.2: pass'; head -c 2000000 /dev/zero > big";
    let pipeline = format!(
        "steps:\n  busy:\n    run: |\n      {}\n  short: {{set: {{a: 1}}}}\n  fails: {{run: 'cat big big; exit 3', needs: [busy, short], retry: 1}}\n",
        busy.replace('\n', "\n      ")
    );
    let project = Project::new(&[("pipelines/p.yaml", &pipeline)]);
    assert!(!project.output(&["run", "p"]).status.success());
    let run = project.json(&["runs", "show", "latest", "--json"]);
    assert_eq!(run["critical_path"], json!(["busy", "fails"]), "{run}");
    let cost = |index: usize, what: &str| run["steps"][index]["cost"][what].as_u64();
    assert!(cost(0, "cpu_ms").unwrap() >= 200 && cost(0, "peak_memory_bytes").unwrap() > 1 << 20, "{run}");
    assert!(cost(0, "written_bytes").unwrap() >= 2_000_000, "{run}");
    // Nobody measures what a step inside the server uses: it says nothing instead of nought.
    assert_eq!((cost(1, "cpu_ms"), run["steps"][1]["critical"].as_bool()), (None, Some(false)), "{run}");
    // Both attempts count.
    assert_eq!(run["steps"][2]["attempts"].as_array().unwrap().len(), 2, "{run}");
    assert!(cost(2, "read_bytes").unwrap() >= 8_000_000, "{run}");
    let total = run["cost"]["read_bytes"].as_u64().unwrap();
    assert_eq!(total, cost(0, "read_bytes").unwrap() + cost(2, "read_bytes").unwrap());

    let up = Up::start(&project);
    let page = up.get(&format!("/api/runs/{}", run["run"].as_str().unwrap()));
    assert_eq!(page["cost"], run["cost"]);
    assert_eq!(page["steps"][0]["attempts"][0]["cost"], run["steps"][0]["cost"]);
    assert_eq!(page["critical_path"]["steps"], run["critical_path"]);
    let shown = project.millrace(&["runs", "show", "latest"]);
    assert!(
        shown.contains("ATTEMPTS  QUEUED") && shown.contains("busy*") && shown.contains("2.0 MB"),
        "{shown}"
    );
}

/// What the page of a run says above a log that is not whole.
#[test]
fn a_cut_log_says_what_is_missing_and_where() {
    let pipeline = "steps:\n  flood: {run: \"seq 200000; echo at the end\"}\n  quiet: {run: echo fine}\n";
    let files = [("millrace.yaml", "name: test\nmax_log: 100kB\n"), ("pipelines/p.yaml", pipeline)];
    let project = Project::new(&files);
    let run = project.json(&["run", "p", "--json"])["run"].as_str().unwrap().to_owned();
    let up = Up::start(&project);
    let log = |step: &str| format!("/api/runs/{run}/steps/{step}/log");
    let view = up.get(&log("flood"));
    let [part] = view["dropped"].as_array().unwrap().as_slice() else { panic!("{view}") };
    assert_eq!((&part["stream"], &part["reason"]), (&json!("stdout"), &json!("`max_log` is reached")));
    // 1,288,895 bytes of numbers and 11 of words came; 100,000 at the beginning and the last 16 KiB are kept.
    assert_eq!(part["bytes"], 1_288_895 + 11 - 100_000 - 16 * 1024, "{part}");
    let said = up.get(&format!("{}?from={}&count=1", log("flood"), part["line"]));
    assert!(said["lines"][0]["text"].as_str().unwrap().contains("bytes of output were dropped"), "{said}");
    let told = events(&up, &format!("{}/events", log("flood")), None);
    assert_eq!(told.last().unwrap().2["dropped"], view["dropped"], "{told:?}");
    assert_eq!(up.get(&log("quiet"))["dropped"], json!([]));
}

const TALKS: &str = "steps:\n  talks:\n    run: |\n      echo one; sleep 0.2; echo oops >&2; sleep 0.2; echo two; touch begun\n      for i in $(seq 3000); do [ -e go ] && break; sleep 0.02; done\n      printf '\\033[31mthree\\033[0m\\n'; sleep 0.2; printf 'no end'\n";

#[test]
fn a_log_is_followed_over_a_kill_of_the_server_without_gap_or_repetition() {
    let project = Project::new(&[("pipelines/p.yaml", TALKS)]);
    let up = Up::start(&project);
    let run = up.post("/api/pipelines/p/runs", "{}")["id"].as_str().unwrap().to_owned();
    let log = format!("/api/runs/{run}/steps/talks/log");
    wait_until(|| project.path().join("begun").exists() && up.get(&log)["total"] == 3);
    let mut seen = Vec::new();
    let mut at = String::new();
    {
        let mut lines = up.stream(&format!("{log}/events?tail=2"), None).lines();
        while seen.len() < 2 {
            let (_, id, view) = next_event(&mut lines).unwrap();
            at = id;
            seen.extend(texts(&view["lines"]));
        }
    }
    assert_eq!(
        (seen.as_slice(), at.as_str()),
        (["stderr oops", "stdout two"].map(str::to_owned).as_slice(), "13")
    );
    drop(up);
    project.write("go", "");
    let up = Up::start(&project);
    let rest = events(&up, &format!("{log}/events"), Some(&at));
    let later: Vec<String> = rest
        .iter()
        .flat_map(|(_, _, view)| view["lines"].as_array().into_iter().flatten())
        .map(|line| line["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(later, ["\u{1b}[31mthree\u{1b}[0m", "no end"], "{rest:?}");
    assert_eq!(rest.last().unwrap().2, json!({"total": 5, "dropped": []}));

    let page = up.get(&format!("{log}?from=1&count=2"));
    assert_eq!(
        (texts(&page["lines"]).join(","), &page["next"]),
        ("stderr oops,stdout two".to_owned(), &json!(3))
    );
    let times: Vec<i64> = up.get(&log)["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["at_ms"].as_i64().unwrap())
        .collect();
    assert!(times.is_sorted() && times[4] - times[0] >= 400, "{times:?}");
    assert_eq!(up.get(&format!("{log}?attempt=2"))["code"], "unknown-attempt");

    let (matches, done) = found(&up, &format!("{log}/search?pattern=THREE&context=1"));
    assert_eq!((matches.len(), &matches[0]["line"]["number"]), (1, &json!(3)));
    assert_eq!(texts(&matches[0]["before"]), ["stdout two"]);
    assert_eq!(texts(&matches[0]["after"]), ["stdout no end"]);
    assert_eq!(done, json!({"looked_at": 5, "total": 5, "matches": 1, "more": false}));
    let (_, done) = found(&up, &format!("{log}/search?pattern=%5Eo&regex=true&limit=1"));
    assert_eq!(done, json!({"looked_at": 1, "total": 5, "matches": 1, "more": true}));
    let refused = up.get(&format!("{log}/search?pattern=(&regex=true"));
    assert_eq!(refused["message"], "`(` is not a regular expression: unclosed group");
    let text: Vec<String> = up.stream(&format!("{log}/file"), None).lines().map(Result::unwrap).collect();
    assert_eq!(text, ["one", "oops", "two", "\u{1b}[31mthree\u{1b}[0m", "no end"]);
}

#[test]
fn logs_are_followed_and_searched_from_the_command_line() {
    let project = Project::new(&[("pipelines/p.yaml", TALKS)]);
    let mut ran = project.spawn(&["run", "p"]);
    wait_until(|| project.path().join("begun").exists());
    let mut followed = project
        .command(&["logs", "latest", "--follow", "--tail", "1"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(followed.stdout.take().unwrap()).lines().map(Result::unwrap);
    // Which line is the last one depends on when it looks; what follows does not.
    let first = lines.next().unwrap();
    project.write("go", "");
    let rest: Vec<String> = lines.collect();
    assert!(["one", "oops", "two"].contains(&first.as_str()), "{first}");
    assert!(rest.ends_with(&["\u{1b}[31mthree\u{1b}[0m".to_owned(), "no end".to_owned()]), "{rest:?}");
    assert!(followed.wait().unwrap().success());
    assert!(ran.wait().unwrap().success());
    assert_snapshot!(project.millrace(&["logs", "latest", "talks", "--grep", "o", "--tail", "4"]), @r"
    exit 0
    2:oops
    3:two
    5:no end
    ----
    ");
    let around = project.millrace(&["logs", "latest", "-g", "^T(WO|HREE)$", "-E", "-i", "-C", "1"]);
    assert_eq!(around, "exit 0\n2-oops\n3:two\n4:\u{1b}[31mthree\u{1b}[0m\n5-no end\n----\n");
    assert_snapshot!(project.millrace(&["logs", "latest", "--grep", "four"]), @r"
    exit 1
    ----
    no line of `talks` has `four`
    ");
    assert!(
        project
            .millrace(&["logs", "latest", "-g", "(", "-E"])
            .contains("is not a regular expression: unclosed group")
    );
    assert!(project.millrace(&["logs", "latest", "--attempt", "2"]).contains("`talks` has no attempt 2"));
    let first: Value = serde_json::from_slice(
        project.output(&["logs", "latest", "--json", "--grep", "oops"]).stdout.as_slice(),
    )
    .unwrap();
    assert_eq!((&first["number"], &first["stream"]), (&json!(2), &json!("stderr")));
    assert!(first["t"].is_i64(), "{first}");
}
