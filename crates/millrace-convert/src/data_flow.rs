//! Mapping data flows of Data Factory as flows: their script read, each transformation a node, each expression SQL.
//!
//! Owns: what a script means here. Where its data lies, and who runs it, `data_factory` says.

mod aggregates;
mod conversions;
mod expression;
mod formats;
mod functions;
mod nodes;
mod operators;
mod patterns;
mod places;
mod script;
mod stream;

use std::rc::Rc;

use indexmap::IndexMap;
use millrace_spec::problem::{Place, Problem};
use millrace_spec::yaml::{Node, NodeValue};
use serde_json::{Value, json};

use crate::names::{Names, name_of};
use crate::report::Report;
use crate::yaml_out::Map;
use nodes::Builder;
pub(crate) use nodes::{SinkUse, SourceUse};
use places::ScriptText;
use script::{Expr, Kind, Parameter, Type};

/// A data flow, or a flowlet.
pub(crate) struct Resource<'a> {
    pub(crate) name: &'a str,
    /// Its `properties`.
    pub(crate) properties: &'a Node,
    /// The text of the file that it stands in.
    pub(crate) file: &'a str,
}

/// A data flow as a flow.
#[derive(Debug, Clone)]
pub(crate) struct DataFlow {
    /// Path of the flow's file.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) sources: Vec<SourceUse>,
    pub(crate) sinks: Vec<SinkUse>,
    /// Its parameters: name there, name here.
    pub(crate) parameters: IndexMap<String, String>,
    /// Datasets of its sources and sinks, by their streams.
    pub(crate) datasets: IndexMap<String, String>,
}

/// The file of a data flow's flow.
pub(crate) fn path_of(name: &str) -> String {
    format!("flows/{}.yaml", name_of(name))
}

/// A flow of a data flow. `flowlets` are the names of those among the files.
///
/// # Errors
/// If its script is none.
pub(crate) fn convert(
    resource: &Resource<'_>,
    flowlets: &[String],
    report: &mut Report,
) -> Result<DataFlow, Box<Problem>> {
    let place = &resource.properties.place;
    let nothing = Node { value: NodeValue::Map(Vec::new()), place: place.clone() };
    let details = resource.properties.get("typeProperties").unwrap_or(&nothing);
    let Some(text) = ScriptText::of(details, resource.file) else {
        let message = format!("the data flow `{}` has no script", resource.name);
        return Err(Box::new(Problem::error("data-flow-script", message).at(place.clone())));
    };
    let script = script::parse(&text.text).map_err(|error| {
        let message =
            format!("the script of the data flow `{}` cannot be read: {}", resource.name, error.message);
        Box::new(Problem::error("data-flow-script", message).at(text.place(error.span)))
    })?;
    let path = path_of(resource.name);
    report.taken(place, format!("the data flow `{}`", resource.name), path.clone());
    let mut flow = Map::default();
    flow.comment(&format!("from {}, the data flow {} of Data Factory", place.file, resource.name));
    flow.put("flow", name_of(resource.name));
    if let Some(description) = resource.properties.get("description").and_then(Node::as_text) {
        flow.put("description", description);
    }
    let (parameters, declared) = parameters(&script.parameters, &text, report, &mut flow);
    flow.put_some("parameters", declared);
    let mut builder = Builder {
        text: &text,
        report,
        flowlets: flowlets_of(details, flowlets),
        parameters: Rc::new(parameters.clone()),
        names: Names::default(),
        output_names: Names::default(),
        nodes: Map::default(),
        streams: IndexMap::new(),
        sources: Vec::new(),
        sinks: Vec::new(),
        outputs: Map::default(),
    };
    builder.script(&script);
    flow.put("nodes", builder.nodes);
    flow.put_some("output", builder.outputs);
    Ok(DataFlow {
        path,
        text: flow.text(),
        sources: builder.sources,
        sinks: builder.sinks,
        parameters: parameters.into_iter().map(|(theirs, (ours, _))| (theirs, ours)).collect(),
        datasets: datasets(details),
    })
}

/// The dataset that each source and each sink names.
fn datasets(details: &Node) -> IndexMap<String, String> {
    let mut found = IndexMap::new();
    for side in ["sources", "sinks"] {
        let Some(NodeValue::List(items)) = details.get(side).map(|node| &node.value) else { continue };
        for item in items {
            let dataset =
                item.get("dataset").and_then(|node| node.get("referenceName")).and_then(Node::as_text);
            if let (Some(name), Some(dataset)) = (item.get("name").and_then(Node::as_text), dataset) {
                found.insert(name.to_owned(), dataset.to_owned());
            }
        }
    }
    found
}

/// Flowlets by the names of the transformations that use them: the file here, and the values of their parameters as they stand there.
fn flowlets_of(details: &Node, known: &[String]) -> IndexMap<String, (String, IndexMap<String, String>)> {
    let mut found = IndexMap::new();
    let Some(NodeValue::List(items)) = details.get("transformations").map(|node| &node.value) else {
        return found;
    };
    for item in items {
        let Some(flowlet) = item.get("flowlet") else { continue };
        let name = flowlet.get("referenceName").and_then(Node::as_text);
        let Some(name) = name.filter(|name| known.iter().any(|one| one == name)) else { continue };
        let given = flowlet.get("parameters").and_then(Node::as_map).unwrap_or_default();
        let given = given
            .iter()
            .map(|(key, node)| (name_of(&key.name), node.as_text().unwrap_or_default().to_owned()));
        if let Some(transformation) = item.get("name").and_then(Node::as_text) {
            found.insert(transformation.to_owned(), (path_of(name), given.collect()));
        }
    }
    found
}

type Parameters = IndexMap<String, (String, Type)>;

/// Parameters with their defaults; null is one that must be given.
fn parameters(
    list: &[Parameter],
    text: &ScriptText,
    report: &mut Report,
    flow: &mut Map,
) -> (Parameters, Map) {
    let (mut known, mut declared, mut names) = (IndexMap::new(), Map::default(), Names::default());
    for parameter in list {
        let ours = names.give(&parameter.name);
        let place: Place = text.place(parameter.span);
        let default = match parameter.default.as_ref() {
            None => Value::Null,
            Some(default) => constant(default).unwrap_or_else(|| {
                let message = format!(
                    "the default of the parameter `{}` is computed: it must be given here",
                    parameter.name
                );
                report.gap(&place, flow, &message, None);
                Value::Null
            }),
        };
        report.taken(&place, format!("the parameter `{}`", parameter.name), format!("parameters.{ours}"));
        declared.put(&ours, default);
        known.insert(parameter.name.clone(), (ours, parameter.of.clone()));
    }
    (known, declared)
}

/// A value of an expression that is a constant.
pub(crate) fn constant(expr: &Expr) -> Option<Value> {
    if let Some(flag) = expr.as_bool() {
        return Some(flag.into());
    }
    match &expr.kind {
        Kind::Text(_) => expr.as_text().map(Value::from),
        Kind::Number(text, _) => match text.parse::<i64>() {
            Ok(number) => Some(number.into()),
            Err(_) => text.parse::<f64>().ok().map(|number| json!(number)),
        },
        Kind::Unary("-", inner) => match constant(inner)? {
            Value::Number(number) => {
                number.as_i64().map(|number| json!(-number)).or_else(|| Some(json!(-number.as_f64()?)))
            }
            _ => None,
        },
        // A date is given as its text.
        Kind::Call { name, arguments } if matches!(name.as_str(), "toDate" | "toTimestamp") => {
            match arguments.as_slice() {
                [text] => text.as_text().map(Value::from),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The value of a constant that stands as an expression of the data flow: `'a text'`, `7`, `true()`.
pub(crate) fn constant_of(text: &str) -> Option<Value> {
    constant(&script::parse_expression(text).ok()?)
}

/// A pattern of Java or .NET for times as one of `strftime`, where both have the same letters.
pub(crate) fn strftime(pattern: &str) -> Option<String> {
    formats::date(&pattern.replace("fff", "SSS").replace("tt", "a"))
}
