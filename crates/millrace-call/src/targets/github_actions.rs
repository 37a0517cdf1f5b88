use async_trait::async_trait;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::{Api, Auth, text_at};
use crate::error::CallError;
use crate::target::{Attempt, Begun, Named, Seen, Target};

/// Runs a workflow of GitHub Actions that has `workflow_dispatch`.
///
/// GitHub has no key for a request. With `key_input` the workflow gets one as an input; if its `run-name` shows it, a run that was begun
/// before this server was killed is found by it, and without it as the one run on the branch since then.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GitHubActions {
    /// An entry of `connections.yaml`, `NAME: {github_actions: {repository: …}}`.
    #[allow(dead_code, reason = "its fields were put in before")]
    connection: Option<String>,
    /// Address of the API of a server of one's own; `https://api.github.com` if absent.
    url: Option<String>,
    /// `owner/name`.
    repository: Option<String>,
    /// File name of the workflow, `train.yml`, or its id.
    workflow: String,
    /// Branch or tag.
    #[serde(default = "main_branch", rename = "ref")]
    branch: String,
    /// Inputs of the workflow.
    #[serde(default)]
    inputs: Map<String, Value>,
    /// Input that gets this attempt's key.
    key_input: Option<String>,
    /// A token that may write actions.
    token: Option<String>,
}

fn main_branch() -> String {
    "main".to_owned()
}

impl Named for GitHubActions {
    const NAME: &'static str = "github_actions";
    const EXAMPLE: &'static str = "github_actions:\n  repository: contoso/churn\n  workflow: train.yml\n  ref: main\n  inputs: {day: 2026-03-01}\n  key_input: millrace_key\n  token: \"${{ secrets.github }}\"\n";
}

impl GitHubActions {
    fn api<'a>(&self, attempt: &Attempt<'a>) -> Result<Api<'a>, CallError> {
        let url = self.url.as_deref().unwrap_or("https://api.github.com");
        let api = Api::new(attempt.client, url, Auth::of(self.token.as_ref(), (None, None)))?;
        Ok(api
            .with_header("Accept", "application/vnd.github+json")
            .with_header("X-GitHub-Api-Version", "2022-11-28")
            .with_header("User-Agent", "millrace"))
    }

    fn path<'p>(&'p self, more: &[&'p str]) -> Result<Vec<&'p str>, CallError> {
        match self.repository.as_deref().and_then(|name| name.split_once('/')) {
            Some((owner, name)) => Ok([&["repos", owner, name, "actions"], more].concat()),
            None => Err(CallError::config(
                "call-config",
                "`github_actions` needs a `repository`",
                "write `owner/name`, in the step or in its `connection`",
            )),
        }
    }

    /// Whether the workflow shows the key, so that a run can be found by it.
    fn named<'v>(&self, runs: &'v [Value], attempt: &Attempt<'_>) -> Option<&'v Value> {
        self.key_input.as_ref()?;
        runs.iter()
            .find(|run| text_at(run, "/display_title").is_some_and(|title| title.contains(attempt.key)))
    }

    /// The run that this attempt began.
    async fn find(&self, api: &Api<'_>, attempt: &Attempt<'_>) -> Result<Option<Begun>, CallError> {
        let since =
            (attempt.first_begun - SignedDuration::from_secs(5)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let created = format!(">={since}");
        let query =
            [("event", "workflow_dispatch"), ("branch", self.branch.as_str()), ("created", created.as_str())];
        let answer = api.get(&self.path(&["workflows", &self.workflow, "runs"])?, &query).await?;
        let runs = answer.list("/workflow_runs");
        // Newest first: the oldest since the attempt began is the one that it began.
        let found =
            self.named(runs, attempt).or_else(|| if self.key_input.is_none() { runs.last() } else { None });
        Ok(found.and_then(|run| Some(Begun::new(text_at(run, "/id")?, text_at(run, "/html_url")))))
    }
}

#[async_trait]
impl Target for GitHubActions {
    fn what(&self) -> String {
        format!("the workflow `{}`", self.workflow)
    }

    async fn begin(&self, attempt: &Attempt<'_>) -> Result<Begun, CallError> {
        let api = self.api(attempt)?;
        if attempt.again
            && let Some(begun) = self.find(&api, attempt).await?
        {
            return Ok(begun);
        }
        let mut inputs = self.inputs.clone();
        if let Some(name) = &self.key_input {
            inputs.insert(name.clone(), attempt.key.into());
        }
        let mut body = json!({"ref": self.branch, "inputs": inputs, "return_run_details": true});
        let path = self.path(&["workflows", &self.workflow, "dispatches"])?;
        let answer = match api.post(&path, &[], Some(&body)).await {
            // Servers of before February 2026 do not know this field and refuse the request.
            Err(error) if error.status() == Some(422) => {
                body.as_object_mut().map(|fields| fields.remove("return_run_details"));
                api.post(&path, &[], Some(&body)).await?
            }
            answer => answer?,
        };
        match answer.text("/workflow_run_id") {
            Some(id) => Ok(Begun::new(id, answer.text("/html_url"))),
            // Older servers say nothing of what they began, and list it a moment later: the look finds it.
            None => Ok(Begun::new("", None)),
        }
    }

    async fn look(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<Seen, CallError> {
        let api = self.api(attempt)?;
        let known = if begun.id.is_empty() { self.find(&api, attempt).await? } else { Some(begun.clone()) };
        let Some(begun) = known else { return Ok(Seen::Going("not listed yet".to_owned())) };
        let run = api.get(&self.path(&["runs", &begun.id])?, &[]).await?;
        let state = run.id("/status")?;
        if state != "completed" {
            return Ok(Seen::Going(state));
        }
        let conclusion = run.id("/conclusion")?;
        Ok(match conclusion.as_str() {
            "success" | "neutral" | "skipped" => Seen::succeeded(conclusion, Value::Null),
            "cancelled" => Seen::cancelled(conclusion),
            _ => {
                let jobs = api.get(&self.path(&["runs", &begun.id, "jobs"])?, &[]).await.ok();
                let failed = jobs.iter().flat_map(|jobs| jobs.list("/jobs")).filter(|job| {
                    text_at(job, "/conclusion").is_some_and(|conclusion| conclusion == "failure")
                });
                let failed: Vec<String> = failed
                    .filter_map(|job| Some(format!("job `{}` failed", text_at(job, "/name")?)))
                    .collect();
                Seen::failed(conclusion, Some(failed.join(", ")))
            }
        })
    }

    async fn cancel(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<(), CallError> {
        let api = self.api(attempt)?;
        let known = if begun.id.is_empty() { self.find(&api, attempt).await? } else { Some(begun.clone()) };
        let Some(begun) = known else { return Ok(()) };
        api.post(&self.path(&["runs", &begun.id, "cancel"])?, &[], None).await?;
        Ok(())
    }
}
