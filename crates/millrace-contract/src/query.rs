use std::pin::Pin;

use arrow::array::{ArrayRef, UInt64Array};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::Stream;
use indexmap::IndexMap;
use millrace_spec::asset::{Asset, AssetType};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Batches of rows with one schema, produced as they are asked for.
pub struct BatchStream {
    /// Schema of every batch.
    pub schema: SchemaRef,
    /// The batches, in order.
    pub batches: Pin<Box<dyn Stream<Item = Result<RecordBatch, QueryError>> + Send>>,
}

impl std::fmt::Debug for BatchStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl BatchStream {
    /// Wraps batches that are already in memory.
    pub fn from_batches(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches: Box::pin(futures::stream::iter(batches.into_iter().map(Ok))) }
    }

    /// Reads everything into memory. Only for results that are known to be small or that must be in memory anyway.
    ///
    /// # Errors
    /// The first error of the stream.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, QueryError> {
        use futures::StreamExt as _;
        let mut batches = Vec::new();
        while let Some(batch) = self.batches.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }
}

/// A table that a query may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "snake_case")]
pub enum TableRef {
    /// A Delta table at a version.
    Delta {
        /// Root of the table, an absolute URL.
        uri: String,
        /// Version in the Delta log.
        version: u64,
    },
    /// Parquet files: one file, or every `*.parquet` below a folder.
    Parquet {
        /// Absolute URL.
        uri: String,
    },
    /// CSV with a header line, types inferred; gzip and zstd by the name's ending.
    Csv {
        /// Absolute URL.
        uri: String,
    },
    /// Newline-delimited JSON, types inferred; gzip and zstd by the name's ending.
    Json {
        /// Absolute URL.
        uri: String,
    },
}

impl TableRef {
    /// How an engine reads an asset: a table at its version, or a file by its ending. `None` if it is not a table.
    pub fn of(asset: &Asset) -> Option<Self> {
        let uri = asset.uri.clone();
        match (asset.kind, asset.delta_version) {
            (AssetType::Table, Some(version)) => Some(Self::Delta { uri, version }),
            (AssetType::Table, None) => Some(Self::Parquet { uri }),
            (AssetType::File, _) => {
                let plain = uri.trim_end_matches(".gz").trim_end_matches(".zst");
                match plain.rsplit_once('.')?.1 {
                    "parquet" => Some(Self::Parquet { uri }),
                    "csv" => Some(Self::Csv { uri }),
                    "json" | "jsonl" | "ndjson" => Some(Self::Json { uri }),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Which version of a table is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TableMoment {
    /// The newest.
    #[default]
    Newest,
    /// The one with this number.
    Version(u64),
    /// The newest of those that were there at this time.
    At(jiff::Timestamp),
}

/// Versions of a table whose changes are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedBetween {
    /// The last version that is known.
    pub since: u64,
    /// The last version that is wanted.
    pub until: u64,
}

/// Which rows and columns of a table are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// In that order; all if `None`.
    pub columns: Option<Vec<String>>,
    /// A condition on the columns, in the engine's SQL, for example `delay > 15 and carrier = 'UA'`.
    pub filter: Option<String>,
    /// Rows to stop after.
    pub limit: Option<usize>,
}

/// A query and everything it may read.
#[derive(Debug, Clone, Default)]
pub struct QueryRequest {
    /// One SELECT. `$1`, `$2`, … stand for `params`.
    pub sql: String,
    /// Bound values: null, booleans, numbers, strings.
    pub params: Vec<Value>,
    /// Table names the SQL may use.
    pub tables: IndexMap<String, TableRef>,
    /// Rows to stop after.
    pub limit: Option<usize>,
}

/// What became of a table that was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WrittenTable {
    /// Root of the table, an absolute URL.
    pub uri: String,
    /// The version the write made in the Delta log.
    pub delta_version: u64,
    /// Rows in that version (not only the added ones).
    pub rows: u64,
    /// Bytes of its Parquet files.
    pub size_bytes: u64,
    /// `blake3:<hex>` over schema and rows, independent of file names and write times.
    pub digest: String,
    /// The schema, Arrow's JSON form: `[{"name", "type", "nullable"}]`.
    pub schema: Value,
}

impl WrittenTable {
    /// The version that was written, to read it.
    pub fn table(&self) -> TableRef {
        TableRef::Delta { uri: self.uri.clone(), version: self.delta_version }
    }

    /// The version that was written as a step hands it on. It has no name before a catalog gives one.
    pub fn asset(&self) -> Asset {
        Asset {
            kind: AssetType::Table,
            name: None,
            version: None,
            uri: self.uri.clone(),
            delta_version: Some(self.delta_version),
            digest: self.digest.clone(),
            rows: Some(self.rows),
            size_bytes: Some(self.size_bytes),
        }
    }
}

/// How a write treats what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// The new rows become the whole table.
    Overwrite,
    /// The new rows are added.
    Append,
    /// The new rows are added, and after the table's columns those that only they have: null in the rows before.
    AppendColumns,
}

/// Statistics of a table, one entry a column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TableProfile {
    /// Rows that were read.
    pub rows: u64,
    /// In the schema's order.
    pub columns: Vec<ColumnProfile>,
}

/// Statistics of a column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// Column name.
    pub name: String,
    /// Arrow type as text.
    pub data_type: String,
    /// Nulls.
    pub nulls: u64,
    /// Distinct values, estimated.
    pub distinct: u64,
    /// Smallest value, as JSON.
    pub min: Value,
    /// Largest value, as JSON.
    pub max: Value,
    /// Mean, for numbers.
    pub mean: Option<f64>,
    /// Sample standard deviation, for numbers.
    pub stddev: Option<f64>,
    /// Quantiles 0.05, 0.25, 0.5, 0.75, 0.95, for numbers.
    pub quantiles: Vec<f64>,
    /// The commonest values, for text and booleans; at most 20.
    pub top: Vec<TopValue>,
    /// At most 20 bins of equal width between `min` and `max`, for numbers and times.
    pub histogram: Vec<HistogramBin>,
}

/// A value and how often it occurs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopValue {
    /// The value as text; `None` for null.
    pub value: Option<String>,
    /// Rows.
    pub count: u64,
}

/// Rows in `[from, to)`; the last bin includes `to`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HistogramBin {
    /// Lower edge.
    pub from: f64,
    /// Upper edge.
    pub to: f64,
    /// Rows.
    pub count: u64,
}

/// What is known of the parts of a table before they are read: one value a part in each array, null where nothing is known.
#[derive(Debug, Clone)]
pub struct PartFacts {
    /// The columns of the rows.
    pub schema: SchemaRef,
    /// No value of a column is less, in the schema's order.
    pub least: Vec<ArrayRef>,
    /// No value of a column is greater, in the schema's order.
    pub greatest: Vec<ArrayRef>,
    /// Nulls of a column, in the schema's order.
    pub nulls: Vec<UInt64Array>,
    /// Rows of each part.
    pub rows: UInt64Array,
}

/// How new rows join those of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByKey<'a> {
    /// Columns that make a row one with another.
    pub columns: &'a [String],
    /// The column that says what a row does ([`RowChange`](crate::RowChange)); it is not kept. Without one, rows with equal keys are replaced and
    /// the others added; of several new rows with one key the last counts.
    pub change: Option<&'a str>,
}

/// Turns SQL into rows and rows into tables. DataFusion implements it here; another engine may elsewhere.
#[async_trait]
pub trait QueryEngine: Send + Sync {
    /// Runs a query.
    async fn query(&self, request: QueryRequest) -> Result<BatchStream, QueryError>;

    /// The schema a query would return, without running it.
    async fn plan_schema(&self, request: QueryRequest) -> Result<SchemaRef, QueryError>;

    /// Reads a table: `columns` in that order (all if `None`), at most `limit` rows.
    async fn scan(
        &self,
        table: &TableRef,
        columns: Option<Vec<String>>,
        limit: Option<usize>,
    ) -> Result<BatchStream, QueryError>;

    /// Reads the chosen columns of the rows that a condition holds for. The condition is one expression over the table's columns and
    /// nothing else; a [`QueryError::Plan`] tells the place in it.
    async fn select(&self, table: &TableRef, selection: Selection) -> Result<BatchStream, QueryError>;

    /// The names of the tables that a query reads, as the engine will look for them, in the order in which they occur; what the query
    /// defines itself is left out. Names of a schema are none of ours and are left out too.
    async fn table_names(&self, sql: &str) -> Result<Vec<String>, QueryError>;

    /// The tables of other systems that a query reads, as `connection:table`; none for an engine that knows no other system.
    async fn foreign_names(&self, _sql: &str) -> Result<Vec<String>, QueryError> {
        Ok(Vec::new())
    }

    /// Prepares expressions in the engine's SQL over the columns of a schema and nothing else; `$1`, `$2`, … stand for `params`. A [`QueryError::Plan`] tells the place in the
    /// one at fault.
    async fn expressions(
        &self,
        _schema: SchemaRef,
        _sql: &[String],
        _params: &[Value],
    ) -> Result<std::sync::Arc<dyn RowExpressions>, QueryError> {
        Err(QueryError::Plan {
            message: "this engine has no expressions over rows".to_owned(),
            position: None,
        })
    }

    /// Which parts may have a row that a condition in the engine's SQL holds for, `$1`, `$2`, … standing for `params`; those of which it does
    /// not know may.
    async fn may_hold(
        &self,
        _condition: &str,
        _params: &[Value],
        parts: &PartFacts,
    ) -> Result<Vec<bool>, QueryError> {
        Ok(vec![true; parts.rows.len()])
    }

    /// Writes rows as one new version of the Delta table at `uri`, which is created if absent. Visible whole or not at all.
    async fn write_table(
        &self,
        uri: &str,
        rows: BatchStream,
        mode: WriteMode,
    ) -> Result<WrittenTable, QueryError>;

    /// As [`Self::write_table`], and once for each key: the key is part of the version, and who writes under it again, after a kill, gets
    /// what was written. An engine that does not tell keys apart may only be asked where writing twice is the same as writing once.
    async fn write_table_once(
        &self,
        uri: &str,
        rows: BatchStream,
        mode: WriteMode,
        key: &str,
    ) -> Result<WrittenTable, QueryError> {
        let _ = key;
        self.write_table(uri, rows, mode).await
    }

    /// Writes rows as one new version of the Delta table at `uri`, which is created if absent: they join those that are there by their keys.
    /// Once for each `key`, as [`Self::write_table_once`].
    async fn merge_table_once(
        &self,
        uri: &str,
        _rows: BatchStream,
        _by: ByKey<'_>,
        _key: &str,
    ) -> Result<WrittenTable, QueryError> {
        Err(QueryError::Write {
            uri: uri.to_owned(),
            message: "this engine does not replace rows by keys".to_owned(),
        })
    }

    /// The version of the Delta table at `uri` that is meant; `None` if there is no table.
    async fn table_version(&self, uri: &str, _moment: &TableMoment) -> Result<Option<u64>, QueryError> {
        Err(QueryError::Read { uri: uri.to_owned(), message: "this engine has no Delta tables".to_owned() })
    }

    /// The rows of the Delta table at `uri` that versions after `since` up to `until` changed: the table's columns, and behind them `op` with the
    /// word of a [`RowChange`](crate::RowChange), `upsert` for a row as it is after a change, `delete` for one that is gone and for one as it was before a
    /// change. With `keys`, columns that make a row one with another, the last change of each comes alone, in any order; without, every change comes, in the
    /// order of the versions.
    async fn table_changes(
        &self,
        uri: &str,
        _versions: ChangedBetween,
        _keys: Option<&[String]>,
        _op: &str,
    ) -> Result<BatchStream, QueryError> {
        Err(QueryError::Read { uri: uri.to_owned(), message: "this engine has no Delta tables".to_owned() })
    }

    /// The same engine, reaching `s3://` with these options, in object_store's words; `None` if it knows no buckets.
    fn reaching(&self, _s3: &[(String, String)]) -> Option<std::sync::Arc<dyn QueryEngine>> {
        None
    }

    /// Reads a table once and describes its columns.
    async fn profile(&self, table: &TableRef) -> Result<TableProfile, QueryError>;

    /// Parquet files of exactly this table version, as absolute local paths, for programs that read files. Delta tables on local disk
    /// give their own files; anything else is copied below `folder` first.
    async fn parquet_files(
        &self,
        table: &TableRef,
        folder: &std::path::Path,
    ) -> Result<Vec<std::path::PathBuf>, QueryError>;
}

/// Expressions over the columns of rows, ready to be evaluated.
pub trait RowExpressions: Send + Sync {
    /// The types of their values, in the order of the expressions.
    fn data_types(&self) -> &[DataType];

    /// Their values for each row of a batch that has the schema they were prepared for.
    fn evaluate(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, QueryError>;
}

/// What a query engine answers when it cannot.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The SQL does not parse or names something that is not there.
    #[error("{message}")]
    Plan {
        /// What is wrong, with the engine's suggestion.
        message: String,
        /// Line and column in the SQL, from 1.
        position: Option<(u32, u32)>,
    },
    /// It failed while it ran.
    #[error("the query failed: {message}")]
    Run {
        /// The engine's words.
        message: String,
    },
    /// A table cannot be read.
    #[error("cannot read the table `{uri}`: {message}")]
    Read {
        /// Where it is.
        uri: String,
        /// Why.
        message: String,
    },
    /// A table cannot be written.
    #[error("cannot write the table `{uri}`: {message}")]
    Write {
        /// Where it is.
        uri: String,
        /// Why.
        message: String,
    },
    /// The stream of rows that was to be written failed.
    #[error("the rows could not be produced: {message}")]
    Source {
        /// The producer's words.
        message: String,
    },
    /// Somebody cancelled it.
    #[error("cancelled")]
    Cancelled,
}
