use std::sync::LazyLock;

use millrace_spec::mapping::Over;
use millrace_spec::pipeline::{Pipeline, Step};
use millrace_spec::triggers::Trigger;
use regex::{Captures, Regex};
use serde_json::{Value, json};

use super::{gap, gap_of_file, start, unsaid};
use crate::report::{Outcome, Report};
use crate::yaml_out::{Map, Yaml};
use crate::{Converted, recurrence, zones};

/// `"$MILLRACE_INPUT_X"`, with or without quotes and braces.
#[allow(clippy::unwrap_used, reason = "the pattern is a constant, and a test reads with it")]
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#""\$MILLRACE_(INPUT|OUTPUT)_([A-Z0-9_]+)"|\$\{MILLRACE_(INPUT|OUTPUT)_([A-Z0-9_]+)\}|\$MILLRACE_(INPUT|OUTPUT)_([A-Z0-9_]+)"#).unwrap()
});

pub(crate) fn pipeline(pipeline: &Pipeline, root: &str) -> Converted {
    let mut report = Report::default();
    let name = &pipeline.name;
    let mut job = Map::default();
    job.comment(&format!("from {}, a pipeline of Millrace", pipeline.file));
    job.put("$schema", "https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json");
    job.put("type", "pipeline");
    job.put("name", name.as_str());
    if let Some(text) = &pipeline.description {
        job.put("description", text.as_str());
    }
    let mut inputs = Map::default();
    for (name, input) in &pipeline.inputs {
        inputs.put(name, input_of(&input.type_name, input.default.as_ref(), input.allowed.as_ref(), root));
    }
    job.put_some("inputs", inputs);
    let mut outputs = Map::default();
    // An output there is bound at the job that makes it.
    let mut bound: Vec<(String, String, String)> = Vec::new();
    for (name, value) in &pipeline.outputs {
        let inner = value.as_str().and_then(|text| text.strip_prefix("${{")?.strip_suffix("}}"));
        match inner.map(|inner| inner.trim().split('.').collect::<Vec<_>>()).as_deref() {
            Some(["steps", step, output]) => {
                outputs.put(name, Yaml::from(json!({"type": "uri_folder"})));
                bound.push(((*step).to_owned(), (*output).to_owned(), name.clone()));
            }
            _ => gap_of_file(&mut report, pipeline, format!("the output `{name}` is none of a step's"), None),
        }
    }
    job.put_some("outputs", outputs);
    let mut jobs = Map::default();
    for step in pipeline.steps.values() {
        match job_of(step, root, &bound, &mut report) {
            Some(made) => {
                report.taken(
                    &step.place,
                    format!("the step `{}` ({})", step.id, step.kind),
                    format!("jobs.{}", step.id),
                );
                jobs.put(step.id.as_str(), made);
            }
            None => {
                let message = format!("`{}` is a `{}` step, which has no counterpart", step.id, step.kind);
                let mut made = Map::default();
                made.comment(&format!("not converted ({}:{}): {message}", step.place.file, step.place.line));
                made.put("type", "command");
                made.put(
                    "command",
                    format!("echo 'not converted: {}' >&2; exit 1", message.replace('\'', "’")),
                );
                made.put("environment", ENVIRONMENT);
                jobs.put(step.id.as_str(), made);
                let hint = "let a job run the pipeline here: `millrace run NAME --server URL --wait`";
                gap(&mut report, step, message, Some(hint));
            }
        }
    }
    job.put("jobs", jobs);
    let file = format!("{name}.yml");
    report.taken(&start(pipeline), format!("the pipeline `{name}`"), file.clone());
    let mut files = vec![(file.clone(), job.text())];
    schedules(pipeline, &file, &mut report, &mut files);
    if pipeline.concurrency.is_some() {
        gap_of_file(&mut report, pipeline, "`concurrency` has no counterpart".to_owned(), None);
    }
    unsaid(pipeline, &mut report);
    Converted { files, findings: report.0 }
}

/// A file for each trigger that Azure ML has, too.
fn schedules(pipeline: &Pipeline, file: &str, report: &mut Report, files: &mut Vec<(String, String)>) {
    let name = &pipeline.name;
    for (key, trigger) in &pipeline.triggers {
        match rule(trigger) {
            Some(rule) => {
                let mut schedule = Map::default();
                schedule.put("$schema", "https://azuremlschemas.azureedge.net/latest/schedule.schema.json");
                schedule.put("name", key.as_str());
                schedule.put("trigger", Yaml::from(rule));
                let inputs: serde_json::Map<String, Value> =
                    trigger.inputs().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                if inputs.is_empty() {
                    schedule.put("create_job", format!("./{file}"));
                } else {
                    schedule.put(
                        "create_job",
                        Yaml::from(json!({"type": "pipeline", "job": format!("./{file}"), "inputs": inputs})),
                    );
                }
                report.taken(
                    &start(pipeline),
                    format!("the trigger `{key}` ({})", trigger.word()),
                    format!("{name}_{key}.schedule.yml"),
                );
                files.push((format!("{name}_{key}.schedule.yml"), schedule.text()));
            }
            None => gap_of_file(
                report,
                pipeline,
                format!("the trigger `{key}` ({}) has no counterpart", trigger.word()),
                None,
            ),
        }
    }
}

/// Which image runs a command is not known here.
const ENVIRONMENT: &str = "azureml:AzureML-sklearn-1.5@latest";

fn rule(trigger: &Trigger) -> Option<Value> {
    match trigger {
        Trigger::Cron(cron) => {
            let zone = cron.timezone.as_deref().unwrap_or("UTC");
            Some(
                json!({"type": "cron", "expression": cron.cron, "time_zone": zones::windows(zone).unwrap_or(zone)}),
            )
        }
        Trigger::Recurrence(recurrence) => {
            let mut made = json!({"type": "recurrence"});
            let theirs = recurrence::in_snake_case(recurrence::theirs(recurrence)?);
            for (key, value) in theirs.as_object()? {
                made[key] = match value {
                    Value::String(word) if key == "frequency" => word.to_ascii_lowercase().into(),
                    other => other.clone(),
                };
            }
            Some(made)
        }
        Trigger::Window(_) | Trigger::Event(_) => None,
    }
}

fn input_of(kind: &str, default: Option<&Value>, allowed: Option<&Vec<Value>>, root: &str) -> Yaml {
    let theirs = match kind {
        "folder" | "table" => "uri_folder",
        "file" => "uri_file",
        "model" => "mlflow_model",
        "integer" | "number" | "boolean" | "string" => kind,
        _ => "string",
    };
    let mut input = json!({"type": theirs});
    let is_data = theirs.starts_with("uri") || theirs == "mlflow_model";
    match default {
        Some(Value::Null) => input["optional"] = true.into(),
        Some(Value::String(path)) if is_data => input["path"] = from_root(root, path).into(),
        Some(value) => input["default"] = value.clone(),
        None => {}
    }
    if let Some(allowed) = allowed {
        input["enum"] = json!(allowed);
    }
    input.into()
}

/// A path of the workspace as it is named from the new file.
fn from_root(root: &str, path: &str) -> String {
    if path == "." && !root.is_empty() {
        return root.to_owned();
    }
    if path.contains(':') || path.starts_with('/') || root.is_empty() {
        path.to_owned()
    } else {
        format!("{root}/{path}")
    }
}

/// A command job of a `run` or `python` step, or a pipeline component.
fn job_of(step: &Step, root: &str, bound: &[(String, String, String)], report: &mut Report) -> Option<Map> {
    let mut job = Map::default();
    if step.kind == "pipeline" {
        job.put("type", "pipeline");
        let name = step.config.as_str()?.trim_start_matches("pipelines/").trim_end_matches(".yaml");
        job.put("component", format!("./{name}.yml"));
        let mut inputs = Map::default();
        for (name, value) in &step.inputs {
            inputs.put(name, theirs(value));
        }
        job.put_some("inputs", inputs);
        surroundings(step, report, &mut job);
        return Some(job);
    }
    let text = step.config.as_str().or_else(|| step.config.get("script")?.as_str());
    let mut paths = Vec::new();
    let (code, command) = match (step.kind.as_str(), text) {
        ("run", Some(text)) => {
            let (code, command, found) = written(text);
            paths = found;
            (code, command)
        }
        ("python", Some(script)) => {
            let flags: String =
                step.inputs.keys().map(|name| format!(" --{name} ${{{{inputs.{name}}}}}")).collect();
            (None, format!("python {script}{flags}"))
        }
        _ => return None,
    };
    let command = VARIABLE.replace_all(&command, |found: &Captures<'_>| {
        let part =
            |from: usize| found.get(from).or_else(|| found.get(from + 2)).or_else(|| found.get(from + 4));
        let kind = part(1).map_or("", |kind| kind.as_str()).to_lowercase();
        let name = part(2).map_or("", |name| name.as_str()).to_lowercase();
        format!("${{{{{kind}s.{name}}}}}")
    });
    job.put("type", "command");
    job.put("command", command.trim_end());
    job.put("code", from_root(root, code.as_deref().unwrap_or(".")));
    job.put("environment", ENVIRONMENT);
    let message = format!("the image of `{}` is not known here", step.id);
    report.push(Outcome::Changed, &step.place, message, None, Some("mend `environment` of the job"));
    let (mut inputs, mut outputs) = (Map::default(), Map::default());
    for (name, value) in &step.inputs {
        if paths.contains(name) && value.as_str().is_some_and(|text| text.contains("inputs.")) {
            inputs.put(name, Yaml::from(json!({"type": "uri_folder", "path": theirs(value)})));
        } else {
            inputs.put(name, theirs(value));
        }
    }
    for (name, kind) in &step.outputs {
        let target = bound.iter().find(|(id, output, _)| *id == step.id.as_str() && output == name);
        let kind = match kind.as_str() {
            "folder" | "table" => "uri_folder",
            "model" => "custom_model",
            "file" => "uri_file",
            other => {
                let message = format!(
                    "the output `{name}` of `{}` is a {other}; there they are files and folders",
                    step.id
                );
                gap(report, step, message, None);
                continue;
            }
        };
        let mut made = json!({"type": kind});
        if let Some((_, _, output)) = target {
            made["path"] = format!("${{{{parent.outputs.{output}}}}}").into();
        }
        outputs.put(name, Yaml::from(made));
    }
    job.put_some("inputs", inputs);
    job.put_some("outputs", outputs);
    surroundings(step, report, &mut job);
    if step.cache == millrace_spec::pipeline::CachePolicy::Never {
        job.put("is_deterministic", json!(false));
    }
    Some(job)
}

/// A command without what an import put before it: the folder that it runs in, itself, and its inputs that are paths.
fn written(text: &str) -> (Option<String>, String, Vec<String>) {
    let (mut code, mut lines, mut paths) = (None, Vec::new(), Vec::new());
    let mut at_start = true;
    for line in text.lines() {
        let is_folder = line.starts_with("mkdir -p \"$MILLRACE_OUTPUT_");
        let is_path = line.starts_with("export MILLRACE_INPUT_") && line.contains("realpath");
        let entered = line.strip_prefix("cd \"").and_then(|rest| rest.strip_suffix('"'));
        match entered {
            Some(entered) if at_start => code = Some(entered.to_owned()),
            _ if at_start && is_folder => {}
            _ if at_start && is_path => {
                let name =
                    line.trim_start_matches("export MILLRACE_INPUT_").split('=').next().unwrap_or_default();
                paths.push(name.to_lowercase());
            }
            _ => {
                at_start = false;
                lines.push(line);
            }
        }
    }
    (code, lines.join("\n"), paths)
}

fn surroundings(step: &Step, report: &mut Report, job: &mut Map) {
    let mut env = Map::default();
    for (name, value) in &step.env {
        env.put(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    job.put_some("environment_variables", env);
    if let Some(timeout) = step.timeout_ms {
        job.put("limits", Yaml::from(json!({"timeout": timeout.div_ceil(1_000)})));
    }
    if step.retry.max > 0 {
        gap(report, step, format!("`retry` of `{}` has no counterpart", step.id), None);
    }
    if let Some(condition) = &step.condition {
        gap(report, step, format!("the condition `{condition}` of `{}` has no counterpart", step.id), None);
    }
    if let Some(mapping) = &step.mapping {
        let word = if matches!(mapping.over, Over::Foreach(_)) { "foreach" } else { "matrix" };
        gap(
            report,
            step,
            format!("`{word}` of `{}` has no counterpart", step.id),
            Some("write a parallel job"),
        );
    }
    let read: Vec<String> = step.inputs.values().map(Value::to_string).collect();
    for need in &step.needs {
        if !read.iter().any(|value| value.contains(&format!("steps.{need}."))) {
            let message = format!(
                "`{}` waits for `{need}` without reading what it gives; there, data alone orders jobs",
                step.id
            );
            gap(report, step, message, None);
        }
    }
}

/// `${{ inputs.x }}` and `${{ steps.a.b }}` in Azure ML's words.
fn theirs(value: &Value) -> Value {
    let Some(text) = value.as_str() else { return value.clone() };
    let Some(inner) = text.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")).map(str::trim) else {
        return value.clone();
    };
    match inner.split('.').collect::<Vec<_>>().as_slice() {
        ["inputs", name] => json!(format!("${{{{parent.inputs.{name}}}}}")),
        ["steps", step, output] => json!(format!("${{{{parent.jobs.{step}.outputs.{output}}}}}")),
        _ => value.clone(),
    }
}
