use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Names, Transform, only};
use crate::flow::quote;

/// Adds columns computed over neighbouring rows: ranks, running sums, the value before.
///
/// Each expression is a SQL window or aggregate function without its `over`, for example `row_number()` or `lag(price, 1)`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    /// Columns that separate the rows into partitions.
    #[serde(default)]
    by: Names,
    /// Order within a partition.
    #[serde(default)]
    order: Names,
    /// Frame in SQL, for example `rows between 6 preceding and current row`.
    #[serde(default)]
    frame: Option<String>,
    /// New column to function.
    columns: IndexMap<String, String>,
}

impl Kind for Window {
    const NAME: &'static str = "window";
    const EXAMPLE: &'static str =
        "window:\n  by: [carrier]\n  order: [dep_delay desc]\n  columns: {place: row_number()}";
}

impl Transform for Window {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let mut over = Vec::new();
        let by = self.by.list();
        if !by.is_empty() {
            over.push(format!("partition by {}", input.list(&by)?));
        }
        let order = self.order.list();
        if !order.is_empty() {
            over.push(format!("order by {}", super::sort::order(input, &order)?));
        }
        over.extend(self.frame.clone());
        let over = over.join(" ");
        let mut list = vec!["*".to_owned()];
        for (name, function) in &self.columns {
            if input.has(name) {
                return Err(Fault::new(format!("the column `{name}` is there already; choose another name")));
            }
            let call = format!("{function} over ({over})");
            input
                .checked(&call, &format!("the column `{name}`"))
                .map_err(|fault| fault.under(name).under("columns"))?;
            list.push(format!("{call} as {}", quote(name)));
        }
        Ok(vec![format!("select {} from {}", list.join(", "), input.table)])
    }
}
