use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::linear::Linear;
use super::{Examples, Fit, Lesson, Round, Trainer, TrainerSpec, Watch};
use crate::features::Encoding;
use crate::metrics::regression;
use crate::target::Task;

/// Rows that are put into the normal equations at once.
const BLOCK: usize = 512;

/// Linear regression: a weight for every feature, for numbers. Solved at once, so it is the quickest way to a first number.
///
/// Numbers are filled with their median where missing and standardised; of texts the common values get a weight each. `l2: 0` is
/// ordinary least squares; features that repeat each other then share their weight.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LinearRegression {
    /// Penalty on the squares of the weights; the intercept is free.
    #[schemars(range(min = 0.0))]
    l2: f64,
}

impl Default for LinearRegression {
    fn default() -> Self {
        Self { l2: 1.0 }
    }
}

impl TrainerSpec for LinearRegression {
    const NAME: &'static str = "linear_regression";
    const EXAMPLE: &'static str = "linear_regression: {l2: 10}";
}

impl Trainer for LinearRegression {
    fn tasks(&self) -> &'static [Task] {
        &[Task::Regression]
    }

    fn encoding(&self) -> Encoding {
        Encoding::Standardised
    }

    fn fit(&self, lesson: Lesson, watch: Watch<'_>) -> Result<Fit, Problem> {
        let columns = lesson.training.matrix.columns;
        let (means, target_mean) = means(&lesson.training);
        let (mut gram, moments) = normal_equations(&lesson.training, &means, target_mean);
        let trace: f64 = gram.iter().step_by(columns + 1).sum();
        for diagonal in gram.iter_mut().step_by(columns + 1) {
            *diagonal += self.l2;
        }
        let weights = solve(&gram, &moments, columns, trace)?;
        let intercept = target_mean - weights.iter().zip(&means).map(|(w, mean)| w * mean).sum::<f64>();
        let model = Linear {
            weights: weights.iter().map(|weight| *weight as f32).collect(),
            intercepts: vec![intercept as f32],
            columns,
            classes: 0,
        };
        let training = model.predict_rows(&lesson.training.matrix);
        let validation = lesson.validation.as_ref().map(|examples| model.predict_rows(&examples.matrix));
        let loss = |predictions: &[f32], targets: &[f32]| {
            let pairs: Vec<(f64, f64)> =
                predictions.iter().zip(targets).map(|(p, y)| (f64::from(*p), f64::from(*y))).collect();
            regression::summary(&pairs).rmse
        };
        let watched = lesson.validation.as_ref().zip(validation.as_ref());
        // There is one round, so there is nothing left to break off.
        let _ = watch(Round {
            done: 1,
            of: 1,
            metric: "rmse",
            training: loss(&training, &lesson.training.targets),
            validation: watched.map(|(examples, predictions)| loss(predictions, &examples.targets)),
        });
        Ok(Fit { predictor: Box::new(model), training, validation, facts: Vec::new() })
    }
}

fn means(examples: &Examples) -> (Vec<f64>, f64) {
    let columns = examples.matrix.columns;
    let mut sums = vec![0.0; columns];
    for row in examples.matrix.values.chunks_exact(columns.max(1)) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let count = (examples.matrix.rows as f64).max(1.0);
    let target = examples.targets.iter().map(|y| f64::from(*y)).sum::<f64>() / count;
    (sums.into_iter().map(|sum| sum / count).collect(), target)
}

/// X'X and X'y of the centred rows.
fn normal_equations(examples: &Examples, means: &[f64], target_mean: f64) -> (Vec<f64>, Vec<f64>) {
    let columns = examples.matrix.columns;
    let (mut gram, mut moments) = (vec![0.0; columns * columns], vec![0.0; columns]);
    let blocks = examples.matrix.values.chunks(BLOCK * columns.max(1)).zip(examples.targets.chunks(BLOCK));
    for (rows, targets) in blocks {
        let centred: Vec<f64> =
            rows.iter().zip(means.iter().cycle()).map(|(x, mean)| f64::from(*x) - mean).collect();
        for (row, target) in centred.chunks_exact(columns.max(1)).zip(targets) {
            let error = f64::from(*target) - target_mean;
            moments.iter_mut().zip(row).for_each(|(moment, x)| *moment += error * x);
        }
        add_gram(&centred, columns, &mut gram);
    }
    (gram, moments)
}

/// Adds A'A to `gram`, A row-major with `columns` columns.
#[allow(unsafe_code, reason = "matrixmultiply takes pointers; both slices have the sizes that are passed")]
fn add_gram(rows: &[f64], columns: usize, gram: &mut [f64]) {
    let count = rows.len() / columns.max(1);
    assert!(rows.len() >= count * columns && gram.len() >= columns * columns);
    let (wide, one) = (columns as isize, 1);
    // SAFETY: A' is read as columns × count with strides (1, columns), A as count × columns with strides (columns, 1), and the
    // result is columns × columns: all inside of the slices, as asserted above, and they do not overlap.
    unsafe {
        matrixmultiply::dgemm(
            columns,
            count,
            columns,
            1.0,
            rows.as_ptr(),
            one,
            wide,
            rows.as_ptr(),
            wide,
            one,
            1.0,
            gram.as_mut_ptr(),
            wide,
            one,
        );
    }
}

/// Solves by Cholesky's decomposition. Columns that repeat others make the matrix singular: then a little is added to its diagonal.
fn solve(gram: &[f64], moments: &[f64], columns: usize, trace: f64) -> Result<Vec<f64>, Problem> {
    let mean = (trace / columns.max(1) as f64).max(1e-12);
    for extra in [0.0, 1e-10, 1e-8, 1e-6, 1e-4] {
        if let Some(lower) = cholesky(gram, columns, extra * mean, 1e-12 * mean) {
            return Ok(substitute(&lower, moments, columns));
        }
    }
    Err(Problem::error("linear-regression", "the features do not allow a solution").hint("raise `l2`"))
}

/// The lower triangle L with L L' = `gram` + `extra` on the diagonal; `None` if a pivot is not above `least`.
fn cholesky(gram: &[f64], columns: usize, extra: f64, least: f64) -> Option<Vec<f64>> {
    let mut lower = vec![0.0; columns * columns];
    for i in 0..columns {
        for j in 0..=i {
            let (row, other) =
                (lower.get(i * columns..i * columns + j)?, lower.get(j * columns..j * columns + j)?);
            let sum: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
            let rest = gram.get(i * columns + j)? - sum + if i == j { extra } else { 0.0 };
            let value = if i == j {
                if rest <= least {
                    return None;
                }
                rest.sqrt()
            } else {
                rest / lower.get(j * columns + j)?
            };
            *lower.get_mut(i * columns + j)? = value;
        }
    }
    Some(lower)
}

/// Solves L L' x = `right`.
fn substitute(lower: &[f64], right: &[f64], columns: usize) -> Vec<f64> {
    let at = |i: usize, j: usize| lower.get(i * columns + j).copied().unwrap_or(0.0);
    let mut x = right.to_vec();
    for i in 0..columns {
        let sum: f64 = x.iter().take(i).enumerate().map(|(j, x)| at(i, j) * x).sum();
        if let Some(cell) = x.get_mut(i) {
            *cell = (*cell - sum) / at(i, i);
        }
    }
    for i in (0..columns).rev() {
        let sum: f64 = x.iter().enumerate().skip(i + 1).map(|(j, x)| at(j, i) * x).sum();
        if let Some(cell) = x.get_mut(i) {
            *cell = (*cell - sum) / at(i, i);
        }
    }
    x
}
