use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::{Answer, Api, Auth};
use crate::error::CallError;
use crate::target::{Attempt, Begun, Named, Seen, Target};

/// Tag by which an attempt finds the run that it began.
const TAG: &str = "millrace/key";
const FIND_JOB: &str = "{ answer: repositoriesOrError { __typename ... on RepositoryConnection { nodes { name location { name } jobs { name } } } ... on Error { message } } }";
const FIND_RUN: &str = "query($filter: RunsFilter!) { answer: runsOrError(filter: $filter, limit: 1) { __typename ... on Runs { results { runId } } ... on Error { message } } }";
const LAUNCH: &str = "mutation($params: ExecutionParams!) { answer: launchRun(executionParams: $params) { __typename ... on LaunchRunSuccess { run { runId } } ... on RunConfigValidationInvalid { errors { message } } ... on Error { message } } }";
const LOOK: &str = "query($id: ID!) { answer: runOrError(runId: $id) { __typename ... on Run { status stepStats { stepKey status } } ... on Error { message } } }";
const CANCEL: &str = "mutation($id: String!) { answer: terminateRun(runId: $id) { __typename ... on TerminateRunFailure { message } ... on Error { message } } }";

/// How often, and after what pause, a run that is being started is asked to end.
const CANCELS: u32 = 60;
const CANCEL_AGAIN: Duration = Duration::from_millis(500);

/// Launches a job of Dagster.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dagster {
    /// An entry of `connections.yaml`, `NAME: {dagster: {url: …}}`.
    #[allow(dead_code, reason = "its fields were put in before")]
    connection: Option<String>,
    /// Address of the web server, `http://dagster:3000`.
    url: Option<String>,
    /// Name of the job.
    job: String,
    /// Code location; found by the job's name if absent.
    location: Option<String>,
    /// Repository in it; found by the job's name if absent.
    repository: Option<String>,
    /// Run config.
    #[serde(default)]
    run_config: Map<String, Value>,
    /// Tags of the run.
    #[serde(default)]
    tags: Map<String, Value>,
    /// A token of Dagster+.
    token: Option<String>,
}

impl Named for Dagster {
    const NAME: &'static str = "dagster";
    const EXAMPLE: &'static str = "dagster:\n  url: http://dagster:3000\n  job: nightly\n  run_config: {ops: {load: {config: {day: 2026-03-01}}}}\n";
}

impl Dagster {
    fn api<'a>(&self, attempt: &Attempt<'a>) -> Result<Api<'a>, CallError> {
        let auth = match &self.token {
            Some(token) => Auth::Header("Dagster-Cloud-Api-Token", token.clone()),
            None => Auth::None,
        };
        Api::new(attempt.client, self.url.as_deref().unwrap_or_default(), auth)
    }

    /// Asks and gives the field `answer` if it is of the wanted type; other types are Dagster's errors.
    async fn ask(api: &Api<'_>, query: &str, variables: Value, wanted: &[&str]) -> Result<Answer, CallError> {
        let body = json!({"query": query, "variables": variables});
        let answer = api.post(&["graphql"], &[], Some(&body)).await?;
        let kind = answer.text("/data/answer/__typename").unwrap_or_default();
        if wanted.contains(&kind.as_str()) {
            return Ok(answer);
        }
        let errors = answer.list("/data/answer/errors").iter().chain(answer.list("/errors"));
        let said: Vec<String> = errors
            .filter_map(|error| error.get("message")?.as_str().map(str::to_owned))
            .chain(answer.text("/data/answer/message"))
            .collect();
        let said = if said.is_empty() { kind } else { said.join("; ") };
        Err(CallError::config(
            "call-refused",
            format!("Dagster refuses: {said}"),
            "check the names and the config in the step",
        ))
    }

    /// Location and repository of the job.
    async fn selector(&self, api: &Api<'_>) -> Result<Value, CallError> {
        let selector = |location: &str, repository: &str| json!({"repositoryLocationName": location, "repositoryName": repository, "jobName": self.job});
        if let (Some(location), Some(repository)) = (&self.location, &self.repository) {
            return Ok(selector(location, repository));
        }
        let answer = Self::ask(api, FIND_JOB, json!({}), &["RepositoryConnection"]).await?;
        let text = |value: &Value, pointer: &str| crate::api::text_at(value, pointer).unwrap_or_default();
        let fits = |repository: &&Value| {
            let jobs = repository.get("jobs").and_then(Value::as_array).into_iter().flatten();
            let mut names = jobs.map(|job| text(job, "/name"));
            names.any(|name| name == self.job)
                && self.location.as_ref().is_none_or(|wanted| *wanted == text(repository, "/location/name"))
                && self.repository.as_ref().is_none_or(|wanted| *wanted == text(repository, "/name"))
        };
        let found: Vec<&Value> = answer.list("/data/answer/nodes").iter().filter(fits).collect();
        match found.as_slice() {
            [one] => Ok(selector(&text(one, "/location/name"), &text(one, "/name"))),
            [] => Err(CallError::config(
                "call-refused",
                format!("Dagster has no job `{}`", self.job),
                "check `job` and `location`",
            )),
            _ => Err(CallError::config(
                "call-refused",
                format!("several code locations have a job `{}`", self.job),
                "say which with `location: …`",
            )),
        }
    }
}

#[async_trait]
impl Target for Dagster {
    fn what(&self) -> String {
        format!("the job `{}`", self.job)
    }

    async fn begin(&self, attempt: &Attempt<'_>) -> Result<Begun, CallError> {
        let api = self.api(attempt)?;
        let page = |id: &str| Some(api.url(&["runs", id], &[]).to_string());
        let filter = json!({"filter": {"tags": [{"key": TAG, "value": attempt.key}]}});
        let earlier = Self::ask(&api, FIND_RUN, filter, &["Runs"]).await?;
        if let Some(id) = earlier.text("/data/answer/results/0/runId") {
            return Ok(Begun::new(id.clone(), page(&id)));
        }
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut tags: Vec<Value> =
            self.tags.iter().map(|(key, value)| json!({"key": key, "value": text(value)})).collect();
        tags.push(json!({"key": TAG, "value": attempt.key}));
        let params = json!({
            "selector": self.selector(&api).await?,
            "runConfigData": self.run_config,
            "executionMetadata": {"tags": tags},
        });
        let launched = Self::ask(&api, LAUNCH, json!({"params": params}), &["LaunchRunSuccess"]).await?;
        let id = launched.id("/data/answer/run/runId")?;
        Ok(Begun::new(id.clone(), page(&id)))
    }

    async fn look(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<Seen, CallError> {
        let run = Self::ask(&self.api(attempt)?, LOOK, json!({"id": begun.id}), &["Run"]).await?;
        let state = run.id("/data/answer/status")?;
        Ok(match state.as_str() {
            "SUCCESS" => Seen::succeeded(state, Value::Null),
            "FAILURE" => {
                let steps = run.list("/data/answer/stepStats").iter();
                let failed =
                    steps.filter(|step| step.get("status").is_some_and(|status| status == "FAILURE"));
                let failed: Vec<String> = failed
                    .filter_map(|step| Some(format!("op `{}` failed", step.get("stepKey")?.as_str()?)))
                    .collect();
                Seen::failed(state, Some(failed.join(", ")))
            }
            "CANCELED" => Seen::cancelled(state),
            _ => Seen::Going(state),
        })
    }

    async fn cancel(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<(), CallError> {
        let api = self.api(attempt)?;
        let answers = ["TerminateRunSuccess", "TerminateRunFailure"];
        let mut refused = String::new();
        for _ in 0..CANCELS {
            let answer = Self::ask(&api, CANCEL, json!({"id": begun.id}), &answers).await?;
            let Some(why) = answer.text("/data/answer/message") else { return Ok(()) };
            // Dagster terminates no run that it is starting, which would then go on.
            let is_starting = why.contains("STARTING") || why.contains("NOT_STARTED");
            refused = why;
            if !is_starting {
                break;
            }
            tokio::time::sleep(CANCEL_AGAIN).await;
        }
        let hint = "terminate it in Dagster";
        Err(CallError::config("call-refused", format!("Dagster refuses: {refused}"), hint))
    }
}
