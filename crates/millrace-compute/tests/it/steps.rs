//! The kinds `run` and `python`, from placing to collecting, with an engine that has no tables.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_compute::steps::{Python, Run, Services};
use millrace_contract::*;
use millrace_storage::{LocalCopies, Storage};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Place;

struct NoTables;

fn no_tables<T>() -> Result<T, QueryError> {
    Err(QueryError::Run { message: "there are no tables here".to_owned() })
}

#[async_trait]
impl QueryEngine for NoTables {
    async fn query(&self, _: QueryRequest) -> Result<BatchStream, QueryError> {
        no_tables()
    }
    async fn plan_schema(&self, _: QueryRequest) -> Result<arrow::datatypes::SchemaRef, QueryError> {
        no_tables()
    }
    async fn scan(
        &self,
        _: &TableRef,
        _: Option<Vec<String>>,
        _: Option<usize>,
    ) -> Result<BatchStream, QueryError> {
        no_tables()
    }
    async fn select(&self, _: &TableRef, _: Selection) -> Result<BatchStream, QueryError> {
        Err(QueryError::Cancelled)
    }

    async fn table_names(&self, _: &str) -> Result<Vec<String>, QueryError> {
        Err(QueryError::Cancelled)
    }

    async fn write_table(&self, _: &str, _: BatchStream, _: WriteMode) -> Result<WrittenTable, QueryError> {
        no_tables()
    }
    async fn profile(&self, _: &TableRef) -> Result<TableProfile, QueryError> {
        no_tables()
    }
    async fn parquet_files(
        &self,
        _: &TableRef,
        folder: &Path,
    ) -> Result<Vec<std::path::PathBuf>, QueryError> {
        Ok(vec![folder.join("../../real.parquet")])
    }
}

fn no_catalog<T>() -> Result<T, CatalogError> {
    Err(CatalogError::Store { action: "use the catalog", message: "there is none".to_owned() })
}

#[async_trait]
impl DatasetCatalog for NoTables {
    fn location(&self, _: &str) -> Result<String, CatalogError> {
        no_catalog()
    }
    async fn commit(&self, _: NewDatasetVersion) -> Result<DatasetVersion, CatalogError> {
        no_catalog()
    }
    async fn resolve(&self, _: &str) -> Result<DatasetVersion, CatalogError> {
        no_catalog()
    }
    async fn list(&self) -> Result<Vec<DatasetVersion>, CatalogError> {
        no_catalog()
    }
    async fn versions(&self, _: &str) -> Result<Vec<DatasetVersion>, CatalogError> {
        no_catalog()
    }
}

struct Quiet;

impl StepLog for Quiet {
    fn line(&self, _: &str) {}
}

impl ProgressSink for Quiet {
    fn report(&self, _: Progress) {}
}

fn context(place: &Place, config: Value, outputs: &[(&str, &str)]) -> StepContext {
    let mut inputs = IndexMap::new();
    inputs.insert("depth".to_owned(), json!(7));
    StepContext {
        run_id: "r1".to_owned(),
        pipeline: "daily".to_owned(),
        step: "train".to_owned(),
        attempt: 1,
        idempotency_key: "key".to_owned(),
        workspace: place.folder.path().to_owned(),
        folder: place.attempt("attempt"),
        config,
        inputs,
        outputs: outputs.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect(),
        environment: None,
        env: IndexMap::new(),
        secrets: Vec::new(),
        timeout_ms: None,
        tracking_run_id: "t1".to_owned(),
        cancel: CancellationToken::new(),
        log: Arc::new(Quiet),
        progress: Arc::new(Quiet),
    }
}

fn services(place: &Place) -> Services {
    Services {
        engine: Arc::new(NoTables),
        datasets: Arc::new(NoTables),
        workspace: place.folder.path().to_owned(),
        python_path: place.folder.path().join("python"),
        max_log_bytes: 1 << 20,
        copies: LocalCopies::new(Storage::folder(place.folder.path()), place.folder.path().join("copies")),
    }
}

async fn execute(place: &Place, kind: &dyn StepKind, context: StepContext) -> Result<StepOutcome, StepError> {
    let Placement::Command(command) = kind.place(&context).await? else { panic!("not a command") };
    let handle = place.target.start(context.folder.clone(), *command).await.unwrap();
    let exit = place.target.wait(&handle).await.unwrap();
    kind.collect(context, exit).await
}

#[tokio::test]
async fn a_shell_text_hands_values_files_and_metrics_on() {
    let place = Place::new();
    let text = "echo rows=12 >> $MILLRACE_OUTPUT; echo extra=[1,2] >> $MILLRACE_OUTPUT
        echo \"depth $MILLRACE_INPUT_DEPTH\" > $MILLRACE_OUTPUT_NOTE; echo '{\"auc\": 0.5}' > $MILLRACE_OUTPUT_SCORES.json";
    let outputs = [("rows", "integer"), ("note", "file"), ("scores", "metrics")];
    let context = context(&place, json!(text), &outputs);
    let outcome = execute(&place, &Run::new(services(&place)), context).await.unwrap();
    assert_eq!(outcome.outputs["rows"], json!(12));
    assert_eq!(outcome.outputs["extra"], json!([1, 2]));
    assert_eq!(outcome.outputs["note"]["size_bytes"], json!(8));
    assert_eq!(outcome.metrics["auc"], 0.5);
}

#[tokio::test]
async fn a_missing_output_is_named() {
    let place = Place::new();
    let context = context(&place, json!("true"), &[("model", "model")]);
    let error = execute(&place, &Run::new(services(&place)), context).await.unwrap_err();
    assert_eq!(
        error.problem.message,
        "the step declares the output `model` (model), but its program did not write it"
    );
}

#[tokio::test]
async fn a_failing_script_is_placed_at_the_users_line() {
    let place = Place::new();
    std::fs::write(
        place.attempt("train.py"),
        "import sys\nprint(sys.argv[1:], flush=True)\nraise ValueError('no rows')\n",
    )
    .unwrap();
    std::fs::write(place.attempt("features.py"), "").unwrap();
    let kind = Python::new(services(&place));
    assert_eq!(kind.code_files(&json!("train.py")), ["train.py", "features.py"]);
    let error = execute(&place, &kind, context(&place, json!("train.py"), &[])).await.unwrap_err();
    assert_eq!(
        error.problem.message,
        "the program of step `train` ended with exit code 1: ValueError: no rows"
    );
    let at = error.problem.place.unwrap();
    assert_eq!((at.file.as_str(), at.line), ("train.py", 3));
    assert_eq!(error.problem.hints, ["millrace logs r1 train"]);
    assert_eq!(place.text("stdout.log"), "['--depth', '7']\n");
}

#[tokio::test]
async fn the_order_of_a_set_is_the_same_in_every_attempt_unless_the_step_says_otherwise() {
    let place = Place::new();
    let text = "import os\nprint(os.environ['PYTHONHASHSEED'], list({'', 'ai.onnx.ml', 'a', 'b', 'c', 'd', 'e', 'f', 'g'}))\n";
    std::fs::write(place.attempt("sets.py"), text).unwrap();
    let kind = Python::new(services(&place));
    let mut printed = Vec::new();
    for seed in [None, None, Some("5"), Some("5")] {
        let mut context = context(&place, json!("sets.py"), &[]);
        context.env.extend(seed.map(|seed| ("PYTHONHASHSEED".to_owned(), seed.to_owned())));
        // Each attempt is a process of its own.
        let _ = std::fs::remove_dir_all(&context.folder);
        execute(&place, &kind, context).await.unwrap();
        printed.push(place.text("stdout.log"));
    }
    assert!(printed[0].starts_with("0 ["), "{}", printed[0]);
    assert_eq!(printed[0], printed[1]);
    assert_eq!(printed[2], printed[3]);
    assert_ne!(printed[0][2..], printed[2][2..]);
}

#[tokio::test]
async fn a_warm_worker_gets_no_script_whose_interpreter_needs_a_start_of_its_own() {
    let place = Place::new();
    std::fs::write(place.attempt("train.py"), "").unwrap();
    let kind = Python::new(services(&place));
    let warm = async |variable: &str| {
        let mut context = context(&place, json!("train.py"), &[]);
        context.environment = Some("train.lock".to_owned());
        context.env.insert(variable.to_owned(), "1".to_owned());
        let Placement::Command(command) = kind.place(&context).await.unwrap() else {
            panic!("not a command")
        };
        command.warm
    };
    assert!(warm("TREES").await);
    assert!(warm("PYTHONPATH").await);
    assert!(!warm("PYTHONHASHSEED").await);
    assert!(!warm("PYTHONOPTIMIZE").await);
}
