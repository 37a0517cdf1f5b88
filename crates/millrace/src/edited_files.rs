//! Files of the workspace that the web UI changes: whole or not at all, and never over what somebody else wrote meanwhile.

use std::path::{Path, PathBuf};

use millrace_spec::problem::Problem;

use crate::workspace::read;

/// Changes with the text of a file.
pub(crate) fn etag(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().chars().take(32).collect()
}

/// The text of a file, if there is one.
pub(crate) fn present(root: &Path, file: &str) -> Result<Option<String>, Problem> {
    use millrace_contract::Explain as _;
    if !root.join(file).exists() {
        return Ok(None);
    }
    read(root, file).map(Some).map_err(|error| error.problem())
}

/// Why a file, or a new one in its folder, cannot be written.
pub(crate) fn read_only(root: &Path, file: &str) -> Option<String> {
    let target = root.join(file);
    let is_locked = |path: &Path| fs_err::metadata(path).is_ok_and(|about| about.permissions().readonly());
    let folder = target.ancestors().skip(1).find(|folder| folder.exists())?;
    if is_locked(&target) {
        return Some(format!("`{file}` is not writable"));
    }
    is_locked(folder).then(|| format!("the folder of `{file}` is not writable"))
}

/// Writes a file in place of the text with that etag; without one, only if there is no file yet.
pub(crate) fn write(root: &Path, file: &str, text: &str, expected: Option<&str>) -> Result<(), Problem> {
    let now = present(root, file)?;
    if now.as_deref().map(etag).as_deref() != expected {
        let message = match (now, expected) {
            (Some(_), None) => format!("there is a `{file}` already"),
            (None, _) => format!("`{file}` is gone"),
            _ => format!("`{file}` has another text since it was read"),
        };
        return Err(Problem::error("changed-meanwhile", message).hint("read it again, then change it"));
    }
    if let Some(why) = read_only(root, file) {
        return Err(Problem::error("read-only", why));
    }
    replace(&followed(root.join(file)), text).map_err(|error| {
        Problem::error("unwritable-file", format!("cannot write `{file}`")).note(error.to_string())
    })
}

/// Where a link leads; a file that is none, or is not there yet, is itself.
fn followed(path: PathBuf) -> PathBuf {
    fs_err::canonicalize(&path).unwrap_or(path)
}

fn replace(target: &Path, text: &str) -> std::io::Result<()> {
    let folder = target.parent().unwrap_or_else(|| Path::new("."));
    fs_err::create_dir_all(folder)?;
    let mut staged = tempfile::Builder::new().prefix(".staged-").suffix(".tmp").tempfile_in(folder)?;
    std::io::Write::write_all(&mut staged, text.as_bytes())?;
    staged.as_file().sync_all()?;
    let rights = match fs_err::metadata(target) {
        Ok(about) => about.permissions(),
        Err(_) => std::os::unix::fs::PermissionsExt::from_mode(0o644),
    };
    staged.as_file().set_permissions(rights)?;
    staged.persist(target).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_replaces_only_the_one_it_was_made_from() {
        let root = tempfile::tempdir().unwrap();
        let write = |text: &str, expected: Option<&str>| {
            write(root.path(), "flows/a.yaml", text, expected).map_err(|problem| problem.message)
        };
        assert_eq!(write("one", None), Ok(()));
        assert_eq!(write("two", None), Err("there is a `flows/a.yaml` already".to_owned()));
        assert_eq!(write("two", Some(&etag("one"))), Ok(()));
        assert!(write("three", Some(&etag("one"))).unwrap_err().contains("another text"));
        assert_eq!(fs_err::read_to_string(root.path().join("flows/a.yaml")).unwrap(), "two");
        let left: Vec<_> = fs_err::read_dir(root.path().join("flows")).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
