//! What a load does on its connection.

use std::time::Instant;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use millrace_contract::BatchStream;
use serde_json::Value;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, Row as _};

use super::super::cells::{Cell, Sent, insert};
use super::super::load::next_batch;
use super::super::{Dialect, Load, Session, TableColumn};
use super::{refused, run, with_cell};
use crate::error::CopyError;
use crate::meter::Stage;

/// Values of one statement; SQLite takes 32766.
const VALUES: usize = 16_000;

pub(super) struct SqliteSession {
    pub(super) connection: SqliteConnection,
    pub(super) what: String,
}

#[async_trait]
impl Session for SqliteSession {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, CopyError> {
        let arguments = bound(values).map_err(|message| CopyError::write(&self.what, &message))?;
        let done =
            sqlx::query_with(AssertSqlSafe(sql.to_owned()), arguments).execute(&mut self.connection).await;
        done.map(|done| done.rows_affected()).map_err(|error| refused(&self.what, &error))
    }

    async fn script(&mut self, sql: &str) -> Result<(), CopyError> {
        run(&mut self.connection, sql).await.map_err(|error| refused(&self.what, &error))
    }

    async fn ask(&mut self, sql: &str, values: &[Value]) -> Result<Option<Vec<Option<String>>>, CopyError> {
        let arguments = bound(values).map_err(|message| CopyError::write(&self.what, &message))?;
        let asked = sqlx::query_with(AssertSqlSafe(sql.to_owned()), arguments);
        let row =
            asked.fetch_optional(&mut self.connection).await.map_err(|error| refused(&self.what, &error))?;
        let Some(row) = row else { return Ok(None) };
        let text = |index| {
            with_cell(&row, index, |cell| (cell != Cell::Null).then(|| cell.to_string()))
                .map_err(|error| refused(&self.what, &error))
        };
        (0..row.len()).map(text).collect::<Result<Vec<_>, _>>().map(Some)
    }

    async fn columns(&mut self, table: &str) -> Result<Option<Vec<TableColumn>>, CopyError> {
        let (schema, table) = table.rsplit_once('.').unwrap_or(("main", table));
        let sql = "select name, type from pragma_table_info($1, $2) order by cid";
        let rows = sqlx::query(sql).bind(table).bind(schema).fetch_all(&mut self.connection).await;
        let rows = rows.map_err(|error| refused(&self.what, &error))?;
        let column = |row: SqliteRow| Ok(TableColumn { name: row.try_get(0)?, sql_type: row.try_get(1)? });
        let columns: Result<Vec<_>, sqlx::Error> = rows.into_iter().map(column).collect();
        let columns = columns.map_err(|error| refused(&self.what, &error))?;
        Ok(Some(columns).filter(|columns| !columns.is_empty()))
    }

    async fn fill(
        &mut self,
        table: &str,
        columns: &[TableColumn],
        mut rows: BatchStream,
        load: &Load<'_>,
    ) -> Result<u64, CopyError> {
        let names: Vec<String> = columns.iter().map(|column| Dialect::Sqlite.quoted(&column.name)).collect();
        let head = format!("insert into {table} ({})", names.join(", "));
        let at_once = (VALUES / columns.len().max(1)).max(1);
        let mut count = 0;
        while let Some(batch) = next_batch(&mut rows).await? {
            let begun = Instant::now();
            let sent =
                batch.columns().iter().map(|column| Sent::new(column, true)).collect::<Result<Vec<_>, _>>();
            let sent = sent.map_err(|error| load.failed(&error))?;
            for start in (0..batch.num_rows()).step_by(at_once) {
                let end = (start + at_once).min(batch.num_rows());
                let mut arguments = SqliteArguments::default();
                for row in start..end {
                    for (column, sent) in columns.iter().zip(&sent) {
                        add(&mut arguments, sent.cell(row))
                            .map_err(|error| load.failed(&format!("column `{}`: {error}", column.name)))?;
                    }
                }
                let sql = insert(&head, &vec!["?"; columns.len()], end - start);
                let done =
                    sqlx::query_with(AssertSqlSafe(sql), arguments).execute(&mut self.connection).await;
                done.map_err(|error| refused(&self.what, &error))?;
            }
            count += batch.num_rows() as u64;
            load.meter.add(Stage::Write, begun.elapsed());
        }
        Ok(count)
    }

    fn fits(&self, schema: &Schema, _: &[TableColumn]) -> Vec<bool> {
        vec![true; schema.fields().len()]
    }
}

fn add(arguments: &mut SqliteArguments, cell: Cell<'_>) -> Result<(), String> {
    let added = match cell {
        Cell::Null => arguments.add(None::<i64>),
        Cell::Boolean(value) => arguments.add(i64::from(value)),
        Cell::Int(value) => arguments.add(value),
        Cell::Unsigned(value) => arguments.add(value.to_string()),
        Cell::Float(value) if value.is_nan() => return Err("SQLite has no place for `NaN`".to_owned()),
        Cell::Float(value) => arguments.add(value),
        Cell::Text(value) => arguments.add(value.to_owned()),
        Cell::Bytes(value) => arguments.add(value.to_vec()),
    };
    added.map_err(|error| error.to_string())
}

pub(super) fn bound(values: &[Value]) -> Result<SqliteArguments, String> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        let text = value.to_string();
        let cell = match value {
            Value::Null => Cell::Null,
            Value::Bool(value) => Cell::Boolean(*value),
            Value::String(text) => Cell::Text(text),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => Cell::Int(value),
                (None, Some(value)) => Cell::Float(value),
                _ => Cell::Text(&text),
            },
            Value::Array(_) | Value::Object(_) => Cell::Text(&text),
        };
        add(&mut arguments, cell)?;
    }
    Ok(arguments)
}
