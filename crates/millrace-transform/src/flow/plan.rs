use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::prelude::SessionContext;
use indexmap::IndexMap;
use millrace_contract::{QueryError, TableRef};
use millrace_spec::suggest::nearest;

use super::{Flow, FlowError, Node, input_table, owner, quote};
use crate::engine::failure::words;
use crate::engine::{DataFusionEngine, query};
use crate::transforms::{Fault, Input};

/// A flow whose nodes are planned as far as they were asked for.
pub struct Plan<'f> {
    flow: &'f Flow,
    context: SessionContext,
    planned: Vec<String>,
}

impl std::fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("planned", &self.planned).finish_non_exhaustive()
    }
}

/// A flow that is wrong, or a table that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The flow is wrong.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// A table cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl<'f> Plan<'f> {
    /// Opens the tables that the flow reads.
    ///
    /// # Errors
    /// A source that is not among `tables`, or a table that cannot be read.
    pub async fn open(
        engine: &DataFusionEngine,
        flow: &'f Flow,
        tables: &IndexMap<String, TableRef>,
    ) -> Result<Self, PlanError> {
        let mut wanted = IndexMap::new();
        for (id, node) in &flow.nodes {
            let Some(name) = node.transform.source() else { continue };
            let Some(table) = tables.get(name) else {
                let names: Vec<&str> = tables.keys().map(String::as_str).collect();
                let hint = match nearest(name, &names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("add `{name}` to the step's `inputs:`"),
                };
                let fault = Fault { message: format!("there is no input `{name}`"), hint: Some(hint) };
                return Err(FlowError::at_node(id, node.kind, fault).into());
            };
            wanted.insert(input_table(name), table.clone());
        }
        Ok(Self { flow, context: engine.session_with(&wanted).await?, planned: Vec::new() })
    }

    /// Plans a node and all before it.
    ///
    /// # Errors
    /// The first node that is wrong.
    pub async fn node(&mut self, port: &str) -> Result<DataFrame, PlanError> {
        let mut order = Vec::new();
        self.before(owner(&self.flow.nodes, port), &mut order);
        for id in order {
            self.one(id).await?;
        }
        let found = self.context.table(TableReference::bare(port)).await;
        found.map_err(|_| {
            FlowError::new("unknown-node", "/nodes", format!("there is no node `{port}` in the flow")).into()
        })
    }

    /// Nodes in the order in which they can be planned.
    fn before(&self, id: &str, order: &mut Vec<&'f str>) {
        let Some((key, node)) = self.flow.nodes.get_key_value(id) else { return };
        if order.contains(&key.as_str()) {
            return;
        }
        for from in &node.from {
            self.before(owner(&self.flow.nodes, from), order);
        }
        order.push(key);
    }

    /// Plans one node; those that it reads must be planned.
    async fn one(&mut self, id: &str) -> Result<(), PlanError> {
        let Some(node) = self.flow.nodes.get(id) else { return Ok(()) };
        if self.planned.iter().any(|done| done == id) {
            return Ok(());
        }
        let mut inputs = Vec::new();
        for from in &node.from {
            let table = self.context.table(TableReference::bare(from.as_str())).await;
            let table = table.map_err(|error| self.wrong(id, node, &error))?;
            inputs.push(Input { table: quote(from), schema: table.schema().clone(), context: &self.context });
        }
        let selects =
            node.transform.sql(&inputs).map_err(|fault| FlowError::at_node(id, node.kind, fault))?;
        let parts = node.transform.parts();
        for (at, sql) in selects.iter().enumerate() {
            let frame = query::select(&self.context, sql, &[]).await.map_err(|error| match error {
                QueryError::Plan { message, .. } => {
                    PlanError::Flow(FlowError::at_node(id, node.kind, Fault::new(message)))
                }
                other => other.into(),
            })?;
            let name = parts.get(at).map_or_else(|| id.to_owned(), |part| format!("{id}.{part}"));
            self.context
                .register_table(TableReference::bare(name), frame.into_view())
                .map_err(|error| self.wrong(id, node, &error))?;
        }
        self.planned.push(id.to_owned());
        Ok(())
    }

    fn wrong(&self, id: &str, node: &Node, error: &datafusion::error::DataFusionError) -> PlanError {
        FlowError::at_node(id, node.kind, Fault::new(words(error))).into()
    }
}
