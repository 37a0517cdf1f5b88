//! What handlers reach: the rooms, as boot hands them in.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use millrace_contract::{Clock, DatasetCatalog, KindDoc, ModelRegistry, QueryEngine};
use millrace_orchestration::approvals::Approvals;
use millrace_orchestration::environments::EnvironmentRules;
use millrace_orchestration::inbox::Inbox;
use millrace_orchestration::{Engine, PipelineSource, StepRegistry};
use millrace_spec::pipeline::Pipeline;
use millrace_spec::problem::Problem;
use millrace_storage::{LocalCopies, Storage};
use millrace_tracking::lifecycle::Lifecycle;
use millrace_tracking::openlineage::{SourceIdentity, Taker};
use millrace_tracking::webhooks::Webhooks;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::changes::Changes;
use crate::connections::Connections;
use crate::copies::Copies;
use crate::flows::Flows;
use crate::signed_url::UrlSigner;
use crate::sql_models::SqlModelFiles;
use crate::ui::Ui;
use crate::views::endpoints::{EndpointSummary, EndpointView};
use crate::views::models::{ModelSignature, OnnxView};
use crate::views::monitors::{AlertView, MonitorSummary, MonitorView};
use crate::views::workspace::WorkspaceView;

/// A pipeline file, whether or not it loads.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The pipeline's name; the file's stem if it does not load.
    pub name: String,
    /// Path relative to the workspace.
    pub file: String,
    /// Its text.
    pub yaml: String,
    /// What it says, if it loads.
    pub pipeline: Option<Pipeline>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// The pipeline files of the workspace, as they are now.
#[async_trait]
pub trait Definitions: Send + Sync {
    /// Every file, by name.
    async fn definitions(&self) -> Vec<Definition>;

    /// One pipeline by its name.
    async fn definition(&self, name: &str) -> Option<Definition> {
        self.definitions().await.into_iter().find(|definition| definition.name == name)
    }
}

/// In which shape rows come and predictions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Millrace's own: `{"rows": […]}`.
    Rows,
    /// MLflow's scoring server: `dataframe_split`, `dataframe_records`, `instances`, `inputs`.
    Invocations,
    /// Open Inference Protocol v2.
    OpenInference,
}

/// Rows to be scored.
#[derive(Debug, Clone)]
pub struct ScoreRequest {
    /// Name of the endpoint.
    pub endpoint: String,
    /// Shape of the body and of the answer.
    pub dialect: Dialect,
    /// JSON.
    pub body: Bytes,
    /// The deployment that the caller chose; traffic decides without one.
    pub deployment: Option<String>,
    /// Id of the request in logs.
    pub request_id: String,
}

/// Models that answer now.
#[async_trait]
pub trait Endpoints: Send + Sync {
    /// Every endpoint, by name.
    async fn list_endpoints(&self) -> Result<Vec<EndpointSummary>, Problem>;

    /// One endpoint; `None` if there is no such name.
    async fn find_endpoint(&self, name: &str) -> Result<Option<EndpointView>, Problem>;

    /// Scores the rows of a request and answers the body in the same dialect (JSON). The codes `unknown-endpoint`, `unknown-deployment`,
    /// `endpoint-not-ready`, `endpoint-overloaded` and `model-failed` have statuses of their own, every other problem is a 400.
    async fn score(&self, request: ScoreRequest) -> Result<Bytes, Problem>;

    /// MLflow's `error_code` of a problem.
    fn mlflow_error_code(&self, problem: &Problem) -> &'static str;

    /// Open Inference Protocol metadata of an endpoint: `{"name", "versions", "platform", "inputs", "outputs"}`.
    async fn metadata(&self, endpoint: &str) -> Result<Option<serde_json::Value>, Problem>;
}

/// What is watched.
#[async_trait]
pub trait Monitors: Send + Sync {
    /// Every monitor, by name.
    async fn list_monitors(&self) -> Result<Vec<MonitorSummary>, Problem>;

    /// One monitor; `None` if there is no such name.
    async fn find_monitor(&self, name: &str) -> Result<Option<MonitorView>, Problem>;

    /// Every alert rule with its state.
    async fn list_alerts(&self) -> Result<Vec<AlertView>, Problem>;
}

/// The server's own numbers, as Prometheus scrapes them.
pub type Exposition = Arc<dyn Fn() -> String + Send + Sync>;

/// Looks into model folders: what a model takes and gives, and what it is made of.
#[async_trait]
pub trait ModelInspector: Send + Sync {
    /// Facts of the model at `uri`; what cannot be read is absent.
    async fn inspect(&self, uri: &str) -> ModelFacts;
}

/// What a model folder says of itself.
#[derive(Debug, Clone, Default)]
pub struct ModelFacts {
    /// What it takes and gives.
    pub signature: Option<ModelSignature>,
    /// `classification` or `regression`.
    pub task: Option<String>,
    /// Flavors of its `MLmodel`.
    pub flavors: Vec<String>,
    /// Its ONNX graph.
    pub onnx: Option<OnnxView>,
    /// Why its ONNX graph cannot be shown.
    pub onnx_problem: Option<String>,
    /// An input it was logged with.
    pub input_example: Option<serde_json::Value>,
}

/// Everything that a server is made of.
pub struct Parts {
    /// Name, zone, version, folder.
    pub workspace: WorkspaceView,
    /// Its folder.
    pub folder: PathBuf,
    /// Runs pipelines.
    pub engine: Engine,
    /// Asks people and takes their decisions.
    pub approvals: Approvals,
    /// Keeps the rules of environments.
    pub environments: EnvironmentRules,
    /// Who acts where nobody logs in: the user of the system.
    pub local_user: String,
    /// Takes events in.
    pub inbox: Inbox,
    /// The step kinds, as the engine has them.
    pub steps: StepRegistry,
    /// Pages of everything that can be named.
    pub kinds: Vec<KindDoc>,
    /// The pipeline files.
    pub definitions: Arc<dyn Definitions>,
    /// The flow files, and what looks into flows.
    pub flows: Arc<dyn Flows>,
    /// The SQL models.
    pub sql_models: Arc<dyn SqlModelFiles>,
    /// The file of connections.
    pub connections: Arc<dyn Connections>,
    /// What copies would do.
    pub copying: Arc<dyn Copies>,
    /// What triggers are read from.
    pub triggers: Arc<dyn PipelineSource>,
    /// Datasets.
    pub datasets: Arc<dyn DatasetCatalog>,
    /// Models.
    pub models: Arc<dyn ModelRegistry>,
    /// Reads tables.
    pub query: Arc<dyn QueryEngine>,
    /// Tracked runs' files: `<run>/<path>`.
    pub artifacts: Storage,
    /// The models that steps registered: `<name>/<digest>`.
    pub registered: Storage,
    /// Files of the storage as files of this machine.
    pub copies: LocalCopies,
    /// Lets those who have an address of ours read or write one file for a while.
    pub signer: UrlSigner,
    /// Purges, keeps the rules of retention, and knows what runs take.
    pub lifecycle: Lifecycle,
    /// Where the sources of `copy` steps are, by the connections as they are now.
    pub sources: Arc<dyn Fn() -> SourceIdentity + Send + Sync>,
    /// Takes in what others tell of their jobs, under the workspace's name as it is now.
    pub taker: Arc<dyn Fn() -> Taker + Send + Sync>,
    /// Tells others what changed in the registry.
    pub webhooks: Webhooks,
    /// Serves models.
    pub endpoints: Arc<dyn Endpoints>,
    /// Watches.
    pub monitors: Arc<dyn Monitors>,
    /// Looks into models.
    pub inspector: Arc<dyn ModelInspector>,
    /// Text of `/metrics`.
    pub metrics: Exposition,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who may call.
    pub access: Access,
    /// The web UI.
    pub ui: Ui,
    /// Folder of MLflow's own pages, if they are to be served at `/mlflow/`.
    pub mlflow_pages: Option<PathBuf>,
    /// Ends the event streams when the server stops.
    pub stop: CancellationToken,
}

/// The parts, shared by all handlers.
#[derive(Clone)]
pub struct App(Arc<(Parts, Changes)>);

impl App {
    /// Shares the parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new((parts, Changes::default())))
    }

    /// What clients change.
    pub(crate) fn changes(&self) -> &Changes {
        &self.0.1
    }

    /// A new id, UUIDv7, 32 hex digits.
    pub(crate) fn new_id(&self) -> String {
        uuid::Uuid::now_v7().simple().to_string()
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0.0
    }
}
