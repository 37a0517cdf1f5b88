//! Transformations as nodes of a flow. What cannot be said leaves a node that fails with the reason, so that no row passes for one that it is not.

mod columns;
mod groups;
mod lists;
mod marks;
mod pairs;
mod rows;

use std::rc::Rc;

use indexmap::IndexMap;
use serde_json::json;

use super::expression::{Gap, Over, Scope, Sql};
use super::places::ScriptText;
use super::script::{Expr, Kind, Script, Span, Transformation, Type};
use super::stream::Stream;
use crate::names::Names;
use crate::report::Report;
use crate::yaml_out::{Map, Yaml};

/// A table that the flow reads.
#[derive(Debug, Clone)]
pub(crate) struct SourceUse {
    /// Its stream there.
    pub(crate) stream: String,
    /// The input here.
    pub(crate) input: String,
}

/// A table that the flow gives.
#[derive(Debug, Clone)]
pub(crate) struct SinkUse {
    /// Its stream there.
    pub(crate) stream: String,
    /// The output here.
    pub(crate) output: String,
    /// How the table is written; nothing if it replaces what is there.
    pub(crate) write: Option<serde_json::Value>,
    /// Whether it is for other transformations alone.
    pub(crate) cached: bool,
}

/// A flow while its nodes are made.
pub(super) struct Builder<'a> {
    pub(super) text: &'a ScriptText,
    pub(super) report: &'a mut Report,
    /// Flowlets by their names in the flow: the file here, its inputs, what it is given.
    pub(super) flowlets: IndexMap<String, (String, IndexMap<String, String>)>,
    pub(super) parameters: Rc<IndexMap<String, (String, Type)>>,
    pub(super) names: Names,
    pub(super) output_names: Names,
    pub(super) nodes: Map,
    pub(super) streams: IndexMap<String, Stream>,
    pub(super) sources: Vec<SourceUse>,
    pub(super) sinks: Vec<SinkUse>,
    pub(super) outputs: Map,
}

/// What one transformation becomes.
#[derive(Default)]
pub(super) struct Work {
    comments: Map,
    /// What of it cannot be said.
    gaps: Vec<String>,
}

/// Arguments that say how the work is spread or stored there.
const HINTS: [&str; 2] = ["partitionBy", "partitionOn"];

/// Settings that change nothing about the rows.
const NEUTRAL: [&str; 26] = [
    "allowSchemaDrift",
    "validateSchema",
    "broadcast",
    "skipDuplicateMapInputs",
    "skipDuplicateMapOutputs",
    "saveOrder",
    "stageInsert",
    "isolationLevel",
    "batchSize",
    "format",
    "store",
    "ignoreNoFilesFound",
    "umask",
    "errorHandlingOption",
    "schemaName",
    "tableName",
    "partitionFileNames",
    "filePattern",
    "mapDrifted",
    "inferDriftedColumnTypes",
    "multiLineRow",
    "matchType",
    "useSchema",
    "purgeFiles",
    "preferredIntegrationRuntime",
    "documentForm",
];

impl Builder<'_> {
    pub(super) fn script(&mut self, script: &Script) {
        for step in &script.transformations {
            self.transformation(step);
        }
    }

    fn transformation(&mut self, step: &Transformation) {
        let place = self.text.place(step.span);
        let mut inputs: Vec<(String, Stream)> = Vec::new();
        for (name, part) in &step.inputs {
            let wanted = part.as_ref().map_or_else(|| name.clone(), |part| format!("{name}@{part}"));
            match self.streams.get(&wanted) {
                Some(stream) => inputs.push((part.clone().unwrap_or_else(|| name.clone()), stream.clone())),
                None => {
                    let message = format!(
                        "`{}` reads the stream `{wanted}`, which no transformation before it gives",
                        step.name
                    );
                    self.report.gap(&place, &mut self.nodes, &message, None);
                    return;
                }
            }
        }
        let mut work = Work::default();
        self.settings(step, &mut work);
        let stream = self.made(step, &inputs, &mut work);
        let what = format!("the transformation `{}` ({})", step.name, step.kind);
        let stream = match (stream, inputs.first()) {
            (Some(stream), _) => stream,
            (None, Some((_, input))) => {
                let message = format!("{what} has no counterpart");
                let hint = match step.kind.as_str() {
                    "call" => {
                        "write it as a node `external_call`: what is sent of a row is not said in the script"
                    }
                    _ => "write what it does as nodes of the flow, or a `python` step",
                };
                self.report.gap(&place, &mut work.comments, &message, Some(hint));
                work.gaps.push(message);
                input.through(&step.name, input.port.clone())
            }
            (None, None) => {
                self.report.gap(&place, &mut self.nodes, &format!("{what} has no counterpart"), None);
                return;
            }
        };
        let stream = self.guarded(step, stream, &mut work);
        if work.gaps.is_empty() && step.kind != "sink" {
            let made =
                if stream.port.is_empty() { self.names.find(&step.name) } else { Some(stream.port.as_str()) };
            let here = format!("nodes.{}", made.unwrap_or_default());
            self.report.taken(&place, what, here);
        }
        self.nodes.comments_of(std::mem::take(&mut work.comments));
        self.streams.insert(step.name.clone(), stream);
    }

    fn made(
        &mut self,
        step: &Transformation,
        inputs: &[(String, Stream)],
        work: &mut Work,
    ) -> Option<Stream> {
        match (step.kind.as_str(), inputs) {
            ("source" | "input", []) => self.source(step, work),
            ("select", [input]) => self.select(step, input, work),
            ("derive", [input]) => self.derive(step, input, work),
            ("filter", [input]) => self.filter(step, input, work),
            ("sort", [input]) => self.sort(step, input, work),
            ("rank", [input]) => self.rank(step, input, work),
            ("keyGenerate", [input]) => self.surrogate_key(step, input, work),
            ("split", [input]) => self.split(step, input, work),
            ("alterRow", [input]) => self.alter_row(step, input, work),
            ("assert", [input, ..]) => self.assert(step, input, work),
            ("aggregate", [input]) => self.aggregate(step, input, work),
            ("window", [input]) => self.window(step, input, work),
            ("pivot", [input]) => self.pivot(step, input, work),
            ("unpivot", [input]) => self.unpivot(step, input, work),
            ("foldDown", [input]) => self.flatten(step, input, work),
            ("parse", [input]) => self.parse(step, input, work),
            ("stringify", [input]) => self.stringify(step, input, work),
            ("cast", [input]) => self.cast(step, input, work),
            ("join", [left, right]) => self.join(step, left, right, work),
            ("exists", [left, right]) => self.exists(step, left, right, work),
            ("lookup", [left, right]) => self.lookup(step, left, right, work),
            ("union", [_, ..]) => self.union(step, inputs, work),
            ("compose", [_, ..]) => self.compose(step, inputs, work),
            ("sink" | "output", [input]) => self.sink(step, input, work),
            _ => None,
        }
    }

    /// A node that fails when a row comes to it, if something of the transformation before cannot be said.
    fn guarded(&mut self, step: &Transformation, stream: Stream, work: &mut Work) -> Stream {
        if work.gaps.is_empty() || stream.port.is_empty() {
            return stream;
        }
        let mut rules = Map::default();
        for (number, gap) in work.gaps.iter().enumerate() {
            let message = format!("not converted: {}", gap.replace('\n', " "));
            rules.put(&format!("missing_{}", number + 1), json!({"expect": "false", "message": message}));
        }
        let mut config = Map::default();
        config.put("rules", rules);
        let port =
            self.node(&format!("{} not converted", step.name), "assert", config, &[&stream.port], work);
        Stream { port, ..stream }
    }

    /// Writes a node, with the comments that there are so far, and gives its name.
    pub(super) fn node(
        &mut self,
        name: &str,
        kind: &str,
        config: impl Into<Yaml>,
        from: &[&str],
        work: &mut Work,
    ) -> String {
        let id = self.names.give(name);
        let mut node = std::mem::take(&mut work.comments);
        node.put(kind, config);
        match from {
            [] => {}
            [one] => node.put("from", *one),
            many => node.put("from", json!(many)),
        }
        self.nodes.put(&id, node);
        id
    }

    /// Notes what cannot be said.
    pub(super) fn gap(&mut self, what: &str, gap: &Gap, work: &mut Work) {
        let place = self.text.place(gap.span);
        let message = format!("{what} {}", gap.message);
        self.report.gap(&place, &mut work.comments, &message, gap.hint.as_deref());
        work.gaps.push(message);
    }

    pub(super) fn changed(&mut self, span: Span, message: &str, work: &mut Work) {
        let place = self.text.place(span);
        self.report.changed(&place, &mut work.comments, message, None);
    }

    /// An expression in SQL; `null` stands for one that cannot be said.
    pub(super) fn value(&mut self, scope: &Scope<'_>, expr: &Expr, what: &str, work: &mut Work) -> Sql {
        let made = scope.sql(expr);
        let notes: Vec<_> = scope.notes.borrow_mut().drain(..).collect();
        for (span, message) in notes {
            self.changed(span, &format!("{what}: {message}"), work);
        }
        made.unwrap_or_else(|gap| {
            self.gap(what, &gap, work);
            Sql::atom("null", Type::Any)
        })
    }

    /// The same for a condition.
    pub(super) fn condition(&mut self, scope: &Scope<'_>, expr: &Expr, what: &str, work: &mut Work) -> Sql {
        let made = self.value(scope, expr, what, work);
        if made.text == "null" { Sql::atom("true", Type::Boolean) } else { made }
    }

    /// Says which settings are hints, and which have no counterpart.
    fn settings(&mut self, step: &Transformation, work: &mut Work) {
        let what = format!("the {} `{}`", step.kind, step.name);
        for argument in &step.arguments {
            match &argument.kind {
                Kind::Call { name, .. } if HINTS.contains(&name.as_str()) => {
                    let place = self.text.place(argument.span);
                    let message = format!(
                        "`{name}` of {what} says how the work is spread, which the engine decides here"
                    );
                    self.report.changed(&place, &mut work.comments, &message, None);
                }
                Kind::Setting(key, _)
                    if !NEUTRAL.contains(&key.as_str())
                        && !known_settings(&step.kind).contains(&key.as_str()) =>
                {
                    let place = self.text.place(argument.span);
                    let message = format!("`{key}` of {what} has no counterpart");
                    self.report.gap(&place, &mut work.comments, &message, None);
                    // Which rows come in is not said by the dataset alone then.
                    if step.kind == "source" && key == "query" {
                        work.gaps.push(message);
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) fn parameters(&self) -> Rc<IndexMap<String, (String, Type)>> {
        Rc::clone(&self.parameters)
    }
}

/// Settings that the transformation's own code reads, or that say where its data lies.
fn known_settings(kind: &str) -> &'static [&'static str] {
    match kind {
        "source" => &[
            "limit",
            "wildcardPaths",
            "fileSystem",
            "container",
            "folderPath",
            "fileName",
            "columnDelimiter",
            "escapeChar",
            "quoteChar",
            "columnNamesAsHeader",
            "singleDocument",
        ],
        "sink" => &[
            "keys",
            "insertable",
            "updateable",
            "upsertable",
            "deletable",
            "truncate",
            "recreate",
            "output",
            "columnDelimiter",
            "escapeChar",
            "quoteChar",
            "columnNamesAsHeader",
            "fileSystem",
            "container",
            "folderPath",
        ],
        "join" => &["joinType"],
        "exists" => &["negate"],
        "lookup" => &["multiple", "pickup"],
        "union" => &["byName"],
        "split" => &["disjoint"],
        "sort" => &["caseInsensitive"],
        "rank" => &["caseInsensitive", "dense"],
        "keyGenerate" => &["startAt", "stepValue"],
        "window" => &["startRowOffset", "endRowOffset"],
        "pivot" => &["columnNaming", "lateral"],
        "unpivot" => &["lateral", "ignoreNullPivots"],
        "parse" => &["columnDelimiter", "columnNamesAsHeader", "nullValue"],
        "cast" => &["errors"],
        "assert" => &["abort"],
        _ => &[],
    }
}

/// A scope over one stream.
pub(super) fn over<'a>(
    input: &'a (String, Stream),
    parameters: &'a IndexMap<String, (String, Type)>,
    over: Over,
) -> Scope<'a> {
    Scope { over, ..Scope::new(vec![(&input.0, &input.1, "")], parameters) }
}

/// Arguments that are values: neither settings nor hints.
pub(super) fn values(step: &Transformation) -> impl Iterator<Item = &Expr> {
    step.arguments.iter().filter(|argument| match &argument.kind {
        Kind::Setting(..) => false,
        Kind::Call { name, .. } => !HINTS.contains(&name.as_str()),
        _ => true,
    })
}
