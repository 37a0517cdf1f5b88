//! Marks in a plan: where a node of a flow ends. The rows that pass a mark are the node's rows, and the operators below it, down to the
//! next marks, are its work. Columns that nobody reads are dropped through a mark, conditions and limits are not moved through it: the
//! counts would not be the node's.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DFSchemaRef, Result, internal_err};
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use futures::StreamExt as _;

use super::passing::{PassExec, Passing};

/// The plan with a mark of `node` at its end.
pub(crate) fn marked(plan: LogicalPlan, node: &str) -> LogicalPlan {
    LogicalPlan::Extension(Extension { node: Arc::new(Mark { node: node.to_owned(), input: plan }) })
}

/// Rows and work of marked nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Work {
    /// Rows that passed the mark.
    pub(crate) rows: u64,
    /// Time that the node's operators were busy, all threads together, nanoseconds.
    pub(crate) busy_ns: u64,
}

/// Adds what a plan that has run did for each marked node; what stands above every mark counts for nobody.
pub(crate) fn add_work(plan: &Arc<dyn ExecutionPlan>, work: &mut indexmap::IndexMap<String, Work>) {
    add_below(plan, None, work);
}

fn add_below(plan: &Arc<dyn ExecutionPlan>, node: Option<&str>, work: &mut indexmap::IndexMap<String, Work>) {
    let metrics = plan.metrics().unwrap_or_default();
    let count = |figure: Option<usize>| figure.and_then(|figure| u64::try_from(figure).ok()).unwrap_or(0);
    let mark = plan.downcast_ref::<MarkExec>();
    let node = match mark {
        Some(mark) => {
            work.entry(mark.passing.node.clone()).or_default().rows += count(metrics.output_rows());
            Some(mark.passing.node.as_str())
        }
        None => {
            if let Some(node) = node {
                // Readers of files say how long they decoded under a name of their own.
                let reading = metrics.sum_by_name("time_elapsed_processing").map(|value| value.as_usize());
                let busy = count(metrics.elapsed_compute()).max(count(reading));
                work.entry(node.to_owned()).or_default().busy_ns += busy;
            }
            node
        }
    };
    for child in plan.children() {
        add_below(child, node, work);
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Hash)]
struct Mark {
    node: String,
    input: LogicalPlan,
}

impl UserDefinedLogicalNodeCore for Mark {
    fn name(&self) -> &str {
        "Mark"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mark: {}", self.node)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Some(input) = inputs.into_iter().next() else {
            return internal_err!("a mark without an input");
        };
        Ok(Self { node: self.node.clone(), input })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
}

/// DataFusion's planner, which also knows marks.
#[derive(Debug, Default)]
pub(super) struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(MarkPlanner)]);
        planner.create_physical_plan(plan, session).await
    }
}

struct MarkPlanner;

#[async_trait]
impl ExtensionPlanner for MarkPlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let mark = node.as_any().downcast_ref::<Mark>();
        let plan = mark.zip(inputs.first()).map(|(mark, input)| -> Arc<dyn ExecutionPlan> {
            Arc::new(MarkExec { passing: Counting::of(&mark.node), input: input.clone() })
        });
        Ok(plan)
    }
}

/// Counts the rows that pass.
type MarkExec = PassExec<Counting>;

#[derive(Debug)]
struct Counting {
    node: String,
    metrics: ExecutionPlanMetricsSet,
}

impl Counting {
    fn of(node: &str) -> Self {
        Self { node: node.to_owned(), metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl Passing for Counting {
    const NAME: &'static str = "MarkExec";

    fn shown(&self) -> String {
        format!("{}: {}", Self::NAME, self.node)
    }

    fn again(&self) -> Self {
        Self::of(&self.node)
    }

    fn pass(&self, rows: SendableRecordBatchStream, partition: usize) -> SendableRecordBatchStream {
        let (schema, count) = (rows.schema(), MetricBuilder::new(&self.metrics).output_rows(partition));
        let counted = rows.inspect(move |batch| {
            if let Ok(batch) = batch {
                count.add(batch.num_rows());
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, counted))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
