use std::num::NonZeroUsize;

use hessboost::config::GrowPolicy;
use hessboost::objective::Multiclass;
use hessboost::prelude::{
    BoostedModel, DMatrix, EvalMetric, HessboostError, ImportanceType, Iterations, Objective, RegLoss,
    TrainingParams, TreeMethod,
};
use millrace_onnx::{AttributeValue, GraphBuilder, ML_DOMAIN};
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Examples, Fit, Lesson, Predictor, Round, Trainer, TrainerSpec, Watch};
use crate::features::{Encoding, Matrix};
use crate::target::Task;

/// Gradient-boosted decision trees: the first choice for tables. Tells two or more classes apart, or estimates a number.
///
/// Missing values need no care: every split learns which way they go. Numbers need no scaling. More `trees` with a lower
/// `learning_rate` are slower and often better; with `validation` and `early_stopping` the number of trees finds itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GradientBoosting {
    /// Trees for each output, at most.
    #[schemars(range(min = 1, max = 100_000))]
    trees: u64,
    /// How much each tree counts, above 0 up to 1.
    #[schemars(range(min = 0.0001, max = 1.0))]
    learning_rate: f64,
    /// Longest way from a tree's root to a leaf; 6 if neither this nor `max_leaves` is given.
    #[schemars(range(min = 1, max = 64))]
    max_depth: Option<u64>,
    /// Most leaves of a tree; trees then grow where the loss falls most.
    #[schemars(range(min = 2, max = 65_536))]
    max_leaves: Option<u64>,
    /// Least sum of second derivatives in a leaf: higher values learn more cautiously.
    #[schemars(range(min = 0.0))]
    min_child_weight: f64,
    /// Share of the rows that each tree sees, above 0 up to 1.
    #[schemars(range(min = 0.01, max = 1.0))]
    subsample: f64,
    /// Ends after so many rounds without a better loss on `validation`, and keeps the best round.
    #[schemars(range(min = 1))]
    early_stopping: Option<u64>,
    /// Decides which rows a tree sees; the step's `seed` if absent.
    seed: Option<u64>,
}

impl Default for GradientBoosting {
    fn default() -> Self {
        Self {
            trees: 200,
            learning_rate: 0.1,
            max_depth: None,
            max_leaves: None,
            min_child_weight: 1.0,
            subsample: 1.0,
            early_stopping: None,
            seed: None,
        }
    }
}

impl TrainerSpec for GradientBoosting {
    const NAME: &'static str = "gradient_boosting";
    const EXAMPLE: &'static str = "gradient_boosting: {trees: 300, learning_rate: 0.05, max_leaves: 31}";
}

impl GradientBoosting {
    fn parameters(&self, lesson: &Lesson) -> Result<(TrainingParams, &'static str), Problem> {
        let (objective, metric, name) = match lesson.classes {
            0 => (Objective::SquaredError(RegLoss::default()), EvalMetric::Rmse, "rmse"),
            2 => (Objective::BinaryLogistic(RegLoss::default()), EvalMetric::LogLoss, "log_loss"),
            classes => {
                let classes = Multiclass::new(classes).map_err(|error| refused(&error))?;
                (Objective::Softprob(classes), EvalMetric::MLogLoss, "log_loss")
            }
        };
        let builder = TrainingParams::builder()
            .objective(objective)
            .eval_metric(metric)
            .tree_method(TreeMethod::Hist)
            .eta(self.learning_rate)
            .min_child_weight(self.min_child_weight)
            .subsample(self.subsample)
            .seed(self.seed.unwrap_or(lesson.seed));
        let builder = match (self.max_depth, self.max_leaves) {
            (depth, None) => builder.max_depth(depth.unwrap_or(6) as usize),
            (None, Some(leaves)) => {
                builder.grow_policy(GrowPolicy::LossGuide).unlimited_depth().max_leaves(leaves as usize)
            }
            (Some(depth), Some(leaves)) => builder
                .grow_policy(GrowPolicy::LossGuide)
                .max_depth(depth as usize)
                .max_leaves(leaves as usize),
        };
        Ok((builder.build().map_err(|error| refused(&error))?, name))
    }
}

impl Trainer for GradientBoosting {
    fn tasks(&self) -> &'static [Task] {
        &[Task::Classification, Task::Regression]
    }

    fn encoding(&self) -> Encoding {
        Encoding::Raw
    }

    fn needs_validation(&self) -> bool {
        self.early_stopping.is_some()
    }

    fn fit(&self, lesson: Lesson, watch: Watch<'_>) -> Result<Fit, Problem> {
        let (parameters, metric) = self.parameters(&lesson)?;
        let classes = lesson.classes;
        let training = data(lesson.training)?;
        let validation = lesson.validation.map(data).transpose()?;
        let mut trainer = hessboost::training::Trainer::new(&parameters, &training, self.trees as usize)
            .eval(&training, "training");
        if let Some(validation) = &validation {
            trainer = trainer.eval(validation, "validation");
            let patience = self.early_stopping.and_then(|rounds| NonZeroUsize::new(rounds as usize));
            trainer = match patience {
                Some(patience) => trainer.early_stopping_rounds(patience),
                None => trainer,
            };
        }
        let of = self.trees;
        let trained = trainer.on_round(|round| {
            let done = round.iteration() as u64 + 1;
            let values = round.values();
            let loss = values.first().copied().unwrap_or(f64::NAN);
            watch(Round { done, of, metric, training: loss, validation: values.get(1).copied() })
        });
        let model = trained.train().map_err(|error| refused(&error))?.model;
        let predict = |data: &DMatrix| {
            let predictions = model.predict(data, Iterations::Best).map_err(|error| refused(&error))?;
            Ok::<_, Problem>(probabilities(predictions.into_vec(), classes))
        };
        let (on_training, on_validation) =
            (predict(&training)?, validation.as_ref().map(predict).transpose()?);
        let rounds = model.best_iteration().map_or_else(|| model.num_boost_rounds(), |best| best + 1);
        Ok(Fit {
            predictor: Box::new(Boosted { model, classes }),
            training: on_training,
            validation: on_validation,
            facts: vec![("rounds", rounds as f64)],
        })
    }
}

fn data(examples: Examples) -> Result<DMatrix, Problem> {
    let Examples { matrix, targets } = examples;
    DMatrix::from_dense_vec(matrix.values, matrix.rows, matrix.columns)
        .and_then(|data| data.with_labels(&targets))
        .map_err(|error| refused(&error))
}

fn refused(error: &HessboostError) -> Problem {
    Problem::error("gradient-boosting", format!("the trees cannot be grown: {error}"))
}

/// One probability of the second class becomes two.
fn probabilities(values: Vec<f32>, classes: usize) -> Vec<f32> {
    if classes == 2 { values.into_iter().flat_map(|p| [1.0 - p, p]).collect() } else { values }
}

/// Grown trees.
#[derive(Debug)]
struct Boosted {
    model: BoostedModel,
    classes: usize,
}

impl Predictor for Boosted {
    fn predict(&self, matrix: &Matrix) -> Result<Vec<f32>, Problem> {
        let predictions =
            self.model.predict_rows(&matrix.values, Iterations::Best).map_err(|error| refused(&error))?;
        Ok(probabilities(predictions.into_vec(), self.classes))
    }

    fn export(&self, graph: &mut GraphBuilder, input: &str, outputs: &[String], classes: &[String]) {
        let prefix = if classes.is_empty() { "target" } else { "class" };
        let mut attributes = self.nodes(prefix);
        attributes.push(("base_values".to_owned(), self.model.base_scores().to_vec().into()));
        let operator = if classes.is_empty() {
            attributes.push(("n_targets".to_owned(), 1_i64.into()));
            "TreeEnsembleRegressor"
        } else {
            attributes.push(("classlabels_strings".to_owned(), classes.to_vec().into()));
            let transform = if classes.len() == 2 { "LOGISTIC" } else { "SOFTMAX" };
            attributes.push(("post_transform".to_owned(), transform.into()));
            "TreeEnsembleClassifier"
        };
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let attributes = attributes.iter().map(|(name, value)| (name.as_str(), value.clone()));
        graph.node(operator, ML_DOMAIN, &[input], &outputs, attributes);
    }

    fn importance(&self) -> Vec<f64> {
        let gains = self.model.feature_importance(ImportanceType::TotalGain);
        (0..self.model.n_features()).map(|column| gains.get(&column).copied().unwrap_or(0.0)).collect()
    }
}

impl Boosted {
    /// The trees up to the best round, as the operator lists them.
    fn nodes(&self, prefix: &str) -> Vec<(String, AttributeValue)> {
        let kept = match self.model.best_iteration() {
            Some(best) => (best + 1) * self.model.trees_per_iteration(),
            None => self.model.num_trees(),
        };
        let (mut ids, mut trees, mut features) = (Vec::<i64>::new(), Vec::<i64>::new(), Vec::<i64>::new());
        let (mut yes, mut no, mut missing) = (Vec::<i64>::new(), Vec::<i64>::new(), Vec::<i64>::new());
        let (mut modes, mut values) = (Vec::<String>::new(), Vec::<f32>::new());
        let (mut leaf_trees, mut leaf_ids, mut leaf_outputs) =
            (Vec::<i64>::new(), Vec::<i64>::new(), Vec::<i64>::new());
        let mut weights = Vec::<f32>::new();
        let all = self.model.trees().iter().zip(self.model.tree_weights()).zip(self.model.tree_outputs());
        for (tree, ((nodes, weight), outputs)) in all.take(kept).enumerate() {
            for (id, node) in nodes.nodes().iter().enumerate() {
                let leaf = node.is_leaf();
                trees.push(tree as i64);
                ids.push(id as i64);
                features.push(if leaf { 0 } else { i64::from(node.split_feature) });
                modes.push(if leaf { "LEAF" } else { "BRANCH_LT" }.to_owned());
                values.push(if leaf { 0.0 } else { node.split_cond });
                yes.push(if leaf { 0 } else { i64::from(node.left) });
                no.push(if leaf { 0 } else { i64::from(node.right) });
                missing.push(i64::from(!leaf && node.default_left));
                if leaf {
                    leaf_trees.push(tree as i64);
                    leaf_ids.push(id as i64);
                    leaf_outputs.push(outputs.start as i64);
                    weights.push(node.leaf_value * weight);
                }
            }
        }
        let own = |name: &str, value: AttributeValue| (name.to_owned(), value);
        vec![
            own("nodes_treeids", trees.into()),
            own("nodes_nodeids", ids.into()),
            own("nodes_featureids", features.into()),
            own("nodes_modes", modes.into()),
            own("nodes_values", values.into()),
            own("nodes_truenodeids", yes.into()),
            own("nodes_falsenodeids", no.into()),
            own("nodes_missing_value_tracks_true", missing.into()),
            own(&format!("{prefix}_treeids"), leaf_trees.into()),
            own(&format!("{prefix}_nodeids"), leaf_ids.into()),
            own(&format!("{prefix}_ids"), leaf_outputs.into()),
            own(&format!("{prefix}_weights"), weights.into()),
        ]
    }
}
