//! Files in a bucket of S3, or of a server that speaks like it.

mod failure;

use std::fmt::Display;
use std::path::Path as LocalPath;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use http::Method;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt as _,
    PutPayload, RetryConfig,
};
use tokio_util::io::ReaderStream;

use crate::path::{FilePath, STAGING, UPLOADS};
use crate::storage::{AskedRange, Entry, FileBody, FileContent, FileFacts};
use crate::{StorageError, StorageOptions};
pub use failure::Failure;

/// How often a request is sent again, and until when after the first.
const RETRIES: usize = 4;
const RETRY_FOR: Duration = Duration::from_secs(60);
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// How long the server may be silent while it is read.
const SILENCE: Duration = Duration::from_secs(120);
/// How long a single request may take that is not read part by part, its retries included.
const ANSWER: Duration = Duration::from_secs(600);
/// Parts of a body whose size is not known: with 10,000 of them, S3's limit, 80 GB.
const PART: u64 = 8 << 20;
const PARTS: u64 = 9_000;
/// Parts that are on their way at once.
const TOGETHER: usize = 4;

/// A bucket, and the prefix of everything that belongs to a storage.
#[derive(Debug)]
pub(crate) struct Bucket {
    store: Arc<AmazonS3>,
    name: String,
    prefix: String,
    secrets: Arc<[String]>,
}

impl Bucket {
    /// Opens it; nothing is asked of the server yet.
    pub(crate) fn open(name: String, prefix: String, options: &StorageOptions) -> Result<Self, String> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&name)
            .with_client_options(ClientOptions::new().with_connect_timeout(CONNECT).with_timeout_disabled())
            .with_retry(retries());
        let mut secrets = Vec::new();
        for (option, value) in &options.s3 {
            let key: AmazonS3ConfigKey =
                option.parse().map_err(|_| format!("`{option}` is not an option of S3"))?;
            if matches!(
                key,
                AmazonS3ConfigKey::AccessKeyId
                    | AmazonS3ConfigKey::SecretAccessKey
                    | AmazonS3ConfigKey::Token
            ) {
                secrets.push(value.clone());
            }
            builder = builder.with_config(key, value);
        }
        let store = builder.build().map_err(|error| Failure::of(&error, &name, &secrets).message)?;
        Ok(Self { store: Arc::new(store), name, prefix, secrets: secrets.into() })
    }

    pub(crate) fn below(&self, folder: &FilePath) -> Self {
        let prefix = match (self.prefix.is_empty(), folder.is_root()) {
            (_, true) => self.prefix.clone(),
            (true, false) => folder.to_string(),
            (false, false) => format!("{}/{folder}", self.prefix),
        };
        Self { store: self.store.clone(), name: self.name.clone(), prefix, secrets: self.secrets.clone() }
    }

    pub(crate) fn url(&self, path: &FilePath) -> String {
        let key = self.key_text(path.as_str());
        if key.is_empty() { format!("s3://{}", self.name) } else { format!("s3://{}/{key}", self.name) }
    }

    fn key_text(&self, path: &str) -> String {
        match (self.prefix.is_empty(), path.is_empty()) {
            (true, _) => path.to_owned(),
            (false, true) => self.prefix.clone(),
            (false, false) => format!("{}/{path}", self.prefix),
        }
    }

    pub(crate) fn store(&self) -> &AmazonS3 {
        &self.store
    }

    /// The key of a path below the prefix, also of our own.
    pub(crate) fn key(&self, path: &str) -> Result<Path, StorageError> {
        let invalid = |_| StorageError::InvalidName { path: path.to_owned() };
        Path::parse(self.key_text(path)).map_err(invalid)
    }

    pub(crate) fn failed(&self, path: &str, error: &object_store::Error) -> StorageError {
        if matches!(error, object_store::Error::NotFound { .. })
            && !error.to_string().contains("<Code>NoSuchBucket</Code>")
        {
            return StorageError::NotFound { path: path.to_owned() };
        }
        let Failure { message, transient } = Failure::of(error, &self.name, &self.secrets);
        StorageError::Failed { path: path.to_owned(), message, transient }
    }

    pub(crate) async fn list(&self, folder: &FilePath) -> Result<Vec<Entry>, StorageError> {
        let key = self.key(folder.as_str())?;
        let listed = answered(self.store.list_with_delimiter(Some(&key))).await;
        let listed = listed.map_err(|error| self.failed(folder.as_str(), &error))?;
        let name = |path: &Path| path.filename().unwrap_or_default().to_owned();
        let folders =
            listed.common_prefixes.iter().map(|path| Entry { name: name(path), is_dir: true, size_bytes: 0 });
        let files = listed.objects.iter().map(|object| Entry {
            name: name(&object.location),
            is_dir: false,
            size_bytes: object.size,
        });
        let own = |entry: &Entry| folder.is_root() && matches!(entry.name.as_str(), STAGING | UPLOADS);
        Ok(folders.chain(files).filter(|entry| !own(entry)).collect())
    }

    pub(crate) async fn files(&self, folder: &FilePath) -> Result<Vec<FileFacts>, StorageError> {
        let key = self.key(folder.as_str())?;
        let found = facts_below(&*self.store, &key).await;
        let mut found = found.map_err(|error| self.failed(folder.as_str(), &error))?;
        if folder.is_root() {
            found.retain(|file| !matches!(file.path.split('/').next(), Some(STAGING | UPLOADS)));
        }
        Ok(found)
    }

    pub(crate) async fn read(
        &self,
        path: &FilePath,
        range: Option<AskedRange>,
    ) -> Result<FileContent, StorageError> {
        let key = self.key(path.as_str())?;
        let mut options = GetOptions::default();
        if let Some(range) = range {
            let head = answered(self.store.head(&key)).await;
            let size_bytes = match head {
                Ok(head) => head.size,
                Err(error) => return Err(self.absent(path, &error).await),
            };
            let (start, length) = range
                .within(size_bytes)
                .ok_or_else(|| StorageError::OutOfRange { path: path.to_string(), size_bytes })?;
            options.range = Some(GetRange::Bounded(start..start + length));
        }
        let found = match answered(self.store.get_opts(&key, options)).await {
            Ok(found) => found,
            Err(error) => return Err(self.absent(path, &error).await),
        };
        let (size_bytes, range) = (found.meta.size, found.range.clone());
        let body = watched(found.into_stream());
        Ok(FileContent { size_bytes, start: range.start, length: range.end - range.start, body })
    }

    /// Why there is no object: perhaps it is a folder.
    async fn absent(&self, path: &FilePath, error: &object_store::Error) -> StorageError {
        let failure = self.failed(path.as_str(), error);
        if matches!(failure, StorageError::NotFound { .. })
            && let Ok(key) = self.key(path.as_str())
            && let Some(Ok(_)) = self.store.list(Some(&key)).next().await
        {
            return StorageError::NotAFile { path: path.to_string() };
        }
        failure
    }

    pub(crate) async fn write<S, E>(
        &self,
        path: &FilePath,
        mut body: S,
        size_hint: Option<u64>,
    ) -> Result<u64, StorageError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Display,
    {
        let key = self.key(path.as_str())?;
        let failed = |error: object_store::Error| self.failed(path.as_str(), &error);
        let part =
            usize::try_from(PART.max(size_hint.unwrap_or_default().div_ceil(PARTS))).unwrap_or(usize::MAX);
        let (first, more) = next_part(&mut body, path, part).await?;
        let mut size = u64::try_from(first.len()).unwrap_or(u64::MAX);
        if !more {
            answered(self.store.put(&key, PutPayload::from_bytes(first))).await.map_err(failed)?;
            return Ok(size);
        }
        let mut upload = answered(self.store.put_multipart(&key)).await.map_err(failed)?;
        let sent = send_parts(upload.as_mut(), &mut body, path, (first, part), &failed).await;
        match sent {
            Ok(sent) => size += sent,
            Err(error) => {
                // What stays is not visible; the bucket's own rules remove it.
                upload.abort().await.ok();
                return Err(error);
            }
        }
        answered(upload.complete()).await.map_err(failed)?;
        Ok(size)
    }

    pub(crate) async fn delete(&self, path: &FilePath) -> Result<(), StorageError> {
        let key = self.key(path.as_str())?;
        let failed = |error: object_store::Error| self.failed(path.as_str(), &error);
        let head = answered(self.store.head(&key)).await;
        let is_file = match head {
            Ok(_) => true,
            Err(object_store::Error::NotFound { .. }) => false,
            Err(error) => return Err(failed(error)),
        };
        if is_file {
            self.store.delete(&key).await.map_err(failed)?;
        }
        let below = self.store.list(Some(&key)).map_ok(|object| object.location).boxed();
        let removed =
            self.store.delete_stream(below).try_fold(0_u64, |count, _| async move { Ok(count + 1) });
        let removed = removed.await.map_err(failed)?;
        if is_file || removed > 0 { Ok(()) } else { Err(StorageError::NotFound { path: path.to_string() }) }
    }

    pub(crate) async fn store_folder(
        &self,
        source: &LocalPath,
        path: &FilePath,
        last: &str,
    ) -> Result<(), StorageError> {
        let folder = crate::local::Folder::new(source.to_owned());
        let mut files = folder.files(&FilePath::default()).await?;
        files.sort_by_key(|file| (file.path == last, file.path.clone()));
        let failed = |error: std::io::Error| StorageError::io(path.as_str(), &error);
        for file in files {
            let opened = fs_err::tokio::File::open(source.join(&file.path)).await.map_err(failed)?;
            let invalid = |_| StorageError::InvalidName { path: file.path.clone() };
            let target = path.join(&file.path).map_err(invalid)?;
            self.write(&target, ReaderStream::new(opened), Some(file.size_bytes)).await?;
        }
        Ok(())
    }

    pub(crate) async fn signed_url(
        &self,
        path: &FilePath,
        writes: bool,
        valid_for: Duration,
    ) -> Result<String, StorageError> {
        let key = self.key(path.as_str())?;
        let method = if writes { Method::PUT } else { Method::GET };
        let url = self.store.signed_url(method, &key, valid_for).await;
        url.map(String::from).map_err(|error| self.failed(path.as_str(), &error))
    }
}

/// Every object below a key, with its path from there.
pub(crate) async fn facts_below(store: &dyn ObjectStore, key: &Path) -> object_store::Result<Vec<FileFacts>> {
    let objects: Vec<_> = store.list(Some(key)).try_collect().await?;
    let facts = |object: object_store::ObjectMeta| {
        let parts: Vec<String> =
            object.location.prefix_match(key)?.map(|part| part.as_ref().to_owned()).collect();
        let etag = object.e_tag.unwrap_or_else(|| object.last_modified.to_string());
        Some(FileFacts { path: parts.join("/"), size_bytes: object.size, etag })
    };
    Ok(objects.into_iter().filter_map(facts).collect())
}

pub(crate) fn retries() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: RETRIES, retry_timeout: RETRY_FOR }
}

/// A request that must end.
pub(crate) async fn answered<T>(
    request: impl Future<Output = object_store::Result<T>>,
) -> object_store::Result<T> {
    let late = |late| object_store::Error::Generic { store: "S3", source: Box::new(late) };
    tokio::time::timeout(ANSWER, request).await.map_err(late).flatten()
}

/// A body whose next bytes must come in time; how long all of it takes is the reader's matter.
fn watched(body: futures::stream::BoxStream<'static, object_store::Result<Bytes>>) -> FileBody {
    let next = |body: Option<futures::stream::BoxStream<'static, object_store::Result<Bytes>>>| async move {
        let mut body = body?;
        match tokio::time::timeout(SILENCE, body.next()).await {
            Ok(part) => Some((part?.map_err(std::io::Error::other), Some(body))),
            Err(late) => Some((Err(std::io::Error::new(std::io::ErrorKind::TimedOut, late)), None)),
        }
    };
    futures::stream::unfold(Some(body), next).boxed()
}

/// The next `size` bytes of a body, or what is left of it, and whether more may follow.
pub(crate) async fn next_part<S, E>(
    body: &mut S,
    path: &FilePath,
    size: usize,
) -> Result<(Bytes, bool), StorageError>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: Display,
{
    let mut part = BytesMut::new();
    while part.len() < size {
        match body.next().await {
            None => return Ok((part.freeze(), false)),
            Some(Ok(bytes)) if part.is_empty() && bytes.len() >= size => return Ok((bytes, true)),
            Some(Ok(bytes)) => part.extend_from_slice(&bytes),
            Some(Err(error)) => {
                return Err(StorageError::BrokenOff { path: path.to_string(), message: error.to_string() });
            }
        }
    }
    Ok((part.freeze(), true))
}

/// Sends a body part by part, a few at once: the first part and how large the others are. Answers the size of what follows the first.
async fn send_parts<S, E>(
    upload: &mut dyn MultipartUpload,
    body: &mut S,
    path: &FilePath,
    (first, part): (Bytes, usize),
    failed: &(dyn Fn(object_store::Error) -> StorageError + Sync),
) -> Result<u64, StorageError>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: Display,
{
    let mut size = 0;
    let mut on_their_way = FuturesUnordered::new();
    on_their_way.push(answered(upload.put_part(PutPayload::from_bytes(first))));
    loop {
        let (bytes, more) = next_part(body, path, part).await?;
        if !bytes.is_empty() {
            size += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if on_their_way.len() >= TOGETHER
                && let Some(sent) = on_their_way.next().await
            {
                sent.map_err(failed)?;
            }
            on_their_way.push(answered(upload.put_part(PutPayload::from_bytes(bytes))));
        }
        if !more {
            break;
        }
    }
    while let Some(sent) = on_their_way.next().await {
        sent.map_err(failed)?;
    }
    Ok(size)
}
