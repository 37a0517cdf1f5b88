//! Paths that cannot leave the folder they are below.

use std::path::{Path, PathBuf};

/// Folders of what is not whole yet, in the root of a storage; no path leads there.
pub(crate) const STAGING: &str = ".staging";
pub(crate) const UPLOADS: &str = ".uploads";
/// Longest path, bytes; file systems take 255 for each part.
const LONGEST: usize = 4_000;

/// A path below the root of a storage, its parts divided by `/`; empty for the root itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FilePath(String);

/// A path that leads out of its folder, or that clients read differently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{path}` is not a path below the folder: no `..`, no empty part, no `\\`, no `#`, not absolute, at most {LONGEST} bytes"
)]
pub struct InvalidPath {
    /// As it was given.
    pub path: String,
}

impl FilePath {
    /// Refuses absolute paths, `..`, signs that clients read differently, and what becomes one of these when it is decoded again.
    ///
    /// # Errors
    /// [`InvalidPath`] if it is one of these.
    pub fn new(path: &str) -> Result<Self, InvalidPath> {
        let mut decoded = path.to_owned();
        // Each round shortens the text, so this ends.
        loop {
            if !is_plain(&decoded) {
                return Err(InvalidPath { path: path.to_owned() });
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
    ///
    /// # Errors
    /// [`InvalidPath`] if `path` leaves it.
    pub fn join(&self, path: &str) -> Result<Self, InvalidPath> {
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

    /// The text, without a `/` at its ends.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Its last part; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Where it lies below a folder of this machine.
    pub(crate) fn under(&self, root: &Path) -> PathBuf {
        if self.0.is_empty() { root.to_owned() } else { root.join(&self.0) }
    }
}

impl std::fmt::Display for FilePath {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn is_plain(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    path.is_empty()
        || (path.len() <= LONGEST
            && !path.contains(['\\', '#', '\0', '\n', '\r'])
            && !path.starts_with(STAGING)
            && !path.starts_with(UPLOADS)
            && path.split('/').all(|part| !matches!(part, "" | "." | "..")))
}

/// Decodes `%41` once; what is no such sign stays.
pub fn decode_once(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leaves_the_folder() {
        for path in ["", "a", "a/b.txt", "a b/ü", "100%", "a%20b", "a/"] {
            assert!(FilePath::new(path).is_ok(), "{path}");
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
            ".uploads/x",
            "a\0b",
            "a%00",
        ] {
            assert!(FilePath::new(path).is_err(), "{path}");
        }
        assert_eq!(FilePath::new("run").unwrap().join("model/").unwrap().as_str(), "run/model");
        assert!(FilePath::new("run").unwrap().join("../other").is_err());
    }
}
