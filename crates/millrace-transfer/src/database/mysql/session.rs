//! What a load does on its connection.

use std::time::Instant;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use millrace_contract::BatchStream;
use serde_json::Value;
use sqlx::mysql::{MySqlArguments, MySqlConnection};
use sqlx::{Arguments as _, AssertSqlSafe, Row as _};

use super::super::cells::{Cell, Sent, insert};
use super::super::load::next_batch;
use super::super::{Dialect, Load, Session, TableColumn};
use super::{refused, run, text, with_cell};
use crate::error::CopyError;
use crate::meter::Stage;

/// Values of one statement; the protocol takes 65535.
const VALUES: usize = 32_000;
/// Bytes of one statement, below what servers take by themselves (`max_allowed_packet`, 16 MB).
const BYTES: usize = 4 * 1024 * 1024;

pub(super) struct MysqlSession {
    pub(super) connection: MySqlConnection,
    pub(super) what: String,
}

#[async_trait]
impl Session for MysqlSession {
    fn dialect(&self) -> Dialect {
        Dialect::Mysql
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
            with_cell(&row, index, |cell| match cell {
                Cell::Null => None,
                Cell::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                cell => Some(cell.to_string()),
            })
            .map_err(|error| refused(&self.what, &error))
        };
        (0..row.len()).map(text).collect::<Result<Vec<_>, _>>().map(Some)
    }

    async fn columns(&mut self, table: &str) -> Result<Option<Vec<TableColumn>>, CopyError> {
        let (schema, name) = match table.rsplit_once('.') {
            Some((schema, name)) => (Value::from(schema), name),
            None => (Value::Null, table),
        };
        let sql = "select engine from information_schema.tables where table_schema = coalesce(?, database()) and table_name = ?";
        let Some(found) = self.ask(sql, &[schema, name.into()]).await? else { return Ok(None) };
        let engine = found.into_iter().next().flatten().unwrap_or_default();
        if !engine.is_empty() && !engine.eq_ignore_ascii_case("innodb") {
            return Err(CopyError::config(
                format!("the table `{table}` is kept by `{engine}`, which has no transactions"),
                format!("alter table {} engine=InnoDB", Dialect::Mysql.table(table)),
            ));
        }
        let sql = format!("show columns from {}", Dialect::Mysql.table(table));
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.connection).await;
        let rows = rows.map_err(|error| refused(&self.what, &error))?;
        let mut columns = Vec::new();
        for row in rows {
            let cell = |index| text(&row, index).map_err(|error| refused(&self.what, &error));
            let extra = cell(5)?.unwrap_or_default();
            if !extra.to_lowercase().contains("generated") || extra.eq_ignore_ascii_case("default_generated")
            {
                let (name, sql_type) = (cell(0)?.unwrap_or_default(), cell(1)?.unwrap_or_default());
                columns.push(TableColumn { name, sql_type });
            }
        }
        Ok(Some(columns))
    }

    async fn fill(
        &mut self,
        table: &str,
        columns: &[TableColumn],
        mut rows: BatchStream,
        load: &Load<'_>,
    ) -> Result<u64, CopyError> {
        let names: Vec<String> = columns.iter().map(|column| Dialect::Mysql.quoted(&column.name)).collect();
        let head = format!("insert into {table} ({})", names.join(", "));
        // What is bound is taken for the bytes of bits; a number that is computed is not.
        let place = |column: &TableColumn| {
            if column.sql_type.starts_with("bit") { "cast(? as unsigned)" } else { "?" }
        };
        let places: Vec<&str> = columns.iter().map(place).collect();
        let at_once = (VALUES / columns.len().max(1)).max(1);
        let mut count = 0;
        while let Some(batch) = next_batch(&mut rows).await? {
            let begun = Instant::now();
            let sent =
                batch.columns().iter().map(|column| Sent::new(column, false)).collect::<Result<Vec<_>, _>>();
            let sent = sent.map_err(|error| load.failed(&error))?;
            let (mut arguments, mut pending, mut bytes) = (MySqlArguments::default(), 0, 0);
            for row in 0..batch.num_rows() {
                for (column, sent) in columns.iter().zip(&sent) {
                    let cell = sent.cell(row);
                    bytes += match cell {
                        Cell::Text(text) => text.len(),
                        Cell::Bytes(bytes) => bytes.len(),
                        _ => 8,
                    };
                    add(&mut arguments, cell)
                        .map_err(|error| load.failed(&format!("column `{}`: {error}", column.name)))?;
                }
                pending += 1;
                if pending == at_once || bytes >= BYTES || row + 1 == batch.num_rows() {
                    let sql = insert(&head, &places, pending);
                    let query = sqlx::query_with(AssertSqlSafe(sql), std::mem::take(&mut arguments));
                    let done = query.execute(&mut self.connection).await;
                    done.map_err(|error| refused(&self.what, &error))?;
                    (pending, bytes) = (0, 0);
                }
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

fn add(arguments: &mut MySqlArguments, cell: Cell<'_>) -> Result<(), String> {
    let added = match cell {
        Cell::Null => arguments.add(None::<i64>),
        Cell::Boolean(value) => arguments.add(value),
        Cell::Int(value) => arguments.add(value),
        Cell::Unsigned(value) => arguments.add(value),
        Cell::Float(value) if !value.is_finite() => return Err(format!("MySQL has no place for `{value}`")),
        Cell::Float(value) => arguments.add(value),
        Cell::Text(value) => arguments.add(value),
        Cell::Bytes(value) => arguments.add(value),
    };
    added.map_err(|error| error.to_string())
}

pub(super) fn bound(values: &[Value]) -> Result<MySqlArguments, String> {
    let mut arguments = MySqlArguments::default();
    for value in values {
        let text = value.to_string();
        let cell = match value {
            Value::Null => Cell::Null,
            Value::Bool(value) => Cell::Boolean(*value),
            Value::String(text) => Cell::Text(text),
            Value::Number(number) => number.as_i64().map_or(Cell::Text(&text), Cell::Int),
            Value::Array(_) | Value::Object(_) => Cell::Text(&text),
        };
        add(&mut arguments, cell)?;
    }
    Ok(arguments)
}
