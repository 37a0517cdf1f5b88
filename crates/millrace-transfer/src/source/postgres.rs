//! PostgreSQL: connecting, and reading a table or a query as a stream of rows.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use futures::StreamExt as _;
use millrace_contract::BatchStream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls, Row, RowStream};

use super::{BATCH_ROWS, Outcome};
use crate::error::CopyError;
use crate::types::{CellFormat, ColumnBuilder, ColumnType, Scalar};

/// Reads and writes tables of a PostgreSQL server.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostgresConnection {
    /// Connection URL without the password, for example `postgres://reader@db/shop`.
    pub(crate) url: String,
    /// The password, usually `${{ secrets.… }}`.
    #[serde(default)]
    pub(crate) password: Option<String>,
}

/// A connection and the task that drives it, which ends with the client.
pub(crate) async fn connect(name: &str, connection: &Value) -> Result<Client, CopyError> {
    let settings = connection.get("postgres").cloned().ok_or_else(|| {
        CopyError::config(
            format!("the connection `{name}` is not one to a database"),
            format!("in connections.yaml: `{name}: {{postgres: {{url: postgres://user@host/database}}}}`"),
        )
    })?;
    let settings: PostgresConnection = serde_json::from_value(settings).map_err(|error| {
        CopyError::config(format!("the connection `{name}`: {error}"), "postgres: {url, password}")
    })?;
    // The error of a bad URL may quote it, and it may hold a password.
    let mut config: tokio_postgres::Config = settings.url.parse().map_err(|_| {
        CopyError::config(
            format!("the URL of the connection `{name}` cannot be read"),
            "postgres://user@host:5432/database",
        )
    })?;
    if let Some(password) = settings.password {
        config.password(password);
    }
    let (client, driver) = config.connect(NoTls).await.map_err(|error| failed(name, &error))?;
    tokio::spawn(async move {
        if let Err(error) = driver.await {
            tracing::debug!(%error, "a database connection ended");
        }
    });
    Ok(client)
}

/// The server's own words where there are any; a lost connection may pass.
pub(crate) fn failed(what: &str, error: &tokio_postgres::Error) -> CopyError {
    CopyError::Read {
        what: what.to_owned(),
        message: message(error),
        transient: error.as_db_error().is_none(),
    }
}

pub(crate) fn message(error: &tokio_postgres::Error) -> String {
    let Some(database) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        return format!("{error}{cause}");
    };
    let detail = database.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    format!("{}{detail}", database.message())
}

/// `schema.table`, each part quoted.
pub(crate) fn quoted_table(table: &str) -> String {
    table.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Reads a table, or a query in brackets. `condition` is SQL after `where` with its parameters.
pub(crate) async fn read(
    client: Client,
    table: &str,
    condition: Option<(String, Vec<Value>)>,
    outcome: Outcome,
) -> Result<BatchStream, CopyError> {
    let from = match table.trim() {
        query if query.starts_with('(') => format!("{query} as source"),
        table => quoted_table(table),
    };
    let fail = |error: tokio_postgres::Error| failed(table, &error);
    let described = client.prepare(&format!("select * from {from}")).await.map_err(fail)?;
    let columns: Vec<(String, ColumnType, String)> =
        described.columns().iter().map(|column| column_of(column.name(), column.type_())).collect();
    let expressions: Vec<&str> = columns.iter().map(|(_, _, expression)| expression.as_str()).collect();
    let mut sql = format!("select {} from {from}", expressions.join(", "));
    let mut params = Vec::new();
    if let Some((text, values)) = condition {
        sql.push_str(&format!(" where {text}"));
        params = values.into_iter().map(TextParam::new).collect();
    }
    let statement = client.prepare(&sql).await.map_err(fail)?;
    let rows = client.query_raw(&statement, params).await.map_err(fail)?;
    let fields = columns.iter().map(|(name, kind, _)| Field::new(name, kind.data_type(), true));
    let state = State {
        schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        types: columns.iter().map(|(_, kind, _)| *kind).collect(),
        rows: Box::pin(rows.fuse()),
        table: table.to_owned(),
        outcome,
        _client: client,
    };
    let schema = state.schema.clone();
    let batches = futures::stream::unfold(Some(state), |state| async move {
        let mut state = state?;
        match state.next().await {
            Ok(Some(batch)) => Some((Ok(batch), Some(state))),
            Ok(None) => None,
            Err(error) => Some((Err(state.outcome.fail(error)), None)),
        }
    });
    Ok(BatchStream { schema, batches: Box::pin(batches) })
}

/// How a column is fetched: its type here, and an expression that gives it in a form whose binary format is plain.
fn column_of(name: &str, kind: &Type) -> (String, ColumnType, String) {
    let column = quoted(name);
    let micros = |column: &str| format!("(extract(epoch from {column}) * 1000000)::int8");
    let (kind, expression) = match *kind {
        Type::BOOL => (ColumnType::Boolean, column),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => (ColumnType::Integer, format!("{column}::int8")),
        Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC => (ColumnType::Number, format!("{column}::float8")),
        Type::DATE => (ColumnType::Date, format!("({column} - date '1970-01-01')::int4")),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => (ColumnType::Datetime, micros(&column)),
        _ => (ColumnType::String, format!("{column}::text")),
    };
    (name.to_owned(), kind, expression)
}

struct State {
    schema: SchemaRef,
    types: Vec<ColumnType>,
    /// Fused: asked again after its end, a row stream says that the connection is closed.
    rows: std::pin::Pin<Box<futures::stream::Fuse<RowStream>>>,
    table: String,
    outcome: Outcome,
    /// The connection ends when its client is dropped.
    _client: Client,
}

impl State {
    async fn next(&mut self) -> Result<Option<RecordBatch>, CopyError> {
        let builder = |kind: &ColumnType| ColumnBuilder::new(CellFormat::plain(*kind), BATCH_ROWS);
        let mut builders: Vec<ColumnBuilder> = self.types.iter().map(builder).collect();
        let mut count = 0;
        while count < BATCH_ROWS {
            let Some(row) = self.rows.next().await else { break };
            let row = row.map_err(|error| failed(&self.table, &error))?;
            for (index, (builder, kind)) in builders.iter_mut().zip(&self.types).enumerate() {
                append(builder, &row, index, *kind).map_err(|error| failed(&self.table, &error))?;
            }
            count += 1;
        }
        if count == 0 {
            return Ok(None);
        }
        let columns: Result<Vec<_>, _> = builders.into_iter().map(ColumnBuilder::finish).collect();
        columns
            .and_then(|columns| RecordBatch::try_new(self.schema.clone(), columns))
            .map(Some)
            .map_err(|error| CopyError::read(&self.table, &error))
    }
}

fn append(
    builder: &mut ColumnBuilder,
    row: &Row,
    index: usize,
    kind: ColumnType,
) -> Result<(), tokio_postgres::Error> {
    let value = match kind {
        ColumnType::Boolean => row.try_get::<_, Option<bool>>(index)?.map(Scalar::Boolean),
        ColumnType::Integer | ColumnType::Datetime | ColumnType::Timestamp => {
            row.try_get::<_, Option<i64>>(index)?.map(Scalar::Int64)
        }
        ColumnType::Number => row.try_get::<_, Option<f64>>(index)?.map(Scalar::Float64),
        ColumnType::Date => row.try_get::<_, Option<i32>>(index)?.map(Scalar::Int32),
        ColumnType::String | ColumnType::Binary | ColumnType::Decimal { .. } => {
            match row.try_get::<_, Option<&str>>(index)? {
                Some(text) => builder.append(text.as_bytes()),
                None => {
                    builder.append_null();
                    true
                }
            };
            return Ok(());
        }
    };
    match value {
        Some(value) => builder.append_scalar(value),
        None => builder.append_null(),
    }
    Ok(())
}

/// A parameter of whatever type the server expects, sent in its text form.
#[derive(Debug)]
struct TextParam(Option<String>);

impl TextParam {
    fn new(value: Value) -> Self {
        match value {
            Value::Null => Self(None),
            Value::String(text) => Self(Some(text)),
            other => Self(Some(other.to_string())),
        }
    }
}

impl ToSql for TextParam {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match &self.0 {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}
