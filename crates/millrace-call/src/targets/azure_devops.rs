use async_trait::async_trait;
use jiff::SignedDuration;
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::{Api, Auth};
use crate::error::CallError;
use crate::target::{Attempt, Begun, Named, Seen, Target};

const VERSION: [(&str, &str); 1] = [("api-version", "7.1")];

/// Runs a pipeline of Azure DevOps.
///
/// The build gets a tag that is made of this attempt. If this server was killed while it began the build, it is found by the tag, or as the
/// one build of the pipeline since then with the same parameters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AzureDevOps {
    /// An entry of `connections.yaml`, `NAME: {azure_devops: {organization: …}}`.
    #[allow(dead_code, reason = "its fields were put in before")]
    connection: Option<String>,
    /// Address of a server of one's own; `https://dev.azure.com` if absent.
    url: Option<String>,
    /// Organization.
    organization: Option<String>,
    /// Project.
    project: Option<String>,
    /// Id of the pipeline, the number after `definitionId=`.
    pipeline_id: u64,
    /// Branch, `refs/heads/main`; the pipeline's default if absent.
    branch: Option<String>,
    /// Parameters of its template.
    #[serde(default)]
    parameters: Map<String, Value>,
    /// A personal access token.
    pat: Option<String>,
    /// A token of Microsoft Entra in its place.
    token: Option<String>,
}

impl Named for AzureDevOps {
    const NAME: &'static str = "azure_devops";
    const EXAMPLE: &'static str = "azure_devops:\n  organization: contoso\n  project: churn\n  pipeline_id: 42\n  branch: refs/heads/main\n  parameters: {day: 2026-03-01}\n  pat: \"${{ secrets.azure_devops }}\"\n";
}

impl AzureDevOps {
    fn api<'a>(&self, attempt: &Attempt<'a>) -> Result<Api<'a>, CallError> {
        let auth = match (&self.pat, &self.token) {
            (Some(pat), _) => Auth::Basic(String::new(), pat.clone()),
            (None, token) => Auth::of(token.as_ref(), (None, None)),
        };
        Api::new(attempt.client, self.url.as_deref().unwrap_or("https://dev.azure.com"), auth)
    }

    fn path<'p>(&'p self, more: &[&'p str]) -> Result<Vec<&'p str>, CallError> {
        match (self.organization.as_deref(), self.project.as_deref()) {
            (Some(organization), Some(project)) => Ok([&[organization, project, "_apis"], more].concat()),
            _ => Err(CallError::config(
                "call-config",
                "`azure_devops` needs `organization` and `project`",
                "write them in the step, or in its `connection`",
            )),
        }
    }

    /// The build that this attempt began before.
    async fn find(&self, api: &Api<'_>, attempt: &Attempt<'_>) -> Result<Option<String>, CallError> {
        let definition = self.pipeline_id.to_string();
        let since = (attempt.first_begun - SignedDuration::from_secs(60)).to_string();
        let query = [
            VERSION[0],
            ("definitions", definition.as_str()),
            ("minTime", since.as_str()),
            ("queryOrder", "queueTimeDescending"),
        ];
        let builds = api.get(&self.path(&["build", "builds"])?, &query).await?;
        let tag = tag(attempt);
        let tags = |build: &Value| -> Vec<String> {
            let tags = build.get("tags").and_then(Value::as_array).into_iter().flatten();
            tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect()
        };
        let id = |build: &Value| crate::api::text_at(build, "/id");
        let builds = builds.list("/value");
        if let Some(tagged) = builds.iter().find(|build| tags(build).contains(&tag)) {
            return Ok(id(tagged));
        }
        let same = |build: &&Value| {
            let given = |name: &str| build.get("templateParameters").and_then(|given| given.get(name));
            let foreign = tags(build).iter().any(|tag| tag.starts_with("millrace-"));
            !foreign && self.parameters.iter().all(|(name, value)| given(name) == Some(&text(value)))
        };
        Ok(builds.iter().find(same).and_then(id))
    }

    async fn start(&self, api: &Api<'_>) -> Result<String, CallError> {
        let parameters: Map<String, Value> =
            self.parameters.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        let mut body = json!({"templateParameters": parameters});
        if let Some(branch) = &self.branch {
            body["resources"] = json!({"repositories": {"self": {"refName": branch}}});
        }
        let id = self.pipeline_id.to_string();
        api.post(&self.path(&["pipelines", &id, "runs"])?, &VERSION, Some(&body)).await?.id("/id")
    }
}

/// Template parameters are told and given as text.
fn text(value: &Value) -> Value {
    Value::String(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn tag(attempt: &Attempt<'_>) -> String {
    format!("millrace-{}", attempt.key)
}

#[async_trait]
impl Target for AzureDevOps {
    fn what(&self) -> String {
        format!("the pipeline {} of Azure DevOps", self.pipeline_id)
    }

    async fn begin(&self, attempt: &Attempt<'_>) -> Result<Begun, CallError> {
        let api = self.api(attempt)?;
        let found = if attempt.again { self.find(&api, attempt).await? } else { None };
        let id = match found {
            Some(id) => id,
            None => self.start(&api).await?,
        };
        let tag = tag(attempt);
        let tags = self.path(&["build", "builds", &id, "tags", &tag])?;
        api.send(Method::PUT, api.url(&tags, &VERSION), None).await?;
        let (organization, project) = (self.organization.as_deref(), self.project.as_deref());
        let pages = [organization.unwrap_or_default(), project.unwrap_or_default(), "_build", "results"];
        let page = api.url(&pages, &[("buildId", &id)]).to_string();
        Ok(Begun::new(id, Some(page)))
    }

    async fn look(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<Seen, CallError> {
        let pipeline = self.pipeline_id.to_string();
        let path = self.path(&["pipelines", &pipeline, "runs", &begun.id])?;
        let run = self.api(attempt)?.get(&path, &VERSION).await?;
        let state = run.id("/state")?;
        if state != "completed" {
            return Ok(Seen::Going(state));
        }
        let result = run.id("/result")?;
        Ok(match result.as_str() {
            "succeeded" => Seen::succeeded(result, Value::Null),
            "canceled" => Seen::cancelled(result),
            _ => Seen::failed(result, None),
        })
    }

    async fn cancel(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<(), CallError> {
        let api = self.api(attempt)?;
        let url = api.url(&self.path(&["build", "builds", &begun.id])?, &VERSION);
        api.send(Method::PATCH, url, Some(&json!({"status": "cancelling"}))).await?;
        Ok(())
    }
}
