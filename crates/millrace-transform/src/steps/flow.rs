use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    AssetKey, BatchStream, DatasetCatalog, EngineElsewhere, KindDoc, KindFamily, OutputDoc, RemoteEngine,
    RemoteEngines, StepContext, StepError, StepKind, StepOutcome, StepTraits,
};
use millrace_spec::asset::Asset;
use millrace_spec::problem::Problem;
use millrace_spec::yaml;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::elsewhere::{self, EngineChoice};
use super::{
    asset_key, column_lineage, config_error, dataset_name, learned, object_field, publish, step_error, tables,
};
use crate::engine::{DataFusionEngine, query};
use crate::flow::plan::PlanError;
use crate::flow::{Flow, LearnedDocument, Plan};

/// Runs a no-code flow over the step's inputs and keeps each output as a dataset.
///
/// The flow's `source` nodes read the names under `inputs:`. A flow with one output gives `data`; one with named outputs gives each
/// under its name. `nodes` is what each node did, and `learned` what its nodes learned, a document that is kept as the dataset `<to>_learned`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum FlowConfig {
    /// Path of the flow file, relative to the workspace.
    File(String),
    /// The flow and where its rows go.
    Options(Box<Options>),
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
    /// What an earlier run of the flow learned: its output `learned`, or the name of an input of this step that is it. The flow's nodes then do
    /// the same again and learn nothing.
    #[serde(default)]
    learned: Option<Value>,
    /// Values of the flow's parameters.
    #[serde(default)]
    with: Map<String, Value>,
    /// Where it runs: `local`, `auto`, or a `spark` or `ballista` connection. What that engine cannot do the same is an error before anything runs.
    #[serde(default)]
    engine: EngineChoice,
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
    remotes: Option<Arc<dyn RemoteEngines>>,
}

impl std::fmt::Debug for FlowStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FlowStep")
    }
}

impl FlowStep {
    /// Runs flows on `engine` and records datasets in `catalog`.
    pub fn new(engine: DataFusionEngine, catalog: Arc<dyn DatasetCatalog>) -> Self {
        Self { doc: doc(), engine, catalog, remotes: None }
    }

    /// Lets flows run on other engines.
    #[must_use]
    pub fn with_remotes(self, remotes: Arc<dyn RemoteEngines>) -> Self {
        Self { remotes: Some(remotes), ..self }
    }

    async fn load(&self, context: &StepContext, config: &FlowConfig) -> Result<Loaded, StepError> {
        let file = match config {
            FlowConfig::File(file) => file.as_str(),
            FlowConfig::Options(options) if options.file.is_some() => {
                options.file.as_deref().unwrap_or_default()
            }
            FlowConfig::Options(options) => {
                let mut document = json!({ "nodes": options.nodes });
                if let (Some(output), Some(fields)) = (&options.output, document.as_object_mut()) {
                    fields.insert("output".to_owned(), output.clone());
                }
                let flow =
                    Flow::parse(&document).map_err(|error| StepError::permanent(error.problem(&|_| None)))?;
                return Ok(Loaded { flow, text: String::new(), file: None });
            }
        };
        let name = file.to_owned();
        if !stays_inside(file) {
            let message = format!("the flow file `{file}` is outside the workspace");
            return Err(StepError::permanent(Problem::error("flow-file", message)));
        }
        let text = fs_err::tokio::read_to_string(context.workspace.join(file)).await.map_err(|error| {
            let message = format!("cannot read the flow file `{file}`");
            StepError::permanent(Problem::error("flow-file", message).note(error.to_string()))
        })?;
        let workspace = context.workspace.clone();
        let files = move |path: &str| {
            if !stays_inside(path) {
                return Err("it is outside the workspace".to_owned());
            }
            fs_err::read_to_string(workspace.join(path)).map_err(|error| error.to_string())
        };
        let (file, whole) = (name.clone(), text.clone());
        let with = match config {
            FlowConfig::File(_) => Map::new(),
            FlowConfig::Options(options) => options.with.clone(),
        };
        let read = tokio::task::spawn_blocking(move || Flow::read_with(&file, &whole, &files, &with)).await;
        match read {
            Ok(read) => {
                let flow = read.map_err(|problem| StepError::permanent(*problem))?;
                if flow.needs_parameters() {
                    let message = format!("a parameter of the flow `{name}` has no value");
                    let problem = Problem::error("flow-parameter", message).hint("with: {<parameter>: …}");
                    return Err(StepError::permanent(problem));
                }
                Ok(Loaded { flow, text, file: Some(name) })
            }
            Err(error) => Err(StepError::permanent(Problem::error("flow-file", error.to_string()))),
        }
    }
}

/// A flow, and the text that it was read from.
struct Loaded {
    flow: Flow,
    text: String,
    file: Option<String>,
}

impl Loaded {
    /// The problem with its place in the flow's file.
    fn problem(&self, error: &PlanError) -> StepError {
        if let PlanError::Remote(error) = error {
            return elsewhere::remote_error(error);
        }
        let document = self.file.as_ref().and_then(|file| yaml::parse(file, &self.text).ok());
        StepError::permanent(error.problem_in(document.as_ref(), &self.text))
    }
}

fn stays_inside(file: &str) -> bool {
    std::path::Path::new(file)
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir))
}

#[async_trait]
impl StepKind for FlowStep {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: true, version: 2 }
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
        let always = [("rows", "integer"), ("nodes", "json"), ("learned", "file")];
        docs.extend(always.map(|(name, of)| OutputDoc { name: name.to_owned(), type_name: of.to_owned() }));
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

    fn check_places(&self, config: &Value) -> Vec<(String, Problem)> {
        let mut problems: Vec<_> =
            self.check(config).into_iter().map(|problem| (String::new(), problem)).collect();
        // Nodes whose parts are not known before a run are read then.
        let nodes = config.get("nodes").filter(|nodes| !nodes.to_string().contains("${{"));
        if let Some(nodes) = nodes {
            let mut document = json!({ "nodes": nodes });
            if let (Some(output), Some(fields)) = (config.get("output"), document.as_object_mut()) {
                fields.insert("output".to_owned(), output.clone());
            }
            if let Err(error) = Flow::parse(&document) {
                problems.push((error.pointer.clone(), error.problem(&|_| None)));
            }
        }
        problems.extend(elsewhere::mistake(config, self.remotes.as_ref()));
        problems
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        let config =
            FlowConfig::deserialize(&context.config).map_err(|error| config_error("flow", &error))?;
        let (to, learned, choice) = match &config {
            FlowConfig::Options(options) => (options.to.clone(), options.learned.clone(), &options.engine),
            FlowConfig::File(_) => (None, None, &EngineChoice::Here),
        };
        let loaded = self.load(&context, &config).await?;
        let flow = &loaded.flow;
        let knowledge = learned::knowledge(&self.engine, &context, flow, learned.as_ref()).await?;
        let (tables, mut lineage) = tables(&context)?;
        lineage.extend(learned.as_ref().and_then(Asset::from_value).map(|asset| asset_key(&asset)));
        let chosen = elsewhere::choose(choice, self.remotes.as_ref(), &context).await?;
        let running = Running { step: self, context: &context, to: to.as_deref(), lineage: &lineage };
        let (mut outcome, learned) = match &chosen.engine {
            Some(EngineElsewhere::SparkSql(remote)) => {
                let plan = Plan::elsewhere(&self.engine, flow, &tables, Some(remote.clone())).await;
                let plan = plan.map_err(|error| loaded.problem(&error))?.knowing(knowledge);
                running.elsewhere(&loaded, plan, remote).await?
            }
            Some(EngineElsewhere::Cluster(cluster)) => {
                let opened = Plan::on_cluster(&self.engine, flow, &tables, cluster);
                let plan = elsewhere::unless_cancelled(&context, opened).await?;
                let plan = plan.map_err(|error| loaded.problem(&error))?.knowing(knowledge);
                running.on_cluster(&loaded, plan).await?
            }
            None => {
                let plan = Plan::open(&self.engine, flow, &tables).await;
                let plan = plan.map_err(|error| loaded.problem(&error))?.knowing(knowledge);
                running.here(&loaded, plan.for_run(&self.engine)).await?
            }
        };
        if let Some(document) = learned {
            let name = dataset_name(&context, to.as_deref(), "learned");
            let catalog = self.catalog.as_ref();
            let asset = learned::publish(&self.engine, catalog, &context, &name, &document, &lineage).await?;
            outcome.outputs.insert("learned".to_owned(), asset.to_value());
        }
        if !flow.flowlets().is_empty() {
            outcome.outputs.insert("flowlets".to_owned(), json!(flow.flowlets()));
        }
        outcome.outputs.extend(chosen.output().map(|engine| ("engine".to_owned(), engine)));
        Ok(outcome)
    }

    /// Files within the flow's file are not among the step's code files: they are known when it is read.
    async fn still_holds(&self, context: &StepContext, outcome: &StepOutcome) -> bool {
        let Some(flowlets) = outcome.outputs.get("flowlets").and_then(Value::as_object) else { return true };
        for (file, digest) in flowlets {
            let text = fs_err::tokio::read(context.workspace.join(file)).await.unwrap_or_default();
            if *digest != Value::String(format!("blake3:{}", blake3::hash(&text).to_hex())) {
                return false;
            }
        }
        true
    }
}

/// A flow that runs: what its outputs need to become datasets.
struct Running<'r> {
    step: &'r FlowStep,
    context: &'r StepContext,
    to: Option<&'r str>,
    lineage: &'r [AssetKey],
}

/// What a run gives, and what its nodes learned.
type Ran = (StepOutcome, Option<LearnedDocument>);

impl Running<'_> {
    async fn here(&self, loaded: &Loaded, mut plan: Plan<'_>) -> Result<Ran, StepError> {
        let frames = plan.outputs().await.map_err(|error| loaded.problem(&error))?;
        let mut outcome = StepOutcome::default();
        let mut plans = Vec::new();
        for (output, frame) in frames {
            let name = dataset_name(self.context, self.to, output);
            outcome.columns.extend(column_lineage(self.context, &name, &frame));
            let (ran, stream) = query::begin(frame).await.map_err(|error| step_error(&error))?;
            plans.push(ran);
            self.keep(&mut outcome, output, stream).await?;
        }
        let figures = plan.figures(&plans);
        for node in &figures {
            let rows = node.rows.map_or_else(String::new, |rows| format!("{rows} rows, "));
            self.context
                .log
                .line(&format!("{} ({}): {rows}busy for {:.1} ms", node.node, node.kind, node.busy_ms));
        }
        outcome.outputs.insert("nodes".to_owned(), serde_json::to_value(figures).unwrap_or_default());
        Ok((outcome, plan.learned()))
    }

    async fn on_cluster(&self, loaded: &Loaded, mut plan: Plan<'_>) -> Result<Ran, StepError> {
        let mut outcome = StepOutcome::default();
        let sent = plan.sent(|output, frame| {
            let name = dataset_name(self.context, self.to, output);
            outcome.columns.extend(column_lineage(self.context, &name, frame));
        });
        let sent = elsewhere::unless_cancelled(self.context, sent).await?;
        for (output, rows) in sent.map_err(|error| loaded.problem(&error))? {
            self.keep(&mut outcome, output, rows).await?;
        }
        outcome.outputs.insert("nodes".to_owned(), json!([]));
        Ok((outcome, plan.learned()))
    }

    /// Everything is written before anything is sent, so that what cannot be done the same leaves nothing.
    async fn elsewhere(
        &self,
        loaded: &Loaded,
        mut plan: Plan<'_>,
        remote: &Arc<dyn RemoteEngine>,
    ) -> Result<Ran, StepError> {
        let written = elsewhere::unless_cancelled(self.context, plan.statements()).await?;
        let written = written.map_err(|error| loaded.problem(&error))?;
        let mut outcome = StepOutcome::default();
        for (output, query) in written {
            let rows = elsewhere::send(remote, query, self.context).await?;
            self.keep(&mut outcome, output, rows).await?;
        }
        outcome.outputs.insert("nodes".to_owned(), json!([]));
        Ok((outcome, plan.learned()))
    }

    async fn keep(
        &self,
        outcome: &mut StepOutcome,
        output: &str,
        rows: BatchStream,
    ) -> Result<(), StepError> {
        let name = dataset_name(self.context, self.to, output);
        let catalog = self.step.catalog.as_ref();
        let asset = publish(&self.step.engine, catalog, self.context, &name, rows, self.lineage).await?;
        let rows = outcome.rows.unwrap_or(0) + asset.rows.unwrap_or(0);
        outcome.rows = Some(rows);
        outcome.outputs.insert(output.to_owned(), asset.to_value());
        outcome.outputs.insert("rows".to_owned(), rows.into());
        Ok(())
    }
}
