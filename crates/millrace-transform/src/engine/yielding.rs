//! Joins let go of their thread now and then. DataFusion's own rule looks after the leaves of a plan; a join may make rows for hours of the
//! few that it took from them, and neither a cancelled step nor a closed query would end it
//! (<https://github.com/apache/datafusion/issues/19358>).

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{Result, exec_err};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PiecewiseMergeJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, ExecutionPlan, RecordBatchStream, ReplaceChildrenOptions,
    SendableRecordBatchStream,
};
use futures::{Stream, StreamExt as _};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::passing::{PassExec, Passing};

/// How long a thread is kept.
const LONGEST: Duration = Duration::from_millis(20);

/// Puts a [`YieldExec`] above each join, for the rows that it makes, and below it, where it only compares: in that case it gives no row
/// away, but fetches the next ones to compare.
#[derive(Debug)]
pub(crate) struct JoinsYield;

impl PhysicalOptimizerRule for JoinsYield {
    fn name(&self) -> &str {
        "JoinsYield"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(|plan| {
            if !is_join(&plan) {
                return Ok(Transformed::no(plan));
            }
            let mut children: Vec<_> = plan.children().into_iter().cloned().collect();
            // The other side is read whole before the first row is compared.
            if let Some(probed) = children.pop() {
                children.push(YieldExec::over(probed));
            }
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Ok(Transformed::yes(YieldExec::over(plan.replace_children(children, options)?)))
        });
        Ok(changed?.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn is_join(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<HashJoinExec>()
        || plan.is::<NestedLoopJoinExec>()
        || plan.is::<CrossJoinExec>()
        || plan.is::<SortMergeJoinExec>()
        || plan.is::<PiecewiseMergeJoinExec>()
}

/// Passes rows on, and gives the thread away after [`LONGEST`].
pub(crate) type YieldExec = PassExec<Giving>;

#[derive(Debug, Clone)]
pub(crate) struct Giving {
    /// When there are no more rows, whatever the input has.
    until: Option<CancellationToken>,
}

impl YieldExec {
    pub(crate) fn over(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        if input.is::<Self>() { input } else { Arc::new(Self { passing: Giving { until: None }, input }) }
    }

    /// The same with an error in the place of rows, once the token is cancelled.
    #[cfg_attr(not(feature = "ballista"), allow(dead_code, reason = "executors of a cluster need it"))]
    pub(crate) fn until(input: Arc<dyn ExecutionPlan>, over: CancellationToken) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { passing: Giving { until: Some(over) }, input })
    }
}

impl Passing for Giving {
    const NAME: &'static str = "YieldExec";

    fn again(&self) -> Self {
        self.clone()
    }

    fn pass(&self, rows: SendableRecordBatchStream, _: usize) -> SendableRecordBatchStream {
        let over = self.until.clone().map(|over| Box::pin(over.cancelled_owned()));
        Box::pin(Yielding { rows, since: Instant::now(), over })
    }
}

struct Yielding {
    rows: SendableRecordBatchStream,
    /// When it last gave its thread away.
    since: Instant,
    over: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Stream for Yielding {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over.as_mut().is_some_and(|over| over.as_mut().poll(context).is_ready()) {
            return Poll::Ready(Some(exec_err!("nobody waits for these rows any more")));
        }
        if self.since.elapsed() >= LONGEST {
            self.since = Instant::now();
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = self.rows.poll_next_unpin(context);
        if polled.is_pending() {
            self.since = Instant::now();
        }
        polled
    }
}

impl RecordBatchStream for Yielding {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}

#[cfg(test)]
mod tests {
    use millrace_contract::{QueryEngine as _, QueryRequest};

    use super::*;
    use crate::{DataFusionEngine, EngineConfig};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_query_that_nobody_waits_for_ends() {
        let temp = tempfile::tempdir().unwrap();
        // Between threads rows wait anyway.
        let config = EngineConfig { partitions: Some(1), ..EngineConfig::new(temp.path().join("spill")) };
        let engine = DataFusionEngine::new(config);
        let numbers = "with t as (select unnest(range(0, 3000)) as n)";
        for sql in [
            format!("{numbers} select sum(a.n * b.n + c.n * d.n) as s from t a, t b, t c, t d"),
            format!(
                "{numbers}, k as (select n, n % 2 as k from t) \
                 select sum(a.n + d.n) as s from k a join k b on a.k = b.k join k c on b.k = c.k join k d on c.k = d.k"
            ),
            format!(
                "{numbers} select sum(a.n + c.n) as s from t a join t b on a.n < b.n join t c on b.n < c.n join t d on c.n < d.n"
            ),
            "with recursive r as (select 1 as n union all select n + 1 from r) select max(n) as m from r"
                .to_owned(),
        ] {
            let rows =
                engine.query(QueryRequest { sql: sql.clone(), ..QueryRequest::default() }).await.unwrap();
            let asking = tokio::spawn(async move { rows.collect().await.map(|_| ()) });
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert!(!asking.is_finished(), "ended by itself: {sql}");
            asking.abort();
            // The ones that it has started end too.
            let ended = tokio::time::timeout(Duration::from_secs(60), async {
                while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
            assert!(ended.await.is_ok(), "goes on: {sql}");
        }
    }
}
