//! MLflow's scoring server, `POST /invocations`: exactly one of four keys, and `{"predictions": […]}`.

use millrace_contract::ModelSignature;
use millrace_spec::problem::Problem;
use serde_json::{Value, json};

use super::rows::split;
use super::{Answer, Request};
use crate::rows::{Frame, bad_input};

const FORMATS: [&str; 4] = ["dataframe_split", "dataframe_records", "instances", "inputs"];

pub(super) fn read(body: Value, signature: &ModelSignature) -> Result<Request, Problem> {
    let Value::Object(mut fields) = body else {
        return Err(bad_input("the body is not an object").hint("{\"dataframe_records\": [{…}]}"));
    };
    let found: Vec<&str> = FORMATS.into_iter().filter(|format| fields.contains_key(*format)).collect();
    let [format] = found.as_slice() else {
        let message = format!("the body has {} of the keys {}, not one", found.len(), FORMATS.join(", "));
        return Err(bad_input(message).hint("{\"dataframe_records\": [{…}]}"));
    };
    let wrong = |wanted: &str| bad_input(format!("`{format}` is not {wanted}"));
    let frame = match (*format, fields.remove(*format)) {
        ("dataframe_split", Some(Value::Object(table))) => split(format, table)?,
        ("dataframe_split", _) => return Err(wrong("an object")),
        ("dataframe_records", Some(Value::Array(rows))) if rows.iter().all(Value::is_object) => {
            Frame::from_list(rows)?
        }
        ("dataframe_records", _) => return Err(wrong("a list of objects")),
        (_, Some(Value::Array(rows))) => Frame::from_list(rows)?,
        ("inputs", Some(Value::Object(columns))) => named_columns(columns)?,
        ("inputs", _) => return Err(wrong("a list or an object of lists")),
        _ => return Err(wrong("a list")),
    };
    frame.batch(signature).map(Request::of_rows)
}

/// `inputs` by name: lists of cells, or of lists of one cell as tensors of shape `[rows, 1]` have them.
fn named_columns(columns: serde_json::Map<String, Value>) -> Result<Frame, Problem> {
    let flat = |(name, cells): (String, Value)| match cells {
        Value::Array(cells) => {
            let one = |cell: Value| match cell {
                Value::Array(mut inner) if inner.len() == 1 => inner.pop().unwrap_or_default(),
                cell => cell,
            };
            (name, cells.into_iter().map(one).collect())
        }
        plain => (name, Value::Array(vec![plain])),
    };
    Frame::columns(columns.into_iter().map(flat).collect())
}

pub(super) fn write(answer: &Answer<'_>) -> Value {
    json!({"predictions": answer.rows().map(|row| answer.prediction(row)).collect::<Vec<_>>()})
}
