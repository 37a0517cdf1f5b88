use async_trait::async_trait;
use indexmap::IndexMap;
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Answer, read_url, sent, text_at};
use crate::error::CallError;
use crate::target::{Attempt, Begun, Named, Seen, Target};

/// Submits a job to any web service and asks for its status until it is over.
///
/// `{id}` in later addresses is what `submit` gave, `{location}` the answer's `Location`. The request carries the header `Idempotency-Key`,
/// the same each time that this attempt is begun: a service that keeps it begins one job.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    /// An entry of `connections.yaml`, `NAME: {http: {headers: …}}`.
    #[allow(dead_code, reason = "its fields were put in before")]
    connection: Option<String>,
    /// Headers of every request.
    #[serde(default)]
    headers: IndexMap<String, String>,
    /// The request that begins the job.
    submit: Submit,
    /// The request that tells how far it is.
    status: Status,
    /// The request that ends it.
    cancel: Option<Request>,
    /// Address of its page for people, with `{id}`.
    page: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Submit {
    /// Address.
    url: String,
    /// `POST` if absent.
    method: Option<String>,
    /// JSON.
    body: Option<Value>,
    /// Where the answer has the job's id, `job.id`; the last part of `Location` if absent.
    id: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Status {
    /// Address, with `{id}` or `{location}`.
    url: String,
    /// Where the answer has the state, `job.state`.
    state: String,
    /// States in which it is done.
    succeeded: Vec<Value>,
    /// States in which it has failed.
    #[serde(default)]
    failed: Vec<Value>,
    /// States in which somebody cancelled it.
    #[serde(default)]
    cancelled: Vec<Value>,
    /// Where the answer says why it failed.
    message: Option<String>,
    /// Where the answer has what the output `result` is to be.
    result: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Request {
    /// Address, with `{id}` or `{location}`.
    url: String,
    /// `POST` if absent.
    method: Option<String>,
    /// JSON.
    body: Option<Value>,
}

impl Named for Http {
    const NAME: &'static str = "http";
    const EXAMPLE: &'static str = "http:\n  headers: {Authorization: \"Bearer ${{ secrets.jobs }}\"}\n  submit: {url: \"https://jobs.example/v1/jobs\", body: {kind: train}, id: job.id}\n  status: {url: \"https://jobs.example/v1/jobs/{id}\", state: job.state, succeeded: [done], failed: [error], message: job.error}\n  cancel: {method: DELETE, url: \"https://jobs.example/v1/jobs/{id}\"}\n";
}

impl Http {
    async fn send(
        &self,
        attempt: &Attempt<'_>,
        method: Option<&str>,
        url: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Answer, CallError> {
        let method =
            Method::from_bytes(method.unwrap_or("POST").to_ascii_uppercase().as_bytes()).map_err(|_| {
                CallError::config("call-config", "that is no method of HTTP", "write `method: POST`")
            })?;
        let url = read_url(url)?;
        let mut request = attempt.client.request(method.clone(), url.clone());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        sent(request, &method, &url).await
    }
}

/// `job.states.0` as a JSON pointer.
fn pointer(path: &str) -> String {
    let path = path.trim_start_matches('$').trim_start_matches('.');
    path.split('.').map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect()
}

/// Puts the job into an address.
fn filled(template: &str, begun: &Begun) -> String {
    let location = begun.more.get("location").and_then(Value::as_str).unwrap_or_default();
    let id: String = url::form_urlencoded::byte_serialize(begun.id.as_bytes()).collect();
    template.replace("{location}", location).replace("{id}", &id.replace('+', "%20"))
}

/// The address in the header `Location`, whole.
fn location(answer: &Answer, base: &str) -> Option<String> {
    let location = answer.header("location")?;
    Some(read_url(base).ok()?.join(&location).ok()?.to_string())
}

#[async_trait]
impl Target for Http {
    fn what(&self) -> String {
        let host = read_url(&self.submit.url).ok().and_then(|url| url.host_str().map(str::to_owned));
        format!("the job at {}", host.unwrap_or_default())
    }

    async fn begin(&self, attempt: &Attempt<'_>) -> Result<Begun, CallError> {
        let Submit { url, method, body, id } = &self.submit;
        let answer = self.send(attempt, method.as_deref(), url, body.as_ref(), Some(attempt.key)).await?;
        let location = location(&answer, url);
        let last_part = || location.as_deref()?.trim_end_matches('/').rsplit('/').next().map(str::to_owned);
        let id = match id {
            Some(path) => answer.id(&pointer(path))?,
            None => last_part().ok_or_else(|| answer.lacks("the header `Location`"))?,
        };
        let mut begun = Begun { id, url: None, more: json!({"location": location}) };
        begun.url = self.page.as_deref().map(|page| filled(page, &begun));
        Ok(begun)
    }

    async fn look(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<Seen, CallError> {
        let status = &self.status;
        let answer = self.send(attempt, Some("GET"), &filled(&status.url, begun), None, None).await?;
        let state = answer.id(&pointer(&status.state))?;
        let among = |words: &[Value]| {
            words.iter().any(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned) == state)
        };
        if among(&status.succeeded) {
            let result =
                status.result.as_deref().and_then(|path| answer.body.pointer(&pointer(path)).cloned());
            return Ok(Seen::succeeded(state, result.unwrap_or_default()));
        }
        if among(&status.cancelled) {
            return Ok(Seen::cancelled(state));
        }
        if among(&status.failed) {
            let message = status.message.as_deref().and_then(|path| text_at(&answer.body, &pointer(path)));
            return Ok(Seen::failed(state, message));
        }
        Ok(Seen::Going(state))
    }

    async fn cancel(&self, attempt: &Attempt<'_>, begun: &Begun) -> Result<(), CallError> {
        let Some(Request { url, method, body }) = &self.cancel else {
            let message = "the step has no `cancel`, so the job goes on there";
            return Err(CallError::config("call-config", message, "write `cancel: {url: …}`"));
        };
        self.send(attempt, method.as_deref(), &filled(url, begun), body.as_ref(), None).await?;
        Ok(())
    }
}
