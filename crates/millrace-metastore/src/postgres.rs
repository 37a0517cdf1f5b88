//! PostgreSQL: a pool, one transaction a write.

use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::session::Connection;
use crate::{MetastoreError, Session};

/// A server that stops in the midst of a write (a frozen machine, a cable that is pulled) keeps its rows locked, those of its runs, too, which
/// then nobody could take over. The database ends such a transaction: long after every write that goes on, before the server's lease is over.
/// <https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-IN-TRANSACTION-SESSION-TIMEOUT>
const NO_WORD_IN_A_WRITE: &str = "SET idle_in_transaction_session_timeout = '10s'";

#[derive(Debug, Clone)]
pub(crate) struct PostgresStore {
    pool: PgPool,
}

impl PostgresStore {
    pub(crate) async fn open(url: &str) -> Result<Self, MetastoreError> {
        let options = PgPoolOptions::new()
            .max_connections(16)
            .acquire_timeout(Duration::from_secs(20))
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::raw_sql(NO_WORD_IN_A_WRITE).execute(connection).await.map(drop) })
            });
        Ok(Self { pool: options.connect(url).await.map_err(MetastoreError::Open)? })
    }

    pub(crate) async fn connection(&self) -> Result<Session, MetastoreError> {
        let connection = self.pool.acquire().await.map_err(MetastoreError::Open)?;
        Ok(Session(Connection::Postgres(connection)))
    }

    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, MetastoreError>
    where
        F: for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<T, MetastoreError>> + Send + 'static,
        T: Send + 'static,
    {
        // In a task of its own, so that a caller who goes away cannot leave a transaction open in the pool.
        let store = self.clone();
        let writing = tokio::spawn(async move {
            let mut session = store.connection().await?;
            session.control("BEGIN").await?;
            match work(&mut session).await {
                Ok(value) => session.control("COMMIT").await.map(|()| value),
                Err(error) => {
                    session.control("ROLLBACK").await.ok();
                    Err(error)
                }
            }
        });
        writing.await.map_err(|_| MetastoreError::WriterGone)?
    }
}
