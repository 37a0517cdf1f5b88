//! Rows as MLflow's messages.

use std::collections::HashMap;

use millrace_metastore::Metastore;
use millrace_metastore::experiments::{
    DatasetInput, ExperimentFull, LoggedModelRow, MetricRow, ModelLink, ModelMetric, NAME_TAG, PARENT_TAG,
    Text, TrackedRunRow, model_artifact_uri, run_artifact_uri,
};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::error::MlflowError;

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

/// `RunInfo`.
#[derive(Serialize)]
pub(super) struct RunInfo<'a> {
    run_id: &'a str,
    run_uuid: &'a str,
    run_name: &'a str,
    experiment_id: String,
    user_id: &'a str,
    status: &'a str,
    start_time: i64,
    artifact_uri: String,
    lifecycle_stage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
}

impl<'a> RunInfo<'a> {
    pub(super) fn of(row: &'a TrackedRunRow) -> Self {
        Self {
            run_id: &row.id,
            run_uuid: &row.id,
            run_name: &row.name,
            experiment_id: row.experiment_id.to_string(),
            user_id: &row.user_id,
            status: &row.status,
            start_time: row.started_at / 1000,
            artifact_uri: run_uri(row),
            lifecycle_stage: lifecycle(row.deleted),
            end_time: row.ended_at.map(|ended| ended / 1000),
        }
    }
}

/// A parameter or a tag.
#[derive(Serialize)]
struct Pair<'a> {
    key: &'a str,
    value: &'a str,
}

impl<'a> Pair<'a> {
    fn of((key, value): &'a (String, String)) -> Self {
        Self { key, value }
    }
}

/// A point.
#[derive(Serialize)]
pub(super) struct Metric<'a> {
    key: &'a str,
    #[serde(serialize_with = "double")]
    value: f64,
    timestamp: i64,
    step: i64,
}

impl<'a> Metric<'a> {
    pub(super) fn of(point: &'a MetricRow) -> Self {
        Self { key: &point.name, value: point.number, timestamp: point.logged_at / 1000, step: point.step }
    }
}

/// A number as protobuf's JSON has it.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
pub(super) fn double<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.is_nan() { serializer.serialize_str("NaN") } else { serializer.serialize_f64(*number) }
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
pub(super) async fn runs(store: &Metastore, rows: Vec<TrackedRunRow>) -> Result<Vec<Run>, MlflowError> {
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let linked = store.list_linked(ids).await?;
    let (mut datasets, mut models) = (grouped(linked.datasets), grouped(linked.models));
    let run = |row: TrackedRunRow| Run {
        datasets: datasets.remove(&row.id).unwrap_or_default(),
        models: models.remove(&row.id).unwrap_or_default(),
        row,
    };
    Ok(rows.into_iter().map(run).collect())
}

/// A run as it is answered. It is written straight from its row: a page has a hundred runs with some dozen values each, and a JSON value
/// for each of their fields took longer than finding them.
pub(super) struct Run {
    row: TrackedRunRow,
    datasets: Vec<DatasetInput>,
    models: Vec<ModelLink>,
}

impl Serialize for Run {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { row, datasets, models } = self;
        let own = [(NAME_TAG, Some(&row.name)), (PARENT_TAG, row.parent_id.as_ref())];
        let own = own.into_iter().filter_map(|(key, value)| Some(Pair { key, value: value? }));
        let linked = |wanted: &'static str| models.iter().filter(move |link| link.direction == wanted);
        RunMessage {
            info: RunInfo::of(row),
            data: RunData {
                metrics: row.values.metrics.iter().map(Metric::of).collect(),
                params: row.values.params.iter().map(Pair::of).collect(),
                tags: row.values.tags.iter().map(Pair::of).chain(own).collect(),
            },
            inputs: RunInputs {
                dataset_inputs: datasets.iter().map(dataset).collect(),
                model_inputs: linked("input").map(|link| json!({"model_id": link.model_id})).collect(),
            },
            outputs: RunOutputs {
                model_outputs: linked("output")
                    .map(|link| json!({"model_id": link.model_id, "step": link.step}))
                    .collect(),
            },
        }
        .serialize(serializer)
    }
}

#[derive(Serialize)]
struct RunMessage<'a> {
    info: RunInfo<'a>,
    data: RunData<'a>,
    inputs: RunInputs,
    outputs: RunOutputs,
}

#[derive(Serialize)]
struct RunData<'a> {
    metrics: Vec<Metric<'a>>,
    params: Vec<Pair<'a>>,
    tags: Vec<Pair<'a>>,
}

#[derive(Serialize)]
struct RunInputs {
    dataset_inputs: Vec<Value>,
    model_inputs: Vec<Value>,
}

#[derive(Serialize)]
struct RunOutputs {
    model_outputs: Vec<Value>,
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
    let mut shown = json!(Metric::of(&of_model.point));
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
