use std::time::Duration;

use serde_json::{Value, json};

use super::client::{SECRET, Sender, secret_variable, signature};
use super::{counted, outputs, runs, settled};
use crate::project::{Project, wait_until};
use crate::server::Up;

/// A run for each release; what it gives is what happened.
const RELEASES: &str = r#"
inputs: {tag: {type: string}}
triggers:
  hub: {webhook: github, secret: hook_key, events: [release, push], if: "event.action == 'published'", inputs: {tag: "${{ event.release.tag_name }}"}}
  lab: {webhook: gitlab, secret: hook_key, inputs: {tag: "${{ event.tag }}"}}
  azure: {webhook: azure_devops, secret: hook_key, events: [build.complete], if: "event.build.result == 'succeeded'", inputs: {tag: "${{ event.build.name }}"}}
  cloud: {webhook: cloudevents, secret: hook_key, inputs: {tag: "${{ event.subject }}"}}
  any: {webhook: hmac, secret: hook_key, inputs: {tag: "${{ event.tag }}"}}
  open: {webhook: hmac, inputs: {tag: "${{ event.tag }}"}}
steps:
  note: {set: {tag: "${{ inputs.tag }}", type: "${{ event.type }}", by: "${{ event.source }}"}}
"#;

fn project(pipeline: &str) -> Project {
    Project::new(&[("pipelines/p.yaml", pipeline)]).with_variables(secret_variable())
}

fn release(tag: &str, action: &str) -> String {
    let repository = json!({"html_url": "https://github.example/a/b", "full_name": "a/b"});
    json!({"action": action, "release": {"tag_name": tag}, "repository": repository}).to_string()
}

#[test]
fn event_webhook_github_starts_one_run_however_often_it_comes() {
    let project = project(RELEASES);
    let server = Up::start(&project);
    let mut sender = Sender::to(&server);
    let body = release("v1", "published");
    let (status, answer) = sender.github("/hooks/p/hub", "release", "d1", &body);
    assert_eq!(status, 202, "{answer}");
    let event = settled(&server, "hub");
    assert_eq!(event["type"], "github.release.published");
    let given = outputs(&server, &event["run_id"]);
    assert_eq!(
        given,
        json!({"tag": "v1", "type": "github.release.published", "by": "https://github.example/a/b"})
    );
    // The same delivery again, in another order of its bytes even: GitHub's id tells.
    for _ in 0..3 {
        let (status, again) = sender.github("/hooks/p/hub", "release", "d1", &body);
        assert_eq!((status, &again["events"][0]["event"]), (200, &answer["events"][0]["event"]));
    }
    sender.github("/hooks/p/hub", "release", "d2", &release("v2", "created"));
    wait_until(|| counted(&server, "filtered") == 1);
    let left_out = server.get("/api/inbox?status=filtered")["events"][0].clone();
    assert_eq!(left_out["why"], "`if: event.action == 'published'` is false");
    sender.github("/hooks/p/hub", "ping", "d3", "{}");
    wait_until(|| counted(&server, "filtered") == 2);
    assert_eq!(runs(&server, "p").len(), 1);
    let shown = server.get("/api/inbox?status=started")["events"][0].clone();
    assert_eq!(shown["repeats"], 3, "{shown}");
    let listed = project.millrace(&["events"]);
    insta::assert_snapshot!(listed, @r"
    exit 0
    EVENT       TRIGGER  TYPE                      SUBJECT  STATE       RUN         WHY
    [id]  p/hub    github.ping                        - filtered              it is `ping`, and the trigger wants release, push
    [id]  p/hub    github.release.created    a/b      - filtered              `if: event.action == 'published'` is false
    [id]  p/hub    github.release.published  a/b      ✓ started   [id]
    ----
    ");
}

#[test]
fn event_webhook_refuses_wrong_signatures_and_oversize_bodies_before_it_reads_them() {
    let project = project(RELEASES);
    let server = Up::start(&project);
    let body = release("v1", "published");
    let right = signature(&body);
    let code = |headers: &[(&str, &str)], path: &str, body: &str| {
        let (status, answer) = Sender::to(&server).send(path, headers, body);
        format!("{status} {}", answer["code"].as_str().unwrap_or("-"))
    };
    let hub = "/hooks/p/hub";
    assert_eq!(code(&[("x-github-event", "release")], hub, &body), "401 hook-not-signed");
    assert_eq!(code(&[("x-hub-signature-256", &right)], hub, "not JSON {"), "401 hook-not-signed");
    assert_eq!(
        code(
            &[("x-hub-signature-256", &signature("not JSON {")), ("x-github-event", "push")],
            hub,
            "not JSON {"
        ),
        "400 hook-unreadable"
    );
    assert_eq!(code(&[("x-hub-signature-256", &right)], "/hooks/p/nothere", &body), "404 unknown-webhook");
    assert_eq!(code(&[("x-hub-signature-256", &right)], "/hooks/q/hub", &body), "404 unknown-webhook");
    assert_eq!(code(&[("x-gitlab-token", "guess")], "/hooks/p/lab", &body), "401 hook-not-signed");
    assert_eq!(code(&[("x-signature", "t=1,v1=00")], "/hooks/p/any", "{}"), "401 hook-not-signed");
    let large = "x".repeat(26 * 1024 * 1024);
    let sent = Sender::to(&server).try_send(hub, &[("x-github-event", "push")], large.as_bytes());
    // The server answers before it has taken all of it, so that the connection may break while it is sent.
    assert!(sent.is_none_or(|(status, _)| status == 413));
    assert_eq!(server.get("/api/inbox")["events"], json!([]));
}

#[test]
fn event_webhook_gitlab_azure_devops_cloudevents_and_generic_hmac() {
    let project = project(RELEASES);
    let server = Up::start(&project);
    let mut sender = Sender::to(&server);
    let gitlab =
        json!({"object_kind": "release", "tag": "lab-1", "project": {"web_url": "https://gitlab.example/a"}})
            .to_string();
    assert_eq!(sender.send("/hooks/p/lab", &[("x-gitlab-token", SECRET)], &gitlab).0, 202);
    assert_eq!(outputs(&server, &settled(&server, "lab")["run_id"])["tag"], "lab-1");

    use base64::Engine as _;
    let basic =
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("hook:{SECRET}")));
    let build = |id: &str, result: &str| {
        json!({"id": id, "eventType": "build.complete", "resource": {"buildNumber": "20260501.1", "result": result}}).to_string()
    };
    assert_eq!(sender.send("/hooks/p/azure", &[("authorization", &basic)], &build("1", "succeeded")).0, 202);
    assert_eq!(outputs(&server, &settled(&server, "azure")["run_id"])["tag"], "20260501.1");
    sender.send("/hooks/p/azure", &[("authorization", &basic)], &build("2", "failed"));
    wait_until(|| counted(&server, "filtered") == 1);

    let cloud = json!({"specversion": "1.0", "id": "7", "source": "/lake", "type": "blob.created", "subject": "a.csv"}).to_string();
    let signed = signature(&cloud);
    let headers = [("content-type", "application/cloudevents+json"), ("x-signature", signed.as_str())];
    assert_eq!(sender.send("/hooks/p/cloud", &headers, &cloud).0, 202);
    assert_eq!(
        outputs(&server, &settled(&server, "cloud")["run_id"]),
        json!({"tag": "a.csv", "type": "blob.created", "by": "/lake"})
    );
    assert_eq!(sender.send("/hooks/p/cloud", &headers, &cloud).0, 200, "source and id are the same");

    let body = json!({"tag": "any-1"}).to_string();
    let signed = signature(&body);
    assert_eq!(sender.send("/hooks/p/any", &[("x-signature", &signed)], &body).0, 202);
    assert_eq!(
        sender.send("/hooks/p/any", &[("x-signature", &signed)], &body).0,
        200,
        "the body is the same"
    );
    let keyed = [("x-signature", signed.as_str()), ("idempotency-key", "another")];
    assert_eq!(sender.send("/hooks/p/any", &keyed, &body).0, 202, "the key is another");
    // On loopback everybody is known; a trigger without a secret hears them.
    assert_eq!(sender.send("/hooks/p/open", &[], &json!({"tag": "open-1"}).to_string()).0, 202);
    wait_until(|| runs(&server, "p").len() == 6);
}

#[test]
fn where_others_reach_the_server_a_hook_needs_a_secret_or_a_login() {
    let project = project(RELEASES);
    let server = Up::start_with_login(&project, None);
    let mut sender = Sender::to(&server);
    let body = json!({"tag": "1"}).to_string();
    assert_eq!(sender.send("/hooks/p/open", &[], &body).0, 401);
    let bearer = format!("Bearer {}", crate::server::TOKEN);
    assert_eq!(sender.send("/hooks/p/open", &[("authorization", &bearer)], &body).0, 202);
    assert_eq!(
        sender.send("/hooks/p/any", &[("authorization", &bearer)], &body).0,
        401,
        "who has a secret signs"
    );
    assert_eq!(sender.send("/hooks/p/any", &[("x-signature", &signature(&body))], &body).0, 202);
    assert_eq!(sender.send("/api/inbox/x/replay", &[], "").0, 401);
}

#[test]
fn event_burst_of_10000_starts_the_exact_number_of_runs() {
    const EVENTS: usize = 10_000;
    const SENDERS: usize = 8;
    let pipeline = r#"
triggers:
  burst: {webhook: hmac, if: "event.n % 10 != 0", batch: {size: 100, within: 1d}}
steps:
  note: {set: {events: "${{ events | length }}", sum: "${{ events | map(attribute='n') | sum }}"}}
"#;
    let project = project(pipeline);
    let server = Up::start(&project);
    std::thread::scope(|scope| {
        for part in 0..SENDERS {
            let server = &server;
            scope.spawn(move || {
                let mut sender = Sender::to(server);
                for n in (part..EVENTS).step_by(SENDERS) {
                    let body = json!({"n": n}).to_string();
                    assert_eq!(sender.send("/hooks/p/burst", &[], &body).0, 202);
                    // Every seventh is told twice, as senders do that missed the answer.
                    if n % 7 == 0 {
                        assert_eq!(sender.send("/hooks/p/burst", &[], &body).0, 200);
                    }
                }
            });
        }
    });
    let passing = EVENTS - EVENTS / 10;
    wait_until(|| counted(&server, "started") == passing as u64);
    assert_eq!(counted(&server, "filtered"), (EVENTS / 10) as u64);
    let all = runs(&server, "p");
    assert_eq!(all.len(), passing / 100);
    let mut sum = 0;
    for run in &all {
        let given = outputs(&server, &run["id"]);
        assert_eq!(given["events"], 100);
        sum += given["sum"].as_u64().unwrap();
    }
    let expected: usize = (0..EVENTS).filter(|n| n % 10 != 0).sum();
    assert_eq!(sum, expected as u64, "each event is in one run");
}

#[test]
fn event_killed_between_inbox_and_run_starts_it_once() {
    let pipeline = "triggers: {t: {webhook: hmac}}\nsteps: {note: {set: {n: \"${{ event.n }}\"}}}\n";
    let project = project(pipeline);
    let mut sent = 0;
    // A fixed sequence (SplitMix64's increments), so that a failure can be repeated.
    let mut state = 11_u64;
    for _ in 0..6 {
        let server = Up::start(&project);
        let mut sender = Sender::to(&server);
        for _ in 0..20 {
            let body = json!({"n": sent}).to_string();
            assert_eq!(sender.send("/hooks/p/t", &[], &body).0, 202);
            sent += 1;
        }
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros((state >> 33) % 60_000));
        // Dropped is killed.
    }
    let server = Up::start(&project);
    wait_until(|| counted(&server, "started") == sent);
    let all = runs(&server, "p");
    let mut seen: Vec<u64> =
        all.iter().map(|run| outputs(&server, &run["id"])["n"].as_u64().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..sent).collect::<Vec<_>>());
}

#[test]
fn events_of_a_key_run_one_after_the_other_and_debounce_takes_the_newest() {
    let pipeline = r#"
triggers:
  ordered: {webhook: hmac, order_by: event.key}
  quiet: {webhook: hmac, debounce: 1s, order_by: event.key}
steps:
  work: {run: "echo begin $N >> log; sleep 0.2; echo end $N >> log", env: {N: "${{ event.key }}${{ event.n }}"}}
"#;
    let project = project(pipeline);
    let server = Up::start(&project);
    let mut sender = Sender::to(&server);
    for n in 0..4 {
        sender.send("/hooks/p/ordered", &[], &json!({"key": "a", "n": n}).to_string());
    }
    wait_until(|| project.read("log").lines().count() == 8);
    let expected: String = (0..4).map(|n| format!("begin a{n}\nend a{n}\n")).collect();
    assert_eq!(project.read("log"), expected);
    for n in 0..5 {
        sender.send("/hooks/p/quiet", &[], &json!({"key": "b", "n": n}).to_string());
    }
    wait_until(|| project.read("log").lines().count() == 10);
    assert_eq!(project.read("log"), expected + "begin b4\nend b4\n");
    assert_eq!(counted(&server, "started"), 9);
}

#[test]
fn a_dead_letter_is_replayed_with_the_file_as_it_is_then() {
    let pipeline = "inputs: {n: {type: integer}}\ntriggers: {t: {webhook: hmac, inputs: {n: \"${{ event.m }}\"}}}\nsteps: {note: {set: {n: \"${{ inputs.n }}\"}}}\n";
    let project = project(pipeline);
    let server = Up::start(&project);
    Sender::to(&server).send("/hooks/p/t", &[], &json!({"n": 5}).to_string());
    // Tried again after 1, 2, 4, 8 and 16 seconds.
    wait_until(|| counted(&server, "dead") == 1);
    let dead = settled(&server, "t");
    assert_eq!(dead["attempts"], 6);
    assert!(
        dead["why"].as_str().unwrap().starts_with("the input `n`: `event.m` has no value here"),
        "{dead}"
    );
    project.write("pipelines/p.yaml", pipeline.replace("event.m", "event.n"));
    let id = dead["id"].as_str().unwrap();
    let said = project.json(&["events", "replay", id, "--json"]);
    assert_eq!(said, json!({"replayed": [id]}));
    server.post(&format!("/api/inbox/{id}/replay"), "");
    let event: Value = settled(&server, "t");
    assert_eq!(outputs(&server, &event["run_id"]), json!({"n": 5}));
    assert_eq!(server.post(&format!("/api/inbox/{id}/replay"), "")["code"], "not-replayable");
}
