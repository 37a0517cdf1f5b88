//! Rows on their way to a web API: cut into requests, which are sent one after the other or some at once.

use futures::{StreamExt as _, TryStreamExt as _};
use indexmap::IndexMap;
use millrace_contract::BatchStream;
use serde_json::Value;
use url::Url;

use super::super::Writing;
use super::client::{Ask, Client, Parameters, quoted};
use super::target::{Row, Shape, rows_of};
use super::{Request, address};
use crate::config::{CopyConfig, Write};
use crate::error::CopyError;

/// What tells a server that it has had a request before.
/// <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Whether rows can be sent as a step says.
pub(crate) fn check(stream: &str, config: &CopyConfig) -> Result<(), CopyError> {
    let hint = "to: {path: \"crm:contacts\", rows: 100}, write: append";
    if config.write != Write::Append || config.schema.is_some() {
        let message = "web APIs are written by `append`, without `schema`";
        return Err(CopyError::config(message, "write: append"));
    }
    if !config.pre_sql.is_empty() || !config.post_sql.is_empty() {
        return Err(CopyError::config("`pre_sql` and `post_sql` are for databases", hint));
    }
    Shape::of(&config.to, stream).map(drop).map_err(|message| CopyError::config(message, hint))
}

/// Rows and where they go.
pub(crate) struct Delivery<'a> {
    pub(crate) client: &'a Client,
    /// Parameters of each address.
    pub(crate) params: &'a IndexMap<String, Value>,
    pub(crate) writing: &'a Writing<'a>,
}

/// A request's rows.
struct Load {
    /// From 0.
    number: u64,
    /// Of its first row, from 1.
    first: u64,
    rows: Vec<Row>,
}

impl Delivery<'_> {
    /// Sends the rows; how many there were. What was sent before one was refused has arrived.
    pub(crate) async fn run(&self, rows: BatchStream) -> Result<u64, CopyError> {
        let shape =
            Shape::of(self.writing.to, self.writing.table).map_err(|message| self.refused(message))?;
        let columns: Vec<String> = shape.columns().map(str::to_owned).collect();
        let loads = rows.batches.map_err(|error| CopyError::read("the source", &error));
        let loads = loads.and_then(|batch| {
            let rows = rows_of(&batch, &columns).map_err(|message| self.refused(message));
            futures::future::ready(rows.map(|rows| futures::stream::iter(rows).map(Ok)))
        });
        // Of as many rows each, however the source's batches are: a step that is begun again sends the same requests.
        let loads = loads.try_flatten().try_chunks(shape.rows).map_err(|error| error.1);
        let sent = loads.enumerate().map(|(number, rows)| self.load(&shape, number as u64, rows));
        sent.buffered(shape.at_once).try_fold(0, |count, sent| futures::future::ok(count + sent)).await
    }

    /// Sends the rows of a request; how many they are.
    async fn load(
        &self,
        shape: &Shape,
        number: u64,
        rows: Result<Vec<Row>, CopyError>,
    ) -> Result<u64, CopyError> {
        let load = Load { number, first: number * shape.rows as u64 + 1, rows: rows? };
        self.send(shape, &load).await?;
        Ok(load.rows.len() as u64)
    }

    async fn send(&self, shape: &Shape, load: &Load) -> Result<(), CopyError> {
        let rows = match load.rows.len() {
            1 => format!("row {}", load.first),
            more => format!("rows {} to {}", load.first, load.first + more as u64 - 1),
        };
        let refused = |message: String| self.refused(format!("{rows}: {message}"));
        let ask = Ask {
            url: self.url(shape, load).map_err(refused)?,
            method: Some(shape.method.clone()),
            accept: "application/json, */*;q=0.5",
            headers: vec![(IDEMPOTENCY_KEY, format!("{}-{}", self.writing.key, load.number))],
            body: None,
            parameters: Parameters::Address,
        };
        let content = if shape.lines { "application/x-ndjson" } else { "application/json" };
        let body = shape.body.as_ref().map(|body| (content, body.filled(&load.rows)));
        let answer = self.client.send(&ask, body).await.map_err(|(message, transient)| CopyError::Write {
            what: self.writing.label.clone(),
            message: format!("{rows}: {message}"),
            transient,
        })?;
        let Some(path) = &shape.errors else { return Ok(()) };
        let answer: Value = serde_json::from_slice(&answer).map_err(|error| {
            refused(format!("the answer is not JSON, and `errors` is looked for in it: {error}"))
        })?;
        match path.find(&answer) {
            Some(errors) if says_something(errors) => {
                let said = quoted(answer.to_string().as_bytes());
                Err(refused(format!("the answer has `{path}`: {said}")))
            }
            _ => Ok(()),
        }
    }

    fn url(&self, shape: &Shape, load: &Load) -> Result<Url, String> {
        let mut path = IndexMap::new();
        for column in &shape.in_path {
            let value = load.rows.first().and_then(|row| row.value(column)).unwrap_or("null");
            let value = match serde_json::from_str(value) {
                Ok(Value::Null) | Err(_) => {
                    return Err(format!("it has no value in `{column}`, which stands in the path"));
                }
                // With all the digits that it was written with.
                Ok(Value::Number(_)) => Value::from(value),
                Ok(value) => value,
            };
            path.insert(column.clone(), value);
        }
        let request = Request { path, ..Request::default() };
        address(&self.client.root, self.writing.table, self.params, &request)
            .map_err(|error| error.to_string())
    }

    fn refused(&self, message: String) -> CopyError {
        CopyError::write(&self.writing.label, &self.client.masked(&message))
    }
}

/// Whether what stands where errors are is one.
fn says_something(errors: &Value) -> bool {
    match errors {
        Value::Null => false,
        Value::Bool(failed) => *failed,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
    }
}
