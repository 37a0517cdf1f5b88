use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    KindDoc, KindFamily, OutputDoc, StepContext, StepError, StepKind, StepOutcome, StepTraits,
};
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{ModelArgument, config_error, resolve};
use crate::deploy::{DeployRequest, target_of};
use crate::file::check_name;
use crate::server::EndpointServer;
use crate::status::score_path;

/// Puts a registered model version behind an endpoint, without losing a request.
///
/// The model is loaded and scores a row before it gets traffic; one that cannot be served fails the step and changes nothing. What other
/// deployments of the endpoint had of its traffic, they keep in proportion. The same version again changes nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeployConfig {
    /// The version: `steps.<id>.version` of a `register` step, or `name`, `name@3`, `name@alias`.
    model: Value,
    /// The endpoint, `endpoint:NAME` or `NAME`; made if absent.
    to: String,
    /// Name of the deployment; one with this name is replaced.
    #[serde(default = "default_deployment")]
    deployment: String,
    /// Per cent of the endpoint's requests.
    #[serde(default = "default_traffic")]
    #[schemars(range(min = 0, max = 100))]
    traffic: u32,
    /// Share of the requests that go into the prediction log, 0 to 1.
    #[serde(default = "default_sample")]
    #[schemars(range(min = 0.0, max = 1.0))]
    sample: f64,
}

fn default_deployment() -> String {
    "main".to_owned()
}

fn default_traffic() -> u32 {
    100
}

fn default_sample() -> f64 {
    1.0
}

const EXAMPLE: &str = "deploy:\n  model: ${{ steps.register.version }}\n  to: endpoint:late_flights\n  deployment: green\n  traffic: 10";

pub(super) fn doc() -> KindDoc {
    KindDoc::of::<DeployConfig>(KindFamily::Step, "deploy", EXAMPLE)
}

/// The step kind `deploy`.
pub struct DeployStep {
    doc: KindDoc,
    server: Arc<EndpointServer>,
}

impl std::fmt::Debug for DeployStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeployStep")
    }
}

impl DeployStep {
    /// Deploys to `server`, which runs in this process.
    pub fn new(server: Arc<EndpointServer>) -> Self {
        Self { doc: doc(), server }
    }
}

#[async_trait]
impl StepKind for DeployStep {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: true, version: 1 }
    }

    /// The store has the deployment as it would be made now.
    async fn still_holds(&self, context: &StepContext, _: &StepOutcome) -> bool {
        match self.request(context).await {
            Ok(request) => self.server.is_stored(&request).await,
            Err(_) => false,
        }
    }

    fn outputs(&self, _: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        [("endpoint", "string"), ("url", "string"), ("version", "integer")]
            .map(|(name, type_name)| OutputDoc { name: name.to_owned(), type_name: type_name.to_owned() })
            .into()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        let text = |key: &str| config.get(key).and_then(Value::as_str).filter(|text| !text.contains("${{"));
        let endpoint = text("to").and_then(|to| check_name("an endpoint", endpoint_name(to)).err());
        let deployment = text("deployment").and_then(|name| check_name("a deployment", name).err());
        endpoint.into_iter().chain(deployment).collect()
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        let request = self.request(&context).await?;
        let (endpoint, target) = (request.endpoint.clone(), request.target.clone());
        let deployed = tokio::select! {
            biased;
            () = context.cancel.cancelled() => return Err(StepError::cancelled()),
            deployed = self.server.deploy(request) => deployed,
        };
        let changed = deployed.map_err(|problem| {
            let transient = problem.code == "store-failed";
            StepError { problem, transient, cancelled: false }
        })?;
        let label = target.label();
        context.log.line(&match changed {
            true => format!("{label} answers at {}", score_path(&endpoint)),
            false => format!("{label} already answered at {}", score_path(&endpoint)),
        });
        let outputs = IndexMap::from([
            ("url".to_owned(), score_path(&endpoint).into()),
            ("endpoint".to_owned(), endpoint.into()),
            ("version".to_owned(), target.version.into()),
        ]);
        Ok(StepOutcome { outputs, ..StepOutcome::default() })
    }
}

impl DeployStep {
    /// What the config asks for, its reference resolved.
    async fn request(&self, context: &StepContext) -> Result<DeployRequest, StepError> {
        let config =
            DeployConfig::deserialize(&context.config).map_err(|error| config_error("deploy", &error))?;
        if config.traffic > 100 || !(0.0..=1.0).contains(&config.sample) {
            let problem =
                Problem::error("traffic", "`traffic` is at most 100 per cent and `sample` between 0 and 1");
            return Err(StepError::permanent(problem.hint("traffic: 100")));
        }
        let reference = match ModelArgument::read(&config.model)? {
            ModelArgument::Reference(text) => text,
            ModelArgument::Asset(asset) if asset.name.is_some() && asset.version.is_some() => asset.label(),
            ModelArgument::Asset(_) => {
                let problem = Problem::error("not-registered", "only a registered model can be deployed");
                return Err(StepError::permanent(
                    problem.hint("add a `register` step and deploy its output `version`"),
                ));
            }
        };
        let version = resolve(self.server.services.registry.as_ref(), &reference).await?;
        Ok(DeployRequest {
            endpoint: endpoint_name(&config.to).to_owned(),
            deployment: config.deployment,
            target: target_of(&version),
            traffic: config.traffic,
            sample: config.sample,
            producer: Some((context.run_id.clone(), context.step.clone())),
        })
    }
}

fn endpoint_name(to: &str) -> &str {
    to.strip_prefix("endpoint:").unwrap_or(to)
}
