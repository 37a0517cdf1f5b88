//! The table that a sink is already: its columns, its greatest value, its newest rows.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use indexmap::IndexMap;
use millrace_contract::{BatchStream, QueryEngine, QueryError, QueryRequest, TableRef};
use serde_json::Value;

use super::Copy;
use crate::address::Address;
use crate::config::Condition;
use crate::database::{Dialect, Reading, TableServer};
use crate::error::CopyError;
use crate::source::Outcome;

/// What the engine calls the table in the queries here.
const TABLE: &str = "sink";

/// A sink that is there.
pub(super) enum Existing {
    /// A dataset, or another Delta table; `name` is its address.
    Dataset {
        name: String,
        table: TableRef,
        engine: Arc<dyn QueryEngine>,
    },
    Database {
        table: String,
        server: Box<dyn TableServer>,
        dialect: Dialect,
        outcome: Outcome,
    },
}

impl Copy {
    /// The table at an address; `None` if there is none yet, or if files are kept there.
    pub(super) async fn existing(
        &self,
        to: &Address,
        outcome: &Outcome,
    ) -> Result<Option<Existing>, CopyError> {
        match to {
            Address::Dataset(name) => self.dataset(name).await,
            Address::Table(asset) => match &asset.name {
                Some(name) => self.dataset(name).await,
                None => Ok(None),
            },
            Address::Database { connection, table } => {
                let server = self.server(connection)?;
                let mut session = server.session(table).await?;
                let (found, dialect) = (session.columns(table).await?, session.dialect());
                let (table, outcome) = (table.clone(), outcome.clone());
                Ok(found.map(|_| Existing::Database { table, server, dialect, outcome }))
            }
            Address::Delta { place, .. } => self.delta_there(place).await,
            Address::Files(_)
            | Address::Stored { .. }
            | Address::Http(_)
            | Address::StoreUrl(_)
            | Address::Iceberg { .. }
            | Address::Mailbox { .. }
            | Address::Origin { .. }
            | Address::Queue { .. } => Ok(None),
        }
    }

    async fn dataset(&self, name: &str) -> Result<Option<Existing>, CopyError> {
        let versions = self.services.datasets.versions(name).await;
        let versions = versions.map_err(|error| CopyError::read(format!("data:{name}"), &error))?;
        let Some(asset) = versions.into_iter().next().map(|newest| newest.asset) else { return Ok(None) };
        let table = match asset.delta_version {
            Some(version) => TableRef::Delta { uri: asset.uri, version },
            None => TableRef::Parquet { uri: asset.uri },
        };
        let (name, engine) = (format!("data:{name}"), self.services.engine.clone());
        Ok(Some(Existing::Dataset { name, table, engine }))
    }
}

impl Existing {
    /// What it is called in messages.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Dataset { name, .. } => format!("`{name}`"),
            Self::Database { table, .. } => format!("the table `{table}`"),
        }
    }

    pub(super) async fn schema(&self) -> Result<SchemaRef, CopyError> {
        match self {
            Self::Dataset { table, engine, .. } => {
                let rows = engine.scan(table, None, Some(0)).await;
                Ok(rows.map_err(|error| self.failed(&error))?.schema)
            }
            Self::Database { table, .. } => Ok(self.read(table.clone(), Some(nothing())).await?.schema),
        }
    }

    /// The greatest value of a column, an array of one; `None` if there is none.
    pub(super) async fn greatest(&self, column: &str) -> Result<Option<ArrayRef>, CopyError> {
        let rows = match self {
            Self::Dataset { .. } => {
                let name = quoted(column);
                self.query(format!("select max({name}) as {name} from {TABLE}")).await?
            }
            Self::Database { table, dialect, .. } => {
                // As a row of the table, so that SQLite still knows the column's type.
                let (name, table) = (dialect.quoted(column), dialect.table(table));
                let greatest = format!("(select max({name}) from {table})");
                self.read(format!("(select {name} from {table} where {name} = {greatest} limit 1)"), None)
                    .await?
            }
        };
        let batches = self.collected(rows).await?;
        let values =
            batches.iter().filter(|batch| batch.num_rows() > 0).map(|batch| batch.column(0).slice(0, 1));
        Ok(values.into_iter().find(|value| value.is_valid(0)))
    }

    /// The rows whose value in `column` is `low` or more, `low` being an array of one.
    pub(super) async fn since(
        &self,
        columns: &[String],
        column: &str,
        low: &ArrayRef,
    ) -> Result<BatchStream, CopyError> {
        match self {
            Self::Dataset { .. } => {
                let list: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
                let low = format!("arrow_cast('{}', '{}')", text(low, false)?, arrow_name(low.data_type()));
                let (list, name) = (list.join(", "), quoted(column));
                self.query(format!("select {list} from {TABLE} where {name} >= {low}")).await
            }
            Self::Database { table, dialect, .. } => {
                let list: Vec<String> = columns.iter().map(|name| dialect.quoted(name)).collect();
                let relation = format!("(select {} from {})", list.join(", "), dialect.table(table));
                let name = dialect.quoted(column);
                self.read(relation, Some(at_least(*dialect, &name, low)?)).await
            }
        }
    }

    async fn query(&self, sql: String) -> Result<BatchStream, CopyError> {
        let Self::Dataset { table, engine, .. } = self else {
            return Err(self.failed(&"it is no dataset"));
        };
        let tables = IndexMap::from([(TABLE.to_owned(), table.clone())]);
        let request = QueryRequest { sql, tables, ..QueryRequest::default() };
        engine.query(request).await.map_err(|error| self.failed(&error))
    }

    async fn read(&self, relation: String, condition: Option<Condition>) -> Result<BatchStream, CopyError> {
        let Self::Database { server, outcome, .. } = self else {
            return Err(self.failed(&"it is no table of a database"));
        };
        // What is read here is none of the source.
        let outcome = outcome.aside();
        let columns = IndexMap::new();
        server
            .read(
                Reading { relation, condition, partition: None, columns, connections: 1, kept: None },
                outcome,
            )
            .await
    }

    async fn collected(&self, rows: BatchStream) -> Result<Vec<RecordBatch>, CopyError> {
        rows.collect().await.map_err(|error: QueryError| self.failed(&error))
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> CopyError {
        CopyError::read(self.label().trim_matches('`'), error)
    }
}

/// A condition that no row fulfils.
pub(super) fn nothing() -> Condition {
    Condition::Text("1 = 0".to_owned())
}

/// `column >= low` for a database, the value bound.
pub(super) fn at_least(dialect: Dialect, column: &str, low: &ArrayRef) -> Result<Condition, CopyError> {
    let text = text(low, dialect == Dialect::Postgres)?;
    let integer = low.data_type().is_integer().then(|| text.parse::<i64>().ok()).flatten();
    let value = integer.map_or_else(|| Value::from(text), Value::from);
    Ok(Condition::Bound { text: format!("{column} >= $1"), params: vec![value] })
}

/// The value of an array of one as text. `zone`: an instant ends in `Z`.
pub(super) fn text(value: &ArrayRef, zone: bool) -> Result<String, CopyError> {
    let instant = if zone { "%Y-%m-%d %H:%M:%S%.6fZ" } else { "%Y-%m-%d %H:%M:%S%.6f" };
    let options = FormatOptions::default()
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.6f"))
        .with_timestamp_tz_format(Some(instant));
    let failed = |error: arrow::error::ArrowError| CopyError::read("the sink", &error);
    let formatter = ArrayFormatter::try_new(value.as_ref(), &options).map_err(failed)?;
    formatter.value(0).try_to_string().map_err(failed)
}

/// A name as the engine takes it, whatever its letters are.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A type in the words of the engine's `arrow_cast`.
fn arrow_name(kind: &DataType) -> String {
    match kind {
        DataType::Timestamp(unit, None) => format!("Timestamp({unit:?}, None)"),
        DataType::Timestamp(unit, Some(zone)) => format!("Timestamp({unit:?}, Some(\"{zone}\"))"),
        other => format!("{other:?}"),
    }
}
