//! Reads a pipeline file into a [`Pipeline`], saying everything that is wrong with its shape at once.

use indexmap::IndexMap;

use crate::duration::parse_ms;
use crate::ids::PipelineName;
use crate::load_include::{NoIncludes, with_includes};
use crate::pipeline::{Concurrency, InputSpec, OnLimit, Pipeline};
use crate::problem::{Place, Problem};
use crate::suggest::nearest;
use crate::yaml::{self, Key, Node, NodeValue};

const PIPELINE_KEYS: &[&str] = &[
    "pipeline",
    "description",
    "include",
    "inputs",
    "outputs",
    "defaults",
    "concurrency",
    "priority",
    "deadline",
    "notify",
    "triggers",
    "steps",
    "finally",
];
pub(crate) const INPUT_TYPES: &[&str] = &[
    "string", "integer", "number", "boolean", "date", "datetime", "duration", "json", "list", "file",
    "folder", "table", "model", "metrics", "report",
];

/// A pipeline and the tree that it was read from, for places.
#[derive(Debug, Clone)]
pub struct LoadedPipeline {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// The file as a tree.
    pub tree: Node,
}

/// Where the files are that a pipeline includes.
pub trait Includes {
    /// The text of a file of the workspace.
    ///
    /// # Errors
    /// Why it cannot be read, a clause such as `no such file`.
    fn read(&self, path: &str) -> Result<String, String>;
}

/// Reads a pipeline that includes nothing. `kinds` are the words that may name a step's kind.
///
/// # Errors
/// As [`pipeline_with`].
pub fn pipeline(file: &str, text: &str, kinds: &[&str]) -> Result<LoadedPipeline, Vec<Problem>> {
    pipeline_with(file, text, kinds, &NoIncludes)
}

/// Reads a pipeline and what it includes. `kinds` are the words that may name a step's kind.
///
/// # Errors
/// Every problem of the file's shape: syntax, unknown keys, wrong types, unknown kinds. What needs the whole graph is left to
/// [`crate::check`].
pub fn pipeline_with(
    file: &str,
    text: &str,
    kinds: &[&str],
    includes: &dyn Includes,
) -> Result<LoadedPipeline, Vec<Problem>> {
    let tree = yaml::parse(file, text).map_err(|problem| vec![*problem])?;
    let mut reader = Reader { kinds, problems: Vec::new() };
    let tree = with_includes(&mut reader, tree, includes);
    let pipeline = reader.pipeline(file, &tree);
    match pipeline {
        Some(pipeline) if reader.problems.is_empty() => Ok(LoadedPipeline { pipeline, tree }),
        _ => Err(reader.problems),
    }
}

pub(crate) struct Reader<'a> {
    pub(crate) kinds: &'a [&'a str],
    pub(crate) problems: Vec<Problem>,
}

impl Reader<'_> {
    pub(crate) fn complain(&mut self, place: &Place, code: &str, message: impl Into<String>) -> &mut Problem {
        self.problems.push(Problem::error(code, message).at(place.clone()));
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    fn pipeline(&mut self, file: &str, tree: &Node) -> Option<Pipeline> {
        let Some(fields) = tree.as_map() else {
            let problem = self.complain(
                &tree.place,
                "not-a-pipeline",
                format!("a pipeline is a mapping, this is {}", tree.type_word()),
            );
            problem.hints.push(
                "begin with `steps:` and a step, for example `steps: {hello: {run: echo hello}}`".to_owned(),
            );
            return None;
        };
        self.known_keys(fields, PIPELINE_KEYS, "a pipeline");
        let stem = file.rsplit('/').next().unwrap_or(file).split('.').next().unwrap_or(file);
        let name = match tree.get("pipeline") {
            Some(node) => {
                self.text(node, "`pipeline`").and_then(|name| self.parsed::<PipelineName>(&name, &node.place))
            }
            None => self.parsed::<PipelineName>(stem, &tree.place),
        };
        let defaults = tree.get("defaults").map(|node| self.defaults(node)).unwrap_or_default();
        let steps = match tree.get("steps") {
            Some(node) => self.steps(node, &defaults),
            None => {
                self.complain(&tree.place, "no-steps", "a pipeline needs `steps`");
                IndexMap::new()
            }
        };
        let pipeline = Pipeline {
            name: name?,
            description: tree.get("description").and_then(|node| self.text(node, "`description`")),
            inputs: tree.get("inputs").map(|node| self.inputs(node)).unwrap_or_default(),
            outputs: tree.get("outputs").map(|node| self.values(node, "`outputs`")).unwrap_or_default(),
            concurrency: tree.get("concurrency").and_then(|node| self.concurrency(node)),
            priority: tree.get("priority").and_then(|node| self.priority(node)).unwrap_or_default(),
            deadline: tree.get("deadline").and_then(|node| self.deadline(node)).map(Box::new),
            notify: tree.get("notify").map(|node| Box::new(self.notices(node))),
            triggers: tree.get("triggers").map(|node| self.triggers(node)).unwrap_or_default(),
            steps,
            finally: tree.get("finally").map(|node| self.steps(node, &defaults)).unwrap_or_default(),
            file: file.to_owned(),
        };
        for (id, step) in &pipeline.finally {
            if pipeline.steps.contains_key(id) {
                self.complain(
                    &step.place,
                    "repeated-step",
                    format!("`{id}` is a step already; name this one otherwise"),
                );
            }
        }
        Some(pipeline)
    }

    pub(crate) fn known_keys(&mut self, fields: &[(Key, Node)], known: &[&str], what: &str) {
        for (key, _) in fields {
            if !known.contains(&key.name.as_str()) {
                let suggestion = nearest(&key.name, known);
                let problem =
                    self.complain(&key.place, "unknown-key", format!("{what} has no key `{}`", key.name));
                match suggestion {
                    Some(name) => problem.hints.push(format!("did you mean `{name}`?")),
                    None => problem.notes.push(format!("its keys are {}", known.join(", "))),
                }
            }
        }
    }

    pub(crate) fn parsed<T: std::str::FromStr<Err = crate::ids::InvalidName>>(
        &mut self,
        name: &str,
        place: &Place,
    ) -> Option<T> {
        match name.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.complain(place, "invalid-name", error.to_string());
                None
            }
        }
    }

    pub(crate) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        if let Some(text) = node.as_text() {
            return Some(text.to_owned());
        }
        self.complain(&node.place, "wrong-type", format!("{what} is text, this is {}", node.type_word()));
        None
    }

    pub(crate) fn map<'n>(&mut self, node: &'n Node, what: &str) -> &'n [(Key, Node)] {
        if matches!(node.value, NodeValue::Null) {
            return &[];
        }
        if let Some(fields) = node.as_map() {
            return fields;
        }
        self.complain(
            &node.place,
            "wrong-type",
            format!("{what} is a mapping, this is {}", node.type_word()),
        );
        &[]
    }

    pub(crate) fn whole_number(&mut self, node: &Node, what: &str) -> Option<u32> {
        if let NodeValue::Number(number) = &node.value
            && let Some(number) = number.as_u64().and_then(|number| u32::try_from(number).ok())
        {
            return Some(number);
        }
        self.complain(
            &node.place,
            "wrong-type",
            format!("{what} is a whole number, this is {}", node.type_word()),
        );
        None
    }

    pub(crate) fn duration(&mut self, node: &Node, what: &str) -> Option<u64> {
        let text = self.text(node, what)?;
        let parsed = parse_ms(&text);
        if parsed.is_none() {
            let problem = self.complain(&node.place, "not-a-duration", format!("`{text}` is not a duration"));
            problem.hints.push("write a number and a unit: `90s`, `15m`, `1h30m`, `7d`".to_owned());
        }
        parsed
    }

    pub(crate) fn check_type(&mut self, name: &str, place: &Place) {
        let base = name.split('[').next().unwrap_or(name);
        if !INPUT_TYPES.contains(&base) {
            let suggestion = nearest(base, INPUT_TYPES);
            let problem = self.complain(place, "unknown-type", format!("there is no type `{name}`"));
            match suggestion {
                Some(near) => problem.hints.push(format!("did you mean `{near}`?")),
                None => problem.notes.push(format!("types are {}", INPUT_TYPES.join(", "))),
            }
        }
    }

    fn inputs(&mut self, node: &Node) -> IndexMap<String, InputSpec> {
        let mut inputs = IndexMap::new();
        for (key, node) in self.map(node, "`inputs`") {
            let spec = match (&node.value, node.get("type")) {
                (NodeValue::Map(fields), Some(type_node)) => {
                    self.known_keys(fields, &["type", "default", "enum", "description"], "an input");
                    let Some(type_name) = self.text(type_node, "`type`") else { continue };
                    self.check_type(&type_name, &type_node.place);
                    let allowed = node.get("enum").and_then(|node| node.to_json().as_array().cloned());
                    InputSpec {
                        type_name,
                        default: node.get("default").map(Node::to_json),
                        allowed,
                        description: node
                            .get("description")
                            .and_then(|node| self.text(node, "`description`")),
                    }
                }
                _ => InputSpec {
                    type_name: literal_type(node).to_owned(),
                    default: Some(node.to_json()),
                    allowed: None,
                    description: None,
                },
            };
            inputs.insert(key.name.clone(), spec);
        }
        inputs
    }

    fn concurrency(&mut self, node: &Node) -> Option<Concurrency> {
        if matches!(node.value, NodeValue::Number(_)) {
            return self.whole_number(node, "`concurrency`").map(|limit| Concurrency {
                key: None,
                limit: limit.max(1),
                on_limit: OnLimit::Queue,
            });
        }
        let fields = self.map(node, "`concurrency`");
        self.known_keys(fields, &["key", "limit", "on_limit"], "`concurrency`");
        let limit = node.get("limit").and_then(|node| self.whole_number(node, "`limit`")).unwrap_or(1);
        Some(Concurrency {
            key: node.get("key").and_then(|node| self.text(node, "`key`")),
            limit: limit.max(1),
            on_limit: node.get("on_limit").map(|node| self.on_limit(node)).unwrap_or_default(),
        })
    }

    fn on_limit(&mut self, node: &Node) -> OnLimit {
        match node.as_text() {
            Some("queue") => OnLimit::Queue,
            Some("cancel_running") => OnLimit::CancelRunning,
            Some("skip") => OnLimit::Skip,
            _ => {
                self.complain(&node.place, "wrong-value", "`on_limit` is queue, cancel_running or skip");
                OnLimit::Queue
            }
        }
    }

    fn priority(&mut self, node: &Node) -> Option<i64> {
        if let NodeValue::Number(number) = &node.value
            && let Some(priority) = number.as_i64().filter(|priority| (-1_000..=1_000).contains(priority))
        {
            return Some(priority);
        }
        self.complain(&node.place, "wrong-type", "`priority` is a whole number from -1000 to 1000");
        None
    }

    pub(crate) fn truth(&mut self, node: &Node, what: &str) -> bool {
        if let NodeValue::Bool(truth) = node.value {
            return truth;
        }
        self.complain(
            &node.place,
            "wrong-type",
            format!("{what} is true or false, this is {}", node.type_word()),
        );
        false
    }
}

/// Type of an input that is given as a literal default.
fn literal_type(node: &Node) -> &'static str {
    match &node.value {
        NodeValue::Bool(_) => "boolean",
        NodeValue::Number(number) if number.is_i64() => "integer",
        NodeValue::Number(_) => "number",
        NodeValue::Text(_) => "string",
        NodeValue::List(_) | NodeValue::Map(_) | NodeValue::Null => "json",
    }
}
