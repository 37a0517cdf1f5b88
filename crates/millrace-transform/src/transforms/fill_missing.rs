use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Fault, Input, Kind, Transform, only};
use crate::flow::{literal, quote};

/// Replaces nulls by a constant, the mean, the median or the commonest value of the column.
///
/// `mean` and `median` make the column a floating-point number. The statistic is taken from the very rows that come in: to carry it
/// over to other data, let the trainer fill instead.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct FillMissing(IndexMap<String, Fill>);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Fill {
    /// A statistic of the column.
    Statistic(Statistic),
    /// A constant.
    Constant(Constant),
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Statistic {
    Mean,
    Median,
    Mode,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Constant {
    /// The value that stands for null.
    value: Value,
}

impl Kind for FillMissing {
    const NAME: &'static str = "fill_missing";
    const EXAMPLE: &'static str =
        "fill_missing:\n  dep_delay: median\n  carrier: mode\n  wind_gust: {value: 0}";
}

impl Transform for FillMissing {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        for name in self.0.keys() {
            input.column(name)?;
        }
        let mut list = Vec::new();
        for name in input.columns() {
            let column = quote(name);
            list.push(match self.0.get(name) {
                None => column,
                Some(fill) => format!("{} as {column}", fill.sql(input, &column, name)?),
            });
        }
        Ok(vec![format!("select {} from {}", list.join(", "), input.table)])
    }
}

impl Fill {
    fn sql(&self, input: &Input<'_>, column: &str, name: &str) -> Result<String, Fault> {
        let table = &input.table;
        Ok(match self {
            Self::Constant(Constant { value }) => {
                let value = literal(value)
                    .ok_or_else(|| Fault::new(format!("the value for `{name}` is not a plain value")))?;
                format!("coalesce({column}, {value})")
            }
            Self::Statistic(Statistic::Mode) => format!(
                "coalesce({column}, (select {column} from {table} where {column} is not null group by {column} order by count(*) desc, {column} limit 1))"
            ),
            Self::Statistic(which) => {
                let function = if matches!(which, Statistic::Mean) { "avg" } else { "median" };
                let number = format!("cast({column} as double)");
                input
                    .checked(&format!("{function}({column})"), &format!("the mean or median of `{name}`"))?;
                format!("coalesce({number}, (select {function}({number}) from {table}))")
            }
        })
    }
}
