//! A model as a folder in MLflow's layout: `MLmodel`, `model.onnx`, an example and the packages that Python needs to load it.
//!
//! Equal models make equal folders, byte for byte: there is no time in them, and the id comes from the graph.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use millrace_contract::ModelSignature;
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::target::Task;

/// Version of the `onnx` package that is known to load our graphs; newer ones do as well.
const ONNX_VERSION: &str = "1.15.0";

const REQUIREMENTS: &str = "onnx>=1.15\nonnxruntime>=1.16\n";

/// What Millrace keeps in `MLmodel`, under `metadata.millrace`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelMetadata {
    /// What it predicts.
    pub task: Task,
    /// Name of the predicted column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Labels in the order of the probability columns; empty for regression.
    #[serde(default)]
    pub classes: Vec<String>,
    /// The trainer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trainer: Option<String>,
    /// Column to its share in what the model knows; the shares add up to 1.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub importance: IndexMap<String, f64>,
}

/// Everything that goes into a model folder.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    /// The graph.
    pub onnx: Vec<u8>,
    /// What it predicts, and how it came about.
    pub metadata: ModelMetadata,
    /// What it takes and gives.
    pub signature: ModelSignature,
    /// A row: column to value.
    pub example: Map<String, Value>,
}

impl ModelFolder {
    /// Writes the folder whole (beside, synced, renamed) in place of what is at `path`, and describes it.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, path: &Path) -> std::io::Result<Asset> {
        let parent = path.parent().unwrap_or(path);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = parent.join(format!(".{name}.new"));
        for old in [&beside, path] {
            if old.exists() {
                fs_err::remove_dir_all(old)?;
            }
        }
        fs_err::create_dir_all(&beside)?;
        let mut digest = blake3::Hasher::new();
        let mut size_bytes = 0;
        for (name, content) in self.files() {
            write_synced(&beside.join(name), &content)?;
            // The digest of a folder of files: sorted paths, each with its length, and contents.
            digest.update(&(name.len() as u64).to_le_bytes());
            digest.update(name.as_bytes());
            digest.update(blake3::hash(&content).as_bytes());
            size_bytes += content.len() as u64;
        }
        fs_err::rename(&beside, path)?;
        let uri = url::Url::from_directory_path(path).map(String::from);
        let uri = uri.map_err(|()| std::io::Error::other(format!("`{}` is not absolute", path.display())))?;
        Ok(Asset {
            kind: AssetType::Model,
            name: None,
            version: None,
            uri: uri.trim_end_matches('/').to_owned(),
            delta_version: None,
            digest: format!("blake3:{}", digest.finalize().to_hex()),
            rows: None,
            size_bytes: Some(size_bytes),
        })
    }

    /// Name and content, sorted by name.
    fn files(&self) -> [(&'static str, Vec<u8>); 4] {
        let row: Vec<&Value> = self.example.values().collect();
        let example = json!({"columns": self.example.keys().collect::<Vec<_>>(), "data": [row]});
        [
            ("MLmodel", self.mlmodel().into_bytes()),
            ("input_example.json", format!("{example:#}\n").into_bytes()),
            ("model.onnx", self.onnx.clone()),
            ("requirements.txt", REQUIREMENTS.as_bytes().to_vec()),
        ]
    }

    /// The file `MLmodel`. JSON is YAML, so values are written as JSON.
    fn mlmodel(&self) -> String {
        let columns = |columns: &[millrace_contract::ModelColumn]| {
            let column = |c: &millrace_contract::ModelColumn| json!({"type": c.data_type, "name": c.name, "required": c.required});
            Value::String(Value::Array(columns.iter().map(column).collect()).to_string())
        };
        let metadata = serde_json::to_value(&self.metadata).unwrap_or_default();
        let id: String = blake3::hash(&self.onnx).to_hex().chars().take(32).collect();
        let lines = [
            "flavors:".to_owned(),
            "  onnx:".to_owned(),
            "    code: null".to_owned(),
            "    data: model.onnx".to_owned(),
            format!("    onnx_version: {ONNX_VERSION}"),
            "  python_function:".to_owned(),
            "    data: model.onnx".to_owned(),
            "    env: {virtualenv: requirements.txt}".to_owned(),
            "    loader_module: mlflow.onnx".to_owned(),
            "metadata:".to_owned(),
            format!("  millrace: {metadata}"),
            format!("model_uuid: {}", Value::String(id)),
            "saved_input_example_info:".to_owned(),
            "  artifact_path: input_example.json".to_owned(),
            "  pandas_orient: split".to_owned(),
            "  type: dataframe".to_owned(),
            "signature:".to_owned(),
            format!("  inputs: {}", columns(&self.signature.inputs)),
            format!("  outputs: {}", columns(&self.signature.outputs)),
        ];
        lines.join("\n") + "\n"
    }
}

/// Reads what Millrace knows of the model in a folder; `None` if it was saved without Millrace.
///
/// # Errors
/// If `MLmodel` is missing or is not what it should be.
pub fn read_metadata(folder: &Path) -> Result<Option<ModelMetadata>, Problem> {
    let path = folder.join("MLmodel");
    let text = fs_err::read_to_string(&path)
        .map_err(|error| Problem::error("not-a-model", format!("the model cannot be read: {error}")))?;
    let tree = millrace_spec::yaml::parse("MLmodel", &text).map_err(|problem| *problem)?.to_json();
    let Some(own) = tree.pointer("/metadata/millrace") else { return Ok(None) };
    ModelMetadata::deserialize(own).map(Some).map_err(|error| {
        Problem::error(
            "not-a-model",
            format!("`metadata.millrace` in `{}` is wrong: {error}", path.display()),
        )
    })
}

/// The local folder of a model's address; `None` if it is elsewhere.
pub fn local_folder(uri: &str) -> Option<PathBuf> {
    url::Url::parse(uri).ok().filter(|url| url.scheme() == "file")?.to_file_path().ok()
}

/// Writes and syncs a file.
pub(crate) fn write_synced(path: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = fs_err::File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use millrace_contract::ModelColumn;

    use super::*;

    fn folder() -> ModelFolder {
        let column = |name: &str, data_type: &str, required| ModelColumn {
            name: name.into(),
            data_type: data_type.into(),
            required,
        };
        ModelFolder {
            onnx: b"graph".to_vec(),
            metadata: ModelMetadata {
                task: Task::Classification,
                target: Some("it's \"late\"".into()),
                classes: vec!["false".into(), "true".into()],
                trainer: Some("gradient_boosting".into()),
                importance: IndexMap::from([("x".to_owned(), 1.0)]),
            },
            signature: ModelSignature {
                inputs: vec![column("x", "double", false)],
                outputs: vec![column("prediction", "string", true)],
            },
            example: Map::from_iter([("x".to_owned(), json!(1.5))]),
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_is_the_same_each_time() {
        let root = tempfile::tempdir().unwrap();
        let first = folder().write(&root.path().join("a")).unwrap();
        let again = folder().write(&root.path().join("a")).unwrap();
        let other = folder().write(&root.path().join("b")).unwrap();
        assert_eq!((&first, &first.digest), (&again, &other.digest));
        let path = local_folder(&first.uri).unwrap();
        assert_eq!(read_metadata(&path).unwrap(), Some(folder().metadata));
        insta::assert_snapshot!(fs_err::read_to_string(path.join("MLmodel")).unwrap(), @r#"
flavors:
  onnx:
    code: null
    data: model.onnx
    onnx_version: 1.15.0
  python_function:
    data: model.onnx
    env: {virtualenv: requirements.txt}
    loader_module: mlflow.onnx
metadata:
  millrace: {"task":"classification","target":"it's \"late\"","classes":["false","true"],"trainer":"gradient_boosting","importance":{"x":1.0}}
model_uuid: "806c38f6211dddabf2c77f766a693e11"
saved_input_example_info:
  artifact_path: input_example.json
  pandas_orient: split
  type: dataframe
signature:
  inputs: "[{\"type\":\"double\",\"name\":\"x\",\"required\":false}]"
  outputs: "[{\"type\":\"string\",\"name\":\"prediction\",\"required\":true}]"
"#);
        insta::assert_snapshot!(fs_err::read_to_string(path.join("input_example.json")).unwrap(), @r#"
{
  "columns": [
    "x"
  ],
  "data": [
    [
      1.5
    ]
  ]
}
"#);
    }

    #[test]
    fn a_folder_without_a_model_is_none() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read_metadata(root.path()).unwrap_err().code, "not-a-model");
        fs_err::write(root.path().join("MLmodel"), "flavors: {}\n").unwrap();
        assert_eq!(read_metadata(root.path()).unwrap(), None);
    }
}
