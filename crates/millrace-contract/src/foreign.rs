use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use serde_json::Value;

use crate::{BatchStream, QueryError};

/// Tables of other systems that queries may name: `connection.table`, `connection.schema.table`.
#[async_trait]
pub trait ForeignTables: Send + Sync {
    /// Whether there is such a connection.
    fn has(&self, connection: &str) -> bool;

    /// The columns of a table.
    async fn schema(&self, connection: &str, table: &str) -> Result<SchemaRef, QueryError>;

    /// The rows of a table, from one snapshot. They may be more than the conditions hold for, never fewer.
    async fn read(&self, connection: &str, reading: ForeignReading) -> Result<BatchStream, QueryError>;
}

/// What a query wants of a table of another system.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ForeignReading {
    /// `table` or `schema.table`.
    pub table: String,
    /// In that order, at least one.
    pub columns: Vec<String>,
    /// All of them have to hold.
    pub conditions: Vec<ForeignCondition>,
    /// Rows to stop after; only without conditions.
    pub limit: Option<usize>,
}

/// A condition that another system may check before it sends rows.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignCondition {
    /// The column.
    pub column: String,
    /// What its values have to be.
    pub test: ForeignTest,
}

/// What a value has to be. Values are integers, floating-point numbers, booleans, or text: that of a decimal number, a date
/// (`2026-03-01`), a time (`2026-03-01 06:00:00.000000`), or of text itself.
#[derive(Debug, Clone, PartialEq)]
pub enum ForeignTest {
    /// Equal to one of these.
    In(Vec<Value>),
    /// Less than this, or, if `equal`, equal to it.
    Less {
        /// The bound.
        than: Value,
        /// Whether the bound itself will do.
        equal: bool,
    },
    /// Greater than this, or, if `equal`, equal to it.
    Greater {
        /// The bound.
        than: Value,
        /// Whether the bound itself will do.
        equal: bool,
    },
    /// Null, or not null.
    Null(bool),
}
