//! Logged models: `<experiment>/models/<model>/{meta.yaml,metrics,params,tags}`.

use std::collections::BTreeMap;
use std::path::Path;

use millrace_metastore::experiments::{ImportedModel, LoggedModelRow, MetricRow, ModelMetric, Text};

use super::runs::{for_each_line, point};
use super::yaml::Meta;
use super::{ARTIFACTS, META, number, values};
use crate::record::{Broken, Model, micros};

/// Our words of MLflow's numbers of statuses, from 0.
const STATUSES: [&str; 4] = [
    "LOGGED_MODEL_STATUS_UNSPECIFIED",
    "LOGGED_MODEL_PENDING",
    "LOGGED_MODEL_READY",
    "LOGGED_MODEL_UPLOAD_FAILED",
];

/// The word of a number.
pub(crate) fn status_word(number: i64) -> Option<&'static str> {
    usize::try_from(number).ok().and_then(|at| STATUSES.get(at)).copied()
}

/// The number of a word.
pub(crate) fn status_number(word: &str) -> i64 {
    STATUSES.iter().zip(0..).find(|(known, _)| **known == word).map_or(0, |(_, number)| number)
}

pub(super) fn read(experiment: &Path, folder: &Path, broken: &mut Vec<Broken>) -> Option<Model> {
    let (row, deleted, uri) = row(experiment, folder).map_err(|error| broken.push(error)).ok()?;
    let mut texts: Vec<Text> = Vec::new();
    for (family, name) in [("param", "params"), ("tag", "tags")] {
        let values = values(&folder.join(name), broken);
        texts.extend(values.into_iter().map(|(key, value)| (family.to_owned(), key, value)));
    }
    let metrics = metrics(&row.id, &folder.join("metrics"), broken);
    Some(Model { model: ImportedModel { row, deleted, texts, metrics }, uri })
}

fn row(experiment: &Path, folder: &Path) -> Result<(LoggedModelRow, bool, String), Broken> {
    let meta = Meta::read(&folder.join(META))?;
    let id = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    if meta.text("model_id").is_some_and(|told| told != id) {
        return Err(meta.broken("`model_id` is not the name of the folder"));
    }
    let status = meta.int("status").and_then(status_word);
    let created_at = micros(meta.int("creation_timestamp").unwrap_or(0));
    let row = LoggedModelRow {
        experiment_id: number(experiment)?,
        name: meta.text("name").unwrap_or_default(),
        model_type: meta.text("model_type").unwrap_or_default(),
        source_run_id: meta.text("source_run_id").unwrap_or_default(),
        status: status.ok_or_else(|| meta.broken("`status` is none of MLflow's numbers"))?.to_owned(),
        created_at,
        updated_at: meta.int("last_updated_timestamp").map_or(created_at, micros),
        artifact_location: None,
        id,
    };
    let deleted = meta.text("lifecycle_stage").as_deref() == Some("deleted");
    let own = folder.join(ARTIFACTS).display().to_string();
    Ok((row, deleted, meta.text("artifact_location").unwrap_or(own)))
}

/// Lines `time number step run`, perhaps with name and digest of a dataset behind them.
fn metrics(model: &str, folder: &Path, broken: &mut Vec<Broken>) -> Vec<ModelMetric> {
    let mut found = Vec::new();
    for_each_line(folder, broken, |name, line| {
        let (point, rest) = point(name, line)?;
        let (run_id, dataset) = rest.split_first()?;
        let (dataset_name, dataset_digest) = match dataset.split_last() {
            Some((digest, name)) if !name.is_empty() => (name.join(" "), (*digest).to_owned()),
            _ => (String::new(), String::new()),
        };
        let (model_id, run_id) = (model.to_owned(), (*run_id).to_owned());
        found.push(ModelMetric { model_id, point, run_id, dataset_name, dataset_digest });
        Some(())
    });
    greatest(found)
}

/// The greatest point of each metric, dataset and run, by step, time and number.
pub(crate) fn greatest(metrics: Vec<ModelMetric>) -> Vec<ModelMetric> {
    let mut found: BTreeMap<(String, String, String, String), ModelMetric> = BTreeMap::new();
    let number = |point: &MetricRow| if point.number.is_nan() { 0.0 } else { point.number };
    for metric in metrics {
        let key = (
            metric.point.name.clone(),
            metric.dataset_name.clone(),
            metric.dataset_digest.clone(),
            metric.run_id.clone(),
        );
        let rank = |metric: &ModelMetric| (metric.point.step, metric.point.logged_at);
        let is_greater = found.get(&key).is_none_or(|known| {
            rank(&metric)
                .cmp(&rank(known))
                .then(number(&metric.point).total_cmp(&number(&known.point)))
                .is_gt()
        });
        if is_greater {
            found.insert(key, metric);
        }
    }
    found.into_values().collect()
}
