//! MySQL and MariaDB. What their binary rows have no plain form for is asked for as text; rows are written by statements of many rows.

mod session;

use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use async_trait::async_trait;
use futures::TryStreamExt as _;
use millrace_contract::BatchStream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Decode, MySql, Row as _, TypeInfo as _, ValueRef as _};

use self::session::{MysqlSession, bound};
use super::cells::{Cell, Rows};
use super::parted::{self, Batches, PartReader, Parted, Query};
use super::ranges::{self, Measure, not_divided};
use super::{Dialect, Division, LOGIN, Reading, Session, TableServer, let_in};
use crate::error::CopyError;
use crate::source::Outcome;
use crate::types::{ColumnSpec, ColumnType};

/// Reads and writes tables of a MySQL or MariaDB server.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MysqlConnection {
    /// Connection URL without the password, for example `mysql://reader@db/shop`. `?ssl-mode=` is `DISABLED`, `PREFERRED` (the default),
    /// `REQUIRED`, `VERIFY_CA` or `VERIFY_IDENTITY`; `&ssl-ca=` names a file with the certificates that are trusted.
    pub(crate) url: String,
    /// The password, usually `${{ secrets.… }}`.
    #[serde(default)]
    pub(crate) password: Option<String>,
}

struct Mysql {
    name: String,
    options: MySqlConnectOptions,
}

/// Reads the connection; nothing is sent yet.
pub(crate) fn open(name: &str, settings: &Value, _: &Path) -> Result<Box<dyn TableServer>, CopyError> {
    let settings: MysqlConnection = serde_json::from_value(settings.clone()).map_err(|error| {
        CopyError::config(format!("the connection `{name}`: {error}"), "mysql: {url, password}")
    })?;
    // The error of a bad URL may quote it, and it may hold a password.
    let options =
        MySqlConnectOptions::from_str(&settings.url).ok().filter(|_| settings.url.starts_with("mysql://"));
    let mut options = options.ok_or_else(|| {
        CopyError::config(
            format!("the URL of the connection `{name}` cannot be read"),
            "mysql://user@host:3306/database",
        )
    })?;
    if let Some(password) = &settings.password {
        options = options.password(password);
    }
    Ok(Box::new(Mysql {
        name: name.to_owned(),
        options: options.pipes_as_concat(false).disable_statement_logging(),
    }))
}

impl Mysql {
    async fn connect(&self) -> Result<MySqlConnection, CopyError> {
        let fail = |error: sqlx::Error| failed(&self.name, &error);
        let connecting = async { self.options.connect().await.map_err(fail) };
        let mut connection = let_in(&self.name, LOGIN, connecting).await?;
        // Without it a value that has no room is cut to fit.
        let strict = "set session sql_mode = concat(@@sql_mode, ',STRICT_ALL_TABLES')";
        run(&mut connection, strict).await.map_err(fail)?;
        Ok(connection)
    }
}

#[async_trait]
impl TableServer for Mysql {
    fn dialect(&self) -> Dialect {
        Dialect::Mysql
    }

    async fn read(&self, reading: Reading, outcome: Outcome) -> Result<BatchStream, CopyError> {
        let what = reading.relation.clone();
        let fail = |error: sqlx::Error| failed(&what, &error);
        let mut leader = self.connect().await?;
        let from = Dialect::Mysql.relation(&reading.relation);
        let columns = describe(&mut leader, &reading, &from).await.map_err(fail)?;
        let parts = parts(&mut leader, &reading, &from, &columns).await?;
        let expressions: Vec<&str> = columns.iter().map(|column| column.expression.as_str()).collect();
        let (condition, values) = match reading.condition() {
            (Some(text), values) => {
                let (text, values) = positional(text, values);
                (Some(text), values)
            }
            (None, _) => (None, Vec::new()),
        };
        let select = format!("select {} from {from}", expressions.join(", "));
        let fields: Vec<Field> = columns.into_iter().map(|column| column.field).collect();
        let schema = Arc::new(Schema::new(fields));
        let meter = outcome.meter.clone();
        let parts = reading.begun(&select, &schema, parts)?;
        let parted = Parted { schema: schema.clone(), parts, outcome, kept: reading.kept.clone() };
        let mut connections = vec![leader];
        for _ in 1..parted.workers(reading.connections) {
            connections.push(self.connect().await?);
        }
        // Each connection has a snapshot of its own. They are all there, so that no more than a moment lies between them.
        let snapshot = "set session transaction isolation level repeatable read; \
                        start transaction with consistent snapshot, read only";
        let begin = connections.iter_mut().map(|connection| run(connection, snapshot));
        futures::future::try_join_all(begin).await.map_err(fail)?;
        let query = Arc::new(Query { what: what.clone(), schema, select, condition, values, meter });
        let workers = connections.into_iter().map(|connection| Worker { connection, query: query.clone() });
        Ok(parted.read(workers.collect(), ()))
    }

    async fn session(&self, table: &str) -> Result<Box<dyn Session>, CopyError> {
        Ok(Box::new(MysqlSession { connection: self.connect().await?, what: table.to_owned() }))
    }
}

/// A connection with what it reads.
struct Worker {
    connection: MySqlConnection,
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

/// The conditions of the parts of a read; none if it is not divided.
async fn parts(
    connection: &mut MySqlConnection,
    reading: &Reading,
    from: &str,
    columns: &[Column],
) -> Result<Vec<String>, CopyError> {
    let (column, parts) = match reading.division()? {
        None => return Ok(Vec::new()),
        Some((Division::Hash(expression), parts)) => {
            let part = |part: usize| format!("coalesce(crc32(({expression})) % {parts}, 0) = {part}");
            return Ok((0..parts).map(part).collect());
        }
        Some((Division::Column(column), parts)) => (column, parts),
    };
    let quoted = Dialect::Mysql.quoted(column);
    let refused = |why: &dyn std::fmt::Display| not_divided(&reading.relation, &quoted, why);
    let found = columns.iter().find(|found| found.field.name().eq_ignore_ascii_case(column));
    let found = found.ok_or_else(|| refused(&"there is no such column"))?;
    let measure = measure(&found.sql_type);
    let measure = measure.ok_or_else(|| refused(&format_args!("it is of the type {}", found.sql_type)))?;
    let sql = format!("select cast(min({quoted}) as char), cast(max({quoted}) as char) from {from}");
    let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(connection).await;
    let row = row.map_err(|error| refused(&message(&error)))?;
    let cell = |index| text(&row, index).map_err(|error| failed(&reading.relation, &error));
    let Some((least, greatest)) = cell(0)?.zip(cell(1)?) else { return Ok(Vec::new()) };
    let bounds = measure.bounds(&least, &greatest, parts);
    let bounds =
        bounds.ok_or_else(|| refused(&format_args!("it has values from `{least}` to `{greatest}`")))?;
    Ok(ranges::conditions(&quoted, &bounds))
}

/// How values of such a type are divided; `None` if they are not.
fn measure(sql_type: &str) -> Option<Measure> {
    let word = sql_type.to_lowercase();
    match word.split(['(', ' ']).next().unwrap_or_default() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" => Some(Measure::Integer),
        "decimal" | "float" | "double" => Some(Measure::Number),
        "date" => Some(Measure::Date),
        "datetime" | "timestamp" => Some(Measure::Moment),
        _ => None,
    }
}

/// A column that is read.
struct Column {
    field: Field,
    /// How it is asked for.
    expression: String,
    /// Its type in the server's words.
    sql_type: String,
}

/// The columns and how each is asked for. A query's are those of an empty table that is made of it.
async fn describe(
    connection: &mut MySqlConnection,
    reading: &Reading,
    from: &str,
) -> Result<Vec<Column>, sqlx::Error> {
    let table = if reading.relation.trim().starts_with('(') {
        let sql = format!("create temporary table millrace_described as select * from {from} limit 0");
        run(connection, &sql).await?;
        "millrace_described".to_owned()
    } else {
        from.to_owned()
    };
    let found =
        sqlx::raw_sql(AssertSqlSafe(format!("show columns from {table}"))).fetch_all(connection).await?;
    let mut columns = Vec::new();
    for row in found {
        let (name, sql_type) = (text(&row, 0)?.unwrap_or_default(), text(&row, 1)?.unwrap_or_default());
        let column = Dialect::Mysql.quoted(&name);
        let (kind, as_text) = match reading.columns.get(&name).map(ColumnSpec::kind) {
            Some(kind) => (kind.data_type(), kind != ColumnType::Binary),
            None => data_type(&sql_type),
        };
        let bits = sql_type.starts_with("bit");
        let expression = match (as_text, bits) {
            (true, _) => format!("cast({column} as char)"),
            (false, true) => format!("cast({column} as unsigned)"),
            (false, false) => column,
        };
        columns.push(Column { field: Field::new(name, kind, true), expression, sql_type });
    }
    Ok(columns)
}

/// What a type of the server is here, and whether it is asked for as text.
fn data_type(sql_type: &str) -> (DataType, bool) {
    let word = sql_type.to_lowercase();
    let name = word.split(['(', ' ']).next().unwrap_or_default();
    let unsigned = word.contains("unsigned");
    match name {
        "tinyint" if word.starts_with("tinyint(1)") && !unsigned => (DataType::Boolean, false),
        "bit" if word == "bit(1)" => (DataType::Boolean, false),
        "bit" => (DataType::UInt64, false),
        "tinyint" => (if unsigned { DataType::UInt8 } else { DataType::Int8 }, false),
        "smallint" => (if unsigned { DataType::UInt16 } else { DataType::Int16 }, false),
        "mediumint" | "int" => (if unsigned { DataType::UInt32 } else { DataType::Int32 }, false),
        "bigint" => (if unsigned { DataType::UInt64 } else { DataType::Int64 }, false),
        "year" => (DataType::Int16, true),
        "float" => (DataType::Float32, false),
        "double" => (DataType::Float64, false),
        "decimal" => {
            let digits = word.strip_prefix("decimal").and_then(|rest| rest.split(')').next()).unwrap_or("");
            let kind = ColumnType::from_str(&format!("decimal{digits})"));
            // One of 39 to 65 digits has no room but as text.
            (kind.map_or(DataType::Utf8, ColumnType::data_type), true)
        }
        "date" => (DataType::Date32, true),
        "datetime" => (DataType::Timestamp(TimeUnit::Microsecond, None), true),
        "timestamp" => (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        "time" => (DataType::Time64(TimeUnit::Microsecond), true),
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "geometry" => {
            (DataType::Binary, false)
        }
        _ => (DataType::Utf8, true),
    }
}

fn with_cell<T>(row: &MySqlRow, index: usize, take: impl FnOnce(Cell<'_>) -> T) -> Result<T, sqlx::Error> {
    let value = row.try_get_raw(index)?;
    if value.is_null() {
        return Ok(take(Cell::Null));
    }
    let class = Class::of(value.type_info().name());
    let decoded = |error| sqlx::Error::Decode(error);
    Ok(match class {
        Class::Integer => take(Cell::Int(<i64 as Decode<MySql>>::decode(value).map_err(decoded)?)),
        Class::Unsigned => take(Cell::Unsigned(<u64 as Decode<MySql>>::decode(value).map_err(decoded)?)),
        Class::Float => {
            let float = <f32 as Decode<MySql>>::decode(value).map_err(decoded)?;
            take(Cell::Float(f64::from(float)))
        }
        Class::Double => take(Cell::Float(<f64 as Decode<MySql>>::decode(value).map_err(decoded)?)),
        Class::Bytes => take(Cell::Bytes(<&[u8] as Decode<MySql>>::decode(value).map_err(decoded)?)),
        Class::Text => take(Cell::Text(<&str as Decode<MySql>>::decode(value).map_err(decoded)?)),
    })
}

/// How a value comes.
enum Class {
    Integer,
    Unsigned,
    Float,
    Double,
    Bytes,
    Text,
}

impl Class {
    fn of(name: &str) -> Self {
        match name {
            "FLOAT" => Self::Float,
            "DOUBLE" => Self::Double,
            "BOOLEAN" => Self::Integer,
            name if name.contains("INT") && name.contains("UNSIGNED") => Self::Unsigned,
            name if name.contains("INT") => Self::Integer,
            name if name.contains("BLOB") || name.contains("BINARY") || name == "GEOMETRY" => Self::Bytes,
            _ => Self::Text,
        }
    }
}

/// A cell of an answer in the text protocol.
fn text(row: &MySqlRow, index: usize) -> Result<Option<String>, sqlx::Error> {
    let value = row.try_get_raw(index)?;
    if value.is_null() {
        return Ok(None);
    }
    let bytes = <&[u8] as Decode<MySql>>::decode(value).map_err(sqlx::Error::Decode)?;
    Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
}

/// `$1` as the server writes it, with the values in the order in which they are mentioned. Quoted text is left as it is.
fn positional(sql: &str, values: &[Value]) -> (String, Vec<Value>) {
    let (mut out, mut order) = (String::new(), Vec::new());
    let mut quote = None;
    let mut rest = sql.chars().peekable();
    while let Some(character) = rest.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some('\''), '\\') => {
                out.push(character);
                out.extend(rest.next());
                continue;
            }
            (None, '\'' | '"' | '`') => quote = Some(character),
            (None, '$') => {
                let mut digits = String::new();
                while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
                let value =
                    digits.parse::<usize>().ok().and_then(|number| values.get(number.checked_sub(1)?));
                if let Some(value) = value {
                    out.push('?');
                    order.push(value.clone());
                } else {
                    out.push('$');
                    out.push_str(&digits);
                }
                continue;
            }
            _ => {}
        }
        out.push(character);
    }
    (out, order)
}

async fn run(connection: &mut MySqlConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.map(drop)
}

fn failed(what: &str, error: &sqlx::Error) -> CopyError {
    CopyError::Read { what: what.to_owned(), message: message(error), transient: is_transient(error) }
}

fn refused(what: &str, error: &sqlx::Error) -> CopyError {
    CopyError::Write { what: what.to_owned(), message: message(error), transient: is_transient(error) }
}

fn message(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// A lost connection, a server that is going down or full of others, a deadlock.
fn is_transient(error: &sqlx::Error) -> bool {
    match error.as_database_error() {
        Some(error) => {
            let number =
                error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>().map(|error| error.number());
            matches!(number, Some(1040 | 1053 | 1205 | 1213 | 2006 | 2013))
        }
        None => matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_by_place() {
        let values = [json!(1), json!("b")];
        let check = |sql: &str, expected: &str, order: &[Value]| {
            assert_eq!(positional(sql, &values), (expected.to_owned(), order.to_vec()));
        };
        check("a > $2 and b = $1", "a > ? and b = ?", &[json!("b"), json!(1)]);
        check("a = '$1' and `$2` = $2", "a = '$1' and `$2` = ?", &[json!("b")]);
        check("a = '\\'$1' or c = $1 or d = $3", "a = '\\'$1' or c = ? or d = $3", &[json!(1)]);
    }

    #[test]
    fn types() {
        assert_eq!(data_type("bigint(20) unsigned"), (DataType::UInt64, false));
        assert_eq!(data_type("decimal(12,2)"), (DataType::Decimal128(12, 2), true));
        assert_eq!(data_type("decimal(65,2)"), (DataType::Utf8, true));
        assert_eq!(data_type("tinyint(1)"), (DataType::Boolean, false));
        assert_eq!(data_type("tinyint(4)"), (DataType::Int8, false));
    }
}
