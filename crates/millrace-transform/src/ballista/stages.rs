//! Stages on an executor, each with an end before its rows are. Ballista lets a cancelled task's place go, but the work itself is in tasks
//! of their own, which nobody ends; here its readers and joins do when they are asked for the next rows.

use std::fmt::{Display, Formatter};
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::serde::protobuf::{
    RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport,
};
use ballista_executor::execution_engine::{DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor};
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::prelude::SessionConfig;
use tokio_util::sync::CancellationToken;

use crate::engine::yielding::YieldExec;

/// Ballista's engine, whose stages can be ended. It makes a connection for each fetch: the pool that keeps them is not public.
#[derive(Default)]
pub(super) struct Stages(DefaultExecutionEngine);

impl ExecutionEngine for Stages {
    fn create_query_stage_exec(
        &self,
        job_id: JobId,
        stage_id: usize,
        task_id: usize,
        global_output_partition_ids: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work_dir: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        let over = CancellationToken::new();
        let plan = ending(plan, &over)?;
        let partitions = global_output_partition_ids;
        let stage =
            self.0.create_query_stage_exec(job_id, stage_id, task_id, partitions, plan, work_dir, config)?;
        Ok(Arc::new(Stage { stage, over }))
    }
}

/// The plan, whose readers and joins give no more rows when the token is cancelled.
fn ending(plan: Arc<dyn ExecutionPlan>, over: &CancellationToken) -> Result<Arc<dyn ExecutionPlan>> {
    let changed = plan.transform_up(|plan| {
        let input = match plan.downcast_ref::<YieldExec>() {
            Some(yielding) => yielding.input.clone(),
            None if plan.children().is_empty() => plan,
            None => return Ok(Transformed::no(plan)),
        };
        Ok(Transformed::yes(YieldExec::until(input, over.clone())))
    });
    Ok(changed?.data)
}

#[derive(Debug)]
struct Stage {
    stage: Arc<dyn QueryStageExecutor>,
    over: CancellationToken,
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.stage.fmt(f)
    }
}

#[async_trait]
impl QueryStageExecutor for Stage {
    async fn execute_query_stage(
        &self,
        task_id: usize,
        context: Arc<TaskContext>,
    ) -> Result<Vec<ShuffleWritePartition>> {
        // A cancelled task is dropped here.
        let _ends = self.over.clone().drop_guard();
        self.stage.execute_query_stage(task_id, context).await
    }

    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        self.stage.collect_plan_metrics()
    }

    fn collect_runtime_stats_reports(&self) -> Vec<RuntimeStatsReport> {
        self.stage.collect_runtime_stats_reports()
    }

    fn collect_window_state_reports(&self) -> Result<Vec<WindowStateReport>> {
        self.stage.collect_window_state_reports()
    }

    fn collect_column_stats(&self) -> Vec<TaskColumnStats> {
        self.stage.collect_column_stats()
    }
}
