//! Requests to a server, tried again when it is busy.

use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use url::Url;

use crate::ImportError;

/// How often a request is sent.
const TRIES: u32 = 4;

/// Who asks.
#[derive(Clone, Default)]
pub struct Access {
    /// A bearer token.
    pub token: Option<String>,
    /// A name and a password.
    pub basic: Option<(String, String)>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Access").finish_non_exhaustive()
    }
}

pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    access: Access,
}

impl Client {
    pub(super) fn new(given: &str, mut access: Access) -> Result<Self, ImportError> {
        let unknown = || ImportError::UnknownSource {
            given: given.rsplit_once('@').map_or(given, |(_, shown)| shown).to_owned(),
        };
        let mut url = Url::parse(given).map_err(|_| unknown())?;
        if let (name, Some(password)) = (url.username(), url.password()) {
            access.basic = Some((name.to_owned(), password.to_owned()));
        }
        url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| unknown())?;
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(20))
            .read_timeout(Duration::from_secs(120))
            .build();
        let url = url.as_str().trim_end_matches('/').to_owned();
        let http =
            http.map_err(|error| ImportError::Server { url: url.clone(), reason: error.to_string() })?;
        Ok(Self { http, url, access })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, ImportError> {
        let url = format!("{}/api/{path}", self.url);
        self.document(&url, || self.http.get(&url).query(query)).await?.ok_or_else(|| self.unknown(&url))
    }

    /// `None` if the server has no such address: it is older.
    pub(super) async fn get_if_known(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Option<Value>, ImportError> {
        let url = format!("{}/{path}", self.url);
        self.document(&url, || self.http.get(&url).query(query)).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, ImportError> {
        let url = format!("{}/api/{path}", self.url);
        self.post_if_known(path, body).await?.ok_or_else(|| self.unknown(&url))
    }

    /// `None` if the server has no such address: it is older.
    pub(super) async fn post_if_known(&self, path: &str, body: &Value) -> Result<Option<Value>, ImportError> {
        let url = format!("{}/api/{path}", self.url);
        let mut body = body.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        self.document(&url, || self.http.post(&url).json(&body)).await
    }

    /// A file that the server keeps, as a stream.
    pub(super) async fn file(&self, path: &str) -> Result<Response, ImportError> {
        let unknown = || self.unknown(path);
        let mut url = Url::parse(&self.url).map_err(|_| unknown())?;
        let mut parts = url.path_segments_mut().map_err(|()| unknown())?;
        parts.pop_if_empty().extend(["api", "2.0", "mlflow-artifacts", "artifacts"]).extend(path.split('/'));
        drop(parts);
        let answer = self.send(url.as_str(), || self.http.get(url.clone())).await?;
        if answer.status().is_success() { Ok(answer) } else { Err(refused(url.as_str(), answer).await) }
    }

    fn unknown(&self, url: &str) -> ImportError {
        ImportError::Server { url: url.to_owned(), reason: "there is no such address".to_owned() }
    }

    async fn document(
        &self,
        url: &str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Option<Value>, ImportError> {
        let answer = self.send(url, request).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !answer.status().is_success() {
            return Err(refused(url, answer).await);
        }
        let failed = |error: reqwest::Error| ImportError::Server {
            url: url.to_owned(),
            reason: error.without_url().to_string(),
        };
        let body = answer.bytes().await.map_err(failed)?;
        serde_json::from_slice(&body).map(Some).map_err(|error| ImportError::Server {
            url: url.to_owned(),
            reason: format!("its answer is not JSON: {error}"),
        })
    }

    async fn send(&self, url: &str, request: impl Fn() -> RequestBuilder) -> Result<Response, ImportError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut request = request();
            if let Some(token) = &self.access.token {
                request = request.bearer_auth(token);
            } else if let Some((name, password)) = &self.access.basic {
                request = request.basic_auth(name, Some(password));
            }
            let reason = match request.send().await {
                Ok(answer) if tries < TRIES && is_busy(answer.status()) => answer.status().to_string(),
                Ok(answer) => return Ok(answer),
                Err(error) => with_cause(&error.without_url()),
            };
            if tries >= TRIES {
                return Err(ImportError::Server { url: url.to_owned(), reason });
            }
            tokio::time::sleep(Duration::from_millis(500 << tries)).await;
        }
    }
}

fn is_busy(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

async fn refused(url: &str, answer: Response) -> ImportError {
    let status = answer.status();
    let body = answer.bytes().await.unwrap_or_default();
    let document: Option<Value> = serde_json::from_slice(&body).ok();
    let message = document.as_ref().and_then(|document| document.get("message")).and_then(Value::as_str);
    let reason = message.map_or_else(|| status.to_string(), |message| format!("{status}: {message}"));
    ImportError::Server { url: url.to_owned(), reason }
}
