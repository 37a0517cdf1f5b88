//! Model folders, a registry in memory, and a server over both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexMap;
use jiff::Timestamp;
use millrace_contract::{
    CatalogError, FixedClock, ModelRegistry, ModelVersion, NewModelVersion, Signal, SignalSink,
};
use millrace_deployment::{
    DeployRequest, Dialect, EndpointFile, EndpointServer, ModelTarget, OnnxRuntime, ScoreOptions,
    ServerServices,
};
use millrace_metastore::Metastore;
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::problem::Problem;
use millrace_storage::{LocalCopies, Storage};
use serde_json::{Value, json};

pub(crate) const NOW: &str = "2026-03-01T06:30:00Z";

pub(crate) fn graph(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../millrace-onnx/test-data").join(format!("{name}.onnx"))
}

/// What onnxruntime answers: `{"inputs": {name: {type, shape, data}}, "outputs": …}`.
pub(crate) fn expected(name: &str) -> Value {
    serde_json::from_slice(&fs_err::read(graph(name).with_extension("json")).unwrap()).unwrap()
}

/// Writes a model folder around a graph of the evaluator's tests and returns its URL.
pub(crate) fn folder(at: &Path, name: &str, mlmodel: &str) -> String {
    fs_err::create_dir_all(at).unwrap();
    fs_err::copy(graph(name), at.join("model.onnx")).unwrap();
    fs_err::write(at.join("MLmodel"), format!("flavors:\n  onnx: {{data: model.onnx}}\n{mlmodel}")).unwrap();
    format!("file://{}", at.display())
}

/// The lines of an `MLmodel` for columns of these types.
pub(crate) fn signature(columns: &[(&str, &str)]) -> String {
    let columns: Vec<Value> =
        columns.iter().map(|(name, kind)| json!({"name": name, "type": kind, "required": true})).collect();
    format!("signature:\n  inputs: '{}'\n", json!(columns))
}

pub(crate) const LATE: &str =
    "metadata: {millrace: {task: classification, target: late, classes: [early, late]}}\n";

/// The logistic model over five numbers and a carrier, with a signature.
pub(crate) fn late_model(at: &Path) -> String {
    let mut columns: Vec<(&str, &str)> = ["x0", "x1", "x2", "x3", "x4"].map(|name| (name, "double")).into();
    columns.push(("carrier", "string"));
    let example = "saved_input_example_info: {artifact_path: input_example.json, type: dataframe, pandas_orient: split}\n";
    let url = folder(at, "pipeline_logistic", &format!("{LATE}{}{example}", signature(&columns)));
    let row =
        json!({"columns": ["x0", "x1", "x2", "x3", "x4", "carrier"], "data": [[0.5, 1, -0.25, 0, 2, "AA"]]});
    fs_err::write(at.join("input_example.json"), row.to_string()).unwrap();
    url
}

pub(crate) fn row() -> Value {
    json!({"x0": 0.5, "x1": 1, "x2": -0.25, "x3": 0, "x4": 2, "carrier": "AA"})
}

/// Models by every reference that a test uses.
#[derive(Default)]
pub(crate) struct Registry(Mutex<BTreeMap<String, ModelVersion>>);

impl Registry {
    pub(crate) fn put(&self, reference: &str, name: &str, version: u64, uri: &str) -> ModelTarget {
        let digest = format!("blake3:{name}{version}");
        let asset = Asset {
            kind: AssetType::Model,
            name: Some(name.to_owned()),
            version: Some(version),
            uri: uri.to_owned(),
            delta_version: None,
            digest: digest.clone(),
            rows: None,
            size_bytes: None,
        };
        let found = ModelVersion {
            asset,
            producer: None,
            tracking_run_id: None,
            metrics: IndexMap::new(),
            inputs: Vec::new(),
            description: None,
            aliases: Vec::new(),
            stage: "None".to_owned(),
            tags: IndexMap::new(),
            run_link: None,
            created_at: Timestamp::UNIX_EPOCH,
        };
        let mut kept = self.0.lock().unwrap();
        kept.insert(format!("{name}@{version}"), found.clone());
        kept.insert(reference.to_owned(), found);
        ModelTarget { model: name.to_owned(), version, uri: uri.to_owned(), digest }
    }
}

#[async_trait]
impl ModelRegistry for Registry {
    async fn register(&self, new: NewModelVersion) -> Result<ModelVersion, CatalogError> {
        Err(CatalogError::Store { action: "register", message: new.name })
    }

    async fn resolve(&self, reference: &str) -> Result<ModelVersion, CatalogError> {
        let missing =
            || CatalogError::NotFound { kind: "model", reference: reference.to_owned(), suggestion: None };
        self.0.lock().unwrap().get(reference).cloned().ok_or_else(missing)
    }

    async fn list(&self) -> Result<Vec<ModelVersion>, CatalogError> {
        Ok(Vec::new())
    }

    async fn versions(&self, _: &str) -> Result<Vec<ModelVersion>, CatalogError> {
        Ok(Vec::new())
    }
}

#[derive(Default)]
pub(crate) struct Signals(pub(crate) Mutex<Vec<Signal>>);

impl SignalSink for Signals {
    fn record(&self, signal: Signal) {
        self.0.lock().unwrap().push(signal);
    }
}

/// A server with its own folder.
pub(crate) struct TestServer {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) registry: Arc<Registry>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) server: Arc<EndpointServer>,
}

impl TestServer {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (registry, signals) = (Arc::new(Registry::default()), Arc::new(Signals::default()));
        let clock = Arc::new(FixedClock::at(NOW.parse().unwrap()));
        let server = server(folder.path(), &registry, &signals, &clock).await;
        Self { folder, registry, signals, clock, server }
    }

    /// The same folder and registry after a restart.
    pub(crate) async fn restarted(self, files: Vec<EndpointFile>) -> Self {
        self.server.stop().await;
        let server = server(self.folder.path(), &self.registry, &self.signals, &self.clock).await;
        server.start(files).await.unwrap();
        Self { server, ..self }
    }

    /// A second process over the same store.
    pub(crate) async fn another(&self) -> Arc<EndpointServer> {
        server(self.folder.path(), &self.registry, &self.signals, &self.clock).await
    }

    /// A registered version of the logistic model.
    pub(crate) fn late(&self, reference: &str, version: u64) -> ModelTarget {
        let url = late_model(&self.folder.path().join(format!("models/late{version}")));
        self.registry.put(reference, "late", version, &url)
    }

    pub(crate) async fn deploy(
        &self,
        deployment: &str,
        target: ModelTarget,
        traffic: u32,
    ) -> Result<bool, Problem> {
        let request = DeployRequest {
            endpoint: "flights".to_owned(),
            deployment: deployment.to_owned(),
            target,
            traffic,
            sample: 1.0,
            producer: None,
        };
        self.server.deploy(request).await
    }

    pub(crate) async fn ask(&self, dialect: Dialect, body: &str) -> Result<Value, Problem> {
        self.ask_for(dialect, body, ScoreOptions::default()).await
    }

    pub(crate) async fn ask_for(
        &self,
        dialect: Dialect,
        body: &str,
        options: ScoreOptions<'_>,
    ) -> Result<Value, Problem> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let answer = self.server.score("flights", dialect, body, options).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }
}

/// Loads folders of this machine.
pub(crate) fn runtime() -> OnnxRuntime {
    limited_runtime(OnnxRuntime::MAX_BYTES)
}

/// Refuses larger graphs.
pub(crate) fn limited_runtime(max_bytes: u64) -> OnnxRuntime {
    let nowhere = PathBuf::from("/nonexistent");
    OnnxRuntime::new(LocalCopies::new(Storage::folder(&nowhere), nowhere), max_bytes)
}

async fn server(
    folder: &Path,
    registry: &Arc<Registry>,
    signals: &Arc<Signals>,
    clock: &Arc<FixedClock>,
) -> Arc<EndpointServer> {
    let store = Metastore::open(&format!("sqlite:{}", folder.join("millrace.db").display())).await.unwrap();
    EndpointServer::new(ServerServices {
        runtime: Arc::new(runtime()),
        registry: registry.clone(),
        store,
        clock: clock.clone(),
        signals: signals.clone(),
        predictions: folder.join("predictions"),
    })
    .unwrap()
}
