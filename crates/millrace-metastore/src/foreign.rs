//! A database of another program, read and never written.

use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::SqliteConnectOptions;

use crate::session::Connection;
use crate::sqlite::Lending;
use crate::{MetastoreError, Row, Session, Value};

/// A database of another program: SQLite or PostgreSQL. Its statements are written by whoever knows its tables.
#[derive(Debug)]
pub struct ForeignDatabase(Pool);

#[derive(Debug)]
enum Pool {
    Sqlite(Arc<Lending>),
    Postgres(PgPool),
}

impl ForeignDatabase {
    /// Opens a file of SQLite that is there.
    ///
    /// # Errors
    /// If it is absent or no such file.
    pub async fn open_file(path: &Path) -> Result<Self, MetastoreError> {
        let options =
            SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(Duration::from_secs(20));
        let connections = Lending::new(options, 2);
        // That the file cannot be opened is told now.
        drop(connections.lend().await?);
        Ok(Self(Pool::Sqlite(connections)))
    }

    /// Opens a database of a PostgreSQL server, `postgres://…`.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub async fn open_server(url: &str) -> Result<Self, MetastoreError> {
        let options = PgConnectOptions::from_str(url).map_err(MetastoreError::Open)?;
        let options = options.options([("default_transaction_read_only", "on")]);
        let pool = PgPoolOptions::new().max_connections(2).connect_with(options).await;
        Ok(Self(Pool::Postgres(pool.map_err(MetastoreError::Open)?)))
    }

    /// Runs a query; `$1`, `$2`, … are bound.
    ///
    /// # Errors
    /// If it fails.
    pub async fn fetch(&self, sql: &str, args: &[Value<'_>]) -> Result<Vec<Row>, MetastoreError> {
        let connection = match &self.0 {
            Pool::Sqlite(connections) => Connection::Sqlite(connections.lend().await?),
            Pool::Postgres(pool) => Connection::Postgres(pool.acquire().await.map_err(MetastoreError::Open)?),
        };
        Session(connection).fetch_all(sql, args).await
    }

    /// All tables with their columns.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn columns(&self) -> Result<Vec<(String, String)>, MetastoreError> {
        let sql = match &self.0 {
            Pool::Sqlite(_) => {
                "SELECT tables.name AS table_name, columns.name AS column_name FROM sqlite_master AS tables \
                 JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'"
            }
            Pool::Postgres(_) => {
                "SELECT CAST(table_name AS TEXT) AS table_name, CAST(column_name AS TEXT) AS column_name \
                 FROM information_schema.columns WHERE table_schema = current_schema()"
            }
        };
        let rows = self.fetch(sql, &[]).await?;
        rows.iter().map(|row| Ok((row.text("table_name")?, row.text("column_name")?))).collect()
    }
}
