use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::azure::{AzureLogin, Resource};
use crate::error::CallError;
use crate::target::{Attempt, Begun, Named, Seen, Target};

const VERSION: [(&str, &str); 1] = [("api-version", "2024-04-01")];

/// Runs a pipeline component of Azure Machine Learning as a job.
///
/// The job's name is made of this attempt, so that it is never begun twice.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AzureMl {
    /// An entry of `connections.yaml`, `NAME: {azureml: {subscription: …}}`.
    #[allow(dead_code, reason = "its fields were put in before")]
    connection: Option<String>,
    /// Address of Azure's resource manager, if it is not the public cloud's.
    url: Option<String>,
    /// Subscription id.
    subscription: Option<String>,
    /// Resource group.
    resource_group: Option<String>,
    /// Name of the workspace.
    workspace: Option<String>,
    /// The pipeline component, `name` or `name:version`; the version `1` if it is left out.
    component: String,
    /// Values of its inputs: a literal, or `{type, path}` of data such as `{type: uri_folder, path: azureml://…}`.
    #[serde(default)]
    inputs: Map<String, Value>,
    /// Compute of steps that name none.
    compute: Option<String>,
    /// Experiment that the job is listed under.
    experiment: Option<String>,
    /// Who asks.
    auth: Option<AzureLogin>,
}

impl Named for AzureMl {
    const NAME: &'static str = "azureml";
    const EXAMPLE: &'static str = "azureml:\n  connection: team_workspace\n  component: train_churn:3\n  inputs: {day: 2026-03-01, rows: {type: uri_folder, path: \"azureml://datastores/lake/paths/rows\"}}\n  compute: cpu-cluster\n";
}

impl AzureMl {
    fn resource(&self) -> Result<Resource<'_>, CallError> {
        match (&self.subscription, &self.resource_group, &self.workspace) {
            (Some(subscription), Some(resource_group), Some(workspace)) => Ok(Resource {
                subscription,
                resource_group,
                of: ["Microsoft.MachineLearningServices", "workspaces", workspace],
            }),
            _ => Err(CallError::config(
                "call-config",
                "`azureml` needs `subscription`, `resource_group` and `workspace`",
                "write them in the step, or in its `connection`",
            )),
        }
    }

    async fn api<'a>(&self, attempt: &Attempt<'a>) -> Result<crate::api::Api<'a>, CallError> {
        let nobody =
            || CallError::config("call-config", "`azureml` needs `auth`", "millrace explain azureml");
        self.auth.as_ref().ok_or_else(nobody)?.api(attempt.client, self.url.as_deref()).await
    }

    fn job(&self, resource: &Resource<'_>, attempt: &Attempt<'_>) -> Value {
        let (component, version) = self.component.split_once(':').unwrap_or((&self.component, "1"));
        let workspace = resource.id();
        let inputs: Map<String, Value> =
            self.inputs.iter().map(|(name, value)| (name.clone(), job_input(value))).collect();
        let mut properties = json!({
            "jobType": "Pipeline",
            "componentId": format!("{workspace}/components/{component}/versions/{version}"),
            "displayName": format!("millrace {component}"),
            "inputs": inputs,
            "tags": {"millrace_key": attempt.key},
        });
        if let Some(compute) = &self.compute {
            properties["settings"] = json!({"default_compute": format!("{workspace}/computes/{compute}")});
        }
        if let Some(experiment) = &self.experiment {
            properties["experimentName"] = json!(experiment);
        }
        json!({"properties": properties})
    }
}

/// A literal, or data by its address.
fn job_input(value: &Value) -> Value {
    let (kind, path) = (value.get("type").and_then(Value::as_str), value.get("path"));
    if let (Some(kind), Some(path)) = (kind, path) {
        return json!({"jobInputType": kind, "uri": path});
    }
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    json!({"jobInputType": "literal", "value": text})
}

#[async_trait]
impl Target for AzureMl {
    fn what(&self) -> String {
        format!("the component `{}` of Azure ML", self.component)
    }

    async fn begin(&self, attempt: &Attempt<'_>) -> Result<Begun, CallError> {
        let resource = self.resource()?;
        let api = self.api(attempt).await?;
        let name = format!("millrace-{}", attempt.key);
        let path = resource.path(&["jobs", &name]);
        let job = match api.get(&path, &VERSION).await {
            Ok(job) => job,
            Err(error) if error.status() == Some(404) => {
                let body = self.job(&resource, attempt);
                api.send(reqwest::Method::PUT, api.url(&path, &VERSION), Some(&body)).await?
            }
            Err(error) => return Err(error),
        };
        let page = job.text("/properties/services/Studio/endpoint");
        let page = page.unwrap_or_else(|| format!("https://ml.azure.com/runs/{name}?wsid={}", resource.id()));
        Ok(Begun::new(name, Some(page)))
    }

    async fn look(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<Seen, CallError> {
        let path = self.resource()?.path(&["jobs", &begun.id]);
        let job = self.api(attempt).await?.get(&path, &VERSION).await?;
        let state = job.id("/properties/status")?;
        Ok(match state.as_str() {
            "Completed" => {
                Seen::succeeded(state, job.body.pointer("/properties/outputs").cloned().unwrap_or_default())
            }
            "Failed" | "NotResponding" => Seen::failed(state, job.text("/properties/error/message")),
            "Canceled" => Seen::cancelled(state),
            _ => Seen::Going(state),
        })
    }

    async fn cancel(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<(), CallError> {
        let path = self.resource()?.path(&["jobs", &begun.id, "cancel"]);
        self.api(attempt).await?.post(&path, &VERSION, None).await?;
        Ok(())
    }
}
