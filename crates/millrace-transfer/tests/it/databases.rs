//! Tables of real database servers: every type there and back, every way of writing, loads that happen once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use millrace_metastore::testing::{TestMariadb, TestPostgres};
use serde_json::{Value, json};

use super::Place;

impl Place {
    pub(crate) fn with(name: &str, settings: Value) -> Self {
        let mut place = Self::new();
        place.connections.insert(name.to_owned(), settings.into());
        place
    }

    pub(crate) async fn done(&self, config: Value) {
        let said = self.copy(config.clone()).await;
        assert!(said.is_ok(), "{config}: {said:?}");
    }

    /// What a query gives, as CSV.
    pub(crate) async fn rows(&self, query: &str) -> String {
        self.done(json!({"from": format!("db:({query})"), "to": "rows.csv"})).await;
        self.text("rows.csv")
    }
}

fn postgres(server: &TestPostgres) -> Place {
    Place::with("db", json!({"postgres": {"url": server.url()}}))
}

fn mariadb(server: &TestMariadb) -> Place {
    Place::with("db", json!({"mysql": {"url": server.url()}}))
}

fn sqlite() -> Place {
    Place::with("db", json!({"sqlite": {"path": "data/db.sqlite"}}))
}

/// Nulls, extremes, text in many scripts, decimals, zones, lists.
pub(crate) const NASTY: &str = "
create type mood as enum ('good', 'b\"ad'); create domain share as numeric(5,4) check (value < 2);
create table nasty (
  id bigint primary key, s smallint, i integer, b boolean, r real, d double precision, n numeric(38,10), u numeric, m numeric(5,-2),
  x numeric(60,20), t text, v varchar(20), c char(5), y bytea, day date, at time, ts timestamp, tz timestamptz, span interval,
  one uuid, j json, jb jsonb, e mood, dom share, l integer[], lt text[], ip inet, price money);
insert into nasty values
 (-9223372036854775808, -32768, -2147483648, false, '-3.4028235e38', '-1.7976931348623157e308', -9999999999999999999999999999.9999999999,
  -99999999999999999999.999999999999999999, -12300, -0.00000000000000000001, E'tab\\tline\\nquote''\"\\\\ \\u00e9\\u4e2d\\U0001F600', 'v', 'c', '\\x00ff',
  '4713-01-01 BC', '00:00', '0001-01-01', '0001-01-01 00:00+00', '-1 year 2 days 03:04:05.678', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
  '{\"a\": [1, null]}', '{\"a\": [1, null]}', 'good', -1.0001, '{}', '{}', '::1', -12.34),
 (9223372036854775807, 32767, 2147483647, true, '3.4028235e38', '1.7976931348623157e308', 9999999999999999999999999999.9999999999,
  99999999999999999999.999999999999999999, 99900, 1e39, '', '', '', '', '5874897-12-31', '24:00', '9999-12-31 23:59:59.999999',
  '9999-12-31 23:59:59.999999+14', '0', '00000000-0000-0000-0000-000000000000', 'null', 'null', 'b\"ad', 1.9999, '{1,null,-3}',
  '{\"a,b\",null,\"\"}', '10.0.0.0/8', 0.01),
 (0, 0, 0, null, 'NaN', 'Infinity', 0, 0, 0, 0, '\u{202e}right to left', null, null, null, '2026-02-28', '12:34:56.789012', '2026-03-29 02:30',
  '2026-03-29 02:30+01', null, null, null, null, null, null, null, null, null, null),
 (1, null, null, null, null, null, 0.0000000001, 0.000000000000000001, null, null, null, null, null, null, null, null, null, null, null, null,
  null, null, null, null, null, null, null, null);";

#[tokio::test]
async fn every_type_of_postgres_comes_back() {
    let Some(server) = TestPostgres::start() else { return };
    server.sql(NASTY);
    // A number without a scale has 18 digits after the point when it comes back: the same value, written longer.
    server.sql("update nasty set u = u::numeric(38,18); create table back (like nasty including all)");
    let place = postgres(&server);
    let differing =
        "select count(*) from (select p_::text from nasty p_ except all select q_::text from back q_) d_";
    for write in ["append", "overwrite", "truncate"] {
        place.done(json!({"from": "db:nasty", "to": "nasty.parquet"})).await;
        place.done(json!({"from": "nasty.parquet", "to": "db:back", "write": write})).await;
        assert_eq!(server.sql("select count(*) from back"), "4\n", "{write}");
        let lost = server.sql("select p_::text from nasty p_ except all select q_::text from back q_");
        let instead = server.sql("select q_::text from back q_ except all select p_::text from nasty p_");
        assert_eq!((lost.as_str(), instead.as_str()), ("", ""), "{write}");
    }
    // Straight from table to table, and with bound values, which go another way.
    place.done(json!({"from": "db:nasty", "to": "db:back", "where": {"text": "id >= $1", "params": [-9223372036854775808_i64]}})).await;
    assert_eq!(server.sql(differing), "0\n");
    // A table that is made by the copy.
    place.done(json!({"from": "nasty.parquet", "to": "db:made"})).await;
    let types = "select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum) from pg_attribute \
                 where attrelid = 'made'::regclass and attnum > 0";
    insta::assert_snapshot!(server.sql(types).trim(), @r###"id bigint, s smallint, i integer, b boolean, r real, d double precision, n numeric(38,10), u numeric(38,18), m numeric(7,0), x text, t text, v text, c text, y bytea, day date, at time without time zone, ts timestamp without time zone, tz timestamp with time zone, span text, one text, j text, jb text, e text, dom numeric(5,4), l integer[], lt text[], ip text, price text"###);
    // Declared otherwise: what no type here has room for is text.
    server.sql("create table odd as select 'infinity'::timestamp as at, 'NaN'::numeric as n, '{{1,2},{3,4}}'::int[] as l");
    for (column, said) in [("at", "infinity"), ("n", "NaN"), ("l", "dimensions")] {
        let from = format!("db:(select {column} from odd)");
        let message = place.message(json!({"from": from, "to": "odd.csv"})).await;
        assert!(message.contains(said) && message.contains(column), "{message}");
        place.done(json!({"from": from, "to": "odd.csv", "columns": {(column): "string"}})).await;
    }
}

#[tokio::test]
async fn parts_are_read_from_one_snapshot_in_order() {
    let Some(server) = TestPostgres::start() else { return };
    server.sql("create table big as select g as id, md5(g::text) as t, date '2026-01-01' + g % 365 as day from generate_series(1, 400000) g");
    let place = postgres(&server);
    place.done(json!({"from": "db:big", "to": "one.csv", "parallelism": 1})).await;
    place.done(json!({"from": "db:big", "to": "pages.csv", "parallelism": 3})).await;
    assert!(place.text("one.csv") == place.text("pages.csv"), "rows come in another order");
    let sorted = |name: &str| {
        let mut lines: Vec<String> = place.text(name).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for partition in
        [json!({"column": "id", "parts": 7}), json!({"column": "day"}), json!({"hash": "t", "parts": 3})]
    {
        place
            .done(json!({"from": "db:big", "to": "parts.csv", "parallelism": 2, "partition": partition}))
            .await;
        assert!(sorted("parts.csv") == sorted("one.csv"), "{partition}");
    }
    let message = place.message(json!({"from": "db:big", "to": "x.csv", "partition": {"column": "t"}})).await;
    assert!(message.contains("cannot be divided"), "{message}");
}

/// Divided in each of these ways the rows are what they are undivided, and come in the same number; `never` has no ranges.
async fn divided(place: &Place, from: &str, ways: &[Value], never: &str) {
    place.done(json!({"from": from, "to": "one.csv", "parallelism": 1})).await;
    let sorted = |name: &str| {
        let mut lines: Vec<String> = place.text(name).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let expected = sorted("one.csv");
    for (partition, parallelism) in ways.iter().flat_map(|way| [(way, 3), (way, 1)]) {
        let config =
            json!({"from": from, "to": "parts.csv", "parallelism": parallelism, "partition": partition});
        place.done(config).await;
        assert!(sorted("parts.csv") == expected, "{from} {partition} {parallelism}");
    }
    let message = place.message(json!({"from": from, "to": "x.csv", "partition": {"column": never}})).await;
    assert!(message.contains("cannot be divided by") && message.contains(never), "{message}");
    let message =
        place.message(json!({"from": from, "to": "x.csv", "partition": {"column": "absent"}})).await;
    assert!(message.contains("absent"), "{message}");
    let message = place.message(json!({"from": from, "to": "x.csv", "partition": {}})).await;
    assert_eq!(message, "`partition` takes either `column` or `hash`");
}

/// Ways for a table with a column of each kind.
fn ways() -> [Value; 9] {
    [
        json!({"column": "id", "parts": 7}),
        json!({"column": "id", "parts": 1}),
        json!({"column": "same", "parts": 4}),
        json!({"column": "n"}),
        json!({"column": "share", "parts": 5}),
        json!({"column": "day", "parts": 3}),
        json!({"column": "at", "parts": 6}),
        json!({"hash": "t", "parts": 3}),
        json!({"hash": "id"}),
    ]
}

#[tokio::test]
async fn parts_of_mariadb_have_each_row_once() {
    let Some(server) = TestMariadb::start() else { return };
    server.sql(
        "create table big (id bigint unsigned, same int, n decimal(20,4), share double, day date, at datetime(6), stamp timestamp(6) null, y year, t varchar(40));
         insert into big select 18446744073709551615 - seq * 3, 7, seq / 8 - 1000, if(seq % 9 = 0, null, seq / 7), date '2024-02-28' + interval seq % 800 day,
             timestamp '1999-12-31 23:59:59.999999' + interval seq * 977 second, timestamp '2026-01-01 00:00:00' + interval seq minute, 1901 + seq % 250,
             if(seq % 5 = 0, null, concat('größe ', seq)) from seq_1_to_10000;
         insert into big values (null, null, null, null, null, null, null, null, null)",
    );
    let place = mariadb(&server);
    let mut all = ways().to_vec();
    all.extend([json!({"column": "stamp", "parts": 5}), json!({"column": "y", "parts": 5})]);
    divided(&place, "db:big", &all, "t").await;
    divided(&place, "db:(select *, id % 2 as even from big where id % 2 = 0)", &ways()[3..], "t").await;
    // With a condition, and with bound values.
    for condition in [json!("n > 0 or n < -999"), json!({"text": "n > $1 or n < $2", "params": [0, -999]})] {
        let mut config = json!({"from": "db:big", "to": "some.csv", "where": condition, "partition": {"column": "id"}, "parallelism": 2});
        place.done(config.clone()).await;
        let lines = place.text("some.csv").lines().count();
        config["partition"] = Value::Null;
        place.done(config).await;
        assert_eq!(place.text("some.csv").lines().count(), lines);
        assert!(lines > 1000, "{lines}");
    }
    server.sql("create table none (id int); create table zero (day date); set sql_mode = ''; insert into zero values ('0000-00-00'), ('2026-01-01')");
    place.done(json!({"from": "db:none", "to": "none.csv", "partition": {"column": "id"}})).await;
    assert_eq!(place.text("none.csv"), "id\n");
    let config = json!({"from": "db:zero", "to": "x.csv", "partition": {"column": "day"}, "columns": {"day": "string"}});
    let message = place.message(config).await;
    assert_eq!(message, "`zero` cannot be divided by `day`: it has values from `0000-00-00` to `2026-01-01`");
}

/// A table of SQLite with a column of each kind, values of other kinds and none.
const BIG: &str = "
pragma journal_mode = wal;
create table big (id integer, same int, n numeric, share real, day date, at timestamp, t text, mixed);
with recursive s(seq) as (select 1 union all select seq + 1 from s where seq < 30000)
insert into big select 9223372036854775807 - seq * 3, 7, seq / 8.0 - 1000, iif(seq % 9 = 0, null, seq / 7.0),
    date('2024-02-28', (seq % 800) || ' days'), datetime('1999-12-31 23:59:59', (seq * 977) || ' seconds'),
    iif(seq % 5 = 0, null, 'größe ' || seq), iif(seq % 2, seq, 'x' || seq) from s;
insert into big values (null, null, null, null, null, null, null, null);";

#[tokio::test]
async fn parts_of_sqlite_have_each_row_once() {
    let place = sqlite();
    database(&place, BIG).await;
    divided(&place, "db:big", &ways(), "t").await;
    divided(&place, "db:(select * from big where id % 4 < 2)", &ways(), "mixed").await;
    let config = json!({"from": "db:big", "to": "some.csv", "where": {"text": "n > $1", "params": [0]}, "partition": {"column": "id"}, "parallelism": 2});
    place.done(config).await;
    assert_eq!(place.text("some.csv").lines().count(), 22_001);
    database(&place, "create table none (id integer)").await;
    place.done(json!({"from": "db:none", "to": "none.csv", "partition": {"column": "id"}})).await;
    assert_eq!(place.text("none.csv"), "id\n");
}

/// Somebody turns all rows around, again and again: each copy has all of them as they were at one moment.
#[tokio::test(flavor = "multi_thread")]
async fn parts_of_sqlite_are_read_from_one_snapshot() {
    for mode in ["wal", "delete"] {
        let place = sqlite();
        database(&place, &format!("pragma journal_mode = {mode}; create table t (id integer); \
            with recursive s(n) as (select 1 union all select n + 1 from s where n < 4000) insert into t select n from s")).await;
        let path = place.folder.path().join("data/db.sqlite");
        let (stop, turned) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, turns) = (stop.clone(), turned.clone());
        let turning = tokio::spawn(async move {
            let mut connection = opened(&path).await;
            while !stopped.load(Ordering::SeqCst) {
                sqlx::query("update t set id = -id").execute(&mut connection).await.unwrap();
                turns.fetch_add(1, Ordering::SeqCst);
            }
        });
        for _ in 0..8 {
            let before = turned.load(Ordering::SeqCst);
            let partition = json!({"column": "id", "parts": 6});
            place
                .done(json!({"from": "db:t", "to": "t.csv", "partition": partition, "parallelism": 4}))
                .await;
            let text = place.text("t.csv");
            let ids: Vec<i64> = text.lines().skip(1).map(|line| line.parse().unwrap()).collect();
            assert_eq!((ids.len(), ids.iter().sum::<i64>().abs()), (4000, 8_002_000), "{mode}");
            // The next copy meets another state.
            while turned.load(Ordering::SeqCst) == before {
                tokio::task::yield_now().await;
            }
        }
        stop.store(true, Ordering::SeqCst);
        turning.await.unwrap();
    }
}

async fn opened(path: &Path) -> sqlx::SqliteConnection {
    use sqlx::ConnectOptions as _;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    options.busy_timeout(Duration::from_secs(60)).connect().await.unwrap()
}

/// Runs statements in the file of the connection.
async fn database(place: &Place, sql: &str) {
    let mut connection = opened(&place.folder.path().join("data/db.sqlite")).await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
}

/// Every way of writing, in words that all three systems understand.
async fn every_way_of_writing(place: &Place) {
    place.file("a.csv", "id,n,day\n1,a,2026-01-01\n2,b,2026-01-02\n");
    place.file("b.csv", "id,n,day\n2,bb,2026-01-02\n3,x,2026-01-03\n3,y,2026-01-03\n");
    let to = |table: &str, file: &str, write: Value| json!({"from": file, "to": format!("db:{table}"), "write": write});
    let all = "select id, n from t order by id, n";
    for write in [json!("append"), json!("overwrite"), json!("truncate"), json!({"delete_insert": ["id"]})] {
        place.done(to("t", "a.csv", json!("overwrite"))).await;
        place.done(to("t", "b.csv", write.clone())).await;
        let expected = match write.as_str() {
            Some("append") => "id,n\n1,a\n2,b\n2,bb\n3,x\n3,y\n",
            Some(_) => "id,n\n2,bb\n3,x\n3,y\n",
            None => "id,n\n1,a\n2,bb\n3,x\n3,y\n",
        };
        assert_eq!(place.rows(all).await, expected, "{write}");
    }
    for (table, write, expected) in [
        ("u", json!({"upsert": ["id"]}), "id,n\n1,a\n2,bb\n3,y\n"),
        ("i", json!({"insert_only": ["id"]}), "id,n\n1,a\n2,b\n3,y\n"),
    ] {
        for file in ["a.csv", "b.csv"] {
            place.done(to(table, file, write.clone())).await;
        }
        assert_eq!(place.rows(&format!("select id, n from {table} order by id")).await, expected);
    }
    for file in ["a.csv", "b.csv", "b.csv"] {
        place.done(to("h", file, json!({"scd2": ["id"]}))).await;
    }
    let history = "select id, n, case when valid_to is null then 1 else 0 end as now_so from h order by id, valid_from, n";
    assert_eq!(place.rows(history).await, "id,n,now_so\n1,a,0\n2,b,0\n2,bb,1\n3,y,1\n");
    let seams = "select count(*) as c from h a join h b on a.id = b.id and a.valid_to = b.valid_from";
    assert_eq!(place.rows(seams).await, "c\n1\n");
    for _ in 0..2 {
        place.done(to("s", "a.csv", json!("snapshot"))).await;
    }
    let times = "select count(*) as c, count(distinct snapshot_at) as times from s";
    assert_eq!(place.rows(times).await, "c,times\n4,2\n");
    let range = |from: &str, to: &str| json!({"backfill": {"column": "day", "from": from, "to": to}});
    place.done(to("f", "a.csv", json!("overwrite"))).await;
    place.done(to("f", "b.csv", range("2026-01-02", "2026-01-04"))).await;
    assert_eq!(place.rows("select id, n from f order by id, n").await, "id,n\n1,a\n2,bb\n3,x\n3,y\n");
    let message = place.message(to("f", "a.csv", range("2026-01-02", "2026-01-04"))).await;
    assert_eq!(message, "1 rows are outside of the range that is filled, by their `day`");
    assert_eq!(place.rows("select count(*) as c from f").await, "c\n4\n");

    each_row_says_what_it_does(place).await;

    // Other columns: overwritten, the table is made anew; added to, the copy fails and says what to do.
    place.file("c.csv", "id,other\n1,2\n");
    let error = place.copy(to("t", "c.csv", json!("append"))).await.unwrap_err();
    assert_eq!(error.problem.message, "the table `t` has no column `other`");
    place.done(to("t", "c.csv", json!("overwrite"))).await;
    assert_eq!(place.rows("select * from t").await, "id,other\n1,2\n");

    // Before and after, and all of it or nothing.
    let mut with_sql = to("t", "c.csv", json!("append"));
    with_sql["pre_sql"] = json!(["delete from t"]);
    with_sql["post_sql"] = json!(["update t set other = other + 1"]);
    place.done(with_sql.clone()).await;
    assert_eq!(place.rows("select * from t").await, "id,other\n1,3\n");
    with_sql["post_sql"] = json!(["update absent set other = 1"]);
    assert!(place.message(with_sql).await.contains("absent"));
    assert_eq!(place.rows("select * from t").await, "id,other\n1,3\n");

    // A load happens once for each key.
    place.done(to("o", "a.csv", json!("append"))).await;
    let again = place.attempt(to("o", "a.csv", json!("append"))).await.unwrap();
    assert_eq!((again.rows, &again.outputs["rows"]), (Some(2), &json!(2)));
    assert_eq!(place.rows("select count(*) as c from o").await, "c\n2\n");

    let message = place.message(to("t", "a.csv", json!({"upsert": ["absent"]}))).await;
    assert_eq!(message, "`write` names the column `absent`, which the rows do not have");
}

/// Rows of a change log, each with what it does.
async fn each_row_says_what_it_does(place: &Place) {
    let changes = |file: &str| json!({"from": file, "to": "db:c", "write": {"apply_changes": {"keys": ["id"]}}, "schema": "evolve"});
    let (all, expected) = ("select id, n from c order by id", "id,n\n1,aa\n5,h\n6,i\n");
    // Nothing is there yet: what updates and deletes finds nothing, but what was added before it.
    place.file("first.csv", "_op,id,n\ninsert,1,a\nU,2,b\nd,3,c\nupsert,4,d\nc,5,e\nu,5,f\n");
    place.done(changes("first.csv")).await;
    assert_eq!(place.rows(all).await, "id,n\n1,a\n4,d\n5,f\n");
    place.file(
        "second.csv",
        "id,n,_op\n1,aa,update\n2,bb,update\n4,,delete\n5,,D\n5,h,I\n6,i,r\n7,j,insert\n7,,delete\n7,k,update\n",
    );
    place.done(changes("second.csv")).await;
    assert_eq!(place.rows(all).await, expected);
    // What is there stays as it is if a row cannot be taken.
    for (rows, why) in [
        ("i,2,x\ni,6,y\n", "1 rows are to be inserted, and their keys are there already"),
        ("i,2,x\ngone,3,y\n,4,z\n", "2 rows have something in `_op` that is not known"),
    ] {
        place.file("refused.csv", format!("_op,id,n\n{rows}"));
        assert_eq!(place.message(changes("refused.csv")).await, why);
        assert_eq!(place.rows(all).await, expected);
    }
    place.file("silent.csv", "id,n\n1,x\n");
    let message = place.message(changes("silent.csv")).await;
    assert_eq!(message, "`write` names the column `_op`, which the rows do not have");
    // Columns that are new come along, and what rows do is none.
    place.file("wide.csv", "what,id,n,more\ndelete,1,,\nupdate,5,hh,9\n");
    let mut wide = changes("wide.csv");
    wide["write"]["apply_changes"]["op"] = json!("what");
    place.done(wide).await;
    assert_eq!(place.rows("select * from c order by id").await, "id,n,more\n5,hh,9\n6,i,\n");
    // A table without an index on the keys, and one of which the keys are all.
    place.file("keys.csv", "_op,id\nu,1\nd,2\ni,3\n");
    place.file("ids.csv", "id\n1\n2\n");
    place.done(json!({"from": "ids.csv", "to": "db:k"})).await;
    place.done(json!({"from": "keys.csv", "to": "db:k", "write": {"apply_changes": {"keys": ["id"]}}})).await;
    assert_eq!(place.rows("select id from k order by id").await, "id\n1\n3\n");
}

#[tokio::test]
async fn every_way_of_writing_postgres() {
    let Some(server) = TestPostgres::start() else { return };
    every_way_of_writing(&postgres(&server)).await;
}

#[tokio::test]
async fn every_way_of_writing_mariadb() {
    let Some(server) = TestMariadb::start() else { return };
    let place = mariadb(&server);
    every_way_of_writing(&place).await;
    server.sql("create table plain (id bigint) engine=InnoDB; create table old (id bigint) engine=MyISAM");
    place.file("k.csv", "id\n1\n");
    let message =
        place.message(json!({"from": "k.csv", "to": "db:plain", "write": {"upsert": ["id"]}})).await;
    assert_eq!(message, "`plain` has no unique index on id");
    let message = place.message(json!({"from": "k.csv", "to": "db:old", "write": "append"})).await;
    assert_eq!(message, "the table `old` is kept by `MyISAM`, which has no transactions");
}

#[tokio::test]
async fn every_way_of_writing_sqlite() {
    every_way_of_writing(&sqlite()).await;
}

#[tokio::test]
async fn every_type_of_mariadb_comes_back() {
    let Some(server) = TestMariadb::start() else { return };
    server.sql(
        "create table nasty (id bigint primary key, t tinyint, s smallint, m mediumint, i int, ub bigint unsigned, us smallint unsigned,
           b boolean, bits bit(12), f float, d double, n decimal(38,10), x decimal(65,30), y year, day date, at time(6), ts datetime(6),
           tz timestamp(6) null, c char(5), v varchar(20), txt longtext, bin varbinary(20), bl longblob, e enum('a','b'), st set('x','y'), j json)
           character set utf8mb4 collate utf8mb4_bin;
         set time_zone = '+00:00';
         insert into nasty values
           (-9223372036854775808, -128, -32768, -8388608, -2147483648, 18446744073709551615, 65535, true, b'111111111111', -3.40282e38,
            -1.7976931348623157e308, -9999999999999999999999999999.9999999999, 0.000000000000000000000000000001, 1901, '1000-01-01', '00:00:00',
            '1000-01-01 00:00:00', '1970-01-01 00:00:01', 'c', 'v', 'tab\\tquote\\'\"\\\\ \u{e9}\u{4e2d}\u{1F600}', x'00ff', x'00ff', 'b', 'x,y', '{\"a\": 1}'),
           (9223372036854775807, 127, 32767, 8388607, 2147483647, 0, 0, false, b'0', 0.1, 0.1, 9999999999999999999999999999.9999999999,
            0, 2155, '9999-12-31', '23:59:59.999999', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07.999999', '', '', '', '', '', 'a', '', 'null'),
           (0, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
            null, null, null);
         create table back like nasty",
    );
    let place = mariadb(&server);
    place.done(json!({"from": "db:nasty", "to": "nasty.parquet"})).await;
    place.done(json!({"from": "nasty.parquet", "to": "db:back", "write": "append"})).await;
    let all = |table: &str| {
        server.sql(&format!("set time_zone = '+00:00'; select {table}.*, hex(bin), hex(bl), hex(txt), bits + 0 from {table} order by id"))
    };
    assert_eq!(all("back"), all("nasty"));
    place.done(json!({"from": "nasty.parquet", "to": "db:made"})).await;
    place.done(json!({"from": "db:made", "to": "made.parquet"})).await;
    insta::assert_snapshot!(server.sql("show create table made"), @r###"made	CREATE TABLE `made` (\n  `id` bigint(20) DEFAULT NULL,\n  `t` tinyint(4) DEFAULT NULL,\n  `s` smallint(6) DEFAULT NULL,\n  `m` int(11) DEFAULT NULL,\n  `i` int(11) DEFAULT NULL,\n  `ub` bigint(20) unsigned DEFAULT NULL,\n  `us` smallint(5) unsigned DEFAULT NULL,\n  `b` tinyint(1) DEFAULT NULL,\n  `bits` bigint(20) unsigned DEFAULT NULL,\n  `f` float DEFAULT NULL,\n  `d` double DEFAULT NULL,\n  `n` decimal(38,10) DEFAULT NULL,\n  `x` longtext DEFAULT NULL,\n  `y` smallint(6) DEFAULT NULL,\n  `day` date DEFAULT NULL,\n  `at` time(6) DEFAULT NULL,\n  `ts` datetime(6) DEFAULT NULL,\n  `tz` datetime(6) DEFAULT NULL,\n  `c` longtext DEFAULT NULL,\n  `v` longtext DEFAULT NULL,\n  `txt` longtext DEFAULT NULL,\n  `bin` longblob DEFAULT NULL,\n  `bl` longblob DEFAULT NULL,\n  `e` longtext DEFAULT NULL,\n  `st` longtext DEFAULT NULL,\n  `j` longtext DEFAULT NULL\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"###);
    server.sql("create table odd (d date, t time); set sql_mode = ''; insert into odd values ('0000-00-00', '838:59:59')");
    for column in ["d", "t"] {
        let from = format!("db:(select {column} from odd)");
        let message = place.message(json!({"from": from, "to": "odd.csv"})).await;
        assert!(message.contains(&format!("columns: {{{column}: string}}")), "{message}");
        place.done(json!({"from": from, "to": "odd.csv", "columns": {(column): "string"}})).await;
    }
}

/// What PostgreSQL has, there and back through SQLite.
#[tokio::test]
async fn every_type_survives_sqlite() {
    let Some(server) = TestPostgres::start() else { return };
    server.sql(NASTY);
    server.sql("update nasty set r = 0.1 where r = 'NaN'; update nasty set day = '0001-01-01' where id < 0; update nasty set day = '9999-12-31' where id > 1; \
                update nasty set at = '23:59:59' where id > 1; create table back (like nasty including all)");
    let mut place = postgres(&server);
    place.connections.insert("local".to_owned(), json!({"sqlite": {"path": "here.db"}}).into());
    place.done(json!({"from": "db:nasty", "to": "local:nasty"})).await;
    let columns = json!({"l": "string", "lt": "string"});
    // Lists are JSON there.
    let lists = "(select * from nasty)";
    place.done(json!({"from": format!("local:{lists}"), "to": "back.parquet", "columns": columns})).await;
    server.sql("alter table back alter l type text, alter lt type text");
    place.done(json!({"from": "back.parquet", "to": "db:back", "write": "append"})).await;
    let differing = "select count(*) from (select to_jsonb(p_) - 'l' - 'lt' from nasty p_ except all select to_jsonb(q_) - 'l' - 'lt' from back q_) d_";
    assert_eq!(server.sql(differing), "0\n");
    assert_eq!(server.sql("select l, lt from back where id > 1"), "[1,null,-3]\t[\"a,b\",null,\"\"]\n");
}

#[tokio::test]
async fn connections_that_cannot_be() {
    let mut place = Place::new();
    for (name, settings) in [
        ("outside", json!({"sqlite": {"path": "../x.db"}})),
        ("none", json!({"sqlite": {"path": "absent.db"}})),
        ("odd", json!({"postgres": {"url": "postgres://db/shop?sslmode=maybe"}})),
        ("other", json!({"mysql": {"url": "postgres://db/shop"}})),
        ("misspelt", json!({"mysql": {"uri": "mysql://db/shop"}})),
        ("closed", json!({"mysql": {"url": "mysql://127.0.0.1:1/shop"}})),
    ] {
        place.connections.insert(name.to_owned(), settings.into());
    }
    let mut said = Vec::new();
    for name in ["outside", "none", "odd", "other", "misspelt", "closed", "absent"] {
        let problem = place.copy(json!({"from": format!("{name}:t"), "to": "x.csv"})).await.unwrap_err();
        let message = problem.problem.message.replace(&*place.folder.path().to_string_lossy(), "[folder]");
        said.push(format!("{message} ({})", problem.problem.hints.join("; ")));
    }
    insta::assert_snapshot!(said.join("\n"), @r###"
    the connection `outside`: `../x.db` leads out of the workspace (sqlite: {path: data/shop.db}, or an absolute path)
    cannot read `[folder]/absent.db`: there is no such file ()
    the connection `odd`: `maybe` is no `sslmode` (sslmode is disable, prefer, require, verify-ca or verify-full)
    the URL of the connection `other` cannot be read (mysql://user@host:3306/database)
    the connection `misspelt`: unknown field `uri`, expected `url` or `password` (mysql: {url, password})
    cannot read `closed`: error communicating with database: Connection refused (os error 111) ()
    there is no connection `absent` (the connections are: outside, none, odd, other, misspelt, closed)
    "###);
}
