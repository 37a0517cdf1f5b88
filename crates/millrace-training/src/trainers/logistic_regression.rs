use std::ops::ControlFlow;

use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::lbfgs::{Limits, minimise};
use super::linear::Linear;
use super::{Examples, Fit, Lesson, Round, Trainer, TrainerSpec, Watch};
use crate::features::Encoding;
use crate::target::Task;

/// Logistic regression: a weight for every feature, for two classes or more. Quick, and easy to explain.
///
/// Numbers are filled with their median where missing and standardised; of texts the common values get a weight each. The weights are
/// held small by `l2`, as scikit-learn does it with `C = 1 / l2`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogisticRegression {
    /// Penalty on the squares of the weights; the intercept is free.
    #[schemars(range(min = 0.0))]
    l2: f64,
    /// Most steps.
    #[schemars(range(min = 1))]
    max_iterations: u64,
}

impl Default for LogisticRegression {
    fn default() -> Self {
        Self { l2: 1.0, max_iterations: 200 }
    }
}

impl TrainerSpec for LogisticRegression {
    const NAME: &'static str = "logistic_regression";
    const EXAMPLE: &'static str = "logistic_regression: {l2: 0.5}";
}

impl Trainer for LogisticRegression {
    fn tasks(&self) -> &'static [Task] {
        &[Task::Classification]
    }

    fn encoding(&self) -> Encoding {
        Encoding::Standardised
    }

    fn fit(&self, lesson: Lesson, watch: Watch<'_>) -> Result<Fit, Problem> {
        let scores = if lesson.classes == 2 { 1 } else { lesson.classes };
        let training = Loss { examples: &lesson.training, scores, l2: self.l2 };
        let validation = lesson.validation.as_ref().map(|examples| Loss { examples, scores, l2: 0.0 });
        let mut x = vec![0.0; scores * (lesson.training.matrix.columns + 1)];
        let limits = Limits { iterations: self.max_iterations, tolerance: 1e-6 };
        let step = |done: u64, value: f64, x: &[f64]| -> ControlFlow<()> {
            let validation = validation.as_ref().map(|loss| loss.value_only(x));
            watch(Round { done, of: limits.iterations, metric: "log_loss", training: value, validation })
        };
        let steps = minimise(&mut x, limits, |x| training.value(x), step);
        let columns = lesson.training.matrix.columns;
        let model = Linear {
            weights: x
                .chunks_exact(columns + 1)
                .flat_map(|x| x.iter().take(columns).map(|w| *w as f32))
                .collect(),
            intercepts: x.iter().skip(columns).step_by(columns + 1).map(|b| *b as f32).collect(),
            columns,
            classes: lesson.classes,
        };
        Ok(Fit {
            training: model.predict_rows(&lesson.training.matrix),
            validation: lesson.validation.as_ref().map(|examples| model.predict_rows(&examples.matrix)),
            predictor: Box::new(model),
            facts: vec![("iterations", steps as f64)],
        })
    }
}

/// Mean logarithmic loss plus the penalty, over weights and an intercept for every score.
struct Loss<'a> {
    examples: &'a Examples,
    scores: usize,
    l2: f64,
}

impl Loss<'_> {
    fn value_only(&self, x: &[f64]) -> f64 {
        self.compute(x, None)
    }

    fn value(&self, x: &[f64]) -> (f64, Vec<f64>) {
        let mut gradient = vec![0.0; x.len()];
        let value = self.compute(x, Some(&mut gradient));
        (value, gradient)
    }

    fn compute(&self, x: &[f64], mut gradient: Option<&mut Vec<f64>>) -> f64 {
        let columns = self.examples.matrix.columns;
        let share = 1.0 / (self.examples.matrix.rows as f64).max(1.0);
        let mut value = 0.0;
        let mut scores = vec![0.0; self.scores];
        for (row, target) in
            self.examples.matrix.values.chunks_exact(columns.max(1)).zip(&self.examples.targets)
        {
            for (score, weights) in scores.iter_mut().zip(x.chunks_exact(columns + 1)) {
                let intercept = weights.last().copied().unwrap_or(0.0);
                *score = row.iter().zip(weights).map(|(x, w)| f64::from(*x) * w).sum::<f64>() + intercept;
            }
            // From here on `scores` are the slopes: probability minus truth.
            value += if self.scores == 1 {
                binary(&mut scores, *target)
            } else {
                multinomial(&mut scores, *target)
            };
            let Some(gradient) = gradient.as_deref_mut() else { continue };
            for (slope, out) in scores.iter().zip(gradient.chunks_exact_mut(columns + 1)) {
                let slope = slope * share;
                out.iter_mut().zip(row).for_each(|(out, x)| *out += slope * f64::from(*x));
                if let Some(intercept) = out.last_mut() {
                    *intercept += slope;
                }
            }
        }
        let mut penalty = 0.0;
        for (place, weights) in x.chunks_exact(columns + 1).enumerate() {
            for (column, weight) in weights.iter().take(columns).enumerate() {
                penalty += weight * weight;
                if let Some(slope) = gradient
                    .as_deref_mut()
                    .and_then(|gradient| gradient.get_mut(place * (columns + 1) + column))
                {
                    *slope += share * self.l2 * weight;
                }
            }
        }
        share * (value + 0.5 * self.l2 * penalty)
    }
}

fn binary(scores: &mut [f64], target: f32) -> f64 {
    let Some(score) = scores.first_mut() else { return 0.0 };
    let (z, truth) = (*score, f64::from(target));
    *score = 1.0 / (1.0 + (-z).exp()) - truth;
    // ln(1 + e^z) − y z, in the form that does not overflow.
    z.max(0.0) + (-z.abs()).exp().ln_1p() - truth * z
}

fn multinomial(scores: &mut [f64], target: f32) -> f64 {
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = scores.iter().map(|score| (score - highest).exp()).sum();
    let own = scores.get(target as usize).copied().unwrap_or(highest);
    scores.iter_mut().for_each(|score| *score = (*score - highest).exp() / sum);
    if let Some(slope) = scores.get_mut(target as usize) {
        *slope -= 1.0;
    }
    sum.ln() + highest - own
}
