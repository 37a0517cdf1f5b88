//! Measures of the difference between two samples. Pure: counts or sorted values in, numbers out.

use serde::Serialize;

use crate::distribution::{chi_square_tail, kolmogorov_smirnov_tail};

/// A share below this counts as this in the population stability index.
pub const FLOOR: f64 = 1e-4;

/// Why two samples cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriftError {
    /// The histograms do not have the same bins.
    #[error("the reference has {reference} bins and the current data {current}")]
    BinMismatch {
        /// Bins of the reference.
        reference: usize,
        /// Bins of the current data.
        current: usize,
    },
    /// A side has no rows.
    #[error("one side has no rows")]
    Empty,
}

/// A statistic and how likely one as large is between samples of one population.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Test {
    /// D of Kolmogorov-Smirnov, or χ².
    pub statistic: f64,
    /// Between 0 and 1.
    pub p_value: f64,
}

/// A chi-square test of two samples with its effect size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ChiSquare {
    /// χ² and its p-value.
    pub test: Test,
    /// Levels after pooling, minus 1.
    pub freedom: usize,
    /// √(χ²/n) between 0 and 1.
    pub cramers_v: f64,
}

/// Shares of two histograms over the same bins.
fn shares(reference: &[u64], current: &[u64]) -> Result<Vec<(f64, f64)>, DriftError> {
    if reference.len() != current.len() {
        return Err(DriftError::BinMismatch { reference: reference.len(), current: current.len() });
    }
    let (r, c) = (total(reference), total(current));
    if r == 0.0 || c == 0.0 {
        return Err(DriftError::Empty);
    }
    Ok(reference.iter().zip(current).map(|(a, b)| (*a as f64 / r, *b as f64 / c)).collect())
}

fn total(counts: &[u64]) -> f64 {
    counts.iter().map(|count| *count as f64).sum()
}

/// Jensen-Shannon distance, base 2: √(½ KL(r‖m) + ½ KL(c‖m)) with m = (r + c)/2. 0 for equal shares, 1 for disjoint ones.
///
/// # Errors
/// [`DriftError::BinMismatch`] if the lengths differ, [`DriftError::Empty`] if a side has no rows.
pub fn jensen_shannon(reference: &[u64], current: &[u64]) -> Result<f64, DriftError> {
    let part = |share: f64, mean: f64| if share > 0.0 { share * (share / mean).log2() } else { 0.0 };
    let divergence: f64 = shares(reference, current)?
        .into_iter()
        .map(|(r, c)| 0.5 * (part(r, 0.5 * (r + c)) + part(c, 0.5 * (r + c))))
        .sum();
    Ok(divergence.clamp(0.0, 1.0).sqrt())
}

/// Population stability index: Σ (cᵢ − rᵢ) · ln(cᵢ / rᵢ), shares at least [`FLOOR`]. 0.1 and 0.25 are the customary limits
/// (Siddiqi, *Credit Risk Scorecards*, 2006).
///
/// # Errors
/// [`DriftError::BinMismatch`] if the lengths differ, [`DriftError::Empty`] if a side has no rows.
pub fn psi(reference: &[u64], current: &[u64]) -> Result<f64, DriftError> {
    let term = |(r, c): (f64, f64)| {
        let (r, c) = (r.max(FLOOR), c.max(FLOOR));
        (c - r) * (c / r).ln()
    };
    Ok(shares(reference, current)?.into_iter().map(term).sum())
}

/// Hellinger distance: √(½ Σ (√rᵢ − √cᵢ)²), between 0 and 1.
///
/// # Errors
/// [`DriftError::BinMismatch`] if the lengths differ, [`DriftError::Empty`] if a side has no rows.
pub fn hellinger(reference: &[u64], current: &[u64]) -> Result<f64, DriftError> {
    let sum: f64 = shares(reference, current)?.into_iter().map(|(r, c)| (r.sqrt() - c.sqrt()).powi(2)).sum();
    Ok((0.5 * sum).sqrt().min(1.0))
}

/// Two-sample chi-square over levels, both sides taken as samples. Levels with an expected count below 5 on either side are pooled.
///
/// # Errors
/// [`DriftError::BinMismatch`] if the lengths differ, [`DriftError::Empty`] if a side has no rows.
pub fn chi_square(reference: &[u64], current: &[u64]) -> Result<ChiSquare, DriftError> {
    shares(reference, current)?;
    let (r, c) = (total(reference), total(current));
    let all = r + c;
    let mut cells: Vec<(f64, f64)> = Vec::new();
    let mut rare = (0.0, 0.0);
    for (a, b) in reference.iter().zip(current) {
        let (a, b) = (*a as f64, *b as f64);
        if (a + b) * r.min(c) / all < 5.0 {
            rare = (rare.0 + a, rare.1 + b);
        } else {
            cells.push((a, b));
        }
    }
    if rare.0 + rare.1 > 0.0 {
        cells.push(rare);
    }
    let statistic: f64 = cells
        .iter()
        .map(|(a, b)| {
            let (ea, eb) = ((a + b) * r / all, (a + b) * c / all);
            (a - ea).powi(2) / ea + (b - eb).powi(2) / eb
        })
        .sum();
    let freedom = cells.len().saturating_sub(1);
    let p_value = chi_square_tail(statistic, freedom as f64);
    Ok(ChiSquare { test: Test { statistic, p_value }, freedom, cramers_v: (statistic / all).sqrt().min(1.0) })
}

/// Two-sample Kolmogorov-Smirnov test of sorted values without NaN.
///
/// # Errors
/// [`DriftError::Empty`] if a side has no rows.
pub fn kolmogorov_smirnov(reference: &[f64], current: &[f64]) -> Result<Test, DriftError> {
    let mut distance = 0.0_f64;
    walk(reference, current, |_, _, r, c| distance = distance.max((r - c).abs()))?;
    Ok(Test {
        statistic: distance,
        p_value: kolmogorov_smirnov_tail(distance, reference.len(), current.len()),
    })
}

/// Wasserstein distance W₁ of sorted finite values over the reference's population standard deviation (at least 0.001).
///
/// # Errors
/// [`DriftError::Empty`] if a side has no rows.
pub fn wasserstein(reference: &[f64], current: &[f64]) -> Result<f64, DriftError> {
    let mut area = 0.0;
    walk(reference, current, |from, to, r, c| area += (to - from) * (r - c).abs())?;
    let n = reference.len() as f64;
    let mean = reference.iter().sum::<f64>() / n;
    let variance = reference.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    Ok(area / variance.sqrt().max(0.001))
}

/// Calls `visit(from, to, r, c)` for each stretch between neighbouring values, with both distribution functions on it.
fn walk(
    reference: &[f64],
    current: &[f64],
    mut visit: impl FnMut(f64, f64, f64, f64),
) -> Result<(), DriftError> {
    if reference.is_empty() || current.is_empty() {
        return Err(DriftError::Empty);
    }
    let (n, m) = (reference.len() as f64, current.len() as f64);
    let (mut i, mut j) = (0, 0);
    let mut here: Option<f64> = None;
    loop {
        let next = match (reference.get(i), current.get(j)) {
            (Some(a), Some(b)) => a.min(*b),
            (Some(a), None) => *a,
            (None, Some(b)) => *b,
            (None, None) => return Ok(()),
        };
        if let Some(from) = here {
            visit(from, next, i as f64 / n, j as f64 / m);
        }
        while reference.get(i).is_some_and(|value| *value <= next) {
            i += 1;
        }
        while current.get(j).is_some_and(|value| *value <= next) {
            j += 1;
        }
        here = Some(next);
    }
}

/// Adjusts p-values for the number of tests (Benjamini and Hochberg, 1995). Same order as given.
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = p_values.iter().copied().enumerate().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    let n = order.len();
    let mut adjusted = vec![1.0; n];
    let mut smallest = 1.0_f64;
    for (place, (index, p)) in order.into_iter().enumerate() {
        smallest = smallest.min(p * n as f64 / (n - place) as f64);
        if let Some(slot) = adjusted.get_mut(index) {
            *slot = smallest;
        }
    }
    adjusted
}
