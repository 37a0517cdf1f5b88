use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Names, Transform, only, partition};
use crate::flow::quote;

/// Keeps a random share of the rows, the same ones each time.
///
/// A row is chosen by a hash of its content (or of `key`) and `seed`, so equal rows stay or go together, whatever the order. With `stratify`
/// the share is kept within each value of these columns, to the row.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    /// Share of the rows, 0 to 1.
    fraction: f64,
    /// Another seed gives another sample.
    #[serde(default)]
    seed: i64,
    /// Columns that decide; all if absent. With a join key, matching rows of two tables are kept together.
    #[serde(default)]
    key: Names,
    /// Columns whose values keep their shares.
    #[serde(default)]
    stratify: Names,
}

impl Kind for Sample {
    const NAME: &'static str = "sample";
    const EXAMPLE: &'static str = "sample: {fraction: 0.1, seed: 7}";
}

impl Transform for Sample {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        if !(0.0..=1.0).contains(&self.fraction) {
            return Err(Fault::new(format!(
                "`fraction` is {}, but a share lies between 0 and 1",
                self.fraction
            ))
            .under("fraction"));
        }
        let strata = self.stratify.list();
        if strata.is_empty() {
            let fraction = fraction(input, self.seed, &self.key.list())?;
            return Ok(vec![format!("select * from {} where {fraction} < {:?}", input.table, self.fraction)]);
        }
        if !self.key.list().is_empty() {
            return Err(Fault::new("a sample has either `key` or `stratify`").under("key"));
        }
        let place = partition::placed(input, self.seed, &strata)?;
        let all = input.others(&[]).join(", ");
        Ok(vec![format!(
            "select {all} from (select *, {place} as \"#place\", count(*) over (partition by {}) as \"#all\" from {}) where \"#place\" <= round(\"#all\" * {:?})",
            input.list(&strata)?,
            input.table,
            self.fraction
        )])
    }
}

/// The call of `row_fraction` over these columns, or all.
pub(super) fn fraction(input: &Input<'_>, seed: i64, key: &[String]) -> Result<String, Fault> {
    let columns = if key.is_empty() {
        input.columns().into_iter().map(quote).collect::<Vec<_>>().join(", ")
    } else {
        input.list(key)?
    };
    Ok(format!("row_fraction({seed}, {columns})"))
}
