//! Files below the artifact folder: safe paths, whole writes, listings.

use std::path::{Path, PathBuf};

use axum::body::BodyDataStream;
use axum::http::StatusCode;
use futures::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use super::error::MlflowError;

/// Folder of files that are being written, beside the runs' folders.
const STAGING: &str = ".staging";
/// Longest path, bytes; file systems take 255 for each part.
const LONGEST: usize = 4_000;

/// A path below the artifact folder that cannot leave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inside(String);

impl Inside {
    /// Refuses absolute paths, `..`, signs that clients read differently, and what becomes one of these when it is decoded again.
    pub(super) fn new(path: &str) -> Result<Self, MlflowError> {
        let mut decoded = path.to_owned();
        // Each round shortens the text, so this ends.
        loop {
            if !is_plain(&decoded) {
                return Err(MlflowError::invalid(format!("Invalid path: {path}")));
            }
            let next = decode_once(&decoded);
            if next == decoded {
                break;
            }
            decoded = next;
        }
        Ok(Self(path.trim_end_matches('/').to_owned()))
    }

    /// A path below this one.
    pub(super) fn join(&self, path: &str) -> Result<Self, MlflowError> {
        let (base, path) = (self.0.as_str(), path.trim_end_matches('/'));
        match (base.is_empty(), path.is_empty()) {
            (_, true) => Ok(self.clone()),
            (true, false) => Self::new(path),
            (false, false) => {
                Self::new(path)?;
                Self::new(&format!("{base}/{path}"))
            }
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Where it lies.
    pub(super) fn under(&self, root: &Path) -> PathBuf {
        if self.0.is_empty() { root.to_owned() } else { root.join(&self.0) }
    }
}

fn is_plain(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    path.is_empty()
        || (path.len() <= LONGEST
            && !path.contains(['\\', '#', '\0', '\n', '\r'])
            && !path.starts_with(STAGING)
            && path.split('/').all(|part| !matches!(part, "" | "." | "..")))
}

/// Decodes `%41`; what is no such sign stays.
pub(super) fn decode_once(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What an I/O error says to the client.
pub(super) fn refused(path: &str, error: &std::io::Error) -> MlflowError {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => MlflowError::absent(format!("No such artifact: '{path}'")),
        ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::DirectoryNotEmpty
        | ErrorKind::AlreadyExists => {
            MlflowError::invalid(format!("'{path}' is a folder, or lies below a file"))
        }
        ErrorKind::InvalidFilename => MlflowError::invalid(format!("'{path}' is no name of a file")),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            let message = "The disk of the server is full; nothing was stored.";
            MlflowError::new(StatusCode::INSUFFICIENT_STORAGE, "INTERNAL_ERROR", message)
        }
        _ => MlflowError::internal(error),
    }
}

/// A file that is being written; it is gone if it is not kept.
struct Staged(PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        fs_err::remove_file(&self.0).ok();
    }
}

/// Streams a body into a file that appears whole or not at all. `id` names what is not whole yet.
pub(super) async fn write(
    root: &Path,
    path: &Inside,
    id: &str,
    mut body: BodyDataStream,
) -> Result<(), MlflowError> {
    let failed = |error: std::io::Error| refused(path.as_str(), &error);
    let staging = root.join(STAGING);
    fs_err::tokio::create_dir_all(&staging).await.map_err(failed)?;
    let staged = Staged(staging.join(id));
    let mut file = fs_err::tokio::File::create(&staged.0).await.map_err(failed)?;
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| {
            let message = format!("The upload broke off: {error}");
            MlflowError::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
        })?;
        file.write_all(&part).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    file.sync_all().await.map_err(failed)?;
    drop(file);
    let target = path.under(root);
    if let Some(folder) = target.parent() {
        fs_err::tokio::create_dir_all(folder).await.map_err(failed)?;
    }
    fs_err::tokio::rename(&staged.0, &target).await.map_err(failed)
}

/// A file or a folder in a folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) is_dir: bool,
    pub(crate) size_bytes: u64,
}

/// What lies in a folder, by name; nothing if there is none.
pub(super) async fn list(root: &Path, path: &Inside) -> Result<Vec<Entry>, MlflowError> {
    use std::io::ErrorKind;
    let mut found = Vec::new();
    let mut entries = match fs_err::tokio::read_dir(path.under(root)).await {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(found);
        }
        Err(error) => return Err(refused(path.as_str(), &error)),
    };
    while let Some(entry) = entries.next_entry().await.map_err(|error| refused(path.as_str(), &error))? {
        // A file may be gone by now.
        let Ok(facts) = entry.metadata().await else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        if (facts.is_dir() || facts.is_file()) && !(path.as_str().is_empty() && name == STAGING) {
            found.push(Entry { name, is_dir: facts.is_dir(), size_bytes: facts.len() });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leaves_the_folder() {
        for path in ["", "a", "a/b.txt", "a b/ü", "100%", "a%20b", "a/"] {
            assert!(Inside::new(path).is_ok(), "{path}");
        }
        for path in [
            "/etc/passwd",
            "..",
            "a/../..",
            "a//b",
            "%2e%2e/a",
            "a/%2e%2e",
            "%252e%252e/a",
            "%2Fetc",
            "a\\b",
            "a#b",
            "a%23b",
            "./a",
            ".staging/x",
            "a\0b",
            "a%00",
        ] {
            assert!(Inside::new(path).is_err(), "{path}");
        }
        assert_eq!(Inside::new("run").unwrap().join("model/").unwrap().as_str(), "run/model");
        assert!(Inside::new("run").unwrap().join("../other").is_err());
    }

    #[tokio::test]
    async fn a_file_appears_whole_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = Inside::new("run/a/b.txt").unwrap();
        let body = axum::body::Body::from("content").into_data_stream();
        write(folder.path(), &path, "1", body).await.unwrap();
        assert_eq!(std::fs::read(folder.path().join("run/a/b.txt")).unwrap(), b"content");
        let broken = futures::stream::iter([Ok("half"), Err(std::io::Error::other("gone"))]);
        let body = axum::body::Body::from_stream(broken).into_data_stream();
        assert!(write(folder.path(), &path, "2", body).await.is_err());
        assert_eq!(std::fs::read(folder.path().join("run/a/b.txt")).unwrap(), b"content");
        let below = Inside::new("run/a/b.txt/c").unwrap();
        let body = axum::body::Body::from("x").into_data_stream();
        assert!(write(folder.path(), &below, "3", body).await.is_err());
        assert_eq!(std::fs::read_dir(folder.path().join(STAGING)).unwrap().count(), 0);
        let root = list(folder.path(), &Inside::new("").unwrap()).await.unwrap();
        assert_eq!(root.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["run"]);
    }
}
