use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Names, Transform, only, sort};

/// Gives each row a number of its own.
///
/// Without `order` the rows are numbered as they come.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SurrogateKey {
    /// Name of the new column.
    #[serde(rename = "as")]
    into: String,
    /// The first number.
    #[serde(default = "one")]
    start: i64,
    /// Order in which the rows are numbered.
    #[serde(default)]
    order: Names,
}

fn one() -> i64 {
    1
}

impl Kind for SurrogateKey {
    const NAME: &'static str = "surrogate_key";
    const EXAMPLE: &'static str = "surrogate_key: {as: id, start: 1000, order: [time_hour]}";
}

impl Transform for SurrogateKey {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let new = input.new_column(&self.into).map_err(|fault| fault.under("as"))?;
        let named = self.order.list();
        let order = if named.is_empty() {
            String::new()
        } else {
            format!("order by {}", sort::order(input, &named).map_err(|fault| fault.under("order"))?)
        };
        Ok(vec![format!(
            "select cast(row_number() over ({order}) as bigint) + ({}) as {new}, * from {}",
            self.start.saturating_sub(1),
            input.table
        )])
    }
}
