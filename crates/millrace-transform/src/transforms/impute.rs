mod apply;
mod equations;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::Float64Type;
use datafusion::logical_expr::ScalarUDF;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::apply::Impute as ImputeFunction;
use self::equations::{Equation, Table};
use super::{Fault, Fitted, Input, Kind, Learned, Names, Transform};
use crate::flow::{quote, text};

/// Fills nulls of numeric columns with what the other columns let expect: chained equations (MICE).
///
/// A linear equation is learned for each of `columns`, from the rows that have a value there, over all other ones and `by`. Nulls begin as the
/// column's mean and are worked out anew in each round, one column after the other (van Buuren, Groothuis-Oudshoorn, *mice: Multivariate
/// Imputation by Chained Equations in R*, 2011; one imputation, without drawing at random). The columns become floating-point numbers. What was
/// learned is kept with the run and can be applied to other rows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Impute {
    /// Numeric columns whose nulls are filled.
    columns: Names,
    /// More numeric columns that tell something; their nulls count as their mean and stay.
    #[serde(default)]
    by: Names,
    /// Rounds over all columns.
    #[serde(default = "usual")]
    rounds: usize,
}

fn usual() -> usize {
    10
}

/// Numbers beyond which learning takes too much memory and time.
const MOST: usize = 5_000_000;
/// Rounds beyond which nothing changes any more.
const MOST_ROUNDS: usize = 100;

/// What was learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Imputation {
    rounds: usize,
    columns: Vec<Known>,
}

/// What is known of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Known {
    name: String,
    /// Of the rows that have a value.
    mean: f64,
    /// Over all other columns, in their order; none for a column that only tells something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    equation: Option<Equation>,
}

impl Kind for Impute {
    const NAME: &'static str = "impute";
    const EXAMPLE: &'static str = "impute: {columns: [dep_delay, arr_delay], by: [distance, air_time]}";
}

impl Impute {
    /// All columns, those that are filled first.
    fn names(&self, input: &Input<'_>) -> Result<Vec<String>, Fault> {
        let (columns, by) = (self.columns.list(), self.by.list());
        for (key, names) in [("columns", &columns), ("by", &by)] {
            for name in names {
                input.number(name).map_err(|fault| fault.under(key))?;
            }
        }
        if let Some(twice) = by.iter().find(|name| columns.contains(name)) {
            return Err(Fault::new(format!("`{twice}` is filled already")).under("by"));
        }
        match (columns.is_empty(), columns.len() + by.len()) {
            (true, _) => Err(Fault::new("`columns` names no column").under("columns")),
            (false, 1) => {
                let fault = Fault::new("one column alone tells nothing of its nulls");
                Err(fault.hinted("by: [<numeric column>], or `fill_missing` with the mean").under("by"))
            }
            (false, _) => Ok([columns, by].concat()),
        }
    }
}

impl Transform for Impute {
    fn fitted(&self) -> Option<&dyn Fitted> {
        Some(self)
    }

    fn sql(&self, _: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        Err(Fault::new("it must learn first"))
    }
}

impl Fitted for Impute {
    fn asks(&self, input: &Input<'_>) -> Result<Vec<String>, Fault> {
        if self.rounds == 0 || self.rounds > MOST_ROUNDS {
            return Err(Fault::new(format!("there are 1 to {MOST_ROUNDS} rounds")).under("rounds"));
        }
        let names = self.names(input)?;
        let list: Vec<String> =
            names.iter().map(|name| format!("cast({} as double) as {}", quote(name), quote(name))).collect();
        let most = MOST / names.len() + 1;
        Ok(vec![format!("select {} from {} limit {most}", list.join(", "), input.table)])
    }

    fn learn(&self, input: &Input<'_>, answers: &[Vec<RecordBatch>]) -> Result<Learned, Fault> {
        let names = self.names(input)?;
        let batches = answers.first().map(Vec::as_slice).unwrap_or_default();
        let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        if rows > MOST / names.len() {
            let message = format!("it learns from {MOST} numbers at most, and there are more");
            let hint = "let a flow with a `sample` before it learn, and `apply` here what that learned";
            return Err(Fault::new(message).hinted(hint));
        }
        let mut table = Table::new(names.len(), rows);
        for batch in batches {
            for row in 0..batch.num_rows() {
                table.push(batch.columns().iter().map(|column| value(column.as_primitive(), row)));
            }
        }
        let filled = self.columns.list().len();
        let learned = table.learn(filled, self.rounds);
        let mut columns = Vec::with_capacity(names.len());
        for (name, (mean, equation)) in names.into_iter().zip(learned) {
            let Some(mean) = mean else {
                let message = format!("the column `{name}` has no value to learn from");
                let key = if columns.len() < filled { "columns" } else { "by" };
                return Err(Fault::new(message).under(key));
            };
            columns.push(Known { name, mean, equation });
        }
        Ok(Learned::Impute(Imputation { rounds: self.rounds, columns }))
    }
}

/// NaN is no value either.
fn value(column: &arrow::array::PrimitiveArray<Float64Type>, row: usize) -> Option<f64> {
    (!column.is_null(row)).then(|| column.value(row)).filter(|value| !value.is_nan())
}

impl Imputation {
    pub(super) fn sql(&self, input: &Input<'_>) -> Result<String, Fault> {
        for known in &self.columns {
            input.number(&known.name)?;
        }
        let function = ImputeFunction::new(self.clone()).map_err(Fault::new)?;
        let name = function.called();
        input.context.register_udf(ScalarUDF::new_from_impl(function));
        let arguments: Vec<String> =
            self.columns.iter().map(|known| format!("cast({} as double)", quote(&known.name))).collect();
        let is_filled =
            |name: &str| self.columns.iter().any(|known| known.name == name && known.equation.is_some());
        let list = input.columns().into_iter().map(|name| match is_filled(name) {
            true => format!("field_of(\"#imputed\", {}) as {}", text(name), quote(name)),
            false => quote(name),
        });
        Ok(format!(
            "select {} from (select *, {name}({}) as \"#imputed\" from {})",
            list.collect::<Vec<_>>().join(", "),
            arguments.join(", "),
            input.table
        ))
    }
}
