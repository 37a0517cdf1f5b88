//! Connections, and which of them an address means.

use std::sync::Arc;

use indexmap::IndexMap;
use millrace_spec::problem::Problem;
use serde_json::Value;

use crate::address::Address;
use crate::error::CopyError;
use crate::s3::{self, S3Connection};

/// One connection of `connections.yaml`. It has no `Debug`, since it holds secrets.
#[derive(Clone)]
pub struct Connection {
    /// What stands under its name, secrets resolved; if one of them has no value, everything as it is written.
    pub settings: Value,
    /// Why nothing can be copied over it.
    pub unusable: Option<Box<Problem>>,
}

impl From<Value> for Connection {
    fn from(settings: Value) -> Self {
        Self { settings, unusable: None }
    }
}

/// All of them, by name.
pub type Connections = IndexMap<String, Connection>;

/// Reads `connections.yaml`; for each copy anew, since people edit it and set secrets while a server is up.
pub type ReadConnections = Arc<dyn Fn() -> Result<Connections, Box<Problem>> + Send + Sync>;

/// The settings of the connection of that name.
pub(crate) fn find<'a>(connections: &'a Connections, name: &str) -> Result<&'a Value, CopyError> {
    let found = connections.get(name).ok_or_else(|| {
        let known: Vec<&str> = connections.keys().map(String::as_str).collect();
        let hint = match known.as_slice() {
            [] => format!(
                "in connections.yaml: `{name}: {{postgres: {{url: postgres://user@host/database}}}}` or `{name}: {{s3: {{bucket: …}}}}`"
            ),
            known => format!("the connections are: {}", known.join(", ")),
        };
        CopyError::config(format!("there is no connection `{name}`"), hint)
    })?;
    match &found.unusable {
        Some(problem) => Err(CopyError::Connection(problem.clone())),
        None => Ok(&found.settings),
    }
}

/// The address with its bucket, if it is one in a bucket. A connection need not be usable for that, so that `check` needs no secrets.
pub(crate) fn located(address: Address, connections: &Connections) -> Result<Address, CopyError> {
    match address {
        Address::Database { connection, table } => match connections.get(&connection) {
            Some(found) if found.settings.get("s3").is_some() => {
                let settings = S3Connection::read(&connection, &found.settings)?;
                let key = settings.key(&table);
                Ok(Address::Object { connection, bucket: settings.bucket, key })
            }
            _ => Ok(Address::Database { connection, table }),
        },
        Address::S3Url { bucket, key } => {
            let connection = connection_to(&bucket, &key, connections)?;
            Ok(Address::Object { connection, bucket, key })
        }
        other => Ok(other),
    }
}

/// The first connection to the bucket whose prefix the key lies under.
fn connection_to(bucket: &str, key: &str, connections: &Connections) -> Result<String, CopyError> {
    let mut covered = Vec::new();
    for (name, found) in connections.iter().filter(|(_, found)| found.settings.get("s3").is_some()) {
        let settings = S3Connection::read(name, &found.settings)?;
        if settings.bucket != bucket {
            continue;
        }
        if settings.covers(key) {
            return Ok(name.clone());
        }
        covered.push(format!("`{name}` leads to `s3://{bucket}/{}`", settings.key("")));
    }
    let hint = match covered.as_slice() {
        [] => s3::declaration("lake", bucket),
        covered => covered.join(", "),
    };
    Err(CopyError::config(format!("no connection leads to `s3://{bucket}/{key}`"), hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn connections() -> Connections {
        [
            ("shop", json!({"postgres": {"url": "postgres://db/shop"}})),
            ("landing", json!({"s3": {"bucket": "lake", "prefix": "/landing/"}})),
            ("lake", json!({"s3": {"bucket": "lake", "prefix": "raw"}})),
        ]
        .map(|(name, settings)| (name.to_owned(), settings.into()))
        .into_iter()
        .collect()
    }

    fn check(text: &str, expected: Result<&str, &str>) {
        let connections = connections();
        let found = Address::read(&text.into()).and_then(|address| located(address, &connections));
        let found = match &found {
            Ok(Address::Object { connection, bucket, key }) => Ok(format!("{connection} {bucket} {key}")),
            Ok(other) => Ok(format!("{other:?}")),
            Err(CopyError::Config { message, hint }) => Err(format!("{message}: {hint}")),
            Err(other) => Err(other.to_string()),
        };
        assert_eq!(found.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn one_that_is_unusable_says_why_only_when_it_is_used() {
        let mut connections = connections();
        let problem =
            Problem::error("secret-missing", "the connection `lake` uses `secrets.lake`, which is not set");
        let keys =
            json!({"access_key_id": "id", "secret_access_key": "${{ secrets.lake }}", "bucket": "lake"});
        let lake = Connection { settings: json!({"s3": keys}), unusable: Some(Box::new(problem.clone())) };
        connections.insert("lake".to_owned(), lake);
        let found = Address::read(&"lake:a.csv".into()).and_then(|address| located(address, &connections));
        assert!(matches!(found, Ok(Address::Object { .. })), "{found:?}");
        assert!(find(&connections, "shop").is_ok());
        let Err(CopyError::Connection(said)) = find(&connections, "lake") else { panic!("it is used") };
        assert_eq!(*said, problem);
    }

    #[test]
    fn places_in_buckets() {
        check("lake:flights/*.csv.zst", Ok("lake lake raw/flights/*.csv.zst"));
        check("landing:a.csv", Ok("landing lake landing/a.csv"));
        check("s3://lake/raw/a.csv", Ok("lake lake raw/a.csv"));
        check("shop:orders", Ok("Database { connection: \"shop\", table: \"orders\" }"));
        check(
            "s3://lake/rawer/a.csv",
            Err(
                "no connection leads to `s3://lake/rawer/a.csv`: `landing` leads to `s3://lake/landing/`, `lake` leads to `s3://lake/raw/`",
            ),
        );
        check(
            "s3://pond/a.csv",
            Err(
                "no connection leads to `s3://pond/a.csv`: in connections.yaml: `lake: {s3: {bucket: pond, region: us-east-1, access_key_id: …, secret_access_key: \"${{ secrets.lake }}\"}}`",
            ),
        );
    }
}
