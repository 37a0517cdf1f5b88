//! Files that come in parts, in any order and several at once. What has come stays until the upload is finished, aborted or too old, also
//! over a restart, so that a client can go on where it stopped.
//!
//! An upload is a folder of our own in the storage: `.uploads/<id>/upload.json` and one file a part. In a folder of this machine that is
//! the part itself; in a bucket the part is in an upload of S3's, and the file holds its receipt.

mod local;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::{ObjectStore as _, ObjectStoreExt as _, PutPayload};
use serde::{Deserialize, Serialize};

use self::local::{join_local, list_local, newest_local, place_own, put_local};
use crate::StorageError;
use crate::bucket::{Bucket, answered, next_part};
use crate::local::write_synced;
use crate::path::{FilePath, UPLOADS};
use crate::storage::{Backend, Storage};

/// Most parts of an upload, S3's limit.
pub(crate) const MOST_PARTS: u32 = 10_000;
/// Largest part that goes to a bucket, bytes: it is held in memory meanwhile.
const LARGEST_PART: usize = 256 << 20;
/// Largest file of ours that says what an upload is, bytes.
const LARGEST_NOTE: u64 = 64 << 10;

/// A part that has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartReceipt {
    /// From 1.
    pub number: u32,
    /// What the one who finishes the upload may name the part's content by.
    pub etag: String,
    /// How many bytes it has.
    pub size_bytes: u64,
}

/// An upload that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Not to be guessed: who has it may send parts.
    pub id: String,
    /// Of the file that it becomes.
    pub path: String,
    /// S3's own id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket_id: Option<String>,
    /// How large the file became, once it is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_bytes: Option<u64>,
}

/// Why an upload does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// It was finished long ago, aborted, or never begun, or it is one of another file.
    #[error("there is no upload `{id}` of this file: begin one")]
    NoUpload {
        /// As it was given.
        id: String,
    },
    /// The number of a part is not one.
    #[error("a part's number is from 1 to {MOST_PARTS}, not {number}")]
    Number {
        /// As it was given.
        number: u32,
    },
    /// A part is larger than can be held in memory on its way to a bucket.
    #[error("part {number} is larger than {} MiB: send smaller ones", LARGEST_PART >> 20)]
    TooLarge {
        /// Of the part.
        number: u32,
    },
    /// The upload is to be finished, but a part did not come, or is not the one that is meant.
    #[error("part {number} {reason}")]
    Part {
        /// Of the part.
        number: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Storage {
    /// Begins the upload of a file.
    ///
    /// # Errors
    /// [`UploadError::Storage`].
    pub async fn begin_upload(&self, path: &FilePath) -> Result<Upload, UploadError> {
        if path.is_root() {
            return Err(StorageError::NotAFile { path: String::new() }.into());
        }
        // Two of them, since a time is a part of each.
        let id = format!("{}{}", uuid::Uuid::now_v7().simple(), uuid::Uuid::now_v7().simple());
        let mut upload = Upload { id, path: path.to_string(), bucket_id: None, finished_bytes: None };
        if let Backend::Bucket(bucket) = &self.backend {
            let begun = answered(bucket.store().create_multipart(&bucket.key(path.as_str())?)).await;
            upload.bucket_id = Some(begun.map_err(|error| bucket.failed(path.as_str(), &error))?);
        }
        self.note(&upload).await?;
        Ok(upload)
    }

    /// An upload that has begun.
    ///
    /// # Errors
    /// [`UploadError::NoUpload`].
    pub async fn find_upload(&self, id: &str) -> Result<Upload, UploadError> {
        let absent = || UploadError::NoUpload { id: id.to_owned() };
        if id.len() != 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(absent());
        }
        match self.read_note(&format!("{UPLOADS}/{id}/upload.json")).await {
            Ok(note) => serde_json::from_slice(&note).map_err(|_| absent()),
            Err(StorageError::NotFound { .. }) => Err(absent()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes in a part; a part of the same number that came before is replaced.
    ///
    /// # Errors
    /// [`UploadError`]; then the part has not come.
    pub async fn put_part<S, E>(&self, id: &str, number: u32, body: S) -> Result<PartReceipt, UploadError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Display,
    {
        if !(1..=MOST_PARTS).contains(&number) {
            return Err(UploadError::Number { number });
        }
        let upload = self.find_upload(id).await?;
        if upload.finished_bytes.is_some() {
            return Err(UploadError::NoUpload { id: id.to_owned() });
        }
        let shown = FilePath::new(&upload.path).unwrap_or_default();
        match &self.backend {
            Backend::Local(local) => put_local(local, id, number, &shown, body).await,
            Backend::Bucket(bucket) => self.put_to_bucket(bucket, &upload, number, &shown, body).await,
        }
    }

    /// The parts that have come, by number.
    ///
    /// # Errors
    /// [`UploadError::NoUpload`], [`UploadError::Storage`].
    pub async fn list_parts(&self, id: &str) -> Result<Vec<PartReceipt>, UploadError> {
        let upload = self.find_upload(id).await?;
        let parts = match &self.backend {
            Backend::Local(local) => list_local(local, id).await?,
            Backend::Bucket(bucket) => self.list_receipts(bucket, &upload.id).await?,
        };
        Ok(parts.into_values().collect())
    }

    /// Makes the file out of the parts, in the order of `parts`: numbers, each with the etag that it should have (empty for any). It
    /// appears whole or not at all. Finishing once more answers the same. Answers how many bytes the file has.
    ///
    /// # Errors
    /// [`UploadError`]; then the upload is as it was.
    pub async fn finish_upload(
        &self,
        id: &str,
        path: &FilePath,
        parts: &[(u32, String)],
    ) -> Result<u64, UploadError> {
        let mut upload = self.find_upload(id).await?;
        if upload.path != path.as_str() {
            return Err(UploadError::NoUpload { id: id.to_owned() });
        }
        if let Some(size) = upload.finished_bytes {
            return Ok(size);
        }
        let size = match &self.backend {
            Backend::Local(local) => {
                let there = list_local(local, id).await?;
                let chosen = choose(&there, parts)?;
                join_local(local, id, path, &chosen).await?
            }
            Backend::Bucket(bucket) => {
                let there = self.list_receipts(bucket, id).await?;
                let chosen = choose(&there, parts)?;
                finish_in_bucket(bucket, &upload, path, &chosen).await?
            }
        };
        upload.finished_bytes = Some(size);
        self.note(&upload).await?;
        self.drop_parts(id).await;
        Ok(size)
    }

    /// Forgets an upload and what came of it.
    ///
    /// # Errors
    /// [`UploadError::NoUpload`], [`UploadError::Storage`].
    pub async fn abort_upload(&self, id: &str, path: &FilePath) -> Result<(), UploadError> {
        let upload = self.find_upload(id).await?;
        if upload.path != path.as_str() {
            return Err(UploadError::NoUpload { id: id.to_owned() });
        }
        self.forget(&upload).await.map_err(UploadError::from)
    }

    /// Forgets uploads that nothing has come of for so long, finished or not. Answers how many.
    ///
    /// # Errors
    /// [`StorageError`] if they cannot be listed.
    #[allow(clippy::disallowed_methods, reason = "the times of files are the storage's")]
    pub async fn clear_uploads(&self, idle: Duration) -> Result<usize, StorageError> {
        let newest = match &self.backend {
            Backend::Local(local) => newest_local(local).await?,
            Backend::Bucket(bucket) => newest_in_bucket(bucket).await?,
        };
        let limit = SystemTime::now().checked_sub(idle).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut count = 0;
        for (id, changed) in newest {
            if changed >= limit {
                continue;
            }
            match self.find_upload(&id).await {
                Ok(upload) => self.forget(&upload).await?,
                // A folder without its note is one that was not begun or not forgotten to the end.
                Err(_) => self.remove_folder(&id).await?,
            }
            count += 1;
        }
        Ok(count)
    }

    async fn forget(&self, upload: &Upload) -> Result<(), StorageError> {
        if let (Backend::Bucket(bucket), Some(bucket_id), None) =
            (&self.backend, &upload.bucket_id, upload.finished_bytes)
        {
            let aborted = bucket.store().abort_multipart(&bucket.key(&upload.path)?, bucket_id).await;
            match aborted {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(bucket.failed(&upload.path, &error)),
            }
        }
        self.remove_folder(&upload.id).await
    }

    async fn put_to_bucket<S, E>(
        &self,
        bucket: &Bucket,
        upload: &Upload,
        number: u32,
        shown: &FilePath,
        mut body: S,
    ) -> Result<PartReceipt, UploadError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Display,
    {
        let bucket_id = upload.bucket_id.clone().unwrap_or_default();
        let (bytes, more) = next_part(&mut body, shown, LARGEST_PART).await?;
        if more {
            return Err(UploadError::TooLarge { number });
        }
        let size_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let index = usize::try_from(number - 1).unwrap_or_default();
        let key = bucket.key(&upload.path)?;
        let sent =
            answered(bucket.store().put_part(&key, &bucket_id, index, PutPayload::from_bytes(bytes))).await;
        let etag = sent.map_err(|error| bucket.failed(&upload.path, &error))?.content_id;
        let receipt = PartReceipt { number, etag, size_bytes };
        let note = serde_json::to_vec(&receipt).unwrap_or_default();
        self.write_own(&format!("{UPLOADS}/{}/{number}", upload.id), note.into()).await?;
        Ok(receipt)
    }

    async fn list_receipts(
        &self,
        bucket: &Bucket,
        id: &str,
    ) -> Result<BTreeMap<u32, PartReceipt>, StorageError> {
        let folder = format!("{UPLOADS}/{id}");
        let listed: Vec<_> = bucket
            .store()
            .list(Some(&bucket.key(&folder)?))
            .try_collect()
            .await
            .map_err(|error| bucket.failed(&folder, &error))?;
        let numbers: Vec<u32> =
            listed.iter().filter_map(|object| object.location.filename()?.parse().ok()).collect();
        let folder = &folder;
        futures::stream::iter(numbers)
            .map(|number| async move {
                let note = self.read_note(&format!("{folder}/{number}")).await?;
                Ok(serde_json::from_slice::<PartReceipt>(&note).ok().map(|receipt| (number, receipt)))
            })
            .buffer_unordered(16)
            .try_filter_map(|found| async move { Ok(found) })
            .try_collect()
            .await
    }

    async fn note(&self, upload: &Upload) -> Result<(), StorageError> {
        let note = serde_json::to_vec(upload).unwrap_or_default();
        self.write_own(&format!("{UPLOADS}/{}/upload.json", upload.id), note.into()).await
    }

    /// Writes a file of our own, to which no [`FilePath`] leads.
    async fn write_own(&self, path: &str, content: Bytes) -> Result<(), StorageError> {
        match &self.backend {
            Backend::Local(local) => {
                let failed = |error: std::io::Error| StorageError::io(path, &error);
                let staged = local.stage().map_err(failed)?;
                let body = futures::stream::iter([Ok::<_, std::convert::Infallible>(content)]);
                write_synced(&staged.0, &FilePath::default(), body).await?;
                place_own(local, &staged, path).await
            }
            Backend::Bucket(bucket) => {
                let put = bucket.store().put(&bucket.key(path)?, PutPayload::from_bytes(content)).await;
                put.map(drop).map_err(|error| bucket.failed(path, &error))
            }
        }
    }

    async fn read_note(&self, path: &str) -> Result<Vec<u8>, StorageError> {
        match &self.backend {
            Backend::Local(local) => {
                use tokio::io::AsyncReadExt as _;
                let failed = |error: std::io::Error| StorageError::io(path, &error);
                let file = fs_err::tokio::File::open(local.root().join(path)).await.map_err(failed)?;
                let mut note = Vec::new();
                file.take(LARGEST_NOTE).read_to_end(&mut note).await.map_err(failed)?;
                Ok(note)
            }
            Backend::Bucket(bucket) => {
                let failed = |error: object_store::Error| bucket.failed(path, &error);
                let found = bucket.store().get(&bucket.key(path)?).await.map_err(failed)?;
                Ok(found.bytes().await.map_err(failed)?.into())
            }
        }
    }

    /// What the parts took; the note stays. That it is not there any more is no failure.
    async fn drop_parts(&self, id: &str) {
        match &self.backend {
            Backend::Local(local) => {
                let folder = local.root().join(UPLOADS).join(id);
                let Ok(mut entries) = fs_err::tokio::read_dir(&folder).await else { return };
                while let Ok(Some(entry)) = entries.next_entry().await {
                    if entry.file_name() != "upload.json" {
                        fs_err::tokio::remove_file(entry.path()).await.ok();
                    }
                }
            }
            Backend::Bucket(bucket) => {
                let Ok(key) = bucket.key(&format!("{UPLOADS}/{id}")) else { return };
                let receipts = bucket.store().list(Some(&key)).map_ok(|object| object.location);
                let receipts = receipts
                    .try_filter(|path| std::future::ready(path.filename() != Some("upload.json")))
                    .boxed();
                let mut removed = bucket.store().delete_stream(receipts);
                while removed.next().await.is_some() {}
            }
        }
    }

    async fn remove_folder(&self, id: &str) -> Result<(), StorageError> {
        let path = format!("{UPLOADS}/{id}");
        match &self.backend {
            Backend::Local(local) => match fs_err::tokio::remove_dir_all(local.root().join(&path)).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(StorageError::io(&path, &error))
                }
                _ => Ok(()),
            },
            Backend::Bucket(bucket) => {
                let failed = |error: object_store::Error| bucket.failed(&path, &error);
                let below = bucket.store().list(Some(&bucket.key(&path)?)).map_ok(|object| object.location);
                bucket
                    .store()
                    .delete_stream(below.boxed())
                    .try_for_each(|_| async { Ok(()) })
                    .await
                    .map_err(failed)
            }
        }
    }
}

/// The parts that are meant, in their order.
fn choose(
    there: &BTreeMap<u32, PartReceipt>,
    parts: &[(u32, String)],
) -> Result<Vec<PartReceipt>, UploadError> {
    let wrong = |number: u32, reason: &str| UploadError::Part { number, reason: reason.to_owned() };
    if parts.is_empty() {
        return Err(wrong(1, "is missing: a file has one part at least"));
    }
    let mut chosen: Vec<PartReceipt> = Vec::with_capacity(parts.len());
    for (number, etag) in parts {
        if chosen.last().is_some_and(|last| last.number >= *number) {
            return Err(wrong(*number, "is named twice or out of order"));
        }
        let part = there.get(number).ok_or_else(|| wrong(*number, "did not come"))?;
        if !etag.is_empty() && etag.trim_matches('"') != part.etag.trim_matches('"') {
            return Err(wrong(*number, &format!("has the etag {}, not {etag}", part.etag)));
        }
        chosen.push(part.clone());
    }
    Ok(chosen)
}

async fn finish_in_bucket(
    bucket: &Bucket,
    upload: &Upload,
    path: &FilePath,
    parts: &[PartReceipt],
) -> Result<u64, UploadError> {
    for (index, part) in parts.iter().enumerate() {
        if usize::try_from(part.number).ok() != Some(index + 1) {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            return Err(UploadError::Part { number, reason: "did not come".to_owned() });
        }
    }
    let bucket_id = upload.bucket_id.clone().unwrap_or_default();
    let ids = parts.iter().map(|part| PartId { content_id: part.etag.clone() }).collect();
    let finished =
        answered(bucket.store().complete_multipart(&bucket.key(path.as_str())?, &bucket_id, ids)).await;
    finished.map_err(|error| bucket.failed(path.as_str(), &error))?;
    Ok(parts.iter().map(|part| part.size_bytes).sum())
}

async fn newest_in_bucket(bucket: &Bucket) -> Result<BTreeMap<String, SystemTime>, StorageError> {
    let failed = |error: object_store::Error| bucket.failed(UPLOADS, &error);
    let folder = bucket.key(UPLOADS)?;
    let mut found: BTreeMap<String, SystemTime> = BTreeMap::new();
    let mut objects = bucket.store().list(Some(&folder));
    while let Some(object) = objects.try_next().await.map_err(failed)? {
        let id = object.location.prefix_match(&folder).and_then(|mut parts| parts.next());
        let Some(id) = id.map(|id| id.as_ref().to_owned()) else { continue };
        let changed = SystemTime::from(object.last_modified);
        found.entry(id).and_modify(|newest| *newest = changed.max(*newest)).or_insert(changed);
    }
    Ok(found)
}
