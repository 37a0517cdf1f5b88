//! Drivers of ADBC, from PyPI: those of SQLite and PostgreSQL.

use std::process::Command;

use millrace_metastore::testing::TestPostgres;
use serde_json::{Value, json};

use crate::{Place, ROWS};

/// Where a driver's library is; `None` if it is not installed.
#[allow(clippy::disallowed_methods, reason = "a test is told by its environment where the interpreters are")]
fn driver(package: &str) -> Option<String> {
    let Some(python) = std::env::var_os("MILLRACE_TEST_FORMATS") else {
        println!(
            "skipped: MILLRACE_TEST_FORMATS names no interpreter with drivers of ADBC; `cargo xtask test` sets it"
        );
        return None;
    };
    let script = format!("import {package}; print({package}._driver_path())");
    let output = Command::new(python).args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[tokio::test]
async fn adbc_drivers_give_rows() {
    let Some(driver) = driver("adbc_driver_sqlite") else { return };
    let mut place = Place::new();
    place.connections.insert("local".to_owned(), json!({"sqlite": {"path": "shop.db"}}).into());
    let uri = place.folder.path().join("shop.db").to_string_lossy().into_owned();
    place.connections.insert("by_adbc".to_owned(), json!({"adbc": {"driver": driver, "uri": uri}}).into());
    place.file("a.csv", ROWS);
    place.copy(json!({"from": "a.csv", "to": "local:rows"})).await.unwrap();
    let query = "by_adbc:(select id, share, note from rows order by id)";
    place.copy(json!({"from": query, "to": "b.csv"})).await.unwrap();
    place.copy(json!({"from": "a.csv", "to": "c.csv", "select": ["id", "share", "note"]})).await.unwrap();
    assert_eq!(place.text("b.csv"), place.text("c.csv"));
    assert_eq!(place.copy(json!({"from": "by_adbc:rows", "to": "d.csv"})).await.unwrap().rows, Some(3));
    let message = place.message(json!({"from": "by_adbc:absent", "to": "d.csv"})).await;
    assert!(message.contains("no such table: absent"), "{message}");
    assert_eq!(place.probed("by_adbc").await.unwrap().0, "the driver's database answers");
    place.connections.insert("none".to_owned(), json!({"adbc": {"driver": "drivers/none.so"}}).into());
    assert!(place.probed("none").await.unwrap_err().contains("none.so"));
    let message = place.message(json!({"from": "none:rows", "to": "d.csv"})).await;
    assert!(message.contains("none.so"), "{message}");
}

/// A server that `shop` leads to as a database, and `by_adbc` through a driver.
fn both_ways() -> Option<(Place, TestPostgres, String)> {
    let driver = driver("adbc_driver_postgresql")?;
    let postgres = TestPostgres::start()?;
    let mut place = Place::new();
    place.connections.insert("shop".to_owned(), json!({"postgres": {"url": postgres.url()}}).into());
    let adbc = json!({"adbc": {"driver": driver, "uri": postgres.url()}});
    place.connections.insert("by_adbc".to_owned(), adbc.into());
    Some((place, postgres, driver))
}

#[tokio::test]
async fn adbc_and_copy_agree_about_postgres() {
    let Some((place, _postgres, _)) = both_ways() else { return };
    place.file("a.csv", ROWS);
    place.copy(json!({"from": "a.csv", "to": "shop:public.rows"})).await.unwrap();
    let query = "(select id, late, share, day, note from public.rows order by id)";
    for (connection, file) in [("shop", "b.csv"), ("by_adbc", "c.csv")] {
        place.copy(json!({"from": format!("{connection}:{query}"), "to": file})).await.unwrap();
    }
    assert_eq!(place.text("b.csv"), place.text("c.csv"));
}

/// A place with a database that is reached as `local` too, by a connector of its own.
fn sqlite() -> Option<Place> {
    let driver = driver("adbc_driver_sqlite")?;
    let mut place = Place::new();
    place.connections.insert("local".to_owned(), json!({"sqlite": {"path": "shop.db"}}).into());
    let uri = place.folder.path().join("shop.db").to_string_lossy().into_owned();
    place.connections.insert("by_adbc".to_owned(), json!({"adbc": {"driver": driver, "uri": uri}}).into());
    Some(place)
}

async fn rows(place: &Place, from: &str) -> String {
    place.copy(json!({"from": from, "to": "read.csv"})).await.unwrap();
    place.text("read.csv")
}

#[tokio::test]
async fn adbc_loads_sqlite_once_and_whole() {
    let Some(place) = sqlite() else { return };
    place.file("a.csv", "note,id\n\"ü, \"\"b\"\"\",1\n,2\n");
    let append = json!({"from": "a.csv", "to": "by_adbc:main_rows", "write": "append"});
    assert_eq!(place.copy(append.clone()).await.unwrap().rows, Some(2));
    // Killed and begun again: nothing is there twice.
    assert_eq!(place.attempt(append.clone()).await.unwrap().rows, Some(2));
    let query = "local:(select id, note from main_rows order by rowid)";
    assert_eq!(rows(&place, query).await, "id,note\n1,\"ü, \"\"b\"\"\"\n2,\n");
    place.copy(append).await.unwrap();
    assert_eq!(rows(&place, "local:(select count(*) as n from main_rows)").await, "n\n4\n");
    assert_eq!(rows(&place, "local:(select load_rows as n from millrace_adbc_loads)").await, "n\n2\n2\n");

    // A table that is there keeps its definition, and columns are found by their names.
    let kept = json!({
        "from": "a.csv", "to": "by_adbc:kept", "write": "overwrite",
        "pre_sql": ["create table if not exists kept (id integer primary key, more text default 'd', NOTE text)"],
        "post_sql": ["update kept set more = 'after' where id = 2"],
    });
    for _ in 0..2 {
        place.copy(kept.clone()).await.unwrap();
    }
    assert_eq!(
        rows(&place, "local:(select id, note, more from kept order by id)").await,
        "id,note,more\n1,\"ü, \"\"b\"\"\",d\n2,,after\n"
    );
    let truncate = json!({"from": "by_adbc:(select 9 as id)", "to": "by_adbc:kept", "write": "truncate"});
    place.copy(truncate).await.unwrap();
    assert_eq!(rows(&place, "local:(select id, more from kept)").await, "id,more\n9,d\n");
}

#[tokio::test]
async fn what_adbc_cannot_load_leaves_the_table_as_it_was() {
    let Some(place) = sqlite() else { return };
    place.file("a.csv", "id,note\n1,a\n");
    place.copy(json!({"from": "a.csv", "to": "by_adbc:kept"})).await.unwrap();
    place.file("broken.csv", format!("id,note\n{}x,n\n", "7,n\n".repeat(30_000)));
    for write in ["append", "overwrite"] {
        let broken =
            json!({"from": "broken.csv", "to": "by_adbc:kept", "write": write, "columns": {"id": "integer"}});
        assert_eq!(
            place.message(broken).await,
            "row cannot be read: `x` in column `id` is not of the type integer"
        );
    }
    let made = json!({"from": "broken.csv", "to": "by_adbc:made", "columns": {"id": "integer"}});
    assert!(place.copy(made).await.is_err());
    assert_eq!(rows(&place, "local:(select name from sqlite_master where name = 'made')").await, "name\n");
    for (config, said) in [
        (json!({"post_sql": ["insert into absent values (1)"]}), "no such table: absent"),
        (json!({"add": {"other": 1}}), "the table has no column `other`; leave it out: `drop: [other]`"),
        (
            json!({"columns": {"id": "decimal(4,1)"}}),
            "unsupported type decimal128; what the driver has no type for can be copied as text: `columns: {name: string}`",
        ),
        (
            json!({"write": {"upsert": ["id"]}}),
            "a database by ADBC is written by `append`, `overwrite` or `truncate`, without `schema`",
        ),
        (json!({"schema": "evolve"}), "without `schema`"),
        (json!({"to": "by_adbc:(select 1)"}), "a query cannot be written"),
        (json!({"to": "by_adbc:a.b.c.d"}), "has more parts than a catalog, a schema and a table"),
        (json!({"to": "by_adbc:kept; drop table kept"}), "is no plain name of a table"),
        (json!({"incremental": {"column": "id"}}), "`incremental` needs a sink whose columns are known"),
    ] {
        let mut step = json!({"from": "a.csv", "to": "by_adbc:kept", "write": "overwrite"});
        step.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        let message = place.message(step).await;
        assert!(message.contains(said), "{message}");
    }
    assert_eq!(rows(&place, "local:kept").await, "id,note\n1,a\n");
    place.cancel.cancel();
    assert!(place.copy(json!({"from": "a.csv", "to": "by_adbc:kept"})).await.unwrap_err().cancelled);
}

/// Values at the ends of their types, as PostgreSQL writes them.
const NASTY: &str = "(select 1 as id, 'tab\t\"ü\" 日本 \\N' as note, 12345678901234567890.12::numeric(22,2) as price,
    timestamp '2026-03-01 06:00:00.123456' as at, timestamptz '1969-12-31 23:59:59.999999Z' as there, date '0001-01-01' as day,
    time '23:59:59.999999' as clock, '\\x00ff0a'::bytea as body, true as ok, (-9223372036854775808)::int8 as big, 1.5::float4 as share,
    '-Infinity'::float8 as far, '{1,NULL,3}'::int4[] as list
    union all select 2, null, null, null, null, null, null, null, null, null, null, null, null
    union all select 3, '', -0.01, timestamp '9999-12-31 23:59:59', timestamptz '2026-03-01 06:00:00+05', date '9999-12-31',
    time '00:00', '', false, 9223372036854775807, -0.0, 1e-300, '{}')";

#[tokio::test]
async fn adbc_loads_every_type_into_postgres() {
    let Some((mut place, _postgres, driver)) = both_ways() else { return };
    let nasty = format!("shop:{NASTY}");
    // A table that the driver makes, and one with narrower and wider columns than those of the rows.
    let defined = "create table if not exists public.defined (ok bool, day date, id int8, note varchar(30) not null default '-', \
        price numeric(24,4), at timestamp, there timestamptz, clock time, body bytea, big int8, share float8, far float4, list int8[])";
    let to: [(&str, Value); 2] = [("public.made", json!([])), ("public.defined", json!([defined]))];
    for (table, before) in to {
        let drop: Value = if table == "public.made" { json!([]) } else { json!(["far"]) };
        let step = json!({"from": nasty, "to": format!("by_adbc:{table}"), "write": "append", "pre_sql": before, "drop": drop});
        if table == "public.defined" {
            let message = place.message(step.clone()).await;
            assert!(message.contains("violates not-null constraint"), "{message}");
            assert!(place.copy(json!({"from": "shop:public.defined", "to": "x.csv"})).await.is_err());
        }
        let mut step = step;
        if table == "public.defined" {
            step["from"] = format!("shop:(select * from {NASTY} n where id <> 2)").into();
        }
        let copied = place.copy(step.clone()).await.unwrap().rows;
        assert_eq!(place.attempt(step).await.unwrap().rows, copied);
        let left = format!("select * from public.{} order by id", table.trim_start_matches("public."));
        assert_eq!(
            rows(&place, &format!("shop:(select count(*) as n from ({left}) t)")).await,
            format!("n\n{}\n", copied.unwrap())
        );
    }
    let columns = "id, note, price, at, there, day, clock, encode(body, 'hex') as body, ok, big, share, list::text as list";
    let expected = rows(&place, &format!("shop:(select {columns}, far from {NASTY} n order by id)")).await;
    let made = format!("shop:(select {columns}, far from public.made order by id)");
    assert_eq!(rows(&place, &made).await, expected);
    let columns =
        columns.replace("price", "price::numeric(22,2) as price").replace("share", "share::float4 as share");
    let expected =
        rows(&place, &format!("shop:(select {columns} from {NASTY} n where id <> 2 order by id)")).await;
    let defined = format!("shop:(select {columns} from public.defined order by id)");
    assert_eq!(rows(&place, &defined).await, expected);

    // Greater than what the column takes.
    let message = place.message(json!({"from": "shop:(select 3000000000::int8 as id)", "to": "by_adbc:public.small", "pre_sql": ["create table public.small (id int4)"]})).await;
    assert!(
        message.contains("column `id`: Cast error: Can't cast value 3000000000 to type Int32"),
        "{message}"
    );
    let refused = json!({"adbc": {"driver": driver, "uri": "postgresql://me:secret-word@127.0.0.1:1/none"}});
    place.connections.insert("none".to_owned(), refused.into());
    place.file("a.csv", ROWS);
    let message = place.message(json!({"from": "a.csv", "to": "none:rows"})).await;
    assert!(message.contains("Connection refused") && !message.contains("secret-word"), "{message}");
}
