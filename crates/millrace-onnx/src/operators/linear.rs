use super::matrix::softmax;
use super::{Operator, required};
use crate::attributes::Attributes;
use crate::error::OnnxError;
use crate::tensor::{Tensor, TensorData, element_count};

/// What is done to scores at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PostTransform {
    None,
    Logistic,
    Softmax,
    SoftmaxZero,
}

impl PostTransform {
    pub(crate) fn new(attributes: Attributes<'_>) -> Result<Self, OnnxError> {
        Ok(match attributes.string("post_transform")?.as_deref() {
            None | Some("NONE") => Self::None,
            Some("LOGISTIC") => Self::Logistic,
            Some("SOFTMAX") => Self::Softmax,
            Some("SOFTMAX_ZERO") => Self::SoftmaxZero,
            Some(other) => return Err(OnnxError::unsupported(format!("post_transform {other}"))),
        })
    }

    /// Changes one row of scores.
    pub(crate) fn apply(self, row: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Logistic => row.iter_mut().for_each(|score| *score = logistic(*score)),
            Self::Softmax => softmax(row),
            Self::SoftmaxZero => {
                let zeros: Vec<bool> = row.iter().map(|score| *score == 0.0).collect();
                row.iter_mut().filter(|score| **score == 0.0).for_each(|score| *score = f32::NEG_INFINITY);
                softmax(row);
                row.iter_mut().zip(zeros).filter(|(_, zero)| *zero).for_each(|(score, _)| *score = 0.0);
            }
        }
    }

    /// Scores of both classes from that of the second. `share`: the score is a share of 1.
    pub(crate) fn pair(self, score: f32, share: bool) -> [f32; 2] {
        match self {
            Self::Logistic => [logistic(-score), logistic(score)],
            _ if share => [1.0 - score, score],
            _ => [-score, score],
        }
    }
}

fn logistic(score: f32) -> f32 {
    // Of the two forms the one whose exponential cannot overflow.
    if score >= 0.0 { 1.0 / (1.0 + (-score).exp()) } else { 1.0 - 1.0 / (1.0 + score.exp()) }
}

/// Weights of a linear model, one row an output.
#[derive(Debug)]
struct Weights {
    coefficients: Vec<f32>,
    intercepts: Vec<f32>,
    features: usize,
}

impl Weights {
    fn new(attributes: Attributes<'_>, outputs: usize) -> Result<Self, OnnxError> {
        let coefficients = attributes.floats("coefficients")?;
        let mut intercepts = attributes.floats("intercepts")?;
        if intercepts.is_empty() && element_count(&[outputs]).is_some() && outputs <= coefficients.len() {
            intercepts = vec![0.0; outputs];
        }
        let features = coefficients.len().checked_div(outputs).unwrap_or(0);
        if features == 0 || coefficients.len() != features * outputs || intercepts.len() != outputs {
            let given = (coefficients.len(), intercepts.len());
            return Err(OnnxError::run(format!(
                "has {} coefficients and {} intercepts for {outputs} outputs",
                given.0, given.1
            )));
        }
        Ok(Self { coefficients, intercepts, features })
    }

    /// Scores, row by row, and the number of rows.
    fn score(&self, input: &Tensor) -> Result<(Vec<f32>, usize), OnnxError> {
        let (rows, columns) = input.rows_and_columns();
        if columns != self.features {
            return Err(OnnxError::run(format!("needs {} features, not {columns}", self.features)));
        }
        let outputs = self.intercepts.len();
        element_count(&[rows, outputs]).ok_or_else(|| OnnxError::run("the result is too large"))?;
        let mut scores = Vec::with_capacity(rows * outputs);
        for row in input.to_f32()?.chunks_exact(columns) {
            for (weights, intercept) in self.coefficients.chunks_exact(columns).zip(&self.intercepts) {
                scores.push(row.iter().zip(weights).map(|(x, weight)| x * weight).sum::<f32>() + intercept);
            }
        }
        Ok((scores, rows))
    }
}

/// A linear model that scores classes.
#[derive(Debug)]
pub(crate) struct LinearClassifier {
    weights: Weights,
    labels: TensorData,
    transform: PostTransform,
}

impl LinearClassifier {
    pub(crate) fn new(attributes: Attributes<'_>) -> Result<Self, OnnxError> {
        let labels = attributes.labels("classlabels_strings", "classlabels_ints")?;
        let intercepts = attributes.floats("intercepts")?.len();
        let outputs = if intercepts == 0 { labels.len() } else { intercepts };
        if outputs != labels.len() && !(outputs == 1 && labels.len() == 2) {
            return Err(OnnxError::run(format!("scores {outputs} classes and has {} labels", labels.len())));
        }
        let weights = Weights::new(attributes, outputs)?;
        Ok(Self { weights, labels, transform: PostTransform::new(attributes)? })
    }
}

impl Operator for LinearClassifier {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let (mut scores, rows) = self.weights.score(required(inputs, 0)?)?;
        let outputs = self.weights.intercepts.len();
        let mut places = Vec::with_capacity(rows);
        if outputs < self.labels.len() {
            places.extend(scores.iter().map(|score| usize::from(*score > 0.0)));
            scores = scores.into_iter().flat_map(|score| self.transform.pair(score, true)).collect();
        } else {
            for row in scores.chunks_exact_mut(outputs) {
                places.push(largest(row));
                self.transform.apply(row);
            }
        }
        let scores = Tensor::new(vec![rows, self.labels.len()], scores)?;
        Ok(vec![label_tensor(&self.labels, &places), scores])
    }
}

/// A linear model that estimates numbers.
#[derive(Debug)]
pub(crate) struct LinearRegressor {
    weights: Weights,
    transform: PostTransform,
}

impl LinearRegressor {
    pub(crate) fn new(attributes: Attributes<'_>) -> Result<Self, OnnxError> {
        let targets = attributes.int("targets").unwrap_or(1);
        let targets =
            usize::try_from(targets).map_err(|_| OnnxError::run("has a negative number of targets"))?;
        Ok(Self { weights: Weights::new(attributes, targets)?, transform: PostTransform::new(attributes)? })
    }
}

impl Operator for LinearRegressor {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let (mut scores, rows) = self.weights.score(required(inputs, 0)?)?;
        let targets = self.weights.intercepts.len();
        scores.chunks_exact_mut(targets).for_each(|row| self.transform.apply(row));
        Ok(vec![Tensor::new(vec![rows, targets], scores)?])
    }
}

/// Place of the largest score, the first of equals.
pub(crate) fn largest(row: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (place, score) in row.iter().enumerate() {
        if *score > best.1 {
            best = (place, *score);
        }
    }
    best.0
}

/// A vector of the labels at `places`.
pub(crate) fn label_tensor(labels: &TensorData, places: &[usize]) -> Tensor {
    match labels {
        TensorData::String(labels) => {
            Tensor::vector(places.iter().filter_map(|place| labels.get(*place).cloned()).collect::<Vec<_>>())
        }
        TensorData::Int64(labels) => {
            Tensor::vector(places.iter().filter_map(|place| labels.get(*place).copied()).collect::<Vec<_>>())
        }
        _ => Tensor::vector(places.iter().map(|place| *place as i64).collect::<Vec<_>>()),
    }
}
