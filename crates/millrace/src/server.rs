//! A server: the engine, the triggers and the API of one workspace, from start to stop.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use millrace_api::views::workspace::WorkspaceView;
use millrace_api::{Access, App, Definition, Definitions, LoginKeys, Parts, Ui, UrlSigner};
use millrace_orchestration::inbox::Inbox;
use millrace_orchestration::{Engine, TriggerLoop};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use millrace_deployment::EndpointServer;
use millrace_monitoring::{alerts::Alerts, latest};
use millrace_storage::Storage;
use millrace_tracking::lifecycle::Lifecycle;
use millrace_tracking::openlineage::{Sender, SourceIdentity, Taker};
use millrace_tracking::webhooks::Webhooks;

use crate::adapters::{KeptMonitors, LiveEndpoints};
use crate::boot::{self, Rooms};
use crate::commands::run_lock::{self, WorkspaceLock};
use crate::copies::WorkspaceCopies;
use crate::declared::sound;
use crate::flows::WorkspaceFlows;
use crate::inspector::FolderInspector;
use crate::lineage;
use crate::sql_models::WorkspaceSqlModels;
use crate::workspace::{Workspace, WorkspaceError};

/// What is served, and to whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer<'a> {
    /// Where to listen.
    pub(crate) address: SocketAddr,
    /// Whether everybody must log in, on loopback too.
    pub(crate) login: bool,
    /// Folder of MLflow's own pages.
    pub(crate) mlflow_pages: Option<&'a Path>,
}

impl Offer<'_> {
    /// The plain server at an address.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address, login: false, mlflow_pages: None }
    }
}

/// What runs until it is stopped.
pub(crate) struct Server {
    /// Runs pipelines.
    pub(crate) engine: Engine,
    /// Where it answers.
    pub(crate) url: String,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
    /// Passes the deadlines of approvals and tells steps of decisions.
    deciding: JoinHandle<()>,
    /// Triggers and alert rules.
    watching: Vec<JoinHandle<()>>,
    endpoints: Arc<EndpointServer>,
    alerts: Alerts,
    webhooks: Webhooks,
    lineage: Sender,
    lifecycle: Lifecycle,
    inbox: Inbox,
    _lock: WorkspaceLock,
}

impl Server {
    /// Serves a workspace: API, web UI, triggers; MLflow's own pages from their folder, if one is given.
    ///
    /// # Errors
    /// If the address is taken or not allowed, the folder has no pages, or another server has the workspace.
    pub(crate) async fn start(rooms: &Rooms, offer: Offer<'_>) -> Result<Self> {
        let mut server = Self::open(rooms, offer).await?;
        let started = rooms.endpoints.start(sound(rooms.workspace.endpoint_files())).await;
        started.map_err(|problem| WorkspaceError::Wrong(Box::new(problem)))?;
        let source = Arc::new(rooms.workspace.clone());
        let triggers =
            TriggerLoop::new(server.engine.clone(), source, rooms.clock.clone(), rooms.signals.clone());
        server.watching.push(tokio::spawn(triggers.run(server.stop.clone())));
        server.watching.push(tokio::spawn(server.inbox.clone().run(server.stop.clone())));
        let alerts = rooms.alerts.clone().watch(rooms.observed.clone(), server.stop.clone());
        server.watching.push(tokio::spawn(alerts));
        server.watching.push(tokio::spawn(server.webhooks.clone().watch(server.stop.clone())));
        server.watching.push(tokio::spawn(server.lineage.clone().watch(server.stop.clone())));
        server.watching.push(tokio::spawn(server.lifecycle.clone().watch(server.stop.clone())));
        let artifacts = rooms.storage.artifacts.clone();
        server.watching.push(tokio::spawn(clear_uploads(artifacts, server.stop.clone())));
        Ok(server)
    }

    /// Serves a workspace on a port of its own, without triggers, while one run goes on.
    ///
    /// # Errors
    /// If another server has the workspace.
    pub(crate) async fn start_for_one_run(rooms: &Rooms) -> Result<Self> {
        rooms.endpoints.declare(sound(rooms.workspace.endpoint_files()));
        Self::open(rooms, Offer::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))).await
    }

    async fn open(rooms: &Rooms, offer: Offer<'_>) -> Result<Self> {
        let address = offer.address;
        let keys = boot::login_keys()?;
        let access = access(offer.address, offer.login, keys.as_ref())?;
        let mlflow_pages = offer.mlflow_pages.map(built_pages).transpose()?;
        let lock = run_lock::take(&rooms.workspace.state_folder())?;
        rooms.storage.clear_staging()?;
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        let url = format!("http://{}", listener.local_addr()?);
        tell_steps(&rooms.workspace.server_file(), &url)?;
        let lineage = boot::lineage_sender(rooms)?;
        // What an engine that starts goes on with is to be told, too.
        lineage.look();
        let engine = rooms.start_engine(&url, keys.as_ref()).await?;
        let stop = CancellationToken::new();
        let webhooks = boot::webhooks(rooms, address)?;
        let signer = boot::url_signer(&rooms.workspace.state_folder())?;
        let lifecycle = rooms.lifecycle();
        let inbox = rooms.inbox(&engine)?;
        let works = (webhooks.clone(), lifecycle.clone(), inbox.clone());
        let parts = parts(rooms, &engine, &url, (access, signer), works, stop.clone());
        let app = App::new(Parts { mlflow_pages, ..parts });
        let approvals = rooms.approvals.clone().watch(engine.clone(), stop.clone());
        let deciding = tokio::spawn(approvals);
        let serving = tokio::spawn(millrace_api::serve(app, listener, stop.clone()));
        Ok(Self {
            engine,
            url,
            stop,
            serving,
            deciding,
            watching: Vec::new(),
            endpoints: rooms.endpoints.clone(),
            alerts: rooms.alerts.clone(),
            webhooks,
            lineage,
            lifecycle,
            inbox,
            _lock: lock,
        })
    }

    /// Waits for Ctrl-C from a person or SIGTERM from a service manager.
    ///
    /// # Errors
    /// If signals cannot be caught.
    pub(crate) async fn wait_for_signal(&self) -> Result<()> {
        let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = terminated.recv() => {}
        }
        Ok(())
    }

    /// Ends it; commands that run go on and are found again by the next one.
    ///
    /// # Errors
    /// If the listener had failed.
    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        self.serving.await??;
        self.deciding.await?;
        let watched = !self.watching.is_empty();
        for task in self.watching {
            task.await?;
        }
        self.engine.shutdown().await;
        self.endpoints.stop().await;
        if !watched {
            // Nothing evaluated the rules and nobody was told while this run went on.
            self.alerts.round().await?;
            self.webhooks.round().await?;
            self.lineage.tell_rest().await;
        }
        Ok(())
    }
}

/// Forgets uploads in parts that nothing has come of for a week.
async fn clear_uploads(artifacts: Storage, stop: CancellationToken) {
    const IDLE: Duration = Duration::from_secs(7 * 24 * 3600);
    const EVERY: Duration = Duration::from_secs(3600);
    while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        match artifacts.clear_uploads(IDLE).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "forgot uploads that were not finished"),
            Err(error) => tracing::warn!(%error, "cannot forget uploads that were not finished"),
        }
    }
}

/// Writes where this server is, for steps that an earlier one started.
fn tell_steps(file: &Path, url: &str) -> std::io::Result<()> {
    let staged = file.with_extension("staged");
    fs_err::write(&staged, url)?;
    fs_err::rename(staged, file)
}

/// A folder with MLflow's pages, whole: the server's own folder may change.
fn built_pages(folder: &Path) -> Result<PathBuf> {
    if !folder.join("index.html").is_file() {
        bail!(
            "`{}` is not the build of MLflow's web UI: name `mlflow/server/js/build` of an installed MLflow, which this prints: \
             python -c 'import mlflow.server; print(mlflow.server.__path__[0] + \"/js/build\")'",
            folder.display()
        );
    }
    Ok(fs_err::canonicalize(folder)?)
}

/// No login on loopback unless it is asked for; anything else needs a token that the operator chose, and lets accounts in beside it.
fn access(address: SocketAddr, login: bool, keys: Option<&LoginKeys>) -> Result<Access> {
    if address.ip().is_loopback() && !login {
        return Ok(Access::Loopback);
    }
    match boot::server_token().zip(keys) {
        Some((token, keys)) if token.len() >= 16 => {
            Ok(Access::token(token, keys, boot::default_permission()?))
        }
        Some(_) => bail!("the token in MILLRACE_TOKEN is shorter than 16 characters"),
        None if login => {
            bail!("`--login` needs MILLRACE_TOKEN: a secret of 16 characters or more, the administrator's")
        }
        None => bail!(
            "{address} can be reached from elsewhere: set MILLRACE_TOKEN to a secret of 16 characters or more, or listen on 127.0.0.1"
        ),
    }
}

/// Where sources are, each time by the connections as they are then.
fn sources_of(rooms: &Rooms) -> Arc<dyn Fn() -> SourceIdentity + Send + Sync> {
    let workspace = rooms.workspace.clone();
    Arc::new(move || lineage::sources(&workspace))
}

fn taker_of(rooms: &Rooms) -> Arc<dyn Fn() -> Taker + Send + Sync> {
    let (workspace, store) = (rooms.workspace.clone(), rooms.store.clone());
    let datasets = lineage::datasets(&rooms.storage.root);
    Arc::new(move || Taker {
        store: store.clone(),
        namespace: lineage::namespace(&workspace),
        datasets: datasets.clone(),
    })
}

fn parts(
    rooms: &Rooms,
    engine: &Engine,
    url: &str,
    (access, signer): (Access, UrlSigner),
    (webhooks, lifecycle, inbox): (Webhooks, Lifecycle, Inbox),
    stop: CancellationToken,
) -> Parts {
    let signals = rooms.signals.clone();
    Parts {
        workspace: WorkspaceView {
            name: rooms.workspace.name.clone(),
            timezone: rooms.workspace.timezone.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            path: rooms.workspace.root.display().to_string(),
        },
        folder: rooms.workspace.root.clone(),
        engine: engine.clone(),
        approvals: rooms.approvals.clone(),
        environments: rooms.environments.clone(),
        local_user: boot::user_name(),
        inbox,
        steps: (*rooms.kinds).clone(),
        kinds: rooms.kind_docs(),
        definitions: Arc::new(rooms.workspace.clone()),
        connections: Arc::new(rooms.workspace.clone()),
        copying: Arc::new(WorkspaceCopies {
            workspace: rooms.workspace.clone(),
            kinds: rooms.kinds.clone(),
            queries: rooms.queries.clone(),
        }),
        flows: Arc::new(WorkspaceFlows {
            workspace: rooms.workspace.clone(),
            previews: rooms.flow_previews(),
            datasets: rooms.catalog.clone(),
        }),
        sql_models: Arc::new(WorkspaceSqlModels {
            root: rooms.workspace.root.clone(),
            datasets: rooms.catalog.clone(),
        }),
        triggers: Arc::new(rooms.workspace.clone()),
        datasets: rooms.catalog.clone(),
        models: rooms.catalog.clone(),
        query: rooms.queries.clone(),
        artifacts: rooms.storage.artifacts.clone(),
        registered: rooms.storage.models.clone(),
        copies: rooms.storage.copies.clone(),
        signer,
        sources: sources_of(rooms),
        taker: taker_of(rooms),
        webhooks,
        lifecycle,
        endpoints: Arc::new(LiveEndpoints { server: rooms.endpoints.clone(), url: url.to_owned() }),
        monitors: Arc::new(KeptMonitors { store: rooms.store.clone(), alerts: rooms.alerts.clone() }),
        inspector: Arc::new(FolderInspector { copies: rooms.storage.copies.clone() }),
        metrics: Arc::new(move || latest::exposition(&signals.signals())),
        clock: rooms.clock.clone(),
        access,
        ui: Ui::of_this_build(),
        mlflow_pages: None,
        stop,
    }
}

#[async_trait]
impl Definitions for Workspace {
    async fn definitions(&self) -> Vec<Definition> {
        let workspace = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let definition = |file: crate::workspace::CheckedFile| {
                let stem = file
                    .file
                    .rsplit('/')
                    .next()
                    .and_then(|name| name.split('.').next())
                    .unwrap_or_default()
                    .to_owned();
                let pipeline = file.loaded.map(|loaded| loaded.pipeline);
                Definition {
                    name: pipeline.as_ref().map_or(stem, |pipeline| pipeline.name.to_string()),
                    file: file.file,
                    yaml: file.text,
                    pipeline,
                    problems: file.problems,
                }
            };
            let mut definitions: Vec<Definition> =
                workspace.check_all().into_iter().map(definition).collect();
            definitions.sort_by(|one, other| one.name.cmp(&other.name));
            definitions
        });
        read.await.unwrap_or_default()
    }
}
