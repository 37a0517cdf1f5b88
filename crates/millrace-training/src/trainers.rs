//! The learning algorithms. A new one: a file with its parameters and its code, and a line in `ALL`.

mod gradient_boosting;
mod lbfgs;
mod linear;
mod linear_regression;
mod logistic_regression;

use std::ops::ControlFlow;

use millrace_contract::{KindDoc, KindFamily};
use millrace_onnx::GraphBuilder;
use millrace_spec::problem::Problem;
use millrace_spec::suggest::nearest;
use millrace_spec::validate::violations;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::features::{Encoding, Matrix};
use crate::target::Task;

/// Every trainer, in the order of the manual.
const ALL: &[Entry] = &[
    entry::<gradient_boosting::GradientBoosting>(),
    entry::<logistic_regression::LogisticRegression>(),
    entry::<linear_regression::LinearRegression>(),
];

struct Entry {
    doc: fn() -> KindDoc,
    name: &'static str,
    read: fn(&Value) -> Result<Box<dyn Trainer>, serde_json::Error>,
}

const fn entry<T: TrainerSpec>() -> Entry {
    Entry {
        doc: || KindDoc::of::<T>(KindFamily::Trainer, T::NAME, T::EXAMPLE),
        name: T::NAME,
        read: |value| Ok(Box::new(T::deserialize(value)?)),
    }
}

/// A trainer's parameters as users write them.
trait TrainerSpec: Trainer + DeserializeOwned + JsonSchema + 'static {
    const NAME: &'static str;
    const EXAMPLE: &'static str;
}

/// Rows to learn from: the matrix and, for each row, its number or the place of its class.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    /// Features.
    pub matrix: Matrix,
    /// Targets, one a row.
    pub targets: Vec<f32>,
}

/// What is to be learned.
#[derive(Debug)]
pub struct Lesson {
    /// Classes to tell apart; 0 for regression.
    pub classes: usize,
    /// Rows to learn from.
    pub training: Examples,
    /// Rows to watch.
    pub validation: Option<Examples>,
    /// Decides whatever chance decides.
    pub seed: u64,
}

/// How far a trainer is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Round {
    /// Rounds done.
    pub done: u64,
    /// Rounds at most.
    pub of: u64,
    /// What the losses are: `log_loss`, `rmse`.
    pub metric: &'static str,
    /// On the training rows.
    pub training: f64,
    /// On the validation rows.
    pub validation: Option<f64>,
}

/// Told after every round; a break ends the training.
pub type Watch<'a> = &'a mut (dyn FnMut(Round) -> ControlFlow<()> + Send);

/// A learning algorithm with its parameters.
pub trait Trainer: Send + Sync + std::fmt::Debug {
    /// What it can predict.
    fn tasks(&self) -> &'static [Task];

    /// What it wants numbers to be like.
    fn encoding(&self) -> Encoding;

    /// Whether it does something with validation rows.
    fn needs_validation(&self) -> bool {
        false
    }

    /// Learns. The caller knows whether a break of `watch` ended it early.
    ///
    /// # Errors
    /// A problem that names the parameter or the data that it cannot use.
    fn fit(&self, lesson: Lesson, watch: Watch<'_>) -> Result<Fit, Problem>;
}

/// What was learned.
#[derive(Debug)]
pub struct Fit {
    /// The model.
    pub predictor: Box<dyn Predictor>,
    /// Its predictions for the training rows, [`Predictor::predict`]'s layout.
    pub training: Vec<f32>,
    /// And for the validation rows.
    pub validation: Option<Vec<f32>>,
    /// Numbers worth showing, for example the trees that were kept.
    pub facts: Vec<(&'static str, f64)>,
}

/// A learned model over the encoded matrix.
pub trait Predictor: Send + Sync + std::fmt::Debug {
    /// For two or more classes a probability each, row-major; for regression a number a row.
    ///
    /// # Errors
    /// If the matrix is not of the width that was learned from.
    fn predict(&self, matrix: &Matrix) -> Result<Vec<f32>, Problem>;

    /// Adds the model's nodes after the value `input`. `outputs` are the names to define: label and probabilities, or the number.
    fn export(&self, graph: &mut GraphBuilder, input: &str, outputs: &[String], classes: &[String]);

    /// How much each column of the matrix matters; any unit.
    fn importance(&self) -> Vec<f64>;
}

/// Pages of all trainers.
pub fn docs() -> Vec<KindDoc> {
    ALL.iter().map(|entry| (entry.doc)()).collect()
}

/// Splits `gradient_boosting` or `{gradient_boosting: {…}}` into name and parameters.
pub(crate) fn name_and_parameters(value: &Value) -> Result<(String, Value), Problem> {
    match value {
        Value::String(name) => return Ok((name.clone(), json!({}))),
        Value::Object(fields) => {
            let mut fields = fields.iter();
            if let (Some((name, parameters)), None) = (fields.next(), fields.next()) {
                return Ok((name.clone(), if parameters.is_null() { json!({}) } else { parameters.clone() }));
            }
        }
        _ => {}
    }
    Err(Problem::error("trainer", "`trainer` is neither a name nor one name with its parameters")
        .hint("trainer: gradient_boosting")
        .hint("trainer: {gradient_boosting: {trees: 100}}"))
}

fn find(name: &str) -> Result<&'static Entry, Problem> {
    ALL.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|entry| entry.name).collect();
        let problem = Problem::error("unknown-trainer", format!("there is no trainer `{name}`"));
        match nearest(name, &names) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.note(format!("trainers are {}", names.join(", "))),
        }
    })
}

/// What is wrong with `trainer:` as it is written, expressions unresolved.
pub(crate) fn check(value: &Value) -> Vec<Problem> {
    if value.as_str().is_some_and(|text| text.contains("${{")) {
        return Vec::new();
    }
    let found = name_and_parameters(value).and_then(|(name, parameters)| Ok((find(&name)?, parameters)));
    let (entry, parameters) = match found {
        Ok(found) => found,
        Err(problem) => return vec![problem],
    };
    let schema = (entry.doc)().schema;
    let wrong = violations(schema.as_value(), &parameters);
    let explain = |wrong: millrace_spec::validate::Violation| {
        let place = wrong.pointer.trim_start_matches('/').replace('/', ".");
        let at = if place.is_empty() { entry.name.to_owned() } else { format!("{}.{place}", entry.name) };
        let mut problem = Problem::error(wrong.code, format!("`{at}`: {}", wrong.message));
        problem.hints = wrong.hints;
        problem
    };
    wrong.into_iter().map(explain).collect()
}

/// The trainer that `trainer:` names, with the name.
pub(crate) fn read(value: &Value) -> Result<(&'static str, Box<dyn Trainer>), Problem> {
    if let Some(problem) = check(value).into_iter().next() {
        return Err(problem);
    }
    let (name, parameters) = name_and_parameters(value)?;
    let entry = find(&name)?;
    let trainer = (entry.read)(&parameters).map_err(|error| {
        Problem::error("trainer", format!("`{name}` cannot read its parameters: {error}"))
    })?;
    Ok((entry.name, trainer))
}

#[cfg(test)]
mod tests;
