use arrow::array::RecordBatch;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::fitted::rows;
use super::{Fault, Input, Kind, Names, Transform, only};
use crate::flow::{literal, quote};

/// Turns values of one column into columns.
///
/// One row per value of `by`; for each of `values` a column that aggregates the rows in which `column` has that value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pivot {
    /// Columns that make a row.
    by: Names,
    /// The column whose values become columns.
    column: String,
    /// Which values; each becomes a column of that name. Those that there are, in their order, if absent.
    #[serde(default)]
    values: Option<Vec<Value>>,
    /// What stands in the cells: an aggregate, for example `sum(amount)`.
    aggregate: String,
    /// Put before the values to make the columns' names.
    #[serde(default)]
    prefix: String,
}

impl Kind for Pivot {
    const NAME: &'static str = "pivot";
    const EXAMPLE: &'static str =
        "pivot: {by: [carrier], column: month, values: [1, 2, 3], aggregate: avg(dep_delay), prefix: month_}";
}

/// Values beyond which a table would become too wide to be meant.
const MOST: usize = 1000;

impl Transform for Pivot {
    fn columns_depend_on_rows(&self) -> bool {
        self.values.is_none()
    }

    fn reads(&self) -> usize {
        if self.values.is_none() { 2 } else { 1 }
    }

    fn asks(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        if self.values.is_some() {
            return Ok(Vec::new());
        }
        let column = input.column(&self.column).map_err(|fault| fault.under("column"))?;
        Ok(vec![format!(
            "select {column} as v from {} where {column} is not null group by {column} order by {column} limit {}",
            input.table,
            MOST + 1
        )])
    }

    fn sql_knowing(&self, inputs: &[Input<'_>], answers: &[Vec<RecordBatch>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        if let Some(values) = &self.values {
            return self.over(input, values);
        }
        let found: Vec<Value> = rows(answers, 0).into_iter().filter_map(|mut row| row.remove("v")).collect();
        if found.len() > MOST {
            let message = format!("the column `{}` has more than {MOST} different values", self.column);
            return Err(Fault::new(message).hinted("list the wanted ones: `values: […]`"));
        }
        self.over(input, &found)
    }

    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        self.over(only(inputs)?, self.values.as_deref().unwrap_or_default())
    }
}

impl Pivot {
    fn over(&self, input: &Input<'_>, values: &[Value]) -> Result<Vec<String>, Fault> {
        let by = input.list(&self.by.list()).map_err(|fault| fault.under("by"))?;
        let column = input.column(&self.column).map_err(|fault| fault.under("column"))?;
        input.checked(&self.aggregate, "the aggregate").map_err(|fault| fault.under("aggregate"))?;
        let mut list = vec![by.clone()];
        for value in values {
            let name = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let value = literal(value).ok_or_else(|| Fault::new(format!("`{name}` is not a plain value")))?;
            let cell = format!("{} filter (where {column} = {value})", self.aggregate);
            input.checked(&cell, "the aggregate with a filter")?;
            list.push(format!("{cell} as {}", quote(&format!("{}{name}", self.prefix))));
        }
        Ok(vec![format!("select {} from {} group by {by}", list.join(", "), input.table)])
    }
}
