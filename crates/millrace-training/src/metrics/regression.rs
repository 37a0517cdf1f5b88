//! Numbers: each row has a prediction and a truth.

use super::ratio;

/// What is said of predicted numbers. In the target's unit: `rmse`, `mae`; unitless: the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// 1 − `rse`; 1 is perfect, 0 as good as the mean.
    pub r2: f64,
    /// Relative absolute error: Σ|e| over that of always predicting the mean.
    pub rae: f64,
    /// Relative squared error: Σe² over that of always predicting the mean.
    pub rse: f64,
}

/// Compares predictions with truths: `(prediction, truth)`. Relative errors of a constant truth are 0.
pub fn summary(rows: &[(f64, f64)]) -> Summary {
    let n = rows.len() as f64;
    let mean = ratio(rows.iter().map(|(_, truth)| truth).sum(), n);
    let sum = |of: &dyn Fn(f64, f64) -> f64| rows.iter().map(|(p, y)| of(*p, *y)).sum::<f64>();
    let (squares, absolutes) = (sum(&|p, y| (p - y).powi(2)), sum(&|p, y| (p - y).abs()));
    let rse = ratio(squares, sum(&|_, y| (y - mean).powi(2)));
    Summary {
        rmse: ratio(squares, n).sqrt(),
        mae: ratio(absolutes, n),
        r2: 1.0 - rse,
        rae: ratio(absolutes, sum(&|_, y| (y - mean).abs())),
        rse,
    }
}

/// A bin of a histogram, `[from, to)`; the last one includes `to`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Lower edge.
    pub from: f64,
    /// Upper edge.
    pub to: f64,
    /// Rows.
    pub count: u64,
}

/// Errors (truth − prediction) in `bins` bins of equal width.
pub fn residuals(rows: &[(f64, f64)], bins: usize) -> Vec<Bin> {
    let errors: Vec<f64> = rows.iter().map(|(p, y)| y - p).collect();
    let low = errors.iter().copied().fold(f64::INFINITY, f64::min);
    let high = errors.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !low.is_finite() || !high.is_finite() {
        return Vec::new();
    }
    let width = if high > low { (high - low) / bins as f64 } else { 1.0 };
    let edge = |place: usize| low + width * place as f64;
    let mut histogram: Vec<Bin> =
        (0..bins).map(|place| Bin { from: edge(place), to: edge(place + 1), count: 0 }).collect();
    for error in errors {
        let place = (((error - low) / width) as usize).min(bins.saturating_sub(1));
        if let Some(bin) = histogram.get_mut(place) {
            bin.count += 1;
        }
    }
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scikit-learn 1.9: `root_mean_squared_error`, `mean_absolute_error`, `r2_score`; rae and rse by numpy.
    #[test]
    fn numbers_are_those_of_scikit_learn() {
        let rows = [(2.5, 3.0), (0.0, -0.5), (2.0, 2.0), (8.0, 7.0), (5.0, 4.25)];
        let summary = summary(&rows);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(summary.rmse, 0.642_261_628_933_256_4);
        close(summary.mae, 0.55);
        close(summary.r2, 0.932_817_589_576_547_3);
        close(summary.rae, 0.277_777_777_777_777_8);
        close(summary.rse, 0.067_182_410_423_452_76);
        let bins = residuals(&rows, 3);
        assert_eq!(bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [2, 1, 2]);
    }
}
