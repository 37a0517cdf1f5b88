use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    EnvironmentGate, KindDoc, KindFamily, Look, ModelVersion, OutputDoc, Passage, StepContext, StepError,
    StepKind, StepOutcome, StepTraits,
};
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

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
    /// The environment of `environments.yaml` whose rules are kept first; the one that the endpoint belongs to, if absent. The step waits
    /// until all of them hold.
    #[serde(default)]
    environment: Option<String>,
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

/// Time between looks while the database does not answer.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The step kind `deploy`.
pub struct DeployStep {
    doc: KindDoc,
    server: Arc<EndpointServer>,
    gate: Arc<dyn EnvironmentGate>,
}

impl std::fmt::Debug for DeployStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeployStep")
    }
}

impl DeployStep {
    /// Deploys to `server`, which runs in this process, as soon as `gate` is open.
    pub fn new(server: Arc<EndpointServer>, gate: Arc<dyn EnvironmentGate>) -> Self {
        Self { doc: doc(), server, gate }
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
        match self.wanted(context).await {
            Ok(wanted) => self.server.is_stored(&request(context, wanted)).await,
            Err(_) => false,
        }
    }

    fn outputs(&self, _: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        [("endpoint", "string"), ("url", "string"), ("version", "integer")]
            .map(|(name, type_name)| OutputDoc { name: name.to_owned(), type_name: type_name.to_owned() })
            .into()
    }

    fn check_places(&self, config: &Value) -> Vec<(String, Problem)> {
        let text = |key: &str| config.get(key).and_then(Value::as_str).filter(|text| !text.contains("${{"));
        let endpoint = text("to").and_then(|to| check_name("an endpoint", endpoint_name(to)).err());
        let deployment = text("deployment").and_then(|name| check_name("a deployment", name).err());
        let to = text("to").map(endpoint_name).unwrap_or_default();
        let environment = self.gate.environment_of(text("environment"), to).err();
        // What is wrong with the file of the rules is told there.
        let environment = environment.filter(|problem| problem.place.is_none());
        let found = [("/to", endpoint), ("/deployment", deployment), ("/environment", environment)];
        found.into_iter().filter_map(|(pointer, problem)| Some((pointer.to_owned(), problem?))).collect()
    }

    fn waits(&self, config: &Value) -> bool {
        let text = |key: &str| config.get(key).and_then(Value::as_str);
        let to = text("to").unwrap_or_default();
        match text("environment") {
            Some(_) => true,
            // Which endpoint that is, and whose, shows when it is resolved.
            None if to.contains("${{") => self.gate.has_endpoints(),
            None => !matches!(self.gate.environment_of(None, endpoint_name(to)), Ok(None)),
        }
    }

    async fn begin_waiting(&self, context: &StepContext) -> Result<Value, StepError> {
        let wanted = self.wanted(context).await?;
        let Some(environment) = wanted.environment else { return Ok(Value::Null) };
        let asked = self.gate.begin(context, &environment, &wanted.version.asset).await?;
        Ok(json!({"environment": environment, "gate": asked}))
    }

    async fn look(&self, context: &StepContext, handle: &Value) -> Result<Look, StepError> {
        let wanted = match self.wanted(context).await {
            // A database that is away for a moment does not fail what has waited for days.
            Err(error) if error.transient => {
                let reason = "for the database, which does not answer".to_owned();
                return Ok(Look::Waiting { reason, look_again: LOOK_AGAIN });
            }
            wanted => wanted?,
        };
        if let Some(environment) = handle.get("environment").and_then(Value::as_str) {
            let asked = handle.get("gate").unwrap_or(&Value::Null);
            match self.gate.look(context, environment, &wanted.version.asset, asked).await? {
                Passage::Closed { reason, look_again } => return Ok(Look::Waiting { reason, look_again }),
                Passage::Open => context.log.line(&format!("every rule of {environment} holds")),
            }
        }
        // The version that was looked at and no other: an alias may move at any moment.
        self.deploy(context, wanted).await.map(Look::Done)
    }

    async fn abandon(&self, _: &StepContext, handle: &Value) {
        self.gate.abandon(handle.get("gate").unwrap_or(&Value::Null)).await;
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        let wanted = self.wanted(&context).await?;
        if let Some(environment) = &wanted.environment {
            let message =
                format!("the endpoint came to belong to `{environment}`, whose rules were not asked");
            return Err(StepError::permanent(
                Problem::error("environment-changed", message).hint("run it again"),
            ));
        }
        self.deploy(&context, wanted).await
    }
}

/// What is to be deployed where.
struct Wanted {
    config: DeployConfig,
    environment: Option<String>,
    version: ModelVersion,
}

impl DeployStep {
    /// What the config asks for, its reference resolved.
    async fn wanted(&self, context: &StepContext) -> Result<Wanted, StepError> {
        let config =
            DeployConfig::deserialize(&context.config).map_err(|error| config_error("deploy", &error))?;
        if config.traffic > 100 || !(0.0..=1.0).contains(&config.sample) {
            let problem =
                Problem::error("traffic", "`traffic` is at most 100 per cent and `sample` between 0 and 1");
            return Err(StepError::permanent(problem.hint("traffic: 100")));
        }
        let environment = self.gate.environment_of(config.environment.as_deref(), endpoint_name(&config.to));
        let environment = environment.map_err(StepError::permanent)?;
        let version = resolve(self.server.services.registry.as_ref(), &reference(&config)?).await?;
        Ok(Wanted { config, environment, version })
    }

    async fn deploy(&self, context: &StepContext, wanted: Wanted) -> Result<StepOutcome, StepError> {
        let request = request(context, wanted);
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

fn request(context: &StepContext, wanted: Wanted) -> DeployRequest {
    let Wanted { config, version, .. } = wanted;
    DeployRequest {
        endpoint: endpoint_name(&config.to).to_owned(),
        deployment: config.deployment,
        target: target_of(&version),
        traffic: config.traffic,
        sample: config.sample,
        producer: Some((context.run_id.clone(), context.step.clone())),
    }
}

/// The version as it can be looked up.
fn reference(config: &DeployConfig) -> Result<String, StepError> {
    match ModelArgument::read(&config.model)? {
        ModelArgument::Reference(text) => Ok(text),
        ModelArgument::Asset(asset) if asset.name.is_some() && asset.version.is_some() => Ok(asset.label()),
        ModelArgument::Asset(_) => {
            let problem = Problem::error("not-registered", "only a registered model can be deployed");
            Err(StepError::permanent(problem.hint("add a `register` step and deploy its output `version`")))
        }
    }
}

fn endpoint_name(to: &str) -> &str {
    to.strip_prefix("endpoint:").unwrap_or(to)
}
