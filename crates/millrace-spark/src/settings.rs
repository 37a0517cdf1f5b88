//! What stands in `connections.yaml` about a server.

use indexmap::IndexMap;
use millrace_contract::{KindDoc, KindFamily};
use millrace_spec::bytes::parse_bytes;
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// The word in `connections.yaml`.
pub const WORD: &str = "spark";

const EXAMPLE: &str =
    "spark:\n  url: sc://spark.example.com:15002\n  token: ${{ secrets.spark_token }}\n  tls: true";

/// Runs flows and SQL on a Spark Connect server: Spark itself, Databricks, or Sail.
///
/// A step says `engine: <connection>`. The server reads the inputs by their addresses, so it has to see the same folders or buckets; the rows
/// come back and become a dataset here.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SparkSettings {
    /// Address of the server, `sc://host:port`.
    pub url: String,
    /// Sent as a bearer token; only over TLS, or to this machine.
    #[serde(default)]
    pub token: Option<String>,
    /// Whether the connection is encrypted. The server's certificate has to be one that this machine trusts.
    #[serde(default)]
    pub tls: bool,
    /// Who asks, by the server's accounts.
    #[serde(default)]
    pub user: Option<String>,
    /// Headers of every request, for example `x-databricks-cluster-id`.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// Options of the session, for example `spark.sql.shuffle.partitions: "64"`.
    #[serde(default)]
    pub options: IndexMap<String, String>,
    /// Beginnings of addresses here, and what the server calls them: `s3://: s3a://`, `file:///data/: file:///mnt/data/`.
    #[serde(default)]
    pub seen_as: IndexMap<String, String>,
    /// Size of a step's inputs from which on `engine: auto` asks this server, for example `5GB`; 20 GB if absent.
    #[serde(default)]
    pub auto_above: Option<String>,
}

/// No secret is shown.
impl std::fmt::Debug for SparkSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SparkSettings")
            .field("url", &self.url)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl SparkSettings {
    /// Reads what stands under the connection's name, secrets resolved; `None` if it is another kind of connection.
    ///
    /// # Errors
    /// If it has another shape.
    pub fn read(name: &str, connection: &Value) -> Option<Result<Self, Box<Problem>>> {
        let settings = connection.get(WORD)?;
        let read = Self::deserialize(settings).map_err(|error| error.to_string());
        Some(read.and_then(|read| read.mistake().map_or(Ok(read), Err)).map_err(|message| {
            let problem = Problem::error("bad-connection", format!("the connection `{name}`: {message}"));
            Box::new(problem.hint("spark: {url: sc://host:15002}"))
        }))
    }

    fn mistake(&self) -> Option<String> {
        if !self.url.starts_with("sc://") {
            return Some(format!("`url` is `{}`, and has to begin with `sc://`", self.url));
        }
        if self.url.contains([';', '?', '#']) {
            return Some(
                "`url` has parameters, which stand under `token`, `tls`, `user` and `headers`".to_owned(),
            );
        }
        let above = self.auto_above.as_ref().filter(|above| parse_bytes(above).is_none())?;
        Some(format!("`auto_above` is `{above}`, and has to be a size such as `5GB`"))
    }

    /// Bytes from which on `auto` asks it.
    pub fn auto_above(&self) -> Option<u64> {
        self.auto_above.as_deref().and_then(parse_bytes)
    }

    /// An address here, as the server knows it: the longest beginning counts.
    pub fn seen(&self, address: &str) -> String {
        let beginnings = self.seen_as.iter().filter(|(here, _)| address.starts_with(here.as_str()));
        match beginnings.max_by_key(|(here, _)| here.len()) {
            Some((here, there)) => format!("{there}{}", address.get(here.len()..).unwrap_or_default()),
            None => address.to_owned(),
        }
    }
}

/// The page of the connection.
pub fn connection_doc() -> KindDoc {
    KindDoc::of::<SparkSettings>(KindFamily::Connector, WORD, EXAMPLE)
}

/// The JSON Schema of what stands below the word; `None` for other words.
pub fn connection_schema(word: &str) -> Option<Value> {
    (word == WORD).then(|| connection_doc().schema.as_value().clone())
}

/// What is wrong with a connection to Spark; `None` also for other kinds.
pub fn connection_problem(name: &str, connection: &Value) -> Option<Problem> {
    SparkSettings::read(name, connection)?.err().map(|problem| *problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(settings: Value, expected: &str) {
        let problem = connection_problem("cluster", &json!({ "spark": settings }));
        let message = problem.map(|problem| problem.message).unwrap_or_default();
        assert!(message.contains(expected) && message.is_empty() == expected.is_empty(), "{message}");
    }

    #[test]
    fn settings_are_looked_at_before_anything_is_sent() {
        check(json!({"url": "sc://host:15002", "auto_above": "5GB"}), "");
        check(json!({"url": "http://host:15002"}), "has to begin with `sc://`");
        check(json!({"url": "sc://host:15002/;token=x"}), "which stand under `token`");
        check(json!({"url": "sc://host", "auto_above": "5 gigs"}), "has to be a size");
        check(json!({"url": "sc://host", "tokn": "x"}), "unknown field `tokn`");
        assert!(connection_problem("shop", &json!({"postgres": {}})).is_none());
    }

    #[test]
    fn an_address_has_another_beginning_over_there() {
        let settings = json!({"spark": {"url": "sc://host", "seen_as": {"file:///data/": "file:///mnt/", "file:///data/raw/": "s3a://raw/"}}});
        let settings = SparkSettings::read("cluster", &settings).unwrap().unwrap();
        assert_eq!(settings.seen("file:///data/a.csv"), "file:///mnt/a.csv");
        assert_eq!(settings.seen("file:///data/raw/a.csv"), "s3a://raw/a.csv");
        assert_eq!(settings.seen("s3://lake/a.csv"), "s3://lake/a.csv");
    }

    #[test]
    fn a_token_is_not_shown() {
        let settings = json!({"spark": {"url": "sc://host", "token": "s3cret"}});
        let settings = SparkSettings::read("cluster", &settings).unwrap().unwrap();
        assert!(!format!("{settings:?}").contains("s3cret"));
    }
}
