//! Approvals as people meet them: asked by a step, decided by command and by API, over kills and restarts.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::project::{Project, wait_until};
use crate::server::{TOKEN, Up};

const ACCESS: &str = "groups:\n  risk: [cleo]\nroles:\n  ml_owner: [user:anna, user:bert]\n  risk: [group:risk]\n  head: [user:dora]\n";

/// A pipeline whose step `gate` asks, with what stands under `approve`.
fn asks(approve: &str) -> String {
    format!(
        "steps:\n  gate:\n    approve: {approve}\n  after: {{run: echo went > after, needs: gate}}\n  \
         told: {{run: echo told > told, if: failed(), needs: gate}}\n"
    )
}

fn project(approve: &str) -> Project {
    Project::new(&[("pipelines/p.yaml", &asks(approve)), ("access.yaml", ACCESS)])
}

fn start(server: &Up) -> String {
    let started = server.post("/api/pipelines/p/runs", "{}");
    started["id"].as_str().unwrap_or_else(|| panic!("{started}")).to_owned()
}

/// The approval that a run waits for, once it does.
fn approval(server: &Up, run: &str) -> Value {
    let mut found = Value::Null;
    wait_until(|| {
        found = server.get(&format!("/api/approvals?run={run}"))["approvals"][0].clone();
        !found.is_null()
    });
    found
}

fn decide(server: &Up, approval: &Value, decision: Value) -> Value {
    let id = approval["id"].as_str().unwrap();
    server.post(&format!("/api/approvals/{id}/decisions"), &decision.to_string())
}

/// The run when it is over, its steps by name.
fn ended(server: &Up, run: &str) -> Value {
    let mut view = Value::Null;
    wait_until(|| {
        view = server.get(&format!("/api/runs/{run}"));
        !matches!(view["run"]["status"].as_str(), Some("queued" | "running"))
    });
    let steps = view["steps"].as_array().unwrap().iter();
    let steps: serde_json::Map<String, Value> =
        steps.map(|step| (step["id"].as_str().unwrap().to_owned(), step.clone())).collect();
    json!({"status": view["run"]["status"], "steps": steps})
}

fn states(ended: &Value) -> String {
    let state = |step: &str| ended["steps"][step]["status"].as_str().unwrap().to_owned();
    format!("{}: {} {} {}", ended["status"].as_str().unwrap(), state("gate"), state("after"), state("told"))
}

/// Status and body of a request with a login.
pub(crate) fn ask_as(server: &Up, login: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let address = server.url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nAccept: text/html,application/json\r\n{login}"
    );
    write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|_| Value::from(body)))
}

pub(crate) fn basic(name: &str) -> String {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{name}:a long password"));
    format!("Authorization: Basic {pair}\r\n")
}

/// A server where everybody logs in, with accounts of these names.
pub(crate) fn with_accounts(project: &Project, names: &[&str]) -> Up {
    let server = Up::start_with_login(project, None);
    for name in names {
        let account = json!({"username": name, "password": "a long password"}).to_string();
        let operator = format!("Authorization: Bearer {TOKEN}\r\n");
        let (status, made) = ask_as(&server, &operator, "POST", "/api/2.0/mlflow/users/create", &account);
        assert_eq!(status, 200, "{made}");
    }
    server
}

#[test]
fn approval_quorum_of_two_roles() {
    let project = project("{by: [role:ml_owner, role:risk], min: each, message: Is it good?}");
    let server = Up::start(&project);
    let run = start(&server);
    let asked = approval(&server, &run);
    assert_eq!(asked["waits_for"], "for 2 approvals by each of role:ml_owner, role:risk");
    assert_eq!(asked["approvers"][1], json!({"name": "role:risk", "people": ["cleo"]}));
    let one = decide(&server, &asked, json!({"approve": true, "by": "anna"}));
    assert_eq!((&one["state"], &one["given"]), (&json!("waiting"), &json!(1)), "{one}");
    let same_role = decide(&server, &asked, json!({"approve": true, "by": "bert"}));
    assert_eq!((&same_role["state"], &same_role["given"]), (&json!("waiting"), &json!(1)), "{same_role}");
    let twice = decide(&server, &asked, json!({"approve": true, "by": "anna"}));
    assert_eq!(twice["code"], "approval-decided", "{twice}");
    let stranger = decide(&server, &asked, json!({"approve": true, "by": "dora"}));
    assert_eq!(stranger["code"], "not-asked", "{stranger}");
    let both = decide(&server, &asked, json!({"approve": true, "by": "cleo", "comment": "fine"}));
    assert_eq!(both["state"], "approved", "{both}");
    assert_eq!(both["decisions"][2]["as"], json!(["role:risk"]));
    let ended = ended(&server, &run);
    assert_eq!(states(&ended), "succeeded: succeeded succeeded skipped");
    assert_eq!(ended["steps"]["gate"]["outputs"]["approved_by"], json!(["anna", "bert", "cleo"]));
}

#[test]
fn approval_rejected_skips_what_needs_it_and_failed_sees_it() {
    let project = project("{by: [role:ml_owner]}");
    let server = Up::start(&project);
    let run = start(&server);
    let asked = approval(&server, &run);
    let why = decide(&server, &asked, json!({"approve": false, "by": "anna"}));
    assert_eq!(why["code"], "comment-missing", "{why}");
    decide(&server, &asked, json!({"approve": false, "by": "anna", "comment": "the AUC fell"}));
    let ended = ended(&server, &run);
    assert_eq!(states(&ended), "failed: rejected skipped succeeded");
    assert_eq!(ended["steps"]["gate"]["problem"]["message"], "anna rejected it: the AUC fell");
    assert_eq!(project.read("told"), "told\n");
    let late = decide(&server, &asked, json!({"approve": true, "by": "bert"}));
    assert_eq!(late["code"], "approval-decided", "{late}");
}

#[test]
fn approval_author_of_the_run_may_not_approve() {
    let project = project("{by: [role:ml_owner]}");
    let server = with_accounts(&project, &["anna", "bert", "eve"]);
    let (status, run) = ask_as(&server, &basic("anna"), "POST", "/api/pipelines/p/runs", "{}");
    assert_eq!(status, 200, "{run}");
    let list = format!("/api/approvals?run={}", run["id"].as_str().unwrap());
    let mut asked = Value::Null;
    wait_until(|| {
        asked = ask_as(&server, &basic("anna"), "GET", &list, "").1["approvals"][0].clone();
        !asked.is_null()
    });
    assert_eq!(asked["asked_by"], "anna");
    assert_eq!(asked["may_not"], "`anna` started this run: somebody else has to approve it");
    let way = format!("/api/approvals/{}/decisions", asked["id"].as_str().unwrap());
    let yes = r#"{"approve": true}"#;
    let tries = |login: &str, body: &str| {
        let (status, answer) = ask_as(&server, login, "POST", &way, body);
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(tries(&basic("anna"), yes), (403, "own-run".to_owned()));
    assert_eq!(tries(&basic("eve"), yes), (403, "not-asked".to_owned()));
    assert_eq!(tries(&basic("eve"), r#"{"approve": true, "by": "bert"}"#), (403, "not-you".to_owned()));
    let operator = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(tries(&operator, yes), (403, "not-asked".to_owned()), "the operator is not asked either");
    assert_eq!(tries("", yes).0, 401);
    assert_eq!(tries(&basic("bert"), yes), (200, String::new()));
    // The same with `self: true`.
    project.write("pipelines/p.yaml", asks("{by: [user:anna], self: true}"));
    let (_, run) = ask_as(&server, &basic("anna"), "POST", "/api/pipelines/p/runs", "{}");
    let list = format!("/api/approvals?run={}", run["id"].as_str().unwrap());
    wait_until(|| {
        asked = ask_as(&server, &basic("anna"), "GET", &list, "").1["approvals"][0].clone();
        !asked.is_null()
    });
    let way = format!("/api/approvals/{}/decisions", asked["id"].as_str().unwrap());
    assert_eq!(ask_as(&server, &basic("anna"), "POST", &way, yes).1["state"], "approved");
}

#[test]
fn approval_bound_to_digest() {
    let pipeline = "steps:\n  rows: {copy: {from: raw.csv, to: \"data:rows\"}}\n  gate:\n    needs: rows\n    \
                    approve: {subject: \"data:rows@latest\", by: [user:anna]}\n  after: {run: echo went > after, needs: gate}\n";
    let load = "steps:\n  rows: {copy: {from: raw.csv, to: \"data:rows\"}}\n";
    let project =
        Project::new(&[("pipelines/p.yaml", pipeline), ("pipelines/load.yaml", load), ("raw.csv", "a\n1\n")]);
    let server = Up::start(&project);
    let run = start(&server);
    let asked = approval(&server, &run);
    assert_eq!(
        (&asked["subject"]["label"], &asked["subject"]["reference"]),
        (&json!("rows@1"), &json!("data:rows@latest"))
    );
    // The same rows again are the same content.
    let again = server.post("/api/pipelines/load/runs", "{}");
    ended(&server, again["id"].as_str().unwrap());
    project.write("raw.csv", "a\n1\n2\n");
    let other = server.post("/api/pipelines/load/runs", "{}");
    ended(&server, other["id"].as_str().unwrap());
    let void = decide(&server, &asked, json!({"approve": true, "by": "anna"}));
    assert_eq!(void["state"], "void", "{void}");
    assert_eq!(
        void["reason"],
        "`data:rows@latest` is rows@2 now, another content than rows@1 had when it was asked"
    );
    assert_eq!(void["decisions"], json!([]));
    let ended = ended(&server, &run);
    assert_eq!(ended["steps"]["gate"]["status"], "failed");
    assert_eq!(ended["steps"]["gate"]["problem"]["code"], "approval-void");
    assert_eq!(ended["steps"]["after"]["status"], "skipped");
}

#[test]
fn approval_deadline_rejects_approves_or_asks_others() {
    let project = project("{by: [user:anna], timeout: 300ms}");
    let server = Up::start(&project);
    let rejected = ended(&server, &start(&server));
    assert_eq!(states(&rejected), "failed: rejected skipped succeeded");
    let why = rejected["steps"]["gate"]["problem"]["message"].as_str().unwrap();
    assert!(why.starts_with("nobody decided by 20"), "{why}");
    project.write(
        "pipelines/p.yaml",
        asks("{by: [user:anna], timeout: 300ms, on_timeout: approve, form: {traffic: 5}}"),
    );
    let approved = ended(&server, &start(&server));
    assert_eq!(states(&approved), "succeeded: succeeded succeeded skipped");
    assert_eq!(approved["steps"]["gate"]["outputs"]["approved_by"], json!([]));
    assert_eq!(approved["steps"]["gate"]["outputs"]["form"], json!({"traffic": 5}));
    project.write(
        "pipelines/p.yaml",
        asks("{by: [user:anna], min: 1, timeout: 1s, on_timeout: {escalate: \"role:head\"}}"),
    );
    let run = start(&server);
    let asked = approval(&server, &run);
    let early = decide(&server, &asked, json!({"approve": true, "by": "dora"}));
    assert_eq!(early["code"], "not-asked", "{early}");
    wait_until(|| !approval(&server, &run)["escalated_at"].is_null());
    let by_head = decide(&server, &asked, json!({"approve": true, "by": "dora"}));
    assert_eq!(by_head["state"], "approved", "{by_head}");
    assert_eq!(states(&ended(&server, &run)), "succeeded: succeeded succeeded skipped");
}

#[test]
fn approval_form_becomes_inputs_of_later_steps() {
    let pipeline = "inputs: {most: 50}\nsteps:\n  gate:\n    approve:\n      by: [role:ml_owner]\n      min: 2\n      form:\n        \
                    traffic: {type: integer, enum: [10, 50], description: Per cent}\n        ticket: {type: string, default: none}\n        \
                    most: ${{ inputs.most }}\n  after:\n    run: echo \"$T $N\" > after\n    \
                    env: {T: \"${{ steps.gate.form.traffic + 1 }}\", N: \"${{ steps.gate.form.ticket }}\"}\n";
    let project = Project::new(&[("pipelines/p.yaml", pipeline), ("access.yaml", ACCESS)]);
    let server = Up::start(&project);
    let run = start(&server);
    let asked = approval(&server, &run);
    assert_eq!(asked["form"][2]["default"], 50, "{asked}");
    let empty = decide(&server, &asked, json!({"approve": true, "by": "anna"}));
    assert_eq!(empty["code"], "approval-form", "{empty}");
    let wrong = decide(&server, &asked, json!({"approve": true, "by": "anna", "form": {"traffic": 11}}));
    assert_eq!(
        wrong["detail"].as_str().or_else(|| wrong["message"].as_str()),
        Some("the field `traffic` of the form may not be 11"),
        "{wrong}"
    );
    decide(&server, &asked, json!({"approve": true, "by": "anna", "form": {"traffic": 10, "ticket": "A-7"}}));
    let other = decide(&server, &asked, json!({"approve": true, "by": "bert", "form": {"traffic": 50}}));
    assert_eq!(other["code"], "approval-form", "nobody's yes stands for other values: {other}");
    decide(&server, &asked, json!({"approve": true, "by": "bert"}));
    assert_eq!(ended(&server, &run)["status"], "succeeded");
    assert_eq!(project.read("after"), "11 A-7\n");
}

#[test]
fn approval_survives_kill_and_is_decided_by_command() {
    let project = project("{by: [user:anna, user:bert], min: 2, timeout: 3d, message: \"AUC 0.91\"}");
    let server = Up::start(&project);
    let run = start(&server);
    approval(&server, &run);
    drop(server);
    // Nobody serves while the first one decides.
    let minutes = |text: String| {
        let minute = regex::Regex::new(r"20\d\d-\d\d-\d\d \d\d:\d\d").unwrap();
        minute.replace_all(&text, "[minute]").into_owned()
    };
    let told = project.millrace(&["approve", "latest", "gate", "--as", "anna", "--comment", "good"]);
    assert_snapshot!(minutes(told), @"
    exit 0
    approved as anna; gate of p waits for 1 more of 2 approvals by user:anna, user:bert, until [minute] UTC
    ----
    ");
    let server = Up::start(&project);
    let row = project.json(&["approvals", "--json"]);
    assert_eq!(
        (&row["given"], &row["needed"], &row["kind"]),
        (&json!(1), &json!(2), &json!("step")),
        "{row}"
    );
    assert_snapshot!(minutes(project.millrace(&["approvals"])), @"
    exit 0
    APPROVAL    WHAT  OF                 STATE    APPROVALS  ASKED                 UNTIL
    [id]  p #1  p/gate [id]  waiting  1 of 2     user:anna, user:bert  [minute]
    ----
    ");
    assert_eq!(server.get(&format!("/api/runs/{run}"))["steps"][0]["attempts"].as_array().unwrap().len(), 1);
    // Another process decides; the server notices by itself.
    assert_snapshot!(project.millrace(&["approve", "latest", "--as", "anna"]), @"
    exit 1
    ----
    error[approval-decided]: `anna` has approved it already
    ");
    assert_snapshot!(project.millrace(&["approve", "latest", "--as", "bert"]), @"
    exit 0
    approved: gate of p goes on
    ----
    ");
    assert_eq!(states(&ended(&server, &run)), "succeeded: succeeded succeeded skipped");
    assert_eq!(project.read("after"), "went\n");
    assert_snapshot!(project.millrace(&["approvals"]), @"
    exit 0
    ----
    nothing waits for an approval
    ");
}

#[test]
fn approval_of_a_cancelled_run_is_withdrawn() {
    let project = project("{by: [user:anna]}");
    let server = Up::start(&project);
    let run = start(&server);
    let asked = approval(&server, &run);
    server.post(&format!("/api/runs/{run}/cancel"), "{}");
    assert_eq!(ended(&server, &run)["status"], "cancelled");
    let late = decide(&server, &asked, json!({"approve": true, "by": "anna"}));
    assert_eq!(late["code"], "approval-decided", "{late}");
    assert_eq!(server.get("/api/approvals?state=waiting")["waiting"], 0);
}

#[test]
fn approval_mail_link_get_never_decides() {
    let project = project("{by: [user:anna]}");
    let server = with_accounts(&project, &["anna"]);
    let operator = format!("Authorization: Bearer {TOKEN}\r\n");
    let (_, run) = ask_as(&server, &operator, "POST", "/api/pipelines/p/runs", "{}");
    let list = format!("/api/approvals?run={}", run["id"].as_str().unwrap());
    let mut asked = Value::Null;
    wait_until(|| {
        asked = ask_as(&server, &operator, "GET", &list, "").1["approvals"][0].clone();
        !asked.is_null()
    });
    let id = asked["id"].as_str().unwrap();
    // What a mail scanner does with a link, with and without the login of who is asked.
    for login in [String::new(), basic("anna")] {
        for path in [
            format!("/approvals/{id}"),
            format!("/approvals/{id}?decision=approve&approve=true"),
            format!("/api/approvals/{id}"),
            format!("/api/approvals/{id}?approve=true"),
            format!("/api/approvals/{id}/decisions"),
            format!("/api/approvals/{id}/decisions?approve=true"),
        ] {
            for method in ["GET", "HEAD", "OPTIONS"] {
                ask_as(&server, &login, method, &path, "");
            }
        }
    }
    let (_, still) = ask_as(&server, &basic("anna"), "GET", &format!("/api/approvals/{id}"), "");
    assert_eq!((&still["state"], &still["decisions"]), (&json!("waiting"), &json!([])), "{still}");
    let way = format!("/api/approvals/{id}/decisions");
    let yes = r#"{"approve": true}"#;
    assert_eq!(ask_as(&server, "", "POST", &way, yes).0, 401, "after login only");
    let elsewhere = format!("{}Origin: http://evil.example\r\n", basic("anna"));
    assert_eq!(ask_as(&server, &elsewhere, "POST", &way, yes).0, 403, "no page of somebody else");
    assert_eq!(ask_as(&server, &basic("anna"), "POST", &way, yes).1["state"], "approved");
}

#[test]
fn approval_mistakes_are_found_before_it_runs() {
    let project =
        project("{by: [role:ml_ownr, nobody], min: 3, timeout: 3 days, form: {traffic: {type: integr}}}");
    assert_snapshot!(project.millrace(&["check"]), @r#"
    exit 1
    ----
    error[unknown-role]: there is no role `ml_ownr`
     --> pipelines/p.yaml:3:20
      |
    3 |     approve: {by: [role:ml_ownr, nobody], min: 3, timeout: 3 days, form: {traffic: {type: integr}}}
      |                    ^^^^^^^^^^^^
    hint: did you mean `role:ml_owner`?
    error[not-an-approver]: `nobody` is nobody who can be asked: write `user:anna`, `group:risk` or `role:ml_owner`
     --> pipelines/p.yaml:3:34
      |
    3 |     approve: {by: [role:ml_ownr, nobody], min: 3, timeout: 3 days, form: {traffic: {type: integr}}}
      |                                  ^^^^^^
    error[not-a-duration]: `3 days` is not a duration
     --> pipelines/p.yaml:3:60
      |
    3 |     approve: {by: [role:ml_ownr, nobody], min: 3, timeout: 3 days, form: {traffic: {type: integr}}}
      |                                                            ^^^^^^
    hint: timeout: 3d
    error[approval-form]: the field `traffic` has no type that can be filled in: `integr`
     --> pipelines/p.yaml:3:84
      |
    3 | :ml_ownr, nobody], min: 3, timeout: 3 days, form: {traffic: {type: integr}}}
      |                                                             ^
    hint: did you mean `integer`?
    1 of 2 files have errors
    "#);
    project.write("access.yaml", "roles:\n  ml_owner: [group:rsik]\n");
    project.write("pipelines/p.yaml", asks("{by: [user:anna, user:bert], min: 3, on_timeout: approve}"));
    assert_snapshot!(project.millrace(&["check"]), @r#"
    exit 1
    ----
    error[no-timeout]: `on_timeout` does nothing without a `timeout`
     --> pipelines/p.yaml:3:63
      |
    3 |   approve: {by: [user:anna, user:bert], min: 3, on_timeout: approve}
      |                                                             ^^^^^^^
    hint: timeout: 3d
    error[unknown-group]: there is no group `rsik`
     --> access.yaml:2:14
      |
    2 |   ml_owner: [group:rsik]
      |              ^^^^^^^^^^
    hint: add it to `access.yaml`: groups: {rsik: [anna]}
    2 of 2 files have errors
    "#);
}

/// 1,000 runs that wait cost no more than one that waits. What that is of a core, `cargo xtask bench orchestration` measures of a release
/// build; here it depends on the machine and on how the program was compiled.
#[test]
fn approval_of_a_thousand_runs_costs_next_to_nothing() {
    let project =
        Project::new(&[("pipelines/p.yaml", "steps:\n  gate: {approve: {by: [user:anna], timeout: 3d}}\n")]);
    let server = Up::start(&project);
    let waiting = |runs: u32| server.get("/api/approvals?state=waiting&limit=1")["waiting"] == runs;
    // Clock ticks of a hundredth of a second, user and system.
    let spent = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let watch = || {
        let before = spent();
        std::thread::sleep(Duration::from_secs(5));
        spent() - before
    };
    start(&server);
    wait_until(|| waiting(1));
    let one = watch();
    for _ in 1..1_000 {
        start(&server);
    }
    wait_until(|| waiting(1_000));
    // What their start left to do is over in the first of these; a look at each of them every second would be in all.
    let thousand: Vec<u64> = (0..4).map(|_| watch()).collect();
    let least = *thousand.iter().min().unwrap();
    assert!(
        least <= one * 3 / 2 + 5,
        "{thousand:?} hundredths of a second in 5 s, {one} with one that waits"
    );
}

#[test]
fn approval_inbox_has_promotions_of_models() {
    let files = [("pipelines/p.yaml", crate::serving::PIPELINE), ("raw.csv", &crate::serving::rows())];
    let project = Project::new(&files);
    assert_eq!(project.json(&["run", "p", "--json"])["state"], "succeeded");
    project.json(&["models", "request", "late@1", "live", "--as", "anna", "--message", "better", "--json"]);
    let row = project.json(&["approvals", "--json"]);
    assert_eq!((&row["kind"], &row["what"]), (&json!("promotion"), &json!("late@1 as live")), "{row}");
    let server = Up::start(&project);
    let inbox = server.get("/api/approvals?state=waiting");
    assert_eq!((&inbox["waiting"], &inbox["promotions"][0]["by"]), (&json!(1), &json!("anna")), "{inbox}");
    let decided = project.json(&["approve", row["id"].as_str().unwrap(), "--as", "bert", "--json"]);
    assert_eq!(decided["state"], "approved", "{decided}");
    assert_eq!(server.get("/api/approvals?state=waiting")["waiting"], 0);
    assert_eq!(project.json(&["models", "show", "late@live", "--json"])["version"], 1);
}
