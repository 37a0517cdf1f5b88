//! Several classes: each row has a probability for every class, and the place of its true class.

use super::{log_of, ratio};

/// Place of the largest probability, the first of equals.
pub fn predicted(probabilities: &[f64]) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (place, probability) in probabilities.iter().enumerate() {
        if *probability > best.1 {
            best = (place, *probability);
        }
    }
    best.0
}

/// Rows by true class (rows of the matrix) and predicted class (columns). `probabilities` is row-major, `classes` a row.
pub fn confusion(probabilities: &[f64], truths: &[usize], classes: usize) -> Vec<Vec<u64>> {
    let mut matrix = vec![vec![0; classes]; classes];
    for (row, truth) in probabilities.chunks_exact(classes.max(1)).zip(truths) {
        if let Some(cell) = matrix.get_mut(*truth).and_then(|cells| cells.get_mut(predicted(row))) {
            *cell += 1;
        }
    }
    matrix
}

/// Share of rows on the diagonal of a confusion matrix.
pub fn accuracy(confusion: &[Vec<u64>]) -> f64 {
    let right: u64 = confusion.iter().enumerate().filter_map(|(place, row)| row.get(place)).sum();
    ratio(right as f64, confusion.iter().flatten().sum::<u64>() as f64)
}

/// Mean of the classes' F1, over the classes that occur in truths or predictions.
pub fn macro_f1(confusion: &[Vec<u64>]) -> f64 {
    let mut scores = Vec::new();
    for (place, row) in confusion.iter().enumerate() {
        let right = row.get(place).copied().unwrap_or(0) as f64;
        let actual = row.iter().sum::<u64>() as f64;
        let claimed = confusion.iter().filter_map(|row| row.get(place)).sum::<u64>() as f64;
        if actual + claimed > 0.0 {
            scores.push(2.0 * right / (actual + claimed));
        }
    }
    ratio(scores.iter().sum(), scores.len() as f64)
}

/// Mean negative logarithm of the probability given to the true class.
pub fn log_loss(probabilities: &[f64], truths: &[usize], classes: usize) -> f64 {
    let rows = probabilities.chunks_exact(classes.max(1)).zip(truths);
    let loss = |(row, truth): (&[f64], &usize)| -log_of(row.get(*truth).copied().unwrap_or(0.0));
    ratio(rows.map(loss).sum(), truths.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scikit-learn 1.9: `accuracy_score`, `f1_score(average="macro")`, `log_loss`, `confusion_matrix`.
    #[test]
    fn numbers_are_those_of_scikit_learn() {
        let p = [
            0.7, 0.2, 0.1, 0.1, 0.6, 0.3, 0.2, 0.3, 0.5, 0.4, 0.5, 0.1, 0.3, 0.3, 0.4, 0.25, 0.5, 0.25, 0.6,
            0.3, 0.1,
        ];
        let y = [0, 1, 2, 0, 1, 1, 2];
        let matrix = confusion(&p, &y, 3);
        assert_eq!(matrix, [[1, 1, 0], [0, 2, 1], [1, 0, 1]]);
        assert!((accuracy(&matrix) - 0.571_428_571_428_571_4).abs() < 1e-12);
        assert!((macro_f1(&matrix) - 0.555_555_555_555_555_5).abs() < 1e-12);
        assert!((log_loss(&p, &y, 3) - 0.953_806_222_574_107_1).abs() < 1e-12);
    }
}
