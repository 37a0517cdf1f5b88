//! The process is killed with -9 right before and right after everything that a load commits, and begun again: the sink has each row once,
//! also where rows are added.
//!
//! The points are found by counting, as in `commit_kills.rs`: loads pass them too.
#![allow(clippy::print_stderr, reason = "how far a long test came is of use when it fails")]

use std::process::Command;

use millrace_metastore::testing::{TestMariadb, TestPostgres};

use crate::project::{Project, wait_until};

/// Rows enough for several batches.
const ROWS: usize = 20_000;

fn project(connection: &str, to: &str, write: &str) -> Project {
    let pipeline = format!("steps:\n  load: {{copy: {{from: raw.csv, to: \"{to}\", write: {write}}}}}\n");
    let mut raw = "id,v\n".to_owned();
    for row in 0..ROWS {
        raw.push_str(&format!("{row},{}\n", row * 3));
    }
    Project::new(&[("pipelines/p.yaml", &pipeline), ("raw.csv", &raw), ("connections.yaml", connection)])
}

/// Kills a run at each point and goes on; after each the sink has to hold what `count` says of so many loads.
fn kill_everywhere(project: &Project, count: &dyn Fn() -> u64) {
    let run = |key: &str| project.command(&["run", "p", "--json", "--idempotency-key", key]);
    let told = project.path().join("commits");
    let calm = run("calm").env("MILLRACE_TEST_COMMITS", &told).output().unwrap();
    assert!(calm.status.success(), "{}", String::from_utf8_lossy(&calm.stderr));
    let points = std::fs::metadata(&told).unwrap().len();
    assert!(points >= 12, "{points} points are fewer than a load has");
    let mut loads = 1;
    assert_eq!(count(), ROWS as u64);
    for point in 0..points + 2 {
        let key = format!("k{point}");
        let killed = run(&key).env("MILLRACE_TEST_KILL_AT", point.to_string()).output().unwrap();
        let ended = project.last_json(&["run", "p", "--json", "--idempotency-key", &key]);
        assert_eq!(ended["state"], "succeeded", "killed at {point}: {ended}");
        loads += 1;
        assert_eq!(count(), loads * ROWS as u64, "killed at {point} of {points}: {:?}", killed.status);
        eprintln!("killed at {point} of {points}");
    }
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or_else(|_| panic!("{text}"))
}

#[test]
fn added_to_postgres_once() {
    let Some(server) = TestPostgres::start() else { return };
    let project = project(&format!("db: {{postgres: {{url: \"{}\"}}}}\n", server.url()), "db:rows", "append");
    kill_everywhere(&project, &|| number(&server.sql("select count(*) from rows")));
    assert_eq!(number(&server.sql("select count(*) from (select id from rows group by id) d")), ROWS as u64);
}

#[test]
fn added_to_mariadb_once() {
    let Some(server) = TestMariadb::start() else { return };
    let project = project(&format!("db: {{mysql: {{url: \"{}\"}}}}\n", server.url()), "db:rowsof", "append");
    kill_everywhere(&project, &|| number(&server.sql("select count(*) from rowsof")));
}

#[test]
fn added_to_sqlite_once() {
    let project = project("db: {sqlite: {path: data/rows.db}}\n", "db:rows", "append");
    let query = ["copy", "db:(select count(*) as n from rows)", "count.csv"];
    kill_everywhere(&project, &|| {
        assert!(project.output(&query).status.success());
        number(project.read("count.csv").lines().last().unwrap_or_default())
    });
}

#[test]
fn added_to_a_dataset_once() {
    let project = project("", "data:rows", "append");
    kill_everywhere(&project, &|| {
        project.json(&["sql", "select count(*) as n from rows", "--json"])["n"].as_u64().unwrap_or_default()
    });
}

/// A log of what changed: killed anywhere, and with changes that come between the kill and the end, each change is in it once.
#[test]
fn changes_are_logged_once() {
    let Some(server) = TestPostgres::start() else { return };
    server.sql("create table source (id int primary key, n int); insert into source select i, 0 from generate_series(1, 20) i");
    let pipeline = "steps:\n  log:\n    copy:\n      from: db:source\n      to: db:log\n      write: append\n      incremental: {changes: true, slot: log}\n      state: state/log.json\n";
    let project = Project::new(&[
        ("pipelines/p.yaml", pipeline),
        ("connections.yaml", &format!("db: {{postgres: {{url: \"{}\"}}}}\n", server.url())),
    ]);
    let run = |key: &str| project.command(&["run", "p", "--json", "--idempotency-key", key]);
    let change = |ids: &str| drop(server.sql(&format!("update source set n = n + 1 where id {ids}")));
    let ended = |key: &str| {
        let ended = project.last_json(&["run", "p", "--json", "--idempotency-key", key]);
        assert_eq!(ended["state"], "succeeded", "{key}: {ended}");
    };
    ended("first");
    let told = project.path().join("commits");
    change("<= 5");
    let calm = run("calm").env("MILLRACE_TEST_COMMITS", &told).output().unwrap();
    assert!(calm.status.success(), "{}", String::from_utf8_lossy(&calm.stderr));
    let points = std::fs::metadata(&told).unwrap().len();
    let mut expected = 25;
    for point in 0..points + 2 {
        let key = format!("k{point}");
        change("<= 5");
        let killed = run(&key).env("MILLRACE_TEST_KILL_AT", point.to_string()).output().unwrap();
        change("> 15");
        ended(&key);
        ended(&format!("{key} after"));
        expected += 10;
        let found = number(&server.sql("select count(*) from log"));
        assert_eq!(found, expected, "killed at {point} of {points}: {:?}", killed.status);
        // The last that is said of a row is what it is.
        let behind = "select count(*) from source s where n > (select max(l.n) from log l where l.id = s.id)";
        assert_eq!(number(&server.sql(behind)), 0, "killed at {point} of {points}");
        eprintln!("killed at {point} of {points}");
    }
}

/// A read that is killed in the midst goes on with the parts that are missing: what was read is no longer in the source.
#[test]
fn parts_that_were_read_are_not_read_again() {
    let rows: String = (0..ROWS).map(|row| format!("{row},{}\n", row * 3)).collect();
    let pipeline = "steps:\n  large:\n    copy:\n      from: db:rows\n      to: out.csv\n      parallelism: 1\n      max_bytes_per_s: 100000\n      partition: {column: id, parts: 40, resume: true}\n";
    let project = Project::new(&[
        ("pipelines/p.yaml", pipeline),
        ("raw.csv", &format!("id,v\n{rows}")),
        ("connections.yaml", "db: {sqlite: {path: data/rows.db}}\n"),
    ]);
    let fill = ["copy", "raw.csv", "db:rows", "--with", "columns={id: integer, v: integer}"];
    assert!(project.output(&fill).status.success());
    let kept = || {
        let mut find = Command::new("find");
        let found = find.args([".millrace/runs", "-name", "*.arrow"]).current_dir(project.path()).output();
        String::from_utf8(found.unwrap().stdout).unwrap().lines().count()
    };
    let mut child = project.spawn(&["run", "p", "--idempotency-key", "k"]);
    wait_until(|| kept() >= 5);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(project.read("out.csv").is_empty(), "it was not killed in the midst");
    let gone = "import sqlite3; c = sqlite3.connect('data/rows.db'); c.execute('delete from rows where id < 500'); c.commit()";
    assert!(
        Command::new("python3").args(["-c", gone]).current_dir(project.path()).status().unwrap().success()
    );
    let ended = project.last_json(&["run", "p", "--json", "--idempotency-key", "k"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let copied = project.read("out.csv");
    let mut ids: Vec<usize> =
        copied.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..ROWS), "rows are missing or there twice");
    assert_eq!(kept(), 0);
    let said = project.millrace(&["logs", "latest"]);
    assert!(said.contains("of 40 parts were read before"), "{said}");
}
