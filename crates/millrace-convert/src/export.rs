//! Pipelines of ours as others' files, as far as they can be said there.

use millrace_spec::pipeline::{Pipeline, Step};
use millrace_spec::problem::Problem;
use millrace_spec::triggers::Trigger;
use serde_json::{Map as Fields, Value, json};

use crate::Converted;
use crate::yaml_out::{Map, Yaml};

fn gap(step: &Step, message: String) -> Problem {
    Problem::error("not-converted", message).as_warning().at(step.place.clone())
}

fn whole(pipeline: &Pipeline, message: String) -> Problem {
    let place = pipeline.steps.values().next().map(|step| step.place.clone());
    let mut problem = Problem::error("not-converted", message).as_warning();
    problem.place =
        place.map(|place| millrace_spec::problem::Place { line: 1, column: 1, length: 1, ..place });
    problem
}

/// What every format lacks: said once for each step that has it.
fn unsaid(step: &Step, target: &str, gaps: &mut Vec<Problem>) {
    if step.retry.max > 0 && target == "azureml" {
        gaps.push(gap(step, format!("`retry` of `{}` has no counterpart", step.id)));
    }
    if let Some(condition) = &step.condition {
        let said = target == "adf" && matches!(condition.as_str(), "failed()" | "always()");
        if !said {
            gaps.push(gap(step, format!("the condition `{condition}` of `{}` has no counterpart", step.id)));
        }
    }
    if !step.pool.is_empty() {
        gaps.push(gap(step, format!("`pool` of `{}` has no counterpart", step.id)));
    }
}

pub(crate) fn azureml(pipeline: &Pipeline) -> Converted {
    let mut gaps = Vec::new();
    let mut job = Map::default();
    job.comment(&format!("from {}, a pipeline of Millrace", pipeline.file));
    job.put("$schema", "https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json");
    job.put("type", "pipeline");
    job.put("display_name", pipeline.name.as_str());
    if let Some(text) = &pipeline.description {
        job.put("description", text.as_str());
    }
    let mut inputs = Map::default();
    for (name, input) in &pipeline.inputs {
        inputs.put(name, azureml_input(&input.type_name, input.default.as_ref()));
    }
    job.put_some("inputs", inputs);
    let mut jobs = Map::default();
    for step in pipeline.steps.values() {
        match azureml_job(step, &mut gaps) {
            Some(made) => jobs.put(step.id.as_str(), made),
            None => {
                jobs.comment(&format!(
                    "not converted ({}:{}): `{}` is a `{}` step",
                    step.place.file, step.place.line, step.id, step.kind
                ));
                gaps.push(gap(
                    step,
                    format!("`{}` is a `{}` step, which has no counterpart", step.id, step.kind),
                ));
            }
        }
    }
    job.put("jobs", jobs);
    for step in pipeline.finally.values() {
        gaps.push(gap(step, format!("`finally` has no counterpart: `{}` is left out", step.id)));
    }
    let name = &pipeline.name;
    let mut files = vec![(format!("{name}.azureml.yml"), job.text())];
    for (key, trigger) in &pipeline.triggers {
        let cron = match trigger {
            Trigger::Cron(cron) => cron,
            #[allow(unreachable_patterns, reason = "there may be kinds that this format does not know")]
            _ => {
                gaps.push(whole(pipeline, format!("the trigger `{key}` has no counterpart")));
                continue;
            }
        };
        let mut schedule = Map::default();
        schedule.put("$schema", "https://azuremlschemas.azureedge.net/latest/schedule.schema.json");
        schedule.put("name", format!("{name}_{key}"));
        let zone = cron.timezone.as_deref().unwrap_or("UTC");
        schedule
            .put("trigger", Yaml::from(json!({"type": "cron", "expression": cron.cron, "time_zone": zone})));
        schedule.put("create_job", format!("./{name}.azureml.yml"));
        if zone != "UTC" {
            gaps.push(whole(
                pipeline,
                format!("Azure ML has Windows' names of time zones: mend `{zone}` in the schedule `{key}`"),
            ));
        }
        files.push((format!("{name}_{key}.schedule.yml"), schedule.text()));
    }
    Converted { files, gaps }
}

fn azureml_input(kind: &str, default: Option<&Value>) -> Yaml {
    let theirs = match kind {
        "folder" | "table" => "uri_folder",
        "file" => "uri_file",
        "model" => "mlflow_model",
        "integer" | "number" | "boolean" | "string" => kind,
        _ => "string",
    };
    let mut input = json!({"type": theirs});
    if let Some(value) = default {
        let key = if theirs.starts_with("uri") || theirs == "mlflow_model" { "path" } else { "default" };
        input[key] = value.clone();
    }
    input.into()
}

/// A command job of a `run` or `python` step.
fn azureml_job(step: &Step, gaps: &mut Vec<Problem>) -> Option<Map> {
    let text = step.config.as_str().or_else(|| step.config.get("script")?.as_str());
    let mut command = match (step.kind.as_str(), text) {
        ("run", Some(text)) => text.to_owned(),
        ("python", Some(script)) => {
            let flags: String =
                step.inputs.keys().map(|name| format!(" --{name} ${{{{inputs.{name}}}}}")).collect();
            format!("python {script}{flags}")
        }
        _ => return None,
    };
    let mut job = Map::default();
    job.put("type", "command");
    let (mut inputs, mut outputs) = (Map::default(), Map::default());
    for (name, value) in &step.inputs {
        command = command
            .replace(&format!("$MILLRACE_INPUT_{}", name.to_uppercase()), &format!("${{{{inputs.{name}}}}}"));
        inputs.put(name, theirs(value));
    }
    for (name, kind) in &step.outputs {
        command = command.replace(
            &format!("$MILLRACE_OUTPUT_{}", name.to_uppercase()),
            &format!("${{{{outputs.{name}}}}}"),
        );
        match kind.as_str() {
            "folder" | "table" | "model" => outputs.put(name, Yaml::from(json!({"type": "uri_folder"}))),
            "file" => outputs.put(name, Yaml::from(json!({"type": "uri_file"}))),
            other => gaps.push(gap(
                step,
                format!(
                    "the output `{name}` of `{}` is a {other}; Azure ML's are files and folders",
                    step.id
                ),
            )),
        }
    }
    job.put("command", command);
    job.put("code", ".");
    job.put("environment", "azureml:AzureML-sklearn-1.5@latest");
    gaps.push(gap(step, format!("`{}` needs an environment of Azure ML: mend `environment`", step.id)));
    job.put_some("inputs", inputs);
    job.put_some("outputs", outputs);
    let mut env = Map::default();
    for (name, value) in &step.env {
        env.put(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    job.put_some("environment_variables", env);
    if let Some(timeout) = step.timeout_ms {
        job.put("limits", Yaml::from(json!({"timeout": timeout.div_ceil(1_000)})));
    }
    let named = step.inputs.values().any(|value| value.to_string().contains("steps."));
    if !step.needs.is_empty() && !named {
        gaps.push(gap(
            step,
            format!(
                "`{}` needs other steps without reading what they give; Azure ML orders by data alone",
                step.id
            ),
        ));
    }
    unsaid(step, "azureml", gaps);
    Some(job)
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

pub(crate) fn data_factory(pipeline: &Pipeline) -> Converted {
    let mut gaps = Vec::new();
    let mut activities = Vec::new();
    for step in pipeline.steps.values() {
        match activity(step) {
            Some((kind, details)) => {
                activities.push(json!({
                    "name": step.id.as_str(), "type": kind, "dependsOn": depends_on(step), "policy": policy(step),
                    "typeProperties": details,
                }));
                unsaid(step, "adf", &mut gaps);
            }
            None => gaps.push(gap(
                step,
                format!("`{}` is a `{}` step, which has no counterpart", step.id, step.kind),
            )),
        }
    }
    for step in pipeline.finally.values() {
        gaps.push(gap(step, format!("`finally` has no counterpart: `{}` is left out", step.id)));
    }
    let parameter = |(name, input): (&String, &millrace_spec::pipeline::InputSpec)| {
        let kind = match input.type_name.as_str() {
            "integer" => "int",
            "number" => "float",
            "boolean" => "bool",
            "string" | "date" | "datetime" | "duration" => "string",
            _ => "object",
        };
        let mut made = json!({"type": kind});
        if let Some(default) = &input.default {
            made["defaultValue"] = default.clone();
        }
        (name.clone(), made)
    };
    let parameters: Fields<String, Value> = pipeline.inputs.iter().map(parameter).collect();
    let document = json!({
        "name": pipeline.name.as_str(),
        "properties": {"description": pipeline.description, "parameters": parameters, "activities": activities},
    });
    let mut files = vec![(format!("{}.pipeline.json", pipeline.name), pretty(&document))];
    for (key, trigger) in &pipeline.triggers {
        match trigger {
            Trigger::Cron(cron) => match recurrence(&cron.cron, cron.timezone.as_deref()) {
                Some(recurrence) => {
                    let document = json!({"name": format!("{}_{key}", pipeline.name), "properties": {
                        "type": "ScheduleTrigger", "typeProperties": {"recurrence": recurrence},
                        "pipelines": [{"pipelineReference": {"referenceName": pipeline.name.as_str(), "type": "PipelineReference"}, "parameters": cron.inputs}],
                    }});
                    files.push((format!("{}_{key}.trigger.json", pipeline.name), pretty(&document)));
                }
                None => gaps.push(whole(
                    pipeline,
                    format!(
                        "the cron expression `{}` of `{key}` is no recurrence of Data Factory",
                        cron.cron
                    ),
                )),
            },
            #[allow(unreachable_patterns, reason = "there may be kinds that this format does not know")]
            _ => gaps.push(whole(pipeline, format!("the trigger `{key}` has no counterpart"))),
        }
    }
    Converted { files, gaps }
}

fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default() + "\n"
}

/// Type and properties of the activity that does the same.
fn activity(step: &Step) -> Option<(&'static str, Value)> {
    let seconds =
        step.config.as_str().and_then(|text| text.strip_prefix("sleep ")?.trim().parse::<u64>().ok());
    match (step.kind.as_str(), seconds) {
        ("run", Some(seconds)) => Some(("Wait", json!({"waitTimeInSeconds": seconds}))),
        ("pipeline", _) => {
            let name = step.config.as_str()?;
            let parameters: Fields<String, Value> =
                step.inputs.iter().map(|(name, value)| (name.clone(), adf_value(value))).collect();
            let reference = json!({"referenceName": name, "type": "PipelineReference"});
            Some((
                "ExecutePipeline",
                json!({"pipeline": reference, "waitOnCompletion": true, "parameters": parameters}),
            ))
        }
        _ => None,
    }
}

/// `${{ inputs.x }}` in Data Factory's words.
fn adf_value(value: &Value) -> Value {
    let inner = value.as_str().and_then(|text| text.strip_prefix("${{")?.strip_suffix("}}")).map(str::trim);
    match inner.and_then(|inner| inner.strip_prefix("inputs.")) {
        Some(name) => json!({"value": format!("@pipeline().parameters.{name}"), "type": "Expression"}),
        None => value.clone(),
    }
}

fn depends_on(step: &Step) -> Value {
    let condition = match step.condition.as_deref() {
        Some("failed()") => "Failed",
        Some("always()") => "Completed",
        _ => "Succeeded",
    };
    step.needs
        .iter()
        .map(|need| json!({"activity": need.as_str(), "dependencyConditions": [condition]}))
        .collect()
}

fn policy(step: &Step) -> Value {
    let mut policy =
        json!({"retry": step.retry.max, "retryIntervalInSeconds": (step.retry.delay_ms / 1_000).max(30)});
    if let Some(timeout) = step.timeout_ms {
        let seconds = timeout / 1_000;
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        policy["timeout"] =
            json!(format!("{days}.{:02}:{:02}:{:02}", rest / 3_600, rest % 3_600 / 60, rest % 60));
    }
    policy
}

/// A cron expression of whole lists as a recurrence.
fn recurrence(cron: &str, zone: Option<&str>) -> Option<Value> {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let [minute, hour, day, "*", weekday] = fields.as_slice() else { return None };
    let numbers =
        |field: &str| field.split(',').map(|part| part.parse::<u32>().ok()).collect::<Option<Vec<_>>>();
    let mut made =
        json!({"interval": 1, "startTime": "2026-01-01T00:00:00", "timeZone": zone.unwrap_or("UTC")});
    if let Some(every) = minute.strip_prefix("*/").and_then(|text| text.parse::<u32>().ok()) {
        (*hour == "*" && *day == "*" && *weekday == "*").then_some(())?;
        made["frequency"] = json!("Minute");
        made["interval"] = json!(every);
        return Some(made);
    }
    made["schedule"] = json!({"minutes": numbers(minute)?, "hours": numbers(hour)?});
    match (*day, *weekday) {
        ("*", "*") => made["frequency"] = json!("Day"),
        ("*", days) => {
            const DAYS: [&str; 7] =
                ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
            let named = |day: &str| {
                DAYS.iter()
                    .find(|name| day.len() == 3 && name.starts_with(&day.to_ascii_lowercase()))
                    .copied()
            };
            let range = days.split_once('-').and_then(|(from, to)| {
                let at = |day: &str| DAYS.iter().position(|name| named(day) == Some(name));
                Some(DAYS.get(at(from)?..=at(to)?)?.to_vec())
            });
            let listed = || days.split(',').map(|day| named(day)).collect::<Option<Vec<_>>>();
            made["frequency"] = json!("Week");
            made["schedule"]["weekDays"] = json!(range.or_else(listed)?);
        }
        (days, "*") => {
            made["frequency"] = json!("Month");
            made["schedule"]["monthDays"] = json!(numbers(days)?);
        }
        _ => return None,
    }
    Some(made)
}
