//! Records as MLflow's file store writes them.

use std::collections::BTreeMap;

use millrace_metastore::experiments::{
    DatasetInput, ExperimentFull, ImportedModel, ImportedRun, MetricRow, NAME_TAG, PARENT_TAG,
};
use millrace_metastore::registry::{ImportedRegistered, ModelVersionRow};
use millrace_metastore::traces::{ImportedTrace, NAME_TAG as TRACE_NAME_TAG};
use millrace_tracking::traces::{SPANS_LOCATION_TAG, read_spans};
use serde_json::{Map, Value, json};

use super::tree::Tree;
use super::{nothing, yaml};
use crate::assessment::{self, shown_time};
use crate::digest::LOCATION_TAG;
use crate::folder::{DATASETS, META, SPANS, status_number};
use crate::record::Broken;
use crate::{ImportError, span};

/// MLflow's workspace that everything is in that names none.
const WORKSPACE: &str = "default";

fn stage(deleted: bool) -> &'static str {
    if deleted { "deleted" } else { "active" }
}

fn pairs(pairs: &[(String, String)]) -> impl Iterator<Item = (&str, String)> {
    pairs.iter().map(|(key, value)| (key.as_str(), value.clone()))
}

pub(super) fn experiment(one: &ExperimentFull, location: &str) -> String {
    yaml::write(&[
        ("artifact_location", json!(location)),
        ("creation_time", json!(one.created_at / 1_000)),
        ("experiment_id", json!(one.id.to_string())),
        ("last_update_time", json!(one.updated_at / 1_000)),
        ("lifecycle_stage", json!(stage(one.deleted))),
        ("name", json!(one.name)),
    ])
}

/// A number as Python reads it.
fn python_number(number: f64) -> String {
    if number.is_nan() { "nan".to_owned() } else { format!("{number:?}") }
}

/// Lines of one file a metric, in the order of a history.
fn lines<'a, M>(
    points: impl IntoIterator<Item = &'a M>,
    point: impl Fn(&'a M) -> (&'a MetricRow, String),
) -> BTreeMap<&'a str, String>
where
    M: 'a,
{
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for one in points {
        let (row, rest) = point(one);
        let line =
            format!("{} {} {}{rest}\n", row.logged_at.div_euclid(1_000), python_number(row.number), row.step);
        files.entry(&row.name).or_default().push_str(&line);
    }
    files
}

/// `experiment`: the folder of the run's experiment.
pub(super) fn run(
    tree: &Tree,
    experiment: &str,
    run: &ImportedRun,
    uri: &str,
    broken: &mut Vec<Broken>,
) -> Result<(), ImportError> {
    let row = &run.row;
    let folder = format!("{experiment}/{}", row.id);
    let status = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"];
    let status =
        status.iter().zip(1..).find(|(word, _)| **word == row.status).map_or(1, |(_, number)| number);
    let meta = yaml::write(&[
        ("artifact_uri", json!(uri)),
        ("end_time", json!(row.ended_at.map(|time| time / 1_000))),
        ("entry_point_name", json!("")),
        ("experiment_id", json!(row.experiment_id.to_string())),
        ("lifecycle_stage", json!(stage(row.deleted))),
        ("run_id", json!(row.id)),
        ("run_name", json!(row.name)),
        ("source_name", json!("")),
        ("source_type", json!(4)),
        ("source_version", json!("")),
        ("start_time", json!(row.started_at / 1_000)),
        ("status", json!(status)),
        ("tags", nothing()),
        ("user_id", json!(row.user_id)),
    ]);
    tree.file(&format!("{folder}/{META}"), meta)?;
    let metrics = lines(&run.points, |point| (point, String::new()));
    tree.values(&format!("{folder}/metrics"), metrics, broken)?;
    tree.values(&format!("{folder}/params"), pairs(&run.params), broken)?;
    let mut tags = run.tags.clone();
    tags.push((NAME_TAG.to_owned(), row.name.clone()));
    tags.extend(row.parent_id.clone().map(|parent| (PARENT_TAG.to_owned(), parent)));
    tree.values(&format!("{folder}/tags"), pairs(&tags), broken)?;
    tree.folder(&format!("{folder}/artifacts"))?;
    for data in &run.datasets {
        let id = id_of(&[&data.name, &data.digest]);
        tree.file(&format!("{experiment}/{DATASETS}/{id}/{META}"), dataset(data))?;
        let tags: Value = serde_json::from_str(&data.tags).unwrap_or_else(|_| json!({}));
        input(tree, &folder, &row.id, ("DATASET", &id), &tags)?;
    }
    for link in &run.models {
        if link.direction == "input" {
            input(tree, &folder, &row.id, ("MODEL", &link.model_id), &json!({}))?;
            continue;
        }
        let meta = yaml::write(&[
            ("destination_id", json!(link.model_id)),
            ("destination_type", json!("MODEL_OUTPUT")),
            ("source_id", json!(link.model_id)),
            ("source_type", json!("RUN_OUTPUT")),
            ("step", json!(link.step)),
            ("tags", json!({})),
        ]);
        tree.file(&format!("{folder}/outputs/{}/{META}", link.model_id), meta)?;
    }
    Ok(())
}

fn input(
    tree: &Tree,
    folder: &str,
    run: &str,
    (kind, id): (&str, &str),
    tags: &Value,
) -> Result<(), ImportError> {
    let meta = yaml::write(&[
        ("destination_id", json!(id)),
        ("destination_type", json!("RUN")),
        ("source_id", json!(id)),
        ("source_type", json!(kind)),
        ("tags", tags.clone()),
    ]);
    tree.file(&format!("{folder}/inputs/{}/{META}", id_of(&[id, run])), meta)
}

/// 32 hex digits. MLflow takes MD5, but only ever compares them.
fn id_of(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.as_bytes()).update(&[0]);
    }
    hex::encode(hasher.finalize().as_bytes().get(..16).unwrap_or_default())
}

fn dataset(data: &DatasetInput) -> String {
    yaml::write(&[
        ("digest", json!(data.digest)),
        ("name", json!(data.name)),
        ("profile", json!(data.profile)),
        ("schema", json!(data.schema)),
        ("source", json!(data.source)),
        ("source_type", json!(data.source_type)),
    ])
}

pub(super) fn model(
    tree: &Tree,
    folder: &str,
    model: &ImportedModel,
    uri: &str,
    broken: &mut Vec<Broken>,
) -> Result<(), ImportError> {
    let row = &model.row;
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let meta = yaml::write(&[
        ("artifact_location", json!(uri)),
        ("creation_timestamp", json!(row.created_at / 1_000)),
        ("experiment_id", json!(row.experiment_id.to_string())),
        ("last_updated_timestamp", json!(row.updated_at / 1_000)),
        ("lifecycle_stage", json!(stage(model.deleted))),
        ("model_id", json!(row.id)),
        ("model_type", json!(some(&row.model_type))),
        ("name", json!(row.name)),
        ("source_run_id", json!(some(&row.source_run_id))),
        ("status", json!(status_number(&row.status))),
        ("status_message", Value::Null),
    ]);
    tree.file(&format!("{folder}/{META}"), meta)?;
    for (family, name) in [("param", "params"), ("tag", "tags")] {
        let texts = model.texts.iter().filter(|(of, _, _)| of == family);
        let texts = texts.map(|(_, key, value)| (key.as_str(), value.clone()));
        tree.values(&format!("{folder}/{name}"), texts, broken)?;
    }
    // MLflow reads words between blanks: six of them with a dataset, and a name with a blank is two.
    let (fit, odd): (Vec<_>, Vec<_>) =
        model.metrics.iter().partition(|metric| !metric.dataset_name.contains(' '));
    broken.extend(odd.iter().map(|metric| {
        let place = format!("{folder}/metrics/{}", metric.point.name);
        Broken::new(
            place,
            format!("a folder cannot tell of a dataset with blanks, `{}`", metric.dataset_name),
        )
    }));
    let metrics = lines(fit, |metric| {
        let mut rest = format!(" {}", metric.run_id);
        if !metric.dataset_name.is_empty() {
            rest.push_str(&format!(" {} {}", metric.dataset_name, metric.dataset_digest));
        }
        (&metric.point, rest)
    });
    tree.values(&format!("{folder}/metrics"), metrics, broken)
}

pub(super) fn registered(
    tree: &Tree,
    folder: &str,
    model: &ImportedRegistered,
    broken: &mut Vec<Broken>,
) -> Result<(), ImportError> {
    let row = &model.row;
    let aliases: Map<String, Value> =
        row.aliases.iter().map(|(alias, version)| (alias.clone(), json!(version.to_string()))).collect();
    let meta = yaml::write(&[
        ("aliases", Value::Object(aliases)),
        ("creation_timestamp", json!(row.created_at / 1_000)),
        ("description", json!(row.description)),
        ("last_updated_timestamp", json!(row.updated_at / 1_000)),
        ("name", json!(row.name)),
        ("workspace", json!(WORKSPACE)),
    ]);
    tree.file(&format!("{folder}/{META}"), meta)?;
    tree.values(&format!("{folder}/tags"), pairs(&row.tags), broken)?;
    let aliases = row.aliases.iter().map(|(alias, version)| (alias.as_str(), version.to_string()));
    tree.values(&format!("{folder}/aliases"), aliases, broken)
}

pub(super) fn version(
    tree: &Tree,
    folder: &str,
    version: &ModelVersionRow,
    location: &str,
    broken: &mut Vec<Broken>,
) -> Result<(), ImportError> {
    let meta = yaml::write(&[
        ("creation_timestamp", json!(version.created_at / 1_000)),
        ("current_stage", json!(version.stage)),
        ("description", json!(version.description)),
        ("last_updated_timestamp", json!(version.updated_at / 1_000)),
        ("model_id", json!(version.model_id)),
        ("name", json!(version.name)),
        ("run_id", json!(version.run_id)),
        ("run_link", json!(version.run_link)),
        ("source", json!(version.source)),
        ("status", json!("READY")),
        ("status_message", Value::Null),
        ("storage_location", json!(location)),
        ("user_id", Value::Null),
        ("version", json!(version.version)),
        ("workspace", json!(WORKSPACE)),
    ]);
    tree.file(&format!("{folder}/{META}"), meta)?;
    tree.values(&format!("{folder}/tags"), pairs(&version.tags), broken)
}

pub(super) fn trace(
    tree: &Tree,
    folder: &str,
    imported: &ImportedTrace,
    uri: &str,
    broken: &mut Vec<Broken>,
) -> Result<(), ImportError> {
    let (trace, row) = (&imported.trace, &imported.trace.row);
    let experiment = json!({"experiment_id": row.experiment_id.to_string()});
    let mut info = json!({
        "request_time": shown_time(row.requested_at_ms),
        "state": row.state,
        "trace_id": row.id,
        "trace_location": {"mlflow_experiment": experiment, "type": "MLFLOW_EXPERIMENT"},
    });
    if let Some(info) = info.as_object_mut() {
        info.extend(row.duration_ms.map(|time| ("execution_duration_ms".to_owned(), json!(time))));
        let texts = [
            ("client_request_id", &row.client_request_id),
            ("request_preview", &row.request_preview),
            ("response_preview", &row.response_preview),
        ];
        let texts =
            texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?))));
        info.extend(texts);
    }
    tree.file(&format!("{folder}/trace_info.yaml"), yaml::write_object(&info))?;
    let mut tags = trace.tags.clone();
    tags.retain(|(name, _)| name != SPANS_LOCATION_TAG);
    tags.push((LOCATION_TAG.to_owned(), uri.to_owned()));
    tags.extend(row.name.clone().map(|name| (TRACE_NAME_TAG.to_owned(), name)));
    tree.values(&format!("{folder}/tags"), pairs(&tags), broken)?;
    tree.values(&format!("{folder}/request_metadata"), pairs(&trace.metadata), broken)?;
    for row in &trace.assessments {
        let content = yaml::write_object(&assessment::written(row));
        tree.file(&format!("{folder}/assessments/{}.yaml", row.id), content)?;
    }
    if imported.lines.is_empty() {
        return Ok(());
    }
    match read_spans(&imported.lines) {
        Ok(spans) => {
            let spans: Vec<Value> = spans.iter().map(|span| span::written(&row.id, span)).collect();
            tree.file(&format!("{folder}/artifacts/{SPANS}"), json!({"spans": spans}).to_string())
        }
        Err(error) => {
            broken.push(Broken::new(folder, error));
            Ok(())
        }
    }
}
