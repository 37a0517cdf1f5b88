//! What every queue is tested for.

use std::time::Duration;

use serde_json::{Value, json};

use super::broker::{Broker, Running};
use super::proxy::Proxy;
use crate::events::{counted, outputs, runs, settled, wait_until_asked};
use crate::project::{Project, wait_until};
use crate::server::Up;

/// A workspace whose trigger `t` listens at `address`.
pub(super) fn project<B: Broker>(address: &str, more: &str) -> Project {
    let (data, subject, team) = (B::DATA, B::SUBJECT, B::TEAM);
    let steps = format!(
        "steps: {{note: {{set: {{data: \"${{{{ {data} }}}}\", type: \"${{{{ event.type }}}}\", \
         subject: \"${{{{ {subject} }}}}\", team: \"${{{{ {team} }}}}\"}}}}}}\n"
    );
    let (word, trigger) = (B::WORD, B::TRIGGER);
    let pipeline = format!("triggers:\n  t: {{{word}: {trigger}, connection: queue{more}}}\n{steps}");
    let project = Project::new(&[("pipelines/p.yaml", &pipeline)]);
    connect::<B>(&project, address, B::PASSWORD);
    project
}

pub(super) fn connect<B: Broker>(project: &Project, address: &str, password: &str) {
    let connection = B::connection(address, password);
    project.write("connections.yaml", format!("queue: {{{}: {connection}}}\n", B::WORD));
}

/// What the health of the trigger says is wrong.
fn error(server: &Up) -> Value {
    server.get("/api/event-triggers")[0]["error"].clone()
}

pub(super) fn error_once_there_is_one(server: &Up) -> String {
    wait_until(|| error(server).is_string());
    error(server).as_str().unwrap().to_owned()
}

pub(super) fn a_message_starts_a_run<B: Broker>() {
    let Some(broker) = Running::<B>::start() else { return };
    let project = project::<B>(&broker.address, "");
    assert!(project.millrace(&["check"]).starts_with("exit 0"), "{}", project.millrace(&["check"]));
    let server = Up::start(&project);
    wait_until_asked(&server, "t");
    let mut sender = broker.sender();
    let mut gave = |message: Value, count: usize| {
        sender.send(&message);
        wait_until(|| runs(&server, "p").len() == count);
        outputs(&server, &settled(&server, "t")["run_id"])
    };
    let headers = json!({"team": "a"});
    let given = gave(json!({"body": json!({"n": 1, "of": ["x"]}).to_string(), "headers": headers}), 1);
    let kind = format!("{}.message", B::WORD);
    assert_eq!(given["data"], json!({"n": 1, "of": ["x"]}));
    assert_eq!((given["type"].as_str(), given["subject"].as_str()), (Some(kind.as_str()), Some("orders")));
    assert_eq!(given["team"], if B::HAS_HEADERS { "a" } else { "none" });
    assert_eq!(gave(json!({"body": "just text"}), 2)["data"], "just text");
    let cloud =
        json!({"specversion": "1.0", "id": "c-1", "source": "/shop", "type": "order.paid", "data": {"n": 3}});
    let given = gave(json!({"body": cloud.to_string()}), 3);
    assert_eq!((&given["data"], &given["type"]), (&json!({"n": 3}), &json!("order.paid")));
    // The same CloudEvent again is the same event.
    sender.send(&json!({"body": cloud.to_string()}));
    sender.send(&json!({"body": "the last"}));
    wait_until(|| runs(&server, "p").len() == 4);
    assert_eq!(outputs(&server, &settled(&server, "t")["run_id"])["data"], "the last");
}

pub(super) fn what_comes_while_no_server_is_up_starts_runs<B: Broker>() {
    let Some(broker) = Running::<B>::start() else { return };
    let project = project::<B>(&broker.address, "");
    let mut sender = broker.sender();
    let server = Up::start(&project);
    wait_until_asked(&server, "t");
    sender.send_body(&json!(0));
    wait_until(|| runs(&server, "p").len() == 1);
    drop(server);
    sender.send_body(&json!(1));
    sender.send_body(&json!(2));
    let server = Up::start(&project);
    wait_until(|| runs(&server, "p").len() == 3);
    let mut given: Vec<Value> =
        runs(&server, "p").iter().map(|run| outputs(&server, &run["id"])["data"].clone()).collect();
    given.sort_by_key(Value::as_u64);
    assert_eq!(given, [json!(0), json!(1), json!(2)]);
}

pub(super) fn killed_between_delivery_and_acknowledgement_starts_one_run<B: Broker>() {
    let Some(broker) = Running::<B>::start() else { return };
    let proxy = Proxy::to(broker.port);
    let project = project::<B>(&B::address(proxy.port), "");
    let server = Up::start(&project);
    wait_until_asked(&server, "t");
    let mut sender = broker.sender();
    sender.send_body(&json!("first"));
    wait_until(|| counted(&server, "started") == 1);
    // What is asked for is on its way; the acknowledgement will not arrive.
    proxy.wait_until_quiet();
    proxy.mute(true);
    sender.send_body(&json!("second"));
    wait_until(|| counted(&server, "started") == 2);
    // Dropped is killed.
    drop(server);
    proxy.mute(false);
    let server = Up::start(&project);
    wait_until(|| settled(&server, "t")["repeats"] == 1);
    sender.send_body(&json!("third"));
    wait_until(|| counted(&server, "started") == 3);
    let given: Vec<Value> =
        runs(&server, "p").iter().map(|run| outputs(&server, &run["id"])["data"].clone()).collect();
    assert_eq!(given, ["first", "second", "third"]);
}

pub(super) fn a_server_that_is_away_is_said_and_comes_back<B: Broker>() {
    let Some(mut broker) = Running::<B>::start() else { return };
    let project = project::<B>(&broker.address, "");
    let server = Up::start(&project);
    wait_until_asked(&server, "t");
    broker.stop();
    let said = error_once_there_is_one(&server);
    assert!(said.starts_with(&format!("`{}` cannot be reached: ", broker.address)), "{said}");
    broker.restart();
    wait_until(|| error(&server) == Value::Null);
    broker.sender().send_body(&json!("after"));
    wait_until(|| runs(&server, "p").len() == 1);
}

/// What the health says of a wrong password, with the address taken out.
pub(super) fn what_wrong_credentials_say<B: Broker>() -> Option<String> {
    let broker = Running::<B>::start()?;
    let project = project::<B>(&broker.address, "");
    connect::<B>(&project, &broker.address, "guess");
    let server = Up::start(&project);
    let said = error_once_there_is_one(&server);
    connect::<B>(&project, &broker.address, B::PASSWORD);
    wait_until(|| error(&server) == Value::Null);
    broker.sender().send_body(&json!("let in"));
    wait_until(|| runs(&server, "p").len() == 1);
    assert!(!said.contains("guess") && !said.contains(B::PASSWORD), "{said}");
    Some(said.replace(&broker.address, "[address]"))
}

pub(super) fn a_burst_of_10000_starts_the_exact_number_of_runs<B: Broker>() {
    const EVENTS: u64 = 10_000;
    let Some(broker) = Running::<B>::start() else { return };
    let project = project::<B>(&broker.address, ", batch: {size: 100, within: 1d}");
    let triggers: String =
        project.read("pipelines/p.yaml").lines().take(2).map(|line| format!("{line}\n")).collect();
    let data = B::DATA.trim_start_matches("event.");
    let steps = format!(
        "steps: {{note: {{set: {{sum: \"${{{{ events | map(attribute='{data}') | map(attribute='n') | sum }}}}\"}}}}}}\n"
    );
    project.write("pipelines/p.yaml", triggers + &steps);
    let server = Up::start(&project);
    wait_until_asked(&server, "t");
    broker.sender().send(&json!({"burst": EVENTS}));
    wait_until(|| counted(&server, "started") == EVENTS);
    let all = runs(&server, "p");
    assert_eq!(all.len() as u64, EVENTS / 100);
    let sum: u64 = all.iter().map(|run| outputs(&server, &run["id"])["sum"].as_u64().unwrap()).sum();
    assert_eq!(sum, EVENTS * (EVENTS - 1) / 2, "each event is in one run");
}

pub(super) fn killed_again_and_again_starts_one_run_each<B: Broker>() {
    const EVENTS: u64 = 60;
    let Some(broker) = Running::<B>::start() else { return };
    let project = project::<B>(&broker.address, "");
    let server = Up::start(&project);
    wait_until_asked(&server, "t");
    let mut sender = broker.sender();
    sender.send(&json!({"burst": EVENTS}));
    drop(server);
    // A fixed sequence (SplitMix64's increments), so that a failure can be repeated.
    let mut state = 7_u64;
    for _ in 0..5 {
        let server = Up::start(&project);
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros((state >> 33) % 120_000));
        // Dropped is killed.
        drop(server);
    }
    let server = Up::start(&project);
    wait_until(|| counted(&server, "started") == EVENTS);
    let all = runs(&server, "p");
    let mut given: Vec<u64> =
        all.iter().map(|run| outputs(&server, &run["id"])["data"]["n"].as_u64().unwrap()).collect();
    given.sort_unstable();
    assert_eq!(given, (0..EVENTS).collect::<Vec<_>>());
}

/// "Test connection" of the connections page: what answers, and what is there of which `names` is one; a wrong password is refused.
pub(super) fn a_connection_is_tried<B: Broker>(names: Option<&str>) {
    let Some(broker) = Running::<B>::start() else { return };
    let project = project::<B>(&broker.address, "");
    let server = Up::start(&project);
    let tried = || {
        // As the page has them: what opens the queue stays in the file.
        let settings = server.get("/api/connections")["connections"][0]["settings"].clone();
        assert_eq!(settings["password"], "••••••", "{settings}");
        let wanted = json!({"name": "queue", "kind": B::WORD, "settings": settings});
        server.post("/api/connection-tests", &wanted.to_string())
    };
    let found = tried();
    assert!(found["said"].is_string(), "{found}");
    if let Some(name) = names {
        assert!(found["names"].as_array().unwrap().contains(&json!(name)), "{found}");
    }
    connect::<B>(&project, &broker.address, "wrong");
    let refused = tried();
    let message = refused["problem"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("refuses the credentials"), "{refused}");
}
