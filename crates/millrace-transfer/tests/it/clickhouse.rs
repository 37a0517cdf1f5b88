//! The step `copy` and ClickHouse, as far as its HTTP interface is documented: no server is in the packages of these tests.

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
