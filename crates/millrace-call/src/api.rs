//! Requests to another system's API: JSON in, JSON out, refusals told from absences.

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use url::Url;

use crate::error::CallError;

/// Most of a refusal's text that is repeated, characters.
const SAID: usize = 400;

/// Who asks.
#[derive(Clone)]
pub(crate) enum Auth {
    /// Nobody in particular.
    None,
    /// `Authorization: Bearer …`.
    Bearer(String),
    /// `Authorization: Basic …`.
    Basic(String, String),
    /// A header of its own.
    Header(&'static str, String),
}

impl Auth {
    /// A token if there is one, else name and password, else nobody.
    pub(crate) fn of(token: Option<&String>, login: (Option<&String>, Option<&String>)) -> Self {
        match (token, login) {
            (Some(token), _) => Self::Bearer(token.clone()),
            (None, (Some(name), password)) => {
                Self::Basic(name.clone(), password.cloned().unwrap_or_default())
            }
            (None, (None, _)) => Self::None,
        }
    }
}

/// An API below one address.
pub(crate) struct Api<'a> {
    client: &'a Client,
    base: Url,
    auth: Auth,
    headers: Vec<(&'static str, String)>,
}

/// What it answered with a status of success.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    /// `null` if the body was empty.
    pub(crate) body: Value,
    host: String,
}

impl<'a> Api<'a> {
    /// `url` is what the step says, or the default of the system.
    pub(crate) fn new(client: &'a Client, url: &str, auth: Auth) -> Result<Self, CallError> {
        Ok(Self { client, base: read_url(url)?, auth, headers: Vec::new() })
    }

    /// The same with a header for every request.
    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The address as text, without a slash at its end.
    pub(crate) fn root(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The address below which `path` lies; each part of it is escaped.
    pub(crate) fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Answer, CallError> {
        self.send(Method::GET, self.url(path, query), None).await
    }

    pub(crate) async fn post(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, CallError> {
        self.send(Method::POST, self.url(path, query), body).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
    ) -> Result<Answer, CallError> {
        let mut request = self.client.request(method.clone(), url.clone());
        request = match &self.auth {
            Auth::None => request,
            Auth::Bearer(token) => request.bearer_auth(token),
            Auth::Basic(name, password) => request.basic_auth(name, Some(password)),
            Auth::Header(name, value) => request.header(*name, value),
        };
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        sent(request, &method, &url).await
    }
}

/// Sends a request and reads its answer.
pub(crate) async fn sent(
    request: reqwest::RequestBuilder,
    method: &Method,
    url: &Url,
) -> Result<Answer, CallError> {
    let host = host(url);
    let away = |error: reqwest::Error| CallError::Away { host: host.clone(), message: cause(error) };
    let answer = request.send().await.map_err(away)?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let bytes = answer.bytes().await.map_err(away)?;
    let text = String::from_utf8_lossy(&bytes);
    if passes(status, &headers) {
        return Err(CallError::Away { message: format!("{status} {}", shortened(&text)), host });
    }
    if !status.is_success() {
        return Err(CallError::Refused {
            host,
            method: method.to_string(),
            path: url.path().to_owned(),
            status: status.as_u16(),
            said: shortened(&text),
        });
    }
    let body = if text.trim().is_empty() { Value::Null } else { read_body(&host, &text)? };
    Ok(Answer { headers, body, host })
}

impl Answer {
    /// Text or a number at a JSON pointer, as text.
    pub(crate) fn id(&self, pointer: &str) -> Result<String, CallError> {
        text_at(&self.body, pointer).ok_or_else(|| self.lacks(&format!("`{pointer}`")))
    }

    /// Text at a JSON pointer, if it is there.
    pub(crate) fn text(&self, pointer: &str) -> Option<String> {
        text_at(&self.body, pointer)
    }

    /// A list at a JSON pointer; empty if it is absent.
    pub(crate) fn list(&self, pointer: &str) -> &[Value] {
        self.body.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name)?.to_str().ok()?.to_owned())
    }

    pub(crate) fn lacks(&self, what: &str) -> CallError {
        CallError::Unexpected {
            host: self.host.clone(),
            what: what.to_owned(),
            said: shortened(&self.body.to_string()),
        }
    }
}

/// Text or a number at a JSON pointer, as text.
pub(crate) fn text_at(value: &Value, pointer: &str) -> Option<String> {
    match value.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// An address of the web.
pub(crate) fn read_url(text: &str) -> Result<Url, CallError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.filter(|url| !url.cannot_be_a_base()).ok_or_else(|| {
        CallError::config(
            "call-url",
            format!("`{text}` is not an address"),
            "write it as `https://host/path`",
        )
    })
}

fn read_body(host: &str, text: &str) -> Result<Value, CallError> {
    serde_json::from_str(text).map_err(|error| CallError::Unexpected {
        host: host.to_owned(),
        what: format!("JSON ({error})"),
        said: shortened(text),
    })
}

/// Statuses that are no answer to the question: the server is away, overloaded, or was asked too often.
fn passes(status: StatusCode, headers: &HeaderMap) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        // GitHub's way of saying too often.
        || status == StatusCode::FORBIDDEN && headers.contains_key(RETRY_AFTER)
}

/// Host and port, without what may be a secret.
fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// The innermost cause, which is the one that says something; never the address, whose query may be a secret.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SAID) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}
