use millrace_contract::GitFacts;
use serde_json::{Value, json};

use super::*;

/// A time that the vectors of Standard Webhooks were signed at.
const SIGNED_AT: i64 = 1_614_265_330;

fn spec(text: Value) -> EventSpec {
    serde_json::from_value(text).unwrap()
}

fn request(headers: &[(&str, &str)], body: &str) -> HookRequest {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    HookRequest { headers, body: body.as_bytes().to_vec(), is_trusted: false }
}

fn read_at(
    spec: &EventSpec,
    secret: &str,
    request: &HookRequest,
    second: i64,
) -> Result<Vec<Event>, HookRefusal> {
    let now = Timestamp::from_second(second).unwrap();
    read(spec, Some(&SecretText::new(secret)), request, "/hooks/p/t", now)
}

fn trusted(spec: &EventSpec, headers: &[(&str, &str)], body: &Value) -> Result<Vec<Event>, HookRefusal> {
    let request = HookRequest { is_trusted: true, ..request(headers, &body.to_string()) };
    read(spec, None, &request, "/hooks/p/t", Timestamp::from_second(SIGNED_AT).unwrap())
}

#[test]
fn github_signs_as_its_documentation_says() {
    let github = spec(json!({"webhook": {"webhook": "github", "secret": "k"}}));
    let secret = "It's a Secret to Everybody";
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let said = |headers: &[(&str, &str)], body: &str| {
        read_at(&github, secret, &request(headers, body), SIGNED_AT).unwrap_err().to_string()
    };
    // The body is no JSON, which is only seen once the signature was right.
    assert!(said(&[("x-hub-signature-256", signature)], "Hello, World!").starts_with("the body is not JSON"));
    assert_eq!(
        said(&[("x-hub-signature-256", signature)], "Hello, World?"),
        "the signature does not fit the secret of the trigger"
    );
    assert_eq!(
        said(&[("x-hub-signature-256", "sha256=75")], "Hello, World!"),
        "the signature does not fit the secret of the trigger"
    );
    assert_eq!(
        said(&[("x-hub-signature-256", "sha256=zz")], "Hello, World!"),
        "the signature is not hexadecimal"
    );
    assert_eq!(said(&[], "Hello, World!"), "the request is not signed");
}

#[test]
fn standard_webhooks_are_checked_with_their_time() {
    let anybody = spec(json!({"webhook": {"webhook": "hmac", "secret": "k"}}));
    let headers = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,bm9uZQ== v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ];
    let body = "{\"test\": 2432232314}";
    let at = |second: i64| {
        read_at(&anybody, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &request(&headers, body), second)
    };
    let events = at(SIGNED_AT + 299).unwrap();
    assert_eq!(
        (events[0].id.as_str(), &events[0].data["test"]),
        ("msg_p5jXN8AQM9LWM0D4loKWxJek", &json!(2_432_232_314_u64))
    );
    assert_eq!(at(SIGNED_AT + 301).unwrap_err(), HookRefusal::Clock(301));
    assert_eq!(at(SIGNED_AT - 301).unwrap_err(), HookRefusal::Clock(-301));
}

#[test]
fn a_time_that_is_signed_with_the_body_counts_too() {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let anybody =
        spec(json!({"webhook": {"webhook": "hmac", "secret": "k", "signature_header": "X-Sent-By"}}));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"secret").unwrap();
    mac.update(b"1614265330.{}");
    let signature = format!("t=1614265330,v1={}", hex::encode(mac.finalize().into_bytes()));
    let signed = request(&[("x-sent-by", &signature)], "{}");
    assert!(read_at(&anybody, "secret", &signed, SIGNED_AT).is_ok());
    assert_eq!(read_at(&anybody, "secret", &signed, SIGNED_AT + 400).unwrap_err(), HookRefusal::Clock(400));
    assert!(read_at(&anybody, "another", &signed, SIGNED_AT).is_err());
    let moved = request(&[("x-sent-by", &signature.replace("1614265330", "1614265331"))], "{}");
    assert!(read_at(&anybody, "secret", &moved, SIGNED_AT).is_err(), "the time is part of what is signed");
}

#[test]
fn gitlab_and_azure_devops_send_the_secret() {
    let gitlab = spec(json!({"webhook": {"webhook": "gitlab", "secret": "k"}}));
    let body = json!({"object_kind": "release", "action": "create", "project": {"web_url": "https://g/x", "path_with_namespace": "a/x"}}).to_string();
    let sent = |token: &str| {
        read_at(
            &gitlab,
            "token",
            &request(&[("x-gitlab-token", token), ("x-gitlab-event-uuid", "u1")], &body),
            0,
        )
    };
    let event = sent("token").unwrap().remove(0);
    assert_eq!(
        (event.kind.as_str(), event.id.as_str(), event.subject.as_deref()),
        ("gitlab.release", "u1", Some("a/x"))
    );
    assert!(sent("tokem").is_err() && sent("token2").is_err() && sent("").is_err());

    let azure = spec(json!({"webhook": {"webhook": "azure_devops", "secret": "k"}}));
    let body = json!({"id": "e1", "eventType": "build.complete", "createdDate": "2026-05-01T00:00:00Z",
        "resource": {"url": "https://dev/b/1", "buildNumber": "20260501.1", "result": "succeeded", "sourceBranch": "refs/heads/main",
            "sourceVersion": "abc", "definition": {"name": "ci"}}});
    // :token and any:tokem
    let sent =
        |basic: &str| read_at(&azure, "token", &request(&[("authorization", basic)], &body.to_string()), 0);
    let event = sent("Basic OnRva2Vu").unwrap().remove(0);
    assert_eq!(event.kind, "azure_devops.build.complete");
    assert_eq!(
        event.facts["build"],
        json!({"name": "20260501.1", "result": "succeeded", "branch": "main", "sha": "abc", "url": "https://dev/b/1"})
    );
    assert!(sent("Basic YW55OnRva2Vt").is_err());
}

#[test]
fn without_a_secret_only_callers_who_are_known_are_heard() {
    let open = spec(json!({"webhook": {"webhook": "hmac"}}));
    let now = Timestamp::from_second(0).unwrap();
    assert_eq!(read(&open, None, &request(&[], "{}"), "/hooks/p/t", now).unwrap_err(), HookRefusal::NoSecret);
    assert!(trusted(&open, &[], &json!({})).is_ok());
    let closed = spec(json!({"webhook": {"webhook": "hmac", "secret": "k"}}));
    assert_eq!(
        trusted(&closed, &[], &json!({})).unwrap_err(),
        HookRefusal::SecretMissing,
        "a known caller must sign, too"
    );
}

#[test]
fn what_is_the_same_is_told_by_an_id_or_by_the_body() {
    let anybody = spec(json!({"webhook": {"webhook": "hmac"}}));
    let id = |headers: &[(&str, &str)], body: Value| trusted(&anybody, headers, &body).unwrap().remove(0).id;
    assert_eq!(id(&[("idempotency-key", "k1")], json!(1)), "k1");
    assert_eq!(id(&[], json!({"a": 1})), id(&[], json!({"a": 1})));
    assert_ne!(id(&[], json!({"a": 1})), id(&[], json!({"a": 2})));
    let kept =
        trusted(&anybody, &[("x-tenant", "eu"), ("x-signature", "s"), ("cookie", "c")], &json!({})).unwrap();
    assert_eq!(kept[0].facts["headers"], json!({"x-tenant": "eu"}));
}

#[test]
fn cloud_events_come_in_headers_in_bodies_and_in_batches() {
    let cloud = spec(json!({"webhook": {"webhook": "cloudevents"}}));
    let shown = |events: Vec<Event>| {
        let line = |event: Event| {
            let subject = event.subject.unwrap_or_default();
            format!(
                "{} {} {} {subject} {} {}",
                event.id, event.source, event.kind, event.data, event.facts["extensions"]
            )
        };
        events.into_iter().map(line).collect::<Vec<_>>().join("\n")
    };
    let binary = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/lake"),
        ("ce-type", "blob.created"),
        ("ce-subject", "caf%C3%A9.csv"),
        ("ce-tenant", "eu"),
        ("content-type", "application/json"),
    ];
    assert_eq!(
        shown(trusted(&cloud, &binary, &json!({"n": 1})).unwrap()),
        "1 /lake blob.created café.csv {\"n\":1} {\"tenant\":\"eu\"}"
    );
    let one = |id: &str| json!({"specversion": "1.0", "id": id, "source": "/s", "type": "t", "data": [id]});
    let structured = [("content-type", "application/cloudevents+json; charset=utf-8")];
    assert_eq!(shown(trusted(&cloud, &structured, &one("7")).unwrap()), "7 /s t  [\"7\"] {}");
    let batch = [("content-type", "application/cloudevents-batch+json")];
    assert_eq!(
        shown(trusted(&cloud, &batch, &json!([one("7"), one("8")])).unwrap()),
        "7 /s t  [\"7\"] {}\n8 /s t  [\"8\"] {}"
    );
    let refused =
        |headers: &[(&str, &str)], body: Value| trusted(&cloud, headers, &body).unwrap_err().to_string();
    assert_eq!(refused(&structured, json!({"id": "1", "source": "/s"})), "the CloudEvent has no `type`");
    assert!(refused(&structured, json!({"specversion": "0.3", "id": "1"})).contains("only 1.0"));
    assert!(refused(&[], json!({})).starts_with("it is no CloudEvent"));
}

#[test]
fn senders_tell_of_git_in_the_words_of_the_repository() {
    let git = spec(json!({"git": {"git": "origin", "webhook": "github"}}));
    let facts = |headers: &[(&str, &str)], body: Value| -> (String, GitFacts) {
        let event = trusted(&git, headers, &body).unwrap().remove(0);
        (
            format!("{} {}", event.source, event.id),
            serde_json::from_value(event.facts["git"].clone()).unwrap(),
        )
    };
    let push = json!({"ref": "refs/heads/main", "before": "0".repeat(40), "after": "abc", "commits": [{"added": ["b"], "modified": ["a"], "removed": []}],
        "head_commit": {"message": "m", "author": {"name": "Ada"}}});
    let (id, told) = facts(&[("x-github-event", "push"), ("x-github-delivery", "d")], push);
    assert_eq!(id, "origin push:refs/heads/main:abc");
    assert_eq!(
        (told.branch.as_str(), told.before.as_str(), told.files),
        ("main", "", Some(vec!["a".to_owned(), "b".to_owned()]))
    );
    let pull = json!({"action": "synchronize", "number": 7, "pull_request": {"head": {"ref": "work", "sha": "abc"}, "base": {"ref": "main"}, "title": "t", "user": {"login": "ada"}}});
    let (id, told) = facts(&[("x-github-event", "pull_request")], pull);
    assert_eq!(id, "origin pull_request:refs/pull/7/head:abc");
    assert_eq!((told.branch.as_str(), told.target.as_str(), told.number), ("work", "main", Some(7)));
    // What says nothing of a change stays what it is, and is filtered out with a reason.
    let ping = trusted(&git, &[("x-github-event", "ping")], &json!({"zen": "z"})).unwrap();
    assert_eq!((ping.len(), ping[0].kind.as_str()), (1, "github.ping"));
}

#[test]
fn a_webhook_may_want_some_kinds_of_event_only() {
    let event = |kind: &str| Event {
        id: String::new(),
        source: String::new(),
        kind: kind.to_owned(),
        subject: None,
        time: None,
        data: Value::Null,
        facts: serde_json::Map::new(),
    };
    let wanted = ["release.published".to_owned(), "push".to_owned()];
    for kind in ["github.push", "github.release.published"] {
        assert_eq!(unwanted(&wanted, &event(kind)), None, "{kind}");
    }
    assert_eq!(unwanted(&["release".to_owned()], &event("github.release.published")), None);
    assert_eq!(
        unwanted(&wanted, &event("github.release.created")).unwrap(),
        "it is `release.created`, and the trigger wants release.published, push"
    );
    assert!(unwanted(&wanted, &event("github.pushed")).is_some());
    assert_eq!(unwanted(&["com.example.made".to_owned()], &event("com.example.made")), None);
}
