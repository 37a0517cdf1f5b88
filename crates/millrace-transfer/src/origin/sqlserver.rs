//! SQL Server, Azure SQL and Synapse, by the Tabular Data Stream (MS-TDS,
//! <https://learn.microsoft.com/openspecs/windows_protocols/ms-tds>). Rows are decoded as they come.

mod changes;
mod columns;
mod load;
mod values;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::TryStreamExt as _;
use millrace_contract::BatchStream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tiberius::error::Error;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt as _};

use columns::{Column, put};

use super::settings::{Hidden, Kind, Settings};
use super::sql::Given;
use super::{Asking, Found, Origin, Writing, check_mode, names_in};
use crate::config::{Condition, CopyConfig};
use crate::database::cells::Rows;
use crate::error::CopyError;
use crate::needless::{FORMAT, RECORDS, REQUEST, refuse};
use crate::source::{self, Outcome};
use crate::store::{CONNECT, is_glob, masked, unless_cancelled};
use crate::tracking::{Tracked, Tracking};

/// The kind of connection `sqlserver`.
pub(super) const KIND: Kind = Kind::of::<SqlServerConnection>(
    "copy: {from: \"erp:dbo.orders\", where: \"day >= '2026-03-01'\", to: \"data:orders\"}\n",
);

/// A server that works out an answer says nothing meanwhile.
const SILENCE: Duration = Duration::from_secs(600);
/// The port that a server has unless somebody says otherwise.
const PORT: u16 = 1433;
/// Servers that one leads to, one after the other: Azure's gateways send on.
const MOST_WAYS: usize = 4;
/// Batches that wait to be taken.
const BATCHES: usize = 4;
/// Errors that pass: a deadlock, and those of <https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues>.
const PASSING: [u32; 13] =
    [1205, 4060, 10053, 10054, 10060, 10928, 10929, 40197, 40501, 40613, 49918, 49919, 49920];
/// `Login failed for user`.
const LOGIN: u32 = 18_456;

/// Reads and writes tables of SQL Server, Azure SQL and Synapse.
///
/// In connections.yaml: `erp: {sqlserver: {host: erp.example, database: shop, user: reader, password: "${{ secrets.erp }}"}}`. Then `erp:dbo.orders` is
/// a table and `erp:(select …)` a query. The step's `select`, `where` and `limit` are part of the query; values of expressions in `where` are bound.
/// Times are read to the microsecond, `money` is a decimal of four places; types of .NET (`geography`) are asked for as text by a query.
/// `incremental: {changes: true}` copies what its change tracking notes, of tables with a primary key.
/// A table is written with `write: append`, `overwrite`, `truncate` or `{upsert: [keys]}`: rows are loaded into a temporary table, and come over in one
/// transaction and once for a step, which a table `millrace_loads` beside it remembers. A table that is not there is made.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlServerConnection {
    /// The server's name or address.
    host: String,
    /// Its port; 1433 if absent.
    #[serde(default)]
    port: Option<u16>,
    /// The database; the user's own if absent.
    #[serde(default)]
    database: Option<String>,
    /// Who reads, by a login of the server.
    #[serde(default)]
    user: Option<String>,
    /// The user's password.
    #[serde(default)]
    password: Option<Hidden>,
    /// A token of Microsoft Entra, in the place of `user` and `password`.
    #[serde(default)]
    token: Option<Hidden>,
    /// File in PEM with the certificate that the server's is trusted by; those of the system if absent.
    #[serde(default)]
    ca: Option<PathBuf>,
    /// Whether the server may be one that does not encrypt.
    #[serde(default)]
    allow_unencrypted: bool,
}

impl Settings for SqlServerConnection {
    const WORD: &'static str = "sqlserver";
    const TAKES_CONDITIONS: bool = true;
    const TAKES_ROWS: bool = true;
    const EXAMPLE: &'static str =
        "{host: erp.example, database: shop, user: reader, password: \"${{ secrets.erp }}\"}";

    fn open(self, workspace: &Path) -> Result<Box<dyn Origin>, String> {
        let mut config = Config::new();
        config.host(&self.host);
        config.port(self.port.unwrap_or(PORT));
        config.application_name("millrace");
        config.handshake_timeout(Some(CONNECT));
        if let Some(database) = &self.database {
            config.database(database);
        }
        config.encryption(match self.allow_unencrypted {
            true => EncryptionLevel::NotSupported,
            false => EncryptionLevel::Required,
        });
        if let Some(ca) = &self.ca {
            config.trust_cert_ca(workspace.join(ca).display());
        }
        config.authentication(match (&self.user, &self.password, &self.token) {
            (Some(user), Some(password), None) => AuthMethod::sql_server(user, &password.0),
            (None, None, Some(token)) if !self.allow_unencrypted => AuthMethod::aad_token(&token.0),
            (None, None, Some(_)) => return Err("a `token` is sent encrypted alone".to_owned()),
            _ => return Err("it takes `user` and `password`, or `token`".to_owned()),
        });
        let secrets = self.password.into_iter().chain(self.token).map(|word| word.0).collect();
        Ok(Box::new(SqlServer { config, secrets }))
    }
}

type Connection = Client<Compat<TcpStream>>;

#[derive(Clone)]
struct SqlServer {
    config: Config,
    secrets: Vec<String>,
}

/// What stands in a query, with its bound values.
#[derive(Debug, Default, PartialEq)]
struct Query {
    /// The columns that are asked for; all of them if there are none.
    select: Vec<String>,
    from: String,
    condition: Option<String>,
    values: Vec<Value>,
    limit: Option<u64>,
}

impl Query {
    fn of(stream: &str, config: &CopyConfig) -> Result<Self, CopyError> {
        let stream = stream.trim();
        let from = match stream.strip_prefix('(') {
            Some(_) => format!("{stream} AS source"),
            None => relation(stream).ok_or_else(|| {
                CopyError::config(
                    format!("`{stream}` names no table"),
                    "from: \"erp:dbo.orders\", or a query: `from: \"erp:(select …)\"`",
                )
            })?,
        };
        // What the step goes on to do with other columns has to be there.
        let untouched = config.mapping.is_empty()
            && config.incremental.is_none()
            && config.unnest.is_empty()
            && config.add.is_empty()
            && !config.select.iter().any(|name| is_glob(name) || name.contains('.'));
        let (condition, values) = match &config.condition {
            None => (None, Vec::new()),
            Some(Condition::Text(text)) => (Some(text.clone()), Vec::new()),
            Some(Condition::Bound { text, params }) => {
                if params.iter().any(|value| value.is_array() || value.is_object()) {
                    let message = "a value in `where` is a structure";
                    return Err(CopyError::config(message, "compare with a text, a number or a date"));
                }
                (Some(bound(text, params.len())), params.clone())
            }
        };
        Ok(Self {
            select: if untouched { config.select.clone() } else { Vec::new() },
            from,
            condition,
            values,
            limit: config.limit.filter(|_| config.keeps_every_row()),
        })
    }

    /// The query without its rows, for the types of its columns.
    fn described(&self) -> String {
        let list: Vec<String> = self.select.iter().map(|name| quoted(name)).collect();
        let list = if list.is_empty() { "*".to_owned() } else { list.join(", ") };
        format!("SELECT {list} FROM {}", self.from)
    }

    /// The query of such columns.
    fn sql(&self, columns: &[Column]) -> String {
        let top = self.limit.map(|limit| format!("TOP ({limit}) ")).unwrap_or_default();
        let list = columns.iter().map(|column| column.expression.as_str()).collect::<Vec<_>>().join(", ");
        let condition = self.condition.as_ref().map(|text| format!(" WHERE ({text})")).unwrap_or_default();
        format!("SELECT {top}{list} FROM {}{condition}", self.from)
    }
}

/// A table as queries have it.
fn relation(table: &str) -> Option<String> {
    let parts: Vec<&str> = table.split('.').collect();
    let named = parts.iter().all(|part| !part.trim().is_empty());
    named.then(|| parts.into_iter().map(quoted).collect::<Vec<_>>().join("."))
}

fn quoted(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// `$1` as the server has it, `@P1`. What stands in quotes or brackets is left as it is.
fn bound(text: &str, values: usize) -> String {
    let (mut out, mut open) = (String::with_capacity(text.len()), None);
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        match (open, letter) {
            (Some(end), _) if letter == end => open = None,
            (None, '\'' | '"') => open = Some(letter),
            (None, '[') => open = Some(']'),
            (None, '$') => {
                let mut digits = String::new();
                while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
                let known = digits.parse::<usize>().is_ok_and(|number| (1..=values).contains(&number));
                out.push_str(if known { "@P" } else { "$" });
                out.push_str(&digits);
                continue;
            }
            _ => {}
        }
        out.push(letter);
    }
    out
}

/// A batch, or why there is none.
type Read = Result<RecordBatch, CopyError>;

impl SqlServer {
    /// Connects; a gateway may say that somebody else is to be asked.
    async fn connect(&self) -> Result<Connection, Error> {
        let mut config = self.config.clone();
        for _ in 0..MOST_WAYS {
            let stream = tokio::time::timeout(CONNECT, TcpStream::connect(config.get_addr())).await;
            let stream = stream.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
            stream.set_nodelay(true)?;
            // The handshake is a future of many kilobytes.
            match Box::pin(Client::connect(config.clone(), stream.compat_write())).await {
                Err(Error::Routing { host, port }) => {
                    config.host(host);
                    config.port(port);
                }
                done => return done,
            }
        }
        Err(Error::Protocol("one server leads to the next without an end".into()))
    }

    /// The columns of a query.
    async fn describe(&self, connection: &mut Connection, query: &Query) -> Result<Vec<Column>, Refused> {
        let sql = "SELECT name, system_type_name, user_type_name, error_message \
                   FROM sys.dm_exec_describe_first_result_set(@P1, NULL, 0) WHERE ISNULL(is_hidden, 0) = 0 ORDER BY column_ordinal";
        let described = query.described();
        let rows = connection.query(sql, &[&described]).await?.into_first_result().await?;
        let mut columns = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(message) = row.try_get::<&str, _>("error_message")? {
                return Err(Refused::Said(message.to_owned()));
            }
            let name = row.try_get::<&str, _>("name")?.unwrap_or_default();
            if name.is_empty() {
                return Err(Refused::Said(format!("column {} has no name", columns.len() + 1)));
            }
            let sql_type = match row.try_get::<&str, _>("system_type_name")? {
                Some(sql_type) => sql_type,
                None => row.try_get::<&str, _>("user_type_name")?.unwrap_or_default(),
            };
            let column = Column::of(name, sql_type).map_err(|sql_type| {
                Refused::Said(format!(
                    "column `{name}` is of the type {sql_type}; ask for it as text: `from: \"…:(select cast({name} as nvarchar(max)) as {name} from …)\"`"
                ))
            })?;
            columns.push(column);
        }
        Ok(columns)
    }

    /// The rows of a query; its columns are known, and the rest comes as it is taken.
    async fn rows(
        &self,
        query: Query,
        label: &str,
        config: &CopyConfig,
        outcome: Outcome,
    ) -> Result<BatchStream, CopyError> {
        let begun = self.begin(&query).await;
        let (connection, columns) = begun.map_err(|refused| self.failed(label, &refused))?;
        let schema =
            Arc::new(Schema::new(columns.iter().map(|column| column.field.clone()).collect::<Vec<_>>()));
        let (sender, mut receiver) = mpsc::channel(BATCHES);
        let (server, what, sent) = (self.clone(), label.to_owned(), schema.clone());
        // It ends when the copy does: nobody takes rows any more then.
        tokio::spawn(async move {
            if let Err(refused) = server.send(connection, query, columns, (sent, &sender)).await {
                let _ = sender.send(Err(server.failed(&what, &refused))).await;
            }
        });
        let next = move || receiver.blocking_recv().transpose();
        let rows = Given::new(label.to_owned(), &schema, Box::new(next));
        Ok(source::stream(Box::new(rows), config.threads(), config.wants_files(), outcome))
    }

    async fn begin(&self, query: &Query) -> Result<(Connection, Vec<Column>), Refused> {
        let mut connection = self.connect().await?;
        let columns = self.describe(&mut connection, query).await?;
        Ok((connection, columns))
    }

    /// Sends the rows, until there are none or nobody takes more.
    async fn send(
        &self,
        mut connection: Connection,
        query: Query,
        columns: Vec<Column>,
        (schema, to): (SchemaRef, &mpsc::Sender<Read>),
    ) -> Result<(), Refused> {
        let sql = query.sql(&columns);
        let mut asked = tiberius::Query::new(sql);
        for value in query.values {
            match value {
                Value::Bool(value) => asked.bind(value),
                Value::Number(number) => match number.as_i64() {
                    Some(number) => asked.bind(number),
                    None => asked.bind(number.as_f64()),
                },
                Value::String(text) => asked.bind(text),
                Value::Null | Value::Array(_) | Value::Object(_) => asked.bind(None::<String>),
            }
        }
        let mut found = heard(asked.query(&mut connection)).await?.into_row_stream();
        let mut rows = Rows::new(schema);
        while let Some(row) = heard(found.try_next()).await? {
            for (index, value) in row.into_iter().enumerate() {
                put(&mut rows, index, &value).map_err(Refused::Said)?;
            }
            if rows.end()
                && let Some((batch, _)) = rows.finish().map_err(Refused::Said)?
                && to.send(Ok(batch)).await.is_err()
            {
                return Ok(());
            }
        }
        if let Some((batch, _)) = rows.finish().map_err(Refused::Said)? {
            let _ = to.send(Ok(batch)).await;
        }
        Ok(())
    }

    fn failed(&self, what: &str, refused: &Refused) -> CopyError {
        let (message, transient) = self.said(refused);
        CopyError::Read { what: what.to_owned(), message, transient }
    }

    /// What is wrong, and whether it may pass.
    fn said(&self, refused: &Refused) -> (String, bool) {
        let (message, transient) = match refused {
            Refused::Silent => (format!("the server says nothing for {} s", SILENCE.as_secs()), true),
            Refused::Said(message) => (message.clone(), false),
            Refused::Error(Error::Server(error)) => {
                let hint = if error.code() == LOGIN { "; look at `user` and `password`" } else { "" };
                (format!("{}{hint}", error.message()), PASSING.contains(&error.code()))
            }
            Refused::Error(error) => (error.to_string(), matches!(error, Error::Io { .. })),
        };
        (masked(&message, &self.secrets), transient)
    }
}

/// Why there are no rows.
enum Refused {
    Error(Error),
    Said(String),
    Silent,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// What the server says, if it does.
async fn heard<T>(question: impl Future<Output = Result<T, Error>>) -> Result<T, Refused> {
    match tokio::time::timeout(SILENCE, question).await {
        Ok(answer) => answer.map_err(Refused::Error),
        Err(_) => Err(Refused::Silent),
    }
}

#[async_trait]
impl Origin for SqlServer {
    fn check(&self, stream: &str, config: &CopyConfig) -> Result<(), CopyError> {
        refuse(config, &[REQUEST, RECORDS, FORMAT], "SQL Server", "leave it out")?;
        Query::of(stream, config).map(drop)
    }

    async fn read(&self, asking: Asking<'_>) -> Result<BatchStream, CopyError> {
        let query = Query::of(asking.stream, &asking.config)?;
        let rows = self.rows(query, &asking.label, &asking.config, asking.outcome);
        unless_cancelled(asking.context, rows).await
    }

    fn tracked(&self, tracking: Tracking) -> Option<Arc<dyn Tracked>> {
        Some(Arc::new(changes::Changes { server: self.clone(), tracking }))
    }

    async fn probe(&self, asking: Asking<'_>) -> Result<Found, CopyError> {
        let tables = "(SELECT TOP (200) CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) AS name FROM INFORMATION_SCHEMA.TABLES ORDER BY 1)";
        let names = names_in(self.read(asking.instead(tables, json!({}))?).await?).await?;
        Ok(("SQL Server answers".to_owned(), names))
    }

    fn check_write(&self, table: &str, config: &CopyConfig) -> Result<(), CopyError> {
        let table = table.trim();
        if table.starts_with('(') || relation(table).is_none() {
            return Err(CopyError::config(format!("`{table}` names no table"), "to: \"erp:dbo.orders\""));
        }
        check_mode("SQL Server", true, config)
    }

    async fn write(&self, writing: Writing<'_>, rows: BatchStream) -> Result<u64, CopyError> {
        // The protocol's futures are of many kilobytes.
        Box::pin(load::Load::new(self, &writing).run(rows)).await
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    fn config(value: Value) -> CopyConfig {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_step_is_one_query_with_bound_values() {
        let step = config(json!({
            "from": "erp:dbo.odd]name", "to": "data:v", "select": ["id", "amount"], "limit": 7,
            "where": {"text": "day >= $1 and note <> '$1' and [$2] = $2 and n = $3", "params": ["a'b", 2]},
        }));
        let query = Query::of("dbo.odd]name", &step).unwrap();
        assert_eq!(query.described(), "SELECT [id], [amount] FROM [dbo].[odd]]name]");
        let columns = [Column::of("id", "int").unwrap(), Column::of("amount", "money").unwrap()];
        assert_eq!(
            query.sql(&columns),
            "SELECT TOP (7) [id], CAST([amount] AS decimal(19,4)) AS [amount] FROM [dbo].[odd]]name] \
             WHERE (day >= @P1 and note <> '$1' and [$2] = @P2 and n = $3)"
        );
        assert_eq!(query.values, [json!("a'b"), json!(2)]);
        let plain = config(json!({"from": "erp:t", "to": "data:v"}));
        let whole = Query::of("(select 1 as n)", &plain).unwrap();
        assert_eq!(whole.described(), "SELECT * FROM (select 1 as n) AS source");
        assert!(Query::of("dbo.", &plain).is_err() && Query::of("", &plain).is_err());
    }
}
