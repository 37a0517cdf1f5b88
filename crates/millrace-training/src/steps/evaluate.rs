use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt as _;
use indexmap::IndexMap;
use millrace_contract::{
    KindDoc, KindFamily, LoadedModel, ModelError, ModelRuntime, OutputDoc, Progress, QueryEngine,
    StepContext, StepError, StepKind, StepOutcome, StepTraits, TableRef,
};
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::read_config;
use crate::columns::with_target;
use crate::evaluation::Scored;
use crate::importance::{Sample, permutation_importance};
use crate::model_folder::{read_metadata, write_synced};
use crate::table::{arrow_error, blocking, column, read_error, schema_of, table_ref, unknown};
use crate::target::{Target, TargetKind, class_place};

/// Judges a model on a table: numbers to compare by, and a report with curves, matrices and what matters to the model.
///
/// Two classes: `auc`, `average_precision`, `accuracy`, `precision`, `recall`, `f1`, `log_loss`, `brier`; several: `accuracy`,
/// `macro_f1`, `log_loss`; numbers: `rmse`, `mae`, `r2`, `rae`, `rse`. A probability above 0.5 counts as positive. Importance is
/// measured on up to 5,000 rows: how much worse the model gets when a column's values are shuffled.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EvaluateConfig {
    /// The model: another step's output, or a registered one, `model:late_flights@champion`.
    #[schemars(with = "Value")]
    model: Asset,
    /// The table to judge it on, with the target in it.
    #[schemars(with = "Value")]
    data: Asset,
    /// Column with the truth; the one that the model was trained for if absent.
    #[serde(default)]
    target: Option<String>,
    /// Of two classes the one to find; the second in order if absent, so `true`, or `1`.
    #[serde(default)]
    positive: Option<Value>,
    /// Decides which rows importance is measured on.
    #[serde(default)]
    seed: u64,
}

const EXAMPLE: &str = "evaluate:\n  model: ${{ steps.boosting.model }}\n  data: ${{ steps.split.test }}";

/// The step kind `evaluate`.
pub struct EvaluateStep {
    doc: KindDoc,
    engine: Arc<dyn QueryEngine>,
    runtime: Arc<dyn ModelRuntime>,
}

impl std::fmt::Debug for EvaluateStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EvaluateStep")
    }
}

/// How a model's scores are read.
#[derive(Clone)]
struct Judge {
    model: Arc<dyn LoadedModel>,
    target: String,
    kind: TargetKind,
    positive: usize,
}

/// What the rows gave.
struct Gathered {
    scored: Scored,
    sample: Sample,
    /// Rows without a truth.
    dropped: u64,
    /// Rows of classes that the model does not know.
    unknown: u64,
}

impl EvaluateStep {
    /// Reads tables with `engine` and loads models with `runtime`.
    pub fn new(engine: Arc<dyn QueryEngine>, runtime: Arc<dyn ModelRuntime>) -> Self {
        Self { doc: KindDoc::of::<EvaluateConfig>(KindFamily::Step, "evaluate", EXAMPLE), engine, runtime }
    }

    async fn judge(&self, config: &EvaluateConfig, schema: &SchemaRef) -> Result<Judge, StepError> {
        if config.model.kind != AssetType::Model {
            let problem = Problem::error("not-a-model", "`model` is not a model")
                .hint("name a step's output: `model: ${{ steps.train.model }}`")
                .hint("name a registered one: `model: model:late_flights@champion`");
            return Err(StepError::permanent(problem));
        }
        let model = self.runtime.load(&config.model.uri).await.map_err(|error| model_error(&error))?;
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let target = target_name(config, model.folder())?;
        if !names.contains(&target.as_str()) {
            return Err(StepError::permanent(unknown("column", "data", &target, &names)));
        }
        let wanted = model.signature().inputs.iter().filter(|input| input.required);
        if let Some(absent) = wanted.map(|input| &input.name).find(|name| !names.contains(&name.as_str())) {
            let problem = unknown("column", "data", absent, &names).note("the model needs it");
            return Err(StepError::permanent(problem));
        }
        let field = schema.field_with_name(&target).map_err(|error| arrow_error(&error))?;
        let kind = TargetKind::of(&target, field.data_type()).map_err(StepError::permanent)?;
        let classes = model.classes();
        if classes.is_empty() && matches!(kind, TargetKind::Truth | TargetKind::Text) {
            let message =
                format!("the model estimates numbers, but the target `{target}` is {}", field.data_type());
            return Err(StepError::permanent(Problem::error("target-type", message)));
        }
        let positive = positive(config, classes).map_err(StepError::permanent)?;
        Ok(Judge { model, target, kind, positive })
    }

    async fn gather(
        &self,
        context: &StepContext,
        table: &TableRef,
        judge: &Judge,
        config: &EvaluateConfig,
        schema: &SchemaRef,
    ) -> Result<Gathered, StepError> {
        let inputs = judge.model.signature().inputs.iter().map(|input| input.name.clone());
        let mut columns: Vec<String> = inputs.filter(|name| schema.index_of(name).is_ok()).collect();
        if !columns.contains(&judge.target) {
            columns.push(judge.target.clone());
        }
        let stream = self.engine.scan(table, Some(columns), None).await;
        let mut batches = stream.map_err(|error| read_error(&error))?.batches;
        let mut gathered =
            Gathered { scored: judge.empty(), sample: Sample::default(), dropped: 0, unknown: 0 };
        let seed = config.seed;
        let mut read = 0;
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(|error| read_error(&error))?;
            read += batch.num_rows() as u64;
            let judge = judge.clone();
            let work = move || judge.add(&batch, seed, &mut gathered).map(|()| gathered);
            gathered = blocking("scoring", work).await??;
            let fraction = config.data.rows.filter(|rows| *rows > 0).map(|rows| read as f64 / rows as f64);
            context.progress.report(Progress { fraction, rows: Some(read), ..Progress::default() });
        }
        Ok(gathered)
    }

    async fn measure(
        &self,
        context: &StepContext,
        config: &EvaluateConfig,
    ) -> Result<StepOutcome, StepError> {
        let table = table_ref("data", &config.data).map_err(StepError::permanent)?;
        let schema = schema_of(self.engine.as_ref(), &table).await?;
        let judge = self.judge(config, &schema).await?;
        let gathered = self.gather(context, &table, &judge, config, &schema).await?;
        let (seed, log) = (config.seed, context.log.clone());
        let rows = gathered.scored.len() as u64;
        if gathered.dropped > 0 {
            let (dropped, target) = (gathered.dropped, &judge.target);
            log.line(&format!("warning: {dropped} rows have no `{target}` and are left out"));
        }
        if gathered.unknown > 0 {
            let unknown = gathered.unknown;
            log.line(&format!(
                "warning: {unknown} rows are of classes that the model does not know and are left out"
            ));
        }
        if rows == 0 {
            return Err(StepError::permanent(judge.nothing(&gathered)));
        }
        let left_out = (gathered.dropped, gathered.unknown);
        let labels = (config.model.label(), config.data.label());
        let cancel = context.cancel.clone();
        let work = move || judge.report(gathered, seed, labels, &cancel);
        let (mut metrics, report) = blocking("evaluation", work).await??;
        if context.cancel.is_cancelled() {
            return Err(StepError::cancelled());
        }
        for (name, value) in &metrics {
            log.line(&format!("{name}: {value:.6}"));
        }
        metrics.insert("rows".to_owned(), rows as f64);
        for (name, count) in [("dropped_rows", left_out.0), ("unknown_class_rows", left_out.1)] {
            if count > 0 {
                metrics.insert(name.to_owned(), count as f64);
            }
        }
        let folder = context.folder.clone();
        let asset = blocking("writing", move || write_report(&folder, &report)).await?;
        let asset = asset.map_err(|error| {
            let message = format!("cannot write the report: {error}");
            StepError::permanent(Problem::error("report-write", message))
        })?;
        Ok(StepOutcome {
            outputs: IndexMap::from([
                ("metrics".to_owned(), json!(metrics)),
                ("report".to_owned(), asset.to_value()),
            ]),
            metrics,
            rows: Some(rows),
            ..StepOutcome::default()
        })
    }
}

#[async_trait]
impl StepKind for EvaluateStep {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: true, version: 1 }
    }

    fn outputs(&self, _: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        let output =
            |(name, kind): (&str, &str)| OutputDoc { name: name.to_owned(), type_name: kind.to_owned() };
        [("metrics", "metrics"), ("report", "report")].into_iter().map(output).collect()
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        let config: EvaluateConfig = read_config("evaluate", &context.config)?;
        tokio::select! {
            biased;
            () = context.cancel.cancelled() => Err(StepError::cancelled()),
            outcome = self.measure(&context, &config) => outcome,
        }
    }
}

impl Judge {
    fn empty(&self) -> Scored {
        match self.model.classes().len() {
            0 => Scored::Regression { rows: Vec::new() },
            2 => Scored::Binary { rows: Vec::new(), positive: self.positive },
            classes => Scored::Multiclass { probabilities: Vec::new(), truths: Vec::new(), classes },
        }
    }

    fn add(&self, batch: &RecordBatch, seed: u64, gathered: &mut Gathered) -> Result<(), StepError> {
        let batch =
            with_target(batch, &self.target, &mut gathered.dropped).map_err(|error| arrow_error(&error))?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        gathered.scored.extend(self.score(&batch, &mut gathered.unknown)?);
        gathered.sample.add(&batch, seed).map_err(|error| arrow_error(&error))
    }

    /// Scores rows that have a truth; those of classes that the model does not know are counted.
    fn score(&self, batch: &RecordBatch, unknown: &mut u64) -> Result<Scored, StepError> {
        let mut target = Target::new(&self.target, self.kind);
        let truth = column(batch, &self.target).map_err(|error| arrow_error(&error))?;
        target.add(truth).map_err(|error| arrow_error(&error))?;
        let scores = self.model.score(batch).map_err(|error| model_error(&error))?;
        let classes = self.model.classes();
        if classes.is_empty() {
            let predictions = numbers(&scores, "prediction")?;
            return Ok(Scored::Regression {
                rows: predictions.into_iter().zip(target.numbers().iter().copied()).collect(),
            });
        }
        let mut columns = Vec::with_capacity(classes.len());
        for class in classes {
            columns.push(numbers(&scores, &format!("probability_{class}"))?);
        }
        let mut known: IndexMap<String, Option<usize>> = IndexMap::new();
        let mut empty = self.empty();
        for (row, text) in target.texts().into_iter().enumerate() {
            let place = *known.entry(text).or_insert_with_key(|text| class_place(classes, text));
            let Some(place) = place else {
                *unknown += 1;
                continue;
            };
            let at =
                |class: usize| columns.get(class).and_then(|column| column.get(row)).copied().unwrap_or(0.0);
            match &mut empty {
                Scored::Binary { rows, positive } => rows.push((at(*positive), place == *positive)),
                Scored::Multiclass { probabilities, truths, classes } => {
                    probabilities.extend((0..*classes).map(at));
                    truths.push(place);
                }
                Scored::Regression { .. } => {}
            }
        }
        Ok(empty)
    }

    fn nothing(&self, gathered: &Gathered) -> Problem {
        let target = &self.target;
        if gathered.unknown > 0 {
            let message = format!("no value of `{target}` is a class of the model");
            return Problem::error("unknown-class", message)
                .note(format!("its classes are {}", self.model.classes().join(", ")));
        }
        Problem::error("no-rows", format!("`data` has no rows with a value of `{target}`"))
    }

    fn report(
        &self,
        mut gathered: Gathered,
        seed: u64,
        (model, data): (String, String),
        cancel: &tokio_util::sync::CancellationToken,
    ) -> Result<(IndexMap<String, f64>, Value), StepError> {
        gathered.scored.sort();
        let metrics = gathered.scored.metrics();
        let mut report = Map::new();
        report.insert("version".into(), json!(1));
        report.insert("task".into(), json!(self.model.task()));
        report.insert("model".into(), json!(model));
        report.insert("data".into(), json!(data));
        report.insert("target".into(), json!(self.target));
        report.insert("rows".into(), json!(gathered.scored.len()));
        report.insert("classes".into(), json!(self.model.classes()));
        if self.model.classes().len() == 2 {
            report.insert("positive".into(), json!(self.model.classes().get(self.positive)));
        }
        report.insert("metrics".into(), json!(metrics));
        report.extend(gathered.scored.drawings());
        if let Some(rows) = gathered.sample.rows() {
            let inputs: Vec<String> =
                self.model.signature().inputs.iter().map(|input| input.name.clone()).collect();
            let measure = gathered.scored.badness().0;
            let judged = permutation_importance(&rows, &inputs, seed, |rows| {
                if cancel.is_cancelled() {
                    return Err(Stop(StepError::cancelled()));
                }
                let mut scored = self.score(rows, &mut 0).map_err(Stop)?;
                scored.sort();
                Ok(scored.badness().1)
            });
            let judged = judged.map_err(|stop| stop.0)?;
            let list: Vec<Value> =
                judged.iter().map(|(name, value)| json!({"feature": name, "importance": value})).collect();
            report.insert("importance".into(), json!(list));
            report.insert("importance_measure".into(), json!(measure));
        }
        Ok((metrics, Value::Object(report)))
    }
}

/// A step's failure on its way through the importance.
struct Stop(StepError);

impl From<arrow::error::ArrowError> for Stop {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self(arrow_error(&error))
    }
}

fn target_name(config: &EvaluateConfig, folder: &Path) -> Result<String, StepError> {
    if let Some(target) = &config.target {
        return Ok(target.clone());
    }
    let metadata = read_metadata(folder).map_err(StepError::permanent)?;
    metadata.and_then(|metadata| metadata.target).ok_or_else(|| {
        let problem = Problem::error("no-target", "the model does not say which column it predicts");
        StepError::permanent(problem.hint("name it: `target: <column>`"))
    })
}

fn positive(config: &EvaluateConfig, classes: &[String]) -> Result<usize, Problem> {
    let Some(wanted) = &config.positive else { return Ok(1) };
    let text = wanted.as_str().map_or_else(|| wanted.to_string(), str::to_owned);
    if classes.len() != 2 {
        let message = "`positive` is for models of two classes";
        return Err(Problem::error("positive", message).note(format!("this one has {}", classes.len())));
    }
    let names: Vec<&str> = classes.iter().map(String::as_str).collect();
    class_place(classes, &text).ok_or_else(|| unknown("class", "model", &text, &names))
}

fn numbers(scores: &RecordBatch, name: &str) -> Result<Vec<f64>, StepError> {
    let array = column(scores, name).map_err(|error| arrow_error(&error))?;
    let array = cast(array, &DataType::Float64).map_err(|error| arrow_error(&error))?;
    let values = array.as_primitive::<Float64Type>();
    if values.null_count() > 0 || values.values().iter().any(|value| value.is_nan()) {
        let message = format!("the model's `{name}` is not a number in some rows");
        return Err(StepError::permanent(Problem::error("model-output", message)));
    }
    Ok(values.values().to_vec())
}

fn model_error(error: &ModelError) -> StepError {
    let code = match error {
        ModelError::Load { .. } => "model-load",
        ModelError::Input { .. } => "model-input",
        ModelError::Run { .. } => "model-run",
    };
    StepError::permanent(Problem::error(code, error.to_string()))
}

/// Writes `outputs/report.json` whole: beside, synced, renamed.
fn write_report(folder: &Path, report: &Value) -> std::io::Result<Asset> {
    let text = format!("{report:#}\n");
    let outputs = folder.join("outputs");
    fs_err::create_dir_all(&outputs)?;
    let (beside, path) = (outputs.join(".report.json.new"), outputs.join("report.json"));
    write_synced(&beside, text.as_bytes())?;
    fs_err::rename(&beside, &path)?;
    let uri = url::Url::from_file_path(&path).map(String::from);
    Ok(Asset {
        kind: AssetType::Report,
        name: None,
        version: None,
        uri: uri.map_err(|()| std::io::Error::other(format!("`{}` is not absolute", path.display())))?,
        delta_version: None,
        digest: format!("blake3:{}", blake3::hash(text.as_bytes()).to_hex()),
        rows: None,
        size_bytes: Some(text.len() as u64),
    })
}
