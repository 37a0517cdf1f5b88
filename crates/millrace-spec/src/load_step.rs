//! The `steps:` of a pipeline file.

use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::expression;
use crate::ids::StepId;
use crate::load::Reader;
use crate::load_mapping::MAPPING_KEYS;
use crate::pipeline::{CachePolicy, Retry, RetryOn, Step};
use crate::problem::Place;
use crate::suggest::nearest;
use crate::yaml::{Key, Node, NodeValue};

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
    "foreach",
    "matrix",
    "parallel",
    "fail_fast",
    "max_failures",
    "sweep",
    "message",
];

/// What steps have that do not say it themselves.
#[derive(Default)]
pub(crate) struct StepDefaults {
    retry: Option<Retry>,
    timeout_ms: Option<u64>,
    environment: Option<String>,
}

impl Reader<'_> {
    pub(crate) fn defaults(&mut self, node: &Node) -> StepDefaults {
        let fields = self.map(node, "`defaults`");
        self.known_keys(fields, &["environment", "retry", "timeout"], "`defaults`");
        StepDefaults {
            retry: node.get("retry").and_then(|node| self.retry(node)),
            timeout_ms: node.get("timeout").and_then(|node| self.duration(node, "`timeout`")),
            environment: node.get("environment").and_then(|node| self.text(node, "`environment`")),
        }
    }

    pub(crate) fn steps(&mut self, node: &Node, defaults: &StepDefaults) -> IndexMap<StepId, Step> {
        let mut steps: IndexMap<StepId, Step> = IndexMap::new();
        for (key, node) in self.map(node, "`steps`") {
            let id = self.parsed::<StepId>(&key.name, &key.place);
            let step = id.and_then(|id| self.step(id, key, node, defaults));
            let Some(step) = step else { continue };
            // One file has each key once; an included file may have it too.
            if let Some(earlier) = steps.get(&step.id) {
                let note = format!("it is also in {}:{}", earlier.place.file, earlier.place.line);
                let message = format!("`{}` is a step already; name this one otherwise", step.id);
                self.complain(&step.place, "repeated-step", message).notes.push(note);
                continue;
            }
            steps.insert(step.id.clone(), step);
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
        let config = self.config(&kind, config, node);
        let mut step = Step {
            kind,
            config,
            inputs: node.get("inputs").map(|node| self.values(node, "`inputs`")).unwrap_or_default(),
            outputs: node.get("outputs").map(|node| self.outputs(node)).unwrap_or_default(),
            needs: node.get("needs").map(|node| self.needs(node)).unwrap_or_default(),
            condition,
            mapping: self.mapping(node, key),
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
        // Programs get the point like any other input; other kinds name `item.<parameter>` where they want it.
        let parameters: Vec<String> = match (&step.mapping, step.kind.as_str()) {
            (Some(mapping), "run" | "python") if mapping.sweep().is_some() => {
                mapping.axes().into_iter().map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        for name in parameters {
            let value = Value::from(format!("${{{{ item.{name} }}}}"));
            step.inputs.entry(name).or_insert(value);
        }
        self.add_inferred_needs(&mut step, node);
        Some(step)
    }

    /// What stands under the kind's key. `notify: team` with `message:` beside it is short for `notify: {to: team, message: …}`.
    fn config(&mut self, kind: &str, config: &Node, step: &Node) -> Value {
        match step.get("message") {
            None => config.to_json(),
            Some(message) if kind == "notify" && config.as_map().is_none() => {
                json!({"to": config.to_json(), "message": message.to_json()})
            }
            Some(message) => {
                let problem = self.complain(
                    &message.place,
                    "unknown-key",
                    "`message` stands beside `notify: CHANNEL` and nowhere else",
                );
                problem.hints.push("remove it, or write it under the kind's key".to_owned());
                config.to_json()
            }
        }
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

    pub(crate) fn values(&mut self, node: &Node, what: &str) -> IndexMap<String, Value> {
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
        let mut values =
            vec![step.config.clone(), serde_json::json!(step.inputs), serde_json::json!(step.env)];
        values.extend(MAPPING_KEYS.iter().filter_map(|key| node.get(key)).map(Node::to_json));
        let mut found = Vec::new();
        for value in &values {
            found.push(expression::references(value));
        }
        if let Some(condition) = &step.condition {
            let bare = condition.trim().trim_start_matches("${{").trim_end_matches("}}");
            found.push(expression::references_of_expression(bare));
        }
        if let Some(condition) = &step.retry.condition {
            // It names the error and the attempt, never another step; only its syntax is looked at.
            found.push(expression::references_of_expression(condition).map(|_| Default::default()));
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
        if let Some((key, _)) = fields.iter().find(|(key, _)| key.name == "on") {
            let problem = self.complain(
                &key.place,
                "unknown-key",
                "`retry` has no key `on`, which many YAML tools read as true",
            );
            problem.hints.push("write `errors: [transient, timeout, exit:137]`".to_owned());
            return None;
        }
        let known = ["max", "delay", "backoff", "max_delay", "jitter", "errors", "if"];
        self.known_keys(fields, &known, "`retry`");
        let mut retry = Retry::default();
        if let Some(max) = node.get("max").and_then(|node| self.whole_number(node, "`max`")) {
            retry.max = max;
        }
        if let Some(delay) = node.get("delay").and_then(|node| self.duration(node, "`delay`")) {
            retry.delay_ms = delay;
        }
        if let Some(longest) = node.get("max_delay").and_then(|node| self.duration(node, "`max_delay`")) {
            retry.max_delay_ms = longest;
        }
        if let Some(factor) = node.get("backoff").and_then(|node| self.number(node, "`backoff`", 1.0, 100.0))
        {
            retry.backoff = factor;
        }
        if let Some(share) = node.get("jitter").and_then(|node| self.number(node, "`jitter`", 0.0, 1.0)) {
            retry.jitter = share;
        }
        if let Some(errors) = node.get("errors") {
            retry.errors = self.retry_errors(errors);
        }
        retry.condition = node.get("if").and_then(|node| self.text(node, "`if`"));
        Some(retry)
    }

    fn number(&mut self, node: &Node, what: &str, least: f64, most: f64) -> Option<f64> {
        let number = match &node.value {
            NodeValue::Number(number) => number.as_f64().filter(|number| (least..=most).contains(number)),
            _ => None,
        };
        if number.is_none() {
            self.complain(&node.place, "wrong-type", format!("{what} is a number from {least} to {most}"));
        }
        number
    }

    fn retry_errors(&mut self, node: &Node) -> Vec<RetryOn> {
        let items = match &node.value {
            NodeValue::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut errors = Vec::new();
        for item in items {
            let Some(text) = self.text(item, "an error to try again after") else { continue };
            match RetryOn::parse(&text) {
                Some(error) => errors.push(error),
                None => {
                    let words = ["transient", "timeout"];
                    let near = nearest(&text, &words);
                    let problem = self.complain(
                        &item.place,
                        "unknown-error",
                        format!("`{text}` is not an error to try again after"),
                    );
                    match near {
                        Some(near) => problem.hints.push(format!("did you mean `{near}`?")),
                        None => problem.hints.push(
                            "write `transient`, `timeout`, `exit:137` or the code of a problem such as `sql-failed`"
                                .to_owned(),
                        ),
                    }
                }
            }
        }
        errors
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
