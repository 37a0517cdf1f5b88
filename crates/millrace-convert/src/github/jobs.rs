//! Jobs as `run` steps: their shell steps one after another.

use millrace_spec::yaml::{Key, Node, NodeValue};
use serde_json::{Value, json};

use super::{Workflows, expression, path};
use crate::Importer;
use crate::names::{Names, name_of};
use crate::report::{Report, stand_in};
use crate::yaml_out::Map;

pub(super) struct Maker<'a> {
    pub(super) importer: &'a Importer,
    pub(super) tree: &'a Node,
    pub(super) workflows: &'a Workflows,
    pub(super) names: Names,
    pub(super) report: &'a mut Report,
    pub(super) steps: Map,
}

/// The script of a job while it is made.
#[derive(Default)]
struct Script {
    /// A part each shell step.
    parts: Vec<String>,
    env: Map,
    /// What a variable has in the whole job.
    values: indexmap::IndexMap<String, String>,
}

impl Maker<'_> {
    pub(super) fn job(&mut self, key: &Key, job: &Node) {
        let id = self.names.give(&key.name);
        let mut step = Map::default();
        if let Some(title) = job.get("name").and_then(Node::as_text) {
            step.comment(&title.replace('\n', " "));
        }
        let kind = match job.get("uses") {
            Some(uses) => self.reusable(key, job, uses, &mut step),
            None => self.script(key, job, &mut step),
        };
        if let Some(kind) = kind {
            self.report.taken(&key.place, format!("the job `{}` ({kind})", key.name), format!("steps.{id}"));
        }
        self.order(job, &mut step);
        self.strategy(job, &mut step);
        if let Some(minutes) = job.get("timeout-minutes").map(Node::to_json).and_then(|value| value.as_u64())
        {
            step.put("timeout", format!("{minutes}m"));
        }
        if let Some(node) = job.get("runs-on") {
            let on = node.as_text().map_or_else(|| node.to_json().to_string(), str::to_owned);
            let message = format!("it ran on {on}; steps run where the server runs");
            self.report.changed(&node.place, &mut step, &message, None);
        }
        let known = [
            "name",
            "runs-on",
            "needs",
            "if",
            "env",
            "steps",
            "timeout-minutes",
            "strategy",
            "uses",
            "with",
            "secrets",
            "defaults",
        ];
        self.report.others(job, &known, &format!("the job `{}`", key.name), &mut step);
        self.steps.put(&id, step);
    }

    /// A workflow of this repository is a pipeline of its own.
    fn reusable(&mut self, key: &Key, job: &Node, uses: &Node, step: &mut Map) -> Option<&'static str> {
        let named = uses.as_text().unwrap_or_default();
        let file = named.strip_prefix("./.github/workflows/");
        let known = self
            .workflows
            .iter()
            .find(|(base, ..)| Some(base.as_str()) == file)
            .map(|(.., name)| name.clone());
        let stem = file.and_then(|file| file.split('.').next()).map(name_of);
        let Some(name) = known.or_else(|| stem.filter(|name| self.importer.has_pipeline(name))) else {
            let message = format!("the job `{}` uses `{named}`, which is not among the files", key.name);
            self.report.gap(&uses.place, step, &message, Some("import its file together with this one"));
            step.append(stand_in(&message));
            return None;
        };
        step.put("pipeline", name);
        let mut inputs = Map::default();
        for (key, node) in job.get("with").and_then(Node::as_map).unwrap_or_default() {
            match node.as_text().map(expression) {
                None => inputs.put(&name_of(&key.name), node.to_json()),
                Some(Ok(text)) => inputs.put(&name_of(&key.name), text),
                Some(Err(found)) => {
                    self.report.gap(&node.place, &mut inputs, &format!("`{found}` has no counterpart"), None);
                }
            }
        }
        step.put_some("inputs", inputs);
        Some("a workflow")
    }

    fn script(&mut self, key: &Key, job: &Node, step: &mut Map) -> Option<&'static str> {
        let mut script = Script::default();
        self.variables(self.tree.get("env"), &mut script);
        self.variables(job.get("env"), &mut script);
        let items = match job.get("steps").map(|node| &node.value) {
            Some(NodeValue::List(items)) => items.as_slice(),
            _ => &[],
        };
        for item in items {
            self.part(item, job, step, &mut script);
        }
        if script.parts.is_empty() {
            let message = format!("the job `{}` has no shell steps", key.name);
            self.report.gap(&key.place, step, &message, Some("write what it does as a step of its own"));
            step.append(stand_in(&message));
            return None;
        }
        step.put("run", script.parts.join("\n") + "\n");
        step.put_some("env", script.env);
        Some("shell steps")
    }

    /// A step of a job.
    fn part(&mut self, item: &Node, job: &Node, step: &mut Map, script: &mut Script) {
        if let Some(action) = item.get("uses") {
            let text = action.as_text().unwrap_or_default();
            if text.starts_with("actions/checkout@") {
                self.report.taken(
                    &action.place,
                    format!("the action `{text}`"),
                    "the workspace, where steps run",
                );
            } else {
                let message = format!("the action `{text}` has no counterpart");
                self.report.gap(&action.place, step, &message, Some("write what it does into `run`"));
            }
            return;
        }
        let Some(node) = item.get("run") else { return };
        let title = item.get("name").and_then(Node::as_text).map(|title| title.replace('\n', " "));
        let what =
            title.clone().map_or_else(|| "a shell step".to_owned(), |title| format!("the step `{title}`"));
        let missing =
            |report: &mut Report, step: &mut Map, script: &mut Script, place, message: String, hint: &str| {
                report.gap(place, step, &message, Some(hint));
                script
                    .parts
                    .push(format!("echo 'not converted: {}' >&2; exit 1", message.replace('\'', "’")));
            };
        let run = match expression(node.as_text().unwrap_or_default().trim_end()) {
            Ok(run) => run,
            Err(found) => {
                let hint = "give the value as an input, or compute it in the script";
                missing(
                    self.report,
                    step,
                    script,
                    &node.place,
                    format!("{what} names `{found}`, which has no counterpart"),
                    hint,
                );
                return;
            }
        };
        if let Some(condition) = item.get("if") {
            let message = format!(
                "{what} has a condition, `{}`, within a job",
                condition.as_text().unwrap_or_default()
            );
            missing(
                self.report,
                step,
                script,
                &condition.place,
                message,
                "make it a job of its own, with `if:`",
            );
            return;
        }
        self.github_files(&run, &what, node, step, script);
        let exports = self.own_variables(item.get("env"), script);
        let of_defaults = |node: &Node| {
            Some(node.get("defaults")?.get("run")?.get("working-directory")?.as_text()?.to_owned())
        };
        let folder = item.get("working-directory").and_then(Node::as_text).map(str::to_owned);
        let folder = folder
            .or_else(|| of_defaults(job))
            .or_else(|| of_defaults(self.tree))
            .filter(|folder| folder != ".");
        let entered = folder.map(|folder| format!("cd \"{folder}\"\n")).unwrap_or_default();
        script.parts.extend(title.map(|title| format!("# {title}")));
        // A shell of its own, as there: what one changes, the next does not see.
        script.parts.push(format!("(\n{exports}{entered}{run}\n)"));
        self.report.taken(&node.place, what, "a part of its job's `run`");
        if let Some(shell) = item.get("shell").filter(|node| !matches!(node.as_text(), Some("bash" | "sh"))) {
            let message = format!("the shell `{}` is bash here", shell.as_text().unwrap_or_default());
            self.report.changed(
                &shell.place,
                step,
                &message,
                Some("write `run: {command: …, shell: […]}` in a step of its own"),
            );
        }
        let known = ["name", "id", "run", "env", "working-directory", "shell", "if"];
        self.report.others(item, &known, "a step", step);
    }

    /// Files that only GitHub reads.
    fn github_files(&mut self, run: &str, what: &str, node: &Node, step: &mut Map, script: &mut Script) {
        for file in ["GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"] {
            if run.contains(file) {
                let message =
                    format!("{what} writes to `{file}`, which only GitHub reads: here it is an empty file");
                self.report.changed(
                    &node.place,
                    step,
                    &message,
                    Some("write `NAME=VALUE` to `$MILLRACE_OUTPUT` and declare `outputs:`"),
                );
                script.parts.push(format!("export {file}=\"$(mktemp)\""));
            }
        }
    }

    /// Variables of the workflow and of the job.
    fn variables(&mut self, node: Option<&Node>, script: &mut Script) {
        for (key, node) in node.and_then(Node::as_map).unwrap_or_default() {
            let text = node.as_text().map_or_else(|| node.to_json().to_string(), str::to_owned);
            match expression(&text) {
                Ok(text) => {
                    script.values.insert(key.name.clone(), text);
                }
                Err(found) => self.variable_gap(key, &found, script),
            }
        }
        // A job's value takes the place of the workflow's.
        let mut env = Map::default();
        env.comments_of(std::mem::take(&mut script.env));
        for (name, value) in &script.values {
            env.put(name, value.as_str());
        }
        script.env = env;
    }

    fn variable_gap(&mut self, key: &Key, found: &str, script: &mut Script) {
        let message = format!("`{found}` for the variable `{}` has no counterpart", key.name);
        let hint = Some("give it another value in `env:`");
        self.report.gap(&key.place, &mut script.env, &message, hint);
    }

    /// Variables of one shell step, under names that no other has; the text that gives them their own.
    fn own_variables(&mut self, node: Option<&Node>, script: &mut Script) -> String {
        let mut exports = String::new();
        for (key, node) in node.and_then(Node::as_map).unwrap_or_default() {
            let text = node.as_text().map_or_else(|| node.to_json().to_string(), str::to_owned);
            match expression(&text) {
                Ok(text) if script.values.get(&key.name) == Some(&text) => {}
                Ok(text) if !script.env.has(&key.name) => script.env.put(&key.name, text),
                Ok(text) => {
                    let name = format!("STEP_{}_{}", script.parts.len(), key.name);
                    script.env.put(&name, text);
                    exports.push_str(&format!("export {}=\"${name}\"\n", key.name));
                }
                Err(found) => self.variable_gap(key, &found, script),
            }
        }
        exports
    }

    fn order(&mut self, job: &Node, step: &mut Map) {
        let needs = match job.get("needs").map(Node::to_json) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => {
                many.iter().filter_map(|need| need.as_str().map(str::to_owned)).collect()
            }
            _ => Vec::new(),
        };
        if !needs.is_empty() {
            step.put("needs", json!(needs.iter().map(|need| self.names.give(need)).collect::<Vec<_>>()));
        }
        let Some(condition) = job.get("if") else { return };
        if let NodeValue::Bool(truth) = condition.value {
            step.put("if", json!(truth));
            return;
        }
        let text = condition.as_text().unwrap_or_default().trim();
        match condition_of(text.trim_start_matches("${{").trim_end_matches("}}").trim()) {
            Some(ours) if ours == "succeeded()" => {}
            Some(ours) => step.put("if", ours),
            None => {
                let message = format!("the condition `{text}` has no counterpart; the step does not run");
                self.report.gap(&condition.place, step, &message, Some("write it as `if:` of the step"));
                step.put("if", json!(false));
            }
        }
    }

    fn strategy(&mut self, job: &Node, step: &mut Map) {
        let Some(strategy) = job.get("strategy") else { return };
        if let Some(matrix) = strategy.get("matrix") {
            match matrix_of(matrix) {
                Ok(made) => {
                    step.put("matrix", made);
                    let stops =
                        strategy.get("fail-fast").is_none_or(|node| node.value != NodeValue::Bool(false));
                    step.put("fail_fast", json!(stops));
                    if let Some(most) = strategy.get("max-parallel") {
                        step.put("parallel", most.to_json());
                    }
                    self.report.taken(&matrix.place, "`matrix`", "matrix");
                }
                Err(found) => {
                    let message = format!("`{found}` in the matrix has no counterpart");
                    self.report.gap(
                        &matrix.place,
                        step,
                        &message,
                        Some("write `matrix:` or `foreach:` with a list"),
                    );
                }
            }
        }
        self.report.others(strategy, &["matrix", "fail-fast", "max-parallel"], "the strategy", step);
    }
}

/// The axes with names as they may stand in expressions here.
fn matrix_of(matrix: &Node) -> Result<Map, String> {
    let mut made = Map::default();
    let renamed = |value: Value| match value {
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (name_of(&key), value)).collect(),
        other => other,
    };
    let Some(fields) = matrix.as_map() else {
        return Err(matrix.as_text().unwrap_or_default().to_owned());
    };
    for (key, node) in fields {
        match (key.name.as_str(), node.to_json()) {
            ("include" | "exclude", Value::Array(items)) => {
                made.put(&key.name, Value::Array(items.into_iter().map(renamed).collect()));
            }
            (_, Value::String(text)) => made.put(&name_of(&key.name), expression(&text)?),
            (_, other) => made.put(&name_of(&key.name), other),
        }
    }
    Ok(made)
}

/// Conditions over states and inputs.
fn condition_of(text: &str) -> Option<String> {
    match text {
        "always()" => return Some("always()".to_owned()),
        "failure()" => return Some("failed()".to_owned()),
        "success()" => return Some("succeeded()".to_owned()),
        "!cancelled()" => return Some("always()".to_owned()),
        _ => {}
    }
    for (theirs, ours) in [("&&", "and"), ("||", "or")] {
        if let Some((left, right)) = text.split_once(theirs) {
            return Some(format!("{} {ours} {}", condition_of(left.trim())?, condition_of(right.trim())?));
        }
    }
    for operator in ["==", "!="] {
        if let Some((left, right)) = text.split_once(operator) {
            return Some(format!("{} {operator} {}", operand(left.trim())?, operand(right.trim())?));
        }
    }
    match text.strip_prefix('!') {
        Some(rest) => Some(format!("not {}", operand(rest.trim())?)),
        None => operand(text),
    }
}

fn operand(text: &str) -> Option<String> {
    let is_text =
        text.len() > 1 && text.starts_with('\'') && text.ends_with('\'') && text.matches('\'').count() == 2;
    if is_text || matches!(text, "true" | "false") || text.parse::<f64>().is_ok() {
        return Some(text.to_owned());
    }
    path(text).filter(|ours| ours.starts_with("inputs."))
}
