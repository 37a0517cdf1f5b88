//! A graph's answers as the columns `prediction` and `probability_<class>`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use millrace_contract::{ModelColumn, ModelError};
use millrace_onnx::{Tensor, TensorData};

use super::graph::Answers;

/// How answers become columns.
#[derive(Debug)]
pub(crate) struct OutputPlan {
    answers: Answers,
    /// Labels as the graph has them; those of `labels` stand in the same order.
    graph_labels: Vec<String>,
    /// Labels as users know them; empty for a regression.
    labels: Vec<String>,
    prediction: PredictionType,
    schema: SchemaRef,
}

/// The type of the column `prediction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PredictionType {
    /// A number that is measured.
    Double,
    /// A label that is a whole number.
    Long,
    /// A label that is a truth value.
    Boolean,
    /// A label that is text.
    Text,
}

impl PredictionType {
    fn arrow(self) -> DataType {
        match self {
            Self::Double => DataType::Float64,
            Self::Long => DataType::Int64,
            Self::Boolean => DataType::Boolean,
            Self::Text => DataType::Utf8,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Double => "double",
            Self::Long => "long",
            Self::Boolean => "boolean",
            Self::Text => "string",
        }
    }
}

impl OutputPlan {
    /// `labels` empty: a regression. `graph_labels`: the same as the graph has them, empty if it does not tell.
    pub(crate) fn new(
        answers: Answers,
        labels: Vec<String>,
        graph_labels: Vec<String>,
        prediction: PredictionType,
    ) -> Self {
        let mut fields = vec![Field::new("prediction", prediction.arrow(), true)];
        if answers.scores.is_some() {
            fields.extend(
                labels.iter().map(|label| Field::new(probability_column(label), DataType::Float64, true)),
            );
        }
        Self { answers, graph_labels, labels, prediction, schema: Arc::new(Schema::new(fields)) }
    }

    /// The labels.
    pub(crate) fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The columns that are given.
    pub(crate) fn columns(&self) -> Vec<ModelColumn> {
        let column = |field: &Arc<Field>| ModelColumn {
            name: field.name().clone(),
            data_type: if field.name() == "prediction" { self.prediction.word() } else { "double" }
                .to_owned(),
            required: true,
        };
        self.schema.fields().iter().map(column).collect()
    }

    /// The columns of the graph's outputs.
    ///
    /// # Errors
    /// [`ModelError::Run`] if the outputs do not have the shapes that the plan was made for.
    pub(crate) fn batch(&self, outputs: &[(String, Tensor)], rows: usize) -> Result<RecordBatch, ModelError> {
        let broken = |message: String| ModelError::Run { message };
        let tensor = |at: Option<usize>| at.and_then(|at| outputs.get(at)).map(|(_, tensor)| tensor);
        let scores = match tensor(self.answers.scores) {
            Some(scores) => Some(self.scores(scores, rows).map_err(broken)?),
            None => None,
        };
        let prediction = if self.labels.is_empty() {
            let data = tensor(self.answers.prediction).map(Tensor::data);
            data.and_then(numbers).ok_or_else(|| broken("it gives no numbers".to_owned()))?
        } else {
            let labels = self.predicted(tensor(self.answers.prediction), scores.as_deref(), rows);
            self.label_column(&labels.ok_or_else(|| broken("it gives neither labels nor scores".to_owned()))?)
        };
        let mut columns = vec![prediction];
        columns.extend(
            scores.into_iter().flatten().map(|score| Arc::new(Float64Array::from(score)) as ArrayRef),
        );
        RecordBatch::try_new(self.schema.clone(), columns).map_err(|error| broken(error.to_string()))
    }

    /// Scores, one list a class.
    fn scores(&self, tensor: &Tensor, rows: usize) -> Result<Vec<Vec<f64>>, String> {
        let cells = match tensor.data() {
            TensorData::Double(values) => values.clone(),
            _ => tensor.to_f32().map_err(|error| error.to_string())?.iter().map(|v| f64::from(*v)).collect(),
        };
        let classes = self.labels.len();
        if classes == 2 && cells.len() == rows {
            return Ok(vec![cells.iter().map(|score| 1.0 - score).collect(), cells]);
        }
        if cells.len() != rows * classes {
            return Err(format!("it gives {} scores for {rows} rows and {classes} classes", cells.len()));
        }
        let column = |class: usize| cells.iter().skip(class).step_by(classes).copied().collect();
        Ok((0..classes).map(column).collect())
    }

    /// The number of the predicted class in each row: by label, or the class with the best score.
    fn predicted(
        &self,
        labels: Option<&Tensor>,
        scores: Option<&[Vec<f64>]>,
        rows: usize,
    ) -> Option<Vec<usize>> {
        let known = |text: &str| self.graph_labels.iter().position(|label| label == text);
        let found: Option<Vec<usize>> = match labels.map(Tensor::data) {
            Some(TensorData::Int64(values)) => values.iter().map(|v| known(&v.to_string())).collect(),
            Some(TensorData::String(values)) => values.iter().map(|v| known(v)).collect(),
            Some(TensorData::Bool(values)) => values
                .iter()
                .map(|v| known(&v.to_string()).or_else(|| known(if *v { "True" } else { "False" })))
                .collect(),
            _ => None,
        };
        let best = |row: usize| {
            let score = |class: usize| scores.and_then(|scores| scores.get(class)?.get(row).copied());
            let order = |a: &usize, b: &usize| {
                // The first of equals wins, as with NumPy's argmax.
                score(*a).partial_cmp(&score(*b)).unwrap_or(std::cmp::Ordering::Equal).then(b.cmp(a))
            };
            (0..self.labels.len()).max_by(order)
        };
        found.filter(|found| found.len() == rows).or_else(|| {
            scores?;
            (0..rows).map(best).collect()
        })
    }

    fn label_column(&self, classes: &[usize]) -> ArrayRef {
        let label = |class: &usize| self.labels.get(*class).map(String::as_str);
        match self.prediction {
            PredictionType::Long => Arc::new(
                classes.iter().map(|c| label(c).and_then(|l| l.parse::<i64>().ok())).collect::<Int64Array>(),
            ),
            PredictionType::Boolean => {
                Arc::new(classes.iter().map(|c| label(c).and_then(truth)).collect::<BooleanArray>())
            }
            PredictionType::Double => Arc::new(
                classes
                    .iter()
                    .map(|c| label(c).and_then(|l| l.parse::<f64>().ok()))
                    .collect::<Float64Array>(),
            ),
            PredictionType::Text => Arc::new(classes.iter().map(label).collect::<StringArray>()),
        }
    }
}

/// Name of the column with a class's probability.
pub(crate) fn probability_column(label: &str) -> String {
    format!("probability_{label}")
}

/// A label as a truth value.
pub(crate) fn truth(label: &str) -> Option<bool> {
    match label {
        "true" | "True" | "1" => Some(true),
        "false" | "False" | "0" => Some(false),
        _ => None,
    }
}

fn numbers(data: &TensorData) -> Option<ArrayRef> {
    Some(match data {
        TensorData::Float(values) => {
            Arc::new(values.iter().map(|v| Some(f64::from(*v))).collect::<Float64Array>())
        }
        TensorData::Double(values) => Arc::new(Float64Array::from(values.clone())),
        TensorData::Int64(values) => {
            Arc::new(values.iter().map(|v| Some(*v as f64)).collect::<Float64Array>())
        }
        TensorData::Bool(_) | TensorData::String(_) => return None,
    })
}
