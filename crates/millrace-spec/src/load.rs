//! Reads a pipeline file into a [`Pipeline`], saying everything that is wrong with its shape at once.

use indexmap::IndexMap;
use serde_json::Value;

use crate::duration::parse_ms;
use crate::expression;
use crate::ids::{PipelineName, StepId};
use crate::pipeline::{CachePolicy, Concurrency, InputSpec, Pipeline, Retry, Step};
use crate::problem::{Place, Problem};
use crate::suggest::nearest;
use crate::yaml::{self, Key, Node, NodeValue};

const PIPELINE_KEYS: &[&str] =
    &["pipeline", "description", "inputs", "defaults", "concurrency", "triggers", "steps", "finally"];
const STEP_KEYS: &[&str] = &[
    "needs",
    "if",
    "inputs",
    "outputs",
    "retry",
    "timeout",
    "cache",
    "environment",
    "env",
    "pool",
    "description",
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

/// Reads a pipeline. `kinds` are the words that may name a step's kind.
///
/// # Errors
/// Every problem of the file's shape: syntax, unknown keys, wrong types, unknown kinds. What needs the whole graph is left to
/// [`crate::check`].
pub fn pipeline(file: &str, text: &str, kinds: &[&str]) -> Result<LoadedPipeline, Vec<Problem>> {
    let tree = yaml::parse(file, text).map_err(|problem| vec![*problem])?;
    let mut reader = Reader { kinds, problems: Vec::new() };
    let pipeline = reader.pipeline(file, &tree);
    match pipeline {
        Some(pipeline) if reader.problems.is_empty() => Ok(LoadedPipeline { pipeline, tree }),
        _ => Err(reader.problems),
    }
}

pub(crate) struct Reader<'a> {
    kinds: &'a [&'a str],
    pub(crate) problems: Vec<Problem>,
}

#[derive(Default)]
struct StepDefaults {
    retry: Option<Retry>,
    timeout_ms: Option<u64>,
    environment: Option<String>,
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
            concurrency: tree.get("concurrency").and_then(|node| self.concurrency(node)),
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

    fn parsed<T: std::str::FromStr<Err = crate::ids::InvalidName>>(
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

    fn map<'n>(&mut self, node: &'n Node, what: &str) -> &'n [(Key, Node)] {
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

    fn whole_number(&mut self, node: &Node, what: &str) -> Option<u32> {
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

    fn duration(&mut self, node: &Node, what: &str) -> Option<u64> {
        let text = self.text(node, what)?;
        let parsed = parse_ms(&text);
        if parsed.is_none() {
            let problem = self.complain(&node.place, "not-a-duration", format!("`{text}` is not a duration"));
            problem.hints.push("write a number and a unit: `90s`, `15m`, `1h30m`, `7d`".to_owned());
        }
        parsed
    }

    fn defaults(&mut self, node: &Node) -> StepDefaults {
        let fields = self.map(node, "`defaults`");
        self.known_keys(fields, &["environment", "retry", "timeout"], "`defaults`");
        StepDefaults {
            retry: node.get("retry").and_then(|node| self.retry(node)),
            timeout_ms: node.get("timeout").and_then(|node| self.duration(node, "`timeout`")),
            environment: node.get("environment").and_then(|node| self.text(node, "`environment`")),
        }
    }

    fn steps(&mut self, node: &Node, defaults: &StepDefaults) -> IndexMap<StepId, Step> {
        let mut steps = IndexMap::new();
        for (key, node) in self.map(node, "`steps`") {
            let id = self.parsed::<StepId>(&key.name, &key.place);
            let step = id.and_then(|id| self.step(id, key, node, defaults));
            steps.extend(step.map(|step| (step.id.clone(), step)));
        }
        steps
    }

    fn step(&mut self, id: StepId, key: &Key, node: &Node, defaults: &StepDefaults) -> Option<Step> {
        let fields = self.map(node, "a step");
        let (kind, config) = self.kind(&id, key, fields)?;
        let condition = node.get("if").and_then(|node| match &node.value {
            NodeValue::Bool(truth) => Some(truth.to_string()),
            _ => self.text(node, "`if`"),
        });
        let mut step = Step {
            kind,
            config: config.to_json(),
            inputs: node.get("inputs").map(|node| self.values(node, "`inputs`")).unwrap_or_default(),
            outputs: node.get("outputs").map(|node| self.outputs(node)).unwrap_or_default(),
            needs: node.get("needs").map(|node| self.needs(node)).unwrap_or_default(),
            condition,
            retry: node
                .get("retry")
                .and_then(|node| self.retry(node))
                .or_else(|| defaults.retry.clone())
                .unwrap_or_default(),
            timeout_ms: node
                .get("timeout")
                .and_then(|node| self.duration(node, "`timeout`"))
                .or(defaults.timeout_ms),
            cache: node.get("cache").and_then(|node| self.cache(node)).unwrap_or_default(),
            environment: node
                .get("environment")
                .and_then(|node| self.text(node, "`environment`"))
                .or_else(|| defaults.environment.clone()),
            env: node.get("env").map(|node| self.values(node, "`env`")).unwrap_or_default(),
            pool: node.get("pool").map(|node| self.pool(node)).unwrap_or_default(),
            place: key.place.clone(),
            id,
        };
        self.add_inferred_needs(&mut step, node);
        Some(step)
    }

    /// The one key that names the kind.
    fn kind<'n>(&mut self, id: &StepId, key: &Key, fields: &'n [(Key, Node)]) -> Option<(String, &'n Node)> {
        let mut found: Vec<&(Key, Node)> = Vec::new();
        let known: Vec<&str> = self.kinds.iter().chain(STEP_KEYS).copied().collect();
        for field in fields {
            let name = field.0.name.as_str();
            if self.kinds.contains(&name) {
                found.push(field);
            } else if !STEP_KEYS.contains(&name) {
                let suggestion = nearest(name, &known);
                let kinds = self.kinds.join(", ");
                let problem = self.complain(
                    &field.0.place,
                    "unknown-kind",
                    format!("`{name}` is neither a kind of step nor a key of one"),
                );
                match suggestion {
                    Some(near) => problem.hints.push(format!("did you mean `{near}`?")),
                    None => problem.notes.push(format!("kinds are {kinds}")),
                }
                return None;
            }
        }
        match found.as_slice() {
            [(key, node)] => Some((key.name.clone(), node)),
            [] => {
                let kinds = self.kinds.join(", ");
                let problem = self.complain(
                    &key.place,
                    "no-kind",
                    format!("the step `{id}` does not say what it does"),
                );
                problem.notes.push(format!("one key names the kind: {kinds}"));
                None
            }
            [first, second, ..] => {
                let message = format!("the step `{id}` is both `{}` and `{}`", first.0.name, second.0.name);
                let problem = self.complain(&second.0.place, "two-kinds", message);
                problem.hints.push("make it two steps".to_owned());
                None
            }
        }
    }

    fn values(&mut self, node: &Node, what: &str) -> IndexMap<String, Value> {
        self.map(node, what).iter().map(|(key, node)| (key.name.clone(), node.to_json())).collect()
    }

    fn outputs(&mut self, node: &Node) -> IndexMap<String, String> {
        let mut outputs = IndexMap::new();
        for (key, node) in self.map(node, "`outputs`") {
            if let Some(name) = self.text(node, "the type of an output") {
                self.check_type(&name, &node.place);
                outputs.insert(key.name.clone(), name);
            }
        }
        outputs
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

    fn needs(&mut self, node: &Node) -> Vec<StepId> {
        let items = match &node.value {
            NodeValue::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut needs = Vec::new();
        for item in items {
            let need = self.text(item, "`needs`").and_then(|name| self.parsed::<StepId>(&name, &item.place));
            needs.extend(need);
        }
        needs
    }

    /// Adds the steps that expressions name, so that nobody writes an edge twice.
    fn add_inferred_needs(&mut self, step: &mut Step, node: &Node) {
        let values = [step.config.clone(), serde_json::json!(step.inputs), serde_json::json!(step.env)];
        let mut found = Vec::new();
        for value in &values {
            found.push(expression::references(value));
        }
        if let Some(condition) = &step.condition {
            let bare = condition.trim().trim_start_matches("${{").trim_end_matches("}}");
            found.push(expression::references_of_expression(bare));
        }
        for references in found {
            match references {
                Ok(references) => {
                    for reference in references {
                        let named = match reference.path.as_slice() {
                            [root, name, ..] if root == "steps" => name.parse::<StepId>().ok(),
                            _ => None,
                        };
                        if let Some(need) = named.filter(|need| !step.needs.contains(need)) {
                            step.needs.push(need);
                        }
                    }
                }
                Err(error) => {
                    let place = place_of_expression(node, &error).unwrap_or_else(|| step.place.clone());
                    self.complain(&place, "bad-expression", error.to_string());
                }
            }
        }
    }

    fn retry(&mut self, node: &Node) -> Option<Retry> {
        if matches!(node.value, NodeValue::Number(_)) {
            return self.whole_number(node, "`retry`").map(|max| Retry { max, ..Retry::default() });
        }
        let fields = self.map(node, "`retry`");
        self.known_keys(fields, &["max", "delay", "backoff"], "`retry`");
        let mut retry = Retry::default();
        if let Some(max) = node.get("max").and_then(|node| self.whole_number(node, "`max`")) {
            retry.max = max;
        }
        if let Some(delay) = node.get("delay").and_then(|node| self.duration(node, "`delay`")) {
            retry.delay_ms = delay;
        }
        if let Some(backoff) = node.get("backoff") {
            match &backoff.value {
                NodeValue::Number(number)
                    if number.as_f64().is_some_and(|factor| (1.0..=100.0).contains(&factor)) =>
                {
                    retry.backoff = number.as_f64().unwrap_or(2.0);
                }
                _ => drop(self.complain(&backoff.place, "wrong-type", "`backoff` is a number from 1 to 100")),
            }
        }
        Some(retry)
    }

    fn cache(&mut self, node: &Node) -> Option<CachePolicy> {
        match &node.value {
            NodeValue::Bool(true) => Some(CachePolicy::Auto),
            NodeValue::Bool(false) => Some(CachePolicy::Never),
            _ => {
                let fields = self.map(node, "`cache`");
                self.known_keys(fields, &["ttl"], "`cache`");
                let ttl_ms = node.get("ttl").and_then(|node| self.duration(node, "`ttl`"))?;
                Some(CachePolicy::Within { ttl_ms })
            }
        }
    }

    fn pool(&mut self, node: &Node) -> IndexMap<String, u32> {
        let mut pools = IndexMap::new();
        for (key, node) in self.map(node, "`pool`") {
            pools.extend(
                self.whole_number(node, "the slots of a pool").map(|slots| (key.name.clone(), slots)),
            );
        }
        pools
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
            return self
                .whole_number(node, "`concurrency`")
                .map(|limit| Concurrency { key: None, limit: limit.max(1) });
        }
        let fields = self.map(node, "`concurrency`");
        self.known_keys(fields, &["key", "limit"], "`concurrency`");
        let limit = node.get("limit").and_then(|node| self.whole_number(node, "`limit`")).unwrap_or(1);
        Some(Concurrency {
            key: node.get("key").and_then(|node| self.text(node, "`key`")),
            limit: limit.max(1),
        })
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

/// The value below `node` that holds the expression an error talks about.
fn place_of_expression(node: &Node, error: &expression::ExpressionError) -> Option<Place> {
    match &node.value {
        NodeValue::Text(text) => {
            let value = Value::String(text.clone());
            let same = expression::references(&value).as_ref() == Err(error)
                || expression::references_of_expression(text).as_ref() == Err(error);
            same.then(|| node.place.clone())
        }
        NodeValue::List(items) => items.iter().find_map(|item| place_of_expression(item, error)),
        NodeValue::Map(fields) => fields.iter().find_map(|(_, item)| place_of_expression(item, error)),
        _ => None,
    }
}
