//! Runs: `<experiment>/<run>/{meta.yaml,metrics,params,tags,inputs,outputs}`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use millrace_metastore::experiments::{DatasetInput, ImportedRun, MetricRow, ModelLink, TrackedRunRow};
use serde_json::{Map, Value};

use super::yaml::Meta;
use super::{ARTIFACTS, DATASETS, META, RESERVED, folders, number, text, values};
use crate::ImportError;
use crate::record::{Broken, Run, clean, micros, settle};

/// MLflow's numbers of statuses, from 1.
const STATUSES: [&str; 5] = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"];
/// The tag of an input that says what it was read for.
const CONTEXT_TAG: &str = "mlflow.data.context";

/// The folders of an experiment that are runs. What has no description is one only if it has a run's parts: an experiment's files may lie
/// here too.
pub(super) fn folders_of(experiment: &Path) -> Result<Vec<PathBuf>, ImportError> {
    let mut found = folders(experiment).map_err(ImportError::reading(experiment))?;
    found.retain(|folder| {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_run = || ["metrics", "params", META].iter().any(|part| folder.join(part).exists());
        !RESERVED.contains(&name) && is_run()
    });
    Ok(found)
}

pub(super) fn read(experiment: &Path, folder: &Path, broken: &mut Vec<Broken>) -> Option<Run> {
    let read = row(experiment, folder).map(|(row, uri)| {
        let (datasets, mut models) = inputs(experiment, folder, broken);
        models.extend(outputs(folder, broken));
        let mut run = ImportedRun {
            points: points(&folder.join("metrics"), broken),
            params: values(&folder.join("params"), broken),
            tags: values(&folder.join("tags"), broken),
            datasets,
            models,
            row,
        };
        settle(&mut run);
        Run { run, uri }
    });
    read.map_err(|error| broken.push(error)).ok()
}

fn row(experiment: &Path, folder: &Path) -> Result<(TrackedRunRow, String), Broken> {
    let meta = Meta::read(&folder.join(META))?;
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let id = meta.text("run_id").or_else(|| meta.text("run_uuid")).unwrap_or_else(|| name.to_owned());
    if id != name {
        return Err(meta.broken("`run_id` is not the name of the folder"));
    }
    let experiment_id = number(experiment)?;
    if meta.text("experiment_id").is_some_and(|told| told != experiment_id.to_string()) {
        return Err(meta.broken("`experiment_id` is not the experiment that the run lies in"));
    }
    let status = match meta.int("status") {
        None => meta.text("status").unwrap_or_else(|| STATUSES[0].to_owned()),
        Some(status) => {
            let word = usize::try_from(status - 1).ok().and_then(|at| STATUSES.get(at));
            (*word.ok_or_else(|| meta.broken("`status` is none of MLflow's numbers"))?).to_owned()
        }
    };
    let started_at = meta.int("start_time").ok_or_else(|| meta.broken("a run without `start_time`"))?;
    let row = TrackedRunRow {
        id,
        experiment_id,
        name: meta.text("run_name").or_else(|| meta.text("name")).unwrap_or_default(),
        status,
        started_at: micros(started_at),
        ended_at: meta.int("end_time").map(micros),
        user_id: meta.text("user_id").unwrap_or_default(),
        deleted: meta.text("lifecycle_stage").as_deref() == Some("deleted"),
        ..TrackedRunRow::default()
    };
    let own = folder.join(ARTIFACTS).display().to_string();
    Ok((row, meta.text("artifact_uri").unwrap_or(own)))
}

/// Lines of all metrics: `time number step`, before MLflow 1.0 without the step, with a dataset behind it its name and digest.
fn points(folder: &Path, broken: &mut Vec<Broken>) -> Vec<MetricRow> {
    let mut points = Vec::new();
    for_each_line(folder, broken, |name, line| {
        let (point, _) = point(name, line)?;
        points.push(point);
        Some(())
    });
    points
}

/// Shows each line of each file below a folder; one that `see` does not take is broken.
pub(super) fn for_each_line(
    folder: &Path,
    broken: &mut Vec<Broken>,
    mut see: impl FnMut(&str, &str) -> Option<()>,
) {
    let walked = crate::files::walk(folder).map_err(|error| Broken::new(folder.display().to_string(), error));
    let files = match walked {
        Ok((files, _)) => files,
        Err(error) => return broken.push(error),
    };
    for (name, _) in files {
        let path = folder.join(&name);
        let lines = match text(&path) {
            Ok(lines) => lines,
            Err(error) => {
                broken.push(error);
                continue;
            }
        };
        for (at, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            if see(&clean(name.clone()), line).is_none() {
                let place = format!("{}:{}", path.display(), at + 1);
                broken.push(Broken::new(place, "this is no `time number step` of a metric"));
            }
        }
    }
}

/// A point and the words that stand behind it.
pub(super) fn point<'a>(name: &str, line: &'a str) -> Option<(MetricRow, Vec<&'a str>)> {
    let mut words = line.trim().split(' ');
    let logged_at = micros(words.next()?.parse().ok()?);
    let number = words.next()?.parse().ok()?;
    let step = match words.next() {
        None => 0,
        Some(step) => step.parse().ok()?,
    };
    Some((MetricRow { name: name.to_owned(), step, logged_at, number }, words.collect()))
}

fn inputs(experiment: &Path, folder: &Path, broken: &mut Vec<Broken>) -> (Vec<DatasetInput>, Vec<ModelLink>) {
    let (mut datasets, mut models) = (Vec::new(), Vec::new());
    for input in folders(&folder.join("inputs")).unwrap_or_default() {
        let read = Meta::read(&input.join(META)).and_then(|meta| {
            let id = meta.text("source_id").ok_or_else(|| meta.broken("an input without `source_id`"))?;
            if meta.text("source_type").as_deref() == Some("MODEL") {
                models.push(ModelLink { direction: "input", model_id: id, step: 0 });
                return Ok(());
            }
            datasets.push(dataset(&experiment.join(DATASETS).join(&id), meta.map("tags"))?);
            Ok(())
        });
        broken.extend(read.err());
    }
    (datasets, models)
}

fn dataset(folder: &Path, tags: Vec<(String, String)>) -> Result<DatasetInput, Broken> {
    let meta = Meta::read(&folder.join(META))?;
    let required =
        |name: &str| meta.text(name).ok_or_else(|| meta.broken(&format!("a dataset without `{name}`")));
    Ok(dataset_input(
        DatasetInput {
            name: required("name")?,
            digest: required("digest")?,
            source_type: meta.text("source_type").unwrap_or_default(),
            source: meta.text("source").unwrap_or_default(),
            schema: meta.text("schema"),
            profile: meta.text("profile"),
            context: None,
            tags: String::new(),
        },
        tags,
    ))
}

/// A dataset with the tags that a run read it with.
pub(crate) fn dataset_input(data: DatasetInput, tags: Vec<(String, String)>) -> DatasetInput {
    let tags: BTreeMap<String, String> = tags.into_iter().collect();
    let context = tags.get(CONTEXT_TAG).cloned();
    let tags: Map<String, Value> = tags.into_iter().map(|(key, value)| (key, Value::String(value))).collect();
    DatasetInput { context, tags: Value::Object(tags).to_string(), ..data }
}

fn outputs(folder: &Path, broken: &mut Vec<Broken>) -> Vec<ModelLink> {
    let mut models = Vec::new();
    for output in folders(&folder.join("outputs")).unwrap_or_default() {
        match Meta::read(&output.join(META)) {
            Ok(meta) => models.extend(meta.text("source_id").map(|model_id| ModelLink {
                direction: "output",
                model_id,
                step: meta.int("step").unwrap_or(0),
            })),
            Err(error) => broken.push(error),
        }
    }
    models
}
