use std::cell::RefCell;

use indexmap::IndexMap;
use serde_json::Value;

use super::expression::Meaning;
use crate::names::name_of;

/// An activity that others may name.
pub(super) struct Known {
    /// The step that it became.
    pub(super) step: String,
    /// Its type there.
    pub(super) kind: String,
    /// What the pipeline that it executes returns.
    pub(super) returns: Vec<String>,
}

/// What names mean in a pipeline, or within a container that became a pipeline of its own.
#[derive(Default)]
pub(super) struct Scope<'a> {
    /// Our expression for each parameter.
    pub(super) parameters: IndexMap<String, String>,
    /// Our expression for each variable that has one value.
    pub(super) variables: IndexMap<String, String>,
    /// Activities, by their names there.
    pub(super) activities: IndexMap<String, Known>,
    /// What `item()` is.
    pub(super) item: Option<String>,
    /// Whether there is a window.
    pub(super) has_windows: bool,
    /// Around the container.
    pub(super) outer: Option<&'a Scope<'a>>,
    /// Inputs that the container's pipeline needs from around it: name and expression there.
    pub(super) captured: RefCell<IndexMap<String, String>>,
}

impl Scope<'_> {
    /// The input that brings a value in from around.
    fn capture(&self, wanted: &str, expression: String) -> String {
        let mut captured = self.captured.borrow_mut();
        if let Some((name, _)) = captured.iter().find(|(_, known)| **known == expression) {
            return format!("inputs.{name}");
        }
        let mut name = name_of(wanted);
        while name == "item" || captured.contains_key(&name) {
            name.push('_');
        }
        captured.insert(name.clone(), expression);
        format!("inputs.{name}")
    }
}

impl Meaning for Scope<'_> {
    fn parameter(&self, name: &str) -> Option<String> {
        match self.outer {
            None => self.parameters.get(name).cloned(),
            Some(outer) => Some(self.capture(name, outer.parameter(name)?)),
        }
    }

    fn output(&self, activity: &str, path: &[String]) -> Option<String> {
        let path_words: Vec<&str> = path.iter().map(String::as_str).collect();
        if let Some(known) = self.activities.get(activity) {
            let step = &known.step;
            return match (known.kind.as_str(), path_words.as_slice()) {
                ("Copy", ["output", "rowsCopied" | "rowsRead"]) => Some(format!("steps.{step}.rows")),
                ("ExecutePipeline", ["output", "pipelineReturnValue", key]) => known
                    .returns
                    .iter()
                    .any(|known| known == key)
                    .then(|| format!("steps.{step}.{}", name_of(key))),
                _ => None,
            };
        }
        let outer = self.outer?.output(activity, path)?;
        Some(self.capture(&format!("{activity}_{}", path.last()?), outer))
    }

    fn variable(&self, name: &str) -> Option<String> {
        if let Some(expression) = self.variables.get(name) {
            return Some(expression.clone());
        }
        Some(self.capture(name, self.outer?.variable(name)?))
    }

    fn item(&self) -> Option<String> {
        match (&self.item, self.outer) {
            (Some(item), _) => Some(item.clone()),
            (None, Some(outer)) => Some(self.capture("outer_item", outer.item()?)),
            (None, None) => None,
        }
    }

    fn window(&self, edge: &str) -> Option<String> {
        match self.outer {
            Some(outer) => Some(self.capture(&format!("window_{edge}"), outer.window(edge)?)),
            None => self.has_windows.then(|| format!("window.{edge}")),
        }
    }
}

/// A constant as it stands in an expression.
pub(super) fn literal(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))),
        Value::Null => Some("none".to_owned()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}
