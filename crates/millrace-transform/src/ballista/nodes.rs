//! The sides that work: one scheduler, and executors on as many machines as there are.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::optimizer::with_ballista_optimizer_rules;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service_with_listener};
use ballista_scheduler::scheduler_server::SchedulerServer;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tokio::net::TcpListener;

use super::buckets::Buckets;
use super::client::settings;
use super::codec::{LogicalCodec, PhysicalCodec};
use super::stages::Stages;
use crate::engine::{DataFusionEngine, EngineConfig, runtime_builder};

/// Seconds between two signs of life of an executor.
const HEARTBEAT_S: u64 = 10;
/// Seconds after which a silent executor is given up and its work done by others.
const LOST_AFTER_S: u64 = 30;
/// Seconds for which the parts of a result are kept for those who fetch them.
const KEPT_S: u64 = 4 * 3600;
/// Seconds between two looks for parts that nobody needs any more.
const SWEPT_EVERY_S: u64 = 600;

/// Why a node does not work, or no longer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NodeError(String);

fn node_error(error: impl std::fmt::Display) -> NodeError {
    NodeError(error.to_string())
}

/// Takes plans, cuts them into stages and gives these to executors. What it knows is in memory: jobs end with it.
pub struct Scheduler {
    listener: TcpListener,
    server: SchedulerServer<LogicalPlanNode, PhysicalPlanNode>,
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl Scheduler {
    /// Listens for clients and executors; nothing is answered before [`Self::serve`]. `advertise` is the name that others reach this machine by,
    /// the address it listens at if `None`.
    ///
    /// # Errors
    /// If the address is taken.
    pub async fn bind(
        engine: &DataFusionEngine,
        listen: SocketAddr,
        advertise: Option<String>,
    ) -> Result<Self, NodeError> {
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            NodeError(format!("the scheduler cannot listen at {listen}: {error}; give another `--listen`"))
        })?;
        let address = listener.local_addr().map_err(node_error)?;
        let base = engine.base().map_err(node_error)?;
        let runtime = runtime(engine.config()).map_err(node_error)?;
        let defaults = settings(base.config());
        let config = SchedulerConfig {
            bind_host: address.ip().to_string(),
            bind_port: address.port(),
            external_host: advertise.unwrap_or_else(|| address.ip().to_string()),
            executor_timeout_seconds: LOST_AFTER_S,
            no_executors_grace_period_seconds: 2 * LOST_AFTER_S,
            scheduling_policy: TaskSchedulingPolicy::PushStaged,
            override_config_producer: Some(Arc::new(move || defaults.clone())),
            override_session_builder: Some(Arc::new(move |config: SessionConfig| {
                Ok(planning(&base, &runtime, config))
            })),
            override_logical_codec: Some(Arc::new(LogicalCodec::default())),
            override_physical_codec: Some(Arc::new(PhysicalCodec::default())),
            ..SchedulerConfig::default()
        };
        config.validate().map_err(node_error)?;
        let cluster = BallistaCluster::new_from_config(&config).await.map_err(node_error)?;
        let server = create_scheduler(cluster, Arc::new(config)).await.map_err(node_error)?;
        Ok(Self { listener, server })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn address(&self) -> Result<SocketAddr, NodeError> {
        self.listener.local_addr().map_err(node_error)
    }

    /// Answers until it is dropped.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(self) -> Result<(), NodeError> {
        start_grpc_service_with_listener(self.listener, self.server).await.map_err(node_error)
    }
}

/// A session of the scheduler: the functions are those of the client's, the settings come with its plans.
fn planning(base: &SessionState, runtime: &Arc<RuntimeEnv>, config: SessionConfig) -> SessionState {
    SessionStateBuilder::new_from_existing(base.clone())
        .with_config(config)
        .with_runtime_env(runtime.clone())
        .with_optimizer_rules(with_ballista_optimizer_rules(base.optimizers()))
        .build()
}

fn runtime(config: &EngineConfig) -> datafusion::error::Result<Arc<RuntimeEnv>> {
    runtime_builder(config)?.with_object_store_registry(Arc::new(Buckets::new(config.clone()))).build_arc()
}

/// Runs stages that a scheduler gives it.
#[derive(Debug, Clone)]
pub struct Executor {
    /// Host and port of the scheduler.
    pub scheduler: (String, u16),
    /// Where others fetch its results.
    pub listen: SocketAddr,
    /// The port beside it at which the scheduler gives work, and takes back what nobody wants any more.
    pub control_port: u16,
    /// The name that others reach this machine by; as the scheduler sees it if `None`.
    pub advertise: Option<String>,
    /// Tasks that it runs at once; the number of cores if `None`.
    pub cores: Option<usize>,
    /// Memory for sorts, joins and aggregations of all tasks together, bytes. Beyond it they spill.
    pub memory_bytes: u64,
    /// Folder for results and spilled rows; it has to be there.
    pub work_folder: PathBuf,
}

impl Executor {
    /// Works until it gets SIGTERM or Ctrl-C; tasks that run are brought to their end before.
    ///
    /// # Errors
    /// If the scheduler cannot be reached within a minute or does not reach this machine, or one of the ports is taken or open.
    pub async fn serve(self, engine: &DataFusionEngine) -> Result<(), NodeError> {
        if self.listen.port() == 0 || self.control_port == 0 {
            let message =
                format!("others have to know the executor's ports, and {} leaves one open", self.listen);
            return Err(NodeError(message));
        }
        let base = engine.base().map_err(node_error)?;
        let functions = BallistaFunctionRegistry::from(&base);
        let defaults = settings(base.config());
        let config = EngineConfig { spill_folder: self.work_folder.clone(), ..engine.config().clone() };
        let runtime = runtime(&config).map_err(node_error)?;
        let work_dir = self.work_folder.to_str().map(str::to_owned);
        let work_dir = work_dir.ok_or_else(|| NodeError("the work folder's name is not UTF-8".to_owned()))?;
        let process = ExecutorProcessConfig {
            bind_host: match self.listen {
                SocketAddr::V4(listen) => listen.ip().to_string(),
                SocketAddr::V6(listen) => format!("[{}]", listen.ip()),
            },
            external_host: self.advertise,
            port: self.listen.port(),
            scheduler_host: self.scheduler.0,
            scheduler_port: self.scheduler.1,
            scheduler_connect_timeout_seconds: 60,
            vcores: self.cores.unwrap_or(0),
            // Executors that ask for work cannot be told that nobody wants it any more: a task of a cancelled job would go on to its end.
            task_scheduling_policy: TaskSchedulingPolicy::PushStaged,
            grpc_port: self.control_port,
            work_dir: Some(work_dir),
            job_data_ttl_seconds: KEPT_S,
            job_data_clean_up_interval_seconds: SWEPT_EVERY_S,
            executor_heartbeat_interval_seconds: HEARTBEAT_S,
            memory_pool_size: Some(self.memory_bytes),
            override_function_registry: Some(Arc::new(functions)),
            override_runtime_producer: Some(Arc::new(move |_| Ok(runtime.clone()))),
            override_config_producer: Some(Arc::new(move || defaults.clone())),
            override_execution_engine: Some(Arc::new(Stages::default())),
            override_logical_codec: Some(Arc::new(LogicalCodec::default())),
            override_physical_codec: Some(Arc::new(PhysicalCodec::default())),
            ..ExecutorProcessConfig::default()
        };
        start_executor_process(Arc::new(process)).await.map_err(node_error)
    }
}
