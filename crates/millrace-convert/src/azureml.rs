//! Pipeline jobs of Azure Machine Learning, CLI v2.

use std::sync::LazyLock;

use millrace_spec::problem::Problem;
use millrace_spec::yaml::{self, Node, NodeValue};
use regex::{Captures, Regex};
use serde_json::{Value, json};

use crate::names::Names;
use crate::report::{Gaps, not_a};
use crate::yaml_out::Map;
use crate::{Converted, ReadBeside, SourceFile};

/// `${{ … }}`, what is between without blanks around.
#[allow(clippy::unwrap_used, reason = "the patterns are constants, and a test reads with them")]
static EXPRESSION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\$\{\{\s*([^}]*?)\s*\}\}").unwrap());
/// `$[[ … ]]`, left out where its input has no value.
#[allow(clippy::unwrap_used, reason = "as above")]
static OPTIONAL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\$\[\[(.*?)\]\]").unwrap());

const PIPELINE_KEYS: &[&str] = &[
    "$schema",
    "type",
    "name",
    "display_name",
    "description",
    "experiment_name",
    "inputs",
    "outputs",
    "jobs",
    "settings",
    "compute",
    "tags",
    "properties",
];
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
];

struct Importer<'a> {
    beside: ReadBeside<'a>,
    /// Folder of the file, in which its own paths begin.
    folder: String,
    gaps: Gaps,
    inputs: Names,
    steps: Names,
    /// `settings.force_rerun`.
    force: bool,
}

pub(crate) fn import(file: &SourceFile, beside: ReadBeside<'_>) -> Result<Converted, Box<Problem>> {
    let tree = yaml::parse(&file.path, &file.text)?;
    let Some(jobs) = tree.get("jobs").and_then(Node::as_map) else {
        return Err(not_a("a pipeline job of Azure ML: it has no `jobs`", &tree));
    };
    let text = |key: &str| tree.get(key).and_then(Node::as_text);
    if text("type").is_some_and(|kind| kind != "pipeline") {
        return Err(not_a("a pipeline job of Azure ML: its `type` is another one", &tree));
    }
    let stem = file.path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or("pipeline");
    let name = crate::names::name_of(text("name").or_else(|| text("display_name")).unwrap_or(stem));
    let mut importer = Importer {
        beside,
        folder: folder_of(&file.path),
        gaps: Gaps::default(),
        inputs: Names::default(),
        steps: Names::default(),
        force: false,
    };
    let mut pipeline = Map::default();
    pipeline.comment(&format!("from {}, a pipeline job of Azure ML", file.path));
    pipeline.put("pipeline", name.as_str());
    if let Some(description) = text("description").or_else(|| text("display_name")) {
        pipeline.put("description", description.trim());
    }
    importer.gaps.others(&tree, PIPELINE_KEYS, "the pipeline", &mut pipeline);
    importer.settings(&tree, &mut pipeline);
    let inputs = importer.pipeline_inputs(&tree);
    pipeline.put_some("inputs", inputs);
    // Names first: a step may refer to one below it.
    for (key, _) in jobs {
        importer.steps.give(&key.name);
    }
    let mut steps = Map::default();
    for (key, job) in jobs {
        importer.step(&key.name, job, &mut steps);
    }
    importer.pipeline_outputs(&tree, jobs, &mut pipeline);
    pipeline.put("steps", steps);
    let files = vec![(format!("pipelines/{name}.yaml"), pipeline.text())];
    Ok(Converted { files, gaps: importer.gaps.0 })
}

impl Importer<'_> {
    fn settings(&mut self, tree: &Node, pipeline: &mut Map) {
        if let Some(node) = tree.get("compute") {
            self.compute(node, pipeline);
        }
        let Some(settings) = tree.get("settings") else { return };
        for (key, node) in settings.as_map().unwrap_or_default() {
            let is = |wanted: bool| node.value == NodeValue::Bool(wanted);
            match key.name.as_str() {
                "default_compute" => self.compute(node, pipeline),
                "force_rerun" => self.force = is(true),
                // Here, too, steps that do not need the failed one go on.
                "continue_on_step_failure" if is(true) => {}
                "continue_on_step_failure" => self.gaps.add(
                    &node.place,
                    pipeline,
                    "steps that do not need a failed one go on here",
                    Some("cancel the run in a step of `finally`, or let the others need it"),
                ),
                other => {
                    let message = format!("the setting `{other}` has no counterpart");
                    self.gaps.add(&key.place, pipeline, &message, None);
                }
            }
        }
    }

    /// Steps run where the server runs; a compute of Azure is none of ours.
    fn compute(&mut self, node: &Node, comments: &mut Map) {
        let name = node.as_text().unwrap_or_default();
        let message = format!("the compute `{name}` is Azure's; the steps run where the server runs");
        self.gaps.add(&node.place, comments, &message, None);
    }

    fn pipeline_inputs(&mut self, tree: &Node) -> Map {
        let mut inputs = Map::default();
        for (key, node) in tree.get("inputs").and_then(Node::as_map).unwrap_or_default() {
            let name = self.inputs.give(&key.name);
            match node.as_map() {
                None => inputs.put(&name, node.to_json()),
                Some(_) => {
                    let input = self.pipeline_input(node, &mut inputs);
                    inputs.put(&name, input);
                }
            }
        }
        inputs
    }

    fn pipeline_input(&mut self, node: &Node, comments: &mut Map) -> Value {
        let kind = node.get("type").and_then(Node::as_text).unwrap_or("uri_folder");
        let mut input = json!({"type": type_of(kind)});
        if let Some(value) = node.get("default").map(Node::to_json) {
            input["default"] = value;
        }
        if let Some(path) = node.get("path") {
            let text = path.as_text().unwrap_or_default();
            match asset(&self.folder, text) {
                Some(reference) => input["default"] = reference.into(),
                None => {
                    let message = format!("`{text}` is data of Azure ML, which is not here");
                    let hint = "copy it with a `copy` step, or give the input a dataset: `data:name@latest`";
                    self.gaps.add(&path.place, comments, &message, Some(hint));
                }
            }
        }
        if let Some(allowed) = node.get("enum").map(Node::to_json) {
            input["enum"] = allowed;
        }
        if let Some(text) = node.get("description").and_then(Node::as_text) {
            input["description"] = text.into();
        }
        if node.get("optional").is_some_and(|node| node.value == NodeValue::Bool(true))
            && input.get("default").is_none()
        {
            input["default"] = Value::Null;
        }
        self.gaps.others(
            node,
            &["type", "default", "path", "mode", "enum", "description", "optional"],
            "an input",
            comments,
        );
        input
    }

    /// Outputs of the pipeline are outputs of its steps; a comment says which.
    fn pipeline_outputs(&self, tree: &Node, jobs: &[(yaml::Key, Node)], pipeline: &mut Map) {
        for (key, _) in tree.get("outputs").and_then(Node::as_map).unwrap_or_default() {
            let wanted = format!("parent.outputs.{}", key.name);
            for (job_key, job) in jobs {
                for (output, node) in job.get("outputs").and_then(Node::as_map).unwrap_or_default() {
                    let text = node.as_text().or_else(|| node.get("path")?.as_text()).unwrap_or_default();
                    if EXPRESSION.captures(text).is_some_and(|found| &found[1] == wanted)
                        && let Some(step) = self.steps.find(&job_key.name)
                    {
                        let output = crate::names::name_of(&output.name);
                        pipeline.comment(&format!("the output `{}` is steps.{step}.{output}", key.name));
                    }
                }
            }
        }
    }

    fn step(&mut self, name: &str, job: &Node, steps: &mut Map) {
        let id = self.steps.give(name);
        let component = self.component(job, &id, steps);
        let Some(component) = component else { return };
        // What a job says has precedence over what its component says.
        let field = |key: &str| job.get(key).or_else(|| component.as_ref()?.get(key));
        let kind = field("type").and_then(Node::as_text).unwrap_or("command");
        let Some(command) = field("command").filter(|_| kind == "command") else {
            let message = format!("the step `{id}` is of the type `{kind}`, which has no counterpart");
            let hint = match kind {
                "sweep" => "write it as a `python` step with `sweep:`",
                "automl" => "write it as a `train` step",
                _ => "write it as a `run` or `python` step",
            };
            self.gaps.add(&job.place, steps, &message, Some(hint));
            return;
        };
        let mut step = Map::default();
        let text = command.as_text().unwrap_or_default().trim().to_owned();
        let inputs = self.step_inputs(job, component.as_ref(), &mut step);
        let mut outputs = Map::default();
        let declared = [job.get("outputs"), component.as_ref().and_then(|node| node.get("outputs"))];
        let mut output_names = Names::default();
        let mut folders = Vec::new();
        for (key, node) in declared.into_iter().flatten().flat_map(|node| node.as_map().unwrap_or_default()) {
            let output = output_names.give(&key.name);
            let typed =
                declared.into_iter().flatten().find_map(|node| node.get(&key.name)?.get("type")?.as_text());
            if !outputs.has(&output) {
                if type_of(typed.unwrap_or("uri_folder")) != "file" {
                    folders.push(output.clone());
                }
                outputs.put(&output, type_of(typed.unwrap_or("uri_folder")));
            }
            let target = node.get("path").and_then(Node::as_text).filter(|path| !path.starts_with("${{"));
            if let Some(path) = target {
                let message = format!("the output is kept with the run, not at `{path}`");
                self.gaps.add(&node.place, &mut step, &message, Some("copy it there in a `copy` step"));
            }
        }
        // A path begins in the folder of the file that has it.
        let own = |node: &Node, folder: &str| Some(joined(folder, node.get("code")?.as_text()?));
        let of_component =
            || own(component.as_ref()?, &folder_of(&joined(&self.folder, job.get("component")?.as_text()?)));
        let code = own(job, &self.folder).or_else(of_component);
        step.put("run", shell(&text, code.as_deref(), &inputs, &folders));
        step.put_some("inputs", inputs.values);
        step.put_some("outputs", outputs);
        self.surroundings(job, component.as_ref(), &mut step);
        steps.put(&id, step);
    }

    /// The component that a job names: `Some(None)` for one that is written out, `None` if it is not to be had.
    fn component(&mut self, job: &Node, id: &str, steps: &mut Map) -> Option<Option<Node>> {
        let Some(node) = job.get("component") else { return Some(None) };
        if node.as_map().is_some() {
            return Some(Some(node.clone()));
        }
        let name = node.as_text().unwrap_or_default().trim_start_matches("file:");
        let text = if name.starts_with("azureml:") { None } else { (self.beside)(name) };
        match text.map(|text| yaml::parse(&joined(&self.folder, name), &text)) {
            Some(Ok(tree)) => return Some(Some(tree)),
            Some(Err(problem)) => self.gaps.0.push(*problem),
            None => {
                let message =
                    format!("the component `{name}` of the step `{id}` is not in a file beside this one");
                let hint = "get it with `az ml component show -o yaml` and import again, or call it: `call: {azureml: {component: …}}`";
                self.gaps.add(&node.place, steps, &message, Some(hint));
            }
        }
        None
    }

    fn step_inputs(&mut self, job: &Node, component: Option<&Node>, comments: &mut Map) -> Inputs {
        let mut inputs = Inputs::default();
        for (key, node) in job.get("inputs").and_then(Node::as_map).unwrap_or_default() {
            let name = inputs.names.give(&key.name);
            let bound = node.as_text().or_else(|| node.get("path")?.as_text());
            let value = match bound {
                Some(text) if text.contains("${{") => self.bound(text, node, comments),
                Some(text) if node.as_map().is_some() => {
                    asset(&self.folder, text).map_or(Value::Null, Value::from)
                }
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
        // Defaults of a component stand in for what the job does not give.
        for (key, node) in component.and_then(|node| node.get("inputs")?.as_map()).unwrap_or_default() {
            if inputs.names.find(&key.name).is_none()
                && let Some(default) = node.get("default")
            {
                let name = inputs.names.give(&key.name);
                inputs.values.put(&name, default.to_json());
            }
        }
        inputs
    }

    /// `${{parent.inputs.x}}` and `${{parent.jobs.a.outputs.b}}` in our words.
    fn bound(&mut self, text: &str, node: &Node, comments: &mut Map) -> Value {
        let mut unknown = None;
        let replaced = EXPRESSION.replace_all(text, |found: &Captures<'_>| {
            let parts: Vec<&str> = found[1].split('.').collect();
            match parts.as_slice() {
                ["parent", "inputs", name] => {
                    format!(
                        "${{{{ inputs.{} }}}}",
                        self.inputs.find(name).map_or_else(|| crate::names::name_of(name), str::to_owned)
                    )
                }
                ["parent", "jobs", job, "outputs", output] => match self.steps.find(job) {
                    Some(step) => format!("${{{{ steps.{step}.{} }}}}", crate::names::name_of(output)),
                    None => {
                        unknown = Some(found[0].to_owned());
                        String::new()
                    }
                },
                _ => {
                    unknown = Some(found[0].to_owned());
                    String::new()
                }
            }
        });
        let replaced = replaced.into_owned();
        if let Some(expression) = unknown {
            let message = format!("`{expression}` has no counterpart");
            self.gaps.add(&node.place, comments, &message, None);
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
        if let Some(limits) = field("limits") {
            if let Some(seconds) = limits.get("timeout").map(Node::to_json).and_then(|value| value.as_u64()) {
                step.put("timeout", format!("{seconds}s"));
            }
            self.gaps.others(limits, &["timeout"], "the limits", step);
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
            self.gaps.add(&node.place, step, &message, Some(hint));
        }
        if let Some(node) = job.get("compute") {
            self.compute(node, step);
        }
        self.gaps.others(job, JOB_KEYS, "a job", step);
        if let Some(component) = component {
            self.gaps.others(component, JOB_KEYS, "a component", step);
        }
    }
}

/// Inputs of a step.
#[derive(Default)]
struct Inputs {
    names: Names,
    values: Map,
    /// Those that are files and folders, by their names here.
    paths: Vec<String>,
}

/// A command as shell text: inputs and outputs come in variables. `code` is the folder that it is to run in, `folders` are the outputs that
/// are folders, which Azure ML makes before.
fn shell(command: &str, code: Option<&str>, inputs: &Inputs, folders: &[String]) -> String {
    let command = OPTIONAL.replace_all(command, |found: &Captures<'_>| {
        let named = EXPRESSION.captures(&found[1]).map(|inner| inner[1].to_owned()).unwrap_or_default();
        let given = named.strip_prefix("inputs.").is_some_and(|name| inputs.names.find(name).is_some());
        if given { found[1].to_owned() } else { String::new() }
    });
    let variable =
        |kind: &str, name: &str| format!("MILLRACE_{kind}_{}", crate::names::name_of(name).to_uppercase());
    let replaced = EXPRESSION.replace_all(&command, |found: &Captures<'_>| {
        let inner = &found[1];
        let variable = match (inner.strip_prefix("inputs."), inner.strip_prefix("outputs.")) {
            (Some(name), _) => variable("INPUT", name),
            (_, Some(name)) => variable("OUTPUT", name),
            _ => return found[0].to_owned(),
        };
        let before = found.get(0).and_then(|whole| command.get(..whole.start())).unwrap_or_default();
        let within = |quote: char| before.matches(quote).count() % 2 == 1;
        match (within('"'), within('\'')) {
            (true, _) => format!("${{{variable}}}"),
            (false, true) => format!("'\"${variable}\"'"),
            (false, false) => format!("\"${variable}\""),
        }
    });
    let mut lines: Vec<String> =
        folders.iter().map(|name| format!("mkdir -p \"${}\"", variable("OUTPUT", name))).collect();
    if let Some(code) = code.filter(|code| !code.is_empty()) {
        for name in &inputs.paths {
            // The folder of the code is not the one that a path of the workspace begins in.
            let variable = variable("INPUT", name);
            lines.push(format!("export {variable}=\"$(realpath \"${variable}\")\""));
        }
        lines.push(format!("cd \"{code}\""));
    }
    if lines.is_empty() {
        return replaced.into_owned();
    }
    lines.push(replaced.trim_end().to_owned());
    lines.join("\n") + "\n"
}

/// The folder that a path lies in.
fn folder_of(path: &str) -> String {
    path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()
}

/// A path that begins in a folder, without `.` and `..`.
fn joined(folder: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    let root = if folder.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// The word here of a type of data.
fn type_of(kind: &str) -> &str {
    match kind {
        "uri_folder" | "mltable" => "folder",
        "uri_file" => "file",
        "mlflow_model" | "custom_model" | "triton_model" => "model",
        other => other,
    }
}

/// A path as it can be given here: a file of the workspace or a web address. `None` for stores of Azure.
fn asset(folder: &str, path: &str) -> Option<String> {
    match path.split_once(':') {
        Some(("azureml" | "wasbs" | "abfss" | "adl", _)) => None,
        Some(_) => Some(path.to_owned()),
        None => Some(joined(folder, path)),
    }
}
