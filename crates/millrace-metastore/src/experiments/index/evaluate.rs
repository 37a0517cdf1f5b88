//! Tests on columns.

use std::collections::HashMap;

use super::super::query::{Compare, Condition, View};
use super::column::{Column, Numbers, Texts, is_missing};
use super::plan::{Plan, Test, Time};
use super::rows::RowSet;
use super::{Lifecycle, State};

/// The runs that a plan is about and that pass its test.
pub(super) fn matching(state: &State, plan: &Plan) -> RowSet {
    let mut rows = in_scope(state, plan);
    keep(state, &plan.test, &mut rows);
    rows
}

fn in_scope(state: &State, plan: &Plan) -> RowSet {
    let basics = &state.basics;
    let mut rows = RowSet::empty(basics.lifecycle.len());
    let wanted = |lifecycle: Lifecycle| match plan.view {
        View::Active => lifecycle == Lifecycle::Active,
        View::Deleted => lifecycle == Lifecycle::Deleted,
        View::All => lifecycle != Lifecycle::Absent,
    };
    let of_experiment =
        |experiment: i64| plan.experiments.as_ref().is_none_or(|all| all.contains(&experiment));
    // Runs of an experiment tend to follow each other.
    let mut last = (i64::MIN, false);
    for (row, (lifecycle, experiment)) in basics.lifecycle.iter().zip(&basics.experiment).enumerate() {
        if last.0 != *experiment {
            last = (*experiment, of_experiment(*experiment));
        }
        if last.1 && wanted(*lifecycle) {
            rows.insert(row);
        }
    }
    rows
}

fn keep(state: &State, test: &Test, rows: &mut RowSet) {
    match test {
        Test::All(parts) => parts.iter().for_each(|part| keep(state, part, rows)),
        Test::Any(parts) => {
            let mut any = RowSet::empty(state.basics.lifecycle.len());
            for part in parts {
                let mut of_part = rows.clone();
                keep(state, part, &mut of_part);
                any.add(&of_part);
            }
            rows.keep(&any);
        }
        Test::OneOf(some) => rows.keep(some),
        Test::Numbers(id, condition) => match state.columns.get(id).map(|kept| &kept.column) {
            Some(Column::Numbers(numbers)) => keep_numbers(numbers, condition, rows),
            _ => rows.keep(&RowSet::default()),
        },
        Test::Texts(id, condition) => match state.columns.get(id).map(|kept| &kept.column) {
            Some(Column::Texts(texts)) => keep_texts(texts, condition, rows),
            _ => rows.keep(&RowSet::default()),
        },
        Test::Time(time, condition) => rows.keep_rows(|row| is_at(time_of(state, *time, row), condition)),
        Test::Experiment(condition) => {
            let mut known: HashMap<i64, bool> = HashMap::new();
            rows.keep_rows(|row| {
                let experiment = state.basics.experiment.get(row).copied().unwrap_or_default();
                *known.entry(experiment).or_insert_with(|| is_text(&experiment.to_string(), condition))
            });
        }
    }
}

/// Milliseconds since 1970.
pub(super) fn time_of(state: &State, time: Time, row: usize) -> Option<i64> {
    match time {
        Time::Started => state.basics.started.get(row).map(|at| at.div_euclid(1_000)),
        Time::Ended => state.basics.ended.get(row).copied().flatten().map(|at| at.div_euclid(1_000)),
    }
}

/// The bit of each of 64 numbers that passes.
fn bits(numbers: &[f64], test: impl Fn(f64) -> bool) -> u64 {
    numbers.iter().enumerate().fold(0, |bits, (at, number)| bits | (u64::from(test(*number)) << at))
}

/// "Not a number" is unlike every number and neither smaller nor greater.
fn keep_numbers(numbers: &Numbers, condition: &Condition, rows: &mut RowSet) {
    match condition {
        Condition::Number(compare, bound) => {
            let bound = *bound;
            match compare {
                Compare::Equal => rows.keep_words(|row| bits(numbers.from(row), |number| number == bound)),
                Compare::NotEqual => rows.keep_words(|row| {
                    bits(numbers.from(row), |number| number != bound && !is_missing(number))
                }),
                Compare::Less => rows.keep_words(|row| bits(numbers.from(row), |number| number < bound)),
                Compare::LessOrEqual => {
                    rows.keep_words(|row| bits(numbers.from(row), |number| number <= bound))
                }
                Compare::Greater => rows.keep_words(|row| bits(numbers.from(row), |number| number > bound)),
                Compare::GreaterOrEqual => {
                    rows.keep_words(|row| bits(numbers.from(row), |number| number >= bound));
                }
            }
        }
        Condition::NumberIn { values, negated } => rows.keep_words(|row| {
            bits(numbers.from(row), |number| values.contains(&number) != *negated && !is_missing(number))
        }),
        // What lies beyond the column is missing, too.
        Condition::Null => rows.keep_rows(|row| numbers.get(row).is_none()),
        Condition::NotNull => rows.keep_words(|row| bits(numbers.from(row), |number| !is_missing(number))),
        Condition::Text(..) | Condition::Like { .. } | Condition::In { .. } => rows.keep(&RowSet::default()),
    }
}

fn keep_texts(texts: &Texts, condition: &Condition, rows: &mut RowSet) {
    let passes = texts.tested(*condition == Condition::Null, |text| is_text(text, condition));
    rows.keep_rows(|row| passes.get(texts.code_at(row) as usize).copied().unwrap_or(false));
}

fn is_text(text: &str, condition: &Condition) -> bool {
    match condition {
        Condition::Text(compare, other) => is_ordered(*compare, text.cmp(other)),
        Condition::Like { pattern, any_case, negated } => is_like(text, pattern, *any_case) != *negated,
        Condition::In { values, negated } => values.iter().any(|value| value == text) != *negated,
        Condition::NotNull => true,
        Condition::Null | Condition::Number(..) | Condition::NumberIn { .. } => false,
    }
}

fn is_ordered(compare: Compare, ordering: std::cmp::Ordering) -> bool {
    match compare {
        Compare::Equal => ordering.is_eq(),
        Compare::NotEqual => ordering.is_ne(),
        Compare::Less => ordering.is_lt(),
        Compare::LessOrEqual => ordering.is_le(),
        Compare::Greater => ordering.is_gt(),
        Compare::GreaterOrEqual => ordering.is_ge(),
    }
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds are exact for 285,000 years")]
fn is_at(time: Option<i64>, condition: &Condition) -> bool {
    let Some(time) = time else { return *condition == Condition::Null };
    match condition {
        Condition::Number(compare, bound) => {
            (time as f64).partial_cmp(bound).is_some_and(|ordering| is_ordered(*compare, ordering))
        }
        Condition::NumberIn { values, negated } => values.contains(&(time as f64)) != *negated,
        Condition::NotNull => true,
        Condition::Null => false,
        Condition::Text(..) | Condition::Like { .. } | Condition::In { .. } => {
            is_text(&written(time), condition)
        }
    }
}

/// A time as a pattern sees it: `2026-11-27 23:25:09.123`, UTC; empty where no calendar reaches.
fn written(time: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(time);
    time.map(|time| time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()).unwrap_or_default()
}

/// `%` stands for anything, `_` for one sign.
fn is_like(text: &str, pattern: &str, any_case: bool) -> bool {
    if any_case {
        return like(&text.to_lowercase(), &pattern.to_lowercase());
    }
    like(text, pattern)
}

/// Greedy with one step back, so that no pattern takes longer than the product of the lengths.
fn like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut sign) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(sign) {
            Some('%') => {
                retry = Some((at, sign + 1));
                sign += 1;
            }
            Some(wanted) if *wanted == '_' || text.get(at) == Some(wanted) => {
                at += 1;
                sign += 1;
            }
            _ => match retry {
                Some((from, after)) => {
                    retry = Some((from + 1, after));
                    (at, sign) = (from + 1, after);
                }
                None => return false,
            },
        }
    }
    pattern.get(sign..).unwrap_or_default().iter().all(|sign| *sign == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (text, pattern, expected) in [
            ("abc", "abc", true),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "a_c", true),
            ("abc", "_", false),
            ("", "%", true),
            ("", "_", false),
            ("aab", "%ab", true),
            ("abab", "%ab", true),
            ("größe", "gr__e", true),
            ("100%", "100%", true),
            ("ABC", "abc", false),
        ] {
            assert_eq!(is_like(text, pattern, false), expected, "{text} like {pattern}");
        }
        assert!(is_like("ABC", "a%", true));
    }

    #[test]
    fn times_as_patterns_see_them() {
        assert_eq!(written(0), "1970-01-01 00:00:00.000");
        assert_eq!(written(-1), "1969-12-31 23:59:59.999");
        assert_eq!(written(951_782_399_123), "2000-02-28 23:59:59.123");
        assert_eq!(written(1_709_164_800_000), "2024-02-29 00:00:00.000");
        assert_eq!(written(i64::MAX), "");
    }
}
