//! Copies of what is new alone.

use millrace_metastore::testing::{TestMariadb, TestPostgres};
use serde_json::{Value, json};

use super::Place;

/// From one table to another of the same database.
fn newer(write: Value, lookback: Value) -> Value {
    let mut incremental = json!({"column": "at"});
    if !lookback.is_null() {
        incremental["lookback"] = lookback;
    }
    let rename = json!({"updated": "at"});
    json!({"from": "db:source", "to": "db:sink", "write": write, "rename": rename, "incremental": incremental, "add": {"run": "$loaded_at"}})
}

impl Place {
    /// Adds rows to the source.
    async fn source(&self, rows: &str) {
        self.file("rows.csv", format!("id,n,updated\n{rows}"));
        let columns = json!({"id": "integer", "n": "string", "updated": "datetime"});
        self.done(json!({"from": "rows.csv", "to": "db:source", "write": "append", "columns": columns}))
            .await;
    }

    async fn new_rows(&self, config: Value) -> u64 {
        let said = self.copy(config.clone()).await;
        assert!(said.is_ok(), "{config}: {said:?}");
        said.unwrap().rows.unwrap()
    }
}

async fn only_new_rows_are_copied(place: &Place) {
    let append = newer(json!("append"), Value::Null);
    // MariaDB does not keep the order of an inner query.
    let rows = async |table: &str| {
        let text = place.rows(&format!("select id, n from {table}")).await;
        let mut lines: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    place.source("1,a,2026-03-01T10:00:00\n2,b,2026-03-01T11:00:00.5\n2,b,2026-03-01T11:00:00.5\n").await;
    assert_eq!(place.new_rows(append.clone()).await, 3);
    assert_eq!(place.new_rows(append.clone()).await, 0);
    // As new as the newest one, one of them the same in everything; and one that comes too late.
    place.source("3,c,2026-03-01T11:00:00.5\n2,b,2026-03-01T11:00:00.5\n4,d,2026-03-01T10:30:00\n").await;
    assert_eq!(place.new_rows(append.clone()).await, 2);
    assert_eq!(rows("sink").await, ["1,a", "2,b", "2,b", "2,b", "3,c"]);
    let back = newer(json!("append"), json!("45m"));
    assert_eq!(place.new_rows(back.clone()).await, 1);
    assert_eq!(place.new_rows(back).await, 0);
    assert_eq!(rows("sink").await, ["1,a", "2,b", "2,b", "2,b", "3,c", "4,d"]);
    // A sink that is cut back is filled again, together with a condition of the user's.
    place.file("keep.csv", "id,n,at\n1,a,2026-03-01T10:00:00\n");
    place.done(json!({"from": "keep.csv", "to": "db:sink"})).await;
    let mut some = append;
    some["where"] = json!({"text": "id <> $1", "params": [4]});
    some["add"] = json!({});
    assert_eq!(place.new_rows(some).await, 4);

    // A changed row comes again and replaces the old one.
    let keyed = |table: &str| {
        let mut config = newer(json!({"upsert": ["id"]}), Value::Null);
        config["from"] =
            json!("db:(select id, max(n) as n, max(updated) as updated from source group by id)");
        config["to"] = json!(format!("db:{table}"));
        // SQLite knows no type of what is computed.
        config["columns"] = json!({"updated": "datetime"});
        config
    };
    place.done(keyed("keyed")).await;
    place.source("1,z,2026-03-02T00:00:00\n").await;
    place.done(keyed("keyed")).await;
    assert_eq!(rows("keyed").await, ["1,z", "2,b", "3,c", "4,d"]);
}

#[tokio::test]
async fn incremental_postgres() {
    let Some(server) = TestPostgres::start() else { return };
    only_new_rows_are_copied(&Place::with("db", json!({"postgres": {"url": server.url()}}))).await;
}

#[tokio::test]
async fn incremental_mariadb() {
    let Some(server) = TestMariadb::start() else { return };
    only_new_rows_are_copied(&Place::with("db", json!({"mysql": {"url": server.url()}}))).await;
}

#[tokio::test]
async fn incremental_sqlite() {
    only_new_rows_are_copied(&Place::with("db", json!({"sqlite": {"path": "data/db.sqlite"}}))).await;
}

/// Files cannot be asked for less; what comes of them is less all the same.
#[tokio::test]
async fn incremental_from_files_by_number() {
    let place = Place::with("db", json!({"sqlite": {"path": "data/db.sqlite"}}));
    let config = |lookback: i64| json!({"from": "a.csv", "to": "db:t", "write": "append", "incremental": {"column": "id", "lookback": lookback}});
    place.file("a.csv", "id,n\n1,a\n10,b\n,none\n");
    assert_eq!(place.new_rows(config(0)).await, 3);
    place.file("a.csv", "id,n\n1,a\n4,late\n10,b\n10,other\n11,c\n,none\n");
    assert_eq!(place.new_rows(config(0)).await, 2);
    assert_eq!(place.new_rows(config(8)).await, 1);
    assert_eq!(place.rows("select n from t order by id, n").await, "n\nnone\na\nlate\nb\nother\nc\n");
}

#[tokio::test]
async fn what_cannot_be_incremental_is_told() {
    let place = Place::with("db", json!({"sqlite": {"path": "data/db.sqlite"}}));
    place.file("a.csv", "id,n\n1,a\n");
    place.done(json!({"from": "a.csv", "to": "db:t"})).await;
    let said = async |to: &str, write: &str, incremental: Value| {
        place.message(json!({"from": "a.csv", "to": to, "write": write, "incremental": incremental})).await
    };
    let by = |column: &str| json!({"column": column});
    insta::assert_snapshot!(said("db:t", "overwrite", by("id")).await, @r###"`incremental` brings only new rows, and this way of writing takes the others away"###);
    insta::assert_snapshot!(said("b.csv", "append", by("id")).await, @r###"`incremental` asks the sink what it has; a file is written anew each time"###);
    insta::assert_snapshot!(said("db:t", "append", by("absent")).await, @r###"the table `t` has no column `absent` that tells what is new"###);
    insta::assert_snapshot!(said("db:t", "append", by("n")).await, @r###"the column `n` of the table `t` is no number, date or time, so nothing in it is newer"###);
    insta::assert_snapshot!(said("db:t", "append", json!({"column": "id", "lookback": "2h"})).await, @r###"`id` has numbers, so `lookback` is a number"###);
}

/// Only files that changed since are read; those as new as the newest are, and their rows are told by their values.
#[tokio::test]
async fn incremental_by_the_time_of_files() {
    let place = Place::with("db", json!({"sqlite": {"path": "data/db.sqlite"}}));
    let at = |file: &str, seconds: u64| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        std::fs::File::options()
            .write(true)
            .open(place.folder.path().join(file))
            .unwrap()
            .set_modified(time)
            .unwrap();
    };
    let config = json!({"from": "day*.csv", "to": "db:t", "write": "append",
        "add": {"file": "$file", "changed": "$modified"}, "incremental": {"column": "changed"}});
    place.file("day1.csv", "n\n1\n");
    place.file("day2.csv", "n\n2\n2\n");
    at("day1.csv", 1_000);
    at("day2.csv", 2_000);
    assert_eq!(place.new_rows(config.clone()).await, 3);
    // It is not even looked at: nothing in it is a row.
    place.file("day1.csv", "n\n\"\n");
    at("day1.csv", 1_000);
    assert_eq!(place.new_rows(config.clone()).await, 0);
    place.file("day3.csv", "n\n2\n3\n");
    at("day3.csv", 2_000);
    place.file("day4.csv", "n\n4\n");
    at("day4.csv", 3_000);
    assert_eq!(place.new_rows(config.clone()).await, 2 + 1);
    assert_eq!(
        place.rows("select n, file from t order by n, file").await,
        "n,file\n1,day1.csv\n2,day2.csv\n2,day2.csv\n2,day3.csv\n3,day3.csv\n4,day4.csv\n"
    );
}
