use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::{Api, Auth};
use crate::error::CallError;
use crate::target::{Attempt, Begun, Named, Seen, Target};

/// Runs a DAG of Airflow.
///
/// The DAG must not be paused. The run is known there by a `dag_run_id` that is made of this attempt, so that it is never begun twice.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Airflow {
    /// An entry of `connections.yaml`, `NAME: {airflow: {url: …}}`.
    #[allow(dead_code, reason = "its fields were put in before")]
    connection: Option<String>,
    /// Address of the web server, `http://airflow:8080`.
    url: Option<String>,
    /// Id of the DAG.
    dag: String,
    /// `conf` of the run.
    #[serde(default)]
    conf: Map<String, Value>,
    /// Task whose return value is the output `result`.
    result_task: Option<String>,
    /// Login name.
    username: Option<String>,
    /// Its password.
    password: Option<String>,
    /// A token (JWT) in place of name and password.
    token: Option<String>,
    /// `v2` of Airflow 3, or `v1` of Airflow 2.
    #[serde(default)]
    api: Version,
}

#[derive(Default, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Version {
    #[default]
    V2,
    V1,
}

impl Named for Airflow {
    const NAME: &'static str = "airflow";
    const EXAMPLE: &'static str = "airflow:\n  url: http://airflow:8080\n  dag: nightly\n  conf: {day: 2026-03-01}\n  username: millrace\n  password: \"${{ secrets.airflow }}\"\n";
}

impl Airflow {
    async fn api<'a>(&self, attempt: &Attempt<'a>) -> Result<Api<'a>, CallError> {
        let url = self.url.as_deref().unwrap_or_default();
        let login = (self.username.as_ref(), self.password.as_ref());
        if self.api == Version::V1 || self.token.is_some() || self.username.is_none() {
            return Api::new(attempt.client, url, Auth::of(self.token.as_ref(), login));
        }
        // Airflow 3 takes name and password only in exchange for a token.
        let open = Api::new(attempt.client, url, Auth::None)?;
        let body = json!({"username": self.username, "password": self.password});
        let token = open.post(&["auth", "token"], &[], Some(&body)).await?.id("/access_token")?;
        Api::new(attempt.client, url, Auth::Bearer(token))
    }

    fn path<'p>(&'p self, more: &[&'p str]) -> Vec<&'p str> {
        let version = if self.api == Version::V1 { "v1" } else { "v2" };
        [&["api", version, "dags", self.dag.as_str(), "dagRuns"], more].concat()
    }

    fn page(&self, api: &Api<'_>, id: &str) -> String {
        match self.api {
            Version::V2 => api.url(&["dags", &self.dag, "runs", id], &[]).to_string(),
            Version::V1 => api.url(&["dags", &self.dag, "grid"], &[("dag_run_id", id)]).to_string(),
        }
    }

    /// The tasks that failed; without an answer the state alone is told.
    async fn failed_tasks(&self, api: &Api<'_>, id: &str) -> Option<String> {
        let answer = api.get(&self.path(&[id, "taskInstances"]), &[("state", "failed")]).await.ok()?;
        let tasks = answer.list("/task_instances").iter();
        let tasks: Vec<String> = tasks
            .filter_map(|task| Some(format!("task `{}` failed", task.get("task_id")?.as_str()?)))
            .collect();
        Some(tasks.join(", "))
    }

    async fn result(&self, api: &Api<'_>, id: &str) -> Result<Value, CallError> {
        let Some(task) = &self.result_task else { return Ok(Value::Null) };
        let path = self.path(&[id, "taskInstances", task, "xcomEntries", "return_value"]);
        let query: &[(&str, &str)] = match self.api {
            Version::V2 => &[("deserialize", "false"), ("stringify", "false")],
            Version::V1 => &[("stringify", "false")],
        };
        let answer = api.get(&path, query).await?;
        Ok(answer.body.get("value").cloned().unwrap_or_default())
    }
}

#[async_trait]
impl Target for Airflow {
    fn what(&self) -> String {
        format!("the DAG `{}`", self.dag)
    }

    async fn begin(&self, attempt: &Attempt<'_>) -> Result<Begun, CallError> {
        let api = self.api(attempt).await?;
        let id = format!("millrace__{}", attempt.key);
        let mut body = json!({"dag_run_id": id, "conf": self.conf});
        if self.api == Version::V2 {
            // A run at no instant of a schedule: two at the same one would be refused.
            body["logical_date"] = Value::Null;
        }
        match api.post(&self.path(&[]), &[], Some(&body)).await {
            Ok(_) => {}
            // It is there already.
            Err(error) if error.status() == Some(409) => {}
            Err(error) => return Err(error),
        }
        let page = self.page(&api, &id);
        Ok(Begun::new(id, Some(page)))
    }

    async fn look(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<Seen, CallError> {
        let api = self.api(attempt).await?;
        let state = api.get(&self.path(&[&begun.id]), &[]).await?.id("/state")?;
        Ok(match state.as_str() {
            "success" => Seen::succeeded(state, self.result(&api, &begun.id).await?),
            "failed" => Seen::failed(state, self.failed_tasks(&api, &begun.id).await),
            _ => Seen::Going(state),
        })
    }

    async fn cancel(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<(), CallError> {
        let api = self.api(attempt).await?;
        // Airflow has no state of its own for it; a failed run's tasks are ended.
        let url = api.url(&self.path(&[&begun.id]), &[]);
        api.send(reqwest::Method::PATCH, url, Some(&json!({"state": "failed"}))).await?;
        Ok(())
    }
}
