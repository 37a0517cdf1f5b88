use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    DatasetCatalog, KindDoc, KindFamily, OutputDoc, StepContext, StepError, StepKind, StepOutcome, StepTraits,
};
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{config_error, dataset_name, object_field, publish, query_problem, step_error, tables};
use crate::engine::{DataFusionEngine, query};
use crate::flow::plan::PlanError;
use crate::flow::{Flow, Plan};

/// Runs a no-code flow over the step's inputs and keeps each output as a dataset.
///
/// The flow's `source` nodes read the names under `inputs:`. A flow with one output gives `data`; one with named outputs gives each
/// under its name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum FlowConfig {
    /// Path of the flow file, relative to the workspace.
    File(String),
    /// The flow and where its rows go.
    Options(Options),
}

/// A flow in a file or in place.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Path of the flow file, relative to the workspace.
    #[serde(default)]
    file: Option<String>,
    /// The nodes themselves, in place of a file.
    #[serde(default)]
    nodes: Option<Value>,
    /// The output node of `nodes`, or names with a node each.
    #[serde(default)]
    output: Option<Value>,
    /// Dataset to write, `data:name`; `<pipeline>_<step>` if absent. Named outputs add `_<output>`.
    #[serde(default)]
    to: Option<String>,
}

const EXAMPLE: &str = "flow:\n  file: flows/clean.yaml\n  to: data:clean";

pub(super) fn doc() -> KindDoc {
    KindDoc::of::<FlowConfig>(KindFamily::Step, "flow", EXAMPLE)
}

/// The step kind `flow`.
pub struct FlowStep {
    doc: KindDoc,
    engine: DataFusionEngine,
    catalog: Arc<dyn DatasetCatalog>,
}

impl std::fmt::Debug for FlowStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FlowStep")
    }
}

impl FlowStep {
    /// Runs flows on `engine` and records datasets in `catalog`.
    pub fn new(engine: DataFusionEngine, catalog: Arc<dyn DatasetCatalog>) -> Self {
        Self { doc: doc(), engine, catalog }
    }

    async fn load(&self, context: &StepContext, config: &FlowConfig) -> Result<Flow, StepError> {
        let file = match config {
            FlowConfig::File(file) => file,
            FlowConfig::Options(Options { file: Some(file), .. }) => file,
            FlowConfig::Options(options) => {
                let mut document = json!({ "nodes": options.nodes });
                if let (Some(output), Some(fields)) = (&options.output, document.as_object_mut()) {
                    fields.insert("output".to_owned(), output.clone());
                }
                return Flow::parse(&document)
                    .map_err(|error| StepError::permanent(error.problem(&|_| None)));
            }
        };
        if !stays_inside(file) {
            let message = format!("the flow file `{file}` is outside the workspace");
            return Err(StepError::permanent(Problem::error("flow-file", message)));
        }
        let text = fs_err::tokio::read_to_string(context.workspace.join(file)).await.map_err(|error| {
            let message = format!("cannot read the flow file `{file}`");
            StepError::permanent(Problem::error("flow-file", message).note(error.to_string()))
        })?;
        Flow::read(file, &text).map_err(|problem| StepError::permanent(*problem))
    }
}

fn stays_inside(file: &str) -> bool {
    std::path::Path::new(file)
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir))
}

fn plan_error(error: &PlanError) -> StepError {
    StepError::permanent(match error {
        PlanError::Flow(error) => error.problem(&|_| None),
        PlanError::Query(error) => query_problem(error),
    })
}

#[async_trait]
impl StepKind for FlowStep {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: true, version: 1 }
    }

    fn outputs(&self, config: &Value, declared: &IndexMap<String, String>) -> Vec<OutputDoc> {
        // A file's outputs are not known without reading it: those that the step declares, else `data`.
        let named: Vec<String> = match config.get("output").and_then(Value::as_object) {
            Some(outputs) => outputs.keys().cloned().collect(),
            None if !declared.is_empty() => declared.keys().cloned().collect(),
            None => vec!["data".to_owned()],
        };
        let mut docs: Vec<OutputDoc> =
            named.into_iter().map(|name| OutputDoc { name, type_name: "table".to_owned() }).collect();
        docs.push(OutputDoc { name: "rows".to_owned(), type_name: "integer".to_owned() });
        docs
    }

    fn code_files(&self, config: &Value) -> Vec<String> {
        config.as_str().or_else(|| object_field(config, "file")).map(str::to_owned).into_iter().collect()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        let file = config.as_str().or_else(|| object_field(config, "file"));
        match file {
            Some(file) if !stays_inside(file) => {
                vec![Problem::error("flow-file", format!("the flow file `{file}` is outside the workspace"))]
            }
            None if config.get("nodes").is_none() => vec![
                Problem::error("flow-config", "the `flow` step names neither a file nor nodes")
                    .hint("flow: flows/clean.yaml"),
            ],
            _ => Vec::new(),
        }
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        let config =
            FlowConfig::deserialize(&context.config).map_err(|error| config_error("flow", &error))?;
        let to = match &config {
            FlowConfig::Options(options) => options.to.clone(),
            FlowConfig::File(_) => None,
        };
        let flow = self.load(&context, &config).await?;
        let (tables, lineage) = tables(&context)?;
        let mut plan = Plan::open(&self.engine, &flow, &tables).await.map_err(|error| plan_error(&error))?;
        // Every output is planned before the first is written: a flow that is wrong anywhere leaves nothing.
        let mut frames = Vec::new();
        for (output, port) in flow.outputs() {
            frames.push((output, plan.node(port).await.map_err(|error| plan_error(&error))?));
        }
        let mut outcome = StepOutcome::default();
        let mut rows = 0;
        for (output, frame) in frames {
            let stream = query::stream(frame).await.map_err(|error| step_error(&error))?;
            let name = dataset_name(&context, to.as_deref(), output);
            let asset =
                publish(&self.engine, self.catalog.as_ref(), &context, &name, stream, &lineage).await?;
            rows += asset.rows.unwrap_or(0);
            outcome.outputs.insert(output.clone(), asset.to_value());
        }
        outcome.outputs.insert("rows".to_owned(), rows.into());
        outcome.rows = Some(rows);
        Ok(outcome)
    }
}
