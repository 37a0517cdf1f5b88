use arrow::array::RecordBatch;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fitted::{number, row, rows};
use super::{Fault, Fitted, Input, Kind, Learned, Transform};
use crate::flow::{literal, quote};

/// Replaces nulls by a constant, the mean, the median or the commonest value of the column, or removes their rows or columns.
///
/// `mean` and `median` make the column a floating-point number. What was learned is kept with the run and can be applied to other rows.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct FillMissing(IndexMap<String, Fill>);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Fill {
    /// A statistic of the column, or what is removed.
    Way(Way),
    /// A constant.
    Constant(Constant),
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Way {
    /// The mean.
    Mean,
    /// The median.
    Median,
    /// The commonest value; the smallest of several.
    Mode,
    /// Rows with a null here are left out.
    RemoveRow,
    /// The column is left out if any row has a null.
    RemoveColumn,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Constant {
    /// The value that stands for null.
    value: Value,
}

/// What became of each column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fillings {
    columns: IndexMap<String, Filling>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Filling {
    /// Nulls become this; the column becomes a floating-point number first if `real`.
    Fill { value: Value, real: bool },
    /// Rows with a null are left out.
    RemoveRow,
    /// The column is left out.
    RemoveColumn,
    /// There were no nulls to remove the column for.
    Keep,
}

impl Kind for FillMissing {
    const NAME: &'static str = "fill_missing";
    const EXAMPLE: &'static str =
        "fill_missing:\n  dep_delay: median\n  carrier: mode\n  wind_gust: {value: 0}";
}

impl Transform for FillMissing {
    fn columns_depend_on_rows(&self) -> bool {
        self.0.values().any(|fill| matches!(fill, Fill::Way(Way::RemoveColumn)))
    }

    fn fitted(&self) -> Option<&dyn Fitted> {
        Some(self)
    }

    fn sql(&self, _: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        Err(Fault::new("it must learn first"))
    }
}

impl Fitted for FillMissing {
    fn asks(&self, input: &Input<'_>) -> Result<Vec<String>, Fault> {
        let mut list = vec!["count(*) as n".to_owned()];
        let mut modes = Vec::new();
        for (place, (name, fill)) in self.0.iter().enumerate() {
            let column = input.column(name).map_err(|fault| fault.under(name))?;
            match fill {
                Fill::Way(Way::Mean) => {
                    list.push(format!("avg(cast({} as double)) as c{place}", numeric(input, name)?));
                }
                Fill::Way(Way::Median) => {
                    list.push(format!("median(cast({} as double)) as c{place}", numeric(input, name)?));
                }
                Fill::Way(Way::RemoveColumn) => {
                    list.push(format!("count(*) - count({column}) as c{place}"));
                }
                Fill::Way(Way::Mode) => modes.push(format!(
                    "select {column} as v from {} where {column} is not null group by {column} order by count(*) desc, {column} limit 1",
                    input.table
                )),
                Fill::Way(Way::RemoveRow) | Fill::Constant(_) => {}
            }
        }
        let mut asks = vec![format!("select {} from {}", list.join(", "), input.table)];
        asks.append(&mut modes);
        Ok(asks)
    }

    fn learn(&self, _: &Input<'_>, answers: &[Vec<RecordBatch>]) -> Result<Learned, Fault> {
        let statistics = row(answers, 0);
        let mut modes = 0;
        let mut columns = IndexMap::new();
        for (place, (name, fill)) in self.0.iter().enumerate() {
            let filling = match fill {
                Fill::Constant(Constant { value }) => Filling::Fill { value: value.clone(), real: false },
                Fill::Way(Way::RemoveRow) => Filling::RemoveRow,
                Fill::Way(Way::RemoveColumn) => match number(&statistics, &format!("c{place}")) {
                    Some(nulls) if nulls > 0.0 => Filling::RemoveColumn,
                    _ => Filling::Keep,
                },
                Fill::Way(Way::Mode) => {
                    modes += 1;
                    let value = rows(answers, modes).into_iter().next().and_then(|mut row| row.remove("v"));
                    Filling::Fill { value: value.unwrap_or_default(), real: false }
                }
                Fill::Way(Way::Mean | Way::Median) => {
                    let value = number(&statistics, &format!("c{place}")).map_or(Value::Null, Value::from);
                    Filling::Fill { value, real: true }
                }
            };
            columns.insert(name.clone(), filling);
        }
        Ok(Learned::FillMissing(Fillings { columns }))
    }
}

fn numeric(input: &Input<'_>, name: &str) -> Result<String, Fault> {
    input.number(name).map_err(|fault| fault.under(name))
}

impl Fillings {
    pub(super) fn sql(&self, input: &Input<'_>) -> Result<String, Fault> {
        let mut list = Vec::new();
        let mut conditions = Vec::new();
        for name in self.columns.keys() {
            input.column(name).map_err(|fault| fault.under(name))?;
        }
        for name in input.columns() {
            let column = quote(name);
            match self.columns.get(name) {
                Some(Filling::RemoveColumn) => {}
                Some(Filling::RemoveRow) => {
                    conditions.push(format!("{column} is not null"));
                    list.push(column);
                }
                Some(Filling::Fill { value, real }) => {
                    let value = literal(value).ok_or_else(|| {
                        Fault::new(format!("the value for `{name}` is not a plain value")).under(name)
                    })?;
                    let plain = if *real { format!("cast({column} as double)") } else { column.clone() };
                    // A value that was kept as text, such as a date, becomes what the column is.
                    let value = match input.data_type(name)? {
                        _ if *real => value,
                        kind if kind.is_numeric() || kind.is_null() => value,
                        _ => format!("arrow_cast({value}, '{}')", input.data_type(name)?),
                    };
                    list.push(format!("coalesce({plain}, {value}) as {column}"));
                }
                Some(Filling::Keep) | None => list.push(column),
            }
        }
        if list.is_empty() {
            return Err(Fault::new("no column is left"));
        }
        let conditions = if conditions.is_empty() {
            String::new()
        } else {
            format!(" where {}", conditions.join(" and "))
        };
        Ok(format!("select {} from {}{conditions}", list.join(", "), input.table))
    }
}
