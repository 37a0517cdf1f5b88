use millrace_contract::{Explain, StepError};
use millrace_spec::problem::{Place, Problem};

use crate::rejects::RejectLimit;

/// Why a copy fails.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CopyError {
    /// The step's text is wrong.
    #[error("{message}")]
    Config {
        /// What is wrong.
        message: String,
        /// What to type instead.
        hint: String,
    },
    /// The connection cannot be used: it is wrong, or one of its secrets has no value.
    #[error("{}", .0.message)]
    Connection(Box<Problem>),
    /// The source is not there or cannot be read.
    #[error("cannot read `{what}`: {message}")]
    Read {
        /// File, URL or table.
        what: String,
        /// Why.
        message: String,
        /// Whether it may pass.
        transient: bool,
    },
    /// A queue has no message now.
    #[error("`{queue}` has no message, and what the bodies of its messages say is not known")]
    NoMessage {
        /// `connection:queue`.
        queue: String,
    },
    /// The source has noted no change since it was read.
    #[error("nothing of `{what}` has changed")]
    Unchanged {
        /// The source as the user names it.
        what: String,
    },
    /// A row of the source is bad.
    #[error("row cannot be read: {message}")]
    Row {
        /// File as the user names it.
        file: String,
        /// Line on which the row begins.
        line: u64,
        /// Column, if one cell is to blame.
        column: Option<String>,
        /// What is wrong.
        message: String,
    },
    /// More bad rows than allowed.
    #[error("more than {limit} were rejected")]
    TooManyRejects {
        /// `max_rejects`.
        limit: RejectLimit,
        /// Where the rejected rows are.
        file: String,
    },
    /// The sink refuses.
    #[error("cannot write `{what}`: {message}")]
    Write {
        /// File or table.
        what: String,
        /// Why.
        message: String,
        /// Whether it may pass.
        transient: bool,
    },
    /// What was written is not what was read.
    #[error("what was written to `{what}` is not what was read: {difference}")]
    NotVerified {
        /// File or table.
        what: String,
        /// Counts or columns that differ.
        difference: String,
    },
    /// Some of several files could not be copied; the others were.
    #[error("{} could not be copied, the first: {first}", files(*failed))]
    Files {
        /// How many.
        failed: usize,
        /// What went wrong with the first.
        first: Box<CopyError>,
        /// Whether it may pass.
        transient: bool,
        /// Where all of them stand.
        manifest: String,
    },
    /// Somebody cancelled it.
    #[error("cancelled")]
    Cancelled,
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

impl CopyError {
    /// Whether trying again could help.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Read { transient, .. } | Self::Write { transient, .. } | Self::Files { transient, .. } => {
                *transient
            }
            _ => false,
        }
    }

    pub(crate) fn config(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Config { message: message.into(), hint: hint.into() }
    }

    pub(crate) fn read(what: impl Into<String>, error: &dyn std::fmt::Display) -> Self {
        Self::Read { what: what.into(), message: error.to_string(), transient: false }
    }

    /// Reading broke off; if a store is to blame, in its words.
    pub(crate) fn broken(what: &str, error: std::io::Error) -> Self {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Self>());
        cause.cloned().unwrap_or_else(|| Self::read(what, &error))
    }

    pub(crate) fn write(what: impl Into<String>, error: &dyn std::fmt::Display) -> Self {
        Self::Write { what: what.into(), message: error.to_string(), transient: false }
    }
}

impl Explain for CopyError {
    fn problem(&self) -> Problem {
        match self {
            Self::Config { hint, .. } => Problem::error("copy-config", self.to_string()).hint(hint),
            Self::Connection(problem) => (**problem).clone(),
            Self::Read { .. } | Self::Unchanged { .. } => Problem::error("copy-read", self.to_string()),
            Self::NoMessage { .. } => Problem::error("copy-read", self.to_string())
                .hint("to write no rows all the same, declare the column: `columns: {body: string}`"),
            Self::Row { file, line, column, .. } => {
                let line = u32::try_from(*line).unwrap_or(u32::MAX);
                let place = Place { file: file.clone(), line, column: 1, length: 1 };
                let problem = Problem::error("copy-bad-row", self.to_string()).at(place);
                let problem = match column {
                    Some(column) => {
                        problem.hint(format!("to keep the column as text: `columns: {{{column}: string}}`"))
                    }
                    None => problem,
                };
                problem.hint("to go on and collect such rows: `on_error: reject`")
            }
            Self::TooManyRejects { file, .. } => Problem::error("copy-too-many-rejects", self.to_string())
                .note(format!("the rejected rows are in `{file}`"))
                .hint("raise `max_rejects`, or correct `columns:`"),
            Self::Write { .. } => Problem::error("copy-write", self.to_string()),
            Self::NotVerified { .. } => Problem::error("copy-not-verified", self.to_string())
                .hint("run the copy again; what was written is still there"),
            Self::Files { manifest, .. } => Problem::error("copy-files", self.to_string())
                .note(format!("what became of each file stands in `{manifest}`"))
                .hint("run it again; what was copied is left alone"),
            Self::Cancelled => Problem::error("cancelled", "the step was cancelled"),
        }
    }
}

impl From<CopyError> for StepError {
    fn from(error: CopyError) -> Self {
        let transient = error.may_pass();
        match error {
            CopyError::Cancelled => Self::cancelled(),
            other if transient => Self::transient(other.problem()),
            other => Self::permanent(other.problem()),
        }
    }
}
