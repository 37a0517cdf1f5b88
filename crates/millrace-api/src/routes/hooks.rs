//! `POST /hooks/{pipeline}/{trigger}`: where others tell what happened. Each trigger checks by itself who calls.

use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router, body::Bytes, extract::DefaultBodyLimit};
use millrace_orchestration::inbox::{HookError, HookRefusal, HookRequest};
use millrace_spec::problem::Problem;
use serde_json::json;

use crate::access::Access;
use crate::accounts::Caller;
use crate::app::App;
use crate::error::ApiError;

/// Bytes of a request; GitHub, who sends the longest, stops at 25 MB.
const MAX_BODY: usize = 25 * 1024 * 1024;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/hooks/{pipeline}/{trigger}", post(receive).options(allow))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

/// Answers once the events are stored: 202 with their ids, 200 if all of them had come before.
async fn receive(
    State(app): State<App>,
    Path((pipeline, trigger)): Path<(String, String)>,
    caller: Option<Extension<Caller>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let text = |(name, value): (&header::HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let is_known = caller.is_some_and(|Extension(caller)| caller.is_somebody());
    let request = HookRequest {
        headers: headers.iter().filter_map(text).collect(),
        body: body.to_vec(),
        is_trusted: is_known || matches!(app.access, Access::Loopback),
    };
    let received = app.inbox.receive_hook(&pipeline, &trigger, &request).await.map_err(refused)?;
    let is_new = received.iter().any(|event| !event.repeated);
    let status = if is_new { StatusCode::ACCEPTED } else { StatusCode::OK };
    let events: Vec<_> =
        received.iter().map(|event| json!({"event": event.id, "repeated": event.repeated})).collect();
    Ok((status, Json(json!({"events": events}))).into_response())
}

/// The handshake of CloudEvents' webhooks (HTTP 1.1 Web Hooks for Event Delivery, section 4): who asks may send.
async fn allow(headers: HeaderMap) -> Response {
    let mut answer = StatusCode::OK.into_response();
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
    if let Some(origin) = headers.get("webhook-request-origin") {
        answer.headers_mut().insert("webhook-allowed-origin", origin.clone());
        answer.headers_mut().insert("webhook-allowed-rate", HeaderValue::from_static("*"));
    }
    answer
}

fn refused(error: HookError) -> ApiError {
    let refusal = match error {
        HookError::Store(error) => return error.into(),
        HookError::Refused(refusal) => refusal,
    };
    let said = refusal.to_string();
    match refusal {
        HookRefusal::Unknown { .. } => {
            ApiError::new(StatusCode::NOT_FOUND, Problem::error("unknown-webhook", said))
        }
        HookRefusal::NoSecret => ApiError::new(
            StatusCode::UNAUTHORIZED,
            Problem::error("hook-without-secret", said).hint("name one in the trigger: `secret: NAME`"),
        ),
        HookRefusal::SecretMissing => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Problem::error("hook-secret-missing", said).hint("`millrace secrets set NAME` on the server"),
        ),
        HookRefusal::Signature(_) | HookRefusal::Clock(_) => {
            ApiError::new(StatusCode::UNAUTHORIZED, Problem::error("hook-not-signed", said))
        }
        HookRefusal::Unreadable(_) => {
            ApiError::new(StatusCode::BAD_REQUEST, Problem::error("hook-unreadable", said))
        }
    }
}
