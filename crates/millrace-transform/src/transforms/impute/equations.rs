//! Linear equations between columns with gaps.

use serde::{Deserialize, Serialize};

/// `intercept + Σ coefficient · value` over all other columns, in their order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Equation {
    pub(super) intercept: f64,
    pub(super) coefficients: Vec<f64>,
}

impl Equation {
    /// `row`: the values of all columns; that at `place` is the one that is worked out.
    pub(super) fn at(&self, row: &[f64], place: usize) -> f64 {
        let others = row.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, value)| value);
        self.intercept + others.zip(&self.coefficients).map(|(value, factor)| value * factor).sum::<f64>()
    }
}

/// Rows of numbers, `width` a row; a gap is NaN.
pub(super) struct Table {
    width: usize,
    values: Vec<f64>,
}

/// Share of a column's variance that is added to the diagonal, so that columns that say the same have a solution.
const RIDGE: f64 = 1e-6;
/// A change of no value by more than this share of its column's spread ends the rounds.
const SETTLED: f64 = 1e-6;

impl Table {
    pub(super) fn new(width: usize, rows: usize) -> Self {
        Self { width, values: Vec::with_capacity(width * rows) }
    }

    pub(super) fn push(&mut self, row: impl Iterator<Item = Option<f64>>) {
        self.values.extend(row.map(|value| value.unwrap_or(f64::NAN)));
    }

    /// The mean of each column, and the equations of the first `filled` ones after so many rounds.
    ///
    /// The mean is `None` for a column of gaps alone. Sums depend on the order in which numbers are added, and rows come in any, so they are
    /// sorted first: the same rows teach the same.
    pub(super) fn learn(mut self, filled: usize, rounds: usize) -> Vec<(Option<f64>, Option<Equation>)> {
        self.sort();
        let statistics: Vec<Option<(f64, f64)>> =
            (0..self.width).map(|place| self.statistics(place)).collect();
        let means: Vec<f64> = statistics.iter().map(|known| known.map_or(0.0, |(mean, _)| mean)).collect();
        let spreads: Vec<f64> =
            statistics.iter().map(|known| known.map_or(0.0, |(_, spread)| spread)).collect();
        let gaps: Vec<bool> = self.values.iter().map(|value| value.is_nan()).collect();
        for row in self.values.chunks_exact_mut(self.width) {
            for (value, mean) in row.iter_mut().zip(&means) {
                if value.is_nan() {
                    *value = *mean;
                }
            }
        }
        let mut equations: Vec<Option<Equation>> = vec![None; self.width];
        for _ in 0..rounds {
            let mut moved = 0.0_f64;
            for (place, slot) in equations.iter_mut().enumerate().take(filled) {
                let equation = self.regress(place, &gaps, &means, &spreads);
                let spread = spreads.get(place).copied().unwrap_or(0.0);
                let rows = self.values.chunks_exact_mut(self.width).zip(gaps.chunks_exact(self.width));
                for (row, _) in rows.filter(|(_, gaps)| gaps.get(place) == Some(&true)) {
                    let value = equation.at(row, place);
                    if let Some(slot) = row.get_mut(place) {
                        if spread > 0.0 {
                            moved = moved.max((*slot - value).abs() / spread);
                        }
                        *slot = value;
                    }
                }
                *slot = Some(equation);
            }
            if moved <= SETTLED {
                break;
            }
        }
        let means = statistics.into_iter().map(|known| known.map(|(mean, _)| mean));
        means.zip(equations).collect()
    }

    fn sort(&mut self) {
        let mut rows: Vec<&[f64]> = self.values.chunks_exact(self.width).collect();
        rows.sort_unstable_by(|a, b| {
            let pairs = a.iter().zip(b.iter()).map(|(a, b)| a.total_cmp(b));
            pairs.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        });
        self.values = rows.concat();
    }

    /// Mean and standard deviation of the values that are there.
    fn statistics(&self, place: usize) -> Option<(f64, f64)> {
        let values = || self.values.iter().skip(place).step_by(self.width).filter(|value| !value.is_nan());
        #[allow(clippy::cast_precision_loss, reason = "rows are far fewer than 2^53")]
        let count = values().count() as f64;
        if count == 0.0 {
            return None;
        }
        let mean = values().sum::<f64>() / count;
        let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        Some((mean, variance.sqrt()))
    }

    /// The ridge regression of a column over all others, from the rows that have a value there.
    fn regress(&self, place: usize, gaps: &[bool], means: &[f64], spreads: &[f64]) -> Equation {
        let others: Vec<usize> = (0..self.width).filter(|other| *other != place).collect();
        let size = others.len();
        let of = |list: &[f64], column: usize| list.get(column).copied().unwrap_or(0.0);
        let scaled = |row: &[f64], column: usize| match of(spreads, column) {
            // A column that is the same in all rows tells nothing.
            spread if spread > 0.0 => (of(row, column) - of(means, column)) / spread,
            _ => 0.0,
        };
        // The upper triangle of XᵀX, then Xᵀy, and what centring takes.
        let mut matrix = vec![0.0; size * size];
        let mut right = vec![0.0; size];
        let mut sums = vec![0.0; size];
        let (mut total, mut count) = (0.0, 0.0);
        let mut point = vec![0.0; size];
        let rows = self.values.chunks_exact(self.width).zip(gaps.chunks_exact(self.width));
        for (row, _) in rows.filter(|(_, gaps)| gaps.get(place) == Some(&false)) {
            for (slot, column) in point.iter_mut().zip(&others) {
                *slot = scaled(row, *column);
            }
            let y = of(row, place);
            total += y;
            count += 1.0;
            for (at, x) in point.iter().enumerate() {
                if let (Some(right), Some(sum)) = (right.get_mut(at), sums.get_mut(at)) {
                    *right += x * y;
                    *sum += x;
                }
                let line = matrix.get_mut(at * size..(at + 1) * size).unwrap_or_default();
                for (slot, other) in line.iter_mut().zip(&point).skip(at) {
                    *slot += x * other;
                }
            }
        }
        let mean = total / f64::max(count, 1.0);
        let centre = |at: usize| of(&sums, at) / f64::max(count, 1.0);
        let mut system = vec![0.0; size * (size + 1)];
        for at in 0..size {
            for other in 0..size {
                let (low, high) = (at.min(other), at.max(other));
                let mut value = of(&matrix, low * size + high) - count * centre(at) * centre(other);
                if at == other {
                    value += RIDGE * f64::max(count, 1.0);
                }
                if let Some(slot) = system.get_mut(at * (size + 1) + other) {
                    *slot = value;
                }
            }
            if let Some(slot) = system.get_mut(at * (size + 1) + size) {
                *slot = of(&right, at) - count * centre(at) * mean;
            }
        }
        let solved = solve(system, size);
        let mut intercept = mean;
        let mut coefficients = Vec::with_capacity(size);
        for (at, (column, weight)) in others.iter().zip(solved).enumerate() {
            let spread = of(spreads, *column);
            let factor = if spread > 0.0 { weight / spread } else { 0.0 };
            // Back from scaled and centred values.
            intercept -= weight * centre(at) + factor * of(means, *column);
            coefficients.push(factor);
        }
        Equation { intercept, coefficients }
    }
}

/// Gauss's elimination with the largest pivot; `system` has a line of `size + 1` for each unknown.
fn solve(mut system: Vec<f64>, size: usize) -> Vec<f64> {
    let width = size + 1;
    let at = |system: &[f64], line: usize, column: usize| {
        system.get(line * width + column).copied().unwrap_or(0.0)
    };
    for column in 0..size {
        let pivot = (column..size)
            .max_by(|a, b| at(&system, *a, column).abs().total_cmp(&at(&system, *b, column).abs()))
            .unwrap_or(column);
        for place in 0..width {
            system.swap(column * width + place, pivot * width + place);
        }
        let head = at(&system, column, column);
        if head == 0.0 {
            continue;
        }
        for line in column + 1..size {
            let factor = at(&system, line, column) / head;
            for place in column..width {
                let less = factor * at(&system, column, place);
                if let Some(slot) = system.get_mut(line * width + place) {
                    *slot -= less;
                }
            }
        }
    }
    let mut solution = vec![0.0; size];
    for line in (0..size).rev() {
        let known: f64 = (line + 1..size)
            .map(|column| at(&system, line, column) * solution.get(column).copied().unwrap_or(0.0))
            .sum();
        let head = at(&system, line, line);
        if let (Some(slot), true) = (solution.get_mut(line), head != 0.0) {
            *slot = (at(&system, line, size) - known) / head;
        }
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_find_what_the_columns_have_to_do_with_each_other() {
        // z = 3 + 2x - y, without noise; every fifth z is a gap.
        let mut table = Table::new(3, 100);
        for row in 0..100_i32 {
            let (x, y) = (f64::from(row % 10), f64::from(row / 10));
            let z = (row % 5 != 0).then_some(3.0 + 2.0 * x - y);
            table.push([z, Some(x), Some(y)].into_iter());
        }
        let learned = table.learn(1, 10);
        let equation = learned[0].1.as_ref().unwrap();
        // The ridge takes a millionth.
        assert!((equation.intercept - 3.0).abs() < 1e-3, "{equation:?}");
        assert!((equation.coefficients[0] - 2.0).abs() < 1e-4, "{equation:?}");
        assert!((equation.coefficients[1] + 1.0).abs() < 1e-4, "{equation:?}");
        assert!((equation.at(&[0.0, 4.0, 1.0], 0) - 10.0).abs() < 1e-3);
        assert_eq!(learned[1].1, None);
    }

    #[test]
    fn the_order_of_the_rows_changes_nothing() {
        let rows: Vec<[Option<f64>; 2]> = (0..50_i32)
            .map(|row| {
                [
                    (row % 7 != 0).then_some(f64::from(row) * 0.1),
                    (row % 11 != 0).then_some(f64::from(row * row) * 0.3),
                ]
            })
            .collect();
        let learned = |rows: &mut dyn Iterator<Item = &[Option<f64>; 2]>| {
            let mut table = Table::new(2, 50);
            rows.for_each(|row| table.push(row.iter().copied()));
            table.learn(2, 20)
        };
        assert_eq!(learned(&mut rows.iter()), learned(&mut rows.iter().rev()));
    }

    #[test]
    fn a_column_without_a_value_has_no_mean_and_two_that_say_the_same_have_a_solution() {
        let mut table = Table::new(4, 6);
        for row in 0..6_i32 {
            let x = f64::from(row);
            table.push([(row != 3).then_some(2.0 * x), Some(x), Some(x), None].into_iter());
        }
        let learned = table.learn(1, 5);
        assert_eq!(learned[3].0, None);
        let value = learned[0].1.as_ref().unwrap().at(&[0.0, 3.0, 3.0, 0.0], 0);
        assert!((value - 6.0).abs() < 1e-3, "{value}");
    }
}
