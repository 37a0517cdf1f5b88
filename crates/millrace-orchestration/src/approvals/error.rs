//! Why a decision is not taken.

use millrace_contract::Explain;
use millrace_metastore::MetastoreError;
use millrace_metastore::approvals::ApprovalRefusal;
use millrace_spec::problem::Problem;

use crate::error::chain;

/// Why a decision is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// The rules of the approval forbid it.
    #[error(transparent)]
    Refused(ApprovalRefusal),
    /// `access.yaml` cannot be read, so that nobody knows who is who.
    #[error("{}", .0.message)]
    Access(Box<Problem>),
    /// Whether the subject is still the same cannot be found out now.
    #[error("cannot look up the subject: {message}")]
    Subject {
        /// Why.
        message: String,
    },
    /// A stored document cannot be read.
    #[error("the stored approval `{id}` cannot be read")]
    Document {
        /// Which.
        id: String,
        /// Why.
        #[source]
        error: serde_json::Error,
    },
    /// The database failed.
    #[error("cannot {action}")]
    Store {
        /// What was being done.
        action: &'static str,
        /// Why.
        #[source]
        error: MetastoreError,
    },
}

impl ApprovalError {
    /// Wraps a database error; a refusal is one of its own.
    pub(super) fn store(action: &'static str) -> impl FnOnce(MetastoreError) -> Self {
        move |error| match error {
            MetastoreError::Approval(refusal) => Self::Refused(refusal),
            error => Self::Store { action, error },
        }
    }
}

impl Explain for ApprovalError {
    fn problem(&self) -> Problem {
        match self {
            Self::Refused(refusal) => refused(refusal),
            Self::Access(problem) => (**problem).clone(),
            Self::Subject { .. } => Problem::error("store-failed", self.to_string()),
            Self::Document { error, .. } => {
                Problem::error("document-unreadable", self.to_string()).note(error.to_string())
            }
            Self::Store { error, .. } => Problem::error("store-failed", self.to_string()).note(chain(error)),
        }
    }
}

fn refused(refusal: &ApprovalRefusal) -> Problem {
    let problem = |code: &str| Problem::error(code, refusal.to_string());
    match refusal {
        ApprovalRefusal::NoApproval { .. } => {
            problem("unknown-approval").hint("list them with `millrace approvals`")
        }
        ApprovalRefusal::Decided { .. } => problem("approval-decided"),
        ApprovalRefusal::NotAsked { .. } => problem("not-asked").hint(
            "ask one of them, or have the group or role given to you, in `access.yaml` or to your account",
        ),
        ApprovalRefusal::OwnRun { .. } => {
            problem("own-run").hint("`self: true` in the `approve` step would let authors approve")
        }
        ApprovalRefusal::Again { .. } => problem("approval-decided"),
        ApprovalRefusal::Form { hint, .. } => problem("approval-form").hint(hint.clone()),
        ApprovalRefusal::NoReason => problem("comment-missing").hint("millrace reject … --comment WHY"),
    }
}
