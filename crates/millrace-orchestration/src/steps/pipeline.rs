use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    Explain as _, KindDoc, KindFamily, Look, OutputDoc, StepContext, StepError, StepKind, StepOutcome,
    StepTraits,
};
use millrace_metastore::runs::PipelineRunRow;
use millrace_spec::pipeline::Pipeline;
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::engine::{Engine, Force, Parent, RunRequest, Shared};
use crate::error::chain;
use crate::state::{RunState, StepState};
use crate::triggers::PipelineSource;

/// Runs another pipeline and waits for its end.
///
/// The value is the pipeline's name, or the path of its file. `inputs:` are the values of its inputs; what it has under `outputs:` are the
/// outputs of this step, beside `run_id`. With `foreach` or `matrix` each item is a run of its own. It holds no slot while it waits, and
/// cancelling it cancels the run that it started.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct PipelineSpec(#[allow(dead_code, reason = "read for its schema only")] String);

const EXAMPLE: &str =
    "pipeline: pipelines/score_region.yaml\ninputs:\n  region: ${{ item }}\nforeach: [eu, us]\n";
/// Deepest chain of runs that start each other.
const DEEPEST: i64 = 16;
/// How often it looks although nobody told it.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The `pipeline` step.
pub struct SubPipeline {
    doc: KindDoc,
    link: watch::Sender<Option<Link>>,
}

/// What it takes to start runs, which is there only after the kinds are.
#[derive(Clone)]
struct Link {
    engine: Weak<Shared>,
    source: Arc<dyn PipelineSource>,
}

impl SubPipeline {
    /// Makes the kind; it starts nothing before [`SubPipeline::connect`].
    pub fn new() -> Self {
        Self {
            doc: KindDoc::of::<PipelineSpec>(KindFamily::Step, "pipeline", EXAMPLE),
            link: watch::Sender::new(None),
        }
    }

    /// Says which engine runs its pipelines and where they are.
    pub fn connect(&self, engine: &Engine, source: Arc<dyn PipelineSource>) {
        self.link.send_replace(Some(Link { engine: Arc::downgrade(&engine.shared), source }));
    }

    /// Waits for the connection: an engine that starts goes on with its runs before anybody can name it.
    async fn engine(&self) -> Result<(Engine, Arc<dyn PipelineSource>), StepError> {
        let mut link = self.link.subscribe();
        let link = link.wait_for(Option::is_some).await.ok().and_then(|link| link.clone());
        let found = link.and_then(|link| Some((Engine { shared: link.engine.upgrade()? }, link.source)));
        found
            .ok_or_else(|| StepError::transient(Problem::error("no-engine", "no engine runs pipelines here")))
    }
}

impl Default for SubPipeline {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl StepKind for SubPipeline {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: false, version: 1 }
    }

    fn waits(&self, _config: &Value) -> bool {
        true
    }

    fn outputs(&self, _config: &Value, declared: &IndexMap<String, String>) -> Vec<OutputDoc> {
        let declared = declared.iter();
        let outputs = declared.map(|(name, word)| OutputDoc { name: name.clone(), type_name: word.clone() });
        outputs.chain([OutputDoc { name: "run_id".to_owned(), type_name: "string".to_owned() }]).collect()
    }

    async fn begin_waiting(&self, context: &StepContext) -> Result<Value, StepError> {
        let (engine, source) = self.engine().await?;
        let name = context.config.as_str().unwrap_or_default();
        let pipeline = source.find(name).await.map_err(StepError::permanent)?;
        let above = row_of(&engine, &context.run_id).await?;
        check_chain(&engine, &above, &pipeline).await?;
        let options: Value = serde_json::from_str(&above.options).unwrap_or_default();
        let forced = options.get("force").and_then(Value::as_str) == Some("all");
        let request = RunRequest {
            inputs: context.inputs.clone(),
            cause: json!({"by": "pipeline", "run": context.run_id, "pipeline": context.pipeline, "step": context.step}),
            // The same attempt, begun again after a kill, finds its run.
            idempotency_key: Some(format!("{}/{}", context.idempotency_key, context.attempt)),
            force: if forced { Force::All } else { Force::Nothing },
            parent: Some(Parent {
                run_id: context.run_id.clone(),
                step: context.step.clone(),
                depth: u32::try_from(above.depth + 1).unwrap_or(u32::MAX),
            }),
            ..RunRequest::default()
        };
        let started = engine.submit(pipeline, request).await;
        started.map(|id| json!({"run": id})).map_err(|error| StepError::permanent(error.problem()))
    }

    async fn look(&self, context: &StepContext, handle: &Value) -> Result<Look, StepError> {
        let (engine, _) = self.engine().await?;
        let id = run_of(handle);
        let row = row_of(&engine, id).await?;
        match RunState::parse(&row.state) {
            Some(RunState::Succeeded) => Ok(Look::Done(outcome(&row)?)),
            Some(RunState::Cancelled) if context.cancel.is_cancelled() => Err(StepError::cancelled()),
            Some(state) if state.is_final() => Err(StepError::permanent(ended_badly(&row, state))),
            _ => {
                let steps =
                    engine.store().list_step_runs(id.to_owned()).await.map_err(|error| unread(&error))?;
                let over = steps
                    .iter()
                    .filter(|step| StepState::parse(&step.state).is_some_and(StepState::is_final));
                let reason = format!(
                    "for the run {id} of `{}`: {} of {} steps are over",
                    row.pipeline,
                    over.count(),
                    steps.len()
                );
                Ok(Look::Waiting { reason, look_again: LOOK_AGAIN })
            }
        }
    }

    async fn abandon(&self, _context: &StepContext, handle: &Value) {
        if let Ok((engine, _)) = self.engine().await {
            // It may be over by now.
            engine.cancel(run_of(handle)).await.ok();
        }
    }

    async fn run(&self, _context: StepContext) -> Result<StepOutcome, StepError> {
        Err(StepError::permanent(Problem::error(
            "placement",
            "`pipeline` steps wait for a run, they do not work",
        )))
    }
}

fn run_of(handle: &Value) -> &str {
    handle.get("run").and_then(Value::as_str).unwrap_or_default()
}

fn unread(error: &dyn std::error::Error) -> StepError {
    StepError::transient(Problem::error("store-failed", "the run cannot be read").note(chain(error)))
}

async fn row_of(engine: &Engine, id: &str) -> Result<PipelineRunRow, StepError> {
    let row = engine.store().find_pipeline_run(id.to_owned()).await.map_err(|error| unread(&error))?;
    row.ok_or_else(|| StepError::permanent(Problem::error("unknown-run", format!("the run `{id}` is gone"))))
}

/// Refuses a chain that is too long, and one that would wait for itself: a run that needs the place that a run above it holds.
async fn check_chain(engine: &Engine, above: &PipelineRunRow, pipeline: &Pipeline) -> Result<(), StepError> {
    if above.depth + 1 >= DEEPEST {
        let message = format!("`{}` would be the {DEEPEST}th run that a run starts", pipeline.name);
        let problem = Problem::error("sub-run-depth", message).hint("does a pipeline start itself?");
        return Err(StepError::permanent(problem));
    }
    let Some(rule) = &pipeline.concurrency else { return Ok(()) };
    let mut same = 0;
    let mut next = Some(above.clone());
    while let Some(row) = next {
        same += u32::from(row.pipeline == pipeline.name.as_str());
        next = match row.parent_run {
            Some(parent) => Some(row_of(engine, &parent).await?),
            None => None,
        };
    }
    if same < rule.limit {
        return Ok(());
    }
    let message = format!(
        "`{}` would wait for itself: {same} of the runs above it hold the places that `concurrency` leaves",
        pipeline.name
    );
    Err(StepError::permanent(
        Problem::error("concurrency-deadlock", message).hint("raise `limit` of its `concurrency`"),
    ))
}

fn outcome(row: &PipelineRunRow) -> Result<StepOutcome, StepError> {
    let outputs = row.outputs.as_deref().map(serde_json::from_str::<IndexMap<String, Value>>).transpose();
    let mut outputs = outputs.map_err(|error| unread(&error))?.unwrap_or_default();
    outputs.insert("run_id".to_owned(), row.id.clone().into());
    Ok(StepOutcome { outputs, ..StepOutcome::default() })
}

fn ended_badly(row: &PipelineRunRow, state: RunState) -> Problem {
    let cause = row.error.as_deref().and_then(|text| serde_json::from_str::<Problem>(text).ok());
    let message = format!("the run {} of `{}` is {}", row.id, row.pipeline, state.as_str());
    let mut problem = Problem::error("sub-run-failed", message);
    if let Some(cause) = cause {
        problem.notes.push(cause.message);
        problem.place = cause.place;
    }
    problem.hint(format!("millrace why {}", row.id))
}
