//! The example workspace that is part of the program.

use std::path::Path;

use anyhow::Result;

use crate::workspace::MARK;

include!(concat!(env!("OUT_DIR"), "/example.rs"));

/// Name of the example's pipeline.
pub(crate) const PIPELINE: &str = "flights";

/// Writes the example into `folder`. A workspace that is there already stays as it is, since its user may have changed it.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn unpack(folder: &Path) -> Result<bool> {
    if folder.join(MARK).exists() {
        return Ok(false);
    }
    // The mark comes last: a folder with it has everything.
    let (mark, rest): (Vec<_>, Vec<_>) = FILES.iter().partition(|(path, _)| *path == MARK);
    for (path, content) in rest.into_iter().chain(mark) {
        let target = folder.join(path);
        if let Some(parent) = target.parent() {
            fs_err::create_dir_all(parent)?;
        }
        fs_err::write(&target, content)?;
    }
    Ok(true)
}
