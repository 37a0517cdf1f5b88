use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Names, Transform, only, sort};

/// Numbers the rows by an order, within each value of some columns.
///
/// Equal rows share a number: `rank` leaves out as many as share it, `dense` none. `row` numbers them one by one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rank {
    /// What the rows are ordered by, for example `[amount desc]`.
    order: Names,
    /// Columns that separate the rows into partitions.
    #[serde(default)]
    by: Names,
    /// How equal rows are numbered.
    #[serde(default)]
    method: Method,
    /// Name of the new column.
    #[serde(default = "rank", rename = "as")]
    into: String,
}

fn rank() -> String {
    "rank".to_owned()
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Method {
    /// 1, 1, 3.
    #[default]
    Rank,
    /// 1, 1, 2.
    Dense,
    /// 1, 2, 3.
    Row,
}

impl Kind for Rank {
    const NAME: &'static str = "rank";
    const EXAMPLE: &'static str = "rank: {by: carrier, order: [dep_delay desc], as: place}";
}

impl Transform for Rank {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let new = input.new_column(&self.into).map_err(|fault| fault.under("as"))?;
        let by = input.list(&self.by.list()).map_err(|fault| fault.under("by"))?;
        let partition = if by.is_empty() { String::new() } else { format!("partition by {by} ") };
        let order = sort::order(input, &self.order.list()).map_err(|fault| fault.under("order"))?;
        let function = match self.method {
            Method::Rank => "rank",
            Method::Dense => "dense_rank",
            Method::Row => "row_number",
        };
        Ok(vec![format!(
            "select *, cast({function}() over ({partition}order by {order}) as bigint) as {new} from {}",
            input.table
        )])
    }
}
