//! `foreach:`, `matrix:` and the keys beside them; `sweep:` stands alone.

use indexmap::IndexMap;
use serde_json::Value;

use crate::load::Reader;
use crate::mapping::{Mapping, Over};
use crate::yaml::{Key, Node, NodeValue};

/// The keys that hold the items.
pub(crate) const MAPPING_KEYS: [&str; 3] = ["foreach", "matrix", "sweep"];
/// The keys that say how items are done.
const HOW: [&str; 3] = ["parallel", "fail_fast", "max_failures"];

impl Reader<'_> {
    /// What a step is done for; `None` if it is done once.
    pub(crate) fn mapping(&mut self, step: &Node, key: &Key) -> Option<Mapping> {
        if let Some(sweep) = step.get("sweep") {
            let fields = step.as_map().unwrap_or_default();
            let beside = |name: &str| name != "sweep" && MAPPING_KEYS.contains(&name) || HOW.contains(&name);
            for (key, _) in fields.iter().filter(|(key, _)| beside(&key.name)) {
                let message = format!("`{}` has no place beside `sweep`", key.name);
                let problem = self.complain(&key.place, "two-mappings", message);
                problem.hints.push("`sweep` has `search`, `trials` and `parallel` of its own".to_owned());
            }
            return self.sweep(sweep);
        }
        let over = match (step.get("foreach"), step.get("matrix")) {
            (Some(_), Some(matrix)) => {
                let message = format!("the step `{}` has both `foreach` and `matrix`", key.name);
                let problem = self.complain(&matrix.place, "two-mappings", message);
                problem.hints.push("make one of them an axis of the matrix".to_owned());
                return None;
            }
            (Some(node), None) => self.foreach(node)?,
            (None, Some(node)) => self.matrix(node)?,
            (None, None) => {
                let fields = step.as_map().unwrap_or_default();
                for (key, _) in fields.iter().filter(|(key, _)| HOW.contains(&key.name.as_str())) {
                    let message = format!("`{}` needs `foreach` or `matrix` beside it", key.name);
                    self.complain(&key.place, "no-items", message);
                }
                return None;
            }
        };
        let parallel = step.get("parallel").and_then(|node| match self.whole_number(node, "`parallel`") {
            Some(0) => {
                self.complain(&node.place, "out-of-range", "`parallel` is at least 1");
                None
            }
            other => other,
        });
        Some(Mapping {
            over,
            parallel,
            fail_fast: step.get("fail_fast").is_some_and(|node| self.truth(node, "`fail_fast`")),
            max_failures: step.get("max_failures").and_then(|node| self.whole_number(node, "`max_failures`")),
        })
    }

    fn foreach(&mut self, node: &Node) -> Option<Over> {
        self.is_list(node, "`foreach`").then(|| Over::Foreach(node.to_json()))
    }

    /// Whether it is a list or an expression that may give one.
    fn is_list(&mut self, node: &Node, what: &str) -> bool {
        let is_expression = node.as_text().is_some_and(|text| text.contains("${{"));
        if is_expression || matches!(node.value, NodeValue::List(_)) {
            return true;
        }
        let message = format!("{what} is a list, this is {}", node.type_word());
        let problem = self.complain(&node.place, "wrong-type", message);
        problem.hints.push("write `[a, b]`, or `${{ steps.NAME.OUTPUT }}`".to_owned());
        false
    }

    fn matrix(&mut self, node: &Node) -> Option<Over> {
        let mut axes: IndexMap<String, Value> = IndexMap::new();
        let (mut exclude, mut include) = (Vec::new(), Vec::new());
        for (key, values) in self.map(node, "`matrix`") {
            match key.name.as_str() {
                "exclude" => exclude = self.combinations(values, "`exclude`"),
                "include" => include = self.combinations(values, "`include`"),
                name => {
                    self.parsed::<crate::ids::StepId>(name, &key.place);
                    if self.is_list(values, &format!("the axis `{name}`")) {
                        axes.insert(name.to_owned(), values.to_json());
                    }
                }
            }
        }
        if let Some(list) = node.get("exclude") {
            self.known_axes(list, &axes);
        }
        if axes.is_empty() && include.is_empty() {
            let problem = self.complain(&node.place, "no-items", "`matrix` has no axis");
            problem.hints.push("write `matrix: {model: [lgbm, xgb]}`".to_owned());
            return None;
        }
        Some(Over::Matrix { axes, exclude, include })
    }

    fn combinations(&mut self, node: &Node, what: &str) -> Vec<Value> {
        let NodeValue::List(items) = &node.value else {
            let message = format!("{what} is a list of mappings, this is {}", node.type_word());
            self.complain(&node.place, "wrong-type", message);
            return Vec::new();
        };
        let mut combinations = Vec::new();
        for item in items {
            match item.as_map() {
                Some(fields) if !fields.is_empty() => combinations.push(item.to_json()),
                _ => {
                    let message =
                        format!("{what} has mappings such as `{{model: xgb}}`, this is {}", item.type_word());
                    self.complain(&item.place, "wrong-type", message);
                }
            }
        }
        combinations
    }

    /// What is excluded by an axis that is not there excludes nothing.
    fn known_axes(&mut self, list: &Node, axes: &IndexMap<String, Value>) {
        let NodeValue::List(items) = &list.value else { return };
        let known: Vec<&str> = axes.keys().map(String::as_str).collect();
        for (key, _) in items.iter().filter_map(Node::as_map).flatten() {
            if !known.contains(&key.name.as_str()) {
                let near = crate::suggest::nearest(&key.name, &known);
                let message = format!("the matrix has no axis `{}`", key.name);
                let problem = self.complain(&key.place, "unknown-axis", message);
                match near {
                    Some(near) => problem.hints.push(format!("did you mean `{near}`?")),
                    None => problem.notes.push(format!("its axes are {}", known.join(", "))),
                }
            }
        }
    }
}
