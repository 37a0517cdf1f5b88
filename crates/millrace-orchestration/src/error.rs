//! What can go wrong around a run, beside its steps.

use millrace_contract::Explain;
use millrace_metastore::MetastoreError;
use millrace_spec::problem::Problem;

/// Why the engine refused or failed a request.
#[derive(Debug, thiserror::Error)]
pub enum OrchestrationError {
    /// The pipeline or the inputs do not fit.
    #[error("{}", .0.message)]
    Invalid(Box<Problem>),
    /// No such run.
    #[error("there is no run `{id}`")]
    UnknownRun {
        /// As asked.
        id: String,
    },
    /// The run is over, so nothing can be done to it.
    #[error("the run `{id}` is {state} already")]
    RunIsOver {
        /// Which.
        id: String,
        /// Its state.
        state: &'static str,
    },
    /// The run goes on, so what it leaves is not known yet.
    #[error("the run `{id}` goes on")]
    RunGoesOn {
        /// Which.
        id: String,
    },
    /// Another engine has taken over this store.
    #[error("another server has taken over this workspace")]
    StaleEpoch,
    /// The database failed.
    #[error("cannot {action}")]
    Store {
        /// What was being done.
        action: &'static str,
        /// Why.
        #[source]
        error: MetastoreError,
    },
    /// A stored document cannot be read.
    #[error("the stored {what} of run `{id}` cannot be read")]
    Document {
        /// Which document.
        what: &'static str,
        /// Of which run.
        id: String,
        /// Why.
        #[source]
        error: serde_json::Error,
    },
}

impl OrchestrationError {
    /// Wraps a database error.
    pub(crate) fn store(action: &'static str) -> impl FnOnce(MetastoreError) -> Self {
        move |error| Self::Store { action, error }
    }
}

impl Explain for OrchestrationError {
    fn problem(&self) -> Problem {
        match self {
            Self::Invalid(problem) => (**problem).clone(),
            Self::UnknownRun { .. } => {
                Problem::error("unknown-run", self.to_string()).hint("list the runs with `millrace runs`")
            }
            Self::RunIsOver { .. } => Problem::error("run-is-over", self.to_string()),
            Self::RunGoesOn { id } => Problem::error("run-goes-on", self.to_string())
                .hint(format!("wait for its end, or cancel it first: `millrace cancel {id}`")),
            Self::StaleEpoch => Problem::error("stale-epoch", self.to_string())
                .hint("use the other server, or stop it and start this one again"),
            Self::Store { error, .. } => Problem::error("store-failed", self.to_string()).note(chain(error)),
            Self::Document { error, .. } => {
                Problem::error("document-unreadable", self.to_string()).note(error.to_string())
            }
        }
    }
}

/// An error with its causes, one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
