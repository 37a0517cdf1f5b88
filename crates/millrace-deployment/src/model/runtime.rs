//! Loads ONNX models and scores with them, in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use millrace_contract::{LoadedModel, ModelError, ModelRuntime, ModelSignature};
use millrace_onnx::{OnnxError, Session};
use millrace_storage::LocalCopies;

use super::folder::{ModelFolder, Notes};
use super::graph;
use super::inputs::InputPlan;
use super::outputs::{OutputPlan, PredictionType, truth};

/// Loads model folders in MLflow's layout with the flavor `onnx`.
#[derive(Debug, Clone)]
pub struct OnnxRuntime {
    copies: LocalCopies,
    max_bytes: u64,
}

impl OnnxRuntime {
    /// Graphs may have this many bytes, if nothing else is said.
    pub const MAX_BYTES: u64 = 512 << 20;

    /// Loads folders of this machine, and those elsewhere that `copies` reaches. Refuses graphs larger than `max_bytes`.
    pub fn new(copies: LocalCopies, max_bytes: u64) -> Self {
        Self { copies, max_bytes }
    }
}

#[async_trait]
impl ModelRuntime for OnnxRuntime {
    async fn load(&self, uri: &str) -> Result<Arc<dyn LoadedModel>, ModelError> {
        let (uri, max_bytes) = (uri.to_owned(), self.max_bytes);
        let failed = |message: String| ModelError::Load { uri: uri.clone(), message };
        let folder = self.copies.path(&uri).await.map_err(|error| failed(error.to_string()))?;
        let lost = failed("loading it crashed".to_owned());
        let loaded = tokio::task::spawn_blocking(move || OnnxModel::load(folder, &uri, max_bytes)).await;
        Ok(Arc::new(loaded.map_err(|_| lost)??))
    }
}

/// A model in memory.
#[derive(Debug)]
struct OnnxModel {
    folder: PathBuf,
    session: Session,
    signature: ModelSignature,
    inputs: InputPlan,
    outputs: OutputPlan,
}

impl OnnxModel {
    fn load(path: PathBuf, uri: &str, max_bytes: u64) -> Result<Self, ModelError> {
        let failed = |message: String| ModelError::Load { uri: uri.to_owned(), message };
        let folder = ModelFolder::read(&path, uri)?;
        let bytes = folder.read_graph(max_bytes).map_err(failed)?;
        let session = Session::load(&bytes).map_err(|error| failed(error.to_string()))?;
        let signature = match &folder.signature {
            Some(signature) => signature.clone(),
            None => graph::signature(&session).map_err(failed)?,
        };
        if let Some(column) = signature.inputs.iter().find(|column| !is_known_type(&column.data_type)) {
            return Err(failed(format!(
                "its column `{}` is `{}`, which has no place in ONNX",
                column.name, column.data_type
            )));
        }
        let inputs = InputPlan::new(&session, &signature).map_err(failed)?;
        let outputs = plan_outputs(&session, &folder.notes, &signature).map_err(failed)?;
        let signature = ModelSignature { inputs: signature.inputs, outputs: outputs.columns() };
        Ok(Self { folder: path, session, signature, inputs, outputs })
    }
}

impl LoadedModel for OnnxModel {
    fn folder(&self) -> &Path {
        &self.folder
    }

    fn signature(&self) -> &ModelSignature {
        &self.signature
    }

    fn task(&self) -> &str {
        if self.outputs.labels().is_empty() { "regression" } else { "classification" }
    }

    fn classes(&self) -> &[String] {
        self.outputs.labels()
    }

    fn score(&self, rows: &RecordBatch) -> Result<RecordBatch, ModelError> {
        let inputs = self.inputs.tensors(&self.signature, rows)?;
        let outputs = self.session.run(&inputs).map_err(|error| match error {
            OnnxError::Input { message } => ModelError::Input { message },
            other => ModelError::Run { message: other.to_string() },
        })?;
        self.outputs.batch(&outputs, rows.num_rows())
    }
}

fn is_known_type(word: &str) -> bool {
    matches!(word, "boolean" | "integer" | "long" | "float" | "double" | "string")
}

fn plan_outputs(session: &Session, notes: &Notes, signature: &ModelSignature) -> Result<OutputPlan, String> {
    let classifier = match notes.task.as_deref() {
        Some("classification") => true,
        Some("regression") => false,
        Some(other) => return Err(format!("its task is `{other}`, not `classification` or `regression`")),
        None => !notes.classes.is_empty() || graph::is_classifier(session),
    };
    if !classifier {
        let answers = graph::regression_answers(session);
        return Ok(OutputPlan::new(answers, Vec::new(), Vec::new(), PredictionType::Double));
    }
    let answers = graph::classifier_answers(session);
    let mut graph_labels = session.class_labels().to_vec();
    let mut labels = notes.labels();
    if graph_labels.is_empty() {
        let count = graph::count_classes(session, answers, signature.inputs.len()).unwrap_or(labels.len());
        graph_labels = (0..count).map(|label| label.to_string()).collect();
        if answers.scores.is_none() {
            graph_labels.clone_from(&labels);
        }
    }
    if labels.is_empty() {
        labels.clone_from(&graph_labels);
    }
    if labels.is_empty() {
        return Err(
            "its classes are unknown: add `metadata: {millrace: {classes: […]}}` to its `MLmodel`".to_owned()
        );
    }
    if labels.len() != graph_labels.len() {
        return Err(format!(
            "its `MLmodel` names {} classes and its graph {}",
            labels.len(),
            graph_labels.len()
        ));
    }
    // A graph with text labels says them itself, in whichever order; only numbers stand for something else.
    let all_known = labels.iter().all(|label| graph_labels.contains(label));
    let labels = if all_known { graph_labels.clone() } else { labels };
    let prediction = prediction_type(&labels, signature);
    Ok(OutputPlan::new(answers, labels, graph_labels, prediction))
}

/// The type that the signature gives the column `prediction`, if all labels are of it; else the labels'.
fn prediction_type(labels: &[String], signature: &ModelSignature) -> PredictionType {
    let whole = labels.iter().all(|label| label.parse::<i64>().is_ok());
    let truths = labels.iter().all(|label| truth(label).is_some());
    let column = signature.outputs.iter().find(|column| column.name == "prediction");
    match column.or_else(|| signature.outputs.first().filter(|_| signature.outputs.len() == 1)) {
        Some(column) => match column.data_type.as_str() {
            "boolean" if truths => PredictionType::Boolean,
            "integer" | "long" if whole => PredictionType::Long,
            "float" | "double" if whole => PredictionType::Double,
            _ => PredictionType::Text,
        },
        None if whole => PredictionType::Long,
        None => PredictionType::Text,
    }
}
