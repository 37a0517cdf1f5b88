//! The engine: takes run requests, keeps one task a run, recovers what an earlier engine left.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indexmap::IndexMap;
use millrace_contract::{
    Clock, ComputeTarget, DatasetCatalog, ModelRegistry, Notifier, Progress, RunTracker, SecretSource,
    StepError, StepKind, StepOutcome,
};
use millrace_metastore::Metastore;
use millrace_spec::asset::Asset;
use millrace_spec::ids::StepKey;
use millrace_spec::pipeline::CachePolicy;
use millrace_spec::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt::AttemptStart;
use crate::cache::{Components, ReuseDecision, first_difference};
use crate::error::{OrchestrationError, chain};
use crate::events::{RunEvent, RunEventKind};
use crate::firing::Firing;
use crate::leases::{self, Tenure};
use crate::notices;
use crate::secret_env::SecretEnv;
use crate::settings::EngineSettings;
use crate::state::RunState;
use crate::submit::TakeOver;
use crate::windows::RunWindow;

/// How often a run that another server drives is looked at by who waits for it.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

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
    /// Tells people how runs went.
    pub notifier: Arc<dyn Notifier>,
    /// Where people reach the server, without a slash at its end; empty if nobody knows.
    pub address: Arc<dyn Fn() -> String + Send + Sync>,
    /// Variables that every command step gets, such as `MLFLOW_TRACKING_URI`.
    pub step_env: IndexMap<String, String>,
    /// More of them for each attempt, whose values are masked in logs.
    pub secret_env: SecretEnv,
}

/// What is asked for when a run is started.
#[derive(Debug, Clone, Default)]
pub struct RunRequest {
    /// Values for the pipeline's inputs.
    pub inputs: IndexMap<String, Value>,
    /// What started it, for people: `{"by": "manual"}`, `{"by": "cron", "trigger": …}`.
    pub cause: Value,
    /// A request with the same key starts nothing.
    pub idempotency_key: Option<String>,
    /// Steps that are not to be reused.
    pub force: Force,
    /// The firing of a schedule that this run stands for.
    pub firing: Option<Firing>,
    /// The window that it is about; the last complete one if absent, where the pipeline has windows.
    pub window: Option<RunWindow>,
    /// Steps that do not run, since what they left in an earlier run stands in.
    pub take_over: Option<TakeOver>,
    /// The step of another run that starts it.
    pub parent: Option<Parent>,
    /// Events of the inbox that this run is of; it is stored together with their end.
    pub events: Option<RunEvents>,
}

/// The events that a run is of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunEvents {
    /// Their ids in the inbox.
    pub ids: Vec<String>,
    /// What `event` is in expressions: the newest of them.
    pub newest: Value,
    /// What `events` is, if several are gathered: all of them, oldest first.
    pub all: Vec<Value>,
}

/// The step of a run that starts another run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The run.
    pub run_id: String,
    /// Its step, with its item: `score[3]`.
    pub step: String,
    /// Runs above the new one.
    pub depth: u32,
}

/// Which steps run although an earlier result would fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Force {
    /// None.
    #[default]
    Nothing,
    /// Every step.
    All,
    /// These.
    Steps(Vec<String>),
}

impl Force {
    pub(crate) fn covers(&self, step: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Steps(steps) => steps.iter().any(|name| name == step),
        }
    }
}

/// Everything the tasks of an engine share.
pub(crate) struct Shared {
    pub(crate) store: Metastore,
    pub(crate) kinds: StepRegistry,
    pub(crate) services: EngineServices,
    pub(crate) settings: EngineSettings,
    /// Ours now; another one after a lease that was lost.
    pub(crate) epoch: AtomicI64,
    pub(crate) stop: CancellationToken,
    /// Counts how often a slot or a concurrency key may have come free.
    pub(crate) freed: watch::Sender<u64>,
    pub(crate) tasks: TaskTracker,
    /// Told when a run is over that somebody may want to know of.
    pub(crate) notices_due: Notify,
    /// Told when somebody changed what triggers are to do.
    pub(crate) triggers_changed: Notify,
    events: broadcast::Sender<RunEvent>,
    cancels: Mutex<HashMap<String, CancellationToken>>,
    /// Of each run that is looked after here, whether somebody holds it.
    pauses: Mutex<HashMap<String, watch::Sender<bool>>>,
    progress: Mutex<HashMap<(String, String), Progress>>,
    /// Of each waiting step, what makes it look.
    nudges: Mutex<HashMap<(String, String), Arc<Notify>>>,
    /// Ends when the lease is lost.
    tenure: Mutex<Tenure>,
    /// State folders of the other servers on this machine.
    neighbours: Mutex<Vec<PathBuf>>,
}

impl Shared {
    pub(crate) fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The tenure of runs that are taken now.
    pub(crate) fn tenure(&self) -> Tenure {
        self.tenure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the tenure of all that runs here, which another server has now.
    pub(crate) fn begin_tenure(&self) {
        let mut tenure = self.tenure.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *tenure).cancel();
    }

    pub(crate) fn set_neighbours(&self, folders: Vec<PathBuf>) {
        *self.neighbours.lock().unwrap_or_else(PoisonError::into_inner) = folders;
    }

    pub(crate) fn now(&self) -> i64 {
        self.services.clock.now().as_microsecond()
    }

    /// The page of a run, as people reach the server.
    pub(crate) fn page_of(&self, run_id: &str) -> String {
        format!("{}/runs/{run_id}", (self.services.address)())
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
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner).remove(run_id);
    }

    /// Follows whether a run is held.
    pub(crate) fn follow_pause(&self, run_id: &str, paused: bool) -> watch::Receiver<bool> {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = pauses.entry(run_id.to_owned()).or_insert_with(|| watch::channel(paused).0);
        sender.subscribe()
    }

    /// Runs here that are paused as far as their tasks know.
    pub(crate) fn paused_runs(&self) -> Vec<String> {
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        pauses.iter().filter(|(_, paused)| *paused.borrow()).map(|(run, _)| run.clone()).collect()
    }

    pub(crate) fn tell_pause(&self, run_id: &str, paused: bool) {
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = pauses.get(run_id) {
            sender.send_replace(paused);
        }
    }

    /// Makes a waiting step look now.
    pub(crate) fn nudge(&self, run_id: &str, step: &str) {
        let nudges = self.nudges.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(nudge) = nudges.get(&(run_id.to_owned(), step.to_owned())) {
            nudge.notify_one();
        }
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
        let (pipeline, step) = (start.pipeline.clone(), start.key.to_string());
        let found = self.store.look_up_step_cache(key.to_owned(), pipeline, step).await.ok().flatten();
        let Some(entry) = found else { return (ReuseDecision::FirstTime, None) };
        if entry.cache_key != key {
            let compared_with = entry.run_id;
            let earlier = serde_json::from_str::<Components>(&entry.components);
            let difference = earlier.ok().and_then(|earlier| first_difference(&earlier, components));
            let decision = difference.map(|(component, before, after)| ReuseDecision::Changed {
                component,
                before,
                after,
                compared_with,
            });
            return (decision.unwrap_or(ReuseDecision::FirstTime), None);
        }
        let too_old = match &start.step.cache {
            CachePolicy::Within { ttl_ms } => {
                self.now() - entry.created_at > i64::try_from(*ttl_ms).unwrap_or(i64::MAX / 1_000) * 1_000
            }
            _ => false,
        };
        if too_old {
            let why = "the earlier result is older than its `ttl`".to_owned();
            return (ReuseDecision::NotReusable { why }, None);
        }
        match serde_json::from_str::<StepOutcome>(&entry.outcome) {
            Ok(outcome) if outputs_exist(&outcome).await => {
                (ReuseDecision::Reused { from_run: entry.run_id }, Some(outcome))
            }
            _ => (ReuseDecision::OutputsGone { from_run: entry.run_id }, None),
        }
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
    pub(crate) shared: Arc<Shared>,
}

impl Engine {
    /// Begins to work on the store: takes what servers that are gone have left, re-attaches to what still runs, goes on with it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn start(
        store: Metastore,
        kinds: StepRegistry,
        services: EngineServices,
        settings: EngineSettings,
    ) -> Result<Self, OrchestrationError> {
        let engine = Self::for_planning(store, kinds, services, settings);
        leases::begin(&engine.shared).await?;
        engine.shared.tasks.spawn(notices::keep(engine.shared.clone()));
        Ok(engine)
    }

    /// An engine that only says what would be done ([`Engine::plan`]): it takes over nothing, beside another one that runs.
    pub fn for_planning(
        store: Metastore,
        kinds: StepRegistry,
        services: EngineServices,
        settings: EngineSettings,
    ) -> Self {
        let (events, _) = broadcast::channel(4_096);
        let shared = Arc::new(Shared {
            store,
            kinds,
            services,
            settings,
            // No transition of such an epoch is ever stored.
            epoch: AtomicI64::new(-1),
            stop: CancellationToken::new(),
            freed: watch::Sender::new(0),
            tasks: TaskTracker::new(),
            notices_due: Notify::new(),
            triggers_changed: Notify::new(),
            events,
            cancels: Mutex::new(HashMap::new()),
            pauses: Mutex::new(HashMap::new()),
            progress: Mutex::new(HashMap::new()),
            nudges: Mutex::new(HashMap::new()),
            tenure: Mutex::default(),
            neighbours: Mutex::default(),
        });
        Self { shared }
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
                // The events of another server do not come here.
                match tokio::time::timeout(LOOK_AGAIN, events.recv()).await {
                    Err(_) => break,
                    Ok(Ok(event))
                        if event.run_id == run_id
                            && matches!(event.kind, RunEventKind::RunChanged { .. }) =>
                    {
                        break;
                    }
                    Ok(Ok(_)) => {}
                    // Missed some: look at the row again.
                    Ok(Err(broadcast::error::RecvError::Lagged(_))) => break,
                    Ok(Err(broadcast::error::RecvError::Closed)) => {
                        return Err(OrchestrationError::StaleEpoch);
                    }
                }
            }
        }
    }

    /// Follows what changes from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<RunEvent> {
        self.shared.events.subscribe()
    }

    /// Whether this server does what only one of several may: the one that has been there longest.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn is_first_server(&self) -> Result<bool, OrchestrationError> {
        leases::is_first(&self.shared).await
    }

    /// Makes a waiting step look now: what it waits for may have come. Nothing happens if no such step waits here.
    pub fn nudge(&self, run_id: &str, step: &str) {
        self.shared.nudge(run_id, step);
    }

    /// How far a running step is, if it said so.
    pub fn progress(&self, run_id: &str, step: &str) -> Option<Progress> {
        let kept = self.shared.progress.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&(run_id.to_owned(), step.to_owned())).cloned()
    }

    /// Folder of an attempt: its log, inputs and outputs. Of an attempt of another server on this machine, the folder there.
    pub fn attempt_folder(&self, run_id: &str, key: &StepKey, attempt: u32) -> PathBuf {
        let folder_in = |state: &PathBuf| crate::attempt::attempt_folder(state, run_id, key, attempt);
        let own = folder_in(&self.shared.settings.state_folder);
        if own.exists() {
            return own;
        }
        let neighbours = self.shared.neighbours.lock().unwrap_or_else(PoisonError::into_inner).clone();
        neighbours.iter().map(folder_in).find(|folder| folder.exists()).unwrap_or(own)
    }

    /// Where secrets come from.
    pub(crate) fn secret_source(&self) -> Arc<dyn SecretSource> {
        self.shared.services.secrets.clone()
    }

    /// The store it runs on.
    pub fn store(&self) -> &Metastore {
        &self.shared.store
    }

    /// Makes the triggers' loop look at once: a window was asked for again, a trigger goes on, a source can be asked again.
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
        leases::end(&self.shared).await;
    }
}
