//! The step `copy` and ClickHouse: its own engine behind a server of Python, and for what an engine does not do, answers as its HTTP interface is
//! documented to give them.

use serde_json::json;

use super::Place;
use super::programs::program;
use super::servers::Server;

fn server() -> Option<Server> {
    Some(Server::of_script(&program("MILLRACE_TEST_FORMATS")?, include_str!("clickhouse.py")))
}

fn place(server: &Server, password: &str) -> Place {
    let url = format!("http://127.0.0.1:{}/", server.port);
    let usual = json!({"url": url, "user": "reader", "database": "web", "allow_http": true});
    Place::connected("events", "clickhouse", usual, json!({ "password": password }))
}

#[tokio::test]
async fn tables_of_clickhouse_are_read_as_arrow() {
    let Some(server) = server() else { return };
    let all = place(&server, "pw");
    all.copy(json!({"from": "events:visits", "to": "out.csv"})).await.unwrap();
    assert_eq!(
        all.text("out.csv"),
        "id,name,at\n1,a,2026-03-01T00:00:00Z\n2,ü,2026-03-01T00:00:00Z\n3,,2026-03-01T00:00:00Z\n"
    );
    let condition = json!({"text": "name = $1", "params": ["ü"]});
    let tables = vec!["web.visits".to_owned()];
    assert_eq!(all.probed("events").await, Ok(("ClickHouse answers".to_owned(), tables)));
    let refused = place(&server, "secret-word").probed("events").await.unwrap_err();
    assert!(refused.contains("AUTHENTICATION_FAILED") && !refused.contains("secret-word"), "{refused}");
    all.copy(json!({"from": "events:visits", "where": condition, "to": "out.csv"})).await.unwrap();
    assert_eq!(all.text("out.csv"), "id,name,at\n2,ü,2026-03-01T00:00:00Z\n");
}

#[tokio::test]
async fn an_answer_of_clickhouse_that_is_none_leaves_nothing() {
    let Some(server) = server() else { return };
    for (password, table, said) in [
        ("pw", "nothing", "answers 404 Not Found: Code: 60. DB::Exception: Table web.nothing does not exist"),
        (
            "secret-word",
            "visits",
            "Authentication failed. (AUTHENTICATION_FAILED); look at `user` and `password`",
        ),
        (
            "pw",
            "breaks",
            "the answer ends before its rows do: Code: 241. DB::Exception: Memory limit exceeded",
        ),
        ("pw", "ends", "the answer ends before its rows do"),
    ] {
        let place = place(&server, password);
        let failed = place.copy(json!({"from": format!("events:{table}"), "to": "out.csv"})).await;
        let error = failed.unwrap_err().problem.message;
        assert!(error.contains(said) && !error.contains("secret-word"), "{error}");
        assert!(!place.folder.path().join("out.csv").exists(), "{table}");
    }
}

/// ClickHouse's engine.
fn engine() -> Option<Server> {
    Some(Server::of_script(&program("MILLRACE_TEST_CLICKHOUSE")?, include_str!("clickhouse_engine.py")))
}

async fn rows(place: &Place, table: &str) -> String {
    place.copy(json!({"from": format!("events:{table}"), "to": "read.csv"})).await.unwrap();
    let text = place.text("read.csv");
    let (head, lines) = text.split_once('\n').unwrap();
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.sort_unstable();
    format!("{head}\n{}", lines.join("\n"))
}

/// The tables that are there, without that of loads.
async fn tables(place: &Place) -> Vec<String> {
    let (_, mut names) = place.probed("events").await.unwrap();
    names.retain(|name| !name.ends_with(".millrace_loads"));
    names.sort_unstable();
    names
}

const VISITS: &str = "create table if not exists visits (id Int64, day Date32, more String default 'd') \
                      engine = MergeTree partition by day order by id";

#[tokio::test(flavor = "multi_thread")]
async fn clickhouse_takes_rows_once_and_whole() {
    let Some(server) = engine() else { return };
    let place = place(&server, "pw");
    place.file("a.csv", "id,day\n1,2026-03-01\n2,2026-03-02\n3,2026-03-02\n");
    // A table that is made, by rows of its types.
    let append = json!({"from": "a.csv", "to": "events:web.made", "write": "append"});
    assert_eq!(place.copy(append.clone()).await.unwrap().rows, Some(3));
    assert_eq!(place.attempt(append.clone()).await.unwrap().rows, Some(3));
    assert_eq!(rows(&place, "made").await, "id,day\n1,2026-03-01\n2,2026-03-02\n3,2026-03-02");
    place.copy(append).await.unwrap();
    assert_eq!(rows(&place, "made").await.lines().count(), 7);
    let overwrite = json!({"from": "a.csv", "to": "events:made", "limit": 1});
    place.copy(overwrite).await.unwrap();
    assert_eq!(rows(&place, "made").await, "id,day\n1,2026-03-01");

    // One that is there keeps its definition.
    let defined = json!({"from": "a.csv", "to": "events:visits", "write": "append", "pre_sql": [VISITS],
        "post_sql": ["alter table visits update more = 'after' where id = 3 settings mutations_sync = 2"]});
    for write in ["append", "append", "truncate"] {
        let mut step = defined.clone();
        step["write"] = write.into();
        assert_eq!(place.copy(step.clone()).await.unwrap().rows, Some(3));
        assert_eq!(place.attempt(step).await.unwrap().rows, Some(3));
    }
    assert_eq!(
        rows(&place, "visits").await,
        "id,day,more\n1,2026-03-01,d\n2,2026-03-02,d\n3,2026-03-02,after"
    );
    assert_eq!(tables(&place).await, ["web.made", "web.visits"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_of_clickhouse_that_was_killed_goes_on() {
    let Some(server) = engine() else { return };
    let place = place(&server, "pw");
    place.file("a.csv", "id,day\n1,2026-03-01\n2,2026-03-02\n");
    let expected = "id,day,more\n1,2026-03-01,d\n2,2026-03-02,d";
    let cut = server.folder.path().join("cut");
    let words = [
        "CREATE TABLE `",
        "FORMAT ArrowStream",
        "'staged', ",
        "MOVE PARTITION",
        "RENAME TABLE",
        "EXCHANGE TABLES",
        "'arrived', ",
        "DROP TABLE",
        "'done', ",
    ];
    // A table that is not there is the same to both ways of writing.
    for (write, defined) in [("append", false), ("append", true), ("overwrite", true)] {
        let mut cuts = 0;
        for (number, word) in words.into_iter().enumerate() {
            let to = format!("{write}_{defined}_{number}");
            let made = if defined { json!([VISITS.replace("visits", &to)]) } else { json!([]) };
            let step =
                json!({"from": "a.csv", "to": format!("events:{to}"), "write": write, "pre_sql": made});
            std::fs::write(&cut, word).unwrap();
            let first = place.copy(step.clone()).await;
            assert_eq!(first.is_err(), !cut.exists(), "{to} {word}");
            cuts += u32::from(!cut.exists());
            std::fs::remove_file(&cut).ok();
            for _ in 0..2 {
                assert_eq!(place.attempt(step.clone()).await.unwrap().rows, Some(2), "{to} {word}");
            }
            let expected = if defined { expected } else { "id,day\n1,2026-03-01\n2,2026-03-02" };
            assert_eq!(rows(&place, &to).await, expected, "{to} {word}");
        }
        // Each has one of the three ways to come over.
        assert_eq!(cuts, 7, "{write} {defined}");
    }
    let left = tables(&place).await;
    assert!(left.len() == 27 && left.iter().all(|name| !name.contains("millrace_")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clickhouse_cannot_take_leaves_the_table_as_it_was() {
    let Some(server) = engine() else { return };
    let place = place(&server, "pw");
    place.file("a.csv", "id,day\n1,2026-03-01\n");
    place.copy(json!({"from": "a.csv", "to": "events:visits", "pre_sql": [VISITS]})).await.unwrap();
    place.file("broken.csv", format!("id,day\n{}x,2026-03-01\n", "7,2026-03-01\n".repeat(30_000)));
    for (to, write) in [("visits", "append"), ("visits", "overwrite"), ("made", "append")] {
        let broken = json!({"from": "broken.csv", "to": format!("events:{to}"), "write": write, "columns": {"id": "integer"}});
        assert_eq!(
            place.message(broken).await,
            "row cannot be read: `x` in column `id` is not of the type integer"
        );
    }
    place.file("nulls.csv", "id,day\n,2026-03-01\n");
    let views = json!([
        "create table seen (id Int64) engine = MergeTree order by id",
        "create table if not exists log (id Int64, day Date32) engine = Log",
        "create materialized view if not exists counted engine = MergeTree order by id as select id from seen"
    ]);
    for (config, said) in [
        (
            json!({"from": "nulls.csv", "columns": {"id": "integer"}}),
            "Cannot convert NULL value to non-Nullable type",
        ),
        (json!({"add": {"absent": 1}}), "No such column absent"),
        (
            json!({"post_sql": ["insert into absent values (1)"], "limit": 0, "write": "append"}),
            "web.absent does not exist",
        ),
        (
            json!({"to": "events:seen", "pre_sql": views, "write": "append", "select": ["id"]}),
            "the views ['counted'] would not be told",
        ),
        (json!({"to": "events:log"}), "it is of the engine `Log`"),
        (json!({"to": "events:nowhere.t"}), "Database nowhere does not exist"),
        (json!({"to": "events:a.b.c"}), "`a.b.c` names no table"),
        (
            json!({"write": {"upsert": ["id"]}}),
            "ClickHouse is written by `append`, `overwrite` or `truncate`, without `schema`",
        ),
        (json!({"schema": "evolve"}), "without `schema`"),
    ] {
        let mut step = json!({"from": "a.csv", "to": "events:visits", "write": "overwrite"});
        step.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        let message = place.message(step).await;
        assert!(message.contains(said), "{message}");
    }
    assert_eq!(rows(&place, "visits").await, "id,day,more\n1,2026-03-01,d");
    let left = tables(&place).await;
    assert!(left.iter().all(|name| !name.contains("millrace_")), "{left:?}");
    let stranger = self::place(&server, "secret-word");
    stranger.file("a.csv", "id\n1\n");
    let message = stranger.message(json!({"from": "a.csv", "to": "events:visits"})).await;
    assert!(
        message.contains("look at `user` and `password`") && !message.contains("secret-word"),
        "{message}"
    );
    place.cancel.cancel();
    assert!(place.copy(json!({"from": "a.csv", "to": "events:visits"})).await.unwrap_err().cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_goes_to_clickhouse_and_comes_back() {
    let Some(server) = engine() else { return };
    let place = place(&server, "pw");
    place.file(
        "a.jsonl",
        concat!(
            r#"{"id":1,"text":"tab\t\"ü\" \\N 日本","price":"12345678901234567890.12","at":"2026-03-01T06:00:00.123456","day":"1900-01-01","ok":true,"share":-1.5,"list":[1,null],"place":{"x":1,"y":null},"stops":[{"n":1}]}"#,
            "\n",
            r#"{"id":-9223372036854775808,"text":null,"price":null,"at":null,"day":null,"ok":null,"share":null,"list":[],"place":{"x":null,"y":null},"stops":[]}"#,
            "\n",
        ),
    );
    let columns = json!({"price": "decimal(22,2)", "at": "timestamp", "day": "date"});
    place.copy(json!({"from": "a.jsonl", "to": "events:nasty", "columns": columns})).await.unwrap();
    place.copy(json!({"from": "events:nasty", "to": "b.jsonl"})).await.unwrap();
    place.copy(json!({"from": "a.jsonl", "to": "c.jsonl", "columns": columns})).await.unwrap();
    let sorted = |name: &str| {
        let text = place.text(name).replace("06:00:00.123456Z", "06:00:00.123456");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(sorted("b.jsonl"), sorted("c.jsonl"));
}
