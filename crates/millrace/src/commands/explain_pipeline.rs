//! A pipeline as it will be run: defaults in place, included steps at their place, the steps of other pipelines below the step that runs them.

use std::process::ExitCode;

use anyhow::Result;
use indexmap::IndexMap;
use millrace_spec::ids::StepId;
use millrace_spec::mapping::{Mapping, Over};
use millrace_spec::pipeline::{Pipeline, Step};
use serde_json::{Value, json};

use crate::boot::Rooms;
use crate::printer::Printer;

/// Pipelines within pipelines that are shown: one that runs itself ends by a condition, which nobody can show.
const DEEPEST: usize = 6;

/// Prints the steps of a pipeline in the order in which they may begin, with what each comes after.
pub(super) fn run(rooms: &Rooms, name: &str, printer: &Printer) -> Result<ExitCode> {
    let file = rooms.workspace.find_pipeline(name)?;
    file.print_problems(&rooms.workspace, printer);
    let (false, Some(loaded)) = (file.has_errors(), file.loaded.as_ref()) else {
        return Ok(ExitCode::FAILURE);
    };
    let mut rows = Vec::new();
    add(rooms, &loaded.pipeline, "", 0, &mut rows);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    printer.list(&rows, &["STEP", "KIND", "AFTER", "FOR", "IF", "ON FAILURE"], |row| {
        let after: Vec<String> = row["after"].as_array().into_iter().flatten().map(text).collect();
        let indent =
            "  ".repeat(row["depth"].as_u64().and_then(|depth| usize::try_from(depth).ok()).unwrap_or(0));
        vec![
            format!("{indent}{}", text(&row["step"])),
            text(&row["kind"]),
            after.join(", "),
            text(&row["for"]),
            text(&row["if"]),
            text(&row["on_failure"]),
        ]
    });
    if !printer.is_json() && !loaded.pipeline.triggers.is_empty() {
        let names: Vec<&str> = loaded.pipeline.triggers.keys().map(String::as_str).collect();
        printer.note(&format!("started by {}; `millrace triggers` says when", names.join(", ")));
    }
    Ok(ExitCode::SUCCESS)
}

fn add(rooms: &Rooms, pipeline: &Pipeline, above: &str, depth: usize, rows: &mut Vec<Value>) {
    let last = pipeline.finally.keys();
    for id in in_order(&pipeline.steps).into_iter().chain(last) {
        let at_the_end = pipeline.finally.contains_key(id);
        let Some(step) = pipeline.steps.get(id).or_else(|| pipeline.finally.get(id)) else { continue };
        let needs: Vec<String> = match at_the_end {
            true => vec!["everything".to_owned()],
            false => step.needs.iter().map(ToString::to_string).collect(),
        };
        let path = format!("{above}{id}");
        rows.push(json!({
            "step": path, "kind": step.kind, "after": needs, "depth": depth,
            "for": step.mapping.as_ref().map(items), "if": step.condition, "on_failure": on_failure(step),
            "timeout_ms": step.timeout_ms, "pool": step.pool, "inputs": step.inputs, "place": step.place,
        }));
        let other = step.config.as_str().filter(|_| step.kind == "pipeline" && depth < DEEPEST);
        let other = other.and_then(|name| rooms.workspace.find_pipeline(name).ok()?.loaded);
        if let Some(other) = other {
            add(rooms, &other.pipeline, &format!("{path}."), depth + 1, rows);
        }
    }
}

/// Steps so that each comes after those that it needs; of those that could be next, the one that the file has first.
fn in_order(steps: &IndexMap<StepId, Step>) -> Vec<&StepId> {
    let mut ordered: Vec<&StepId> = Vec::with_capacity(steps.len());
    while ordered.len() < steps.len() {
        let ready = |(id, step): &(&StepId, &Step)| {
            !ordered.contains(id)
                && step.needs.iter().all(|need| ordered.contains(&need) || !steps.contains_key(need))
        };
        let Some((id, _)) = steps.iter().find(ready) else { break };
        ordered.push(id);
    }
    ordered
}

/// What a step is done for, in a few words.
fn items(mapping: &Mapping) -> String {
    let at_once = mapping.parallel.map_or_else(String::new, |parallel| format!(", {parallel} at once"));
    let what = match &mapping.over {
        Over::Foreach(Value::Array(list)) => format!("each of {}", list.len()),
        Over::Foreach(list) => format!("each of {}", list.as_str().unwrap_or_default()),
        Over::Matrix { axes, .. } => {
            format!("each {}", axes.keys().map(String::as_str).collect::<Vec<_>>().join(" and "))
        }
        Over::Sweep(sweep) => {
            let trials =
                sweep.trials.map_or_else(|| "all points".to_owned(), |trials| format!("{trials} trials"));
            format!("{trials} of {}", sweep.search.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
        }
    };
    what + &at_once
}

fn on_failure(step: &Step) -> Option<String> {
    let retries = step.retry.max;
    let timeout =
        step.timeout_ms.map(|ms| format!("ends after {}", millrace_spec::duration::Elapsed::from_ms(ms)));
    let tried = (retries > 0).then(|| format!("tried {retries}x again"));
    let parts: Vec<String> = tried.into_iter().chain(timeout).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
