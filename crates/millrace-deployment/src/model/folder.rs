//! A model folder in MLflow's layout, read without MLflow.

use std::path::{Path, PathBuf};

use millrace_contract::{ModelColumn, ModelError, ModelSignature};
use millrace_spec::yaml;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Largest `MLmodel` or input example that is read, bytes.
const MAX_TEXT_BYTES: u64 = 4 * 1024 * 1024;

/// What the text files of a model folder say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ModelFolder {
    /// The graph.
    pub(crate) graph: PathBuf,
    /// The columns, if the folder tells them.
    pub(crate) signature: Option<ModelSignature>,
    /// What Millrace's own writers add.
    pub(crate) notes: Notes,
    /// A row that the model takes.
    pub(crate) example: Option<Map<String, Value>>,
}

/// `metadata.millrace` of an `MLmodel`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Notes {
    pub(crate) task: Option<String>,
    pub(crate) classes: Vec<Value>,
}

impl Notes {
    /// The labels as text.
    pub(crate) fn labels(&self) -> Vec<String> {
        self.classes
            .iter()
            .map(|label| label.as_str().map_or_else(|| label.to_string(), str::to_owned))
            .collect()
    }
}

impl ModelFolder {
    /// Reads a model folder; `uri` is how messages name it.
    ///
    /// # Errors
    /// [`ModelError::Load`] if its `MLmodel` is absent, broken or without the flavor `onnx`.
    pub(crate) fn read(folder: &Path, uri: &str) -> Result<Self, ModelError> {
        let failed = |message: String| ModelError::Load { uri: uri.to_owned(), message };
        let text = read_text(&folder.join("MLmodel")).map_err(failed)?;
        let node = yaml::parse("MLmodel", &text)
            .map_err(|problem| failed(format!("`MLmodel`: {}", problem.message)))?;
        let document = node.to_json();
        let data = document.pointer("/flavors/onnx/data").and_then(Value::as_str);
        let graph = match (data, document.pointer("/flavors/onnx")) {
            (Some(data), _) => inside(folder, data).map_err(failed)?,
            (None, Some(_)) => folder.join("model.onnx"),
            (None, None) => {
                let flavors = document.get("flavors").and_then(Value::as_object);
                let names: Vec<&str> = flavors.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                return Err(failed(format!(
                    "it has no flavor `onnx`, only {}: save it with `mlflow.onnx.save_model` or `millrace.save_model`",
                    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
                )));
            }
        };
        let graph = if graph.is_dir() { graph.join("model.onnx") } else { graph };
        let signature = read_signature(&document).map_err(failed)?;
        let notes = document.pointer("/metadata/millrace").cloned().unwrap_or_default();
        let notes = if notes.is_null() {
            Notes::default()
        } else {
            serde_json::from_value(notes).map_err(|error| failed(format!("`metadata.millrace`: {error}")))?
        };
        let example = document.pointer("/saved_input_example_info/artifact_path").and_then(Value::as_str);
        let example = example.and_then(|name| read_example(folder, name));
        Ok(Self { graph, signature, notes, example })
    }

    /// The graph's bytes, at most `max_bytes`.
    ///
    /// # Errors
    /// In words, if it is absent or larger.
    pub(crate) fn read_graph(&self, max_bytes: u64) -> Result<Vec<u8>, String> {
        let size = fs_err::metadata(&self.graph)
            .map_err(|_| format!("`{}` is missing", file_name(&self.graph)))?
            .len();
        if size > max_bytes {
            return Err(format!("its graph has {size} bytes, and {max_bytes} are allowed"));
        }
        fs_err::read(&self.graph).map_err(|error| format!("`{}`: {}", file_name(&self.graph), error.kind()))
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A path of the model that stays in its folder.
fn inside(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let plain = Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if plain {
        Ok(folder.join(name))
    } else {
        Err(format!("`{name}` is not a path inside the model's folder"))
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let name = file_name(path);
    let size = fs_err::metadata(path).map_err(|_| format!("`{name}` is missing"))?.len();
    if size > MAX_TEXT_BYTES {
        return Err(format!("`{name}` is larger than 4 MiB"));
    }
    fs_err::read_to_string(path).map_err(|error| format!("`{name}`: {}", error.kind()))
}

/// A column of a signature, of which tensors are a kind.
#[derive(Deserialize)]
struct StoredColumn {
    #[serde(default)]
    name: Option<String>,
    #[serde(rename = "type")]
    data_type: Value,
    #[serde(default = "yes")]
    required: bool,
}

fn yes() -> bool {
    true
}

/// The columns of the signature; `None` without one, or if it speaks of tensors, which have no column names.
fn read_signature(document: &Value) -> Result<Option<ModelSignature>, String> {
    let list = |side: &str| match document.pointer(&format!("/signature/{side}")) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => serde_json::from_str(text).map(Some),
        Some(other) => serde_json::from_value(other.clone()).map(Some),
    };
    let read = |side: &str| -> Result<Option<Vec<ModelColumn>>, String> {
        let found: Option<Vec<StoredColumn>> =
            list(side).map_err(|error| format!("`signature.{side}`: {error}"))?;
        Ok(found.and_then(|columns| {
            let column = |column: StoredColumn| {
                let data_type = column.data_type.as_str().filter(|word| *word != "tensor")?.to_owned();
                Some(ModelColumn { name: column.name?, data_type, required: column.required })
            };
            columns.into_iter().map(column).collect()
        }))
    };
    let outputs = read("outputs")?.unwrap_or_default();
    Ok(read("inputs")?.filter(|inputs| !inputs.is_empty()).map(|inputs| ModelSignature { inputs, outputs }))
}

/// The first row of an example in pandas' `split` or `records` form. A broken example is as good as none.
fn read_example(folder: &Path, name: &str) -> Option<Map<String, Value>> {
    let value: Value = serde_json::from_str(&read_text(&inside(folder, name).ok()?).ok()?).ok()?;
    if let Some(row) = value.get(0).or_else(|| value.pointer("/dataframe_records/0")) {
        return row.as_object().cloned();
    }
    let split = value.get("dataframe_split").unwrap_or(&value);
    let columns = split.get("columns")?.as_array()?;
    let row = split.pointer("/data/0")?.as_array()?;
    columns.iter().zip(row).map(|(name, cell)| Some((name.as_str()?.to_owned(), cell.clone()))).collect()
}
