//! What a graph says about itself when nobody else does: its columns, its task, its outputs.

use millrace_contract::{ModelColumn, ModelSignature};
use millrace_onnx::{ElementType, Session, Tensor, TensorData, ValueDoc};

/// Classes beyond which a graph is not taken for a classifier.
const MAX_CLASSES: usize = 10_000;

/// Where a graph's answers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answers {
    /// Number of the output with labels, or with the predicted numbers.
    pub(crate) prediction: Option<usize>,
    /// Number of the output with a score a class.
    pub(crate) scores: Option<usize>,
}

/// Whether the graph is a classifier, by its labels and the names of its outputs.
pub(crate) fn is_classifier(session: &Session) -> bool {
    let named = |doc: &ValueDoc| is_label(doc) || is_scores(doc);
    !session.class_labels().is_empty() || session.outputs().any(named)
}

/// Where a classifier's labels and scores are.
pub(crate) fn classifier_answers(session: &Session) -> Answers {
    let outputs: Vec<&ValueDoc> = session.outputs().collect();
    let scores = outputs.iter().position(|doc| is_scores(doc)).or_else(|| {
        let number = |doc: &&ValueDoc| {
            !is_label(doc) && !matches!(doc.element, Some(ElementType::Int64 | ElementType::String))
        };
        outputs.iter().position(number)
    });
    let prediction = outputs.iter().position(|doc| is_label(doc)).or_else(|| {
        let label = |doc: &&ValueDoc| {
            matches!(doc.element, Some(ElementType::Int64 | ElementType::String | ElementType::Bool))
        };
        outputs.iter().position(label)
    });
    Answers { prediction, scores: scores.filter(|at| Some(*at) != prediction) }
}

/// Where a regression's numbers are: `variable`, or the first output.
pub(crate) fn regression_answers(session: &Session) -> Answers {
    let at = session.outputs().position(|doc| doc.name == "variable").unwrap_or(0);
    Answers { prediction: Some(at), scores: None }
}

fn is_label(doc: &ValueDoc) -> bool {
    matches!(doc.name.as_str(), "label" | "output_label" | "labels" | "class")
}

fn is_scores(doc: &ValueDoc) -> bool {
    doc.name.contains("prob")
}

/// The columns of a graph without a signature: its inputs of one column, or `<input>_0`, `<input>_1`, … for a matrix.
pub(crate) fn signature(session: &Session) -> Result<ModelSignature, String> {
    let mut inputs = Vec::new();
    for doc in session.inputs() {
        let word = type_word(doc)?;
        let column = |name: String| ModelColumn { name, data_type: word.to_owned(), required: true };
        match width(doc) {
            Some(1) => inputs.push(column(doc.name.clone())),
            Some(width) => inputs.extend((0..width).map(|at| column(format!("{}_{at}", doc.name)))),
            None => {
                return Err(format!(
                    "the width of its input `{}` is unknown: save the model with a signature",
                    doc.name
                ));
            }
        }
    }
    Ok(ModelSignature { inputs, outputs: Vec::new() })
}

/// Columns of an input: 1 for a vector, `None` if the file does not tell.
pub(crate) fn width(doc: &ValueDoc) -> Option<usize> {
    match doc.shape.as_slice() {
        [_] => Some(1),
        [_, rest @ ..] if !rest.is_empty() => rest.iter().copied().product::<Option<usize>>(),
        _ => None,
    }
}

fn type_word(doc: &ValueDoc) -> Result<&'static str, String> {
    Ok(match doc.element {
        Some(ElementType::Float) => "float",
        Some(ElementType::Double) => "double",
        Some(ElementType::Int64) => "long",
        Some(ElementType::Bool) => "boolean",
        Some(ElementType::String) => "string",
        None => return Err(format!("its input `{}` is not a tensor", doc.name)),
    })
}

/// How many classes a graph that does not name them scores, found by asking it about a row of zeros.
pub(crate) fn count_classes(session: &Session, answers: Answers, columns: usize) -> Option<usize> {
    let inputs: Option<Vec<(String, Tensor)>> = session
        .inputs()
        .map(|doc| {
            let width = width(doc).unwrap_or(columns);
            let data = match doc.element? {
                ElementType::Float => TensorData::Float(vec![0.0; width]),
                ElementType::Double => TensorData::Double(vec![0.0; width]),
                ElementType::Int64 => TensorData::Int64(vec![0; width]),
                ElementType::Bool => TensorData::Bool(vec![false; width]),
                ElementType::String => TensorData::String(vec![String::new(); width]),
            };
            let shape = if doc.shape.len() == 1 { vec![1] } else { vec![1, width] };
            Some((doc.name.clone(), Tensor::new(shape, data).ok()?))
        })
        .collect();
    let outputs = session.run(&inputs?).ok()?;
    let (_, scores) = outputs.get(answers.scores?)?;
    Some(scores.rows_and_columns().1).filter(|classes| (1..=MAX_CLASSES).contains(classes))
}
