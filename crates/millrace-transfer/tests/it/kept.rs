//! Parts of a divided read that outlive an attempt.

use millrace_metastore::testing::{TestMariadb, TestPostgres};
use serde_json::{Value, json};

use super::Place;
use super::databases::NASTY;
use super::stores::files_below;

const REFUSED: &str = "insert into nowhere values (1)";

fn kept(place: &Place) -> Vec<String> {
    let mut files = files_below(&place.folder.path().join("parts"));
    files.retain(|file| file.ends_with(".arrow"));
    files.sort();
    files
}

/// The sink refuses everything at its end. When the step is begun again, some parts are missing, as if it had been killed before them, and
/// the rows of the others are gone from the source.
async fn only_what_is_missing_is_read(place: &Place) {
    let rows: String =
        (0..1000).map(|id| format!("{id},{}\n", if id % 3 == 0 { "" } else { "text" })).collect();
    place.file("rows.csv", format!("id,t\n{rows}"));
    place.done(json!({"from": "rows.csv", "to": "db:source", "columns": {"id": "integer"}})).await;
    let config = |post: &[&str]| {
        json!({"from": "db:source", "to": "db:target", "parallelism": 2, "post_sql": post,
            "partition": {"column": "id", "parts": 10, "resume": true}})
    };
    place.fresh();
    place.attempt(config(&[REFUSED])).await.unwrap_err();
    let files = kept(place);
    assert_eq!(files.len(), 10, "{files:?}");
    for file in &files[6..] {
        std::fs::remove_file(place.folder.path().join("parts").join(file)).unwrap();
    }
    let key = place.key.lock().unwrap().clone();
    let gone = ["delete from source where id < 590"];
    place.done(json!({"from": "rows.csv", "to": "db:other", "pre_sql": gone})).await;
    *place.key.lock().unwrap() = key;
    let done = place.attempt(config(&[])).await.unwrap();
    assert_eq!(done.outputs["rows"], json!(1000));
    assert_eq!(kept(place), Vec::<String>::new());
    let counted = "select count(*) as n, count(distinct id) as d, min(id) as a, max(id) as b, count(t) as t from target";
    assert_eq!(place.rows(counted).await, "n,d,a,b,t\n1000,1000,0,999,666\n");

    // Nothing is left of another read, nor taken for it.
    place.fresh();
    place.attempt(config(&[REFUSED])).await.unwrap_err();
    let mut fewer = config(&[]);
    fewer["where"] = json!("id >= 900");
    assert_eq!(place.attempt(fewer).await.unwrap().outputs["rows"], json!(100));
}

#[tokio::test]
async fn parts_of_postgres_are_not_read_twice() {
    let Some(server) = TestPostgres::start() else { return };
    let place = Place::with("db", json!({"postgres": {"url": server.url()}}));
    only_what_is_missing_is_read(&place).await;
    // Values of every type are what they were.
    server.sql(NASTY);
    server.sql("update nasty set u = u::numeric(38,18); create table back (like nasty including all)");
    let config = |post: &[&str]| -> Value {
        json!({"from": "db:nasty", "to": "db:back", "write": "append", "post_sql": post,
            "partition": {"hash": "id", "parts": 3, "resume": true}})
    };
    place.fresh();
    place.attempt(config(&[REFUSED])).await.unwrap_err();
    server.sql("create table before as select * from nasty; truncate nasty");
    place.attempt(config(&[])).await.unwrap();
    let differing =
        "select count(*) from (select p_::text from before p_ except all select q_::text from back q_) d_";
    assert_eq!(server.sql(differing).trim(), "0");
    assert_eq!(server.sql("select count(*) from back").trim(), "4");
}

#[tokio::test]
async fn parts_of_mariadb_are_not_read_twice() {
    let Some(server) = TestMariadb::start() else { return };
    only_what_is_missing_is_read(&Place::with("db", json!({"mysql": {"url": server.url()}}))).await;
}

#[tokio::test]
async fn parts_of_sqlite_are_not_read_twice() {
    only_what_is_missing_is_read(&Place::with("db", json!({"sqlite": {"path": "data/db.sqlite"}}))).await;
}
