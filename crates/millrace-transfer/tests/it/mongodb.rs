//! The step `copy` and MongoDB, as far as its wire protocol is documented: no server is in the packages of these tests.

use serde_json::{Value, json};

use super::Place;
use super::programs::program;
use super::servers::Server;

fn server() -> Option<Server> {
    Some(Server::of_script(&program("MILLRACE_TEST_FORMATS")?, include_str!("mongodb.py")))
}

fn place(server: &Server, settings: Value) -> Place {
    let url = format!("mongodb://127.0.0.1:{}/", server.port);
    let usual = json!({"url": url, "user": "reader", "password": "pw", "database": "shop"});
    Place::connected("shop", "mongodb", usual, settings)
}

#[tokio::test]
async fn collections_of_mongodb_are_read_with_their_structures() {
    let Some(server) = server() else { return };
    let all = place(&server, json!({}));
    let columns = json!({"total": "decimal(10,2)"});
    let copied =
        all.copy(json!({"from": "shop:orders", "columns": columns, "to": "out.jsonl"})).await.unwrap();
    assert_eq!(copied.rows, Some(5));
    let first: Value = serde_json::from_str(all.text("out.jsonl").lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["_id"], &first["lines"], &first["big"]),
        (&json!("65f000000000000000000001"), &json!([{"sku": "x", "qty": 1}]), &json!(1_099_511_627_777_i64))
    );
    assert!(all.text("out.jsonl").contains("12.30"), "{}", all.text("out.jsonl"));
    let condition = json!({"text": "{\"name\": $1}", "params": ["ü"]});
    let some = json!({"from": "shop:orders", "where": condition, "select": ["n", "name"], "to": "out.csv"});
    all.copy(some).await.unwrap();
    assert_eq!(all.text("out.csv"), "n,name\n2,ü\n");
    let some = json!({"from": "shop:orders", "where": "{\"n\": {\"$gt\": 1}}", "select": ["n"], "limit": 3, "to": "out.csv"});
    all.copy(some).await.unwrap();
    assert_eq!(all.text("out.csv"), "n\n2\n3\n4\n");
    assert_eq!(all.probed("shop").await, Ok(("MongoDB answers".to_owned(), vec!["orders".to_owned()])));
    // Without a database of its own, a connection's collections are named with theirs.
    let every = place(&server, json!({"database": null}));
    every.copy(json!({"from": "shop:shop.orders", "select": ["n"], "to": "out.csv"})).await.unwrap();
    assert_eq!(every.text("out.csv"), "n\n1\n2\n3\n4\n5\n");
}

#[tokio::test]
async fn a_mongodb_that_refuses_or_goes_away_leaves_nothing() {
    let Some(server) = server() else { return };
    let nobody = json!({"user": null, "password": null});
    for (settings, collection, said) in [
        (json!({"password": "secret-word"}), "orders", "look at `user` and `password`"),
        (nobody, "orders", "requires authentication"),
        (json!({}), "denied", "not authorized on shop to execute command"),
        (json!({}), "breaks", "I/O error"),
        (json!({}), "nothing", "gave no record"),
        (json!({"url": "mongodb://127.0.0.1:1/"}), "orders", "Server selection timeout"),
    ] {
        let place = place(&server, settings);
        if collection == "orders" {
            let error = place.probed("shop").await.unwrap_err();
            assert!(error.contains(said) && !error.contains("secret-word"), "{error}");
        }
        let failed = place.copy(json!({"from": format!("shop:{collection}"), "to": "out.csv"})).await;
        let error = failed.unwrap_err().problem.message;
        assert!(error.contains(said) && !error.contains("secret-word"), "{collection}: {error}");
        assert!(!place.folder.path().join("out.csv").exists(), "{collection}");
    }
    for (settings, said) in [
        (json!({"url": "mongodb://me:secret-word@127.0.0.1/"}), "`url` has no user in it"),
        (json!({"url": "http://127.0.0.1/"}), "unsupported connection string scheme: http"),
        (json!({"password": null}), "`user` and `password` go together"),
    ] {
        let error = place(&server, settings).message(json!({"from": "shop:orders", "to": "out.csv"})).await;
        assert!(error.contains(said) && !error.contains("secret-word"), "{error}");
    }
}

async fn documents(place: &Place, collection: &str) -> Vec<Value> {
    place.copy(json!({"from": format!("shop:{collection}"), "to": "read.jsonl"})).await.unwrap();
    let read = |line: &str| {
        let mut document: Value = serde_json::from_str(line).unwrap();
        document.as_object_mut().unwrap().remove("_id");
        document
    };
    place.text("read.jsonl").lines().map(read).collect()
}

const LINES: &str = concat!(
    r#"{"sku":"x","price":"12.30","at":"2026-03-01T06:00:00.250","lines":[{"n":1},null],"place":{"city":"Zürich","note":null},"big":9007199254740993}"#,
    "\n",
    r#"{"sku":"y","price":null,"at":null,"lines":[],"place":{"city":null,"note":"a"},"big":-1}"#,
    "\n",
);

#[tokio::test]
async fn mongodb_takes_rows_of_every_type_once() {
    let Some(server) = server() else { return };
    let all = place(&server, json!({}));
    all.file("a.jsonl", LINES);
    let columns = json!({"price": "decimal(12,2)", "at": "timestamp"});
    let append = json!({"from": "a.jsonl", "to": "shop:items", "write": "append", "columns": columns});
    for _ in 0..2 {
        assert_eq!(all.copy(append.clone()).await.unwrap().rows, Some(2));
        assert_eq!(all.attempt(append.clone()).await.unwrap().rows, Some(2));
    }
    let items = documents(&all, "items").await;
    assert_eq!(items.len(), 4);
    assert_eq!(
        items[0],
        json!({"sku": "x", "price": "12.30", "at": "2026-03-01T06:00:00.25Z", "lines": [{"n": 1}, null],
            "place": {"city": "Zürich", "note": null}, "big": 9_007_199_254_740_993_i64})
    );
    assert_eq!(items[2..], items[..2]);

    // By keys: those that are there keep what the rows do not have.
    all.file("k.csv", "sku,total\nx,5\nz,6\nz,7\n");
    let upsert = json!({"from": "k.csv", "to": "shop:keyed", "write": {"upsert": ["sku"]}});
    all.copy(upsert.clone()).await.unwrap();
    all.file("k.csv", "sku,name\nx,n\nw,\n");
    all.copy(upsert).await.unwrap();
    let keyed = documents(&all, "keyed").await;
    assert_eq!(
        keyed,
        [
            json!({"sku": "x", "total": 5, "name": "n"}),
            json!({"sku": "z", "total": 7, "name": null}),
            json!({"sku": "w", "total": null, "name": null})
        ]
    );

    // Rows that bring their ids replace those that have them.
    all.file("own.csv", "_id,n\n1,a\n2,b\n");
    for to in ["shop:own", "shop:own"] {
        all.copy(json!({"from": "own.csv", "to": to, "write": "append"})).await.unwrap();
    }
    assert_eq!(documents(&all, "own").await, [json!({"n": "a"}), json!({"n": "b"})]);
    let overwrite = json!({"from": "own.csv", "to": "shop:keyed", "limit": 1});
    assert_eq!(all.copy(overwrite.clone()).await.unwrap().rows, Some(1));
    assert_eq!(all.attempt(overwrite).await.unwrap().rows, Some(1));
    assert_eq!(documents(&all, "keyed").await, [json!({"n": "a"})]);
    let (_, mut names) = all.probed("shop").await.unwrap();
    names.sort_unstable();
    assert_eq!(names, ["items", "keyed", "millrace_loads", "orders", "own"]);
}

#[tokio::test]
async fn a_load_of_mongodb_that_was_killed_doubles_nothing() {
    let Some(server) = server() else { return };
    let all = place(&server, json!({}));
    let rows: String = (0..1_100).map(|n| format!("{n},v{n}\n")).collect();
    all.file("a.csv", format!("n,v\n{rows}"));
    let cut = server.folder.path().join("cut");
    for (write, words) in [
        (json!("append"), vec!["delete items", "insert items", "update millrace_loads"]),
        (json!({"upsert": ["n"]}), vec!["createIndexes new", "update items", "update millrace_loads"]),
        (
            json!("overwrite"),
            vec![
                "create items__millrace",
                "insert items__millrace",
                "renameCollection shop.items__millrace",
                "update millrace_loads",
            ],
        ),
    ] {
        for word in words {
            all.file("none.csv", "n\n");
            all.copy(json!({"from": "none.csv", "to": "shop:items"})).await.unwrap();
            // An index is made where nobody has written yet.
            let to = if word == "createIndexes new" { "shop:new" } else { "shop:items" };
            let step = json!({"from": "a.csv", "to": to, "write": write});
            std::fs::write(&cut, word).unwrap();
            let error = all.copy(step.clone()).await.unwrap_err();
            assert!(error.transient, "{word}: {}", error.problem.message);
            for _ in 0..2 {
                assert_eq!(all.attempt(step.clone()).await.unwrap().rows, Some(1_100), "{word}");
            }
            let there = documents(&all, to.trim_start_matches("shop:")).await;
            assert_eq!((there.len(), &there[1_099]["v"]), (1_100, &json!("v1099")), "{word}");
        }
    }
}

#[tokio::test]
async fn what_mongodb_cannot_take_leaves_the_collection_as_it_was() {
    let Some(server) = server() else { return };
    let all = place(&server, json!({}));
    all.file("a.csv", "n,v\n1,a\n");
    all.copy(json!({"from": "a.csv", "to": "shop:items"})).await.unwrap();
    all.file("broken.csv", format!("n,v\n{}x,a\n", "7,b\n".repeat(30_000)));
    for write in ["append", "overwrite"] {
        let broken =
            json!({"from": "broken.csv", "to": "shop:items", "write": write, "columns": {"n": "integer"}});
        assert_eq!(
            all.message(broken).await,
            "row cannot be read: `x` in column `n` is not of the type integer"
        );
        assert_eq!(documents(&all, "items").await, [json!({"n": 1, "v": "a"})], "{write}");
    }
    all.file("nulls.csv", "n,v\n,a\n");
    for (config, said) in [
        (
            json!({"from": "nulls.csv", "write": {"upsert": ["n"]}, "columns": {"n": "integer"}}),
            "row 1: it has no value in `n`, which tells it from others",
        ),
        (json!({"write": {"upsert": ["absent"]}}), "it has no value in `absent`"),
        (json!({"rename": {"v": "a.b"}}), "`a.b` is no name of a field: `rename` it"),
        (json!({"to": "shop:seen"}), "it is a view, which no other collection can take the place of"),
        (
            json!({"to": "shop:denied", "write": "append"}),
            "not authorized on shop to execute command; look at `user` and `password`",
        ),
        (
            json!({"write": {"insert_only": ["n"]}}),
            "MongoDB is written by `append`, `overwrite`, `truncate` or `upsert`, without `schema`",
        ),
        (json!({"write": {"upsert": []}}), "`upsert` names no keys"),
        (json!({"schema": "evolve"}), "without `schema`"),
        (json!({"pre_sql": ["select 1"]}), "MongoDB has no SQL"),
    ] {
        let mut step = json!({"from": "a.csv", "to": "shop:items", "write": "overwrite"});
        step.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        let message = all.message(step).await;
        assert!(message.contains(said), "{message}");
    }
    assert_eq!(documents(&all, "items").await, [json!({"n": 1, "v": "a"})]);
    let message = place(&server, json!({"password": "secret-word"}));
    message.file("a.csv", "n\n1\n");
    let message = message.message(json!({"from": "a.csv", "to": "shop:items"})).await;
    assert!(
        message.contains("look at `user` and `password`") && !message.contains("secret-word"),
        "{message}"
    );
    all.cancel.cancel();
    assert!(all.copy(json!({"from": "a.csv", "to": "shop:items"})).await.unwrap_err().cancelled);
}

#[tokio::test]
async fn a_copy_to_mongodb_that_is_cancelled_takes_its_rows_back() {
    let Some(server) = server() else { return };
    let (writing, reading) = (place(&server, json!({})), place(&server, json!({})));
    writing.file("a.csv", format!("n,v\n{}", "1,a value of some length\n".repeat(100_000)));
    let step = json!({"from": "a.csv", "to": "shop:items", "write": "append", "max_bytes_per_s": 1_000_000});
    let first = json!({"from": "shop:items", "limit": 1, "to": "read.jsonl"});
    let cancelling = async {
        // They come while the rest still waits.
        while reading.copy(first.clone()).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        writing.cancel.cancel();
    };
    let (copied, ()) = tokio::join!(writing.copy(step), cancelling);
    assert!(copied.unwrap_err().cancelled);
    assert!(reading.copy(first).await.is_err(), "there is no document, so that nobody knows its columns");
}
