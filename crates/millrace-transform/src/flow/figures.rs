//! What each node did in a run.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::Flow;
use crate::engine::mark::{self, Work};
use crate::engine::shared::Shared;

/// Rows and work of one node of a flow, or of one part of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeFigures {
    /// Node, or `node.part`.
    pub node: String,
    /// Kind of the node.
    pub kind: String,
    /// Rows that it gave. Not known of a source whose only reader is a `filter`: it reads no more than the filter needs, and what it did
    /// counts for the filter.
    pub rows: Option<u64>,
    /// Time that its operators were busy, all threads together, milliseconds.
    pub busy_ms: f64,
}

/// The figures of all nodes that the plans ran, in the file's order.
pub(super) fn figures(
    flow: &Flow,
    unmarked: &[String],
    plans: &[Arc<dyn ExecutionPlan>],
    shared: &[Arc<Shared>],
) -> Vec<NodeFigures> {
    let mut work = IndexMap::new();
    let produced: Vec<_> = shared.iter().filter_map(|shared| shared.produced_by()).collect();
    for plan in plans.iter().chain(&produced) {
        mark::add_work(plan, &mut work);
    }
    let mut figures = Vec::new();
    for (id, node) in &flow.nodes {
        let parts = node.transform.parts().into_iter().map(|part| format!("{id}.{part}"));
        for name in std::iter::once(id.clone()).chain(parts) {
            let hidden = unmarked.contains(&name);
            let done: Option<&Work> = work.get(&name);
            if done.is_none() && !hidden {
                continue;
            }
            let done = done.copied().unwrap_or_default();
            #[allow(clippy::cast_precision_loss, reason = "nanoseconds of a run fit 53 bits")]
            let busy_ms = (done.busy_ns / 1000) as f64 / 1000.0;
            let rows = (!hidden).then_some(done.rows);
            figures.push(NodeFigures { node: name, kind: node.kind.to_owned(), rows, busy_ms });
        }
    }
    figures
}
