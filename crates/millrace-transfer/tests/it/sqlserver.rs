//! The step `copy` and SQL Server, as far as its protocol is documented: no server is in the packages of these tests.

use serde_json::{Value, json};

use super::Place;
use super::programs::program;
use super::servers::Server;

fn server() -> Option<Server> {
    Some(Server::of_script(&program("MILLRACE_TEST_FORMATS")?, include_str!("sqlserver.py")))
}

fn place(server: &Server, settings: Value) -> Place {
    let usual = json!({
        "host": "127.0.0.1", "port": server.port, "database": "shop", "user": "reader", "password": "pw", "allow_unencrypted": true,
    });
    Place::connected("erp", "sqlserver", usual, settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_sql_server_are_read_with_their_types() {
    let Some(server) = server() else { return };
    let place = place(&server, json!({}));
    let copied = place.copy(json!({"from": "erp:dbo.orders", "to": "out.csv"})).await.unwrap();
    assert_eq!(copied.rows, Some(3));
    assert_eq!(
        place.text("out.csv").lines().take(2).collect::<Vec<_>>(),
        [
            "id,name,total,price,day,at,there,ok,key,body,share",
            "1,a,-1.25,1.0001,2026-03-01,2026-03-01T06:30:00.123456,2026-03-01T06:30:00.123456Z,true,01020304-0506-0708-090a-0b0c0d0e0f10,01ff,0.25",
        ]
    );
    let tables = vec!["dbo.orders".to_owned()];
    assert_eq!(place.probed("erp").await, Ok(("SQL Server answers".to_owned(), tables)));
    let condition = json!({"text": "name = $1 and id > $2", "params": ["ü", 1]});
    place
        .copy(
            json!({"from": "erp:dbo.orders", "where": condition, "select": ["id", "name"], "to": "out.csv"}),
        )
        .await
        .unwrap();
    assert_eq!(place.text("out.csv"), "id,name\n2,ü\n");
    place
        .copy(json!({"from": "erp:dbo.orders", "select": ["id"], "limit": 2, "to": "out.csv"}))
        .await
        .unwrap();
    assert_eq!(place.text("out.csv"), "id\n1\n2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sql_server_that_refuses_or_goes_away_leaves_nothing() {
    let Some(server) = server() else { return };
    for (settings, table, said) in [
        (
            json!({"password": "secret-word"}),
            "orders",
            "Login failed for user 'reader'.; look at `user` and `password`",
        ),
        (json!({"database": "other"}), "orders", "Cannot open database \"other\""),
        (json!({"allow_unencrypted": false}), "orders", "encrypt"),
        (json!({}), "nothing", "Invalid object name 'dbo.nothing'."),
        (json!({}), "shapes", "column `shape` is of the type geography; ask for it as text"),
        (json!({}), "denied", "The SELECT permission was denied on the object 'denied'"),
        (json!({}), "breaks", "I/O"),
        (json!({"port": 1}), "orders", "Connection refused"),
    ] {
        let place = place(&server, settings);
        if table == "orders" {
            let error = place.probed("erp").await.unwrap_err();
            assert!(error.contains(said) && !error.contains("secret-word"), "{error}");
        }
        let failed = place.copy(json!({"from": format!("erp:dbo.{table}"), "to": "out.csv"})).await;
        let error = failed.unwrap_err().problem.message;
        assert!(error.contains(said) && !error.contains("secret-word"), "{table}: {error}");
        assert!(!place.folder.path().join("out.csv").exists(), "{table}");
    }
    for (settings, said) in [
        (json!({"password": null}), "it takes `user` and `password`, or `token`"),
        (
            json!({"user": null, "password": null, "token": "secret-word"}),
            "a `token` is sent encrypted alone",
        ),
    ] {
        let error =
            place(&server, settings).message(json!({"from": "erp:dbo.orders", "to": "out.csv"})).await;
        assert!(error.contains(said) && !error.contains("secret-word"), "{error}");
    }
}

async fn rows(place: &Place, table: &str) -> String {
    place.copy(json!({"from": format!("erp:{table}"), "to": "read.csv"})).await.unwrap();
    place.text("read.csv")
}

const KEPT: &str = "IF OBJECT_ID(N'[dbo].[kept]') IS NULL CREATE TABLE [dbo].[kept] \
                    ([id] int NOT NULL PRIMARY KEY, [note] nvarchar(20), [more] nvarchar(9) DEFAULT N'd')";

#[tokio::test(flavor = "multi_thread")]
async fn sql_server_takes_rows_once_and_whole() {
    let Some(server) = server() else { return };
    let place = place(&server, json!({}));
    place.file("a.csv", "note,id\n\"ü, \"\"b\"\"\",1\n,2\n");
    let append = json!({"from": "a.csv", "to": "erp:dbo.made", "write": "append"});
    for count in [2, 4] {
        assert_eq!(place.copy(append.clone()).await.unwrap().rows, Some(2));
        assert_eq!(place.attempt(append.clone()).await.unwrap().rows, Some(2));
        assert_eq!(rows(&place, "dbo.made").await.lines().count(), count + 1);
    }
    place.copy(json!({"from": "a.csv", "to": "erp:dbo.made", "limit": 1})).await.unwrap();
    assert_eq!(rows(&place, "dbo.made").await, "note,id\n\"ü, \"\"b\"\"\",1\n");

    // One that is there keeps its definition.
    let kept = json!({"from": "a.csv", "to": "erp:dbo.kept", "write": "truncate", "pre_sql": [KEPT],
        "post_sql": ["UPDATE [dbo].[kept] SET [more] = N'after' WHERE [id] = 2"]});
    for _ in 0..2 {
        place.copy(kept.clone()).await.unwrap();
    }
    assert_eq!(rows(&place, "dbo.kept").await, "id,note,more\n1,\"ü, \"\"b\"\"\",d\n2,,after\n");
    // Of rows with one key the last counts; what they do not have stays.
    place.file("k.csv", "id,note\n2,x\n3,y\n2,z\n");
    place.copy(json!({"from": "k.csv", "to": "erp:dbo.kept", "write": {"upsert": ["id"]}})).await.unwrap();
    assert_eq!(rows(&place, "dbo.kept").await, "id,note,more\n1,\"ü, \"\"b\"\"\",d\n2,z,after\n3,y,d\n");
    for _ in 0..2 {
        let keyed = json!({"from": "k.csv", "to": "erp:keyed", "write": {"upsert": ["note", "id"]}});
        assert_eq!(place.copy(keyed).await.unwrap().rows, Some(3));
    }
    assert_eq!(rows(&place, "keyed").await.lines().count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_goes_to_sql_server_and_comes_back() {
    let Some(server) = server() else { return };
    let place = place(&server, json!({}));
    place.file(
        "a.jsonl",
        concat!(
            r#"{"id":-9223372036854775808,"text":"tab\t\"ü\" \\N 日本 😀","price":"-12345678901234567890.12","at":"0001-01-01T00:00:00","there":"1969-12-31T23:59:59.999999Z","day":"9999-12-31","ok":true,"share":-1.5}"#,
            "\n",
            r#"{"id":1,"text":null,"price":null,"at":null,"there":null,"day":null,"ok":null,"share":null}"#,
            "\n",
            r#"{"id":2,"text":"","price":"0.01","at":"2026-03-01T06:00:00.123456","there":"2026-03-01T06:00:00+05:00","day":"0001-01-01","ok":false,"share":1e-300}"#,
            "\n",
        ),
    );
    let columns = json!({"price": "decimal(22,2)", "at": "datetime", "there": "timestamp", "day": "date"});
    place.copy(json!({"from": "a.jsonl", "to": "erp:dbo.nasty", "columns": columns})).await.unwrap();
    place.copy(json!({"from": "erp:dbo.nasty", "to": "b.jsonl"})).await.unwrap();
    place.copy(json!({"from": "a.jsonl", "to": "c.jsonl", "columns": columns})).await.unwrap();
    assert_eq!(place.text("b.jsonl"), place.text("c.jsonl"));
    // Many packets, and a text that fills some.
    let long = "ü".repeat(30_000);
    place.file("long.csv", format!("n,text\n{}7,{long}\n", "1,a\n".repeat(20_000)));
    assert_eq!(
        place.copy(json!({"from": "long.csv", "to": "erp:dbo.long"})).await.unwrap().rows,
        Some(20_001)
    );
    let text = rows(&place, "dbo.long").await;
    assert!(text.lines().count() == 20_002 && text.ends_with(&format!("7,{long}\n")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_of_sql_server_that_was_killed_doubles_nothing() {
    let Some(server) = server() else { return };
    let place = place(&server, json!({}));
    place.file("a.csv", "id,note\n1,a\n2,b\n");
    let cut = server.folder.path().join("cut");
    let words = [
        "CREATE TABLE #",
        "BULK ROWS",
        "BEGIN TRAN",
        "INTO [dbo].",
        "INSERT INTO [dbo].[millrace_loads]",
        "COMMIT",
    ];
    for write in [json!("append"), json!("overwrite"), json!({"upsert": ["id"]})] {
        for word in words {
            place
                .copy(json!({"from": "a.csv", "to": "erp:dbo.kept", "limit": 0, "pre_sql": [KEPT]}))
                .await
                .unwrap();
            let step = json!({"from": "a.csv", "to": "erp:dbo.kept", "write": write});
            std::fs::write(&cut, word).unwrap();
            let error = place.copy(step.clone()).await.unwrap_err();
            assert!(error.transient && !cut.exists(), "{word}: {}", error.problem.message);
            let before = if word == "COMMIT" { "id,note,more\n1,a,d\n2,b,d\n" } else { "id,note,more\n" };
            let key = place.key.lock().unwrap().clone();
            assert_eq!(rows(&place, "dbo.kept").await, before, "{write} {word}");
            *place.key.lock().unwrap() = key;
            for _ in 0..2 {
                assert_eq!(place.attempt(step.clone()).await.unwrap().rows, Some(2), "{write} {word}");
            }
            assert_eq!(rows(&place, "dbo.kept").await, "id,note,more\n1,a,d\n2,b,d\n", "{write} {word}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sql_server_cannot_take_leaves_the_table_as_it_was() {
    let Some(server) = server() else { return };
    let place = place(&server, json!({}));
    place.file("a.csv", "id,note\n1,a\n");
    place.copy(json!({"from": "a.csv", "to": "erp:dbo.kept", "pre_sql": [KEPT]})).await.unwrap();
    place.file("broken.csv", format!("id,note\n{}x,a\n", "7,b\n".repeat(30_000)));
    for (to, write) in [("kept", "append"), ("kept", "overwrite"), ("made", "append")] {
        let broken = json!({"from": "broken.csv", "to": format!("erp:dbo.{to}"), "write": write, "columns": {"id": "integer"}});
        assert_eq!(
            place.message(broken).await,
            "row cannot be read: `x` in column `id` is not of the type integer"
        );
    }
    place.file("nulls.csv", "id,note\n,a\n");
    place.file("long.csv", format!("id,note\n1,{}\n", "x".repeat(32_768)));
    for (config, said) in [
        (json!({"write": "append"}), "Violation of a constraint"),
        (
            json!({"from": "nulls.csv", "write": {"upsert": ["id"]}, "columns": {"id": "integer"}}),
            "row 1: it has no value in the key `id`",
        ),
        (
            json!({"write": {"upsert": ["other"]}}),
            "the rows have no column `other`, by which they are to be found",
        ),
        (json!({"add": {"absent": 1}}), "Invalid column name 'absent'."),
        (
            json!({"from": "long.csv"}),
            "row 1, column `note`: a text of 32768 characters is longer than the 32767 that are loaded",
        ),
        (json!({"post_sql": ["INSERT INTO [dbo].[absent] VALUES (1)"]}), "Invalid object name 'dbo.absent'."),
        (json!({"post_sql": ["DELETE FROM [dbo].[denied]"]}), "The INSERT permission was denied"),
        (json!({"to": "erp:(select 1)"}), "`(select 1)` names no table"),
        (
            json!({"write": {"insert_only": ["id"]}}),
            "SQL Server is written by `append`, `overwrite`, `truncate` or `upsert`, without `schema`",
        ),
        (json!({"write": {"upsert": []}}), "`upsert` names no keys"),
        (json!({"schema": "evolve"}), "without `schema`"),
    ] {
        let mut step = json!({"from": "a.csv", "to": "erp:dbo.kept", "write": "overwrite"});
        step.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        let message = place.message(step).await;
        assert!(message.contains(said), "{message}");
    }
    assert_eq!(rows(&place, "dbo.kept").await, "id,note,more\n1,a,d\n");
    let stranger = self::place(&server, json!({"password": "secret-word"}));
    stranger.file("a.csv", "id\n1\n");
    let message = stranger.message(json!({"from": "a.csv", "to": "erp:dbo.kept"})).await;
    assert!(
        message.contains("look at `user` and `password`") && !message.contains("secret-word"),
        "{message}"
    );
    place.cancel.cancel();
    assert!(place.copy(json!({"from": "a.csv", "to": "erp:dbo.kept"})).await.unwrap_err().cancelled);
}

/// The stand-in tracks as the documentation says; what a server makes of the queries is seen in it alone.
#[tokio::test(flavor = "multi_thread")]
async fn what_sql_server_tracks_is_changed_in_the_sink() {
    let Some(server) = server() else { return };
    let mut place = place(&server, json!({}));
    place.connections.insert("db".to_owned(), json!({"sqlite": {"path": "sink.db"}}).into());
    place.file("one.csv", "id,note\n1,a\n2,b\n3,c\n");
    let batch = async |sql: &[&str]| {
        place.file("none.csv", "id\n");
        let done = json!({"from": "none.csv", "to": "erp:dbo.nothing_of", "pre_sql": sql, "columns": {"id": "integer"}});
        place.copy(done).await.unwrap();
    };
    place.copy(json!({"from": "one.csv", "to": "erp:dbo.kept", "pre_sql": [KEPT]})).await.unwrap();
    let step = json!({
        "from": "erp:dbo.kept", "to": "db:sink", "write": {"apply_changes": {"keys": ["id"]}},
        "incremental": {"changes": true}, "state": "state/kept.json",
    });
    let sink = async || {
        place.copy(json!({"from": "db:(select * from sink order by id)", "to": "sink.csv"})).await.unwrap();
        place.text("sink.csv")
    };
    let mut said = vec![place.message(step.clone()).await];
    let other = "CREATE TABLE [dbo].[other_of] ([id] int NOT NULL PRIMARY KEY)";
    batch(&[other, "ALTER TABLE [dbo].[other_of] ENABLE CHANGE_TRACKING"]).await;
    said.push(place.message(step.clone()).await);
    batch(&["ALTER TABLE [dbo].[kept] ENABLE CHANGE_TRACKING"]).await;
    assert_eq!(place.copy(step.clone()).await.unwrap().rows, Some(3));
    assert_eq!(place.copy(step.clone()).await.unwrap().rows, Some(0));
    batch(&[
        "UPDATE [dbo].[kept] SET [note] = N'x' WHERE [id] = 1",
        "UPDATE [dbo].[kept] SET [note] = N'ü, \"' WHERE [id] = 1",
        "DELETE FROM [dbo].[kept] WHERE [id] = 2",
        "INSERT INTO [dbo].[kept] ([id], [note]) VALUES (4, N'there for a moment')",
        "DELETE FROM [dbo].[kept] WHERE [id] = 4",
        "UPDATE [dbo].[kept] SET [id] = 5 WHERE [id] = 3",
    ])
    .await;
    assert_eq!(place.copy(step.clone()).await.unwrap().rows, Some(5));
    assert_eq!(sink().await, "id,note,more\n1,\"ü, \"\"\",d\n5,c,d\n");

    // Up to where a copy that was killed had read, and no further.
    let state = place.text("state/kept.json");
    let state: Value = serde_json::from_str(&state).unwrap();
    let version = state["state"]["position"].as_u64().unwrap();
    batch(&[
        "UPDATE [dbo].[kept] SET [note] = N'first' WHERE [id] = 1",
        "UPDATE [dbo].[kept] SET [note] = N'later' WHERE [id] = 5",
    ])
    .await;
    let until = json!({"source": "erp:dbo.kept", "position": version + 2});
    let noted = json!({"state": state["state"], "pending": {"key": "k", "state": until}});
    place.file("state/kept.json", noted.to_string());
    assert_eq!(place.copy(step.clone()).await.unwrap().rows, Some(1));
    assert_eq!(sink().await, "id,note,more\n1,first,d\n5,c,d\n");
    assert_eq!(place.copy(step.clone()).await.unwrap().rows, Some(1));
    assert_eq!(sink().await, "id,note,more\n1,first,d\n5,later,d\n");

    // What the server has cleaned up is told, and nothing happens.
    batch(&["DELETE FROM [dbo].[kept]", "-- changes of dbo.kept are kept since 900"]).await;
    said.push(place.message(step.clone()).await);
    assert_eq!(sink().await, "id,note,more\n1,first,d\n5,later,d\n");
    batch(&["ALTER TABLE [dbo].[kept] DISABLE CHANGE_TRACKING"]).await;
    assert!(place.message(step).await.contains("ENABLE CHANGE_TRACKING"));
    insta::assert_snapshot!(said.join("\n"), @r###"
    cannot read `erp:dbo.kept`: the database does not track changes: `ALTER DATABASE … SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON)`
    cannot read `erp:dbo.kept`: changes of the table are not tracked, or not shown to this user: `ALTER TABLE [dbo].[kept] ENABLE CHANGE_TRACKING`, `GRANT VIEW CHANGE TRACKING ON [dbo].[kept] TO …`
    cannot read `erp:dbo.kept`: the server keeps changes since version 900, and version 53 was copied (`CHANGE_RETENTION` says how long), so what changed since the last copy is not known; remove what was copied, and the next copy takes every row
    "###);
}
