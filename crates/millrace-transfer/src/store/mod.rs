//! Files on other machines: what every store can do, and the connections that lead to one.
//!
//! A store knows nothing of formats, and formats know nothing of stores: between them stands [`SourceFile`].

mod azblob;
mod blob_put;
mod bucket;
mod fetching;
mod ftp;
mod gcs;
pub(crate) mod http;
mod listing;
mod local;
mod reading;
mod s3;
mod settings;
mod sftp;
mod streamed;
mod webdav;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use millrace_contract::StepContext;
use object_store::Attributes;

use crate::error::CopyError;
pub(crate) use fetching::{Reader as FileReader, Stored, Trouble};
pub(crate) use listing::{glob, is_glob, matching, source_files};
pub(crate) use local::{LocalFolder, where_waiting_is_allowed};
pub(crate) use reading::{opened, steady};
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

/// What a file is beside its name, its time and its bytes, as far as its store keeps that.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nature {
    /// Type of the content and what else is said of it by headers, and metadata of the user's.
    pub(crate) attributes: Attributes,
    /// Permissions of a file here.
    pub(crate) mode: Option<u32>,
}

/// A file that is being read.
pub(crate) struct Opened {
    pub(crate) facts: FileFacts,
    pub(crate) nature: Nature,
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

    /// Begins a file that is not there, or is as it was, until it is committed.
    async fn begin(&self, path: &str, new: &NewFile) -> Result<Box<dyn StagedFile>, CopyError>;

    /// Removes a file. One that is not there is removed.
    async fn delete(&self, path: &str) -> Result<(), CopyError>;

    /// Copies a file to another path without its bytes passing here; `false` if the store cannot do that.
    async fn copy_within(&self, _file: &FileFacts, _to: &str) -> Result<bool, CopyError> {
        Ok(false)
    }

    /// Whether it says which files it has.
    fn lists(&self) -> bool {
        true
    }

    /// Whether a file keeps the time that it is given; else it has the time when it came.
    fn keeps_times(&self) -> bool {
        false
    }

    /// What it says of a file now, where asking costs nothing.
    async fn look_again(&self, _path: &str) -> Option<FileFacts> {
        None
    }

    /// The MD5 of a file in hexadecimal digits, if what the store said of it has that.
    fn md5(&self, _facts: &FileFacts) -> Option<String> {
        None
    }

    /// Bytes of memory that a file takes while it is sent.
    fn room(&self, _new: &NewFile) -> u64 {
        2 * 1024 * 1024
    }

    /// Whether it is this machine's disk alone that it waits for.
    fn waits_for_the_disk(&self) -> bool {
        false
    }

    /// How many files it is asked for at the same time, unless somebody says otherwise.
    fn at_once(&self) -> usize {
        4
    }

    /// What a listing left out, and why.
    fn left_out(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What is known of a file before it is written.
#[derive(Debug, Clone)]
pub(crate) struct NewFile {
    /// Its bytes.
    pub(crate) size: Option<u64>,
    /// When its content changed last.
    pub(crate) modified: Option<jiff::Timestamp>,
    pub(crate) nature: Nature,
    /// The MD5 of its bytes in hexadecimal digits, where the store that they come from tells it.
    pub(crate) md5: Option<String>,
    /// Parts of it that are on their way at the same time, where it goes in parts.
    pub(crate) parts_at_once: usize,
}

impl NewFile {
    /// A file of which no more is known.
    pub(crate) fn of_size(size: u64) -> Self {
        Self { size: Some(size), modified: None, nature: Nature::default(), md5: None, parts_at_once: 4 }
    }
}

/// What a store says of the bytes that it has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// A digest of its own, which is that of what was sent.
    Agrees(&'static str),
    /// A digest that is another one. It may be made in another way.
    Differs(&'static str),
    /// Nothing, and why.
    Silent(&'static str),
}

/// A file on its way to a store.
#[async_trait]
pub(crate) trait StagedFile: Send {
    async fn write(&mut self, bytes: Bytes) -> Result<(), CopyError>;

    /// Makes it visible at once, in place of what was there.
    async fn commit(self: Box<Self>) -> Result<Receipt, CopyError>;

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
    let (folder, name) = path.rsplit_once('/').unzip();
    let folder = folder.map_or_else(String::new, |folder| format!("{folder}/"));
    // A name has 255 bytes at most.
    let name = Some(name.unwrap_or(path)).filter(|name| name.len() < 200);
    format!("{folder}.{}{id}.staged", name.map_or_else(String::new, |name| format!("{name}.")))
}

/// Whether a file is one that [`staged_path`] has named.
pub(crate) fn is_staged(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let id = name.strip_prefix('.').and_then(|name| name.strip_suffix(".staged"));
    let id = id.map(|id| id.rsplit('.').next().unwrap_or(id));
    id.is_some_and(|id| id.len() == 32 && id.chars().all(|digit| digit.is_ascii_hexdigit()))
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
