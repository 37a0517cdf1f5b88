//! The step `copy` and web APIs: REST, OData and GraphQL of a real server (`api.py`).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Place;
use super::cutting::{Cutting, Fate};
use super::servers::{self, Server};

/// Every way of paging, every way of asking who is there.
pub(crate) fn api() -> Option<Server> {
    Some(Server::of_script(&servers::python()?, include_str!("api.py")))
}

fn place(server: &Server, settings: Value) -> Place {
    connected("rest", "", server.port, settings)
}

pub(crate) fn connected(word: &str, path: &str, port: u16, mut settings: Value) -> Place {
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
    insta::assert_snapshot!(said.replace(&server.port.to_string(), "PORT"), @r###"cannot read `api:private/bearer`: `http://127.0.0.1:PORT/private/bearer` answers 401 Unauthorized: `{"error": "no: ***"}`; look at `auth` in connections.yaml"###);
}

#[tokio::test]
async fn no_token_is_said_with_where_to_look() {
    let Some(server) = api() else { return };
    let token_url = format!("http://127.0.0.1:{}/token", server.port);
    let auth = json!({"oauth2": {"token_url": token_url, "client_id": "us", "client_secret": "wrong"}});
    let place = place(&server, json!({"auth": auth}));
    let said = place.message(json!({"from": "api:private/oauth", "to": "x.csv"})).await;
    insta::assert_snapshot!(said, @r###"cannot read `api:private/oauth`: no token: `auth`'s token_url answers 401 Unauthorized: `{"error": "invalid_client"}`; look at `client_id` and `client_secret`"###);
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
    insta::assert_snapshot!(said, @r###"cannot read `api:patience`: `http://127.0.0.1:PORT/patience` answers 429 Too Many Requests: `{"error": "come back tomorrow"}`; the server asks to wait 86400 s"###);
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
async fn only_what_is_new_is_asked_for() {
    let Some(server) = api() else { return };
    let mut place = place(&server, json!({}));
    place.connections.insert("db".to_owned(), json!({"sqlite": {"path": "data/db.sqlite"}}).into());
    let config = json!({"from": "api:keyed", "to": "db:rows", "incremental": {"column": "id"}, "write": "append",
        "select": ["id", "name", "amount"], "request": {"params": {"since_id": "$watermark"}}});
    for rows in [100, 100, 50, 0] {
        let mut config = config.clone();
        config["columns"] = json!({"id": "integer", "name": "string", "amount": "number"});
        assert_eq!(place.copy(config).await.unwrap().rows, Some(rows));
    }
    assert_eq!(listed(&place, json!({"from": "db:(select count(*) as n from rows)"})).await.0, "250");
    place.copy(json!({"from": "api:log", "to": "log.csv"})).await.unwrap();
    assert_eq!(
        place.text("log.csv"),
        "path\n/keyed\n/keyed?since_id=100\n/keyed?since_id=200\n/keyed?since_id=250\n/log\n"
    );
}

#[tokio::test]
async fn requests_keep_their_distance() {
    let Some(server) = api() else { return };
    let place =
        place(&server, json!({"max_requests_per_s": 20, "pages": {"number": {}}, "records": "$.data"}));
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
    assert_eq!(
        listed(&place, config).await,
        (
            "2,row 2 é,0.25,\"[\"\"a\"\",\"\"b\"\"]\"".to_owned(),
            "250,row 250 é,31.25,\"[\"\"a\"\"]\"".to_owned(),
            62
        )
    );
    let request = json!({"path": {"id": "a/../b?c"}, "params": {"status": "open&limit=1", "ids": [1, 2]}});
    let said = place.message(json!({"from": "api:customers/{id}", "request": request, "to": "x.csv"})).await;
    insta::assert_snapshot!(said.replace(&server.port.to_string(), "PORT"), @r###"cannot read `api:customers/{id}`: `http://127.0.0.1:PORT/customers/a%2F..%2Fb%3Fc?lang=de&status=open%26limit%3D1&ids=1&ids=2` answers 404 Not Found: `{"error": "/customers/a%2F..%2Fb%3Fc?lang=de&status=open%26limit%3D1&ids=1&ids=2 is not there"}`"###);
}

#[tokio::test]
async fn types_and_bad_records_are_as_in_files() {
    let Some(server) = api() else { return };
    let place = place(&server, json!({}));
    let config = json!({"from": "api:exact", "to": "out.csv", "columns": {"price": "decimal(6,2)"}, "on_error": "reject"});
    let outcome = place.copy(config).await.unwrap();
    assert_eq!((&outcome.outputs["rows"], &outcome.outputs["rejected"]), (&json!(1), &json!(1)));
    assert_eq!(place.text("out.csv"), "id,price,at\n12345678901234567890,1.10,\n");
    insta::assert_snapshot!(place.text("attempt/rejects.csv"), @r###"
    file,line,byte_offset,column,kind,raw,message
    "api:exact page 1",1,46,"price",type,"{""id"": 1, ""price"": ""n/a"", ""at"":
     null}","`""n/a""` is not of the type decimal(6,2)"
    "###);
    assert_eq!(outcome.sources[0].name, "api:exact");
    // One object is one record.
    assert_eq!(listed(&place, json!({"from": "api:one"})).await, ("7,0.1".to_owned(), "7,0.1".to_owned(), 1));
    let empty = json!({"from": "api:empty", "records": "$.data", "to": "none.csv"});
    let error = place.copy(empty.clone()).await.unwrap_err();
    insta::assert_snapshot!(format!("{} ({})", error.problem.message, error.problem.hints.join("; ")), @r###"`api:empty` gave no record, and no column is declared (to go on without rows, say which columns there are: `columns: {id: integer}`)"###);
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
        json!({"from": "api:number", "records": "$.data", "request": {"params": {"since": "$watermark"}}}),
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
    insta::assert_snapshot!(said.join("\n"), @r###"
    cannot read `api:number`: page 1: say where the records are: `records: $.data`
    cannot read `api:number`: page 1: the answer has nothing at `$.rows`, where `records` are to be; `records: $.data`
    cannot read `api:web`: the answer is not JSON (expected value at line 1 column 1): `<html>please log in</html>`
    cannot read `api:absent`: `http://127.0.0.1:PORT/absent` answers 404 Not Found: `{"error": "/absent is not there"}`
    cannot read `api:ignores`: page 2: it is the first page again; does the API know the parameter that `pages` names? If the records are really the same, `total` tells where they end
    cannot read `api:number`: there are more than 2 pages; raise `request: {max_pages: …}`
    cannot read `api:circle`: page 2: the page before leads to one that was read already
    cannot read `api:elsewhere`: page 1: the next page is on `other.example`, which `url` of the connection does not name
    `$watermark` is how far an incremental copy has read, and this one is none
    an API's answers are JSON
    `data` is no path: write `$.data.rows`, `$['a name']` or `$.rows[-1].id`
    `../secret` leads out of the API
    `request` is for web APIs
    web APIs are written by `append`, without `schema`
    "###);
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
    assert_eq!(
        listed(&place, config).await,
        ("250,O'Neil 250,62.5".to_owned(), "181,O'Neil 181,45.25".to_owned(), 70)
    );
    let said = place.message(json!({"from": "api:Nothing", "to": "x.csv"})).await;
    insta::assert_snapshot!(said.replace(&server.port.to_string(), "PORT"), @r###"cannot read `api:Nothing`: `http://127.0.0.1:PORT/odata/Nothing` answers 404 Not Found: `{"error":{"code":"404","message":"Resource 'Nothing' was not found."}}`"###);
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
    assert_eq!(
        listed(&place, config.clone()).await,
        ("1,row 1 é".to_owned(), "250,row 250 é".to_owned(), 250)
    );
    let mut chosen = config.clone();
    chosen["request"] =
        json!({"variables": {"contains": "row 24\") { id } x: rows(contains: \""}, "max_pages": 1});
    chosen["columns"] = json!({"id": "integer", "name": "string"});
    chosen["to"] = "out.csv".into();
    assert_eq!(place.copy(chosen.clone()).await.unwrap().rows, Some(0), "a variable is a value");
    chosen["request"] = json!({"variables": {"contains": "row 24"}});
    assert_eq!(listed(&place, chosen).await, ("24,row 24 é".to_owned(), "249,row 249 é".to_owned(), 11));
    let mut said = Vec::new();
    for (file, records) in
        [("wrong.graphql", "$.data.rows.nodes"), ("absent.graphql", "$.a"), ("../x", "$.a")]
    {
        let config = json!({"from": format!("api:{file}"), "records": records, "to": "x.csv"});
        said.push(place.message(config).await);
    }
    said.push(place.message(json!({"from": "api:rows.graphql", "to": "x.csv"})).await);
    insta::assert_snapshot!(said.join("\n"), @r###"
    cannot read `api:wrong.graphql`: page 1: the query fails: Cannot query field 'colour' on type 'Row'.
    cannot read `absent.graphql`: failed to open file `[folder]/absent.graphql`: No such file or directory (os error 2)
    `../x` is no file of the workspace
    nothing says where the query's records are
    "###);
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
    insta::assert_snapshot!(said.join("\n"), @r###"
    the connection `api`: `url` begins with `https://` or `http://`
    the connection `api`: `url` has no user in it; write `auth: {basic: {user: …, password: …}}`
    the connection `api`: `url` has no `?` and no `#`; parameters stand in `params`
    the connection `api`: its `url` is `http://`, which needs `allow_http: true`
    the connection `api`: a secret is not text; put it in quotes
    the connection `api`: `auth`: `api_key` has either `header` or `param`
    the connection `api`: `max_requests_per_s` is more than 0; 0.5 is one in two seconds
    the connection `api`: `headers`: `a b` cannot be a header with that value
    the connection `api`: `next` is no path: write `$.data.rows`, `$['a name']` or `$.rows[-1].id`
    "###);
}

#[tokio::test]
async fn a_connection_is_tried_at_its_root() {
    let Some(server) = api() else { return };
    let place = place(&server, json!({}));
    let (said, names) = place.probed("api").await.unwrap();
    // This one has nothing at its root.
    assert_eq!(said, format!("`http://127.0.0.1:{}/` answers, with status 404", server.port));
    assert!(names.is_empty(), "{names:?}");
    let closed =
        connected("rest", "private/bearer", server.port, json!({"auth": {"bearer": "the-wrong-token"}}));
    let refused = closed.probed("api").await.unwrap_err();
    assert!(refused.contains("answers 401") && refused.contains("look at `auth`"), "{refused}");
    assert!(!refused.contains("the-wrong"), "{refused}");
    let gone = connected("rest", "", 1, json!({}));
    assert!(gone.probed("api").await.is_err());
    // A service and a graph say whether they are ones.
    let service = connected("odata", "odata/", server.port, json!({}));
    assert_eq!(service.probed("api").await.unwrap().1, ["Products"]);
    let graph = connected("graphql", "graphql", server.port, json!({}));
    assert!(graph.probed("api").await.unwrap().0.ends_with("/graphql` answers"));
    let neither = connected("graphql", "one", server.port, json!({}));
    assert!(neither.probed("api").await.unwrap_err().contains("none of GraphQL"));
    let neither = connected("odata", "one", server.port, json!({}));
    assert!(neither.probed("api").await.unwrap_err().contains("no service of OData"));
}
