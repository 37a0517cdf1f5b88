//! Steps that are done for many items: `foreach` and `matrix`.

use insta::assert_snapshot;
use serde_json::json;

use crate::project::{Project, wait_until};
use crate::server::Up;

#[test]
fn a_list_that_a_step_produced_is_done_item_by_item_and_gathered() {
    let pipeline = r#"
steps:
  list: {run: "echo 'files=[\"a\", \"b\", \"c\"]' >> $MILLRACE_OUTPUT", outputs: {files: json}}
  each:
    run: echo "size=${#NAME}$INDEX" >> $MILLRACE_OUTPUT
    foreach: ${{ steps.list.files }}
    env: {NAME: "${{ item }}", INDEX: "${{ index }}"}
    outputs: {size: integer}
  sum:
    set:
      sizes: ${{ steps.each.size }}
      last: ${{ (steps.each.items | last).item }}
      states: ${{ steps.each.items | map(attribute='state') | list }}
"#;
    let project = Project::new(&[("pipelines/p.yaml", pipeline)]);
    let ended = project.json(&["run", "p", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(ended["steps"][1]["items"], json!({"succeeded": 3}), "{ended}");
    let expected =
        json!({"sizes": [10, 11, 12], "last": "c", "states": ["succeeded", "succeeded", "succeeded"]});
    assert_eq!(ended["steps"][2]["outputs"], expected);
    assert_snapshot!(project.millrace(&["items", "latest", "each"]), @r"
    exit 0
    ITEM     FOR  STATE        WHY  TOOK
    each[0]  a    ✓ succeeded       [duration]
    each[1]  b    ✓ succeeded       [duration]
    each[2]  c    ✓ succeeded       [duration]
    ----
    3 items: 3 succeeded, 0 not begun
    ");
    assert_snapshot!(project.millrace(&["logs", "latest", "each[1]"]), @r"
    exit 0
    ----
    `each[1]` wrote nothing
    ");
}

#[test]
fn a_matrix_is_reused_by_item_and_planned_before() {
    let pipeline = r#"
inputs: {depth: 4}
steps:
  fit:
    set: {name: "${{ matrix.model }}-${{ matrix.n }}", depth: "${{ inputs.depth if matrix.model == 'xgb' else 0 }}"}
    matrix: {model: [lgbm, xgb], n: [1, 2], exclude: [{model: xgb, n: 2}], include: [{model: linear, n: 0}]}
    parallel: 2
  best: {set: {names: "${{ steps.fit.name }}"}}
"#;
    let project = Project::new(&[("pipelines/p.yaml", pipeline)]);
    assert_snapshot!(project.millrace(&["plan", "p"]), @r"
    exit 0
    STEP  KIND  PLAN     ITEMS  WHY
    fit   set   run      4      `fit[0]` runs because no earlier result of this step is kept
    best  set   depends         it comes after `fit`
    ----
    1 run, 1 depend on those
    ");
    let ended = project.json(&["run", "p", "--json"]);
    assert_eq!(
        ended["steps"][1]["outputs"]["names"],
        json!(["lgbm-1", "lgbm-2", "xgb-1", "linear-0"]),
        "{ended}"
    );
    assert_snapshot!(project.millrace(&["plan", "p", "-i", "depth=5"]), @r"
    exit 0
    STEP  KIND  PLAN     ITEMS        WHY
    fit   set   run      4, 3 reused  `fit[2]` runs because set.depth changed from `4` to `5`
    best  set   depends               it comes after `fit`
    ----
    1 run, 1 depend on those
    ");
    let again = project.json(&["run", "p", "--json", "-i", "depth=5"]);
    assert_eq!(again["steps"][0]["items"], json!({"cached": 3, "succeeded": 1}), "{again}");
    assert_snapshot!(project.millrace(&["why", "latest", "fit[2]"]), @r"
    exit 0
    STEP    STATE        WHY
    fit[2]  ✓ succeeded  ran because set.depth changed from `4` to `5`
    ----
    ");
}

#[test]
fn items_that_failed_are_told_and_done_again_alone() {
    let pipeline = r#"
steps:
  list: {set: {numbers: [0, 1, 2, 3, 4]}}
  each:
    run: echo $N >> done; test -e mended || test $N -lt 3
    foreach: ${{ steps.list.numbers }}
    needs: tolerant
    env: {N: "${{ item }}"}
  tolerant: {run: "test $N != 1", foreach: [1, 2], env: {N: "${{ item }}"}, max_failures: 1}
  after: {set: {n: "${{ steps.each.items | length }}"}}
"#;
    let project = Project::new(&[("pipelines/p.yaml", pipeline)]);
    assert_snapshot!(project.millrace(&["run", "p"]), @r"
    exit 1
    run [id] failed in [duration]: 2 done, 0 reused, 1 failed, 1 skipped
    ----
      ✓ succeeded    list
      ✓ succeeded    tolerant
      ✗ failed       each
      - skipped      after
    error[items-failed]: 2 of the 5 items of `each` failed
     --> pipelines/p.yaml:4:3
      |
    4 |   each:
      |   ^^^^
      = `each[3]`: the program of step `each[3]` ended with exit code 1
      = `each[4]`: the program of step `each[4]` ended with exit code 1
    hint: rerun those that failed: `millrace rerun RUN --failed`
    hint: millrace items [id] each --state failed
    ");
    assert_snapshot!(project.millrace(&["items", "latest", "each", "--state", "failed"]), @r"
    exit 0
    ITEM     FOR  STATE     WHY                                                   TOOK
    each[3]  3    ✗ failed  the program of step `each[3]` ended with exit code 1  [duration]
    each[4]  4    ✗ failed  the program of step `each[4]` ended with exit code 1  [duration]
    ----
    5 items: 2 failed, 3 succeeded, 0 not begun
    ");
    project.write("mended", "");
    project.write("done", "");
    let again = project.json(&["rerun", "latest", "--failed", "--json"]);
    assert_eq!(again["state"], "succeeded", "{again}");
    assert_eq!(again["steps"][1]["items"], json!({"cached": 3, "succeeded": 2}), "{again}");
    assert_eq!(again["steps"][2]["state"], "cached");
    assert_eq!(again["steps"][3]["outputs"]["n"], 5);
    let mut done: Vec<String> = project.read("done").lines().map(str::to_owned).collect();
    done.sort();
    assert_eq!(done, ["3", "4"]);
}

#[test]
fn the_first_failure_stops_the_others_if_the_step_says_so() {
    let pipeline = "steps:
  each: {run: 'echo $N >> begun; test $N != 9 && sleep 600', foreach: [0, 9, 2, 3, 4], parallel: 2, fail_fast: true, env: {N: '${{ item }}'}}
";
    let project = Project::new(&[("pipelines/p.yaml", pipeline)]);
    let ended = project.last_json(&["run", "p", "--json"]);
    assert_eq!(ended["state"], "failed", "{ended}");
    assert_eq!(ended["steps"][0]["items"], json!({"cancelled": 1, "failed": 1}), "{ended}");
    let mut begun: Vec<String> = project.read("begun").lines().map(str::to_owned).collect();
    begun.sort();
    assert_eq!(begun, ["0", "9"]);
}

#[test]
fn a_server_that_is_killed_goes_on_with_the_items_that_are_left() {
    let pipeline = "steps:\n  each: {run: 'echo $N >> begun; for i in $(seq 3000); do [ -e go ] && break; sleep 0.02; done; echo $N >> ended', foreach: '${{ range(0, 8) | list }}', parallel: 3, env: {N: '${{ item }}'}}\n  after: {set: {n: '${{ steps.each.items | length }}'}}\n";
    let project = Project::new(&[("pipelines/p.yaml", pipeline)]);
    let run = ["run", "p", "--json", "--idempotency-key", "k"];
    let mut child = project.spawn(&run);
    wait_until(|| project.read("begun").lines().count() == 3);
    child.kill().unwrap();
    child.wait().unwrap();
    project.write("go", "");
    let ended = project.json(&run);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(ended["steps"][0]["items"], json!({"succeeded": 8}), "{ended}");
    for file in ["begun", "ended"] {
        let mut numbers: Vec<String> = project.read(file).lines().map(str::to_owned).collect();
        numbers.sort();
        assert_eq!(numbers, ["0", "1", "2", "3", "4", "5", "6", "7"], "{file}: each item once");
    }
}

#[test]
fn a_step_over_an_empty_list_still_is_one_that_has_items() {
    let pipeline = "steps:\n  each: {set: {n: '${{ item }}'}, foreach: []}\n  after: {set: {n: '${{ steps.each.items | length }}'}}\n";
    let project = Project::new(&[("pipelines/p.yaml", pipeline)]);
    let ended = project.last_json(&["run", "p", "--json"]);
    assert_eq!(ended["steps"][1]["outputs"]["n"], 0, "{ended}");
    let server = Up::start(&project);
    let runs = server.get("/api/runs");
    let page = server.get(&format!("/api/runs/{}", runs["runs"][0]["id"].as_str().unwrap()));
    let none = json!({"total": 0, "not_begun": 0, "counts": {}, "failures": []});
    assert_eq!(page["steps"][0]["items"], none, "{page}");
}

#[test]
fn a_page_of_a_run_counts_items_and_lists_them_in_parts() {
    let pipeline = "steps:\n  each: {set: {n: '${{ item * 2 }}'}, foreach: '${{ range(0, 1200) | list }}'}\n  bad: {run: 'false', foreach: [a, b]}\n";
    let project = Project::new(&[("pipelines/p.yaml", pipeline)]);
    let server = Up::start(&project);
    let id = server.post("/api/pipelines/p/runs", "{}")["id"].as_str().unwrap().to_owned();
    wait_until(|| server.get(&format!("/api/runs/{id}"))["run"]["status"] == "failed");
    let page = server.get(&format!("/api/runs/{id}"));
    let each = &page["steps"][0]["items"];
    assert_eq!(each, &json!({"total": 1200, "not_begun": 0, "counts": {"succeeded": 1200}, "failures": []}));
    assert_eq!(page["steps"][1]["items"]["failures"][1]["label"], "b");
    assert!(page.to_string().len() < 30_000, "a page without its items is small");
    let items = server.get(&format!("/api/runs/{id}/steps/each/items?after=1097&limit=100"));
    assert_eq!(
        (&items["items"][0]["index"], &items["items"][0]["outputs"]["n"]),
        (&json!(1098), &json!(2196))
    );
    assert_eq!(items["next"], json!(1197));
    let failed = server.get(&format!("/api/runs/{id}/steps/bad/items?status=failed"));
    assert_eq!(failed["items"].as_array().unwrap().len(), 2);
    let log = server.get(&format!("/api/runs/{id}/steps/bad[1]/log"));
    assert_eq!(log["ended"], true, "{log}");
}

#[test]
fn items_that_find_their_pool_full_leave_the_slots_to_other_steps() {
    // Ends by itself after half a minute.
    let held = "touch held; for i in $(seq 600); do [ -e go ] && exit 0; sleep 0.05; done; exit 9";
    let pipeline = format!(
        "steps:\n  first: {{run: '{held}', pool: {{gpu: 1}}}}\n  many: {{foreach: [1, 2, 3, 4], run: echo, pool: {{gpu: 1}}}}\n  free: {{run: touch free}}\n"
    );
    let project = Project::new(&[("pipelines/p.yaml", &pipeline)]);
    project.write("millrace.yaml", "name: test\nmax_running: 3\npools: {gpu: 1}\n");
    let server = Up::start(&project);
    let run = server.post("/api/pipelines/p/runs", "{}")["id"].as_str().unwrap().to_owned();
    wait_until(|| project.path().join("held").exists());
    wait_until(|| project.path().join("free").exists());
    let first = server.get(&format!("/api/runs/{run}"))["steps"][0].clone();
    assert_eq!(first["status"], "running", "`free` did not have to wait for it: {first}");
    project.write("go", "");
    wait_until(|| server.get(&format!("/api/runs/{run}"))["run"]["status"] == "succeeded");
}
