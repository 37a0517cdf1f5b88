//! The one interface over both databases.

use std::sync::{Arc, PoisonError, RwLock};

use futures::future::BoxFuture;
use tokio::sync::mpsc;

use crate::experiments::{Keys, LogQueue, RunIndex, log_until_closed};
use crate::lookout::Lookout;
use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;
use crate::{MetastoreError, Session, migrations};

/// A database with our tables. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metastore {
    backend: Backend,
    keys: Arc<Keys>,
    index: Arc<RunIndex>,
    /// Receivers that hear of what runs do.
    lineage_receivers: Arc<RwLock<Arc<[String]>>>,
    /// Where what runs log waits; absent in the task that writes it.
    log: Option<LogQueue>,
    lookout: Arc<Lookout>,
}

/// Requests that wait to be logged; more wait in their callers.
const LOG_QUEUE: usize = 4_096;

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
        let backend = if let Some(path) = url.strip_prefix("sqlite:") {
            Backend::Sqlite(SqliteStore::open(path.trim_start_matches("//")).await?)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Backend::Postgres(PostgresStore::open(url).await?)
        } else {
            let shown = url.split('@').next_back().unwrap_or_default().to_owned();
            return Err(MetastoreError::UnknownUrl { url: shown });
        };
        let file = match &backend {
            Backend::Sqlite(store) => Some(store.file()),
            Backend::Postgres(_) => None,
        };
        let lookout = Lookout::start(file)?;
        let mut store = Self {
            backend,
            keys: Arc::default(),
            index: Arc::default(),
            lineage_receivers: Arc::default(),
            log: None,
            lookout,
        };
        migrations::apply(&store).await?;
        let (log, requests) = mpsc::channel(LOG_QUEUE);
        // Ends when the last store that has the queue is dropped.
        tokio::spawn(log_until_closed(store.clone(), requests));
        store.log = Some(log);
        Ok(store)
    }

    /// The names of metrics, parameters and tags.
    pub(crate) fn keys(&self) -> Arc<Keys> {
        self.keys.clone()
    }

    /// Columns of runs, for searches.
    pub(crate) fn index(&self) -> Arc<RunIndex> {
        self.index.clone()
    }

    /// Says who is to hear of what runs do: for each of them a change is noted in its own transaction.
    pub fn note_lineage_for(&self, receivers: Vec<String>) {
        *self.lineage_receivers.write().unwrap_or_else(PoisonError::into_inner) = receivers.into();
    }

    /// Who is to hear of what runs do.
    pub(crate) fn lineage_receivers(&self) -> Arc<[String]> {
        self.lineage_receivers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where what runs log waits.
    pub(crate) fn log_queue(&self) -> Option<&LogQueue> {
        self.log.as_ref()
    }

    /// Whether this is PostgreSQL; for the few statements that differ.
    pub fn is_postgres(&self) -> bool {
        matches!(self.backend, Backend::Postgres(_))
    }

    /// Who looks out for commits.
    pub(crate) fn lookout(&self) -> &Lookout {
        &self.lookout
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
        let mut session = match &self.backend {
            Backend::Sqlite(store) => store.reader().await?,
            Backend::Postgres(store) => store.connection().await?,
        };
        work(&mut session).await
    }

    /// SQLite's writing connection, for what brings its own transactions; `None` on PostgreSQL.
    ///
    /// # Errors
    /// If the connection cannot be had.
    pub(crate) async fn writer(&self) -> Result<Option<Session>, MetastoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.writer().await.map(Some),
            Backend::Postgres(_) => Ok(None),
        }
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
        match &self.backend {
            Backend::Sqlite(store) => store.write(work).await,
            Backend::Postgres(store) => store.write(work).await,
        }
    }
}
