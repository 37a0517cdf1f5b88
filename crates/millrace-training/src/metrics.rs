//! Metrics and curves of predictions. Pure: truths and predictions in, numbers out; definitions and edge cases as in scikit-learn.

pub mod binary;
pub mod curves;
pub mod multiclass;
pub mod regression;

/// Probabilities are kept this far from 0 and 1 before their logarithm is taken.
const TINY: f64 = 1e-15;

fn log_of(probability: f64) -> f64 {
    probability.clamp(TINY, 1.0 - TINY).ln()
}

/// `a / b`, 0 if there is nothing to divide by.
fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}
