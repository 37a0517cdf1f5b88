//! Weighted sums of features, learned one way or another: prediction and export.

use millrace_onnx::{AttributeValue, GraphBuilder, ML_DOMAIN};
use millrace_spec::problem::Problem;

use super::Predictor;
use crate::features::Matrix;

/// Weights and an intercept for every score: one for regression and two classes, else one a class.
#[derive(Debug)]
pub(super) struct Linear {
    /// Row-major, `columns` a score.
    pub(super) weights: Vec<f32>,
    pub(super) intercepts: Vec<f32>,
    pub(super) columns: usize,
    pub(super) classes: usize,
}

impl Linear {
    fn scores(&self, row: &[f32]) -> Vec<f32> {
        let weights = self.weights.chunks_exact(self.columns.max(1)).zip(&self.intercepts);
        weights
            .map(|(weights, intercept)| row.iter().zip(weights).map(|(x, w)| x * w).sum::<f32>() + intercept)
            .collect()
    }

    pub(super) fn predict_rows(&self, matrix: &Matrix) -> Vec<f32> {
        let mut predictions = Vec::with_capacity(matrix.rows * self.classes.max(1));
        for row in matrix.values.chunks_exact(matrix.columns.max(1)) {
            let mut scores = self.scores(row);
            match self.classes {
                0 => {}
                2 => scores = scores.iter().flat_map(|score| [logistic(-score), logistic(*score)]).collect(),
                _ => softmax(&mut scores),
            }
            predictions.extend(scores);
        }
        predictions
    }
}

pub(super) fn logistic(score: f32) -> f32 {
    if score >= 0.0 { 1.0 / (1.0 + (-score).exp()) } else { 1.0 - 1.0 / (1.0 + score.exp()) }
}

fn softmax(scores: &mut [f32]) {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|score| *score = (*score - highest).exp());
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
}

impl Predictor for Linear {
    fn predict(&self, matrix: &Matrix) -> Result<Vec<f32>, Problem> {
        if matrix.columns != self.columns {
            let message = format!("the model has {} columns, not {}", self.columns, matrix.columns);
            return Err(Problem::error("linear-model", message));
        }
        Ok(self.predict_rows(matrix))
    }

    fn export(&self, graph: &mut GraphBuilder, input: &str, outputs: &[String], classes: &[String]) {
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        // Two classes are written with a score each, since runtimes disagree about what one score means.
        let (weights, intercepts) = match self.classes {
            2 => (
                self.weights.iter().map(|w| -w).chain(self.weights.iter().copied()).collect::<Vec<f32>>(),
                self.intercepts
                    .iter()
                    .map(|b| -b)
                    .chain(self.intercepts.iter().copied())
                    .collect::<Vec<f32>>(),
            ),
            _ => (self.weights.clone(), self.intercepts.clone()),
        };
        let mut attributes: Vec<(&str, AttributeValue)> =
            vec![("coefficients", weights.into()), ("intercepts", intercepts.into())];
        if classes.is_empty() {
            graph.node("LinearRegressor", ML_DOMAIN, &[input], &outputs, attributes);
            return;
        }
        let transform = if self.classes == 2 { "LOGISTIC" } else { "SOFTMAX" };
        attributes.push(("classlabels_strings", classes.to_vec().into()));
        attributes.push(("post_transform", transform.into()));
        graph.node("LinearClassifier", ML_DOMAIN, &[input], &outputs, attributes);
    }

    fn importance(&self) -> Vec<f64> {
        let weight = |column: usize| {
            let of_scores = self.weights.iter().skip(column).step_by(self.columns.max(1));
            of_scores.map(|weight| f64::from(weight.abs())).sum()
        };
        (0..self.columns).map(weight).collect()
    }
}
