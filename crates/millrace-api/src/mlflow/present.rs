//! Rows as MLflow's messages.

use std::collections::HashMap;

use millrace_metastore::Metastore;
use millrace_metastore::experiments::{
    DatasetInput, ExperimentFull, LoggedModelRow, MetricRow, ModelMetric, NAME_TAG, PARENT_TAG, Text,
    TrackedRunRow, model_artifact_uri, run_artifact_uri,
};
use serde_json::{Value, json};

use super::error::MlflowError;
use super::wire::double;

/// Scheme of what this server keeps.
pub(super) use millrace_metastore::experiments::OWN_ARTIFACTS as OWN;

fn lifecycle(deleted: bool) -> &'static str {
    if deleted { "deleted" } else { "active" }
}

fn pair((key, value): &(String, String)) -> Value {
    json!({"key": key, "value": value})
}

pub(super) fn experiment(row: &ExperimentFull) -> Value {
    json!({
        "experiment_id": row.id.to_string(),
        "name": row.name,
        "artifact_location": row.artifact_location.as_deref().unwrap_or(OWN),
        "lifecycle_stage": lifecycle(row.deleted),
        "creation_time": row.created_at / 1000,
        "last_update_time": row.updated_at / 1000,
        "tags": row.tags.iter().map(pair).collect::<Vec<_>>(),
    })
}

/// Where the files of a run lie.
pub(crate) fn run_uri(row: &TrackedRunRow) -> String {
    run_artifact_uri(row.artifact_location.as_deref(), &row.id)
}

/// Where the files of a logged model lie.
pub(crate) fn model_uri(row: &LoggedModelRow) -> String {
    model_artifact_uri(row.artifact_location.as_deref(), &row.id)
}

pub(super) fn run_info(row: &TrackedRunRow) -> Value {
    let mut info = json!({
        "run_id": row.id,
        "run_uuid": row.id,
        "run_name": row.name,
        "experiment_id": row.experiment_id.to_string(),
        "user_id": row.user_id,
        "status": row.status,
        "start_time": row.started_at / 1000,
        "artifact_uri": run_uri(row),
        "lifecycle_stage": lifecycle(row.deleted),
    });
    if let (Some(ended), Some(info)) = (row.ended_at, info.as_object_mut()) {
        info.insert("end_time".to_owned(), json!(ended / 1000));
    }
    info
}

pub(super) fn metric(point: &MetricRow) -> Value {
    json!({
        "key": point.name,
        "value": double(point.number),
        "timestamp": point.logged_at / 1000,
        "step": point.step,
    })
}

fn dataset(input: &DatasetInput) -> Value {
    let tags: HashMap<String, String> = serde_json::from_str(&input.tags).unwrap_or_default();
    let mut tags: Vec<(String, String)> = tags.into_iter().collect();
    tags.sort();
    let mut dataset = json!({
        "name": input.name,
        "digest": input.digest,
        "source_type": input.source_type,
        "source": input.source,
    });
    for (name, value) in [("schema", &input.schema), ("profile", &input.profile)] {
        if let (Some(value), Some(dataset)) = (value, dataset.as_object_mut()) {
            dataset.insert(name.to_owned(), json!(value));
        }
    }
    json!({"dataset": dataset, "tags": tags.iter().map(pair).collect::<Vec<_>>()})
}

/// Runs with everything that belongs to them, in the given order.
pub(super) async fn runs(store: &Metastore, rows: Vec<TrackedRunRow>) -> Result<Vec<Value>, MlflowError> {
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let linked = store.list_linked(ids).await?;
    let (datasets, models) = (grouped(linked.datasets), grouped(linked.models));
    let run = |row: &TrackedRunRow| {
        let mut tags: Vec<Value> = row.values.tags.iter().map(pair).collect();
        tags.push(pair(&(NAME_TAG.to_owned(), row.name.clone())));
        if let Some(parent) = &row.parent_id {
            tags.push(pair(&(PARENT_TAG.to_owned(), parent.clone())));
        }
        let models_of = |direction: &str| {
            let all = models.get(&row.id).map(Vec::as_slice).unwrap_or_default();
            all.iter().filter(|link| link.direction == direction).cloned().collect::<Vec<_>>()
        };
        let inputs: Vec<Value> =
            models_of("input").iter().map(|link| json!({"model_id": link.model_id})).collect();
        let outputs: Vec<Value> = models_of("output")
            .iter()
            .map(|link| json!({"model_id": link.model_id, "step": link.step}))
            .collect();
        json!({
            "info": run_info(row),
            "data": {
                "metrics": row.values.metrics.iter().map(metric).collect::<Vec<_>>(),
                "params": row.values.params.iter().map(pair).collect::<Vec<_>>(),
                "tags": tags,
            },
            "inputs": {
                "dataset_inputs": datasets.get(&row.id).map(|all| all.iter().map(dataset).collect::<Vec<_>>()).unwrap_or_default(),
                "model_inputs": inputs,
            },
            "outputs": {"model_outputs": outputs},
        })
    };
    Ok(rows.iter().map(run).collect())
}

/// Logged models with everything that belongs to them, in the given order.
pub(super) async fn models(store: &Metastore, rows: Vec<LoggedModelRow>) -> Result<Vec<Value>, MlflowError> {
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let texts = grouped(store.list_logged_model_texts(ids.clone()).await?);
    let metrics = store.list_logged_model_metrics(ids).await?;
    let metrics = grouped(metrics.into_iter().map(|metric| (metric.model_id.clone(), metric)).collect());
    let model = |row: &LoggedModelRow| {
        let metrics = metrics.get(&row.id).map(|all| all.iter().map(model_metric).collect::<Vec<_>>());
        json!({
            "info": {
                "model_id": row.id,
                "experiment_id": row.experiment_id.to_string(),
                "name": row.name,
                "creation_timestamp_ms": row.created_at / 1000,
                "last_updated_timestamp_ms": row.updated_at / 1000,
                "artifact_uri": model_uri(row),
                "status": row.status,
                "model_type": row.model_type,
                "source_run_id": row.source_run_id,
                "tags": of_family(texts.get(&row.id), "tag"),
            },
            "data": {
                "params": of_family(texts.get(&row.id), "param"),
                "metrics": metrics.unwrap_or_default(),
            },
        })
    };
    Ok(rows.iter().map(model).collect())
}

fn model_metric(of_model: &ModelMetric) -> Value {
    let mut shown = metric(&of_model.point);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("model_id".to_owned(), json!(of_model.model_id));
        shown.insert("run_id".to_owned(), json!(of_model.run_id));
        if !of_model.dataset_name.is_empty() {
            shown.insert("dataset_name".to_owned(), json!(of_model.dataset_name));
            shown.insert("dataset_digest".to_owned(), json!(of_model.dataset_digest));
        }
    }
    shown
}

fn of_family(texts: Option<&Vec<Text>>, family: &str) -> Vec<Value> {
    let texts = texts.map(Vec::as_slice).unwrap_or_default();
    let wanted = texts.iter().filter(|(of, _, _)| of == family);
    wanted.map(|(_, name, content)| json!({"key": name, "value": content})).collect()
}

fn grouped<T>(rows: Vec<(String, T)>) -> HashMap<String, Vec<T>> {
    let mut groups: HashMap<String, Vec<T>> = HashMap::new();
    for (owner, row) in rows {
        groups.entry(owner).or_default().push(row);
    }
    groups
}
