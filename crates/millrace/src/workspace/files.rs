//! Whether files changed that pipelines and calendars are read from, without reading them.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
        let mut files = self.yaml_files(PIPELINES);
        files.extend(self.yaml_files(CALENDARS));
        files.extend(self.seen.included.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        for file in files {
            file.hash(&mut hasher);
            if let Ok(about) = fs_err::metadata(self.root.join(&file)) {
                (about.len(), about.modified().ok()).hash(&mut hasher);
            }
        }
        let looks = self.seen.looks.fetch_add(1, Ordering::Relaxed);
        if self.seen.wrong.load(Ordering::Relaxed) {
            (looks / LOOKS_AT_WRONG).hash(&mut hasher);
        }
        hasher.finish()
    }
}
