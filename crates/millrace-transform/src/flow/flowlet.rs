//! Flows within flows: a `flowlet` node is replaced by the nodes of the file that it names, before anything else is read.

use indexmap::IndexMap;
use millrace_spec::yaml;
use serde_json::{Map, Value};

use super::{FlowError, escaped};
use crate::flow::literal;

/// Deepest nesting of files.
const MAX_DEPTH: usize = 16;

type Files<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// A document without flowlets and parameters.
pub(super) struct Expanded {
    pub(super) document: Value,
    /// Digests of the files that came in.
    pub(super) digests: IndexMap<String, String>,
    /// Whether a parameter of the document itself has neither a value nor a default.
    pub(super) needs_parameters: bool,
}

/// Puts the values of its parameters into a document, and the nodes of other files in the place of flowlets.
pub(super) fn expanded(
    document: &Value,
    files: Files<'_>,
    with: &Map<String, Value>,
) -> Result<Expanded, FlowError> {
    let mut digests = IndexMap::new();
    let mut document = document.clone();
    let mut needs_parameters = false;
    match parameters(&document, with) {
        Ok(values) => fill(&mut document, &values),
        Err(Wrong { unknown: true, message, hint, .. }) => {
            return Err(FlowError::new("flow-parameter", "/parameters", message).hinted(hint));
        }
        Err(Wrong { .. }) => needs_parameters = true,
    }
    expand(&mut document, files, &mut digests, 0)?;
    Ok(Expanded { document, digests, needs_parameters })
}

fn expand(
    document: &mut Value,
    files: Files<'_>,
    digests: &mut IndexMap<String, String>,
    depth: usize,
) -> Result<(), FlowError> {
    let Some(nodes) = document.get("nodes").and_then(Value::as_object) else { return Ok(()) };
    if !nodes.values().any(|node| node.get("flowlet").is_some()) {
        return Ok(());
    }
    let mut ports: IndexMap<String, String> = IndexMap::new();
    let mut flat = Map::new();
    for (id, node) in nodes {
        match node.get("flowlet") {
            None => {
                flat.insert(id.clone(), node.clone());
            }
            Some(_) => {
                let part = Part::read(id, node, files, digests, depth)?;
                ports.extend(part.ports);
                flat.extend(part.nodes);
            }
        }
    }
    flat.values_mut().filter_map(|node| node.get_mut("from")).for_each(|from| rename(from, &ports));
    let fields = document.as_object_mut();
    let Some(fields) = fields else { return Ok(()) };
    for key in ["output", "outputs"] {
        if let Some(output) = fields.get_mut(key) {
            rename(output, &ports);
        }
    }
    fields.insert("nodes".to_owned(), Value::Object(flat));
    Ok(())
}

/// Follows names that stand for others: a flowlet's output, or a source within it.
fn rename(value: &mut Value, ports: &IndexMap<String, String>) {
    match value {
        Value::String(name) => {
            for _ in 0..=ports.len() {
                match ports.get(name.as_str()) {
                    Some(other) => *name = other.clone(),
                    None => break,
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, ports)),
        Value::Object(fields) => fields.values_mut().for_each(|item| rename(item, ports)),
        _ => {}
    }
}

/// What a flowlet becomes.
struct Part {
    nodes: Map<String, Value>,
    /// Names outside that stand for ports inside, and sources inside that stand for ports outside.
    ports: IndexMap<String, String>,
}

impl Part {
    fn read(
        id: &str,
        node: &Value,
        files: Files<'_>,
        digests: &mut IndexMap<String, String>,
        depth: usize,
    ) -> Result<Self, FlowError> {
        let pointer = format!("/nodes/{}/flowlet", escaped(id));
        let refused = |below: &str, message: String, hint: Option<String>| {
            let message = format!("node `{id}`: {message}");
            FlowError::new("flow-flowlet", format!("{pointer}{below}"), message).hinted(hint)
        };
        if depth >= MAX_DEPTH {
            return Err(refused("", format!("flowlets are nested deeper than {MAX_DEPTH} files"), None));
        }
        let config = node.get("flowlet").cloned().unwrap_or_default();
        let config: crate::transforms::FlowletConfig =
            serde_json::from_value(config).map_err(|error| refused("", error.to_string(), None))?;
        let text = files(&config.file)
            .map_err(|reason| refused("/file", format!("cannot read `{}`: {reason}", config.file), None))?;
        digests.insert(config.file.clone(), format!("blake3:{}", blake3::hash(text.as_bytes()).to_hex()));
        let document = yaml::parse(&config.file, &text)
            .map_err(|problem| refused("/file", format!("`{}`: {}", config.file, problem.message), None))?;
        let mut inner = document.to_json();
        let values = parameters(&inner, &config.with).map_err(|wrong| {
            refused(&format!("/with/{}", escaped(&wrong.name)), wrong.message, wrong.hint)
        })?;
        fill(&mut inner, &values);
        expand(&mut inner, files, digests, depth + 1)?;
        let from: Vec<String> = match node.get("from") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(many)) => {
                many.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
            }
            _ => Vec::new(),
        };
        Self::inlined(id, &inner, &from, &config.inputs).map_err(|(message, hint)| refused("", message, hint))
    }

    fn inlined(
        id: &str,
        inner: &Value,
        from: &[String],
        inputs: &IndexMap<String, String>,
    ) -> Result<Self, (String, Option<String>)> {
        let empty = Map::new();
        let nodes = inner.get("nodes").and_then(Value::as_object).unwrap_or(&empty);
        let source = |node: &Value| {
            let source = node.get("source")?;
            source.as_str().or_else(|| source.get("name")?.as_str()).map(str::to_owned)
        };
        let mut sources: Vec<String> = nodes.values().filter_map(source).collect();
        sources.dedup();
        let mut part = Self { nodes: Map::new(), ports: IndexMap::new() };
        for (name, node) in nodes {
            let inside = format!("{id}:{name}");
            let Some(table) = source(node) else {
                let mut node = node.clone();
                if let Some(from) = node.get_mut("from") {
                    prefix(from, id);
                }
                part.nodes.insert(inside, node);
                continue;
            };
            let given = match (inputs.get(&table), from) {
                (Some(port), _) => port.clone(),
                (None, [one]) if sources.len() == 1 => one.clone(),
                (None, _) => {
                    let hint = format!("inputs: {{{table}: <node>}}");
                    return Err((format!("nothing is given for its source `{table}`"), Some(hint)));
                }
            };
            part.ports.insert(inside, given);
        }
        let output = inner.get("output").or_else(|| inner.get("outputs"));
        match output {
            Some(Value::String(port)) => {
                part.ports.insert(id.to_owned(), format!("{id}:{port}"));
            }
            Some(Value::Object(named)) => {
                for (name, port) in named {
                    if let Some(port) = port.as_str() {
                        part.ports.insert(format!("{id}.{name}"), format!("{id}:{port}"));
                    }
                }
            }
            _ => {
                let hint = "add `output: <node>` to it".to_owned();
                return Err(("the flow in that file does not say what comes out".to_owned(), Some(hint)));
            }
        }
        Ok(part)
    }
}

fn prefix(from: &mut Value, id: &str) {
    match from {
        Value::String(name) => *name = format!("{id}:{name}"),
        Value::Array(items) => items.iter_mut().for_each(|item| prefix(item, id)),
        _ => {}
    }
}

/// A parameter without a value, or a value without a parameter.
struct Wrong {
    name: String,
    unknown: bool,
    message: String,
    hint: Option<String>,
}

/// The values of a flow's parameters: those that are given, else those that it declares.
fn parameters(inner: &Value, given: &Map<String, Value>) -> Result<Map<String, Value>, Wrong> {
    let empty = Map::new();
    let declared = inner.get("parameters").and_then(Value::as_object).unwrap_or(&empty);
    if let Some(unknown) = given.keys().find(|name| !declared.contains_key(*name)) {
        let names: Vec<&str> = declared.keys().map(String::as_str).collect();
        let hint = match names.is_empty() {
            true => "it declares none under `parameters`".to_owned(),
            false => format!("its parameters are {}", names.join(", ")),
        };
        let message = format!("the flow has no parameter `{unknown}`");
        return Err(Wrong { name: unknown.clone(), unknown: true, message, hint: Some(hint) });
    }
    let mut values = Map::new();
    for (name, default) in declared {
        match (given.get(name), default) {
            (Some(value), _) => values.insert(name.clone(), value.clone()),
            (None, Value::Null) => {
                let message = format!("the parameter `{name}` has no value");
                let hint = Some(format!("with: {{{name}: …}}"));
                return Err(Wrong { name: name.clone(), unknown: false, message, hint });
            }
            (None, default) => values.insert(name.clone(), default.clone()),
        };
    }
    Ok(values)
}

/// Puts parameters where `${{ parameters.name }}` stands: alone, the value as it is; within a longer text, which is an expression, a number as it
/// is and a text as a SQL literal, so that it cannot become anything else.
fn fill(value: &mut Value, values: &Map<String, Value>) {
    match value {
        Value::String(text) => {
            for (name, given) in values {
                let marks = [format!("${{{{ parameters.{name} }}}}"), format!("${{{{parameters.{name}}}}}")];
                for mark in marks {
                    if *text == mark {
                        *value = given.clone();
                        return;
                    }
                    if text.contains(&mark) {
                        *text = text.replace(&mark, &literal(given).unwrap_or_else(|| given.to_string()));
                    }
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, values)),
        Value::Object(fields) => {
            fields
                .iter_mut()
                .filter(|(key, _)| *key != "parameters")
                .for_each(|(_, item)| fill(item, values));
        }
        _ => {}
    }
}
