//! Writes what is here into an `mlruns` folder that MLflow's own file store opens, and reads it again to compare.

mod records;
mod tree;
mod yaml;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use millrace_metastore::experiments::ExperimentFull;
use millrace_metastore::traces::{RUN_LINK, RUN_METADATA};
use millrace_storage::{FilePath, Storage};
use millrace_tracking::traces::ATTACHMENTS;
use serde_json::json;

use crate::ImportError;
use crate::digest::Totals;
use crate::folder::FolderSource;
use crate::import::{OWN, Progress, attachments, names_attachments, whole_traces};
use crate::record::{Broken, Source as _, settle};
use crate::report::Report;
use crate::target::{Target, count_folder};
use tree::Tree;

/// Records that are read together.
const TOGETHER: i64 = 100;
/// The part of an address of ours that models which steps registered lie below.
const REGISTERED: &str = ".registry/";

/// What is written and where from.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The workspace.
    pub target: Target,
    /// Models that steps registered, `<name>/<digest>`.
    pub models: Storage,
    /// Names of experiments; all of them, and the registry, if there are none.
    pub experiments: Vec<String>,
}

/// Writes a new folder. The report's source is the workspace, and what is "here" is what the folder has.
///
/// # Errors
/// If the folder is not empty or cannot be written, or an experiment is not there.
pub async fn export(
    exported: Exported,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<Report, ImportError> {
    let tree = Tree::new(folder)?;
    let report = Report { identity: format!("file://{}", folder.display()), ..Report::default() };
    let mut export = Export { exported, tree, report, experiments: BTreeMap::new(), owners: HashMap::new() };
    export.experiments().await?;
    export.runs(progress).await?;
    export.models(progress).await?;
    export.traces(progress).await?;
    if export.exported.experiments.is_empty() {
        export.registered().await?;
    }
    export.left_out().await?;
    let Export { tree, mut report, owners, .. } = export;
    tree.finish()?;
    read_again(folder, &mut report, &owners).await?;
    Ok(report)
}

struct Export {
    exported: Exported,
    tree: Tree,
    report: Report,
    experiments: BTreeMap<i64, ExperimentFull>,
    /// Folders of runs and logged models whose files were copied, below the root, and how MLflow names them there.
    owners: HashMap<String, String>,
}

impl Export {
    /// The folder of an experiment.
    fn folder_of(&self, experiment: i64) -> String {
        match self.experiments.get(&experiment) {
            Some(one) if one.deleted => format!("{}/{experiment}", crate::folder::TRASH),
            _ => experiment.to_string(),
        }
    }

    /// Where MLflow says that something of an experiment lies: for a deleted one, where it would be once it is restored.
    fn uri(&self, experiment: i64, path: &str) -> String {
        match self.experiments.get(&experiment).and_then(|one| one.artifact_location.as_deref()) {
            Some(location) => format!("{location}/{path}"),
            None => self.place(experiment, path),
        }
    }

    /// The same of what is in the folder whatever the experiment's own place is.
    fn place(&self, experiment: i64, path: &str) -> String {
        format!("{}/{experiment}/{path}", self.tree.root.display())
    }

    fn is_own(&self, experiment: i64) -> bool {
        self.experiments.get(&experiment).is_some_and(|one| one.artifact_location.is_none())
    }

    fn numbers(&self) -> Vec<i64> {
        self.experiments.keys().copied().collect()
    }

    async fn experiments(&mut self) -> Result<(), ImportError> {
        let wanted = self.exported.experiments.clone();
        let all = self.exported.target.store.list_every_experiment().await?;
        for name in &wanted {
            if !all.iter().any(|one| one.name == *name) {
                return Err(ImportError::NoExperiment { name: name.clone() });
            }
        }
        self.tree.folder(crate::folder::TRASH)?;
        self.tree.folder(crate::folder::MODELS)?;
        for one in all.into_iter().filter(|one| wanted.is_empty() || wanted.contains(&one.name)) {
            self.report.source.add(&Totals::experiment(&one));
            self.experiments.insert(one.id, one);
        }
        for one in self.experiments.values() {
            let folder = self.folder_of(one.id);
            let location = one.artifact_location.clone();
            let location = location.unwrap_or_else(|| format!("{}/{}", self.tree.root.display(), one.id));
            self.tree.file(&format!("{folder}/meta.yaml"), records::experiment(one, &location))?;
            let tags = one.tags.iter().map(|(key, value)| (key.as_str(), value.clone()));
            let mut broken = Vec::new();
            self.tree.values(&format!("{folder}/tags"), tags, &mut broken)?;
            self.report.broken.extend(broken);
        }
        Ok(())
    }

    async fn runs(&mut self, progress: &dyn Progress) -> Result<(), ImportError> {
        let (mut after, mut done) = (0, 0);
        loop {
            let page = self.exported.target.store.list_whole_runs(self.numbers(), after, TOGETHER).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            done += page.len() as u64;
            for (_, mut run) in page {
                settle(&mut run);
                self.report.source.add(&Totals::run(&run));
                let (id, experiment) = (run.row.id.clone(), run.row.experiment_id);
                let folder = format!("{}/{id}", self.folder_of(experiment));
                let uri = self.uri(experiment, &format!("{id}/artifacts"));
                let mut broken = Vec::new();
                records::run(&self.tree, &self.folder_of(experiment), &run, &uri, &mut broken)?;
                self.files(experiment, &id, &folder, &uri, broken).await?;
            }
            progress.at("runs", done);
        }
    }

    /// Copies the files of a run or a logged model.
    async fn files(
        &mut self,
        experiment: i64,
        owner: &str,
        folder: &str,
        uri: &str,
        mut broken: Vec<Broken>,
    ) -> Result<(), ImportError> {
        if self.is_own(experiment) {
            let to = format!("{folder}/artifacts");
            match FilePath::new(owner) {
                Ok(from) => {
                    let artifacts = self.exported.target.artifacts.clone();
                    self.report.bytes += self.tree.copy(&artifacts, &from, &to, &mut broken).await?;
                    let counted = self.exported.target.count_files(owner).await;
                    self.report.source.add(&counted.source);
                    broken.extend(counted.broken);
                    self.owners.insert(owner.to_owned(), to);
                }
                Err(error) => broken.push(Broken::new(owner, error)),
            }
        } else {
            self.report.elsewhere.push(uri.to_owned());
        }
        self.report.broken.extend(broken);
        Ok(())
    }

    async fn models(&mut self, progress: &dyn Progress) -> Result<(), ImportError> {
        let (mut after, mut done) = (String::new(), 0);
        loop {
            let store = &self.exported.target.store;
            let page = store.list_whole_models(self.numbers(), after.clone(), TOGETHER).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.row.id);
            done += page.len() as u64;
            for model in page {
                self.report.source.add(&Totals::model(&model));
                let (id, experiment) = (model.row.id.clone(), model.row.experiment_id);
                let folder = format!("{}/{}/{id}", self.folder_of(experiment), crate::folder::MODELS);
                let uri = self.uri(experiment, &format!("models/{id}/artifacts"));
                let mut broken = Vec::new();
                records::model(&self.tree, &folder, &model, &uri, &mut broken)?;
                self.files(experiment, &id, &folder, &uri, broken).await?;
            }
            progress.at("logged models", done);
        }
    }

    async fn traces(&mut self, progress: &dyn Progress) -> Result<(), ImportError> {
        let (mut after, mut done, mut links) = (String::new(), 0, 0);
        loop {
            let target = self.exported.target.clone();
            let page = target.store.list_every_trace(self.numbers(), after.clone(), TOGETHER).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.row.id);
            let ids: Vec<String> = page.iter().map(|trace| trace.row.id.clone()).collect();
            done += ids.len() as u64;
            let mut whole = whole_traces(&target, ids.clone()).await?;
            for id in ids {
                let Some(mut trace) = whole.remove(&id) else { continue };
                // A folder links a trace to the run that it was made in, and to nothing else.
                let run = trace.trace.metadata.iter().find(|(name, _)| name == RUN_METADATA);
                let run = run.map(|(_, run)| run.clone());
                let all = trace.links.len();
                trace.links.retain(|(kind, of)| kind == RUN_LINK && Some(of) == run.as_ref());
                links += all - trace.links.len();
                self.report.source.add(&Totals::trace(&trace));
                let experiment = trace.trace.row.experiment_id;
                let folder = format!("{}/{}/{id}", self.folder_of(experiment), crate::folder::TRACES);
                let uri = self.place(experiment, &format!("traces/{id}/artifacts"));
                let mut broken = Vec::new();
                records::trace(&self.tree, &folder, &trace, &uri, &mut broken)?;
                if names_attachments(&trace) {
                    self.attachments(&id, &folder, &mut broken).await?;
                }
                self.report.broken.extend(broken);
            }
            progress.at("traces", done);
        }
        if links > 0 {
            let what = format!("{links} links of traces to runs and prompts: a folder has no place for them");
            self.report.left_out.push(what);
        }
        Ok(())
    }

    /// Copies what was attached to the spans of a trace.
    async fn attachments(
        &mut self,
        id: &str,
        folder: &str,
        broken: &mut Vec<Broken>,
    ) -> Result<(), ImportError> {
        let owner = attachments(id);
        let from = match FilePath::new(&owner) {
            Ok(from) => from,
            Err(error) => {
                broken.push(Broken::new(owner, error));
                return Ok(());
            }
        };
        let counted = self.exported.target.count_files(&owner).await;
        let to = format!("{folder}/artifacts/{ATTACHMENTS}");
        let artifacts = self.exported.target.artifacts.clone();
        self.report.bytes += self.tree.copy(&artifacts, &from, &to, broken).await?;
        self.report.source.add(&counted.source);
        broken.extend(counted.broken);
        self.owners.insert(owner, to);
        Ok(())
    }

    async fn registered(&mut self) -> Result<(), ImportError> {
        for (name, _) in self.exported.target.store.list_registered_names().await? {
            let model = self.exported.target.store.find_whole_registered(name.clone()).await?;
            self.report.source.add(&Totals::registered(&model));
            let folder = format!("{}/{name}", crate::folder::MODELS);
            let mut broken = Vec::new();
            records::registered(&self.tree, &folder, &model, &mut broken)?;
            for (version, _) in &model.versions {
                let folder = format!("{folder}/version-{}", version.version);
                let location = version.location.clone().unwrap_or_else(|| version.source.clone());
                let location = self.located(&location, &folder, &mut broken).await?;
                records::version(&self.tree, &folder, version, &location, &mut broken)?;
            }
            self.report.broken.extend(broken);
        }
        Ok(())
    }

    /// Where the files of a version are in the folder; those of a model that a step registered are copied beside its description.
    async fn located(
        &mut self,
        location: &str,
        folder: &str,
        broken: &mut Vec<Broken>,
    ) -> Result<String, ImportError> {
        let Some(path) = location.strip_prefix(OWN) else { return Ok(location.to_owned()) };
        if let Some(path) = path.strip_prefix(REGISTERED) {
            match FilePath::new(path) {
                Ok(from) => {
                    let (models, to) = (self.exported.models.clone(), format!("{folder}/artifacts"));
                    self.report.bytes += self.tree.copy(&models, &from, &to, broken).await?;
                    return Ok(format!("{}/{to}", self.tree.root.display()));
                }
                Err(error) => broken.push(Broken::new(location, error)),
            }
        }
        let (owner, rest) = path.split_once('/').unwrap_or((path, ""));
        let found =
            self.owners.get(owner).map(|folder| format!("{}/{folder}/{rest}", self.tree.root.display()));
        Ok(found.map_or_else(|| location.to_owned(), |found| found.trim_end_matches('/').to_owned()))
    }

    async fn left_out(&mut self) -> Result<(), ImportError> {
        let numbers = Some(self.numbers()).filter(|_| !self.exported.experiments.is_empty());
        let datasets = self.exported.target.store.list_eval_datasets(numbers).await?.len();
        if datasets > 0 {
            self.report
                .left_out
                .push(format!("{datasets} evaluation datasets: a folder has no place for them"));
        }
        Ok(())
    }
}

/// Counts what the folder has.
async fn read_again(
    folder: &Path,
    report: &mut Report,
    owners: &HashMap<String, String>,
) -> Result<(), ImportError> {
    let given = folder.display().to_string();
    let mut source = FolderSource::open(&given, crate::Places::default())?;
    let found = source.experiments().await?;
    report.broken.extend(found.broken);
    found.records.iter().for_each(|one| report.here.add(&Totals::experiment(one)));
    while let Some(found) = source.next_runs().await? {
        report.broken.extend(found.broken);
        found.records.iter().for_each(|one| report.here.add(&Totals::run(&one.run)));
    }
    while let Some(found) = source.next_models().await? {
        report.broken.extend(found.broken);
        found.records.iter().for_each(|one| report.here.add(&Totals::model(&one.model)));
    }
    while let Some(found) = source.next_traces().await? {
        report.broken.extend(found.broken);
        found.records.iter().for_each(|one| report.here.add(&Totals::trace(&one.trace)));
    }
    while let Some(found) = source.next_registered().await? {
        report.broken.extend(found.broken);
        found.records.iter().for_each(|one| report.here.add(&Totals::registered(one)));
    }
    let mut owners: Vec<(&String, &String)> = owners.iter().collect();
    owners.sort();
    for (owner, path) in owners {
        let counted = count_folder(&folder.join(path), owner).await;
        report.broken.extend(counted.broken);
        report.here.add(&counted.source);
    }
    Ok(())
}

/// MLflow's empty tags and lists of older versions.
fn nothing() -> serde_json::Value {
    json!([])
}
