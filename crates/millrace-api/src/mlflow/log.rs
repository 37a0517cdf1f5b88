//! `runs/log-metric`, `runs/log-parameter`, `runs/log-batch`.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use millrace_metastore::experiments::{MetricRow, ModelMetric, ParamRule, TrackedBatch};
use serde_json::json;

use super::error::{Answer, MlflowError};
use super::wire::Fields;
use super::{names, runs};
use crate::app::App;

const MOST_METRICS: usize = 1_000;
const MOST_PARAMS: usize = 100;
const MOST_TAGS: usize = 100;
const MOST_IN_ALL: usize = 1_000;

/// Reads a metric into a batch.
fn add_metric(batch: &mut TrackedBatch, fields: &Fields) -> Result<(), MlflowError> {
    let key = fields.required("key")?;
    names::check_key(&format!("{}key", fields.place()), &key)?;
    let point = MetricRow {
        name: key,
        step: fields.int("step")?.unwrap_or_default(),
        logged_at: fields.time("timestamp")?.ok_or_else(|| fields.missing("timestamp"))?,
        number: fields.double("value")?.ok_or_else(|| fields.missing("value"))?,
    };
    if let Some(model_id) = fields.text("model_id")?.filter(|id| !id.is_empty()) {
        batch.model_metrics.push(ModelMetric {
            model_id,
            point: point.clone(),
            run_id: String::new(),
            dataset_name: fields.text("dataset_name")?.unwrap_or_default(),
            dataset_digest: fields.text("dataset_digest")?.unwrap_or_default(),
        });
    }
    batch.metrics.push(point);
    Ok(())
}

/// Reads a parameter into a batch.
fn add_param(batch: &mut TrackedBatch, fields: &Fields) -> Result<(), MlflowError> {
    let key = fields.required("key")?;
    names::check_key(&format!("{}key", fields.place()), &key)?;
    let value = names::param_value(fields.text("value")?.unwrap_or_default());
    batch.texts.push(("param".to_owned(), key, value));
    Ok(())
}

fn empty() -> TrackedBatch {
    TrackedBatch { params: ParamRule::Keep, ..TrackedBatch::default() }
}

async fn store(app: &App, run_id: String, batch: TrackedBatch) -> Answer {
    app.engine.store().log_tracked_batch(run_id, batch).await?;
    Ok(Json(json!({})))
}

pub(super) async fn log_metric(State(app): State<App>, fields: Fields) -> Answer {
    let mut batch = empty();
    add_metric(&mut batch, &fields)?;
    store(&app, fields.run_id()?, batch).await
}

pub(super) async fn log_parameter(State(app): State<App>, fields: Fields) -> Answer {
    let mut batch = empty();
    add_param(&mut batch, &fields)?;
    store(&app, fields.run_id()?, batch).await
}

/// All or nothing.
pub(super) async fn log_batch(State(app): State<App>, mut fields: Fields) -> Answer {
    let run_id = fields.run_id()?;
    let (metrics, params) = (fields.take_messages("metrics")?, fields.take_messages("params")?);
    let tags = fields.messages("tags")?;
    let all = metrics.len() + params.len() + tags.len();
    for (what, count, most) in [
        ("metrics", metrics.len(), MOST_METRICS),
        ("params", params.len(), MOST_PARAMS),
        ("tags", tags.len(), MOST_TAGS),
        ("metrics, params, and tags", all, MOST_IN_ALL),
    ] {
        if count > most {
            return Err(MlflowError::invalid(format!(
                "A batch logging request can contain at most {most} {what}. Got {count} {what}. Please split up {what} across multiple requests and try again."
            )));
        }
    }
    let mut batch = empty();
    metrics.iter().try_for_each(|message| add_metric(&mut batch, message))?;
    params.iter().try_for_each(|message| add_param(&mut batch, message))?;
    let mut keys = HashSet::new();
    if let Some((_, key, _)) = batch.texts.iter().find(|(_, key, _)| !keys.insert(key)) {
        return Err(MlflowError::invalid(format!(
            "Duplicate parameter keys have been submitted: '{key}'. Please ensure the request contains only one param value per param key."
        )));
    }
    for (index, pair) in fields.pairs("tags")?.into_iter().enumerate() {
        let (key, value) = runs::tag(&format!("tags[{index}].key"), pair)?;
        batch.texts.push(("tag".to_owned(), key, value));
    }
    store(&app, run_id, batch).await
}
