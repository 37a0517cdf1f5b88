//! Looks out for commits, once for all loops of a process.
//!
//! A loop that looks every second for what others committed asks the same questions of the same rows all night, and wakes its process to do
//! so. Whether a SQLite database is still as it was, its files say by their sizes and times, without a question to it: every commit,
//! whichever process makes it, is written to the file of its write-ahead log (<https://www.sqlite.org/wal.html>). One thread asks the
//! files; loops sleep until it wakes them. It is a thread, because a task that sleeps in tokio wakes two of the runtime's. PostgreSQL
//! has no files here: its loops are woken every second.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

use crate::{Metastore, MetastoreError};

/// Time between two looks at the files.
const ROUND: Duration = Duration::from_secs(1);
/// A file written so recently may be written again without a later time: file systems count in steps of some milliseconds.
const STEP: Duration = Duration::from_millis(100);
/// Nobody sleeps longer, for file systems that count in longer steps, and clocks that are set back.
const LONGEST: Duration = Duration::from_secs(30);

/// The loops that wait for commits to one database.
#[derive(Debug, Default)]
pub(crate) struct Lookout {
    waiting: Mutex<Vec<Weak<Waiting>>>,
}

/// Wakes one loop when it has to look again.
#[derive(Debug)]
pub struct Commits(Arc<Waiting>);

/// When a loop has to look again though nothing is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookAgain {
    /// Within a second: the look failed, or what it began has yet to take effect.
    Soon,
    /// At this time, microseconds since 1970; up to a second later.
    At(i64),
    /// Not for any reason that is known.
    AfterCommit,
}

impl From<Option<i64>> for LookAgain {
    fn from(due_at: Option<i64>) -> Self {
        due_at.map_or(Self::AfterCommit, Self::At)
    }
}

struct Waiting {
    bell: Notify,
    /// Microseconds since 1970; the least number is at once, the greatest never.
    due_at: AtomicI64,
    now: Box<dyn Fn() -> i64 + Send + Sync>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("due_at", &self.due_at).finish_non_exhaustive()
    }
}

impl Metastore {
    /// For a loop that looks again and again for what was committed; `now` is its clock, in microseconds since 1970. The first look is
    /// due at once.
    pub fn commits(&self, now: impl Fn() -> i64 + Send + Sync + 'static) -> Commits {
        let waiting =
            Arc::new(Waiting { bell: Notify::new(), due_at: AtomicI64::new(i64::MAX), now: Box::new(now) });
        waiting.bell.notify_one();
        let mut all = self.lookout().waiting.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::downgrade(&waiting));
        Commits(waiting)
    }
}

impl Commits {
    /// Waits until something was committed, by whichever process, since this returned last, or what [`Commits::looked`] said is due. May
    /// return without either. It may be dropped at any time: what it would have told of, the next one does.
    pub async fn next(&mut self) {
        self.0.bell.notified().await;
    }

    /// A look is over. Says when there is another one, unless something is committed.
    pub fn looked(&mut self, again: LookAgain) {
        let due_at = match again {
            LookAgain::Soon => i64::MIN,
            LookAgain::At(at) => at,
            LookAgain::AfterCommit => i64::MAX,
        };
        self.0.due_at.store(due_at, Ordering::Relaxed);
    }
}

impl Lookout {
    /// Looks out until it is dropped. `database` is the file of a SQLite database.
    pub(crate) fn start(database: Option<&Path>) -> Result<Arc<Self>, MetastoreError> {
        let files = database.map(|file| {
            let mut log = file.as_os_str().to_owned();
            log.push("-wal");
            [file.to_owned(), log.into()]
        });
        let lookout = Arc::new(Self::default());
        let watched = Arc::downgrade(&lookout);
        std::thread::Builder::new()
            .name("commits".to_owned())
            .spawn(move || watch(&watched, files))
            .map_err(MetastoreError::NoLookout)?;
        Ok(lookout)
    }

    /// Wakes every loop, or those that have something due.
    fn wake(&self, all: bool) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).retain(|waiting| {
            let Some(waiting) = waiting.upgrade() else { return false };
            let due_at = waiting.due_at.load(Ordering::Relaxed);
            // Most have nothing due: their clocks are not asked.
            if all || due_at == i64::MIN || (due_at != i64::MAX && due_at <= (waiting.now)()) {
                waiting.bell.notify_one();
            }
            true
        });
    }
}

fn watch(lookout: &Weak<Lookout>, files: Option<[PathBuf; 2]>) {
    let mut seen = None;
    let mut all_woken = Instant::now();
    loop {
        std::thread::sleep(ROUND);
        let Some(lookout) = lookout.upgrade() else { return };
        let now = files.as_ref().and_then(stamp);
        // What is not settled may have changed without a sign by the next round.
        let all = seen.is_none() || now != seen || all_woken.elapsed() >= LONGEST;
        seen = now;
        if all {
            all_woken = Instant::now();
        }
        lookout.wake(all);
    }
}

/// Bytes and time of each file.
type Stamp = [Option<(u64, SystemTime)>; 2];

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
