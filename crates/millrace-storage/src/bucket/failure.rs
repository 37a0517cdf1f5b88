//! What a server's refusal means to the one who copies.

use std::error::Error as StdError;

use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

/// Codes of a refusal that passes by itself.
const PASSING: &[&str] = &[
    "SlowDown",
    "InternalError",
    "ServiceUnavailable",
    "RequestTimeout",
    "OperationAborted",
    "ServerBusy",
    "OperationTimedOut",
];

/// A failed request in words.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// In the server's words where it has some.
    pub message: String,
    /// Whether it may pass.
    pub transient: bool,
}

impl Failure {
    /// Says what failed. `secrets` never appear in the message, not even where the server repeats them.
    pub fn of(error: &Error, bucket: &str, secrets: &[String]) -> Self {
        let mut failure = explain(error, bucket);
        for secret in secrets {
            failure.message = failure.message.replace(secret.as_str(), "***");
        }
        failure
    }
}

fn explain(error: &Error, bucket: &str) -> Failure {
    let mut causes = Vec::new();
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    let whole = error.to_string();
    let (code, said) = (between(&whole, "<Code>", "</Code>"), between(&whole, "<Message>", "</Message>"));
    let said = match (code, said) {
        // Azure tells the number and the time of the request below what it says.
        (Some(code), Some(said)) => format!("{} ({code})", said.lines().next().unwrap_or_default()),
        (Some(code), None) => code.to_owned(),
        _ => causes.last().map_or_else(|| whole.clone(), ToString::to_string),
    };
    let permanent = |message: String| Failure { message, transient: false };
    match (error, code) {
        (_, Some("NoSuchBucket")) => permanent(format!("there is no bucket `{bucket}`")),
        (_, Some("ContainerNotFound")) => permanent(format!("there is no container `{bucket}`")),
        (Error::NotFound { .. }, Some("NoSuchKey" | "BlobNotFound") | None) => {
            permanent("there is no such object".to_owned())
        }
        (_, Some("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "AuthenticationFailed")) => {
            permanent(format!("the server does not accept the connection's access key: {said}"))
        }
        (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }, _) => {
            permanent(format!("access to the bucket `{bucket}` is denied: {said}"))
        }
        (_, Some(code)) => Failure { message: said, transient: PASSING.contains(&code) },
        _ if causes.iter().any(|cause| cause.is::<tokio::time::error::Elapsed>()) => {
            Failure { message: "the server stopped answering".to_owned(), transient: true }
        }
        _ => match causes.iter().find_map(|cause| cause.downcast_ref::<HttpError>()).map(HttpError::kind) {
            Some(HttpErrorKind::Connect) => {
                Failure { message: format!("the server cannot be reached: {said}"), transient: true }
            }
            Some(_) => Failure { message: said, transient: true },
            None => {
                let status = between(&whole, "status code: ", " ");
                let transient = status
                    .is_some_and(|status| status.starts_with('5') || status == "429" || status == "408");
                Failure { message: said, transient }
            }
        },
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inner, _)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: Error, message: &str, transient: bool) {
        let secrets = ["AKIA1".to_owned()];
        assert_eq!(Failure::of(&error, "lake", &secrets), Failure { message: message.to_owned(), transient });
    }

    fn generic(text: &str) -> Error {
        Error::Generic { store: "S3", source: text.into() }
    }

    #[test]
    fn refusals() {
        let denied = "<Code>AccessDenied</Code><Message>AKIA1 may not</Message>";
        check(
            Error::PermissionDenied { path: "a".to_owned(), source: denied.into() },
            "access to the bucket `lake` is denied: *** may not (AccessDenied)",
            false,
        );
        check(generic("<Code>NoSuchBucket</Code>"), "there is no bucket `lake`", false);
        check(
            Error::NotFound { path: "a".to_owned(), source: "404".into() },
            "there is no such object",
            false,
        );
        check(generic("<Code>ContainerNotFound</Code>"), "there is no container `lake`", false);
        check(
            generic("<Code>AuthenticationFailed</Code><Message>Not signed.\nRequestId:1\nTime:2</Message>"),
            "the server does not accept the connection's access key: Not signed. (AuthenticationFailed)",
            false,
        );
        check(generic("<Code>SlowDown</Code><Message>Wait</Message>"), "Wait (SlowDown)", true);
        check(generic("<Code>EntityTooLarge</Code>"), "EntityTooLarge", false);
        let text = "Server returned non-2xx status code: 503 Service Unavailable: ";
        check(generic(text), text, true);
    }
}
