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
