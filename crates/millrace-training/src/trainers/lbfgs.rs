//! Minimises a smooth convex function: limited-memory BFGS (Nocedal and Wright, *Numerical Optimization*, algorithm 7.5) with
//! backtracking.

use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Pairs of steps and gradient changes that are remembered.
const MEMORY: usize = 10;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Most steps.
    pub(super) iterations: u64,
    /// Largest entry of the gradient that counts as zero.
    pub(super) tolerance: f64,
}

/// Steps from `x` towards the minimum of `function`, which gives value and gradient. `watch` is told steps and value.
/// Gives the steps that were taken.
pub(super) fn minimise(
    x: &mut Vec<f64>,
    limits: Limits,
    mut function: impl FnMut(&[f64]) -> (f64, Vec<f64>),
    mut watch: impl FnMut(u64, f64, &[f64]) -> ControlFlow<()>,
) -> u64 {
    let (mut value, mut gradient) = function(x);
    let mut memory: VecDeque<(Vec<f64>, Vec<f64>, f64)> = VecDeque::new();
    for done in 0..limits.iterations {
        if gradient.iter().all(|slope| slope.abs() <= limits.tolerance) {
            return done;
        }
        let mut direction = direction(&gradient, &memory);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            memory.clear();
            direction = gradient.iter().map(|g| -g).collect();
            slope = -dot(&gradient, &gradient);
        }
        let mut length =
            if memory.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt().max(1.0) } else { 1.0 };
        let next = loop {
            let trial: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x + length * d).collect();
            let (trial_value, trial_gradient) = function(&trial);
            if trial_value <= value + 1e-4 * length * slope {
                break Some((trial, trial_value, trial_gradient));
            }
            length *= 0.5;
            if length < 1e-12 {
                break None;
            }
        };
        // No step goes down any more: as low as the arithmetic can tell.
        let Some((trial, trial_value, trial_gradient)) = next else { return done };
        let step: Vec<f64> = trial.iter().zip(x.iter()).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = trial_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&step, &change);
        if curvature > 1e-12 * dot(&change, &change) {
            memory.push_back((step, change, 1.0 / curvature));
            if memory.len() > MEMORY {
                memory.pop_front();
            }
        }
        (*x, value, gradient) = (trial, trial_value, trial_gradient);
        if watch(done + 1, value, x).is_break() {
            return done + 1;
        }
    }
    limits.iterations
}

/// The gradient, bent by what is remembered of the curvature.
fn direction(gradient: &[f64], memory: &VecDeque<(Vec<f64>, Vec<f64>, f64)>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for (step, change, inverse) in memory.iter().rev() {
        let share = inverse * dot(step, &direction);
        add(&mut direction, -share, change);
        shares.push(share);
    }
    if let Some((_, change, inverse)) = memory.back() {
        let scale = 1.0 / (inverse * dot(change, change));
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for ((step, change, inverse), share) in memory.iter().zip(shares.into_iter().rev()) {
        let correction = inverse * dot(change, &direction);
        add(&mut direction, share - correction, step);
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += factor * what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bowl_is_walked_to_its_bottom() {
        let mut x = vec![5.0, -3.0, 2.0];
        let bowl = |x: &[f64]| {
            let gradient: Vec<f64> =
                x.iter().enumerate().map(|(k, x)| 10_f64.powi(k as i32) * (x - 1.0)).collect();
            let value =
                x.iter().enumerate().map(|(k, x)| 0.5 * 10_f64.powi(k as i32) * (x - 1.0).powi(2)).sum();
            (value, gradient)
        };
        let limits = Limits { iterations: 100, tolerance: 1e-9 };
        let steps = minimise(&mut x, limits, bowl, |_, _, _| ControlFlow::Continue(()));
        assert!(steps < 40 && x.iter().all(|x| (x - 1.0).abs() < 1e-8), "{steps} {x:?}");
    }
}
