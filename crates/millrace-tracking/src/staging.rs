//! Where files are written before they are renamed to their place.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Folder beside the runs' artifacts, the models and the datasets, that holds what is not whole yet.
const STAGING: &str = ".staging";

/// A new path in the staging folder of `root`, on the same file system as everything below `root`.
pub(crate) fn stage(root: &Path) -> std::io::Result<PathBuf> {
    let folder = root.join(STAGING);
    fs_err::create_dir_all(&folder)?;
    Ok(folder.join(uuid::Uuid::now_v7().simple().to_string()))
}

/// Removes what a process that was killed left half-written. Only for the one that holds the workspace, before it writes anything.
///
/// `storage`: the folder that [`Catalog`](crate::Catalog) was given.
///
/// # Errors
/// Whatever the file system says.
pub fn clear_staging(storage: &Path) -> std::io::Result<()> {
    for root in ["artifacts", "models", "datasets"] {
        match fs_err::remove_dir_all(storage.join(root).join(STAGING)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
