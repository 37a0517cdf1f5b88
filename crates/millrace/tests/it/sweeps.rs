//! A step that is done for points of a search space, over kills and failures; the best of them goes on.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::project::{Project, wait_until};
use crate::server::Up;

/// As the guide has it, with less to do. The best of the grid is 4 and 0.1.
const PIPELINE: &str = r#"
steps:
  train:
    python: train.py
    outputs: {model: file}
    sweep:
      search: {depth: [2, 4, 8], rate: [0.1, 0.3]}
      objective: maximize auc
      parallel: 3
  use: {run: "cat \"$MILLRACE_INPUT_MODEL\" > used", inputs: {model: "${{ steps.train.best.model }}"}}
  said: {set: {params: "${{ steps.train.best.params }}", auc: "${{ steps.train.best.objective }}", tried: "${{ steps.train.trials | length }}"}}
"#;
const TRAIN: &str = r#"
import argparse, os, sys
parser = argparse.ArgumentParser()
parser.add_argument("--depth", type=int)
parser.add_argument("--rate", type=float)
given = parser.parse_args()
if given.depth == 8:
    sys.exit("out of memory")
import millrace
millrace.log_metric("auc", 1 - abs(given.depth - 4) / 10 - given.rate)
with open(os.environ["MILLRACE_OUTPUT_MODEL"], "w") as file:
    file.write(f"{given.depth} {given.rate}")
"#;

#[test]
fn sweep_over_a_grid_hands_on_the_best_trial() {
    let project = Project::new(&[("pipelines/p.yaml", PIPELINE), ("train.py", TRAIN)]);
    let checked = project.millrace(&["check"]);
    assert!(checked.starts_with("exit 0"), "{checked}");
    let ended = project.last_json(&["run", "p", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(project.read("used"), "4 0.1");
    let said = &ended["steps"][2]["outputs"];
    assert_eq!((&said["params"], &said["tried"]), (&json!({"depth": 4, "rate": 0.1}), &json!(6)), "{ended}");
    assert!((said["auc"].as_f64().unwrap() - 0.9).abs() < 1e-9, "{ended}");
}

#[test]
fn sweep_at_random_tries_the_same_points_after_a_kill() {
    let pipeline = r#"
steps:
  search:
    run: "echo $MILLRACE_INPUT_X >> tried; for i in $(seq 3000); do [ -e go ] && break; sleep 0.02; done; echo loss=$MILLRACE_INPUT_X >> $MILLRACE_OUTPUT"
    sweep: {search: {x: {uniform: [-1, 1]}}, objective: minimize loss, trials: 6, parallel: 2, seed: 5}
  best: {set: {x: "${{ steps.search.best.params.x }}", loss: "${{ steps.search.best.objective }}"}}
"#;
    let project = Project::new(&[("pipelines/p.yaml", pipeline)]);
    let server = Up::start(&project);
    let run = server.post("/api/pipelines/p/runs", "{}")["id"].as_str().unwrap().to_owned();
    wait_until(|| project.read("tried").lines().count() == 2);
    drop(server);
    project.write("go", "");
    let server = Up::start(&project);
    let view = || server.get(&format!("/api/runs/{run}"));
    wait_until(|| view()["run"]["status"] == "succeeded");
    let mut tried: Vec<f64> = project.read("tried").lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(tried.len(), 6, "each point is tried once");
    tried.sort_by(f64::total_cmp);
    let steps = view()["steps"].clone();
    let outputs =
        steps.as_array().unwrap().iter().find(|step| step["id"] == "best").unwrap()["outputs"].clone();
    assert_eq!((outputs["x"].as_f64(), outputs["loss"].as_f64()), (Some(tried[0]), Some(tried[0])));
    // The same space and seed give the same points, the run after as well.
    std::fs::remove_file(project.path().join("tried")).unwrap();
    let again = server.post("/api/pipelines/p/runs", r#"{"force": true}"#)["id"].as_str().unwrap().to_owned();
    wait_until(|| server.get(&format!("/api/runs/{again}"))["run"]["status"] == "succeeded");
    let mut second: Vec<f64> = project.read("tried").lines().map(|line| line.parse().unwrap()).collect();
    second.sort_by(f64::total_cmp);
    assert_eq!(second, tried);
}

#[test]
fn sweep_stops_the_trials_that_fall_behind_and_says_why() {
    let train = r#"
import argparse, os, time
parser = argparse.ArgumentParser()
parser.add_argument("--quality", type=float)
quality = parser.parse_args().quality
import millrace
for epoch in range(4):
    millrace.log_metric("auc", quality + epoch / 100, step=epoch)
# Who is good is through; who is not, would go on for ever.
if quality < 0.5:
    time.sleep(600)
with open(os.environ["MILLRACE_OUTPUT_MODEL"], "w") as file:
    file.write(str(quality))
"#;
    let pipeline = r#"
steps:
  train:
    python: train.py
    outputs: {model: file}
    sweep: {search: {quality: [0.9, 0.1, 0.8]}, objective: maximize auc, parallel: 3, stop: {bandit: {slack_factor: 0.2, after: 2}}}
  use: {run: "cat \"$MILLRACE_INPUT_MODEL\" > used", inputs: {model: "${{ steps.train.best.model }}"}}
  said: {set: {states: "${{ steps.train.trials | map(attribute='state') | list }}"}}
"#;
    let project = Project::new(&[("pipelines/p.yaml", pipeline), ("train.py", train)]);
    let server = Up::start(&project);
    let run = server.post("/api/pipelines/p/runs", "{}")["id"].as_str().unwrap().to_owned();
    let view = || server.get(&format!("/api/runs/{run}"));
    wait_until(|| !view()["run"]["ended_at"].is_null());
    let ended = view();
    assert_eq!(ended["run"]["status"], "succeeded", "{ended}");
    assert_eq!(project.read("used"), "0.9");
    let said = ended["steps"].as_array().unwrap().iter().find(|step| step["id"] == "said").unwrap();
    assert_eq!(said["outputs"]["states"], json!(["succeeded", "skipped", "succeeded"]), "{said}");
    let items = server.get(&format!("/api/runs/{run}/steps/train/items"));
    let why = items["items"][1]["problem"]["message"].as_str().unwrap().to_owned();
    // A look may come before the last of its four values.
    assert!(
        why.starts_with("it was stopped early: after ") && why.contains(" values its best `auc`, 0.1"),
        "{items}"
    );
}

#[test]
fn sweep_mistakes_in_when_trials_stop_are_found_before() {
    let step = |id: &str, stop: &str| {
        format!(
            "  {id}: {{run: echo, sweep: {{search: {{x: [1, 2]}}, objective: maximize auc, stop: {stop}}}}}\n"
        )
    };
    let steps = [
        step("s", "{bandit: {slack: 1}}"),
        step("t", "{truncation: {percent: 100}}"),
        step("u", "{medium: {after: 2}}"),
        step("v", "never"),
    ];
    let project = Project::new(&[("pipelines/p.yaml", &format!("steps:\n{}", steps.concat()))]);
    let checked = project.millrace(&["check"]);
    let told: Vec<&str> =
        checked.lines().filter(|line| line.starts_with("error[") || line.starts_with(" -->")).collect();
    assert_eq!(
        told,
        [
            "error[unknown-key]: `bandit` has no key `slack`",
            " --> pipelines/p.yaml:2:88",
            "error[missing-key]: `bandit` has either `slack_factor` or `slack_amount`",
            " --> pipelines/p.yaml:2:87",
            "error[missing-key]: `truncation` needs `percent`, from 1 to 99",
            " --> pipelines/p.yaml:3:91",
            "error[unknown-key]: `stop` has no key `medium`",
            " --> pipelines/p.yaml:4:79",
            "error[wrong-value]: `stop` is median, {bandit: {slack_factor: 0.1}} or {truncation: {percent: 20}}",
            " --> pipelines/p.yaml:5:78",
        ],
        "{checked}"
    );
}

#[test]
fn sweep_without_any_number_fails_and_mistakes_are_found_before() {
    let nothing = "steps:\n  s: {run: 'exit 3', sweep: {search: {x: [1, 2]}, objective: maximize auc}}\n";
    let project = Project::new(&[("pipelines/p.yaml", nothing)]);
    let ended: Value = project.last_json(&["run", "p", "--json"]);
    assert_eq!(ended["steps"][0]["error"]["code"], "no-trial", "{ended}");
    project.write(
        "pipelines/p.yaml",
        "steps:\n  s:\n    run: echo ${{ item.z }}\n    parallel: 2\n    sweep: {search: {x: {uniform: [2, 1]}, y: {loguniform: [0, 1]}, w: 3, v: {uniforms: [0, 1]}}, objective: auc, trails: 3}\n  t: {run: echo, sweep: {search: {x: {uniform: [0, 1]}}, objective: maximize auc}}\n",
    );
    assert_snapshot!(project.millrace(&["check"]), @r###"
    exit 1
    ----
    error[two-mappings]: `parallel` has no place beside `sweep`
     --> pipelines/p.yaml:4:5
      |
    4 |     parallel: 2
      |     ^^^^^^^^
    hint: `sweep` has `search`, `trials` and `parallel` of its own
    error[unknown-key]: `sweep` has no key `trails`
     --> pipelines/p.yaml:5:115
      |
    5 | orm: [0, 1]}, w: 3, v: {uniforms: [0, 1]}}, objective: auc, trails: 3}
      |                                                             ^^^^^^
    hint: did you mean `trials`?
    error[wrong-value]: `uniform` has two numbers: the second one is larger
     --> pipelines/p.yaml:5:35
      |
    5 |     sweep: {search: {x: {uniform: [2, 1]}, y: {loguniform: [0, 1]}, w: 3, v: {uniforms: [0, 1]}}, objective: auc, trails
      |                                   ^
    error[wrong-value]: `loguniform` has two numbers: both are above 0: the numbers themselves, not their exponents
     --> pipelines/p.yaml:5:60
      |
    5 |     sweep: {search: {x: {uniform: [2, 1]}, y: {loguniform: [0, 1]}, w: 3, v: {uniforms: [0, 1]}}, objective: auc, trails
      |                                                            ^
    error[wrong-type]: the values of `w` are a list or a range, this is a number
     --> pipelines/p.yaml:5:72
      |
    5 | {search: {x: {uniform: [2, 1]}, y: {loguniform: [0, 1]}, w: 3, v: {uniforms: [0, 1]}}, objective: auc, trails: 3}
      |                                                             ^
    hint: write `w: [4, 6]` or `w: {uniform: [0, 1]}`
    error[unknown-key]: a range has no key `uniforms`
     --> pipelines/p.yaml:5:79
      |
    5 | : {x: {uniform: [2, 1]}, y: {loguniform: [0, 1]}, w: 3, v: {uniforms: [0, 1]}}, objective: auc, trails: 3}
      |                                                             ^^^^^^^^
    hint: did you mean `uniform`?
    error[no-items]: `search` has no parameter
     --> pipelines/p.yaml:5:21
      |
    5 |     sweep: {search: {x: {uniform: [2, 1]}, y: {loguniform: [0, 1]}, w: 3, v: {uniforms: [0, 1]}}, objective: auc, trails
      |                     ^
    error[wrong-value]: `auc` is neither `maximize METRIC` nor `minimize METRIC`
     --> pipelines/p.yaml:5:110
      |
    5 | guniform: [0, 1]}, w: 3, v: {uniforms: [0, 1]}}, objective: auc, trails: 3}
      |                                                             ^^^
    hint: objective: maximize auc
    error[missing-key]: a random search needs `trials`
     --> pipelines/p.yaml:6:25
      |
    6 |   t: {run: echo, sweep: {search: {x: {uniform: [0, 1]}}, objective: maximize auc}}
      |                         ^
    hint: trials: 20
    1 of 1 files have errors
    "###);
}

#[test]
fn sweep_names_that_are_not_there_are_found_before() {
    let pipeline = "steps:\n  s: {run: 'echo ${{ item.z }}', sweep: {search: {x: [1, 2]}, objective: maximize auc}}\n  t: {set: {a: \"${{ steps.s.bets }}\"}}\n";
    let project = Project::new(&[("pipelines/p.yaml", pipeline)]);
    assert_snapshot!(project.millrace(&["check"]), @r###"
    exit 1
    ----
    error[unknown-axis]: the search has no parameter `z`
     --> pipelines/p.yaml:2:12
      |
    2 |   s: {run: 'echo ${{ item.z }}', sweep: {search: {x: [1, 2]}, objective: maximize auc}}
      |            ^^^^^^^^^^^^^^^^^^^^
    hint: did you mean `x`?
    error[unknown-output]: the step `s` has no output `bets`
     --> pipelines/p.yaml:3:16
      |
    3 |   t: {set: {a: "${{ steps.s.bets }}"}}
      |                ^^^^^^^^^^^^^^^^^^^^^
    hint: did you mean `best`?
    1 of 1 files have errors
    "###);
}
