//! MLflow's messages as what is kept here.

use millrace_metastore::experiments::{
    DatasetInput, ExperimentFull, ImportedModel, ImportedRun, LoggedModelRow, MetricRow, ModelLink,
    ModelMetric, TrackedRunRow,
};
use millrace_metastore::registry::{ModelVersionRow, RegisteredModelRow};
use serde_json::Value;

use super::list;
use crate::folder::{dataset_input, greatest, settled};
use crate::record::{Model, Run, clean, micros};

/// A text field; `None` if it is absent or empty.
pub(super) fn some(message: &Value, name: &str) -> Option<String> {
    message
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .map(|text| clean(text.to_owned()))
}

/// A text field; empty if it is absent.
pub(super) fn text(message: &Value, name: &str) -> String {
    some(message, name).unwrap_or_default()
}

fn required(message: &Value, name: &str) -> Result<String, String> {
    some(message, name).ok_or_else(|| format!("it has no `{name}`"))
}

/// A whole number, which may stand in a text.
pub(super) fn int(message: &Value, name: &str) -> Option<i64> {
    let value = message.get(name)?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn double(message: &Value, name: &str) -> Option<f64> {
    let value = message.get(name)?;
    // Rust reads `NaN` and `Infinity` as protobuf's JSON writes them.
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// `[{"key", "value"}]`.
pub(super) fn pairs(message: &Value, name: &str) -> Vec<(String, String)> {
    list(message, name).iter().map(|pair| (text(pair, "key"), text(pair, "value"))).collect()
}

fn number(message: &Value) -> Result<i64, String> {
    let id = required(message, "experiment_id")?;
    id.parse().map_err(|_| format!("the number of its experiment is none: `{id}`"))
}

pub(super) fn experiment(message: &Value) -> Result<ExperimentFull, String> {
    let created_at = micros(int(message, "creation_time").unwrap_or(0));
    Ok(ExperimentFull {
        id: number(message)?,
        name: required(message, "name")?,
        created_at,
        updated_at: int(message, "last_update_time").map_or(created_at, micros),
        deleted: text(message, "lifecycle_stage") == "deleted",
        deleted_at: None,
        artifact_location: some(message, "artifact_location"),
        tags: pairs(message, "tags"),
    })
}

/// A run without its points.
pub(super) fn run(message: &Value) -> Result<Run, String> {
    let info = message.get("info").ok_or("it has no `info`")?;
    let data = message.get("data").unwrap_or(&Value::Null);
    let inputs = message.get("inputs").unwrap_or(&Value::Null);
    let outputs = message.get("outputs").unwrap_or(&Value::Null);
    let row = TrackedRunRow {
        id: required(info, "run_id").or_else(|_| required(info, "run_uuid"))?,
        experiment_id: number(info)?,
        name: text(info, "run_name"),
        status: some(info, "status").unwrap_or_else(|| "RUNNING".to_owned()),
        started_at: micros(int(info, "start_time").unwrap_or(0)),
        ended_at: int(info, "end_time").filter(|time| *time > 0).map(micros),
        user_id: text(info, "user_id"),
        deleted: text(info, "lifecycle_stage") == "deleted",
        ..TrackedRunRow::default()
    };
    let link = |direction| {
        move |message: &Value| {
            Some(ModelLink {
                direction,
                model_id: some(message, "model_id")?,
                step: int(message, "step").unwrap_or(0),
            })
        }
    };
    let mut models: Vec<ModelLink> = list(inputs, "model_inputs").iter().filter_map(link("input")).collect();
    models.extend(list(outputs, "model_outputs").iter().filter_map(link("output")));
    let run = ImportedRun {
        points: Vec::new(),
        params: pairs(data, "params"),
        tags: pairs(data, "tags"),
        datasets: list(inputs, "dataset_inputs").iter().map(dataset).collect(),
        models,
        row,
    };
    Ok(Run { run, uri: text(info, "artifact_uri") })
}

fn dataset(message: &Value) -> DatasetInput {
    let dataset = message.get("dataset").unwrap_or(&Value::Null);
    let data = DatasetInput {
        name: text(dataset, "name"),
        digest: text(dataset, "digest"),
        source_type: text(dataset, "source_type"),
        source: text(dataset, "source"),
        schema: some(dataset, "schema"),
        profile: some(dataset, "profile"),
        context: None,
        tags: String::new(),
    };
    dataset_input(data, pairs(message, "tags"))
}

pub(super) fn point(message: &Value) -> Option<MetricRow> {
    Some(MetricRow {
        name: text(message, "key"),
        step: int(message, "step").unwrap_or(0),
        logged_at: micros(int(message, "timestamp").unwrap_or(0)),
        number: double(message, "value")?,
    })
}

pub(super) fn model(message: &Value) -> Result<Model, String> {
    let info = message.get("info").ok_or("it has no `info`")?;
    let data = message.get("data").unwrap_or(&Value::Null);
    let created_at = micros(int(info, "creation_timestamp_ms").unwrap_or(0));
    let row = LoggedModelRow {
        id: required(info, "model_id")?,
        experiment_id: number(info)?,
        name: text(info, "name"),
        model_type: text(info, "model_type"),
        source_run_id: text(info, "source_run_id"),
        status: text(info, "status"),
        created_at,
        updated_at: int(info, "last_updated_timestamp_ms").map_or(created_at, micros),
        artifact_location: None,
    };
    let texts = [("param", pairs(data, "params")), ("tag", pairs(info, "tags"))];
    let texts = texts.into_iter().flat_map(|(family, pairs)| {
        pairs.into_iter().map(move |(key, value)| (family.to_owned(), key, value))
    });
    let metric = |message: &Value| {
        Some(ModelMetric {
            model_id: row.id.clone(),
            point: point(message)?,
            run_id: text(message, "run_id"),
            dataset_name: text(message, "dataset_name"),
            dataset_digest: text(message, "dataset_digest"),
        })
    };
    let metrics = greatest(list(data, "metrics").iter().filter_map(metric).collect());
    let texts = texts.collect();
    Ok(Model {
        uri: text(info, "artifact_uri"),
        model: ImportedModel { row, deleted: false, texts, metrics },
    })
}

pub(super) fn registered(message: &Value) -> Result<RegisteredModelRow, String> {
    let created_at = micros(int(message, "creation_timestamp").unwrap_or(0));
    let alias = |alias: &Value| Some((some(alias, "alias")?, int(alias, "version")?));
    Ok(RegisteredModelRow {
        name: required(message, "name")?,
        description: some(message, "description"),
        created_at,
        updated_at: int(message, "last_updated_timestamp").map_or(created_at, micros),
        tags: pairs(message, "tags"),
        aliases: list(message, "aliases").iter().filter_map(alias).collect(),
        latest: Vec::new(),
    })
}

pub(super) fn version(message: &Value, location: Option<String>) -> Result<ModelVersionRow, String> {
    let created_at = micros(int(message, "creation_timestamp").unwrap_or(0));
    Ok(settled(ModelVersionRow {
        name: required(message, "name")?,
        version: int(message, "version").ok_or("a version has no number")?,
        created_at,
        updated_at: int(message, "last_updated_timestamp").map_or(created_at, micros),
        stage: some(message, "current_stage").unwrap_or_else(|| "None".to_owned()),
        description: some(message, "description"),
        source: text(message, "source"),
        location,
        run_id: some(message, "run_id"),
        run_link: some(message, "run_link"),
        model_id: some(message, "model_id"),
        tags: pairs(message, "tags"),
        aliases: Vec::new(),
    }))
}
