//! The endpoints that answer now, behind a snapshot that is replaced whole: a request keeps what it began with, and a model that was
//! replaced goes when its last request is over.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use millrace_contract::{Clock, ModelRegistry, ModelRuntime, Signal, SignalSink, beat};
use millrace_metastore::Metastore;
use millrace_spec::problem::Problem;
use millrace_spec::suggest::nearest;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::dialect;
use crate::endpoint::Endpoint;
use crate::file::EndpointFile;
use crate::log::{PredictionLog, Record};
use crate::status::{EndpointDetail, EndpointStatus};

/// Time between two reports of counts, and between two looks at moved aliases if anything was committed.
const TICK: Duration = Duration::from_secs(5);

type Snapshot = BTreeMap<String, Arc<Endpoint>>;

/// What a server needs from others.
#[derive(Clone)]
pub struct ServerServices {
    /// Loads models.
    pub runtime: Arc<dyn ModelRuntime>,
    /// Names models.
    pub registry: Arc<dyn ModelRegistry>,
    /// Keeps deployments that steps made.
    pub store: Metastore,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Takes counts and latencies.
    pub signals: Arc<dyn SignalSink>,
    /// Folder of the prediction log, `<state>/storage/predictions`.
    pub predictions: PathBuf,
}

/// Serves models at endpoints.
pub struct EndpointServer {
    pub(crate) services: ServerServices,
    live: RwLock<Arc<Snapshot>>,
    /// Held while deployments change, so that one change is over before the next begins.
    pub(crate) changing: tokio::sync::Mutex<()>,
    pub(crate) files: Mutex<Vec<Arc<EndpointFile>>>,
    log: PredictionLog,
    stopped: CancellationToken,
}

impl std::fmt::Debug for EndpointServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EndpointServer")
    }
}

impl EndpointServer {
    /// A server without endpoints; [`EndpointServer::start`] brings them.
    ///
    /// # Errors
    /// If the prediction log's thread cannot be started.
    pub fn new(services: ServerServices) -> std::io::Result<Arc<Self>> {
        let log = PredictionLog::start(services.predictions.clone())?;
        Ok(Arc::new(Self {
            services,
            live: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
            files: Mutex::default(),
            log,
            stopped: CancellationToken::new(),
        }))
    }

    /// Loads what the files and the store name, then reports counts and follows moved aliases until [`EndpointServer::stop`]. A model that
    /// does not load makes its deployment `failed`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn start(self: &Arc<Self>, files: Vec<EndpointFile>) -> Result<(), Problem> {
        self.apply(files).await?;
        let server = self.clone();
        tokio::spawn(async move {
            let clock = server.services.clock.clone();
            let mut commits = server.services.store.commits(move || clock.now().as_microsecond());
            let mut may_have_moved = false;
            loop {
                tokio::select! {
                    () = server.stopped.cancelled() => return,
                    () = commits.next(), if !may_have_moved => may_have_moved = true,
                    () = beat(TICK) => {
                        server.report_signals();
                        if may_have_moved {
                            match server.refresh().await {
                                Ok(()) => may_have_moved = false,
                                Err(problem) => tracing::warn!("cannot look for moved aliases: {}", problem.message),
                            }
                        }
                    }
                }
            }
        });
        Ok(())
    }

    /// Ends the reports and writes what is left of the prediction log. Requests are still answered.
    pub async fn stop(&self) {
        self.stopped.cancel();
        self.report_signals();
        self.log.stop().await;
    }

    /// Every endpoint, by name.
    pub fn list_endpoints(&self) -> Vec<EndpointStatus> {
        self.snapshot().values().map(|endpoint| endpoint.status()).collect()
    }

    /// One endpoint. `base_url` stands in its command: where the server is, without a slash at its end.
    pub fn find_endpoint(&self, name: &str, base_url: &str) -> Option<EndpointDetail> {
        self.snapshot().get(name).map(|endpoint| endpoint.detail(base_url))
    }

    /// Open Inference Protocol metadata: `{"name", "versions", "platform", "inputs", "outputs"}`. `None` if there is no such endpoint or
    /// none of its deployments is ready.
    pub fn metadata(&self, name: &str) -> Option<Value> {
        let snapshot = self.snapshot();
        let endpoint = snapshot.get(name)?;
        let signature = endpoint.leader()?.served()?.model.signature();
        let ready = endpoint.deployments.iter().filter(|deployment| deployment.served().is_some());
        let mut versions: Vec<u64> = ready.map(|deployment| deployment.target.version).collect();
        versions.sort_unstable();
        versions.dedup();
        let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
        Some(dialect::metadata(name, &versions, signature))
    }

    /// Returns when every prediction that was made is in the log's files.
    pub async fn flush_log(&self) {
        self.log.flush().await;
    }

    /// Hands the newest counts to the signal sink.
    pub fn report_signals(&self) {
        let at = self.now();
        for endpoint in self.snapshot().values() {
            endpoint.report(at, self.services.signals.as_ref());
        }
        let name = "millrace_prediction_log_dropped_total".to_owned();
        let value = self.log.dropped() as f64;
        self.services.signals.record(Signal { name, labels: Vec::new(), value, at });
    }

    pub(crate) fn endpoint(&self, name: &str) -> Result<Arc<Endpoint>, Problem> {
        let snapshot = self.snapshot();
        snapshot.get(name).cloned().ok_or_else(|| {
            let problem = Problem::error("unknown-endpoint", format!("there is no endpoint `{name}`"));
            let known: Vec<&str> = snapshot.keys().map(String::as_str).collect();
            match nearest(name, &known) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint("a `deploy` step or a file in `endpoints/` makes one"),
            }
        })
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts an endpoint in the place of the one with its name. Requests that began with the old one end with it.
    pub(crate) fn publish(&self, endpoint: Endpoint) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&live);
        next.insert(endpoint.spec.endpoint.clone(), Arc::new(endpoint));
        *live = Arc::new(next);
    }

    /// Takes away the endpoints that are not named.
    pub(crate) fn retain(&self, named: impl Fn(&str) -> bool) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&live);
        next.retain(|name, _| named(name));
        *live = Arc::new(next);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.services.clock.now()
    }

    pub(crate) fn log(&self, record: Record) {
        self.log.record(record);
    }
}
