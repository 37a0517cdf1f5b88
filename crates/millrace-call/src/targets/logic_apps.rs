use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Api, Auth};
use crate::azure::{AzureLogin, Resource};
use crate::error::CallError;
use crate::target::{Attempt, Begun, Named, Seen, Target};

const VERSION: [(&str, &str); 1] = [("api-version", "2019-05-01")];

/// Runs a workflow of Azure Logic Apps (Consumption) that begins with a request.
///
/// The run carries a `clientTrackingId` that is made of this attempt, by which it is found again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogicApps {
    /// An entry of `connections.yaml`, `NAME: {logic_apps: {subscription: …}}`.
    #[allow(dead_code, reason = "its fields were put in before")]
    connection: Option<String>,
    /// Address of Azure's resource manager, if it is not the public cloud's.
    url: Option<String>,
    /// Subscription id.
    subscription: Option<String>,
    /// Resource group.
    resource_group: Option<String>,
    /// Name of the workflow.
    workflow: String,
    /// Its trigger.
    #[serde(default = "manual")]
    trigger: String,
    /// Body of the request that begins it.
    #[serde(default)]
    body: Value,
    /// Who asks.
    auth: Option<AzureLogin>,
}

fn manual() -> String {
    "manual".to_owned()
}

impl Named for LogicApps {
    const NAME: &'static str = "logic_apps";
    const EXAMPLE: &'static str =
        "logic_apps:\n  connection: team_azure\n  workflow: invoice-day\n  body: {day: 2026-03-01}\n";
}

impl LogicApps {
    fn resource(&self) -> Result<Resource<'_>, CallError> {
        match (&self.subscription, &self.resource_group) {
            (Some(subscription), Some(resource_group)) => Ok(Resource {
                subscription,
                resource_group,
                of: ["Microsoft.Logic", "workflows", &self.workflow],
            }),
            _ => Err(CallError::config(
                "call-config",
                "`logic_apps` needs `subscription` and `resource_group`",
                "write them in the step, or in its `connection`",
            )),
        }
    }

    async fn api<'a>(&self, attempt: &Attempt<'a>) -> Result<Api<'a>, CallError> {
        let nobody =
            || CallError::config("call-config", "`logic_apps` needs `auth`", "millrace explain logic_apps");
        self.auth.as_ref().ok_or_else(nobody)?.api(attempt.client, self.url.as_deref()).await
    }

    async fn start(&self, api: &Api<'_>, attempt: &Attempt<'_>) -> Result<String, CallError> {
        // The address has a signature of its own: it is called without a login.
        let path = self.resource()?.path(&["triggers", &self.trigger, "listCallbackUrl"]);
        let callback = api.post(&path, &VERSION, None).await?.id("/value")?;
        let url = crate::api::read_url(&callback)?;
        let open = Api::new(attempt.client, &callback, Auth::None)?;
        let open = open.with_header("x-ms-client-tracking-id", attempt.key);
        let body = Some(&self.body).filter(|body| !body.is_null());
        let answer = open.send(reqwest::Method::POST, url, body).await?;
        answer.header("x-ms-workflow-run-id").ok_or_else(|| answer.lacks("the header `x-ms-workflow-run-id`"))
    }
}

#[async_trait]
impl Target for LogicApps {
    fn what(&self) -> String {
        format!("the workflow `{}` of Logic Apps", self.workflow)
    }

    async fn begin(&self, attempt: &Attempt<'_>) -> Result<Begun, CallError> {
        let resource = self.resource()?;
        let api = self.api(attempt).await?;
        let filter = format!("ClientTrackingId eq '{}'", attempt.key);
        let query = [VERSION[0], ("$filter", &filter), ("$top", "1")];
        let found = if attempt.again {
            api.get(&resource.path(&["runs"]), &query).await?.text("/value/0/name")
        } else {
            None
        };
        let id = match found {
            Some(id) => id,
            None => self.start(&api, attempt).await?,
        };
        let page = format!("https://portal.azure.com/#resource{}/runs/{id}", resource.id());
        Ok(Begun::new(id, Some(page)))
    }

    async fn look(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<Seen, CallError> {
        let path = self.resource()?.path(&["runs", &begun.id]);
        let run = self.api(attempt).await?.get(&path, &VERSION).await?;
        let state = run.id("/properties/status")?;
        Ok(match state.as_str() {
            "Succeeded" => {
                Seen::succeeded(state, run.body.pointer("/properties/outputs").cloned().unwrap_or_default())
            }
            "Failed" | "TimedOut" | "Aborted" | "Skipped" | "Faulted" | "Ignored" => {
                Seen::failed(state, run.text("/properties/error/message"))
            }
            "Cancelled" => Seen::cancelled(state),
            _ => Seen::Going(state),
        })
    }

    async fn cancel(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<(), CallError> {
        let path = self.resource()?.path(&["runs", &begun.id, "cancel"]);
        self.api(attempt).await?.post(&path, &VERSION, Some(&json!({}))).await?;
        Ok(())
    }
}
