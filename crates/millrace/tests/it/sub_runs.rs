//! Pipelines that run pipelines, and what is done to runs from outside.

use insta::assert_snapshot;
use serde_json::json;

use crate::project::{Project, wait_until};
use crate::server::Up;

const REGION: &str = r#"
inputs:
  region: {type: string}
outputs:
  name: ${{ steps.score.name }}
steps:
  score: {set: {name: "scored ${{ inputs.region }}"}}
"#;

#[test]
fn a_pipeline_runs_another_for_each_item_and_takes_its_outputs() {
    let all = r#"
pipeline: all
steps:
  one: {pipeline: region, inputs: {region: de}}
  each: {pipeline: pipelines/region.yaml, inputs: {region: "${{ item }}"}, foreach: [eu, us]}
  names: {set: {one: "${{ steps.one.name }}", each: "${{ steps.each.name }}"}}
"#;
    let project = Project::new(&[("pipelines/region.yaml", REGION), ("pipelines/all.yaml", all)]);
    assert_snapshot!(project.millrace(&["check"]), @r"
    exit 0
    ----
    2 pipelines with 4 steps: sound
    ");
    let ended = project.json(&["run", "all", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(ended["steps"][2]["outputs"], json!({"one": "scored de", "each": ["scored eu", "scored us"]}));
    assert_eq!(project.output(&["runs", "--json"]).stdout.iter().filter(|byte| **byte == b'\n').count(), 1);
    let children = project.output(&["runs", "--json", "--parent", "all"]);
    assert_eq!(String::from_utf8(children.stdout).unwrap().lines().count(), 3);
}

#[test]
fn mistakes_with_other_pipelines_are_found_before_they_run() {
    let all = r#"
steps:
  a: {pipeline: regio, inputs: {region: de}}
  b: {pipeline: region, inputs: {regon: de}}
  c: {set: {x: "${{ steps.b.nam }}"}}
"#;
    let project = Project::new(&[("pipelines/region.yaml", REGION), ("pipelines/all.yaml", all)]);
    assert_snapshot!(project.millrace(&["check"]), @r#"
    exit 1
    ----
    error[unknown-pipeline]: there is no pipeline `regio`
     --> pipelines/all.yaml:3:17
      |
    3 |   a: {pipeline: regio, inputs: {region: de}}
      |                 ^^^^^
    hint: did you mean `region`?
    error[unknown-input]: `region` has no input `regon`
     --> pipelines/all.yaml:4:17
      |
    4 |   b: {pipeline: region, inputs: {regon: de}}
      |                 ^^^^^^
    hint: did you mean `region`?
    error[missing-input]: `region` needs its input `region`
     --> pipelines/all.yaml:4:17
      |
    4 |   b: {pipeline: region, inputs: {regon: de}}
      |                 ^^^^^^
    hint: add `inputs: {region: …}`
    error[unknown-output]: the step `b` has no output `nam`
     --> pipelines/all.yaml:5:16
      |
    5 |   c: {set: {x: "${{ steps.b.nam }}"}}
      |                ^^^^^^^^^^^^^^^^^^^^
    hint: did you mean `name`?
    1 of 2 files have errors
    "#);
}

#[test]
fn a_pipeline_that_runs_itself_ends() {
    let project = Project::new(&[("pipelines/p.yaml", "steps:\n  again: {pipeline: p}\n")]);
    let ended = project.last_json(&["run", "p", "--json"]);
    assert_eq!(ended["state"], "failed", "{ended}");
    let deepest = project.output(&["runs", "--json", "--all", "-n", "100"]);
    assert_eq!(String::from_utf8(deepest.stdout).unwrap().lines().count(), 16);
    let once = "concurrency: 1\nsteps:\n  again: {pipeline: p}\n";
    let project = Project::new(&[("pipelines/p.yaml", once)]);
    let ended = project.last_json(&["run", "p", "--json"]);
    let notes = ended["steps"][0]["error"]["message"].to_string();
    assert!(notes.contains("would wait for itself"), "{ended}");
}

#[test]
fn cancelling_goes_down_and_a_run_is_held_and_goes_on() {
    let child = "steps:\n  slow: {run: 'touch begun; sleep 600'}\n";
    let files = [
        ("pipelines/child.yaml", child),
        ("pipelines/p.yaml", "steps:\n  sub: {pipeline: child}\n"),
        (
            "pipelines/held.yaml",
            "steps:\n  one: {run: 'touch one; for i in $(seq 3000); do [ -e go ] && break; sleep 0.02; done'}\n  two: {run: touch two, needs: one}\n",
        ),
    ];
    let project = Project::new(&files);
    let server = Up::start(&project);
    let start = |name: &str| {
        let answer = server.post(&format!("/api/pipelines/{name}/runs"), "{}");
        answer["id"].as_str().unwrap().to_owned()
    };
    let status = |id: &str| server.get(&format!("/api/runs/{id}"))["run"]["status"].clone();
    let parent = start("p");
    wait_until(|| project.path().join("begun").exists());
    let page = server.get(&format!("/api/runs/{parent}"));
    let sub = page["steps"][0]["sub_run"].as_str().unwrap().to_owned();
    assert_eq!(page["steps"][0]["status"], "waiting");
    assert_eq!(
        server.get(&format!("/api/runs/{sub}"))["run"]["parent"],
        json!({"run": parent, "step": "sub"})
    );
    assert!(project.millrace(&["cancel", &parent]).contains("is asked to end"));
    wait_until(|| status(&parent) == "cancelled" && status(&sub) == "cancelled");

    let held = start("held");
    wait_until(|| project.path().join("one").exists());
    assert!(project.millrace(&["pause", &held]).contains("is held"));
    project.write("go", "");
    wait_until(|| server.get(&format!("/api/runs/{held}"))["steps"][0]["status"] == "succeeded");
    assert_snapshot!(project.millrace(&["why", &held, "two"]), @r"
    exit 0
    STEP  STATE      WHY
    two   · pending  the run is held; let it go on with `millrace resume [id]`
    ----
    ");
    assert_eq!(server.get(&format!("/api/runs/{held}"))["run"]["paused"], true);
    assert!(!project.path().join("two").exists());
    project.millrace(&["resume", &held]);
    wait_until(|| status(&held) == "succeeded");
    assert_snapshot!(project.millrace(&["pause", &held]), @r"
    exit 1
    ----
    error[run-is-over]: the run `[id]` is succeeded already
    ");
}

#[test]
fn part_of_a_pipeline_runs_on_what_earlier_runs_left() {
    let pipeline = r#"
steps:
  raw: {run: "echo raw >> log; echo 'n=7' >> $MILLRACE_OUTPUT", outputs: {n: integer}}
  other: {run: echo other >> log}
  model: {run: "echo model $N >> log", env: {N: "${{ steps.raw.n }}"}}
  report: {run: echo report >> log, needs: model}
"#;
    let project = Project::new(&[("pipelines/p.yaml", pipeline)]);
    assert_snapshot!(project.millrace(&["run", "p", "--from", "model"]), @r"
    exit 1
    ----
    error[no-earlier-result]: `model` needs `raw`, which has no earlier result
    hint: begin earlier: `millrace run p --from raw`
    ");
    project.json(&["run", "p", "--json"]);
    project.write("log", "");
    assert_snapshot!(project.millrace(&["plan", "p", "--from", "model"]), @r"
    exit 0
    STEP    KIND  PLAN     ITEMS  WHY
    raw     run   reuse           what it left in run [id] stands in
    other   run   skip            this run leaves it out
    model   run   run             because this kind of step always runs
    report  run   depends         it comes after `model`
    ----
    1 run, 1 reused, 1 depend on those, 1 skipped
    ");
    let ended = project.json(&["run", "p", "--from", "model", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(project.read("log"), "model 7\nreport\n");
    project.write("log", "");
    project.json(&["run", "p", "--only", "model", "--json"]);
    assert_eq!(project.read("log"), "model 7\n");
    project.write("log", "");
    let again = project.json(&["rerun", "p", "--from", "report", "--json"]);
    assert_eq!(again["state"], "succeeded", "{again}");
    // Of the run before only `model` was done; `other` and `report` are done now.
    let mut log: Vec<String> = project.read("log").lines().map(str::to_owned).collect();
    log.sort();
    assert_eq!(log, ["other", "report"]);
}

#[test]
fn the_server_plans_and_runs_a_part() {
    let pipeline = "steps:\n  one: {run: \"echo one >> log; echo 'n=1' >> $MILLRACE_OUTPUT\", outputs: {n: integer}}\n  two: {run: echo two >> log, needs: one}\n";
    let project = Project::new(&[("pipelines/p.yaml", pipeline)]);
    let server = Up::start(&project);
    let run = |body: &str| {
        let id = server.post("/api/pipelines/p/runs", body)["id"].as_str().unwrap().to_owned();
        wait_until(|| server.get(&format!("/api/runs/{id}"))["run"]["status"] == "succeeded");
    };
    let refused = server.post("/api/pipelines/p/runs", r#"{"from": "two"}"#);
    assert_eq!(refused["code"], "no-earlier-result", "{refused}");
    run("{}");
    run(r#"{"from": "two"}"#);
    assert_eq!(project.read("log"), "one\ntwo\ntwo\n");
    let plan = server.post("/api/pipelines/p/plan", r#"{"from": "two"}"#);
    let actions: Vec<&str> =
        plan.as_array().unwrap().iter().map(|step| step["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["reuse", "run"], "{plan}");
}

#[test]
fn a_retry_asks_what_failed_and_how() {
    let pipeline = r#"
steps:
  killed: {run: "echo x >> killed; exit 137", retry: {max: 2, delay: 1ms, errors: ["exit:137"]}}
  wrong: {run: "echo x >> wrong; exit 1", retry: {max: 2, delay: 1ms, errors: [transient, timeout, "exit:137"]}}
  asked: {run: "echo x >> asked; exit 4", retry: {max: 5, delay: 1ms, if: "error.exit_code == 4 and attempt < 3"}}
"#;
    let project = Project::new(&[("pipelines/p.yaml", pipeline)]);
    project.last_json(&["run", "p", "--json"]);
    let tries = |name: &str| project.read(name).lines().count();
    assert_eq!((tries("killed"), tries("wrong"), tries("asked")), (3, 1, 3));
}

#[test]
fn a_run_that_finds_no_room_under_its_key_waits_is_left_out_or_takes_the_place() {
    let pipeline = |on_limit: &str| {
        format!(
            "concurrency: {{limit: 1, on_limit: {on_limit}}}\nsteps:\n  slow: {{run: 'for i in $(seq 3000); do [ -e go ] && break; sleep 0.02; done'}}\n"
        )
    };
    let files =
        [("pipelines/skip.yaml", pipeline("skip")), ("pipelines/take.yaml", pipeline("cancel_running"))];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let project = Project::new(&files);
    let server = Up::start(&project);
    let start = |name: &str| {
        let answer = server.post(&format!("/api/pipelines/{name}/runs"), "{}");
        answer["id"].as_str().unwrap().to_owned()
    };
    let run = |id: &str| server.get(&format!("/api/runs/{id}"))["run"].clone();
    let first = start("skip");
    wait_until(|| run(&first)["status"] == "running");
    let second = start("skip");
    wait_until(|| run(&second)["status"] == "cancelled");
    assert_eq!(run(&second)["problem"]["code"], "concurrency-limit");
    let first_taken = start("take");
    wait_until(|| run(&first_taken)["status"] == "running");
    let taking = start("take");
    wait_until(|| run(&first_taken)["status"] == "cancelled" && run(&taking)["status"] == "running");
    project.write("go", "");
    wait_until(|| run(&first)["status"] == "succeeded" && run(&taking)["status"] == "succeeded");
}

#[test]
fn who_holds_a_pool_is_told_to_who_waits_for_it() {
    let pipeline = "steps:\n  slow: {run: 'touch begun; for i in $(seq 3000); do [ -e go ] && break; sleep 0.02; done', pool: {gpu: 1}}\n";
    let files = [("pipelines/p.yaml", pipeline), ("millrace.yaml", "name: test\npools: {gpu: 1}\n")];
    let project = Project::new(&files);
    let server = Up::start(&project);
    let start = || server.post("/api/pipelines/p/runs", "{}")["id"].as_str().unwrap().to_owned();
    let first = start();
    wait_until(|| project.path().join("begun").exists());
    let second = start();
    let why = || server.get(&format!("/api/runs/{second}/why"))[0]["why"].to_string();
    wait_until(|| why().contains("held by"));
    assert!(why().contains("the pool `gpu`") && why().contains(&first), "{}", why());
    project.write("go", "");
    wait_until(|| server.get(&format!("/api/runs/{second}"))["run"]["status"] == "succeeded");
}

#[test]
fn a_run_that_is_late_is_shown_or_cancelled() {
    let pipeline = |rest: &str| {
        format!(
            "deadline: {{within: 50ms{rest}}}\nsteps:\n  slow: {{run: 'for i in $(seq 3000); do [ -e go ] && break; sleep 0.02; done'}}\n"
        )
    };
    let files =
        [("pipelines/shown.yaml", pipeline("")), ("pipelines/ended.yaml", pipeline(", cancel: true"))];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let project = Project::new(&files);
    assert_eq!(project.last_json(&["run", "ended", "--json"])["state"], "cancelled");
    let server = Up::start(&project);
    let id = server.post("/api/pipelines/shown/runs", "{}")["id"].as_str().unwrap().to_owned();
    let run = || server.get(&format!("/api/runs/{id}"))["run"].clone();
    wait_until(|| run()["late"] == true && run()["status"] == "running");
    project.write("go", "");
    wait_until(|| run()["status"] == "succeeded");
}

#[test]
fn part_of_a_pipeline_leaves_what_it_can_and_a_whole_one_says_what_it_cannot() {
    let pipeline =
        "outputs: {n: \"${{ steps.b.n }}\"}\nsteps:\n  a: {set: {n: 1}}\n  b: {set: {n: 2}, if: \"1 > 2\"}\n";
    let project = Project::new(&[("pipelines/p.yaml", pipeline)]);
    assert_eq!(project.json(&["run", "p", "--only", "a", "--json"])["state"], "succeeded");
    assert_snapshot!(project.millrace(&["run", "p"]), @r###"
    exit 1
    run [id] failed in [duration]: 0 done, 1 reused, 0 failed, 1 skipped
    ----
      - skipped      b
      = cached       a
    error[output-failed]: the output `n` of the pipeline cannot be computed: `steps.b.n` has no value here
    "###);
}
