use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Names, Transform, only};
use crate::flow::{quote, text};

/// Describes each column in a row: counts, extremes, moments and quartiles.
///
/// Columns of the result are `column`, `type`, `rows`, `missing`, `distinct`, `min` and `max` as text, and for numbers `mean`, `stddev`,
/// `q1`, `median`, `q3`, `skewness` and `kurtosis` (the excess over the normal distribution).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Summarize {
    /// Columns to describe; all if absent.
    #[serde(default)]
    columns: Names,
}

impl Kind for Summarize {
    const NAME: &'static str = "summarize";
    const EXAMPLE: &'static str = "summarize: {columns: [dep_delay, carrier]}";
}

/// Name and aggregate of what numbers have beside the rest.
const OF_NUMBERS: [(&str, &str); 7] = [
    ("mean", "avg(#)"),
    ("stddev", "stddev(#)"),
    ("q1", "percentile_cont(0.25) within group (order by #)"),
    ("median", "percentile_cont(0.5) within group (order by #)"),
    ("q3", "percentile_cont(0.75) within group (order by #)"),
    ("skewness", "skewness(#)"),
    ("kurtosis", "kurtosis(#)"),
];

impl Summarize {
    fn chosen(&self, input: &Input<'_>) -> Result<Vec<String>, Fault> {
        let names = self.columns.list();
        for name in &names {
            input.column(name).map_err(|fault| fault.under("columns"))?;
        }
        Ok(if names.is_empty() { input.columns().into_iter().map(str::to_owned).collect() } else { names })
    }
}

impl Transform for Summarize {
    fn has_base(&self) -> bool {
        true
    }

    /// Everything at once, in one row.
    fn base(&self, inputs: &[Input<'_>]) -> Result<String, Fault> {
        let input = only(inputs)?;
        let mut list = vec!["count(*) as \"rows\"".to_owned()];
        for (place, name) in self.chosen(input)?.iter().enumerate() {
            let column = quote(name);
            let kind = input.data_type(name)?;
            list.push(format!("count(*) - count({column}) as missing{place}"));
            if kind.is_nested() {
                list.push(format!("cast(null as bigint) as distinct{place}"));
                list.push(format!(
                    "cast(null as varchar) as min{place}, cast(null as varchar) as max{place}"
                ));
                continue;
            }
            list.push(format!("count(distinct {column}) as distinct{place}"));
            list.push(format!("cast(min({column}) as varchar) as min{place}"));
            list.push(format!("cast(max({column}) as varchar) as max{place}"));
            if kind.is_numeric() {
                let number = format!("cast({column} as double)");
                list.extend(
                    OF_NUMBERS.map(|(word, sql)| format!("{} as {word}{place}", sql.replace('#', &number))),
                );
            }
        }
        Ok(format!("select {} from {}", list.join(", "), input.table))
    }

    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let [base, input] = inputs else { return Err(Fault::new("it reads nothing: add `from:`")) };
        let mut selects = Vec::new();
        for (place, name) in self.chosen(input)?.iter().enumerate() {
            let kind = input.data_type(name)?;
            let mut list = vec![
                format!("{place} as \"#\""),
                format!("{} as \"column\"", text(name)),
                format!("{} as \"type\"", text(&kind.to_string())),
                "\"rows\"".to_owned(),
            ];
            list.extend(
                ["missing", "distinct", "min", "max"].map(|word| format!("{word}{place} as \"{word}\"")),
            );
            list.extend(OF_NUMBERS.map(|(word, _)| {
                if kind.is_numeric() {
                    format!("{word}{place} as {word}")
                } else {
                    format!("cast(null as double) as {word}")
                }
            }));
            selects.push(format!("select {} from {}", list.join(", "), base.table));
        }
        let words = ["column", "type", "rows", "missing", "distinct", "min", "max"].into_iter();
        let list: Vec<String> = words.chain(OF_NUMBERS.map(|(word, _)| word)).map(quote).collect();
        Ok(vec![format!("select {} from ({}) order by \"#\"", list.join(", "), selects.join(" union all "))])
    }
}
