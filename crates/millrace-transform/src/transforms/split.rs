use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Names, Transform, only, sample};

/// Sends each row to one of several outputs, by conditions or by chance.
///
/// Later nodes read `<node>.<part>`. With `when`, a row goes to the first part whose condition is true, else to `otherwise`. With
/// `fractions`, a hash of the row (or of `key`) and `seed` decides, so that the same row is on the same side each time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Split {
    /// By conditions.
    Conditions(Conditions),
    /// By chance.
    Fractions(Fractions),
}

/// Parts by condition.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conditions {
    /// Part to SQL condition, tried in this order.
    when: IndexMap<String, String>,
    /// Part of the rows that meet none.
    #[serde(default = "rest")]
    otherwise: String,
}

fn rest() -> String {
    "rest".to_owned()
}

/// Parts by share.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fractions {
    /// Part to share; the shares add up to 1.
    fractions: IndexMap<String, f64>,
    /// Another seed gives another split.
    #[serde(default)]
    seed: i64,
    /// Columns whose rows stay together, for example a customer; the whole row if absent.
    #[serde(default)]
    key: Names,
}

impl Kind for Split {
    const NAME: &'static str = "split";
    const EXAMPLE: &'static str = "split: {fractions: {train: 0.8, test: 0.2}, seed: 7, key: tailnum}";
}

impl Transform for Split {
    fn parts(&self) -> Vec<String> {
        match self {
            Self::Conditions(by) => by.when.keys().chain([&by.otherwise]).cloned().collect(),
            Self::Fractions(by) => by.fractions.keys().cloned().collect(),
        }
    }

    fn has_base(&self) -> bool {
        true
    }

    /// Each row with the number of its part: the conditions are asked once, in their order, and a null counts as not met.
    fn base(&self, inputs: &[Input<'_>]) -> Result<String, Fault> {
        let input = only(inputs)?;
        let conditions = match self {
            Self::Conditions(by) => by
                .when
                .iter()
                .map(|(part, condition)| {
                    let met = input.condition(condition, &format!("the part `{part}`"));
                    met.map_err(|fault| fault.under(part).under("when"))
                })
                .collect::<Result<Vec<_>, _>>()?,
            Self::Fractions(by) => {
                let fraction = sample::fraction(input, by.seed, &by.key.list())?;
                // The last part has what is left, so that rounding loses no row.
                let bounds = ranges(&by.fractions)?;
                let bounds = bounds.split_last().map(|(_, bounds)| bounds).unwrap_or_default();
                bounds.iter().map(|(_, to)| format!("{fraction} < {to:?}")).collect()
            }
        };
        let cases: String =
            conditions.iter().enumerate().map(|(part, met)| format!(" when {met} then {part}")).collect();
        let last = conditions.len();
        let part = if cases.is_empty() { last.to_string() } else { format!("case{cases} else {last} end") };
        Ok(format!("select *, {part} as \"#part\" from {}", input.table))
    }

    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let base = only(inputs)?;
        let list = base.others(&["#part"]).join(", ");
        let select = |part: usize| format!("select {list} from {} where \"#part\" = {part}", base.table);
        Ok((0..self.parts().len()).map(select).collect())
    }
}

/// Stretches of `[0, 1)`, one per share.
pub(crate) fn ranges(fractions: &IndexMap<String, f64>) -> Result<Vec<(f64, f64)>, Fault> {
    let total: f64 = fractions.values().sum();
    if (total - 1.0).abs() > 1e-9 || fractions.values().any(|share| *share < 0.0) {
        return Err(Fault::new(format!("the shares add up to {total}, not to 1")));
    }
    let mut from = 0.0;
    let last = fractions.len().saturating_sub(1);
    Ok(fractions
        .values()
        .enumerate()
        .map(|(at, share)| {
            let start = from;
            from += share;
            (start, if at == last { 2.0 } else { from })
        })
        .collect())
}
