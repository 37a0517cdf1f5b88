//! Folders of a storage as folders of this machine, for what reads only those: a model's runtime, a step's program.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::path::FilePath;
use crate::{Storage, StorageError};

/// A copy that nobody asked for in this time is removed when another is made.
const UNUSED: Duration = Duration::from_secs(7 * 24 * 3600);

/// Why a folder cannot be had on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// The address is of another place.
    #[error("`{url}` is neither a folder of this machine nor in the workspace's storage, `{storage}`")]
    Elsewhere {
        /// As it was given.
        url: String,
        /// Root of the storage.
        storage: String,
    },
    /// Nothing is there.
    #[error("there is nothing at `{url}`")]
    NotFound {
        /// As it was given.
        url: String,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Copies of what a storage holds elsewhere. A folder of this machine is used where it lies.
#[derive(Debug, Clone)]
pub struct LocalCopies {
    storage: Storage,
    folder: PathBuf,
}

impl LocalCopies {
    /// `folder`: where the copies of what lies in `storage` go.
    pub fn new(storage: Storage, folder: PathBuf) -> Self {
        Self { storage, folder }
    }

    /// The folder or file at `url` on this machine: where it lies, or a copy that holds exactly what the storage holds now.
    ///
    /// # Errors
    /// [`CopyError`].
    #[allow(clippy::disallowed_methods, reason = "the times of files are the file system's")]
    pub async fn path(&self, url: &str) -> Result<PathBuf, CopyError> {
        if let Some(path) = local_path(url) {
            return Ok(path);
        }
        let Some(path) = self.storage.path_of(url) else {
            let storage = self.storage.url(&FilePath::default());
            return Err(CopyError::Elsewhere { url: url.to_owned(), storage });
        };
        let files = self.storage.files(&path).await?;
        if files.is_empty() {
            return Err(CopyError::NotFound { url: url.to_owned() });
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(url.as_bytes());
        for file in &files {
            hasher.update(format!("\0{}\0{}\0{}", file.path, file.size_bytes, file.etag).as_bytes());
        }
        let name = hasher.finalize().to_hex().as_str().get(..32).unwrap_or_default().to_owned();
        let target = self.folder.join(&name);
        let failed = |error: std::io::Error| CopyError::Storage(StorageError::io(path.as_str(), &error));
        if !target.is_dir() {
            self.remove_unused().await;
            let staged = self.folder.join(format!(".{}", uuid::Uuid::now_v7().simple()));
            let copied = self.copy(&path, &files, &staged).await;
            let placed = match copied {
                Ok(()) => fs_err::tokio::rename(&staged, &target).await,
                Err(error) => {
                    fs_err::tokio::remove_dir_all(&staged).await.ok();
                    return Err(error.into());
                }
            };
            // Somebody else was quicker with the same content.
            if placed.is_err() && target.is_dir() {
                fs_err::tokio::remove_dir_all(&staged).await.ok();
            } else {
                placed.map_err(failed)?;
            }
        }
        // Its time says when it was used.
        let used = target.clone();
        let touched = tokio::task::spawn_blocking(move || {
            std::fs::File::open(used).and_then(|folder| folder.set_modified(SystemTime::now()))
        });
        touched.await.ok();
        Ok(target)
    }

    async fn copy(
        &self,
        path: &FilePath,
        files: &[crate::FileFacts],
        target: &Path,
    ) -> Result<(), StorageError> {
        for file in files {
            let failed = |error: std::io::Error| StorageError::io(&file.path, &error);
            let invalid = |_| StorageError::InvalidName { path: file.path.clone() };
            let source = path.join(&file.path).map_err(invalid)?;
            let below = FilePath::new(&file.path).map_err(invalid)?.under(target);
            if let Some(folder) = below.parent() {
                fs_err::tokio::create_dir_all(folder).await.map_err(failed)?;
            }
            let mut content = self.storage.read(&source, None).await?;
            let mut copy = fs_err::tokio::File::create(&below).await.map_err(failed)?;
            while let Some(part) = content.body.next().await {
                copy.write_all(&part.map_err(failed)?).await.map_err(failed)?;
            }
            copy.flush().await.map_err(failed)?;
        }
        Ok(())
    }

    /// Best effort: what stays is looked at the next time.
    #[allow(clippy::disallowed_methods, reason = "the times of files are the file system's")]
    async fn remove_unused(&self) {
        let folder = self.folder.clone();
        let removed = tokio::task::spawn_blocking(move || {
            let Ok(entries) = fs_err::read_dir(&folder) else { return };
            let limit = SystemTime::now().checked_sub(UNUSED).unwrap_or(SystemTime::UNIX_EPOCH);
            for entry in entries.flatten() {
                let used = entry.metadata().and_then(|facts| facts.modified());
                if used.is_ok_and(|used| used < limit) {
                    fs_err::remove_dir_all(entry.path()).ok();
                }
            }
        });
        removed.await.ok();
    }
}

/// The path of a `file://` address, whether or not its signs are encoded.
fn local_path(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("file://")?;
    let plain = PathBuf::from(rest);
    if plain.exists() {
        return Some(plain);
    }
    url::Url::parse(url).ok()?.to_file_path().ok().or(Some(plain))
}
