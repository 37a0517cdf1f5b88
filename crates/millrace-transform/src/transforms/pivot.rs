use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

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
    /// Which values; each becomes a column of that name.
    values: Vec<Value>,
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

impl Transform for Pivot {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let by = input.list(&self.by.list())?;
        let column = input.column(&self.column)?;
        input.checked(&self.aggregate, "the aggregate")?;
        let mut list = vec![by.clone()];
        for value in &self.values {
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
