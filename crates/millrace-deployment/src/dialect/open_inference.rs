//! Open Inference Protocol v2: named tensors, one a column. Tensors as raw bytes are refused.

use millrace_contract::{ModelColumn, ModelSignature};
use millrace_spec::problem::Problem;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Request};
use crate::rows::{Frame, bad_input, cell};

const DATATYPES: [&str; 13] = [
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64",
    "BYTES",
];

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    id: Option<String>,
    inputs: Vec<InputTensor>,
    #[serde(default)]
    outputs: Option<Vec<WantedOutput>>,
    #[serde(default)]
    parameters: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct InputTensor {
    name: String,
    shape: Vec<usize>,
    datatype: String,
    #[serde(default)]
    parameters: Option<Map<String, Value>>,
    #[serde(default)]
    data: Option<Value>,
}

#[derive(Deserialize)]
struct WantedOutput {
    name: String,
    #[serde(default)]
    parameters: Option<Map<String, Value>>,
}

pub(super) fn read(body: Value, signature: &ModelSignature) -> Result<Request, Problem> {
    let body: Body = serde_json::from_value(body).map_err(|_| {
        bad_input("the body is not `{\"inputs\": [{\"name\", \"shape\", \"datatype\", \"data\"}]}`")
    })?;
    let outputs = wanted_outputs(&body, signature)?;
    let whole = match body.inputs.as_slice() {
        [only] => signature.inputs.iter().all(|column| column.name != only.name) && only.shape.len() == 2,
        _ => false,
    };
    let mut columns = Map::new();
    let mut matrix = None;
    for input in body.inputs {
        let name = input.name.clone();
        let known = signature.inputs.iter().any(|column| column.name == name);
        if !known && !whole {
            let names: Vec<&str> = signature.inputs.iter().map(|column| column.name.as_str()).collect();
            let problem = bad_input(format!("the model has no input `{name}`"));
            return Err(match millrace_spec::suggest::nearest(&name, &names) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint(format!("its inputs are {}", names.join(", "))),
            });
        }
        let (shape, cells) = cells(input)?;
        if whole {
            matrix = Some((shape, cells));
        } else if !matches!(shape.as_slice(), [_] | [_, 1]) {
            return Err(bad_input(format!(
                "the input `{name}` has the shape {shape:?}, not [rows] or [rows, 1]"
            )));
        } else if columns.insert(name.clone(), Value::Array(cells)).is_some() {
            return Err(bad_input(format!("the input `{name}` is there twice")));
        }
    }
    let frame = match matrix {
        Some((shape, cells)) => {
            let width = shape.get(1).copied().unwrap_or(1).max(1);
            Frame::lists(None, cells.chunks(width).map(<[Value]>::to_vec).collect())?
        }
        None => Frame::columns(columns)?,
    };
    Ok(Request { rows: frame.batch(signature)?, id: body.id, outputs })
}

/// The names of the outputs that are wanted.
fn wanted_outputs(body: &Body, signature: &ModelSignature) -> Result<Option<Vec<String>>, Problem> {
    let binary = |parameters: &Option<Map<String, Value>>, key: &str| {
        parameters.as_ref().and_then(|parameters| parameters.get(key)) == Some(&Value::Bool(true))
    };
    let asked = body.outputs.iter().flatten().any(|output| binary(&output.parameters, "binary_data"));
    if asked || binary(&body.parameters, "binary_data_output") {
        return Err(bad_input("outputs as raw bytes are not supported").hint("\"binary_data\": false"));
    }
    let Some(outputs) = &body.outputs else { return Ok(None) };
    for output in outputs {
        if signature.outputs.iter().all(|column| column.name != output.name) {
            let names: Vec<&str> = signature.outputs.iter().map(|column| column.name.as_str()).collect();
            return Err(bad_input(format!("the model has no output `{}`", output.name))
                .hint(format!("its outputs are {}", names.join(", "))));
        }
    }
    // An empty list is what clients send that want everything.
    let names: Vec<String> = outputs.iter().map(|output| output.name.clone()).collect();
    Ok(Some(names).filter(|names| !names.is_empty()))
}

/// The elements of a tensor in row-major order, and its shape.
fn cells(input: InputTensor) -> Result<(Vec<usize>, Vec<Value>), Problem> {
    let InputTensor { name, shape, datatype, parameters, data } = input;
    if !DATATYPES.contains(&datatype.as_str()) {
        let problem = bad_input(format!("the input `{name}` has an unknown datatype"));
        return Err(problem.hint(format!("the datatypes are {}", DATATYPES.join(", "))));
    }
    if parameters.is_some_and(|parameters| parameters.contains_key("binary_data_size")) {
        return Err(bad_input("inputs as raw bytes are not supported").hint("send `data` as JSON"));
    }
    let Some(Value::Array(data)) = data else {
        return Err(bad_input(format!("the input `{name}` has no list `data`")));
    };
    let mut cells = Vec::with_capacity(data.len());
    flatten(data, &mut cells);
    let fits = |cell: &Value| match datatype.as_str() {
        "BYTES" => cell.is_string(),
        "BOOL" => cell.is_boolean(),
        "FP16" | "FP32" | "FP64" => cell.is_number() || cell.is_null(),
        _ => cell.is_i64() || cell.is_u64(),
    };
    if !cells.iter().all(fits) {
        return Err(bad_input(format!("the input `{name}` has elements that are not {datatype}")));
    }
    let size = shape.iter().try_fold(1_usize, |size, part| size.checked_mul(*part));
    if size != Some(cells.len()) {
        let count = cells.len();
        return Err(bad_input(format!(
            "the input `{name}` has {count} elements, which do not fill its shape {shape:?}"
        )));
    }
    Ok((shape, cells))
}

fn flatten(list: Vec<Value>, cells: &mut Vec<Value>) {
    for item in list {
        match item {
            Value::Array(inner) => flatten(inner, cells),
            cell => cells.push(cell),
        }
    }
}

pub(super) fn write(request: &Request, answer: &Answer<'_>) -> Value {
    let rows = answer.predictions.num_rows();
    let schema = answer.predictions.schema();
    let tensor = |(field, column): (&std::sync::Arc<arrow::datatypes::Field>, &arrow::array::ArrayRef)| {
        let wanted = request.outputs.as_ref().is_none_or(|names| names.contains(field.name()));
        wanted.then(|| {
            json!({
                "name": field.name(),
                "shape": [rows, 1],
                "datatype": datatype_of(field.data_type()),
                "data": (0..rows).map(|row| cell(column, row)).collect::<Vec<_>>(),
            })
        })
    };
    let outputs: Vec<Value> =
        schema.fields().iter().zip(answer.predictions.columns()).filter_map(tensor).collect();
    json!({
        "model_name": answer.endpoint,
        "model_version": answer.version.to_string(),
        "id": request.id.as_deref().unwrap_or(answer.id),
        "outputs": outputs,
    })
}

fn datatype_of(kind: &arrow::datatypes::DataType) -> &'static str {
    use arrow::datatypes::DataType;
    match kind {
        DataType::Boolean => "BOOL",
        DataType::Int64 => "INT64",
        DataType::Float64 => "FP64",
        _ => "BYTES",
    }
}

/// `GET /v2/models/<endpoint>`.
pub(crate) fn metadata(endpoint: &str, versions: &[String], signature: &ModelSignature) -> Value {
    let tensor = |column: &ModelColumn| {
        let datatype = match column.data_type.as_str() {
            "boolean" => "BOOL",
            "integer" => "INT32",
            "long" => "INT64",
            "float" => "FP32",
            "double" => "FP64",
            _ => "BYTES",
        };
        json!({"name": column.name, "datatype": datatype, "shape": [-1, 1]})
    };
    json!({
        "name": endpoint,
        "versions": versions,
        "platform": "onnx",
        "inputs": signature.inputs.iter().map(tensor).collect::<Vec<_>>(),
        "outputs": signature.outputs.iter().map(tensor).collect::<Vec<_>>(),
    })
}
