//! The one interface over both databases.

use futures::future::BoxFuture;

use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;
use crate::{MetastoreError, Session, migrations};

/// A database with our tables. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metastore(Backend);

#[derive(Debug, Clone)]
enum Backend {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Metastore {
    /// Opens `sqlite:<absolute path>` (made if absent) or `postgres://…` and brings its tables up to date.
    ///
    /// # Errors
    /// If the URL is unknown, the database cannot be opened, or a migration fails.
    pub async fn open(url: &str) -> Result<Self, MetastoreError> {
        let store = if let Some(path) = url.strip_prefix("sqlite:") {
            Self(Backend::Sqlite(SqliteStore::open(path.trim_start_matches("//")).await?))
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self(Backend::Postgres(PostgresStore::open(url).await?))
        } else {
            let shown = url.split('@').next_back().unwrap_or_default().to_owned();
            return Err(MetastoreError::UnknownUrl { url: shown });
        };
        migrations::apply(&store).await?;
        Ok(store)
    }

    /// Whether this is PostgreSQL; for the few statements that differ.
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.0, Backend::Postgres(_))
    }

    /// Reads in one connection. What was committed before is seen.
    ///
    /// # Errors
    /// If no connection is to be had, or what `work` returns.
    pub async fn read<T, F>(&self, work: F) -> Result<T, MetastoreError>
    where
        F: for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<T, MetastoreError>> + Send + 'static,
        T: Send + 'static,
    {
        let mut session = match &self.0 {
            Backend::Sqlite(store) => store.reader().await?,
            Backend::Postgres(store) => store.connection().await?,
        };
        work(&mut session).await
    }

    /// Writes in one transaction, which is on disk when this returns. An error of `work` undoes what it did.
    ///
    /// # Errors
    /// If the transaction cannot be committed, or what `work` returns.
    pub async fn write<T, F>(&self, work: F) -> Result<T, MetastoreError>
    where
        F: for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<T, MetastoreError>> + Send + 'static,
        T: Send + 'static,
    {
        match &self.0 {
            Backend::Sqlite(store) => store.write(work).await,
            Backend::Postgres(store) => store.write(work).await,
        }
    }
}
