//! How far a step is.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millrace_contract::Progress;

/// Counts while files are copied.
#[derive(Debug)]
pub(super) struct Tally {
    begun: Instant,
    expected_files: AtomicU64,
    expected_bytes: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    limit: Option<NonZeroU64>,
}

impl Tally {
    /// `limit`: bytes a second at most.
    pub(super) fn new(limit: Option<NonZeroU64>) -> Self {
        Self {
            begun: Instant::now(),
            expected_files: AtomicU64::new(0),
            expected_bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            limit,
        }
    }

    /// So much is to be copied.
    pub(super) fn expect(&self, files: u64, bytes: u64) {
        self.expected_files.store(files, Ordering::Relaxed);
        self.expected_bytes.store(bytes, Ordering::Relaxed);
    }

    /// A file is there.
    pub(super) fn file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes were read. How long to wait before more are.
    pub(super) fn bytes(&self, bytes: u64) -> Duration {
        let read = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let Some(limit) = self.limit else { return Duration::ZERO };
        let nanos = u128::from(read) * 1_000_000_000 / u128::from(limit.get());
        let due = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        due.saturating_sub(self.begun.elapsed())
    }

    /// How far it is now.
    pub(super) fn progress(&self) -> Progress {
        let (bytes, expected) =
            (self.bytes.load(Ordering::Relaxed), self.expected_bytes.load(Ordering::Relaxed));
        let (files, all) = (self.files.load(Ordering::Relaxed), self.expected_files.load(Ordering::Relaxed));
        let elapsed = self.begun.elapsed();
        let fraction = if expected > 0 { share(bytes, expected) } else { share(files, all.max(1)) };
        #[allow(clippy::cast_precision_loss, reason = "a speed for people to read")]
        let rate = bytes as f64 / 1e6 / elapsed.as_secs_f64().max(1e-6);
        let mut message = format!("{files} of {all} files, {rate:.1} MB/s");
        if fraction > 0.01 {
            let left = elapsed.mul_f64((1.0 - fraction) / fraction);
            message.push_str(&format!(", {} s left", left.as_secs()));
        }
        Progress { fraction: Some(fraction), rows: None, bytes: Some(bytes), message: Some(message) }
    }
}

/// At most 1: a file may have grown since it was listed, and one that is tried again counts again.
#[allow(clippy::cast_precision_loss, reason = "a share for people to read")]
fn share(part: u64, whole: u64) -> f64 {
    (part as f64 / whole as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_pauses() {
        let tally = Tally::new(NonZeroU64::new(1_000));
        tally.expect(2, 4_000);
        assert!(tally.bytes(3_600_000) > Duration::from_secs(3_000), "it is far ahead");
        tally.file();
        let progress = tally.progress();
        assert_eq!((progress.fraction, progress.bytes), (Some(1.0), Some(3_600_000)));
        assert!(progress.message.unwrap().starts_with("1 of 2 files, "));
        assert_eq!(Tally::new(None).bytes(u64::MAX), Duration::ZERO);
    }
}
