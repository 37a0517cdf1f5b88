//! Rows for a table, by the bulk ingestion of a driver, in one transaction.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use adbc_core::error::{Error, Status};
use adbc_core::options::{IngestMode, OptionConnection, OptionStatement, OptionValue};
use adbc_core::{Connection as _, Optionable as _, Statement as _};
use adbc_driver_manager::ManagedConnection;
use arrow::array::RecordBatchIterator;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchReader};
use arrow::util::display::array_value_to_string;

use super::super::Writing;
use super::super::feed::{Feed, Order};
use super::super::sql::cast_to;
use super::Adbc;
use crate::error::CopyError;
use crate::store::masked;

/// The table with the keys of loads, beside the table that is loaded. The connectors of databases have one of another form, `millrace_loads`.
const LOADS: &str = "millrace_adbc_loads";
/// States of SQL that pass: a deadlock, a transaction that lost against another, a server that goes down, a connection that broke.
const PASSING: [&str; 5] = ["40001", "40P01", "57P01", "08001", "08006"];

/// A table as a driver is told it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    catalog: Option<String>,
    schema: Option<String>,
    table: String,
}

impl Target {
    /// `catalog.schema.table`, `schema.table` or `table`.
    fn of(name: &str) -> Option<Self> {
        let mut parts = name.trim().split('.').map(str::to_owned).rev();
        let found = Self { table: parts.next()?, schema: parts.next(), catalog: parts.next() };
        parts.next().is_none().then_some(found)
    }

    /// A table beside it, in the quotes of standard SQL: drivers quote the name of the table that they fill.
    fn beside(&self, table: &str) -> String {
        let parts = self.catalog.iter().chain(&self.schema).map(String::as_str).chain([table]);
        parts.map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect::<Vec<_>>().join(".")
    }
}

/// Whether a name is one of a table that can be filled.
pub(super) fn names_table(name: &str) -> bool {
    Target::of(name).is_some()
}

/// A load.
pub(super) struct Load {
    adbc: Adbc,
    target: Target,
    label: String,
    order: Order,
    schema: SchemaRef,
}

impl Load {
    pub(super) fn new(adbc: Adbc, writing: &Writing<'_>, schema: &Schema) -> Result<Self, CopyError> {
        let no_table = || CopyError::write(&writing.label, &"it names no table");
        Ok(Self {
            adbc,
            target: Target::of(writing.table).ok_or_else(no_table)?,
            label: writing.label.clone(),
            order: Order::of(writing),
            schema: taken(schema),
        })
    }

    /// The rows that were loaded under the key before, if they were.
    pub(super) fn run(&self, rows: Feed) -> Result<Option<u64>, CopyError> {
        let mut connection = self.adbc.connect().map_err(|error| self.failed(&error))?;
        let manual = OptionValue::String("false".to_owned());
        connection.set_option(OptionConnection::AutoCommit, manual).map_err(|error| {
            let said = masked(&error.message, &self.adbc.secrets);
            let why = "nothing was written: without a transaction half a load might stay";
            let hint = "copy to a file and load it with the database's own tools";
            CopyError::write(
                &self.label,
                &format!("the driver begins no transaction ({said}); {why}; {hint}"),
            )
        })?;
        if let Some(before) = self.loaded(&mut connection)? {
            return Ok(Some(before));
        }
        let filled = self.fill(&mut connection, rows);
        let done = filled.and_then(|()| connection.commit().map_err(|error| self.failed(&error)));
        if done.is_err() {
            // What could not be taken back ends with the connection.
            connection.rollback().ok();
        }
        done.map(|()| None)
    }

    /// Looks for the key, and makes the table of keys if there is none.
    fn loaded(&self, connection: &mut ManagedConnection) -> Result<Option<u64>, CopyError> {
        let loads = self.target.beside(LOADS);
        let sql = format!("select load_rows from {loads} where load_key = {}", text(&self.order.key));
        let found = match first(connection, &sql) {
            Ok(found) => found,
            Err(_) => {
                // The question has ended the transaction where it failed.
                connection.rollback().ok();
                let columns = "load_key varchar(128) not null primary key, load_rows bigint not null, loaded_at varchar(40)";
                self.change(connection, &format!("create table {loads} ({columns})"))?;
                None
            }
        };
        connection.commit().map_err(|error| self.failed(&error))?;
        Ok(found.map(|rows| rows.parse().unwrap_or(0)))
    }

    fn fill(&self, connection: &mut ManagedConnection, rows: Feed) -> Result<(), CopyError> {
        let mut columns = self.columns(connection).ok();
        if columns.is_none() {
            connection.rollback().ok();
        }
        self.order.before.iter().try_for_each(|sql| self.change(connection, sql))?;
        if columns.is_none() {
            // Made by the driver, unless a statement has just made it.
            let none = RecordBatchIterator::new(std::iter::empty(), self.schema.clone());
            self.ingest(connection, IngestMode::CreateAppend, Box::new(none))?;
            columns = self.columns(connection).ok();
        }
        if self.order.empties {
            self.change(connection, &format!("delete from {}", self.target.beside(&self.target.table)))?;
        }
        let fit = Fit::of(&self.schema, columns.as_ref());
        let fit = fit.map_err(|message| CopyError::write(&self.label, &message))?;
        let told = Told::default();
        let rows = Rows { rows, fit, told: told.clone() };
        let ingested = self.ingest(connection, IngestMode::Append, Box::new(rows));
        if let Some(message) = told.error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(CopyError::write(&self.label, &message));
        }
        ingested?;
        if !told.ended.load(Ordering::Acquire) {
            return Err(CopyError::write(&self.label, &"the driver has left rows"));
        }
        self.order.after.iter().try_for_each(|sql| self.change(connection, sql))?;
        let values =
            format!("{}, {}, cast(current_timestamp as varchar(40))", text(&self.order.key), told.count());
        let loads = self.target.beside(LOADS);
        self.change(
            connection,
            &format!("insert into {loads} (load_key, load_rows, loaded_at) values ({values})"),
        )
    }

    fn columns(&self, connection: &ManagedConnection) -> Result<Schema, Error> {
        let Target { catalog, schema, table } = &self.target;
        connection.get_table_schema(catalog.as_deref(), schema.as_deref(), table)
    }

    fn ingest(
        &self,
        connection: &mut ManagedConnection,
        mode: IngestMode,
        rows: Box<dyn RecordBatchReader + Send>,
    ) -> Result<(), CopyError> {
        let ingested = || {
            let mut statement = connection.new_statement()?;
            let Target { catalog, schema, table } = self.target.clone();
            let places =
                [(OptionStatement::TargetCatalog, catalog), (OptionStatement::TargetDbSchema, schema)];
            for (option, name) in places {
                if let Some(name) = name {
                    statement.set_option(option, OptionValue::String(name))?;
                }
            }
            statement.set_option(OptionStatement::TargetTable, OptionValue::String(table))?;
            statement.set_option(OptionStatement::IngestMode, mode.into())?;
            statement.bind_stream(rows)?;
            statement.execute_update().map(drop)
        };
        ingested().map_err(|error| match error.status {
            Status::NotImplemented => {
                let hint = "what the driver has no type for can be copied as text: `columns: {name: string}`";
                self.failed(&Error { message: format!("{}; {hint}", error.message), ..error })
            }
            _ => self.failed(&error),
        })
    }

    fn change(&self, connection: &mut ManagedConnection, sql: &str) -> Result<(), CopyError> {
        run(connection, sql).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &Error) -> CopyError {
        let state: String =
            error.sqlstate.iter().filter_map(|sign| u8::try_from(*sign).ok()).map(char::from).collect();
        CopyError::Write {
            what: self.label.clone(),
            message: masked(&error.message, &self.adbc.secrets),
            transient: error.status == Status::Timeout || PASSING.contains(&state.as_str()),
        }
    }
}

fn run(connection: &mut ManagedConnection, sql: &str) -> Result<(), Error> {
    let mut statement = connection.new_statement()?;
    statement.set_sql_query(sql)?;
    statement.execute_update().map(drop)
}

/// The first value of an answer, as text.
fn first(connection: &mut ManagedConnection, sql: &str) -> Result<Option<String>, Error> {
    let told = |error: ArrowError| Error::with_message_and_status(error.to_string(), Status::InvalidData);
    let mut statement = connection.new_statement()?;
    statement.set_sql_query(sql)?;
    for batch in statement.execute()? {
        let batch = batch.map_err(told)?;
        if batch.num_rows() > 0
            && let Some(column) = batch.columns().first()
        {
            return array_value_to_string(column, 0).map(Some).map_err(told);
        }
    }
    Ok(None)
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// The rows in types that drivers have.
fn taken(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let kind = match field.data_type() {
            DataType::Dictionary(_, value) => value.as_ref().clone(),
            DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
            DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                DataType::Decimal128(*precision, *scale)
            }
            // Databases have none, and a driver may write a greater value as a negative one.
            DataType::UInt64 => DataType::Int64,
            DataType::Date64 => DataType::Date32,
            DataType::Float16 => DataType::Float32,
            other => other.clone(),
        };
        Field::new(field.name(), kind, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// How rows become those of a table.
#[derive(Debug)]
struct Fit {
    /// Which columns of the rows, in the order of the table.
    order: Vec<usize>,
    schema: SchemaRef,
}

impl Fit {
    /// By the columns of a table that is there. What has another type is made the table's where that means the same: drivers compare no
    /// types, and some send an integer of four bytes for one of eight.
    fn of(rows: &SchemaRef, table: Option<&Schema>) -> Result<Self, String> {
        let Some(table) = table else {
            return Ok(Self { order: (0..rows.fields().len()).collect(), schema: rows.clone() });
        };
        let place = |name: &str| {
            let exact = table.fields().iter().position(|column| column.name() == name);
            // A system may have folded the name.
            exact
                .or_else(|| table.fields().iter().position(|column| column.name().eq_ignore_ascii_case(name)))
        };
        let mut found = Vec::with_capacity(rows.fields().len());
        for (index, field) in rows.fields().iter().enumerate() {
            let Some((at, column)) = place(field.name()).and_then(|at| Some((at, table.fields().get(at)?)))
            else {
                let name = field.name();
                return Err(format!("the table has no column `{name}`; leave it out: `drop: [{name}]`"));
            };
            let kind = match fits(field.data_type(), column.data_type()) {
                true => column.data_type().clone(),
                false => field.data_type().clone(),
            };
            found.push((at, index, Field::new(column.name(), kind, true)));
        }
        found.sort_by_key(|(at, ..)| *at);
        if found.windows(2).any(|pair| matches!(pair, [(one, ..), (other, ..)] if one == other)) {
            return Err(
                "two columns are one in the table, where names differ by more than their case".to_owned()
            );
        }
        let order = found.iter().map(|(_, index, _)| *index).collect();
        let fields: Vec<Field> = found.into_iter().map(|(.., field)| field).collect();
        Ok(Self { order, schema: Arc::new(Schema::new(fields)) })
    }

    fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, String> {
        let batch = batch.project(&self.order).map_err(|error| error.to_string())?;
        cast_to(&batch, &self.schema)
    }
}

/// Whether values of a type mean the same in a column of another one. What SQLite's driver says of an empty table is `Int64` throughout, so that
/// no text and no fraction becomes an integer.
fn fits(rows: &DataType, column: &DataType) -> bool {
    match (rows, column) {
        (DataType::List(rows), DataType::List(column)) => fits(rows.data_type(), column.data_type()),
        (DataType::Utf8, column) => column.is_temporal(),
        (rows, column) if rows.is_integer() => column.is_integer() || column.is_floating(),
        (rows, column) => (rows.is_floating() || rows.is_decimal()) && column.is_floating(),
    }
}

/// What became of the rows that a driver asks for.
#[derive(Debug, Clone, Default)]
struct Told {
    rows: Arc<AtomicU64>,
    /// Whether the driver has been told that there are no more.
    ended: Arc<AtomicBool>,
    /// Why they broke off: drivers wrap it into words of their own.
    error: Arc<Mutex<Option<String>>>,
}

impl Told {
    fn count(&self) -> u64 {
        self.rows.load(Ordering::Acquire)
    }
}

/// Rows that a driver asks for.
struct Rows {
    rows: Feed,
    fit: Fit,
    told: Told,
}

impl Iterator for Rows {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.rows.next().and_then(|batch| batch.map(|batch| self.fit.apply(&batch)).transpose());
        match next {
            Ok(Some(batch)) => {
                self.told.rows.fetch_add(batch.num_rows() as u64, Ordering::AcqRel);
                Some(Ok(batch))
            }
            Ok(None) => {
                self.told.ended.store(true, Ordering::Release);
                None
            }
            Err(message) => {
                *self.told.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.clone());
                Some(Err(ArrowError::ExternalError(message.into())))
            }
        }
    }
}

impl RecordBatchReader for Rows {
    fn schema(&self) -> SchemaRef {
        self.fit.schema.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_with_what_they_are_in() {
        let check = |name: &str, expected: Option<&str>| {
            let found = Target::of(name).map(|target| target.beside(&target.table));
            assert_eq!(found.as_deref(), expected, "{name}");
        };
        check("orders", Some("\"orders\""));
        check("sales.orders", Some("\"sales\".\"orders\""));
        check("prod.sales.orders", Some("\"prod\".\"sales\".\"orders\""));
        check("a.b.c.d", None);
    }

    #[test]
    fn rows_get_the_types_of_the_table_where_they_mean_the_same() {
        let schema = |fields: &[(&str, DataType)]| {
            let fields = fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true));
            Schema::new(fields.collect::<Vec<_>>())
        };
        let table = schema(&[
            ("ID", DataType::Int64),
            ("note", DataType::Int64),
            ("day", DataType::Date32),
            ("share", DataType::Float32),
        ]);
        let rows = schema(&[
            ("note", DataType::Utf8View),
            ("share", DataType::Decimal64(4, 2)),
            ("id", DataType::UInt64),
            ("day", DataType::LargeUtf8),
        ]);
        let fit = Fit::of(&taken(&rows), Some(&table)).unwrap();
        assert_eq!(fit.order, [2, 0, 3, 1]);
        assert_eq!(
            *fit.schema,
            schema(&[
                ("ID", DataType::Int64),
                ("note", DataType::Utf8),
                ("day", DataType::Date32),
                ("share", DataType::Float32),
            ])
        );
        let refused = Fit::of(&taken(&schema(&[("other", DataType::Utf8)])), Some(&table)).unwrap_err();
        assert_eq!(refused, "the table has no column `other`; leave it out: `drop: [other]`");
        assert!(
            Fit::of(&taken(&schema(&[("id", DataType::Int8), ("ID", DataType::Int8)])), Some(&table))
                .is_err()
        );
    }
}
