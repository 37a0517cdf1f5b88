//! SQLite: files with tables. A column's declared type tells what its values are; where none is declared, the first values do.

mod session;

use std::path::{Component, Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use futures::TryStreamExt as _;
use millrace_contract::BatchStream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Decode, Row as _, Sqlite, TypeInfo as _, ValueRef as _};

use self::session::{SqliteSession, bound};
use super::cells::{Cell, Rows};
use super::parted::{self, Batches, PartReader, Parted, Query};
use super::ranges::{self, Measure, not_divided};
use super::{Dialect, Division, Reading, Session, TableServer};
use crate::error::CopyError;
use crate::source::{BATCH_ROWS, Outcome};
use crate::types::{ColumnSpec, ColumnType};

/// How long somebody else may hold the file.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads and writes tables of an SQLite file.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqliteConnectionSettings {
    /// The file: a path in the workspace, or an absolute one. Created by the first copy into it.
    pub(crate) path: String,
}

struct SqliteFile {
    path: PathBuf,
}

/// Reads the connection; the file is not touched yet.
pub(crate) fn open(
    name: &str,
    settings: &Value,
    workspace: &Path,
) -> Result<Box<dyn TableServer>, CopyError> {
    let settings: SqliteConnectionSettings = serde_json::from_value(settings.clone())
        .map_err(|error| CopyError::config(format!("the connection `{name}`: {error}"), "sqlite: {path}"))?;
    let path = Path::new(&settings.path);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if settings.path.is_empty() || !path.is_absolute() && !inside {
        return Err(CopyError::config(
            format!("the connection `{name}`: `{}` leads out of the workspace", settings.path),
            "sqlite: {path: data/shop.db}, or an absolute path",
        ));
    }
    Ok(Box::new(SqliteFile { path: workspace.join(path) }))
}

impl SqliteFile {
    async fn connect(&self, create: bool) -> Result<SqliteConnection, sqlx::Error> {
        let options = SqliteConnectOptions::new().filename(&self.path).create_if_missing(create);
        options.busy_timeout(PATIENCE).disable_statement_logging().connect().await
    }

    /// So many connections that see one state of the file.
    async fn snapshot(&self, count: usize, what: &str) -> Result<Vec<SqliteConnection>, CopyError> {
        let fail = |error: sqlx::Error| failed(what, &error);
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count.max(1) {
            connections.push(self.connect(false).await.map_err(fail)?);
        }
        // Nobody commits while the transactions begin.
        let mut gate = None;
        if count > 1 {
            let mut connection = self.connect(false).await.map_err(fail)?;
            match run(&mut connection, "begin immediate").await {
                Ok(()) => gate = Some(connection),
                // Where readers and writers exclude each other, the first one that reads keeps the others out.
                Err(error) if is_read_only(&error) && !is_wal(&mut connection).await.map_err(fail)? => {}
                Err(error) if is_read_only(&error) => {
                    return Err(CopyError::config(
                        format!(
                            "`{what}` cannot be read over several connections: its file is in WAL mode and cannot be written, so that nothing keeps others from changing it meanwhile"
                        ),
                        "leave `partition` out",
                    ));
                }
                Err(error) => return Err(fail(error)),
            }
        }
        for connection in &mut connections {
            // The transaction sees what is there when it reads first.
            run(connection, "begin; select count(*) from sqlite_schema").await.map_err(fail)?;
        }
        if let Some(mut gate) = gate {
            run(&mut gate, "rollback").await.map_err(fail)?;
        }
        Ok(connections)
    }
}

#[async_trait]
impl TableServer for SqliteFile {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn read(&self, reading: Reading, outcome: Outcome) -> Result<BatchStream, CopyError> {
        let what = reading.relation.clone();
        let fail = |error: sqlx::Error| failed(&what, &error);
        if !self.path.exists() {
            return Err(CopyError::read(self.path.to_string_lossy(), &"there is no such file"));
        }
        let count = if reading.partition.is_some() { reading.connections } else { 1 };
        let mut connections = self.snapshot(count, &what).await?;
        let Some(leader) = connections.first_mut() else {
            return Err(CopyError::read(&what, &"no connection"));
        };
        let from = Dialect::Sqlite.relation(&reading.relation);
        let view = format!("create temp view millrace_described as select * from {from}");
        run(leader, &view).await.map_err(fail)?;
        let (condition, values) = reading.condition();
        let select = format!("select * from {from}");
        let (schema, declared) = describe(leader, &parted::query(&select, condition, None), values, &reading)
            .await
            .map_err(fail)??;
        let parts = parts(leader, &reading, &from, &declared).await?;
        let meter = outcome.meter.clone();
        let parts = reading.begun(&select, &schema, parts)?;
        let parted = Parted { schema: schema.clone(), parts, outcome, kept: reading.kept.clone() };
        connections.truncate(parted.workers(count));
        let (condition, values) = (condition.map(str::to_owned), values.to_vec());
        let query = Arc::new(Query { what, schema, select, condition, values, meter });
        let workers = connections.into_iter().map(|connection| Worker { connection, query: query.clone() });
        Ok(parted.read(workers.collect(), ()))
    }

    async fn session(&self, table: &str) -> Result<Box<dyn Session>, CopyError> {
        if let Some(folder) = self.path.parent() {
            fs_err::tokio::create_dir_all(folder).await.map_err(|error| CopyError::write(table, &error))?;
        }
        let fail = |error: sqlx::Error| refused(table, &error);
        let new = !self.path.exists();
        let mut connection = self.connect(true).await.map_err(fail)?;
        if new {
            // So that who reads it goes on while it is loaded. A file that is there keeps the mode that its owner gave it.
            run(&mut connection, "pragma journal_mode = wal").await.map_err(fail)?;
        }
        Ok(Box::new(SqliteSession { connection, what: table.to_owned() }))
    }
}

/// A connection with what it reads.
struct Worker {
    connection: SqliteConnection,
    query: Arc<Query>,
}

#[async_trait]
impl PartReader for Worker {
    async fn read(&mut self, part: Option<&str>, to: &Batches) -> Result<(), CopyError> {
        let Query { what, schema, select, condition, values, meter } = &*self.query;
        let fail = |error: sqlx::Error| failed(what, &error);
        let wrong = |message: String| CopyError::read(what, &message);
        let sql = parted::query(select, condition.as_deref(), part);
        let arguments = bound(values).map_err(wrong)?;
        let mut found = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch(&mut self.connection);
        let columns = schema.fields().len();
        let mut rows = Rows::new(schema.clone());
        while let Some(row) = found.try_next().await.map_err(fail)? {
            for index in 0..columns {
                let said = with_cell(&row, index, |cell| rows.cell(index, cell)).map_err(fail)?;
                said.map_err(wrong)?;
            }
            if rows.end() && !parted::give(&mut rows, to, meter).await.map_err(wrong)? {
                return Ok(());
            }
        }
        parted::give(&mut rows, to, meter).await.map_err(wrong).map(drop)
    }
}

/// Characters that a hash is made of, the last ones: numbers and names differ there first.
const HASHED: u32 = 6;

/// The conditions of the parts of a read; none if it is not divided. `declared`: the columns with their types.
async fn parts(
    connection: &mut SqliteConnection,
    reading: &Reading,
    from: &str,
    declared: &[(String, String)],
) -> Result<Vec<String>, CopyError> {
    let (column, parts) = match reading.division()? {
        None => return Ok(Vec::new()),
        Some((Division::Hash(expression), parts)) => {
            // SQLite has no function for it.
            let sign = |place: u32| {
                let weight = 31_u32.pow(place - 1);
                format!("coalesce(unicode(substr(cast(({expression}) as text), -{place}, 1)), 0) * {weight}")
            };
            let hash: Vec<String> = (1..=HASHED).map(sign).collect();
            let hash = hash.join(" + ");
            return Ok((0..parts).map(|part| format!("({hash}) % {parts} = {part}")).collect());
        }
        Some((Division::Column(column), parts)) => (column, parts),
    };
    let quoted = Dialect::Sqlite.quoted(column);
    let refused = |why: &dyn std::fmt::Display| not_divided(&reading.relation, &quoted, why);
    // What is quoted and no column would be text.
    let found = declared.iter().find(|(name, _)| name.eq_ignore_ascii_case(column));
    let (_, declared) = found.ok_or_else(|| refused(&"there is no such column"))?;
    let sql = format!(
        "select typeof(lo), typeof(hi), cast(lo as text), cast(hi as text) from (select min({quoted}) as lo, max({quoted}) as hi from {from})"
    );
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(connection).await;
    let row = row.map_err(|error| refused(&message(&error)))?;
    let cell = |index: usize| {
        let cell: Result<Option<String>, sqlx::Error> = row.try_get(index);
        cell.map(Option::unwrap_or_default).map_err(|error| failed(&reading.relation, &error))
    };
    let (least_type, greatest_type, least, greatest) = (cell(0)?, cell(1)?, cell(2)?, cell(3)?);
    let measure = match (least_type.as_str(), greatest_type.as_str()) {
        ("null", _) => return Ok(Vec::new()),
        ("integer", "integer") => Some(Measure::Integer),
        ("integer" | "real", "integer" | "real") => Some(Measure::Number),
        // As text they are in the order of time.
        ("text", "text") => match data_type(declared) {
            Some(DataType::Date32) => Some(Measure::Date),
            Some(DataType::Timestamp(..)) => Some(Measure::Moment),
            _ => None,
        },
        _ => None,
    };
    let bounds = measure.and_then(|measure| measure.bounds(&least, &greatest, parts));
    let bounds =
        bounds.ok_or_else(|| refused(&format_args!("it has values from `{least}` to `{greatest}`")))?;
    Ok(ranges::conditions(&quoted, &bounds))
}

/// A value as it is stored, whatever is declared.
fn with_cell<T>(row: &SqliteRow, index: usize, take: impl FnOnce(Cell<'_>) -> T) -> Result<T, sqlx::Error> {
    let value = row.try_get_raw(index)?;
    if value.is_null() {
        return Ok(take(Cell::Null));
    }
    let class = Class::of(value.type_info().name());
    let decoded = |error| sqlx::Error::Decode(error);
    Ok(match class {
        Class::Integer => take(Cell::Int(<i64 as Decode<Sqlite>>::decode(value).map_err(decoded)?)),
        Class::Real => take(Cell::Float(<f64 as Decode<Sqlite>>::decode(value).map_err(decoded)?)),
        Class::Blob => take(Cell::Bytes(<&[u8] as Decode<Sqlite>>::decode(value).map_err(decoded)?)),
        Class::Text => take(Cell::Text(<&str as Decode<Sqlite>>::decode(value).map_err(decoded)?)),
    })
}

/// How a value is stored.
enum Class {
    Integer,
    Real,
    Text,
    Blob,
}

impl Class {
    fn of(name: &str) -> Self {
        match name {
            "INTEGER" => Self::Integer,
            "REAL" => Self::Real,
            "BLOB" => Self::Blob,
            _ => Self::Text,
        }
    }
}

/// The schema, and the columns with what is declared of them in the table.
type Described = (SchemaRef, Vec<(String, String)>);

/// The schema, by what is declared in the step, in the table, and by the first values.
async fn describe(
    connection: &mut SqliteConnection,
    sql: &str,
    values: &[Value],
    reading: &Reading,
) -> Result<Result<Described, CopyError>, sqlx::Error> {
    let columns = sqlx::query("select name, type from pragma_table_xinfo('millrace_described') order by cid")
        .fetch_all(&mut *connection)
        .await?;
    let mut fields: Vec<(String, Option<DataType>)> = Vec::new();
    let mut types = Vec::new();
    for column in columns {
        let (name, declared): (String, String) = (column.try_get(0)?, column.try_get(1)?);
        let kind = match reading.columns.get(&name).map(ColumnSpec::kind) {
            Some(kind) => Some(kind.data_type()),
            None => data_type(&declared),
        };
        fields.push((name.clone(), kind));
        types.push((name, declared));
    }
    if fields.iter().any(|(_, kind)| kind.is_none()) {
        let arguments = match bound(values) {
            Ok(arguments) => arguments,
            Err(message) => return Ok(Err(CopyError::read(&reading.relation, &message))),
        };
        let sample = format!("select * from ({sql}) limit {BATCH_ROWS}");
        let rows = sqlx::query_with(AssertSqlSafe(sample), arguments).fetch_all(connection).await?;
        for (index, (_, kind)) in fields.iter_mut().enumerate().filter(|(_, (_, kind))| kind.is_none()) {
            let mut seen = Seen::default();
            for row in &rows {
                with_cell(row, index, |cell| seen.add(cell))?;
            }
            *kind = Some(seen.data_type());
        }
    }
    let field =
        |(name, kind): (String, Option<DataType>)| Field::new(name, kind.unwrap_or(DataType::Utf8), true);
    Ok(Ok((Arc::new(Schema::new(fields.into_iter().map(field).collect::<Vec<_>>())), types)))
}

/// What values of a column without a type are.
#[derive(Default)]
struct Seen {
    integers: bool,
    reals: bool,
    texts: bool,
    bytes: bool,
}

impl Seen {
    fn add(&mut self, cell: Cell<'_>) {
        match cell {
            Cell::Null => {}
            Cell::Boolean(_) | Cell::Int(_) | Cell::Unsigned(_) => self.integers = true,
            Cell::Float(_) => self.reals = true,
            Cell::Text(_) => self.texts = true,
            Cell::Bytes(_) => self.bytes = true,
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self { texts: true, .. } => DataType::Utf8,
            Self { bytes: true, .. } => DataType::Binary,
            Self { reals: true, .. } => DataType::Float64,
            Self { integers: true, .. } => DataType::Int64,
            _ => DataType::Utf8,
        }
    }
}

/// What a declared type means; `None` if it tells nothing. Names are those of SQLite's rules of affinity and of other programs' schemas.
fn data_type(declared: &str) -> Option<DataType> {
    let word = declared.trim().to_lowercase();
    let (name, digits) = word
        .split_once('(')
        .map_or((word.as_str(), None), |(name, rest)| (name.trim(), rest.strip_suffix(')').map(str::trim)));
    let kind = match name {
        "decimal_text" | "decimal" | "numeric" => {
            let digits = digits?;
            let digits = if digits.contains(',') { digits.to_owned() } else { format!("{digits},0") };
            ColumnType::from_str(&format!("decimal({digits})")).ok()?.data_type()
        }
        "date" => DataType::Date32,
        "datetime" | "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" | "timestamp with time zone" => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        "time" => DataType::Time64(TimeUnit::Microsecond),
        "json" | "uuid" => DataType::Utf8,
        name if name.contains("bool") => DataType::Boolean,
        name if name.contains("int") => DataType::Int64,
        name if ["char", "clob", "text"].iter().any(|part| name.contains(part)) => DataType::Utf8,
        name if ["real", "floa", "doub"].iter().any(|part| name.contains(part)) => DataType::Float64,
        _ => return None,
    };
    Some(kind)
}

async fn run(connection: &mut SqliteConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.map(drop)
}

fn failed(what: &str, error: &sqlx::Error) -> CopyError {
    CopyError::Read { what: what.to_owned(), message: message(error), transient: is_busy(error) }
}

fn refused(what: &str, error: &sqlx::Error) -> CopyError {
    CopyError::Write { what: what.to_owned(), message: message(error), transient: is_busy(error) }
}

fn message(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// Whether readers see what was there while somebody writes.
async fn is_wal(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let mode: String = sqlx::query("pragma journal_mode").fetch_one(connection).await?.try_get(0)?;
    Ok(mode.eq_ignore_ascii_case("wal"))
}

/// The file cannot be written (`SQLITE_READONLY` and what it is told more exactly as, which share their last byte).
fn is_read_only(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 8)
}

/// Somebody else holds the file.
fn is_busy(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "5" || code == "517")
}
