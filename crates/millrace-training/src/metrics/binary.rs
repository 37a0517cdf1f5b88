//! Two classes: each row has the probability of the positive class, and whether it is of that class.

use super::{log_of, ratio};

/// Rows by truth and prediction at a threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the field's own words")]
pub struct Counts {
    pub true_positives: u64,
    pub false_positives: u64,
    pub true_negatives: u64,
    pub false_negatives: u64,
}

impl Counts {
    /// Share of right predictions.
    pub fn accuracy(&self) -> f64 {
        let right = self.true_positives + self.true_negatives;
        ratio(right as f64, (right + self.false_positives + self.false_negatives) as f64)
    }

    /// Share of the rows predicted positive that are; 0 if none is predicted.
    pub fn precision(&self) -> f64 {
        ratio(self.true_positives as f64, (self.true_positives + self.false_positives) as f64)
    }

    /// Share of the positive rows that are found; 0 if there are none.
    pub fn recall(&self) -> f64 {
        ratio(self.true_positives as f64, (self.true_positives + self.false_negatives) as f64)
    }

    /// Harmonic mean of precision and recall.
    pub fn f1(&self) -> f64 {
        let doubled = 2.0 * self.true_positives as f64;
        ratio(doubled, doubled + (self.false_positives + self.false_negatives) as f64)
    }
}

/// Counts where rows with a probability above `threshold` are predicted positive.
pub fn counts(rows: &[(f64, bool)], threshold: f64) -> Counts {
    let mut counts = Counts::default();
    for (probability, truth) in rows {
        match (*probability > threshold, truth) {
            (true, true) => counts.true_positives += 1,
            (true, false) => counts.false_positives += 1,
            (false, false) => counts.true_negatives += 1,
            (false, true) => counts.false_negatives += 1,
        }
    }
    counts
}

/// Area under the ROC curve: the chance that a positive row is ranked above a negative one, ties counting half. `None` if a class has
/// no rows.
pub fn auc(rows: &[(f64, bool)]) -> Option<f64> {
    let sorted = descending(rows);
    let positives = rows.iter().filter(|(_, truth)| *truth).count() as f64;
    let negatives = rows.len() as f64 - positives;
    let (mut above, mut pairs) = (0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        let hits = tied.iter().filter(|(_, truth)| *truth).count() as f64;
        let misses = tied.len() as f64 - hits;
        pairs += misses * (above + 0.5 * hits);
        above += hits;
    }
    (positives > 0.0 && negatives > 0.0).then(|| pairs / (positives * negatives))
}

/// Average precision: Σ (Rₙ − Rₙ₋₁) Pₙ over the thresholds from high to low. `None` if there are no positive rows.
pub fn average_precision(rows: &[(f64, bool)]) -> Option<f64> {
    let positives = rows.iter().filter(|(_, truth)| *truth).count() as f64;
    let (mut found, mut seen, mut sum) = (0.0, 0.0, 0.0);
    for tied in descending(rows).chunk_by(|a, b| a.0 == b.0) {
        let hits = tied.iter().filter(|(_, truth)| *truth).count() as f64;
        found += hits;
        seen += tied.len() as f64;
        sum += hits * found / seen;
    }
    (positives > 0.0).then(|| sum / positives)
}

/// Mean negative logarithm of the probability given to the truth.
pub fn log_loss(rows: &[(f64, bool)]) -> f64 {
    let loss =
        |(probability, truth): &(f64, bool)| -log_of(if *truth { *probability } else { 1.0 - probability });
    ratio(rows.iter().map(loss).sum(), rows.len() as f64)
}

/// Mean squared difference of probability and truth (Brier, 1950).
pub fn brier(rows: &[(f64, bool)]) -> f64 {
    let loss = |(probability, truth): &(f64, bool)| (probability - f64::from(u8::from(*truth))).powi(2);
    ratio(rows.iter().map(loss).sum(), rows.len() as f64)
}

/// Rows from the most to the least probable.
pub(super) fn descending(rows: &[(f64, bool)]) -> Vec<(f64, bool)> {
    let mut sorted = rows.to_vec();
    sorted.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    sorted
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Expected numbers: scikit-learn 1.9 on these rows, prediction `p > 0.5`.
    pub(in crate::metrics) fn rows() -> Vec<(f64, bool)> {
        let p = [0.1, 0.4, 0.35, 0.8, 0.8, 0.65, 0.2, 0.9, 0.55, 0.5];
        let y = [0, 0, 1, 1, 0, 1, 0, 1, 0, 1];
        p.into_iter().zip(y).map(|(p, y)| (p, y == 1)).collect()
    }

    #[test]
    fn numbers_are_those_of_scikit_learn() {
        let rows = rows();
        let counts = counts(&rows, 0.5);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(auc(&rows).unwrap(), 0.74);
        close(average_precision(&rows).unwrap(), 0.741_666_666_666_666_7);
        close(log_loss(&rows), 0.574_953_158_751_301_2);
        close(brier(&rows), 0.199_75);
        for value in [counts.accuracy(), counts.precision(), counts.recall(), counts.f1()] {
            close(value, 0.6);
        }
    }

    #[test]
    fn one_class_has_no_curve() {
        assert_eq!(auc(&[(0.5, true), (0.6, true)]), None);
        assert_eq!(average_precision(&[(0.5, false)]), None);
        assert_eq!(counts(&[(0.1, false)], 0.5).precision(), 0.0);
    }
}
