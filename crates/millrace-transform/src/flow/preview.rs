//! A look into a flow: rows of a node, columns of all nodes.

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{FlowPreview, NodeSchema, PreviewColumn, QueryError, TablePreview, TableRef};
use millrace_spec::problem::Problem;
use serde_json::Value;

use super::plan::{Plan, PlanError};
use super::{Flow, ports};
use crate::engine::{DataFusionEngine, query, types};
use crate::rows;
use crate::steps::query_problem;

/// Rows that a preview gives at most.
const MOST_ROWS: usize = 10_000;

#[async_trait]
impl FlowPreview for DataFusionEngine {
    async fn preview_flow(
        &self,
        flow: &Value,
        inputs: &IndexMap<String, TableRef>,
        node: &str,
        limit: usize,
    ) -> Result<TablePreview, Problem> {
        let flow = Flow::parse(flow).map_err(|error| error.problem(&|_| None))?;
        let limit = limit.min(MOST_ROWS);
        let mut plan = Plan::open(self, &flow, inputs).await.map_err(|error| problem(&error))?;
        let frame = plan.node(node).await.map_err(|error| problem(&error))?;
        let failed = |error: QueryError| query_problem(&error);
        // One row more than asked for tells whether there are more.
        let frame = frame
            .limit(0, Some(limit + 1))
            .map_err(|error| failed(crate::engine::failure::plan_error(error)))?;
        let stream = query::stream(frame).await.map_err(failed)?;
        let columns = columns(&stream.schema);
        let batches = stream.collect().await.map_err(failed)?;
        let mut rows: Vec<_> = rows::to_json(&batches)
            .into_iter()
            .filter_map(|row| match row {
                Value::Object(fields) => Some(fields),
                _ => None,
            })
            .collect();
        let truncated = rows.len() > limit;
        rows.truncate(limit);
        Ok(TablePreview { columns, rows, truncated })
    }

    async fn flow_schemas(
        &self,
        flow: &Value,
        inputs: &IndexMap<String, TableRef>,
    ) -> Result<Vec<NodeSchema>, Problem> {
        let flow = Flow::parse(flow).map_err(|error| error.problem(&|_| None))?;
        let mut plan = Plan::open(self, &flow, inputs).await.map_err(|error| problem(&error))?;
        let mut schemas = Vec::new();
        for port in ports(&flow.nodes) {
            let id = super::owner(&flow.nodes, &port);
            let (columns, problem) = match plan.node(&port).await {
                Ok(frame) => (columns(&types::plain_schema(frame.schema().as_arrow())), None),
                // A node behind a wrong one has no columns, but the problem is told once, where it is.
                Err(PlanError::Flow(error)) if !error.pointer.starts_with(&format!("/nodes/{id}/")) => {
                    (Vec::new(), None)
                }
                Err(error) => (Vec::new(), Some(problem(&error))),
            };
            schemas.push(NodeSchema { node: port, columns, problem });
        }
        Ok(schemas)
    }
}

fn columns(schema: &arrow::datatypes::Schema) -> Vec<PreviewColumn> {
    let column = |field: &std::sync::Arc<arrow::datatypes::Field>| PreviewColumn {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
        nullable: field.is_nullable(),
    };
    schema.fields().iter().map(column).collect()
}

fn problem(error: &PlanError) -> Problem {
    error.problem_in(None, "")
}
