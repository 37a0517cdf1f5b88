//! Workflows of GitHub Actions.

use millrace_spec::problem::Problem;
use millrace_spec::yaml::{self, Node, NodeValue};
use serde_json::{Value, json};

use crate::names::Names;
use crate::report::{Gaps, not_a};
use crate::yaml_out::{Map, Yaml};
use crate::{Converted, Importer, SourceFile};

pub(crate) fn import(importer: &Importer, file: &SourceFile) -> Result<Converted, Box<Problem>> {
    let tree = yaml::parse(&file.path, &file.text)?;
    let Some(jobs) = tree.get("jobs").and_then(Node::as_map) else {
        return Err(not_a("a workflow of GitHub Actions: it has no `jobs`", &tree));
    };
    let stem = file.path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or("workflow");
    let title = tree.get("name").and_then(Node::as_text);
    let name = crate::names::name_of(stem);
    let mut gaps = Gaps::default();
    let mut pipeline = Map::default();
    pipeline.comment(&format!("from {}, a workflow of GitHub Actions", file.path));
    pipeline.put("pipeline", name.as_str());
    if let Some(title) = title {
        pipeline.put("description", title);
    }
    let known = ["name", "run-name", "on", "jobs", "env", "defaults", "concurrency", "permissions"];
    gaps.others(&tree, &known, "the workflow", &mut pipeline);
    for key in ["defaults", "concurrency"] {
        if let Some(node) = tree.get(key) {
            gaps.add(
                &node.place,
                &mut pipeline,
                &format!("`{key}` of the workflow has no counterpart"),
                None,
            );
        }
    }
    let (inputs, triggers) = events(importer, &tree, &mut gaps);
    pipeline.put_some("inputs", inputs);
    pipeline.put_some("triggers", triggers);
    let mut names = Names::default();
    for (key, _) in jobs {
        names.give(&key.name);
    }
    let mut steps = Map::default();
    for (key, job) in jobs {
        self::job(&key.name, job, &tree, &mut names, &mut gaps, &mut steps);
    }
    pipeline.put("steps", steps);
    Ok(Converted { files: vec![(format!("pipelines/{name}.yaml"), pipeline.text())], gaps: gaps.0 })
}

/// `on:` as inputs and triggers.
fn events(importer: &Importer, tree: &Node, gaps: &mut Gaps) -> (Map, Map) {
    let (mut inputs, mut triggers) = (Map::default(), Map::default());
    let Some(on) = tree.get("on") else { return (inputs, triggers) };
    let nothing = Node { value: NodeValue::Null, place: on.place.clone() };
    let events: Vec<(&str, &Node)> = match &on.value {
        NodeValue::Text(event) => vec![(event.as_str(), &nothing)],
        NodeValue::List(events) => {
            events.iter().filter_map(|event| Some((event.as_text()?, &nothing))).collect()
        }
        _ => on.as_map().unwrap_or_default().iter().map(|(key, node)| (key.name.as_str(), node)).collect(),
    };
    for (event, node) in events {
        match event {
            "schedule" => schedules(node, &mut triggers),
            "workflow_dispatch" | "workflow_call" => {
                for (key, input) in node.get("inputs").and_then(Node::as_map).unwrap_or_default() {
                    inputs.put(&crate::names::name_of(&key.name), dispatch_input(input));
                }
            }
            "push" | "pull_request" if importer.has_trigger("git") => {
                let mut trigger = Map::default();
                trigger.put("git", "origin");
                for list in ["branches", "paths", "tags"] {
                    if let Some(values) = node.get(list) {
                        trigger.put(list, values.to_json());
                    }
                }
                trigger.put("events", json!([event]));
                gaps.others(node, &["branches", "paths", "tags"], &format!("`{event}`"), &mut triggers);
                triggers.put(event, trigger);
            }
            other => {
                let message = format!("the event `{other}` has no counterpart");
                let hint = "let the workflow run this pipeline: `millrace run NAME --server URL --wait`";
                gaps.add(&node.place, &mut triggers, &message, Some(hint));
            }
        }
    }
    (inputs, triggers)
}

/// Each cron line; GitHub's are in UTC unless they name a zone.
fn schedules(node: &Node, triggers: &mut Map) {
    let NodeValue::List(items) = &node.value else { return };
    for (index, item) in items.iter().enumerate() {
        let Some(cron) = item.get("cron").and_then(Node::as_text) else { continue };
        let zone = item.get("timezone").and_then(Node::as_text).unwrap_or("UTC");
        let name = if index == 0 { "schedule".to_owned() } else { format!("schedule_{}", index + 1) };
        triggers.put(&name, Yaml::from(json!({"cron": cron, "timezone": zone})));
    }
}

fn dispatch_input(input: &Node) -> Yaml {
    let kind = input.get("type").and_then(Node::as_text).unwrap_or("string");
    let mut made = Map::default();
    made.put("type", if matches!(kind, "boolean" | "number") { kind } else { "string" });
    let required = input.get("required").is_some_and(|node| node.value == NodeValue::Bool(true));
    match (input.get("default"), required, kind) {
        (Some(default), ..) => made.put("default", default.to_json()),
        (None, true, _) => {}
        (None, false, "boolean") => made.put("default", json!(false)),
        (None, false, "number") => made.put("default", json!(0)),
        (None, false, _) => made.put("default", ""),
    }
    if let Some(options) = input.get("options") {
        made.put("enum", options.to_json());
    }
    if let Some(text) = input.get("description").and_then(Node::as_text) {
        made.put("description", text);
    }
    made.into()
}

/// A job as a `run` step: its shell steps one after another.
fn job(name: &str, job: &Node, tree: &Node, names: &mut Names, gaps: &mut Gaps, steps: &mut Map) {
    let id = names.give(name);
    let mut step = Map::default();
    let mut script = Vec::new();
    let mut env = Map::default();
    variables(tree.get("env"), gaps, &mut env);
    variables(job.get("env"), gaps, &mut env);
    let items = match job.get("steps").map(|node| &node.value) {
        Some(NodeValue::List(items)) => items.as_slice(),
        _ => &[],
    };
    for item in items {
        part(item, gaps, &mut step, &mut script, &mut env);
    }
    if script.is_empty() {
        steps.comments_of(step);
        steps.comments_of(env);
        let message = format!("the job `{name}` has no shell steps");
        gaps.add(&job.place, steps, &message, Some("write what it does as a step of its own"));
        return;
    }
    step.put("run", script.join("\n") + "\n");
    step.put_some("env", env);
    let needs = match job.get("needs").map(Node::to_json) {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(|need| need.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    if !needs.is_empty() {
        step.put("needs", json!(needs.iter().map(|need| names.give(need)).collect::<Vec<_>>()));
    }
    if let Some(condition) = job.get("if") {
        let text = condition.as_text().unwrap_or_default();
        match text.trim().trim_start_matches("${{").trim_end_matches("}}").trim() {
            "always()" => step.put("if", "always()"),
            "failure()" => step.put("if", "failed()"),
            "success()" => {}
            other => {
                let message = format!("the condition `{other}` has no counterpart");
                gaps.add(&condition.place, &mut step, &message, Some("write it as `if:` of the step"));
            }
        }
    }
    if let Some(minutes) = job.get("timeout-minutes").map(Node::to_json).and_then(|value| value.as_u64()) {
        step.put("timeout", format!("{minutes}m"));
    }
    if let Some(node) = job.get("runs-on") {
        let on = node.as_text().map_or_else(|| node.to_json().to_string(), str::to_owned);
        step.comment(&format!("it ran on {on}; steps run where the server runs"));
    }
    let known = ["name", "runs-on", "needs", "if", "env", "steps", "timeout-minutes", "permissions"];
    gaps.others(job, &known, &format!("the job `{name}`"), &mut step);
    steps.put(&id, step);
}

/// A step of a job.
fn part(item: &Node, gaps: &mut Gaps, step: &mut Map, script: &mut Vec<String>, env: &mut Map) {
    if let Some(action) = item.get("uses") {
        let text = action.as_text().unwrap_or_default();
        // The files are here already.
        if !text.starts_with("actions/checkout@") {
            gaps.add(&action.place, step, &format!("the action `{text}` has no counterpart"), None);
        }
        return;
    }
    let Some(run) = item.get("run").and_then(Node::as_text) else { return };
    variables(item.get("env"), gaps, env);
    if let Some(title) = item.get("name").and_then(Node::as_text) {
        script.push(format!("# {}", title.replace('\n', " ")));
    }
    let run = expression(run.trim_end()).unwrap_or_else(|found| {
        gaps.add(&item.place, step, &format!("`{found}` has no counterpart"), None);
        // It stays as it is, so that `check` shows where it stands.
        run.trim_end().to_owned()
    });
    match item.get("working-directory").and_then(Node::as_text) {
        Some(folder) => script.push(format!("(cd \"{folder}\"\n{run})")),
        None => script.push(run),
    }
    let known = ["name", "id", "run", "env", "working-directory", "shell"];
    gaps.others(item, &known, "a step", step);
}

fn variables(node: Option<&Node>, gaps: &mut Gaps, env: &mut Map) {
    for (key, node) in node.and_then(Node::as_map).unwrap_or_default() {
        let text = node.as_text().map_or_else(|| node.to_json().to_string(), str::to_owned);
        match expression(&text) {
            Ok(text) if env.has(&key.name) => {
                let message =
                    format!("`{}` has several values in one job; the first is kept, not `{text}`", key.name);
                gaps.add(&key.place, env, &message, None);
            }
            Ok(text) => env.put(&key.name, text),
            Err(found) => gaps.add(&key.place, env, &format!("`{found}` has no counterpart"), None),
        }
    }
}

/// Expressions over inputs and secrets; the first other one is refused.
fn expression(text: &str) -> Result<String, String> {
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let Some((inner, tail)) = after.split_once("}}") else { break };
        let name =
            |prefix: &str| inner.trim().strip_prefix(prefix).filter(|name| !name.contains([' ', '.', '(']));
        let here = match (name("inputs.").or_else(|| name("github.event.inputs.")), name("secrets.")) {
            (Some(input), _) => format!("${{{{ inputs.{} }}}}", crate::names::name_of(input)),
            (_, Some(secret)) => format!("${{{{ secrets.{} }}}}", crate::names::name_of(secret)),
            _ => return Err(format!("${{{{{inner}}}}}")),
        };
        made.push_str(before);
        made.push_str(&here);
        rest = tail;
    }
    made.push_str(rest);
    Ok(made)
}
