//! What drivers are asked, on threads that may wait for them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatchReader as _;
use arrow_odbc::odbc_api::handles::StatementConnection;
use arrow_odbc::odbc_api::{
    Connection, ConnectionOptions, Cursor as _, CursorImpl, IntoParameter as _, environment,
};
use arrow_odbc::{OdbcReaderBuilder, OdbcWriter};
use async_trait::async_trait;
use millrace_contract::BatchStream;

use super::super::feed::{Feed, Order, fed};
use super::super::sql::{self, Given};
use super::super::{Asking, Found, Origin, Writing, check_mode};
use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::source::{self, BATCH_ROWS};
use crate::store::{masked, unless_cancelled};

/// Bytes of the buffers that a driver fills at once.
const BUFFER: usize = 32 << 20;
/// Rows that a driver is given at once.
const AT_ONCE: usize = 1_000;
/// The table with the keys of loads.
const LOADS: &str = "millrace_odbc_loads";

/// A database.
#[derive(Clone)]
pub(super) struct Odbc {
    pub(super) connection: String,
    pub(super) longest: usize,
    pub(super) secrets: Vec<String>,
}

type Rows = CursorImpl<StatementConnection<Connection<'static>>>;

impl Odbc {
    fn connect(&self) -> Result<Connection<'static>, arrow_odbc::odbc_api::Error> {
        environment()?.connect_with_connection_string(&self.connection, ConnectionOptions::default())
    }

    fn said(&self, error: &dyn std::fmt::Display) -> String {
        masked(&error.to_string(), &self.secrets)
    }

    fn ask(&self, query: &str, label: &str) -> Result<Given, String> {
        let connection = self.connect().map_err(|error| self.said(&error))?;
        let system = connection.database_management_system_name().unwrap_or_default();
        let rows: Option<Rows> =
            connection.into_cursor(query, (), None).map_err(|error| self.said(&error.error))?;
        let rows = rows.ok_or("it is no query: it gives no rows")?;
        let mut builder = OdbcReaderBuilder::new();
        builder
            .with_max_num_rows_per_batch(BATCH_ROWS)
            .with_max_bytes_per_batch(BUFFER)
            .with_max_text_size(self.longest)
            .with_max_binary_size(self.longest)
            .with_dbms_name(system);
        let mut rows = builder.build(rows).map_err(|error| self.said(&error))?;
        let (schema, what, odbc) = (rows.schema(), label.to_owned(), self.clone());
        let next = move || {
            let next = rows.next().transpose();
            next.map_err(|error| CopyError::read(&what, &odbc.said(&error)))
        };
        Ok(Given::new(label.to_owned(), &schema, Box::new(next)))
    }
}

#[async_trait]
impl Origin for Odbc {
    fn check(&self, stream: &str, config: &CopyConfig) -> Result<(), CopyError> {
        sql::check(stream, config)
    }

    async fn read(&self, asking: Asking<'_>) -> Result<BatchStream, CopyError> {
        let query = sql::query_of(asking.stream)?;
        let (odbc, label) = (self.clone(), asking.label.clone());
        let opening = tokio::task::spawn_blocking(move || {
            odbc.ask(&query, &label).map_err(|message| CopyError::read(&label, &message))
        });
        let opened = unless_cancelled(asking.context, async {
            opening.await.map_err(|error| asking.failed(error.to_string(), false))?
        });
        let rows = opened.await?;
        let (threads, files) = (asking.config.threads(), asking.config.wants_files());
        Ok(source::stream(Box::new(rows), threads, files, asking.outcome))
    }

    async fn probe(&self, asking: Asking<'_>) -> Result<Found, CopyError> {
        let odbc = self.clone();
        let connecting = tokio::task::spawn_blocking(move || {
            let connection = odbc.connect().map_err(|error| odbc.said(&error))?;
            connection.database_management_system_name().map_err(|error| odbc.said(&error))
        });
        let connected = unless_cancelled(asking.context, async {
            let connected = connecting.await.unwrap_or_else(|error| Err(error.to_string()));
            connected.map_err(|message| asking.failed(message, false))
        });
        Ok((connected.await?, Vec::new()))
    }

    fn check_write(&self, table: &str, config: &CopyConfig) -> Result<(), CopyError> {
        sql::check_table(table)?;
        check_mode("a database by ODBC", false, config)
    }

    async fn write(&self, writing: Writing<'_>, rows: BatchStream) -> Result<u64, CopyError> {
        let label = writing.label.clone();
        let schema = taken(&rows.schema).map_err(|message| CopyError::write(&label, &message))?;
        let load =
            Load { odbc: self.clone(), table: writing.table.to_owned(), order: Order::of(&writing), schema };
        let what = label.clone();
        fed(&label, rows, move |feed| load.run(feed).map_err(|message| CopyError::write(what, &message)))
            .await
    }
}

/// A load, in one transaction.
struct Load {
    odbc: Odbc,
    table: String,
    order: Order,
    schema: SchemaRef,
}

impl Load {
    /// The rows that were loaded under the key before, if they were.
    fn run(&self, mut rows: Feed) -> Result<Option<u64>, String> {
        let said = |error: arrow_odbc::odbc_api::Error| self.odbc.said(&error);
        let connection = self.odbc.connect().map_err(said)?;
        if let Some(before) = self.loaded(&connection)? {
            return Ok(Some(before));
        }
        connection.set_autocommit(false).map_err(said)?;
        let done = self.fill(&connection, &mut rows);
        match done {
            Ok(()) => connection.commit().map_err(said).map(|()| None),
            Err(message) => {
                // What could not be taken back ends with the connection.
                connection.rollback().ok();
                Err(message)
            }
        }
    }

    /// Looks for the key, and makes the table of keys if there is none.
    fn loaded(&self, connection: &Connection<'static>) -> Result<Option<u64>, String> {
        let said = |error: arrow_odbc::odbc_api::Error| self.odbc.said(&error);
        let sql = format!("select load_rows from {LOADS} where load_key = ?");
        match connection.execute(&sql, &self.order.key.as_str().into_parameter(), None) {
            Ok(Some(mut found)) => {
                let Some(mut row) = found.next_row().map_err(said)? else { return Ok(None) };
                let mut text = Vec::new();
                row.get_text(1, &mut text).map_err(said)?;
                let text = String::from_utf8_lossy(&text).into_owned();
                // Some drivers write decimals with their point.
                Ok(Some(text.split('.').next().and_then(|digits| digits.trim().parse().ok()).unwrap_or(0)))
            }
            Ok(None) => Ok(None),
            Err(_) => {
                let create = format!(
                    "create table {LOADS} (load_key varchar(128) not null primary key, load_rows decimal(18) not null)"
                );
                connection.execute(&create, (), None).map(drop).map_err(said)?;
                Ok(None)
            }
        }
    }

    fn fill(&self, connection: &Connection<'static>, rows: &mut Feed) -> Result<(), String> {
        let said = |error: &dyn std::fmt::Display| self.odbc.said(error);
        let run = |sql: &str| connection.execute(sql, (), None).map(drop).map_err(|error| said(&error));
        self.order.before.iter().try_for_each(|sql| run(sql))?;
        if self.order.empties {
            run(&format!("delete from {}", self.table))?;
        }
        let names: Vec<String> = self.schema.fields().iter().map(|field| quoted(field.name())).collect();
        let places = vec!["?"; names.len()].join(", ");
        let insert = format!("insert into {} ({}) values ({places})", self.table, names.join(", "));
        let prepared = connection.prepare(&insert).map_err(|error| said(&error))?;
        let mut writer = OdbcWriter::new(AT_ONCE, &self.schema, prepared).map_err(|error| said(&error))?;
        let mut count: u64 = 0;
        while let Some(batch) = rows.next()? {
            count += batch.num_rows() as u64;
            let batch = sql::cast_to(&batch, &self.schema)?;
            writer.write_batch(&batch).map_err(|error| said(&error))?;
        }
        writer.flush().map_err(|error| said(&error))?;
        drop(writer);
        self.order.after.iter().try_for_each(|sql| run(sql))?;
        let sql = format!("insert into {LOADS} (load_key, load_rows) values (?, ?)");
        let count = count.to_string();
        let values = (&self.order.key.as_str().into_parameter(), &count.as_str().into_parameter());
        connection.execute(&sql, values, None).map(drop).map_err(|error| said(&error))
    }
}

/// A name; one with other signs than letters and digits in quotes, since not every system folds quoted names as it does others.
fn quoted(name: &str) -> String {
    match name.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_') {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// The rows as drivers take them.
///
/// # Errors
/// With the column that has no type there.
fn taken(schema: &Schema) -> Result<SchemaRef, String> {
    let field = |field: &Arc<Field>| {
        let kind = match field.data_type() {
            DataType::UInt16 => DataType::Int32,
            DataType::UInt32 => DataType::Int64,
            DataType::UInt64 => DataType::Decimal128(20, 0),
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                DataType::Decimal128(*precision, *scale)
            }
            DataType::Utf8View | DataType::Null => DataType::Utf8,
            DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
            DataType::Time64(TimeUnit::Nanosecond) => DataType::Time64(TimeUnit::Microsecond),
            DataType::Dictionary(_, value) => value.as_ref().clone(),
            nested if nested.is_nested() => {
                let message = format!("column `{}` is {nested}, which ODBC has no type for", field.name());
                return Err(format!("{message}; `unnest` or `mapping` take it apart"));
            }
            other => other.clone(),
        };
        Ok(Arc::new(Field::new(field.name(), kind, true)))
    };
    Ok(Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Result<Vec<_>, String>>()?)))
}
