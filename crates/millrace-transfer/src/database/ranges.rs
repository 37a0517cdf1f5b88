//! Ranges of a column's values, of equal width between the least and the greatest one.
//!
//! Bounds need not be exact: a row is in one range whatever they are, as long as each is compared in the same words on both of its sides.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, date};

use crate::error::CopyError;

/// What a column's values are, as far as they can be divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    Integer,
    /// Decimals and floats.
    Number,
    Date,
    /// A date with a time.
    Moment,
}

impl Measure {
    /// The bounds between so many parts as they stand in SQL, by the least and the greatest value as text; `None` if those are no such values.
    pub(super) fn bounds(self, least: &str, greatest: &str, parts: usize) -> Option<Vec<String>> {
        let parts = u32::try_from(parts).ok()?;
        let between = 1..parts;
        match self {
            Self::Integer => {
                let (least, greatest): (i128, i128) = (least.parse().ok()?, greatest.parse().ok()?);
                Some(between.map(|part| whole(least, greatest, part, parts).to_string()).collect())
            }
            Self::Number => {
                let (least, greatest): (f64, f64) = (least.parse().ok()?, greatest.parse().ok()?);
                let bound = |part: u32| {
                    let share = f64::from(part) / f64::from(parts);
                    // Not by their difference, which may have no room.
                    let bound = least * (1.0 - share) + greatest * share;
                    bound.is_finite().then(|| format!("{bound:e}"))
                };
                between.map(bound).collect()
            }
            Self::Date => {
                let (least, greatest) = (days(least)?, days(greatest)?);
                let bound = |part| {
                    let days = i64::try_from(whole(least, greatest, part, parts)).ok()?;
                    let at = EPOCH.checked_add(SignedDuration::from_hours(days.checked_mul(24)?)).ok()?;
                    Some(format!("'{at}'"))
                };
                between.map(bound).collect()
            }
            Self::Moment => {
                let (least, greatest) = (micros(least)?, micros(greatest)?);
                let bound = |part| {
                    let micros = i64::try_from(whole(least, greatest, part, parts)).ok()?;
                    let at = EPOCH.at(0, 0, 0, 0).checked_add(SignedDuration::from_micros(micros)).ok()?;
                    Some(at.strftime("'%Y-%m-%d %H:%M:%S%.6f'").to_string())
                };
                between.map(bound).collect()
            }
        }
    }
}

const EPOCH: Date = date(1970, 1, 1);

fn whole(least: i128, greatest: i128, part: u32, parts: u32) -> i128 {
    least + ((greatest - least) * i128::from(part)).div_euclid(i128::from(parts))
}

/// The civil time of a text, which may end in `Z`.
fn civil(text: &str) -> Option<DateTime> {
    text.strip_suffix('Z').unwrap_or(text).trim().parse().ok()
}

fn days(text: &str) -> Option<i128> {
    let since = civil(text)?.date().duration_since(EPOCH);
    Some(i128::from(since.as_secs()) / (24 * 60 * 60))
}

fn micros(text: &str) -> Option<i128> {
    Some(civil(text)?.duration_since(EPOCH.at(0, 0, 0, 0)).as_micros())
}

/// The conditions of the ranges between these bounds; rows without a value belong to the first one. None if there are no bounds.
pub(super) fn conditions(column: &str, bounds: &[String]) -> Vec<String> {
    let Some((first, last)) = bounds.first().zip(bounds.last()) else { return Vec::new() };
    let mut conditions = vec![format!("({column} < {first} or {column} is null)")];
    for (from, to) in bounds.iter().zip(bounds.iter().skip(1)) {
        conditions.push(format!("({column} >= {from} and {column} < {to})"));
    }
    conditions.push(format!("{column} >= {last}"));
    conditions
}

/// What is said of a column whose values have no ranges.
pub(super) fn not_divided(relation: &str, column: &str, why: &dyn std::fmt::Display) -> CopyError {
    CopyError::config(
        format!("`{relation}` cannot be divided by {column}: {why}"),
        "partition: {hash: …}, or a column of numbers, dates or times",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(measure: Measure, (least, greatest, parts): (&str, &str, usize), expected: &str) {
        let bounds = measure.bounds(least, greatest, parts).map(|bounds| bounds.join(" "));
        assert_eq!(bounds.unwrap_or_else(|| "none".to_owned()), expected);
    }

    #[test]
    fn bounds_are_of_equal_width() {
        check(Measure::Integer, ("1", "100", 4), "25 50 75");
        check(Measure::Integer, ("-9223372036854775808", "18446744073709551615", 2), "4611686018427387903");
        check(Measure::Integer, ("-3", "0", 2), "-2");
        check(Measure::Integer, ("5", "5", 3), "5 5");
        check(Measure::Integer, ("1", "x", 4), "none");
        check(Measure::Number, ("-1.5", "0.5", 2), "-5e-1");
        check(Measure::Number, ("-1.7976931348623157e308", "1.7976931348623157e308", 2), "0e0");
        check(
            Measure::Date,
            ("2026-01-01", "2026-01-11", 5),
            "'2026-01-03' '2026-01-05' '2026-01-07' '2026-01-09'",
        );
        check(Measure::Date, ("0000-00-00", "2026-01-11", 5), "none");
        check(
            Measure::Moment,
            ("2026-01-01T00:00:00.000001Z", "2026-01-02 00:00:00", 2),
            "'2026-01-01 12:00:00.000000'",
        );
        check(Measure::Moment, ("1000-01-01 00:00:00", "9999-12-31 23:59:59.999999", 1), "");
    }

    #[test]
    fn every_row_is_in_one_range() {
        let bounds = ["1".to_owned(), "2".to_owned()];
        assert_eq!(conditions("a", &bounds), ["(a < 1 or a is null)", "(a >= 1 and a < 2)", "a >= 2"]);
        assert_eq!(conditions("a", &bounds[..1]), ["(a < 1 or a is null)", "a >= 1"]);
        assert_eq!(conditions("a", &[]), Vec::<String>::new());
    }
}
