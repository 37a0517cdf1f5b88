//! The words after `from:` and `to:`.

use millrace_spec::asset::{Asset, AssetType};
use serde_json::Value;
use url::Url;

use crate::error::CopyError;
use crate::store::KINDS;

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
    /// A table, or a query in brackets, of a connection.
    Database { connection: String, table: String },
    /// What a connection that gives rows is asked for; [`crate::connections::located`] tells it from a table.
    Origin { connection: String, stream: String },
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

fn is_word(text: &str) -> bool {
    text.len() > 1 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
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
        assert!(Address::read(&"s3://lake".into()).is_err());
        assert!(Address::read(&"gopher://host/a".into()).is_err());
    }
}
