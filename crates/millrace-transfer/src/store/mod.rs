//! Files on other machines: what every store can do, and the connections that lead to one.
//!
//! A store knows nothing of formats, and formats know nothing of stores: between them stands [`SourceFile`].

mod azblob;
mod bucket;
mod fetching;
mod ftp;
mod gcs;
pub(crate) mod http;
mod listing;
mod reading;
mod s3;
mod settings;
mod sftp;
mod webdav;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use millrace_contract::StepContext;

use crate::error::CopyError;
pub(crate) use fetching::{Stored, Trouble};
pub(crate) use listing::{glob, is_glob, source_files};
pub(crate) use settings::{KINDS, Kind, Leads, leading, masked};

/// How long a server may be silent, its client's own retries included.
pub(crate) const SILENCE: Duration = Duration::from_secs(120);
/// How long a server may take to accept a connection.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// What a server says of a file; by that a change of its content is noticed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FileFacts {
    /// Relative to the root of the connection, `/` between its parts.
    pub(crate) path: String,
    /// Bytes, if the server says how many.
    pub(crate) size: Option<u64>,
    pub(crate) modified: Option<jiff::Timestamp>,
    /// What the server changes with the content.
    pub(crate) etag: Option<String>,
}

impl FileFacts {
    /// Whether two looks saw the same content, as far as the server tells. What was not told both times says nothing.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        fn differ<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            matches!((one, other), (Some(one), Some(other)) if one != other)
        }
        if differ(self.size.as_ref(), other.size.as_ref()) {
            return false;
        }
        match (&self.etag, &other.etag) {
            (Some(one), Some(other)) => one == other,
            _ => !differ(self.modified.as_ref(), other.modified.as_ref()),
        }
    }
}

/// Bytes as they come.
pub(crate) type ByteStream = BoxStream<'static, Result<Bytes, CopyError>>;

/// A file that is being read.
pub(crate) struct Opened {
    pub(crate) facts: FileFacts,
    /// Ends with an error where the store notices that the file is no longer what `facts` say.
    pub(crate) bytes: ByteStream,
}

/// Files below one root on another machine. Paths are relative to it.
#[async_trait]
pub(crate) trait FileStore: Send + Sync {
    /// The address of a file as its user knows it, for messages and lineage. Nothing in it is secret.
    fn label(&self, path: &str) -> String;

    /// What a file is called there.
    fn noun(&self) -> &'static str {
        "file"
    }

    /// The files below a folder, in any order; `depth` says how many levels of folders are looked at, all of them if absent. A folder that
    /// is not there has no files.
    async fn list(&self, folder: &str, depth: Option<usize>) -> Result<Vec<FileFacts>, CopyError>;

    /// Reads from a place on. `seen` is what was said of the file before; if the store can, it refuses to read another content.
    async fn read(&self, path: &str, from: u64, seen: Option<&FileFacts>) -> Result<Opened, CopyError>;

    /// Begins a file that is not there, or is as it was, until it is committed. `size`: its bytes, if that is known.
    async fn begin(&self, path: &str, size: Option<u64>) -> Result<Box<dyn StagedFile>, CopyError>;
}

/// A file on its way to a store.
#[async_trait]
pub(crate) trait StagedFile: Send {
    async fn write(&mut self, bytes: Bytes) -> Result<(), CopyError>;

    /// Makes it visible at once, in place of what was there.
    async fn commit(self: Box<Self>) -> Result<(), CopyError>;

    /// Takes back what was sent. What cannot be taken back is logged.
    async fn abort(self: Box<Self>);
}

/// A path without a slash at its ends, which does not lead out of its root.
fn plain_path(path: &str) -> Result<&str, CopyError> {
    let path = path.trim_matches('/');
    let strange = |part: &str| matches!(part, "." | "..") || part.contains(['\0', '\r', '\n']);
    if path.split('/').any(strange) {
        return Err(CopyError::config(format!("`{path}` is no path of a file"), "partner:out/a.csv"));
    }
    Ok(path)
}

/// A name beside a file, for what will take its place. It begins with a dot, which keeps others from reading it.
fn staged_path(path: &str) -> String {
    let id = uuid::Uuid::now_v7().simple();
    match path.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/.{name}.{id}.staged"),
        None => format!(".{path}.{id}.staged"),
    }
}

/// What is said of a file that has changed since it was looked at.
const CHANGED: &str = "it was changed while it was read";

/// The file has changed since it was looked at. Going on would mix two contents; the step may begin again.
fn changed(label: impl Into<String>) -> CopyError {
    CopyError::Read { what: label.into(), message: CHANGED.to_owned(), transient: true }
}

/// Ends with an error as soon as the step is cancelled.
pub(crate) async fn unless_cancelled<T>(
    context: &StepContext,
    work: impl Future<Output = Result<T, CopyError>>,
) -> Result<T, CopyError> {
    tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err(CopyError::Cancelled),
        done = work => done,
    }
}
