//! Queues as sources of copies.

use std::path::PathBuf;
use std::process::Child;

use millrace_metastore::testing::{TestMariadb, TestPostgres};
use serde_json::json;

use super::broker::{Broker, Running, Sender};
use crate::project::{Project, wait_until};

/// A workspace that copies the queue by these steps, one a pipeline, and a sender.
fn workspace<B: Broker>(broker: &Running<B>, queue: &str, steps: &[(&str, &str)]) -> (Project, Sender) {
    let connection = B::connection(&broker.address, B::PASSWORD);
    let project = Project::new(&[("connections.yaml", &format!("queue: {{{}: {connection}}}\n", B::WORD))]);
    for (name, copy) in steps {
        let step = format!("steps: {{load: {{copy: {{from: \"queue:{queue}\", {copy}}}}}}}\n");
        project.write(&format!("pipelines/{name}.yaml"), step);
    }
    (project, broker.sender())
}

/// The one number that a query gives.
fn number(project: &Project, query: &str) -> u64 {
    let output = project.output(&["sql", query, "--json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

fn run(project: &Project, name: &str, code: &str) {
    let said = project.millrace(&["run", name]);
    assert!(said.starts_with(code), "{said}");
}

/// Ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// `field`: what else `messages` says.
pub(super) fn messages_are_acknowledged_once_the_sink_has_them<B: Broker>(queue: &str, field: &str) {
    let Some(broker) = Running::<B>::start() else { return };
    let load =
        format!("messages: {{reader: loader, max: 3{field}}}, write: {{upsert: [id]}}, to: \"data:rows\"");
    let broken =
        format!("messages: {{reader: loader{field}}}, columns: {{body: integer}}, to: \"data:none\"");
    let (project, mut sender) = workspace(&broker, queue, &[("load", &load), ("broken", &broken)]);
    (0..5).for_each(|n| sender.send_body(&json!({"n": n})));
    // What the sink has not taken stays in the queue.
    run(&project, "broken", "exit 1");
    run(&project, "load", "exit 0");
    assert_eq!(number(&project, "select count(*) as n from rows"), 3);
    run(&project, "load", "exit 0");
    assert_eq!(number(&project, "select count(*) as n from rows"), 5);
    assert_eq!(number(&project, "select count(distinct body) as n from rows where subject = 'orders'"), 5);
    // Nothing is left, and nothing is lost by that.
    run(&project, "load", "exit 0");
    assert_eq!(number(&project, "select count(*) as n from rows"), 5);
    sender.send_body(&json!({"n": 5}));
    run(&project, "load", "exit 0");
    assert_eq!(number(&project, "select count(*) as n from rows"), 6);
}

pub(super) fn bodies_are_read_as_json_and_waited_for<B: Broker>(queue: &str, field: &str) {
    let Some(broker) = Running::<B>::start() else { return };
    let load = format!(
        "messages: {{max: 2, for: 50s, body: json{field}}}, mapping: {{n: $.body.n, team: headers}}, write: append, to: \"data:rows\""
    );
    let none = load.replace("for: 50s, ", "");
    let (project, mut sender) = workspace(&broker, queue, &[("load", &load), ("none", &none)]);
    // Nobody knows yet what the bodies say; the sink is left alone.
    run(&project, "none", "exit 0");
    let mut loading = Ended(project.spawn(&["run", "load"]));
    for n in [40, 2] {
        sender.send(
            &json!({"body": json!({"n": n}).to_string(), "headers": {"team": "a"}, "id": format!("m{n}")}),
        );
    }
    wait_until(|| loading.0.try_wait().unwrap().is_some());
    assert_eq!(number(&project, "select sum(n) as s from rows where team like '%team%'"), 42);
}

/// A broker that keeps nothing for who has never listened; what it is told to forget is kept until the sink has it.
pub(super) fn messages_wait_here_until_the_sink_has_them<B: Broker>(queue: &str) {
    let Some(broker) = Running::<B>::start() else { return };
    let load = "messages: {reader: loader, max: 150}, write: {upsert: [id]}, to: \"data:rows\"";
    let broken = "messages: {reader: loader}, columns: {body: integer}, to: \"data:none\"";
    let (project, mut sender) = workspace(&broker, queue, &[("load", load), ("broken", broken)]);
    sender.send_body(&json!({"n": "before anybody listens"}));
    run(&project, "load", "exit 0");
    // More than a broker gives before it is told of the first.
    sender.send(&json!({"burst": 250}));
    run(&project, "broken", "exit 1");
    run(&project, "broken", "exit 1");
    run(&project, "load", "exit 0");
    assert_eq!(number(&project, "select count(*) as n from rows"), 150);
    sender.send_body(&json!({"n": 250}));
    run(&project, "load", "exit 0");
    assert_eq!(number(&project, "select count(*) as n from rows"), 251);
    assert_eq!(number(&project, "select count(distinct body) as n from rows where subject = 'orders'"), 251);
    run(&project, "load", "exit 0");
    assert_eq!(number(&project, "select count(*) as n from rows"), 251);
}

/// A list, whose elements have no ids: equal ones are as many rows.
pub(super) fn elements_are_removed_once_the_sink_has_them<B: Broker>(queue: &str) {
    let Some(broker) = Running::<B>::start() else { return };
    let load = "messages: {max: 3, list: left}, write: append, to: \"data:rows\"";
    let broken = "messages: {list: left, reader: load}, columns: {body: integer}, to: \"data:none\"";
    let (project, mut sender) = workspace(&broker, queue, &[("load", load), ("broken", broken)]);
    run(&project, "load", "exit 0");
    for n in [1, 2, 2, 3, 4] {
        sender.send(&json!({"body": format!("n{n}")}));
    }
    run(&project, "broken", "exit 1");
    run(&project, "broken", "exit 1");
    sender.send(&json!({"body": "n5"}));
    run(&project, "load", "exit 0");
    assert_eq!(
        number(&project, "select count(*) as n from rows"),
        1,
        "what another reader holds is not taken"
    );
    project.write(
        "pipelines/broken.yaml",
        format!("steps: {{load: {{copy: {{from: \"queue:{queue}\", messages: {{list: left, reader: load}}, write: append, to: \"data:rows\"}}}}}}\n"),
    );
    run(&project, "broken", "exit 0");
    assert_eq!(number(&project, "select count(*) as n from rows"), 6);
    assert_eq!(
        number(&project, "select count(distinct body) as n from rows where subject = 'orders-list'"),
        5
    );
    run(&project, "broken", "exit 0");
    assert_eq!(number(&project, "select count(*) as n from rows"), 6);
}

/// Into tables of databases, which remember what was loaded; their columns for that have a width.
pub(super) fn elements_go_into_databases<B: Broker>(queue: &str) {
    let (Some(broker), Some(postgres)) = (Running::<B>::start(), TestPostgres::start()) else { return };
    let Some(mariadb) = TestMariadb::start() else { return };
    let load = |to: &str| format!("messages: {{max: 2, list: left}}, write: append, to: \"{to}:rows_of\"");
    let steps = [("pg", load("pg")), ("my", load("my"))];
    let steps: Vec<(&str, &str)> = steps.iter().map(|(name, step)| (*name, step.as_str())).collect();
    let (project, mut sender) = workspace(&broker, queue, &steps);
    let connections = format!(
        "{}pg: {{postgres: {{url: \"{}\"}}}}\nmy: {{mysql: {{url: \"{}\"}}}}\n",
        project.read("connections.yaml"),
        postgres.url(),
        mariadb.url()
    );
    project.write("connections.yaml", connections);
    (0..6).for_each(|n| sender.send(&json!({"body": format!("n{n}")})));
    for name in ["pg", "my", "pg"] {
        run(&project, name, "exit 0");
    }
    assert_eq!(postgres.sql("select string_agg(body, ' ' order by body) from rows_of").trim(), "n0 n1 n4 n5");
    assert_eq!(
        mariadb.sql("select group_concat(body order by body separator ' ') from rows_of").trim(),
        "n2 n3"
    );
}

/// A queue whose messages have a place of their own: rows that are added without keys are exact, whenever a copy was killed.
pub(super) fn a_copy_that_is_killed_adds_each_message_once<B: Broker>(queue: &str) {
    const MESSAGES: u64 = 2_000;
    let Some(broker) = Running::<B>::start() else { return };
    let load = "messages: {max: 20}, write: append, to: \"data:rows\"";
    let (project, mut sender) = workspace(&broker, queue, &[("load", load)]);
    sender.send(&json!({"burst": MESSAGES}));
    let is_noted = || {
        let mut noted = files(&project).into_iter().filter(|path| path.ends_with("position.json"));
        noted.any(|path| std::fs::read_to_string(path).unwrap_or_default().contains("loading"))
    };
    let is_commit = |path: &PathBuf| path.parent().is_some_and(|folder| folder.ends_with("_delta_log"));
    let commits = || files(&project).iter().filter(|path| is_commit(path)).count();
    let counted = || {
        ["count(*)", "count(distinct id)"]
            .map(|what| number(&project, &format!("select {what} as n from rows")))
    };
    // Before the sink has them and after it, and each time before it is said so.
    let (mut before_commit, mut after_commit) = (0, 0);
    for round in 0..40 {
        if before_commit >= 2 && after_commit >= 3 {
            break;
        }
        let known = commits();
        let mut loading = Ended(project.spawn(&["run", "load"]));
        wait_until(|| {
            let is_over = loading.0.try_wait().unwrap().is_some();
            is_over || if round % 2 == 0 { is_noted() } else { commits() > known }
        });
        drop(loading);
        if is_noted() {
            *if commits() > known { &mut after_commit } else { &mut before_commit } += 1;
        }
        // It goes on with the run that was killed, too; one of them waits for the other.
        run(&project, "load", "exit 0");
        let [rows, ids] = counted();
        assert_eq!(rows, ids, "round {round}, {before_commit} before the commit, {after_commit} after it");
    }
    assert!(after_commit > 0, "no copy was killed between the commit and the acknowledgement");
    let rest = load.replace("max: 20", "max: 5000");
    project.write(
        "pipelines/load.yaml",
        format!("steps: {{load: {{copy: {{from: \"queue:{queue}\", {rest}}}}}}}\n"),
    );
    // What a killed one had read comes by itself.
    for _ in 0..10 {
        run(&project, "load", "exit 0");
        if counted()[0] >= MESSAGES {
            break;
        }
    }
    run(&project, "load", "exit 0");
    assert_eq!(counted(), [MESSAGES; 2]);
    assert_eq!(number(&project, "select count(distinct body) as n from rows"), MESSAGES);
}

/// The files of a workspace.
fn files(project: &Project) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![project.path().to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        // It may be gone already.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

/// What else a row has, where messages have keys; and what is not there.
pub(super) fn keys_are_a_column<B: Broker>(queue: &str) {
    let Some(broker) = Running::<B>::start() else { return };
    let load = "messages: {body: json}, mapping: {id: id, who: key, n: $.body.n}, write: {upsert: [who]}, to: \"data:rows\"";
    let (project, mut sender) = workspace(&broker, queue, &[("load", load)]);
    for (key, n) in [("a", 1), ("b", 2), ("a", 3)] {
        sender.send(&json!({"body": json!({"n": n}).to_string(), "key": key}));
    }
    run(&project, "load", "exit 0");
    assert_eq!(number(&project, "select sum(n) as n from rows where who in ('a', 'b')"), 5);
    // Where this reader is is nothing to another one.
    let another = load.replace("body: json", "body: json, reader: another").replace("data:rows", "data:all");
    let another = another.replace("{upsert: [who]}", "append");
    project.write(
        "pipelines/other.yaml",
        format!("steps: {{load: {{copy: {{from: \"queue:{queue}\", {another}}}}}}}\n"),
    );
    run(&project, "other", "exit 0");
    assert_eq!(number(&project, "select count(*) as n from \"all\""), 3);
    project.write(
        "pipelines/load.yaml",
        format!("steps: {{load: {{copy: {{from: \"queue:absent\", {load}}}}}}}\n"),
    );
    let said = project.millrace(&["run", "load"]);
    assert!(said.contains("cannot give the topic `absent`: there is none of this name"), "{said}");
}
