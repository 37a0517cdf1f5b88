//! Azure Data Factory: pipelines and triggers as JSON, one resource a file or an ARM template.

mod activities;
mod containers;
mod copy;
mod expression;
mod flows;
mod kinds;
mod places;
mod scope;
mod translator;
mod triggers;

use std::cell::RefCell;
use std::collections::BTreeSet;

use indexmap::IndexMap;
use millrace_spec::problem::{Place, Problem};
use millrace_spec::yaml::{self, Node, NodeValue};
use serde_json::{Value, json};

use crate::data_flow::DataFlow;
use crate::names::{Names, name_of};
use crate::report::{Outcome, Report};
use crate::yaml_out::{Map, Yaml};
use crate::{Converted, Importer, SourceFile};
use scope::Scope;

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pipeline,
    Trigger,
    Dataset,
    LinkedService,
    DataFlow,
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
struct Factory {
    datasets: IndexMap<String, Node>,
    services: IndexMap<String, (Place, Node)>,
    /// Parameters of each pipeline, and whether they have a default. Those that are the window's are left out.
    parameters: IndexMap<String, IndexMap<String, bool>>,
    /// What each pipeline returns.
    returns: IndexMap<String, Vec<String>>,
    /// Pipelines that each trigger starts.
    started: IndexMap<String, Vec<String>>,
    /// Datasets that a step reads or writes.
    used: RefCell<BTreeSet<String>>,
    /// Connections that datasets need beside those of their linked services, with what is written for them, and where the dataset stands.
    connections: RefCell<IndexMap<String, (String, Place)>>,
    /// Data flows as flows.
    flows: IndexMap<String, DataFlow>,
}

impl Factory {
    /// What the pipeline returns that an activity executes.
    fn returned_by(&self, activity: &Node) -> Vec<String> {
        let pipeline = activity.get("typeProperties").and_then(|node| node.get("pipeline"));
        let name = pipeline.map(|node| text(node, "referenceName")).unwrap_or_default();
        self.returns.get(name).cloned().unwrap_or_default()
    }
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
    if !resources.iter().any(|resource| matches!(resource.kind, Kind::Pipeline | Kind::DataFlow)) {
        let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let message = format!("no pipeline and no data flow of Data Factory is in {}", names.join(", "));
        return Err(Box::new(Problem::error("import-format", message)));
    }
    let mut factory = factory(&resources);
    let mut converted = Converted::default();
    let mut report = Report::default();
    factory.flows = flows::flows(&resources, files, &mut report)?;
    converted.files.extend(factory.flows.values().map(|flow| (flow.path.clone(), flow.text.clone())));
    for resource in resources.iter().filter(|resource| resource.kind == Kind::Pipeline) {
        converted.files.extend(pipeline(importer, resource, &resources, &factory, &mut report));
    }
    surroundings(&resources, &factory, &mut report);
    converted.findings = report.0;
    Ok(converted)
}

fn factory(resources: &[Resource]) -> Factory {
    let mut factory = Factory::default();
    for resource in resources {
        let (name, properties) = (resource.name.clone(), &resource.properties);
        match resource.kind {
            Kind::Dataset => {
                factory.datasets.insert(name, properties.clone());
            }
            Kind::LinkedService => {
                factory.services.insert(name, (properties.place.clone(), properties.clone()));
            }
            Kind::Trigger => {
                let started = triggers::references(properties).into_iter().map(|(name, _)| name.to_owned());
                factory.started.insert(name, started.collect());
            }
            Kind::Pipeline => {
                let windows = triggers::window_parameters(&name, resources);
                let parameters = properties.get("parameters").and_then(Node::as_map).unwrap_or_default();
                let parameters = parameters.iter().filter(|(key, _)| !windows.contains_key(&key.name));
                let parameters =
                    parameters.map(|(key, node)| (key.name.clone(), node.get("defaultValue").is_some()));
                factory.parameters.insert(name.clone(), parameters.collect());
                let mut returned = Vec::new();
                returned_keys(list(properties.get("activities")), &mut returned);
                factory.returns.insert(name, returned);
            }
            Kind::DataFlow | Kind::Other => {}
        }
    }
    factory
}

/// Names of what `pipelineReturnValue` is set to.
fn returned_keys(activities: &[Node], keys: &mut Vec<String>) {
    for activity in activities {
        let details = activity.get("typeProperties");
        if details.is_some_and(|details| text(details, "variableName") == "pipelineReturnValue") {
            let pairs = list(details.and_then(|details| details.get("value")));
            keys.extend(pairs.iter().map(|pair| text(pair, "key").to_owned()));
        }
        for branch in activities::branches(details) {
            returned_keys(branch, keys);
        }
    }
}

/// What is about no single pipeline: places of data, and what nothing here uses.
fn surroundings(resources: &[Resource], factory: &Factory, report: &mut Report) {
    for resource in resources {
        let place = &resource.properties.place;
        let name = &resource.name;
        match resource.kind {
            Kind::Dataset if factory.used.borrow().contains(name) => {
                report.taken(
                    place,
                    format!("the dataset `{name}`"),
                    "an address in the `copy` steps that name it",
                );
            }
            Kind::Dataset => {
                let message = format!("the dataset `{name}` is named by no step here");
                report.push(Outcome::NoCounterpart, place, message, None, None);
            }
            Kind::LinkedService => linked_service(resource, report),
            Kind::Trigger => {
                let known = |started: &String| factory.parameters.contains_key(started);
                if !factory.started.get(name).is_some_and(|started| started.iter().any(known)) {
                    let message = format!("the trigger `{name}` starts no pipeline that is among the files");
                    report.push(
                        Outcome::NoCounterpart,
                        place,
                        message,
                        None,
                        Some("import that pipeline, too"),
                    );
                }
            }
            Kind::Other => {
                let message = format!("`{name}` is a resource that has no counterpart");
                report.push(Outcome::NoCounterpart, place, message, None, None);
            }
            Kind::Pipeline | Kind::DataFlow => {}
        }
    }
    for (connection, (written, place)) in factory.connections.borrow().iter() {
        let message = format!(
            "the container of a dataset is the connection `{connection}`; what opens it is not in these files"
        );
        let hint = format!("write it in `connections.yaml`: `{connection}: {{{written}}}`");
        report.push(Outcome::Changed, place, message, None, Some(&hint));
    }
}

fn linked_service(resource: &Resource, report: &mut Report) {
    let kind = text(&resource.properties, "type");
    let connection = name_of(&resource.name);
    let place = &resource.properties.place;
    let written = match kind {
        "AzurePostgreSql" | "PostgreSql" | "PostgreSqlV2" => {
            "postgres: {url: \"postgres://…\", password: \"${{ secrets.… }}\"}"
        }
        "AmazonS3" | "AmazonS3Compatible" => "s3: {bucket: …, region: …}",
        "AzureMySql" | "MySql" | "MariaDB" | "AzureMariaDB" => {
            "mysql: {url: \"mysql://…\", password: \"${{ secrets.… }}\"}"
        }
        "Sftp" => "sftp: {host: …, user: …, password: \"${{ secrets.… }}\"}",
        "AzureBlobStorage" | "AzureBlobFS" => {
            report.taken(
                place,
                format!("the linked service `{}` ({kind})", resource.name),
                "a connection for each container that a dataset names",
            );
            return;
        }
        "AzureDatabricks" => "databricks: {url: …, token: \"${{ secrets.… }}\"}",
        "HttpServer" => {
            report.taken(
                place,
                format!("the linked service `{}` ({kind})", resource.name),
                "the beginning of the addresses in `copy` steps",
            );
            return;
        }
        _ => {
            let message = format!("the linked service `{}` ({kind}) has no connector here", resource.name);
            report.push(Outcome::NoCounterpart, place, message, None, None);
            return;
        }
    };
    let message = format!(
        "the linked service `{}` ({kind}) is the connection `{connection}`; what opens it is not in these files",
        resource.name
    );
    let hint = format!("write it in `connections.yaml`: `{connection}: {{{written}}}`");
    report.push(Outcome::Changed, place, message, None, Some(&hint));
}

fn text<'n>(node: &'n Node, key: &str) -> &'n str {
    node.get(key).and_then(Node::as_text).unwrap_or_default()
}

fn list(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.value) {
        Some(NodeValue::List(items)) => items,
        _ => &[],
    }
}

/// A value, its expressions in our words; nothing if it is absent.
fn value_of(node: Option<&Node>, meaning: &dyn expression::Meaning) -> Result<Value, (String, String)> {
    let Some(node) = node else { return Ok(Value::Null) };
    // `{"value": "@…", "type": "Expression"}`
    let node = match node.get("type").and_then(Node::as_text) {
        Some("Expression") => node.get("value").unwrap_or(node),
        _ => node,
    };
    match &node.value {
        NodeValue::Text(text) => expression::value(text, meaning).map(Value::from).map_err(|found| {
            (format!("uses `{found}`, which has no counterpart"), "write the value yourself".to_owned())
        }),
        NodeValue::List(items) => items.iter().map(|item| value_of(Some(item), meaning)).collect(),
        NodeValue::Map(fields) => {
            let field = |(key, node): &(millrace_spec::yaml::Key, Node)| {
                Ok((key.name.clone(), value_of(Some(node), meaning)?))
            };
            fields.iter().map(field).collect::<Result<serde_json::Map<_, _>, _>>().map(Value::Object)
        }
        _ => Ok(node.to_json()),
    }
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
        "dataflows" | "dataFlows" => Kind::DataFlow,
        _ if matches!(text(&properties, "type"), "MappingDataFlow" | "Flowlet") => Kind::DataFlow,
        _ if properties.get("activities").is_some() => Kind::Pipeline,
        _ if properties.get("linkedServiceName").is_some() => Kind::Dataset,
        _ if properties.get("pipelines").is_some() || properties.get("pipeline").is_some() => Kind::Trigger,
        _ if text(&properties, "type").ends_with("Trigger") => Kind::Trigger,
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

/// A pipeline's file, and those of its containers.
fn pipeline(
    importer: &Importer,
    resource: &Resource,
    resources: &[Resource],
    factory: &Factory,
    report: &mut Report,
) -> Vec<(String, String)> {
    let properties = &resource.properties;
    let name = name_of(&resource.name);
    let path = format!("pipelines/{name}.yaml");
    report.taken(&properties.place, format!("the pipeline `{}`", resource.name), path.clone());
    let mut pipeline = Map::default();
    pipeline
        .comment(&format!("from {}, the pipeline {} of Data Factory", properties.place.file, resource.name));
    pipeline.put("pipeline", name.as_str());
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
        "policy",
    ];
    report.others(properties, &read, "the pipeline", &mut pipeline);
    if let Some(node) =
        properties.get("policy").filter(|node| node.as_map().is_some_and(|fields| !fields.is_empty()))
    {
        let hint = "write `deadline: {within: 2h}`";
        report.gap(&node.place, &mut pipeline, "`policy` of the pipeline has no counterpart", Some(hint));
    }
    let windows = triggers::window_parameters(&resource.name, resources);
    let has_windows = triggers::has_windows(&resource.name, resources);
    let mut scope = Scope { has_windows, ..Scope::default() };
    let inputs = parameters(properties, &windows, &mut scope, report, &mut pipeline);
    pipeline.put_some("inputs", inputs);
    if let Some(limit) = properties.get("concurrency") {
        report.taken(&limit.place, "`concurrency`", "concurrency");
        pipeline.put("concurrency", limit.to_json());
    }
    let mut made = Map::default();
    for trigger in resources.iter().filter(|resource| resource.kind == Kind::Trigger) {
        triggers::trigger(trigger, &resource.name, &windows, factory, report, &mut made);
    }
    pipeline.put_some("triggers", made);
    let mut steps = activities::Steps {
        importer,
        factory,
        report,
        pipeline: name,
        scope,
        names: Names::default(),
        steps: Map::default(),
        outputs: Map::default(),
        branches: IndexMap::new(),
        ends: IndexMap::new(),
        files: Vec::new(),
    };
    let activities = list(properties.get("activities"));
    steps.variables(properties, activities, &mut pipeline);
    steps.all(activities);
    pipeline.put_some("outputs", steps.outputs);
    let nothing = || {
        let mut step = Map::default();
        step.put("run", "true");
        let mut steps = Map::default();
        steps.comment("there are no activities");
        steps.put("nothing", step);
        steps
    };
    pipeline.put("steps", if steps.steps.has_fields() { steps.steps } else { nothing() });
    let mut files = vec![(path, pipeline.text())];
    files.extend(steps.files);
    files
}

/// Parameters as inputs; those that get an edge of the window are known without.
fn parameters(
    properties: &Node,
    windows: &IndexMap<String, String>,
    scope: &mut Scope<'_>,
    report: &mut Report,
    pipeline: &mut Map,
) -> Map {
    let mut inputs = Map::default();
    let mut names = Names::default();
    for (key, node) in properties.get("parameters").and_then(Node::as_map).unwrap_or_default() {
        if let Some(window) = windows.get(&key.name) {
            let message = format!("the parameter `{}` is `{window}` here, for runs of windows", key.name);
            let hint =
                "a run that is started by hand takes the last complete window, or the one of `--window`";
            report.changed(&key.place, pipeline, &message, Some(hint));
            scope.parameters.insert(key.name.clone(), window.clone());
            continue;
        }
        let input = names.give(&key.name);
        report.taken(&key.place, format!("the parameter `{}`", key.name), format!("inputs.{input}"));
        scope.parameters.insert(key.name.clone(), format!("inputs.{input}"));
        inputs.put(&input, parameter(node));
    }
    inputs
}

/// A parameter as an input.
fn parameter(node: &Node) -> Yaml {
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
    input.into()
}
