//! ClickHouse, by its HTTP interface: <https://clickhouse.com/docs/interfaces/http>. Rows come as an Arrow stream.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use millrace_contract::{BatchStream, Progress};
use reqwest::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use url::Url;

use super::settings::{Hidden, Kind, Settings};
use super::staged::Staged;
use super::{Asking, Found, Origin, names_in};
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

/// Reads tables of ClickHouse.
///
/// In connections.yaml: `events: {clickhouse: {url: "https://ch.example:8443", user: reader, password: "${{ secrets.events }}", database: web}}`. Then
/// `events:visits` is a table of that database and `events:web.visits` one of another. The step's `select`, `where` and `limit` are part of the query;
/// values of expressions in `where` are bound. Rows come as an Arrow stream, which is kept until all of it is there.
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
        let client = reqwest::Client::builder().connect_timeout(CONNECT).read_timeout(SILENCE);
        let client = client.redirect(same_server()).build().map_err(|error| error.to_string())?;
        Ok(Box::new(ClickHouse { client, settings: self }))
    }
}

struct ClickHouse {
    client: reqwest::Client,
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
        let names: Vec<&str> = stream.split('.').collect();
        if names.len() > 2 || names.iter().any(|name| name.trim().is_empty()) {
            return Err(CopyError::config(
                format!("`{stream}` names no table"),
                "from: \"events:visits\", or \"events:database.visits\"",
            ));
        }
        let relation = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(".");
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

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

impl ClickHouse {
    /// Writes the answer into a file.
    async fn stage(&self, query: Query, asking: &Asking<'_>) -> Result<Staged, CopyError> {
        let mut staged = Staged::new(asking).await?;
        let path = staged.place(asking.label.clone());
        let failed = |message: &str, transient: bool| {
            let secrets: Vec<String> = self.settings.password.iter().map(|word| word.0.clone()).collect();
            asking.failed(masked(message, &secrets), transient)
        };
        let broken = |error: reqwest::Error| failed(&in_words(&error.without_url()), true);
        let mut request = self.client.post(self.settings.url.clone());
        // Text is text, and not bytes that may be it.
        request = request.query(&[("output_format_arrow_string_as_string", "1")]).query(&query.params);
        let headers = [
            ("x-clickhouse-user", self.settings.user.as_deref()),
            ("x-clickhouse-key", self.settings.password.as_ref().map(|word| word.0.as_str())),
            ("x-clickhouse-database", self.settings.database.as_deref()),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let mut answer = request.body(query.sql).send().await.map_err(broken)?;
        let status = answer.status();
        if !status.is_success() {
            let mut said = Vec::new();
            while let (Ok(Some(piece)), true) = (answer.chunk().await, said.len() < SAID) {
                said.extend_from_slice(&piece);
            }
            let said =
                String::from_utf8_lossy(said.get(..said.len().min(SAID)).unwrap_or_default()).into_owned();
            let said = said.trim();
            let hint = match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; look at `user` and `password`",
                _ => "",
            };
            let passes = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
                || status == StatusCode::BAD_GATEWAY
                || status == StatusCode::GATEWAY_TIMEOUT;
            return Err(failed(&format!("the server answers {status}: {said}{hint}"), passes));
        }
        let kept = |error: std::io::Error| CopyError::write("the attempt's folder", &error);
        let mut file = tokio::fs::File::create(&path).await.map_err(kept)?;
        let mut tail: Vec<u8> = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(broken)? {
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
