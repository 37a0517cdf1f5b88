//! What a `copy` step says.

use indexmap::IndexMap;
use millrace_spec::duration::Elapsed;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::copy::{Mails, Messages};
use crate::error::CopyError;
use crate::format::{Encoding, Format, Target};
use crate::origin::Request;
use crate::rejects::{OnError, RejectFile, RejectLimit};
use crate::shape::{AddedColumn, Contract, MappedColumn};
use crate::types::ColumnSpec;
use crate::verification::Verify;

/// Copies a table: from files here or on another machine, a database or a dataset, to a dataset, a file or a database.
///
/// What is written appears whole or not at all, except in web APIs, so a copy that fails or is cancelled may simply run again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CopyConfig {
    /// Path or glob relative to the workspace, `http(s)://…`, `connection:schema.table`, `connection:(select …)`,
    /// `connection:path-or-glob`, the URL of files that a connection leads to (`s3://`, `az://`, `gs://`, `sftp://`), `connection:stream` of a web
    /// API or another system that gives rows, `connection:queue`, `connection:mailbox`, `delta:path-or-s3://…` with `@version` or `@time`, `iceberg:path-or-URL` with `@snapshot` or `@time`, or `data:name`.
    pub from: Value,
    /// `data:name`, a path, `connection:schema.table`, `connection:path` or the URL of a file that a connection leads to, or
    /// `delta:path-or-s3://…`; or a file with how it is written: `{path: out/rows.csv, delimiter: ";"}`; or a resource of a web API with how rows are sent
    /// to it: `{path: "crm:contacts", rows: 100}`.
    #[schemars(with = "Target")]
    pub to: Value,
    /// Format of the source's files; told by their ending if absent.
    #[serde(default)]
    pub format: Option<Format>,
    /// Types of columns by name, or `{type, format, culture, null_values}`; those of the others are the source's, or inferred.
    #[serde(default)]
    pub columns: IndexMap<String, ColumnSpec>,
    /// What stands between the cells: one ASCII character, or `tab`. CSV only.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// What stands around cells that hold delimiters or lines; `"` if absent. CSV only.
    #[serde(default)]
    pub quote: Option<String>,
    /// What stands before a quote within quotes, beside the doubled quote. CSV only.
    #[serde(default)]
    pub escape: Option<String>,
    /// First character of lines that are none. CSV only.
    #[serde(default)]
    pub comment: Option<String>,
    /// Lines before the header that are none. CSV only.
    #[serde(default)]
    pub skip_lines: u64,
    /// Whether the first row names the columns. CSV and Excel only.
    #[serde(default = "yes")]
    pub header: bool,
    /// Texts that mean null, beside the empty one; in JSON those of declared columns. CSV, JSON, Excel and XML only.
    #[serde(default)]
    pub null_values: Vec<String>,
    /// How characters stand in the file. CSV, JSON and XML only.
    #[serde(default)]
    pub encoding: Encoding,
    /// Condition on the rows, in the database's SQL or OData's `$filter`; of other sources in the SQL of Millrace, over the columns of the
    /// source.
    #[serde(default, rename = "where")]
    pub condition: Option<Condition>,
    /// What becomes of the copy when a row cannot be read. CSV, JSON, Excel and XML only.
    #[serde(default)]
    pub on_error: OnError,
    /// Fails after all when more rows than this are rejected: a number, or a share of all rows, `2%`.
    #[serde(default)]
    pub max_rejects: Option<RejectLimit>,
    /// How rejected rows are kept: `csv` or `parquet`.
    #[serde(default)]
    pub rejects: RejectFile,
    /// How what was written is compared with what was read.
    #[serde(default)]
    pub verify: Verify,
    /// Copies only rows that are new, or changed, since the sink was written: `write` says how they are added. Datasets and databases only.
    #[serde(default)]
    pub incremental: Option<Incremental>,
    /// Rows to stop after.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Bytes of the source a second at most.
    #[serde(default)]
    pub max_bytes_per_s: Option<std::num::NonZeroU64>,
    /// How the write treats what is there.
    #[serde(default)]
    pub write: Write,
    /// Columns of lists, each element of which becomes a row of its own; a row whose list is empty stays, with null.
    #[serde(default)]
    pub unnest: Vec<String>,
    /// Columns of the sink and where each comes from: a name, a number from 1, a path `$.address.city`, or `{from, type, format, culture,
    /// null_values, default}`. Others are left out.
    #[serde(default)]
    pub mapping: IndexMap<String, MappedColumn>,
    /// Columns to take, by name or glob; all if absent.
    #[serde(default)]
    pub select: Vec<String>,
    /// Columns to leave out, by name or glob.
    #[serde(default)]
    pub drop: Vec<String>,
    /// New names of columns. Between slashes it is a regular expression for all that match: `/^customer_(.*)$/: $1`.
    #[serde(default)]
    pub rename: IndexMap<String, String>,
    /// Columns that the source does not have: `$file`, `$modified`, `$row`, `$run`, `$loaded_at`, `{sql: price * amount}`, or a value.
    #[serde(default)]
    pub add: IndexMap<String, AddedColumn>,
    /// What becomes of columns that the sink does not have and of values of other types than its columns: `evolve`, `freeze`, `discard_row`,
    /// `discard_value`, or `{columns: …, types: …}`. Nothing is compared if absent. Datasets and databases only.
    #[serde(default)]
    pub schema: Option<Contract>,
    /// Threads that decode side by side; as many as the machine has cores if absent.
    #[serde(default)]
    pub parallelism: Option<std::num::NonZeroUsize>,
    /// Where the records are: `$.data.rows` in a JSON document or the answer of a web API, the name of an element or a path such as
    /// `/orders/order` in an XML document.
    #[serde(default)]
    pub records: Option<String>,
    /// What stands before the names of columns that are attributes; nothing if absent. XML only.
    #[serde(default)]
    pub attributes: Option<String>,
    /// The sheet by its name, or by its number from 1; the first if absent. Excel only.
    #[serde(default)]
    pub sheet: Option<Sheet>,
    /// The cells to read, the header among them: `B2:F100`, `B2:F` to the last row. Excel only.
    #[serde(default)]
    pub range: Option<String>,
    /// Files to read from zip archives, a glob; every file whose ending names the format if absent. Zip archives only.
    #[serde(default)]
    pub entries: Option<String>,
    /// How the source is divided among connections, as many as `parallelism` says; a large table of PostgreSQL is by its pages if absent.
    /// Databases only.
    #[serde(default)]
    pub partition: Option<Partition>,
    /// Files that changed before are left out; microseconds since 1970.
    #[serde(skip)]
    pub(crate) newer_than: Option<i64>,
    /// SQL before the rows come, in the transaction that they come in. Databases only.
    #[serde(default)]
    pub pre_sql: Vec<String>,
    /// SQL after the last row, in the same transaction. Databases only.
    #[serde(default)]
    pub post_sql: Vec<String>,
    /// File of the workspace that keeps how far the source was read; it moves on when the sink has the rows. Programs, taps and `incremental: {changes:
    /// true}` only.
    #[serde(default)]
    pub state: Option<String>,
    /// How much of a queue is read, and as whom. Queues only.
    #[serde(default)]
    pub messages: Option<Messages>,
    /// Which mails of a mailbox, and which of the files that are attached to them. Mailboxes only.
    #[serde(default)]
    pub mails: Option<Mails>,
    /// What a web API is asked for beside its path: parameters, variables, pages.
    #[serde(default)]
    pub request: Option<Request>,
}

impl CopyConfig {
    /// Reads a place whose columns have these types, everything else as it is usual.
    pub(crate) fn plain(place: &Value, columns: IndexMap<String, ColumnSpec>) -> Result<Self, CopyError> {
        let usual = serde_json::json!({"from": place, "to": place});
        let config: Self = serde_json::from_value(usual)
            .map_err(|error| CopyError::config(error.to_string(), "to: data:name"))?;
        Ok(Self { columns, ..config })
    }

    /// Whether a column tells the file of each row.
    pub(crate) fn wants_files(&self) -> bool {
        self.adds("$file") || self.wants_modified()
    }

    /// Whether a column tells when the file of each row changed.
    pub(crate) fn wants_modified(&self) -> bool {
        self.adds("$modified")
    }

    fn adds(&self, word: &str) -> bool {
        self.add.values().any(|added| *added == AddedColumn::Value(Value::from(word)))
    }

    /// Whether every record of the source becomes a row of the sink, as far as the step says.
    pub(crate) fn keeps_every_row(&self) -> bool {
        self.on_error == OnError::Fail && self.incremental.is_none() && self.schema.is_none()
    }

    /// Whether the rows are those that the source notes as changed, and say what they do.
    pub(crate) fn takes_changes(&self) -> bool {
        self.incremental.as_ref().is_some_and(|incremental| incremental.changes)
    }

    /// Threads that decode side by side.
    pub(crate) fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().unwrap_or(std::num::NonZeroUsize::MIN);
        self.parallelism.unwrap_or_else(cores).get()
    }
}

fn yes() -> bool {
    true
}

/// A sheet of a workbook.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Sheet {
    /// By its number, from 1.
    Number(std::num::NonZeroUsize),
    /// By its name.
    Name(String),
}

/// How a write treats what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Write {
    /// The rows become the whole table.
    #[default]
    Overwrite,
    /// The rows are added. Running it twice adds them twice.
    Append,
    /// Rows with equal keys are replaced, the others added; of several rows with one key the last counts. Databases, datasets and Delta tables
    /// only; of the latter two the whole table is written anew.
    Upsert(Vec<String>),
    /// The table is emptied first and keeps its definition; who reads it waits meanwhile. Databases only.
    Truncate,
    /// All rows that have the keys of the new ones are deleted, the new ones added; a key may have several rows. Databases only.
    DeleteInsert(Vec<String>),
    /// Rows whose keys are not there yet are added. Databases only.
    InsertOnly(Vec<String>),
    /// Each row says what it does: add a row, change or delete the one with its keys. Databases, datasets and Delta tables only; of the latter two
    /// the whole table is written anew.
    ApplyChanges(Changes),
    /// Keeps history: a row that changed or is gone gets its end in `valid_to`, the new one begins in `valid_from`. Databases only.
    Scd2(Vec<String>),
    /// The rows are added with the time of the load in `snapshot_at`. Databases only.
    Snapshot,
    /// The rows of a range are replaced; a database is asked for these only. Databases only.
    Backfill(Range),
}

impl Write {
    /// Whether rows that are not among the new ones stay as they are.
    pub(crate) fn adds(&self) -> bool {
        matches!(
            self,
            Self::Append
                | Self::Upsert(_)
                | Self::DeleteInsert(_)
                | Self::InsertOnly(_)
                | Self::ApplyChanges(_)
                | Self::Scd2(_)
        )
    }

    /// The column of the rows that says what they do, and that the sink does not get.
    pub(crate) fn op_column(&self) -> Option<&str> {
        match self {
            Self::ApplyChanges(changes) => Some(&changes.op),
            _ => None,
        }
    }

    /// Whether only tables of databases can be written so.
    pub(crate) fn wants_database(&self) -> bool {
        !matches!(self, Self::Overwrite | Self::Append)
    }
}

/// How new rows are told: by a column whose values grow, or by what the source itself notes of its changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Incremental {
    /// A column of the sink whose values grow with each change: a number, a date or a time. Rows with the greatest value that the sink has, or
    /// a greater one, are read; rows without a value only the first time.
    #[serde(default)]
    pub column: Option<String>,
    /// How far before that value it reads again, for rows that come late: a duration for times, a number for numbers.
    #[serde(default)]
    pub lookback: Option<Lookback>,
    /// Takes the rows that were added, changed or deleted since the last copy, as the source notes them: change tracking of SQL Server, the log of a
    /// Delta table or a dataset, a replication slot of PostgreSQL. A column says of each row what it does, `upsert` or `delete`: the one that `write: {apply_changes: …}` names, else
    /// `_op`. The first time, and when the sink is gone, every row comes. How far it has read stands in the file that `state` names.
    #[serde(default)]
    pub changes: bool,
    /// The replication slot that the server keeps changes for; it is made if it is not there. Until it is dropped, the server keeps what the copy has not
    /// read yet. `changes` of PostgreSQL only.
    #[serde(default)]
    pub slot: Option<String>,
    /// The publication that has the table; one named as the slot, which is made if it is not there, if absent. `changes` of PostgreSQL only.
    #[serde(default)]
    pub publication: Option<String>,
}

/// The column that says what a row does, unless the step names another one.
pub(crate) const OP: &str = "_op";

/// A number, or a duration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Lookback {
    /// `1000`.
    Number(i64),
    /// `2h`.
    Duration(Elapsed),
}

/// Rows that say what they do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Columns that make a row one with another, by their names in the sink.
    pub keys: Vec<String>,
    /// The column that says it, which the sink does not get: `insert`, `update`, `upsert` or `delete`, as `alter_row` writes, or the letters of change
    /// logs: `i`, `c`, `u`, `d`, `r`. Of several rows with one key the last counts.
    #[serde(default = "op_column")]
    pub op: String,
}

fn op_column() -> String {
    OP.to_owned()
}

/// A range of a column's values.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The column, by its name in the sink.
    pub column: String,
    /// First value that is in it.
    pub from: Bound,
    /// First value after it.
    pub to: Bound,
}

/// A number, or a text or date.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Bound {
    /// `100`.
    Number(i64),
    /// `2026-03-01`.
    Text(String),
}

impl Bound {
    pub(crate) fn as_text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// How a read of a database is divided among connections.
///
/// The connections share one snapshot in PostgreSQL and SQLite. In MySQL and MariaDB each has its own, begun together: rows that are written in that
/// moment may be missing or come twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// By ranges of this column's values: numbers, dates or times.
    #[serde(default)]
    pub column: Option<String>,
    /// By the hash of this SQL expression.
    #[serde(default)]
    pub hash: Option<String>,
    /// Parts; four for each connection if absent.
    #[serde(default)]
    pub parts: Option<std::num::NonZeroU32>,
    /// Keeps each part that was read until the sink has all of them: a copy that was stopped and is begun again reads the others alone.
    #[serde(default)]
    pub resume: bool,
}

/// A condition with its values bound.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Condition {
    /// SQL without values from expressions.
    Text(String),
    /// SQL with `$1`, `$2`, …
    Bound {
        /// The SQL.
        text: String,
        /// The values.
        params: Vec<Value>,
    },
}
