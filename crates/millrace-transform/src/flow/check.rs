//! What can be said of a flow before it runs: its shape, and the types of every expression as far as the sources' columns are declared.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::TableReference;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use indexmap::IndexMap;
use millrace_spec::problem::Problem;
use millrace_spec::yaml;
use serde_json::{Value, json};

use super::elsewhere::Answers;
use super::plan::PlanError;
use super::{Flow, Plan, input_table, owner, ports};
use crate::engine::DataFusionEngine;
use crate::transforms::{ALL, scalar_type};

/// Which engine a flow is checked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Here,
    Spark,
}

impl Flow {
    /// Everything that is wrong with the text of a flow file, each with its place. Nodes behind a source without declared columns, or behind
    /// a node whose columns depend on its rows, are checked for their shape alone.
    pub async fn check(
        engine: &DataFusionEngine,
        file: &str,
        text: &str,
        files: &(dyn Fn(&str) -> Result<String, String> + Sync),
    ) -> Vec<Problem> {
        Self::checked(engine, file, text, files, For::Here).await
    }

    /// The same for a flow that Spark is to run: what it cannot do the same is wrong, too.
    pub async fn check_for_spark(
        engine: &DataFusionEngine,
        file: &str,
        text: &str,
        files: &(dyn Fn(&str) -> Result<String, String> + Sync),
    ) -> Vec<Problem> {
        Self::checked(engine, file, text, files, For::Spark).await
    }

    async fn checked(
        engine: &DataFusionEngine,
        file: &str,
        text: &str,
        files: &(dyn Fn(&str) -> Result<String, String> + Sync),
        of: For,
    ) -> Vec<Problem> {
        let flow = match Self::read(file, text, files) {
            Ok(flow) => flow,
            Err(problem) => return vec![*problem],
        };
        let Ok(document) = yaml::parse(file, text) else { return Vec::new() };
        if flow.needs_parameters {
            return Vec::new();
        }
        let mut problems = Vec::new();
        for error in flow.mistakes(engine, of).await {
            problems.push(error.problem_in(Some(&document), text));
        }
        problems
    }

    /// Plans every node over empty tables.
    async fn mistakes(&self, engine: &DataFusionEngine, of: For) -> Vec<PlanError> {
        let context = match engine.session() {
            Ok(context) => context,
            Err(error) => return vec![error.into()],
        };
        let (mut mistakes, mut unknown) = self.declare_sources(&context);
        let plan = Plan::over(self, context);
        let mut plan = if of == For::Spark { plan.written(Answers::EmptyTables) } else { plan };
        for port in ports(&self.nodes) {
            let id = owner(&self.nodes, &port);
            if self.behind(id, &unknown) {
                continue;
            }
            if let Err(error) = plan.node(&port).await {
                let known =
                    mistakes.iter().any(|mistake: &PlanError| mistake.to_string() == error.to_string());
                unknown.push(self.nodes.get_key_value(id).map_or("", |(id, _)| id));
                if !known {
                    mistakes.push(error);
                }
            }
        }
        mistakes
    }

    /// Registers an empty table for each source that says what columns it has. Gives back mistakes in that, and the nodes whose columns are not
    /// known.
    pub(super) fn declare_sources(&self, context: &SessionContext) -> (Vec<PlanError>, Vec<&str>) {
        let mut mistakes = Vec::new();
        let mut unknown: Vec<&str> = Vec::new();
        for (id, node) in &self.nodes {
            let Some(name) = node.transform.source() else { continue };
            match node.transform.declared().map(declared_schema) {
                Some(Ok(schema)) => {
                    // Two sources of one name: what either declares is there.
                    let table = MemTable::try_new(schema.clone(), vec![vec![RecordBatch::new_empty(schema)]]);
                    let reference = TableReference::bare(input_table(name));
                    if let Ok(table) = table {
                        let _ = context.register_table(reference, Arc::new(table));
                    }
                }
                Some(Err(fault)) => {
                    unknown.push(id);
                    mistakes.push(super::FlowError::at_node(id, node.kind, fault).into());
                }
                None => unknown.push(id),
            }
        }
        (mistakes, unknown)
    }

    /// Whether a node is one of those, or reads from one, or from a node whose columns are not known before a run.
    fn behind(&self, id: &str, unknown: &[&str]) -> bool {
        if unknown.contains(&id) {
            return true;
        }
        let Some(node) = self.nodes.get(id) else { return true };
        if node.transform.learned_from().is_some() {
            return true;
        }
        node.from.iter().any(|from| {
            let id = owner(&self.nodes, from);
            let depends = self.nodes.get(id).is_some_and(|node| node.transform.columns_depend_on_rows());
            depends || self.behind(id, unknown)
        })
    }

    /// JSON Schema (draft 2020-12) of a flow file.
    pub fn schema() -> Value {
        let mut definitions = serde_json::Map::new();
        let mut properties = serde_json::Map::new();
        let mut choices = Vec::new();
        let port = json!({"type": "string", "description": "A node, or `node.part`."});
        properties.insert("from".to_owned(), json!({"anyOf": [port, {"type": "array", "items": port}]}));
        properties.insert("description".to_owned(), json!({"type": "string"}));
        for entry in ALL {
            let word = format!("kind_{}", entry.name);
            let schema = (entry.doc)().schema.as_value().clone();
            definitions.extend(millrace_spec::schema::definitions(&word, schema));
            properties.insert(entry.name.to_owned(), json!({"$ref": format!("#/$defs/{word}")}));
            choices.push(json!({"required": [entry.name]}));
        }
        definitions.insert(
            "node".to_owned(),
            json!({"type": "object", "properties": properties, "additionalProperties": false, "oneOf": choices}),
        );
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Millrace flow",
            "type": "object",
            "required": ["nodes"],
            "additionalProperties": false,
            "properties": {
                "flow": {"type": "string", "description": "Name of the flow."},
                "description": {"type": "string", "description": "One sentence for listings."},
                "parameters": {"type": "object", "description": "Parameters with their defaults; null if one must be given."},
                "nodes": {"type": "object", "additionalProperties": {"$ref": "#/$defs/node"}},
                "output": {"description": "The node that comes out, or names with a node each.", "anyOf": [
                    port, {"type": "object", "additionalProperties": port}]},
                "outputs": {"type": "object", "additionalProperties": port},
            },
            "$defs": definitions,
        })
    }
}

fn declared_schema(columns: &IndexMap<String, String>) -> Result<SchemaRef, crate::transforms::Fault> {
    let field = |(name, word): (&String, &String)| {
        let kind = scalar_type(word).map_err(|fault| fault.under(name).under("columns"))?;
        Ok(Field::new(name, kind, true))
    };
    Ok(Arc::new(Schema::new(columns.iter().map(field).collect::<Result<Vec<_>, _>>()?)))
}
