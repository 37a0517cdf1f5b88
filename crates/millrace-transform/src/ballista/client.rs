//! The side that asks: a session whose plans a scheduler gets, and the rows that come back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ballista_core::config::BALLISTA_CLIENT_PULL;
use ballista_core::execution_plans::DistributedQueryExec;
use ballista_core::extension::SessionConfigExt as _;
use ballista_core::optimizer::with_ballista_optimizer_rules;
use ballista_core::planner::BallistaQueryPlanner;
use ballista_core::serde::protobuf::CancelJobParams;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::listing::ListingTable;
use datafusion::datasource::{MemTable, source_as_provider};
use datafusion::error::Result as PlanResult;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner as _};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::logical_plan::AsLogicalPlan as _;
use datafusion_proto::protobuf::LogicalPlanNode;
use futures::StreamExt as _;
use millrace_contract::{BatchStream, Cluster, QueryError, RemoteError};
use tokio::runtime::Handle;

use super::codec::LogicalCodec;
use crate::delta::chain;
use crate::engine::failure::{plan_error, words};
use crate::engine::{DataFusionEngine, query};
use crate::flow::PlanError;

/// How long a scheduler has to answer.
const PATIENCE: Duration = Duration::from_secs(20);

type Remote = DistributedQueryExec<LogicalPlanNode>;

/// Connects to a scheduler.
///
/// # Errors
/// If it does not answer.
pub async fn reach(cluster: &Cluster) -> Result<(), RemoteError> {
    let unreachable = |message: String| RemoteError::Unreachable {
        engine: cluster.name.clone(),
        address: cluster.scheduler.clone(),
        message,
    };
    let reached = SchedulerGrpcClient::connect(cluster.scheduler.clone());
    match tokio::time::timeout(PATIENCE, reached).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(unreachable(chain(&error))),
        Err(_) => Err(unreachable(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

/// A session without tables whose plans run on the cluster.
pub(crate) async fn session(
    engine: &DataFusionEngine,
    cluster: &Cluster,
) -> Result<SessionContext, PlanError> {
    reach(cluster).await?;
    let base = engine.base()?;
    let mut config = settings(base.config());
    if let Some(partitions) = cluster.partitions {
        config = config.with_target_partitions(partitions);
    }
    let remote = BallistaQueryPlanner::with_extension(
        cluster.scheduler.clone(),
        config.ballista_config(),
        Arc::new(LogicalCodec::default()),
    );
    let rules = with_ballista_optimizer_rules(base.optimizers());
    let state = SessionStateBuilder::new_from_existing(base)
        .with_config(config)
        .with_optimizer_rules(rules)
        .with_query_planner(Arc::new(Planner { remote }))
        .build();
    // The scheduler keeps a session for each name.
    let id = uuid::Uuid::now_v7().simple().to_string();
    Ok(DataFusionEngine::session_of(state, &id)?)
}

/// The local engine's settings with those that a cluster needs.
///
/// The adaptive planner is off: its own guide says that it does not handle the loss of an executor. The client asks how its job is doing:
/// if it waits to be told, it learns the job's name when a first stage is over, and cannot cancel it before.
pub(super) fn settings(local: &SessionConfig) -> SessionConfig {
    let config = local.clone().upgrade_for_ballista().with_ballista_adaptive_query_planner(false);
    config.set_bool(BALLISTA_CLIENT_PULL, true)
}

/// Ballista's planner; what has no rows needs no cluster.
#[derive(Debug)]
struct Planner {
    remote: BallistaQueryPlanner<LogicalPlanNode>,
}

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        match plan {
            // Ballista's would have no columns either.
            LogicalPlan::EmptyRelation(_) => {
                DefaultPhysicalPlanner::default().create_physical_plan(plan, session).await
            }
            _ => self.remote.create_physical_plan(plan, session).await,
        }
    }
}

/// Sends a plan of such a session. Dropping the rows ends the work over there.
///
/// # Errors
/// A table that only this process can read, or a plan that cannot be sent. What fails over there comes with the rows.
pub(crate) async fn begin(frame: DataFrame, cluster: &Cluster) -> Result<BatchStream, PlanError> {
    let context = Arc::new(frame.task_ctx());
    let (state, plan) = frame.into_parts();
    let plan = state.optimize(&plan).map_err(query::begin_error)?;
    sendable(&plan, cluster)?;
    let physical = physical(&state, &plan).await.map_err(query::begin_error)?;
    let BatchStream { schema, batches } = query::rows(physical.clone(), context)?;
    let job = Job { plan: physical, scheduler: cluster.scheduler.clone(), is_over: false };
    let batches = futures::stream::unfold((batches, job), |(mut batches, mut job)| async move {
        let next = batches.next().await;
        job.is_over = !matches!(next, Some(Ok(_)));
        next.map(|next| (next, (batches, job)))
    });
    Ok(BatchStream { schema, batches: Box::pin(batches) })
}

async fn physical(state: &SessionState, plan: &LogicalPlan) -> PlanResult<Arc<dyn ExecutionPlan>> {
    state.query_planner().create_physical_plan(plan, state).await
}

/// Whether other machines can do all of it.
fn sendable(plan: &LogicalPlan, cluster: &Cluster) -> Result<(), PlanError> {
    let mut unread = None;
    let looked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let table = source_as_provider(&scan.source)?;
            if !travels(&table) {
                unread = Some(scan.table_name.table().to_owned());
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    looked.map_err(plan_error)?;
    if let Some(name) = unread {
        let uri = name.strip_prefix(crate::flow::INPUT_PREFIX).unwrap_or(&name).to_owned();
        let message = format!(
            "`{}` reads files, and Delta tables without partitions, deletion vectors and renamed columns; `engine: local` reads this one",
            cluster.name
        );
        return Err(QueryError::Read { uri, message }.into());
    }
    let written = LogicalPlanNode::try_from_logical_plan(plan, &LogicalCodec::default());
    written.map(|_| ()).map_err(|error| {
        let message = format!("it cannot be sent: {}; `engine: local` runs it", words(&error));
        RemoteError::Refused { engine: cluster.name.clone(), message }.into()
    })
}

fn travels(table: &Arc<dyn TableProvider>) -> bool {
    table.downcast_ref::<ListingTable>().is_some() || table.downcast_ref::<MemTable>().is_some()
}

/// Work on the cluster, which ends with its rows.
struct Job {
    plan: Arc<dyn ExecutionPlan>,
    scheduler: String,
    is_over: bool,
}

impl Drop for Job {
    fn drop(&mut self) {
        let job = self.plan.downcast_ref::<Remote>().and_then(Remote::job_id).filter(|_| !self.is_over);
        let (Some(job), Ok(runtime)) = (job, Handle::try_current()) else { return };
        let scheduler = std::mem::take(&mut self.scheduler);
        // Nobody waits for it: if the scheduler is away, so is the work.
        runtime.spawn(async move {
            if let Ok(mut client) = SchedulerGrpcClient::connect(scheduler).await {
                let _ = client.cancel_job(CancelJobParams { job_id: job.to_string() }).await;
            }
        });
    }
}
