//! Everything that is known about a version of a model, in one place: for its page, its card and comparisons.

use indexmap::IndexMap;
use millrace_contract::{AssetKey, ModelVersion};
use millrace_metastore::experiments::TrackedRunRow;
use millrace_metastore::lineage::{Direction, StepUse};
use millrace_metastore::registry::CardRow;
use millrace_metastore::{Metastore, MetastoreError};
use millrace_orchestration::evaluations;
use millrace_tracking::lineage::{self, Graph, Tie};
use millrace_tracking::openlineage::unknown_sources;

use crate::app::{ModelFacts, ModelInspector};
use crate::present::{assets, instant};
use crate::views::json::NumberMap;
use crate::views::models::{DatasetMetrics, ModelCardView};

mod card;
mod compare;

pub use compare::compare;

/// Things of the lineage that a card tells of.
const MOST_NODES: usize = 200;

/// A version with what its files, its runs and its lineage say.
#[derive(Debug)]
pub struct ModelSheet {
    /// As registered.
    pub version: ModelVersion,
    /// What its files say.
    pub facts: ModelFacts,
    /// Parameters of the run that trained it.
    pub params: Vec<(String, String)>,
    /// Its numbers by the data they are about.
    pub metrics_by_dataset: Vec<DatasetMetrics>,
    /// What it came from and what came of it.
    pub lineage: Graph,
}

impl ModelSheet {
    /// Gathers what is known.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn gather(
        store: &Metastore,
        inspector: &dyn ModelInspector,
        version: ModelVersion,
    ) -> Result<Self, MetastoreError> {
        let facts = inspector.inspect(&version.asset.uri).await;
        let uses = store.list_uses_of_digest(version.asset.digest.clone()).await?;
        let params = params(store, &version, &uses).await?;
        let metrics_by_dataset = metrics_by_dataset(store, &version, &uses).await?;
        let lineage = lineage::around(store, key(&version), MOST_NODES, &unknown_sources()).await?;
        Ok(Self { version, facts, params, metrics_by_dataset, lineage })
    }

    /// The versions of datasets that have this tie to it, by name.
    pub fn datasets(&self, tie: Tie) -> Vec<String> {
        let own = key(&self.version);
        let mut found = Vec::new();
        for edge in self.lineage.edges.iter().filter(|edge| edge.to == own) {
            match edge.from.kind.as_str() {
                lineage::kind::DATASET if edge.tie == tie => found.push(label(&edge.from)),
                // What a client's run read, the model was made of.
                lineage::kind::RUN if tie == Tie::Made => {
                    let read = self.lineage.edges.iter().filter(|read| read.to == edge.from);
                    found.extend(read.map(|read| label(&read.from)));
                }
                _ => {}
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// Its card: what people wrote, and what is known.
    pub fn card(&self, written: Option<CardRow>) -> ModelCardView {
        let generated = card::generated(self);
        match written {
            Some(row) => ModelCardView {
                written: Some(row.content),
                revision: u64::try_from(row.revision).unwrap_or_default(),
                written_by: Some(row.written_by),
                written_at: Some(instant(row.written_at)),
                generated,
            },
            None => {
                ModelCardView { written: None, revision: 0, written_by: None, written_at: None, generated }
            }
        }
    }
}

/// `name@version`.
fn label(key: &AssetKey) -> String {
    if key.version > 0 { format!("{}@{}", key.name, key.version) } else { key.name.clone() }
}

fn key(version: &ModelVersion) -> AssetKey {
    AssetKey {
        kind: lineage::kind::MODEL.to_owned(),
        name: version.asset.name.clone().unwrap_or_default(),
        version: version.asset.version.unwrap_or_default(),
    }
}

/// What the training logged as parameters: the step that left this content, or the run of the client.
async fn params(
    store: &Metastore,
    version: &ModelVersion,
    uses: &[StepUse],
) -> Result<Vec<(String, String)>, MetastoreError> {
    let trained =
        uses.iter().rfind(|used| used.asset.direction == Direction::Wrote && used.step_kind != "register");
    let run: Option<TrackedRunRow> = match (trained, &version.tracking_run_id) {
        (Some(used), _) => {
            let nested = store.list_nested_runs(used.run_id.clone()).await?;
            nested.into_iter().find(|run| run.name == used.step)
        }
        (None, Some(run)) => store.find_tracked_run(run.clone()).await?,
        (None, None) => None,
    };
    Ok(run.map(|run| run.values.params).unwrap_or_default())
}

async fn metrics_by_dataset(
    store: &Metastore,
    version: &ModelVersion,
    uses: &[StepUse],
) -> Result<Vec<DatasetMetrics>, MetastoreError> {
    let by_steps = evaluations::of_uses(store, uses).await?.into_iter().map(|evaluation| DatasetMetrics {
        dataset: evaluation.dataset,
        version: evaluation.version,
        run_id: evaluation.run_id,
        step: Some(evaluation.step),
        metrics: assets::numbers(&evaluation.metrics),
    });
    let mut found: Vec<DatasetMetrics> = by_steps.collect();
    let (name, number) = (version.asset.name.clone().unwrap_or_default(), version.asset.version);
    let number = number.and_then(|number| i64::try_from(number).ok()).unwrap_or_default();
    let model_id = store.find_model_version(name, number).await.ok().and_then(|row| row.model_id);
    if let Some(model_id) = model_id {
        let mut of: IndexMap<(String, String), DatasetMetrics> = IndexMap::new();
        for metric in store.list_logged_model_metrics(vec![model_id]).await? {
            let reads = store.list_tracked_reads_by(metric.run_id.clone()).await?;
            let version = reads.iter().find(|read| read.asset_name == metric.dataset_name);
            let entry = of.entry((metric.dataset_name.clone(), metric.run_id.clone())).or_insert_with(|| {
                DatasetMetrics {
                    dataset: metric.dataset_name.clone(),
                    version: version.and_then(|read| u64::try_from(read.asset_version).ok()),
                    run_id: metric.run_id.clone(),
                    step: None,
                    metrics: NumberMap::default(),
                }
            });
            if metric.point.number.is_finite() {
                entry.metrics.0.insert(metric.point.name, metric.point.number);
            }
        }
        found.extend(of.into_values());
    }
    Ok(found)
}
