//! The words after `from:` and `to:`.

use millrace_contract::{AssetKey, TableMoment};
use millrace_spec::asset::{Asset, AssetType};
use serde_json::Value;
use url::Url;

use crate::error::CopyError;
use crate::store::{KINDS, http};

/// A place data is copied from or to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Address {
    /// A path or a glob, relative to the workspace.
    Files(String),
    /// A file on a web server.
    Http(Url),
    /// A dataset by name (`to`).
    Dataset(String),
    /// A table that was resolved already (`from`).
    Table(Asset),
    /// A Delta table that is no dataset: a folder or `s3://…`, and which version of it.
    Delta { place: String, moment: TableMoment },
    /// An Iceberg table: a folder or an URL that a connection leads to, and which snapshot of it.
    Iceberg { place: String, moment: TableMoment },
    /// A table, or a query in brackets, of a connection.
    Database { connection: String, table: String },
    /// What a connection that gives rows is asked for; [`crate::connections::located`] tells it from a table.
    Origin { connection: String, stream: String },
    /// A queue of a connection; [`crate::connections::located`] tells it from a table.
    Queue { connection: String, queue: String },
    /// What is attached to mails of a mailbox; [`crate::connections::located`] tells it from a table.
    Mailbox { connection: String, mailbox: String },
    /// A file or glob by its URL; [`crate::connections::located`] finds the connection that leads there.
    StoreUrl(String),
    /// A file or glob of a connection that leads to files; `label` is its URL.
    Stored { connection: String, path: String, label: String },
}

impl Address {
    pub(crate) fn read(value: &Value) -> Result<Self, CopyError> {
        if let Some(asset) = Asset::from_value(value) {
            return Self::of_asset(asset);
        }
        // A file with how it is written.
        let value = value.get("path").unwrap_or(value);
        let Some(text) = value.as_str().map(str::trim).filter(|text| !text.is_empty()) else {
            return Err(CopyError::config(
                format!("{value} is not a place to copy from or to"),
                "write a path, an URL, `data:name`, `connection:table` or `connection:key`",
            ));
        };
        if let Some(name) = text.strip_prefix("data:") {
            return Ok(Self::Dataset(name.to_owned()));
        }
        if let Some(place) = text.strip_prefix("delta:") {
            let (place, moment) = versioned("delta", place, "a version")?;
            return Ok(Self::Delta { place, moment });
        }
        if let Some(place) = text.strip_prefix("iceberg:") {
            let (place, moment) = versioned("iceberg", place, "a snapshot's id")?;
            return Ok(Self::Iceberg { place, moment });
        }
        if let Some((scheme, place)) = text.split_once("://")
            && !matches!(scheme, "http" | "https")
            && KINDS.iter().any(|kind| kind.schemes.contains(&scheme))
        {
            // Not by `Url`: a `?` in a glob begins no query.
            return match place.split_once('/') {
                Some((host, path)) if !host.is_empty() && !path.is_empty() => {
                    Ok(Self::StoreUrl(text.to_owned()))
                }
                _ => Err(CopyError::config(
                    format!("`{text}` names no object"),
                    format!("{scheme}://place/path"),
                )),
            };
        }
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => return Ok(Self::Http(url)),
            Ok(url) if url.scheme() == "file" => {
                let path = url.to_file_path().map_err(|()| {
                    CopyError::config(format!("`{text}` names no local file"), "file:///path")
                })?;
                return Ok(Self::Files(path.to_string_lossy().into_owned()));
            }
            _ if text.contains("://") => {
                let schemes = KINDS.iter().flat_map(|kind| kind.schemes);
                let schemes: Vec<String> = schemes.map(|scheme| format!("`{scheme}://`")).collect();
                return Err(CopyError::config(
                    format!("there is no connector for `{text}`"),
                    format!("use a path, {}, `data:name` or `connection:table`", schemes.join(", ")),
                ));
            }
            _ => {}
        }
        match text.split_once(':') {
            Some((connection, table)) if is_word(connection) && !table.is_empty() => {
                Ok(Self::Database { connection: connection.to_owned(), table: table.to_owned() })
            }
            _ => Ok(Self::Files(text.to_owned())),
        }
    }

    fn of_asset(asset: Asset) -> Result<Self, CopyError> {
        match asset.kind {
            AssetType::Table => Ok(Self::Table(asset)),
            AssetType::File | AssetType::Folder => {
                let path = Url::parse(&asset.uri).ok().and_then(|url| url.to_file_path().ok());
                let path = path.ok_or_else(|| {
                    CopyError::config(format!("`{}` names no local file", asset.uri), "file:///path")
                })?;
                let end = if asset.kind == AssetType::Folder { "/*" } else { "" };
                Ok(Self::Files(format!("{}{end}", path.to_string_lossy())))
            }
            _ => Err(CopyError::config(
                format!("`{}` is neither a table nor files", asset.label()),
                "copy a table or a file",
            )),
        }
    }
}

/// `lake/orders`, `s3://lake/orders@12`, `lake/orders@2026-03-01T00:00:00Z`. `number` is what a number after `@` is.
fn versioned(kind: &str, text: &str, number: &str) -> Result<(String, TableMoment), CopyError> {
    let named = |place: &str, moment| Ok((place.trim_end_matches('/').to_owned(), moment));
    let refused =
        |message: String| CopyError::config(message, format!("{kind}:lake/orders, {kind}:lake/orders@12"));
    let (place, moment) = match text.rsplit_once('@') {
        Some((place, at)) if at.starts_with(|first: char| first.is_ascii_digit()) => (place, Some(at)),
        _ => (text, None),
    };
    if place.trim_matches('/').is_empty() {
        return Err(refused(format!("`{kind}:` names no table")));
    }
    let Some(at) = moment else { return named(place, TableMoment::Newest) };
    if let Ok(version) = at.parse() {
        return named(place, TableMoment::Version(version));
    }
    let time = at.parse().map_err(|_| {
        refused(format!("`{at}` is neither {number} nor an instant such as `2026-03-01T00:00:00Z`"))
    })?;
    named(place, TableMoment::At(time))
}

fn is_word(text: &str) -> bool {
    text.len() > 1 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Nothing can be copied there.
pub(crate) fn not_written(to: &Address) -> CopyError {
    let place = match to {
        Address::Http(url) => http::shown(url),
        Address::Origin { connection, stream } => format!("{connection}:{stream}"),
        Address::Queue { connection, queue } => format!("{connection}:{queue}"),
        Address::Iceberg { place, .. } => format!("iceberg:{place}"),
        Address::Mailbox { connection, mailbox } => format!("{connection}:{mailbox}"),
        other => format!("{other:?}"),
    };
    CopyError::config(format!("`{place}` cannot be written"), "copy to `data:name`, a path or a connection")
}

/// What is read there, as lineage knows it.
pub(crate) fn sources(from: &Address) -> Vec<AssetKey> {
    let (kind, name, version) = match from {
        Address::Files(pattern) => ("source", pattern.clone(), 0),
        Address::Http(url) => ("source", http::shown(url), 0),
        Address::Database { connection, table } => ("source", format!("{connection}:{table}"), 0),
        Address::Origin { connection, stream } => ("source", format!("{connection}:{stream}"), 0),
        Address::Mailbox { connection, mailbox } => ("source", format!("{connection}:{mailbox}"), 0),
        Address::Queue { connection, queue } => ("source", format!("{connection}:{queue}"), 0),
        Address::Delta { place, .. } => ("source", format!("delta:{place}"), 0),
        Address::Iceberg { place, .. } => ("source", format!("iceberg:{place}"), 0),
        Address::Stored { label, .. } | Address::StoreUrl(label) => ("source", label.clone(), 0),
        Address::Dataset(name) => ("dataset", name.clone(), 0),
        Address::Table(asset) => {
            let kind = if asset.name.is_some() { "dataset" } else { "source" };
            (kind, asset.name.clone().unwrap_or_else(|| asset.uri.clone()), asset.version.unwrap_or(0))
        }
    };
    vec![AssetKey { kind: kind.to_owned(), name, version }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Address) {
        assert_eq!(Address::read(&text.into()).unwrap(), expected);
    }

    #[test]
    fn places() {
        check("raw/*.csv.gz", Address::Files("raw/*.csv.gz".to_owned()));
        check("data:flights", Address::Dataset("flights".to_owned()));
        check(
            "crm:public.orders",
            Address::Database { connection: "crm".to_owned(), table: "public.orders".to_owned() },
        );
        check("https://host/a.csv", Address::Http(Url::parse("https://host/a.csv").unwrap()));
        check("s3://lake/day=?/*.csv.zst", Address::StoreUrl("s3://lake/day=?/*.csv.zst".to_owned()));
        let delta = |place: &str, moment| Address::Delta { place: place.to_owned(), moment };
        check("delta:lake/orders/", delta("lake/orders", TableMoment::Newest));
        check("delta:s3://lake/orders@12", delta("s3://lake/orders", TableMoment::Version(12)));
        check("delta:a@b", delta("a@b", TableMoment::Newest));
        let time = TableMoment::At("2026-03-01T06:00:00Z".parse().unwrap());
        check("delta:/lake/orders@2026-03-01T07:00:00+01:00", delta("/lake/orders", time));
        let iceberg = |place: &str, moment| Address::Iceberg { place: place.to_owned(), moment };
        check(
            "iceberg:az://lake/orders@5937117119577207000",
            iceberg("az://lake/orders", TableMoment::Version(5_937_117_119_577_207_000)),
        );
        assert!(Address::read(&"iceberg:".into()).is_err());
        assert!(Address::read(&"delta:orders@2026-03-01".into()).is_err());
        assert!(Address::read(&"delta:".into()).is_err());
        assert!(Address::read(&"s3://lake".into()).is_err());
        assert!(Address::read(&"gopher://host/a".into()).is_err());
    }
}
