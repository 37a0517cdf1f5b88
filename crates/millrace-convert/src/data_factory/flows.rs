//! Data flows, and the activities that execute them: a copy of each source into a dataset, the flow, a copy of each sink.

use indexmap::IndexMap;
use millrace_spec::problem::Problem;
use millrace_spec::yaml::{Node, NodeValue};
use serde_json::{Value, json};

use super::activities::{ACTIVITY_KEYS, Branch, Steps};
use super::{Kind, Resource, text, value_of};
use crate::SourceFile;
use crate::data_flow::{self, DataFlow, SinkUse, constant_of};
use crate::report::{Outcome, Report, stand_in};
use crate::yaml_out::{Map, Yaml};

/// The flows of all data flows and flowlets.
///
/// # Errors
/// If a script cannot be read and there is nothing else.
pub(super) fn flows(
    resources: &[Resource],
    files: &[SourceFile],
    report: &mut Report,
) -> Result<IndexMap<String, DataFlow>, Box<Problem>> {
    let is_flow = |resource: &&Resource| resource.kind == Kind::DataFlow;
    let flowlets =
        resources.iter().filter(is_flow).filter(|resource| text(&resource.properties, "type") == "Flowlet");
    let flowlets: Vec<String> = flowlets.map(|resource| resource.name.clone()).collect();
    let alone = resources.iter().all(|resource| resource.kind != Kind::Pipeline);
    let mut flows = IndexMap::new();
    for resource in resources.iter().filter(is_flow) {
        let file = files.iter().find(|file| file.path == resource.properties.place.file);
        let source = data_flow::Resource {
            name: &resource.name,
            properties: &resource.properties,
            file: file.map(|file| file.text.as_str()).unwrap_or_default(),
        };
        match data_flow::convert(&source, &flowlets, report) {
            Ok(flow) => {
                flows.insert(resource.name.clone(), flow);
            }
            Err(problem) if alone => return Err(problem),
            Err(problem) => {
                let place = problem.place.clone().unwrap_or_else(|| resource.properties.place.clone());
                report.push(Outcome::NoCounterpart, &place, problem.message, None, None);
            }
        }
    }
    Ok(flows)
}

impl Steps<'_> {
    /// An activity that executes a data flow.
    pub(super) fn data_flow(&mut self, activity: &Node, within: Option<&Branch>) {
        let name = text(activity, "name").to_owned();
        let id = self.names.give(&name);
        let reference = activity
            .get("typeProperties")
            .and_then(|node| node.get("dataflow").or_else(|| node.get("dataFlow")));
        let theirs = reference.map(|node| text(node, "referenceName")).unwrap_or_default();
        let Some(flow) = self.factory.flows.get(theirs).cloned() else {
            self.unknown_flow(activity, theirs, &id, within);
            return;
        };
        let mut ids = Vec::new();
        let mut inputs = Map::default();
        for source in &flow.sources {
            let step_id = self.names.give(&format!("{name} {}", source.stream));
            let mut step = Map::default();
            let dataset = format!("data:{}_{step_id}", self.pipeline);
            self.source_copy(&flow, &source.stream, &dataset, activity, &mut step);
            self.order(activity, within, &mut step);
            self.steps.put(&step_id, step);
            inputs.put(&source.input, format!("${{{{ steps.{step_id}.data }}}}"));
            ids.push(step_id);
        }
        let mut step = self.flow_step(&flow, activity, reference, inputs);
        if flow.sources.is_empty() {
            self.order(activity, within, &mut step);
        }
        self.policy(activity, &mut step);
        self.report.taken(
            &activity.place,
            format!("the activity `{name}` (ExecuteDataFlow)"),
            format!("steps.{id}"),
        );
        self.steps.put(&id, step);
        ids.push(id.clone());
        for sink in flow.sinks.iter().filter(|sink| !sink.cached) {
            let step_id = self.names.give(&format!("{name} {}", sink.stream));
            let mut step = Map::default();
            self.sink_copy(&flow, sink, &id, activity, &mut step);
            self.steps.put(&step_id, step);
            ids.push(step_id);
        }
        self.ends.insert(name, ids);
    }

    /// A step that fails in the place of a data flow that is not known.
    fn unknown_flow(&mut self, activity: &Node, theirs: &str, id: &str, within: Option<&Branch>) {
        let mut step = Map::default();
        let name = text(activity, "name");
        let message = format!(
            "the activity `{name}` (ExecuteDataFlow) executes `{theirs}`, which is not among the files, or cannot be read"
        );
        self.report.gap(&activity.place, &mut step, &message, Some("import its file together with this one"));
        step.append(stand_in(&message));
        self.order(activity, within, &mut step);
        self.steps.put(id, step);
    }

    /// The flow itself.
    fn flow_step(&mut self, flow: &DataFlow, activity: &Node, reference: Option<&Node>, inputs: Map) -> Map {
        let name = text(activity, "name");
        let id = self.names.give(name);
        let mut step = Map::default();
        if id != name {
            step.comment(&format!("`{name}` there"));
        }
        let mut config = Map::default();
        config.put("file", flow.path.as_str());
        config.put("to", format!("data:{}_{id}", self.pipeline));
        let with = self.flow_parameters(flow, reference, &mut step);
        config.put_some("with", with);
        step.put("flow", config);
        step.put_some("inputs", inputs);
        let mut outputs = Map::default();
        flow.sinks.iter().for_each(|sink| outputs.put(&sink.output, "table"));
        step.put_some("outputs", outputs);
        self.report.others(activity, ACTIVITY_KEYS, &format!("the activity `{name}`"), &mut step);
        if let Some(details) = activity.get("typeProperties") {
            let read = [
                "dataflow",
                "dataFlow",
                "compute",
                "traceLevel",
                "integrationRuntime",
                "staging",
                "runConcurrently",
                "continueOnError",
                "sourceStagingConcurrency",
            ];
            self.report.others(details, &read, &format!("the activity `{name}`"), &mut step);
            if let Some(compute) = details.get("compute") {
                self.report.changed(
                    &compute.place,
                    &mut step,
                    "`compute`: the flow runs where the server runs",
                    None,
                );
            }
        }
        step
    }

    /// A source into a dataset.
    fn source_copy(&mut self, flow: &DataFlow, stream: &str, to: &str, activity: &Node, step: &mut Map) {
        match self.data_place(flow, stream) {
            Ok((address, dataset)) => {
                let form = self.form(&dataset);
                let is_folder =
                    address.ends_with(':') || !address.rsplit('/').next().unwrap_or_default().contains('.');
                let mut config = Map::default();
                match form.format {
                    Some(format) => {
                        config.put(
                            "from",
                            if is_folder {
                                format!("{}/*", address.trim_end_matches('/')).replace(":/", ":")
                            } else {
                                address
                            },
                        );
                        config.put("format", format);
                    }
                    None => config.put("from", address),
                }
                for (key, value) in form.options {
                    config.put(key, value);
                }
                config.put("to", to);
                step.put("copy", config);
            }
            Err((reason, hint)) => self.missing_copy(stream, &reason, &hint, activity, step),
        }
    }

    /// A sink out of the flow's output.
    fn sink_copy(&mut self, flow: &DataFlow, sink: &SinkUse, id: &str, activity: &Node, step: &mut Map) {
        match self.data_place(flow, &sink.stream) {
            Ok((address, dataset)) => {
                let form = self.form(&dataset);
                let mut config = Map::default();
                config.put("from", format!("${{{{ steps.{id}.{} }}}}", sink.output));
                let has_file = address.rsplit(['/', ':']).next().unwrap_or_default().contains('.');
                let path = match (form.format, has_file) {
                    (Some(_), false) => {
                        let path =
                            format!("{}/{}.{}", address.trim_end_matches('/'), sink.output, form.ending())
                                .replace(":/", ":");
                        let message = format!(
                            "the sink `{}` writes files into a folder there, and one file here: `{path}`",
                            sink.stream
                        );
                        self.report.changed(&activity.place, step, &message, None);
                        path
                    }
                    _ => address,
                };
                match form.options.is_empty() {
                    true => config.put("to", path),
                    false => {
                        let mut to = Map::default();
                        to.put("path", path);
                        form.options.into_iter().for_each(|(key, value)| to.put(key, value));
                        config.put("to", to);
                    }
                }
                if let Some(write) = sink.write.clone().filter(|_| form.format.is_none()) {
                    config.put("write", write);
                }
                step.put("copy", config);
            }
            Err((reason, hint)) => {
                let reason = format!("the sink `{}` {reason}", sink.stream);
                self.report.gap(&activity.place, step, &reason, Some(&hint));
                step.append(stand_in(&reason));
                step.put("needs", json!([id]));
            }
        }
    }

    /// Where a stream's dataset lies, and its name.
    fn data_place(&self, flow: &DataFlow, stream: &str) -> Result<(String, String), (String, String)> {
        let Some(dataset) = flow.datasets.get(stream) else {
            let hint = "write it as a `copy` step with a connection of `connections.yaml`".to_owned();
            return Err(("says in the data flow alone where its data lies".to_owned(), hint));
        };
        Ok((self.address(dataset)?, dataset.clone()))
    }

    fn missing_copy(&mut self, stream: &str, reason: &str, hint: &str, activity: &Node, step: &mut Map) {
        let reason = format!("the source `{stream}` {reason}");
        self.report.gap(&activity.place, step, &reason, Some(hint));
        step.append(stand_in(&reason));
        let mut outputs = Map::default();
        outputs.put("data", "table");
        step.put("outputs", outputs);
    }

    /// What the flow is given: constants of the data flow's language, or expressions of the pipeline.
    fn flow_parameters(&mut self, flow: &DataFlow, reference: Option<&Node>, step: &mut Map) -> Map {
        let mut with = Map::default();
        let given =
            reference.and_then(|node| node.get("parameters")).and_then(Node::as_map).unwrap_or_default();
        for (key, node) in given {
            let Some(ours) = flow.parameters.get(&key.name) else {
                self.report.changed(
                    &key.place,
                    step,
                    &format!("the data flow has no parameter `{}`", key.name),
                    None,
                );
                continue;
            };
            match self.flow_parameter(node) {
                Ok(value) => {
                    self.report.taken(
                        &key.place,
                        format!("the parameter `{}`", key.name),
                        format!("flow.with.{ours}"),
                    );
                    with.put(ours, value);
                }
                Err((reason, hint)) => {
                    let message = format!("the parameter `{}` {reason}", key.name);
                    self.report.gap(&key.place, step, &message, Some(&hint));
                }
            }
        }
        with
    }

    fn flow_parameter(&self, node: &Node) -> Result<Yaml, (String, String)> {
        let inner = match node.get("value") {
            Some(inner) => inner,
            None => node,
        };
        let NodeValue::Text(text) = &inner.value else { return Ok(inner.to_json().into()) };
        if text.starts_with('@') {
            return Ok(value_of(Some(inner), &self.scope)?.into());
        }
        // `'@{pipeline().parameters.x}'`: a text of the data flow around an expression of the pipeline.
        let unquoted = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        if let Some(unquoted) = unquoted.filter(|text| text.contains("@{")) {
            let node = Node { value: NodeValue::Text(unquoted.to_owned()), place: inner.place.clone() };
            return Ok(value_of(Some(&node), &self.scope)?.into());
        }
        let constant: Option<Value> = constant_of(text);
        constant.map(Yaml::from).ok_or_else(|| {
            (format!("is computed in the data flow: `{text}`"), "give it a value under `with:`".to_owned())
        })
    }
}
