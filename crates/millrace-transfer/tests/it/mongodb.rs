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
