//! Rows in JSON, in any of the ways clients write them, as columns of the types that a model wants.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use millrace_contract::{ModelColumn, ModelSignature};
use millrace_spec::problem::Problem;
use millrace_spec::suggest::nearest;
use serde_json::{Map, Value};

/// The code of a problem with a column that no row has.
pub(crate) const MISSING_COLUMN: &str = "missing-column";
/// The code of every other problem with a request's body.
pub(crate) const BAD_INPUT: &str = "bad-input";

/// Rows as they came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Frame {
    /// An object a row.
    Records(Vec<Map<String, Value>>),
    /// A list a row. Without `columns`, cells are taken by their place.
    Lists { columns: Option<Vec<String>>, rows: Vec<Vec<Value>> },
    /// A list a column.
    Columns(Map<String, Value>, usize),
}

/// What is wrong with the body of a request. It never says the data itself.
pub(crate) fn bad_input(message: impl Into<String>) -> Problem {
    Problem::error(BAD_INPUT, message)
}

impl Frame {
    /// A list of objects, of lists, or of plain values that are a column.
    pub(crate) fn from_list(items: Vec<Value>) -> Result<Self, Problem> {
        if items.iter().all(Value::is_object) {
            return Ok(Self::Records(items.into_iter().filter_map(into_object).collect()));
        }
        if items.iter().all(Value::is_array) {
            let rows = items.into_iter().filter_map(into_list).collect();
            return Self::lists(None, rows);
        }
        if items.iter().any(|item| item.is_object() || item.is_array()) {
            return Err(bad_input("the rows are not all of one shape"));
        }
        Self::lists(None, items.into_iter().map(|cell| vec![cell]).collect())
    }

    /// Rows as lists.
    ///
    /// # Errors
    /// If they are not of one length.
    pub(crate) fn lists(columns: Option<Vec<String>>, rows: Vec<Vec<Value>>) -> Result<Self, Problem> {
        let width = columns.as_ref().map(Vec::len).or_else(|| rows.first().map(Vec::len)).unwrap_or_default();
        match rows.iter().position(|row| row.len() != width) {
            Some(at) => {
                let cells = rows.get(at).map_or(0, Vec::len);
                Err(bad_input(format!("row {} has not {width} cells but {cells}", at + 1)))
            }
            None => Ok(Self::Lists { columns, rows }),
        }
    }

    /// Columns as lists.
    ///
    /// # Errors
    /// If they are no lists, or not of one length.
    pub(crate) fn columns(columns: Map<String, Value>) -> Result<Self, Problem> {
        let mut rows = None;
        for (name, cells) in &columns {
            let cells =
                cells.as_array().ok_or_else(|| bad_input(format!("the column `{name}` is not a list")))?;
            if *rows.get_or_insert(cells.len()) != cells.len() {
                return Err(bad_input(format!("the column `{name}` is not as long as the others")));
            }
        }
        Ok(Self::Columns(columns, rows.unwrap_or_default()))
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Records(rows) => rows.len(),
            Self::Lists { rows, .. } => rows.len(),
            Self::Columns(_, rows) => *rows,
        }
    }

    /// The columns of `signature`, others left out.
    ///
    /// # Errors
    /// [`MISSING_COLUMN`] or [`BAD_INPUT`].
    pub(crate) fn batch(&self, signature: &ModelSignature) -> Result<RecordBatch, Problem> {
        if self.rows() == 0 {
            return Err(bad_input("there are no rows"));
        }
        if let Self::Lists { columns: None, rows } = self {
            let width = rows.first().map_or(0, Vec::len);
            if width != signature.inputs.len() {
                let wanted = signature.inputs.len();
                return Err(bad_input(format!(
                    "the rows have {width} cells, and the model takes {wanted} columns"
                )));
            }
        }
        let mut fields = Vec::with_capacity(signature.inputs.len());
        let mut columns = Vec::with_capacity(signature.inputs.len());
        for (at, column) in signature.inputs.iter().enumerate() {
            let Some(cells) = self.cells(&column.name, at) else {
                if column.required {
                    return Err(self.missing(&column.name));
                }
                continue;
            };
            let array = array(column, &cells)?;
            fields.push(Field::new(&column.name, array.data_type().clone(), true));
            columns.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
            .map_err(|error| bad_input(error.to_string()))
    }

    /// Cells of a column; `None` if no row has it.
    fn cells(&self, name: &str, at: usize) -> Option<Vec<&Value>> {
        let cells: Vec<Option<&Value>> = match self {
            Self::Records(rows) => rows.iter().map(|row| row.get(name)).collect(),
            Self::Lists { columns, rows } => {
                let at = match columns {
                    Some(columns) => columns.iter().position(|column| column == name)?,
                    None => at,
                };
                rows.iter().map(|row| row.get(at)).collect()
            }
            Self::Columns(columns, _) => columns.get(name)?.as_array()?.iter().map(Some).collect(),
        };
        cells
            .iter()
            .any(Option::is_some)
            .then(|| cells.into_iter().map(|cell| cell.unwrap_or(&Value::Null)).collect())
    }

    fn missing(&self, name: &str) -> Problem {
        let given: Vec<&str> = match self {
            Self::Records(rows) => rows.first().into_iter().flat_map(Map::keys).map(String::as_str).collect(),
            Self::Lists { columns, .. } => columns.iter().flatten().map(String::as_str).collect(),
            Self::Columns(columns, _) => columns.keys().map(String::as_str).collect(),
        };
        let problem = Problem::error(MISSING_COLUMN, format!("the column `{name}` is missing"));
        match nearest(name, &given) {
            Some(near) => problem.hint(format!("rename `{near}` to `{name}`")),
            None => problem.hint(format!("add `{name}` to every row")),
        }
    }
}

fn into_object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

fn into_list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

/// Cells as an array of the column's type. Whole numbers are taken for numbers, truth values for 0 and 1.
fn array(column: &ModelColumn, cells: &[&Value]) -> Result<ArrayRef, Problem> {
    let wrong = |row: usize| {
        let found = cells.get(row).map_or("nothing", |cell| word(cell));
        bad_input(format!(
            "the column `{}` is {found} in row {}, not {}",
            column.name,
            row + 1,
            column.data_type
        ))
    };
    macro_rules! read {
        ($array:ty, $item:ty, $read:expr) => {{
            let mut items: Vec<Option<$item>> = Vec::with_capacity(cells.len());
            for (row, cell) in cells.iter().enumerate() {
                items.push(if cell.is_null() { None } else { Some($read(cell).ok_or_else(|| wrong(row))?) });
            }
            Arc::new(items.into_iter().collect::<$array>()) as ArrayRef
        }};
    }
    let truth = |cell: &Value| cell.as_bool().map(i64::from);
    Ok(match column.data_type.as_str() {
        "float" | "double" => {
            read!(Float64Array, f64, |cell: &Value| cell.as_f64().or_else(|| truth(cell).map(|t| t as f64)))
        }
        "integer" | "long" => read!(Int64Array, i64, |cell: &Value| whole(cell).or_else(|| truth(cell))),
        "boolean" => read!(BooleanArray, bool, Value::as_bool),
        _ => read!(StringArray, &str, |cell| Value::as_str(cell)),
    })
}

/// A whole number, also if it is written as `3.0`.
fn whole(cell: &Value) -> Option<i64> {
    let number = || cell.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 9e15);
    cell.as_i64().or_else(|| number().map(|number| number as i64))
}

fn word(cell: &Value) -> &'static str {
    match cell {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a whole number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A cell as JSON; nothing for what JSON has no word for.
pub(crate) fn cell(column: &ArrayRef, row: usize) -> Value {
    use arrow::array::{Array as _, AsArray as _};
    use arrow::datatypes::{Float64Type, Int64Type};
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Float64 => Value::from(column.as_primitive::<Float64Type>().value(row)),
        DataType::Int64 => Value::from(column.as_primitive::<Int64Type>().value(row)),
        DataType::Boolean => Value::from(column.as_boolean().value(row)),
        DataType::Utf8 => Value::from(column.as_string::<i32>().value(row)),
        _ => Value::Null,
    }
}

/// A row that the types allow: zeros and empty texts.
pub(crate) fn blank(signature: &ModelSignature) -> Map<String, Value> {
    let value = |column: &ModelColumn| match column.data_type.as_str() {
        "boolean" => Value::Bool(false),
        "string" => Value::String(String::new()),
        "float" | "double" => Value::from(0.0),
        _ => Value::from(0),
    };
    signature.inputs.iter().map(|column| (column.name.clone(), value(column))).collect()
}
