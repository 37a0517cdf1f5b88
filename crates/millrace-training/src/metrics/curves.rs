//! Curves for people: thinned to so many points that a screen can show.

use super::binary::{Counts, descending};

/// Most points of a curve.
pub const MAX_POINTS: usize = 200;

/// A point of a curve.
pub type Point = (f64, f64);

/// ROC curve: false-positive rate and true-positive rate, from (0, 0) to (1, 1). Empty if a class has no rows.
pub fn roc(rows: &[(f64, bool)]) -> Vec<Point> {
    let steps = steps(rows);
    let Some((_, last)) = steps.last().copied() else { return Vec::new() };
    if last.true_positives == 0 || last.false_positives == 0 {
        return Vec::new();
    }
    let point = |counts: &Counts| {
        let false_rate = counts.false_positives as f64 / last.false_positives as f64;
        (false_rate, counts.true_positives as f64 / last.true_positives as f64)
    };
    thin(std::iter::once((0.0, 0.0)).chain(steps.iter().map(|(_, counts)| point(counts))).collect())
}

/// Precision over recall, from recall 0 up. Empty if there are no positive rows.
pub fn precision_recall(rows: &[(f64, bool)]) -> Vec<Point> {
    let steps = steps(rows);
    let positives = steps.last().map_or(0, |(_, counts)| counts.true_positives);
    if positives == 0 {
        return Vec::new();
    }
    let point = |counts: &Counts| (counts.true_positives as f64 / positives as f64, counts.precision());
    thin(std::iter::once((0.0, 1.0)).chain(steps.iter().map(|(_, counts)| point(counts))).collect())
}

/// A bin of the calibration curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationBin {
    /// Mean probability in it.
    pub predicted: f64,
    /// Share of positive rows in it.
    pub observed: f64,
    /// Rows.
    pub count: u64,
}

/// Probability against outcome in `bins` bins of equal width; empty bins are left out.
pub fn calibration(rows: &[(f64, bool)], bins: usize) -> Vec<CalibrationBin> {
    let mut sums = vec![(0.0, 0_u64, 0_u64); bins];
    for (probability, truth) in rows {
        let place = ((probability * bins as f64) as usize).min(bins.saturating_sub(1));
        if let Some((sum, hits, count)) = sums.get_mut(place) {
            *sum += probability;
            *hits += u64::from(*truth);
            *count += 1;
        }
    }
    let bin = |(sum, hits, count): (f64, u64, u64)| {
        let n = count as f64;
        (count > 0).then(|| CalibrationBin { predicted: sum / n, observed: hits as f64 / n, count })
    };
    sums.into_iter().filter_map(bin).collect()
}

/// Counts at the thresholds 0.00, 0.01, … 1.00, where rows of at least the threshold are predicted positive.
pub fn thresholds(rows: &[(f64, bool)]) -> Vec<(f64, Counts)> {
    let sorted = descending(rows);
    let positives = sorted.iter().filter(|(_, truth)| *truth).count() as u64;
    let at = |threshold: f64| {
        let above = sorted.partition_point(|(probability, _)| *probability >= threshold);
        let hits = sorted.iter().take(above).filter(|(_, truth)| *truth).count() as u64;
        let misses = above as u64 - hits;
        Counts {
            true_positives: hits,
            false_positives: misses,
            true_negatives: sorted.len() as u64 - positives - misses,
            false_negatives: positives - hits,
        }
    };
    (0..=100).map(|percent| f64::from(percent) / 100.0).map(|threshold| (threshold, at(threshold))).collect()
}

/// Counts after each distinct probability, from high to low.
fn steps(rows: &[(f64, bool)]) -> Vec<(f64, Counts)> {
    let sorted = descending(rows);
    let (mut steps, mut counts) = (Vec::new(), Counts::default());
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        let hits = tied.iter().filter(|(_, truth)| *truth).count() as u64;
        counts.true_positives += hits;
        counts.false_positives += tied.len() as u64 - hits;
        steps.push((tied.first().map_or(0.0, |(probability, _)| *probability), counts));
    }
    steps
}

/// Drops points evenly; the first and the last stay.
fn thin(points: Vec<Point>) -> Vec<Point> {
    if points.len() <= MAX_POINTS {
        return points;
    }
    let last = points.len() - 1;
    let pick = |k: usize| points.get(k * last / (MAX_POINTS - 1)).copied();
    (0..MAX_POINTS).filter_map(pick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::binary::tests::rows;

    /// scikit-learn 1.9: `roc_curve(drop_intermediate=False)`, `precision_recall_curve` reversed, `calibration_curve(n_bins=5)`.
    #[test]
    fn curves_are_those_of_scikit_learn() {
        let close = |a: &[Point], b: &[Point]| {
            assert_eq!(a.len(), b.len(), "{a:?}");
            assert!(a.iter().zip(b).all(|(a, b)| (a.0 - b.0).abs() + (a.1 - b.1).abs() < 1e-8), "{a:?}");
        };
        let rates = [0.0, 0.0, 0.2, 0.2, 0.4, 0.4, 0.6, 0.6, 0.8, 1.0];
        let hits = [0.0, 0.2, 0.4, 0.6, 0.6, 0.8, 0.8, 1.0, 1.0, 1.0];
        close(&roc(&rows()), &rates.into_iter().zip(hits).collect::<Vec<_>>());
        let precisions =
            [1.0, 1.0, 0.666_666_67, 0.75, 0.6, 0.666_666_67, 0.571_428_57, 0.625, 0.555_555_56, 0.5];
        let recalls = [0.0, 0.2, 0.4, 0.6, 0.6, 0.8, 0.8, 1.0, 1.0, 1.0];
        close(&precision_recall(&rows()), &recalls.into_iter().zip(precisions).collect::<Vec<_>>());
    }

    #[test]
    fn bins_and_thresholds_count_every_row() {
        let bins = calibration(&rows(), 4);
        assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), 10);
        assert!((bins[0].predicted - 0.15).abs() < 1e-12 && bins[0].observed == 0.0);
        let thresholds = thresholds(&rows());
        assert_eq!(thresholds.len(), 101);
        let (threshold, half) = thresholds[50];
        assert_eq!(
            (threshold, half.true_positives, half.false_positives),
            (0.5, 4, 2),
            "0.5 itself is positive"
        );
    }

    #[test]
    fn long_curves_are_thinned_and_keep_their_ends() {
        let rows: Vec<(f64, bool)> = (0..5000).map(|k| (f64::from(k) / 5000.0, k % 3 == 0)).collect();
        let curve = roc(&rows);
        assert_eq!(curve.len(), MAX_POINTS);
        assert_eq!((curve.first(), curve.last()), (Some(&(0.0, 0.0)), Some(&(1.0, 1.0))));
    }
}
