//! `runs/log-inputs`, `runs/outputs`, `runs/log-model`: what a run read and made.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use millrace_metastore::experiments::{DatasetInput, DatasetSummary, ModelLink, ParamRule, TrackedBatch};
use serde_json::{Value, json};

use super::error::{Answer, MlflowError};
use super::known_inputs;
use super::runs;
use super::wire::Fields;
use crate::app::App;

const CONTEXT_TAG: &str = "mlflow.data.context";
/// Where clients before 3.0 keep what models a run logged: a JSON list.
const HISTORY_TAG: &str = "mlflow.log-model.history";
/// Field of a dataset and its longest content, bytes.
const LONGEST: [(&str, usize); 5] =
    [("name", 500), ("digest", 36), ("source", 65_535), ("schema", 1_048_575), ("profile", 16_777_215)];

fn dataset(input: &Fields) -> Result<DatasetInput, MlflowError> {
    let data = input.message("dataset")?.ok_or_else(|| input.missing("dataset"))?;
    for (name, longest) in LONGEST {
        if data.text(name)?.is_some_and(|text| text.len() > longest) {
            return Err(MlflowError::invalid(format!(
                "'{}{name}' exceeds the maximum length of {longest} bytes",
                data.place()
            )));
        }
    }
    let tags: BTreeMap<String, String> = input.pairs("tags")?.into_iter().collect();
    Ok(DatasetInput {
        name: data.required("name")?,
        digest: data.required("digest")?,
        source_type: data.required("source_type")?,
        source: data.required("source")?,
        schema: data.text("schema")?,
        profile: data.text("profile")?,
        context: tags.get(CONTEXT_TAG).cloned(),
        tags: json!(tags).to_string(),
    })
}

fn link(direction: &'static str, model: &Fields) -> Result<ModelLink, MlflowError> {
    let step = model.int("step")?.unwrap_or_default();
    Ok(ModelLink { direction, model_id: model.required("model_id")?, step })
}

pub(super) async fn log_inputs(State(app): State<App>, fields: Fields) -> Answer {
    let datasets = fields.messages("datasets")?;
    let datasets = datasets.iter().map(dataset).collect::<Result<Vec<_>, _>>()?;
    let models = fields.messages("models")?;
    let models = models.iter().map(|model| link("input", model)).collect::<Result<Vec<_>, _>>()?;
    let run_id = fields.run_id()?;
    app.engine.store().link_to_run(run_id.clone(), datasets.clone(), models).await?;
    let known = known_inputs::known(&app, &run_id, &datasets).await?;
    if !known.is_empty() {
        app.engine.store().keep_known_inputs(run_id, known).await?;
    }
    Ok(Json(json!({})))
}

pub(super) async fn log_outputs(State(app): State<App>, fields: Fields) -> Answer {
    let models = fields.messages("models")?;
    let models = models.iter().map(|model| link("output", model)).collect::<Result<Vec<_>, _>>()?;
    app.engine.store().link_to_run(fields.run_id()?, Vec::new(), models).await?;
    Ok(Json(json!({})))
}

/// Clients before 3.0 tell what model they logged; it is kept in a tag, as they read it.
pub(super) async fn log_model(State(app): State<App>, fields: Fields) -> Answer {
    let (run_id, text) = (fields.run_id()?, fields.required("model_json")?);
    let model: Value = serde_json::from_str(&text)
        .map_err(|error| MlflowError::invalid(format!("Malformed model info. {error}")))?;
    let absent: Vec<&str> = ["artifact_path", "flavors", "utc_time_created", "run_id"]
        .into_iter()
        .filter(|field| model.get(field).is_none())
        .collect();
    if !absent.is_empty() {
        return Err(MlflowError::invalid(format!(
            "Model json is missing mandatory fields: {}",
            absent.join(", ")
        )));
    }
    let run = runs::found(&app, &run_id).await?;
    let known = run.values.tags.iter().find(|(name, _)| name == HISTORY_TAG);
    let mut history: Vec<Value> =
        known.and_then(|(_, text)| serde_json::from_str(text).ok()).unwrap_or_default();
    history.push(model);
    let batch = TrackedBatch {
        texts: vec![("tag".to_owned(), HISTORY_TAG.to_owned(), json!(history).to_string())],
        params: ParamRule::Keep,
        ..TrackedBatch::default()
    };
    app.engine.store().log_tracked_batch(run_id, batch).await?;
    Ok(Json(json!({})))
}

/// Experiments in one request.
const MOST_EXPERIMENTS: usize = 20;

/// Datasets that runs of experiments read, each with what for.
pub(super) async fn search_datasets(State(app): State<App>, fields: Fields) -> Answer {
    let ids = fields.texts("experiment_ids")?;
    if ids.is_empty() || ids.len() > MOST_EXPERIMENTS {
        return Err(MlflowError::invalid(format!(
            "SearchDatasets request must specify 1 to {MOST_EXPERIMENTS} experiment_ids. Received {}.",
            ids.len()
        )));
    }
    let ids = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let found = app.engine.store().list_dataset_summaries(ids).await?;
    let summary = |found: &DatasetSummary| {
        json!({
            "experiment_id": found.experiment_id.to_string(),
            "name": found.name,
            "digest": found.digest,
            "context": found.context,
        })
    };
    Ok(Json(json!({"dataset_summaries": found.iter().map(summary).collect::<Vec<_>>()})))
}
