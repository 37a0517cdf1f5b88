//! A flow as far as it is right. Whoever edits one has it wrong most of the time, and wants to see the rest.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use millrace_api::{from_of, kind_of};
use millrace_contract::TableRef;
use millrace_spec::problem::Problem;
use millrace_spec::yaml::Node;
use millrace_transform::flow::Flow;
use serde_json::{Map, Value, json};

/// What is right of a flow, and what is wrong with the rest.
pub(super) struct Tolerated {
    /// The flow of the nodes that are right and read only such.
    pub(super) document: Value,
    /// What is wrong with nodes themselves, by their keys.
    pub(super) nodes: IndexMap<String, Problem>,
    /// What is wrong and belongs to no node.
    pub(super) problems: Vec<Problem>,
    /// The tables that are asked for.
    pub(super) sources: Vec<String>,
    /// Output to node, as written, or as it follows from the nodes.
    pub(super) outputs: IndexMap<String, String>,
    /// What stands in the file, for places.
    places: Vec<(String, millrace_spec::problem::Place)>,
}

impl Tolerated {
    /// Takes nodes away until the rest is right.
    pub(super) fn of(tree: &Node) -> Self {
        let document = tree.to_json();
        let named = tree.get("nodes").and_then(Node::as_map).unwrap_or_default();
        let mut found = Self {
            sources: sources(&document),
            outputs: outputs(&document),
            places: named.iter().map(|(key, _)| (key.name.clone(), key.place.clone())).collect(),
            document,
            nodes: IndexMap::new(),
            problems: Vec::new(),
        };
        // Each round takes a node or an output away, or ends.
        for _ in 0..=named.len().saturating_mul(2).saturating_add(8) {
            let Err(error) = Flow::parse(&found.document) else {
                break;
            };
            let problem = error.problem(&|pointer| Some(tree.nearest(pointer).place.clone()));
            let node = error.pointer.strip_prefix("/nodes/").and_then(|rest| found.node_at(rest));
            match node {
                Some(node) => {
                    found.nodes.entry(node.clone()).or_insert(problem);
                    found.drop_node(&node);
                }
                None if error.pointer.starts_with("/output") || error.code == "flow-output" => {
                    found.problems.push(problem);
                    found.any_output();
                }
                None if error.code == "unknown-key" => {
                    found.problems.push(problem);
                    let key = error.pointer.trim_start_matches('/').to_owned();
                    if let Some(top) = found.document.as_object_mut() {
                        top.shift_remove(&key);
                    }
                }
                None => {
                    if found.nodes.is_empty() || error.code != "flow-shape" {
                        found.problems.push(problem);
                    }
                    found.document = json!({});
                    break;
                }
            }
        }
        if found.outputs.is_empty()
            && let Ok(flow) = Flow::parse(&found.document)
        {
            found.outputs = flow.outputs().clone();
        }
        found
    }

    pub(super) fn has_nodes(&self) -> bool {
        self.document.get("nodes").and_then(Value::as_object).is_some_and(|nodes| !nodes.is_empty())
    }

    /// Takes those away that read a table which is not given.
    pub(super) fn without_tables(&mut self, tables: &IndexMap<String, TableRef>) {
        let nodes = self.document.get("nodes").and_then(Value::as_object).cloned().unwrap_or_default();
        for (id, node) in nodes {
            let Some(source) = source(&node).filter(|source| !tables.contains_key(*source)) else { continue };
            let problem = Problem::error("no-table", format!("no table is chosen for `{source}`"));
            let place = self.places.iter().find(|(name, _)| *name == id).map(|(_, place)| place.clone());
            let problem = match place {
                Some(place) => problem.at(place),
                None => problem,
            };
            self.nodes.entry(id.clone()).or_insert(problem.as_warning());
            self.drop_node(&id);
        }
    }

    /// The node whose key begins a pointer; keys may have a slash in them.
    fn node_at(&self, rest: &str) -> Option<String> {
        let nodes = self.document.get("nodes")?.as_object()?;
        let begins = |id: &&String| {
            rest.strip_prefix(id.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        nodes.keys().filter(begins).max_by_key(|id| id.len()).cloned()
    }

    /// Takes a node away and all that read it.
    fn drop_node(&mut self, id: &str) {
        let Some(nodes) = self.document.get_mut("nodes").and_then(Value::as_object_mut) else { return };
        let mut gone = BTreeSet::from([id.to_owned()]);
        loop {
            let reads_gone =
                |node: &Value| from_of(node).iter().any(|name| gone.contains(owner(nodes, name)));
            let more: Vec<String> = nodes
                .iter()
                .filter(|(id, node)| !gone.contains(*id) && reads_gone(node))
                .map(|(id, _)| id.clone())
                .collect();
            if more.is_empty() {
                break;
            }
            gone.extend(more);
        }
        nodes.retain(|id, _| !gone.contains(id));
        // What was to come out may be gone.
        self.any_output();
    }

    /// Lets every node come out that no other reads, so that what was written there is no mistake.
    fn any_output(&mut self) {
        let Some(top) = self.document.as_object_mut() else { return };
        top.shift_remove("output");
        top.shift_remove("outputs");
        let Some(Value::Object(nodes)) = top.get("nodes") else { return };
        let Some(first) = nodes.iter().find(|(_, node)| kind_of(node).as_deref() == Some("source")) else {
            return;
        };
        let output = first.0.clone();
        top.insert("output".to_owned(), output.into());
    }
}

/// The flow of what one node needs, and nothing else.
pub(super) fn only_for(document: &Value, port: &str) -> Value {
    let empty = Map::new();
    let nodes = document.get("nodes").and_then(Value::as_object).unwrap_or(&empty);
    let mut wanted = vec![owner(nodes, port).to_owned()];
    let mut kept = Map::new();
    while let Some(id) = wanted.pop() {
        let Some(node) = nodes.get(&id).filter(|_| !kept.contains_key(&id)) else { continue };
        wanted.extend(from_of(node).iter().map(|name| owner(nodes, name).to_owned()));
        kept.insert(id, node.clone());
    }
    json!({"nodes": kept, "output": port})
}

/// The node behind `node` or `node.part`.
fn owner<'a>(nodes: &Map<String, Value>, port: &'a str) -> &'a str {
    if nodes.contains_key(port) { port } else { port.rsplit_once('.').map_or(port, |(id, _)| id) }
}

/// The table that a node asks for: `{source: orders}`, or `{source: {name: orders, columns: {…}}}`.
fn source(node: &Value) -> Option<&str> {
    let source = node.get("source")?;
    source.as_str().or_else(|| source.get("name")?.as_str())
}

fn sources(document: &Value) -> Vec<String> {
    let nodes = document.get("nodes").and_then(Value::as_object);
    let all: BTreeSet<&str> = nodes.into_iter().flat_map(Map::values).filter_map(source).collect();
    all.into_iter().map(str::to_owned).collect()
}

/// What is written down as coming out.
fn outputs(document: &Value) -> IndexMap<String, String> {
    match document.get("output").or_else(|| document.get("outputs")) {
        Some(Value::String(node)) => IndexMap::from([("data".to_owned(), node.clone())]),
        Some(Value::Object(named)) => {
            let text = |(name, node): (&String, &Value)| Some((name.clone(), node.as_str()?.to_owned()));
            named.iter().filter_map(text).collect()
        }
        _ => IndexMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        let tree = millrace_spec::yaml::parse("flows/a.yaml", text).unwrap();
        let found = Tolerated::of(&tree);
        let right: Vec<String> = found
            .document
            .get("nodes")
            .and_then(Value::as_object)
            .map(|nodes| nodes.keys().cloned().collect())
            .unwrap_or_default();
        let mut said = format!("right: {}\n", right.join(" "));
        for (node, problem) in &found.nodes {
            let line = problem.place.as_ref().map_or(0, |place| place.line);
            said += &format!("{node} (line {line}): {}\n", problem.message);
        }
        for problem in &found.problems {
            said += &format!("{}\n", problem.message);
        }
        said
    }

    #[test]
    fn a_wrong_node_takes_only_what_reads_it_with_it() {
        insta::assert_snapshot!(check("nodes:\n  a: {source: a}\n  b: {filtr: x > 1, from: a}\n  c: {limit: 3, from: b}\n  d: {limit: 2, from: a}\n  e: {filter: x}\noutput: c\n"), @r###"
        right: a d
        b (line 3): node `b`: there is no transform `filtr`
        e (line 6): node `e`: a `filter` node has `from: <node>`
        "###);
        insta::assert_snapshot!(check("nodes:\n  a: {source: a}\n  b: {limit: 2, from: none}\n  c: {limit: 3, from: d}\n  d: {limit: 3, from: c}\n"), @r###"
        right: a
        b (line 3): `b` reads `none`, which is no node here
        c (line 4): node `c` waits for itself
        "###);
    }

    #[test]
    fn what_is_wrong_at_the_top_is_told_beside_the_nodes() {
        insta::assert_snapshot!(check("nodes:\n  a: {source: a}\n  b: {limit: 2, from: a}\n  c: {limit: 3, from: a}\n"), @r###"
        right: a b c
        several nodes are read by no other (b, c), so say which is the output
        "###);
        insta::assert_snapshot!(check("noodles: 1\nnodes:\n  a: {source: a}\noutput: b\n"), @r###"
        right: a
        a flow has no key `noodles`
        `output` reads `b`, which is no node here
        "###);
        insta::assert_snapshot!(check("flow: a\n"), @r###"
        right: 
        the flow has no `nodes`
        "###);
        insta::assert_snapshot!(check("flow: a\nnodes:\n"), @r###"
        right: 
        the flow has no `nodes`
        "###);
    }
}
