//! Pipeline jobs, components and schedules of Azure Machine Learning, CLI v2.

mod control;
mod jobs;
mod schedules;
mod shell;
mod sweep;

use indexmap::IndexMap;
use millrace_spec::problem::Problem;
use millrace_spec::yaml::{self, Key, Node, NodeValue};
use serde_json::{Value, json};

use crate::names::{Names, name_of};
use crate::report::{Report, not_a};
use crate::yaml_out::{Map, Yaml};
use crate::{Converted, ReadBeside, SourceFile};
use control::Control;
use shell::{EXPRESSION, asset, folder_of, joined, type_of};

const PIPELINE_KEYS: &[&str] = &[
    "$schema",
    "type",
    "name",
    "version",
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

/// What an import has made so far.
struct Import<'a> {
    beside: ReadBeside<'a>,
    report: Report,
    files: Vec<(String, String)>,
    /// Files of pipelines that are imported already: path and name here.
    done: IndexMap<String, String>,
    schedules: Vec<(String, Node)>,
}

/// A pipeline while it is made.
struct Maker<'i, 'a> {
    import: &'i mut Import<'a>,
    /// Folder of the file, in which its own paths begin.
    folder: String,
    inputs: Names,
    steps: Names,
    control: Control,
    /// `settings.force_rerun`.
    force: bool,
}

pub(crate) fn import(files: &[SourceFile], beside: ReadBeside<'_>) -> Result<Converted, Box<Problem>> {
    let mut import = Import {
        beside,
        report: Report::default(),
        files: Vec::new(),
        done: IndexMap::new(),
        schedules: Vec::new(),
    };
    let mut pipelines = Vec::new();
    let mut others = Vec::new();
    for file in files {
        let tree = yaml::parse(&file.path, &file.text)?;
        let path = joined("", &file.path);
        match (tree.get("jobs"), tree.get("create_job")) {
            (Some(_), _) => pipelines.push((path, tree)),
            (None, Some(_)) => import.schedules.push((path, tree)),
            (None, None) => others.push(tree),
        }
    }
    for (path, tree) in std::mem::take(&mut import.schedules) {
        let job = schedules::job_of(&path, &tree);
        let known = job.as_ref().is_some_and(|job| pipelines.iter().any(|(path, _)| path == job));
        let text = job.as_ref().filter(|_| !known).and_then(|job| beside("", job));
        if let (Some(job), Some(text)) = (&job, text) {
            let tree = yaml::parse(job, &text)?;
            pipelines.push((job.clone(), tree));
        }
        import.schedules.push((path, tree));
    }
    match (pipelines.is_empty(), others.first()) {
        (true, Some(other)) => return Err(not_a("a pipeline job of Azure ML: it has no `jobs`", other)),
        (true, None) => {
            let message = "no pipeline job of Azure ML is among the files";
            return Err(Box::new(Problem::error("import-format", message)));
        }
        _ => {}
    }
    // Whole jobs first: they import the components that they name.
    pipelines.sort_by_key(|(_, tree)| {
        tree.get("$schema").and_then(Node::as_text).is_some_and(|schema| schema.contains("Component"))
    });
    for (path, tree) in &pipelines {
        if !import.done.contains_key(path) {
            import.pipeline(path, tree)?;
        }
    }
    import.orphans(&pipelines);
    Ok(Converted { files: import.files, findings: import.report.0 })
}

impl Import<'_> {
    /// A pipeline's file; gives its name here.
    fn pipeline(&mut self, path: &str, tree: &Node) -> Result<String, Box<Problem>> {
        let text = |key: &str| tree.get(key).and_then(Node::as_text);
        let Some(jobs) = tree.get("jobs").and_then(Node::as_map) else {
            return Err(not_a("a pipeline job of Azure ML: it has no `jobs`", tree));
        };
        if text("type").is_some_and(|kind| kind != "pipeline") {
            return Err(not_a("a pipeline job of Azure ML: its `type` is another one", tree));
        }
        let stem = path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or("pipeline");
        let name = self.free_name(text("name").or_else(|| text("display_name")).unwrap_or(stem));
        self.done.insert(path.to_owned(), name.clone());
        let file = format!("pipelines/{name}.yaml");
        // Its place is before those of its components.
        let at = self.files.len();
        self.files.push((file.clone(), String::new()));
        self.report.taken(&tree.place, "the pipeline", file);
        let mut pipeline = Map::default();
        pipeline.comment(&format!("from {path}, a pipeline of Azure ML"));
        pipeline.put("pipeline", name.as_str());
        if let Some(description) = text("description").or_else(|| text("display_name")) {
            pipeline.put("description", description.trim());
        }
        self.report.others(tree, PIPELINE_KEYS, "the pipeline", &mut pipeline);
        let mut maker = Maker {
            import: self,
            folder: folder_of(path),
            inputs: Names::default(),
            steps: Names::default(),
            control: Control::default(),
            force: false,
        };
        maker.settings(tree, &mut pipeline);
        let inputs = maker.pipeline_inputs(tree);
        pipeline.put_some("inputs", inputs);
        // Names first: a step may refer to one below it.
        for (key, _) in jobs.iter().filter(|(_, job)| !control::is_one(job)) {
            maker.steps.give(&key.name);
        }
        let mut steps = Map::default();
        maker.control(jobs, &mut steps);
        for (key, job) in jobs.iter().filter(|(_, job)| !control::is_one(job)) {
            maker.step(key, job, jobs, &mut steps)?;
        }
        let outputs = maker.pipeline_outputs(tree, jobs);
        pipeline.put_some("outputs", outputs);
        self.scheduled(path, &mut pipeline);
        pipeline.put("steps", steps);
        if let Some(file) = self.files.get_mut(at) {
            file.1 = pipeline.text();
        }
        Ok(name)
    }

    fn free_name(&self, wanted: &str) -> String {
        let mut name = name_of(wanted);
        while self.done.values().any(|taken| *taken == name) {
            name.push_str("_2");
        }
        name
    }
}

impl Maker<'_, '_> {
    fn settings(&mut self, tree: &Node, pipeline: &mut Map) {
        if let Some(node) = tree.get("compute") {
            self.compute(node, pipeline);
        }
        let Some(settings) = tree.get("settings") else { return };
        for (key, node) in settings.as_map().unwrap_or_default() {
            let is = |wanted: bool| node.value == NodeValue::Bool(wanted);
            let report = &mut self.import.report;
            match key.name.as_str() {
                "default_compute" => self.compute(node, pipeline),
                "force_rerun" => {
                    self.force = is(true);
                    report.taken(&key.place, "`force_rerun`", "`cache: false` of each step");
                }
                "continue_on_step_failure" if is(true) => {
                    report.taken(&key.place, "`continue_on_step_failure`", "what always holds here");
                }
                "continue_on_step_failure" => report.changed(
                    &key.place,
                    pipeline,
                    "steps that do not need a failed one go on here",
                    Some("let the others need it, or cancel the run in a step of `finally`"),
                ),
                other => {
                    let message = format!("the setting `{other}` has no counterpart");
                    report.gap(&key.place, pipeline, &message, None);
                }
            }
        }
    }

    /// Steps run where the server runs; a compute of Azure is none of ours.
    fn compute(&mut self, node: &Node, comments: &mut Map) {
        let name = node.as_text().unwrap_or_default();
        let message = format!("the compute `{name}` is Azure's; the steps run where the server runs");
        self.import.report.gap(&node.place, comments, &message, None);
    }

    fn pipeline_inputs(&mut self, tree: &Node) -> Map {
        let mut inputs = Map::default();
        for (key, node) in tree.get("inputs").and_then(Node::as_map).unwrap_or_default() {
            let name = self.inputs.give(&key.name);
            let input = match node.as_map() {
                None => Yaml::from(node.to_json()),
                Some(_) => self.pipeline_input(node, &mut inputs).into(),
            };
            inputs.put(&name, input);
            self.import.report.taken(
                &key.place,
                format!("the input `{}`", key.name),
                format!("inputs.{name}"),
            );
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
                    self.import.report.gap(&path.place, comments, &message, Some(hint));
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
        let read = ["type", "default", "path", "mode", "enum", "description", "optional"];
        self.import.report.others(node, &read, "an input", comments);
        input
    }

    /// Outputs of the pipeline are outputs of its steps.
    fn pipeline_outputs(&mut self, tree: &Node, jobs: &[(Key, Node)]) -> Map {
        let mut outputs = Map::default();
        for (key, node) in tree.get("outputs").and_then(Node::as_map).unwrap_or_default() {
            let wanted = format!("parent.outputs.{}", key.name);
            let mut sources = jobs.iter().flat_map(|(job, node)| {
                let outputs = node.get("outputs").and_then(Node::as_map).unwrap_or_default();
                outputs.iter().map(move |(output, node)| (job, output, node))
            });
            let source = sources.find(|(_, _, node)| {
                let text = node.as_text().or_else(|| node.get("path")?.as_text()).unwrap_or_default();
                EXPRESSION.captures(text).is_some_and(|found| found[1] == wanted)
            });
            match source.and_then(|(job, output, _)| Some((self.steps.find(&job.name)?, output))) {
                Some((step, output)) => {
                    let here = format!("steps.{step}.{}", name_of(&output.name));
                    let name = name_of(&key.name);
                    self.import.report.taken(
                        &key.place,
                        format!("the output `{}`", key.name),
                        format!("outputs.{name}, {here}"),
                    );
                    outputs.put(&name, format!("${{{{ {here} }}}}"));
                }
                None => {
                    let message = format!("the output `{}` is none of a job's", key.name);
                    self.import.report.gap(&key.place, &mut outputs, &message, None);
                }
            }
            if let Some(path) =
                node.get("path").filter(|path| path.as_text().is_some_and(|text| !text.contains("${{")))
            {
                let message = format!(
                    "the output `{}` is kept with the run, not at `{}`",
                    key.name,
                    path.as_text().unwrap_or_default()
                );
                self.import.report.changed(
                    &path.place,
                    &mut outputs,
                    &message,
                    Some("copy it there in a `copy` step"),
                );
            }
        }
        outputs
    }
}
