use millrace_contract::StepError;
use millrace_spec::problem::Problem;

/// Why a call cannot be made or looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The config lacks something that the schema cannot ask for.
    #[error("{}", .0.message)]
    Config(Box<Problem>),
    /// No answer: the network, or a server that is away or overloaded. It may pass.
    #[error("{host} does not answer: {message}")]
    Away { host: String, message: String },
    /// The other system says no.
    #[error("{host} refuses {method} {path} with {status}: {said}")]
    Refused { host: String, method: String, path: String, status: u16, said: String },
    /// An answer without what it must have.
    #[error("{host} answers without {what}: {said}")]
    Unexpected { host: String, what: String, said: String },
}

impl CallError {
    pub(crate) fn config(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Config(Box::new(Problem::error(code, message).hint(hint)))
    }

    /// Whether it may pass by itself.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Away { .. })
    }

    /// The status of a refusal.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    fn problem(&self) -> Problem {
        match self {
            Self::Config(problem) => (**problem).clone(),
            Self::Away { .. } => Problem::error("call-unreachable", self.to_string()),
            Self::Refused { status: 401 | 403, .. } => Problem::error("call-refused", self.to_string())
                .hint("give the step a login that may do this, with `${{ secrets.NAME }}` or a `connection`"),
            Self::Refused { status: 404, .. } => Problem::error("call-refused", self.to_string())
                .hint("check the names in the step, and that the login may see them"),
            Self::Refused { .. } => Problem::error("call-refused", self.to_string()),
            Self::Unexpected { .. } => Problem::error("call-answer", self.to_string()),
        }
    }
}

impl From<CallError> for StepError {
    fn from(error: CallError) -> Self {
        let problem = error.problem();
        if error.is_transient() { Self::transient(problem) } else { Self::permanent(problem) }
    }
}
