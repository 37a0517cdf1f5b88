//! People are told how runs end and that one is late: once, over kills, with a link.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::Value;

use crate::notify::web_server;
use crate::project::{Project, wait_until};
use crate::server::Up;

/// As the guide has it, word for word.
const FINALLY: &str = r#"
inputs: {code: 3}
steps:
  train: {run: "exit ${{ inputs.code }}"}
finally:
  notify: {notify: team_ml, if: "not succeeded()", message: "${{ run.url }}: ${{ run.error.message }}"}
"#;

/// Goes on until `go` is there; ends by itself after half a minute.
const SLOW: &str = "touch begun; for i in $(seq 600); do [ -e go ] && exit 0; sleep 0.05; done; exit 9";

fn channels(port: u16) -> String {
    format!("team_ml: [webhook: {{url: \"http://127.0.0.1:{port}/hook\"}}]\n")
}

/// Notes as they come, each once: what was on its way when a server was killed comes again, and says so by its key.
struct Posts {
    posts: Receiver<(String, String, Value)>,
    seen: Vec<String>,
}

impl Posts {
    fn start() -> (u16, Self) {
        let (port, posts) = web_server();
        (port, Self { posts, seen: Vec::new() })
    }

    /// Path, idempotency key and body.
    fn next(&mut self) -> (String, String, Value) {
        loop {
            let post = self.posts.recv_timeout(Duration::from_secs(60)).unwrap();
            if !self.seen.contains(&post.1) {
                self.seen.push(post.1.clone());
                return post;
            }
        }
    }
}

fn ended(server: &Up, run: &str) -> bool {
    !matches!(server.get(&format!("/api/runs/{run}"))["run"]["status"].as_str(), Some("queued" | "running"))
}

fn start(server: &Up, pipeline: &str, body: &str) -> String {
    server.post(&format!("/api/pipelines/{pipeline}/runs"), body)["id"].as_str().unwrap().to_owned()
}

#[test]
fn finally_tells_of_a_run_that_did_not_succeed_with_its_address_and_its_error() {
    let (port, mut posts) = Posts::start();
    let project = Project::new(&[("pipelines/p.yaml", FINALLY), ("channels.yaml", &channels(port))]);
    let server = Up::start(&project);
    let sound = start(&server, "p", r#"{"inputs": {"code": 0}}"#);
    wait_until(|| ended(&server, &sound));
    let failed = start(&server, "p", "{}");
    let (_, _, body) = posts.next();
    // The run that succeeded told nobody, so this is the other one.
    let page = format!("{}/runs/{failed}", server.url);
    assert_eq!(body["text"], format!("{page}: the program of step `train` ended with exit code 3"));
    drop(server);
    // What people call it comes before where it listens.
    project.write("millrace.yaml", "name: test\nurl: https://ml.example\n");
    let server = Up::start(&project);
    let failed = start(&server, "p", "{}");
    let (_, _, body) = posts.next();
    assert_eq!(
        body["text"],
        format!("https://ml.example/runs/{failed}: the program of step `train` ended with exit code 3")
    );
}

#[test]
fn a_pipeline_tells_how_its_runs_end_once_also_when_nobody_could_be_told_at_first() {
    let (port, mut posts) = Posts::start();
    let pipeline = "inputs: {code: 3}\nnotify:\n  on_failure: team_ml\n  on_success: [team_ml]\nsteps:\n  train: {run: \"exit ${{ inputs.code }}\"}\n";
    let worded = format!("{pipeline}  made: {{set: {{auc: 0.91}}, needs: train}}\n")
        .replace("notify:\n", "notify:\n  message: \"AUC ${{ steps.made.auc }} of ${{ run.url }}\"\n");
    let project = Project::new(&[("pipelines/p.yaml", pipeline), ("pipelines/worded.yaml", &worded)]);
    project.write("millrace.yaml", "name: test\nurl: https://ml.example\n");
    project.write("channels.yaml", channels(port));
    let server = Up::start(&project);
    // A file that nobody can read when the run ends, and a server that is killed then.
    project.write("channels.yaml", "team_ml: [\n");
    let failed = start(&server, "p", "{}");
    wait_until(|| ended(&server, &failed));
    drop(server);
    project.write("channels.yaml", channels(port));
    let server = Up::start(&project);
    let (_, key, body) = posts.next();
    assert_eq!(key, format!("run-{failed}-ended/team_ml/0"));
    assert_eq!(body["subject"], "p #1 failed");
    assert_eq!(body["link"], format!("https://ml.example/runs/{failed}"));
    assert!(
        body["text"]
            .as_str()
            .unwrap()
            .starts_with("train: the program of step `train` ended with exit code 3"),
        "{body}"
    );
    let worded = start(&server, "worded", r#"{"inputs": {"code": 0}}"#);
    let (_, _, body) = posts.next();
    assert_eq!(body["subject"], "worded #1 succeeded", "the first one is not told again");
    assert_eq!(body["text"], format!("AUC 0.91 of https://ml.example/runs/{worded}"));
    drop(server);
    // `millrace run` is its own server: what it has to tell, it tells before it ends.
    assert_eq!(project.last_json(&["run", "p", "--json"])["state"], "failed");
    assert_eq!(posts.next().2["subject"], "p #2 failed");
}

#[test]
fn a_deadline_that_passes_is_told_once_and_shown_over_a_restart() {
    let (port, mut posts) = Posts::start();
    let pipeline =
        format!("deadline: {{within: 200ms, notify: team_ml}}\nsteps:\n  slow: {{run: '{SLOW}'}}\n");
    let quick = "deadline: {within: 10m, notify: team_ml}\nsteps:\n  done: {set: {a: 1}}\n";
    let project = Project::new(&[("pipelines/p.yaml", &pipeline), ("pipelines/quick.yaml", quick)]);
    project.write("channels.yaml", channels(port));
    let server = Up::start(&project);
    let quick = start(&server, "quick", "{}");
    let run = start(&server, "p", "{}");
    wait_until(|| project.path().join("begun").exists());
    let (_, key, body) = posts.next();
    assert_eq!(key, format!("run-{run}-late/team_ml/0"));
    assert_eq!(body["subject"], "p is late");
    assert!(body["text"].as_str().unwrap().ends_with("Not over: slow"), "{body}");
    drop(server);
    let server = Up::start(&project);
    let view = |run: &str| server.get(&format!("/api/runs/{run}"))["run"].clone();
    assert_eq!((view(&run)["late"].clone(), view(&run)["status"].clone()), (true.into(), "running".into()));
    let why = server.get(&format!("/api/runs/{run}/why"));
    assert!(why[0]["why"].to_string().contains("the run is late: it was to be over by"), "{why}");
    let said = project.millrace(&["why", &run]);
    assert!(said.contains("the run is late: it was to be over by"), "{said}");
    assert_eq!(project.json(&["runs", "--json", "--pipeline", "p"])["late"], true);
    project.write("go", "");
    wait_until(|| ended(&server, &run));
    assert_eq!((view(&run)["late"].clone(), view(&quick)["late"].clone()), (true.into(), false.into()));
    // Told once: what comes next is of another run.
    let next = start(&server, "p", "{}");
    wait_until(|| ended(&server, &next));
    drop(server);
    let cancelled = pipeline.replace("notify: team_ml", "notify: team_ml, cancel: true");
    project.write("pipelines/p.yaml", cancelled);
    std::fs::remove_file(project.path().join("go")).unwrap();
    let over = project.last_json(&["run", "p", "--json"]);
    assert_eq!(over["state"], "cancelled", "{over}");
    let mut told = Vec::new();
    while !told.iter().any(|text: &String| text.contains("p #3")) {
        told.push(posts.next().2["text"].as_str().unwrap().to_owned());
    }
    assert!(told.iter().any(|text| text.contains("p #3") && text.contains("it is cancelled")), "{told:?}");
    assert!(told.iter().all(|text| !text.contains("p #1") && !text.contains("quick")), "{told:?}");
    let server = Up::start(&project);
    let view = server.get(&format!("/api/runs/{}", over["run"].as_str().unwrap()));
    assert_eq!(view["run"]["problem"]["code"], "deadline-passed", "{view}");
}

#[test]
fn mistakes_in_deadlines_and_notices_are_found_before_it_runs() {
    let project = Project::new(&[
        ("channels.yaml", "team_ml: [log]\n"),
        (
            "pipelines/p.yaml",
            "deadline: {by: \"6:00\", timezone: Europe/Berlim, notify: team}\nnotify: {on_failed: team_ml, on_success: [taem_ml], message: \"${{ run.ulr }} ${{ run.error.massage }} ${{ steps.trian.state }}\"}\nsteps:\n  train: {run: 'true'}\n",
        ),
        (
            "pipelines/q.yaml",
            "deadline: {by: \"06:00\", within: 2h}\nnotify: {}\nsteps:\n  train: {run: 'true'}\n",
        ),
    ]);
    assert_snapshot!(project.millrace(&["check"]), @r###"
        exit 1
        ----
        error[not-a-time]: `6:00` is not a time of day
         --> pipelines/p.yaml:1:16
          |
        1 | deadline: {by: "6:00", timezone: Europe/Berlim, notify: team}
          |                ^^^^^^
        hint: write hours and minutes: `by: "06:00"`
        error[unknown-timezone]: there is no time zone `Europe/Berlim`
         --> pipelines/p.yaml:1:34
          |
        1 | deadline: {by: "6:00", timezone: Europe/Berlim, notify: team}
          |                                  ^^^^^^^^^^^^^
        hint: use a name of the IANA database, such as `Europe/Berlin`
        error[unknown-key]: `notify` has no key `on_failed`
         --> pipelines/p.yaml:2:10
          |
        2 | notify: {on_failed: team_ml, on_success: [taem_ml], message: "${{ run.ulr }} ${{ run.error.massage }} ${{ steps.trian.st
          |          ^^^^^^^^^
        hint: did you mean `on_failure`?
        error[two-deadlines]: `deadline` has one of `within` and `by`
         --> pipelines/q.yaml:1:11
          |
        1 | deadline: {by: "06:00", within: 2h}
          |           ^
        hint: write `{within: 2h}` or `{by: "06:00"}`
        error[nobody-told]: `notify` names no channel
         --> pipelines/q.yaml:2:9
          |
        2 | notify: {}
          |         ^
        hint: notify: {on_failure: team_ml}
        2 of 3 files have errors
        "###);
    project.write(
        "pipelines/p.yaml",
        "deadline: {by: \"06:00\", timezone: Europe/Berlin, notify: team}\nnotify: {on_success: [taem_ml], message: \"${{ run.ulr }} ${{ run.error.massage }} ${{ steps.trian.state }} ${{ secrets.key }}\"}\nsteps:\n  train: {run: 'true'}\n",
    );
    let said = project.millrace(&["check", "pipelines/p.yaml"]);
    for mistake in [
        "there is no channel `team`",
        "there is no channel `taem_ml`",
        "did you mean `run.url`?",
        "did you mean `run.error.message`?",
        "did you mean `train`?",
        "a secret must not be told to a channel",
    ] {
        assert!(said.contains(mistake), "{mistake}: {said}");
    }
}
