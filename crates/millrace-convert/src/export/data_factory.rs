use millrace_spec::pipeline::{InputSpec, Pipeline};
use millrace_spec::triggers::Trigger;
use serde_json::{Map as Fields, Value, json};

use super::activity::Activities;
use super::conditions::is_guarded;
use super::{triggers, unsaid};
use crate::Converted;
use crate::report::Report;

pub(crate) fn pipeline(pipeline: &Pipeline) -> Converted {
    let mut report = Report::default();
    let guarded =
        pipeline.steps.values().filter(|step| is_guarded(step)).map(|step| step.id.to_string()).collect();
    let mut activities =
        Activities { pipeline, report: &mut report, guarded, datasets: Vec::new(), names_window: false };
    let made = activities.all();
    let (datasets, names_window) = (activities.datasets, activities.names_window);
    let mut parameters: Fields<String, Value> = pipeline.inputs.iter().map(parameter).collect();
    if names_window {
        // A step there does not know the window; the trigger passes its edges.
        for name in ["windowStart", "windowEnd"] {
            parameters.insert(name.to_owned(), json!({"type": "string"}));
        }
    }
    let mut properties = json!({"activities": made});
    if let Some(text) = &pipeline.description {
        properties["description"] = text.as_str().into();
    }
    if !parameters.is_empty() {
        properties["parameters"] = Value::Object(parameters);
    }
    let is_variable = |step: &&millrace_spec::pipeline::Step| {
        step.kind == "set"
            && step.config.as_object().is_some_and(|fields| fields.len() == 1 && fields.contains_key("value"))
    };
    let variables: Fields<String, Value> = pipeline
        .steps
        .values()
        .filter(is_variable)
        .map(|step| (step.id.to_string(), json!({"type": variable_type(step.config.get("value"))})))
        .collect();
    if !variables.is_empty() {
        properties["variables"] = Value::Object(variables);
    }
    if let Some(concurrency) = &pipeline.concurrency {
        properties["concurrency"] = concurrency.limit.into();
        if concurrency.key.is_some() {
            let message = "the key of `concurrency` has no counterpart: the limit is for all runs".to_owned();
            super::gap_of_file(&mut report, pipeline, message, None);
        }
    }
    let name = pipeline.name.as_str();
    report.taken(&super::start(pipeline), format!("the pipeline `{name}`"), format!("pipeline/{name}.json"));
    let mut files =
        vec![(format!("pipeline/{name}.json"), pretty(&json!({"name": name, "properties": properties})))];
    for dataset in datasets {
        let dataset_name = dataset.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        files.push((format!("dataset/{dataset_name}.json"), pretty(&dataset)));
    }
    for (key, trigger) in &pipeline.triggers {
        match triggers::trigger(pipeline, key, trigger, names_window) {
            Ok(made) => {
                report.taken(
                    &super::start(pipeline),
                    format!("the trigger `{key}` ({})", trigger.word()),
                    format!("trigger/{key}.json"),
                );
                files.push((format!("trigger/{key}.json"), pretty(&made)));
                if matches!(trigger, Trigger::Event(_)) {
                    let message = format!(
                        "the storage account or topic of the trigger `{key}` is not known here: fill in its `scope`"
                    );
                    super::gap_of_file(&mut report, pipeline, message, None);
                }
            }
            Err(why) => super::gap_of_file(&mut report, pipeline, format!("the trigger `{key}` {why}"), None),
        }
    }
    unsaid(pipeline, &mut report);
    Converted { files, findings: report.0 }
}

fn parameter((name, input): (&String, &InputSpec)) -> (String, Value) {
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
}

fn variable_type(value: Option<&Value>) -> &'static str {
    match value {
        Some(Value::Bool(_)) => "Boolean",
        Some(Value::Array(_)) => "Array",
        Some(Value::Number(_)) => "Integer",
        _ => "String",
    }
}

fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default() + "\n"
}
