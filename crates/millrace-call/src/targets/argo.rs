use async_trait::async_trait;
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::{Api, Auth, text_at};
use crate::error::CallError;
use crate::target::{Attempt, Begun, Named, Seen, Target};

/// Submits a workflow of Argo Workflows from its template.
///
/// The workflow's name is made of this attempt, so that it is never begun twice.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Argo {
    /// An entry of `connections.yaml`, `NAME: {argo: {url: …}}`.
    #[allow(dead_code, reason = "its fields were put in before")]
    connection: Option<String>,
    /// Address of the Argo server, `https://argo:2746`.
    url: Option<String>,
    /// Namespace.
    #[serde(default = "default_namespace")]
    namespace: String,
    /// Name of the template.
    template: String,
    /// What the template is.
    #[serde(default)]
    kind: Template,
    /// Parameters of the workflow.
    #[serde(default)]
    parameters: Map<String, Value>,
    /// Token of a service account.
    token: Option<String>,
}

#[derive(Default, Clone, Copy, Deserialize, JsonSchema)]
enum Template {
    #[default]
    #[serde(rename = "WorkflowTemplate")]
    Namespaced,
    #[serde(rename = "ClusterWorkflowTemplate")]
    Cluster,
    #[serde(rename = "CronWorkflow")]
    Cron,
}

impl Template {
    fn word(self) -> &'static str {
        match self {
            Self::Namespaced => "WorkflowTemplate",
            Self::Cluster => "ClusterWorkflowTemplate",
            Self::Cron => "CronWorkflow",
        }
    }
}

fn default_namespace() -> String {
    "default".to_owned()
}

impl Named for Argo {
    const NAME: &'static str = "argo";
    const EXAMPLE: &'static str = "argo:\n  url: https://argo:2746\n  namespace: churn\n  template: nightly\n  parameters: {day: 2026-03-01}\n  token: \"${{ secrets.argo }}\"\n";
}

impl Argo {
    fn api<'a>(&self, attempt: &Attempt<'a>) -> Result<Api<'a>, CallError> {
        let auth = Auth::of(self.token.as_ref(), (None, None));
        Api::new(attempt.client, self.url.as_deref().unwrap_or_default(), auth)
    }

    fn path<'p>(&'p self, more: &[&'p str]) -> Vec<&'p str> {
        [&["api", "v1", "workflows", self.namespace.as_str()], more].concat()
    }
}

#[async_trait]
impl Target for Argo {
    fn what(&self) -> String {
        format!("the workflow of `{}`", self.template)
    }

    async fn begin(&self, attempt: &Attempt<'_>) -> Result<Begun, CallError> {
        let api = self.api(attempt)?;
        let name = format!("millrace-{}", attempt.key);
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let parameters: Vec<String> =
            self.parameters.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
        let body = json!({
            "namespace": self.namespace, "resourceKind": self.kind.word(), "resourceName": self.template,
            "submitOptions": {"name": name, "labels": "app.kubernetes.io/managed-by=millrace", "parameters": parameters},
        });
        match api.post(&self.path(&["submit"]), &[], Some(&body)).await {
            Ok(_) => {}
            // It is there already.
            Err(error) if error.status() == Some(409) => {}
            Err(error) => return Err(error),
        }
        let page = api.url(&["workflows", &self.namespace, &name], &[]).to_string();
        Ok(Begun::new(name, Some(page)))
    }

    async fn look(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<Seen, CallError> {
        let workflow = self.api(attempt)?.get(&self.path(&[&begun.id]), &[]).await?;
        // One that no controller has looked at yet has no phase.
        let phase = workflow.text("/status/phase").unwrap_or_else(|| "Pending".to_owned());
        let message = workflow.text("/status/message");
        Ok(match phase.as_str() {
            "Succeeded" => {
                let outputs = workflow.list("/status/outputs/parameters").iter();
                let named = outputs
                    .filter_map(|output| Some((text_at(output, "/name")?, output.get("value")?.clone())));
                Seen::succeeded(phase, Value::Object(named.collect()))
            }
            "Failed" | "Error" => match message {
                // Argo's word for a workflow that was stopped by hand.
                Some(text) if text.contains("Stopped with strategy") => Seen::cancelled(text),
                message => Seen::failed(phase, message),
            },
            _ => Seen::Going(phase),
        })
    }

    async fn cancel(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<(), CallError> {
        let api = self.api(attempt)?;
        let url = api.url(&self.path(&[&begun.id, "terminate"]), &[]);
        let body = json!({"namespace": self.namespace, "name": begun.id});
        api.send(Method::PUT, url, Some(&body)).await?;
        Ok(())
    }
}
