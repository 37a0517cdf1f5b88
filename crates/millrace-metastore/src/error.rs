//! What a database answers when it cannot.

/// Why a read or a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum MetastoreError {
    /// The URL names no database that we know.
    #[error("`{url}` is not a database we can open: use `sqlite:<path>` or `postgres://…`")]
    UnknownUrl {
        /// As given, without its password.
        url: String,
    },
    /// It cannot be opened or reached.
    #[error("cannot open the database")]
    Open(#[source] sqlx::Error),
    /// The thread that looks out for commits cannot be started.
    #[error("a thread cannot be started")]
    NoLookout(#[source] std::io::Error),
    /// A statement failed.
    #[error("a statement failed")]
    Statement(#[source] sqlx::Error),
    /// A migration failed; nothing of it was kept.
    #[error("the migration `{name}` failed")]
    Migration {
        /// Which.
        name: &'static str,
        /// Why.
        #[source]
        error: sqlx::Error,
    },
    /// The database was written by a newer program.
    #[error("the database has the migration `{name}`, which this program does not know: use a newer one")]
    TooNew {
        /// The unknown migration.
        name: String,
    },
    /// A migration differs from the one that was applied.
    #[error("the migration `{name}` was changed after it was applied")]
    Changed {
        /// Which.
        name: String,
    },
    /// A column is absent or of another type.
    #[error("the column `{column}` cannot be read as {wanted}")]
    Column {
        /// Which.
        column: String,
        /// The type that was wanted.
        wanted: &'static str,
    },
    /// A document of ours is damaged, or a newer program wrote it.
    #[error(transparent)]
    Unreadable(#[from] crate::experiments::Unreadable),
    /// The row was changed by somebody else meanwhile.
    #[error("{what}")]
    Stale {
        /// What is not as it was.
        what: String,
    },
    /// What the caller asks for cannot be; nothing was changed.
    #[error(transparent)]
    Refused(#[from] crate::experiments::Refusal),
    /// What the caller asks of the model registry cannot be; nothing was changed.
    #[error(transparent)]
    Registry(#[from] crate::registry::RegistryRefusal),
    /// What the caller asks of an approval cannot be; nothing was changed.
    #[error(transparent)]
    Approval(#[from] crate::approvals::ApprovalRefusal),
    /// The transaction was not committed, by the database's fault (a full disk, say); nothing of it was done, and it may be tried again.
    #[error("the transaction could not be committed: {message}")]
    NotCommitted {
        /// In the database's words.
        message: String,
    },
    /// The writer has ended: the program is shutting down, or the work panicked.
    #[error("the database's writer has ended")]
    WriterGone,
}

impl MetastoreError {
    /// Something is not as the caller had seen it.
    pub fn stale(what: impl Into<String>) -> Self {
        Self::Stale { what: what.into() }
    }

    /// Whether a unique key refused the row.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Statement(sqlx::Error::Database(error)) if error.is_unique_violation())
    }
}
