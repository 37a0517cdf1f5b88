//! What a run is known by in expressions, and who is told of it.

use serde_json::Value;

use super::{Checker, Surroundings, collect_texts};
use crate::expression;
use crate::problem::{Place, Problem};
use crate::suggest::nearest;
use crate::yaml::{Node, NodeValue};

/// What expressions may ask of `run`.
const RUN_VALUES: &[&str] = &["id", "pipeline", "state", "url", "error"];
/// And of `run.error`.
const ERROR_VALUES: &[&str] = &["step", "message"];

impl Checker<'_> {
    /// A name below `run` that there is not.
    pub(super) fn run_value(&mut self, path: &[&str], place: &Place) {
        let (whole, name, known) = match path {
            ["run", "error", name, ..] => ("run.error", *name, ERROR_VALUES),
            ["run", name, ..] => ("run", *name, RUN_VALUES),
            _ => return,
        };
        if known.contains(&name) {
            return;
        }
        let message = format!("there is no `{whole}.{name}`");
        let problem = Problem::error("unknown-run-value", message).at(place.clone());
        self.problems.push(match nearest(name, known) {
            Some(near) => problem.hint(format!("did you mean `{whole}.{near}`?")),
            None => problem.note(format!("`{whole}` has {}", known.join(", "))),
        });
    }

    /// Channels that `deadline:` and `notify:` name, and what the message names.
    pub(super) fn notices(&mut self, surroundings: &dyn Surroundings) {
        let tree = &self.loaded.tree;
        if let Some(node) = tree.get("deadline").and_then(|node| node.get("notify")).cloned() {
            self.channels(&node, surroundings);
        }
        let Some(node) = tree.get("notify").cloned() else { return };
        if node.as_map().is_none() {
            self.channels(&node, surroundings);
        }
        for key in ["on_failure", "on_success", "on_cancel"] {
            if let Some(node) = node.get(key) {
                self.channels(node, surroundings);
            }
        }
        if let Some(message) = node.get("message") {
            self.message(message);
        }
    }

    fn channels(&mut self, node: &Node, surroundings: &dyn Surroundings) {
        let nodes = match &node.value {
            NodeValue::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        for node in nodes {
            let unknown = node.as_text().and_then(|name| surroundings.unknown_channel(name));
            self.problems.extend(unknown.map(|problem| problem.at(node.place.clone())));
        }
    }

    fn message(&mut self, node: &Node) {
        let mut texts = Vec::new();
        collect_texts(node, &mut texts);
        for (text, place, _) in texts {
            match expression::references(&Value::String(text)) {
                Ok(references) => {
                    for reference in references {
                        self.said(&reference.path, &place);
                        self.reference(&reference, &place, "the message of `notify`");
                    }
                }
                Err(error) => {
                    self.problems.push(Problem::error("bad-expression", error.to_string()).at(place));
                }
            }
        }
    }

    fn said(&mut self, path: &[String], place: &Place) {
        if path.first().is_some_and(|root| root == "secrets") {
            let problem = Problem::error("secret-in-message", "a secret must not be told to a channel");
            self.problems.push(problem.at(place.clone()));
        }
        if let [root, name, ..] = path
            && root == "steps"
            && !self.outputs.keys().any(|id| id.as_str() == name)
        {
            self.unknown_step(name, place);
        }
    }
}
