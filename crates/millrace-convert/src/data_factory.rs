//! Azure Data Factory: pipelines and triggers as JSON, one resource a file or an ARM template.

mod activities;
mod expression;
mod triggers;

use indexmap::IndexMap;
use millrace_spec::problem::Problem;
use millrace_spec::yaml::{self, Node, NodeValue};
use serde_json::{Value, json};

use crate::names::{Names, name_of};
use crate::report::Gaps;
use crate::yaml_out::Map;
use crate::{Converted, Importer, SourceFile};

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pipeline,
    Trigger,
    Dataset,
    LinkedService,
    Other,
}

/// A resource of a factory.
struct Resource {
    kind: Kind,
    name: String,
    /// Its `properties`.
    properties: Node,
}

/// Everything that a factory has, by name.
#[derive(Default)]
pub(super) struct Factory {
    pub(super) datasets: IndexMap<String, Node>,
    pub(super) services: IndexMap<String, Node>,
}

pub(crate) fn import(importer: &Importer, files: &[SourceFile]) -> Result<Converted, Box<Problem>> {
    let mut resources = Vec::new();
    for file in files {
        // JSON is YAML, and read as such it knows its places.
        let tree = yaml::parse(&file.path, &file.text)?;
        match tree.get("resources").map(|node| &node.value) {
            Some(NodeValue::List(items)) => resources.extend(items.iter().filter_map(resource)),
            _ => resources.extend(resource(&tree)),
        }
    }
    if !resources.iter().any(|resource| resource.kind == Kind::Pipeline) {
        let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let message = format!("no pipeline of Data Factory is in {}", names.join(", "));
        return Err(Box::new(Problem::error("import-format", message)));
    }
    let mut factory = Factory::default();
    for resource in &resources {
        let target = match resource.kind {
            Kind::Dataset => &mut factory.datasets,
            Kind::LinkedService => &mut factory.services,
            _ => continue,
        };
        target.insert(resource.name.clone(), resource.properties.clone());
    }
    let mut converted = Converted::default();
    for resource in resources.iter().filter(|resource| resource.kind == Kind::Pipeline) {
        let mut gaps = Gaps::default();
        let text = pipeline(importer, resource, &resources, &factory, &mut gaps);
        converted.files.push((format!("pipelines/{}.yaml", name_of(&resource.name)), text));
        converted.gaps.extend(gaps.0);
    }
    for resource in resources.iter().filter(|resource| resource.kind == Kind::Other) {
        let message = format!("`{}` is a resource that has no counterpart", resource.name);
        let problem = Problem::error("not-converted", message).as_warning();
        converted.gaps.push(problem.at(resource.properties.place.clone()));
    }
    Ok(converted)
}

fn resource(node: &Node) -> Option<Resource> {
    let properties = node.get("properties")?.clone();
    let name = last_name(node.get("name")?.as_text()?);
    let of_template = node.get("type").and_then(Node::as_text).unwrap_or_default();
    let kind = match of_template.rsplit('/').next().unwrap_or_default() {
        "pipelines" => Kind::Pipeline,
        "triggers" => Kind::Trigger,
        "datasets" => Kind::Dataset,
        "linkedServices" | "linkedservices" => Kind::LinkedService,
        _ if properties.get("activities").is_some() => Kind::Pipeline,
        _ if properties.get("linkedServiceName").is_some() => Kind::Dataset,
        _ if properties.get("pipelines").is_some() || properties.get("pipeline").is_some() => Kind::Trigger,
        "" if properties.get("typeProperties").is_some() => Kind::LinkedService,
        _ => Kind::Other,
    };
    Some(Resource { kind, name, properties })
}

/// `[concat(parameters('factoryName'), '/nightly')]` is `nightly`.
fn last_name(name: &str) -> String {
    let name = name.trim_start_matches('[').trim_end_matches(']').trim_end_matches(')');
    name.rsplit('/').next().unwrap_or(name).trim_matches('\'').to_owned()
}

fn pipeline(
    importer: &Importer,
    resource: &Resource,
    resources: &[Resource],
    factory: &Factory,
    gaps: &mut Gaps,
) -> String {
    let properties = &resource.properties;
    let mut pipeline = Map::default();
    pipeline
        .comment(&format!("from {}, the pipeline {} of Data Factory", properties.place.file, resource.name));
    pipeline.put("pipeline", name_of(&resource.name));
    if let Some(text) = properties.get("description").and_then(Node::as_text) {
        pipeline.put("description", text);
    }
    let read = [
        "activities",
        "parameters",
        "variables",
        "concurrency",
        "description",
        "annotations",
        "folder",
        "lastPublishTime",
    ];
    gaps.others(properties, &read, "the pipeline", &mut pipeline);
    let mut inputs = Map::default();
    for (key, node) in properties.get("parameters").and_then(Node::as_map).unwrap_or_default() {
        inputs.put(&name_of(&key.name), parameter(node));
    }
    pipeline.put_some("inputs", inputs);
    if let Some(limit) = properties.get("concurrency") {
        pipeline.put("concurrency", limit.to_json());
    }
    let mut triggers = Map::default();
    for trigger in resources.iter().filter(|resource| resource.kind == Kind::Trigger) {
        triggers::trigger(importer, &trigger.name, &trigger.properties, &resource.name, gaps, &mut triggers);
    }
    pipeline.put_some("triggers", triggers);
    let mut steps = activities::Steps {
        importer,
        factory,
        gaps,
        names: Names::default(),
        steps: Map::default(),
        variables: IndexMap::new(),
        branches: IndexMap::new(),
    };
    steps.all(properties);
    pipeline.put("steps", steps.steps);
    pipeline.text()
}

/// A parameter as an input.
fn parameter(node: &Node) -> Map {
    let mut input = Map::default();
    let kind = node.get("type").and_then(Node::as_text).unwrap_or("String");
    let kind = match kind.to_ascii_lowercase().as_str() {
        "int" => "integer",
        "float" => "number",
        "bool" => "boolean",
        "string" | "securestring" => "string",
        _ => "json",
    };
    input.put("type", kind);
    if let Some(default) = node.get("defaultValue") {
        let value = default.to_json();
        // The designer writes every default as text.
        let value = match (&value, kind) {
            (Value::String(text), "integer" | "number" | "boolean" | "json") => {
                serde_json::from_str(text).unwrap_or_else(|_| json!(text))
            }
            _ => value,
        };
        input.put("default", value);
    }
    input
}
