//! A file of a store, as formats read it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use millrace_contract::StepContext;
use tokio_util::sync::CancellationToken;

use super::reading::{Blocking, steady};
use super::{FileFacts, FileStore};
use crate::error::CopyError;

/// Why reading broke off. Decoders between a store and a reader of rows make mere words of an error.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble(Arc<Mutex<Option<CopyError>>>);

impl Trouble {
    /// The error of the store, if one is the cause.
    pub(crate) fn cause_of(&self, error: CopyError) -> CopyError {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or(error)
    }

    fn note(&self, error: &CopyError) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
    }
}

/// What the files of one read have in common.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) store: Arc<dyn FileStore>,
    pub(crate) cancel: CancellationToken,
    /// Where files go that are read back and forth.
    pub(crate) folder: PathBuf,
    pub(crate) trouble: Trouble,
}

impl Reader {
    /// `folder` is for files that are read back and forth.
    pub(crate) fn new(store: Arc<dyn FileStore>, folder: PathBuf, context: &StepContext) -> Self {
        Self { store, cancel: context.cancel.clone(), folder, trouble: Trouble::default() }
    }
}

/// A file of a store.
pub(crate) struct Stored {
    reader: Reader,
    facts: FileFacts,
    /// Whether the facts come from the store; else there is a path alone.
    listed: bool,
    fetched: OnceLock<Result<Fetched, CopyError>>,
}

impl Stored {
    /// A file that was listed.
    pub(crate) fn listed(reader: Reader, facts: FileFacts) -> Self {
        Self { reader, facts, listed: true, fetched: OnceLock::new() }
    }

    /// A file by its path, which may not be there.
    pub(crate) fn named(reader: Reader, path: &str) -> Self {
        let facts = FileFacts { path: path.to_owned(), ..FileFacts::default() };
        Self { reader, facts, listed: false, fetched: OnceLock::new() }
    }

    pub(crate) fn size(&self) -> Option<u64> {
        self.facts.size
    }

    /// When it changed last, if the store said so.
    pub(crate) fn modified(&self) -> Option<jiff::Timestamp> {
        self.facts.modified
    }

    pub(crate) fn trouble(&self) -> &Trouble {
        &self.reader.trouble
    }

    /// Reads it from its beginning to its end, on a blocking thread of a runtime.
    pub(crate) fn open(&self) -> impl Read + Send + use<> {
        let Reader { store, cancel, trouble, .. } = &self.reader;
        let seen = self.listed.then(|| self.facts.clone());
        let bytes = steady(store.clone(), &self.facts.path, seen);
        Noting { bytes: Blocking::new(bytes, cancel.clone()), trouble: trouble.clone() }
    }

    /// Fetches it, the first time, for who reads back and forth. The local file goes with this one.
    pub(crate) fn path(&self) -> Result<&Path, CopyError> {
        let fetched = self.fetched.get_or_init(|| Fetched::new(self));
        fetched.as_ref().map(|fetched| fetched.0.as_path()).map_err(Clone::clone)
    }
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Stored").field(&self.facts).finish()
    }
}

/// A local copy, removed when dropped.
struct Fetched(PathBuf);

impl Fetched {
    fn new(file: &Stored) -> Result<Self, CopyError> {
        let folder = &file.reader.folder;
        let local = |error: std::io::Error| CopyError::write(folder.to_string_lossy(), &error);
        fs_err::create_dir_all(folder).map_err(local)?;
        let path = folder.join(uuid::Uuid::now_v7().simple().to_string());
        let mut copy = fs_err::File::create(&path).map_err(local)?;
        let copy_is_there = Self(path);
        let copied = std::io::copy(&mut file.open(), &mut copy);
        copied.map_err(|error| file.reader.trouble.cause_of(local(error)))?;
        Ok(copy_is_there)
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        if let Err(error) = fs_err::remove_file(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "a fetched file could not be removed");
        }
    }
}

/// Notes why reading broke off.
struct Noting {
    bytes: Blocking,
    trouble: Trouble,
}

impl Read for Noting {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        self.bytes.read(room).inspect_err(|error| {
            if let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref::<CopyError>()) {
                self.trouble.note(cause);
            }
        })
    }
}
