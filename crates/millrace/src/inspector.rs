//! Looks into model folders for the API and the command line.

use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_api::views::json::NumberMap;
use millrace_api::views::models::{ModelColumn, ModelSignature, OnnxPort, OnnxView};
use millrace_api::{ModelFacts, ModelInspector};
use millrace_spec::yaml;
use millrace_storage::LocalCopies;
use serde_json::Value;

/// Looks into model folders.
pub(crate) struct FolderInspector {
    pub(crate) copies: LocalCopies,
}

/// Largest graph whose operators are listed, bytes.
const LARGEST_GRAPH: u64 = 256 * 1024 * 1024;
/// Largest example that is shown, bytes.
const LARGEST_EXAMPLE: u64 = 256 * 1024;

#[async_trait]
impl ModelInspector for FolderInspector {
    async fn inspect(&self, uri: &str) -> ModelFacts {
        let Ok(folder) = self.copies.path(uri).await else { return ModelFacts::default() };
        tokio::task::spawn_blocking(move || facts(&folder)).await.unwrap_or_default()
    }
}

fn facts(folder: &Path) -> ModelFacts {
    let text = fs_err::read_to_string(folder.join("MLmodel")).unwrap_or_default();
    let Ok(tree) = yaml::parse("MLmodel", &text) else { return ModelFacts::default() };
    let document = tree.to_json();
    let columns = |side: &str| -> Vec<ModelColumn> {
        let text = document.pointer(&format!("/signature/{side}")).and_then(Value::as_str).unwrap_or("[]");
        let all: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
        let column = |value: &Value| {
            Some(ModelColumn {
                // A model of arrays may take one that has no name.
                name: value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
                data_type: signature_type(value)?,
                required: value.get("required").and_then(Value::as_bool).unwrap_or(true),
            })
        };
        all.iter().filter_map(column).collect()
    };
    let named = document.pointer("/flavors/onnx/data").and_then(Value::as_str).unwrap_or("model.onnx");
    let graph = inside(folder, named).map_or(Ok(None), |file| onnx(&file));
    let flavors = document.get("flavors").and_then(Value::as_object);
    ModelFacts {
        signature: document
            .get("signature")
            .map(|_| ModelSignature { inputs: columns("inputs"), outputs: columns("outputs") }),
        task: document.pointer("/metadata/millrace/task").and_then(Value::as_str).map(str::to_owned),
        flavors: flavors.map(|flavors| flavors.keys().cloned().collect()).unwrap_or_default(),
        onnx: graph.as_ref().ok().cloned().flatten(),
        onnx_problem: graph.err(),
        input_example: example(folder, &document),
    }
}

/// The type of a column as people read it: `double`, `float64[-1, 4]` of a tensor, `array` of what is nested.
fn signature_type(column: &Value) -> Option<String> {
    let Some(tensor) = column.get("tensor-spec") else {
        return column.get("type")?.as_str().map(str::to_owned);
    };
    let sizes: Vec<String> =
        tensor.get("shape").and_then(Value::as_array)?.iter().map(ToString::to_string).collect();
    Some(format!("{}[{}]", tensor.get("dtype")?.as_str()?, sizes.join(", ")))
}

/// A file of the folder; `None` for a path that leads out of it.
fn inside(folder: &Path, path: &str) -> Option<PathBuf> {
    let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    (plain && !path.is_empty()).then(|| folder.join(path))
}

/// The example that the model was logged with, as it was written.
fn example(folder: &Path, document: &Value) -> Option<Value> {
    let path = document.pointer("/saved_input_example_info/artifact_path").and_then(Value::as_str)?;
    let file = inside(folder, path)?;
    if fs_err::metadata(&file).ok()?.len() > LARGEST_EXAMPLE {
        return None;
    }
    serde_json::from_slice(&fs_err::read(file).ok()?).ok()
}

/// What the graph is made of; `None` if there is no such file.
fn onnx(file: &Path) -> Result<Option<OnnxView>, String> {
    let size = match fs_err::metadata(file) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if size > LARGEST_GRAPH {
        let limit = LARGEST_GRAPH / (1024 * 1024);
        return Err(format!("the graph has {size} bytes; graphs of up to {limit} MiB are shown"));
    }
    let content = fs_err::read(file).map_err(|error| error.to_string())?;
    let summary = millrace_onnx::summarise(&content).map_err(|error| error.to_string())?;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let operators: IndexMap<String, f64> =
        summary.operators.into_iter().map(|(name, uses)| (name, uses as f64)).collect();
    let port =
        |port: millrace_onnx::Port| OnnxPort { name: port.name, element: port.element, shape: port.shape };
    Ok(Some(OnnxView {
        ir_version: u32::try_from(summary.ir_version).unwrap_or(0),
        opset: u32::try_from(summary.opset).unwrap_or(0),
        producer: summary.producer,
        nodes: count(summary.nodes),
        operators: NumberMap(operators),
        parameters: summary.parameters,
        inputs: summary.inputs.into_iter().map(port).collect(),
        outputs: summary.outputs.into_iter().map(port).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_graph_and_a_path_that_leads_out_are_told_apart_from_none() {
        let folder = tempfile::tempdir().unwrap();
        let graph = |name: &str, content: &[u8]| {
            fs_err::write(folder.path().join(name), content).unwrap();
            onnx(&folder.path().join(name))
        };
        assert_eq!(onnx(&folder.path().join("absent.onnx")), Ok(None));
        assert!(graph("page.onnx", b"<html></html>").unwrap_err().contains("not an ONNX model"));
        fs_err::File::create(folder.path().join("large.onnx")).unwrap().set_len(LARGEST_GRAPH + 1).unwrap();
        assert!(onnx(&folder.path().join("large.onnx")).unwrap_err().contains("up to 256 MiB"));
        for path in ["../secret", "/etc/passwd", "", "."] {
            assert_eq!(inside(folder.path(), path), None, "{path}");
        }
    }
}
