use arrow::array::RecordBatch;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fitted::{number, real, row};
use super::{Fault, Fitted, Input, Kind, Learned, Transform};
use crate::flow::quote;

/// Brings numbers onto one scale.
///
/// `z_score` takes the mean away and divides by the standard deviation of all rows, `min_max` maps the smallest value to 0 and the largest
/// to 1, `log_normal` gives the share of a log-normal distribution that is smaller, `logistic` and `tanh` are those functions. A column
/// with one value becomes 0. What was learned is kept with the run and can be applied to other rows.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Normalize(IndexMap<String, Method>);

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Method {
    /// Mean 0, standard deviation 1.
    ZScore,
    /// From 0 to 1.
    MinMax,
    /// `1 / (1 + exp(-x))`.
    Logistic,
    /// Distribution function of a log-normal distribution with the column's parameters; for numbers above 0.
    LogNormal,
    /// `tanh(x)`.
    Tanh,
}

/// How each column is scaled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scales {
    columns: IndexMap<String, Scale>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
enum Scale {
    ZScore { mean: f64, stddev: f64 },
    MinMax { min: f64, max: f64 },
    Logistic,
    LogNormal { mean: f64, stddev: f64 },
    Tanh,
}

impl Kind for Normalize {
    const NAME: &'static str = "normalize";
    const EXAMPLE: &'static str = "normalize: {distance: z_score, air_time: min_max}";
}

impl Transform for Normalize {
    fn fitted(&self) -> Option<&dyn Fitted> {
        Some(self)
    }

    fn sql(&self, _: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        Err(Fault::new("it must learn first"))
    }
}

impl Fitted for Normalize {
    fn asks(&self, input: &Input<'_>) -> Result<Vec<String>, Fault> {
        let mut list = vec!["count(*) as n".to_owned()];
        for (place, (name, method)) in self.0.iter().enumerate() {
            let column = input.number(name).map_err(|fault| fault.under(name))?;
            let value = match method {
                Method::LogNormal => format!("ln(cast({column} as double)) filter (where {column} > 0)"),
                _ => format!("cast({column} as double)"),
            };
            let of = |function: &str| match value.split_once(" filter ") {
                Some((value, filter)) => format!("{function}({value}) filter {filter}"),
                None => format!("{function}({value})"),
            };
            let (first, second) = match method {
                Method::ZScore | Method::LogNormal => ("avg", "stddev_pop"),
                Method::MinMax => ("min", "max"),
                Method::Logistic | Method::Tanh => continue,
            };
            list.push(format!("{} as a{place}, {} as b{place}", of(first), of(second)));
        }
        Ok(vec![format!("select {} from {}", list.join(", "), input.table)])
    }

    fn learn(&self, _: &Input<'_>, answers: &[Vec<RecordBatch>]) -> Result<Learned, Fault> {
        let row = row(answers, 0);
        let mut columns = IndexMap::new();
        for (place, (name, method)) in self.0.iter().enumerate() {
            let figure = |letter: char| number(&row, &format!("{letter}{place}")).unwrap_or(0.0);
            let (a, b) = (figure('a'), figure('b'));
            let scale = match method {
                Method::ZScore => Scale::ZScore { mean: a, stddev: b },
                Method::LogNormal => Scale::LogNormal { mean: a, stddev: b },
                Method::MinMax => Scale::MinMax { min: a, max: b },
                Method::Logistic => Scale::Logistic,
                Method::Tanh => Scale::Tanh,
            };
            columns.insert(name.clone(), scale);
        }
        Ok(Learned::Normalize(Scales { columns }))
    }
}

impl Scales {
    pub(super) fn sql(&self, input: &Input<'_>) -> Result<String, Fault> {
        for name in self.columns.keys() {
            input.number(name).map_err(|fault| fault.under(name))?;
        }
        let list: Vec<String> = input
            .columns()
            .into_iter()
            .map(|name| {
                let column = quote(name);
                match self.columns.get(name) {
                    Some(scale) => format!("{} as {column}", scale.sql(&format!("cast({column} as double)"))),
                    None => column,
                }
            })
            .collect();
        Ok(format!("select {} from {}", list.join(", "), input.table))
    }
}

impl Scale {
    fn sql(self, value: &str) -> String {
        // A column with one value has no width to divide by.
        let width = |width: f64| real(if width > 0.0 { width } else { 1.0 });
        match self {
            Self::ZScore { mean, stddev } => format!("({value} - {}) / {}", real(mean), width(stddev)),
            Self::MinMax { min, max } => format!("({value} - {}) / {}", real(min), width(max - min)),
            Self::Logistic => format!("1.0 / (1.0 + exp(-{value}))"),
            Self::LogNormal { mean, stddev } => format!(
                "case when {value} > 0 then normal_cdf((ln({value}) - {}) / {}) end",
                real(mean),
                width(stddev)
            ),
            Self::Tanh => format!("tanh({value})"),
        }
    }
}
