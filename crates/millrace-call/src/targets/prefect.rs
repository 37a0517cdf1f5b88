use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::{Api, Auth};
use crate::error::CallError;
use crate::target::{Attempt, Begun, Named, Seen, Target};

/// Runs a deployment of Prefect 3.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prefect {
    /// An entry of `connections.yaml`, `NAME: {prefect: {url: …}}`.
    #[allow(dead_code, reason = "its fields were put in before")]
    connection: Option<String>,
    /// Address of the API, `http://prefect:4200/api`; of Prefect Cloud with account and workspace.
    url: Option<String>,
    /// The deployment, `flow/deployment`.
    deployment: String,
    /// Parameters of the flow.
    #[serde(default)]
    parameters: Map<String, Value>,
    /// An API key of Prefect Cloud.
    token: Option<String>,
    /// Login name of a server that asks for one.
    username: Option<String>,
    /// Its password.
    password: Option<String>,
}

impl Named for Prefect {
    const NAME: &'static str = "prefect";
    const EXAMPLE: &'static str = "prefect:\n  url: http://prefect:4200/api\n  deployment: churn/nightly\n  parameters: {day: 2026-03-01}\n";
}

impl Prefect {
    fn api<'a>(&self, attempt: &Attempt<'a>) -> Result<Api<'a>, CallError> {
        let auth = Auth::of(self.token.as_ref(), (self.username.as_ref(), self.password.as_ref()));
        Api::new(attempt.client, self.url.as_deref().unwrap_or_default(), auth)
    }

    fn page(api: &Api<'_>, id: &str) -> String {
        let root = api.root();
        // Prefect Cloud's pages have another host than its API, and other words in the path.
        let page = match root.split_once("://api.prefect.cloud/api/accounts/") {
            Some((_, rest)) => {
                format!("https://app.prefect.cloud/account/{}", rest.replace("/workspaces/", "/workspace/"))
            }
            None => root.trim_end_matches("/api").to_owned(),
        };
        format!("{page}/runs/flow-run/{id}")
    }
}

#[async_trait]
impl Target for Prefect {
    fn what(&self) -> String {
        format!("the deployment `{}`", self.deployment)
    }

    async fn begin(&self, attempt: &Attempt<'_>) -> Result<Begun, CallError> {
        let api = self.api(attempt)?;
        let Some((flow, deployment)) = self.deployment.split_once('/') else {
            let message = format!("`{}` is not the name of a deployment", self.deployment);
            return Err(CallError::config("call-config", message, "write `flow/deployment`"));
        };
        let deployment = api.get(&["deployments", "name", flow, deployment], &[]).await?.id("/id")?;
        let body = json!({
            "parameters": self.parameters, "idempotency_key": attempt.key, "tags": ["millrace"],
            "state": {"type": "SCHEDULED"},
        });
        let path = ["deployments", &deployment, "create_flow_run"];
        let id = api.post(&path, &[], Some(&body)).await?.id("/id")?;
        let page = Self::page(&api, &id);
        Ok(Begun::new(id, Some(page)))
    }

    async fn look(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<Seen, CallError> {
        let run = self.api(attempt)?.get(&["flow_runs", &begun.id], &[]).await?;
        let name = run.text("/state/name").unwrap_or_default();
        Ok(match run.id("/state/type")?.as_str() {
            "COMPLETED" => Seen::succeeded(name, Value::Null),
            "FAILED" | "CRASHED" => Seen::failed(name, run.text("/state/message")),
            "CANCELLED" => Seen::cancelled(name),
            _ => Seen::Going(name),
        })
    }

    async fn cancel(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<(), CallError> {
        let body = json!({"state": {"type": "CANCELLING", "message": "cancelled by Millrace"}});
        self.api(attempt)?.post(&["flow_runs", &begun.id, "set_state"], &[], Some(&body)).await?;
        Ok(())
    }
}
