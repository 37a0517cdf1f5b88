//! Deployments into environments wait until every rule of them holds.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::project::{Project, wait_until};
use crate::server::Up;
use crate::serving::{PIPELINE, rows};

/// A pipeline that trains, registers and deploys into an environment, and then goes on until the file `go` is there.
fn pipeline() -> String {
    let into = "deploy: {model: \"${{ steps.register.version }}\", to: \"endpoint:late\", environment: production}\n  \
                smoke: {run: \"for i in $(seq 3000); do [ -e go ] && break; sleep 0.02; done\", needs: deploy}\n";
    PIPELINE.replace("deploy: {model: \"${{ steps.register.version }}\", to: \"endpoint:late\"}\n", into)
}

fn project(environments: &str) -> Project {
    Project::new(&[
        ("pipelines/p.yaml", &pipeline()),
        ("raw.csv", &rows()),
        ("access.yaml", "roles: {ml_owner: [user:anna]}\n"),
        ("environments.yaml", environments),
    ])
}

fn start(server: &Up, pipeline: &str) -> String {
    let started = server.post(&format!("/api/pipelines/{pipeline}/runs"), "{}");
    started["id"].as_str().unwrap_or_else(|| panic!("{started}")).to_owned()
}

fn step(server: &Up, run: &str, step: &str) -> Value {
    let view = server.get(&format!("/api/runs/{run}"));
    let mut steps = view["steps"].as_array().unwrap().iter();
    steps.find(|entry| entry["id"] == step).unwrap().clone()
}

/// Waits until the step `deploy` waits for something that says so.
fn waits_for(server: &Up, run: &str, words: &str) {
    let mut seen = Value::Null;
    wait_until(|| {
        seen = step(server, run, "deploy");
        let over = !matches!(seen["status"].as_str(), Some("pending" | "waiting" | "running"));
        assert!(!over, "it did not wait for {words}: {seen}");
        seen["status"] == "waiting" && seen["why"].to_string().contains(words)
    });
}

fn until(server: &Up, run: &str, name: &str, status: &str) -> Value {
    let mut seen = Value::Null;
    wait_until(|| {
        seen = step(server, run, name);
        if seen["status"] != status && !seen["problem"].is_null() {
            panic!("{name} is not {status}: {seen}");
        }
        seen["status"] == status
    });
    seen
}

#[test]
fn environment_exclusive_lock() {
    let project = project("production: {exclusive: true, endpoints: [late]}\n");
    // Another pipeline, which does not name the environment: the endpoint belongs to it.
    let other =
        "steps:\n  deploy: {deploy: {model: late@champion, to: late, deployment: green, traffic: 10}}\n";
    project.write("pipelines/other.yaml", other);
    let server = Up::start(&project);
    let first = start(&server, "p");
    until(&server, &first, "deploy", "succeeded");
    let held = &server.get("/api/environments")[0]["held_by"];
    assert_eq!((&held["run"], &held["step"]), (&json!(first), &json!("deploy")));
    let second = start(&server, "other");
    waits_for(&server, &second, "which has `production` until it ends");
    // The server is killed while one has the environment and another waits for it.
    drop(server);
    let server = Up::start(&project);
    waits_for(&server, &second, "which has `production` until it ends");
    assert_eq!(step(&server, &first, "smoke")["status"], "running");
    project.write("go", "");
    until(&server, &second, "deploy", "succeeded");
    wait_until(|| server.get("/api/environments")[0]["held_by"].is_null());
}

#[test]
fn environment_lock_of_a_cancelled_run_is_free() {
    let project = project("production: {exclusive: true}\n");
    let server = Up::start(&project);
    let first = start(&server, "p");
    until(&server, &first, "smoke", "running");
    let again = pipeline().replace("endpoint:late", "endpoint:later");
    project.write("pipelines/again.yaml", again);
    let second = start(&server, "again");
    waits_for(&server, &second, "which has `production` until it ends");
    server.post(&format!("/api/runs/{first}/cancel"), "{}");
    until(&server, &second, "smoke", "running");
    project.write("go", "");
}

#[test]
fn environment_approvers_decide_on_the_version() {
    let project = project(
        "production: {approvers: {by: [role:ml_owner], timeout: 1d}, description: Where customers are}\n",
    );
    project.write("go", "");
    let server = Up::start(&project);
    let run = start(&server, "p");
    waits_for(&server, &run, "for an approval by role:ml_owner");
    let asked = server.get(&format!("/api/approvals?run={run}"))["approvals"][0].clone();
    assert_eq!(
        (&asked["environment"], &asked["subject"]["label"]),
        (&json!("production"), &json!("late@1")),
        "{asked}"
    );
    let row = project.json(&["environments", "--json"]);
    assert_eq!((&row["waiting"], &row["approvers"]), (&json!(1), &json!(["role:ml_owner"])), "{row}");
    assert_eq!(project.json(&["approvals", "--json"])["kind"], "environment");
    let approved = project.json(&["approve", "latest", "deploy", "--as", "anna", "--json"]);
    assert_eq!(approved["state"], "approved", "{approved}");
    until(&server, &run, "deploy", "succeeded");
    // Another model: rejected, and not deployed.
    project.write("pipelines/p.yaml", pipeline().replace("trees: 20", "trees: 5"));
    let run = start(&server, "p");
    waits_for(&server, &run, "for an approval by role:ml_owner");
    project.json(&["reject", "latest", "--as", "anna", "--comment", "not on a Friday", "--json"]);
    let rejected = until_ended(&server, &run);
    assert_eq!(rejected["status"], "rejected", "{rejected}");
    assert_eq!(server.get("/api/endpoints/late")["endpoint"]["deployments"][0]["version"], 1);
}

fn until_ended(server: &Up, run: &str) -> Value {
    let mut seen = Value::Null;
    wait_until(|| {
        seen = step(server, run, "deploy");
        !matches!(seen["status"].as_str(), Some("pending" | "waiting" | "running"))
    });
    seen
}

#[test]
fn environment_branch_hours_and_evaluation() {
    let closed = "{days: mon-sun, from: \"00:00\", until: \"00:01\", closed: []}";
    let project = project("production: {branches: [main]}\n");
    project.write("go", "");
    let server = Up::start(&project);
    let refused = until_ended(&server, &start(&server, "p"));
    assert_eq!(refused["problem"]["code"], "environment-branch", "{refused}");
    project.write(".git/HEAD", "ref: refs/heads/feature\n");
    let refused = until_ended(&server, &start(&server, "p"));
    let why = "`production` takes runs of main, and this one is of `feature`";
    assert_eq!(refused["problem"]["message"], why);
    project.write(".git/HEAD", "ref: refs/heads/main\n");
    // A minute a day: the test does not run in it, or looks again.
    project.write("environments.yaml", format!("production: {{branches: [main], hours: {closed}}}\n"));
    let run = start(&server, "p");
    waits_for(&server, &run, "for the hours of mon-sun 00:00 to 00:01, from 20");
    server.post(&format!("/api/runs/{run}/cancel"), "{}");
    let wants = |limit: f64| {
        format!(
            "production: {{branches: [main], evaluation: [{{data: rows_test, metric: auc, at_least: {limit}}}]}}\n"
        )
    };
    project.write("environments.yaml", wants(1.5));
    let refused = until_ended(&server, &start(&server, "p"));
    assert_eq!(refused["problem"]["code"], "environment-evaluation", "{refused}");
    project.write("environments.yaml", wants(0.5).replace("rows_test", "rows_train"));
    let run = start(&server, "p");
    waits_for(&server, &run, "for an evaluation of late@1: auc of at least 0.5 on rows_train");
    project.write("environments.yaml", wants(0.5));
    until(&server, &run, "deploy", "succeeded");
}

#[test]
fn environments_are_listed_and_checked() {
    let project = project(
        "production:\n  approvers: {by: [role:ml_owner]}\n  branches: [main, release/*]\n  hours: {days: mon-sun, from: \"09:00\", until: \"09:00\", timezone: Europe/Berlin}\n  \
         exclusive: true\n  evaluation:\n    - {data: rows_test, metric: auc, at_least: 0.8}\nstaging: {}\n",
    );
    // Hours that never end, so that the table is the same at all times of a day.
    assert_snapshot!(project.millrace(&["environments"]), @"
    exit 0
    ENVIRONMENT  APPROVED BY    BRANCHES         HOURS                                         EVALUATION                        HELD BY  WAITING
    production   role:ml_owner  main, release/*  mon-sun 09:00 to 09:00 (Europe/Berlin): open  auc of at least 0.8 on rows_test  nobody   0
    staging                                                                                                                               0
    ----
    ");
    project
        .write("pipelines/p.yaml", pipeline().replace("environment: production", "environment: prodction"));
    assert_snapshot!(project.millrace(&["check"]), @r###"
    exit 1
    ----
    error[unknown-environment]: there is no environment `prodction`
      --> pipelines/p.yaml:16:88
       |
    16 | eps.register.version }}", to: "endpoint:late", environment: prodction}
       |                                                             ^^^^^^^^^
    hint: did you mean `production`?
    1 of 3 files have errors
    "###);
    project.write(
        "environments.yaml",
        "production: {approvers: {by: [role:ml_ownr]}, hours: {from: \"9\", until: \"17:00\"}}\n",
    );
    assert_snapshot!(project.millrace(&["check"]), @r#"
    exit 1
    ----
    error[unknown-role]: there is no role `ml_ownr`
     --> environments.yaml:1:31
      |
    1 | production: {approvers: {by: [role:ml_ownr]}, hours: {from: "9", until: "17:00"}}
      |                               ^^^^^^^^^^^^
    hint: did you mean `role:ml_owner`?
    1 of 3 files have errors
    "#);
}
