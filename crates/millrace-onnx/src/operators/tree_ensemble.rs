use super::linear::PostTransform;
use super::{Operator, required};
use crate::attributes::Attributes;
use crate::error::OnnxError;
use crate::tensor::{Tensor, TensorData, element_count};
use crate::trees::{Aggregate, Trees};

/// Most outputs that an ensemble may have; more is taken for a damaged file.
const MAX_OUTPUTS: usize = 1 << 16;

/// Trees that score classes.
#[derive(Debug)]
pub(crate) struct TreeEnsembleClassifier {
    trees: Trees,
    labels: TensorData,
    base: Vec<f32>,
    transform: PostTransform,
    /// Of two classes only one is scored.
    single: bool,
    /// No weight is negative: scores are probabilities, and the other class has the rest.
    positive: bool,
}

impl TreeEnsembleClassifier {
    pub(crate) fn new(attributes: Attributes<'_>) -> Result<Self, OnnxError> {
        let mut trees = Trees::new(attributes, "class")?;
        let labels = attributes.labels("classlabels_strings", "classlabels_int64s")?;
        let weights = trees.weights();
        if weights.iter().any(|(output, _)| *output as usize >= labels.len()) {
            return Err(OnnxError::run("a weight is for a class without a label"));
        }
        let first = weights.first().map_or(0, |(output, _)| *output);
        let single = labels.len() == 2 && weights.iter().all(|(output, _)| *output == first);
        let positive = weights.iter().all(|(_, weight)| *weight >= 0.0);
        if single {
            trees.redirect(0);
        }
        let base = attributes.floats("base_values")?;
        if !base.is_empty() && base.len() != labels.len() && !(single && base.len() == 1) {
            return Err(OnnxError::run(format!(
                "has {} base values for {} classes",
                base.len(),
                labels.len()
            )));
        }
        let base = match (single, base.as_slice()) {
            (true, base) => vec![base.last().copied().unwrap_or(0.0)],
            (false, []) => vec![0.0; labels.len()],
            (false, base) => base.to_vec(),
        };
        Ok(Self { trees, labels, base, transform: PostTransform::new(attributes)?, single, positive })
    }
}

impl Operator for TreeEnsembleClassifier {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        let (rows, columns) = input.rows_and_columns();
        let outputs = self.base.len();
        let mut scores = bases(&self.base, rows)?;
        self.trees.score(&input.to_f32()?, columns, &mut scores, outputs, Aggregate::Sum)?;
        let limit = if self.positive && self.transform == PostTransform::None { 0.5 } else { 0.0 };
        let mut places = Vec::with_capacity(rows);
        if self.single {
            places.extend(scores.iter().map(|score| usize::from(*score > limit)));
            scores = scores.into_iter().flat_map(|score| self.transform.pair(score, self.positive)).collect();
        } else {
            for row in scores.chunks_exact_mut(outputs.max(1)) {
                places.push(super::linear::largest(row));
                self.transform.apply(row);
            }
        }
        let labels = super::linear::label_tensor(&self.labels, &places);
        Ok(vec![labels, Tensor::new(vec![rows, self.labels.len()], scores)?])
    }
}

/// Trees that estimate numbers.
#[derive(Debug)]
pub(crate) struct TreeEnsembleRegressor {
    trees: Trees,
    base: Vec<f32>,
    transform: PostTransform,
    aggregate: Aggregate,
    divisor: f32,
}

impl TreeEnsembleRegressor {
    pub(crate) fn new(attributes: Attributes<'_>) -> Result<Self, OnnxError> {
        let trees = Trees::new(attributes, "target")?;
        let outputs = attributes.int("n_targets").unwrap_or(1);
        let outputs = usize::try_from(outputs).ok().filter(|outputs| (1..=MAX_OUTPUTS).contains(outputs));
        let outputs = outputs.ok_or_else(|| OnnxError::run("has no sane number of targets"))?;
        if trees.weights().iter().any(|(output, _)| *output as usize >= outputs) {
            return Err(OnnxError::run("a weight is for a target that is not there"));
        }
        let base = match attributes.floats("base_values")?.as_slice() {
            [] => vec![0.0; outputs],
            base if base.len() == outputs => base.to_vec(),
            base => {
                return Err(OnnxError::run(format!("has {} base values for {outputs} targets", base.len())));
            }
        };
        let (aggregate, divisor) = match attributes.string("aggregate_function")?.as_deref() {
            None | Some("SUM") => (Aggregate::Sum, 1.0),
            Some("AVERAGE") => (Aggregate::Sum, trees.len() as f32),
            Some("MIN") => (Aggregate::Min, 1.0),
            Some("MAX") => (Aggregate::Max, 1.0),
            Some(other) => return Err(OnnxError::unsupported(format!("TreeEnsembleRegressor with {other}"))),
        };
        Ok(Self { trees, base, transform: PostTransform::new(attributes)?, aggregate, divisor })
    }
}

impl Operator for TreeEnsembleRegressor {
    fn run(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OnnxError> {
        let input = required(inputs, 0)?;
        let (rows, columns) = input.rows_and_columns();
        let outputs = self.base.len();
        // The base counts once: first where trees are summed, last where they are averaged or the extreme one is taken.
        let plain = self.aggregate == Aggregate::Sum && self.divisor == 1.0;
        let start = match self.aggregate {
            Aggregate::Sum => 0.0,
            Aggregate::Min => f32::INFINITY,
            Aggregate::Max => f32::NEG_INFINITY,
        };
        let mut scores = if plain { bases(&self.base, rows)? } else { bases(&vec![start; outputs], rows)? };
        self.trees.score(&input.to_f32()?, columns, &mut scores, outputs, self.aggregate)?;
        for row in scores.chunks_exact_mut(outputs) {
            if !plain {
                row.iter_mut()
                    .zip(&self.base)
                    .for_each(|(score, base)| *score = *score / self.divisor + base);
            }
            self.transform.apply(row);
        }
        Ok(vec![Tensor::new(vec![rows, outputs], scores)?])
    }
}

fn bases(base: &[f32], rows: usize) -> Result<Vec<f32>, OnnxError> {
    element_count(&[rows, base.len()]).ok_or_else(|| OnnxError::run("the result is too large"))?;
    Ok(base.repeat(rows))
}
