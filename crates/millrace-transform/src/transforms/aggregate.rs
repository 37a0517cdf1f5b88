use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Names, Transform, only};
use crate::flow::quote;

/// Computes one row per group: counts, sums, means and other aggregates.
///
/// Without `by` the whole table is one group.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aggregate {
    /// Columns that make a group.
    #[serde(default)]
    by: Names,
    /// New column to SQL aggregate, for example `avg(dep_delay)`, or `sum(amount) filter (where paid)`.
    values: IndexMap<String, String>,
}

impl Kind for Aggregate {
    const NAME: &'static str = "aggregate";
    const EXAMPLE: &'static str = "aggregate:\n  by: [carrier, month]\n  values:\n    flights: count(*)\n    mean_delay: avg(dep_delay)";
}

impl Transform for Aggregate {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let by = self.by.list();
        let groups = by.iter().map(|name| input.column(name)).collect::<Result<Vec<_>, _>>();
        let groups = groups.map_err(|fault| fault.under("by"))?;
        let mut list = groups.clone();
        for (name, expression) in &self.values {
            let value = input
                .expression(expression, &format!("the value `{name}`"))
                .map_err(|fault| fault.under(name).under("values"))?;
            list.push(format!("{value} as {}", quote(name)));
        }
        let group =
            if groups.is_empty() { String::new() } else { format!(" group by {}", groups.join(", ")) };
        Ok(vec![format!("select {} from {}{group}", list.join(", "), input.table)])
    }
}
