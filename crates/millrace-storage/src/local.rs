//! Files in a folder of this machine. Not object_store's own, which neither syncs what it writes nor minds where links lead.

use std::fmt::Display;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio_util::io::ReaderStream;

use crate::path::{FilePath, STAGING, UPLOADS};
use crate::storage::{AskedRange, Entry, FileContent, FileFacts, FolderSize};
use crate::{StorageError, links};

/// Bytes that are read at once.
const CHUNK: usize = 256 * 1024;

/// A folder and everything below it.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

/// A file or folder that is being written; it is gone if it is not kept.
pub(crate) struct Staged(pub(crate) PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        if self.0.is_dir() {
            fs_err::remove_dir_all(&self.0).ok();
        } else {
            fs_err::remove_file(&self.0).ok();
        }
    }
}

impl Folder {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self(root)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    /// A new path on the same file system as everything below the root.
    pub(crate) fn stage(&self) -> std::io::Result<Staged> {
        let folder = self.0.join(STAGING);
        fs_err::create_dir_all(&folder)?;
        Ok(Staged(folder.join(uuid::Uuid::now_v7().simple().to_string())))
    }

    pub(crate) fn clear_staging(&self) -> std::io::Result<()> {
        match fs_err::remove_dir_all(self.0.join(STAGING)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) async fn list(&self, folder: &FilePath) -> Result<Vec<Entry>, StorageError> {
        let failed = |error: std::io::Error| StorageError::io(folder.as_str(), &error);
        let mut found = Vec::new();
        links::refuse_folder_outside(&self.0, folder).await?;
        let mut entries = match fs_err::tokio::read_dir(folder.under(&self.0)).await {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(found);
            }
            Err(error) => return Err(failed(error)),
        };
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            // A file may be gone by now.
            let Ok(facts) = entry.metadata().await else { continue };
            let name = entry.file_name().to_string_lossy().into_owned();
            if (facts.is_dir() || facts.is_file()) && !(folder.is_root() && is_own(&name)) {
                let size_bytes = if facts.is_dir() { 0 } else { facts.len() };
                found.push(Entry { name, is_dir: facts.is_dir(), size_bytes });
            }
        }
        Ok(found)
    }

    pub(crate) async fn files(&self, folder: &FilePath) -> Result<Vec<FileFacts>, StorageError> {
        let (root, asked) = (self.clone(), folder.clone());
        let walked = tokio::task::spawn_blocking(move || root.walked(&asked));
        walked.await.map_err(|error| StorageError::io(folder.as_str(), &std::io::Error::other(error)))?
    }

    /// In one go on a thread that may wait: one hand-over for each of a hundred runs would be most of the work.
    pub(crate) async fn sizes(&self, folders: Vec<FilePath>) -> Vec<Result<FolderSize, StorageError>> {
        let root = self.clone();
        let measure = move || folders.iter().map(|folder| root.size(folder)).collect();
        let measured = tokio::task::spawn_blocking(measure).await;
        measured.unwrap_or_else(|error| vec![Err(StorageError::io("", &std::io::Error::other(error)))])
    }

    fn size(&self, folder: &FilePath) -> Result<FolderSize, StorageError> {
        // Most runs have no files: their folders were never made.
        match fs_err::symlink_metadata(folder.under(&self.0)) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(FolderSize::default())
            }
            _ => self.walked(folder).map(|files| FolderSize::of(&files)),
        }
    }

    fn walked(&self, folder: &FilePath) -> Result<Vec<FileFacts>, StorageError> {
        let place = folder.under(&self.0);
        links::check(&self.0, place.clone(), folder)?;
        let mut found = Vec::new();
        let walked = walk(&place, "", folder.is_root(), &mut found);
        walked.map(|()| found).map_err(|error| StorageError::io(folder.as_str(), &error))
    }

    pub(crate) async fn read(
        &self,
        path: &FilePath,
        range: Option<AskedRange>,
    ) -> Result<FileContent, StorageError> {
        let failed = |error: std::io::Error| StorageError::io(path.as_str(), &error);
        // A link that a step left among the files must not lead out of them.
        let real = fs_err::tokio::canonicalize(path.under(&self.0)).await.map_err(failed)?;
        let root = fs_err::tokio::canonicalize(&self.0).await.map_err(failed)?;
        if !real.starts_with(&root) {
            return Err(StorageError::NotFound { path: path.to_string() });
        }
        let mut file = fs_err::tokio::File::open(&real).await.map_err(failed)?;
        let facts = file.metadata().await.map_err(failed)?;
        if facts.is_dir() {
            return Err(StorageError::NotAFile { path: path.to_string() });
        }
        let size_bytes = facts.len();
        let (start, length) = match range {
            None => (0, size_bytes),
            Some(range) => range
                .within(size_bytes)
                .ok_or_else(|| StorageError::OutOfRange { path: path.to_string(), size_bytes })?,
        };
        if start > 0 {
            file.seek(std::io::SeekFrom::Start(start)).await.map_err(failed)?;
        }
        let body = ReaderStream::with_capacity(file.take(length), CHUNK).boxed();
        Ok(FileContent { size_bytes, start, length, body })
    }

    pub(crate) async fn write<S, E>(&self, path: &FilePath, body: S) -> Result<u64, StorageError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Display,
    {
        let staged = self.stage().map_err(|error| StorageError::io(path.as_str(), &error))?;
        let size = write_synced(&staged.0, path, body).await?;
        self.place(staged, path).await?;
        Ok(size)
    }

    /// Puts what is whole where it belongs.
    pub(crate) async fn place(&self, staged: Staged, path: &FilePath) -> Result<(), StorageError> {
        let failed = |error: std::io::Error| StorageError::io(path.as_str(), &error);
        links::refuse_way_out(&self.0, path).await?;
        let target = path.under(&self.0);
        if let Some(folder) = target.parent() {
            fs_err::tokio::create_dir_all(folder).await.map_err(failed)?;
        }
        fs_err::tokio::rename(&staged.0, &target).await.map_err(failed)
    }

    pub(crate) async fn delete(&self, path: &FilePath) -> Result<(), StorageError> {
        let failed = |error: std::io::Error| StorageError::io(path.as_str(), &error);
        links::refuse_way_out(&self.0, path).await?;
        let target = path.under(&self.0);
        if fs_err::tokio::symlink_metadata(&target).await.map_err(failed)?.is_dir() {
            fs_err::tokio::remove_dir_all(&target).await.map_err(failed)
        } else {
            fs_err::tokio::remove_file(&target).await.map_err(failed)
        }
    }

    pub(crate) async fn store_folder(&self, source: &Path, path: &FilePath) -> Result<(), StorageError> {
        let (folder, source, target) = (self.clone(), source.to_owned(), path.under(&self.0));
        let copied = tokio::task::spawn_blocking(move || folder.copy_whole(&source, &target)).await;
        let copied = copied.map_err(std::io::Error::other).flatten();
        copied.map_err(|error| StorageError::io(path.as_str(), &error))
    }

    fn copy_whole(&self, source: &Path, target: &Path) -> std::io::Result<()> {
        if target.exists() {
            return Ok(());
        }
        let staged = self.stage()?;
        copy_folder(source, &staged.0)?;
        fs_err::create_dir_all(target.parent().unwrap_or(&self.0))?;
        match fs_err::rename(&staged.0, target) {
            // Somebody else was quicker with the same content.
            Err(_) if target.exists() => Ok(()),
            renamed => renamed,
        }
    }
}

/// Whether a name in the root is ours.
fn is_own(name: &str) -> bool {
    matches!(name, STAGING | UPLOADS)
}

/// Streams a body into a new file and syncs it. `path` is what messages name.
pub(crate) async fn write_synced<S, E>(file: &Path, path: &FilePath, mut body: S) -> Result<u64, StorageError>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: Display,
{
    let failed = |error: std::io::Error| StorageError::io(path.as_str(), &error);
    let mut file = fs_err::tokio::File::create(file).await.map_err(failed)?;
    let mut size = 0;
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| StorageError::BrokenOff {
            path: path.to_string(),
            message: error.to_string(),
        })?;
        file.write_all(&part).await.map_err(failed)?;
        size += u64::try_from(part.len()).unwrap_or(u64::MAX);
    }
    file.flush().await.map_err(failed)?;
    file.sync_all().await.map_err(failed)?;
    Ok(size)
}

fn walk(folder: &Path, shown: &str, is_root: bool, found: &mut Vec<FileFacts>) -> std::io::Result<()> {
    let entries = match fs_err::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let Ok(facts) = entry.metadata() else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_root && is_own(&name) {
            continue;
        }
        let path = if shown.is_empty() { name } else { format!("{shown}/{name}") };
        if facts.is_dir() {
            walk(&entry.path(), &path, false, found)?;
        } else if facts.is_file() {
            let etag = format!("{}-{}-{}", facts.ino(), facts.mtime(), facts.mtime_nsec());
            found.push(FileFacts { path, size_bytes: facts.len(), etag });
        }
    }
    Ok(())
}

fn copy_folder(source: &Path, target: &Path) -> std::io::Result<()> {
    fs_err::create_dir_all(target)?;
    for entry in fs_err::read_dir(source)? {
        let entry = entry?;
        let below = target.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &below)?;
        } else {
            fs_err::copy(entry.path(), &below)?;
            fs_err::File::open(&below)?.sync_all()?;
        }
    }
    Ok(())
}
