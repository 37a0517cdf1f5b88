//! The shapes in which rows come and predictions go. Each reads one body and writes one.

use arrow::record_batch::RecordBatch;
use millrace_contract::ModelSignature;
use millrace_spec::problem::Problem;
use serde_json::{Map, Value};

use crate::rows::{MISSING_COLUMN, bad_input, cell};

mod invocations;
mod open_inference;
mod rows;

pub(crate) use open_inference::metadata;

/// In which shape rows come and predictions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Millrace's own: `{"rows": […]}`, one row as an object, or Azure ML's `{"input_data": …}`.
    Rows,
    /// MLflow's scoring server: `dataframe_split`, `dataframe_records`, `instances`, `inputs`.
    Invocations,
    /// Open Inference Protocol v2, `infer`.
    OpenInference,
}

/// A body that was read.
#[derive(Debug)]
pub(crate) struct Request {
    /// The rows, in the signature's columns.
    pub(crate) rows: RecordBatch,
    /// `id` of the body, to come back.
    pub(crate) id: Option<String>,
    /// The outputs that are wanted; all if `None`.
    outputs: Option<Vec<String>>,
}

impl Request {
    fn of_rows(rows: RecordBatch) -> Self {
        Self { rows, id: None, outputs: None }
    }
}

/// Predictions and who made them.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) predictions: &'a RecordBatch,
    pub(crate) classes: &'a [String],
    pub(crate) endpoint: &'a str,
    pub(crate) deployment: &'a str,
    pub(crate) model: &'a str,
    pub(crate) version: u64,
    /// Id of the request; prediction `n` of it is `<id>-<n>`.
    pub(crate) id: &'a str,
}

impl Dialect {
    /// Reads a body.
    ///
    /// # Errors
    /// [`crate::rows::MISSING_COLUMN`] or [`crate::rows::BAD_INPUT`]; the messages never contain data.
    pub(crate) fn read(self, body: &[u8], signature: &ModelSignature) -> Result<Request, Problem> {
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            bad_input(format!("the body is not JSON, at {place}"))
        })?;
        match self {
            Self::Rows => rows::read(value, signature),
            Self::Invocations => invocations::read(value, signature),
            Self::OpenInference => open_inference::read(value, signature),
        }
    }

    /// Writes a body.
    pub(crate) fn write(self, request: &Request, answer: &Answer<'_>) -> Vec<u8> {
        let value = match self {
            Self::Rows => rows::write(answer),
            Self::Invocations => invocations::write(answer),
            Self::OpenInference => open_inference::write(request, answer),
        };
        serde_json::to_vec(&value).unwrap_or_default()
    }
}

/// MLflow's `error_code` for a problem of scoring, for bodies like `{"error_code": …, "message": …}`.
pub fn mlflow_error_code(problem: &Problem) -> &'static str {
    match problem.code.as_str() {
        MISSING_COLUMN => "INVALID_PARAMETER_VALUE",
        "unknown-endpoint" | "unknown-deployment" => "RESOURCE_DOES_NOT_EXIST",
        "endpoint-not-ready" | "endpoint-overloaded" => "TEMPORARILY_UNAVAILABLE",
        "model-failed" => "INTERNAL_ERROR",
        _ => "BAD_REQUEST",
    }
}

impl Answer<'_> {
    /// The predicted value of a row.
    pub(crate) fn prediction(&self, row: usize) -> Value {
        self.predictions.columns().first().map_or(Value::Null, |column| cell(column, row))
    }

    /// Class to probability; `None` for a regression.
    pub(crate) fn probabilities(&self, row: usize) -> Option<Map<String, Value>> {
        let scores = self.predictions.columns().get(1..).filter(|scores| !scores.is_empty())?;
        Some(
            self.classes
                .iter()
                .zip(scores)
                .map(|(class, column)| (class.clone(), cell(column, row)))
                .collect(),
        )
    }

    /// The id of a row's prediction.
    pub(crate) fn prediction_id(&self, row: usize) -> String {
        format!("{}-{row}", self.id)
    }

    fn rows(&self) -> std::ops::Range<usize> {
        0..self.predictions.num_rows()
    }
}
