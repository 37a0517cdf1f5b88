use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, AsArray as _, Float64Array, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    BatchStream, CatalogError, DatasetCatalog, DatasetVersion, EnvironmentGate, NewDatasetVersion, Passage,
    Progress, ProgressSink, QueryEngine, QueryError, QueryRequest, Selection, StepContext, StepError,
    StepKind, StepLog, StepOutcome, TableProfile, TableRef, WriteMode, WrittenTable,
};
use millrace_deployment::{Dialect, steps};
use millrace_spec::asset::Asset;
use millrace_spec::problem::Problem;
use serde_json::{Value, json};

use crate::support::{TestServer, row};

/// A workspace without environments.
struct NoEnvironments;

#[async_trait]
impl EnvironmentGate for NoEnvironments {
    fn environment_of(&self, named: Option<&str>, _: &str) -> Result<Option<String>, Problem> {
        match named {
            None => Ok(None),
            Some(name) => {
                Err(Problem::error("unknown-environment", format!("there is no environment `{name}`")))
            }
        }
    }

    fn has_endpoints(&self) -> bool {
        false
    }

    async fn begin(&self, _: &StepContext, _: &str, _: &Asset) -> Result<Value, StepError> {
        Ok(Value::Null)
    }

    async fn look(&self, _: &StepContext, _: &str, _: &Asset, _: &Value) -> Result<Passage, StepError> {
        Ok(Passage::Open)
    }

    async fn abandon(&self, _: &Value) {}
}

/// Tables in memory, in batches of ten rows.
#[derive(Default)]
struct Tables(Mutex<BTreeMap<String, RecordBatch>>);

impl Tables {
    fn put(&self, uri: &str, table: RecordBatch) {
        self.0.lock().unwrap().insert(uri.to_owned(), table);
    }

    fn get(&self, uri: &str) -> RecordBatch {
        self.0.lock().unwrap()[uri].clone()
    }
}

#[async_trait]
impl QueryEngine for Tables {
    async fn query(&self, _: QueryRequest) -> Result<BatchStream, QueryError> {
        Err(QueryError::Cancelled)
    }

    async fn plan_schema(&self, _: QueryRequest) -> Result<SchemaRef, QueryError> {
        Err(QueryError::Cancelled)
    }

    async fn scan(
        &self,
        table: &TableRef,
        columns: Option<Vec<String>>,
        limit: Option<usize>,
    ) -> Result<BatchStream, QueryError> {
        let TableRef::Delta { uri, .. } = table else { return Err(QueryError::Cancelled) };
        let mut table = self.get(uri);
        if let Some(columns) = columns {
            let at: Vec<usize> = columns.iter().map(|name| table.schema().index_of(name).unwrap()).collect();
            table = table.project(&at).unwrap();
        }
        let all = table.num_rows();
        let rows = limit.map_or(all, |limit| limit.min(all));
        let batches = (0..rows).step_by(10).map(|from| table.slice(from, 10.min(rows - from))).collect();
        Ok(BatchStream::from_batches(table.schema(), batches))
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
        let schema = rows.schema.clone();
        let table = concat_batches(&schema, &rows.collect().await?).unwrap();
        let rows = table.num_rows() as u64;
        self.put(uri, table);
        let (uri, digest) = (uri.to_owned(), "blake3:scored".to_owned());
        Ok(WrittenTable { uri, delta_version: 1, rows, size_bytes: 9, digest, schema: json!([]) })
    }

    async fn profile(&self, _: &TableRef) -> Result<TableProfile, QueryError> {
        Ok(TableProfile::default())
    }

    async fn parquet_files(&self, _: &TableRef, _: &Path) -> Result<Vec<PathBuf>, QueryError> {
        Ok(Vec::new())
    }
}

/// Keeps what was committed.
#[derive(Default)]
struct Datasets(Mutex<Vec<NewDatasetVersion>>);

#[async_trait]
impl DatasetCatalog for Datasets {
    fn location(&self, name: &str) -> Result<String, CatalogError> {
        Ok(format!("mem:/{name}"))
    }

    async fn commit(&self, new: NewDatasetVersion) -> Result<DatasetVersion, CatalogError> {
        self.0.lock().unwrap().push(new.clone());
        Ok(DatasetVersion {
            asset: Asset { name: Some(new.name), version: Some(1), ..new.asset },
            schema: new.schema,
            profile: new.profile,
            producer: new.producer,
            inputs: new.inputs,
            created_at: jiff::Timestamp::UNIX_EPOCH,
        })
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

#[derive(Default)]
struct Kept(Mutex<Vec<Progress>>);
impl StepLog for Kept {
    fn line(&self, _: &str) {}
}
impl ProgressSink for Kept {
    fn report(&self, progress: Progress) {
        self.0.lock().unwrap().push(progress);
    }
}

struct Steps {
    test: TestServer,
    tables: Arc<Tables>,
    datasets: Arc<Datasets>,
    progress: Arc<Kept>,
    kinds: Vec<Arc<dyn StepKind>>,
}

impl Steps {
    async fn new() -> Self {
        let test = TestServer::new().await;
        let (tables, datasets) = (Arc::new(Tables::default()), Arc::new(Datasets::default()));
        let (engine, catalog): (Arc<dyn QueryEngine>, Arc<dyn DatasetCatalog>) =
            (tables.clone(), datasets.clone());
        let kinds = steps::kinds(&test.server, &engine, &catalog, Arc::new(NoEnvironments));
        Self { test, tables, datasets, progress: Arc::new(Kept::default()), kinds }
    }

    fn kind(&self, name: &str) -> &Arc<dyn StepKind> {
        self.kinds.iter().find(|kind| kind.doc().name == name).unwrap()
    }

    fn context(&self, config: Value) -> StepContext {
        StepContext {
            run_id: "0".repeat(32),
            pipeline: "flights".to_owned(),
            step: "live".to_owned(),
            attempt: 1,
            idempotency_key: String::new(),
            workspace: PathBuf::from("/workspace"),
            folder: PathBuf::from("/workspace/attempt"),
            config,
            inputs: IndexMap::new(),
            outputs: IndexMap::new(),
            environment: None,
            env: IndexMap::new(),
            secrets: Vec::new(),
            timeout_ms: None,
            tracking_run_id: String::new(),
            cancel: tokio_util::sync::CancellationToken::new(),
            log: self.progress.clone(),
            progress: self.progress.clone(),
        }
    }

    async fn run(&self, kind: &str, config: Value) -> Result<StepOutcome, StepError> {
        self.kind(kind).run(self.context(config)).await
    }

    /// 25 flights in a table, as an asset.
    fn flights(&self) -> Value {
        let numbers = |times: f64| -> ArrayRef {
            Arc::new((0..25).map(|n| Some(f64::from(n) * times)).collect::<Float64Array>())
        };
        let carrier: ArrayRef = Arc::new(StringArray::from(vec!["AA"; 25]));
        let columns = [("id", 1.0), ("x0", 0.1), ("x1", -0.2), ("x2", 0.0), ("x3", 0.3), ("x4", 0.05)];
        let columns = columns.into_iter().map(|(name, times)| (name, numbers(times)));
        self.tables
            .put("mem:/flights", RecordBatch::try_from_iter(columns.chain([("carrier", carrier)])).unwrap());
        json!({"asset": "table", "name": "flights", "version": 7, "uri": "mem:/flights", "delta_version": 0, "digest": "d", "rows": 25})
    }
}

fn model(target: &millrace_deployment::ModelTarget) -> Value {
    json!({"asset": "model", "name": target.model, "version": target.version, "uri": target.uri, "digest": target.digest})
}

#[tokio::test]
async fn deploy_serves_a_version_and_the_same_again_changes_nothing() {
    let steps = Steps::new().await;
    let target = steps.test.late("late@champion", 1);
    let config = json!({"model": model(&target), "to": "endpoint:flights"});
    let outcome = steps.run("deploy", config.clone()).await.unwrap();
    let wanted = json!({"url": "/endpoints/flights/score", "endpoint": "flights", "version": 1});
    assert_eq!(json!(outcome.outputs), wanted);
    let rows = json!({"rows": [row()]}).to_string();
    let answer = steps.test.ask(Dialect::Rows, &rows).await.unwrap();
    assert_eq!((&answer["model"], &answer["deployment"]), (&json!("late@1"), &json!("main")));
    let before = steps.test.server.list_endpoints()[0].updated_at;
    steps.test.clock.set("2026-03-02T00:00:00Z".parse().unwrap());
    assert_eq!(steps.run("deploy", config).await.unwrap().outputs, outcome.outputs);
    assert_eq!(steps.test.server.list_endpoints()[0].updated_at, before);
    steps.test.late("late@champion", 2);
    let config = json!({"model": "late@champion", "to": "flights", "deployment": "green", "traffic": 50, "sample": 0.5});
    assert_eq!(steps.run("deploy", config).await.unwrap().outputs["version"], json!(2));
    let status = &steps.test.server.list_endpoints()[0];
    assert_eq!(status.deployments.iter().map(|deployment| deployment.traffic).collect::<Vec<_>>(), [50, 50]);
}

#[tokio::test]
async fn deploy_refuses_what_cannot_be_served_and_changes_nothing() {
    let steps = Steps::new().await;
    let good = steps.test.late("late", 1);
    steps.run("deploy", json!({"model": "late", "to": "flights"})).await.unwrap();
    let url = format!("file://{}", steps.test.folder.path().join("none").display());
    steps.test.registry.put("broken", "broken", 1, &url);
    let refused = async |config: Value| steps.run("deploy", config).await.unwrap_err().problem.message;
    let unnamed = json!({"asset": "model", "uri": good.uri, "digest": "d"});
    let found = [
        refused(json!({"model": "broken", "to": "flights"})).await.replace(&url, "URL"),
        refused(json!({"model": unnamed, "to": "flights"})).await,
        refused(json!({"model": "lat", "to": "flights"})).await,
        refused(json!({"model": "late", "to": "../up"})).await,
        refused(json!({"model": 7, "to": "flights"})).await,
        refused(json!({"model": "late", "to": "flights", "traffic": 101})).await,
    ];
    insta::assert_snapshot!(found.join("\n"), @r#"
    cannot load the model `URL`: `MLmodel` is missing
    only a registered model can be deployed
    there is no model `lat`
    `../up` is not a name for an endpoint
    what `model` names is not a model
    `traffic` is at most 100 per cent and `sample` between 0 and 1
    "#);
    let [endpoint] = &steps.test.server.list_endpoints()[..] else { panic!("one endpoint") };
    assert_eq!((endpoint.deployments.len(), endpoint.deployments[0].version), (1, 1));
    let kind = steps.kind("deploy");
    assert_eq!(
        kind.check_places(&json!({"model": "late", "to": "endpoint:a b", "deployment": "1"})).len(),
        2
    );
    assert!(kind.check_places(&json!({"model": "late", "to": "${{ inputs.name }}"})).is_empty());
}

#[tokio::test]
async fn score_writes_a_dataset_with_its_lineage_and_progress() {
    let steps = Steps::new().await;
    let target = steps.test.late("late@2", 2);
    let config = json!({"model": model(&target), "data": steps.flights(), "to": "data:scored"});
    let outcome = steps.run("score", config).await.unwrap();
    assert_eq!((&outcome.outputs["rows"], outcome.rows), (&json!(25), Some(25)));
    assert_eq!(Asset::from_value(&outcome.outputs["data"]).unwrap().label(), "scored@1");
    let table = steps.tables.get("mem:/scored");
    let names: Vec<String> = table.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(
        names,
        [
            "id",
            "x0",
            "x1",
            "x2",
            "x3",
            "x4",
            "carrier",
            "prediction",
            "probability_early",
            "probability_late"
        ]
    );
    let ids = table.column(0).as_primitive::<Float64Type>();
    assert!(ids.values().is_sorted(), "the rows keep their order");
    let late = table.column_by_name("probability_late").unwrap().as_primitive::<Float64Type>();
    let [first, last] =
        [0, 24].map(|row| (late.value(row), table.column(7).as_string::<i32>().value(row).to_owned()));
    assert!(
        (late.value(0) > 0.5) == (first.1 == "late") && (late.value(24) > 0.5) == (last.1 == "late"),
        "{first:?} {last:?}"
    );
    let committed = steps.datasets.0.lock().unwrap();
    let inputs: Vec<String> =
        committed[0].inputs.iter().map(|key| format!("{} {}@{}", key.kind, key.name, key.version)).collect();
    assert_eq!(inputs, ["dataset flights@7", "model late@2"]);
    let progress = steps.progress.0.lock().unwrap();
    let seen: Vec<(Option<u64>, Option<f64>)> = progress.iter().map(|p| (p.rows, p.fraction)).collect();
    assert_eq!(seen, [(Some(10), Some(0.4)), (Some(20), Some(0.8)), (Some(25), Some(1.0))]);
}

#[tokio::test]
async fn score_keeps_named_columns_and_stays_with_the_run_without_a_name() {
    let steps = Steps::new().await;
    steps.test.late("late@champion", 1);
    let data = steps.flights();
    let config = json!({"model": "late@champion", "data": data, "keep": ["carrier", "id"]});
    let outcome = steps.run("score", config).await.unwrap();
    let asset = Asset::from_value(&outcome.outputs["data"]).unwrap();
    assert_eq!(
        (asset.name, asset.uri.as_str(), asset.rows),
        (None, "file:///workspace/attempt/data", Some(25))
    );
    let table = steps.tables.get(&asset.uri);
    let names: Vec<String> = table.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["carrier", "id", "prediction", "probability_early", "probability_late"]);
    assert!(steps.datasets.0.lock().unwrap().is_empty());
    let again = json!({"asset": "table", "uri": asset.uri, "delta_version": 1, "digest": "d"});
    let refused = async |config: Value| steps.run("score", config).await.unwrap_err().problem;
    let problem = refused(json!({"model": "late@champion", "data": again})).await;
    assert_eq!(problem.message, "the data has no column `x0`");
    let problem = refused(json!({"model": "late@champion", "data": data, "keep": ["idd"]})).await;
    assert_eq!(
        (problem.message.as_str(), problem.hints[0].as_str()),
        ("the data has no column `idd`", "did you mean `id`?")
    );
    let wrong: ArrayRef = Arc::new(StringArray::from(vec!["SECRET"; 25]));
    let mut table = steps.tables.get("mem:/flights");
    let at = table.schema().index_of("x3").unwrap();
    let mut columns: Vec<(String, ArrayRef)> = table
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .zip(table.columns().iter().cloned())
        .collect();
    columns[at].1 = wrong;
    table = RecordBatch::try_from_iter(columns).unwrap();
    steps.tables.put("mem:/flights", table);
    let problem = refused(json!({"model": "late@champion", "data": data, "to": "data:never"})).await;
    assert_eq!(problem.message, "the column `x3` is string, which is not float");
}

#[tokio::test]
async fn a_cancelled_score_ends_and_an_alias_is_not_reused() {
    let steps = Steps::new().await;
    steps.test.late("late@champion", 1);
    let context = steps.context(json!({"model": "late@champion", "data": steps.flights()}));
    context.cancel.cancel();
    let kind = steps.kind("score");
    assert!(kind.run(context).await.unwrap_err().cancelled);
    let reusable = |model: Value| kind.reusable(&json!({"model": model}));
    assert!(
        reusable(json!("late@3")) && reusable(json!("models:/late/3")) && reusable(json!({"asset": "model"}))
    );
    assert!(!reusable(json!("late@champion")) && !reusable(json!("late")));
}

#[test]
fn every_page_has_a_sentence_and_an_example_of_its_shape() {
    for doc in steps::docs() {
        assert!(doc.summary.ends_with('.'), "{}", doc.summary);
        let example = millrace_spec::yaml::parse("example", doc.example).unwrap().to_json();
        assert_eq!(millrace_spec::validate::violations(doc.schema.as_value(), &example[doc.name]), []);
    }
}
