//! Runs gathered by a value that they share, with what their metrics are within each group.

use std::collections::HashMap;
use std::sync::Arc;

use crate::{Metastore, MetastoreError};

use super::super::query::{Field, Order, Query};
use super::State;
use super::column::Column;
use super::evaluate::matching;
use super::plan::{By, Plan, plan};

/// Runs with the same value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunGroup {
    /// The value; `None` for runs that have none.
    pub value: Option<String>,
    /// How many runs.
    pub runs: u64,
    /// What each metric that was asked for is, in that order.
    pub metrics: Vec<Spread>,
}

/// The numbers of a metric within a group, without those that are not finite.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spread {
    /// How many runs have it.
    pub count: u64,
    /// Their mean; 0 of none.
    pub mean: f64,
    /// The least; 0 of none.
    pub min: f64,
    /// The largest; 0 of none.
    pub max: f64,
}

impl Spread {
    #[allow(clippy::cast_precision_loss, reason = "runs are fewer than 2^53")]
    fn take(&mut self, number: f64) {
        if self.count == 0 {
            (self.min, self.max) = (number, number);
        }
        self.count += 1;
        // Keeps its exactness where a sum of large numbers would lose it.
        self.mean += (number - self.mean) / self.count as f64;
        self.min = self.min.min(number);
        self.max = self.max.max(number);
    }
}

impl Metastore {
    /// Gathers the runs that a query finds by a parameter, tag, text attribute or their experiment; the largest group first. Order, page and
    /// limit of the query do not count.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn group_runs(
        &self,
        mut query: Query,
        by: Field,
        metrics: Vec<String>,
    ) -> Result<Vec<RunGroup>, MetastoreError> {
        if !query.everywhere && query.experiments.is_empty() {
            return Ok(Vec::new());
        }
        // What is sorted by is what is looked at.
        let fields = std::iter::once(by).chain(metrics.into_iter().map(Field::Metric));
        query.order = fields.map(|field| Order { field, ascending: true }).collect();
        let keys = self.keys();
        let planned =
            self.read(move |session| Box::pin(async move { plan(session, &keys, &query).await })).await?;
        self.over_columns(Arc::new(planned), gather).await
    }
}

/// What groups are told apart by.
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
enum Key {
    Code(u32),
    Experiment(i64),
    Nothing,
}

fn gather(state: &State, plan: &Plan) -> Vec<RunGroup> {
    let column = |by: By| match by {
        By::Numbers(id) | By::Texts(id) => state.columns.get(&id).map(|kept| &kept.column),
        _ => None,
    };
    let mut sorts = plan.sorts.iter().map(|sort| sort.by);
    let by = sorts.next();
    let texts = by.and_then(column).and_then(|column| match column {
        Column::Texts(texts) => Some(texts),
        Column::Numbers(_) => None,
    });
    let metrics: Vec<Option<&Column>> = sorts.map(column).collect();
    let key = |row: usize| match (by, texts) {
        (_, Some(texts)) => Key::Code(texts.code_at(row)),
        (Some(By::Experiment), _) => {
            Key::Experiment(state.basics.experiment.get(row).copied().unwrap_or_default())
        }
        _ => Key::Nothing,
    };
    let mut places: HashMap<Key, usize> = HashMap::new();
    let mut groups: Vec<RunGroup> = Vec::new();
    for row in matching(state, plan).iter() {
        let key = key(row);
        let place = *places.entry(key).or_insert_with(|| {
            let value = match key {
                Key::Code(code) => texts.and_then(|texts| texts.text(code)).map(str::to_owned),
                Key::Experiment(id) => Some(id.to_string()),
                Key::Nothing => None,
            };
            groups.push(RunGroup { value, runs: 0, metrics: vec![Spread::default(); metrics.len()] });
            groups.len() - 1
        });
        let Some(group) = groups.get_mut(place) else { continue };
        group.runs += 1;
        for (column, spread) in metrics.iter().zip(&mut group.metrics) {
            if let Some(Column::Numbers(numbers)) = column
                && let Some(number) = numbers.get(row).filter(|number| number.is_finite())
            {
                spread.take(number);
            }
        }
    }
    groups.sort_by(|one, other| other.runs.cmp(&one.runs).then_with(|| one.value.cmp(&other.value)));
    groups
}
