//! Connections, and which of them an address means.

mod probe;

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use millrace_contract::{Explain as _, READABLE_QUEUES};
use millrace_spec::problem::Problem;
use millrace_storage::StorageOptions;
use serde_json::Value;

use crate::address::Address;
use crate::error::CopyError;
use crate::origin;
use crate::store::{KINDS, Leads, leading};

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

/// The address with its connection, if it is one of files on another machine or one that gives rows. A connection need not be usable for that, so that `check` needs
/// no secrets.
pub(crate) fn located(address: Address, connections: &Connections) -> Result<Address, CopyError> {
    match address {
        Address::Database { connection, table } => {
            let found = connections.get(&connection);
            if found.is_some_and(|found| origin::kind_of(&found.settings).is_some()) {
                return Ok(Address::Origin { connection, stream: table });
            }
            if found
                .is_some_and(|found| READABLE_QUEUES.iter().any(|word| found.settings.get(word).is_some()))
            {
                return Ok(Address::Queue { connection, queue: table });
            }
            if found.is_some_and(|found| found.settings.get("imap").is_some()) {
                return Ok(Address::Mailbox { connection, mailbox: table });
            }
            let Some(leads) = found.and_then(|found| leading(&connection, &found.settings)) else {
                return Ok(Address::Database { connection, table });
            };
            let path = table.trim_start_matches('/').to_owned();
            // That belongs to connections.yaml, not to the step.
            let leads = leads.map_err(|error| CopyError::Connection(Box::new(error.problem())))?;
            let label = format!("{}{path}", leads.root());
            Ok(Address::Stored { connection, path, label })
        }
        Address::StoreUrl(url) => {
            let (connection, path) = connection_to(&url, connections)?;
            Ok(Address::Stored { connection, path, label: url })
        }
        // Without a connection a web server is asked as anybody.
        Address::Http(url) => match leading_to(url.as_str(), connections) {
            // As it is written in a connection's address, which is encoded when it is sent.
            Some((connection, path)) => {
                let path = percent_encoding::percent_decode_str(&path).decode_utf8_lossy().into_owned();
                Ok(Address::Stored { connection, path, label: url.to_string() })
            }
            None => Ok(Address::Http(url)),
        },
        other => Ok(other),
    }
}

/// The connection, of those whose root the address lies below, with the longest root, and the path from there.
fn leading_to(url: &str, connections: &Connections) -> Option<(String, String)> {
    let mut best: Option<(String, String)> = None;
    for (name, leads) in stores(connections) {
        if let Some(path) = url.strip_prefix(&leads.root()).filter(|path| !path.is_empty())
            && best.as_ref().is_none_or(|(_, longer)| path.len() < longer.len())
        {
            best = Some((name.to_owned(), path.to_owned()));
        }
    }
    best
}

/// The connections that lead to files. One whose settings are wrong leads nowhere; that is said where they stand.
fn stores(connections: &Connections) -> impl Iterator<Item = (&str, Arc<dyn Leads>)> {
    let stores = connections.iter();
    stores.filter_map(|(name, found)| Some((name.as_str(), leading(name, &found.settings)?.ok()?)))
}

/// The connection that leads to an address, and the path from its root.
pub(crate) fn connection_to(url: &str, connections: &Connections) -> Result<(String, String), CopyError> {
    if let Some(found) = leading_to(url, connections) {
        return Ok(found);
    }
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    let mut covered = Vec::new();
    for (name, leads) in stores(connections) {
        let root = leads.root();
        if root.starts_with(&format!("{scheme}://{host}/")) {
            covered.push(format!("`{name}` leads to `{root}`"));
        }
    }
    let hint = match covered.as_slice() {
        [] => KINDS.iter().find(|kind| kind.schemes.contains(&scheme)).map_or_else(String::new, |kind| {
            let names = [("s3", "lake"), ("az", "raw"), ("gs", "land")];
            let name = names.iter().find(|(known, _)| *known == scheme).map_or("files", |(_, name)| name);
            format!("in connections.yaml: `{}`", (kind.declaration)(name, host))
        }),
        covered => covered.join(", "),
    };
    Err(CopyError::config(format!("no connection leads to `{url}`"), hint))
}

/// What is wrong with the settings of a connection that leads to files or gives rows.
pub fn connection_problem(name: &str, settings: &Value) -> Option<Problem> {
    if origin::kind_of(settings).is_some() {
        // What it does with a folder does not matter before it is used.
        return origin::open(name, settings, Path::new("")).err().map(|error| error.problem());
    }
    let error = leading(name, settings)?.err()?;
    Some(error.problem())
}

/// The JSON Schema of what stands below a word of connections.yaml that gives rows; `None` for other words.
pub fn connection_schema(word: &str) -> Option<Value> {
    origin::connection_schema(word)
}

/// What triggers need to look into a bucket, if a connection leads there. `scheme` is its URL's: `s3`, `az`, `gs`.
pub fn bucket_options(scheme: &str, bucket: &str, connections: &Connections) -> Option<StorageOptions> {
    let usable = connections.iter().filter(|(_, found)| found.unusable.is_none());
    let mut leads = usable.filter_map(|(name, found)| leading(name, &found.settings)?.ok());
    leads.find_map(|leads| leads.bucket_options(scheme, bucket))
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
            Ok(Address::Stored { connection, path, label }) => Ok(format!("{connection} {path} {label}")),
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
        assert!(matches!(found, Ok(Address::Stored { .. })), "{found:?}");
        assert!(find(&connections, "shop").is_ok());
        let Err(CopyError::Connection(said)) = find(&connections, "lake") else { panic!("it is used") };
        assert_eq!(*said, problem);
    }

    #[test]
    fn places_in_buckets() {
        check("lake:flights/*.csv.zst", Ok("lake flights/*.csv.zst s3://lake/raw/flights/*.csv.zst"));
        check("landing:a.csv", Ok("landing a.csv s3://lake/landing/a.csv"));
        check("s3://lake/raw/a.csv", Ok("lake a.csv s3://lake/raw/a.csv"));
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
