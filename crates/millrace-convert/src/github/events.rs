//! `on:` as inputs and triggers.

use millrace_spec::yaml::{Node, NodeValue};
use serde_json::{Value, json};

use super::{Workflows, expression};
use crate::Importer;
use crate::names::{Names, name_of};
use crate::report::Report;
use crate::yaml_out::{Map, Yaml};

pub(super) fn events(
    importer: &Importer,
    tree: &Node,
    workflows: &Workflows,
    report: &mut Report,
) -> (Map, Map) {
    let (mut inputs, mut triggers) = (Map::default(), Map::default());
    let Some(on) = tree.get("on") else { return (inputs, triggers) };
    let nothing = |place| Node { value: NodeValue::Null, place };
    let events: Vec<(String, Node)> = match &on.value {
        NodeValue::Text(event) => vec![(event.clone(), nothing(on.place.clone()))],
        NodeValue::List(events) => events
            .iter()
            .filter_map(|event| Some((event.as_text()?.to_owned(), nothing(event.place.clone()))))
            .collect(),
        // What a bare key has is empty; the key is where it stands.
        _ => on
            .as_map()
            .unwrap_or_default()
            .iter()
            .map(|(key, node)| match node.value {
                NodeValue::Null => (key.name.clone(), nothing(key.place.clone())),
                _ => (key.name.clone(), Node { value: node.value.clone(), place: key.place.clone() }),
            })
            .collect(),
    };
    let mut names = Names::default();
    for (event, node) in &events {
        match event.as_str() {
            "schedule" => schedules(node, report, &mut triggers),
            "workflow_dispatch" | "workflow_call" => {
                report.taken(
                    &node.place,
                    format!("the event `{event}`"),
                    "a run that a person, or another pipeline, starts",
                );
                for (key, input) in node.get("inputs").and_then(Node::as_map).unwrap_or_default() {
                    let name = names.give(&key.name);
                    if !inputs.has(&name) {
                        inputs.put(&name, dispatch_input(input));
                        report.taken(
                            &key.place,
                            format!("the input `{}`", key.name),
                            format!("inputs.{name}"),
                        );
                    }
                }
                report.others(node, &["inputs", "secrets"], &format!("`{event}`"), &mut triggers);
            }
            "push" => pushes(node, report, &mut triggers),
            "pull_request" => {
                let known = ["branches", "paths", "paths-ignore", "types"];
                git("pull_request", &["pull_request"], node, &known, report, &mut triggers);
            }
            "workflow_run" => workflow_run(importer, node, workflows, report, &mut triggers),
            other => hook(other, node, report, &mut triggers),
        }
    }
    (inputs, triggers)
}

/// Each cron line; GitHub's are in UTC unless they name a zone.
fn schedules(node: &Node, report: &mut Report, triggers: &mut Map) {
    let NodeValue::List(items) = &node.value else { return };
    for (index, item) in items.iter().enumerate() {
        let Some(cron) = item.get("cron").and_then(Node::as_text) else { continue };
        let zone = item.get("timezone").and_then(Node::as_text).unwrap_or("UTC");
        let name = if index == 0 { "schedule".to_owned() } else { format!("schedule_{}", index + 1) };
        report.taken(&item.place, format!("the schedule `{cron}`"), format!("triggers.{name}"));
        let mut trigger = Map::default();
        trigger.put("cron", cron);
        trigger.put("timezone", zone);
        report.others(item, &["cron", "timezone"], "a schedule", &mut trigger);
        triggers.put(&name, trigger);
    }
}

/// Branches and tags are events of their own here.
fn pushes(node: &Node, report: &mut Report, triggers: &mut Map) {
    let known = ["branches", "paths", "paths-ignore", "tags"];
    let has = |key: &str| node.get(key).is_some();
    let events: &[&str] = match (has("tags"), has("branches") || has("paths") || has("paths-ignore")) {
        (true, false) => &["tag"],
        // A push without filters is one of a tag, too.
        (true, true) => &["push", "tag"],
        (false, true) => &["push"],
        (false, false) => &["push", "tag"],
    };
    git("push", events, node, &known, report, triggers);
}

fn git(name: &str, events: &[&str], node: &Node, known: &[&str], report: &mut Report, triggers: &mut Map) {
    let mut trigger = Map::default();
    trigger.put("git", "origin");
    trigger.put("events", json!(events));
    for list in ["branches", "tags"] {
        if let Some(values) = node.get(list) {
            trigger.put(list, Value::Array(as_list(values)));
        }
    }
    let mut paths: Vec<Value> = node.get("paths").map(as_list).unwrap_or_default();
    let ignored: Vec<Value> = node.get("paths-ignore").map(as_list).unwrap_or_default();
    paths.extend(ignored.iter().filter_map(Value::as_str).map(|glob| json!(format!("!{glob}"))));
    if !paths.is_empty() {
        trigger.put("paths", Value::Array(paths));
    }
    if let Some(types) = node.get("types") {
        let usual = ["opened", "synchronize", "reopened"];
        if as_list(types).iter().any(|word| !word.as_str().is_some_and(|word| usual.contains(&word))) {
            let message = format!("`types` of `{name}`: here it is an opened one and each with new commits");
            report.changed(
                &types.place,
                &mut trigger,
                &message,
                Some("for other actions use `webhook: github` with `events:`"),
            );
        }
    }
    report.others(node, known, &format!("`{name}`"), &mut trigger);
    report.taken(&node.place, format!("the event `{name}`"), format!("triggers.{name}"));
    triggers.put(name, trigger);
}

fn as_list(node: &Node) -> Vec<Value> {
    match node.to_json() {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// The end of other workflows that are pipelines here.
fn workflow_run(
    importer: &Importer,
    node: &Node,
    workflows: &Workflows,
    report: &mut Report,
    triggers: &mut Map,
) {
    for title in node.get("workflows").map(as_list).unwrap_or_default().iter().filter_map(Value::as_str) {
        let here = workflows.iter().find(|(_, known, _)| known == title).map(|(.., name)| name.clone());
        let here = here.or_else(|| Some(name_of(title)).filter(|name| importer.has_pipeline(name)));
        let Some(name) = here else {
            let message = format!("the workflow `{title}`, whose end starts this one, is no pipeline here");
            report.gap(&node.place, triggers, &message, Some("import its file together with this one"));
            continue;
        };
        let trigger = format!("after_{name}");
        report.taken(
            &node.place,
            format!("the end of the workflow `{title}`"),
            format!("triggers.{trigger}"),
        );
        triggers.put(
            &trigger,
            Yaml::from(json!({"pipeline": name, "states": ["succeeded", "failed", "cancelled"]})),
        );
    }
    report.others(node, &["workflows", "types"], "`workflow_run`", triggers);
}

/// Everything else that GitHub tells of comes as a request.
fn hook(event: &str, node: &Node, report: &mut Report, triggers: &mut Map) {
    let types = node.get("types").map(as_list).unwrap_or_default();
    let events: Vec<Value> = match types.as_slice() {
        [] => vec![json!(event)],
        types => {
            types.iter().filter_map(Value::as_str).map(|word| json!(format!("{event}.{word}"))).collect()
        }
    };
    let mut trigger = Map::default();
    let message = format!("the event `{event}` comes as a request of GitHub");
    let hint = "make a webhook of the repository to `POST /hooks/PIPELINE/TRIGGER` of the server, and name its secret: `secret: NAME`";
    report.changed(&node.place, &mut trigger, &message, Some(hint));
    trigger.put("webhook", "github");
    trigger.put("events", Value::Array(events));
    report.others(node, &["types"], &format!("`{event}`"), &mut trigger);
    triggers.put(&name_of(event), trigger);
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
        // Of a choice, the first is taken.
        (None, false, "choice") => {
            made.put(
                "default",
                input.get("options").map(as_list).and_then(|all| all.first().cloned()).unwrap_or_default(),
            );
        }
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

/// One run at a time for each value of the group.
pub(super) fn concurrency(node: &Node, report: &mut Report, pipeline: &mut Map) {
    let group = node.as_text().or_else(|| node.get("group")?.as_text()).unwrap_or_default();
    let mut made = Map::default();
    let inputs_only = |text: &String| {
        !text.contains("${{ secrets") && !text.contains("${{ matrix") && !text.contains("${{ run")
    };
    match expression(group).ok().filter(inputs_only) {
        Some(key) if key.contains("${{") => made.put("key", key),
        Some(_) => {}
        None => {
            let message =
                format!("the group `{group}` names what a run here does not know: at most one run goes on");
            report.changed(&node.place, &mut made, &message, Some("write `key:` over the inputs"));
        }
    }
    made.put("limit", json!(1));
    if node.get("cancel-in-progress").is_some_and(|node| node.value == NodeValue::Bool(true)) {
        made.put("on_limit", "cancel_running");
    }
    report.taken(&node.place, "`concurrency`", "concurrency");
    pipeline.put("concurrency", made);
}
