//! Uploads whose parts lie in a folder of this machine.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::SystemTime;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};

use super::{PartReceipt, UploadError};
use crate::StorageError;
use crate::local::{Folder, Staged, write_synced};
use crate::path::{FilePath, UPLOADS};

pub(super) async fn put_local<S, E>(
    local: &Folder,
    id: &str,
    number: u32,
    shown: &FilePath,
    body: S,
) -> Result<PartReceipt, UploadError>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: Display,
{
    let staged = local.stage().map_err(|error| StorageError::io(shown.as_str(), &error))?;
    let mut hasher = blake3::Hasher::new();
    let body = body.inspect(|part| {
        if let Ok(part) = part {
            hasher.update(part);
        }
    });
    let size_bytes = write_synced(&staged.0, shown, body).await?;
    let etag = hasher.finalize().to_hex().as_str().get(..32).unwrap_or_default().to_owned();
    // The name says everything, so that a part and its receipt cannot differ.
    let name = format!("{UPLOADS}/{id}/{number}-{etag}");
    let before = list_local(local, id).await?.remove(&number);
    place_own(local, &staged, &name).await?;
    if let Some(before) = before.filter(|before| before.etag != etag) {
        let path = local.root().join(format!("{UPLOADS}/{id}/{number}-{}", before.etag));
        fs_err::tokio::remove_file(path).await.ok();
    }
    Ok(PartReceipt { number, etag, size_bytes })
}

pub(super) async fn place_own(local: &Folder, staged: &Staged, path: &str) -> Result<(), StorageError> {
    let failed = |error: std::io::Error| StorageError::io(path, &error);
    let target = local.root().join(path);
    if let Some(folder) = target.parent() {
        fs_err::tokio::create_dir_all(folder).await.map_err(failed)?;
    }
    fs_err::tokio::rename(&staged.0, &target).await.map_err(failed)
}

pub(super) async fn list_local(local: &Folder, id: &str) -> Result<BTreeMap<u32, PartReceipt>, StorageError> {
    let failed = |error: std::io::Error| StorageError::io(id, &error);
    let mut found: BTreeMap<u32, (SystemTime, PartReceipt)> = BTreeMap::new();
    let mut entries = fs_err::tokio::read_dir(local.root().join(UPLOADS).join(id)).await.map_err(failed)?;
    while let Some(entry) = entries.next_entry().await.map_err(failed)? {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((number, etag)) = name.split_once('-') else { continue };
        let (Ok(number), Ok(facts)) = (number.parse(), entry.metadata().await) else { continue };
        let changed = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        // A kill between the two left the part that was replaced.
        if found.get(&number).is_none_or(|(other, _)| changed > *other) {
            let receipt = PartReceipt { number, etag: etag.to_owned(), size_bytes: facts.len() };
            found.insert(number, (changed, receipt));
        }
    }
    Ok(found.into_iter().map(|(number, (_, receipt))| (number, receipt)).collect())
}

pub(super) async fn join_local(
    local: &Folder,
    id: &str,
    path: &FilePath,
    parts: &[PartReceipt],
) -> Result<u64, StorageError> {
    let folder = local.root().join(UPLOADS).join(id);
    let files: Vec<_> =
        parts.iter().map(|part| folder.join(format!("{}-{}", part.number, part.etag))).collect();
    let staged = local.stage().map_err(|error| StorageError::io(path.as_str(), &error))?;
    let target = staged.0.clone();
    let joined = tokio::task::spawn_blocking(move || -> std::io::Result<u64> {
        let mut whole = fs_err::File::create(target)?;
        let mut size = 0;
        for file in files {
            // The kernel copies, and where the file system can, it shares the blocks.
            size += std::io::copy(fs_err::File::open(file)?.file_mut(), whole.file_mut())?;
        }
        whole.sync_all()?;
        Ok(size)
    });
    let joined = joined.await.map_err(std::io::Error::other).flatten();
    let size = joined.map_err(|error| StorageError::io(path.as_str(), &error))?;
    local.place(staged, path).await?;
    Ok(size)
}

/// When something of each upload changed last.
pub(super) async fn newest_local(local: &Folder) -> Result<BTreeMap<String, SystemTime>, StorageError> {
    let failed = |error: std::io::Error| StorageError::io(UPLOADS, &error);
    let mut found = BTreeMap::new();
    let mut folders = match fs_err::tokio::read_dir(local.root().join(UPLOADS)).await {
        Ok(folders) => folders,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(failed(error)),
    };
    while let Some(folder) = folders.next_entry().await.map_err(failed)? {
        // A file that comes or goes changes its folder.
        if let Ok(changed) = folder.metadata().await.and_then(|facts| facts.modified()) {
            found.insert(folder.file_name().to_string_lossy().into_owned(), changed);
        }
    }
    Ok(found)
}
