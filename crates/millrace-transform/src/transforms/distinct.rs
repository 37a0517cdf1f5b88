use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Names, Transform, only};
use crate::flow::quote;

/// Keeps one of the rows that are equal.
///
/// With `by`, one row per value of these columns: the first in the order of `keep_first_by`, or of all columns.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Distinct {
    /// Columns that must differ; all if absent.
    #[serde(default)]
    by: Names,
    /// Order that decides which row stays, for example `[updated_at desc]`.
    #[serde(default)]
    keep_first_by: Names,
}

impl Kind for Distinct {
    const NAME: &'static str = "distinct";
    const EXAMPLE: &'static str = "distinct: {by: [tailnum], keep_first_by: [year desc]}";
}

impl Transform for Distinct {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let by = self.by.list();
        if by.is_empty() {
            return Ok(vec![format!("select distinct * from {}", input.table)]);
        }
        let all = input.columns().into_iter().map(quote).collect::<Vec<_>>().join(", ");
        let order = match self.keep_first_by.list() {
            none if none.is_empty() => all.clone(),
            some => format!("{}, {all}", super::sort::order(input, &some)?),
        };
        Ok(vec![format!(
            "select {all} from (select *, row_number() over (partition by {} order by {order}) as \"#\" from {}) where \"#\" = 1",
            input.list(&by)?,
            input.table
        )])
    }
}
