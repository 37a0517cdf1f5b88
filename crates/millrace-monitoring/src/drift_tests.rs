use crate::drift::{Rule, Verdict, compare};
use crate::sample::{ColumnKind, Sample};

const RULE: Rule = Rule { threshold: 0.1, min_rows: 200 };

fn numbers(values: impl Iterator<Item = f64>) -> Sample {
    let mut sample = Sample { values: values.collect(), ..Sample::default() };
    sample.rows = sample.values.len() as u64;
    sample.finish();
    sample
}

fn levels(counts: &[(&str, u64)]) -> Sample {
    let levels = counts.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect();
    Sample { levels, rows: counts.iter().map(|(_, rows)| rows).sum(), ..Sample::default() }
}

fn column(kind: ColumnKind, reference: Sample, current: Sample) -> (String, ColumnKind, Sample, Sample) {
    ("delay".to_owned(), kind, reference, current)
}

#[test]
fn equal_halves_are_stable_and_a_shift_is_drift() {
    let reference = || numbers((0..1000).map(|k| f64::from(k % 100)));
    let report = compare(&[column(ColumnKind::Numeric, reference(), reference())], RULE);
    assert_eq!((report[0].verdict, report[0].score), (Verdict::Stable, Some(0.0)));
    let moved = numbers((0..1000).map(|k| f64::from(k % 100) + 40.0));
    let report = compare(&[column(ColumnKind::Numeric, reference(), moved)], RULE);
    assert!(report[0].drifted, "{}", report[0].reason);
    assert_eq!(report[0].bins.len(), 10);
    let out = report[0].quality.iter().find(|rate| rate.name == "out_of_range_rate").unwrap();
    assert!((out.current - 0.4).abs() < 1e-9);
}

#[test]
fn one_key_alone_is_no_drift() {
    // Large n, tiny effect: the p-value turns, the distance does not.
    let (r, c) = (levels(&[("a", 500_000), ("b", 500_000)]), levels(&[("a", 510_000), ("b", 490_000)]));
    let report = compare(&[column(ColumnKind::Categorical, r, c)], RULE);
    assert!(!report[0].drifted && report[0].adjusted_p.unwrap() < 1e-6, "{}", report[0].reason);
    // Small n, many levels: the distance turns, the p-value does not.
    let many = |shift: u64| {
        let counts: Vec<(String, u64)> =
            (0..100).map(|k| (format!("l{k}"), 1 + (k * 7 + shift) % 4)).collect();
        levels(&counts.iter().map(|(name, rows)| (name.as_str(), *rows)).collect::<Vec<_>>())
    };
    let report = compare(&[column(ColumnKind::Categorical, many(0), many(1))], RULE);
    assert!(!report[0].drifted && report[0].score.unwrap() > 0.1, "{}", report[0].reason);
}

#[test]
fn few_rows_are_no_verdict() {
    let report =
        compare(&[column(ColumnKind::Categorical, levels(&[("a", 199)]), levels(&[("b", 5000)]))], RULE);
    assert_eq!(report[0].verdict, Verdict::InsufficientData);
    insta::assert_snapshot!(report[0].reason, @"a side has fewer than 200 usable rows");
    let report = compare(&[column(ColumnKind::Numeric, Sample::default(), Sample::default())], RULE);
    assert_eq!((report[0].verdict, report[0].score), (Verdict::InsufficientData, None));
}

#[test]
fn a_new_level_is_seen() {
    let report = compare(
        &[column(ColumnKind::Categorical, levels(&[("a", 900)]), levels(&[("a", 700), ("z", 300)]))],
        RULE,
    );
    assert!(report[0].drifted);
    let unseen = report[0].quality.iter().find(|rate| rate.name == "unseen_level_rate").unwrap();
    assert!((unseen.current - 0.3).abs() < 1e-9);
}
