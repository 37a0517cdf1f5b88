//! What `evaluate` steps found out about a model, by the data they looked at.

use indexmap::IndexMap;
use millrace_metastore::lineage::{Direction, StepUse};
use millrace_metastore::{Metastore, MetastoreError};
use serde_json::Value;

/// The numbers of one evaluating step.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The dataset that it read; empty for data without a name.
    pub dataset: String,
    /// Its version.
    pub version: Option<u64>,
    /// Pipeline run.
    pub run_id: String,
    /// Its step.
    pub step: String,
    /// When the step ended; microseconds since 1970.
    pub ended_at: Option<i64>,
    /// Numbers by name.
    pub metrics: IndexMap<String, f64>,
}

/// The evaluations of a content, by its digest, newest run first.
///
/// # Errors
/// If the database fails.
pub async fn of_digest(store: &Metastore, digest: String) -> Result<Vec<Evaluation>, MetastoreError> {
    of_uses(store, &store.list_uses_of_digest(digest).await?).await
}

/// Those among these uses of a content that evaluated it.
///
/// # Errors
/// If the database fails.
pub async fn of_uses(store: &Metastore, uses: &[StepUse]) -> Result<Vec<Evaluation>, MetastoreError> {
    let mut found = Vec::new();
    let judges =
        uses.iter().filter(|used| used.asset.direction == Direction::Read && used.step_kind == "evaluate");
    for used in judges {
        found.extend(of_step(store, used).await?);
    }
    Ok(found)
}

async fn of_step(store: &Metastore, used: &StepUse) -> Result<Option<Evaluation>, MetastoreError> {
    let all = store.list_uses_of_run(used.run_id.clone()).await?;
    let data = all.into_iter().find(|other| {
        other.step == used.step && other.asset.direction == Direction::Read && other.asset.kind == "dataset"
    });
    let step = store.find_step_run(used.run_id.clone(), used.step.clone()).await?;
    let outcome = step.and_then(|step| step.outcome);
    let outcome: Value = outcome.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let metrics: IndexMap<String, f64> = outcome
        .get("metrics")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)))
        .collect();
    let asset = data.map(|data| data.asset);
    Ok((!metrics.is_empty()).then(|| Evaluation {
        dataset: asset.as_ref().map(|asset| asset.name.clone()).unwrap_or_default(),
        version: asset.and_then(|asset| u64::try_from(asset.version).ok()).filter(|version| *version > 0),
        run_id: used.run_id.clone(),
        step: used.step.clone(),
        ended_at: used.ended_at,
        metrics,
    }))
}
