//! Takes over everything of a source that is not here yet, and compares the rest.
//!
//! A record is here once its transaction is; its files are copied before. So whatever ends an import, the next one goes on: it reads the
//! source from the beginning and stores what is missing.

mod traces;
mod webhooks;

use std::collections::{BTreeMap, HashMap, HashSet};

use millrace_metastore::assets::AssetVersionRow;
use millrace_metastore::experiments::{ExperimentFull, ImportedModel, ImportedRun};
use millrace_metastore::imports::ImportSource;
use millrace_metastore::registry::{ImportedRegistered, is_deleted, marks_prompt};
use millrace_spec::asset::{Asset, AssetType};
use millrace_storage::FilePath;

use crate::ImportError;
use crate::digest::{DEFAULT, Totals};
use crate::files::{Files, owner_of};
use crate::plan::{self, Place};
use crate::record::{Broken, EvalDataset, Found, Model, Run, Source, settle};
use crate::report::Report;
use crate::target::{Copied, Target};

pub(crate) use traces::{attachments, names_attachments, whole_traces};

/// The address of the files of this workspace.
pub(crate) const OWN: &str = "mlflow-artifacts:/";

/// How things are taken over.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Put before the name of each experiment.
    pub experiment_prefix: String,
    /// Put before the name of each registered model.
    pub model_prefix: String,
    /// Count only.
    pub dry_run: bool,
    /// Leave all files where they are.
    pub no_artifacts: bool,
    /// Microseconds since 1970.
    pub now: i64,
}

/// Is told how far it is.
pub trait Progress: Send + Sync {
    /// So many of a kind are done.
    fn at(&self, kind: &'static str, done: u64);
}

/// Takes over a source.
///
/// # Errors
/// If names clash, the source cannot be read any further, or the workspace cannot be written. What is here until then stays.
pub async fn import(
    source: &mut dyn Source,
    target: &Target,
    options: ImportOptions,
    progress: &dyn Progress,
) -> Result<Report, ImportError> {
    let identity = source.identity().to_owned();
    let known = target.store.find_import(identity.clone()).await?.unwrap_or_default();
    let report = Report { identity, dry_run: options.dry_run, ..Report::default() };
    let mut import = Import {
        source,
        target,
        options,
        progress,
        report,
        known,
        numbers: HashMap::new(),
        own: HashSet::new(),
    };
    import.experiments().await?;
    import.runs().await?;
    import.models().await?;
    import.registered().await?;
    import.traces().await?;
    import.datasets().await?;
    import.webhooks().await?;
    import.report.left_out.extend(import.source.left_out().await?);
    let report = import.report;
    if report.is_sound() && !report.dry_run {
        target.store.finish_import(report.identity.clone(), import.options.now).await?;
    }
    Ok(report)
}

struct Import<'a> {
    source: &'a mut dyn Source,
    target: &'a Target,
    options: ImportOptions,
    progress: &'a dyn Progress,
    report: Report,
    known: ImportSource,
    /// Numbers of experiments here, by those of the source.
    numbers: HashMap<i64, i64>,
    /// Numbers here of experiments whose files are here.
    own: HashSet<i64>,
}

impl Import<'_> {
    async fn experiments(&mut self) -> Result<(), ImportError> {
        let mut found = self.source.experiments().await?;
        self.report.broken.extend(std::mem::take(&mut found.broken));
        let here = self.target.store.list_every_experiment().await?;
        let mut experiments = found.records;
        experiments.sort_by_key(|one| one.id);
        let there: Vec<i64> = experiments.iter().map(|one| one.id).collect();
        let places = plan::experiments(&mut experiments, &here, &self.known, &self.options.experiment_prefix)
            .map_err(|names| ImportError::NamesTaken { names })?;
        if !self.options.dry_run {
            self.target.store.begin_import(self.report.identity.clone(), self.options.now).await?;
        }
        for ((there, mut experiment), place) in there.into_iter().zip(experiments).zip(places) {
            let location = experiment.artifact_location.take().unwrap_or_default();
            let takes = !self.options.no_artifacts && self.source.takes(&location);
            experiment.artifact_location = (!takes && !location.is_empty()).then_some(location);
            let number = self.place(there, &mut experiment, &place).await?;
            if number != there {
                self.report.renumbered.push((experiment.name.clone(), there, number));
            }
            self.numbers.insert(there, number);
            self.report.source.add(&Totals::experiment(&experiment));
        }
        let counted: HashSet<i64> = self.numbers.values().copied().collect();
        for one in self.target.store.list_every_experiment().await? {
            if counted.contains(&one.id) && !self.options.dry_run {
                self.report.here.add(&Totals::experiment(&one));
                if one.artifact_location.is_none() {
                    self.own.insert(one.id);
                }
            }
        }
        self.progress.at("experiments", counted.len() as u64);
        Ok(())
    }

    /// Stores an experiment, if it is new, and gives its number here.
    async fn place(
        &mut self,
        there: i64,
        experiment: &mut ExperimentFull,
        place: &Place,
    ) -> Result<i64, ImportError> {
        let (Place::Here(number) | Place::New(number)) = place;
        experiment.id = *number;
        if self.options.dry_run {
            return Ok(*number);
        }
        let (store, identity) = (&self.target.store, self.report.identity.clone());
        match place {
            Place::Here(number) if *number != DEFAULT => {
                store.note_imported_experiment(identity, there, *number).await?;
            }
            _ => {
                experiment.id = store.import_experiment(identity, there, experiment.clone()).await?;
                self.report.new += u64::from(matches!(place, Place::New(_)));
            }
        }
        Ok(experiment.id)
    }

    /// The number here of an experiment of the source; of one that could not be read there is none.
    fn number(&mut self, there: i64, what: &str) -> Option<i64> {
        let number = self.numbers.get(&there).copied();
        if number.is_none() {
            let reason = format!("its experiment {there} is not in the source, or cannot be read");
            self.report.broken.push(Broken::new(what, reason));
        }
        number
    }

    /// Takes the source's and our side of a record; says which one differs.
    fn compare(&mut self, what: impl FnOnce() -> String, source: &Totals, here: Option<&Totals>) {
        self.report.source.add(source);
        if let Some(here) = here {
            self.report.here.add(here);
        }
        if here != Some(source) && !self.options.dry_run {
            self.report.differing.push(what());
        }
    }

    async fn runs(&mut self) -> Result<(), ImportError> {
        let mut done = 0;
        while let Some(Found { records, broken }) = self.source.next_runs().await? {
            self.report.broken.extend(broken);
            let mut runs: Vec<Run> = Vec::with_capacity(records.len());
            for mut run in records {
                if let Some(number) =
                    self.number(run.run.row.experiment_id, &format!("run {}", run.run.row.id))
                {
                    run.run.row.experiment_id = number;
                    runs.push(run);
                }
            }
            done += runs.len() as u64;
            self.store_runs(runs).await?;
            self.progress.at("runs", done);
        }
        Ok(())
    }

    async fn store_runs(&mut self, runs: Vec<Run>) -> Result<(), ImportError> {
        let ids: Vec<String> = runs.iter().map(|run| run.run.row.id.clone()).collect();
        if !self.options.dry_run {
            for run in &runs {
                let id = run.run.row.id.clone();
                self.take_files(run.run.row.experiment_id, &run.uri, &id).await?;
            }
            let rows: Vec<ImportedRun> = runs.iter().map(|run| run.run.clone()).collect();
            self.report.new += self.target.store.import_tracked_runs(rows).await? as u64;
        }
        let here =
            if self.options.dry_run { Vec::new() } else { self.target.store.find_whole_runs(ids).await? };
        let here: HashMap<String, Totals> = here
            .into_iter()
            .map(|mut run| {
                settle(&mut run);
                (run.row.id.clone(), Totals::run(&run))
            })
            .collect();
        for run in runs {
            let id = &run.run.row.id;
            self.compare(|| format!("run {id}"), &Totals::run(&run.run), here.get(id));
        }
        Ok(())
    }

    /// Copies the files of a run or a logged model, if they belong here.
    async fn take_files(&mut self, experiment: i64, uri: &str, owner: &str) -> Result<(), ImportError> {
        if self.options.no_artifacts || !is_plain(owner) {
            return Ok(());
        }
        self.take_from(experiment, self.source.files(uri, owner), owner).await
    }

    /// Copies files to a place among the artifacts here, if those of the experiment belong here.
    async fn take_from(&mut self, experiment: i64, files: Files, to: &str) -> Result<(), ImportError> {
        if !self.own.contains(&experiment) {
            return Ok(());
        }
        let copied = match files {
            Files::Folder(folder) if folder.as_os_str().is_empty() => Copied::default(),
            Files::Folder(folder) => self.target.copy_folder(folder, to).await,
            Files::Served(address) => self.target.fetch_folder(&*self.source, &address, to).await?,
            Files::Elsewhere(uri) => {
                self.report.elsewhere.push(uri);
                return Ok(());
            }
            Files::Unknown(uri) => {
                let reason = "its files cannot be found from here; say where they are with `--artifacts DIR`";
                self.report.broken.push(Broken::new(uri, reason));
                return Ok(());
            }
        };
        self.report.new += copied.new;
        self.report.bytes += copied.bytes;
        self.report.broken.extend(copied.broken);
        self.report.renamed.extend(copied.renamed);
        if copied.source != copied.here {
            self.report.differing.push(format!("files of {to}"));
        }
        self.report.source.add(&copied.source);
        self.report.here.add(&copied.here);
        Ok(())
    }

    async fn models(&mut self) -> Result<(), ImportError> {
        let mut done = 0;
        while let Some(Found { records, broken }) = self.source.next_models().await? {
            self.report.broken.extend(broken);
            let mut models: Vec<Model> = Vec::with_capacity(records.len());
            for mut model in records {
                let row = &mut model.model.row;
                if let Some(number) = self.number(row.experiment_id, &format!("logged model {}", row.id)) {
                    row.experiment_id = number;
                    models.push(model);
                }
            }
            done += models.len() as u64;
            let ids: Vec<String> = models.iter().map(|model| model.model.row.id.clone()).collect();
            let mut here: Vec<ImportedModel> = Vec::new();
            if !self.options.dry_run {
                for model in &models {
                    let (row, uri) = (model.model.row.clone(), model.uri.clone());
                    self.take_files(row.experiment_id, &uri, &row.id).await?;
                }
                let rows = models.iter().map(|model| model.model.clone()).collect();
                self.report.new += self.target.store.import_logged_models(rows).await? as u64;
                here = self.target.store.find_whole_models(ids).await?;
            }
            let here: HashMap<String, Totals> =
                here.iter().map(|model| (model.row.id.clone(), Totals::model(model))).collect();
            for Model { model, .. } in models {
                let id = &model.row.id;
                self.compare(|| format!("logged model {id}"), &Totals::model(&model), here.get(id));
            }
            self.progress.at("logged models", done);
        }
        Ok(())
    }

    async fn registered(&mut self) -> Result<(), ImportError> {
        let names: BTreeMap<String, i64> =
            self.target.store.list_registered_names().await?.into_iter().collect();
        let mut done = 0;
        while let Some(Found { records, broken }) = self.source.next_registered().await? {
            self.report.broken.extend(broken);
            for mut model in records {
                let there = model.row.name.clone();
                let prefix = &self.options.model_prefix;
                let Some(name) = plan::registered(&there, model.row.created_at, &names, &self.known, prefix)
                else {
                    let reason = "another one here has its name; give those of the source a prefix with `--model-prefix`";
                    self.report.broken.push(Broken::new(format!("registered model `{there}`"), reason));
                    continue;
                };
                model.row.name.clone_from(&name);
                let mut here = None;
                if !self.options.dry_run {
                    self.locate(&mut model).await?;
                    let (store, identity) = (&self.target.store, self.report.identity.clone());
                    let new = store.import_registered_model(identity, there, model.clone()).await?;
                    self.report.new += u64::from(new);
                    here = Some(Totals::registered(&store.find_whole_registered(name.clone()).await?));
                }
                self.compare(
                    || format!("registered model {name}"),
                    &Totals::registered(&model),
                    here.as_ref(),
                );
                done += 1;
            }
            self.progress.at("registered models", done);
        }
        Ok(())
    }

    /// Says where the files of versions are here, and what content they are.
    async fn locate(&self, model: &mut ImportedRegistered) -> Result<(), ImportError> {
        let is_prompt = model.row.is_prompt();
        for (version, content) in &mut model.versions {
            version.name.clone_from(&model.row.name);
            if is_deleted(version) || is_prompt || marks_prompt(&version.tags) {
                version.location = None;
                continue;
            }
            let there = version.location.take().unwrap_or_else(|| version.source.clone());
            let here = self.here(&there).await?;
            let uri = match here.as_deref().unwrap_or(&there) {
                own if own.starts_with(OWN) => {
                    let path = FilePath::new(own.trim_start_matches(OWN)).unwrap_or_default();
                    self.target.artifacts.url(&path)
                }
                path if path.starts_with('/') => format!("file://{path}"),
                other => other.to_owned(),
            };
            version.location = here.or_else(|| (there != version.source).then_some(there));
            *content = Some(content_at(uri));
        }
        Ok(())
    }

    /// The address here of files of a run or a logged model that were taken over.
    async fn here(&self, there: &str) -> Result<Option<String>, ImportError> {
        let by_id =
            there.strip_prefix("models:/").filter(|id| id.starts_with("m-")).map(|id| (id, String::new()));
        let by_run = there.strip_prefix("runs:/").and_then(|rest| rest.split_once('/'));
        let by_run = by_run.map(|(id, path)| (id, path.to_owned()));
        let Some((owner, path)) = by_id.or(by_run).or_else(|| owner_of(there)) else { return Ok(None) };
        let store = &self.target.store;
        let experiment = if owner.starts_with("m-") {
            let found = store.find_whole_models(vec![owner.to_owned()]).await?;
            found.first().map(|model| model.row.experiment_id)
        } else {
            store.find_tracked_run(owner.to_owned()).await?.map(|run| run.experiment_id)
        };
        let is_own = experiment.is_some_and(|number| self.own.contains(&number));
        Ok(is_own.then(|| format!("{OWN}{owner}/{path}").trim_end_matches('/').to_owned()))
    }

    async fn datasets(&mut self) -> Result<(), ImportError> {
        while let Some(Found { records, broken }) = self.source.next_datasets().await? {
            self.report.broken.extend(broken);
            for (mut row, records) in records {
                let mut numbers = Vec::with_capacity(row.experiments.len());
                for there in std::mem::take(&mut row.experiments) {
                    numbers.extend(self.number(there, &format!("evaluation dataset {}", row.id)));
                }
                row.experiments = numbers;
                let dataset: EvalDataset = (row, records);
                let id = dataset.0.id.clone();
                let mut here = None;
                if !self.options.dry_run {
                    let (row, records) = dataset.clone();
                    self.report.new += u64::from(self.target.store.import_eval_dataset(row, records).await?);
                    here = whole_dataset(self.target, &id).await?.as_ref().map(Totals::dataset);
                }
                self.compare(
                    || format!("evaluation dataset {id}"),
                    &Totals::dataset(&dataset),
                    here.as_ref(),
                );
            }
        }
        Ok(())
    }
}

/// Whether an id is a name of a folder.
fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// An evaluation dataset that is here, with its records.
async fn whole_dataset(target: &Target, id: &str) -> Result<Option<EvalDataset>, ImportError> {
    let Some(row) = target.store.find_eval_dataset(id.to_owned()).await? else { return Ok(None) };
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let page = target.store.list_eval_records(id.to_owned(), after, 1_000).await?;
        let Some(last) = page.last() else { return Ok(Some((row, records))) };
        after = Some((last.created_at_ms, last.id.clone()));
        records.extend(page);
    }
}

/// The content of a version, as endpoints and pages find it.
fn content_at(uri: String) -> AssetVersionRow {
    // A version never changes, so that its own id tells its content.
    let digest = format!("version-{}", uuid::Uuid::now_v7().simple());
    let asset = Asset {
        kind: AssetType::Model,
        name: None,
        version: None,
        uri,
        delta_version: None,
        digest: digest.clone(),
        rows: None,
        size_bytes: None,
    };
    AssetVersionRow {
        kind: String::new(),
        name: String::new(),
        version: 0,
        digest,
        asset: asset.to_value().to_string(),
        details: "{}".to_owned(),
        created_at: 0,
    }
}
