//! `{"rows": [{…}]}`, `{…}` for one row, and Azure ML's `{"input_data": {"columns", "index", "data"}}`.

use millrace_contract::ModelSignature;
use millrace_spec::problem::Problem;
use serde_json::{Map, Value, json};

use super::{Answer, Request};
use crate::rows::{Frame, bad_input};

pub(super) fn read(body: Value, signature: &ModelSignature) -> Result<Request, Problem> {
    let frame = match body {
        Value::Array(rows) => Frame::from_list(rows)?,
        Value::Object(mut fields) => {
            let listed = |value: &Value| value.is_array() || value.is_object();
            if fields.get("rows").is_some_and(Value::is_array) {
                match fields.remove("rows") {
                    Some(Value::Array(rows)) => Frame::from_list(rows)?,
                    _ => return Err(bad_input("`rows` is not a list")),
                }
            } else if fields.get("input_data").is_some_and(listed) {
                input_data(fields.remove("input_data").unwrap_or_default())?
            } else {
                Frame::Records(vec![fields])
            }
        }
        _ => {
            return Err(bad_input("the body is neither an object nor a list").hint("{\"rows\": [{…}]}"));
        }
    };
    frame.batch(signature).map(Request::of_rows)
}

/// Azure ML's: a table in pandas' `split` form, a list of rows, or columns by name.
fn input_data(value: Value) -> Result<Frame, Problem> {
    match value {
        Value::Array(rows) => Frame::from_list(rows),
        Value::Object(fields) if fields.contains_key("data") => split("input_data", fields),
        Value::Object(fields) => Frame::columns(fields),
        _ => Err(bad_input("`input_data` is neither an object nor a list")),
    }
}

/// pandas' `split` form: `data`, and `columns` and `index` as one likes.
pub(super) fn split(name: &str, mut fields: Map<String, Value>) -> Result<Frame, Problem> {
    if let Some(key) = fields.keys().find(|key| !matches!(key.as_str(), "data" | "columns" | "index")) {
        return Err(bad_input(format!("`{name}` has the key `{key}`; its keys are data, columns and index")));
    }
    let Some(Value::Array(data)) = fields.remove("data") else {
        return Err(bad_input(format!("`{name}.data` is not a list")));
    };
    let columns = match fields.remove("columns") {
        None | Some(Value::Null) => None,
        Some(columns) => Some(
            serde_json::from_value(columns)
                .map_err(|_| bad_input(format!("`{name}.columns` is not a list of names")))?,
        ),
    };
    let rows = data.into_iter().map(|row| match row {
        Value::Array(cells) => Ok(cells),
        _ => Err(bad_input(format!("`{name}.data` is not a list of lists"))),
    });
    Frame::lists(columns, rows.collect::<Result<_, _>>()?)
}

pub(super) fn write(answer: &Answer<'_>) -> Value {
    let prediction = |row: usize| {
        let mut fields = Map::new();
        fields.insert("prediction".to_owned(), answer.prediction(row));
        if let Some(probabilities) = answer.probabilities(row) {
            fields.insert("probabilities".to_owned(), Value::Object(probabilities));
        }
        Value::Object(fields)
    };
    json!({
        "predictions": answer.rows().map(prediction).collect::<Vec<_>>(),
        "model": answer.model,
        "deployment": answer.deployment,
        "prediction_ids": answer.rows().map(|row| answer.prediction_id(row)).collect::<Vec<_>>(),
    })
}
