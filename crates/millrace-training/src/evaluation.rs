//! Predictions and truths of a table, and the numbers and the report that come of them.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::metrics::curves::Point;
use crate::metrics::{binary, curves, multiclass, regression};

/// Bins of the calibration curve.
const CALIBRATION_BINS: usize = 10;

/// Bins of the histogram of errors.
const RESIDUAL_BINS: usize = 30;

/// Rows that have been scored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scored {
    /// Probability of the positive class, and whether the row is of it.
    Binary {
        rows: Vec<(f64, bool)>,
        /// Place of the positive class.
        positive: usize,
    },
    /// Probabilities, row-major, and places of the true classes.
    Multiclass { probabilities: Vec<f64>, truths: Vec<usize>, classes: usize },
    /// Predictions and truths.
    Regression { rows: Vec<(f64, f64)> },
}

impl Scored {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Binary { rows, .. } => rows.len(),
            Self::Multiclass { truths, .. } => truths.len(),
            Self::Regression { rows } => rows.len(),
        }
    }

    pub(crate) fn extend(&mut self, more: Self) {
        match (self, more) {
            (Self::Binary { rows, .. }, Self::Binary { rows: more, .. }) => rows.extend(more),
            (
                Self::Multiclass { probabilities, truths, .. },
                Self::Multiclass { probabilities: more, truths: others, .. },
            ) => {
                probabilities.extend(more);
                truths.extend(others);
            }
            (Self::Regression { rows }, Self::Regression { rows: more }) => rows.extend(more),
            // All parts come from one model.
            _ => {}
        }
    }

    /// Puts the rows in an order of their own, so that sums do not depend on the order in which they came.
    pub(crate) fn sort(&mut self) {
        match self {
            Self::Binary { rows, .. } => {
                rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
            }
            Self::Regression { rows } => {
                rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
            }
            Self::Multiclass { probabilities, truths, classes } => {
                let mut rows: Vec<(&[f64], usize)> =
                    probabilities.chunks_exact((*classes).max(1)).zip(truths.iter().copied()).collect();
                rows.sort_by(|a, b| {
                    let by_values =
                        a.0.iter().zip(b.0).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne());
                    by_values.unwrap_or(std::cmp::Ordering::Equal).then(a.1.cmp(&b.1))
                });
                let sorted = rows.iter().flat_map(|(row, _)| row.iter().copied()).collect();
                let places = rows.iter().map(|(_, truth)| *truth).collect();
                (*probabilities, *truths) = (sorted, places);
            }
        }
    }

    /// The numbers, in the order in which they are shown. What is not defined, such as the AUC of one class, is absent.
    pub(crate) fn metrics(&self) -> IndexMap<String, f64> {
        let numbers: Vec<(&str, Option<f64>)> = match self {
            Self::Binary { rows, .. } => {
                let counts = binary::counts(rows, 0.5);
                vec![
                    ("auc", binary::auc(rows)),
                    ("average_precision", binary::average_precision(rows)),
                    ("accuracy", Some(counts.accuracy())),
                    ("precision", Some(counts.precision())),
                    ("recall", Some(counts.recall())),
                    ("f1", Some(counts.f1())),
                    ("log_loss", Some(binary::log_loss(rows))),
                    ("brier", Some(binary::brier(rows))),
                ]
            }
            Self::Multiclass { probabilities, truths, classes } => {
                let confusion = multiclass::confusion(probabilities, truths, *classes);
                vec![
                    ("accuracy", Some(multiclass::accuracy(&confusion))),
                    ("macro_f1", Some(multiclass::macro_f1(&confusion))),
                    ("log_loss", Some(multiclass::log_loss(probabilities, truths, *classes))),
                ]
            }
            Self::Regression { rows } => {
                let summary = regression::summary(rows);
                vec![
                    ("rmse", Some(summary.rmse)),
                    ("mae", Some(summary.mae)),
                    ("r2", Some(summary.r2)),
                    ("rae", Some(summary.rae)),
                    ("rse", Some(summary.rse)),
                ]
            }
        };
        let defined = numbers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        defined.filter(|(_, value)| value.is_finite()).collect()
    }

    /// The one number by which permuted columns are judged, with its name; larger is worse.
    pub(crate) fn badness(&self) -> (&'static str, f64) {
        match self {
            Self::Binary { rows, .. } => ("drop of auc", -binary::auc(rows).unwrap_or(0.5)),
            Self::Multiclass { probabilities, truths, classes } => {
                ("rise of log_loss", multiclass::log_loss(probabilities, truths, *classes))
            }
            Self::Regression { rows } => ("rise of rmse", regression::summary(rows).rmse),
        }
    }

    /// Curves, matrices and histograms of the report.
    pub(crate) fn drawings(&self) -> Map<String, Value> {
        let mut drawings = Map::new();
        match self {
            Self::Binary { rows, positive } => {
                drawings.insert("roc".into(), curve(&curves::roc(rows), "fpr", "tpr"));
                drawings.insert("pr".into(), curve(&curves::precision_recall(rows), "recall", "precision"));
                let bins = curves::calibration(rows, CALIBRATION_BINS).into_iter().map(
                    |bin| json!({"predicted": bin.predicted, "observed": bin.observed, "count": bin.count}),
                );
                drawings.insert("calibration".into(), json!({"bins": bins.collect::<Vec<_>>()}));
                let thresholds = curves::thresholds(rows).into_iter().map(|(threshold, counts)| {
                    json!({
                        "threshold": threshold,
                        "tp": counts.true_positives,
                        "fp": counts.false_positives,
                        "tn": counts.true_negatives,
                        "fn": counts.false_negatives,
                    })
                });
                drawings.insert("thresholds".into(), thresholds.collect());
                let counts = binary::counts(rows, 0.5);
                let mut matrix = [
                    [counts.true_negatives, counts.false_positives],
                    [counts.false_negatives, counts.true_positives],
                ];
                if *positive == 0 {
                    matrix.reverse();
                    matrix.iter_mut().for_each(|row| row.reverse());
                }
                drawings.insert("confusion".into(), json!({"matrix": matrix}));
            }
            Self::Multiclass { probabilities, truths, classes } => {
                let matrix = multiclass::confusion(probabilities, truths, *classes);
                drawings.insert("confusion".into(), json!({"matrix": matrix}));
            }
            Self::Regression { rows } => {
                let bins = regression::residuals(rows, RESIDUAL_BINS).into_iter();
                let bins = bins.map(|bin| json!({"from": bin.from, "to": bin.to, "count": bin.count}));
                drawings.insert("residuals".into(), json!({"bins": bins.collect::<Vec<_>>()}));
            }
        }
        drawings
    }
}

fn curve(points: &[Point], x: &str, y: &str) -> Value {
    let (xs, ys): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    json!({x: xs, y: ys})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_confusion_matrix_is_in_the_order_of_the_classes() {
        let rows = vec![(0.9, true), (0.8, false), (0.7, true), (0.2, true), (0.1, false), (0.1, false)];
        let matrix = |positive| {
            let drawings = Scored::Binary { rows: rows.clone(), positive }.drawings();
            drawings["confusion"]["matrix"].clone()
        };
        assert_eq!(matrix(1), json!([[2, 1], [1, 2]]));
        let flipped: Vec<(f64, bool)> = vec![(0.9, true), (0.8, false), (0.7, false)];
        let drawings = Scored::Binary { rows: flipped, positive: 0 }.drawings();
        assert_eq!(
            drawings["confusion"]["matrix"],
            json!([[1, 0], [2, 0]]),
            "two rows of class 1 are taken for class 0"
        );
    }
}
