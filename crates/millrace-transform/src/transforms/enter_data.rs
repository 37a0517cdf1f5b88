use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::parse::scalar_type;
use super::{Fault, Input, Inputs, Kind, Transform};
use crate::flow::{quote, text};

/// Rows that are written in the flow itself: a small table of names, rates or limits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnterData {
    /// Column to type: `string`, `integer`, `float`, `boolean`, `date`, `timestamp`, `decimal(12, 2)`.
    columns: IndexMap<String, String>,
    /// The rows, each with a value for each column in their order; `null` is no value.
    rows: Vec<Vec<Value>>,
}

/// Beyond that many rows a file is the better place.
const MOST: usize = 10_000;

impl Kind for EnterData {
    const NAME: &'static str = "enter_data";
    const EXAMPLE: &'static str =
        "enter_data:\n  columns: {code: string, rate: float}\n  rows:\n    - [UA, 0.2]\n    - [AA, null]";
}

impl Transform for EnterData {
    fn inputs(&self) -> Inputs {
        Inputs::None
    }

    fn sql(&self, _: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        if self.columns.is_empty() {
            return Err(Fault::new("`columns` names no column").under("columns"));
        }
        if self.rows.len() > MOST {
            let message = format!("there are more than {MOST} rows");
            return Err(Fault::new(message).hinted("put them in a CSV file and `copy` it").under("rows"));
        }
        let mut types = Vec::with_capacity(self.columns.len());
        for (name, word) in &self.columns {
            types.push(scalar_type(word).map_err(|fault| fault.under(name).under("columns"))?);
        }
        let mut rows = Vec::with_capacity(self.rows.len());
        for (place, row) in self.rows.iter().enumerate() {
            let at = |fault: Fault| fault.under(&place.to_string()).under("rows");
            if row.len() != types.len() {
                let message = format!("the row has {} values for {} columns", row.len(), types.len());
                return Err(at(Fault::new(message)));
            }
            let mut cells = Vec::with_capacity(row.len());
            for (cell, (value, (name, kind))) in row.iter().zip(self.columns.keys().zip(&types)).enumerate() {
                let cell = literal(value, name, kind).map_err(|fault| at(fault.under(&cell.to_string())))?;
                cells.push(cell);
            }
            rows.push(format!("({})", cells.join(", ")));
        }
        let columns = self.columns.keys().zip(&types).enumerate();
        let list = columns.map(|(place, (name, kind))| {
            let column = if rows.is_empty() { "null".to_owned() } else { format!("column{}", place + 1) };
            format!("arrow_cast({column}, '{kind}') as {}", quote(name))
        });
        let list = list.collect::<Vec<_>>().join(", ");
        Ok(vec![match rows.is_empty() {
            true => format!("select {list} where false"),
            false => format!("select {list} from (values {})", rows.join(", ")),
        }])
    }
}

/// The value as text that the type can be made of.
fn literal(value: &Value, name: &str, kind: &DataType) -> Result<String, Fault> {
    let written = match value {
        Value::Null => return Ok("cast(null as varchar)".to_owned()),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => {
            return Err(Fault::new(format!("the value for `{name}` is not a plain value")));
        }
    };
    let column: ArrayRef = Arc::new(StringArray::from(vec![written.as_str()]));
    let options = CastOptions { safe: false, ..CastOptions::default() };
    match cast_with_options(&column, kind, &options) {
        Ok(made) if made.null_count() == 0 => Ok(text(&written)),
        _ => Err(Fault::new(format!("`{written}` is no value for the column `{name}`"))),
    }
}
