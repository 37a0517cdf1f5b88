//! Step kinds of this room: `deploy`, `score`.

use std::sync::Arc;

use millrace_contract::{
    CatalogError, DatasetCatalog, EnvironmentGate, Explain as _, KindDoc, ModelRegistry, ModelRuntime,
    ModelVersion, QueryEngine, StepError, StepKind,
};
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::problem::Problem;
use serde_json::Value;

use crate::server::EndpointServer;

mod deploy;
mod score;

pub use deploy::DeployStep;
pub use score::{ScoreServices, ScoreStep};

/// Every step kind of this room.
pub fn kinds(
    server: &Arc<EndpointServer>,
    engine: &Arc<dyn QueryEngine>,
    datasets: &Arc<dyn DatasetCatalog>,
    gate: Arc<dyn EnvironmentGate>,
) -> Vec<Arc<dyn StepKind>> {
    let runtime: Arc<dyn ModelRuntime> = server.services.runtime.clone();
    let registry: Arc<dyn ModelRegistry> = server.services.registry.clone();
    let services = ScoreServices { runtime, registry, engine: engine.clone(), datasets: datasets.clone() };
    vec![Arc::new(DeployStep::new(server.clone(), gate)), Arc::new(ScoreStep::new(services))]
}

/// The pages of this room's step kinds.
pub fn docs() -> Vec<KindDoc> {
    vec![deploy::doc(), score::doc()]
}

/// What stands under `model`: an asset, or a reference such as `late@champion`.
#[derive(Debug)]
enum ModelArgument {
    Asset(Asset),
    Reference(String),
}

impl ModelArgument {
    fn read(value: &Value) -> Result<Self, StepError> {
        if let Value::String(text) = value {
            return Ok(Self::Reference(text.clone()));
        }
        Asset::from_value(value).filter(|asset| asset.kind == AssetType::Model).map(Self::Asset).ok_or_else(
            || {
                let problem = Problem::error("not-a-model", "what `model` names is not a model");
                StepError::permanent(problem.hint("model: late_flights@champion"))
            },
        )
    }
}

async fn resolve(registry: &dyn ModelRegistry, reference: &str) -> Result<ModelVersion, StepError> {
    registry.resolve(reference).await.map_err(|error| catalog_error(&error))
}

fn catalog_error(error: &CatalogError) -> StepError {
    match error {
        CatalogError::Store { .. } => StepError::transient(error.problem()),
        _ => StepError::permanent(error.problem()),
    }
}

/// A config that does not have the kind's shape.
fn config_error(kind: &str, error: &serde_json::Error) -> StepError {
    StepError::permanent(Problem::error(
        "step-config",
        format!("the `{kind}` step cannot read its config: {error}"),
    ))
}
