//! Web servers: files by their address, with ranges.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};
use indexmap::IndexMap;
use object_store::{Attribute, AttributeValue};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::settings::{Leads, Settings, masked};
use super::{
    ByteStream, CONNECT, FileFacts, FileStore, Kind, Nature, NewFile, Opened, SILENCE, StagedFile, changed,
};
use crate::error::CopyError;

/// The kind of connection `http`.
pub(super) const KIND: Kind =
    Kind::of::<HttpConnection>("copy: {from: \"https://example.org/rows.csv\", to: \"data:rows\"}\n");

/// Words in the names of parameters whose values an address must not show.
const SECRET_PARAMETERS: &[&str] = &["sig", "token", "key", "secret", "password", "credential"];

/// Reads files from web servers.
///
/// An address alone is enough where nobody asks who reads. Else, in connections.yaml: `feeds: {http: {url: "https://example.org/files/",
/// bearer: …}}`; then `feeds:day/rows.csv`, and every address below that `url`, is asked for with it. A connection that breaks goes on where
/// it was, if the server knows ranges and the file is the same.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpConnection {
    /// What the addresses of its files begin with.
    pub(super) url: Url,
    /// Who reads, for basic authentication.
    #[serde(default)]
    pub(super) user: Option<String>,
    /// The user's password, usually `${{ secrets.… }}`.
    #[serde(default)]
    pub(super) password: Option<String>,
    /// A bearer token instead, usually `${{ secrets.… }}`.
    #[serde(default)]
    pub(super) bearer: Option<String>,
    /// Further headers of each request, for example an API key. Their values are kept out of messages.
    #[serde(default)]
    pub(super) headers: IndexMap<String, String>,
    /// Whether what opens the server may be sent to `http://`, which does not encrypt it.
    #[serde(default)]
    pub(super) allow_http: bool,
}

impl Settings for HttpConnection {
    const WORD: &'static str = "http";
    const SCHEMES: &'static [&'static str] = &["http", "https"];
    const SECRET: &'static [&'static str] = &["password", "bearer"];

    fn declaration(name: &str, place: &str) -> String {
        format!("{name}: {{http: {{url: \"https://{place}/\", bearer: \"${{{{ secrets.{name} }}}}\"}}}}")
    }

    fn check(&self) -> Result<(), String> {
        if !matches!(self.url.scheme(), "http" | "https") {
            return Err("`url` begins with `https://` or `http://`".to_owned());
        }
        if !self.url.username().is_empty() || self.url.password().is_some() {
            return Err("`url` has no user in it; write `user` and `password` beside it".to_owned());
        }
        if self.url.query().is_some() || self.url.fragment().is_some() {
            return Err("`url` has no `?` and no `#`".to_owned());
        }
        if self.user.is_some() != self.password.is_some() {
            return Err("`user` and `password` go together".to_owned());
        }
        if self.user.is_some() && self.bearer.is_some() {
            return Err("`bearer` needs no user".to_owned());
        }
        if let Some((name, _)) = self.headers.iter().find(|(name, value)| {
            HeaderName::try_from(name.as_str()).is_err() || HeaderValue::try_from(value.as_str()).is_err()
        }) {
            return Err(format!("the header `{name}` is none"));
        }
        let asks = self.user.is_some() || self.bearer.is_some() || !self.headers.is_empty();
        if asks && self.url.scheme() == "http" && !self.allow_http {
            return Err("its url is `http://`, which needs `allow_http: true`".to_owned());
        }
        Ok(())
    }
}

impl Leads for HttpConnection {
    fn root(&self) -> String {
        folder(&self.url).to_string()
    }

    fn open(&self) -> Result<Arc<dyn FileStore>, CopyError> {
        Ok(Arc::new(self.web()?))
    }
}

impl HttpConnection {
    /// The server that the settings lead to.
    pub(super) fn web(&self) -> Result<Web, CopyError> {
        let refused = |message: String| CopyError::config(message, Self::declaration("feeds", "example.org"));
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name.as_str()).map_err(|error| refused(error.to_string()))?;
            let mut value =
                HeaderValue::try_from(value.as_str()).map_err(|_| refused(format!("`{name}` is no text")))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let builder = || {
            Client::builder()
                .connect_timeout(CONNECT)
                .default_headers(headers.clone())
                .redirect(same_server())
        };
        let built = |client: reqwest::Result<Client>| client.map_err(|error| refused(error.to_string()));
        let client = built(builder().read_timeout(SILENCE).build())?;
        let uploads = built(builder().build())?;
        let mut secrets: Vec<String> = self.headers.values().cloned().collect();
        secrets.extend([&self.password, &self.bearer].into_iter().flatten().cloned());
        let login = match (&self.user, &self.password, &self.bearer) {
            (Some(user), Some(password), _) => Login::Basic(user.clone(), password.clone()),
            (_, _, Some(bearer)) => Login::Bearer(bearer.clone()),
            _ => Login::None,
        };
        Ok(Web { client, uploads, root: folder(&self.url), login, secrets })
    }
}

/// Follows redirections within a server: what opens it is not sent to another one.
pub(crate) fn same_server() -> reqwest::redirect::Policy {
    reqwest::redirect::Policy::custom(|attempt| {
        let first = attempt.previous().first();
        let same = first.is_some_and(|first| first.origin() == attempt.url().origin());
        match (same, attempt.previous().len() > 10) {
            (true, false) => attempt.follow(),
            (true, true) => attempt.error("it leads on and on"),
            (false, _) => attempt.error("it leads to another server"),
        }
    })
}

/// The address with a `/` at its end, so that names are joined below it.
pub(crate) fn folder(url: &Url) -> Url {
    let mut url = url.clone();
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

/// An address as it may be shown: without user, password and the values of parameters that open something.
pub(crate) fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    // Only addresses without a host refuse this, and those have no user.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    let secret = |name: &str| SECRET_PARAMETERS.iter().any(|word| name.to_lowercase().contains(word));
    if url.query_pairs().any(|(name, _)| secret(&name)) {
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(name, value)| {
                let value = if secret(&name) { "***".to_owned() } else { value.into_owned() };
                (name.into_owned(), value)
            })
            .collect();
        shown.query_pairs_mut().clear().extend_pairs(pairs);
    }
    shown.to_string()
}

/// Lets one file be read by its address alone.
pub(crate) fn alone(client: &Client, url: &Url) -> Arc<dyn FileStore> {
    let (client, uploads) = (client.clone(), client.clone());
    Arc::new(Web { client, uploads, root: url.clone(), login: Login::None, secrets: Vec::new() })
}

enum Login {
    None,
    Basic(String, String),
    Bearer(String),
}

/// A web server below an address.
pub(super) struct Web {
    client: Client,
    /// Without a limit on the time to the answer, which begins when the first byte of the body is sent.
    uploads: Client,
    root: Url,
    login: Login,
    secrets: Vec<String>,
}

impl Web {
    pub(super) fn url(&self, path: &str) -> Result<Url, CopyError> {
        if path.is_empty() {
            return Ok(self.root.clone());
        }
        let mut url = self.root.clone();
        let refused = || CopyError::config(format!("`{path}` is no path"), "feeds:day/rows.csv");
        let parts = path.trim_start_matches('/').split('/');
        if parts.clone().any(|part| matches!(part, "." | "..")) {
            return Err(refused());
        }
        url.path_segments_mut().map_err(|()| refused())?.pop_if_empty().extend(parts);
        Ok(url)
    }

    /// A request of who may be there.
    pub(super) fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, CopyError> {
        Ok(self.logged_in(self.client.request(method, self.url(path)?)))
    }

    /// A request that has a body which comes bit by bit; who sends it limits the silence.
    pub(super) fn upload(&self, path: &str) -> Result<RequestBuilder, CopyError> {
        Ok(self.logged_in(self.uploads.put(self.url(path)?)))
    }

    fn logged_in(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.login {
            Login::None => request,
            Login::Basic(user, password) => request.basic_auth(user, Some(password)),
            Login::Bearer(token) => request.bearer_auth(token),
        }
    }

    fn not_written(&self, path: &str) -> CopyError {
        CopyError::config(
            format!("`{}` cannot be written", self.label(path)),
            "copy to `data:name`, a path or a connection",
        )
    }

    pub(super) fn read_failed(&self, path: &str, error: reqwest::Error) -> CopyError {
        let (message, transient) = said(error, &self.secrets);
        CopyError::Read { what: self.label(path), message, transient }
    }

    pub(super) fn write_failed(&self, path: &str, error: reqwest::Error) -> CopyError {
        let (message, transient) = said(error, &self.secrets);
        CopyError::Write { what: self.label(path), message, transient }
    }

    pub(super) fn secrets(&self) -> &[String] {
        &self.secrets
    }
}

/// What went wrong, and whether it may pass.
pub(super) fn said(error: reqwest::Error, secrets: &[String]) -> (String, bool) {
    let transient = error.status().is_none_or(passes) && !error.is_redirect();
    (masked(&in_words(&error.without_url()), secrets), transient)
}

/// Whether a refusal may pass by itself.
pub(super) fn passes(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

/// The error and what caused it, which says more.
pub(crate) fn in_words(error: &reqwest::Error) -> String {
    let mut cause = std::error::Error::source(error);
    let mut last = None;
    while let Some(next) = cause {
        last = Some(next);
        cause = next.source();
    }
    last.map_or_else(|| error.to_string(), |last| format!("{error}: {last}"))
}

/// What an answer says of its file.
fn facts(path: &str, answer: &Response) -> FileFacts {
    let text = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    // `bytes 100-199/200`
    let size = if answer.status() == StatusCode::PARTIAL_CONTENT {
        text("content-range").and_then(|range| range.rsplit_once('/')).and_then(|(_, size)| size.parse().ok())
    } else {
        text("content-length").and_then(|length| length.parse().ok())
    };
    let modified = text("last-modified").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    FileFacts {
        path: path.to_owned(),
        size,
        modified: modified.map(|date| date.timestamp()),
        etag: text("etag").map(str::to_owned),
    }
}

/// The type of its file.
fn nature(answer: &Response) -> Nature {
    let kind = answer.headers().get("content-type").and_then(|value| value.to_str().ok());
    let kind = kind.map(|kind| (Attribute::ContentType, AttributeValue::from(kind.to_owned())));
    Nature { attributes: kind.into_iter().collect(), mode: None }
}

/// Where the bytes of an answer begin in the file.
fn begins_at(answer: &Response) -> u64 {
    if answer.status() != StatusCode::PARTIAL_CONTENT {
        return 0;
    }
    let range = answer.headers().get("content-range").and_then(|value| value.to_str().ok());
    let first = range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-'));
    first.and_then(|(first, _)| first.parse().ok()).unwrap_or(0)
}

/// What is left of a stream after so many bytes.
fn after(skip: u64, bytes: ByteStream) -> ByteStream {
    if skip == 0 {
        return bytes;
    }
    let skipping = bytes.scan(skip, |skip, piece| {
        let piece = piece.map(|mut piece| {
            let here = usize::try_from(*skip).unwrap_or(usize::MAX).min(piece.len());
            *skip -= here as u64;
            piece.split_off(here)
        });
        futures::future::ready(Some(piece))
    });
    skipping.boxed()
}

#[async_trait]
impl FileStore for Web {
    fn label(&self, path: &str) -> String {
        self.url(path).map_or_else(|_| path.to_owned(), |url| shown(&url))
    }

    async fn list(&self, folder: &str, _: Option<usize>) -> Result<Vec<FileFacts>, CopyError> {
        Err(CopyError::config(
            format!("`{}`: a web server does not say which files it has", self.label(folder)),
            "name one file, without `*` and `?`",
        ))
    }

    async fn read(&self, path: &str, from: u64, seen: Option<&FileFacts>) -> Result<Opened, CopyError> {
        // No content coding: the bytes are the file's own.
        let mut request = self.request(Method::GET, path)?.header("accept-encoding", "identity");
        if from > 0 {
            request = request.header("range", format!("bytes={from}-"));
            // A weak tag may stay when bytes change.
            let strong = seen.and_then(|seen| seen.etag.as_deref()).filter(|etag| !etag.starts_with("W/"));
            if let Some(etag) = strong {
                request = request.header("if-range", etag);
            }
        }
        let answer = request.send().await.map_err(|error| self.read_failed(path, error))?;
        if from > 0 && answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return Err(changed(self.label(path)));
        }
        let answer = answer.error_for_status().map_err(|error| self.read_failed(path, error))?;
        let (facts, nature, begin) = (facts(path, &answer), nature(&answer), begins_at(&answer));
        let Some(skip) = from.checked_sub(begin) else {
            return Err(CopyError::read(self.label(path), &"the server answers with another range"));
        };
        let (label, secrets) = (self.label(path), self.secrets.clone());
        let bytes = answer.bytes_stream().map_err(move |error| {
            let message = masked(&in_words(&error.without_url()), &secrets);
            CopyError::Read { what: label.clone(), message, transient: true }
        });
        Ok(Opened { facts, nature, bytes: after(skip, bytes.boxed()) })
    }

    async fn begin(&self, path: &str, _: &NewFile) -> Result<Box<dyn StagedFile>, CopyError> {
        Err(self.not_written(path))
    }

    async fn delete(&self, path: &str) -> Result<(), CopyError> {
        Err(self.not_written(path))
    }

    fn lists(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(settings: Value, expected: Result<&str, &str>) {
        let found = KIND.read("feeds", &json!({"http": settings}));
        let found = found.and_then(|it| it.open().map(|store| store.label("day/a b.csv")));
        assert_eq!(
            found.map_err(|error| error.to_string()),
            expected.map(str::to_owned).map_err(|it| format!("the connection `feeds`: {it}"))
        );
    }

    #[test]
    fn settings() {
        check(json!({"url": "https://host/files"}), Ok("https://host/files/day/a%20b.csv"));
        check(
            json!({"url": "http://host/", "headers": {"x-api-key": "k"}, "allow_http": true}),
            Ok("http://host/day/a%20b.csv"),
        );
        check(
            json!({"url": "http://host/", "bearer": "k"}),
            Err("its url is `http://`, which needs `allow_http: true`"),
        );
        check(json!({"url": "https://host/", "user": "u"}), Err("`user` and `password` go together"));
        check(
            json!({"url": "https://u:p@host/"}),
            Err("`url` has no user in it; write `user` and `password` beside it"),
        );
        check(json!({"url": "https://host/", "headers": {"a b": "c"}}), Err("the header `a b` is none"));
    }

    #[test]
    fn what_opens_a_file_is_not_shown() {
        let shown = |url: &str| super::shown(&Url::parse(url).unwrap());
        assert_eq!(shown("https://u:p@host/a.csv?day=1"), "https://host/a.csv?day=1");
        assert_eq!(
            shown("https://host/a.csv?X-Amz-Signature=abc&day=1"),
            "https://host/a.csv?X-Amz-Signature=***&day=1"
        );
    }

    #[tokio::test]
    async fn a_server_without_ranges_is_read_past() {
        let pieces = ["ab", "cde", "f"].map(|piece| Ok(bytes::Bytes::from_static(piece.as_bytes())));
        let rest = after(3, futures::stream::iter(pieces).boxed());
        let rest: Vec<bytes::Bytes> = rest.try_collect().await.unwrap();
        assert_eq!(rest.concat(), b"def");
    }
}
