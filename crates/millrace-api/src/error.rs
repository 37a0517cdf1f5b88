//! Failed requests, as `application/problem+json`.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use millrace_contract::{CatalogError, Explain as _, QueryError};
use millrace_metastore::MetastoreError;
use millrace_metastore::experiments::Refusal;
use millrace_metastore::registry::RegistryRefusal;
use millrace_orchestration::OrchestrationError;
use millrace_orchestration::approvals::ApprovalError;
use millrace_spec::problem::Problem;
use millrace_storage::StorageError;
use millrace_tracking::tables::TablesError;
use serde::Serialize;

use crate::mlflow::MlflowError;
use crate::views::workspace::Problem as ProblemView;

/// A request that failed: its status and what to tell.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    problem: Box<Problem>,
    /// When to ask again.
    retry_after: Option<Duration>,
}

/// What a handler answers.
pub type ApiResult<T> = Result<Json<T>, ApiError>;

#[derive(Serialize)]
struct Body {
    #[serde(flatten)]
    problem: ProblemView,
    title: &'static str,
    status: u16,
}

impl ApiError {
    /// With a status of its own.
    pub fn new(status: StatusCode, problem: Problem) -> Self {
        Self { status, problem: Box::new(problem), retry_after: None }
    }

    /// 404: there is no such thing.
    pub fn unknown(what: &str, name: &str) -> Self {
        let code = format!("unknown-{}", what.replace(' ', "-"));
        Self::new(StatusCode::NOT_FOUND, Problem::error(code, format!("there is no {what} `{name}`")))
    }

    /// 429: so many logins failed that the next may come after `wait`.
    pub(crate) fn too_soon(wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000);
        let message = format!("too many logins failed: the next one may come in {seconds} s");
        let problem = Problem::error("too-many-logins", message).hint("check the name and the password");
        Self { retry_after: Some(wait), ..Self::new(StatusCode::TOO_MANY_REQUESTS, problem) }
    }

    /// What to tell, without the status.
    pub(crate) fn into_problem(self) -> Problem {
        *self.problem
    }

    /// 500: a room failed; the cause is logged, not told.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%error, cause, "a request failed");
        let problem =
            Problem::error("internal", "the server failed to answer").hint("look into the server's log");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, problem)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Body {
            problem: (*self.problem).into(),
            title: self.status.canonical_reason().unwrap_or("error"),
            status: self.status.as_u16(),
        };
        let mut response = (self.status, Json(body)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if self.status == StatusCode::UNAUTHORIZED {
            // Programs send name and password then; what a browser is told, `access` says.
            let challenge = HeaderValue::from_static("Basic realm=\"Millrace\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(wait) = self.retry_after {
            let seconds = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        let status = match problem.code.as_str() {
            code if code.starts_with("unknown-") => StatusCode::NOT_FOUND,
            "run-is-over" | "changed-meanwhile" => StatusCode::CONFLICT,
            "store-failed" | "document-unreadable" | "internal" => StatusCode::INTERNAL_SERVER_ERROR,
            "stale-epoch" | "endpoint-not-ready" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, problem)
    }
}

impl From<OrchestrationError> for ApiError {
    fn from(error: OrchestrationError) -> Self {
        // A name in an input that is unknown is the caller's mistake, not a missing page.
        let invalid = matches!(error, OrchestrationError::Invalid(_));
        let mut answer = Self::from(error.problem());
        if invalid {
            answer.status = StatusCode::UNPROCESSABLE_ENTITY;
        }
        answer
    }
}

impl From<ApprovalError> for ApiError {
    fn from(error: ApprovalError) -> Self {
        if let ApprovalError::Store { .. } = &error {
            return Self::internal(&error);
        }
        let problem = error.problem();
        let status = match problem.code.as_str() {
            "not-asked" | "own-run" => StatusCode::FORBIDDEN,
            "approval-decided" => StatusCode::CONFLICT,
            "approval-form" => StatusCode::UNPROCESSABLE_ENTITY,
            "access-file" | "unreadable-file" => StatusCode::SERVICE_UNAVAILABLE,
            _ => return problem.into(),
        };
        Self::new(status, problem)
    }
}

impl From<CatalogError> for ApiError {
    fn from(error: CatalogError) -> Self {
        Self::from(error.problem())
    }
}

impl From<MetastoreError> for ApiError {
    fn from(error: MetastoreError) -> Self {
        match error {
            MetastoreError::Refused(refusal) => refusal.into(),
            MetastoreError::Registry(refusal) => refusal.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match &refusal {
            Refusal::NoExperiment { .. } => (StatusCode::NOT_FOUND, "unknown-experiment"),
            Refusal::NoRun { .. } => (StatusCode::NOT_FOUND, "unknown-run"),
            Refusal::NoModel { .. } => (StatusCode::NOT_FOUND, "unknown-logged-model"),
            Refusal::NoTag { .. } => (StatusCode::NOT_FOUND, "unknown-tag"),
            Refusal::NameTaken { .. } => (StatusCode::CONFLICT, "name-taken"),
            Refusal::ExperimentDeleted { .. } | Refusal::RunDeleted { .. } => {
                (StatusCode::CONFLICT, "is-deleted")
            }
            Refusal::ExperimentActive { .. } | Refusal::RunActive { .. } => {
                (StatusCode::CONFLICT, "not-deleted")
            }
            Refusal::RunInUse { .. } | Refusal::FilesGoing { .. } => (StatusCode::CONFLICT, "in-use"),
            Refusal::DefaultExperiment => (StatusCode::BAD_REQUEST, "default-experiment"),
            Refusal::ParamChanged { .. } => (StatusCode::CONFLICT, "param-changed"),
            Refusal::ForeignToken => (StatusCode::BAD_REQUEST, "invalid-query"),
        };
        Self::new(status, Problem::error(code, refusal.to_string()))
    }
}

impl From<RegistryRefusal> for ApiError {
    fn from(refusal: RegistryRefusal) -> Self {
        let (status, code) = match &refusal {
            RegistryRefusal::NoModel { .. }
            | RegistryRefusal::NoVersion { .. }
            | RegistryRefusal::NoLatest { .. }
            | RegistryRefusal::NoAlias { .. } => (StatusCode::NOT_FOUND, "unknown-model"),
            RegistryRefusal::NoWebhook { .. } => (StatusCode::NOT_FOUND, "unknown-webhook"),
            RegistryRefusal::NoPromotion { .. } => (StatusCode::NOT_FOUND, "unknown-request"),
            RegistryRefusal::Protected { .. } => (StatusCode::FORBIDDEN, "alias-protected"),
            RegistryRefusal::NotAsked { .. } => (StatusCode::FORBIDDEN, "not-asked"),
            RegistryRefusal::OwnRequest { .. } | RegistryRefusal::ForeignRequest { .. } => {
                (StatusCode::FORBIDDEN, "not-yours-to-decide")
            }
            RegistryRefusal::AlreadyRequested { .. } => (StatusCode::CONFLICT, "already-requested"),
            RegistryRefusal::Decided { .. } => (StatusCode::CONFLICT, "already-decided"),
            RegistryRefusal::NameTaken { .. } => (StatusCode::CONFLICT, "name-taken"),
            RegistryRefusal::IsPrompt { .. } | RegistryRefusal::ForeignToken => {
                (StatusCode::BAD_REQUEST, "invalid-request")
            }
        };
        Self::new(status, Problem::error(code, refusal.to_string()))
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let mut problem = Problem::error("query-failed", error.to_string());
        if let QueryError::Plan { position: Some((line, column)), .. } = &error {
            problem = problem.note(format!("at line {line}, column {column} of the query"));
        }
        Self::new(StatusCode::BAD_REQUEST, problem)
    }
}

impl From<TablesError> for ApiError {
    fn from(error: TablesError) -> Self {
        match error {
            TablesError::Catalog(error) => error.into(),
            TablesError::Query(error) => error.into(),
            TablesError::NotATable { .. } | TablesError::NoFile { .. } => {
                Self::new(StatusCode::BAD_REQUEST, error.problem())
            }
        }
    }
}

impl From<MlflowError> for ApiError {
    /// The same under our kind of code, `resource-does-not-exist`.
    fn from(error: MlflowError) -> Self {
        let (status, code, message) = error.told();
        Self::new(status, Problem::error(code.to_ascii_lowercase().replace('_', "-"), message))
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match &error {
            StorageError::NotFound { path } => Self::unknown("file", path),
            StorageError::NotAFile { .. }
            | StorageError::InvalidName { .. }
            | StorageError::OutOfRange { .. }
            | StorageError::BrokenOff { .. } => Problem::error("bad-file", error.to_string()).into(),
            StorageError::Full { .. } | StorageError::Failed { .. } => Self::internal(&error),
        }
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<serde_json::Error> for ApiError {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), Problem::error("invalid-body", rejection.body_text().to_lowercase()))
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), Problem::error("invalid-query", rejection.body_text().to_lowercase()))
    }
}
