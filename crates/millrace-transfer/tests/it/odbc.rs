//! ODBC through unixODBC, with the drivers of SQLite and PostgreSQL.

use std::path::Path;

use millrace_metastore::testing::TestPostgres;
use serde_json::{Value, json};

use crate::{Place, ROWS};

/// Whether Debian's driver is there.
fn has(library: &str) -> bool {
    let there = Path::new("/usr/lib/x86_64-linux-gnu/odbc").join(library).exists();
    if !there {
        println!("skipped: there is no ODBC driver `{library}`; `cargo xtask test` installs it");
    }
    there
}

async fn rows(place: &Place, from: &str) -> String {
    place.copy(json!({"from": from, "to": "out.csv"})).await.unwrap();
    place.text("out.csv")
}

#[tokio::test]
async fn odbc_reads_and_writes_sqlite() {
    if !has("libsqlite3odbc.so") {
        return;
    }
    let mut place = Place::new();
    let file = place.folder.path().join("shop.db");
    place.connections.insert("local".to_owned(), json!({"sqlite": {"path": "shop.db"}}).into());
    let connection = format!("Driver={{SQLite3}};Database={}", file.display());
    place.connections.insert("erp".to_owned(), json!({"odbc": {"connection": connection}}).into());
    place.file("a.csv", ROWS);
    place.copy(json!({"from": "a.csv", "to": "local:rows"})).await.unwrap();
    let expected = "id,share,note\n1,0.5,\"a, \"\"b\"\"\"\n2,-1.25,\"tab\tand\\backslash\nand line\"\n3,,\n";
    assert_eq!(rows(&place, "erp:(select id, share, note from rows order by id)").await, expected);
    assert_eq!(place.copy(json!({"from": "erp:rows", "to": "b.csv"})).await.unwrap().rows, Some(3));

    // Written once for a step, whole or not at all.
    let made = json!(["create table copied (id integer, share double, note text)"]);
    let append = json!({"from": "a.csv", "select": ["id", "share", "note"], "to": "erp:copied", "write": "append", "pre_sql": made});
    assert_eq!(place.copy(append.clone()).await.unwrap().rows, Some(3));
    assert_eq!(place.attempt(append).await.unwrap().rows, Some(3));
    assert_eq!(rows(&place, "erp:(select * from copied order by id)").await, expected);
    place.file("broken.csv", format!("id,share,note\n{}x,1,n\n", "7,1,n\n".repeat(30_000)));
    let broken = json!({"from": "broken.csv", "to": "erp:copied", "columns": {"id": "integer"}});
    assert_eq!(
        place.message(broken).await,
        "row cannot be read: `x` in column `id` is not of the type integer"
    );
    assert_eq!(rows(&place, "erp:(select * from copied order by id)").await, expected);
    place
        .copy(json!({"from": "erp:(select 9 as id, 1.5 as share, 'n' as note)", "to": "erp:copied"}))
        .await
        .unwrap();
    assert_eq!(rows(&place, "erp:copied").await, "id,share,note\n9,1.5,n\n");

    assert_eq!(place.probed("erp").await.unwrap().0, "SQLite");
    let message = place.message(json!({"from": "erp:absent", "to": "out.csv"})).await;
    assert!(message.contains("no such table: absent"), "{message}");
    let upsert = json!({"from": "a.csv", "to": "erp:copied", "write": {"upsert": ["id"]}});
    assert_eq!(
        place.message(upsert).await,
        "a database by ODBC is written by `append`, `overwrite` or `truncate`, without `schema`"
    );
    let none = json!({"odbc": {"connection": "Driver={No such driver};Database=x", "password": "hidden"}});
    place.connections.insert("none".to_owned(), none.into());
    let message = place.message(json!({"from": "none:rows", "to": "out.csv"})).await;
    assert!(message.contains("No such driver") || message.contains("Can't open lib"), "{message}");
    assert!(!message.contains("hidden"), "{message}");
}

#[tokio::test]
async fn odbc_and_copy_agree_about_postgres() {
    let Some(postgres) = TestPostgres::start().filter(|_| has("psqlodbcw.so")) else { return };
    let mut place = Place::new();
    place.connections.insert("shop".to_owned(), json!({"postgres": {"url": postgres.url()}}).into());
    let url = url::Url::parse(&postgres.url()).unwrap();
    let connection = format!(
        "Driver={{PostgreSQL Unicode}};Servername={};Port={};Database={};Username={}",
        percent_encoding::percent_decode_str(url.host_str().unwrap()).decode_utf8().unwrap(),
        url.port().unwrap_or(5432),
        url.path().trim_start_matches('/'),
        url.username()
    );
    let settings: Value =
        json!({"odbc": {"connection": connection, "password": url.password().unwrap_or("none")}});
    place.connections.insert("erp".to_owned(), settings.into());
    place.file("a.csv", ROWS);
    place.copy(json!({"from": "a.csv", "to": "shop:public.rows"})).await.unwrap();
    let query = "(select id, share, day, at, note from public.rows order by id)";
    assert_eq!(rows(&place, &format!("erp:{query}")).await, rows(&place, &format!("shop:{query}")).await);
    place
        .copy(json!({"from": "a.csv", "to": "erp:public.rows", "write": "append", "drop": ["late"]}))
        .await
        .unwrap();
    assert_eq!(rows(&place, "shop:(select count(*) as n from public.rows)").await, "n\n6\n");
    // The same values twice, as if each had been written once.
    let distinct =
        "shop:(select count(*) as n from (select distinct id, share, day, at, note from public.rows) d)";
    assert_eq!(rows(&place, distinct).await, "n\n3\n");
}
