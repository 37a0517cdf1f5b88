//! The engine: takes run requests, keeps one task a run, recovers what an earlier engine left.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use millrace_contract::{
    Clock, ComputeTarget, DatasetCatalog, ModelRegistry, Progress, RunTracker, SecretSource, StepError,
    StepKind, StepOutcome,
};
use millrace_metastore::Metastore;
use millrace_metastore::runs::{FiringRow, InsertedRun, PipelineRunRow, RunOrigin, StepRunRow};
use millrace_spec::asset::Asset;
use millrace_spec::expression;
use millrace_spec::ids::StepId;
use millrace_spec::pipeline::{CachePolicy, Pipeline};
use millrace_spec::problem::Problem;
use millrace_spec::triggers::Overlap;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt::AttemptStart;
use crate::cache::{Components, ReuseDecision, first_difference};
use crate::error::{OrchestrationError, chain};
use crate::events::{RunEvent, RunEventKind};
use crate::request::{RunRequest, Started};
use crate::state::{RunState, StepState};
use crate::windows::{self, RunWindow};
use crate::{inputs, recovery, run_task};

/// The step kinds by the word users write.
pub type StepRegistry = IndexMap<&'static str, Arc<dyn StepKind>>;

/// The rooms that the engine calls.
#[derive(Clone)]
pub struct EngineServices {
    /// Where commands run.
    pub compute: Arc<dyn ComputeTarget>,
    /// Resolves `data:…`.
    pub datasets: Arc<dyn DatasetCatalog>,
    /// Resolves `model:…`.
    pub models: Arc<dyn ModelRegistry>,
    /// Takes the numbers of steps.
    pub tracker: Arc<dyn RunTracker>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// `${{ secrets.NAME }}`.
    pub secrets: Arc<dyn SecretSource>,
    /// Variables that every command step gets, such as `MLFLOW_TRACKING_URI`.
    pub step_env: IndexMap<String, String>,
    /// More of them, whose values are masked in logs.
    pub secret_env: IndexMap<String, String>,
}

/// Limits and places.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Root of the workspace.
    pub workspace: PathBuf,
    /// Folder of everything that is not in git.
    pub state_folder: PathBuf,
    /// Attempts that may run at once.
    pub max_running: u32,
    /// Sizes of the named pools; an unnamed pool has one slot.
    pub pools: IndexMap<String, u32>,
    /// Zone of triggers that name none.
    pub timezone: String,
}

/// Everything the tasks of an engine share.
pub(crate) struct Shared {
    pub(crate) store: Metastore,
    pub(crate) kinds: StepRegistry,
    pub(crate) services: EngineServices,
    pub(crate) settings: EngineSettings,
    pub(crate) epoch: i64,
    pub(crate) stop: CancellationToken,
    /// Told whenever a slot or a concurrency key may have come free.
    pub(crate) freed: Notify,
    pub(crate) tasks: TaskTracker,
    /// Told when somebody changed what triggers are to do.
    pub(crate) triggers_changed: Notify,
    events: broadcast::Sender<RunEvent>,
    cancels: Mutex<HashMap<String, CancellationToken>>,
    progress: Mutex<HashMap<(String, String), Progress>>,
    /// Of each waiting step, what makes it look.
    nudges: Mutex<HashMap<(String, String), Arc<Notify>>>,
}

impl Shared {
    pub(crate) fn now(&self) -> i64 {
        self.services.clock.now().as_microsecond()
    }

    pub(crate) fn publish(&self, run_id: &str, pipeline: &str, kind: RunEventKind) {
        // Nobody listening is fine.
        self.events.send(RunEvent { run_id: run_id.to_owned(), pipeline: pipeline.to_owned(), kind }).ok();
    }

    pub(crate) fn keep_progress(&self, run_id: &str, step: &str, progress: Progress) {
        let mut kept = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert((run_id.to_owned(), step.to_owned()), progress);
    }

    pub(crate) fn forget_progress(&self, run_id: &str, step: &str) {
        let mut kept = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&(run_id.to_owned(), step.to_owned()));
    }

    /// What tells a waiting step to look; it keeps one nudge that comes while nobody listens.
    pub(crate) fn nudge_of(&self, run_id: &str, step: &str) -> Arc<Notify> {
        let mut nudges = self.nudges.lock().unwrap_or_else(PoisonError::into_inner);
        nudges.entry((run_id.to_owned(), step.to_owned())).or_default().clone()
    }

    pub(crate) fn forget_nudge(&self, run_id: &str, step: &str) {
        let mut nudges = self.nudges.lock().unwrap_or_else(PoisonError::into_inner);
        nudges.remove(&(run_id.to_owned(), step.to_owned()));
    }

    pub(crate) fn cancel_token(&self, run_id: &str) -> CancellationToken {
        let mut cancels = self.cancels.lock().unwrap_or_else(PoisonError::into_inner);
        cancels.entry(run_id.to_owned()).or_default().clone()
    }

    pub(crate) fn forget_run(&self, run_id: &str) {
        self.cancels.lock().unwrap_or_else(PoisonError::into_inner).remove(run_id);
    }

    pub(crate) async fn store_handle(
        &self,
        run_id: &str,
        step: &str,
        attempt: u32,
        handle: &impl Serialize,
    ) -> Result<(), StepError> {
        let document = serde_json::to_string(handle).unwrap_or_default();
        self.store
            .store_attempt_handle(run_id.to_owned(), step.to_owned(), attempt.into(), document)
            .await
            .map_err(|error| StepError::transient(Problem::error("store-failed", chain(&error))))
    }

    /// Looks for an earlier result; says why there is none that fits.
    pub(crate) async fn find_reusable(
        &self,
        start: &AttemptStart,
        key: &str,
        components: &Components,
    ) -> (ReuseDecision, Option<StepOutcome>) {
        if start.force {
            return (ReuseDecision::NotReusable { why: "it was forced".to_owned() }, None);
        }
        let entry = self.store.find_step_cache(key.to_owned()).await.ok().flatten();
        if let Some(entry) = entry {
            let too_old = match &start.step.cache {
                CachePolicy::Within { ttl_ms } => {
                    self.now() - entry.created_at > i64::try_from(*ttl_ms).unwrap_or(i64::MAX / 1_000) * 1_000
                }
                _ => false,
            };
            if too_old {
                return (
                    ReuseDecision::NotReusable {
                        why: "the earlier result is older than its `ttl`".to_owned(),
                    },
                    None,
                );
            }
            return match serde_json::from_str::<StepOutcome>(&entry.outcome) {
                Ok(outcome) if outputs_exist(&outcome).await => {
                    (ReuseDecision::Reused { from_run: entry.run_id }, Some(outcome))
                }
                _ => (ReuseDecision::OutputsGone { from_run: entry.run_id }, None),
            };
        }
        let pipeline = start.run.pipeline.name.to_string();
        let nearest = self.store.newest_step_cache(pipeline, start.step.id.to_string()).await.ok().flatten();
        let decision = nearest.and_then(|nearest| {
            let earlier: Components = serde_json::from_str(&nearest.components).ok()?;
            let (component, before, after) = first_difference(&earlier, components)?;
            Some(ReuseDecision::Changed { component, before, after, compared_with: nearest.run_id })
        });
        (decision.unwrap_or(ReuseDecision::FirstTime), None)
    }
}

/// Whether the local files behind a result's assets are still there.
async fn outputs_exist(outcome: &StepOutcome) -> bool {
    for asset in outcome.outputs.values().filter_map(Asset::from_value) {
        if let Some(path) = asset.uri.strip_prefix("file://")
            && !tokio::fs::try_exists(path).await.unwrap_or(false)
        {
            return false;
        }
    }
    true
}

/// Runs pipelines on one store. Dropping it stops nothing; call [`Engine::shutdown`].
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

impl Engine {
    /// Takes over the store: raises the epoch, re-attaches to what still runs, goes on with every open run.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn start(
        store: Metastore,
        kinds: StepRegistry,
        services: EngineServices,
        settings: EngineSettings,
    ) -> Result<Self, OrchestrationError> {
        let epoch =
            store.begin_engine_epoch().await.map_err(OrchestrationError::store("take over the workspace"))?;
        let (events, _) = broadcast::channel(4_096);
        let shared = Arc::new(Shared {
            store,
            kinds,
            services,
            settings,
            epoch,
            stop: CancellationToken::new(),
            freed: Notify::new(),
            tasks: TaskTracker::new(),
            triggers_changed: Notify::new(),
            events,
            cancels: Mutex::new(HashMap::new()),
            progress: Mutex::new(HashMap::new()),
            nudges: Mutex::new(HashMap::new()),
        });
        recovery::resume_open_runs(&shared).await?;
        Ok(Self { shared })
    }

    /// Starts a run and returns its id; the id of the earlier run if the request or the firing was seen before.
    ///
    /// # Errors
    /// If the inputs do not fit or the database fails.
    pub async fn submit(
        &self,
        pipeline: Pipeline,
        request: RunRequest,
    ) -> Result<String, OrchestrationError> {
        Ok(match self.begin(pipeline, request).await? {
            Started::New(id) | Started::Earlier(id) | Started::Skipped { running: id } => id,
        })
    }

    /// As [`Engine::submit`], and says whether the run is new.
    ///
    /// # Errors
    /// If the inputs do not fit or the database fails.
    pub async fn begin(
        &self,
        pipeline: Pipeline,
        request: RunRequest,
    ) -> Result<Started, OrchestrationError> {
        let shared = &self.shared;
        let inputs = inputs::resolve(&pipeline, &request.inputs)
            .map_err(|problem| OrchestrationError::Invalid(Box::new(problem)))?;
        let (mut concurrency_key, mut concurrency_limit) = concurrency(&pipeline, &inputs)?;
        if let (None, Some(firing)) = (&concurrency_key, &request.firing)
            && matches!(firing.overlap, Overlap::Queue | Overlap::CancelRunning)
        {
            concurrency_key = Some(format!("{}//{}", pipeline.name, firing.trigger));
            concurrency_limit = Some(1);
        }
        let now = shared.now();
        let window = match request.window.clone() {
            Some(window) => Some(window),
            None => windows::last_complete(&pipeline, &shared.settings.timezone, now),
        };
        let id = uuid::Uuid::now_v7().simple().to_string();
        let steps = pipeline.steps.iter().chain(&pipeline.finally).enumerate();
        let rows = steps
            .map(|(position, (name, step))| StepRunRow {
                step: name.to_string(),
                position: i64::try_from(position).unwrap_or(i64::MAX),
                kind: step.kind.clone(),
                state: StepState::Pending.as_str().to_owned(),
                ..StepRunRow::default()
            })
            .collect();
        let document = |value: Value| value.to_string();
        let row = PipelineRunRow {
            id: id.clone(),
            number: 0,
            pipeline: pipeline.name.to_string(),
            definition: document(serde_json::to_value(&pipeline).unwrap_or(Value::Null)),
            inputs: document(json!(inputs)),
            options: document(options(&request, window.as_ref())),
            cause: document(request.cause),
            state: RunState::Queued.as_str().to_owned(),
            idempotency_key: request.idempotency_key,
            concurrency_key,
            concurrency_limit,
            cancel_requested: false,
            error: None,
            created_at: now,
            started_at: None,
            ended_at: None,
        };
        let origin = match (request.firing, window) {
            (Some(firing), _) => Some(RunOrigin::Firing(FiringRow {
                trigger: firing.trigger,
                instant: firing.instant,
                skip_if_running: firing.overlap == Overlap::Skip,
            })),
            (None, Some(window)) => Some(RunOrigin::Window(window.row())),
            (None, None) => None,
        };
        let stored = match request.events {
            Some(events) => shared.store.insert_run_of_events(row, rows, events.ids).await,
            None => shared.store.insert_pipeline_run(row, rows, origin).await,
        };
        match stored.map_err(OrchestrationError::store("store the new run"))? {
            InsertedRun::Existing { id } => Ok(Started::Earlier(id)),
            InsertedRun::Skipped { running } => Ok(Started::Skipped { running }),
            InsertedRun::New { .. } => {
                run_task::spawn(shared, recovery::load(shared, &id).await?);
                Ok(Started::New(id))
            }
        }
    }

    /// Asks a run to end: running steps are stopped, waiting ones do not begin, `finally` still runs.
    ///
    /// # Errors
    /// If the run is absent or over.
    pub async fn cancel(&self, run_id: &str) -> Result<(), OrchestrationError> {
        let asked = self.shared.store.request_run_cancel(run_id.to_owned()).await;
        if asked.map_err(OrchestrationError::store("cancel the run"))? {
            self.shared.cancel_token(run_id).cancel();
            return Ok(());
        }
        let state = self.state(run_id).await?;
        Err(OrchestrationError::RunIsOver { id: run_id.to_owned(), state: state.as_str() })
    }

    /// The state of a run now.
    ///
    /// # Errors
    /// If there is no such run.
    pub async fn state(&self, run_id: &str) -> Result<RunState, OrchestrationError> {
        let row = self.shared.store.find_pipeline_run(run_id.to_owned()).await;
        let row = row.map_err(OrchestrationError::store("read the run"))?;
        row.and_then(|row| RunState::parse(&row.state))
            .ok_or_else(|| OrchestrationError::UnknownRun { id: run_id.to_owned() })
    }

    /// Waits until a run is over.
    ///
    /// # Errors
    /// If there is no such run.
    pub async fn wait(&self, run_id: &str) -> Result<RunState, OrchestrationError> {
        let mut events = self.subscribe();
        loop {
            let state = self.state(run_id).await?;
            if state.is_final() {
                return Ok(state);
            }
            loop {
                match events.recv().await {
                    Ok(event)
                        if event.run_id == run_id
                            && matches!(event.kind, RunEventKind::RunChanged { .. }) =>
                    {
                        break;
                    }
                    Ok(_) => {}
                    // Missed some: look at the row again.
                    Err(broadcast::error::RecvError::Lagged(_)) => break,
                    Err(broadcast::error::RecvError::Closed) => return Err(OrchestrationError::StaleEpoch),
                }
            }
        }
    }

    /// Follows what changes from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<RunEvent> {
        self.shared.events.subscribe()
    }

    /// Makes a waiting step look now: what it waits for may have come. Nothing happens if no such step waits here.
    pub fn nudge(&self, run_id: &str, step: &str) {
        let nudges = self.shared.nudges.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(nudge) = nudges.get(&(run_id.to_owned(), step.to_owned())) {
            nudge.notify_one();
        }
    }

    /// How far a running step is, if it said so.
    pub fn progress(&self, run_id: &str, step: &str) -> Option<Progress> {
        let kept = self.shared.progress.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&(run_id.to_owned(), step.to_owned())).cloned()
    }

    /// Folder of an attempt: its log, inputs and outputs.
    pub fn attempt_folder(&self, run_id: &str, step: &StepId, attempt: u32) -> PathBuf {
        crate::attempt::attempt_folder(&self.shared, run_id, step.as_str(), attempt)
    }

    /// Where secrets come from.
    pub(crate) fn secret_source(&self) -> Arc<dyn SecretSource> {
        self.shared.services.secrets.clone()
    }

    /// The store it runs on.
    pub fn store(&self) -> &Metastore {
        &self.shared.store
    }

    /// Makes the triggers' loop look at once: a window was asked for again, a trigger goes on.
    pub fn wake_triggers(&self) {
        self.shared.triggers_changed.notify_one();
    }

    /// Returns when somebody changed what triggers are to do.
    pub(crate) async fn triggers_changed(&self) {
        self.shared.triggers_changed.notified().await;
    }

    /// Stops deciding and returns when the runs' tasks have ended. Commands go on under their shims and are re-attached by the next
    /// engine; in-process steps begin again there.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

/// What is stored of a request beside its inputs.
fn options(request: &RunRequest, window: Option<&RunWindow>) -> Value {
    let mut options = json!({"force": request.force, "window": window.map(RunWindow::values)});
    if let (Some(events), Some(options)) = (&request.events, options.as_object_mut()) {
        options.insert("event".to_owned(), events.newest.clone());
        options.insert("events".to_owned(), json!(events.all));
    }
    options
}

/// Key and limit under which a run is counted.
fn concurrency(
    pipeline: &Pipeline,
    inputs: &IndexMap<String, Value>,
) -> Result<(Option<String>, Option<i64>), OrchestrationError> {
    let Some(rule) = &pipeline.concurrency else { return Ok((None, None)) };
    let key = match &rule.key {
        None => String::new(),
        Some(text) => {
            let context = json!({"inputs": inputs});
            let value = expression::render(&Value::String(text.clone()), &context).map_err(|error| {
                OrchestrationError::Invalid(Box::new(Problem::error("concurrency-key", error.to_string())))
            })?;
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        }
    };
    Ok((Some(format!("{}/{key}", pipeline.name)), Some(rule.limit.into())))
}
