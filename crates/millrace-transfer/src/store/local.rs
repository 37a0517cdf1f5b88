//! Files in a folder of this machine, as those of other stores are.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use fs_err::File;
use futures::StreamExt as _;

use super::{
    ByteStream, FileFacts, FileStore, Nature, NewFile, Opened, Receipt, StagedFile, changed, plain_path,
    staged_path,
};
use crate::error::CopyError;

/// Bytes that are read at a time. A file that has no more is read, and written, in one go.
const PIECE: usize = 256 * 1024;

thread_local! {
    /// Whether this thread is one that may wait for the disk.
    static MAY_WAIT: Cell<bool> = const { Cell::new(false) };
}

/// Does work on a thread that may wait for the disk, so that folders do theirs in it at once. To hand over a small file to such a thread and
/// back takes longer than the file.
pub(crate) async fn where_waiting_is_allowed<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    struct Allowed;
    impl Drop for Allowed {
        fn drop(&mut self) {
            MAY_WAIT.set(false);
        }
    }
    let runtime = tokio::runtime::Handle::current();
    let done = tokio::task::spawn_blocking(move || {
        MAY_WAIT.set(true);
        let _allowed = Allowed;
        runtime.block_on(work)
    });
    done.await
}

/// A folder, out of which no path leads: links in it are neither followed nor replaced by what lies behind them.
#[derive(Clone)]
pub(crate) struct LocalFolder(Arc<Folder>);

struct Folder {
    root: PathBuf,
    /// What its user calls it, with a `/` at the end unless it is empty.
    shown: String,
    /// Folders that are there and are no links.
    made: Mutex<HashSet<PathBuf>>,
    left_out: Mutex<Vec<String>>,
}

impl LocalFolder {
    /// `shown`: what its user calls it.
    pub(crate) fn new(root: PathBuf, shown: &str) -> Self {
        let shown = match shown.trim_end_matches('/') {
            "" if shown.is_empty() => String::new(),
            shown => format!("{shown}/"),
        };
        Self(Arc::new(Folder { root, shown, made: Mutex::default(), left_out: Mutex::default() }))
    }

    /// Does what waits for the disk on a thread that may.
    async fn off<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, CopyError> + Send + 'static,
    ) -> Result<T, CopyError> {
        if MAY_WAIT.get() {
            return work(&self.0);
        }
        let folder = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&folder)).await;
        done.unwrap_or_else(|error| Err(CopyError::read(self.0.shown.clone(), &error)))
    }
}

impl Folder {
    fn label(&self, path: &str) -> String {
        format!("{}{path}", self.shown)
    }

    fn at(&self, path: &str) -> Result<PathBuf, CopyError> {
        let path = plain_path(path)?;
        Ok(if path.is_empty() { self.root.clone() } else { self.root.join(path) })
    }

    fn walk(&self, folder: &str, depth: Option<usize>) -> Result<Vec<FileFacts>, CopyError> {
        let (mut files, mut folders) = (Vec::new(), vec![(folder.trim_matches('/').to_owned(), 1)]);
        while let Some((folder, level)) = folders.pop() {
            let failed = |error: std::io::Error| CopyError::read(self.label(&folder), &error);
            let entries = match fs_err::read_dir(self.at(&folder)?) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                entries => entries.map_err(failed)?,
            };
            for entry in entries {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name();
                let Some(name) = name.to_str() else {
                    self.leave_out(&folder, &name.to_string_lossy(), "its name is not UTF-8");
                    continue;
                };
                let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
                // Of the entry itself, not of what a link leads to.
                let metadata = match entry.metadata() {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    metadata => metadata.map_err(failed)?,
                };
                if metadata.is_dir() && depth.is_none_or(|depth| level < depth) {
                    folders.push((path, level + 1));
                } else if metadata.is_file() {
                    files.push(facts(&path, &metadata));
                } else if metadata.is_symlink() {
                    self.leave_out(&folder, name, "it is a symbolic link");
                } else if !metadata.is_dir() {
                    self.leave_out(&folder, name, "it is no file");
                }
            }
        }
        Ok(files)
    }

    fn leave_out(&self, folder: &str, name: &str, why: &str) {
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let what = format!("`{}` was left out: {why}", self.label(&format!("{folder}{name}")));
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// Opens a file and reads its first piece; there is no rest if it has no more.
    fn open(&self, path: &str, from: u64) -> Result<(FileFacts, Nature, Bytes, Option<Reading>), CopyError> {
        let label = self.label(path);
        let failed = |error: std::io::Error| CopyError::read(label.clone(), &error);
        let at = self.at(path)?;
        if fs_err::symlink_metadata(&at).map_err(failed)?.is_symlink() {
            return Err(CopyError::read(label, &"it is a symbolic link, and those are not followed"));
        }
        let mut file = File::open(&at).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(CopyError::read(label, &"it is a folder"));
        }
        if from > 0 {
            file.seek(SeekFrom::Start(from)).map_err(failed)?;
        }
        let nature = Nature { mode: Some(metadata.permissions().mode()), ..Nature::default() };
        let size = metadata.len().saturating_sub(from);
        let facts = facts(path, &metadata);
        let mut reading = Reading { file, facts: facts.clone(), label };
        let most = usize::try_from(size).unwrap_or(PIECE).min(PIECE) + 1;
        let first = reading.piece(most)?;
        let rest = (first.len() == most).then_some(reading);
        Ok((facts, nature, first, rest))
    }

    /// Makes the folders that a file lies in. One that is a link leads elsewhere and is refused.
    fn make_folders(&self, path: &str) -> Result<(), CopyError> {
        let mut at = self.root.clone();
        let failed = |error: std::io::Error| CopyError::write(self.label(path), &error);
        let known = |at: &Path| self.made.lock().unwrap_or_else(PoisonError::into_inner).contains(at);
        if !known(&at) {
            fs_err::create_dir_all(&at).map_err(failed)?;
            self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(at.clone());
        }
        let folders = path.rsplit_once('/').map(|(folders, _)| folders);
        for part in folders.into_iter().flat_map(|folders| folders.split('/')) {
            at.push(part);
            if known(&at) {
                continue;
            }
            match fs_err::symlink_metadata(&at) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => {
                    return Err(CopyError::write(
                        self.label(path),
                        &format!("`{}` is no folder", at.display()),
                    ));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => match fs_err::create_dir(&at) {
                    // Another file of the same folder was faster.
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                    made => made.map_err(failed)?,
                },
                Err(error) => return Err(failed(error)),
            }
            self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(at.clone());
        }
        Ok(())
    }
}

fn facts(path: &str, metadata: &std::fs::Metadata) -> FileFacts {
    let modified = metadata.modified().ok().and_then(|time| jiff::Timestamp::try_from(time).ok());
    FileFacts { path: path.to_owned(), size: Some(metadata.len()), modified, etag: None }
}

#[async_trait]
impl FileStore for LocalFolder {
    fn label(&self, path: &str) -> String {
        self.0.label(path)
    }

    async fn list(&self, folder: &str, depth: Option<usize>) -> Result<Vec<FileFacts>, CopyError> {
        let below = folder.to_owned();
        self.off(move |folder| folder.walk(&below, depth)).await
    }

    async fn read(&self, path: &str, from: u64, _: Option<&FileFacts>) -> Result<Opened, CopyError> {
        let below = path.to_owned();
        let (facts, nature, first, rest) = self.off(move |folder| folder.open(&below, from)).await?;
        Ok(Opened { facts, nature, bytes: bytes(first, rest) })
    }

    async fn begin(&self, path: &str, new: &NewFile) -> Result<Box<dyn StagedFile>, CopyError> {
        let path = plain_path(path)?.to_owned();
        let staged = self.0.at(&staged_path(&path))?;
        Ok(Box::new(Upload {
            folder: self.clone(),
            path,
            staged,
            new: new.clone(),
            first: Vec::new(),
            begun: false,
            file: None,
        }))
    }

    async fn delete(&self, path: &str) -> Result<(), CopyError> {
        let below = path.to_owned();
        let removed = self.off(move |folder| match fs_err::remove_file(folder.at(&below)?) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(CopyError::write(folder.label(&below), &error))
            }
            _ => Ok(()),
        });
        removed.await
    }

    fn keeps_times(&self) -> bool {
        true
    }

    fn waits_for_the_disk(&self) -> bool {
        true
    }

    async fn look_again(&self, path: &str) -> Option<FileFacts> {
        let below = path.to_owned();
        let looked = self.off(move |folder| {
            let metadata = fs_err::symlink_metadata(folder.at(&below)?);
            Ok(metadata.ok().map(|metadata| facts(&below, &metadata)))
        });
        looked.await.ok().flatten()
    }

    fn at_once(&self) -> usize {
        8
    }

    fn left_out(&self) -> Vec<String> {
        std::mem::take(&mut self.0.left_out.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A file that is being read. Whether it has changed is looked at when it ends.
struct Reading {
    file: File,
    facts: FileFacts,
    label: String,
}

impl Reading {
    /// So many bytes, fewer at the end of the file.
    fn piece(&mut self, most: usize) -> Result<Bytes, CopyError> {
        let mut piece = Vec::with_capacity(most);
        let read = (&mut self.file).take(most as u64).read_to_end(&mut piece);
        read.map_err(|error| CopyError::read(self.label.clone(), &error))?;
        if piece.len() < most {
            let now = self.file.metadata().map_err(|error| CopyError::read(self.label.clone(), &error))?;
            if !facts(&self.facts.path, &now).agrees_with(&self.facts) {
                return Err(changed(&*self.label));
            }
        }
        Ok(Bytes::from(piece))
    }
}

/// The first piece of a file and what follows it.
fn bytes(first: Bytes, rest: Option<Reading>) -> ByteStream {
    let rest = futures::stream::unfold(rest, |reading| async move {
        let mut reading = reading?;
        let label = reading.label.clone();
        let read = tokio::task::spawn_blocking(move || {
            let piece = reading.piece(PIECE);
            (piece, reading)
        });
        match read.await {
            Ok((Ok(piece), _)) if piece.is_empty() => None,
            Ok((Ok(piece), reading)) => {
                let more = (piece.len() == PIECE).then_some(reading);
                Some((Ok(piece), more))
            }
            Ok((Err(error), _)) => Some((Err(error), None)),
            Err(error) => Some((Err(CopyError::read(label, &error)), None)),
        }
    });
    futures::stream::iter((!first.is_empty()).then_some(Ok(first))).chain(rest).boxed()
}

/// A file that is written beside its place; a small one waits in memory until it is whole.
struct Upload {
    folder: LocalFolder,
    path: String,
    staged: PathBuf,
    new: NewFile,
    first: Vec<u8>,
    /// Whether there may be something of it on the disk.
    begun: bool,
    file: Option<File>,
}

/// Makes the file and writes its first bytes.
fn create(folder: &Folder, path: &str, staged: &Path, first: &[u8]) -> Result<File, CopyError> {
    folder.make_folders(path)?;
    let failed = |error: std::io::Error| CopyError::write(folder.label(path), &error);
    let mut file = File::options().write(true).create_new(true).open(staged).map_err(failed)?;
    if let Err(error) = file.write_all(first) {
        remove(staged);
        return Err(failed(error));
    }
    Ok(file)
}

/// Gives the file what it is to have beside its bytes, and its name.
fn place(folder: &Folder, path: &str, staged: &Path, file: &File, new: &NewFile) -> std::io::Result<()> {
    if let Some(mode) = new.nature.mode {
        // Not the bits that let it run as somebody else.
        file.set_permissions(std::fs::Permissions::from_mode(mode & 0o777))?;
    }
    if let Some(modified) = new.modified {
        let times = std::fs::FileTimes::new().set_modified(SystemTime::from(modified));
        file.file().set_times(times)?;
    }
    fs_err::rename(staged, folder.root.join(path))
}

fn remove(staged: &Path) {
    if let Err(error) = fs_err::remove_file(staged)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "a staged file could not be removed");
    }
}

#[async_trait]
impl StagedFile for Upload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), CopyError> {
        if !self.begun && self.first.len() + bytes.len() <= PIECE {
            self.first.extend_from_slice(&bytes);
            return Ok(());
        }
        let (path, staged, first) = (self.path.clone(), self.staged.clone(), std::mem::take(&mut self.first));
        let opened = self.file.take();
        self.begun = true;
        let written = self.folder.off(move |folder| {
            let mut file = match opened {
                Some(file) => file,
                None => create(folder, &path, &staged, &first)?,
            };
            match file.write_all(&bytes) {
                Ok(()) => Ok(file),
                Err(error) => {
                    remove(&staged);
                    Err(CopyError::write(folder.label(&path), &error))
                }
            }
        });
        self.file = Some(written.await?);
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<Receipt, CopyError> {
        let Self { folder, path, staged, new, first, file, .. } = *self;
        let committed = folder.off(move |folder| {
            let file = match file {
                Some(file) => file,
                None => create(folder, &path, &staged, &first)?,
            };
            place(folder, &path, &staged, &file, &new).map_err(|error| {
                remove(&staged);
                CopyError::write(folder.label(&path), &error)
            })
        });
        committed.await.map(|()| Receipt::Silent("a folder has no digests"))
    }

    async fn abort(self: Box<Self>) {
        let Self { folder, staged, begun, .. } = *self;
        if begun {
            // Nothing of it is told: the copy has its own error.
            let removed = folder.off(move |_| {
                remove(&staged);
                Ok(())
            });
            let _ = removed.await;
        }
    }
}
