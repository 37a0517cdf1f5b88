use arrow::array::RecordBatch;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fitted::rows;
use super::{Fault, Fitted, Input, Kind, Learned, Transform};
use crate::flow::{quote, text};

/// Turns categories into numbers.
///
/// `one_hot` makes a column `<column>_<value>` of 0 and 1 for each value, `ordinal` the place of the value in their order, from 0,
/// `frequency` the share of the rows that have it. A value that was not there when it learned, or none, is 0 in every column of `one_hot`,
/// null for `ordinal`, and 0 for `frequency`. The categories are kept with the run and can be applied to other rows.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Encode(IndexMap<String, Method>);

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Method {
    /// A column for each value.
    OneHot,
    /// The place of the value.
    Ordinal,
    /// The share of the rows.
    Frequency,
}

/// Categories beyond these make a mistake more likely than a table: an identifier, a free text.
const MOST: usize = 1000;

/// The categories of each column, in their order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Categories {
    columns: IndexMap<String, Encoding>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Encoding {
    method: Method,
    /// Value as text, and its share of the rows that have one.
    values: IndexMap<String, f64>,
}

impl Kind for Encode {
    const NAME: &'static str = "encode";
    const EXAMPLE: &'static str = "encode: {carrier: one_hot, origin: ordinal}";
}

impl Transform for Encode {
    fn columns_depend_on_rows(&self) -> bool {
        self.0.values().any(|method| *method == Method::OneHot)
    }

    fn fitted(&self) -> Option<&dyn Fitted> {
        Some(self)
    }

    fn sql(&self, _: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        Err(Fault::new("it must learn first"))
    }
}

impl Fitted for Encode {
    fn asks(&self, input: &Input<'_>) -> Result<Vec<String>, Fault> {
        let ask = |name: &String| {
            let column = input.column(name).map_err(|fault| fault.under(name))?;
            Ok(format!(
                "select cast({column} as varchar) as v, count(*) as n from {} where {column} is not null group by {column} order by {column} limit {}",
                input.table,
                MOST + 1
            ))
        };
        self.0.keys().map(ask).collect()
    }

    fn learn(&self, _: &Input<'_>, answers: &[Vec<RecordBatch>]) -> Result<Learned, Fault> {
        let mut columns = IndexMap::new();
        for (place, (name, method)) in self.0.iter().enumerate() {
            let found = rows(answers, place);
            if found.len() > MOST {
                let message = format!("the column `{name}` has more than {MOST} different values");
                return Err(Fault::new(message)
                    .hinted("encode a column with fewer, or group its values first")
                    .under(name));
            }
            let count =
                |row: &serde_json::Map<String, Value>| row.get("n").and_then(Value::as_f64).unwrap_or(0.0);
            let total: f64 = found.iter().map(count).sum();
            let values =
                found.iter().filter_map(|row| Some((row.get("v")?.as_str()?.to_owned(), count(row) / total)));
            columns.insert(name.clone(), Encoding { method: *method, values: values.collect() });
        }
        Ok(Learned::Encode(Categories { columns }))
    }
}

impl Categories {
    pub(super) fn sql(&self, input: &Input<'_>) -> Result<String, Fault> {
        for name in self.columns.keys() {
            input.column(name).map_err(|fault| fault.under(name))?;
        }
        let mut list = Vec::new();
        for name in input.columns() {
            let column = quote(name);
            match self.columns.get(name) {
                None => list.push(column),
                Some(encoding) => encoding.add(name, input, &mut list)?,
            }
        }
        Ok(format!("select {} from {}", list.join(", "), input.table))
    }
}

impl Encoding {
    fn add(&self, name: &str, input: &Input<'_>, list: &mut Vec<String>) -> Result<(), Fault> {
        let column = quote(name);
        let value = format!("cast({column} as varchar)");
        if self.method == Method::OneHot {
            for category in self.values.keys() {
                let new =
                    input.new_column(&format!("{name}_{category}")).map_err(|fault| fault.under(name))?;
                list.push(format!("case when {value} = {} then 1 else 0 end as {new}", text(category)));
            }
            return Ok(());
        }
        let cases: String = self
            .values
            .iter()
            .enumerate()
            .map(|(place, (category, share))| {
                let number = match self.method {
                    Method::Frequency => super::fitted::real(*share),
                    Method::Ordinal | Method::OneHot => place.to_string(),
                };
                format!(" when {} then {number}", text(category))
            })
            .collect();
        let unknown = if self.method == Method::Frequency { "0.0" } else { "null" };
        list.push(if cases.is_empty() {
            format!("{unknown} as {column}")
        } else {
            format!("case {value}{cases} else {unknown} end as {column}")
        });
        Ok(())
    }
}
