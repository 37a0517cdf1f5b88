use std::ops::ControlFlow;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use indexmap::IndexMap;
use millrace_contract::{
    KindDoc, KindFamily, OutputDoc, Progress, QueryEngine, RunTracker, StepContext, StepError, StepKind,
    StepOutcome, StepTraits, TableRef,
};
use millrace_spec::asset::Asset;
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::learn::{Learned, Plan, learn};
use super::read_config;
use crate::columns::{Choice, Rows, choose};
use crate::table::{arrow_error, blocking, read_error, schema_of, table_ref, unknown};
use crate::target::{Target, TargetKind, Task};
use crate::trainers::{self, Round};

/// Trains a model on a table, in this process.
///
/// The target's type tells the task: truth values, texts and few whole numbers are classes, other numbers are estimated. All other
/// columns are features unless `features` or `exclude` say otherwise; texts get a column for each of their common values, and missing
/// values are allowed. Rows without a target are left out and counted. The model is an ONNX graph from raw columns to predictions, in
/// MLflow's folder layout, so it is served and evaluated without further code.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TrainConfig {
    /// The table to learn from.
    #[schemars(with = "Value")]
    data: Asset,
    /// Column to predict.
    target: String,
    /// A trainer's name, or the name with its parameters: `gradient_boosting`, `logistic_regression`, `linear_regression`.
    trainer: Value,
    /// Columns to learn from; all but the target if absent.
    #[serde(default)]
    features: Option<Vec<String>>,
    /// Columns not to learn from: keys, and what is not known yet when a prediction is wanted.
    #[serde(default)]
    exclude: Vec<String>,
    /// A table to watch while learning; needed for `early_stopping`.
    #[serde(default)]
    #[schemars(with = "Option<Value>")]
    validation: Option<Asset>,
    /// What to predict, if the target's type does not tell.
    #[serde(default)]
    task: Option<Task>,
    /// Values of a text column that are told apart, the commonest ones.
    #[serde(default = "default_levels")]
    #[schemars(range(min = 1, max = 10_000))]
    max_levels: usize,
    /// Decides whatever chance decides; the same seed gives the same model.
    #[serde(default)]
    seed: u64,
}

fn default_levels() -> usize {
    64
}

const EXAMPLE: &str = "train:\n  data: ${{ steps.split.train }}\n  target: late\n  exclude: [flight, arr_delay]\n  trainer: {gradient_boosting: {trees: 300, learning_rate: 0.05, early_stopping: 20}}\n  validation: ${{ steps.split.validation }}";

/// The step kind `train`.
pub struct TrainStep {
    doc: KindDoc,
    engine: Arc<dyn QueryEngine>,
    tracker: Arc<dyn RunTracker>,
}

impl std::fmt::Debug for TrainStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TrainStep")
    }
}

impl TrainStep {
    /// Reads tables with `engine` and logs losses and parameters into `tracker`.
    pub fn new(engine: Arc<dyn QueryEngine>, tracker: Arc<dyn RunTracker>) -> Self {
        Self { doc: KindDoc::of::<TrainConfig>(KindFamily::Step, "train", EXAMPLE), engine, tracker }
    }

    async fn gather(&self, table: &TableRef, mut rows: Rows) -> Result<Rows, StepError> {
        let stream = self.engine.scan(table, Some(rows.names()), None).await;
        let mut batches = stream.map_err(|error| read_error(&error))?.batches;
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(|error| read_error(&error))?;
            // Casting and hashing a batch takes longer than an async thread may.
            let added = blocking("reading", move || {
                let added = rows.add(&batch);
                (rows, added)
            });
            let (back, added) = added.await?;
            added.map_err(|error| arrow_error(&error))?;
            rows = back;
        }
        Ok(rows)
    }

    async fn read(
        &self,
        context: &StepContext,
        config: &TrainConfig,
    ) -> Result<(Rows, Option<Rows>), StepError> {
        let table = table_ref("data", &config.data).map_err(StepError::permanent)?;
        let schema = schema_of(self.engine.as_ref(), &table).await?;
        let choice =
            Choice { target: &config.target, features: config.features.as_deref(), exclude: &config.exclude };
        let specs = choose(&schema, choice).map_err(StepError::permanent)?;
        let field = schema.field_with_name(&config.target).map_err(|error| arrow_error(&error))?;
        let kind = TargetKind::of(&config.target, field.data_type()).map_err(StepError::permanent)?;
        let empty = Rows::new(&specs, Target::new(&config.target, kind));
        let training = self.gather(&table, empty.clone()).await?;
        tell(context, "training", &training);
        if training.len() == 0 {
            let message = format!("`data` has no rows with a value of `{}`", config.target);
            return Err(StepError::permanent(Problem::error("no-rows", message)));
        }
        let Some(asset) = &config.validation else { return Ok((training, None)) };
        let table = table_ref("validation", asset).map_err(StepError::permanent)?;
        let schema = schema_of(self.engine.as_ref(), &table).await?;
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        if let Some(absent) = empty.names().iter().find(|name| !names.contains(&name.as_str())) {
            return Err(StepError::permanent(unknown("column", "validation", absent, &names)));
        }
        let validation = self.gather(&table, empty).await?;
        tell(context, "validation", &validation);
        if validation.len() == 0 {
            let message = format!("`validation` has no rows with a value of `{}`", config.target);
            return Err(StepError::permanent(Problem::error("no-rows", message)));
        }
        Ok((training, Some(validation)))
    }

    /// Losses and parameters of the step's tracked run.
    async fn track(
        &self,
        context: &StepContext,
        config: &TrainConfig,
        learned: &Learned,
    ) -> Result<(), StepError> {
        let mut metrics = Vec::new();
        for round in &learned.rounds {
            let step = round.done as i64;
            metrics.push((format!("rounds/training_{}", round.metric), round.training, step));
            if let Some(loss) = round.validation {
                metrics.push((format!("rounds/validation_{}", round.metric), loss, step));
            }
        }
        metrics.retain(|(_, value, _)| value.is_finite());
        let (trainer, parameters) =
            trainers::name_and_parameters(&config.trainer).map_err(StepError::permanent)?;
        let mut params = IndexMap::from([
            ("trainer".to_owned(), trainer),
            ("target".to_owned(), config.target.clone()),
            ("task".to_owned(), learned.task.word().to_owned()),
            ("seed".to_owned(), config.seed.to_string()),
        ]);
        // A parameter is logged once: the trainer's own `seed` is the one that counts.
        for (name, value) in parameters.as_object().into_iter().flatten() {
            params.insert(name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        let params = params.into_iter().collect();
        let logged = self.tracker.log(&context.tracking_run_id, metrics, params, Vec::new()).await;
        logged.map_err(|error| StepError::transient(Problem::error("tracking-failed", error.to_string())))
    }
}

#[async_trait]
impl StepKind for TrainStep {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: true, version: 1 }
    }

    fn tracked(&self) -> bool {
        true
    }

    fn outputs(&self, _: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        let output =
            |(name, kind): (&str, &str)| OutputDoc { name: name.to_owned(), type_name: kind.to_owned() };
        [("model", "model"), ("metrics", "metrics"), ("rows", "integer")].into_iter().map(output).collect()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        let Some(trainer) = config.get("trainer") else { return Vec::new() };
        let mut problems = trainers::check(trainer);
        let stops =
            trainer.pointer("/gradient_boosting/early_stopping").is_some_and(|value| !value.is_null());
        if stops && config.get("validation").is_none_or(Value::is_null) {
            problems.push(no_validation());
        }
        problems
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        let config: TrainConfig = read_config("train", &context.config)?;
        let (name, trainer) = trainers::read(&config.trainer).map_err(StepError::permanent)?;
        if trainer.needs_validation() && config.validation.is_none() {
            return Err(StepError::permanent(no_validation()));
        }
        let (training, validation) = tokio::select! {
            biased;
            () = context.cancel.cancelled() => return Err(StepError::cancelled()),
            read = self.read(&context, &config) => read?,
        };
        let plan = Plan {
            name,
            trainer,
            task: config.task,
            max_levels: config.max_levels,
            seed: config.seed,
            folder: context.folder.join("outputs").join("model"),
        };
        let (cancel, log, progress) = (context.cancel.clone(), context.log.clone(), context.progress.clone());
        let work = move || {
            let told = log.clone();
            let mut watch = move |round: Round| {
                told.line(&line(&round));
                let fraction = Some(round.done as f64 / round.of.max(1) as f64);
                let message = Some(format!("round {} of {}", round.done, round.of));
                progress.report(Progress { fraction, message, ..Progress::default() });
                if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            learn(plan, training, validation, &mut watch, log.as_ref())
        };
        let learned = blocking("training", work).await?;
        if context.cancel.is_cancelled() {
            return Err(StepError::cancelled());
        }
        let learned = learned.map_err(StepError::permanent)?;
        self.track(&context, &config, &learned).await?;
        Ok(StepOutcome {
            outputs: IndexMap::from([
                ("model".to_owned(), learned.model.to_value()),
                ("metrics".to_owned(), json!(learned.metrics)),
                ("rows".to_owned(), json!(learned.rows)),
            ]),
            metrics: learned.metrics,
            rows: Some(learned.rows),
            ..StepOutcome::default()
        })
    }
}

fn no_validation() -> Problem {
    Problem::error("no-validation", "`early_stopping` needs rows to watch, and there is no `validation`")
        .hint("split some off and name them: `validation: ${{ steps.split.validation }}`")
        .hint("remove `early_stopping`")
}

fn line(round: &Round) -> String {
    let validation = round.validation.map(|loss| format!(", validation {loss:.6}")).unwrap_or_default();
    format!("[{}] {}: training {:.6}{validation}", round.done, round.metric, round.training)
}

fn tell(context: &StepContext, table: &str, rows: &Rows) {
    context.log.line(&format!("{table}: {} rows, {} columns", rows.len(), rows.columns.len()));
    if rows.dropped > 0 {
        let target = &rows.target.name;
        context
            .log
            .line(&format!("warning: {} {table} rows have no `{target}` and are left out", rows.dropped));
    }
}
