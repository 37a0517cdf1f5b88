//! Which connection an address means.

use indexmap::IndexMap;
use serde_json::Value;

use crate::address::Address;
use crate::error::CopyError;
use crate::s3::{self, S3Connection};

/// `connections.yaml`, secrets resolved.
pub(crate) type Connections = IndexMap<String, Value>;

/// The connection of that name.
pub(crate) fn find<'a>(connections: &'a Connections, name: &str) -> Result<&'a Value, CopyError> {
    connections.get(name).ok_or_else(|| {
        let known: Vec<&str> = connections.keys().map(String::as_str).collect();
        let hint = match known.as_slice() {
            [] => format!(
                "in connections.yaml: `{name}: {{postgres: {{url: postgres://user@host/database}}}}` or `{name}: {{s3: {{bucket: …}}}}`"
            ),
            known => format!("the connections are: {}", known.join(", ")),
        };
        CopyError::config(format!("there is no connection `{name}`"), hint)
    })
}

/// The address with its bucket, if it is one in a bucket.
pub(crate) fn located(address: Address, connections: &Connections) -> Result<Address, CopyError> {
    match address {
        Address::Database { connection, table } => match connections.get(&connection) {
            Some(settings) if settings.get("s3").is_some() => {
                let settings = S3Connection::read(&connection, settings)?;
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
    for (name, settings) in connections.iter().filter(|(_, settings)| settings.get("s3").is_some()) {
        let settings = S3Connection::read(name, settings)?;
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

    fn check(text: &str, expected: Result<&str, &str>) {
        let connections: Connections = [
            ("shop", json!({"postgres": {"url": "postgres://db/shop"}})),
            ("landing", json!({"s3": {"bucket": "lake", "prefix": "/landing/"}})),
            ("lake", json!({"s3": {"bucket": "lake", "prefix": "raw"}})),
        ]
        .map(|(name, settings)| (name.to_owned(), settings))
        .into_iter()
        .collect();
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
