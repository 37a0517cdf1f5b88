use async_trait::async_trait;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::azure::{AzureLogin, Resource};
use crate::error::CallError;
use crate::target::{Attempt, Begun, Named, Seen, Target};

const VERSION: [(&str, &str); 1] = [("api-version", "2018-06-01")];

/// Runs a pipeline of Azure Data Factory.
///
/// Data Factory has no key for a request. If this server was killed while it began a run, the run is found by pipeline, time and parameters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataFactory {
    /// An entry of `connections.yaml`, `NAME: {data_factory: {subscription: …}}`.
    #[allow(dead_code, reason = "its fields were put in before")]
    connection: Option<String>,
    /// Address of Azure's resource manager, if it is not the public cloud's.
    url: Option<String>,
    /// Subscription id.
    subscription: Option<String>,
    /// Resource group.
    resource_group: Option<String>,
    /// Name of the factory.
    factory: Option<String>,
    /// Name of the pipeline.
    pipeline: String,
    /// Its parameters.
    #[serde(default)]
    parameters: Map<String, Value>,
    /// Who asks.
    auth: Option<AzureLogin>,
}

impl Named for DataFactory {
    const NAME: &'static str = "data_factory";
    const EXAMPLE: &'static str = "data_factory:\n  subscription: 12345678-1234-1234-1234-123456789012\n  resource_group: data\n  factory: shop\n  pipeline: nightly\n  parameters: {day: 2026-03-01}\n  auth: {tenant: contoso.example, client_id: millrace, client_secret: \"${{ secrets.azure }}\"}\n";
}

impl DataFactory {
    fn resource(&self) -> Result<Resource<'_>, CallError> {
        match (&self.subscription, &self.resource_group, &self.factory) {
            (Some(subscription), Some(resource_group), Some(factory)) => Ok(Resource {
                subscription,
                resource_group,
                of: ["Microsoft.DataFactory", "factories", factory],
            }),
            _ => Err(CallError::config(
                "call-config",
                "`data_factory` needs `subscription`, `resource_group` and `factory`",
                "write them in the step, or in its `connection`",
            )),
        }
    }

    async fn api<'a>(&self, attempt: &Attempt<'a>) -> Result<crate::api::Api<'a>, CallError> {
        let nobody = || {
            CallError::config("call-config", "`data_factory` needs `auth`", "millrace explain data_factory")
        };
        self.auth.as_ref().ok_or_else(nobody)?.api(attempt.client, self.url.as_deref()).await
    }

    /// The newest run since the attempt began with the same parameters.
    async fn find(&self, attempt: &Attempt<'_>) -> Result<Option<String>, CallError> {
        let since = attempt.first_begun - SignedDuration::from_secs(60);
        let until = attempt.first_begun + SignedDuration::from_hours(24);
        let body = json!({
            "lastUpdatedAfter": since.to_string(), "lastUpdatedBefore": until.to_string(),
            "filters": [{"operand": "PipelineName", "operator": "Equals", "values": [self.pipeline]}],
            "orderBy": [{"orderBy": "RunStart", "order": "DESC"}],
        });
        let path = self.resource()?.path(&["queryPipelineRuns"]);
        let answer = self.api(attempt).await?.post(&path, &VERSION, Some(&body)).await?;
        // Data Factory tells every parameter as text.
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let same = |run: &&Value| {
            let given =
                |name: &str| run.get("parameters").and_then(|parameters| parameters.get(name)).map(text);
            let start =
                run.get("runStart").and_then(Value::as_str).and_then(|at| at.parse::<jiff::Timestamp>().ok());
            start.is_some_and(|at| at >= since)
                && self.parameters.iter().all(|(name, value)| given(name) == Some(text(value)))
        };
        let found = answer.list("/value").iter().find(same);
        Ok(found.and_then(|run| run.get("runId")?.as_str().map(str::to_owned)))
    }
}

#[async_trait]
impl Target for DataFactory {
    fn what(&self) -> String {
        format!("the pipeline `{}` of Data Factory", self.pipeline)
    }

    async fn begin(&self, attempt: &Attempt<'_>) -> Result<Begun, CallError> {
        let resource = self.resource()?;
        let found = if attempt.again { self.find(attempt).await? } else { None };
        let id = match found {
            Some(id) => id,
            None => {
                let api = self.api(attempt).await?;
                let path = resource.path(&["pipelines", &self.pipeline, "createRun"]);
                let body = Value::Object(self.parameters.clone());
                api.post(&path, &VERSION, Some(&body)).await?.id("/runId")?
            }
        };
        let factory = resource.id().replace('/', "%2F");
        let page = format!("https://adf.azure.com/en/monitoring/pipelineruns/{id}?factory={factory}");
        Ok(Begun::new(id, Some(page)))
    }

    async fn look(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<Seen, CallError> {
        let path = self.resource()?.path(&["pipelineruns", &begun.id]);
        let run = self.api(attempt).await?.get(&path, &VERSION).await?;
        let state = run.id("/status")?;
        Ok(match state.as_str() {
            "Succeeded" => Seen::succeeded(state, Value::Null),
            "Failed" => Seen::failed(state, run.text("/message")),
            "Cancelled" => Seen::cancelled(state),
            _ => Seen::Going(state),
        })
    }

    async fn cancel(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<(), CallError> {
        let path = self.resource()?.path(&["pipelineruns", &begun.id, "cancel"]);
        self.api(attempt).await?.post(&path, &VERSION, Some(&json!({}))).await?;
        Ok(())
    }
}
