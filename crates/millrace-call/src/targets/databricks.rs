use async_trait::async_trait;
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::{Answer, Api, Auth, sent};
use crate::error::CallError;
use crate::target::{Attempt, Begun, Named, Seen, Target};

/// Runs a job of Databricks.
///
/// The request carries an `idempotency_token` that is made of this attempt, so that the job is never begun twice.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Databricks {
    /// An entry of `connections.yaml`, `NAME: {databricks: {url: …}}`.
    #[allow(dead_code, reason = "its fields were put in before")]
    connection: Option<String>,
    /// Address of the workspace, `https://adb-1.1.azuredatabricks.net`.
    url: Option<String>,
    /// Id of the job.
    job_id: u64,
    /// Job parameters, `name: value`.
    #[serde(default)]
    parameters: Map<String, Value>,
    /// A personal access token or another bearer token.
    token: Option<String>,
    /// Application id of a service principal, in place of a token.
    client_id: Option<String>,
    /// Its OAuth secret.
    client_secret: Option<String>,
}

impl Named for Databricks {
    const NAME: &'static str = "databricks";
    const EXAMPLE: &'static str = "databricks:\n  url: https://adb-1.1.azuredatabricks.net\n  job_id: 11223344\n  parameters: {day: 2026-03-01}\n  token: \"${{ secrets.databricks }}\"\n";
}

impl Databricks {
    async fn api<'a>(&self, attempt: &Attempt<'a>) -> Result<Api<'a>, CallError> {
        let url = self.url.as_deref().unwrap_or_default();
        let (Some(id), Some(secret), None) = (&self.client_id, &self.client_secret, &self.token) else {
            return Api::new(attempt.client, url, Auth::of(self.token.as_ref(), (None, None)));
        };
        let open = Api::new(attempt.client, url, Auth::None)?;
        let url_of_tokens = open.url(&["oidc", "v1", "token"], &[]);
        let form = [("grant_type", "client_credentials"), ("scope", "all-apis")];
        let request = attempt.client.post(url_of_tokens.clone()).basic_auth(id, Some(secret)).form(&form);
        let token = sent(request, &Method::POST, &url_of_tokens).await?.id("/access_token")?;
        Api::new(attempt.client, url, Auth::Bearer(token))
    }
}

/// What a run says of itself: `status` since version 2.2, `state` before.
fn seen(run: &Answer) -> Result<Seen, CallError> {
    let message =
        || run.text("/status/termination_details/message").or_else(|| run.text("/state/state_message"));
    if let Some(state) = run.text("/status/state") {
        let code = run.text("/status/termination_details/code").unwrap_or_default();
        return Ok(match (state.as_str(), code.as_str()) {
            ("TERMINATED", "SUCCESS" | "SUCCESS_WITH_FAILURES") => Seen::succeeded(code, Value::Null),
            ("TERMINATED", "USER_CANCELED" | "CANCELED") => Seen::cancelled(code),
            ("TERMINATED", _) => Seen::failed(code, message()),
            _ => Seen::Going(state),
        });
    }
    let state = run.id("/state/life_cycle_state")?;
    let result = run.text("/state/result_state").unwrap_or_default();
    Ok(match (state.as_str(), result.as_str()) {
        ("TERMINATED", "SUCCESS" | "SUCCESS_WITH_FAILURES") => Seen::succeeded(result, Value::Null),
        ("TERMINATED", "CANCELED") => Seen::cancelled(result),
        ("TERMINATED", _) => Seen::failed(result, message()),
        ("SKIPPED" | "INTERNAL_ERROR", _) => Seen::failed(state, message()),
        _ => Seen::Going(state),
    })
}

#[async_trait]
impl Target for Databricks {
    fn what(&self) -> String {
        format!("the job {} of Databricks", self.job_id)
    }

    async fn begin(&self, attempt: &Attempt<'_>) -> Result<Begun, CallError> {
        let api = self.api(attempt).await?;
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let parameters: Map<String, Value> =
            self.parameters.iter().map(|(name, value)| (name.clone(), text(value).into())).collect();
        let mut body = json!({"job_id": self.job_id, "idempotency_token": attempt.key});
        if !parameters.is_empty() {
            body["job_parameters"] = Value::Object(parameters);
        }
        let id = api.post(&["api", "2.2", "jobs", "run-now"], &[], Some(&body)).await?.id("/run_id")?;
        let run = api.get(&["api", "2.2", "jobs", "runs", "get"], &[("run_id", &id)]).await?;
        Ok(Begun::new(id, run.text("/run_page_url")))
    }

    async fn look(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<Seen, CallError> {
        let api = self.api(attempt).await?;
        seen(&api.get(&["api", "2.2", "jobs", "runs", "get"], &[("run_id", &begun.id)]).await?)
    }

    async fn cancel(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<(), CallError> {
        let api = self.api(attempt).await?;
        let id: u64 = begun.id.parse().unwrap_or_default();
        api.post(&["api", "2.2", "jobs", "runs", "cancel"], &[], Some(&json!({"run_id": id}))).await?;
        Ok(())
    }
}
