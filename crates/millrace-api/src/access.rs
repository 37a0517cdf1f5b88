//! Who may call: no login on the loopback address, otherwise a token, a name with its password, or the session of a browser.

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_metastore::accounts::AccountRow;
use millrace_spec::problem::Problem;

use crate::accounts::{Accounts, Caller, Login};
use crate::actor::OPERATOR;
use crate::app::App;
use crate::error::ApiError;
use crate::mlflow::guard::{self, Permission};
use crate::mlflow::{PART, SIGNED};
use crate::origin::{self, text};
use crate::session::{Session, Sessions};
use crate::signing::LoginKeys;
use crate::step_token::{AttemptName, StepTokens};
use crate::throttle::Knock;

/// Who may call.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a server has one of them")]
pub enum Access {
    /// Everybody who reaches the loopback address under one of its own names.
    Loopback,
    /// Who has the token. Every host name is fine.
    Token {
        /// The secret, sent as `Authorization: Bearer …` or as the password of `Basic`.
        token: String,
        /// Checks who else may log in.
        accounts: Accounts,
        /// Signs the sessions of browsers.
        sessions: Sessions,
        /// Knows the tokens of attempts.
        step_tokens: StepTokens,
        /// What accounts may do with what nobody granted or denied them.
        default_permission: Permission,
    },
}

impl Access {
    /// Asks for a token; `keys` are made of it.
    pub fn token(token: String, keys: &LoginKeys, default_permission: Permission) -> Self {
        let (accounts, sessions, step_tokens) = (Accounts::default(), keys.sessions(), keys.step_tokens());
        Self::Token { token, accounts, sessions, step_tokens, default_permission }
    }

    /// Whether a text is the server's token.
    pub(crate) fn is_token(&self, given: &str) -> bool {
        matches!(self, Self::Token { token, .. } if same(given, token))
    }
}

/// How a caller is known; an extension of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing was asked for.
    None,
    /// A header of the request.
    Header,
    /// The session of a browser.
    Session,
}

/// Compares without telling by its duration where the texts differ.
fn same(left: &str, right: &str) -> bool {
    left.len() == right.len() && left.bytes().zip(right.bytes()).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

/// Lets through who may call, to what they may reach.
pub(crate) async fn require_access(State(app): State<App>, request: Request, next: Next) -> Response {
    // A body may be read by one only, so that it cannot be lent to what waits for the database.
    let (mut head, body) = request.into_parts();
    let knock = Knock { address: origin::address(&head), now_ms: app.clock.now().as_millisecond() };
    match caller(&app, &head, knock).await {
        Ok((caller, proof)) => {
            head.extensions.insert(knock);
            head.extensions.insert(proof);
            guard::pass(app, caller, Request::from_parts(head, body), next).await
        }
        Err(error) => refuse(&head, error),
    }
}

/// Who sent a request, and how that is known.
async fn caller(app: &App, head: &Parts, knock: Knock) -> Result<(Caller, Proof), ApiError> {
    let (headers, path) = (&head.headers, head.uri.path());
    check_origin(&app.access, &head.method, headers)?;
    let Access::Token { accounts, sessions, step_tokens, .. } = &app.access else {
        return Ok((Caller::Anybody, Proof::None));
    };
    if is_open(path) {
        return Ok((Caller::Anybody, Proof::None));
    }
    if let Some(caller) = by_session(app, sessions, headers).await? {
        if changes(&head.method) && origin::is_own_page(headers) != Some(true) {
            let problem = Problem::error(
                "foreign-origin",
                "a session changes things from this server's own pages only",
            )
            .hint("programs log in by `Authorization: Bearer TOKEN`");
            return Err(ApiError::new(StatusCode::FORBIDDEN, problem));
        }
        return Ok((caller, Proof::Session));
    }
    if let Some(caller) = by_header(app, (accounts, step_tokens), headers, knock).await? {
        return Ok((caller, Proof::Header));
    }
    // A trigger checks who signed what it is told.
    if path.starts_with("/hooks/") {
        return Ok((Caller::Anybody, Proof::None));
    }
    let problem =
        Problem::error("login-required", "this server asks for a name and a password, or for a token")
            .hint("open `/sign-in` in a browser")
            .hint("send the header `Authorization: Bearer TOKEN`");
    Err(ApiError::new(StatusCode::UNAUTHORIZED, problem))
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses what pages of others send.
fn check_origin(access: &Access, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let host = text(headers, header::HOST.as_str()).unwrap_or_default();
    if matches!(access, Access::Loopback) && !is_loopback(host) {
        // A page elsewhere can make its own name resolve to 127.0.0.1 (DNS rebinding); it cannot change the Host header.
        let problem =
            Problem::error("foreign-host", format!("this server does not answer to the host `{host}`"))
                .hint("open it as `http://localhost` with its port");
        return Err(ApiError::new(StatusCode::FORBIDDEN, problem));
    }
    if changes(method) && origin::is_own_page(headers) == Some(false) {
        let from = text(headers, header::ORIGIN.as_str()).unwrap_or("elsewhere");
        let problem =
            Problem::error("foreign-origin", format!("pages of `{from}` may not change anything here"));
        return Err(ApiError::new(StatusCode::FORBIDDEN, problem));
    }
    Ok(())
}

/// What nobody has to log in for: the sign-in page with what it is drawn with, and what proves itself or tells nothing.
fn is_open(path: &str) -> bool {
    [SIGNED, PART, "/assets/"].iter().any(|way| path.starts_with(way))
        || matches!(path, "/health" | "/ping" | "/sign-in" | "/favicon.svg" | "/api/login" | "/api/logout")
}

/// Who signed in with a browser.
async fn by_session(app: &App, sessions: &Sessions, headers: &HeaderMap) -> Result<Option<Caller>, ApiError> {
    let (Some(session), now) = (Session::of(headers), app.clock.now().as_second()) else { return Ok(None) };
    if session.name == OPERATOR {
        return Ok(Some(Caller::Operator).filter(|_| sessions.is_good(&session, "", now)));
    }
    let found = app.engine.store().find_account(session.name.clone()).await?;
    let found = found.filter(|account| sessions.is_good(&session, &account.password_hash, now));
    Ok(found.map(|account| Caller::Account(account.into())))
}

/// Who logs in by the header `Authorization`.
async fn by_header(
    app: &App,
    (accounts, step_tokens): (&Accounts, &StepTokens),
    headers: &HeaderMap,
    knock: Knock,
) -> Result<Option<Caller>, ApiError> {
    let store = app.engine.store();
    let (name, secret) = match (bearer(headers), basic(headers)) {
        (Some(secret), _) => (None, secret.to_owned()),
        (None, Some((name, secret))) => (Some(name), secret),
        (None, None) => return Ok(None),
    };
    if app.access.is_token(&secret) {
        return Ok(Some(Caller::Operator));
    }
    if let Some(attempt) = step_tokens.read(&secret) {
        return Ok(goes_on(app, &attempt).await?.then(|| Caller::Step(Box::new(attempt))));
    }
    let account = |row: AccountRow| Some(Caller::Account(row.into()));
    let Some(name) = name else {
        return Ok(Accounts::by_token(store, &secret).await?.and_then(account));
    };
    match accounts.by_password(store, &name, &secret, knock).await? {
        Login::Is(row) => Ok(account(row)),
        Login::Nobody => Ok(None),
        Login::TooSoon(wait) => Err(ApiError::too_soon(wait)),
    }
}

/// Whether an attempt has begun and is not over.
async fn goes_on(app: &App, attempt: &AttemptName) -> Result<bool, ApiError> {
    let (run, step, number) = (attempt.run_id.clone(), attempt.step.clone(), attempt.number.into());
    let state = app.engine.store().step_attempt_state(run, step, number).await?;
    Ok(matches!(state.as_deref(), Some("running" | "waiting")))
}

/// Says no: to people by the sign-in page, to what pages ask for without the challenge that would open the browser's own window.
fn refuse(head: &Parts, error: ApiError) -> Response {
    let mut response = error.into_response();
    if response.status() != StatusCode::UNAUTHORIZED {
        return response;
    }
    if origin::wants_page(&head.method, &head.headers) {
        let page = head.uri.path_and_query().map_or("/", |page| page.as_str());
        let next = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", page).finish();
        let way = if page == "/" { "/sign-in".to_owned() } else { format!("/sign-in?{next}") };
        return ([(header::CACHE_CONTROL, "no-store")], Redirect::to(&way)).into_response();
    }
    if origin::is_browser(&head.headers) {
        response.headers_mut().remove(header::WWW_AUTHENTICATE);
    }
    response
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    text(headers, header::AUTHORIZATION.as_str())?.strip_prefix("Bearer ")
}

/// Name and password of `Authorization: Basic …`: clients that know only these two send tokens as passwords.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = text(headers, header::AUTHORIZATION.as_str())?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    pair.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn code(access: &Access, method: Method, headers: &[(header::HeaderName, &str)]) -> u16 {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect();
        match check_origin(access, &method, &headers) {
            Ok(()) => 200,
            Err(error) => error.into_response().status().as_u16(),
        }
    }

    #[test]
    fn only_own_pages_change_things_on_loopback() {
        let own = (header::HOST, "127.0.0.1:7117");
        assert_eq!(code(&Access::Loopback, Method::POST, std::slice::from_ref(&own)), 200);
        assert_eq!(
            code(&Access::Loopback, Method::POST, &[own.clone(), (header::ORIGIN, "http://127.0.0.1:7117")]),
            200
        );
        assert_eq!(
            code(&Access::Loopback, Method::POST, &[own.clone(), (header::ORIGIN, "http://evil.example")]),
            403
        );
        assert_eq!(code(&Access::Loopback, Method::POST, &[own, (header::ORIGIN, "null")]), 403);
        assert_eq!(code(&Access::Loopback, Method::GET, &[(header::HOST, "evil.example:7117")]), 403);
        assert_eq!(code(&Access::Loopback, Method::GET, &[(header::HOST, "[::1]:7117")]), 200);
    }

    #[test]
    fn only_what_tells_nothing_needs_no_login() {
        for path in ["/sign-in", "/assets/index-1.js", "/api/login", "/api/logout", "/health"] {
            assert!(is_open(path), "{path}");
        }
        for path in
            ["/", "/sign-in/", "/api/session", "/api/login/x", "/assets", "/account", "/api/workspace"]
        {
            assert!(!is_open(path), "{path}");
        }
    }

    #[test]
    fn a_token_is_the_whole_of_it() {
        let keys = LoginKeys::of("secret").unwrap();
        let access = Access::token("secret".to_owned(), &keys, Permission::Read);
        assert!(access.is_token("secret"));
        assert!(!access.is_token("secreu") && !access.is_token("secre") && !access.is_token(""));
        assert!(!Access::Loopback.is_token(""));
    }

    #[test]
    fn people_are_shown_the_page_and_programs_are_asked_for_a_password() {
        let refused = |path: &str, headers: &[(&'static str, &'static str)]| {
            let (mut head, ()) = axum::http::Request::builder().uri(path).body(()).unwrap().into_parts();
            for (name, value) in headers {
                head.headers.insert(*name, HeaderValue::from_static(value));
            }
            let problem = Problem::error("login-required", "who are you");
            let response = refuse(&head, ApiError::new(StatusCode::UNAUTHORIZED, problem));
            let header = |name| text(response.headers(), name).map(str::to_owned);
            (response.status().as_u16(), header("location"), header("www-authenticate").is_some())
        };
        let (mozilla, html) = (("user-agent", "Mozilla/5.0 (X11)"), ("accept", "text/html,*/*"));
        assert_eq!(refused("/runs", &[("user-agent", "curl/8"), html]), (401, None, true));
        let page = Some("/sign-in?next=%2Fruns%3Fa%3D1%26b%3D2".to_owned());
        assert_eq!(refused("/runs?a=1&b=2", &[mozilla, html]), (303, page, false));
        assert_eq!(refused("/", &[mozilla, html]), (303, Some("/sign-in".to_owned()), false));
        let fetch = [mozilla, html, ("sec-fetch-mode", "cors")];
        assert_eq!(refused("/api/runs", &fetch), (401, None, false));
        assert_eq!(refused("/api/events", &[mozilla, ("accept", "text/event-stream")]), (401, None, false));
    }
}
