//! Buckets, whoever keeps them: what `object_store` opens.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use md5::{Digest as _, Md5};
use millrace_storage::Failure;
use object_store::path::Path;
use object_store::{
    Attributes, BackoffConfig, ClientOptions, GetOptions, GetRange, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, RetryConfig,
};
use tokio::task::JoinSet;

use super::blob_put::{self, BlobPuts};
use super::{CONNECT, FileFacts, FileStore, Nature, NewFile, Opened, Receipt, SILENCE, StagedFile, changed};
use crate::error::CopyError;

/// How often a request is sent again, and until when after the first; the step's own `retry:` comes on top.
const RETRIES: usize = 4;
const RETRY_FOR: Duration = Duration::from_secs(60);
/// Size of a part unless the object is so big that it would have too many; a smaller object is sent in one piece.
const PART: u64 = 8 * 1024 * 1024;
/// S3 takes 10,000.
const MOST_PARTS: u64 = 9_000;
/// What servers say of a file that is not the one that was meant: Azure, S3, Google.
const CONDITION_FAILED: [&str; 3] = ["ConditionNotMet", "PreconditionFailed", "conditionNotMet"];
/// What S3 copies in one request.
const MOST_COPIED: u64 = 5 * 1024 * 1024 * 1024;
/// How long a part may take, its retries included.
const PATIENCE: Duration = Duration::from_secs(300);

/// An open bucket.
#[derive(Clone)]
pub(super) struct Bucket {
    pub(super) store: Arc<dyn ObjectStore>,
    /// What addresses begin with: `s3`, `az`, `gs`.
    pub(super) scheme: &'static str,
    pub(super) name: String,
    /// What every key of the connection begins with, without slashes around it.
    pub(super) prefix: String,
    pub(super) secrets: Vec<String>,
    /// Sends an object while it comes, where that can be done.
    pub(super) puts: Option<BlobPuts>,
}

/// The address of a key below a prefix.
pub(super) fn label(scheme: &str, bucket: &str, prefix: &str, path: &str) -> String {
    format!("{scheme}://{bucket}/{}", key(prefix, path))
}

/// The key of a path below a prefix.
fn key(prefix: &str, path: &str) -> String {
    let path = path.trim_start_matches('/');
    match prefix.trim_matches('/') {
        "" => path.to_owned(),
        prefix => format!("{prefix}/{path}"),
    }
}

/// No limit on a whole request, which may carry gigabytes: [`patiently`] limits the silence within it.
pub(super) fn client(allow_http: bool) -> ClientOptions {
    ClientOptions::new().with_allow_http(allow_http).with_connect_timeout(CONNECT).with_timeout_disabled()
}

pub(super) fn retries() -> RetryConfig {
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY_FOR }
}

/// A tag as headers have it; Azure leaves the quotes out where it lists.
fn quoted(etag: String) -> String {
    if etag.ends_with('"') { etag } else { format!("\"{etag}\"") }
}

impl Bucket {
    fn key(&self, path: &str) -> Result<Path, CopyError> {
        Path::parse(key(&self.prefix, path)).map_err(|error| {
            CopyError::config(
                format!("`{}` is not a key: {error}", self.label(path)),
                format!("{}://bucket/raw/a.csv", self.scheme),
            )
        })
    }

    fn facts(&self, object: ObjectMeta) -> FileFacts {
        let key = object.location.to_string();
        let path = match self.prefix.trim_matches('/') {
            "" => key,
            prefix => key.strip_prefix(prefix).unwrap_or(&key).trim_start_matches('/').to_owned(),
        };
        let modified = jiff::Timestamp::from_second(object.last_modified.timestamp()).ok();
        FileFacts { path, size: Some(object.size), modified, etag: object.e_tag.map(quoted) }
    }

    fn read_failed(&self, path: &str, error: &object_store::Error) -> CopyError {
        if matches!(error, object_store::Error::Precondition { .. }) {
            return changed(self.label(path));
        }
        let Failure { message, transient } = Failure::of(error, &self.name, &self.secrets);
        // Where the client itself went on after a break, the server's word is all that is left of the kind of error.
        if CONDITION_FAILED.iter().any(|code| message.contains(code)) {
            return changed(self.label(path));
        }
        CopyError::Read { what: self.label(path), message, transient }
    }

    /// What sends an object while it comes, if this one is not so small that it is in memory anyway.
    fn puts_whole(&self, new: &NewFile) -> Option<(&BlobPuts, u64)> {
        self.puts.as_ref().zip(new.size.filter(|size| *size > PART && *size <= blob_put::MOST))
    }

    fn write_failed(&self, path: &str, error: &object_store::Error) -> CopyError {
        let Failure { message, transient } = Failure::of(error, &self.name, &self.secrets);
        CopyError::Write { what: self.label(path), message, transient }
    }
}

#[async_trait]
impl FileStore for Bucket {
    fn label(&self, path: &str) -> String {
        label(self.scheme, &self.name, &self.prefix, path)
    }

    fn noun(&self) -> &'static str {
        "object"
    }

    async fn list(&self, folder: &str, _: Option<usize>) -> Result<Vec<FileFacts>, CopyError> {
        // Only whole parts of a key are a prefix here, so `flights` does not find `flights-old`.
        let below = self.key(folder)?;
        let mut objects = self.store.list(Some(&below));
        let mut found = Vec::new();
        while let Some(object) =
            patiently(SILENCE, objects.try_next()).await.map_err(|error| self.read_failed(folder, &error))?
        {
            found.push(self.facts(object));
        }
        Ok(found)
    }

    async fn read(&self, path: &str, from: u64, seen: Option<&FileFacts>) -> Result<Opened, CopyError> {
        let mut options =
            GetOptions { if_match: seen.and_then(|facts| facts.etag.clone()), ..GetOptions::default() };
        if from > 0 {
            options.range = Some(GetRange::Offset(from));
        }
        let answer = patiently(SILENCE, self.store.get_opts(&self.key(path)?, options)).await;
        let answer = answer.map_err(|error| self.read_failed(path, &error))?;
        let facts = self.facts(answer.meta.clone());
        let nature = Nature { attributes: answer.attributes.clone(), mode: None };
        let (bucket, path) = (self.clone(), path.to_owned());
        let pieces = answer.into_stream();
        let bytes = pieces.map(move |piece| piece.map_err(|error| bucket.read_failed(&path, &error)));
        Ok(Opened { facts, nature, bytes: bytes.boxed() })
    }

    async fn begin(&self, path: &str, new: &NewFile) -> Result<Box<dyn StagedFile>, CopyError> {
        if let Some((puts, size)) = self.puts_whole(new) {
            return puts.begin((&self.key(path)?, self.label(path)), size, new).await;
        }
        Ok(Box::new(Upload {
            bucket: self.clone(),
            path: path.to_owned(),
            key: self.key(path)?,
            part: usize::try_from(part_size(new)).unwrap_or(usize::MAX),
            at_once: new.parts_at_once.max(1),
            attributes: new.nature.attributes.clone(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            digests: (self.scheme == "s3").then(Vec::new),
            parts: None,
            sending: JoinSet::new(),
        }))
    }

    async fn delete(&self, path: &str) -> Result<(), CopyError> {
        match patiently(PATIENCE, self.store.delete(&self.key(path)?)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.write_failed(path, &error)),
        }
    }

    async fn copy_within(&self, file: &FileFacts, to: &str) -> Result<bool, CopyError> {
        if file.size.is_none_or(|size| size > MOST_COPIED) {
            return Ok(false);
        }
        let (from, to_key) = (self.key(&file.path)?, self.key(to)?);
        let copied = patiently(PATIENCE, self.store.copy(&from, &to_key)).await;
        copied.map(|()| true).map_err(|error| self.write_failed(to, &error))
    }

    fn md5(&self, facts: &FileFacts) -> Option<String> {
        // Of what is sent in parts it is a digest of digests, and has a `-`.
        let etag = facts.etag.as_deref().filter(|_| self.scheme == "s3")?.trim_matches('"');
        let is_digest = etag.len() == 32 && etag.chars().all(|digit| digit.is_ascii_hexdigit());
        is_digest.then(|| etag.to_lowercase())
    }

    fn room(&self, new: &NewFile) -> u64 {
        if self.puts_whole(new).is_some() {
            return 2 * 1024 * 1024;
        }
        let parts = part_size(new).saturating_mul(new.parts_at_once.max(1) as u64 + 1);
        new.size.map_or(parts, |size| size.min(parts))
    }

    fn at_once(&self) -> usize {
        8
    }
}

/// Bytes of a part; a bigger object has bigger ones, because there is a most of parts.
fn part_size(new: &NewFile) -> u64 {
    PART.max(new.size.unwrap_or_default().div_ceil(MOST_PARTS))
}

/// An object on its way: in one piece if it is small, else in parts of which some are sent at once.
struct Upload {
    bucket: Bucket,
    path: String,
    key: Path,
    part: usize,
    at_once: usize,
    attributes: Attributes,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    /// The MD5 of each part that was sent, where the store's tag is made of them.
    digests: Option<Vec<[u8; 16]>>,
    parts: Option<Box<dyn MultipartUpload>>,
    /// Ends with this.
    sending: JoinSet<object_store::Result<()>>,
}

impl Upload {
    fn failed(&self, error: &object_store::Error) -> CopyError {
        self.bucket.write_failed(&self.path, error)
    }

    async fn sent(&mut self) -> Result<(), CopyError> {
        match self.sending.join_next().await {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(self.failed(&error)),
            Some(Err(error)) => Err(CopyError::write(self.bucket.label(&self.path), &error)),
        }
    }

    /// Sends what waits as a part.
    async fn send(&mut self) -> Result<(), CopyError> {
        while self.sending.len() >= self.at_once {
            self.sent().await?;
        }
        let part = self.next_payload();
        if self.parts.is_none() {
            let options =
                PutMultipartOptions { attributes: self.attributes.clone(), ..PutMultipartOptions::default() };
            let begun = self.bucket.store.put_multipart_opts(&self.key, options);
            let begun = patiently(PATIENCE, begun).await;
            self.parts = Some(begun.map_err(|error| self.failed(&error))?);
        }
        if let Some(parts) = &mut self.parts {
            let request = parts.put_part(part);
            self.sending.spawn(patiently(PATIENCE, request));
        }
        Ok(())
    }

    /// What waits, as it is sent.
    fn next_payload(&mut self) -> PutPayload {
        self.waiting_bytes = 0;
        let pieces = std::mem::take(&mut self.waiting);
        if let Some(digests) = &mut self.digests {
            let mut digest = Md5::new();
            pieces.iter().for_each(|piece| digest.update(piece));
            digests.push(digest.finalize().into());
        }
        pieces.into_iter().collect()
    }

    /// Compares the tag that the store has given with the one that it gives to what was sent.
    fn receipt(&self, put: &PutResult) -> Receipt {
        let Some(digests) = &self.digests else {
            return Receipt::Silent("the store tells no digest of what it has taken");
        };
        let Some(etag) = put.e_tag.as_deref().map(|etag| etag.trim_matches('"').to_lowercase()) else {
            return Receipt::Silent("the store has given no etag");
        };
        let expected = match digests.as_slice() {
            [only] if self.parts.is_none() => hex::encode(only),
            parts => {
                let mut digest = Md5::new();
                parts.iter().for_each(|part| digest.update(part));
                format!("{}-{}", hex::encode(digest.finalize()), parts.len())
            }
        };
        if etag == expected {
            Receipt::Agrees("its etag is the MD5 of what was sent")
        } else {
            Receipt::Differs("its etag is not the MD5 of what was sent")
        }
    }
}

#[async_trait]
impl StagedFile for Upload {
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), CopyError> {
        // The last part is sent when it is known to be the last, since an object of one part is sent otherwise.
        while self.waiting_bytes + bytes.len() > self.part {
            let rest = bytes.split_off(self.part - self.waiting_bytes);
            self.waiting.push(bytes);
            self.send().await?;
            bytes = rest;
        }
        if !bytes.is_empty() {
            self.waiting_bytes += bytes.len();
            self.waiting.push(bytes);
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<Receipt, CopyError> {
        let committed = self.finish().await;
        if committed.is_err() {
            self.abort().await;
        }
        committed
    }

    async fn abort(mut self: Box<Self>) {
        self.sending.abort_all();
        while self.sending.join_next().await.is_some() {}
        if let Some(parts) = &mut self.parts
            && let Err(error) = patiently(Duration::from_secs(20), parts.abort()).await
        {
            // The copy's own error is the one to tell; the bucket's lifecycle rules discard the parts.
            let error = self.bucket.write_failed(&self.path, &error);
            tracing::warn!(%error, "the parts of an upload could not be discarded");
        }
    }
}

impl Upload {
    async fn finish(&mut self) -> Result<Receipt, CopyError> {
        if self.parts.is_none() {
            let options = PutOptions { attributes: self.attributes.clone(), ..PutOptions::default() };
            let payload = self.next_payload();
            let put = self.bucket.store.put_opts(&self.key, payload, options);
            let put = patiently(PATIENCE, put).await.map_err(|error| self.failed(&error))?;
            return Ok(self.receipt(&put));
        }
        if !self.waiting.is_empty() {
            self.send().await?;
        }
        while !self.sending.is_empty() {
            self.sent().await?;
        }
        let Some(parts) = &mut self.parts else { return Ok(Receipt::Silent("nothing was sent")) };
        let completed = patiently(PATIENCE, parts.complete()).await;
        let completed = completed.map_err(|error| self.failed(&error))?;
        Ok(self.receipt(&completed))
    }
}

/// Waits for an answer, but not for ever.
async fn patiently<T>(
    limit: Duration,
    answer: impl Future<Output = object_store::Result<T>>,
) -> object_store::Result<T> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(silence) => Err(object_store::Error::Generic { store: "bucket", source: Box::new(silence) }),
    }
}
