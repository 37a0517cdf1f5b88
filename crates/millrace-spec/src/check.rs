//! What can be known about a pipeline before it runs: references, types, cycles, the kinds' schemas, what is unused.

mod run_values;

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use crate::check_triggers::{self, WINDOW_VALUES};
use crate::expression::{self, Reference};
use crate::ids::StepId;
use crate::load::LoadedPipeline;
use crate::mapping::{Over, gathered_outputs};
use crate::pipeline::{Pipeline, Step};
use crate::problem::{Place, Problem};
use crate::secret;
use crate::suggest::nearest;
use crate::triggers::Trigger;
use crate::validate;
use crate::yaml::Node;

/// What the check must know about a kind of step; plain data, so that no room is needed.
pub struct StepKindFacts {
    /// JSON Schema of what stands under the key.
    pub schema: Value,
    /// Names and types of the outputs of a step with this config and these declared outputs.
    pub outputs: Vec<(String, String)>,
    /// Files of the workspace that it names.
    pub files: Vec<String>,
    /// What the kind itself has to say about the config, each with a JSON pointer into it.
    pub problems: Vec<(String, Problem)>,
}

/// What the check asks of its surroundings.
pub trait Surroundings {
    /// Facts about a step, by its kind and config; `None` for an unknown kind.
    fn kind(&self, step: &Step) -> Option<StepKindFacts>;

    /// Whether a file of the workspace exists.
    fn exists(&self, path: &str) -> bool;

    /// Names of the secrets that are set here; `None` if there may be more.
    fn secrets(&self) -> Option<Vec<String>>;

    /// Names of the calendars; `None` if nobody knows.
    fn calendars(&self) -> Option<Vec<String>> {
        None
    }

    /// What is wrong with the name of a channel; `None` if there is such a channel, or if nobody knows.
    fn unknown_channel(&self, _name: &str) -> Option<Problem> {
        None
    }

    /// Names of the connections, each with the keys that say where it leads (`s3`, `redis`); `None` if nobody knows.
    fn connections(&self) -> Option<Vec<(String, Vec<String>)>> {
        None
    }

    /// Every pipeline of the workspace that can be read; `None` if nobody knows.
    fn pipelines(&self) -> Option<Vec<Pipeline>> {
        None
    }
}

/// Everything that is wrong or doubtful, in the file's order.
pub fn check(loaded: &LoadedPipeline, surroundings: &dyn Surroundings) -> Vec<Problem> {
    let mut checker = Checker {
        loaded,
        problems: Vec::new(),
        outputs: HashMap::new(),
        used_inputs: BTreeSet::new(),
        used_secrets: Vec::new(),
    };
    let facts: Vec<(&Step, Option<StepKindFacts>)> = loaded
        .pipeline
        .steps
        .values()
        .chain(loaded.pipeline.finally.values())
        .map(|step| (step, surroundings.kind(step)))
        .collect();
    for (step, facts) in &facts {
        let outputs = facts.as_ref().map(|facts| match &step.mapping {
            Some(mapping) => gathered_outputs(facts.outputs.clone(), mapping),
            None => facts.outputs.clone(),
        });
        checker.outputs.insert(step.id.clone(), outputs);
    }
    for (step, facts) in &facts {
        checker.step(step, facts.as_ref(), surroundings);
    }
    checker.problems.extend(check_triggers::check(loaded, surroundings));
    checker.pipeline_outputs();
    checker.notices(surroundings);
    checker.secrets(surroundings);
    checker.concurrency();
    checker.cycles();
    checker.unused_inputs();
    checker.problems.sort_by_key(|problem| problem.place.as_ref().map(|place| (place.line, place.column)));
    checker.problems
}

struct Checker<'a> {
    loaded: &'a LoadedPipeline,
    problems: Vec<Problem>,
    /// Outputs of each step; `None` if its kind is unknown, so that nothing is said about them.
    outputs: HashMap<StepId, Option<Vec<(String, String)>>>,
    used_inputs: BTreeSet<String>,
    /// Names, with who uses them and where.
    used_secrets: Vec<(String, String, Place)>,
}

impl Checker<'_> {
    /// The node of a step.
    fn node(&self, step: &Step) -> &Node {
        let tree = &self.loaded.tree;
        let section = if self.loaded.pipeline.finally.contains_key(&step.id) { "finally" } else { "steps" };
        tree.get(section).and_then(|node| node.get(step.id.as_str())).unwrap_or(tree)
    }

    fn step(&mut self, step: &Step, facts: Option<&StepKindFacts>, surroundings: &dyn Surroundings) {
        let node = self.node(step).clone();
        for need in &step.needs {
            self.need(step, need, &node);
        }
        self.references(&node, step);
        let Some(facts) = facts else { return };
        let config = node.get(&step.kind).unwrap_or(&node);
        for violation in validate::violations(&facts.schema, &step.config) {
            let place = violation.place_in(config);
            let mut problem =
                Problem::error(violation.code, format!("{}: {}", step.kind, violation.message)).at(place);
            problem.hints = violation.hints;
            self.problems.push(problem);
        }
        for file in &facts.files {
            if !file.contains("${{") && !surroundings.exists(file) {
                let place = place_of_text(config, file).unwrap_or_else(|| config.place.clone());
                self.problems.push(
                    Problem::error("missing-file", format!("there is no file `{file}` in the workspace"))
                        .at(place),
                );
            }
        }
        for (pointer, problem) in &facts.problems {
            let mut problem = problem.clone();
            problem.place.get_or_insert_with(|| config.nearest(pointer).place.clone());
            self.problems.push(problem);
        }
    }

    fn need(&mut self, step: &Step, need: &StepId, node: &Node) {
        if self.outputs.contains_key(need) && need != &step.id {
            return;
        }
        let place = place_of_text(node, need.as_str()).unwrap_or_else(|| step.place.clone());
        if need == &step.id {
            self.problems
                .push(Problem::error("needs-itself", format!("the step `{need}` needs itself")).at(place));
            return;
        }
        self.unknown_step(need.as_str(), &place);
    }

    /// Checks every expression below a step.
    fn references(&mut self, node: &Node, step: &Step) {
        let mut texts = Vec::new();
        collect_texts(node, &mut texts);
        for (text, place, is_condition) in texts {
            let found = if is_condition {
                expression::references_of_expression(
                    text.trim().trim_start_matches("${{").trim_end_matches("}}"),
                )
            } else {
                expression::references(&Value::String(text.clone()))
            };
            self.item_names(&text, &place, is_condition, step);
            for reference in found.unwrap_or_default() {
                self.reference(&reference, &place, &format!("the step `{}`", step.id));
                self.axis(&reference, &place, step);
                if step.kind == "run"
                    && reference.path.first().is_some_and(|root| root == "secrets")
                    && node.get("env").is_none_or(|env| place_of_text(env, &text).is_none())
                {
                    self.problems.push(
                        Problem::error(
                            "secret-in-command",
                            "a secret in the text of a command can be seen in the list of processes",
                        )
                        .as_warning()
                        .at(place.clone())
                        .hint("give it through `env:` and write `$NAME` in the command"),
                    );
                }
            }
        }
    }

    /// `item`, `index` and `matrix` where there are none.
    fn item_names(&mut self, text: &str, place: &Place, is_condition: bool, step: &Step) {
        let value = if is_condition && !text.contains("${{") {
            format!("${{{{ {text} }}}}")
        } else {
            text.to_owned()
        };
        if !expression::names_an_item(&Value::String(value)) {
            return;
        }
        let problem = match &step.mapping {
            Some(mapping) if is_condition => {
                let problem =
                    Problem::error("no-items", "`if` is asked once for the step, before it has items");
                problem.hint(match mapping.over {
                    Over::Foreach(_) => {
                        "leave items out of the list: `foreach: ${{ LIST | select(…) | list }}`"
                    }
                    Over::Matrix { .. } => "leave combinations out: `exclude:` in the `matrix`",
                    Over::Sweep(_) => "search a smaller space",
                })
            }
            Some(_) => return,
            None => Problem::error("no-items", format!("`{}` names an item, but is done once", step.id))
                .hint("add `foreach: ${{ LIST }}` or `matrix: {…}` to the step"),
        };
        self.problems.push(problem.at(place.clone()));
    }

    /// An axis that the matrix does not have.
    fn axis(&mut self, reference: &Reference, place: &Place, step: &Step) {
        let ([root, name, ..], Some(mapping)) = (reference.path.as_slice(), &step.mapping) else { return };
        let (what, include) = match &mapping.over {
            Over::Matrix { include, .. } => ("the matrix has no axis", include.as_slice()),
            Over::Sweep(_) => ("the search has no parameter", &[] as &[Value]),
            Over::Foreach(_) => return,
        };
        let added = include.iter().filter_map(Value::as_object).flat_map(|fields| fields.keys());
        let known: Vec<&str> = mapping.axes().into_iter().chain(added.map(String::as_str)).collect();
        if !matches!(root.as_str(), "matrix" | "item") || known.contains(&name.as_str()) {
            return;
        }
        let problem = Problem::error("unknown-axis", format!("{what} `{name}`")).at(place.clone());
        self.problems.push(match nearest(name, &known) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.note(format!("its axes are {}", known.join(", "))),
        });
    }

    /// `outputs:` of the pipeline.
    fn pipeline_outputs(&mut self) {
        let Some(node) = self.loaded.tree.get("outputs").cloned() else { return };
        let mut texts = Vec::new();
        collect_texts(&node, &mut texts);
        for (text, place, _) in texts {
            match expression::references(&Value::String(text)) {
                Ok(references) => {
                    for reference in references {
                        self.output_source(&reference, &place);
                        self.reference(&reference, &place, "`outputs`");
                    }
                }
                Err(error) => {
                    self.problems.push(Problem::error("bad-expression", error.to_string()).at(place));
                }
            }
        }
    }

    fn output_source(&mut self, reference: &Reference, place: &Place) {
        match reference.path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["secrets", ..] => {
                let problem = Problem::error("secret-in-output", "a secret must not leave the pipeline");
                self.problems
                    .push(problem.at(place.clone()).hint("let whoever needs it name the secret itself"));
            }
            ["steps", name, ..] if !self.outputs.keys().any(|id| id.as_str() == *name) => {
                self.unknown_step(name, place);
            }
            _ => {}
        }
    }

    fn unknown_step(&mut self, name: &str, place: &Place) {
        let mut known: Vec<&str> = self.outputs.keys().map(StepId::as_str).collect();
        known.sort_unstable();
        let problem = Problem::error("unknown-step", format!("there is no step `{name}`")).at(place.clone());
        self.problems.push(match nearest(name, &known) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.note(format!("steps are {}", known.join(", "))),
        });
    }

    /// `user` is who names it, for messages.
    fn reference(&mut self, reference: &Reference, place: &Place, user: &str) {
        match reference.path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["inputs", name, ..] => {
                self.used_inputs.insert((*name).to_owned());
                let known: Vec<&str> = self.loaded.pipeline.inputs.keys().map(String::as_str).collect();
                if !known.contains(name) {
                    let problem =
                        Problem::error("unknown-input", format!("the pipeline has no input `{name}`"))
                            .at(place.clone());
                    self.problems.push(match nearest(name, &known) {
                        Some(near) => problem.hint(format!("did you mean `{near}`?")),
                        None => problem.hint(format!("add it: `inputs: {{{name}: …}}`")),
                    });
                }
            }
            ["steps", name, output, ..] => {
                let Some(Some(outputs)) = name.parse::<StepId>().ok().and_then(|id| self.outputs.get(&id))
                else {
                    return;
                };
                let known: Vec<&str> =
                    outputs.iter().map(|(name, _)| name.as_str()).chain(["state"]).collect();
                if !known.contains(output) {
                    let problem = Problem::error(
                        "unknown-output",
                        format!("the step `{name}` has no output `{output}`"),
                    )
                    .at(place.clone());
                    self.problems.push(match nearest(output, &known) {
                        Some(near) => problem.hint(format!("did you mean `{near}`?")),
                        None => problem.note(format!("it has {}", known.join(", "))),
                    });
                }
            }
            ["secrets", name, ..] => {
                self.used_secrets.push(((*name).to_owned(), user.to_owned(), place.clone()));
            }
            ["window", name, ..] => self.window_value(name, place, user),
            ["event", ..] => self.event_value(place, user),
            path @ ["run", ..] => self.run_value(path, place),
            _ => {}
        }
    }

    fn event_value(&mut self, place: &Place, user: &str) {
        if self.loaded.pipeline.triggers.values().any(|trigger| matches!(trigger, Trigger::Event(_))) {
            return;
        }
        let message = format!("{user} uses `event`, but no trigger of this pipeline waits for events");
        let hint = "add one: `triggers: {hook: {webhook: github, secret: NAME}}`";
        self.problems.push(Problem::error("no-event", message).at(place.clone()).hint(hint));
    }

    fn window_value(&mut self, name: &str, place: &Place, user: &str) {
        if self.loaded.pipeline.triggers.values().all(|trigger| trigger.window().is_none()) {
            let message = format!("{user} uses `window`, but no trigger of this pipeline has windows");
            let hint = "add one: `triggers: {daily: {window: 1d, from: 2026-01-01}}`";
            self.problems.push(Problem::error("no-window", message).at(place.clone()).hint(hint));
        } else if !WINDOW_VALUES.contains(&name) {
            let problem =
                Problem::error("unknown-window-value", format!("a window has no `{name}`")).at(place.clone());
            self.problems.push(match nearest(name, WINDOW_VALUES) {
                Some(near) => problem.hint(format!("did you mean `window.{near}`?")),
                None => problem.note(format!("it has {}", WINDOW_VALUES.join(", "))),
            });
        }
    }

    /// Warns of secrets that are not set here; they may be where the pipeline runs.
    fn secrets(&mut self, surroundings: &dyn Surroundings) {
        if self.used_secrets.is_empty() {
            return;
        }
        let Some(known) = surroundings.secrets() else { return };
        for (name, user, place) in self.used_secrets.iter().filter(|(name, ..)| !known.contains(name)) {
            let problem = secret::unknown(user, name, &known);
            self.problems.push(problem.at(place.clone()));
        }
    }

    fn concurrency(&mut self) {
        let Some(node) = self.loaded.tree.get("concurrency").and_then(|node| node.get("key")) else { return };
        let found = expression::references(&node.to_json()).unwrap_or_default();
        self.used_inputs.extend(found.into_iter().filter_map(|reference| match reference.path.as_slice() {
            [root, name, ..] if root == "inputs" => Some(name.clone()),
            _ => None,
        }));
    }

    /// Reports one cycle per group of steps that wait for each other.
    fn cycles(&mut self) {
        let steps = &self.loaded.pipeline.steps;
        let mut reported: BTreeSet<StepId> = BTreeSet::new();
        for start in steps.keys() {
            let mut path = vec![start.clone()];
            if reported.contains(start)
                || !find_cycle(steps, start, &mut path, &mut BTreeSet::new())
                || path.len() < 3
            {
                continue;
            }
            let shown: Vec<&str> = path.iter().map(StepId::as_str).collect();
            let place = steps.get(start).map(|step| step.place.clone());
            let mut problem =
                Problem::error("cycle", format!("these steps wait for each other: {}", shown.join(" → ")));
            problem.place = place;
            self.problems.push(problem.hint("take one of the references or `needs` away"));
            reported.extend(path);
        }
    }

    fn unused_inputs(&mut self) {
        for (name, _) in
            self.loaded.pipeline.inputs.iter().filter(|(name, _)| !self.used_inputs.contains(*name))
        {
            let place = self
                .loaded
                .tree
                .get("inputs")
                .and_then(Node::as_map)
                .and_then(|fields| fields.iter().find(|(key, _)| key.name == *name));
            let mut problem =
                Problem::error("unused-input", format!("the input `{name}` is never used")).as_warning();
            problem.place = place.map(|(key, _)| key.place.clone());
            self.problems.push(problem);
        }
    }
}

/// Walks from `start` along the needs until it is met again; `path` is then the cycle.
fn find_cycle(
    steps: &indexmap::IndexMap<StepId, Step>,
    start: &StepId,
    path: &mut Vec<StepId>,
    seen: &mut BTreeSet<StepId>,
) -> bool {
    let Some(step) = path.last().and_then(|id| steps.get(id)) else { return false };
    for need in &step.needs {
        if need == start {
            path.push(need.clone());
            return true;
        }
        if seen.insert(need.clone()) {
            path.push(need.clone());
            if find_cycle(steps, start, path, seen) {
                return true;
            }
            path.pop();
        }
    }
    false
}

/// Every text below a node with its place; the flag tells an `if:`, which is a bare expression.
fn collect_texts(node: &Node, texts: &mut Vec<(String, Place, bool)>) {
    use crate::yaml::NodeValue;
    match &node.value {
        NodeValue::Text(text) if text.contains("${{") => {
            texts.push((text.clone(), node.place.clone(), false))
        }
        NodeValue::List(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        NodeValue::Map(fields) => {
            for (key, node) in fields {
                match (&node.value, key.name.as_str()) {
                    (NodeValue::Text(text), "if") => texts.push((text.clone(), node.place.clone(), true)),
                    _ => collect_texts(node, texts),
                }
            }
        }
        _ => {}
    }
}

/// Where a text stands below a node.
fn place_of_text(node: &Node, wanted: &str) -> Option<Place> {
    use crate::yaml::NodeValue;
    match &node.value {
        NodeValue::Text(text) if text == wanted || text.contains(&format!("steps.{wanted}")) => {
            Some(node.place.clone())
        }
        NodeValue::List(items) => items.iter().find_map(|item| place_of_text(item, wanted)),
        NodeValue::Map(fields) => fields.iter().find_map(|(_, item)| place_of_text(item, wanted)),
        _ => None,
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
