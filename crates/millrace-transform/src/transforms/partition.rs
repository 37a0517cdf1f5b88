use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Names, Transform, only, sample};

/// Gives each row the number of a fold, the same one each time.
///
/// Folds are numbered from 0 and differ by one row at most, also within each value of `stratify`. A hash of the row and `seed` decides.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Partition {
    /// So many folds.
    folds: u32,
    /// Name of the new column.
    #[serde(default = "fold", rename = "as")]
    into: String,
    /// Columns whose values are in all folds alike.
    #[serde(default)]
    stratify: Names,
    /// Another seed gives other folds.
    #[serde(default)]
    seed: i64,
}

fn fold() -> String {
    "fold".to_owned()
}

impl Kind for Partition {
    const NAME: &'static str = "partition";
    const EXAMPLE: &'static str = "partition: {folds: 5, stratify: late, seed: 7}";
}

impl Transform for Partition {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        if self.folds < 2 {
            return Err(Fault::new("there are at least two folds").under("folds"));
        }
        let new = input.new_column(&self.into).map_err(|fault| fault.under("as"))?;
        let number = placed(input, self.seed, &self.stratify.list())?;
        Ok(vec![format!("select *, ({number} - 1) % {} as {new} from {}", self.folds, input.table)])
    }
}

/// The place of a row in an order by chance within its stratum, from 1.
pub(super) fn placed(input: &Input<'_>, seed: i64, stratify: &[String]) -> Result<String, Fault> {
    let fraction = sample::fraction(input, seed, &[])?;
    let strata = input.list(stratify).map_err(|fault| fault.under("stratify"))?;
    let by = if strata.is_empty() { String::new() } else { format!("partition by {strata} ") };
    Ok(format!("row_number() over ({by}order by {fraction})"))
}
