//! The jobs of a pipeline, each a step.

use millrace_spec::problem::Problem;
use millrace_spec::yaml::{self, Key, Node, NodeValue};
use regex::Captures;
use serde_json::{Value, json};

use super::Maker;
use super::shell::{EXPRESSION, Inputs, asset, folder_of, joined, shell, type_of};
use crate::names::{Names, name_of};
use crate::report::stand_in;
use crate::yaml_out::Map;

const JOB_KEYS: &[&str] = &[
    "$schema",
    "type",
    "name",
    "display_name",
    "description",
    "version",
    "component",
    "command",
    "code",
    "environment",
    "compute",
    "inputs",
    "outputs",
    "environment_variables",
    "limits",
    "is_deterministic",
    "tags",
    "experiment_name",
    "jobs",
    "trial",
    "search_space",
    "objective",
    "sampling_algorithm",
    "early_termination",
];

/// A component that a job names.
struct Component {
    tree: Node,
    /// Its path, if it is a file.
    path: Option<String>,
}

impl Maker<'_, '_> {
    pub(super) fn step(
        &mut self,
        key: &Key,
        job: &Node,
        jobs: &[(Key, Node)],
        steps: &mut Map,
    ) -> Result<(), Box<Problem>> {
        let id = self.steps.give(&key.name);
        let mut step = Map::default();
        if id != key.name {
            step.comment(&format!("`{}` there", key.name));
        }
        let made = match self.component(job, &id) {
            Ok(Some(Component { tree, path: Some(path) })) if tree.get("jobs").is_some() => {
                self.sub_pipeline(job, &path, &tree, &mut step)?;
                Ok("pipeline")
            }
            Ok(component) => self.command(key, job, component.as_ref(), &mut step),
            Err(refused) => Err(refused),
        };
        match made {
            Ok(kind) => {
                let report = &mut self.import.report;
                report.taken(&key.place, format!("the job `{}` ({kind})", key.name), format!("steps.{id}"));
            }
            Err(refused) => self.missing(key, job, jobs, &refused, &mut step),
        }
        self.controlled(&key.name, &mut step);
        steps.put(&id, step);
        Ok(())
    }

    /// A step that fails in the place of a job that cannot be said here, with the outputs that others read.
    fn missing(
        &mut self,
        key: &Key,
        job: &Node,
        jobs: &[(Key, Node)],
        (message, hint): &(String, &str),
        step: &mut Map,
    ) {
        self.import.report.gap(&key.place, step, message, Some(hint));
        step.append(stand_in(message));
        let mut outputs = Map::default();
        for (output, node) in job.get("outputs").and_then(Node::as_map).unwrap_or_default() {
            let kind = node.get("type").and_then(Node::as_text).unwrap_or("uri_folder");
            outputs.put(&name_of(&output.name), type_of(kind));
        }
        let mut read = Vec::new();
        for (_, other) in jobs {
            texts(other, &mut read);
        }
        let prefix = format!("parent.jobs.{}.outputs.", key.name);
        for text in &read {
            for found in EXPRESSION.captures_iter(text) {
                let name = found[1].strip_prefix(&prefix).map(name_of);
                if let Some(name) = name.filter(|name| !outputs.has(name)) {
                    outputs.put(&name, "folder");
                }
            }
        }
        step.put_some("outputs", outputs);
        // It keeps its place in the order.
        let mut own = Vec::new();
        texts(job, &mut own);
        let mut needs: Vec<String> = Vec::new();
        for found in own.iter().flat_map(|text| EXPRESSION.captures_iter(text)) {
            let parts: Vec<&str> = found[1].split('.').collect();
            if let ["parent", "jobs", other, ..] = parts.as_slice()
                && let Some(need) = self.step_of(other).filter(|need| !needs.contains(need))
            {
                needs.push(need);
            }
        }
        if !needs.is_empty() {
            step.put("needs", json!(needs));
        }
    }

    /// A component with jobs of its own is another pipeline.
    fn sub_pipeline(
        &mut self,
        job: &Node,
        path: &str,
        tree: &Node,
        step: &mut Map,
    ) -> Result<(), Box<Problem>> {
        let name = match self.import.done.get(path) {
            Some(name) => name.clone(),
            None => self.import.pipeline(path, tree)?,
        };
        step.put("pipeline", name);
        let mut inputs = Inputs::default();
        self.given(job, None, &mut inputs, step);
        step.put_some("inputs", inputs.values);
        self.import.report.others(job, JOB_KEYS, "a job", step);
        Ok(())
    }

    /// A command, written out or in a component.
    fn command(
        &mut self,
        key: &Key,
        job: &Node,
        component: Option<&Component>,
        step: &mut Map,
    ) -> Result<&'static str, (String, &'static str)> {
        let tree = component.map(|component| &component.tree);
        // What a job says has precedence over what its component says.
        let field = |name: &str| job.get(name).or_else(|| tree?.get(name));
        // A job that names a component may leave its type out, or say that it is a command.
        let kind = tree.and_then(|tree| tree.get("type")).or_else(|| job.get("type")).and_then(Node::as_text);
        // The trial of a search is a command, whatever the search is.
        let is_search = job.get("search_space").is_some();
        let kind = if is_search { "command" } else { kind.unwrap_or("command") };
        let Some(command) = field("command").filter(|_| kind == "command") else {
            let hint = match kind {
                "sweep" => "write it as a `run` step with `sweep:`",
                "automl" => "write it as a `train` step",
                "parallel" => "write it as a `run` step with `foreach:`",
                "spark" => "write it as a `run` step with `spark-submit`",
                "import" | "data_transfer" => "write it as a `copy` step",
                _ => "write it as a `run` or `python` step",
            };
            return Err((
                format!("the job `{}` is of the type `{kind}`, which has no counterpart", key.name),
                hint,
            ));
        };
        let text = command.as_text().unwrap_or_default().trim().to_owned();
        let mut inputs = Inputs::default();
        self.given(job, tree, &mut inputs, step);
        let declared: Vec<String> = tree
            .and_then(|tree| tree.get("inputs")?.as_map())
            .unwrap_or_default()
            .iter()
            .map(|(key, _)| key.name.clone())
            .collect();
        self.item_inputs(&key.name, &mut inputs.values, &declared);
        // Defaults of a component stand in for what the job does not give.
        for (name, node) in tree.and_then(|node| node.get("inputs")?.as_map()).unwrap_or_default() {
            if let Some(default) = node.get("default").filter(|_| !inputs.values.has(&name_of(&name.name))) {
                let name = inputs.names.give(&name.name);
                inputs.values.put(&name, default.to_json());
            }
        }
        let (outputs, folders) = self.outputs(job, tree, step);
        // A path begins in the folder of the file that has it.
        let own = |node: &Node, folder: &str| Some(joined(folder, node.get("code")?.as_text()?));
        let of_component = || own(tree?, &folder_of(component?.path.as_deref().unwrap_or_default()));
        let code = own(job, &self.folder).or_else(of_component);
        step.put("run", shell(&text, code.as_deref(), &inputs, &folders));
        step.put_some("inputs", inputs.values);
        step.put_some("outputs", outputs);
        self.surroundings(job, tree, step);
        if is_search {
            self.sweep(job, step);
            return Ok("sweep");
        }
        Ok("command")
    }

    /// Outputs by name and type, and which of them are folders.
    fn outputs(&mut self, job: &Node, component: Option<&Node>, step: &mut Map) -> (Map, Vec<String>) {
        let mut outputs = Map::default();
        let mut folders = Vec::new();
        let mut names = Names::default();
        let declared = [component.and_then(|node| node.get("outputs")), job.get("outputs")];
        for (key, node) in declared.into_iter().flatten().flat_map(|node| node.as_map().unwrap_or_default()) {
            let output = names.give(&key.name);
            let typed =
                declared.into_iter().flatten().find_map(|node| node.get(&key.name)?.get("type")?.as_text());
            let kind = type_of(typed.unwrap_or("uri_folder"));
            if !outputs.has(&output) {
                if matches!(kind, "folder" | "model") {
                    folders.push(output.clone());
                }
                outputs.put(&output, kind);
            }
            let target =
                node.get("path").filter(|node| node.as_text().is_some_and(|path| !path.contains("${{")));
            if let Some(path) = target {
                let message = format!(
                    "the output is kept with the run, not at `{}`",
                    path.as_text().unwrap_or_default()
                );
                self.import.report.changed(
                    &path.place,
                    step,
                    &message,
                    Some("copy it there in a `copy` step"),
                );
            }
        }
        (outputs, folders)
    }

    /// The component that a job names, if it names one.
    fn component(&mut self, job: &Node, id: &str) -> Result<Option<Component>, (String, &'static str)> {
        let Some(node) = job.get("component").or_else(|| job.get("trial")) else { return Ok(None) };
        if node.as_map().is_some() {
            return Ok(Some(Component { tree: node.clone(), path: None }));
        }
        let name = node.as_text().unwrap_or_default().trim_start_matches("file:");
        let path = joined(&self.folder, name);
        let text = if name.starts_with("azureml:") { None } else { (self.import.beside)(&self.folder, name) };
        match text.map(|text| yaml::parse(&path, &text)) {
            Some(Ok(tree)) => Ok(Some(Component { tree, path: Some(path) })),
            Some(Err(problem)) => Err((
                format!("the component `{name}` of the job `{id}`: {}", problem.message),
                "mend its file and import again",
            )),
            None => Err((
                format!("the component `{name}` of the job `{id}` is not in a file beside this one"),
                "get it with `az ml component show -o yaml` and import again; a pipeline component can be called where it is: `call: {azureml: {component: …}}`",
            )),
        }
    }

    /// What the job gives to its inputs.
    fn given(&mut self, job: &Node, component: Option<&Node>, inputs: &mut Inputs, comments: &mut Map) {
        for (key, node) in job.get("inputs").and_then(Node::as_map).unwrap_or_default() {
            let name = inputs.names.give(&key.name);
            let bound = node.as_text().or_else(|| node.get("path")?.as_text());
            let value = match bound {
                Some(text) if text.contains("${{") => self.bound(text, node, comments),
                Some(text) if node.as_map().is_some() => match asset(&self.folder, text) {
                    Some(address) => address.into(),
                    None => {
                        let message = format!("`{text}` is data of Azure ML, which is not here");
                        let hint = "copy it with a `copy` step, or name a dataset: `data:name@latest`";
                        self.import.report.gap(&node.place, comments, &message, Some(hint));
                        Value::Null
                    }
                },
                _ => node.to_json(),
            };
            let declared =
                component.and_then(|node| node.get("inputs")?.get(&key.name)?.get("type")?.as_text());
            let given = node.get("type").and_then(Node::as_text);
            let is_path = declared.or(given).is_some_and(|kind| type_of(kind) != kind)
                || value.as_str().is_some_and(|text| text.contains("steps."));
            if is_path {
                inputs.paths.push(name.clone());
            }
            inputs.values.put(&name, value);
        }
    }

    /// The step of a job; of a loop the one that it repeats.
    fn step_of(&self, job: &str) -> Option<String> {
        let job = self.control.bodies.get(job).map_or(job, String::as_str);
        self.steps.find(job).map(str::to_owned)
    }

    /// `${{parent.inputs.x}}` and `${{parent.jobs.a.outputs.b}}` in our words.
    pub(super) fn bound(&mut self, text: &str, node: &Node, comments: &mut Map) -> Value {
        let mut unknown = None;
        let replaced = EXPRESSION.replace_all(text, |found: &Captures<'_>| {
            let parts: Vec<&str> = found[1].split('.').collect();
            let ours = match parts.as_slice() {
                ["parent", "inputs", name] => self.inputs.find(name).map(|input| format!("inputs.{input}")),
                ["parent", "jobs", job, "outputs", output] => {
                    self.step_of(job).map(|step| format!("steps.{step}.{}", name_of(output)))
                }
                _ => None,
            };
            ours.map_or_else(
                || {
                    unknown = Some(found[0].to_owned());
                    String::new()
                },
                |ours| format!("${{{{ {ours} }}}}"),
            )
        });
        let replaced = replaced.into_owned();
        if let Some(expression) = unknown {
            let message = format!("`{expression}` names nothing that is here");
            self.import.report.gap(&node.place, comments, &message, None);
        }
        replaced.into()
    }

    /// Variables, timeout, and what is about Azure.
    fn surroundings(&mut self, job: &Node, component: Option<&Node>, step: &mut Map) {
        let field = |key: &str| job.get(key).or_else(|| component?.get(key));
        if let Some(env) = field("environment_variables").and_then(Node::as_map) {
            let mut variables = Map::default();
            for (key, node) in env {
                let value = node.as_text().map_or_else(|| node.to_json().to_string(), str::to_owned);
                variables.put(&key.name, value);
            }
            step.put_some("env", variables);
        }
        if let Some(limits) = field("limits").filter(|_| job.get("search_space").is_none()) {
            if let Some(seconds) = limits.get("timeout").map(Node::to_json).and_then(|value| value.as_u64()) {
                step.put("timeout", format!("{seconds}s"));
            }
            self.import.report.others(limits, &["timeout"], "the limits", step);
        }
        let never_reused = field("is_deterministic").is_some_and(|node| node.value == NodeValue::Bool(false));
        if self.force || never_reused {
            step.put("cache", json!(false));
        }
        if let Some(node) = field("environment") {
            let name =
                node.as_text().map_or_else(|| "written out in place".to_owned(), |name| format!("`{name}`"));
            let message = format!("the environment {name} is an image; programs of this machine are used");
            let hint =
                "for Python, write the packages into a lock file and name it: `environment: envs/name.lock`";
            self.import.report.changed(&node.place, step, &message, Some(hint));
        }
        if let Some(node) = job.get("compute") {
            self.compute(node, step);
        }
        self.import.report.others(job, JOB_KEYS, "a job", step);
        if let Some(component) = component {
            self.import.report.others(component, JOB_KEYS, "a component", step);
        }
    }
}

/// Every text below a node.
fn texts(node: &Node, found: &mut Vec<String>) {
    match &node.value {
        NodeValue::Text(text) => found.push(text.clone()),
        NodeValue::List(items) => items.iter().for_each(|item| texts(item, found)),
        NodeValue::Map(fields) => fields.iter().for_each(|(_, node)| texts(node, found)),
        _ => {}
    }
}
