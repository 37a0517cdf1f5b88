//! What `train` computes, from gathered rows to a model folder. Blocks.

use std::path::PathBuf;

use indexmap::IndexMap;
use millrace_contract::{ModelColumn, ModelSignature, StepLog};
use millrace_onnx::{ElementType, GraphBuilder};
use millrace_spec::asset::Asset;
use millrace_spec::problem::Problem;
use serde_json::{Map, Value, json};

use crate::columns::{ColumnData, ColumnKind, Rows};
use crate::features::Features;
use crate::metrics::{binary, multiclass, regression};
use crate::model_folder::{ModelFolder, ModelMetadata};
use crate::target::{Resolved, Task};
use crate::trainers::{Examples, Fit, Lesson, Predictor, Round, Trainer, Watch};

/// What to do with the rows.
pub(super) struct Plan {
    pub(super) name: &'static str,
    pub(super) trainer: Box<dyn Trainer>,
    pub(super) task: Option<Task>,
    pub(super) max_levels: usize,
    pub(super) seed: u64,
    /// Where the model goes.
    pub(super) folder: PathBuf,
}

/// What came of it.
pub(super) struct Learned {
    pub(super) task: Task,
    pub(super) model: Asset,
    pub(super) metrics: IndexMap<String, f64>,
    pub(super) rounds: Vec<Round>,
    pub(super) rows: u64,
}

pub(super) fn learn(
    plan: Plan,
    training: Rows,
    validation: Option<Rows>,
    watch: Watch<'_>,
    log: &dyn StepLog,
) -> Result<Learned, Problem> {
    let resolved = resolve(&plan, &training, log)?;
    let target = training.target.name.clone();
    let example = example(&training);
    let features = Features::learn(&training.columns, plan.trainer.encoding(), plan.max_levels);
    let mut metrics = IndexMap::new();
    let (rows, dropped) = (training.len() as u64, training.dropped);
    let training = examples(training, &features, &resolved, "training", log);
    let validation = validation.map(|rows| examples(rows, &features, &resolved, "validation", log));
    let validation = validation.filter(|examples| examples.matrix.rows > 0);
    let truths = (training.targets.clone(), validation.as_ref().map(|examples| examples.targets.clone()));
    let lesson = Lesson { classes: resolved.classes.len(), training, validation, seed: plan.seed };
    let mut rounds = Vec::new();
    let fit = plan.trainer.fit(lesson, &mut |round| {
        rounds.push(round);
        watch(round)
    })?;
    scores("training", &fit.training, &truths.0, &resolved, &mut metrics);
    if let (Some(predictions), Some(truths)) = (&fit.validation, &truths.1) {
        scores("validation", predictions, truths, &resolved, &mut metrics);
    }
    metrics.extend(fit.facts.iter().map(|(name, value)| ((*name).to_owned(), *value)));
    metrics.insert("rows".to_owned(), rows as f64);
    metrics.insert("features".to_owned(), features.columns().len() as f64);
    metrics.insert("dropped_rows".to_owned(), dropped as f64);
    metrics.retain(|_, value| value.is_finite());
    let folder = ModelFolder {
        onnx: graph(&features, fit.predictor.as_ref(), &resolved.classes),
        signature: signature(&features, &resolved),
        metadata: ModelMetadata {
            task: resolved.task,
            target: Some(target),
            classes: resolved.classes.clone(),
            trainer: Some(plan.name.to_owned()),
            importance: importance(&features, &fit),
        },
        example,
    };
    let model = folder
        .write(&plan.folder)
        .map_err(|error| Problem::error("model-write", format!("the model cannot be written: {error}")))?;
    Ok(Learned { task: resolved.task, model, metrics, rounds, rows })
}

fn resolve(plan: &Plan, training: &Rows, log: &dyn StepLog) -> Result<Resolved, Problem> {
    let able = plan.trainer.tasks();
    if let Some(task) = plan.task.filter(|task| !able.contains(task)) {
        let message = format!("`{}` does no {}", plan.name, task.word());
        return Err(Problem::error("trainer-task", message).hint("trainer: gradient_boosting"));
    }
    let resolved = training.target.resolve(plan.task, able)?;
    if let Some(reason) = &resolved.reason {
        log.line(reason);
    }
    let infinite = |value: &&f64| !(**value as f32).is_finite();
    if let Some(odd) = training.target.numbers().iter().find(infinite) {
        let message =
            format!("the target `{}` has the value {odd}, which cannot be learned", training.target.name);
        return Err(Problem::error("target-value", message).hint("leave such rows out in a flow"));
    }
    Ok(resolved)
}

/// The matrix and targets of rows. Rows of classes that the training data does not have are left out, and counted.
fn examples(rows: Rows, features: &Features, resolved: &Resolved, what: &str, log: &dyn StepLog) -> Examples {
    let values = rows.target.values(resolved);
    let mut order = rows.order();
    order.retain(|row| values.get(*row).copied().flatten().is_some());
    let unknown = rows.len() - order.len();
    if unknown > 0 {
        log.line(&format!(
            "warning: {unknown} {what} rows are of classes that the training data lacks; they are left out"
        ));
    }
    let targets = order.iter().filter_map(|row| values.get(*row).copied().flatten()).collect();
    Examples { matrix: features.matrix(&rows.columns, &order), targets }
}

/// The first row in the order of learning, for people who want to see what the model takes.
fn example(rows: &Rows) -> Map<String, Value> {
    let Some(row) = rows.order().first().copied() else { return Map::new() };
    let value = |data: &ColumnData| match data {
        ColumnData::Numbers(values) => {
            // The shortest decimal of the 32-bit number, not that of its 64-bit neighbour: 39.92, not 39.91999816894531.
            let value = values.get(row).filter(|value| !value.is_nan());
            value.and_then(|value| value.to_string().parse::<f64>().ok()).map(|value| json!(value))
        }
        ColumnData::Texts(levels, codes) => {
            codes.get(row).and_then(|code| levels.get_index(*code as usize)).map(|level| json!(level))
        }
    };
    let entry = |column: &crate::columns::Column| {
        (column.spec.name.clone(), value(&column.data).unwrap_or(Value::Null))
    };
    rows.columns.iter().map(entry).collect()
}

/// Preparation and model as one graph.
pub(super) fn graph(features: &Features, predictor: &dyn Predictor, classes: &[String]) -> Vec<u8> {
    let mut graph = GraphBuilder::new("millrace");
    let input = features.export(&mut graph);
    // A value has one name, and a column may already be called `label`.
    let name = |wanted: &str| {
        let mut name = wanted.to_owned();
        while features.columns().iter().any(|(spec, _)| spec.name == name) {
            name.insert_str(0, "output_");
        }
        name
    };
    if classes.is_empty() {
        let outputs = [name("variable")];
        predictor.export(&mut graph, &input, &outputs, classes);
        let [variable] = &outputs;
        graph.output(variable, ElementType::Float, &[None, Some(1)]);
    } else {
        let outputs = [name("label"), name("probabilities")];
        predictor.export(&mut graph, &input, &outputs, classes);
        let [label, probabilities] = &outputs;
        graph.output(label, ElementType::String, &[None]);
        graph.output(probabilities, ElementType::Float, &[None, Some(classes.len())]);
    }
    graph.encode()
}

/// A column without missing values in training is required, as MLflow infers it.
fn signature(features: &Features, resolved: &Resolved) -> ModelSignature {
    let column = |name: String, data_type: &str, required| ModelColumn {
        name,
        data_type: data_type.to_owned(),
        required,
    };
    let inputs = features.columns().iter().map(|(spec, missing)| {
        let data_type = match spec.kind {
            ColumnKind::Number => "double",
            ColumnKind::Text => "string",
        };
        column(spec.name.clone(), data_type, !missing)
    });
    let prediction = if resolved.classes.is_empty() { "double" } else { "string" };
    let classes = resolved.classes.iter().map(|class| column(format!("probability_{class}"), "double", true));
    ModelSignature {
        inputs: inputs.collect(),
        outputs: std::iter::once(column("prediction".to_owned(), prediction, true)).chain(classes).collect(),
    }
}

/// Each table column's share, the largest first; columns without any are left out.
fn importance(features: &Features, fit: &Fit) -> IndexMap<String, f64> {
    let mut shares = vec![0.0; features.columns().len()];
    for (source, weight) in features.sources().into_iter().zip(fit.predictor.importance()) {
        if let Some(share) = shares.get_mut(source) {
            *share += weight;
        }
    }
    let total: f64 = shares.iter().sum();
    let names = features.columns().iter().map(|(spec, _)| spec.name.clone());
    let mut shares: Vec<(String, f64)> = names.zip(shares).filter(|(_, share)| *share > 0.0).collect();
    shares.iter_mut().for_each(|(_, share)| *share /= total);
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares.into_iter().collect()
}

/// Loss and quality of predictions, under names that begin with `what`.
fn scores(
    what: &str,
    predictions: &[f32],
    truths: &[f32],
    resolved: &Resolved,
    metrics: &mut IndexMap<String, f64>,
) {
    let classes = resolved.classes.len();
    let mut put = |name: &str, value: f64| metrics.insert(format!("{what}_{name}"), value);
    match classes {
        0 => {
            let rows = predictions.iter().zip(truths).map(|(p, y)| (f64::from(*p), f64::from(*y)));
            let summary = regression::summary(&rows.collect::<Vec<_>>());
            put("rmse", summary.rmse);
            put("r2", summary.r2);
        }
        2 => {
            let rows = predictions.iter().skip(1).step_by(2).zip(truths);
            let rows: Vec<(f64, bool)> = rows.map(|(p, y)| (f64::from(*p), *y > 0.5)).collect();
            put("log_loss", binary::log_loss(&rows));
            if let Some(auc) = binary::auc(&rows) {
                put("auc", auc);
            }
        }
        _ => {
            let probabilities: Vec<f64> = predictions.iter().map(|p| f64::from(*p)).collect();
            let truths: Vec<usize> = truths.iter().map(|y| *y as usize).collect();
            put("log_loss", multiclass::log_loss(&probabilities, &truths, classes));
            put("accuracy", multiclass::accuracy(&multiclass::confusion(&probabilities, &truths, classes)));
        }
    }
}
