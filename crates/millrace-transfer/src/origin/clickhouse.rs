//! ClickHouse, by its HTTP interface: <https://clickhouse.com/docs/interfaces/http>. Rows come and go as an Arrow stream.

mod load;
mod types;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use millrace_contract::{BatchStream, Progress};
use reqwest::{RequestBuilder, Response, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use url::Url;

use super::settings::{Hidden, Kind, Settings};
use super::staged::Staged;
use super::{Asking, Found, Origin, Writing, check_mode, names_in};
use crate::config::{Condition, CopyConfig};
use crate::error::CopyError;
use crate::format::Format;
use crate::needless::{FORMAT, RECORDS, REQUEST, refuse};
use crate::store::http::{in_words, same_server};
use crate::store::{CONNECT, is_glob, masked, unless_cancelled};

/// The kind of connection `clickhouse`.
pub(super) const KIND: Kind = Kind::of::<ClickHouseConnection>(
    "copy: {from: \"events:web.visits\", where: \"day >= '2026-03-01'\", to: \"data:visits\"}\n",
);

/// A server that works out an answer says nothing meanwhile.
const SILENCE: Duration = Duration::from_secs(600);
/// What an Arrow stream ends with.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// Bytes of a refusal that are read.
const SAID: usize = 4096;

/// Reads and writes tables of ClickHouse.
///
/// In connections.yaml: `events: {clickhouse: {url: "https://ch.example:8443", user: reader, password: "${{ secrets.events }}", database: web}}`. Then
/// `events:visits` is a table of that database and `events:web.visits` one of another. The step's `select`, `where` and `limit` are part of the query;
/// values of expressions in `where` are bound. Rows come as an Arrow stream, which is kept until all of it is there.
/// A table is written with `write: append`, `overwrite` or `truncate`, once for a step, which a table `millrace_loads` in its database remembers: rows
/// are staged in a table beside it, `visits__millrace_…`, and come over at once. It is made if it is not there, in no order; `pre_sql` may make another
/// one. One that is there is of the family MergeTree, and no view is told of the rows that are appended to it.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClickHouseConnection {
    /// Address of the HTTP interface.
    url: Url,
    /// Who reads; `default` if absent.
    #[serde(default)]
    user: Option<String>,
    /// The user's password.
    #[serde(default)]
    password: Option<Hidden>,
    /// The database of tables that are named without one; the user's own if absent.
    #[serde(default)]
    database: Option<String>,
    /// Whether the password may be sent to `http://`, which does not encrypt it.
    #[serde(default)]
    allow_http: bool,
}

impl Settings for ClickHouseConnection {
    const WORD: &'static str = "clickhouse";
    const TAKES_CONDITIONS: bool = true;
    const TAKES_ROWS: bool = true;
    const EXAMPLE: &'static str =
        "{url: \"https://ch.example:8443\", user: reader, password: \"${{ secrets.events }}\"}";

    fn open(self, _: &Path) -> Result<Box<dyn Origin>, String> {
        if !matches!(self.url.scheme(), "http" | "https") {
            return Err("`url` begins with `https://` or `http://`".to_owned());
        }
        if !self.url.username().is_empty() || self.url.password().is_some() || self.url.query().is_some() {
            return Err(
                "`url` has no user and no `?` in it; write `user`, `password` and `database`".to_owned()
            );
        }
        if self.password.is_some() && self.url.scheme() == "http" && !self.allow_http {
            return Err("its `url` is `http://`, which needs `allow_http: true`".to_owned());
        }
        let client = || reqwest::Client::builder().connect_timeout(CONNECT).redirect(same_server());
        let loader = client().build().map_err(|error| error.to_string())?;
        let client = client().read_timeout(SILENCE).build().map_err(|error| error.to_string())?;
        Ok(Box::new(ClickHouse { client, loader, settings: self }))
    }
}

struct ClickHouse {
    client: reqwest::Client,
    /// For rows: the server says nothing as long as they go on.
    loader: reqwest::Client,
    settings: ClickHouseConnection,
}

/// A query with its bound values: `param_p1` is the value of `{p1:Int64}`.
#[derive(Debug, PartialEq, Eq)]
struct Query {
    sql: String,
    params: Vec<(String, String)>,
}

impl Query {
    fn of(stream: &str, config: &CopyConfig) -> Result<Self, CopyError> {
        let relation = relation(stream, "from")?;
        // What the step goes on to do with other columns has to be there.
        let untouched = config.mapping.is_empty()
            && config.incremental.is_none()
            && config.unnest.is_empty()
            && config.add.is_empty()
            && !config.select.iter().any(|name| is_glob(name) || name.contains('.'));
        let list = match untouched && !config.select.is_empty() {
            true => config.select.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "),
            false => "*".to_owned(),
        };
        let mut query = Self { sql: format!("SELECT {list} FROM {relation}"), params: Vec::new() };
        if let Some(condition) = &config.condition {
            query.sql.push_str(" WHERE (");
            query.condition(condition)?;
            query.sql.push(')');
        }
        if let Some(limit) = config.limit.filter(|_| config.keeps_every_row()) {
            query.sql.push_str(&format!(" LIMIT {limit}"));
        }
        query.sql.push_str(" FORMAT ArrowStream");
        Ok(query)
    }

    /// A condition with a parameter of a type in the place of each `$1`.
    fn condition(&mut self, condition: &Condition) -> Result<(), CopyError> {
        let (text, values) = match condition {
            Condition::Text(text) => (text, [].as_slice()),
            Condition::Bound { text, params } => (text, params.as_slice()),
        };
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            self.sql.push_str(before);
            let digits = after.len() - after.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
            let (number, after) = after.split_at(digits);
            match number.parse::<usize>().ok().and_then(|number| values.get(number.checked_sub(1)?)) {
                Some(value) => self.bind(value)?,
                None => {
                    self.sql.push('$');
                    self.sql.push_str(number);
                }
            }
            rest = after;
        }
        self.sql.push_str(rest);
        Ok(())
    }

    fn bind(&mut self, value: &Value) -> Result<(), CopyError> {
        let (kind, text) = match value {
            Value::Null => {
                self.sql.push_str("NULL");
                return Ok(());
            }
            Value::Bool(value) => ("Bool", value.to_string()),
            Value::Number(number) if number.is_i64() => ("Int64", number.to_string()),
            Value::Number(number) if number.is_u64() => ("UInt64", number.to_string()),
            Value::Number(number) => ("Float64", number.to_string()),
            // A value is read with the escapes of tab-separated text.
            Value::String(text) => {
                ("String", text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n"))
            }
            Value::Array(_) | Value::Object(_) => {
                return Err(CopyError::config(
                    "a value in `where` is a structure",
                    "compare with a text, a number or a date",
                ));
            }
        };
        let name = format!("p{}", self.params.len() + 1);
        self.sql.push_str(&format!("{{{name}:{kind}}}"));
        self.params.push((format!("param_{name}"), text));
        Ok(())
    }
}

/// A table as queries have it. `side`: `from` or `to`.
fn relation(stream: &str, side: &str) -> Result<String, CopyError> {
    let names: Vec<&str> = stream.split('.').collect();
    if names.len() > 2 || names.iter().any(|name| name.trim().is_empty()) {
        return Err(CopyError::config(
            format!("`{stream}` names no table"),
            format!("{side}: \"events:visits\", or \"events:database.visits\""),
        ));
    }
    Ok(names.into_iter().map(quoted).collect::<Vec<_>>().join("."))
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// Why the server gives no answer.
struct Refused {
    message: String,
    /// Whether it may pass.
    passes: bool,
}

impl Refused {
    fn silent() -> Self {
        Self { message: format!("the server says nothing for {} s", SILENCE.as_secs()), passes: true }
    }

    fn broken(error: reqwest::Error) -> Self {
        Self { message: in_words(&error.without_url()), passes: true }
    }
}

impl ClickHouse {
    /// A request of the connection's user, in its database.
    fn request(&self, client: &reqwest::Client) -> RequestBuilder {
        let headers = [
            ("x-clickhouse-user", self.settings.user.as_deref()),
            ("x-clickhouse-key", self.settings.password.as_ref().map(|word| word.0.as_str())),
            ("x-clickhouse-database", self.settings.database.as_deref()),
        ];
        let said = headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
        said.fold(client.post(self.settings.url.clone()), |request, (name, value)| {
            request.header(name, value)
        })
    }

    /// What the server answers, if it does what it is asked for.
    async fn answer(&self, request: RequestBuilder) -> Result<Response, Refused> {
        let mut answer = request.send().await.map_err(Refused::broken)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let mut said = Vec::new();
        while let (Ok(Some(piece)), true) = (answer.chunk().await, said.len() < SAID) {
            said.extend_from_slice(&piece);
        }
        let said = String::from_utf8_lossy(said.get(..said.len().min(SAID)).unwrap_or_default()).into_owned();
        let said = said.trim();
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; look at `user` and `password`",
            _ => "",
        };
        let passes = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
            || status == StatusCode::BAD_GATEWAY
            || status == StatusCode::GATEWAY_TIMEOUT;
        Err(Refused { message: format!("the server answers {status}: {said}{hint}"), passes })
    }

    fn masked(&self, message: &str) -> String {
        let secrets: Vec<String> = self.settings.password.iter().map(|word| word.0.clone()).collect();
        masked(message, &secrets)
    }

    /// Writes the answer into a file.
    async fn stage(&self, query: Query, asking: &Asking<'_>) -> Result<Staged, CopyError> {
        let mut staged = Staged::new(asking).await?;
        let path = staged.place(asking.label.clone());
        let failed = |message: &str, transient: bool| asking.failed(self.masked(message), transient);
        let refused = |refused: Refused| failed(&refused.message, refused.passes);
        // Text is text, and not bytes that may be it.
        let request = self.request(&self.client).query(&[("output_format_arrow_string_as_string", "1")]);
        let request = request.query(&query.params).body(query.sql);
        let mut answer = self.answer(request).await.map_err(refused)?;
        let kept = |error: std::io::Error| CopyError::write("the attempt's folder", &error);
        let mut file = tokio::fs::File::create(&path).await.map_err(kept)?;
        let mut tail: Vec<u8> = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| refused(Refused::broken(error)))? {
            file.write_all(&piece).await.map_err(kept)?;
            staged.bytes += piece.len() as u64;
            tail.extend_from_slice(piece.get(piece.len().saturating_sub(SAID)..).unwrap_or_default());
            let spare = tail.len().saturating_sub(SAID);
            tail.drain(..spare);
            let (bytes, message) = (Some(staged.bytes), None);
            asking.context.progress.report(Progress { fraction: None, rows: None, bytes, message });
        }
        file.flush().await.map_err(kept)?;
        // A query that fails half way says so behind the rows that were sent already.
        if !tail.ends_with(&END) {
            let text = String::from_utf8_lossy(&tail);
            let said = text.rfind("Code: ").and_then(|at| text.get(at..)).map(str::trim);
            let said = said.map(|said| format!(": {said}")).unwrap_or_default();
            return Err(failed(&format!("the answer ends before its rows do{said}"), said.is_empty()));
        }
        staged.rows = 1;
        Ok(staged)
    }
}

#[async_trait]
impl Origin for ClickHouse {
    fn check(&self, stream: &str, config: &CopyConfig) -> Result<(), CopyError> {
        refuse(config, &[REQUEST, RECORDS, FORMAT], "ClickHouse", "leave it out")?;
        Query::of(stream, config).map(drop)
    }

    async fn read(&self, asking: Asking<'_>) -> Result<BatchStream, CopyError> {
        let query = Query::of(asking.stream, &asking.config)?;
        let staged = unless_cancelled(asking.context, self.stage(query, &asking)).await?;
        staged.read(asking, Format::ArrowStream, None).await
    }

    async fn probe(&self, asking: Asking<'_>) -> Result<Found, CopyError> {
        let own = "database not in ('system', 'information_schema', 'INFORMATION_SCHEMA')";
        let tables = json!({"select": ["database", "name"], "where": own, "limit": 200});
        let names = names_in(self.read(asking.instead("system.tables", tables)?).await?).await?;
        Ok(("ClickHouse answers".to_owned(), names))
    }

    fn check_write(&self, table: &str, config: &CopyConfig) -> Result<(), CopyError> {
        relation(table, "to")?;
        check_mode("ClickHouse", false, config)
    }

    async fn write(&self, writing: Writing<'_>, rows: BatchStream) -> Result<u64, CopyError> {
        // The way of a load is long, and its future is large.
        Box::pin(load::Load::new(self, &writing).run(rows)).await
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn a_step_is_one_query_with_bound_values() {
        let config = |value: Value| serde_json::from_value::<CopyConfig>(value).unwrap();
        let step = config(json!({
            "from": "ch:web.vis`its", "to": "data:v", "select": ["id", "day"], "limit": 7,
            "where": {"text": "day >= $1 and n > $2 and ok = $3 and x = $4", "params": ["a'\\b\n", 2, true, null]},
        }));
        let query = Query::of("web.vis`its", &step).unwrap();
        assert_eq!(
            query.sql,
            "SELECT `id`, `day` FROM `web`.`vis\\`its` WHERE (day >= {p1:String} and n > {p2:Int64} and ok = {p3:Bool} and x = NULL) LIMIT 7 FORMAT ArrowStream"
        );
        let params: Vec<(&str, &str)> =
            query.params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(params, [("param_p1", "a'\\\\b\\n"), ("param_p2", "2"), ("param_p3", "true")]);
        let plain = config(json!({"from": "ch:t", "to": "data:v"}));
        assert_eq!(Query::of("t", &plain).unwrap().sql, "SELECT * FROM `t` FORMAT ArrowStream");
        assert!(Query::of("a.b.c", &plain).is_err() && Query::of("", &plain).is_err());
    }
}
