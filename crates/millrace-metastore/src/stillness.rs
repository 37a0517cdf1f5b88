//! Rounds that are spared while nothing was committed.
//!
//! A loop that looks every few seconds for what others committed asks the same questions of the same rows all night. Whether a SQLite database
//! is still as it was, its files say by their sizes and times, without a question to it: every commit, whichever process makes it, is
//! written to the file of its write-ahead log (<https://www.sqlite.org/wal.html>).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::Metastore;

/// A file written so recently may be written again without a later time: file systems count in steps of some milliseconds.
const STEP: Duration = Duration::from_millis(100);
/// Rounds are spared for so long at most, for file systems that count in longer steps, and clocks that are set back.
const LONGEST: Duration = Duration::from_secs(30);

/// Whether a loop's last look is still good: nothing was committed since, and nothing became due by the mere passing of time.
#[derive(Debug)]
pub struct Stillness {
    /// The database and its log; absent where only a question tells, on PostgreSQL.
    files: Option<[PathBuf; 2]>,
    /// As the files were before the last look that [`Stillness::looked`] tells of.
    seen: Option<Seen>,
    /// As they were when last asked.
    now: Option<Stamp>,
}

#[derive(Debug)]
struct Seen {
    stamp: Stamp,
    at: Instant,
    /// When there is something to do though nothing changes; microseconds since 1970.
    due_at: Option<i64>,
}

/// Bytes and time of each file.
type Stamp = [Option<(u64, SystemTime)>; 2];

impl Metastore {
    /// For a loop that looks again and again.
    pub fn stillness(&self) -> Stillness {
        let files = self.sqlite_file().map(|file| {
            let mut log = file.as_os_str().to_owned();
            log.push("-wal");
            [file.to_owned(), log.into()]
        });
        Stillness { files, seen: None, now: None }
    }
}

impl Stillness {
    /// Whether a look at `now` (microseconds since 1970) would find what the last one found.
    pub fn holds(&mut self, now: i64) -> bool {
        let Some(files) = &self.files else { return false };
        self.now = stamp(files);
        let Some(seen) = &self.seen else { return false };
        self.now.as_ref() == Some(&seen.stamp)
            && seen.at.elapsed() < LONGEST
            && seen.due_at.is_none_or(|due_at| now < due_at)
    }

    /// The look after the last [`Stillness::holds`] is over and all it found is done. Next there is something to do at `due_at`
    /// (microseconds since 1970), unless something is committed.
    pub fn looked(&mut self, due_at: Option<i64>) {
        self.seen = self.now.take().map(|stamp| Seen { stamp, at: Instant::now(), due_at });
    }
}

/// Nothing if the files may still change without a sign of it.
#[allow(clippy::disallowed_methods, reason = "files get their times from the system's clock")]
fn stamp(files: &[PathBuf; 2]) -> Option<Stamp> {
    let settled = |file: &Path| -> Option<Option<(u64, SystemTime)>> {
        let metadata = match std::fs::metadata(file) {
            Ok(metadata) => metadata,
            // A database that nobody has written to yet has no log.
            Err(error) if error.kind() == ErrorKind::NotFound => return Some(None),
            Err(_) => return None,
        };
        let written = metadata.modified().ok()?;
        let age = SystemTime::now().duration_since(written).ok()?;
        (age > STEP).then_some(Some((metadata.len(), written)))
    };
    let [database, log] = files;
    Some([settled(database)?, settled(log)?])
}
