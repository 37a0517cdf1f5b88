//! Wires the rooms together. The one place that reads the environment.
#![allow(clippy::disallowed_methods, reason = "boot reads the environment once and passes it on")]

#[cfg(feature = "testing")]
mod faults;
mod people;
mod rooms;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use indexmap::IndexMap;
use millrace_api::{LoginKeys, Permission, UrlSigner};
use millrace_call::{Call, CallServices};
use millrace_compute::{
    Environments, LocalSettings, LocalTarget, WarmWorkers, install_python_files, steps as compute_steps,
};
use millrace_contract::{
    Clock, DatasetCatalog, KindDoc, ModelRegistry, ModelRuntime, Notifier, QueryEngine, StepKind, SystemClock,
};
use millrace_deployment::{EndpointServer, OnnxRuntime, ServerServices};
use millrace_events::{ConnectedQueues, Outside};
use millrace_metastore::Metastore;
use millrace_monitoring::notifications::{ChannelSource, NamedChannels};
use millrace_monitoring::rule::AlertRule;
use millrace_monitoring::{alerts::Alerts, latest::LatestSignals, step::MonitorStep};
use millrace_orchestration::approvals::Approvals;
use millrace_orchestration::environments::EnvironmentRules;
use millrace_orchestration::inbox::Inbox;
use millrace_orchestration::steps::{Approve, NotifyStep, Set, SubPipeline};
use millrace_orchestration::{Engine, EngineServices, EngineSettings, StepRegistry};
use millrace_spec::secret::{SecretText, VARIABLE_PREFIX};
use millrace_storage::{FilePath, LocalCopies, Storage, StorageOptions};
use millrace_tracking::lifecycle::Lifecycle;
use millrace_tracking::openlineage::Sender;
use millrace_tracking::webhooks::{Reach, Webhooks};
use millrace_tracking::{Catalog, Tracker};
use millrace_transfer::{Copy, CopyServices, Databases, ReadConnections, Sync, WebApis};
use millrace_transform::{DataFusionEngine, EngineConfig};
use tokio::sync::Notify;

use crate::declared::sound;
use crate::engines::Engines;
use crate::lineage::WorkspaceLineage;
use crate::secrets::{KEY_VARIABLE, Keyring, SecretStore};
use crate::server_place;
use crate::workspace::{Workspace, find_root};

/// Attempts that run at once, for each core.
const RUNNING_PER_CORE: u32 = 8;

/// A workspace with its rooms.
pub(crate) struct Rooms {
    pub(crate) workspace: Workspace,
    pub(crate) store: Metastore,
    pub(crate) storage: WorkspaceStorage,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) tracker: Arc<Tracker>,
    pub(crate) queries: Arc<dyn QueryEngine>,
    /// The same engine, as flows need it.
    pub(crate) tables: DataFusionEngine,
    pub(crate) kinds: Arc<StepRegistry>,
    pub(crate) endpoints: Arc<EndpointServer>,
    pub(crate) signals: Arc<LatestSignals>,
    pub(crate) alerts: Alerts,
    pub(crate) approvals: Approvals,
    pub(crate) environments: EnvironmentRules,
    /// Told of every new result of a monitor.
    pub(crate) observed: Arc<Notify>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Tells people, through the workspace's channels.
    notifier: Arc<dyn Notifier>,
    /// Starts pipelines for steps of others, once there is an engine.
    sub_pipelines: Arc<SubPipeline>,
    /// Removed with this, if the state is a temporary one.
    scratch: Option<tempfile::TempDir>,
}

/// Where the bytes of a workspace are: `.millrace/storage`, or the place that `MILLRACE_STORAGE` names.
#[derive(Clone)]
pub(crate) struct WorkspaceStorage {
    /// Everything; datasets lie in `datasets/<name>`.
    pub(crate) root: Storage,
    /// Files of tracked runs: `<run>/<path>`.
    pub(crate) artifacts: Storage,
    /// Models that steps registered: `<name>/<digest>`.
    pub(crate) models: Storage,
    /// Its folders as folders of this machine.
    pub(crate) copies: LocalCopies,
    /// What the environment says that it takes to reach buckets.
    options: StorageOptions,
}

impl WorkspaceStorage {
    fn open(state: &Path) -> Result<Self> {
        let options = StorageOptions::from_variables(std::env::vars());
        let root = match std::env::var("MILLRACE_STORAGE") {
            Ok(url) if !url.is_empty() => {
                Storage::open(&url, &options).context("MILLRACE_STORAGE in the environment")?
            }
            _ => Storage::folder(&state.join("storage")),
        };
        let below = |name: &str| FilePath::new(name).map(|path| root.below(&path));
        Ok(Self {
            artifacts: below("artifacts")?,
            models: below("models")?,
            copies: LocalCopies::new(root.clone(), state.join("copies")),
            options,
            root,
        })
    }

    /// Removes what a process that was killed left half-written.
    pub(crate) fn clear_staging(&self) -> std::io::Result<()> {
        [&self.root, &self.artifacts, &self.models].into_iter().try_for_each(Storage::clear_staging)
    }
}

/// The key of addresses that carry their own proof: random, kept with the state so that a restart does not end an upload.
pub(crate) fn url_signer(state: &Path) -> Result<UrlSigner> {
    use std::io::Write as _;
    let path = state.join("url.key");
    if !path.exists() {
        let mut fresh = [0; 32];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut fresh)
            .map_err(|_| anyhow::anyhow!("the system's random numbers do not work"))?;
        // Nobody else may read it, and it is there whole or not at all.
        let mut staged = tempfile::NamedTempFile::new_in(state)?;
        staged.write_all(&fresh)?;
        staged.as_file().sync_all()?;
        match staged.persist_noclobber(&path) {
            Err(error) if error.error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("cannot write `{}`", path.display()));
            }
            _ => {}
        }
    }
    let kept = fs_err::read(&path)?;
    let key = <[u8; 32]>::try_from(kept.as_slice());
    let key = key.with_context(|| format!("`{}` is broken: remove it", path.display()))?;
    Ok(UrlSigner::new(key))
}

/// Whether colours are unwanted (no-color.org).
pub(crate) fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// The log of the program itself, to standard error; `MILLRACE_LOG` has the last word.
pub(crate) fn install_logging(verbose: u8) {
    #[cfg(feature = "testing")]
    faults::install();
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter =
        std::env::var("MILLRACE_LOG").unwrap_or_else(|_| format!("{level},sqlx=warn,datafusion=warn"));
    let colour = std::io::stderr().is_terminal() && !no_colour();
    let subscriber =
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).with_ansi(colour);
    subscriber.with_env_filter(filter).init();
}

/// The folder that commands start from.
pub(crate) fn current_folder() -> Result<PathBuf> {
    std::env::current_dir().context("the current folder is gone")
}

/// The secrets of a workspace: variables that begin with `MILLRACE_SECRET_`, and its file with the keys that are within reach.
pub(crate) fn secrets(root: &Path) -> SecretStore {
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.to_str()?.strip_prefix(VARIABLE_PREFIX)?.to_lowercase();
        Some((name, SecretText::new(value.into_string().ok()?)))
    });
    let given = std::env::var(KEY_VARIABLE).ok().filter(|key| !key.is_empty()).map(SecretText::new);
    let keyring = Keyring { given, folder: config_folder().map(|folder| folder.join("keys")) };
    SecretStore::new(root.to_path_buf(), variables.collect(), keyring)
}

/// The secrets of the workspace of the current folder, without its database.
pub(crate) fn secrets_here() -> Result<SecretStore> {
    Ok(secrets(&find_root(&current_folder()?)?))
}

/// The user of the system, as whom the command line acts.
pub(crate) fn user_name() -> String {
    let named =
        ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    named.unwrap_or_else(|| "local".to_owned())
}

/// The secret of a server that listens beyond loopback.
pub(crate) fn server_token() -> Option<String> {
    std::env::var("MILLRACE_TOKEN").ok()
}

/// What is signed with the server's secret, if it has one.
pub(crate) fn login_keys() -> Result<Option<LoginKeys>> {
    let Some(token) = server_token() else { return Ok(None) };
    Ok(Some(LoginKeys::of(&token).context("cannot make keys of MILLRACE_TOKEN")?))
}

/// What accounts may do where nobody granted or denied them anything: `MILLRACE_DEFAULT_PERMISSION`, else read, as MLflow has it.
pub(crate) fn default_permission() -> Result<Permission> {
    let Ok(word) = std::env::var("MILLRACE_DEFAULT_PERMISSION") else { return Ok(Permission::Read) };
    Permission::of(&word).with_context(|| {
        format!("MILLRACE_DEFAULT_PERMISSION is `{word}`: use READ, USE, EDIT, MANAGE or NO_PERMISSIONS")
    })
}

/// Who asks another tracking server, in the variables that MLflow's client reads.
pub(crate) fn mlflow_access() -> millrace_mlflow::Access {
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    millrace_mlflow::Access {
        token: given("MLFLOW_TRACKING_TOKEN"),
        basic: given("MLFLOW_TRACKING_USERNAME").zip(given("MLFLOW_TRACKING_PASSWORD")),
    }
}

/// Tells webhooks of changes in the registry. A server that others reach tells only the internet, unless `MILLRACE_WEBHOOKS=anywhere`.
pub(crate) fn webhooks(rooms: &Rooms, address: SocketAddr) -> Result<Webhooks> {
    let anywhere = std::env::var("MILLRACE_WEBHOOKS").is_ok_and(|value| value == "anywhere");
    let reach = if anywhere || address.ip().is_loopback() { Reach::Anywhere } else { Reach::Internet };
    Ok(Webhooks::new(rooms.store.clone(), rooms.clock.clone(), reach)?)
}

/// Tells others what runs do.
pub(crate) fn lineage_sender(rooms: &Rooms) -> Result<Sender> {
    let source = Arc::new(WorkspaceLineage(rooms.workspace.clone()));
    let secrets = rooms.workspace.secrets.clone();
    Ok(Sender::new(rooms.store.clone(), rooms.clock.clone(), source, secrets)?)
}

/// Folder of what this user keeps for every workspace; `None` without a home. A relative one does not count (XDG).
fn config_folder() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let base = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(base.join("millrace"))
}

/// Folder for things that can be made again: Python environments.
fn cache_folder() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home)
        .unwrap_or_else(std::env::temp_dir);
    base.join("millrace")
}

/// What every command gets of our own environment.
fn base_env() -> Vec<(OsString, OsString)> {
    ["PATH", "HOME", "LANG", "TZ"]
        .iter()
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
        .collect()
}

/// The workspace of the current folder, its database opened.
pub(crate) async fn open_here() -> Result<Rooms> {
    open(&find_root(&current_folder()?)?).await
}

/// The workspace of the current folder, or, where there is none, the folder itself with its state in a temporary place: what needs no
/// history works anywhere.
pub(crate) async fn open_here_or_scratch() -> Result<Rooms> {
    let here = current_folder()?;
    match find_root(&here) {
        Ok(root) => open(&root).await,
        Err(_) => {
            let scratch = tempfile::Builder::new().prefix("millrace-").tempdir()?;
            let mut rooms = open_with_state(&here, &scratch.path().join(crate::workspace::STATE)).await?;
            rooms.scratch = Some(scratch);
            Ok(rooms)
        }
    }
}

/// The workspace in `root`, its database opened.
pub(crate) async fn open(root: &Path) -> Result<Rooms> {
    open_with_state(root, &root.join(crate::workspace::STATE)).await
}

/// The engine that tables are read and written with, and those of databases read.
fn table_engine(workspace: &Workspace, state: &Path, storage: &WorkspaceStorage) -> DataFusionEngine {
    let mut config = EngineConfig::new(state.join("spill"));
    config.s3 = storage.options.s3.iter().cloned().collect();
    let connections = reading_connections(workspace);
    let databases = Databases { workspace: workspace.root.clone(), connections: connections.clone() };
    DataFusionEngine::new(config)
        .with_foreign(Arc::new(databases))
        .with_apis(Arc::new(WebApis { connections }))
}

async fn open_with_state(root: &Path, state: &Path) -> Result<Rooms> {
    let state = state.to_path_buf();
    fs_err::create_dir_all(&state)?;
    let url = std::env::var("MILLRACE_DATABASE")
        .unwrap_or_else(|_| format!("sqlite:{}", state.join("millrace.db").display()));
    let store = Metastore::open(&url).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let storage = WorkspaceStorage::open(&state)?;
    let catalog = Arc::new(Catalog::new(
        store.clone(),
        storage.root.clone(),
        storage.models.clone(),
        storage.copies.clone(),
        clock.clone(),
    ));
    let tracker = Arc::new(Tracker::new(store.clone(), storage.artifacts.clone(), clock.clone()));
    let secrets = Arc::new(secrets(root));
    // Read without the kinds, which are only being made: connections and limits need none.
    let kinds = Arc::new(StepRegistry::new());
    let workspace = Workspace::open(root.to_path_buf(), state.clone(), kinds, secrets.clone())?;
    let engine = table_engine(&workspace, &state, &storage);
    let signals = Arc::new(LatestSignals::default());
    let observed = Arc::new(Notify::new());
    let runtime = Arc::new(OnnxRuntime::new(storage.copies.clone(), OnnxRuntime::MAX_BYTES));
    let endpoints = EndpointServer::new(ServerServices {
        runtime: runtime.clone(),
        registry: catalog.clone(),
        store: store.clone(),
        clock: clock.clone(),
        signals: signals.clone(),
        predictions: state.join("storage/predictions"),
    })?;
    let queries: Arc<dyn QueryEngine> = Arc::new(engine.clone());
    let datasets: Arc<dyn DatasetCatalog> = catalog.clone();
    let models: Arc<dyn ModelRegistry> = catalog.clone();
    let mut all = data_kinds(&workspace, &state, &engine, (&datasets, &storage.copies))?;
    let runtime: Arc<dyn ModelRuntime> = runtime;
    all.extend(millrace_training::steps::kinds(queries.clone(), runtime, tracker.clone()));
    all.extend(millrace_tracking::steps::kinds(&models));
    let channels = people::channel_source(root);
    let notifier = people::notifier(root, &state, (&store, &clock, &observed), channels.clone(), &secrets)?;
    let (approvals, rules) =
        people::decisions(root, &state, (&store, &clock), (&datasets, &models), notifier.clone(), &secrets)?;
    // Which roles accounts have is known to every check of files from here on. A wrong file is told by whoever reads it.
    let _ = approvals.access().await;
    all.extend(millrace_deployment::steps::kinds(&endpoints, &queries, &datasets, Arc::new(rules.clone())));
    all.push(Arc::new(MonitorStep::new(
        queries.clone(),
        store.clone(),
        clock.clone(),
        signals.clone(),
        observed.clone(),
    )));
    all.push(Arc::new(Approve::new(approvals.clone())));
    all.push(Arc::new(NotifyStep::new(notifier.clone())));
    all.push(Arc::new(Set::new()));
    let sub_pipelines = Arc::new(SubPipeline::new());
    all.push(sub_pipelines.clone());
    let kinds: Arc<StepRegistry> = Arc::new(all.into_iter().map(|kind| (kind.doc().name, kind)).collect());
    let workspace = Workspace::open(root.to_path_buf(), state, kinds.clone(), secrets)?;
    let alerts = alerts(&store, &clock, &signals, &workspace, channels)?;
    Ok(Rooms {
        workspace,
        store,
        storage,
        catalog,
        tracker,
        queries,
        tables: engine.clone(),
        kinds,
        endpoints,
        signals,
        alerts,
        approvals,
        environments: rules,
        observed,
        clock,
        notifier,
        sub_pipelines,
        scratch: None,
    })
}

fn alerts(
    store: &Metastore,
    clock: &Arc<dyn Clock>,
    signals: &Arc<LatestSignals>,
    workspace: &Workspace,
    channels: ChannelSource,
) -> Result<Alerts> {
    let channels = NamedChannels::new(channels, workspace.secrets.clone());
    let workspace = workspace.clone();
    let rules = Arc::new(move || AlertRule::with_overdue_triggers(sound(workspace.alert_rules())));
    // A redirect could lead to where the rule's address may not.
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(30))
        .build()?;
    Ok(Alerts::new(store.clone(), clock.clone(), signals.clone(), rules, (channels, client)))
}

/// The kinds of step that move and make tables, in the order the manual prints them.
fn data_kinds(
    workspace: &Workspace,
    state: &Path,
    engine: &DataFusionEngine,
    (datasets, copies): (&Arc<dyn DatasetCatalog>, &LocalCopies),
) -> Result<Vec<Arc<dyn StepKind>>> {
    let queries: Arc<dyn QueryEngine> = Arc::new(engine.clone());
    let root = &workspace.root;
    let services = compute_steps::Services {
        engine: queries.clone(),
        datasets: datasets.clone(),
        workspace: root.clone(),
        copies: copies.clone(),
        python_path: install_python_files(state)?,
        max_log_bytes: workspace.max_log.unwrap_or(compute_steps::MAX_LOG_BYTES),
    };
    let http = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(20))
        .read_timeout(Duration::from_secs(60))
        .build()?;
    let call = call_services(workspace)?;
    let outside = Arc::new(connected_queues(workspace));
    let copy = CopyServices {
        workspace: root.clone(),
        engine: queries,
        datasets: datasets.clone(),
        connections: reading_connections(workspace),
        http,
        queues: outside.clone(),
        mailboxes: outside,
        clock: Arc::new(SystemClock),
    };
    let mut all: Vec<Arc<dyn StepKind>> = vec![Arc::new(Copy::new(copy.clone())), Arc::new(Sync::new(copy))];
    all.extend(millrace_transform::steps::kinds(
        engine,
        datasets,
        &(Arc::new(SystemClock) as Arc<dyn Clock>),
        &Engines::of(workspace),
    ));
    all.push(Arc::new(compute_steps::Run::new(services.clone())));
    all.push(Arc::new(compute_steps::Python::new(services)));
    all.push(Arc::new(Call::new(call)));
    Ok(all)
}

/// Reads the workspace's connections whenever somebody needs them.
fn reading_connections(workspace: &Workspace) -> ReadConnections {
    let workspace = workspace.clone();
    Arc::new(move || workspace.connections().usable())
}

/// The queues that copies read.
fn connected_queues(workspace: &Workspace) -> ConnectedQueues {
    let (name, workspace) = (workspace.name.clone(), workspace.clone());
    ConnectedQueues {
        name,
        folder: workspace.state_folder().join("queues"),
        connections: Arc::new(move |name| workspace.connection(name, "redis: {url: …}")),
    }
}

/// What it takes to call other orchestrators.
fn call_services(workspace: &Workspace) -> Result<CallServices> {
    let workspace = workspace.clone();
    let connection = move |name: &str| workspace.connection(name, "airflow: {url: …}");
    let client = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(60))
        .build()?;
    Ok(CallServices { client, clock: Arc::new(SystemClock), connections: Arc::new(connection) })
}
