//! One request at a time: paced, opened, and tried again while that may help.

use std::time::Duration;

use indexmap::IndexMap;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::super::Asking;
use super::super::settings::Hidden;
use super::address::set;
use super::auth::{Auth, NoToken, Opener};
use crate::error::CopyError;
use crate::store::http::{folder, in_words, same_server, shown};
use crate::store::{CONNECT, SILENCE, masked};

/// How often a request is sent again that failed for a reason that may pass.
const RETRIES: u32 = 6;
/// Before a request is sent again; each further time twice as long.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A server that asks to wait longer than this is left to the step's own `retry:`.
const PATIENCE: Duration = Duration::from_secs(600);
/// An answer longer than this is not read: it is kept in memory.
const LONGEST_ANSWER: usize = 256 << 20;
/// Letters of an answer that a message quotes.
const QUOTED: usize = 300;

/// Where an API is, and how it is asked.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: Url,
    pub(crate) auth: Auth,
    pub(crate) headers: IndexMap<String, Hidden>,
    pub(crate) max_requests_per_s: Option<f64>,
    pub(crate) allow_http: bool,
}

impl Server {
    fn check(&self) -> Result<(), String> {
        if !matches!(self.url.scheme(), "http" | "https") {
            return Err("`url` begins with `https://` or `http://`".to_owned());
        }
        if !self.url.username().is_empty() || self.url.password().is_some() {
            return Err("`url` has no user in it; write `auth: {basic: {user: …, password: …}}`".to_owned());
        }
        if self.url.query().is_some() || self.url.fragment().is_some() {
            return Err("`url` has no `?` and no `#`; parameters stand in `params`".to_owned());
        }
        if self.max_requests_per_s.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
            return Err("`max_requests_per_s` is more than 0; 0.5 is one in two seconds".to_owned());
        }
        self.auth.check(self.allow_http)?;
        let sent = self.auth.opens() || !self.headers.is_empty();
        if sent && self.url.scheme() == "http" && !self.allow_http {
            return Err("its `url` is `http://`, which needs `allow_http: true`".to_owned());
        }
        Ok(())
    }

    /// What asks it. Nothing is sent yet.
    pub(crate) fn client(self) -> Result<Client, String> {
        self.check()?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let wrong = || format!("`headers`: `{name}` cannot be a header with that value");
            let name = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
            let mut value = HeaderValue::try_from(value.0.as_str()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let usual = || reqwest::Client::builder().connect_timeout(CONNECT).read_timeout(SILENCE);
        let built = |builder: reqwest::ClientBuilder| {
            builder.redirect(same_server()).build().map_err(|error| error.to_string())
        };
        // The server of tokens does not get what is meant for this one.
        let tokens = built(usual())?;
        let mut secrets = self.auth.secrets();
        secrets.extend(self.headers.values().map(|value| value.0.clone()));
        Ok(Client {
            root: folder(&self.url),
            client: built(usual().default_headers(headers))?,
            opener: Opener::new(self.auth, tokens),
            secrets,
            gap: self.max_requests_per_s.map(|rate| Duration::from_secs_f64(1.0 / rate)),
            next: tokio::sync::Mutex::default(),
        })
    }
}

/// Where parameters of pages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parameters {
    /// Into the address.
    Address,
    /// Fields of the body.
    Body,
    /// Fields of `variables` in the body.
    Variables,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) url: Url,
    /// POST with a body and GET without one, if absent.
    pub(crate) method: Option<Method>,
    pub(crate) accept: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
    pub(crate) parameters: Parameters,
}

impl Ask {
    /// Gives a parameter this value.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        let body = self.body.as_mut();
        let fields = match self.parameters {
            Parameters::Address => None,
            Parameters::Body => body,
            Parameters::Variables => body.and_then(|body| body.get_mut("variables")),
        };
        match fields.and_then(Value::as_object_mut) {
            Some(fields) => {
                fields.insert(name.to_owned(), value);
            }
            None => set(&mut self.url, name, &super::as_text(&value).unwrap_or_default()),
        }
    }
}

/// What came.
pub(crate) struct Answer {
    pub(crate) body: Vec<u8>,
    pub(crate) document: Value,
    /// Where the header `Link` leads next.
    pub(crate) next: Option<String>,
}

/// Asks an API.
pub(crate) struct Client {
    pub(crate) root: Url,
    client: reqwest::Client,
    opener: Opener,
    secrets: Vec<String>,
    /// Between two requests at least.
    gap: Option<Duration>,
    /// When the next request may be sent.
    next: tokio::sync::Mutex<Option<Instant>>,
}

/// Why there is no answer.
struct GivenUp {
    message: String,
    /// Whether it may be there another time.
    transient: bool,
}

/// Why a request failed, and what may help.
struct Failed {
    message: String,
    again: Again,
}

enum Again {
    /// Nothing.
    Never,
    /// To ask again, after so long if the server says how long.
    Later(Option<Duration>),
    /// Another token.
    Renewed,
}

impl Client {
    /// Asks for a document until there is an answer, or no use in asking.
    pub(super) async fn ask(&self, ask: &Ask, asking: &Asking<'_>) -> Result<Answer, CopyError> {
        let answer = self.until_answered(|| self.document(ask), |line| asking.context.log.line(line)).await;
        answer.map_err(|GivenUp { message, transient }| asking.failed(message, transient))
    }

    /// Asks for whatever comes, as [`Client::ask`] does: HTTP's number, and what was answered.
    ///
    /// # Errors
    /// Why there is no answer, without what opens the API.
    pub(crate) async fn call(&self, ask: &Ask) -> Result<(u16, Vec<u8>), String> {
        let once = || async {
            let answer = self.sent(ask).await?;
            Ok((answer.status().as_u16(), whole(answer).await?))
        };
        let answer = self.until_answered(once, |line| tracing::debug!("{line}")).await;
        answer.map_err(|given_up| given_up.message)
    }

    /// Sends a body of this type, as [`Client::ask`] asks: what was answered.
    ///
    /// # Errors
    /// Why it was not taken, without what opens the API, and whether it may be another time.
    pub(super) async fn send(
        &self,
        ask: &Ask,
        body: Option<(&'static str, String)>,
    ) -> Result<Vec<u8>, (String, bool)> {
        let body = body.map(|(content, body)| (content, bytes::Bytes::from(body)));
        let once = || async {
            let answer = self.carried(ask, body.clone()).await?;
            match answer.status() {
                status if status.is_success() => whole(answer).await,
                status => Err(self.refused(status, answer).await),
            }
        };
        let answer = self.until_answered(once, |line| tracing::info!("{line}")).await;
        answer.map_err(|given_up| (given_up.message, given_up.transient))
    }

    /// A text without what opens the API.
    pub(super) fn masked(&self, text: &str) -> String {
        masked(text, &self.secrets)
    }

    /// Asks for whether somebody is there, once: HTTP's number. That what is asked for is not there is an answer too.
    ///
    /// # Errors
    /// If nobody answers, or the server refuses or cannot.
    pub(crate) async fn greet(&self, ask: &Ask) -> Result<u16, String> {
        let greeting = async {
            let answer = self.answered(ask).await?;
            let status = answer.status();
            let refuses = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
            if refuses || status.is_server_error() {
                return Err(self.refused(status, answer).await);
            }
            Ok(status.as_u16())
        };
        greeting.await.map_err(|failed: Failed| masked(&failed.message, &self.secrets))
    }

    /// Asks once for JSON: somebody waits for whether it answers.
    ///
    /// # Errors
    /// Why there is no such answer, without what opens the API.
    pub(crate) async fn ask_once(&self, ask: &Ask) -> Result<Answer, String> {
        self.document(ask).await.map_err(|failed| masked(&failed.message, &self.secrets))
    }

    async fn until_answered<T, F: Future<Output = Result<T, Failed>> + Send>(
        &self,
        once: impl Fn() -> F + Send + Sync,
        tell: impl Fn(&str) + Send + Sync,
    ) -> Result<T, GivenUp> {
        let (mut tries, mut renewed) = (0, false);
        loop {
            self.turn().await;
            let failed = match once().await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            tries += 1;
            let message = masked(&failed.message, &self.secrets);
            let given_up = |message, transient| Err(GivenUp { message, transient });
            let wait = match failed.again {
                Again::Never => return given_up(message, false),
                Again::Renewed if !renewed => {
                    renewed = true;
                    self.opener.renew().await;
                    continue;
                }
                Again::Renewed => return given_up(message, false),
                Again::Later(Some(wait)) if wait > PATIENCE => {
                    let message = format!("{message}; the server asks to wait {} s", wait.as_secs());
                    return given_up(message, true);
                }
                Again::Later(_) if tries > RETRIES => return given_up(message, true),
                Again::Later(wait) => {
                    wait.unwrap_or_else(|| (PAUSE * 2_u32.pow(tries - 1)).min(LONGEST_PAUSE))
                }
            };
            tell(&format!("{message}; asking again in {:.1} s", wait.as_secs_f64()));
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits until a request may be sent.
    async fn turn(&self) {
        let Some(gap) = self.gap else { return };
        let mut next = self.next.lock().await;
        let now = Instant::now();
        let turn = next.map_or(now, |next| next.max(now));
        *next = Some(turn + gap);
        drop(next);
        tokio::time::sleep_until(turn).await;
    }

    async fn sent(&self, ask: &Ask) -> Result<Response, Failed> {
        let answer = self.answered(ask).await?;
        let status = answer.status();
        if !status.is_success() {
            return Err(self.refused(status, answer).await);
        }
        Ok(answer)
    }

    /// Whatever is answered.
    async fn answered(&self, ask: &Ask) -> Result<Response, Failed> {
        self.carried(ask, None).await
    }

    /// The same to a request with this body.
    async fn carried(
        &self,
        ask: &Ask,
        body: Option<(&'static str, bytes::Bytes)>,
    ) -> Result<Response, Failed> {
        let mut url = ask.url.clone();
        if let Some((name, value)) = self.opener.parameter() {
            set(&mut url, name, value);
        }
        let usual = if ask.body.is_some() { Method::POST } else { Method::GET };
        let method = ask.method.clone().unwrap_or(usual);
        let mut request = self.client.request(method, url).header("accept", ask.accept);
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        if let Some((content, body)) = body {
            request = request.header("content-type", content).body(body);
        }
        let request = self.opener.open(request).await.map_err(no_token)?;
        request.send().await.map_err(broken)
    }

    async fn document(&self, ask: &Ask) -> Result<Answer, Failed> {
        let answer = self.sent(ask).await?;
        let next = next_of(answer.headers());
        let body = whole(answer).await?;
        let document = serde_json::from_slice(&body).map_err(|error| Failed {
            message: format!("the answer is not JSON ({error}): {}", quoted(&body)),
            again: Again::Never,
        })?;
        Ok(Answer { body, document, next })
    }

    async fn refused(&self, status: StatusCode, answer: Response) -> Failed {
        let text = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let wait = text("retry-after").and_then(|asked| retry_after(asked, text("date").unwrap_or_default()));
        let url = shown(answer.url());
        let body = whole(answer).await.unwrap_or_default();
        let said = if body.trim_ascii().is_empty() { String::new() } else { format!(": {}", quoted(&body)) };
        let message = format!("`{url}` answers {status}{said}");
        let again = match status {
            StatusCode::UNAUTHORIZED if self.opener.can_renew() => Again::Renewed,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Again::Later(wait),
            status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => Again::Later(wait),
            _ => Again::Never,
        };
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; look at `auth` in connections.yaml",
            _ => "",
        };
        Failed { message: format!("{message}{hint}"), again }
    }
}

/// What is to be waited according to `Retry-After`: seconds, or a date, which is compared with the server's own clock.
fn retry_after(text: &str, now: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let moment = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp());
    let seconds = moment(text)?.as_second().saturating_sub(moment(now)?.as_second());
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

fn no_token(error: NoToken) -> Failed {
    match error {
        NoToken::Away(error) => {
            let Failed { message, again } = broken(error);
            Failed { message: format!("no token: {message}"), again }
        }
        NoToken::Refused(status, said) => Failed {
            message: format!(
                "no token: `auth`'s token_url answers {status}: {}; look at `client_id` and `client_secret`",
                quoted(said.as_bytes())
            ),
            again: if status.is_server_error() { Again::Later(None) } else { Again::Never },
        },
        NoToken::Strange => Failed {
            message: "no token: what `token_url` answers has no `access_token`".to_owned(),
            again: Again::Never,
        },
    }
}

/// The connection is to blame.
fn broken(error: reqwest::Error) -> Failed {
    let again = if error.is_redirect() || error.is_builder() { Again::Never } else { Again::Later(None) };
    Failed { message: in_words(&error.without_url()), again }
}

async fn whole(mut answer: Response) -> Result<Vec<u8>, Failed> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(broken)? {
        body.extend_from_slice(&piece);
        if body.len() > LONGEST_ANSWER {
            let message =
                format!("an answer is longer than {} MB; ask for smaller pages", LONGEST_ANSWER >> 20);
            return Err(Failed { message, again: Again::Never });
        }
    }
    Ok(body)
}

/// The beginning of what was answered.
pub(super) fn quoted(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut short: String =
        text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(QUOTED).collect();
    if text.chars().count() > QUOTED {
        short.push('…');
    }
    format!("`{short}`")
}

/// The target of `rel="next"`: <https://www.rfc-editor.org/rfc/rfc8288#section-3>.
fn next_of(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all("link").iter().filter_map(|value| value.to_str().ok());
    links.flat_map(targets).find_map(|(target, relation)| {
        relation.split_whitespace().any(|word| word.eq_ignore_ascii_case("next")).then_some(target)
    })
}

/// The links of a header: target and relation.
fn targets(header: &str) -> Vec<(String, String)> {
    let (mut links, mut rest) = (Vec::new(), header);
    while let Some((_, after)) = rest.split_once('<') {
        let Some((target, after)) = after.split_once('>') else { break };
        // Targets may have commas, parameters in quotes may too.
        let mut quoted = false;
        let end = after.find(|letter| {
            quoted ^= letter == '"';
            letter == ',' && !quoted
        });
        let (parameters, left) = after.split_at(end.unwrap_or(after.len()));
        let relation = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("rel").then(|| value.trim().trim_matches('"').to_owned())
        });
        links.extend(relation.map(|relation| (target.trim().to_owned(), relation)));
        rest = left;
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links() {
        let check = |header: &str, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.append("link", header.parse().unwrap());
            assert_eq!(next_of(&headers).as_deref(), expected, "{header}");
        };
        check(
            "<https://a/b?page=2>; rel=\"next\", <https://a/b?page=9>; rel=\"last\"",
            Some("https://a/b?page=2"),
        );
        check("<https://a/?x=1,2>; title=\"a, b\"; rel=next", Some("https://a/?x=1,2"));
        check("<https://a/>; rel=\"prev first\", </n>; REL=\"last next\"", Some("/n"));
        check("<https://a/>; rel=\"prev\"", None);
        check("<https://a/", None);
    }

    #[test]
    fn how_long_to_wait() {
        let now = "Sun, 01 Mar 2026 06:00:00 GMT";
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 01 Mar 2026 06:00:05 GMT", now), Some(Duration::from_secs(5)));
        assert_eq!(retry_after("Sun, 01 Mar 2026 05:00:05 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }
}
