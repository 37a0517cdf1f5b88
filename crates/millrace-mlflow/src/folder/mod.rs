//! An `mlruns` folder: a file for each value, as MLflow's file store lays them out.

mod models;
mod registry;
mod runs;
mod traces;
mod yaml;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use millrace_metastore::experiments::ExperimentFull;
use millrace_metastore::registry::ImportedRegistered;
use tokio::task::block_in_place;

use crate::ImportError;
use crate::files::{Files, Places, local_path, within_experiment};
use crate::record::{self, Broken, EvalDataset, Found, Model, Run, Source, clean, micros};
pub(crate) use models::{greatest, status_number, status_word};
pub(crate) use registry::settled;
pub(crate) use runs::dataset_input;
pub(crate) use traces::SPANS;
use yaml::Meta;

pub(crate) const META: &str = "meta.yaml";
/// Folder of deleted experiments.
pub(crate) const TRASH: &str = ".trash";
/// Folder of registered models, and within an experiment of logged ones.
pub(crate) const MODELS: &str = "models";
pub(crate) const TRACES: &str = "traces";
pub(crate) const DATASETS: &str = "datasets";
pub(crate) const ARTIFACTS: &str = "artifacts";
/// Folders in an experiment that are no runs.
const RESERVED: [&str; 4] = ["tags", DATASETS, TRACES, MODELS];
/// Records that are read together, unless they have many points.
const TOGETHER: usize = 100;
/// Points and bytes of spans that are read together.
const MANY: usize = 200_000;

/// Reads an `mlruns` folder.
pub(crate) struct FolderSource {
    root: PathBuf,
    identity: String,
    places: Places,
    experiments: Vec<PathBuf>,
    runs: Walk,
    models: Walk,
    registered: Walk,
    traces: Walk,
}

/// Where a reader of folders is: those that it has listed, and which experiment's come next.
#[derive(Default)]
struct Walk {
    experiment: usize,
    waiting: Vec<PathBuf>,
}

impl FolderSource {
    pub(crate) fn open(given: &str, places: Places) -> Result<Self, ImportError> {
        let path = local_path(given).unwrap_or_else(|| PathBuf::from(given));
        let path = places.base.join(path);
        let root = fs_err::canonicalize(&path).map_err(ImportError::reading(&path))?;
        let mut experiments = Vec::new();
        for parent in [root.clone(), root.join(TRASH)] {
            for folder in folders(&parent).map_err(ImportError::reading(&parent))? {
                let name = folder.file_name().unwrap_or_default();
                if name != TRASH && (parent != root || name != MODELS) {
                    experiments.push(folder);
                }
            }
        }
        if !experiments.iter().any(|folder| folder.join(META).is_file()) {
            return Err(ImportError::NoStore { folder: root });
        }
        let registered = folders(&root.join(MODELS)).map_err(ImportError::reading(root.join(MODELS)))?;
        let registered = Walk { experiment: 0, waiting: reversed(registered) };
        let identity = format!("file://{}", root.display());
        let (runs, models, traces) = (Walk::default(), Walk::default(), Walk::default());
        Ok(Self { root, identity, places, experiments, runs, models, registered, traces })
    }

    fn read_experiments(&self) -> Found<ExperimentFull> {
        let mut found = Found::default();
        for folder in &self.experiments {
            found.take(experiment(folder));
        }
        found
    }
}

impl Walk {
    /// The next folders, with those of their experiment; `None` after the last.
    fn next(
        &mut self,
        experiments: &[PathBuf],
        list: impl Fn(&Path) -> Result<Vec<PathBuf>, ImportError>,
    ) -> Result<Option<(PathBuf, PathBuf)>, ImportError> {
        loop {
            if let Some(folder) = self.waiting.pop() {
                let experiment = experiments.get(self.experiment.saturating_sub(1));
                return Ok(experiment.map(|experiment| (experiment.clone(), folder)));
            }
            let Some(experiment) = experiments.get(self.experiment) else { return Ok(None) };
            self.experiment += 1;
            // What has no readable description is told once, with the experiments.
            if experiment.join(META).is_file() {
                self.waiting = reversed(list(experiment)?);
            }
        }
    }
}

fn reversed(mut folders: Vec<PathBuf>) -> Vec<PathBuf> {
    folders.reverse();
    folders
}

#[async_trait]
impl Source for FolderSource {
    fn identity(&self) -> &str {
        &self.identity
    }

    async fn experiments(&mut self) -> Result<Found<ExperimentFull>, ImportError> {
        Ok(block_in_place(|| self.read_experiments()))
    }

    async fn next_runs(&mut self) -> Result<Option<Found<Run>>, ImportError> {
        block_in_place(|| {
            let (mut found, mut weight, mut any) = (Found::default(), 0, false);
            while found.records.len() < TOGETHER && weight < MANY {
                let Some((experiment, folder)) = self.runs.next(&self.experiments, runs::folders_of)? else {
                    break;
                };
                any = true;
                if let Some(run) = runs::read(&experiment, &folder, &mut found.broken) {
                    weight += run.run.points.len();
                    found.records.push(run);
                }
            }
            Ok(any.then_some(found))
        })
    }

    async fn next_models(&mut self) -> Result<Option<Found<Model>>, ImportError> {
        block_in_place(|| {
            let (mut found, mut any) = (Found::default(), false);
            while found.records.len() < TOGETHER {
                let next = self.models.next(&self.experiments, |experiment| below(experiment, MODELS))?;
                let Some((experiment, folder)) = next else { break };
                any = true;
                found.records.extend(models::read(&experiment, &folder, &mut found.broken));
            }
            Ok(any.then_some(found))
        })
    }

    async fn next_registered(&mut self) -> Result<Option<Found<ImportedRegistered>>, ImportError> {
        block_in_place(|| {
            let Some(folder) = self.registered.waiting.pop() else { return Ok(None) };
            let mut found = Found::default();
            found.records.extend(registry::read(&folder, &mut found.broken));
            Ok(Some(found))
        })
    }

    async fn next_traces(&mut self) -> Result<Option<Found<record::Trace>>, ImportError> {
        block_in_place(|| {
            let (mut found, mut weight, mut any) = (Found::default(), 0, false);
            while found.records.len() < TOGETHER && weight < MANY {
                let next = self.traces.next(&self.experiments, |experiment| below(experiment, TRACES))?;
                let Some((experiment, folder)) = next else { break };
                any = true;
                if let Some(trace) = traces::read(&experiment, &folder, &self.places, &mut found.broken) {
                    weight += trace.trace.lines.len();
                    found.records.push(trace);
                }
            }
            Ok(any.then_some(found))
        })
    }

    async fn next_datasets(&mut self) -> Result<Option<Found<EvalDataset>>, ImportError> {
        // A folder cannot have them.
        Ok(None)
    }

    fn takes(&self, location: &str) -> bool {
        self.places.reads(location)
    }

    fn files(&self, uri: &str, owner: &str) -> Files {
        // A folder that was moved still says where it was, so what lies beside the values goes first.
        let own = self.experiments.iter().find_map(|experiment| {
            let below =
                within_experiment(owner).map_or_else(|| experiment.clone(), |kind| experiment.join(kind));
            let folder = below.join(owner).join(ARTIFACTS);
            let filled = fs_err::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some());
            filled.then_some(folder)
        });
        own.map_or_else(|| self.places.find(uri, owner), Files::Folder)
    }

    async fn list_files(&self, _: &str) -> Result<Vec<(String, u64)>, ImportError> {
        Ok(Vec::new())
    }

    async fn read_file(&self, address: &str, _: &str) -> Result<reqwest::Response, ImportError> {
        Err(ImportError::Server { url: address.to_owned(), reason: "a folder serves nothing".to_owned() })
    }

    async fn left_out(&mut self) -> Result<Vec<String>, ImportError> {
        let _ = &self.root;
        Ok(Vec::new())
    }
}

/// Folders in a folder, sorted; none if there is none.
pub(super) fn folders(parent: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match fs_err::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn below(experiment: &Path, name: &str) -> Result<Vec<PathBuf>, ImportError> {
    let folder = experiment.join(name);
    folders(&folder).map_err(ImportError::reading(&folder))
}

/// The values in a folder of values: a name is the path of a file, a value what is in it.
pub(super) fn values(folder: &Path, broken: &mut Vec<Broken>) -> Vec<(String, String)> {
    let (files, odd) = match crate::files::walk(folder) {
        Ok(walked) => walked,
        Err(error) => {
            broken.push(Broken::new(folder.display().to_string(), error));
            return Vec::new();
        }
    };
    broken.extend(odd.iter().map(|path| Broken::new(path.display().to_string(), "it is no plain file")));
    let mut values = Vec::with_capacity(files.len());
    for (name, _) in files {
        match text(&folder.join(&name)) {
            Ok(value) => values.push((clean(name), value)),
            Err(error) => broken.push(error),
        }
    }
    values
}

/// What is in a file of text.
pub(super) fn text(path: &Path) -> Result<String, Broken> {
    let place = || path.display().to_string();
    let bytes = fs_err::read(path).map_err(|error| Broken::new(place(), error.kind()))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to() + 1;
        Broken::new(place(), format!("it is not UTF-8: byte {at} is not part of a character"))
    })?;
    Ok(clean(text))
}

/// The number of an experiment: the name of its folder.
pub(super) fn number(experiment: &Path) -> Result<i64, Broken> {
    let name = experiment.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let place = experiment.display().to_string();
    name.parse().map_err(|_| Broken::new(place, "the name of an experiment's folder must be its number"))
}

fn experiment(folder: &Path) -> Result<ExperimentFull, Broken> {
    let meta = Meta::read(&folder.join(META))?;
    let id = number(folder)?;
    if meta.text("experiment_id").is_some_and(|told| told != id.to_string()) {
        return Err(meta.broken("`experiment_id` is not the name of the folder"));
    }
    let name = meta.text("name").filter(|name| !name.is_empty());
    let created_at = micros(meta.int("creation_time").unwrap_or(0));
    let mut broken = Vec::new();
    let tags = values(&folder.join("tags"), &mut broken);
    if let Some(broken) = broken.pop() {
        return Err(broken);
    }
    Ok(ExperimentFull {
        id,
        name: name.ok_or_else(|| meta.broken("an experiment without `name`"))?,
        created_at,
        updated_at: meta.int("last_update_time").map_or(created_at, micros),
        deleted: meta.text("lifecycle_stage").as_deref() == Some("deleted"),
        deleted_at: None,
        artifact_location: meta.text("artifact_location"),
        tags,
    })
}
