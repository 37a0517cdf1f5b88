//! Whether files changed that pipelines and calendars are read from, without reading them.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use super::{CheckedFile, PIPELINES, Workspace};
use crate::declared::CALENDARS;

/// Looks after which files that have errors are read again although none of them changed: what they name may be there by now.
const LOOKS_AT_WRONG: u64 = 6;

/// What is known of the files that were read last.
#[derive(Debug, Default)]
pub(super) struct SeenFiles {
    /// Files that others include.
    included: Mutex<BTreeSet<String>>,
    /// Whether one had errors.
    wrong: AtomicBool,
    looks: AtomicU64,
}

impl SeenFiles {
    /// Notes that a file was included.
    pub(super) fn include(&self, path: &str) {
        self.included.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
    }

    /// Notes what was found in all pipeline files.
    pub(super) fn checked(&self, files: &[CheckedFile]) {
        self.wrong.store(files.iter().any(CheckedFile::has_errors), Ordering::Relaxed);
    }
}

impl Workspace {
    /// Another number whenever one of the files changed.
    pub(super) fn stamp_files(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        [PIPELINES, CALENDARS].map(|folder| self.stamp_folder(folder)).hash(&mut hasher);
        let included = self.seen.included.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for file in included {
            (&file, fs_err::metadata(self.root.join(&file)).ok().map(changes)).hash(&mut hasher);
        }
        let looks = self.seen.looks.fetch_add(1, Ordering::Relaxed);
        if self.seen.wrong.load(Ordering::Relaxed) {
            (looks / LOOKS_AT_WRONG).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The sum of what the folder's files are like, in whichever order they come: a server with a hundred of them asks every few seconds.
    fn stamp_folder(&self, folder: &str) -> u64 {
        let Ok(entries) = fs_err::read_dir(self.root.join(folder)) else { return 0 };
        let entries = entries.flatten().map(|entry| (entry.file_name(), entry));
        let files = entries.filter(|(name, _)| is_yaml(Path::new(name))).map(|(name, entry)| {
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            // By the folder that is open; what a link leads to, by its path.
            let about = if is_link { fs_err::metadata(entry.path()) } else { entry.metadata() };
            let mut hasher = DefaultHasher::new();
            (name, about.ok().map(changes)).hash(&mut hasher);
            hasher.finish()
        });
        files.fold(0, u64::wrapping_add)
    }
}

/// Bytes and time of a file.
fn changes(about: Metadata) -> (u64, Option<SystemTime>) {
    (about.len(), about.modified().ok())
}

/// Whether a file is one of definitions, by its name.
pub(super) fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}
