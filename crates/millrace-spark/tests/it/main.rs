//! The client against Sail, which speaks Spark's protocol. `MILLRACE_TEST_SAIL` names an interpreter that has it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "a test that is left out says so")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use futures::StreamExt as _;
use millrace_contract::{RemoteEngine, RemoteError, RemoteQuery, RemoteView};
use millrace_spark::SparkSettings;
use serde_json::json;

/// A server of the test's own.
struct Sail {
    process: Child,
    port: u16,
}

impl Drop for Sail {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Sail {
    /// `None` where Sail is not installed.
    async fn start() -> Option<Self> {
        #[allow(clippy::disallowed_methods, reason = "a test is told where its servers are")]
        let Ok(python) = std::env::var("MILLRACE_TEST_SAIL") else {
            eprintln!(
                "skipped: MILLRACE_TEST_SAIL names no interpreter with Sail; `cargo xtask test` sets it"
            );
            return None;
        };
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(PathBuf::from(python).with_file_name("sail"))
            .args(["spark", "server", "--ip", "127.0.0.1", "--port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { process, port })
    }

    fn engine(&self) -> Arc<dyn RemoteEngine> {
        engine(&format!("sc://127.0.0.1:{}", self.port))
    }
}

fn engine(url: &str) -> Arc<dyn RemoteEngine> {
    let connection = json!({"spark": {"url": url, "headers": {"x-test": "1"}, "auto_above": "1MB"}});
    millrace_spark::engine("cluster", SparkSettings::read("cluster", &connection).unwrap().unwrap())
}

fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(
        columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>(),
    ))
}

fn query(sql: &str, columns: &[(&str, DataType)]) -> RemoteQuery {
    let options = vec![("spark.sql.ansi.enabled", "true"), ("spark.sql.session.timeZone", "UTC")];
    RemoteQuery { views: Vec::new(), options, sql: sql.to_owned(), schema: schema(columns) }
}

fn csv_view(folder: &Path) -> RemoteView {
    let file = folder.join("t.csv");
    std::fs::write(&file, "a,b\n1,x\n2,\"two\nlines\"\n,z\n").unwrap();
    let options = [("header", "true"), ("multiLine", "true")];
    RemoteView {
        name: "t".to_owned(),
        format: "csv",
        paths: vec![format!("file://{}", file.display())],
        schema: Some("`a` string, `b` string".to_owned()),
        options: options.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect(),
    }
}

#[tokio::test]
async fn rows_come_back_in_the_types_that_were_asked_for() {
    let Some(sail) = Sail::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let engine = sail.engine();
    assert_eq!(engine.auto_above(), Some(1_000_000));

    let view = csv_view(folder.path());
    let sql = "select cast(`a` as bigint) as `a`, `b` from t order by `a` asc nulls last";
    let asked = query(sql, &[("a", DataType::Int64), ("b", DataType::Utf8)]);
    let rows =
        engine.query(RemoteQuery { views: vec![view], ..asked }).await.unwrap().collect().await.unwrap();
    let rows = arrow::compute::concat_batches(rows[0].schema_ref(), &rows).unwrap();
    assert_eq!(rows.num_rows(), 3);
    assert_eq!(
        rows.column(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(),
        [Some(1), Some(2), None]
    );
    assert_eq!(rows.column(1).as_string::<i32>().value(1), "two\nlines");

    let sql = "select timestamp_ntz '2026-03-01 10:30:00' as t, cast(1.50 as decimal(10, 2)) as d, cast(null as void) as n, 7L as u";
    let columns = [
        ("t", DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ("d", DataType::Decimal128(10, 2)),
        ("n", DataType::Null),
        ("u", DataType::UInt64),
    ];
    let rows = engine.query(query(sql, &columns)).await.unwrap().collect().await.unwrap();
    assert_eq!(rows[0].schema(), schema(&columns));
    assert_eq!(rows[0].column(2).len(), 1);

    let wrong =
        engine.query(query("select 1.5D as v", &[("v", DataType::Int64)])).await.unwrap().collect().await;
    assert!(wrong.unwrap_err().to_string().contains("came from Spark as Float64, and is Int64 here"));
}

#[tokio::test]
async fn what_the_server_refuses_is_told_in_its_words() {
    let Some(sail) = Sail::start().await else { return };
    let engine = sail.engine();
    let told = match engine.query(query("select nothing from nowhere", &[("nothing", DataType::Int64)])).await
    {
        Ok(rows) => rows.collect().await.unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(told.contains("nowhere"), "{told}");
    // A row that cannot be computed ends the rows with an error, not with a null.
    let sql = "select cast(v as bigint) as v from values ('1'), ('x') as t(v)";
    let rows = engine.query(query(sql, &[("v", DataType::Int64)])).await;
    let failed = match rows {
        Ok(rows) => rows.collect().await.is_err(),
        Err(_) => true,
    };
    assert!(failed);
}

#[tokio::test]
async fn a_query_whose_rows_nobody_wants_ends_over_there() {
    let Some(sail) = Sail::start().await else { return };
    let engine = sail.engine();
    // Rows without an end that matters: a cross join of three ranges.
    let endless =
        "select a.id as v from range(100000) a cross join range(100000) b cross join range(100000) c";
    let mut rows = engine.query(query(endless, &[("v", DataType::Int64)])).await.unwrap();
    assert!(rows.batches.next().await.unwrap().is_ok());
    drop(rows);
    // The server is free again: another query is answered.
    let rows = engine.query(query("select 1L as v", &[("v", DataType::Int64)])).await.unwrap();
    assert_eq!(rows.collect().await.unwrap()[0].num_rows(), 1);
}

#[tokio::test]
async fn a_server_that_is_away_is_told_with_its_address() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("sc://127.0.0.1:{port}");
    let error = engine(&url).query(query("select 1 as v", &[("v", DataType::Int32)])).await.err().unwrap();
    assert!(matches!(&error, RemoteError::Unreachable { address, .. } if *address == url), "{error}");
}
