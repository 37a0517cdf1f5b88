//! Searches of many runs, in this process: `cargo bench --bench runs -- <database> <runs>`.
//!
//! A database that has the runs already is taken as it is. Each figure is a line of JSON: what, milliseconds of the first search and the
//! median of the following ones.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot go on ends")]

use std::time::Instant;

use millrace_metastore::Metastore;
use millrace_metastore::experiments::{
    Attribute, Clause, Compare, Condition, Field, Filter, ImportedRun, MetricRow, Order, Query, TrackedRunRow,
};

const METRICS: u64 = 10;
const PARAMS: u64 = 10;
const BATCH: u64 = 2_000;

/// A fixed sequence (SplitMix64).
fn chance(of: u64) -> u64 {
    let mut mixed = of.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[allow(clippy::cast_precision_loss, reason = "32 bits fit")]
fn share(of: u64) -> f64 {
    (chance(of) >> 32) as f64 / f64::from(u32::MAX)
}

fn run(number: u64) -> ImportedRun {
    let started = 1_700_000_000_000_000 + i64::try_from(number).unwrap() * 1_000_000;
    ImportedRun {
        row: TrackedRunRow {
            id: format!("{:016x}{number:016x}", chance(number)),
            experiment_id: 0,
            name: format!("run-{number}"),
            status: if number.is_multiple_of(10) { "FAILED" } else { "FINISHED" }.to_owned(),
            started_at: started,
            ended_at: Some(started + 60_000_000),
            user_id: "bench".to_owned(),
            ..TrackedRunRow::default()
        },
        points: (0..METRICS)
            .map(|metric| MetricRow {
                name: format!("x{metric}"),
                step: 10,
                logged_at: started + 50_000_000,
                number: share(number * METRICS + metric),
            })
            .collect(),
        params: (0..PARAMS)
            .map(|param| (format!("y{param}"), format!("v{}", chance(number + param) % 10)))
            .collect(),
        tags: vec![("team".to_owned(), format!("team-{}", number % 7))],
        ..ImportedRun::default()
    }
}

fn metric(name: &str, compare: Compare, bound: f64) -> Filter {
    Clause { field: Field::Metric(name.to_owned()), condition: Condition::Number(compare, bound) }.into()
}

fn param(name: &str, condition: Condition) -> Filter {
    Clause { field: Field::Param(name.to_owned()), condition }.into()
}

fn by(name: &str) -> Vec<Order> {
    vec![Order { field: Field::Metric(name.to_owned()), ascending: false }]
}

fn queries() -> Vec<(&'static str, Query)> {
    let all = Query { experiments: vec![0], limit: 100, ..Query::default() };
    let v3 = || param("y0", Condition::Text(Compare::Equal, "v3".to_owned()));
    let like =
        |pattern: &str| Condition::Like { pattern: pattern.to_owned(), any_case: false, negated: false };
    let some = vec!["v1".to_owned(), "v2".to_owned()];
    vec![
        ("newest first", all.clone()),
        (
            "metric and param, ordered by metric",
            Query {
                filter: Filter::All(vec![metric("x0", Compare::Greater, 0.5), v3()]),
                order: by("x0"),
                ..all.clone()
            },
        ),
        ("ordered by a metric", Query { order: by("x1"), ..all.clone() }),
        (
            "or, in, like",
            Query {
                filter: Filter::Any(vec![
                    metric("x2", Compare::Greater, 0.999),
                    param("y1", Condition::In { values: some, negated: false }),
                    param("y2", like("%9")),
                ]),
                ..all.clone()
            },
        ),
        (
            "like on names, ordered by name",
            Query {
                filter: Clause { field: Field::Attribute(Attribute::Name), condition: like("run-1%7") }
                    .into(),
                order: vec![Order { field: Field::Attribute(Attribute::Name), ascending: true }],
                ..all
            },
        ),
    ]
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let path = arguments.next().unwrap_or_else(|| {
        std::env::temp_dir().join("millrace-bench-runs.db").to_string_lossy().into_owned()
    });
    let runs: u64 = arguments.next().and_then(|runs| runs.parse().ok()).unwrap_or(100_000);
    let store = Metastore::open(&format!("sqlite:{path}")).await.unwrap();
    let last = run(runs - 1).row.id;
    if store.find_tracked_run(last).await.unwrap().is_none() {
        let begun = Instant::now();
        for first in (0..runs).step_by(usize::try_from(BATCH).unwrap()) {
            let batch = (first..runs.min(first + BATCH)).map(run).collect();
            store.import_tracked_runs(batch).await.unwrap();
        }
        println!("{{\"what\":\"fill\",\"runs\":{runs},\"seconds\":{:.1}}}", begun.elapsed().as_secs_f64());
    }
    for (what, query) in queries() {
        let mut times = Vec::new();
        let mut found = 0;
        for _ in 0..12 {
            let begun = Instant::now();
            found = store.search_runs(query.clone(), false).await.unwrap().rows.len();
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        let first = times.remove(0);
        times.sort_by(f64::total_cmp);
        println!(
            "{{\"what\":\"{what}\",\"found\":{found},\"first_ms\":{first:.1},\"median_ms\":{:.2}}}",
            times[times.len() / 2]
        );
    }
}
