//! Copies of what a source notes as changed.

use std::process::{Child, Command, Stdio};

use millrace_metastore::testing::TestPostgres;
use serde_json::{Value, json};

use super::Place;

/// A source and a sink of their own.
fn place(server: &TestPostgres) -> Place {
    let mut place = Place::with("db", json!({"sqlite": {"path": "data/sink.sqlite"}}));
    place.connections.insert("shop".to_owned(), json!({"postgres": {"url": server.url()}}).into());
    place
}

/// A step that applies what changed in a table.
fn applied(table: &str, keys: &[&str]) -> Value {
    json!({
        "from": format!("shop:{table}"), "to": "db:sink", "write": {"apply_changes": {"keys": keys}},
        "incremental": {"changes": true, "slot": "sink"}, "state": "state/sink.json",
    })
}

async fn count(place: &Place, step: &Value) -> u64 {
    let done = place.copy(step.clone()).await;
    assert!(done.is_ok(), "{step}: {done:?}");
    done.unwrap().rows.unwrap()
}

const ORDERS: &str = "create table orders (id int primary key, note text, price numeric(12,2));
    insert into orders select i, 'n' || i, i * 1.25 from generate_series(1, 5) i";

async fn orders(place: &Place) -> String {
    place.rows("select * from sink order by id").await
}

#[tokio::test]
async fn what_changed_in_postgres_is_changed_in_the_sink() {
    let Some(server) = TestPostgres::start() else { return };
    server.sql(ORDERS);
    let (place, step) = (place(&server), applied("public.orders", &["id"]));
    assert_eq!(count(&place, &step).await, 5);
    assert_eq!(count(&place, &step).await, 0);
    // One row changes twice, one is there for a moment, one gets another key, one is added and one goes; another table has nothing to say.
    server.sql("create table other (id int primary key); insert into other values (1)");
    server.sql("begin; update orders set note = 'x' where id = 1; update orders set note = null, price = 0.01 where id = 1; commit");
    server.sql("insert into orders values (6, 'six', 6); delete from orders where id = 6");
    server.sql("update orders set id = 20 where id = 2; insert into orders values (7, 'quoted '',\"\\', 7); delete from orders where id = 3");
    server.sql("begin; update orders set note = 'never' where id = 4; rollback");
    assert_eq!(count(&place, &step).await, 6);
    let now = "id,note,price\n1,,0.01\n4,n4,5.00\n5,n5,6.25\n7,\"quoted ',\"\"\\\",7.00\n20,n2,2.50\n";
    assert_eq!(orders(&place).await, now);
    assert_eq!(count(&place, &step).await, 0);
    // The server keeps nothing for the slot that the sink has.
    assert_eq!(server.sql("select count(*) from pg_logical_slot_peek_binary_changes('sink', null, null, 'proto_version', '1', 'publication_names', 'sink')").trim(), "0");

    // A sink that is gone is filled anew, though the slot is further on, and goes on from there.
    place
        .done(json!({"from": "shop:(select 1 as n)", "to": "db:other", "post_sql": ["drop table sink"]}))
        .await;
    server.sql("insert into orders values (8, 'eight', 8)");
    assert_eq!(count(&place, &step).await, 6);
    server.sql("delete from orders where id = 8");
    assert!(count(&place, &step).await >= 1);
    assert_eq!(orders(&place).await, now);
}

/// More rows than are read at once, in one transaction; then more transactions of other tables than there are changes.
#[tokio::test]
async fn many_rows_change_at_once() {
    let Some(server) = TestPostgres::start() else { return };
    server.sql("create table many (a int, b text, primary key (b, a)); create table other (id int)");
    server.sql("insert into many select i, 'key ' || i % 7 from generate_series(1, 25000) i");
    let (place, step) = (place(&server), applied("many", &["a", "b"]));
    assert_eq!(count(&place, &step).await, 25_000);
    server.sql("update many set b = b || '!' where a <= 12000; delete from many where a > 20000");
    server.sql("do $$ begin for i in 1..500 loop insert into other values (i); commit; end loop; end $$");
    assert_eq!(count(&place, &step).await, 12_000 * 2 + 5_000);
    let sums = "count(*) as n, sum(a) as s, count(distinct b) as b";
    let expected = server.sql("select count(*) || ',' || sum(a) || ',' || count(distinct b) from many");
    let found = place.rows(&format!("select {sums} from sink")).await;
    assert_eq!(found.lines().last(), Some(expected.trim()));
}

/// Columns by other names, and only some of them; what rows do stays with them.
#[tokio::test]
async fn changes_are_shaped_as_rows_are() {
    let Some(server) = TestPostgres::start() else { return };
    server.sql(ORDERS);
    let place = place(&server);
    let mut mapped = applied("orders", &["number"]);
    mapped["mapping"] = json!({"number": "id", "price": {"from": "price", "type": "string"}});
    assert_eq!(count(&place, &mapped).await, 5);
    server.sql("delete from orders where id > 1; update orders set price = 9");
    assert_eq!(count(&place, &mapped).await, 5);
    assert_eq!(place.rows("select * from sink").await, "number,price\n1,9.00\n");
    let mut log = applied("orders", &[]);
    log["write"] = json!("append");
    log["to"] = json!("db:log");
    log["select"] = json!(["id"]);
    log["incremental"]["slot"] = json!("log");
    log["state"] = json!("state/log.json");
    assert_eq!(count(&place, &log).await, 1);
    server.sql("insert into orders values (2, 'again', 1); delete from orders where id = 1");
    assert_eq!(count(&place, &log).await, 2);
    assert_eq!(
        place.rows("select id, _op from log order by id, _op desc").await,
        "id,_op\n1,upsert\n1,delete\n2,upsert\n"
    );
}

/// What is told of tables and slots that cannot be followed.
#[tokio::test]
async fn changes_that_cannot_be_known_are_told() {
    let Some(server) = TestPostgres::start() else { return };
    server.sql(ORDERS);
    server.sql("create table keyless (n int); create table odd (_op int primary key); create table rest (id int primary key)");
    server.sql("alter table rest replica identity full; create publication pub for table keyless");
    let place = place(&server);
    let mut said = Vec::new();
    for (table, keys) in [("absent", "id"), ("keyless", "n"), ("odd", "_op")] {
        said.push(place.message(applied(table, &[keys])).await);
    }
    let mut unpublished = applied("orders", &["id"]);
    unpublished["incremental"]["publication"] = json!("pub");
    said.push(place.message(unpublished).await);
    server.sql("select pg_create_logical_replication_slot('sink', 'test_decoding')");
    said.push(place.message(applied("orders", &["id"])).await);
    server.sql("select pg_drop_replication_slot('sink')");

    let step = applied("orders", &["id"]);
    assert_eq!(count(&place, &step).await, 5);
    let mut other = step.clone();
    other["from"] = json!("shop:rest");
    said.push(place.message(other).await);
    server.sql("alter table orders replica identity nothing");
    said.push(place.message(step.clone()).await);
    let full = "alter table orders replica identity full";
    server
        .sql(&format!("{full}; update orders set note = 'f' where id = 1; delete from orders where id = 2"));
    assert_eq!(count(&place, &step).await, 2);
    server.sql("truncate orders");
    said.push(place.message(step.clone()).await);
    server.sql("select pg_replication_slot_advance('sink', pg_current_wal_lsn())");
    let moved = place.message(step.clone()).await;
    said.push(moved.split(" since ").next().unwrap().to_owned());
    server.sql("select pg_drop_replication_slot('sink')");
    said.push(place.message(step.clone()).await);
    place.file("state/sink.json", "{\"state\": 7}");
    said.push(place.message(step).await);
    insta::assert_snapshot!(said.join("\n"), @r###"
    cannot read `shop:absent`: relation "absent" does not exist
    cannot read `shop:keyless`: the table has no primary key, by which its changes are told
    `shop:odd` has a column `_op`, and one of this name is to say what a row does
    cannot read `shop:orders`: the publication "pub" does not have the table: `alter publication "pub" add table "orders"`
    cannot read `shop:orders`: the replication slot `sink` is not one of the plugin `pgoutput`; name another one
    `state/sink.json` says how far `shop:orders` was read, not `shop:rest`
    cannot read `shop:orders`: the server does not note its changes by the primary key: `alter table "orders" replica identity default`
    cannot read `shop:orders`: the table was truncated, so what changed since the last copy is not known; remove what was copied, and the next copy takes every row
    cannot read `shop:orders`: the replication slot `sink` keeps changes
    cannot read `shop:orders`: the replication slot `sink` is gone, so what changed since the last copy is not known; remove what was copied, and the next copy takes every row
    `state/sink.json` does not say how far the changes of `shop:orders` were read
    "###);
}

/// Changes rows in transactions of several, of two sessions at once.
fn writer(server: &TestPostgres, seed: u32) -> Child {
    let script = format!(
        "do $$ begin perform setseed(0.{seed}); for round in 1..1000000 loop exit when exists (select from enough); perform pg_sleep(0.002); \
         insert into busy select distinct on (1, 2) (random() * 9)::int || case when random() < 0.5 then ' \"''\\,{{}}' else '' end, \
           '2026-03-01T06:00:00.123456+01'::timestamptz + (random() * 20)::int * interval '1 hour', round, repeat('x', (random() * 9000)::int) \
           from generate_series(1, 2) on conflict (a, b) do update set n = busy.n + 1; commit; \
         delete from busy where n % 7 = {seed} and random() < 0.1; commit; \
         update busy set b = b + interval '30 days' + random() * interval '30 days' where n % 11 = {seed} and random() < 0.02 and b < '2026-03-20'; commit; \
         end loop; end $$"
    );
    let mut psql = Command::new("psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", &script.replace('\n', " "), &server.url()]);
    psql.stdout(Stdio::null()).spawn().unwrap()
}

/// Two writers change rows of a divided table while copies run; at the end the sink is what the table is, and a log of the changes ends with it.
#[tokio::test]
async fn copies_beside_writers_lose_nothing() {
    let Some(server) = TestPostgres::start() else { return };
    server.sql(
        "create table busy (a text, b timestamptz, n int, big text, primary key (a, b)) partition by hash (a);
        create table busy_one partition of busy for values with (modulus 2, remainder 0);
        create table busy_two partition of busy for values with (modulus 2, remainder 1);
        create table enough (n int);
        create table sink (b timestamptz, a text, n int, big text, primary key (a, b))",
    );
    let place = place(&server);
    let mut step = applied("busy", &["a", "b"]);
    step["to"] = json!("shop:sink");
    let mut writers = [writer(&server, 1), writer(&server, 2)];
    let mut changes = 0;
    for _ in 0..20 {
        changes += count(&place, &step).await;
    }
    server.sql("insert into enough values (1)");
    assert!(writers.iter_mut().all(|writer| writer.wait().unwrap().success()));
    count(&place, &step).await;
    assert!(changes > 100, "{changes}");
    let differing = "select count(*) from ((select a, b, n, md5(big) from busy except select a, b, n, md5(big) from sink) \
                     union all (select a, b, n, md5(big) from sink except select a, b, n, md5(big) from busy)) d";
    assert_eq!(server.sql(differing).trim(), "0");
    assert_ne!(server.sql("select count(*) from sink").trim(), "0");
    assert_eq!(count(&place, &step).await, 0);
}

/// A commit that waits for a standby stands in the log, and nobody sees yet what it did.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_nobody_sees_yet_is_waited_for() {
    let Some(server) = TestPostgres::start() else { return };
    server.sql(ORDERS);
    let (place, step) = (place(&server), applied("orders", &["id"]));
    count(&place, &step).await;
    let standby = |setting: &str| {
        server.sql(&format!("alter system {setting}"));
        server.sql("select pg_reload_conf()");
    };
    standby("set synchronous_standby_names = 'nobody'");
    let mut psql = Command::new("psql");
    psql.args(["-X", "-q", "-c", "update orders set note = 'seen' where id = 1", &server.url()]);
    let mut writer = psql.spawn().unwrap();
    while server.sql("select count(*) from pg_stat_activity where wait_event = 'SyncRep'").trim() != "1" {
        assert!(writer.try_wait().unwrap().is_none(), "it does not wait");
    }
    assert_eq!(server.sql("select note from orders where id = 1").trim(), "n1");
    let (copied, ()) = tokio::join!(count(&place, &step), async {
        // The copy is under way.
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        standby("reset synchronous_standby_names");
    });
    assert!(copied == 1 && writer.wait().unwrap().success());
    assert_eq!(place.rows("select note from sink where id = 1").await, "note\nseen\n");
}

#[tokio::test]
async fn what_notes_no_changes_is_told() {
    let mut place = Place::with("db", json!({"sqlite": {"path": "data/sink.sqlite"}}));
    for (name, settings) in [
        ("shop", json!({"postgres": {"url": "postgres://u@h/d"}})),
        ("old", json!({"mysql": {"url": "mysql://u@h/d"}})),
        ("erp", json!({"sqlserver": {"host": "h", "user": "u", "password": "p"}})),
    ] {
        place.connections.insert(name.to_owned(), settings.into());
    }
    let mut said = Vec::new();
    for change in [
        json!({"from": "a.csv"}),
        json!({"from": "old:orders"}),
        json!({"from": "erp:(select 1 as n)"}),
        json!({"from": "erp:orders", "incremental": {"changes": true, "slot": "s"}}),
        json!({"from": "shop:(select 1 as n)"}),
        json!({"incremental": {"changes": true}}),
        json!({"incremental": {"changes": true, "column": "id"}}),
        json!({"incremental": {}}),
        json!({"state": null}),
        json!({"state": "../a.json"}),
        json!({"write": {"upsert": ["id"]}}),
        json!({"where": "id > 1"}),
        json!({"partition": {"column": "id", "resume": true}}),
        json!({"to": "out.csv", "write": "append"}),
        json!({"from": "delta:lake/orders@3", "incremental": {"changes": true}}),
        json!({"incremental": {"column": "id"}}),
        json!({"incremental": {"column": "id", "slot": "s"}, "state": null}),
    ] {
        let mut step = applied("orders", &["id"]);
        step.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let problem = place.copy(step).await.unwrap_err().problem;
        said.push(format!("{}\n  {}", problem.message, problem.hints.join("; ")));
    }
    insta::assert_snapshot!(said.join("\n"), @r###"
    `a.csv` notes no changes that are read here; SQL Server, PostgreSQL, Delta tables and datasets do
      incremental: {column: updated_at}
    `old:orders` notes no changes that are read here; SQL Server, PostgreSQL, Delta tables and datasets do
      incremental: {column: updated_at}
    changes are noted of tables, and `(select 1 as n)` is a query
      from: "erp:dbo.orders"
    `slot` and `publication` are of PostgreSQL
      incremental: {changes: true}
    changes are noted of tables, and `(select 1 as n)` is a query
      from: "erp:dbo.orders"
    PostgreSQL keeps changes for a replication slot, and `incremental` names none
      incremental: {changes: true, slot: orders_copy}
    PostgreSQL keeps changes for a replication slot, and `incremental` names none
      incremental: {changes: true, slot: orders_copy}
    `state` is for programs, taps and `incremental: {changes: true}`
      of other sources: `incremental: {column: updated_at}`
    `incremental: {changes: true}` keeps in `state` how far it has read
      write: {apply_changes: {keys: [id]}}, incremental: {changes: true}, state: state/orders.json
    `../a.json` is no file of the workspace
      state: state/orders.json
    `incremental: {changes: true}` brings rows that are to be changed or deleted
      `write: {apply_changes: {keys: [id]}}`, or `write: append` for a log of the changes
    `where` says nothing to `incremental: {changes: true}`, which takes every row that changed
      copy all of the table, and choose afterwards
    `resume` keeps rows of another moment than the changes that follow
      leave `resume` out
    `incremental` asks the sink what it has; a file is written anew each time
      copy to `data:name` or `connection:table`, or leave `incremental` out
    `delta:lake/orders` names one version, which does not change
      from: "delta:lake/orders", without `@`
    `state` is for programs, taps and `incremental: {changes: true}`
      of other sources: `incremental: {column: updated_at}`
    `incremental` has a `slot` or a `publication`, which are for `changes`
      incremental: {changes: true, slot: orders_copy}
    "###);
}
