//! What stands in `connections.yaml` about a store: read, checked and documented for every kind in the same way.

use std::sync::Arc;

use millrace_contract::{KindDoc, KindFamily};
use millrace_storage::StorageOptions;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::{FileStore, azblob, ftp, gcs, http, s3, sftp, webdav};
use crate::error::CopyError;

/// Every kind of connection that leads to files. A new one: a file beside this, and a line here.
pub(crate) const KINDS: &[Kind] =
    &[http::KIND, s3::KIND, azblob::KIND, gcs::KIND, sftp::KIND, ftp::KIND, webdav::KIND];

/// The settings of one kind of connection.
pub(crate) trait Settings: Leads + DeserializeOwned + JsonSchema + Sized + 'static {
    /// The key under the connection's name.
    const WORD: &'static str;
    /// What the addresses of its files begin with.
    const SCHEMES: &'static [&'static str];
    /// Fields that must not be quoted in a message.
    const SECRET: &'static [&'static str];

    /// What to write into `connections.yaml` for a place: a bucket, a host.
    fn declaration(name: &str, place: &str) -> String;

    /// What no type says.
    fn check(&self) -> Result<(), String>;
}

/// A connection that leads to files.
pub(crate) trait Leads: Send + Sync {
    /// The address of everything below it, ending in `/`. Nothing in it is secret.
    fn root(&self) -> String;

    /// The store. Nothing is sent yet.
    fn open(&self) -> Result<Arc<dyn FileStore>, CopyError>;

    /// What triggers need to look into the bucket, if it is this one.
    fn bucket_options(&self, _scheme: &str, _bucket: &str) -> Option<StorageOptions> {
        None
    }
}

/// Reads and checks what stands under a connection's name.
type Read = fn(&str, &Value) -> Result<Arc<dyn Leads>, CopyError>;

/// A kind of connection that leads to files.
pub(crate) struct Kind {
    pub(crate) word: &'static str,
    pub(crate) schemes: &'static [&'static str],
    pub(crate) declaration: fn(&str, &str) -> String,
    example: &'static str,
    doc: fn(&'static str) -> KindDoc,
    read: Read,
}

impl Kind {
    pub(super) const fn of<T: Settings>(example: &'static str) -> Self {
        Self {
            word: T::WORD,
            schemes: T::SCHEMES,
            declaration: T::declaration,
            example,
            doc: |example| KindDoc::of::<T>(KindFamily::Connector, T::WORD, example),
            read: read::<T>,
        }
    }

    /// What `millrace explain` prints.
    pub(crate) fn doc(&self) -> KindDoc {
        (self.doc)(self.example)
    }

    /// Reads and checks what stands under a connection's name.
    pub(crate) fn read(&self, name: &str, connection: &Value) -> Result<Arc<dyn Leads>, CopyError> {
        (self.read)(name, connection)
    }
}

/// Where a connection leads, if it leads to files.
pub(crate) fn leading(name: &str, connection: &Value) -> Option<Result<Arc<dyn Leads>, CopyError>> {
    let kind = KINDS.iter().find(|kind| connection.get(kind.word).is_some())?;
    Some(kind.read(name, connection))
}

fn read<T: Settings>(name: &str, connection: &Value) -> Result<Arc<dyn Leads>, CopyError> {
    let refused = |message: String| {
        CopyError::config(
            format!("the connection `{name}`: {message}"),
            format!("in connections.yaml: `{}`", T::declaration(name, "…")),
        )
    };
    let settings = connection.get(T::WORD).cloned().unwrap_or_default();
    // The parser would quote a value of another type.
    let not_text = |field: &&&str| settings.get(field).is_some_and(|it| !it.is_string() && !it.is_null());
    if let Some(field) = T::SECRET.iter().find(not_text) {
        return Err(refused(format!("`{field}` is not text; put it in quotes")));
    }
    let settings: T = serde_json::from_value(settings).map_err(|error| refused(error.to_string()))?;
    settings.check().map_err(refused)?;
    Ok(Arc::new(settings))
}

/// Whether an endpoint may be used as it is.
pub(super) fn endpoint(endpoint: Option<&Url>, allow_http: bool) -> Result<(), String> {
    match endpoint.map(Url::scheme) {
        Some("http") if !allow_http => {
            Err("its endpoint is `http://`, which needs `allow_http: true`".to_owned())
        }
        Some("http" | "https") | None => Ok(()),
        Some(_) => Err("`endpoint` begins with `https://` or `http://`".to_owned()),
    }
}

/// The options that have a value.
pub(super) fn given<const N: usize>(options: [(&str, Option<String>); N]) -> Vec<(String, String)> {
    let given = options.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    given.collect()
}

/// Takes what is secret out of a text.
pub(crate) fn masked(text: &str, secrets: &[String]) -> String {
    let secrets = secrets.iter().filter(|secret| !secret.is_empty());
    secrets.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
}
