//! The operators. A new one: a struct in the file of its family, and a line in [`prepare`].

mod columns;
mod elementwise;
mod labels;
mod linear;
mod matrix;
mod shape;
mod tree_ensemble;

use crate::attributes::Attributes;
use crate::builder::ML_DOMAIN;
use crate::error::OnnxError;
use crate::tensor::Tensor;

/// Computes a node's outputs. Everything that depends on attributes alone has been checked and prepared.
pub(crate) trait Operator: Send + Sync + std::fmt::Debug {
    /// Inputs as in the node, `None` where one is left out.
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError>;
}

/// The operator for a node; errors of the kind [`OnnxError::Run`] say what is wrong with its attributes.
pub(crate) fn prepare(
    domain: &str,
    operator: &str,
    attributes: Attributes<'_>,
    opset: i64,
) -> Result<Box<dyn Operator>, OnnxError> {
    Ok(match (domain, operator) {
        (ML_DOMAIN, "ArrayFeatureExtractor") => Box::new(columns::ArrayFeatureExtractor),
        (ML_DOMAIN, "FeatureVectorizer") => Box::new(columns::FeatureVectorizer::new(attributes)?),
        (ML_DOMAIN, "Imputer") => Box::new(columns::Imputer::new(attributes)?),
        (ML_DOMAIN, "LabelEncoder") => Box::new(labels::LabelEncoder::new(attributes)?),
        (ML_DOMAIN, "LinearClassifier") => Box::new(linear::LinearClassifier::new(attributes)?),
        (ML_DOMAIN, "LinearRegressor") => Box::new(linear::LinearRegressor::new(attributes)?),
        (ML_DOMAIN, "Normalizer") => Box::new(columns::Normalizer::new(attributes)?),
        (ML_DOMAIN, "OneHotEncoder") => Box::new(labels::OneHotEncoder::new(attributes)?),
        (ML_DOMAIN, "Scaler") => Box::new(columns::Scaler::new(attributes)?),
        (ML_DOMAIN, "TreeEnsembleClassifier") => {
            Box::new(tree_ensemble::TreeEnsembleClassifier::new(attributes)?)
        }
        (ML_DOMAIN, "TreeEnsembleRegressor") => {
            Box::new(tree_ensemble::TreeEnsembleRegressor::new(attributes)?)
        }
        (ML_DOMAIN, "ZipMap") | ("", "Identity") => Box::new(shape::Identity),
        ("", "Abs" | "Exp" | "Log" | "Neg" | "Relu" | "Sigmoid" | "Sqrt" | "Tanh") => {
            Box::new(elementwise::Unary::new(operator)?)
        }
        ("", "Add" | "Sub" | "Mul" | "Div") => Box::new(elementwise::Arithmetic::new(operator)?),
        ("", "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual") => {
            Box::new(elementwise::Comparison::new(operator)?)
        }
        ("", "ArgMax") => Box::new(matrix::ArgMax::new(attributes)),
        ("", "Cast") => Box::new(shape::Cast::new(attributes)?),
        ("", "Clip") => Box::new(elementwise::Clip::new(attributes)),
        ("", "Concat") => Box::new(shape::Concat::new(attributes)),
        ("", "Flatten") => Box::new(shape::Flatten::new(attributes)),
        ("", "Gather") => Box::new(shape::Gather::new(attributes)),
        ("", "Gemm") => Box::new(matrix::Gemm::new(attributes)),
        ("", "IsNaN") => Box::new(elementwise::IsNan),
        ("", "MatMul") => Box::new(matrix::MatMul),
        ("", "Not") => Box::new(elementwise::Not),
        ("", "ReduceSum") => Box::new(matrix::ReduceSum::new(attributes)),
        ("", "Reshape") => Box::new(shape::Reshape::new(attributes)),
        ("", "Softmax") => Box::new(matrix::Softmax::new(attributes, opset)),
        ("", "Where") => Box::new(elementwise::Where),
        _ => {
            let domain = if domain.is_empty() { String::new() } else { format!("{domain}::") };
            return Err(OnnxError::Unsupported { domain, operator: operator.to_owned() });
        }
    })
}

/// The input at `index`, which must be there.
pub(crate) fn required<'a>(inputs: &[Option<&'a Tensor>], index: usize) -> Result<&'a Tensor, OnnxError> {
    inputs
        .get(index)
        .copied()
        .flatten()
        .ok_or_else(|| OnnxError::run(format!("needs an input {}", index + 1)))
}

/// A dimension's number, counted from the end if negative; `rank` itself is allowed.
pub(crate) fn axis(value: i64, rank: usize) -> Result<usize, OnnxError> {
    let rank_signed = rank as i64;
    let counted = if value < 0 { value.saturating_add(rank_signed) } else { value };
    usize::try_from(counted)
        .ok()
        .filter(|axis| *axis <= rank)
        .ok_or_else(|| OnnxError::run(format!("has no axis {value} in {rank} dimensions")))
}
