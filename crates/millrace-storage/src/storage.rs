//! One interface over folders and buckets.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::BoxStream;

use crate::bucket::Bucket;
use crate::local::Folder;
use crate::options::Place;
use crate::path::{FilePath, InvalidPath};
use crate::{InvalidStorage, StorageError, StorageOptions};

/// The bytes of a file, as they come.
pub type FileBody = BoxStream<'static, std::io::Result<Bytes>>;

/// Which bytes of a file are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedRange {
    /// From this byte to the end.
    From(u64),
    /// From the first to the last of these, both included; a last one behind the end means the end.
    Between(u64, u64),
    /// That many at the end, or the whole file if it is shorter.
    Last(u64),
}

impl AskedRange {
    /// First byte and how many of them, of a file with `size_bytes`; `None` if nothing of it is asked for.
    pub(crate) fn within(self, size_bytes: u64) -> Option<(u64, u64)> {
        let (start, end) = match self {
            Self::From(start) => (start, size_bytes),
            Self::Between(start, last) => (start, last.saturating_add(1).min(size_bytes)),
            Self::Last(count) => (size_bytes.saturating_sub(count), size_bytes),
        };
        (start < end).then(|| (start, end - start))
    }
}

/// A file that is being read.
pub struct FileContent {
    /// Of the whole file.
    pub size_bytes: u64,
    /// First byte of `body` within the file.
    pub start: u64,
    /// How many bytes `body` has.
    pub length: u64,
    /// The bytes.
    pub body: FileBody,
}

impl std::fmt::Debug for FileContent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("FileContent")
            .field("size_bytes", &self.size_bytes)
            .field("start", &self.start)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// A file or a folder in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Last part of its path.
    pub name: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Of a file; 0 for a folder.
    pub size_bytes: u64,
}

/// A file somewhere below a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileFacts {
    /// Below the folder that was asked for.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Differs once the file was written anew.
    pub etag: String,
}

/// What the files below a folder come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FolderSize {
    /// Bytes of all of them.
    pub bytes: u64,
    /// How many.
    pub files: usize,
}

impl FolderSize {
    /// Of these files.
    pub(crate) fn of(files: &[FileFacts]) -> Self {
        Self { bytes: files.iter().map(|file| file.size_bytes).sum(), files: files.len() }
    }
}

/// A folder of this machine or of a bucket, with everything below it.
#[derive(Debug, Clone)]
pub struct Storage {
    pub(crate) backend: Backend,
}

#[derive(Debug, Clone)]
pub(crate) enum Backend {
    Local(Folder),
    Bucket(Arc<Bucket>),
}

impl Storage {
    /// Opens `file:///…`, an absolute path or `s3://bucket/prefix`. Nothing is read or made yet.
    ///
    /// # Errors
    /// [`InvalidStorage`] if it is none of these or an option is not one of S3's.
    pub fn open(url: &str, options: &StorageOptions) -> Result<Self, InvalidStorage> {
        let backend = match Place::parse(url)? {
            Place::Folder(folder) => Backend::Local(Folder::new(folder)),
            Place::Bucket { name, prefix } => {
                let bucket = Bucket::open(name, prefix, options);
                let refused = |reason| InvalidStorage { url: url.to_owned(), reason };
                Backend::Bucket(Arc::new(bucket.map_err(refused)?))
            }
        };
        Ok(Self { backend })
    }

    /// The storage in a folder of this machine, an absolute path.
    pub fn folder(path: &Path) -> Self {
        Self { backend: Backend::Local(Folder::new(path.to_owned())) }
    }

    /// The storage in a folder of this one.
    #[must_use]
    pub fn below(&self, folder: &FilePath) -> Self {
        let backend = match &self.backend {
            Backend::Local(local) => Backend::Local(Folder::new(folder.under(local.root()))),
            Backend::Bucket(bucket) => Backend::Bucket(Arc::new(bucket.below(folder))),
        };
        Self { backend }
    }

    /// The folder, if it is one of this machine.
    pub fn local(&self) -> Option<&Path> {
        match &self.backend {
            Backend::Local(local) => Some(local.root()),
            Backend::Bucket(_) => None,
        }
    }

    /// The address of a file or folder: `file:///…` or `s3://bucket/…`.
    pub fn url(&self, path: &FilePath) -> String {
        match &self.backend {
            Backend::Local(local) => format!("file://{}", path.under(local.root()).display()),
            Backend::Bucket(bucket) => bucket.url(path),
        }
    }

    /// The path of an address that [`Storage::url`] made; `None` for every other address.
    pub fn path_of(&self, url: &str) -> Option<FilePath> {
        let rest = url.strip_prefix(&self.url(&FilePath::default()))?;
        let rest = if rest.is_empty() { rest } else { rest.strip_prefix('/')? };
        FilePath::new(rest).ok()
    }

    /// What lies in a folder, by name; nothing if there is none. Links are not followed.
    ///
    /// # Errors
    /// [`StorageError::Failed`] if the folder cannot be read.
    pub async fn list(&self, folder: &FilePath) -> Result<Vec<Entry>, StorageError> {
        let mut entries = match &self.backend {
            Backend::Local(local) => local.list(folder).await,
            Backend::Bucket(bucket) => bucket.list(folder).await,
        }?;
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// Every file below a folder, by path; nothing if there is none. Links are not followed.
    ///
    /// # Errors
    /// [`StorageError::Failed`] if a folder cannot be read.
    pub async fn files(&self, folder: &FilePath) -> Result<Vec<FileFacts>, StorageError> {
        let mut files = match &self.backend {
            Backend::Local(local) => local.files(folder).await,
            Backend::Bucket(bucket) => bucket.files(folder).await,
        }?;
        files.sort();
        Ok(files)
    }

    /// What the files below each of these folders come to, in their order; nothing below one that is not there.
    ///
    /// # Errors
    /// For each folder of its own, as [`Storage::files`].
    pub async fn sizes(&self, folders: Vec<FilePath>) -> Vec<Result<FolderSize, StorageError>> {
        match &self.backend {
            Backend::Local(local) => local.sizes(folders).await,
            Backend::Bucket(bucket) => {
                let mut sizes = Vec::with_capacity(folders.len());
                for folder in &folders {
                    sizes.push(bucket.files(folder).await.map(|files| FolderSize::of(&files)));
                }
                sizes
            }
        }
    }

    /// Reads a file, or the asked part of it. A link that leads out of the storage counts as absent.
    ///
    /// # Errors
    /// [`StorageError`]: absent, a folder, shorter than what is asked for.
    pub async fn read(
        &self,
        path: &FilePath,
        range: Option<AskedRange>,
    ) -> Result<FileContent, StorageError> {
        match &self.backend {
            Backend::Local(local) => local.read(path, range).await,
            Backend::Bucket(bucket) => bucket.read(path, range).await,
        }
    }

    /// Reads a file of at most `limit` bytes into memory.
    ///
    /// # Errors
    /// As [`Storage::read`]; [`StorageError::Failed`] if it is larger.
    pub async fn read_whole(&self, path: &FilePath, limit: u64) -> Result<Vec<u8>, StorageError> {
        use futures::TryStreamExt as _;
        let content = self.read(path, None).await?;
        let failed =
            |message: String| StorageError::Failed { path: path.to_string(), message, transient: false };
        if content.size_bytes > limit {
            return Err(failed(format!("it has {} bytes, and {limit} are read at most", content.size_bytes)));
        }
        let add = |mut all: Vec<u8>, part: Bytes| async move {
            all.extend_from_slice(&part);
            Ok(all)
        };
        content.body.try_fold(Vec::new(), add).await.map_err(|error| failed(error.to_string()))
    }

    /// Streams a body into a file that appears whole or not at all, and replaces what was there. `size_hint`: bytes, if they are known.
    /// Answers how many bytes came.
    ///
    /// # Errors
    /// [`StorageError`]; then what was there before is there still.
    pub async fn write<S, E>(
        &self,
        path: &FilePath,
        body: S,
        size_hint: Option<u64>,
    ) -> Result<u64, StorageError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Display,
    {
        if path.is_root() {
            return Err(StorageError::NotAFile { path: String::new() });
        }
        match &self.backend {
            Backend::Local(local) => local.write(path, body).await,
            Backend::Bucket(bucket) => bucket.write(path, body, size_hint).await,
        }
    }

    /// Writes a file whole or not at all.
    ///
    /// # Errors
    /// As [`Storage::write`].
    pub async fn write_bytes(&self, path: &FilePath, content: Bytes) -> Result<(), StorageError> {
        let size = u64::try_from(content.len()).ok();
        let body = futures::stream::iter([Ok::<_, std::convert::Infallible>(content)]);
        self.write(path, body, size).await.map(drop)
    }

    /// Removes a file, or a folder with everything in it.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if neither is there.
    pub async fn delete(&self, path: &FilePath) -> Result<(), StorageError> {
        match &self.backend {
            Backend::Local(local) => local.delete(path).await,
            Backend::Bucket(bucket) => bucket.delete(path).await,
        }
    }

    /// Copies a folder of this machine to `path`. On a local disk it appears whole or not at all, and one that is there is left alone; in a
    /// bucket its files appear one by one, and the ones named last in `last` at the end. Only for paths that name their content, such as
    /// those with a digest.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn store_folder(&self, source: &Path, path: &FilePath, last: &str) -> Result<(), StorageError> {
        match &self.backend {
            Backend::Local(local) => local.store_folder(source, path).await,
            Backend::Bucket(bucket) => bucket.store_folder(source, path, last).await,
        }
    }

    /// A URL that whoever has it may read or write the file with for a while, past this server; `None` where the storage has none.
    ///
    /// # Errors
    /// [`StorageError::Failed`] if the storage's credentials cannot be had.
    pub async fn signed_url(
        &self,
        path: &FilePath,
        writes: bool,
        valid_for: Duration,
    ) -> Result<Option<String>, StorageError> {
        match &self.backend {
            Backend::Local(_) => Ok(None),
            Backend::Bucket(bucket) => bucket.signed_url(path, writes, valid_for).await.map(Some),
        }
    }

    /// Removes what a process that was killed left half-written. Only for the one that holds the storage, before it writes anything.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn clear_staging(&self) -> std::io::Result<()> {
        match &self.backend {
            Backend::Local(local) => local.clear_staging(),
            // An upload that broke off is not visible, and the bucket's own rules remove it.
            Backend::Bucket(_) => Ok(()),
        }
    }
}

/// A path of a file that must be one.
impl TryFrom<&str> for FilePath {
    type Error = InvalidPath;

    fn try_from(text: &str) -> Result<Self, InvalidPath> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(AskedRange::Between(0, 4).within(10), Some((0, 5)));
        assert_eq!(AskedRange::Between(8, 99).within(10), Some((8, 2)));
        assert_eq!(AskedRange::From(3).within(10), Some((3, 7)));
        assert_eq!(AskedRange::Last(3).within(10), Some((7, 3)));
        assert_eq!(AskedRange::Last(30).within(10), Some((0, 10)));
        for nothing in [AskedRange::From(10), AskedRange::Last(0), AskedRange::Between(10, u64::MAX)] {
            assert_eq!(nothing.within(10), None);
        }
        assert_eq!(AskedRange::Last(3).within(0), None);
    }

    #[test]
    fn addresses_lead_back() {
        let storage = Storage::folder(Path::new("/state/storage"));
        let models = storage.below(&FilePath::new("models").unwrap());
        let path = FilePath::new("late/abc").unwrap();
        assert_eq!(models.url(&path), "file:///state/storage/models/late/abc");
        assert_eq!(models.path_of("file:///state/storage/models/late/abc"), Some(path));
        assert_eq!(models.path_of("file:///state/storage/models"), Some(FilePath::default()));
        for foreign in
            ["file:///state/storage/modelsx/a", "file:///other", "file:///state/storage/models/../a"]
        {
            assert_eq!(models.path_of(foreign), None, "{foreign}");
        }
    }
}
