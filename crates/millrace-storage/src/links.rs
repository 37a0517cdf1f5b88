//! Links among the files of a folder: a step may leave them, nothing follows one out of the folder.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::StorageError;
use crate::path::FilePath;

/// Refuses a file or folder whose folders lead out of the root; the last part may be a link, which is then meant itself.
pub(crate) async fn refuse_way_out(root: &Path, inside: &FilePath) -> Result<(), StorageError> {
    match inside.under(root).parent() {
        Some(folder) if !inside.is_root() => refuse_elsewhere(root, folder.to_owned(), inside).await,
        _ => Ok(()),
    }
}

/// The same for a folder that is to be listed: it must not be such a link itself.
pub(crate) async fn refuse_folder_outside(root: &Path, inside: &FilePath) -> Result<(), StorageError> {
    refuse_elsewhere(root, inside.under(root), inside).await
}

async fn refuse_elsewhere(root: &Path, folder: PathBuf, inside: &FilePath) -> Result<(), StorageError> {
    let (root, told) = (root.to_owned(), inside.clone());
    let checked = tokio::task::spawn_blocking(move || check(&root, folder, &told));
    checked.await.map_err(|error| StorageError::io(inside.as_str(), &std::io::Error::other(error)))?
}

/// Whether a folder, or the nearest one above it that is there, lies below the root.
pub(crate) fn check(root: &Path, mut folder: PathBuf, inside: &FilePath) -> Result<(), StorageError> {
    loop {
        match fs_err::canonicalize(&folder) {
            Ok(real) => {
                let root = fs_err::canonicalize(root);
                let root = root.map_err(|error| StorageError::io(inside.as_str(), &error))?;
                if real.starts_with(&root) {
                    return Ok(());
                }
                return Err(StorageError::NotFound { path: inside.to_string() });
            }
            // Not made yet: what will be is decided by the nearest folder that is there. A link to nothing is none.
            Err(error) if error.kind() == ErrorKind::NotFound && folder.as_path() != root => {
                match fs_err::symlink_metadata(&folder) {
                    // Made since it was looked for, by another writer.
                    Ok(facts) if !facts.is_symlink() => {}
                    Err(_) if folder.pop() => {}
                    _ => return Err(StorageError::io(inside.as_str(), &error)),
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StorageError::io(inside.as_str(), &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn a_link_is_not_followed_out() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir_all(root.path().join("run/sub")).unwrap();
        symlink(outside.path(), root.path().join("run/out")).unwrap();
        symlink("/nowhere/at/all", root.path().join("run/broken")).unwrap();
        symlink("sub", root.path().join("run/in")).unwrap();
        let inside = |path: &str| FilePath::new(path).unwrap();
        for path in ["", "run", "run/a", "run/out", "run/broken", "run/in/a", "new/a/b"] {
            assert!(refuse_way_out(root.path(), &inside(path)).await.is_ok(), "{path}");
        }
        for path in ["run/out/a", "run/out/new/a", "run/broken/a"] {
            assert!(refuse_way_out(root.path(), &inside(path)).await.is_err(), "{path}");
        }
        assert!(refuse_folder_outside(root.path(), &inside("run/out")).await.is_err());
        assert!(refuse_folder_outside(root.path(), &inside("run/in")).await.is_ok());
    }

    /// Both look for a folder that neither has made yet.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_folder_that_another_writer_makes_meanwhile_is_no_link() {
        let root = tempfile::tempdir().unwrap();
        for round in 0..2_000 {
            let folder = root.path().join(format!("run/{round}"));
            let file = FilePath::new(&format!("run/{round}/a")).unwrap();
            let maker = tokio::task::spawn_blocking(move || std::fs::create_dir_all(folder).unwrap());
            let checks = std::iter::repeat_with(|| refuse_way_out(root.path(), &file)).take(3);
            let checked = futures::future::join_all(checks).await;
            maker.await.unwrap();
            assert!(checked.iter().all(Result::is_ok), "round {round}: {checked:?}");
        }
    }
}
