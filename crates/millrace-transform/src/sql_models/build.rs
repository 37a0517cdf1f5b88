//! A selection of models in the order of their `ref`s, those that do not read each other at once, each followed by its tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::prelude::SessionContext;
use indexmap::IndexMap;
use millrace_contract::{
    AssetKey, CatalogError, Explain as _, NewDatasetVersion, Producer, QueryEngine as _, StepLog,
    TableMoment, TableRef, WrittenTable,
};
use millrace_spec::asset::Asset;
use millrace_spec::problem::Problem;
use millrace_spec::sql_models::{Materialization, ModelTest, Project, SqlModel};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Services;
use super::plan::{Opened, Planner, Tables};
use super::quality::{TestResult, TestStatus};
use super::write::{NotWritten, Writing};
use crate::delta::newest_under;
use crate::engine::{query, source};
use crate::steps::{asset_key, query_problem, table_ref};

/// Builds of one model that are tried, each after another build was first.
const TRIES: u32 = 10;
/// Models and tests that are worked on at once.
const AT_ONCE: usize = 4;

/// What is to be done.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Names of the models that are meant.
    pub models: Vec<String>,
    /// Whether they are built; else only tested.
    pub build: bool,
    /// Whether their tests run.
    pub test: bool,
    /// Incremental models are made anew.
    pub full_refresh: bool,
    /// Values of `var('name')`.
    pub vars: Map<String, Value>,
    /// Models and tests that are worked on at once; [`AT_ONCE`] if absent.
    pub threads: Option<usize>,
    /// Who makes the versions.
    pub producer: Option<Producer>,
}

/// What was done.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// In the order in which they are built.
    pub models: Vec<ModelResult>,
    /// In their order.
    pub tests: Vec<TestResult>,
}

/// What became of a model.
#[derive(Debug, Clone, Serialize)]
pub struct ModelResult {
    /// Its name, and its dataset's.
    pub name: String,
    /// What is kept of it.
    pub materialized: Materialization,
    /// What became of it.
    pub status: ModelStatus,
    /// Rows of the dataset.
    pub rows: Option<u64>,
    /// Version of the dataset.
    pub version: Option<u64>,
    /// How long it took.
    pub duration_ms: u64,
    /// Why it failed or was left out.
    pub problem: Option<Problem>,
    /// The dataset.
    #[serde(skip)]
    pub asset: Option<Asset>,
}

/// What became of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelStatus {
    /// Its query was run.
    Built,
    /// Nothing that it depends on has changed.
    Reused,
    /// It is part of the queries that read it.
    Inlined,
    /// See its problem.
    Failed,
    /// What it reads failed.
    Skipped,
}

impl Report {
    /// Whether something failed.
    pub fn failed(&self) -> bool {
        self.models.iter().any(|model| matches!(model.status, ModelStatus::Failed | ModelStatus::Skipped))
            || self.tests.iter().any(|test| matches!(test.status, TestStatus::Fail | TestStatus::Error))
    }
}

/// Builds and tests models.
pub struct Builder {
    pub(super) services: Services,
    pub(super) project: Project,
    pub(super) request: Request,
    pub(super) log: Arc<dyn StepLog>,
    /// Datasets that this build has made, or found.
    made: Mutex<IndexMap<String, Asset>>,
}

/// A piece of work.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Model(String),
    /// By its place among the project's.
    Test(usize),
}

enum Done {
    Model(Box<ModelResult>),
    Test(usize, Box<TestResult>),
}

impl Builder {
    /// Prepares to do what `request` asks for; the project has no problems.
    pub fn new(services: Services, project: Project, request: Request, log: Arc<dyn StepLog>) -> Self {
        Self { services, project, request, log, made: Mutex::default() }
    }

    /// Does it. What is under way when it is cancelled leaves nothing.
    pub async fn run(self, cancel: &CancellationToken) -> Report {
        let builder = Arc::new(self);
        let mut work = Work { waiting: builder.tasks(), ..Work::default() };
        let mut running: JoinSet<Done> = JoinSet::new();
        let limit = builder.request.threads.unwrap_or(AT_ONCE).max(1);
        loop {
            work.skip(&builder);
            while running.len() < limit
                && let Some(task) = work.next()
            {
                running.spawn(builder.clone().work(task));
            }
            let done = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                done = running.join_next() => done,
            };
            match done {
                None => break,
                // A panic is told by the result that is missing.
                Some(Err(_)) => {}
                Some(Ok(done)) => work.end(done),
            }
        }
        work.report(&builder)
    }

    /// What is to be done, and what each waits for.
    fn tasks(&self) -> BTreeMap<Task, BTreeSet<Task>> {
        let mut tasks = BTreeMap::new();
        let chosen = |name: &str| self.request.models.iter().any(|model| model == name);
        let own_tests = |name: &str| {
            let tests = self.project.tests.iter().enumerate();
            tests
                .filter(|(_, test)| test.parents() == [name])
                .map(|(at, _)| Task::Test(at))
                .collect::<Vec<_>>()
        };
        // What is wrong with a source is known before anything is made of it.
        let source_tests = |model: &SqlModel| {
            let read = model.reads();
            let reads = |test: &ModelTest| test.calls().iter().any(|call| read.contains(&&call.target));
            let tests = self.project.tests.iter().enumerate();
            let tests = tests.filter(|(_, test)| test.parents().is_empty() && reads(test));
            tests.map(|(at, _)| Task::Test(at)).collect::<Vec<_>>()
        };
        if self.request.build {
            for name in &self.request.models {
                let model = self.project.models.get(name);
                let parents = model.map(SqlModel::parents).unwrap_or_default();
                let mut on = BTreeSet::new();
                if self.request.test {
                    on.extend(model.into_iter().flat_map(source_tests));
                }
                for parent in parents.into_iter().filter(|parent| chosen(parent)) {
                    on.insert(Task::Model(parent.to_owned()));
                    if self.request.test {
                        on.extend(own_tests(parent));
                    }
                }
                tasks.insert(Task::Model(name.clone()), on);
            }
        }
        if self.request.test {
            let models = self.request.models.iter().filter_map(|name| self.project.models.get(name));
            tasks.extend(models.flat_map(source_tests).map(|task| (task, BTreeSet::new())));
            for (at, test) in self.project.tests.iter().enumerate() {
                let parents = test.parents();
                if parents.iter().any(|parent| chosen(parent)) {
                    let built = parents.into_iter().filter(|parent| self.request.build && chosen(parent));
                    tasks
                        .insert(Task::Test(at), built.map(|parent| Task::Model(parent.to_owned())).collect());
                }
            }
        }
        tasks
    }

    async fn work(self: Arc<Self>, task: Task) -> Done {
        match task {
            Task::Model(name) => Done::Model(Box::new(self.model(&name).await)),
            Task::Test(at) => Done::Test(at, Box::new(self.test(at).await)),
        }
    }

    fn result(&self, name: &str, status: ModelStatus) -> ModelResult {
        let model = self.project.models.get(name);
        ModelResult {
            name: name.to_owned(),
            materialized: model.map_or(Materialization::Table, SqlModel::materialization),
            status,
            rows: None,
            version: None,
            duration_ms: 0,
            problem: None,
            asset: None,
        }
    }

    fn skipped(&self, name: &str) -> ModelResult {
        let problem =
            Problem::error("model-skipped", format!("`{name}` was not built: what it reads failed"));
        ModelResult { problem: Some(problem), ..self.result(name, ModelStatus::Skipped) }
    }

    async fn model(&self, name: &str) -> ModelResult {
        let began = Instant::now();
        let Some(model) = self.project.models.get(name) else { return self.skipped(name) };
        if model.doc.ephemeral {
            return self.result(name, ModelStatus::Inlined);
        }
        let duration_ms = |began: Instant| u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match self.built(model).await {
            Ok((asset, status)) => {
                let rows = asset.rows.unwrap_or(0);
                let how = if status == ModelStatus::Reused { "as it was, " } else { "" };
                self.log.line(&format!("{name}: {how}{rows} rows in {}", asset.label()));
                self.made
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(name.to_owned(), asset.clone());
                ModelResult {
                    rows: asset.rows,
                    version: asset.version,
                    duration_ms: duration_ms(began),
                    asset: Some(asset),
                    ..self.result(name, status)
                }
            }
            Err(problem) => {
                self.log.line(&format!("{name}: failed: {}", problem.message));
                let duration_ms = duration_ms(began);
                ModelResult { duration_ms, problem: Some(*problem), ..self.result(name, ModelStatus::Failed) }
            }
        }
    }

    /// The model's dataset, made or found to be what it would be.
    async fn built(&self, model: &SqlModel) -> Result<(Asset, ModelStatus), Box<Problem>> {
        let wrong = |error: &millrace_contract::QueryError| {
            Box::new(query_problem(error).at(model.template.place(0, 1)))
        };
        let engine = &self.services.engine;
        let uri = self.services.catalog.location(&model.name).map_err(|error| catalog_problem(&error))?;
        for _ in 0..TRIES {
            let base =
                engine.table_version(&uri, &TableMoment::Newest).await.map_err(|error| wrong(&error))?;
            let keeps = match model.materialization() {
                Materialization::Snapshot => true,
                Materialization::Incremental => !self.request.full_refresh,
                Materialization::Table | Materialization::Ephemeral => false,
            };
            let own = match base.filter(|_| keeps) {
                Some(version) => {
                    let context = engine.session().map_err(|error| wrong(&error))?;
                    let table = TableRef::Delta { uri: uri.clone(), version };
                    Some(source::provider(engine, &context, &table).await.map_err(|error| wrong(&error))?)
                }
                None => None,
            };
            let kept = own.as_ref().map(|own| crate::engine::types::delta_schema(&own.schema()));
            let adds = model.materialization() == Materialization::Incremental;
            let planned = self.planner().model(model, own.filter(|_| adds)).await?;
            let again = self.request.full_refresh && adds;
            if let (Some(fingerprint), Some(base), false) = (&planned.fingerprint, base, again) {
                let before = base.checked_sub(1);
                let found = newest_under(engine, &uri, &key(fingerprint, before)).await;
                if let Some(written) = found.map_err(|error| wrong(&error))? {
                    let (asset, recorded) = self.recorded(model, written, &planned.inputs).await?;
                    let status = if recorded { ModelStatus::Built } else { ModelStatus::Reused };
                    return Ok((asset, status));
                }
            }
            let fingerprint =
                planned.fingerprint.unwrap_or_else(|| uuid::Uuid::now_v7().simple().to_string());
            let rows = query::stream(planned.frame).await.map_err(|error| wrong(&error))?;
            let now = self.services.clock.now().to_string();
            let key = key(&fingerprint, base);
            let writing = Writing { engine, uri: &uri, base, key: &key, now: &now };
            match writing.write(model, rows, kept).await {
                Ok(Some(written)) => {
                    let (asset, _) = self.recorded(model, written, &planned.inputs).await?;
                    return Ok((asset, ModelStatus::Built));
                }
                Ok(None) => {}
                Err(NotWritten::Query(error)) => return Err(wrong(&error)),
                Err(NotWritten::Rule { message, hint }) => {
                    let problem = Problem::error("model-rows", format!("`{}`: {message}", model.name));
                    let rule = if model.doc.snapshot.is_some() { "/snapshot" } else { "/incremental" };
                    return Err(Box::new(problem.at(model.place(rule)).hint(hint)));
                }
            }
        }
        let message = format!("other builds of `{}` were first {TRIES} times", model.name);
        Err(Box::new(Problem::error("model-busy", message).hint("build it again when they are done")))
    }

    /// The version in the catalog of what was written, and whether it was not there before.
    async fn recorded(
        &self,
        model: &SqlModel,
        written: WrittenTable,
        inputs: &[AssetKey],
    ) -> Result<(Asset, bool), Box<Problem>> {
        let catalog = &self.services.catalog;
        if let Ok(known) = catalog.resolve(&model.name).await
            && known.asset.digest == written.digest
        {
            return Ok((known.asset, false));
        }
        self.record(&model.name, written, inputs).await.map(|asset| (asset, true))
    }

    /// Records a dataset version.
    pub(super) async fn record(
        &self,
        name: &str,
        written: WrittenTable,
        inputs: &[AssetKey],
    ) -> Result<Asset, Box<Problem>> {
        let profile = self.services.engine.profile(&written.table()).await;
        let version = NewDatasetVersion {
            name: name.to_owned(),
            asset: written.asset(),
            schema: written.schema,
            profile: Some(profile.map_err(|error| Box::new(query_problem(&error)))?),
            producer: self.request.producer.clone(),
            inputs: inputs.to_vec(),
        };
        let recorded = self.services.catalog.commit(version).await;
        Ok(recorded.map_err(|error| catalog_problem(&error))?.asset)
    }

    pub(super) fn planner(&self) -> Planner<'_> {
        Planner {
            engine: &self.services.engine,
            project: &self.project,
            vars: &self.request.vars,
            tables: self,
            lenient: false,
        }
    }
}

/// How far a build is.
#[derive(Default)]
struct Work {
    /// What was not begun, and what each waits for.
    waiting: BTreeMap<Task, BTreeSet<Task>>,
    failed: BTreeSet<Task>,
    models: BTreeMap<String, ModelResult>,
    tests: BTreeMap<usize, TestResult>,
}

impl Work {
    /// Something that waits for nothing.
    fn next(&mut self) -> Option<Task> {
        let task = self.waiting.iter().find(|(_, on)| on.is_empty()).map(|(task, _)| task.clone())?;
        self.waiting.remove(&task);
        Some(task)
    }

    /// Leaves out what waits for something that failed.
    fn skip(&mut self, builder: &Builder) {
        let hopeless = |work: &Self| {
            let found = work.waiting.iter().find(|(_, on)| !on.is_disjoint(&work.failed));
            found.map(|(task, _)| task.clone())
        };
        while let Some(task) = hopeless(self) {
            self.waiting.remove(&task);
            match &task {
                Task::Model(name) => {
                    builder.log.line(&format!("{name}: skipped, since what it reads failed"));
                    self.models.insert(name.clone(), builder.skipped(name));
                }
                Task::Test(at) => {
                    let test = builder.project.tests.get(*at);
                    self.tests.extend(test.map(|test| (*at, TestResult::skipped(test))));
                }
            }
            self.failed.insert(task);
        }
    }

    fn end(&mut self, done: Done) {
        let (task, is_sound) = match done {
            Done::Model(result) => {
                let is_sound = result.status != ModelStatus::Failed;
                let task = Task::Model(result.name.clone());
                self.models.insert(result.name.clone(), *result);
                (task, is_sound)
            }
            Done::Test(at, result) => {
                let is_sound = !matches!(result.status, TestStatus::Fail | TestStatus::Error);
                self.tests.insert(at, *result);
                (Task::Test(at), is_sound)
            }
        };
        if is_sound {
            for on in self.waiting.values_mut() {
                on.remove(&task);
            }
        } else {
            self.failed.insert(task);
        }
    }

    fn report(mut self, builder: &Builder) -> Report {
        if builder.request.build {
            // What was not reached: it was cancelled, or a task of ours broke.
            for name in &builder.request.models {
                self.models.entry(name.clone()).or_insert_with(|| {
                    let problem =
                        Problem::error("model-skipped", format!("`{name}` was not built to its end"));
                    ModelResult { problem: Some(problem), ..builder.result(name, ModelStatus::Skipped) }
                });
            }
        }
        let models = builder.project.models.keys().filter_map(|name| self.models.remove(name)).collect();
        Report { models, tests: self.tests.into_values().collect() }
    }
}

/// Under which a version is written that follows `base`.
fn key(fingerprint: &str, base: Option<u64>) -> String {
    let base = base.map_or_else(|| "new".to_owned(), |base| base.to_string());
    format!("model/{fingerprint}/{base}")
}

fn catalog_problem(error: &CatalogError) -> Box<Problem> {
    Box::new(error.problem())
}

#[async_trait]
impl Tables for Builder {
    async fn dataset(&self, context: &SessionContext, name: &str) -> Result<Opened, Box<Problem>> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let asset = match made {
            Some(asset) => asset,
            None => match self.services.catalog.resolve(name).await {
                Ok(version) => version.asset,
                Err(error) => {
                    let problem = error.problem();
                    return Err(Box::new(match self.project.models.contains_key(name) {
                        true => problem.hint(format!("build it too: `--select +{name}+`")),
                        false => problem,
                    }));
                }
            },
        };
        let table = table_ref(name, &asset).map_err(Box::new)?;
        let provider: Arc<dyn TableProvider> = source::provider(&self.services.engine, context, &table)
            .await
            .map_err(|error| Box::new(query_problem(&error)))?;
        Ok(Opened { provider, key: Some(asset_key(&asset)), digest: asset.digest })
    }
}
