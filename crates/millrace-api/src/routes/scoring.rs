//! Scoring in three dialects: Millrace's rows, MLflow's `/invocations`, and the Open Inference Protocol v2 in JSON.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use millrace_spec::problem::Problem;
use serde_json::{Value, json};

use crate::app::{App, Dialect, ScoreRequest};
use crate::error::ApiError;

/// Azure ML's header that chooses a deployment.
const DEPLOYMENT: &str = "azureml-model-deployment";
const REQUEST_ID: &str = "x-request-id";
/// Longer ids are refused with 431, as Azure ML's inference server does.
const LONGEST_REQUEST_ID: usize = 100;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/endpoints/{name}/score", post(score_rows))
        .route("/endpoints/{name}/invocations", post(score_invocations))
        .route("/v2", get(server_metadata))
        .route("/v2/health/live", get(|| async { axum::Json(json!({"live": true})) }))
        .route("/v2/health/ready", get(|| async { axum::Json(json!({"ready": true})) }))
        .route("/v2/models/{name}", get(model_metadata))
        .route("/v2/models/{name}/ready", get(model_ready))
        .route("/v2/models/{name}/infer", post(infer))
        .route("/v2/models/{name}/versions/{version}", get(version_metadata))
        .route("/v2/models/{name}/versions/{version}/ready", get(version_ready))
        .route("/v2/models/{name}/versions/{version}/infer", post(infer_version))
}

async fn score(
    app: &App,
    name: &str,
    dialect: Dialect,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<(Bytes, String), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let request_id = match text(REQUEST_ID) {
        Some(id) if id.len() > LONGEST_REQUEST_ID => {
            let message = format!("the header `{REQUEST_ID}` is longer than {LONGEST_REQUEST_ID} characters");
            return Err(Problem::error("request-id-too-long", message));
        }
        Some(id) => id,
        None => app.new_id(),
    };
    let request = ScoreRequest {
        endpoint: name.to_owned(),
        dialect,
        body,
        deployment: text(DEPLOYMENT),
        request_id: request_id.clone(),
    };
    app.endpoints.score(request).await.map(|answer| (answer, request_id))
}

fn answered((body, request_id): (Bytes, String)) -> Response {
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The status of a scoring problem.
fn status(problem: &Problem) -> StatusCode {
    match problem.code.as_str() {
        "unknown-endpoint" | "unknown-deployment" => StatusCode::NOT_FOUND,
        "endpoint-not-ready" => StatusCode::SERVICE_UNAVAILABLE,
        "endpoint-overloaded" => StatusCode::TOO_MANY_REQUESTS,
        "request-id-too-long" => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "model-failed" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// Says when to come back, if the endpoint has too much to do.
fn with_retry(mut response: Response) -> Response {
    if response.status() == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

async fn score_rows(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match score(&app, &name, Dialect::Rows, &headers, body).await {
        Ok(answer) => answered(answer),
        Err(problem) => with_retry(ApiError::new(status(&problem), problem).into_response()),
    }
}

/// MLflow's errors are `{"error_code", "message"}`; a body of another type than JSON is 415.
async fn score_invocations(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_lowercase();
    let mut parts = kind.split(';').map(str::trim);
    let json_body = parts.next() == Some("application/json")
        && parts.all(|part| part.is_empty() || part == "charset=utf-8");
    if !json_body {
        let message = "this endpoint takes `application/json`, with no other charset than utf-8\n";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into_response();
    }
    match score(&app, &name, Dialect::Invocations, &headers, body).await {
        Ok(answer) => answered(answer),
        Err(problem) => {
            let code = app.endpoints.mlflow_error_code(&problem);
            let body = axum::Json(json!({"error_code": code, "message": problem.message}));
            with_retry((status(&problem), body).into_response())
        }
    }
}

async fn server_metadata(State(app): State<App>) -> Response {
    axum::Json(json!({"name": "millrace", "version": app.workspace.version, "extensions": []}))
        .into_response()
}

/// A failed request of the Open Inference Protocol: `{"error": …}`.
fn refused(problem: &Problem) -> Response {
    with_retry((status(problem), axum::Json(json!({"error": problem.message}))).into_response())
}

async fn metadata(app: &App, name: &str, version: Option<&str>) -> Result<Value, Problem> {
    let unknown = |message: String| Problem::error("unknown-endpoint", message);
    let found = app
        .endpoints
        .metadata(name)
        .await?
        .ok_or_else(|| unknown(format!("there is no model `{name}` that is ready")))?;
    let Some(version) = version else { return Ok(found) };
    let known = found
        .get("versions")
        .and_then(Value::as_array)
        .is_some_and(|all| all.iter().any(|one| one == version));
    if known { Ok(found) } else { Err(unknown(format!("the model `{name}` has no version `{version}`"))) }
}

async fn model_metadata(State(app): State<App>, Path(name): Path<String>) -> Response {
    metadata(&app, &name, None)
        .await
        .map_or_else(|problem| refused(&problem), |found| axum::Json(found).into_response())
}

async fn version_metadata(State(app): State<App>, Path((name, version)): Path<(String, String)>) -> Response {
    let found = metadata(&app, &name, Some(&version)).await;
    found.map_or_else(|problem| refused(&problem), |found| axum::Json(found).into_response())
}

async fn model_ready(State(app): State<App>, Path(name): Path<String>) -> Response {
    let found = metadata(&app, &name, None).await;
    found.map_or_else(
        |problem| refused(&problem),
        |_| axum::Json(json!({"name": name, "ready": true})).into_response(),
    )
}

async fn version_ready(State(app): State<App>, Path((name, version)): Path<(String, String)>) -> Response {
    let found = metadata(&app, &name, Some(&version)).await;
    found.map_or_else(
        |problem| refused(&problem),
        |_| axum::Json(json!({"name": name, "ready": true})).into_response(),
    )
}

/// Any content type is taken for JSON: `tritonclient` sends none.
async fn infer(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match score(&app, &name, Dialect::OpenInference, &headers, body).await {
        Ok(answer) => answered(answer),
        Err(problem) => refused(&problem),
    }
}

async fn infer_version(
    State(app): State<App>,
    Path((name, version)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(problem) = metadata(&app, &name, Some(&version)).await {
        return refused(&problem);
    }
    infer(State(app), Path(name), headers, body).await
}
