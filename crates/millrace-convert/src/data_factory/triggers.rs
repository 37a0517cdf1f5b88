use indexmap::IndexMap;
use millrace_spec::yaml::{Node, NodeValue};
use serde_json::{Value, json};

use super::scope::Scope;
use super::{Factory, Kind, Resource, expression, list, text};
use crate::names::name_of;
use crate::recurrence::{self, boundary};
use crate::report::Report;
use crate::yaml_out::{Map, Yaml};

/// Where an event of Event Grid says which blob it is about.
const BLOBS: &str = "/blobServices/default/containers/";

/// The pipelines that a trigger starts, each with what it passes.
pub(super) fn references(properties: &Node) -> Vec<(&str, &Node)> {
    let one = |node| -> Option<(&str, &Node)> {
        let node: &Node = node;
        Some((node.get("pipelineReference")?.get("referenceName")?.as_text()?, node))
    };
    match properties.get("pipelines").map(|node| &node.value) {
        Some(NodeValue::List(items)) => items.iter().filter_map(one).collect(),
        _ => properties.get("pipeline").and_then(one).into_iter().collect(),
    }
}

fn starts<'n>(resource: &'n Resource, pipeline: &str) -> Option<&'n Node> {
    let found = references(&resource.properties).into_iter().find(|(name, _)| *name == pipeline);
    found.filter(|_| resource.kind == Kind::Trigger).map(|(_, node)| node)
}

pub(super) fn has_windows(pipeline: &str, resources: &[Resource]) -> bool {
    let is_window = |resource: &&Resource| text(&resource.properties, "type") == "TumblingWindowTrigger";
    resources.iter().filter(is_window).any(|resource| starts(resource, pipeline).is_some())
}

/// Parameters that get nothing but an edge of the window, with our expression for it: they are no inputs here, where every step knows the window.
pub(super) fn window_parameters(pipeline: &str, resources: &[Resource]) -> IndexMap<String, String> {
    let scope = Scope { has_windows: true, ..Scope::default() };
    let mut found: IndexMap<String, Option<String>> = IndexMap::new();
    for resource in resources {
        let Some(reference) = starts(resource, pipeline) else { continue };
        for (key, node) in reference.get("parameters").and_then(Node::as_map).unwrap_or_default() {
            let node = node.get("value").unwrap_or(node);
            let text = node.as_text().filter(|text| text.starts_with('@'));
            let made = text.and_then(|text| expression::condition(text, &scope).ok());
            let same = found.get(&key.name).is_none_or(|earlier| *earlier == made);
            found.insert(key.name.clone(), made.filter(|made| same && made.contains("window.")));
        }
    }
    let executed = |name: &String| {
        let pipelines = resources.iter().filter(|resource| resource.kind == Kind::Pipeline);
        pipelines.into_iter().any(|resource| passes(&resource.properties, pipeline, name))
    };
    let only = found.into_iter().filter_map(|(name, made)| Some((name, made?)));
    only.filter(|(name, _)| !executed(name)).collect()
}

/// Whether an activity below a node executes a pipeline with a parameter.
fn passes(node: &Node, pipeline: &str, parameter: &str) -> bool {
    match &node.value {
        NodeValue::Map(fields) => {
            let is_it = node.get("pipeline").map(|node| text(node, "referenceName")) == Some(pipeline);
            is_it && node.get("parameters").and_then(|node| node.get(parameter)).is_some()
                || fields.iter().any(|(_, node)| passes(node, pipeline, parameter))
        }
        NodeValue::List(items) => items.iter().any(|item| passes(item, pipeline, parameter)),
        _ => false,
    }
}

/// A trigger, if it starts this pipeline.
pub(super) fn trigger(
    resource: &Resource,
    pipeline: &str,
    windows: &IndexMap<String, String>,
    factory: &Factory,
    report: &mut Report,
    triggers: &mut Map,
) {
    let (name, properties) = (&resource.name, &resource.properties);
    let Some(reference) = starts(resource, pipeline) else { return };
    let kind = text(properties, "type");
    let made = match kind {
        "ScheduleTrigger" => properties
            .get("typeProperties")
            .and_then(|node| recurrence::trigger(name, node.get("recurrence")?, report, triggers)),
        "TumblingWindowTrigger" => window(name, properties, factory, report, triggers),
        "BlobEventsTrigger" => Some(blob(name, properties, report)),
        "CustomEventsTrigger" => Some(custom(name, properties, report)),
        other => {
            let message = format!("the trigger `{name}` is a `{other}`, which has no counterpart");
            let hint = "let the event call `POST /api/pipelines/NAME/runs`";
            report.gap(&properties.place, triggers, &message, Some(hint));
            None
        }
    };
    let Some(mut trigger) = made else { return };
    let here = name_of(name);
    report.taken(&properties.place, format!("the trigger `{name}` ({kind})"), format!("triggers.{here}"));
    if let Some(node) = properties.get("runtimeState").filter(|node| node.as_text() == Some("Stopped")) {
        let message =
            format!("the trigger `{name}` was stopped; here it starts runs when a server has the file");
        let hint = format!("millrace triggers pause {} {here}", name_of(pipeline));
        report.changed(&node.place, &mut trigger, &message, Some(&hint));
    }
    inputs(name, reference, windows, report, &mut trigger);
    triggers.put(&here, trigger);
}

/// What it passes.
fn inputs(
    name: &str,
    reference: &Node,
    windows: &IndexMap<String, String>,
    report: &mut Report,
    trigger: &mut Map,
) {
    let mut inputs = Map::default();
    for (key, node) in reference.get("parameters").and_then(Node::as_map).unwrap_or_default() {
        let value = node.get("value").unwrap_or(node);
        match value.as_text().filter(|text| text.starts_with('@')) {
            None => inputs.put(&name_of(&key.name), value.to_json()),
            Some(_) if windows.contains_key(&key.name) => {}
            Some(text) => match of_event(text) {
                Some(ours) => inputs.put(&name_of(&key.name), ours),
                None => {
                    let message =
                        format!("`{text}` for `{}` of the trigger `{name}` has no counterpart", key.name);
                    let hint = "name `window.start` and `window.end` in the steps themselves, or give the input a default";
                    report.gap(&node.place, trigger, &message, Some(hint));
                }
            },
        }
    }
    trigger.put_some("inputs", inputs);
}

/// What `@triggerBody()` says of a blob, from the subject of the event.
fn of_event(text: &str) -> Option<&'static str> {
    match text.trim_start_matches('@').trim_matches(['{', '}']) {
        "triggerBody().fileName" => Some("${{ event.subject | split('/') | list | last }}"),
        "triggerBody().folderPath" => Some(
            "${{ ((event.subject | replace('/blobServices/default/containers/', '') | replace('/blobs/', '/') | split('/') | list)[:-1]) | join('/') }}",
        ),
        _ => None,
    }
}

/// A tumbling window as one here.
fn window(
    name: &str,
    properties: &Node,
    factory: &Factory,
    report: &mut Report,
    triggers: &mut Map,
) -> Option<Map> {
    let details = properties.get("typeProperties")?;
    let field = |key: &str| details.get(key).and_then(Node::as_text);
    let interval = details.get("interval").map(Node::to_json).and_then(|value| value.as_u64()).unwrap_or(1);
    let unit = match field("frequency").unwrap_or_default().to_ascii_lowercase().as_str() {
        "minute" => "m",
        "hour" => "h",
        "month" => "mo",
        other => {
            let message = format!("the trigger `{name}` has windows of `{other}`, which are not known here");
            report.gap(&details.place, triggers, &message, None);
            return None;
        }
    };
    let mut trigger = Map::default();
    trigger.put("window", format!("{interval}{unit}"));
    for (theirs, ours) in [("startTime", "from"), ("endTime", "until")] {
        if let Some(time) = field(theirs).filter(|text| !text.is_empty()) {
            trigger.put(ours, boundary(time));
        }
    }
    trigger.put("timezone", "UTC");
    if let Some(delay) = field("delay").and_then(super::activities::timespan).filter(|delay| delay != "0s") {
        trigger.put("delay", delay);
    }
    if let Some(parallel) = details.get("maxConcurrency") {
        trigger.put("parallel", parallel.to_json());
    }
    if let Some(policy) = details.get("retryPolicy") {
        let number = |key: &str| policy.get(key).map(Node::to_json).and_then(|value| value.as_u64());
        if let Some(max) = number("count").filter(|count| *count > 0) {
            let seconds = number("intervalInSeconds").unwrap_or(30);
            trigger.put("retry", Yaml::from(json!({"max": max, "delay": format!("{seconds}s")})));
        }
    }
    let after: Vec<Value> = list(details.get("dependsOn"))
        .iter()
        .filter_map(|node| dependency(name, node, factory, report, &mut trigger))
        .collect();
    if !after.is_empty() {
        trigger.put("after", Value::Array(after));
    }
    let read = [
        "frequency",
        "interval",
        "startTime",
        "endTime",
        "delay",
        "maxConcurrency",
        "retryPolicy",
        "dependsOn",
    ];
    report.others(details, &read, &format!("the trigger `{name}`"), &mut trigger);
    Some(trigger)
}

/// A window that must have succeeded first.
fn dependency(
    name: &str,
    node: &Node,
    factory: &Factory,
    report: &mut Report,
    trigger: &mut Map,
) -> Option<Value> {
    let span = |key: &str| node.get(key).and_then(Node::as_text).and_then(super::activities::timespan);
    let mut made = serde_json::Map::new();
    if text(node, "type") == "SelfDependencyTumblingWindowTriggerReference" {
        made.insert("self".to_owned(), span("offset")?.into());
    } else {
        let theirs = node.get("referenceTrigger").map(|node| text(node, "referenceName")).unwrap_or_default();
        let Some(pipeline) = factory.started.get(theirs).and_then(|started| started.first()) else {
            let message =
                format!("the trigger `{name}` waits for windows of `{theirs}`, which is not among the files");
            let hint = "import it too, or write `after: [{pipeline: NAME}]`";
            report.gap(&node.place, trigger, &message, Some(hint));
            return None;
        };
        made.insert("pipeline".to_owned(), name_of(pipeline).into());
        made.insert("trigger".to_owned(), name_of(theirs).into());
        if let Some(offset) = span("offset").filter(|offset| offset != "0s") {
            made.insert("offset".to_owned(), offset.into());
        }
    }
    if let Some(size) = span("size") {
        made.insert("size".to_owned(), size.into());
    }
    report.taken(&node.place, format!("a window that `{name}` waits for"), "after");
    Some(Value::Object(made))
}

/// Blobs of Azure are not watched here, but Event Grid can tell of them.
fn blob(name: &str, properties: &Node, report: &mut Report) -> Map {
    let nothing = Node { value: NodeValue::Map(Vec::new()), place: properties.place.clone() };
    let details = properties.get("typeProperties").unwrap_or(&nothing);
    let mut trigger = hook(name, details, report);
    let mut conditions = Vec::new();
    let quoted = |text: &str| super::scope::literal(&text.into()).unwrap_or_default();
    if let Some(path) = details.get("blobPathBeginsWith").and_then(Node::as_text) {
        let subject = format!("{BLOBS}{}", path.trim_start_matches('/'));
        conditions.push(format!("event.subject is startingwith {}", quoted(&subject)));
    }
    if let Some(path) = details.get("blobPathEndsWith").and_then(Node::as_text) {
        conditions.push(format!("event.subject is endingwith {}", quoted(path)));
    }
    if details.get("ignoreEmptyBlobs").is_some_and(|node| node.value == NodeValue::Bool(true)) {
        conditions.push("event.data.contentLength > 0".to_owned());
    }
    if !conditions.is_empty() {
        trigger.put("if", conditions.join(" and "));
    }
    let read = ["blobPathBeginsWith", "blobPathEndsWith", "ignoreEmptyBlobs", "events", "scope"];
    report.others(details, &read, &format!("the trigger `{name}`"), &mut trigger);
    trigger
}

/// Events of a topic.
fn custom(name: &str, properties: &Node, report: &mut Report) -> Map {
    let nothing = Node { value: NodeValue::Map(Vec::new()), place: properties.place.clone() };
    let details = properties.get("typeProperties").unwrap_or(&nothing);
    let mut trigger = hook(name, details, report);
    let quoted = |text: &str| super::scope::literal(&text.into()).unwrap_or_default();
    let tests = [("subjectBeginsWith", "startingwith"), ("subjectEndsWith", "endingwith")];
    let conditions = tests.into_iter().filter_map(|(key, test)| {
        let text = details.get(key).and_then(Node::as_text).filter(|text| !text.is_empty())?;
        Some(format!("event.subject is {test} {}", quoted(text)))
    });
    let conditions: Vec<String> = conditions.collect();
    if !conditions.is_empty() {
        trigger.put("if", conditions.join(" and "));
    }
    let read = ["subjectBeginsWith", "subjectEndsWith", "events", "scope"];
    report.others(details, &read, &format!("the trigger `{name}`"), &mut trigger);
    trigger
}

/// A request of Event Grid as a CloudEvent.
fn hook(name: &str, details: &Node, report: &mut Report) -> Map {
    let mut trigger = Map::default();
    let message = format!("the trigger `{name}` hears of its events by requests of Event Grid");
    let hint = "make a subscription with the schema CloudEvents 1.0 to `POST /hooks/PIPELINE/TRIGGER` of the server; for files in a bucket write `blob: s3://…` instead";
    report.changed(&details.place, &mut trigger, &message, Some(hint));
    trigger.put("webhook", "cloudevents");
    let events: Vec<Value> = list(details.get("events")).iter().map(Node::to_json).collect();
    if !events.is_empty() {
        trigger.put("events", Value::Array(events));
    }
    trigger
}
