//! Numbers, parameters and files that runs log.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use millrace_contract::{Clock, RunTracker, TrackerError};
use millrace_metastore::experiments::{DatasetInput, MetricRow, TrackedBatch, TrackedRunRow};
use millrace_metastore::lineage::KnownInput;
use millrace_metastore::{Metastore, MetastoreError};
use millrace_spec::asset::{Asset, AssetType};
use millrace_storage::{FilePath, Storage};
use serde_json::json;

/// Tracks runs in the metastore, their files in a storage.
#[derive(Clone)]
pub struct Tracker {
    store: Metastore,
    artifacts: Storage,
    clock: Arc<dyn Clock>,
}

impl Tracker {
    /// `artifacts`: where the runs' files are, `<run>/<path>` in it.
    pub fn new(store: Metastore, artifacts: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { store, artifacts, clock }
    }

    fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }
}

fn failed(action: &'static str, run_id: &str, error: &dyn std::error::Error) -> TrackerError {
    let message = error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    TrackerError { action, run_id: run_id.to_owned(), message }
}

#[async_trait]
impl RunTracker for Tracker {
    async fn start_run(
        &self,
        run_id: &str,
        experiment: &str,
        name: &str,
        parent: Option<&str>,
    ) -> Result<(), TrackerError> {
        let row = TrackedRunRow {
            id: run_id.to_owned(),
            experiment_id: 0,
            experiment: experiment.to_owned(),
            parent_id: parent.map(str::to_owned),
            name: name.to_owned(),
            status: "RUNNING".to_owned(),
            started_at: self.now(),
            ..TrackedRunRow::default()
        };
        self.store.begin_tracked_run(row).await.map_err(|error| failed("record the start", run_id, &error))
    }

    async fn end_run(&self, run_id: &str, status: &str) -> Result<(), TrackerError> {
        let ended = self.store.end_tracked_run(run_id.to_owned(), status.to_owned(), self.now()).await;
        ended.map(drop).map_err(|error| failed("record the end", run_id, &error))
    }

    async fn metric(&self, run_id: &str, name: &str) -> Result<Option<f64>, TrackerError> {
        Ok(self.metric_history(run_id, name).await?.pop())
    }

    async fn metric_history(&self, run_id: &str, name: &str) -> Result<Vec<f64>, TrackerError> {
        let points = self.store.list_tracked_metrics(run_id.to_owned(), Some(name.to_owned())).await;
        let points = points.map_err(|error| failed("read a metric", run_id, &error))?;
        Ok(points.into_iter().map(|point| point.number).collect())
    }

    async fn log(
        &self,
        run_id: &str,
        metrics: Vec<(String, f64, i64)>,
        params: Vec<(String, String)>,
        tags: Vec<(String, String)>,
    ) -> Result<(), TrackerError> {
        let logged_at = self.now();
        let point = |(name, number, step): (String, f64, i64)| MetricRow { name, step, logged_at, number };
        let text = |family: &'static str| {
            move |(name, content): (String, String)| (family.to_owned(), name, content)
        };
        let batch = TrackedBatch {
            metrics: metrics.into_iter().map(point).collect(),
            texts: params.into_iter().map(text("param")).chain(tags.into_iter().map(text("tag"))).collect(),
            ..TrackedBatch::default()
        };
        self.store
            .log_tracked_batch(run_id.to_owned(), batch)
            .await
            .map_err(|error| failed("log the values", run_id, &error))
    }

    async fn log_inputs(&self, run_id: &str, inputs: Vec<Asset>, context: &str) -> Result<(), TrackerError> {
        let known: Vec<_> = inputs.iter().filter_map(|asset| logged_input(asset, context)).collect();
        if known.is_empty() {
            return Ok(());
        }
        let (datasets, known) = known.into_iter().unzip();
        let linked = async {
            self.store.link_to_run(run_id.to_owned(), datasets, Vec::new()).await?;
            self.store.keep_known_inputs(run_id.to_owned(), known).await
        };
        linked.await.map_err(|error| failed("log the inputs", run_id, &error))
    }

    async fn log_artifact(&self, run_id: &str, path: &str, content: Bytes) -> Result<(), TrackerError> {
        const ACTION: &str = "store a file";
        let inside = FilePath::new(run_id).and_then(|run| run.join(path));
        let inside = inside.map_err(|error| failed(ACTION, run_id, &error))?;
        if path.is_empty() || !run_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let stale = MetastoreError::stale(format!("`{path}` does not stay inside the run"));
            return Err(failed(ACTION, run_id, &stale));
        }
        self.artifacts.write_bytes(&inside, content).await.map_err(|error| failed(ACTION, run_id, &error))
    }
}

/// Digits of a digest that MLflow has room for.
const SHORT_DIGEST: usize = 32;

/// A digest as MLflow shows it: the first 32 hex digits of ours, without its algorithm.
pub fn short_digest(digest: &str) -> &str {
    let digits = digest.split_once(':').map_or(digest, |(_, digits)| digits);
    digits.get(..SHORT_DIGEST).unwrap_or(digits)
}

/// A version of a dataset as an input of a tracked run, in MLflow's words; `None` for what is none.
fn logged_input(asset: &Asset, context: &str) -> Option<(DatasetInput, KnownInput)> {
    let (name, version) = (asset.name.clone()?, i64::try_from(asset.version?).ok()?);
    if asset.kind == AssetType::Model {
        return None;
    }
    let path = asset.uri.strip_prefix("file://").unwrap_or(&asset.uri);
    let (source_type, source) = match asset.delta_version {
        Some(delta) => ("delta_table", json!({"path": path, "delta_table_version": delta})),
        None => ("local", json!({"uri": path})),
    };
    let digest = short_digest(&asset.digest).to_owned();
    let known = KnownInput {
        name: name.clone(),
        digest: digest.clone(),
        asset_name: name.clone(),
        asset_version: version,
    };
    let input = DatasetInput {
        name,
        digest,
        source_type: source_type.to_owned(),
        source: source.to_string(),
        schema: None,
        profile: asset.rows.map(|rows| json!({"num_rows": rows}).to_string()),
        context: Some(context.to_owned()),
        tags: json!({"mlflow.data.context": context}).to_string(),
    };
    Some((input, known))
}
