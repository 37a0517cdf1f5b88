//! What is approved: one content, by its digest.

use std::sync::Arc;

use millrace_contract::{CatalogError, DatasetCatalog, ModelRegistry, StepContext};
use millrace_metastore::runs::PipelineRunRow;
use millrace_spec::asset::Asset;
use millrace_spec::expression;
use millrace_spec::ids::StepKey;
use millrace_spec::pipeline::Pipeline;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What an approval is about, as it is stored with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// `model`, `table`, another type of asset, `value`, or `run` for the run's plan.
    pub kind: String,
    /// For people: `churn@3`.
    pub label: String,
    /// Of the content.
    pub digest: String,
    /// What it was found by, `model:churn@challenger`; looked up again before anybody's yes counts.
    #[serde(default)]
    pub reference: Option<String>,
    /// The asset or value; null for the run's plan.
    #[serde(default)]
    pub value: Value,
}

impl Subject {
    /// The subject of a step: what its config names, else the plan of its run.
    pub(crate) fn of(config: Option<&Value>, context: &StepContext, run: &PipelineRunRow) -> Self {
        let Some(value) = config.filter(|value| !value.is_null()) else {
            return Self {
                kind: "run".to_owned(),
                label: format!("{} #{}", run.pipeline, run.number),
                digest: digest(&[run.definition.as_bytes(), run.inputs.as_bytes()]),
                reference: None,
                value: Value::Null,
            };
        };
        match Asset::from_value(value) {
            Some(asset) => Self::of_asset(&asset, reference_as_written(run, &context.step)),
            None => Self {
                kind: "value".to_owned(),
                label: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
                digest: digest(&[value.to_string().as_bytes()]),
                reference: None,
                value: value.clone(),
            },
        }
    }

    /// An asset. `written`: the reference that it was found by, if a user wrote one.
    pub(crate) fn of_asset(asset: &Asset, written: Option<String>) -> Self {
        let kind = json!(asset.kind).as_str().unwrap_or("asset").to_owned();
        let family = if kind == "model" { "model" } else { "data" };
        let version = asset.name.as_ref().zip(asset.version);
        Self {
            label: asset.label(),
            digest: asset.digest.clone(),
            reference: written
                .or_else(|| version.map(|(name, version)| format!("{family}:{name}@{version}"))),
            value: asset.to_value(),
            kind,
        }
    }
}

/// Finds out what a reference names now.
#[derive(Clone)]
pub(super) struct Catalogs {
    pub(super) datasets: Arc<dyn DatasetCatalog>,
    pub(super) models: Arc<dyn ModelRegistry>,
}

impl Catalogs {
    /// Why a subject is not what it was, if it is not.
    ///
    /// # Errors
    /// If the catalog cannot be asked now.
    pub(super) async fn change_of(&self, subject: &Subject) -> Result<Option<String>, CatalogError> {
        let Some(reference) = &subject.reference else { return Ok(None) };
        let found = match reference.starts_with("data:") {
            true => self.datasets.resolve(reference).await.map(|version| version.asset),
            false => self.models.resolve(reference).await.map(|version| version.asset),
        };
        match found {
            Ok(asset) if asset.digest == subject.digest => Ok(None),
            Ok(asset) => Ok(Some(format!(
                "`{reference}` is {} now, another content than {} had when it was asked",
                asset.label(),
                subject.label
            ))),
            Err(error @ CatalogError::Store { .. }) => Err(error),
            Err(_) => Ok(Some(format!("there is no `{reference}` any more"))),
        }
    }
}

/// The reference under `subject` as the pipeline's file or an input of the run says it: `model:churn@challenger` may come to mean another
/// version.
fn reference_as_written(run: &PipelineRunRow, step: &str) -> Option<String> {
    let pipeline: Pipeline = serde_json::from_str(&run.definition).ok()?;
    let inputs: Value = serde_json::from_str(&run.inputs).ok()?;
    let key: StepKey = step.parse().ok()?;
    let step = pipeline.steps.get(&key.step).or_else(|| pipeline.finally.get(&key.step))?;
    let written = step.config.get("subject")?;
    // What another step left has no name in here, and is that step's for good.
    let rendered = expression::render(written, &json!({"inputs": inputs})).ok()?;
    let text = rendered.as_str()?;
    ["data:", "model:", "models:/"].iter().any(|way| text.starts_with(way)).then(|| text.to_owned())
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        // Each with its length, so that no two lists are the same bytes.
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    format!("blake3:{}", hasher.finalize().to_hex())
}
