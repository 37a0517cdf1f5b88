use arrow::array::RecordBatch;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fitted::{number, row, rows};
use super::{Fault, Fitted, Input, Kind, Learned, Names, Transform};
use crate::flow::quote;

/// Keeps the columns that say most about a target.
///
/// `pearson` and `spearman` take numbers and compare the strength of the correlation, whatever its sign; `fisher` takes numbers and compares
/// the means of the target's classes with the spread within them. `chi_squared` and `mutual_information` (in nats) take columns of few values
/// each, such as categories and bins. Columns that are not judged stay. The choice is kept with the run and can be applied to other rows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SelectFeatures {
    /// The column that is to be predicted; it stays.
    target: String,
    /// How a column is judged.
    method: Method,
    /// So many columns stay.
    keep: usize,
    /// Columns to judge; all but the target if absent.
    #[serde(default)]
    columns: Names,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Method {
    /// Pearson's correlation.
    Pearson,
    /// Correlation of the ranks.
    Spearman,
    /// Fisher's score: variance between the classes over variance within them.
    Fisher,
    /// Pearson's chi-squared statistic of the table of counts.
    ChiSquared,
    /// Mutual information of the table of counts.
    MutualInformation,
}

/// Columns that went, and what every judged column was worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chosen {
    method: Method,
    /// The best first.
    scores: IndexMap<String, f64>,
    dropped: Vec<String>,
}

/// Cells of a table of counts beyond which a column has too many values for such a judgement.
const MOST_CELLS: usize = 100_000;

impl Kind for SelectFeatures {
    const NAME: &'static str = "select_features";
    const EXAMPLE: &'static str = "select_features: {target: late, method: mutual_information, keep: 5}";
}

impl Transform for SelectFeatures {
    fn columns_depend_on_rows(&self) -> bool {
        true
    }

    fn fitted(&self) -> Option<&dyn Fitted> {
        Some(self)
    }

    fn sql(&self, _: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        Err(Fault::new("it must learn first"))
    }
}

impl SelectFeatures {
    fn judged(&self, input: &Input<'_>) -> Vec<String> {
        match self.columns.list() {
            none if none.is_empty() => {
                input.columns().into_iter().filter(|name| *name != self.target).map(str::to_owned).collect()
            }
            some => some,
        }
    }
}

impl Fitted for SelectFeatures {
    fn asks(&self, input: &Input<'_>) -> Result<Vec<String>, Fault> {
        let table = &input.table;
        let target = input.column(&self.target).map_err(|fault| fault.under("target"))?;
        if matches!(self.method, Method::Pearson | Method::Spearman) {
            input.number(&self.target).map_err(|fault| fault.under("target"))?;
        }
        let mut list = Vec::new();
        let mut asks = Vec::new();
        for (place, name) in self.judged(input).iter().enumerate() {
            let under = |fault: Fault| fault.under("columns");
            match self.method {
                Method::Pearson => {
                    let column = input.number(name).map_err(under)?;
                    list.push(format!(
                        "corr(cast({column} as double), cast({target} as double)) as c{place}"
                    ));
                }
                Method::Spearman => {
                    let column = input.number(name).map_err(under)?;
                    asks.push(spearman(table, &column, &target));
                }
                Method::Fisher => {
                    let column = input.number(name).map_err(under)?;
                    asks.push(format!(
                        "select count({column}) as n, avg(cast({column} as double)) as m, var_pop(cast({column} as double)) as v from {table} where {target} is not null and {column} is not null group by {target}"
                    ));
                }
                Method::ChiSquared | Method::MutualInformation => {
                    let column = input.column(name).map_err(under)?;
                    asks.push(format!(
                        "select cast({column} as varchar) as a, cast({target} as varchar) as b, count(*) as n from {table} where {column} is not null and {target} is not null group by 1, 2 order by 1, 2 limit {}",
                        MOST_CELLS + 1
                    ));
                }
            }
        }
        if !list.is_empty() {
            asks.push(format!("select {} from {table}", list.join(", ")));
        }
        Ok(asks)
    }

    fn learn(&self, input: &Input<'_>, answers: &[Vec<RecordBatch>]) -> Result<Learned, Fault> {
        let mut scores: Vec<(String, f64)> = Vec::new();
        for (place, name) in self.judged(input).into_iter().enumerate() {
            let score = match self.method {
                Method::Pearson => number(&row(answers, 0), &format!("c{place}")).map(f64::abs),
                Method::Spearman => number(&row(answers, place), "c").map(f64::abs),
                Method::Fisher => fisher(&rows(answers, place)),
                Method::ChiSquared | Method::MutualInformation => {
                    let cells = rows(answers, place);
                    if cells.len() > MOST_CELLS {
                        let message =
                            format!("the column `{name}` has too many different values to be judged so");
                        return Err(Fault::new(message)
                            .hinted("group it into bins first: `bin: {…}`")
                            .under("columns"));
                    }
                    let table = Counts::of(&cells);
                    Some(if self.method == Method::ChiSquared {
                        table.chi_squared()
                    } else {
                        table.mutual_information()
                    })
                }
            };
            scores.push((name, score.unwrap_or(0.0)));
        }
        // Equal scores keep the columns' own order.
        scores.sort_by(|a, b| b.1.total_cmp(&a.1));
        let dropped = scores.iter().skip(self.keep).map(|(name, _)| name.clone()).collect();
        Ok(Learned::SelectFeatures(Chosen {
            method: self.method,
            scores: scores.into_iter().collect(),
            dropped,
        }))
    }
}

/// Pearson's correlation of the ranks, equal values sharing the mean of theirs.
fn spearman(table: &str, column: &str, target: &str) -> String {
    let rank =
        |of: &str| format!("rank() over (order by {of}) + (count(*) over (partition by {of}) - 1) / 2.0");
    format!(
        "select corr(cast(a as double), cast(b as double)) as c from (select {} as a, {} as b from {table} where {column} is not null and {target} is not null)",
        rank(column),
        rank(target)
    )
}

/// Σ nₖ (μₖ − μ)² / Σ nₖ σₖ² over the classes k (Duda, Hart, Stork, *Pattern Classification*, 2001).
fn fisher(classes: &[Map<String, Value>]) -> Option<f64> {
    let figure = |class: &Map<String, Value>, name| number(class, name).unwrap_or(0.0);
    let total: f64 = classes.iter().map(|class| figure(class, "n")).sum();
    let mean = classes.iter().map(|class| figure(class, "n") * figure(class, "m")).sum::<f64>() / total;
    let between: f64 =
        classes.iter().map(|class| figure(class, "n") * (figure(class, "m") - mean).powi(2)).sum();
    let within: f64 = classes.iter().map(|class| figure(class, "n") * figure(class, "v")).sum();
    (within > 0.0).then(|| between / within)
}

/// A table of counts: how often two values come together.
struct Counts {
    cells: Vec<(usize, usize, f64)>,
    rows: Vec<f64>,
    columns: Vec<f64>,
    total: f64,
}

impl Counts {
    fn of(cells: &[Map<String, Value>]) -> Self {
        let mut counts = Self { cells: Vec::new(), rows: Vec::new(), columns: Vec::new(), total: 0.0 };
        let (mut firsts, mut seconds) = (IndexMap::new(), IndexMap::new());
        for cell in cells {
            let text = |name: &str| cell.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let count = number(cell, "n").unwrap_or(0.0);
            let place = |seen: &mut IndexMap<String, usize>, value: String, sums: &mut Vec<f64>| {
                let place = *seen.entry(value).or_insert(sums.len());
                if place == sums.len() {
                    sums.push(0.0);
                }
                if let Some(sum) = sums.get_mut(place) {
                    *sum += count;
                }
                place
            };
            let first = place(&mut firsts, text("a"), &mut counts.rows);
            let second = place(&mut seconds, text("b"), &mut counts.columns);
            counts.cells.push((first, second, count));
            counts.total += count;
        }
        counts
    }

    fn expected(&self, row: usize, column: usize) -> f64 {
        let sum = |sums: &[f64], place: usize| sums.get(place).copied().unwrap_or(0.0);
        sum(&self.rows, row) * sum(&self.columns, column) / self.total
    }

    /// Σ (n − e)² / e over all cells, also those with no row.
    fn chi_squared(&self) -> f64 {
        // An empty cell adds its expectation; those of all cells add up to the total.
        let seen: f64 = self
            .cells
            .iter()
            .map(|(row, column, count)| {
                let expected = self.expected(*row, *column);
                (count - expected).powi(2) / expected - expected
            })
            .sum();
        if self.total > 0.0 { seen + self.total } else { 0.0 }
    }

    /// Σ p ln(p / (pᵣ pₖ)), in nats.
    fn mutual_information(&self) -> f64 {
        let term = |(row, column, count): &(usize, usize, f64)| {
            count / self.total * (count / self.expected(*row, *column)).ln()
        };
        self.cells.iter().map(term).sum::<f64>().max(0.0)
    }
}

impl Chosen {
    pub(super) fn sql(&self, input: &Input<'_>) -> Result<String, Fault> {
        for name in self.scores.keys() {
            input.column(name)?;
        }
        let kept = input.columns().into_iter().filter(|name| !self.dropped.iter().any(|gone| gone == name));
        let list: Vec<String> = kept.map(quote).collect();
        if list.is_empty() {
            return Err(Fault::new("no column is left"));
        }
        Ok(format!("select {} from {}", list.join(", "), input.table))
    }
}
