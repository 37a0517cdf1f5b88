//! `runs/log-metric`, `runs/log-parameter`, `runs/log-batch`.

use std::collections::HashSet;

use axum::Json;
use axum::extract::{Request, State};
use millrace_metastore::experiments::{MetricRow, ModelMetric, ParamRule, TrackedBatch};
use serde::Deserialize;
use serde_json::json;

use super::error::{Answer, MlflowError};
use super::wire::{self, Fields};
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
pub(super) async fn log_batch(State(app): State<App>, request: Request) -> Answer {
    let body = wire::body(request, &app).await?;
    if let Some((run_id, batch)) = body.as_deref().and_then(only_metrics) {
        return store(&app, run_id, batch).await;
    }
    let (run_id, batch) = any_batch(Fields::of_body(body)?)?;
    store(&app, run_id, batch).await
}

/// What trainers send all day: points alone, written the way MLflow's client writes them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlyMetrics {
    run_id: String,
    metrics: Vec<PlainMetric>,
    #[serde(default)]
    params: [(); 0],
    #[serde(default)]
    tags: [(); 0],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainMetric {
    key: String,
    value: f64,
    timestamp: i64,
    #[serde(default)]
    step: i64,
}

/// Reads such a body without the hundreds of small allocations that any JSON takes. Whatever is not just so, or not right, is `None`, and
/// [`any_batch`] says about it what there is to say.
fn only_metrics(body: &[u8]) -> Option<(String, TrackedBatch)> {
    let OnlyMetrics { run_id, metrics, params: [], tags: [] } = serde_json::from_slice(body).ok()?;
    if run_id.is_empty() || metrics.len() > MOST_METRICS {
        return None;
    }
    let point = |metric: PlainMetric| {
        names::check_key("key", &metric.key).ok()?;
        let logged_at = Some(metric.timestamp).filter(|time| *time >= 0)?.checked_mul(1000)?;
        Some(MetricRow { name: metric.key, step: metric.step, logged_at, number: metric.value })
    };
    let metrics = metrics.into_iter().map(point).collect::<Option<Vec<_>>>()?;
    Some((run_id, TrackedBatch { metrics, ..empty() }))
}

fn any_batch(mut fields: Fields) -> Result<(String, TrackedBatch), MlflowError> {
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
    Ok((run_id, batch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_reads_what_the_long_way_reads() {
        let both = |body: &str| {
            let long = Fields::of_body(Some(body.to_owned().into())).and_then(any_batch);
            (only_metrics(body.as_bytes()), long.ok())
        };
        let metric = r#"{"key": "loss", "value": 0.5, "timestamp": 7, "step": 3}, {"key": "n", "value": 2, "timestamp": 8}"#;
        for body in [
            format!(r#"{{"run_id": "r", "metrics": [{metric}], "params": [], "tags": []}}"#),
            format!(r#"{{"run_id": "r", "metrics": [{metric}]}}"#),
            r#"{"run_id": "r", "metrics": []}"#.to_owned(),
        ] {
            let (short, long) = both(&body);
            let ((short_id, short), (long_id, long)) = (short.unwrap(), long.unwrap());
            assert_eq!((short_id, short.metrics, short.params), (long_id, long.metrics, long.params));
            assert!(short.texts.is_empty() && short.model_metrics.is_empty());
        }
        for body in [
            r#"{"run_id": "r", "metrics": [{"key": "a", "value": "NaN", "timestamp": 1}]}"#,
            r#"{"run_id": "r", "metrics": [{"key": "a", "value": 1, "timestamp": "1"}]}"#,
            r#"{"run_id": "r", "metrics": [{"key": "a", "value": 1, "timestamp": -1}]}"#,
            r#"{"run_id": "r", "metrics": [{"key": "a%", "value": 1, "timestamp": 1}]}"#,
            r#"{"run_id": "r", "metrics": [{"key": "a", "value": 1, "timestamp": 1, "model_id": "m"}]}"#,
            r#"{"run_id": "r", "metrics": [], "params": [{"key": "a", "value": "b"}]}"#,
            r#"{"runId": "r", "metrics": []}"#,
            r#"{"run_id": "r"#,
        ] {
            assert!(only_metrics(body.as_bytes()).is_none(), "{body}");
        }
    }
}
