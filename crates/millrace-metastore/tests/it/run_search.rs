//! Searches of runs against an evaluator that looks at each run in turn, while runs change.

use std::cmp::Ordering;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use millrace_metastore::Metastore;
use millrace_metastore::experiments::{
    Attribute, Clause, Compare, Condition, Field, Filter, ImportedRun, MetricRow, Order, ParamRule, Query,
    RunChange, TrackedBatch, TrackedRunRow, View,
};

use crate::on_both;

/// A fixed sequence (SplitMix64), so that a failure can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        let at = usize::try_from(self.below(all.len() as u64)).unwrap();
        all[at].clone()
    }

    fn number(&mut self) -> f64 {
        self.one_of(&[0.0, -0.0, 0.5, 1.0, -1.0, 2.0, f64::MAX])
    }

    fn text(&mut self) -> String {
        self.one_of(&["a", "b", "ab", "B", "", "ä", "a%"]).to_owned()
    }

    fn metric(&mut self) -> MetricRow {
        // "Not a number" counts as 0: beside a real 0 of the same step and time, the one that came first would stay.
        let is_nan = self.below(6) == 0;
        MetricRow {
            name: self.one_of(&["m", "n"]).to_owned(),
            step: i64::try_from(self.below(3)).unwrap() - 1,
            logged_at: if is_nan { 1_000 } else { i64::try_from(self.below(3)).unwrap() * 2_000 },
            number: if is_nan { f64::NAN } else { self.number() },
        }
    }

    fn field(&mut self) -> Field {
        match self.below(6) {
            0 | 1 => Field::Metric(
                self.one_of(&["m", "n", "none", "m.min", "m.max", "n.first", "m.last"]).to_owned(),
            ),
            2 => Field::Param(self.one_of(&["p", "q", "none"]).to_owned()),
            3 => Field::Tag(self.one_of(&["t", "mlflow.runName"]).to_owned()),
            4 => Field::Attribute(self.one_of(&[Attribute::Name, Attribute::Status])),
            _ => Field::Attribute(self.one_of(&[Attribute::StartTime, Attribute::EndTime])),
        }
    }

    fn condition(&mut self, field: &Field) -> Condition {
        let is_time = matches!(field, Field::Attribute(Attribute::StartTime | Attribute::EndTime));
        if self.below(6) == 0 {
            return self.one_of(&[Condition::Null, Condition::NotNull]);
        }
        let negated = self.below(2) == 0;
        if is_time || matches!(field, Field::Metric(_)) {
            let compare = self.one_of(&[
                Compare::Equal,
                Compare::NotEqual,
                Compare::Less,
                Compare::LessOrEqual,
                Compare::Greater,
                Compare::GreaterOrEqual,
            ]);
            return match self.below(3) {
                0 => Condition::NumberIn { values: vec![self.number(), self.number()], negated },
                _ => Condition::Number(compare, self.number()),
            };
        }
        match self.below(3) {
            0 => Condition::In { values: vec![self.text(), self.text()], negated },
            1 => Condition::Like {
                pattern: self.one_of(&["a%", "%b", "_", "%", "B"]).to_owned(),
                any_case: self.below(2) == 0,
                negated,
            },
            _ => Condition::Text(self.one_of(&[Compare::Equal, Compare::NotEqual]), self.text()),
        }
    }

    fn filter(&mut self, depth: u32) -> Filter {
        match self.below(if depth == 0 { 1 } else { 3 }) {
            0 => {
                let field = self.field();
                let condition = self.condition(&field);
                Clause { field, condition }.into()
            }
            1 => Filter::All((0..self.below(3)).map(|_| self.filter(depth - 1)).collect()),
            _ => Filter::Any((0..self.below(4)).map(|_| self.filter(depth - 1)).collect()),
        }
    }

    fn query(&mut self) -> Query {
        let mut order: Vec<Order> = Vec::new();
        for _ in 0..self.below(3) {
            let field = self.field();
            if order.iter().all(|other| other.field != field) {
                order.push(Order { field, ascending: self.below(2) == 0 });
            }
        }
        Query {
            experiments: self.one_of(&[vec![0], vec![1], vec![0, 1], vec![7]]),
            everywhere: self.below(4) == 0,
            filter: if self.below(4) == 0 { Filter::default() } else { self.filter(2) },
            order,
            view: self.one_of(&[View::Active, View::Active, View::Deleted, View::All]),
            after: None,
            limit: i64::try_from(self.below(9)).unwrap() + 1,
        }
    }
}

/// What the search looks at, told by the database run by run.
struct Known {
    row: TrackedRunRow,
    points: Vec<MetricRow>,
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Missing,
    Number(f64),
    Text(String),
}

impl Known {
    fn value(&self, field: &Field) -> Value {
        let text = |texts: &[(String, String)], name: &str| {
            let found = texts.iter().find(|(known, _)| known == name);
            found.map_or(Value::Missing, |(_, value)| Value::Text(value.clone()))
        };
        let time = |at: Option<i64>| {
            #[allow(clippy::cast_precision_loss, reason = "the times of this test are small")]
            at.map_or(Value::Missing, |at| Value::Number((at / 1_000) as f64))
        };
        match field {
            Field::Metric(name) => self.metric(name),
            Field::Param(name) => text(&self.row.values.params, name),
            Field::Tag(name) if name == "mlflow.runName" => Value::Text(self.row.name.clone()),
            Field::Tag(name) => text(&self.row.values.tags, name),
            Field::Attribute(Attribute::Name) => Value::Text(self.row.name.clone()),
            Field::Attribute(Attribute::Status) => Value::Text(self.row.status.clone()),
            Field::Attribute(Attribute::StartTime) => time(Some(self.row.started_at)),
            _ => time(self.row.ended_at),
        }
    }

    fn metric(&self, name: &str) -> Value {
        let (name, measure) = name.split_once('.').unwrap_or((name, "last"));
        let of = |wanted: fn(&&MetricRow, &&MetricRow) -> Ordering, numbers: bool| {
            let points =
                self.points.iter().filter(|point| point.name == name && !(numbers && point.number.is_nan()));
            points.max_by(wanted).map(|point| point.number)
        };
        let any = self.points.iter().any(|point| point.name == name);
        let found = match measure {
            "min" => of(|a, b| b.number.total_cmp(&a.number), true),
            "max" => of(|a, b| a.number.total_cmp(&b.number), true),
            "first" => of(|a, b| rank(b).cmp(&rank(a)).then(finite(b).total_cmp(&finite(a))), false),
            _ => of(|a, b| rank(a).cmp(&rank(b)).then(finite(a).total_cmp(&finite(b))), false),
        };
        if any { Value::Number(found.unwrap_or(f64::NAN)) } else { Value::Missing }
    }

    fn passes(&self, filter: &Filter) -> bool {
        match filter {
            Filter::All(parts) => parts.iter().all(|part| self.passes(part)),
            Filter::Any(parts) => parts.iter().any(|part| self.passes(part)),
            Filter::Clause(Clause { field, condition }) => match (self.value(field), condition) {
                (Value::Missing, condition) => *condition == Condition::Null,
                (_, Condition::Null) => false,
                (_, Condition::NotNull) => true,
                (Value::Number(number), Condition::Number(compare, bound)) => match compare {
                    Compare::Equal => number == *bound,
                    Compare::NotEqual => number != *bound,
                    Compare::Less => number < *bound,
                    Compare::LessOrEqual => number <= *bound,
                    Compare::Greater => number > *bound,
                    Compare::GreaterOrEqual => number >= *bound,
                },
                (Value::Number(number), Condition::NumberIn { values, negated }) => {
                    values.contains(&number) != *negated
                }
                (Value::Text(text), Condition::Text(compare, other)) => {
                    (text == *other) == (*compare == Compare::Equal)
                }
                (Value::Text(text), Condition::In { values, negated }) => values.contains(&text) != *negated,
                (Value::Text(text), Condition::Like { pattern, any_case, negated }) => {
                    let fold = |text: &str| if *any_case { text.to_lowercase() } else { text.to_owned() };
                    like(&fold(&text), &fold(pattern)) != *negated
                }
                _ => false,
            },
        }
    }
}

fn rank(point: &MetricRow) -> (i64, i64) {
    (point.step, point.logged_at)
}

fn finite(point: &MetricRow) -> f64 {
    if point.number.is_nan() { 0.0 } else { point.number }
}

fn like(text: &str, pattern: &str) -> bool {
    let Some(sign) = pattern.chars().next() else { return text.is_empty() };
    let rest = &pattern[sign.len_utf8()..];
    let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    match (sign, text.chars().next()) {
        ('%', _) => ends.any(|at| like(&text[at..], rest)),
        (_, Some(first)) if sign == '_' || sign == first => like(&text[first.len_utf8()..], rest),
        _ => false,
    }
}

/// Values, then "not a number", then what is missing, whichever way the values are sorted.
fn compare(a: &Value, b: &Value, ascending: bool) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Missing => 2,
        Value::Number(number) if number.is_nan() => 1,
        _ => 0,
    };
    let by_value = match (a, b) {
        (Value::Number(a), Value::Number(b)) if !a.is_nan() && !b.is_nan() => a.partial_cmp(b).unwrap(),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        _ => Ordering::Equal,
    };
    rank(a).cmp(&rank(b)).then(if ascending { by_value } else { by_value.reverse() })
}

fn expected(known: &[Known], query: &Query) -> Vec<String> {
    let mut found: Vec<&Known> = known
        .iter()
        .filter(|run| query.everywhere || query.experiments.contains(&run.row.experiment_id))
        .filter(|run| match query.view {
            View::Active => !run.row.deleted,
            View::Deleted => run.row.deleted,
            View::All => true,
        })
        .filter(|run| run.passes(&query.filter))
        .collect();
    if !query.everywhere && query.experiments.is_empty() {
        found.clear();
    }
    found.sort_by(|a, b| {
        let keys = query
            .order
            .iter()
            .map(|order| compare(&a.value(&order.field), &b.value(&order.field), order.ascending));
        keys.fold(Ordering::Equal, Ordering::then)
            .then(b.row.started_at.cmp(&a.row.started_at))
            .then(a.row.id.cmp(&b.row.id))
    });
    found.into_iter().map(|run| run.row.id.clone()).collect()
}

async fn change_something(store: &Metastore, chance: &mut Chance, runs: &mut Vec<String>) {
    if runs.len() < 40 || chance.below(8) == 0 {
        let id = format!("{:032x}", u128::from(chance.below(u64::MAX)) << 64 | runs.len() as u128);
        let row = TrackedRunRow {
            id: id.clone(),
            experiment_id: i64::try_from(chance.below(2)).unwrap(),
            name: chance.text(),
            status: "RUNNING".to_owned(),
            started_at: i64::try_from(chance.below(4)).unwrap() * 500,
            ..TrackedRunRow::default()
        };
        store.create_tracked_run(row, vec![("t".to_owned(), chance.text())]).await.unwrap();
        runs.push(id);
    }
    let id = chance.one_of(runs);
    match chance.below(12) {
        0 => store.delete_tracked_run(id, 1).await.unwrap(),
        1 => store.restore_tracked_run(id).await.unwrap(),
        2 => {
            let ended_at = Some(i64::try_from(chance.below(4)).unwrap() * 500);
            let change = RunChange { status: Some("FINISHED".to_owned()), ended_at, name: None };
            store.update_tracked_run(id, change).await.ok();
        }
        3 => store.delete_run_tag(id, "t".to_owned()).await.unwrap_or_default(),
        _ => {
            let batch = TrackedBatch {
                metrics: (0..chance.below(5)).map(|_| chance.metric()).collect(),
                texts: vec![
                    ("param".to_owned(), chance.one_of(&["p", "q"]).to_owned(), chance.text()),
                    ("tag".to_owned(), "t".to_owned(), chance.text()),
                ],
                params: ParamRule::Replace,
                ..TrackedBatch::default()
            };
            // A deleted run takes nothing.
            store.log_tracked_batch(id, batch).await.ok();
        }
    }
}

#[tokio::test]
async fn searches_find_what_a_look_at_each_run_finds() {
    on_both(|store| {
        Box::pin(async move {
            store.create_experiment("one".to_owned(), None, Vec::new(), 1).await.unwrap();
            let mut chance = Chance(20_261_128);
            let mut runs = Vec::new();
            for round in 0..40 {
                for _ in 0..20 {
                    change_something(&store, &mut chance, &mut runs).await;
                }
                let mut known = Vec::new();
                for row in store.find_tracked_runs(runs.clone()).await.unwrap() {
                    let points = store.list_tracked_metrics(row.id.clone(), None).await.unwrap();
                    known.push(Known { row, points });
                }
                for _ in 0..15 {
                    let query = chance.query();
                    let wanted = expected(&known, &query);
                    let mut found = Vec::new();
                    let mut page = query.clone();
                    loop {
                        let answer = store.search_runs(page.clone(), true).await.unwrap();
                        assert_eq!(answer.total, Some(wanted.len() as u64), "round {round}: {query:?}");
                        found.extend(answer.rows.into_iter().map(|row| row.id));
                        match answer.next {
                            Some(next) => page.after = Some(next),
                            None => break,
                        }
                    }
                    assert_eq!(found, wanted, "round {round}: {query:?}");
                    let newest = store.search_runs(query.clone(), false).await.unwrap().rows;
                    let first = wanted.iter().take(usize::try_from(query.limit).unwrap());
                    assert!(newest.iter().map(|row| &row.id).eq(first), "without a count: {query:?}");
                }
            }
        })
    })
    .await;
}

/// Goes on with something until it was woken so often, and drops it.
async fn give_up_after<T>(mut polls: usize, work: impl Future<Output = T>) {
    let mut work = pin!(work);
    poll_fn(|context| match polls.checked_sub(1) {
        Some(fewer) => {
            polls = fewer;
            work.as_mut().poll(context).map(drop)
        }
        None => Poll::Ready(()),
    })
    .await;
}

/// Clients go away while columns are filled; the next search finds every run all the same.
#[tokio::test]
async fn a_search_that_is_given_up_leaves_no_column_half_filled() {
    const RUNS: u64 = 200;
    const TRIES: usize = 40;
    on_both(|store| {
        Box::pin(async move {
            let metric =
                |at: usize| MetricRow { name: format!("m{at}"), step: 0, logged_at: 1_000, number: 1.0 };
            let run = |at: u64| ImportedRun {
                row: TrackedRunRow {
                    id: format!("{at:032x}"),
                    status: "RUNNING".to_owned(),
                    ..TrackedRunRow::default()
                },
                points: (0..TRIES).map(metric).collect(),
                ..ImportedRun::default()
            };
            store.import_tracked_runs((0..RUNS).map(run).collect()).await.unwrap();
            for polls in 0..TRIES {
                let field = Field::Metric(format!("m{polls}"));
                let filter = Clause { field, condition: Condition::Number(Compare::Greater, 0.0) }.into();
                let query = Query { experiments: vec![0], limit: 1, filter, ..Query::default() };
                give_up_after(polls, store.search_runs(query.clone(), true)).await;
                let found = store.search_runs(query, true).await.unwrap();
                assert_eq!(found.total, Some(RUNS), "after the search was polled {polls} times");
            }
        })
    })
    .await;
}

/// Whatever is packed when, every point is there once.
#[tokio::test]
async fn packing_moves_every_point_and_loses_none() {
    on_both(|store| {
        Box::pin(async move {
            let row = TrackedRunRow {
                id: "r".to_owned(),
                status: "RUNNING".to_owned(),
                ..TrackedRunRow::default()
            };
            store.create_tracked_run(row, Vec::new()).await.unwrap();
            let mut chance = Chance(3);
            let mut all: Vec<(String, i64, i64, u64)> = Vec::new();
            for batch in 0..200_i64 {
                let mut metrics: Vec<MetricRow> = (0..chance.below(40))
                    .map(|_| MetricRow {
                        name: chance.one_of(&["a", "b", "c"]).to_owned(),
                        step: batch * 10 + i64::try_from(chance.below(30)).unwrap(),
                        logged_at: batch * 1_000,
                        number: chance.number(),
                    })
                    .collect();
                // A client that was not answered sends again.
                let again = metrics.clone();
                if chance.below(3) == 0 {
                    metrics.extend(again);
                }
                all.extend(metrics.iter().map(|point| {
                    (point.name.clone(), point.step, point.logged_at, (point.number + 0.0).to_bits())
                }));
                let batch = TrackedBatch { metrics, ..TrackedBatch::default() };
                store.log_tracked_batch("r".to_owned(), batch).await.unwrap();
                if chance.below(10) == 0 {
                    store.pack_run(1).await.unwrap();
                }
            }
            store.pack_run(1).await.unwrap();
            all.sort();
            all.dedup();
            let stored = store.list_tracked_metrics("r".to_owned(), None).await.unwrap();
            let mut stored: Vec<(String, i64, i64, u64)> = stored
                .into_iter()
                .map(|point| (point.name, point.step, point.logged_at, (point.number + 0.0).to_bits()))
                .collect();
            stored.sort();
            assert_eq!(stored, all);
        })
    })
    .await;
}
