//! What stands in `connections.yaml` about a cluster.

use millrace_contract::{Cluster, KindDoc, KindFamily};
use millrace_spec::bytes::parse_bytes;
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

/// The word in `connections.yaml`.
pub const WORD: &str = "ballista";

const EXAMPLE: &str = "ballista:\n  url: df://scheduler.example.com:50050";
/// Where a scheduler listens if nothing else is said.
const PORT: u16 = 50050;

/// Runs flows and SQL on a cluster of this program: `millrace ballista scheduler` on one machine, `millrace ballista executor` on each that works.
///
/// A step says `engine: <connection>`. The executors read the inputs by their addresses, so they have to see the same folders or buckets; the rows
/// come back and become a dataset here. All machines need the same build. Ballista asks nobody who they are: it belongs into a network that is
/// trusted.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BallistaSettings {
    /// Address of the scheduler, `df://host:port`; port 50050 if absent.
    pub url: String,
    /// Parts that the rows of a join or an aggregation are spread over; as many as this machine has cores if absent. Let it be the cores of all
    /// executors together, or a few times as many.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10_000))]
    pub partitions: Option<usize>,
    /// Size of a step's inputs from which on `engine: auto` asks this cluster, for example `5GB`; 20 GB if absent.
    #[serde(default)]
    pub auto_above: Option<String>,
}

impl BallistaSettings {
    /// Reads what stands under the connection's name; `None` if it is another kind of connection.
    ///
    /// # Errors
    /// If it has another shape.
    pub fn read(name: &str, connection: &Value) -> Option<Result<Cluster, Box<Problem>>> {
        let settings = connection.get(WORD)?;
        let read = Self::deserialize(settings).map_err(|error| error.to_string());
        Some(read.and_then(|read| read.cluster(name)).map_err(|message| {
            let problem = Problem::error("bad-connection", format!("the connection `{name}`: {message}"));
            Box::new(problem.hint("ballista: {url: df://host:50050}"))
        }))
    }

    fn cluster(self, name: &str) -> Result<Cluster, String> {
        let url = Url::parse(&self.url).ok().filter(|url| url.scheme() == "df" && url.path().len() < 2);
        let host = url.as_ref().and_then(Url::host_str).filter(|host| !host.is_empty());
        let Some((url, host)) = url.as_ref().zip(host) else {
            return Err(format!("`url` is `{}`, and has to be `df://host:port`", self.url));
        };
        if self.partitions.is_some_and(|partitions| !(1..=10_000).contains(&partitions)) {
            return Err("`partitions` has to be between 1 and 10000".to_owned());
        }
        let auto_above =
            match &self.auto_above {
                Some(above) => Some(parse_bytes(above).ok_or_else(|| {
                    format!("`auto_above` is `{above}`, and has to be a size such as `5GB`")
                })?),
                None => None,
            };
        Ok(Cluster {
            name: name.to_owned(),
            scheduler: format!("http://{host}:{}", url.port().unwrap_or(PORT)),
            partitions: self.partitions,
            auto_above,
        })
    }
}

/// The page of the connection.
pub fn connection_doc() -> KindDoc {
    KindDoc::of::<BallistaSettings>(KindFamily::Connector, WORD, EXAMPLE)
}

/// The JSON Schema of what stands below the word; `None` for other words.
pub fn connection_schema(word: &str) -> Option<Value> {
    (word == WORD).then(|| connection_doc().schema.as_value().clone())
}

/// What is wrong with a connection to a cluster; `None` also for other kinds.
pub fn connection_problem(name: &str, connection: &Value) -> Option<Problem> {
    BallistaSettings::read(name, connection)?.err().map(|problem| *problem)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(settings: Value, expected: &str) {
        let problem = connection_problem("cluster", &json!({ "ballista": settings }));
        let message = problem.map(|problem| problem.message).unwrap_or_default();
        assert!(message.contains(expected) && message.is_empty() == expected.is_empty(), "{message}");
    }

    #[test]
    fn settings_are_looked_at_before_anything_is_sent() {
        check(json!({"url": "df://host:50050", "auto_above": "5GB", "partitions": 8}), "");
        check(json!({"url": "http://host:50050"}), "has to be `df://host:port`");
        check(json!({"url": "df://host/path"}), "has to be `df://host:port`");
        check(json!({"url": "df://host", "partitions": 0}), "between 1 and 10000");
        check(json!({"url": "df://host", "auto_above": "5 gigs"}), "has to be a size");
        check(json!({"url": "df://host", "token": "x"}), "unknown field `token`");
        assert!(connection_problem("shop", &json!({"postgres": {}})).is_none());
        let cluster = BallistaSettings::read("c", &json!({"ballista": {"url": "df://[::1]"}})).unwrap();
        assert_eq!(cluster.unwrap().scheduler, "http://[::1]:50050");
    }
}
