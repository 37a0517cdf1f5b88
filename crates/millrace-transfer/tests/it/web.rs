//! The step `copy` and web APIs: REST, OData and GraphQL of a real server (`api.py`).

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Place;
use super::cutting::{Cutting, Fate};
use super::servers::{self, Server};

/// Every way of paging, every way of asking who is there.
fn api() -> Option<Server> {
    let python = servers::python()?;
    Some(Server::start(|folder, port| {
        std::fs::write(folder.join("api.py"), include_str!("api.py")).unwrap();
        let mut command = Command::new(&python);
        command.arg(folder.join("api.py")).arg(port.to_string());
        command
    }))
}

fn place(server: &Server, settings: Value) -> Place {
    connected("rest", "", server.port, settings)
}

fn connected(word: &str, path: &str, port: u16, mut settings: Value) -> Place {
    let mut place = Place::new();
    settings["url"] = format!("http://127.0.0.1:{port}/{path}").into();
    settings["allow_http"] = true.into();
    place.connections.insert("api".to_owned(), json!({ word: settings }).into());
    place
}

/// Copies the list of a resource and tells its first and last line, and how many there are.
async fn listed(place: &Place, mut config: Value) -> (String, String, usize) {
    config["to"] = "out.csv".into();
    place.copy(config).await.unwrap();
    let text = place.text("out.csv");
    let lines: Vec<&str> = text.lines().collect();
    (lines[1].to_owned(), lines[lines.len() - 1].to_owned(), lines.len() - 1)
}

#[tokio::test]
async fn every_way_of_paging_gives_every_record_once() {
    let Some(server) = api() else { return };
    for (stream, records, pages) in [
        ("number", "$.data", json!({"number": {"size_param": "per_page", "size": 60}})),
        ("number", "$.data", json!({"number": {"size_param": "per_page", "size": 50, "total": "$.total"}})),
        ("number?per_page=25", "$.data", json!({"number": {}})),
        // The server gives fewer records than it is asked for.
        ("offset", "$.data", json!({"offset": {"size": 100}})),
        ("cursor", "$.items", json!({"cursor": {"param": "cursor", "path": "$.meta.next"}})),
        ("next", "$.results", json!({"next_link": "$.next"})),
        ("link", "$", json!("link_header")),
        ("keyed", "$", json!({"keyed": {"param": "since_id", "key": "$.id"}})),
    ] {
        // On the connection and on the step.
        let usual = place(&server, json!({"pages": pages, "records": records}));
        let step = place(&server, json!({}));
        let with_request =
            json!({"from": format!("api:{stream}"), "records": records, "request": {"pages": pages}});
        for (place, config) in [(usual, json!({"from": format!("api:{stream}")})), (step, with_request)] {
            let (first, last, count) = listed(&place, config).await;
            assert_eq!(first, "1,row 1 é,0.125,\"[\"\"a\"\"]\"", "{stream} {pages}");
            assert_eq!(last, "250,row 250 é,31.25,\"[\"\"a\"\"]\"", "{stream} {pages}");
            assert_eq!(count, 250, "{stream} {pages}");
            assert!(!place.folder.path().join("attempt/staged").exists());
        }
    }
}

#[tokio::test]
async fn a_limit_asks_for_no_more_pages_than_it_takes() {
    let Some(server) = api() else { return };
    let place = place(&server, json!({"pages": {"keyed": {"param": "since_id", "key": "$.id"}}}));
    assert_eq!(listed(&place, json!({"from": "api:keyed", "limit": 120})).await.2, 120);
    assert_eq!(listed(&place, json!({"from": "api:log", "request": {"pages": "none"}})).await.2, 3);
}

#[tokio::test]
async fn what_opens_an_api_opens_it_and_is_not_shown() {
    let Some(server) = api() else { return };
    let token_url = format!("http://127.0.0.1:{}/token", server.port);
    let oauth = json!({"token_url": token_url, "client_id": "us", "client_secret": "the-client:secret", "scope": "read"});
    let mut in_body = oauth.clone();
    in_body["send"] = "body".into();
    for (kind, auth) in [
        ("basic", json!({"basic": {"user": "us", "password": "the-secret-password"}})),
        ("bearer", json!({"bearer": "the-secret-token"})),
        ("header", json!({"api_key": {"header": "X-Key", "value": "the-secret-key"}})),
        ("param", json!({"api_key": {"param": "key", "value": "the-secret-key"}})),
        // Each token is good for one page: the next one is refused and asked for with a new one.
        ("oauth", json!({"oauth2": oauth})),
        ("oauth", json!({"oauth2": in_body})),
    ] {
        let pages = json!({"number": {}});
        let place = place(&server, json!({"auth": auth, "records": "$.data", "pages": pages}));
        let (_, _, count) = listed(&place, json!({"from": format!("api:private/{kind}")})).await;
        assert_eq!(count, 250, "{kind}");
    }
    let wrong = json!({"api_key": {"header": "X-Key", "value": "not-the-key"}});
    let place = place(&server, json!({"auth": wrong}));
    let said = place.message(json!({"from": "api:private/bearer", "to": "x.csv"})).await;
    insta::assert_snapshot!(said.replace(&server.port.to_string(), "PORT"), @"");
}

#[tokio::test]
async fn no_token_is_said_with_where_to_look() {
    let Some(server) = api() else { return };
    let token_url = format!("http://127.0.0.1:{}/token", server.port);
    let auth = json!({"oauth2": {"token_url": token_url, "client_id": "us", "client_secret": "wrong"}});
    let place = place(&server, json!({"auth": auth}));
    let said = place.message(json!({"from": "api:private/oauth", "to": "x.csv"})).await;
    insta::assert_snapshot!(said, @"");
}

#[tokio::test]
async fn what_may_pass_is_asked_again() {
    let Some(server) = api() else { return };
    let place = place(&server, json!({}));
    // 429 with Retry-After, 503, an answer that is cut off.
    assert_eq!(listed(&place, json!({"from": "api:busy"})).await.2, 3);
    assert_eq!(listed(&place, json!({"from": "api:log"})).await.2, 5);
    let error = place.copy(json!({"from": "api:patience", "to": "x.csv"})).await.unwrap_err();
    let said = error.problem.message.replace(&server.port.to_string(), "PORT");
    insta::assert_snapshot!(said, @"");
    assert!(error.transient);
}

#[tokio::test]
async fn a_connection_that_breaks_is_made_again() {
    let Some(server) = api() else { return };
    let cutting = Cutting::to(server.port, 4096, (2, Fate::Cut), || ());
    let place = connected("rest", "", cutting.port, json!({"pages": {"number": {}}, "records": "$.data"}));
    assert_eq!(listed(&place, json!({"from": "api:number"})).await.2, 250);
    assert!(cutting.carried() >= 2);
}

#[tokio::test]
async fn requests_keep_their_distance() {
    let Some(server) = api() else { return };
    let place = place(&server, json!({"max_requests_per_s": 20, "pages": {"number": {}}, "records": "$.data"}));
    let begun = Instant::now();
    assert_eq!(listed(&place, json!({"from": "api:number?per_page=50"})).await.2, 250);
    // Six requests have five pauses between them, however fast the machine is.
    assert!(begun.elapsed() >= Duration::from_millis(250));
}

#[tokio::test]
async fn values_of_a_request_stay_values() {
    let Some(server) = api() else { return };
    let place = place(&server, json!({"params": {"lang": "de"}}));
    let body = json!({"contains": "row 2", "page": 9});
    let config = json!({"from": "api:search", "records": "$.data", "request": {"body": body, "pages": {"number": {}}}});
    assert_eq!(listed(&place, config).await, ("2,row 2 é,0.25,\"[\"\"a\"\",\"\"b\"\"]\"".to_owned(), "250,row 250 é,31.25,\"[\"\"a\"\"]\"".to_owned(), 62));
    let request = json!({"path": {"id": "a/../b?c"}, "params": {"status": "open&limit=1", "ids": [1, 2]}});
    let said = place.message(json!({"from": "api:customers/{id}", "request": request, "to": "x.csv"})).await;
    insta::assert_snapshot!(said.replace(&server.port.to_string(), "PORT"), @"");
}

#[tokio::test]
async fn types_and_bad_records_are_as_in_files() {
    let Some(server) = api() else { return };
    let place = place(&server, json!({}));
    let config = json!({"from": "api:exact", "to": "out.csv", "columns": {"price": "decimal(6,2)"}, "on_error": "reject"});
    let outcome = place.copy(config).await.unwrap();
    assert_eq!((&outcome.outputs["rows"], &outcome.outputs["rejected"]), (&json!(1), &json!(1)));
    assert_eq!(place.text("out.csv"), "id,price,at\n12345678901234567890,1.10,\n");
    insta::assert_snapshot!(place.text("attempt/rejects.csv"), @"");
    assert_eq!(outcome.sources[0].name, "api:exact");
    // One object is one record.
    assert_eq!(listed(&place, json!({"from": "api:one"})).await, ("7,0.1".to_owned(), "7,0.1".to_owned(), 1));
    let empty = json!({"from": "api:empty", "records": "$.data", "to": "none.csv"});
    let error = place.copy(empty.clone()).await.unwrap_err();
    insta::assert_snapshot!(format!("{} ({})", error.problem.message, error.problem.hints.join("; ")), @"");
    let mut declared = empty;
    declared["columns"] = json!({"id": "integer"});
    assert_eq!(place.copy(declared).await.unwrap().rows, Some(0));
    assert_eq!(place.text("none.csv"), "id\n");
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_to_do() {
    let Some(server) = api() else { return };
    let place = place(&server, json!({"pages": {"next_link": "$.next"}}));
    let mut said = Vec::new();
    for config in [
        json!({"from": "api:number"}),
        json!({"from": "api:number", "records": "$.rows"}),
        json!({"from": "api:web"}),
        json!({"from": "api:absent"}),
        json!({"from": "api:ignores", "records": "$.data", "request": {"pages": {"number": {}}}}),
        json!({"from": "api:number", "records": "$.data", "request": {"pages": {"number": {}}, "max_pages": 2}}),
        json!({"from": "api:circle", "records": "$.data"}),
        json!({"from": "api:elsewhere", "records": "$.data"}),
        json!({"from": "api:number", "where": "id > 1"}),
        json!({"from": "api:number", "format": "csv"}),
        json!({"from": "api:number", "records": "data"}),
        json!({"from": "api:../secret"}),
        json!({"from": "a.csv", "request": {}}),
    ] {
        let mut config = config;
        config["to"] = "x.csv".into();
        said.push(place.message(config).await.replace(&server.port.to_string(), "PORT"));
    }
    said.push(place.message(json!({"from": "a.csv", "to": "api:number"})).await);
    assert!(!place.folder.path().join("x.csv").exists());
    insta::assert_snapshot!(said.join("\n"), @"");
}

#[tokio::test]
async fn an_odata_service_is_asked_in_its_own_words() {
    let Some(server) = api() else { return };
    let place = connected("odata", "odata/", server.port, json!({"page_size": 60}));
    assert_eq!(
        listed(&place, json!({"from": "api:Products"})).await,
        ("1,O'Neil 1,0.25".to_owned(), "250,O'Neil 250,62.5".to_owned(), 250)
    );
    let condition = json!({"text": "Name eq $1 or Price gt $2", "params": ["O'Neil 7", 62]});
    let config = json!({"from": "api:Products", "where": condition, "select": ["Id", "Price"]});
    assert_eq!(listed(&place, config).await, ("7,1.75".to_owned(), "250,62.5".to_owned(), 3));
    let config = json!({"from": "api:Products", "limit": 70, "request": {"params": {"$orderby": "Id desc"}}});
    assert_eq!(listed(&place, config).await, ("250,O'Neil 250,62.5".to_owned(), "181,O'Neil 181,45.25".to_owned(), 70));
    let said = place.message(json!({"from": "api:Nothing", "to": "x.csv"})).await;
    insta::assert_snapshot!(said.replace(&server.port.to_string(), "PORT"), @"");
}

const QUERY: &str = "query rows($contains: String, $after: String) {
  rows(first: 40, after: $after, contains: $contains) { nodes { id name } pageInfo { hasNextPage endCursor } }
}";

#[tokio::test]
async fn a_graphql_query_goes_on_page_by_page() {
    let Some(server) = api() else { return };
    let place = connected("graphql", "graphql", server.port, json!({}));
    place.file("rows.graphql", QUERY);
    place.file("wrong.graphql", "{ rows(first: 1) { nodes { colour } } }");
    let config = json!({"from": "api:rows.graphql", "records": "$.data.rows.nodes"});
    assert_eq!(listed(&place, config.clone()).await, ("1,row 1 é".to_owned(), "250,row 250 é".to_owned(), 250));
    let mut chosen = config.clone();
    chosen["request"] = json!({"variables": {"contains": "row 24\") { id } x: rows(contains: \""}, "max_pages": 1});
    chosen["columns"] = json!({"id": "integer", "name": "string"});
    chosen["to"] = "out.csv".into();
    assert_eq!(place.copy(chosen.clone()).await.unwrap().rows, Some(0), "a variable is a value");
    chosen["request"] = json!({"variables": {"contains": "row 24"}});
    assert_eq!(listed(&place, chosen).await, ("24,row 24 é".to_owned(), "249,row 249 é".to_owned(), 11));
    let mut said = Vec::new();
    for (file, records) in [("wrong.graphql", "$.data.rows.nodes"), ("absent.graphql", "$.a"), ("../x", "$.a")] {
        let config = json!({"from": format!("api:{file}"), "records": records, "to": "x.csv"});
        said.push(place.message(config).await);
    }
    said.push(place.message(json!({"from": "api:rows.graphql", "to": "x.csv"})).await);
    insta::assert_snapshot!(said.join("\n"), @"");
}

#[tokio::test]
async fn settings_that_are_wrong_are_not_used() {
    let mut said = Vec::new();
    for settings in [
        json!({"url": "ftp://host/"}),
        json!({"url": "https://u:p@host/"}),
        json!({"url": "https://host/?a=1"}),
        json!({"url": "http://host/", "auth": {"bearer": "t"}}),
        json!({"url": "https://host/", "auth": {"bearer": 123_456}}),
        json!({"url": "https://host/", "auth": {"api_key": {"value": "k"}}}),
        json!({"url": "https://host/", "max_requests_per_s": 0}),
        json!({"url": "https://host/", "headers": {"a b": "c"}}),
        json!({"url": "https://host/", "pages": {"cursor": {"param": "c", "path": "next"}}}),
    ] {
        let problem = millrace_transfer::connection_problem("api", &json!({"rest": settings})).unwrap();
        assert!(!problem.message.contains("123456"));
        said.push(problem.message);
    }
    insta::assert_snapshot!(said.join("\n"), @"");
}
