//! The step `copy` and a web API that takes rows: a real server (`api.py`), which keeps what it was sent.

use serde_json::{Value, json};

use super::Place;
use super::web::{api, connected};

const ROWS: &str = "id,name,share\n1,\"a \"\"b\"\"\",0.5\n2,é,\n3,c,1.25\n4,d,2\n5,e,3\n";

async fn send(place: &Place, mut to: Value, more: Value) -> Result<u64, String> {
    place.file("rows.csv", ROWS);
    let path = to["path"].as_str().unwrap_or_else(|| to.as_str().unwrap()).to_owned();
    match to.as_object_mut() {
        Some(to) => drop(to.insert("path".to_owned(), format!("api:{path}").into())),
        None => to = format!("api:{path}").into(),
    }
    let mut config = json!({"from": "rows.csv", "to": to, "write": "append"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let done = place.copy(config).await.map_err(|error| error.problem.message)?;
    Ok(done.rows.unwrap())
}

/// What the server was sent, in the order in which it came.
async fn taken(place: &Place) -> Vec<Value> {
    place.copy(json!({"from": "api:taken", "to": "taken.json"})).await.unwrap();
    serde_json::from_str(&place.text("taken.json")).unwrap()
}

fn texts(taken: &[Value]) -> Vec<String> {
    let text = |request: &Value, name: &str| request[name].as_str().unwrap_or("-").to_owned();
    taken
        .iter()
        .map(|request| {
            let parts = ["method", "what", "kind", "body"].map(|name| text(request, name));
            parts.join(" ")
        })
        .collect()
}

#[tokio::test]
async fn rows_are_sent_as_the_step_says() {
    let Some(server) = api() else { return };
    let place = connected("rest", "take", server.port, json!({}));
    let none = json!({});
    assert_eq!(send(&place, json!("people"), none.clone()).await, Ok(5));
    assert_eq!(send(&place, json!({"path": "people", "rows": 2}), none.clone()).await, Ok(5));
    let by_id =
        json!({"path": "people/{id}", "method": "patch", "body": {"share": "$row.share", "by": "us"}});
    assert_eq!(send(&place, by_id, json!({"limit": 2})).await, Ok(2));
    assert_eq!(
        send(&place, json!({"path": "people/{name}", "method": "delete"}), json!({"limit": 2})).await,
        Ok(2)
    );
    let exact = json!({"columns": {"share": "decimal(30,20)"}, "limit": 1});
    assert_eq!(send(&place, json!({"path": "shares/{share}", "method": "put"}), exact).await, Ok(1));
    let bulk =
        json!({"path": "_bulk", "rows": 3, "lines": true, "body": [{"index": {"_id": "$row.id"}}, "$row"]});
    assert_eq!(send(&place, bulk, json!({"limit": 4})).await, Ok(4));
    let place = connected("rest", "", server.port, json!({}));
    let taken = taken(&place).await;
    insta::assert_snapshot!(texts(&taken).join("\n"), @r###"
    POST people application/json {"id":1,"name":"a \"b\"","share":0.5}
    POST people application/json {"id":2,"name":"é","share":null}
    POST people application/json {"id":3,"name":"c","share":1.25}
    POST people application/json {"id":4,"name":"d","share":2.0}
    POST people application/json {"id":5,"name":"e","share":3.0}
    POST people application/json [{"id":1,"name":"a \"b\"","share":0.5},{"id":2,"name":"é","share":null}]
    POST people application/json [{"id":3,"name":"c","share":1.25},{"id":4,"name":"d","share":2.0}]
    POST people application/json [{"id":5,"name":"e","share":3.0}]
    PATCH people/1 application/json {"share":0.5,"by":"us"}
    PATCH people/2 application/json {"share":null,"by":"us"}
    DELETE people/a%20%22b%22 - 
    DELETE people/%C3%A9 - 
    PUT shares/0.50000000000000000000 application/json {"id":1,"name":"a \"b\"","share":0.50000000000000000000}
    POST _bulk application/x-ndjson {"index":{"_id":1}}
    {"id":1,"name":"a \"b\"","share":0.5}
    {"index":{"_id":2}}
    {"id":2,"name":"é","share":null}
    {"index":{"_id":3}}
    {"id":3,"name":"c","share":1.25}

    POST _bulk application/x-ndjson {"index":{"_id":4}}
    {"id":4,"name":"d","share":2.0}
    "###);
    // A server that has had a request before knows it by its key.
    let keys: Vec<&str> = taken.iter().map(|request| request["key"].as_str().unwrap()).collect();
    let mut different = keys.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), keys.len(), "{keys:?}");
}

#[tokio::test]
async fn a_step_that_is_begun_again_sends_the_same_requests() {
    let Some(server) = api() else { return };
    let place = connected("rest", "", server.port, json!({"auth": {"bearer": "the-secret-token"}}));
    let config = json!({"from": "rows.csv", "to": {"path": "api:take/choosy", "rows": 2}, "write": "append"});
    let refused = send(&place, json!({"path": "take/choosy", "rows": 2}), json!({})).await.unwrap_err();
    let refused = refused.replace(&server.port.to_string(), "PORT");
    insta::assert_snapshot!(refused, @r###"cannot write `api:take/choosy`: rows 3 to 4: `http://127.0.0.1:PORT/take/choosy` answers 422 Unprocessable Entity: `{"error": "3 is taken, says ***"}`"###);
    place.attempt(config).await.unwrap_err();
    let taken = taken(&place).await;
    let sent = |request: &Value| (request["key"].clone(), request["body"].clone());
    assert_eq!(taken.len(), 4);
    assert_eq!(sent(&taken[0]), sent(&taken[2]));
    assert_eq!(sent(&taken[1]), sent(&taken[3]));
}

#[tokio::test]
async fn what_may_pass_is_sent_again_with_its_key() {
    let Some(server) = api() else { return };
    let place = connected("rest", "", server.port, json!({}));
    assert_eq!(send(&place, json!({"path": "take/busy", "rows": 5}), json!({})).await, Ok(5));
    let taken = taken(&place).await;
    assert_eq!(taken.len(), 3);
    assert!(
        taken.iter().all(|request| request["key"] == taken[0]["key"] && request["body"] == taken[0]["body"])
    );
}

#[tokio::test]
async fn requests_that_are_under_way_at_once_carry_every_row_once() {
    let Some(server) = api() else { return };
    let place = connected("rest", "", server.port, json!({}));
    let to = json!({"path": "take/people", "at_once": 4});
    assert_eq!(send(&place, to, json!({})).await, Ok(5));
    let mut bodies: Vec<String> =
        taken(&place).await.iter().map(|request| request["body"].as_str().unwrap().to_owned()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies.len(), 5);
    for (index, body) in bodies.iter().enumerate() {
        assert!(body.starts_with(&format!("{{\"id\":{},", index + 1)), "{body}");
    }
}

#[tokio::test]
async fn what_an_api_refuses_is_told_with_its_rows() {
    let Some(server) = api() else { return };
    let place = connected("rest", "", server.port, json!({"auth": {"bearer": "the-secret-token"}}));
    let mut said = Vec::new();
    for (to, more) in [
        (json!("take/choosy"), json!({})),
        (json!({"path": "take/partly", "rows": 10, "errors": "$.errors"}), json!({})),
        (json!({"path": "take/mute", "errors": "$.errors"}), json!({})),
        (json!({"path": "take/{share}"}), json!({})),
        (json!({"path": "take/{shore}"}), json!({})),
        (json!({"path": "take/x", "body": {"a": "$row.shore"}}), json!({})),
        (json!({"path": "absent"}), json!({})),
        (json!({"path": "take/x", "delimiter": ";"}), json!({})),
        (json!({"path": "take/{id}", "rows": 2}), json!({})),
        (json!({"path": "take/x", "body": "$raw"}), json!({})),
        (json!("take/x"), json!({"write": "overwrite"})),
        (json!("take/x"), json!({"post_sql": ["select 1"]})),
    ] {
        said.push(send(&place, to, more).await.unwrap_err().replace(&server.port.to_string(), "PORT"));
    }
    insta::assert_snapshot!(said.join("\n"), @r###"
    cannot write `api:take/choosy`: row 3: `http://127.0.0.1:PORT/take/choosy` answers 422 Unprocessable Entity: `{"error": "3 is taken, says ***"}`
    cannot write `api:take/partly`: rows 1 to 5: the answer has `$.errors`: `{"errors":true,"items":["***"]}`
    cannot write `api:take/mute`: row 1: the answer is not JSON, and `errors` is looked for in it: expected ident at line 1 column 2
    cannot write `api:take/{share}`: row 2: it has no value in `share`, which stands in the path
    cannot write `api:take/{shore}`: the rows have no column `shore`
    cannot write `api:take/x`: the rows have no column `shore`
    cannot write `api:absent`: row 1: `http://127.0.0.1:PORT/absent` answers 404 Not Found: `{"error": "/absent is not there"}`
    `to`: unknown field `delimiter`, expected one of `path`, `method`, `rows`, `body`, `lines`, `errors`, `at_once`
    `take/{id}` has a row's value in it, and `rows` more than one row
    `$raw` in `body` is none of `$row`, `$rows` and `$row.column`; a text that begins so is written `$$raw`
    web APIs are written by `append`, without `schema`
    `pre_sql` and `post_sql` are for databases
    "###);
    // A partly taken request is fine where nothing says where to look.
    assert_eq!(send(&place, json!({"path": "take/partly", "rows": 10}), json!({})).await, Ok(5));
}
