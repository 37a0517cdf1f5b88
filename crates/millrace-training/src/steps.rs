//! The step kinds of this room.

mod evaluate;
mod learn;
mod train;

use std::sync::Arc;

use millrace_contract::{ModelRuntime, QueryEngine, RunTracker, StepError, StepKind};
use millrace_spec::problem::Problem;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use evaluate::EvaluateStep;
pub use train::TrainStep;

/// Every step kind: they read tables with `engine`, run models with `runtime` and log into `tracker`.
pub fn kinds(
    engine: Arc<dyn QueryEngine>,
    runtime: Arc<dyn ModelRuntime>,
    tracker: Arc<dyn RunTracker>,
) -> Vec<Arc<dyn StepKind>> {
    vec![Arc::new(TrainStep::new(engine.clone(), tracker)), Arc::new(EvaluateStep::new(engine, runtime))]
}

fn read_config<T: DeserializeOwned>(kind: &str, config: &Value) -> Result<T, StepError> {
    T::deserialize(config).map_err(|error| {
        let message = format!("the `{kind}` step cannot read its config: {error}");
        StepError::permanent(Problem::error("step-config", message))
    })
}

#[cfg(test)]
mod evaluate_tests;
#[cfg(test)]
mod learn_tests;
#[cfg(test)]
mod train_tests;
