//! A connection in the hands of one read or one write.

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Postgres};

use crate::MetastoreError;
use crate::sqlite::Lent;
use crate::value::{Inner, Row, Value};

/// Runs statements. `$1`, `$2`, … are bound on both databases.
#[derive(Debug)]
pub struct Session(pub(crate) Connection);

#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(Lent),
    Postgres(PoolConnection<Postgres>),
}

/// Binds values to a query; a macro, since the two databases have different argument types.
macro_rules! bind_all {
    ($query:expr, $args:expr) => {{
        let mut query = $query;
        for value in $args {
            query = match value {
                Value::NullText => query.bind(None::<String>),
                Value::NullInt => query.bind(None::<i64>),
                Value::NullReal => query.bind(None::<f64>),
                Value::NullBytes => query.bind(None::<Vec<u8>>),
                Value::Int(value) => query.bind(*value),
                Value::Real(value) => query.bind(*value),
                Value::Text(value) => query.bind(value.as_ref().to_owned()),
                Value::Bytes(value) => query.bind(value.as_ref().to_vec()),
            };
        }
        query
    }};
}

impl Session {
    /// Whether this is PostgreSQL; for the few statements that differ.
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.0, Connection::Postgres(_))
    }

    /// Runs a statement and returns the number of rows it changed.
    ///
    /// # Errors
    /// If the statement fails.
    pub async fn execute(&mut self, sql: &str, args: &[Value<'_>]) -> Result<u64, MetastoreError> {
        // Statements are written out in this crate; only placeholders and column lists of our own are formatted into them.
        let sql = AssertSqlSafe(sql.to_owned());
        let done = match &mut self.0 {
            Connection::Sqlite(connection) => bind_all!(sqlx::query(sql), args)
                .execute(&mut **connection)
                .await
                .map(|done| done.rows_affected()),
            Connection::Postgres(connection) => bind_all!(sqlx::query(sql), args)
                .execute(&mut **connection)
                .await
                .map(|done| done.rows_affected()),
        };
        done.map_err(MetastoreError::Statement)
    }

    /// Runs a query and returns all rows.
    ///
    /// # Errors
    /// If the query fails.
    pub async fn fetch_all(&mut self, sql: &str, args: &[Value<'_>]) -> Result<Vec<Row>, MetastoreError> {
        let sql = AssertSqlSafe(sql.to_owned());
        match &mut self.0 {
            Connection::Sqlite(connection) => {
                let rows = bind_all!(sqlx::query(sql), args).fetch_all(&mut **connection).await;
                Ok(rows
                    .map_err(MetastoreError::Statement)?
                    .into_iter()
                    .map(|row| Row(Inner::Sqlite(row)))
                    .collect())
            }
            Connection::Postgres(connection) => {
                let rows = bind_all!(sqlx::query(sql), args).fetch_all(&mut **connection).await;
                Ok(rows
                    .map_err(MetastoreError::Statement)?
                    .into_iter()
                    .map(|row| Row(Inner::Postgres(row)))
                    .collect())
            }
        }
    }

    /// Runs a query and returns its first row.
    ///
    /// # Errors
    /// If the query fails.
    pub async fn fetch_optional(
        &mut self,
        sql: &str,
        args: &[Value<'_>],
    ) -> Result<Option<Row>, MetastoreError> {
        Ok(self.fetch_all(sql, args).await?.into_iter().next())
    }

    /// Runs statements one after the other. On SQLite they are handed over together: each hand-over wakes another thread, which costs more
    /// than most statements.
    ///
    /// # Errors
    /// If a statement fails.
    pub async fn execute_all(
        &mut self,
        statements: Vec<(String, Vec<Value<'_>>)>,
    ) -> Result<(), MetastoreError> {
        if statements.is_empty() {
            return Ok(());
        }
        if self.is_postgres() {
            for (sql, args) in &statements {
                self.execute(sql, args).await?;
            }
            return Ok(());
        }
        let (all, args) = joined(statements);
        self.execute(&all, &args).await.map(drop)
    }

    /// Lets no other transaction have the lock of this name before this one is over: what is counted stays so. SQLite has one writer anyway.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) async fn lock(&mut self, name: &str) -> Result<(), MetastoreError> {
        if self.is_postgres() {
            self.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", &[name.into()]).await?;
        }
        Ok(())
    }

    /// Runs a statement that is a transaction of its own, and on disk afterwards. Only outside a transaction.
    ///
    /// # Errors
    /// If it fails: then nothing was done.
    pub(crate) async fn commit_alone(&mut self, sql: &str, args: &[Value<'_>]) -> Result<(), MetastoreError> {
        #[cfg(any(test, feature = "testing"))]
        crate::commits::pass();
        let outcome = self.execute(sql, args).await;
        #[cfg(any(test, feature = "testing"))]
        crate::commits::pass();
        outcome.map(drop)
    }

    /// Runs statements separated by semicolons, without values; for migrations.
    pub(crate) async fn execute_script(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        match &mut self.0 {
            Connection::Sqlite(connection) => sqlx::raw_sql(sql).execute(&mut **connection).await.map(drop),
            Connection::Postgres(connection) => sqlx::raw_sql(sql).execute(&mut **connection).await.map(drop),
        }
    }

    /// A statement that opens, closes or marks a transaction.
    pub(crate) async fn control(&mut self, sql: &'static str) -> Result<(), MetastoreError> {
        #[cfg(any(test, feature = "testing"))]
        if sql == "COMMIT" {
            crate::commits::pass();
            let committed = self.execute_script(sql).await.map_err(MetastoreError::Statement);
            crate::commits::pass();
            return committed;
        }
        self.execute_script(sql).await.map_err(MetastoreError::Statement)
    }
}

/// Statements in one text, with their values.
fn joined(statements: Vec<(String, Vec<Value<'_>>)>) -> (String, Vec<Value<'_>>) {
    let (mut all, mut all_args) = (Vec::with_capacity(statements.len()), Vec::new());
    for (sql, args) in statements {
        all.push(shifted(&sql, all_args.len()));
        all_args.extend(args);
    }
    (all.join("; "), all_args)
}

/// A statement whose placeholders begin after so many others.
fn shifted(sql: &str, by: usize) -> String {
    let mut parts = sql.split('$');
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(end);
        match number.parse::<usize>() {
            Ok(number) => all.push_str(&format!("${}{rest}", number + by)),
            Err(_) => all.push_str(&format!("${part}")),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_counted_on() {
        assert_eq!(shifted("SET a = $1 WHERE b IN ($2, $10)", 3), "SET a = $4 WHERE b IN ($5, $13)");
        assert_eq!(shifted("SELECT 1", 3), "SELECT 1");
    }
}
