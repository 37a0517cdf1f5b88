//! Who may call: no login on the loopback address, otherwise a token or the cookie that a one-time link sets.

use std::sync::{Mutex, PoisonError};

use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_spec::problem::Problem;
use serde::Deserialize;

use crate::accounts::{Accounts, Caller};
use crate::app::App;
use crate::error::ApiError;
use crate::mlflow::guard::{self, Permission};
use crate::mlflow::{PART, SIGNED};

const COOKIE: &str = "millrace_token";

/// Who may call.
#[derive(Debug)]
pub enum Access {
    /// Everybody who reaches the loopback address under one of its own names.
    Loopback,
    /// Who has the token. Every host name is fine.
    Token {
        /// The secret, sent as `Authorization: Bearer …` or as the password of `Basic`.
        token: String,
        /// Code of the one-time link `/login?code=…`; gone once used.
        login_code: Mutex<Option<String>>,
        /// Checks who else may log in.
        accounts: Accounts,
        /// What accounts may do with what nobody granted or denied them.
        default_permission: Permission,
    },
}

impl Access {
    /// Asks for a token; `login_code` opens the UI once.
    pub fn token(token: String, login_code: String, default_permission: Permission) -> Self {
        let (login_code, accounts) = (Mutex::new(Some(login_code)), Accounts::default());
        Self::Token { token, login_code, accounts, default_permission }
    }
}

/// Compares without telling by its duration where the texts differ.
fn same(left: &str, right: &str) -> bool {
    left.len() == right.len() && left.bytes().zip(right.bytes()).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

/// Lets through who may call, to what they may reach.
pub(crate) async fn require_access(State(app): State<App>, request: Request, next: Next) -> Response {
    // A body may be read by one only, so that it cannot be lent to what waits for the database.
    let (head, body) = request.into_parts();
    match caller(&app, &head).await {
        Ok(caller) => guard::pass(app, caller, Request::from_parts(head, body), next).await,
        Err(error) => error.into_response(),
    }
}

/// Who sent a request.
async fn caller(app: &App, head: &Parts) -> Result<Caller, ApiError> {
    let headers = &head.headers;
    if let Some(caller) = check(&app.access, &head.method, head.uri.path(), headers)? {
        return Ok(caller);
    }
    if let Access::Token { accounts, .. } = &app.access {
        let store = app.engine.store();
        let found = match (bearer(headers), basic(headers)) {
            (Some(token), _) => Accounts::by_token(store, token).await?,
            (None, Some((name, password))) => accounts.by_password(store, &name, &password).await?,
            (None, None) => None,
        };
        if let Some(account) = found {
            return Ok(Caller::Account(account));
        }
    }
    let problem =
        Problem::error("login-required", "this server asks for a name and a password, or for a token")
            .hint("send the header `Authorization: Bearer TOKEN`, or open the link that the server printed");
    Err(ApiError::new(StatusCode::UNAUTHORIZED, problem))
}

/// Checks what does not need the database; `None` if an account may be meant.
fn check(
    access: &Access,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Option<Caller>, ApiError> {
    let host = text(headers, header::HOST).unwrap_or_default();
    if matches!(access, Access::Loopback) && !is_loopback(host) {
        // A page elsewhere can make its own name resolve to 127.0.0.1 (DNS rebinding); it cannot change the Host header.
        let problem =
            Problem::error("foreign-host", format!("this server does not answer to the host `{host}`"))
                .hint("open it as `http://localhost` with its port");
        return Err(ApiError::new(StatusCode::FORBIDDEN, problem));
    }
    let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if let Some(origin) = text(headers, header::ORIGIN)
        && changes
        && origin.split_once("://").map(|(_, host)| host) != Some(host)
    {
        let problem =
            Problem::error("foreign-origin", format!("pages of `{origin}` may not change anything here"));
        return Err(ApiError::new(StatusCode::FORBIDDEN, problem));
    }
    let Access::Token { token, .. } = access else { return Ok(Some(Caller::Anybody)) };
    let proves_itself = [SIGNED, PART].iter().any(|way| path.starts_with(way));
    if proves_itself || matches!(path, "/health" | "/login" | "/ping") {
        return Ok(Some(Caller::Anybody));
    }
    let cookie = text(headers, header::COOKIE)
        .and_then(|value| value.split("; ").find_map(|pair| pair.strip_prefix(COOKIE)?.strip_prefix('=')));
    let has_token = [bearer(headers), cookie].into_iter().flatten().any(|given| same(given, token))
        || basic(headers).is_some_and(|(_, password)| same(&password, token));
    if has_token {
        return Ok(Some(Caller::Operator));
    }
    // A trigger checks who signed what it is told.
    Ok(path.starts_with("/hooks/").then_some(Caller::Anybody))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    text(headers, header::AUTHORIZATION)?.strip_prefix("Bearer ")
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The name of a login with name and password; the password was checked before.
pub(crate) fn login_name(headers: &HeaderMap) -> Option<String> {
    let encoded = text(headers, header::AUTHORIZATION)?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    pair.split_once(':').map(|(name, _)| name.to_owned()).filter(|name| !name.is_empty())
}

/// Name and password of `Authorization: Basic …`: clients that know only these two send tokens as passwords.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = text(headers, header::AUTHORIZATION)?.strip_prefix("Basic ")?;
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

#[derive(Deserialize)]
pub(crate) struct Login {
    code: String,
}

/// Exchanges the one-time code for the cookie.
pub(crate) async fn login(State(app): State<App>, Query(login): Query<Login>) -> Response {
    let Access::Token { token, login_code, .. } = &app.access else {
        return Redirect::to("/").into_response();
    };
    let mut kept = login_code.lock().unwrap_or_else(PoisonError::into_inner);
    if !kept.as_deref().is_some_and(|code| same(code, &login.code)) {
        let problem = Problem::error("login-used", "this link was used already or is not of this server")
            .hint("stop the server and start it again for a new link");
        return ApiError::new(StatusCode::UNAUTHORIZED, problem).into_response();
    }
    *kept = None;
    let mut response = Redirect::to("/").into_response();
    if let Ok(cookie) = HeaderValue::from_str(&format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict"))
    {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(access: &Access, method: Method, headers: &[(header::HeaderName, &str)]) -> u16 {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect();
        match check(access, &method, "/api/runs", &headers) {
            Ok(Some(_)) => 200,
            Ok(None) => 401,
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
    fn elsewhere_a_token_is_needed() {
        let access = Access::token("secret".to_owned(), "once".to_owned(), Permission::Read);
        let host = (header::HOST, "ml.example");
        assert_eq!(code(&access, Method::GET, std::slice::from_ref(&host)), 401);
        assert_eq!(
            code(&access, Method::GET, &[host.clone(), (header::AUTHORIZATION, "Bearer secret")]),
            200
        );
        assert_eq!(
            code(&access, Method::GET, &[host.clone(), (header::AUTHORIZATION, "Bearer secreu")]),
            401
        );
        // user:secret
        assert_eq!(
            code(&access, Method::GET, &[host.clone(), (header::AUTHORIZATION, "Basic dXNlcjpzZWNyZXQ=")]),
            200
        );
        assert_eq!(code(&access, Method::GET, &[host, (header::COOKIE, "a=b; millrace_token=secret")]), 200);
    }
}
