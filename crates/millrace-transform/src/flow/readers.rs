//! How often each table of a flow is read in a run, counted before anything is planned.

use indexmap::IndexMap;

use super::plan::base_table;
use super::{Flow, Node, input_table, owner};

/// Readers of each port, of each node's hidden table, and of each of the caller's tables.
#[derive(Debug, Default)]
pub(super) struct Readers {
    counts: IndexMap<String, usize>,
    /// Sources that are not counted, so that the condition of the one filter that reads them may be moved into them.
    unmarked: Vec<String>,
}

impl Readers {
    /// Counts what a run of all outputs reads.
    pub(super) fn of(flow: &Flow) -> Self {
        let mut readers = Self::default();
        let mut needed: Vec<&str> = Vec::new();
        for port in flow.outputs().values() {
            readers.add(port, 1);
            need(flow, owner(&flow.nodes, port), &mut needed);
        }
        let nodes = || needed.iter().filter_map(|id| flow.nodes.get_key_value(*id));
        for (_, node) in nodes() {
            if let Some(name) = node.transform.source() {
                readers.add(&input_table(name), 1);
            }
            for from in &node.from {
                readers.add(from, reads(node));
            }
        }
        for (id, node) in nodes().filter(|(_, node)| node.transform.has_base()) {
            let parts = node.transform.parts();
            let read = parts.iter().filter(|part| readers.count(&format!("{id}.{part}")) > 0).count();
            readers.add(&base_table(id), if parts.is_empty() { 2 } else { read });
        }
        readers.unmarked = nodes()
            .filter(|(id, node)| node.transform.source().is_some() && readers.count(id) == 1)
            .filter(|(id, _)| nodes().any(|(_, by)| by.kind == "filter" && by.from.contains(id)))
            .map(|(id, _)| id.clone())
            .collect();
        readers
    }

    pub(super) fn count(&self, table: &str) -> usize {
        self.counts.get(table).copied().unwrap_or(0)
    }

    pub(super) fn unmarked(&self) -> &[String] {
        &self.unmarked
    }

    fn add(&mut self, table: &str, times: usize) {
        *self.counts.entry(table.to_owned()).or_default() += times;
    }
}

/// How often a node reads its input: once to learn, once to do what it learned.
fn reads(node: &Node) -> usize {
    match node.transform.fitted() {
        Some(_) => 2,
        None => node.transform.reads(),
    }
}

fn need<'f>(flow: &'f Flow, id: &str, needed: &mut Vec<&'f str>) {
    let Some((key, node)) = flow.nodes.get_key_value(id) else { return };
    if needed.contains(&key.as_str()) {
        return;
    }
    needed.push(key);
    for from in &node.from {
        need(flow, owner(&flow.nodes, from), needed);
    }
}
