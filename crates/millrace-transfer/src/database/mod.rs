//! Table servers: what each of them can do is behind [`TableServer`], how a load comes about in [`load`] is the same for all.
//!
//! A load is one transaction, or staged and swapped, so that nobody reads half of it. The key of the step's attempt is stored in it too: who
//! begins it again after a kill finds the key and loads nothing twice.

pub(crate) mod cells;
mod dialect;
mod evolution;
mod json;
mod kept;
mod load;
mod merge;
pub(crate) mod mysql;
mod parted;
pub(crate) mod postgres;
mod ranges;
pub(crate) mod sqlite;
mod unfit;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{BatchStream, StepContext};
use serde_json::{Value, json};

use crate::config::{Condition, CopyConfig, Partition};
use crate::error::CopyError;
use crate::meter::Meter;
use crate::source::Outcome;
use crate::tracking::{Tracked, Tracking};
use crate::types::ColumnSpec;
pub(crate) use dialect::Dialect;
pub(crate) use kept::Kept;
pub(crate) use load::{LOADS, Load, load, own_columns};

/// A system that keeps tables.
#[async_trait]
pub(crate) trait TableServer: Send + Sync {
    fn dialect(&self) -> Dialect;

    /// Reads a table or a query from one snapshot, its types as exact as Arrow has them.
    async fn read(&self, reading: Reading, outcome: Outcome) -> Result<BatchStream, CopyError>;

    /// A table as one whose changes are noted, where they are.
    fn tracked(self: Box<Self>, _tracking: Tracking) -> Option<Arc<dyn Tracked>> {
        None
    }

    /// A connection to load over; `table` is what errors name.
    async fn session(&self, table: &str) -> Result<Box<dyn Session>, CopyError>;
}

/// What is read.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// `schema.table`, or a query in brackets.
    pub(crate) relation: String,
    /// Which rows.
    pub(crate) condition: Option<Condition>,
    /// How the rows are divided among connections.
    pub(crate) partition: Option<Partition>,
    /// Types that columns are to have.
    pub(crate) columns: IndexMap<String, ColumnSpec>,
    /// Connections at most.
    pub(crate) connections: usize,
    /// Where parts are kept that outlive the attempt.
    pub(crate) kept: Option<Kept>,
}

impl Reading {
    /// How the rows are divided, if the step says so.
    pub(crate) fn division(&self) -> Result<Option<(Division<'_>, usize)>, CopyError> {
        let Some(partition) = &self.partition else { return Ok(None) };
        let parts = partition.parts.map_or(self.connections * parted::EACH, |parts| parts.get() as usize);
        let division = match partition {
            Partition { column: Some(column), hash: None, .. } => Division::Column(column),
            Partition { column: None, hash: Some(expression), .. } => Division::Hash(expression),
            _ => {
                let message = "`partition` takes either `column` or `hash`";
                return Err(CopyError::config(message, "partition: {column: id}"));
            }
        };
        Ok(Some((division, parts.max(1))))
    }

    /// The parts as they are read: those that an attempt before began with, if they are kept and it has read the same.
    pub(crate) fn begun(
        &self,
        select: &str,
        schema: &Schema,
        parts: Vec<String>,
    ) -> Result<Vec<String>, CopyError> {
        let (Some(kept), Some(partition)) = (&self.kept, &self.partition) else { return Ok(parts) };
        let (condition, values) = self.condition();
        let read = json!({
            "select": select, "condition": condition, "values": values, "schema": format!("{schema:?}"),
            "column": partition.column, "hash": partition.hash, "parts": partition.parts,
        });
        kept.begin(&read, parts)
    }

    /// The condition and its values.
    pub(crate) fn condition(&self) -> (Option<&str>, &[Value]) {
        match &self.condition {
            None => (None, &[]),
            Some(Condition::Text(text)) => (Some(text), &[]),
            Some(Condition::Bound { text, params }) => (Some(text), params),
        }
    }
}

/// What rows are divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Division<'a> {
    /// Ranges of this column's values.
    Column(&'a str),
    /// The hash of this expression.
    Hash(&'a str),
}

/// A column of a table that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableColumn {
    /// Its name.
    pub(crate) name: String,
    /// Its type in the words of the system.
    pub(crate) sql_type: String,
}

/// A connection that loads. It ends when it is dropped, and what is not committed with it.
#[async_trait]
pub(crate) trait Session: Send {
    fn dialect(&self) -> Dialect;

    /// Runs a statement with bound values; how many rows it changed.
    async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, CopyError>;

    /// Runs what the user wrote: one or several statements.
    async fn script(&mut self, sql: &str) -> Result<(), CopyError>;

    /// The first row of a query, each cell as text; `None` if there is none.
    async fn ask(&mut self, sql: &str, values: &[Value]) -> Result<Option<Vec<Option<String>>>, CopyError>;

    /// The columns of a table; `None` if it is not there.
    async fn columns(&mut self, table: &str) -> Result<Option<Vec<TableColumn>>, CopyError>;

    /// Fills `table` (quoted) with the rows, whose columns are those of `columns` in this order. Returns how many there were.
    async fn fill(
        &mut self,
        table: &str,
        columns: &[TableColumn],
        rows: BatchStream,
        load: &Load<'_>,
    ) -> Result<u64, CopyError>;

    /// Whether rows of that schema can go straight into the columns; else they are staged as text and converted by the server.
    fn fits(&self, schema: &Schema, columns: &[TableColumn]) -> Vec<bool>;
}

/// Longest time that a server may take to let us in, unless its URL says how long.
pub(crate) const LOGIN: Duration = Duration::from_secs(30);

/// What `connecting` gives, if the server lets us in within `limit`: one that takes connections and says nothing would hold a step until
/// its timeout.
pub(crate) async fn let_in<T>(
    name: &str,
    limit: Duration,
    connecting: impl Future<Output = Result<T, CopyError>>,
) -> Result<T, CopyError> {
    let waited = || CopyError::Read {
        what: name.to_owned(),
        message: format!("the server has not let us in for {limit:?}"),
        transient: true,
    };
    tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| Err(waited()))
}

/// A kind of connection: the key it has in `connections.yaml`, how it is read, and what else there is to it.
pub(crate) type Open = fn(&str, &Value, &Path) -> Result<Box<dyn TableServer>, CopyError>;

/// Every table server. A new one: a file or folder beside this, and a line here and in [`crate::connectors`].
pub(crate) const ALL: [(&str, Open); 3] =
    [("postgres", postgres::open), ("mysql", mysql::open), ("sqlite", sqlite::open)];

/// The table server that a connection leads to. Nothing is sent yet.
pub(crate) fn open(
    name: &str,
    settings: &Value,
    workspace: &Path,
) -> Result<Box<dyn TableServer>, CopyError> {
    let found = ALL.iter().find_map(|(key, open)| Some((settings.get(key)?, open)));
    let Some((settings, open)) = found else {
        return Err(CopyError::config(
            format!("the connection `{name}` is not one to a database"),
            format!("in connections.yaml: `{name}: {{postgres: {{url: postgres://user@host/database}}}}`"),
        ));
    };
    open(name, settings, workspace)
}

impl Reading {
    /// What a step reads of a table or query.
    pub(crate) fn of(config: &CopyConfig, relation: &str) -> Self {
        Self {
            relation: relation.to_owned(),
            condition: config.condition.clone(),
            partition: config.partition.clone(),
            columns: config.columns.clone(),
            connections: config.threads(),
            kept: None,
        }
    }

    /// The same for an attempt of a step, which may find parts of the one before.
    pub(crate) fn in_attempt(config: &CopyConfig, relation: &str, context: &StepContext) -> Self {
        let resumes = config.partition.as_ref().is_some_and(|partition| partition.resume);
        Self { kept: Kept::of(context).filter(|_| resumes), ..Self::of(config, relation) }
    }
}

impl<'a> Load<'a> {
    /// How a step loads into a table.
    pub(crate) fn of(
        config: &'a CopyConfig,
        context: &'a StepContext,
        table: &'a str,
        meter: &'a Meter,
        rejected: &'a (dyn Fn() -> u64 + Sync),
        widened: &'a [String],
    ) -> Self {
        Self {
            key: &context.idempotency_key,
            table,
            write: &config.write,
            pre_sql: &config.pre_sql,
            post_sql: &config.post_sql,
            adds_columns: config.schema.is_some(),
            widened,
            partial: config.incremental.is_some(),
            rejected,
            meter,
        }
    }
}
