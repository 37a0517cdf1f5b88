use arrow::array::RecordBatch;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fitted::{number, real, row};
use super::{Fault, Fitted, Input, Kind, Learned, Transform};
use crate::flow::quote;

/// Replaces numbers beyond a lower and an upper bound.
///
/// Bounds are numbers, or quantiles of the column. The column becomes a floating-point number. The bounds are kept with the run and can be
/// applied to other rows.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Clip(IndexMap<String, Limits>);

/// The bounds of a column, and what stands for what is beyond them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Limits {
    /// Lower bound.
    #[serde(default)]
    lower: Option<f64>,
    /// Upper bound.
    #[serde(default)]
    upper: Option<f64>,
    /// Lower bound as a quantile, from 0 to 1.
    #[serde(default)]
    lower_quantile: Option<f64>,
    /// Upper bound as a quantile, from 0 to 1.
    #[serde(default)]
    upper_quantile: Option<f64>,
    /// What stands for a number beyond its bound.
    #[serde(default)]
    replace: Replace,
    /// A new column that is true where a number was replaced.
    #[serde(default)]
    flag: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Replace {
    /// The bound.
    #[default]
    Bound,
    /// The mean of the column.
    Mean,
    /// The median of the column.
    Median,
    /// Null.
    Null,
}

/// The bounds of each column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    columns: IndexMap<String, Bound>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Bound {
    lower: Option<f64>,
    upper: Option<f64>,
    /// What stands for a number below, and above; null if absent.
    below: Option<f64>,
    above: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flag: Option<String>,
}

impl Kind for Clip {
    const NAME: &'static str = "clip";
    const EXAMPLE: &'static str =
        "clip:\n  dep_delay: {lower: -30, upper: 300}\n  distance: {upper_quantile: 0.99, replace: \"null\"}";
}

impl Transform for Clip {
    fn fitted(&self) -> Option<&dyn Fitted> {
        Some(self)
    }

    fn sql(&self, _: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        Err(Fault::new("it must learn first"))
    }
}

impl Fitted for Clip {
    fn asks(&self, input: &Input<'_>) -> Result<Vec<String>, Fault> {
        let mut list = vec!["count(*) as n".to_owned()];
        for (place, (name, limits)) in self.0.iter().enumerate() {
            limits.check().map_err(|fault| fault.under(name))?;
            let column =
                format!("cast({} as double)", input.number(name).map_err(|fault| fault.under(name))?);
            for (letter, share) in [('a', limits.lower_quantile), ('b', limits.upper_quantile)] {
                if let Some(share) = share {
                    list.push(format!(
                        "percentile_cont({share:?}) within group (order by {column}) as {letter}{place}"
                    ));
                }
            }
            match limits.replace {
                Replace::Mean => list.push(format!("avg({column}) as r{place}")),
                Replace::Median => list.push(format!("median({column}) as r{place}")),
                Replace::Bound | Replace::Null => {}
            }
        }
        Ok(vec![format!("select {} from {}", list.join(", "), input.table)])
    }

    fn learn(&self, _: &Input<'_>, answers: &[Vec<RecordBatch>]) -> Result<Learned, Fault> {
        let row = row(answers, 0);
        let mut columns = IndexMap::new();
        for (place, (name, limits)) in self.0.iter().enumerate() {
            let figure = |letter: char| number(&row, &format!("{letter}{place}"));
            let lower = limits.lower.or_else(|| figure('a'));
            let upper = limits.upper.or_else(|| figure('b'));
            let (below, above) = match limits.replace {
                Replace::Bound => (lower, upper),
                Replace::Null => (None, None),
                Replace::Mean | Replace::Median => (figure('r'), figure('r')),
            };
            columns.insert(name.clone(), Bound { lower, upper, below, above, flag: limits.flag.clone() });
        }
        Ok(Learned::Clip(Bounds { columns }))
    }
}

impl Limits {
    fn check(&self) -> Result<(), Fault> {
        let twice = (self.lower.is_some() && self.lower_quantile.is_some())
            || (self.upper.is_some() && self.upper_quantile.is_some());
        if twice {
            return Err(Fault::new("a bound is either a number or a quantile"));
        }
        if [self.lower, self.upper, self.lower_quantile, self.upper_quantile].iter().all(Option::is_none) {
            return Err(Fault::new("it has no bound").hinted("{lower: 0, upper: 100}"));
        }
        for (key, share) in [("lower_quantile", self.lower_quantile), ("upper_quantile", self.upper_quantile)]
        {
            if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
                return Err(Fault::new("a quantile lies between 0 and 1").under(key));
            }
        }
        match (self.lower, self.upper) {
            (Some(lower), Some(upper)) if lower > upper => {
                Err(Fault::new(format!("the lower bound {lower} is above the upper one, {upper}")))
            }
            _ => Ok(()),
        }
    }
}

impl Bounds {
    pub(super) fn sql(&self, input: &Input<'_>) -> Result<String, Fault> {
        let mut flags = Vec::new();
        for (name, bound) in &self.columns {
            input.number(name).map_err(|fault| fault.under(name))?;
            if let Some(flag) = &bound.flag {
                let flag = input.new_column(flag).map_err(|fault| fault.under("flag").under(name))?;
                let beyond = bound.beyond(&quote(name));
                flags.push(format!("coalesce({}, false) as {flag}", beyond.join(" or ")));
            }
        }
        let mut list = Vec::new();
        for name in input.columns() {
            let column = quote(name);
            match self.columns.get(name) {
                Some(bound) => list.push(format!("{} as {column}", bound.sql(&column))),
                None => list.push(column),
            }
        }
        list.append(&mut flags);
        Ok(format!("select {} from {}", list.join(", "), input.table))
    }
}

impl Bound {
    /// Conditions of being below and above.
    fn beyond(&self, column: &str) -> Vec<String> {
        let value = format!("cast({column} as double)");
        let below = self.lower.map(|lower| format!("{value} < {}", real(lower)));
        let above = self.upper.map(|upper| format!("{value} > {}", real(upper)));
        let mut conditions: Vec<String> = [below, above].into_iter().flatten().collect();
        if conditions.is_empty() {
            conditions.push("false".to_owned());
        }
        conditions
    }

    fn sql(&self, column: &str) -> String {
        let value = format!("cast({column} as double)");
        let stands = |number: Option<f64>| number.map_or_else(|| "null".to_owned(), real);
        let mut cases = String::new();
        if let Some(lower) = self.lower {
            cases += &format!(" when {value} < {} then {}", real(lower), stands(self.below));
        }
        if let Some(upper) = self.upper {
            cases += &format!(" when {value} > {} then {}", real(upper), stands(self.above));
        }
        if cases.is_empty() { value } else { format!("case{cases} else {value} end") }
    }
}
