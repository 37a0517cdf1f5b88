use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    AssetKey, CatalogError, Explain as _, KindDoc, KindFamily, ModelRegistry, NewModelVersion, OutputDoc,
    Producer, StepContext, StepError, StepKind, StepOutcome, StepTraits,
};
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::reference::{self, check_name};

/// Gives a model a name and its next version in the registry, and points aliases at it.
///
/// The model's folder is copied into the registry's storage. A model that equals the newest version of its name makes no new one; its
/// aliases are moved all the same.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RegisterConfig {
    /// The model folder, usually the output of a training step.
    #[schemars(with = "Value")]
    model: Asset,
    /// Name in the registry: letters, digits, `_`, `-` and `.`.
    name: String,
    /// Alias to point at this version, for example `champion`.
    #[serde(default)]
    alias: Option<String>,
    /// Several aliases.
    #[serde(default)]
    aliases: Vec<String>,
    /// What the model is for.
    #[serde(default)]
    description: Option<String>,
    /// Numbers worth showing beside the version; what is no number is left out.
    #[serde(default)]
    metrics: Map<String, Value>,
}

const EXAMPLE: &str = "register:\n  model: ${{ steps.train.model }}\n  name: late_flights\n  alias: champion\n  metrics: ${{ steps.evaluate.metrics }}";

pub(super) fn doc() -> KindDoc {
    KindDoc::of::<RegisterConfig>(KindFamily::Step, "register", EXAMPLE)
}

/// The step kind `register`.
pub struct RegisterStep {
    doc: KindDoc,
    registry: Arc<dyn ModelRegistry>,
}

impl std::fmt::Debug for RegisterStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RegisterStep")
    }
}

impl RegisterStep {
    /// Records versions in `registry`.
    pub fn new(registry: Arc<dyn ModelRegistry>) -> Self {
        Self { doc: doc(), registry }
    }
}

#[async_trait]
impl StepKind for RegisterStep {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: true, version: 1 }
    }

    /// The version names its tracked run, so there has to be one; it has the numbers of the version.
    fn tracked(&self) -> bool {
        true
    }

    /// The version is in the registry, and the aliases point at it.
    async fn still_holds(&self, context: &StepContext, outcome: &StepOutcome) -> bool {
        let Ok(config) = RegisterConfig::deserialize(&context.config) else { return false };
        let number = outcome.outputs.get("number").and_then(Value::as_u64);
        let aliases = config.aliases.into_iter().chain(config.alias);
        for alias in aliases.chain(number.map(|number| number.to_string())) {
            match self.registry.resolve(&format!("{}@{alias}", config.name)).await {
                Ok(version) if version.asset.version == number => {}
                _ => return false,
            }
        }
        number.is_some()
    }

    fn outputs(&self, _: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        [("version", "model"), ("name", "string"), ("number", "integer")]
            .map(|(name, type_name)| OutputDoc { name: name.to_owned(), type_name: type_name.to_owned() })
            .into()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        let text = |key: &str| config.get(key).and_then(Value::as_str).filter(|text| !text.contains("${{"));
        let listed = config.get("aliases").and_then(Value::as_array).into_iter().flatten();
        let aliases =
            listed.filter_map(Value::as_str).filter(|text| !text.contains("${{")).chain(text("alias"));
        let name = text("name").and_then(|name| {
            let error = check_name(name).err()?;
            Some(Problem::error(
                "invalid-name",
                format!("`{name}` is not a name for a model: {}", error.reason),
            ))
        });
        name.into_iter().chain(aliases.filter_map(|alias| check_alias(alias).err())).collect()
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        let config = RegisterConfig::deserialize(&context.config).map_err(|error| {
            let message = format!("the `register` step cannot read its config: {error}");
            StepError::permanent(Problem::error("step-config", message))
        })?;
        if config.model.kind != AssetType::Model {
            let problem = Problem::error("not-a-model", "what `model` names is not a model folder");
            return Err(StepError::permanent(problem.hint("model: ${{ steps.train.model }}")));
        }
        let mut aliases = config.aliases;
        aliases.extend(config.alias);
        for alias in &aliases {
            check_alias(alias).map_err(StepError::permanent)?;
        }
        let number = |(name, value): (String, Value)| Some((name, value.as_f64()?));
        let metrics: IndexMap<String, f64> = config.metrics.into_iter().filter_map(number).collect();
        let new = NewModelVersion {
            name: config.name,
            inputs: lineage(&context, &config.model),
            asset: config.model,
            producer: Some(Producer { run_id: context.run_id.clone(), step: Some(context.step.clone()) }),
            tracking_run_id: Some(context.tracking_run_id.clone()).filter(|id| !id.is_empty()),
            metrics: metrics.clone(),
            description: config.description,
            aliases,
        };
        let version = self.registry.register(new).await.map_err(|error| catalog_error(&error))?;
        context.log.line(&format!("registered {}", version.asset.label()));
        let outputs = IndexMap::from([
            ("version".to_owned(), version.asset.to_value()),
            ("name".to_owned(), version.asset.name.clone().into()),
            ("number".to_owned(), version.asset.version.into()),
        ]);
        Ok(StepOutcome { outputs, metrics, ..StepOutcome::default() })
    }
}

/// Aliases are not version numbers: `name@3` is version 3.
fn check_alias(alias: &str) -> Result<(), Problem> {
    let reason = match reference::check_alias(alias) {
        Err(error) => error.reason,
        Ok(()) if alias.bytes().all(|byte| byte.is_ascii_digit()) => {
            "it would be taken for a version".to_owned()
        }
        Ok(()) => return Ok(()),
    };
    Err(Problem::error("invalid-name", format!("`{alias}` is not a name for an alias: {reason}"))
        .hint("alias: champion"))
}

/// The step's inputs that are assets, and the model that was registered under another name before.
fn lineage(context: &StepContext, model: &Asset) -> Vec<AssetKey> {
    let inputs: Vec<Asset> = context.inputs.values().filter_map(Asset::from_value).collect();
    let key = |asset: &Asset| match (&asset.name, asset.version) {
        (Some(name), Some(version)) => {
            let kind = if asset.kind == AssetType::Model { "model" } else { "dataset" };
            Some(AssetKey { kind: kind.to_owned(), name: name.clone(), version })
        }
        _ => None,
    };
    let mut keys: Vec<AssetKey> = inputs.iter().chain([model]).filter_map(key).collect();
    keys.sort();
    keys.dedup();
    keys
}

fn catalog_error(error: &CatalogError) -> StepError {
    match error {
        CatalogError::Store { .. } => StepError::transient(error.problem()),
        _ => StepError::permanent(error.problem()),
    }
}

#[cfg(test)]
#[path = "register_tests.rs"]
mod tests;
