//! The step `copy` between real files, a real PostgreSQL and real servers of files.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "this is a test")]

mod adbc;
mod answering;
mod broken;
mod changes;
mod clickhouse;
mod contract;
mod cutting;
mod databases;
mod delivery;
mod formats;
mod full_disks;
mod git;
mod iceberg;
mod incremental;
mod kept;
mod mongodb;
mod nasty;
#[cfg(feature = "odbc")]
mod odbc;
mod others;
mod programs;
mod s3;
mod servers;
mod severed;
mod shape;
mod sqlserver;
mod stores;
mod survival;
mod sync;
mod transports;
mod web;

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::*;
use millrace_metastore::testing::TestPostgres;
use millrace_transfer::{Connections, Copy, CopyServices, Sync, connectors};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// An engine with no tables and a catalog with no datasets: these tests copy between files and a database.
struct NoTables;

#[async_trait]
impl QueryEngine for NoTables {
    async fn query(&self, _: QueryRequest) -> Result<BatchStream, QueryError> {
        Err(QueryError::Cancelled)
    }
    async fn plan_schema(&self, _: QueryRequest) -> Result<arrow::datatypes::SchemaRef, QueryError> {
        Err(QueryError::Cancelled)
    }
    async fn scan(
        &self,
        _: &TableRef,
        _: Option<Vec<String>>,
        _: Option<usize>,
    ) -> Result<BatchStream, QueryError> {
        Err(QueryError::Cancelled)
    }
    async fn select(&self, _: &TableRef, _: Selection) -> Result<BatchStream, QueryError> {
        Err(QueryError::Cancelled)
    }

    async fn table_names(&self, _: &str) -> Result<Vec<String>, QueryError> {
        Err(QueryError::Cancelled)
    }

    async fn write_table(
        &self,
        uri: &str,
        rows: BatchStream,
        _: WriteMode,
    ) -> Result<WrittenTable, QueryError> {
        let batches = rows.collect().await?;
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let uri = uri.to_owned();
        Ok(WrittenTable {
            uri,
            delta_version: 0,
            rows,
            size_bytes: 1,
            digest: "blake3:0".to_owned(),
            schema: json!([]),
        })
    }
    async fn profile(&self, _: &TableRef) -> Result<TableProfile, QueryError> {
        Ok(TableProfile { rows: 0, columns: Vec::new() })
    }
    async fn parquet_files(&self, _: &TableRef, _: &Path) -> Result<Vec<std::path::PathBuf>, QueryError> {
        Err(QueryError::Cancelled)
    }
}

#[async_trait]
impl DatasetCatalog for NoTables {
    fn location(&self, name: &str) -> Result<String, CatalogError> {
        Ok(format!("file:///datasets/{name}"))
    }
    async fn commit(&self, new: NewDatasetVersion) -> Result<DatasetVersion, CatalogError> {
        let mut asset = new.asset;
        (asset.name, asset.version) = (Some(new.name), Some(1));
        let created_at = "2026-01-01T00:00:00Z".parse().unwrap();
        let (schema, producer, inputs) = (new.schema, new.producer, new.inputs);
        Ok(DatasetVersion { asset, schema, profile: None, producer, inputs, created_at })
    }
    async fn resolve(&self, reference: &str) -> Result<DatasetVersion, CatalogError> {
        Err(CatalogError::NotFound { kind: "dataset", reference: reference.to_owned(), suggestion: None })
    }
    async fn list(&self) -> Result<Vec<DatasetVersion>, CatalogError> {
        Ok(Vec::new())
    }
    async fn versions(&self, _: &str) -> Result<Vec<DatasetVersion>, CatalogError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Queues for NoTables {
    async fn read(
        &self,
        reading: QueueReading,
    ) -> Result<Box<dyn QueueReader>, millrace_spec::problem::Problem> {
        Err(millrace_spec::problem::Problem::error("event-source", format!("{reading:?}")))
    }
}

#[async_trait]
impl Mailboxes for NoTables {
    async fn attachments(
        &self,
        wanted: &MailSearch,
        _: &Path,
    ) -> Result<Vec<Attachment>, millrace_spec::problem::Problem> {
        Err(millrace_spec::problem::Problem::error("event-source", format!("{wanted:?}")))
    }
}

#[derive(Default)]
struct Seen(Mutex<Option<Progress>>);

impl StepLog for Seen {
    fn line(&self, _: &str) {}
}

impl ProgressSink for Seen {
    fn report(&self, progress: Progress) {
        *self.0.lock().unwrap() = Some(progress);
    }
}

struct Place {
    folder: tempfile::TempDir,
    connections: Connections,
    cancel: CancellationToken,
    /// Of the step; another one for each copy unless it is held.
    key: Mutex<String>,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            connections: Connections::new(),
            cancel: CancellationToken::new(),
            key: Mutex::default(),
        }
    }

    /// One with a connection, whose settings are those of `usual` and, before them, of `other`.
    fn connected(name: &str, kind: &str, mut usual: Value, other: Value) -> Self {
        let mut place = Self::new();
        usual.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        place.connections.insert(name.to_owned(), json!({ kind: usual }).into());
        place
    }

    /// A copy of its own.
    fn fresh(&self) {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        *self.key.lock().unwrap() =
            format!("key-{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    async fn copy(&self, config: Value) -> Result<StepOutcome, StepError> {
        self.fresh();
        self.attempt(config).await
    }

    /// One with the key of the copy before.
    async fn attempt(&self, config: Value) -> Result<StepOutcome, StepError> {
        self.step(&Copy::new(self.services()), config).await
    }

    /// Copies files as they are.
    async fn sync(&self, config: Value) -> Result<StepOutcome, StepError> {
        self.fresh();
        self.step(&Sync::new(self.services()), config).await
    }

    fn services(&self) -> CopyServices {
        let connections = self.connections.clone();
        let connections = Arc::new(move || Ok(connections.clone()));
        CopyServices {
            engine: Arc::new(NoTables),
            datasets: Arc::new(NoTables),
            workspace: self.folder.path().to_owned(),
            connections,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            queues: Arc::new(NoTables),
            mailboxes: Arc::new(NoTables),
            clock: Arc::new(SystemClock),
        }
    }

    async fn step(&self, kind: &dyn StepKind, config: Value) -> Result<StepOutcome, StepError> {
        if let Some(problem) = kind.check(&config).into_iter().next() {
            return Err(StepError::permanent(problem));
        }
        kind.run(self.context(config)).await
    }

    /// "Test connection" of one of them.
    async fn probed(&self, name: &str) -> Result<(String, Vec<String>), String> {
        let context = self.context(Value::Null);
        std::fs::create_dir_all(&context.folder).unwrap();
        let probed = self.connections[name].probe(name, self.folder.path(), &context).await;
        probed.map_err(|error| error.problem().message)
    }

    fn context(&self, config: Value) -> StepContext {
        StepContext {
            run_id: "r1".to_owned(),
            pipeline: "daily".to_owned(),
            step: "copy".to_owned(),
            attempt: 1,
            idempotency_key: self.key.lock().unwrap().clone(),
            workspace: self.folder.path().to_owned(),
            folder: self.folder.path().join("attempt"),
            config,
            inputs: IndexMap::new(),
            outputs: IndexMap::new(),
            environment: None,
            env: IndexMap::new(),
            secrets: Vec::new(),
            timeout_ms: None,
            tracking_run_id: "t1".to_owned(),
            cancel: self.cancel.clone(),
            log: Arc::new(Seen::default()),
            progress: Arc::new(Seen::default()),
        }
    }

    async fn message(&self, config: Value) -> String {
        let message = self.copy(config).await.unwrap_err().problem.message;
        message.replace(&*self.folder.path().to_string_lossy(), "[folder]")
    }
}

/// Every type, nulls in every column, and text that needs quoting everywhere.
const ROWS: &str = "id,late,share,day,at,note
1,true,0.5,2026-03-01,2026-03-01T06:00:00,\"a, \"\"b\"\"\"
2,false,-1.25,2026-03-02,2026-03-01T06:00:00.250,\"tab\tand\\backslash
and line\"
3,,,,,
";

#[tokio::test]
async fn a_table_survives_every_format() {
    let place = Place::new();
    place.file("a.csv", ROWS);
    let stations = ["a.csv", "b.parquet", "c.jsonl", "d.csv.gz", "e.parquet", "f.csv.zst", "g.csv"];
    for pair in stations.windows(2) {
        // JSON has no dates: they arrive as text, and the next CSV's inference finds them again.
        let outcome = place.copy(json!({"from": pair[0], "to": pair[1]})).await.unwrap();
        assert_eq!(outcome.outputs["rows"], json!(3), "{pair:?}");
    }
    place.copy(json!({"from": "a.csv", "to": "direct.csv"})).await.unwrap();
    assert_eq!(place.text("g.csv"), place.text("direct.csv"));
}

#[tokio::test]
async fn a_database_takes_and_gives_a_table() {
    let Some(postgres) = TestPostgres::start() else { return };
    let mut place = Place::new();
    place.connections.insert("shop".to_owned(), json!({"postgres": {"url": postgres.url()}}).into());
    place.file("a.csv", ROWS);
    for write in [json!("overwrite"), json!("overwrite"), json!("append")] {
        place.copy(json!({"from": "a.csv", "to": "shop:public.rows", "write": write})).await.unwrap();
    }
    let condition = json!({"text": "at >= $1 and id < $2", "params": ["2026-01-01", 3]});
    let query = "shop:(select distinct * from public.rows order by id)";
    let outcome = place.copy(json!({"from": query, "to": "b.csv", "where": condition})).await.unwrap();
    assert_eq!(outcome.outputs["rows"], json!(2));
    place.copy(json!({"from": query, "to": "c.csv"})).await.unwrap();
    place.copy(json!({"from": "a.csv", "to": "direct.csv"})).await.unwrap();
    assert_eq!(place.text("c.csv"), place.text("direct.csv"));
    assert_eq!(place.copy(json!({"from": "shop:rows", "to": "d.csv"})).await.unwrap().rows, Some(6));

    place.file("k1.csv", "id,n\n1,a\n2,b\n");
    place.file("k2.csv", "id,n\n2,B\n3,C\n");
    for file in ["k1.csv", "k2.csv"] {
        place.copy(json!({"from": file, "to": "shop:keyed", "write": {"upsert": ["id"]}})).await.unwrap();
    }
    place.copy(json!({"from": "shop:(select * from keyed order by id)", "to": "k.csv"})).await.unwrap();
    assert_eq!(place.text("k.csv"), "id,n\n1,a\n2,B\n3,C\n");

    place.file("bad.csv", format!("id,n\n{}x,y\n", "5,e\n".repeat(20_000)));
    let error = place
        .copy(json!({"from": "bad.csv", "to": "shop:keyed", "columns": {"id": "integer"}}))
        .await
        .unwrap_err();
    assert_eq!(error.problem.message, "row cannot be read: `x` in column `id` is not of the type integer");
    assert_eq!(
        place.copy(json!({"from": "shop:keyed", "to": "k.csv"})).await.unwrap().rows,
        Some(3),
        "nothing changed"
    );
    let message = place.message(json!({"from": "shop:absent", "to": "x.csv"})).await;
    assert_eq!(message, "cannot read `absent`: relation \"absent\" does not exist");
}

#[tokio::test]
async fn bad_rows_are_set_aside_with_their_place() {
    let place = Place::new();
    place.file("a.csv", b"id,name\n1,a\n\n2\nx,\"two\nlines\"\n3,c,d\r\n4,\xff\n5,e\n");
    let config = json!({"from": "a.csv", "to": "b.csv", "columns": {"id": "integer"}, "on_error": "reject"});
    let outcome = place.copy(config.clone()).await.unwrap();
    assert_eq!((&outcome.outputs["rows"], &outcome.outputs["rejected"]), (&json!(2), &json!(4)));
    assert_eq!(place.text("b.csv"), "id,name\n1,a\n5,e\n");
    insta::assert_snapshot!(place.text("attempt/rejects.csv"), @r#"
    file,line,byte_offset,column,kind,raw,message
    "a.csv",4,13,"",too_few_fields,"2","it has 1 fields instead of 2"
    "a.csv",5,15,"id",type,"x,""two
    lines""","`x` in column `id` is not of the type integer"
    "a.csv",7,29,"",too_many_fields,"3,c,d","it has 3 fields instead of 2"
    "a.csv",8,36,"name",encoding,"4,�","the cell of column `name` is not UTF-8"
    "#);
    let mut limited = config;
    limited["max_rejects"] = json!(3);
    assert_eq!(place.message(limited).await, "more than 3 rows were rejected");
    let error = place.copy(json!({"from": "a.csv", "to": "c.csv"})).await.unwrap_err();
    assert_eq!(error.problem.place.map(|at| (at.file, at.line)), Some(("a.csv".to_owned(), 4)));
    assert!(!place.folder.path().join("c.csv").exists());
}

#[tokio::test]
async fn globs_encodings_names_and_nulls() {
    let place = Place::new();
    place.file("p1.csv", b"id;Stadt\n1;Z\xfcrich\n");
    place.file("p2.csv", b"Stadt;id\nNA;2\n");
    let config = json!({"from": "p*.csv", "to": "out.csv", "delimiter": ";", "encoding": "latin-1",
        "null_values": ["NA"], "rename": {"Stadt": "city"}});
    place.copy(config).await.unwrap();
    assert_eq!(place.text("out.csv"), "id,city\n1,Zürich\n2,\n");
    assert_eq!(
        place.message(json!({"from": "absent.csv", "to": "x.csv"})).await,
        "cannot read `absent.csv`: there is no such file; the path is relative to the workspace's folder"
    );
    assert_eq!(
        place.message(json!({"from": "crm:orders", "to": "x.csv"})).await,
        "there is no connection `crm`"
    );
}

#[tokio::test]
async fn a_dataset_is_recorded_with_its_source() {
    let place = Place::new();
    place.file("a.csv", ROWS);
    let outcome = place.copy(json!({"from": "a.csv", "to": "data:rows"})).await.unwrap();
    assert_eq!(outcome.outputs["data"]["name"], json!("rows"));
    assert_eq!(outcome.sources.first().map(|source| source.name.as_str()), Some("a.csv"));
    place.cancel.cancel();
    assert!(place.copy(json!({"from": "a.csv", "to": "data:rows"})).await.unwrap_err().cancelled);
}

#[test]
fn every_connector_has_a_summary() {
    for doc in connectors() {
        assert!(doc.summary.ends_with('.'), "{}: {}", doc.name, doc.summary);
    }
}
