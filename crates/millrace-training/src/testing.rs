//! Tables in memory, a runtime over the house's own evaluator, and a step's context, for the tests of this crate.

use std::path::Path;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, AsArray as _, Float64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexMap;
use millrace_contract::{
    BatchStream, LoadedModel, ModelColumn, ModelError, ModelRuntime, ModelSignature, Progress, ProgressSink,
    QueryEngine, QueryError, QueryRequest, RunTracker, StepContext, StepLog, TableProfile, TableRef,
    TrackerError, WriteMode, WrittenTable,
};
use millrace_onnx::{Session, Tensor, TensorData};
use millrace_spec::asset::{Asset, AssetType};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::model_folder::{local_folder, read_metadata};

/// Tables by URI.
#[derive(Default)]
pub(crate) struct Tables(pub(crate) IndexMap<String, Vec<RecordBatch>>);

impl Tables {
    fn find(&self, table: &TableRef) -> Result<&[RecordBatch], QueryError> {
        let TableRef::Delta { uri, .. } = table else { panic!("only tables are tested") };
        let missing = || QueryError::Read { uri: uri.clone(), message: "no such table".into() };
        self.0.get(uri).map(Vec::as_slice).ok_or_else(missing)
    }
}

pub(crate) fn table(uri: &str) -> Value {
    asset(AssetType::Table, uri, Some(0)).to_value()
}

pub(crate) fn asset(kind: AssetType, uri: &str, delta_version: Option<u64>) -> Asset {
    let digest = "blake3:00".to_owned();
    Asset {
        kind,
        name: None,
        version: None,
        uri: uri.into(),
        delta_version,
        digest,
        rows: None,
        size_bytes: None,
    }
}

#[async_trait]
impl QueryEngine for Tables {
    async fn query(&self, _: QueryRequest) -> Result<BatchStream, QueryError> {
        unreachable!("steps of this room scan")
    }

    async fn plan_schema(&self, request: QueryRequest) -> Result<SchemaRef, QueryError> {
        Ok(self.find(&request.tables["t"])?[0].schema())
    }

    async fn scan(
        &self,
        table: &TableRef,
        columns: Option<Vec<String>>,
        _: Option<usize>,
    ) -> Result<BatchStream, QueryError> {
        let project = |batch: &RecordBatch| {
            let schema = batch.schema();
            let all = || schema.fields().iter().map(|field| field.name().clone()).collect();
            let names: Vec<String> = columns.clone().unwrap_or_else(all);
            batch
                .project(&names.iter().map(|name| schema.index_of(name).unwrap()).collect::<Vec<_>>())
                .unwrap()
        };
        let batches: Vec<RecordBatch> = self.find(table)?.iter().map(project).collect();
        Ok(BatchStream::from_batches(batches[0].schema(), batches))
    }

    async fn write_table(&self, _: &str, _: BatchStream, _: WriteMode) -> Result<WrittenTable, QueryError> {
        unreachable!("steps of this room write no tables")
    }

    async fn profile(&self, _: &TableRef) -> Result<TableProfile, QueryError> {
        unreachable!("steps of this room profile nothing")
    }

    async fn parquet_files(&self, _: &TableRef, _: &Path) -> Result<Vec<std::path::PathBuf>, QueryError> {
        unreachable!("steps of this room read no files")
    }
}

/// Runs our own model folders.
pub(crate) struct OwnRuntime;

#[async_trait]
impl ModelRuntime for OwnRuntime {
    async fn load(&self, uri: &str) -> Result<Arc<dyn LoadedModel>, ModelError> {
        let folder = local_folder(uri).unwrap();
        let metadata = read_metadata(&folder).unwrap().unwrap();
        let text = fs_err::read_to_string(folder.join("MLmodel")).unwrap();
        let tree = millrace_spec::yaml::parse("MLmodel", &text).unwrap().to_json();
        let columns = |pointer: &str| -> Vec<ModelColumn> {
            serde_json::from_str(tree.pointer(pointer).unwrap().as_str().unwrap()).unwrap()
        };
        let signature =
            ModelSignature { inputs: columns("/signature/inputs"), outputs: columns("/signature/outputs") };
        let session = Session::load(&fs_err::read(folder.join("model.onnx")).unwrap()).unwrap();
        Ok(Arc::new(OwnModel {
            folder,
            session,
            signature,
            task: metadata.task.word(),
            classes: metadata.classes,
        }))
    }
}

struct OwnModel {
    folder: std::path::PathBuf,
    session: Session,
    signature: ModelSignature,
    task: &'static str,
    classes: Vec<String>,
}

impl LoadedModel for OwnModel {
    fn folder(&self) -> &Path {
        &self.folder
    }

    fn signature(&self) -> &ModelSignature {
        &self.signature
    }

    fn task(&self) -> &str {
        self.task
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn score(&self, rows: &RecordBatch) -> Result<RecordBatch, ModelError> {
        let outputs = self.session.run(&tensors(&self.signature, rows)).unwrap();
        let numbers =
            |tensor: &Tensor| tensor.to_f32().unwrap().iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        match outputs.as_slice() {
            [(_, variable)] => {
                columns.push(("prediction".into(), Arc::new(Float64Array::from(numbers(variable)))));
            }
            [(_, label), (_, probabilities)] => {
                let TensorData::String(labels) = label.data() else { panic!("labels are text") };
                columns.push(("prediction".into(), Arc::new(StringArray::from(labels.clone()))));
                let all = numbers(probabilities);
                for (place, class) in self.classes.iter().enumerate() {
                    let own = all.iter().skip(place).step_by(self.classes.len()).copied();
                    let array = Arc::new(own.collect::<Float64Array>());
                    columns.push((format!("probability_{class}"), array));
                }
            }
            other => panic!("unexpected outputs {other:?}"),
        }
        Ok(RecordBatch::try_from_iter(columns).unwrap())
    }
}

/// A column of rows as the evaluator takes it: missing numbers are NaN, missing texts empty.
pub(crate) fn tensors(signature: &ModelSignature, rows: &RecordBatch) -> Vec<(String, Tensor)> {
    let tensor = |input: &ModelColumn| {
        let array = rows.column_by_name(&input.name).unwrap();
        let tensor = if input.data_type == "string" {
            let texts = cast(array, &DataType::Utf8).unwrap();
            let texts = texts.as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned());
            Tensor::column(texts.collect::<Vec<_>>())
        } else {
            let numbers = cast(array, &DataType::Float64).unwrap();
            let numbers = numbers.as_primitive::<Float64Type>().iter().map(|x| x.unwrap_or(f64::NAN) as f32);
            Tensor::column(numbers.collect::<Vec<_>>())
        };
        (input.name.clone(), tensor)
    };
    signature.inputs.iter().map(tensor).collect()
}

/// Remembers what is said.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) lines: Mutex<Vec<String>>,
    pub(crate) progress: Mutex<Vec<Progress>>,
    pub(crate) metrics: Mutex<Vec<(String, f64, i64)>>,
    pub(crate) params: Mutex<Vec<(String, String)>>,
    /// Cancelled once so many rounds were reported.
    pub(crate) stop: Option<(usize, CancellationToken)>,
}

impl StepLog for Heard {
    fn line(&self, text: &str) {
        self.lines.lock().unwrap().push(text.to_owned());
    }
}

impl ProgressSink for Heard {
    fn report(&self, progress: Progress) {
        let mut all = self.progress.lock().unwrap();
        all.push(progress);
        if let Some((rounds, token)) = &self.stop
            && all.len() >= *rounds
        {
            token.cancel();
        }
    }
}

#[async_trait]
impl RunTracker for Heard {
    async fn start_run(&self, _: &str, _: &str, _: &str, _: Option<&str>) -> Result<(), TrackerError> {
        Ok(())
    }

    async fn end_run(&self, _: &str, _: &str) -> Result<(), TrackerError> {
        Ok(())
    }

    async fn log(
        &self,
        _: &str,
        metrics: Vec<(String, f64, i64)>,
        params: Vec<(String, String)>,
        _: Vec<(String, String)>,
    ) -> Result<(), TrackerError> {
        self.metrics.lock().unwrap().extend(metrics);
        self.params.lock().unwrap().extend(params);
        Ok(())
    }

    async fn log_artifact(&self, _: &str, _: &str, _: Bytes) -> Result<(), TrackerError> {
        Ok(())
    }
}

pub(crate) fn context(folder: &Path, config: Value, heard: &Arc<Heard>) -> StepContext {
    let cancel = heard.stop.as_ref().map_or_else(CancellationToken::new, |(_, token)| token.clone());
    StepContext {
        run_id: "0".repeat(32),
        pipeline: "p".into(),
        step: "s".into(),
        attempt: 1,
        idempotency_key: "k".into(),
        workspace: folder.into(),
        folder: folder.into(),
        config,
        inputs: IndexMap::new(),
        outputs: IndexMap::new(),
        environment: None,
        env: IndexMap::new(),
        secrets: Vec::new(),
        timeout_ms: None,
        tracking_run_id: "1".repeat(32),
        cancel,
        log: heard.clone(),
        progress: heard.clone(),
    }
}
