//! Transforms that learn from the rows that come in: a mean, the edges of bins, the categories. What they learned is a plain value, so
//! that it can be kept and done again to other rows without learning anew.

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Fault, Input, bin, clip, encode, fill_missing, impute, normalize, select_features};

/// A transform that learns.
pub(crate) trait Fitted: Send + Sync {
    /// Queries over the input, each over all of its rows.
    fn asks(&self, input: &Input<'_>) -> Result<Vec<String>, Fault>;

    /// What their answers mean. Answers come in the order of the queries.
    fn learn(&self, input: &Input<'_>, answers: &[Vec<RecordBatch>]) -> Result<Learned, Fault>;
}

/// What a node learned, as it stands in the document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "transform", rename_all = "snake_case")]
pub(crate) enum Learned {
    FillMissing(fill_missing::Fillings),
    Impute(impute::Imputation),
    Normalize(normalize::Scales),
    Bin(bin::Edges),
    Encode(encode::Categories),
    Clip(clip::Bounds),
    SelectFeatures(select_features::Chosen),
}

impl Learned {
    /// The SELECT that does it to a table.
    pub(crate) fn sql(&self, input: &Input<'_>) -> Result<String, Fault> {
        match self {
            Self::FillMissing(learned) => learned.sql(input),
            Self::Impute(learned) => learned.sql(input),
            Self::Normalize(learned) => learned.sql(input),
            Self::Bin(learned) => learned.sql(input),
            Self::Encode(learned) => learned.sql(input),
            Self::Clip(learned) => learned.sql(input),
            Self::SelectFeatures(learned) => learned.sql(input),
        }
    }
}

/// The answer to the query at that place, as JSON rows.
pub(super) fn rows(answers: &[Vec<RecordBatch>], place: usize) -> Vec<Map<String, Value>> {
    let batches = answers.get(place).map(Vec::as_slice).unwrap_or_default();
    crate::rows::to_json(batches)
        .into_iter()
        .filter_map(|row| match row {
            Value::Object(fields) => Some(fields),
            _ => None,
        })
        .collect()
}

/// The only row of an answer.
pub(super) fn row(answers: &[Vec<RecordBatch>], place: usize) -> Map<String, Value> {
    rows(answers, place).into_iter().next().unwrap_or_default()
}

/// A finite number out of an answer.
pub(super) fn number(row: &Map<String, Value>, column: &str) -> Option<f64> {
    match row.get(column)? {
        Value::Number(number) => number.as_f64(),
        // Decimals come as text, so that no digit is lost.
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

/// A number as SQL reads it back exactly.
pub(super) fn real(number: f64) -> String {
    if number.is_finite() { format!("({number:?})") } else { format!("cast('{number}' as double)") }
}
