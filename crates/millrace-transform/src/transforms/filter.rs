use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Transform, only};

/// Keeps the rows for which a condition is true.
///
/// The condition is a SQL expression over the columns. Rows for which it is null are left out, as in SQL.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Filter(String);

impl Kind for Filter {
    const NAME: &'static str = "filter";
    const EXAMPLE: &'static str = "filter: dep_delay is not null and distance > 100";
}

impl Transform for Filter {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        Ok(vec![format!(
            "select * from {} where {}",
            input.table,
            input.condition(&self.0, "the condition")?
        )])
    }
}
