//! Jobs that only say how others are done: `if_else` and `parallel_for`.

use indexmap::IndexMap;
use millrace_spec::yaml::{Key, Node, NodeValue};
use serde_json::{Value, json};

use super::Maker;
use super::shell::EXPRESSION;
use crate::names::name_of;
use crate::yaml_out::Map;

/// What such jobs say about the others, by their names there.
#[derive(Default)]
pub(super) struct Control {
    /// `if:` of a job.
    pub(super) conditions: IndexMap<String, String>,
    /// Items of a job, and how many at once.
    pub(super) items: IndexMap<String, (Value, Option<Value>)>,
    /// What a loop leaves is what its body leaves.
    pub(super) bodies: IndexMap<String, String>,
}

pub(super) fn is_one(job: &Node) -> bool {
    matches!(job.get("type").and_then(Node::as_text), Some("if_else" | "parallel_for"))
}

/// `${{parent.jobs.NAME}}`, one or several.
fn jobs_named(node: Option<&Node>) -> Vec<String> {
    let one = |node: &Node| {
        let found = EXPRESSION.captures(node.as_text()?)?;
        found[1].strip_prefix("parent.jobs.").map(str::to_owned)
    };
    match node.map(|node| &node.value) {
        Some(NodeValue::List(items)) => items.iter().filter_map(one).collect(),
        _ => node.and_then(one).into_iter().collect(),
    }
}

impl Maker<'_, '_> {
    /// Takes them in before the steps are made.
    pub(super) fn control(&mut self, jobs: &[(Key, Node)], comments: &mut Map) {
        for (key, job) in jobs.iter().filter(|(_, job)| is_one(job)) {
            if job.get("type").and_then(Node::as_text) == Some("if_else") {
                self.condition(key, job, comments);
            } else {
                self.each(key, job, comments);
            }
        }
    }

    fn condition(&mut self, key: &Key, job: &Node, comments: &mut Map) {
        let text = job.get("condition").and_then(Node::as_text).unwrap_or_default();
        let bound = self.bound(text, job, comments);
        let inner = bound.as_str().and_then(|text| text.strip_prefix("${{")?.strip_suffix("}}"));
        let Some(condition) = inner.map(|text| text.trim().to_owned()) else {
            let message = format!("the condition `{text}` of `{}` has no counterpart", key.name);
            self.import.report.gap(&key.place, comments, &message, Some("write it as `if:` of the steps"));
            return;
        };
        for (block, condition) in
            [("true_block", condition.clone()), ("false_block", format!("not {condition}"))]
        {
            for name in jobs_named(job.get(block)) {
                self.control.conditions.insert(name, condition.clone());
            }
        }
        self.import.report.taken(
            &key.place,
            format!("the job `{}` (if_else)", key.name),
            "`if:` of its blocks",
        );
    }

    fn each(&mut self, key: &Key, job: &Node, comments: &mut Map) {
        let body = jobs_named(job.get("body")).into_iter().next();
        let items = job.get("items").map(|node| match node.as_text() {
            Some(text) if text.contains("${{") => self.bound(text, node, comments),
            Some(text) => serde_json::from_str(text).unwrap_or_default(),
            None => node.to_json(),
        });
        let items = match items {
            // Names of items are not kept.
            Some(Value::Object(items)) => Some(items.into_iter().map(|(_, item)| item).collect()),
            Some(items @ (Value::Array(_) | Value::String(_))) => Some(items),
            _ => None,
        };
        let (Some(body), Some(items)) = (body, items) else {
            let message = format!("the loop `{}` has no body or no items that can be read", key.name);
            self.import.report.gap(&key.place, comments, &message, Some("write `foreach:` at the step"));
            return;
        };
        self.control.bodies.insert(key.name.clone(), body.clone());
        self.control.items.insert(body, (items, job.get("max_concurrency").map(Node::to_json)));
        self.import.report.taken(
            &key.place,
            format!("the job `{}` (parallel_for)", key.name),
            "`foreach:` of its body",
        );
    }

    /// The inputs that an item gives: those of its keys, or all that nothing else gives.
    pub(super) fn item_inputs(&self, job: &str, inputs: &mut Map, declared: &[String]) {
        let Some((items, _)) = self.control.items.get(job) else { return };
        let keys: Vec<String> = match items {
            Value::Array(items) => {
                let mut keys = Vec::new();
                for key in items.iter().filter_map(Value::as_object).flat_map(|fields| fields.keys()) {
                    if !keys.contains(key) {
                        keys.push(key.clone());
                    }
                }
                keys
            }
            _ => declared.to_vec(),
        };
        for key in keys {
            let name = name_of(&key);
            if !inputs.has(&name) {
                inputs.put(&name, format!("${{{{ item.{key} }}}}"));
            }
        }
    }

    /// What control jobs say about a step.
    pub(super) fn controlled(&self, job: &str, step: &mut Map) {
        if let Some(condition) = self.control.conditions.get(job) {
            step.put("if", condition.as_str());
        }
        if let Some((items, parallel)) = self.control.items.get(job) {
            step.put("foreach", items.clone());
            if let Some(parallel) = parallel {
                step.put("parallel", json!(parallel));
            }
        }
    }
}
