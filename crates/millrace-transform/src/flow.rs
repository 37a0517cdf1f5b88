//! Flows: no-code graphs of transforms over tables, read from YAML, planned node by node.

use indexmap::IndexMap;
use millrace_spec::problem::{Place, Problem};
use millrace_spec::suggest::nearest;
use millrace_spec::yaml;
use serde_json::{Map, Value};

use crate::transforms::{ALL, Fault, Inputs, Transform};

mod answers;
mod cases;
mod check;
mod elsewhere;
mod figures;
mod flowlet;
pub(crate) mod learned;
pub(crate) mod plan;
mod preview;
mod readers;

pub(crate) use elsewhere::schema_of;

pub use cases::{Case, CaseFile, CaseOutcome, same_value};
pub use figures::NodeFigures;
pub use learned::{Knowledge, LearnedDocument};
pub use plan::{Plan, PlanError};

/// A flow as it was read: nodes in the file's order, outputs by name.
pub struct Flow {
    /// The `flow:` key.
    pub name: Option<String>,
    pub(crate) nodes: IndexMap<String, Node>,
    outputs: IndexMap<String, String>,
    /// Files of other flows that are part of it, with the digests of their texts.
    flowlets: IndexMap<String, String>,
    /// Whether a parameter has neither a value nor a default, so that it cannot run as it is.
    needs_parameters: bool,
}

impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flow")
            .field("name", &self.name)
            .field("nodes", &self.nodes.keys())
            .finish_non_exhaustive()
    }
}

/// One node.
pub(crate) struct Node {
    pub(crate) kind: &'static str,
    pub(crate) transform: Box<dyn Transform>,
    /// Nodes, or `node.part`, that it reads.
    pub(crate) from: Vec<String>,
}

/// What is wrong with a flow. `pointer` is a JSON pointer into its document.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct FlowError {
    /// Stable code.
    pub code: &'static str,
    /// Where in the document.
    pub pointer: String,
    /// What is wrong; names the node.
    pub message: String,
    /// A way out.
    pub hint: Option<String>,
    /// Where in the expression that stands there: line and column from 1, and length in characters.
    pub within: Option<(u32, u32, u32)>,
}

impl FlowError {
    fn new(code: &'static str, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, pointer: pointer.into(), message: message.into(), hint: None, within: None }
    }

    fn hinted(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    pub(crate) fn at_node(node: &str, kind: &str, fault: Fault) -> Self {
        let pointer = format!("/nodes/{}/{kind}{}", escaped(node), fault.below);
        let error = Self::new("flow-node", pointer, format!("node `{node}`: {}", fault.message));
        Self { within: fault.within, ..error.hinted(fault.hint) }
    }

    /// The problem, placed by what knows where a JSON pointer stands in the file.
    pub fn problem(&self, place: &dyn Fn(&str) -> Option<Place>) -> Problem {
        let mut problem = Problem::error(self.code, self.message.clone());
        if let Some(hint) = &self.hint {
            problem = problem.hint(hint.clone());
        }
        match place(&self.pointer) {
            Some(place) => problem.at(place),
            None => problem,
        }
    }

    /// The problem with its place in the file that was read, down to the column of the mistake within an expression.
    pub fn problem_in(&self, document: &yaml::Node, text: &str) -> Problem {
        self.problem(&|pointer| Some(placed(document, text, pointer, self.within)))
    }
}

/// A node's name as a part of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The place of a node of the document, or of something within the text of a scalar.
fn placed(document: &yaml::Node, text: &str, pointer: &str, within: Option<(u32, u32, u32)>) -> Place {
    let node = document.nearest(pointer);
    let place = node.place.clone();
    let (Some((line, column, length)), Some(_)) = (within, node.as_text()) else { return place };
    let row = |number: u32| text.lines().nth(number.saturating_sub(1) as usize).unwrap_or_default();
    let first = row(place.line).chars().nth(place.column.saturating_sub(1) as usize);
    let column = match (first, line) {
        (Some('"' | '\''), 1) => place.column + column,
        // Lines of a block stand below each other as they are; of other texts there is one line alone.
        _ => place.column + column - 1,
    };
    let line = place.line + line - 1;
    let stands_there = u32::try_from(row(line).chars().count()).is_ok_and(|letters| column <= letters + 1);
    if stands_there { Place { line, column, length, ..place } } else { place }
}

impl Flow {
    /// Reads the text of a flow file. `files` gives the text of other files of the workspace, or says why it cannot.
    ///
    /// # Errors
    /// One problem with its place.
    pub fn read(
        file: &str,
        text: &str,
        files: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<Self, Box<Problem>> {
        Self::read_with(file, text, files, &Map::new())
    }

    /// The same with values for its parameters.
    ///
    /// # Errors
    /// As [`Flow::read`].
    pub fn read_with(
        file: &str,
        text: &str,
        files: &dyn Fn(&str) -> Result<String, String>,
        with: &Map<String, Value>,
    ) -> Result<Self, Box<Problem>> {
        let document = yaml::parse(file, text)?;
        Self::parse_with(&document.to_json(), files, with)
            .map_err(|error| Box::new(error.problem_in(&document, text)))
    }

    /// Reads a flow from its JSON form; it may not include other flows.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(document: &Value) -> Result<Self, FlowError> {
        Self::parse_with(document, &|_| Err("there are no files here".to_owned()), &Map::new())
    }

    /// Reads a flow from its JSON form. `with` are the values of its parameters.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse_with(
        document: &Value,
        files: &dyn Fn(&str) -> Result<String, String>,
        with: &Map<String, Value>,
    ) -> Result<Self, FlowError> {
        let expanded = flowlet::expanded(document, files, with)?;
        let Some(top) = expanded.document.as_object() else {
            return Err(FlowError::new(
                "flow-shape",
                "",
                "a flow is a mapping with `flow`, `nodes` and `output`",
            ));
        };
        const KEYS: [&str; 6] = ["flow", "description", "parameters", "nodes", "output", "outputs"];
        if let Some(unknown) = top.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let near = nearest(unknown, &KEYS).map(|near| format!("did you mean `{near}`?"));
            return Err(FlowError::new(
                "unknown-key",
                format!("/{unknown}"),
                format!("a flow has no key `{unknown}`"),
            )
            .hinted(near));
        }
        let Some(raw) = top.get("nodes").and_then(Value::as_object) else {
            return Err(FlowError::new("flow-shape", "", "the flow has no `nodes`"));
        };
        let mut nodes = IndexMap::new();
        for (id, value) in raw {
            nodes.insert(id.clone(), node(id, value)?);
        }
        let known = ports(&nodes);
        for (id, node) in &nodes {
            for from in &node.from {
                known_port(&known, from, id, &format!("/nodes/{id}/from"))?;
            }
        }
        cycle(&nodes)?;
        let outputs = outputs(top.get("output").or_else(|| top.get("outputs")), &nodes, &known)?;
        let name = top.get("flow").and_then(Value::as_str).map(str::to_owned);
        let (flowlets, needs_parameters) = (expanded.digests, expanded.needs_parameters);
        Ok(Self { name, nodes, outputs, flowlets, needs_parameters })
    }

    /// Output name to node; one output that was not named is called `data`.
    pub fn outputs(&self) -> &IndexMap<String, String> {
        &self.outputs
    }

    /// Files of other flows that are part of it, with the digests of their texts.
    pub fn flowlets(&self) -> &IndexMap<String, String> {
        &self.flowlets
    }

    /// Whether a parameter has neither a value nor a default, so that it cannot run as it is.
    pub fn needs_parameters(&self) -> bool {
        self.needs_parameters
    }

    /// The inputs that are documents of what an earlier flow learned.
    pub fn learned_inputs(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.nodes.values().filter_map(|node| node.transform.learned_from()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The tables that its `source` nodes read.
    pub fn sources(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.nodes.values().filter_map(|node| node.transform.source()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn node(id: &str, value: &Value) -> Result<Node, FlowError> {
    let pointer = format!("/nodes/{id}");
    let refused =
        |message: String| FlowError::new("flow-node", pointer.clone(), format!("node `{id}`: {message}"));
    let Some(fields) = value.as_object() else {
        return Err(refused("it is not a mapping".to_owned()));
    };
    let names: Vec<&str> = ALL.iter().map(|entry| entry.name).collect();
    let mut found = None;
    let mut from = Vec::new();
    for (key, config) in fields {
        match key.as_str() {
            "from" => {
                from = references(config)
                    .ok_or_else(|| refused("`from` is a node or a list of nodes".to_owned()))?
            }
            "description" => {}
            word => match ALL.iter().find(|entry| entry.name == word) {
                Some(_) if found.is_some() => return Err(refused("it has two kinds".to_owned())),
                Some(entry) => found = Some((entry, config)),
                None => {
                    let hint = match nearest(word, &names) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("the kinds are {}", names.join(", ")),
                    };
                    return Err(refused(format!("there is no transform `{word}`")).hinted(Some(hint)));
                }
            },
        }
    }
    let Some((entry, config)) = found else {
        return Err(
            refused("it has no kind".to_owned()).hinted(Some(format!("the kinds are {}", names.join(", "))))
        );
    };
    let transform = (entry.parse)(config).map_err(|message| {
        FlowError::new("flow-node", format!("{pointer}/{}", entry.name), format!("node `{id}`: {message}"))
    })?;
    let wanted = match (transform.inputs(), from.len()) {
        (Inputs::None, 0) | (Inputs::One, 1) | (Inputs::Two, 2) => None,
        (Inputs::Many, n) if n > 0 => None,
        (Inputs::None, _) => Some("no `from`"),
        (Inputs::One, _) => Some("`from: <node>`"),
        (Inputs::Two, _) => Some("`from: [left, right]`"),
        (Inputs::Many, _) => Some("`from: [a, b, …]`"),
    };
    match wanted {
        Some(wanted) => Err(refused(format!("a `{}` node has {wanted}", entry.name))),
        None => Ok(Node { kind: entry.name, transform, from }),
    }
}

fn references(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(many) => many.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// Everything that `from` and `output` may name.
fn ports(nodes: &IndexMap<String, Node>) -> Vec<String> {
    let ports = nodes.iter().flat_map(|(id, node)| match node.transform.parts() {
        none if none.is_empty() => vec![id.clone()],
        parts => parts.into_iter().map(|part| format!("{id}.{part}")).collect(),
    });
    ports.collect()
}

fn known_port(known: &[String], name: &str, of: &str, pointer: &str) -> Result<(), FlowError> {
    if known.iter().any(|port| port == name) {
        return Ok(());
    }
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let hint = match nearest(name, &names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the nodes are {}", names.join(", ")),
    };
    Err(FlowError::new("unknown-node", pointer, format!("`{of}` reads `{name}`, which is no node here"))
        .hinted(Some(hint)))
}

fn cycle(nodes: &IndexMap<String, Node>) -> Result<(), FlowError> {
    let mut left: IndexMap<&str, Vec<&str>> = nodes
        .iter()
        .map(|(id, node)| (id.as_str(), node.from.iter().map(|from| owner(nodes, from)).collect()))
        .collect();
    loop {
        let ready: Vec<&str> =
            nodes.keys().map(String::as_str).filter(|id| left.get(id).is_some_and(Vec::is_empty)).collect();
        if ready.is_empty() {
            break;
        }
        left.retain(|id, _| !ready.contains(id));
        for waits in left.values_mut() {
            waits.retain(|id| !ready.contains(id));
        }
    }
    match nodes.keys().find(|id| left.contains_key(id.as_str())) {
        Some(id) => Err(FlowError::new(
            "flow-cycle",
            format!("/nodes/{id}/from"),
            format!("node `{id}` waits for itself"),
        )),
        None => Ok(()),
    }
}

/// The node behind `node` or `node.part`.
pub(crate) fn owner<'a>(nodes: &IndexMap<String, Node>, port: &'a str) -> &'a str {
    if nodes.contains_key(port) { port } else { port.rsplit_once('.').map_or(port, |(id, _)| id) }
}

/// Outputs that a step with a flow has whatever the flow.
const RESERVED: [&str; 5] = ["rows", "nodes", "learned", "flowlets", "engine"];

fn outputs(
    declared: Option<&Value>,
    nodes: &IndexMap<String, Node>,
    known: &[String],
) -> Result<IndexMap<String, String>, FlowError> {
    let mut outputs = IndexMap::new();
    match declared {
        Some(Value::String(port)) => {
            outputs.insert("data".to_owned(), port.clone());
        }
        Some(Value::Object(named)) => {
            for (name, port) in named {
                let port = port.as_str().ok_or_else(|| {
                    FlowError::new(
                        "flow-output",
                        format!("/output/{name}"),
                        format!("the output `{name}` is not a node's name"),
                    )
                })?;
                outputs.insert(name.clone(), port.to_owned());
            }
        }
        Some(_) => {
            return Err(FlowError::new(
                "flow-output",
                "/output",
                "`output` is a node, or names with a node each",
            ));
        }
        None => {
            let read: Vec<&String> = nodes.values().flat_map(|node| &node.from).collect();
            let ends: Vec<&String> = known.iter().filter(|port| !read.contains(port)).collect();
            match ends.as_slice() {
                [end] => outputs.insert("data".to_owned(), (*end).clone()),
                _ => {
                    let ends: Vec<&str> = ends.iter().map(|end| end.as_str()).collect();
                    let message = format!(
                        "several nodes are read by no other ({}), so say which is the output",
                        ends.join(", ")
                    );
                    return Err(FlowError::new("flow-output", "", message)
                        .hinted(Some("add `output: <node>`".to_owned())));
                }
            };
        }
    }
    if let Some(reserved) = outputs.keys().find(|name| RESERVED.contains(&name.as_str())) {
        let message = format!("an output cannot be called `{reserved}`: the step has one of that name");
        return Err(FlowError::new("flow-output", format!("/output/{reserved}"), message));
    }
    for port in outputs.values() {
        known_port(known, port, "output", "/output")?;
    }
    Ok(outputs)
}

/// A name as SQL wants it when it may contain anything.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a SQL literal.
pub(crate) fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A plain JSON value as a SQL literal.
pub(crate) fn literal(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("null".to_owned()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::String(value) => Some(text(value)),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// The name under which a caller's table is registered: not a node's, whatever the node is called.
pub(crate) fn input_table(name: &str) -> String {
    format!("{INPUT_PREFIX}{name}")
}

/// What stands before the names of a flow's inputs where nodes have names, too.
pub(crate) const INPUT_PREFIX: &str = "input:";

#[cfg(test)]
mod tests;
