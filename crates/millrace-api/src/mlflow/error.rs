//! Failed requests as MLflow's client reads them: `{"error_code", "message"}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use millrace_metastore::MetastoreError;
use millrace_metastore::experiments::Refusal;
use millrace_metastore::registry::RegistryRefusal;
use millrace_storage::{InvalidPath, StorageError, UploadError};
use millrace_tracking::search::InvalidSearch;
use serde_json::{Value, json};

/// A request that failed.
#[derive(Debug)]
pub(crate) struct MlflowError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// What a handler answers.
pub(crate) type Answer = Result<Json<Value>, MlflowError>;

impl MlflowError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// What the client is told.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// 400: a value that cannot be.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message)
    }

    /// 404: no such thing.
    pub(crate) fn absent(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", message)
    }

    /// Status, code and message.
    pub(crate) fn told(self) -> (StatusCode, &'static str, String) {
        (self.status, self.code, self.message)
    }

    /// 500: a failure of ours; the cause is logged, not told.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%error, cause, "a request of an MLflow client failed");
        let message = "The server failed to answer; its log says why.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", message)
    }
}

impl IntoResponse for MlflowError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"error_code": self.code, "message": self.message}))).into_response()
    }
}

impl From<Refusal> for MlflowError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::NoExperiment { .. }
            | Refusal::NoRun { .. }
            | Refusal::NoTag { .. }
            | Refusal::NoModel { .. } => Self::absent(message),
            Refusal::NameTaken { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "RESOURCE_ALREADY_EXISTS", message)
            }
            Refusal::RunInUse { .. } | Refusal::FilesGoing { .. } => {
                Self::new(StatusCode::CONFLICT, "RESOURCE_CONFLICT", message)
            }
            Refusal::ExperimentDeleted { .. }
            | Refusal::RunActive { .. }
            | Refusal::DefaultExperiment
            | Refusal::ExperimentActive { .. }
            | Refusal::RunDeleted { .. }
            | Refusal::ParamChanged { .. }
            | Refusal::ForeignToken => Self::invalid(message),
        }
    }
}

impl From<InvalidPath> for MlflowError {
    fn from(error: InvalidPath) -> Self {
        Self::invalid(format!("Invalid path: {}", error.path))
    }
}

impl From<StorageError> for MlflowError {
    fn from(error: StorageError) -> Self {
        match &error {
            StorageError::NotFound { path } => Self::absent(format!("No such artifact: '{path}'")),
            StorageError::NotAFile { path } => {
                Self::invalid(format!("'{path}' is a folder, or lies below a file"))
            }
            StorageError::InvalidName { path } => Self::invalid(format!("'{path}' is no name of a file")),
            StorageError::OutOfRange { .. } => {
                Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "INVALID_PARAMETER_VALUE", error.to_string())
            }
            StorageError::BrokenOff { message, .. } => {
                let message = format!("The upload broke off: {message}");
                Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
            }
            StorageError::Full { .. } => {
                let message = "The disk of the server is full; nothing was stored.";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "INTERNAL_ERROR", message)
            }
            StorageError::Failed { transient: true, .. } => {
                tracing::warn!(%error, "the storage failed");
                let message = "The storage of the server does not answer; try again.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE", message)
            }
            StorageError::Failed { .. } => Self::internal(&error),
        }
    }
}

impl From<UploadError> for MlflowError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Storage(error) => error.into(),
            UploadError::NoUpload { .. } => Self::absent(error.to_string()),
            UploadError::Number { .. } | UploadError::TooLarge { .. } | UploadError::Part { .. } => {
                Self::invalid(error.to_string())
            }
        }
    }
}

impl From<RegistryRefusal> for MlflowError {
    fn from(refusal: RegistryRefusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            RegistryRefusal::NoModel { .. }
            | RegistryRefusal::NoVersion { .. }
            | RegistryRefusal::NoLatest { .. }
            | RegistryRefusal::NoWebhook { .. }
            | RegistryRefusal::NoPromotion { .. } => Self::absent(message),
            RegistryRefusal::Protected { .. }
            | RegistryRefusal::OwnRequest { .. }
            | RegistryRefusal::NotAsked { .. }
            | RegistryRefusal::ForeignRequest { .. } => {
                Self::new(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message)
            }
            RegistryRefusal::AlreadyRequested { .. } | RegistryRefusal::Decided { .. } => {
                Self::new(StatusCode::CONFLICT, "INVALID_STATE", message)
            }
            RegistryRefusal::NameTaken { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "RESOURCE_ALREADY_EXISTS", message)
            }
            RegistryRefusal::NoAlias { .. }
            | RegistryRefusal::IsPrompt { .. }
            | RegistryRefusal::ForeignToken => Self::invalid(message),
        }
    }
}

impl From<MetastoreError> for MlflowError {
    fn from(error: MetastoreError) -> Self {
        match error {
            MetastoreError::Refused(refusal) => refusal.into(),
            MetastoreError::Registry(refusal) => refusal.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<InvalidSearch> for MlflowError {
    fn from(error: InvalidSearch) -> Self {
        Self::invalid(error.to_string())
    }
}
