//! How far a copy is, and what it spends its time on.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millrace_contract::Progress;

/// A stage of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Waiting for the source and cutting it into pieces.
    Read,
    /// Turning pieces into columns; several threads together.
    Decode,
    /// Encoding and sending to the sink.
    Write,
}

/// Counts while a copy runs.
#[derive(Debug)]
pub(crate) struct Meter {
    begun: Instant,
    threads: usize,
    expected: AtomicU64,
    read: AtomicU64,
    rows: AtomicU64,
    /// Nanoseconds in each stage.
    spent: [AtomicU64; 3],
}

impl Meter {
    /// `threads`: how many decode side by side.
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            begun: Instant::now(),
            threads: threads.max(1),
            expected: AtomicU64::new(0),
            read: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            spent: Default::default(),
        }
    }

    /// Bytes that the source has, as far as it tells before it is read; compressed ones count as they are.
    pub(crate) fn expect(&self, bytes: u64) {
        self.expected.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, stage: Stage, spent: Duration) {
        let nanos = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        if let Some(counter) = self.spent.get(stage as usize) {
            counter.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// Rows that went to the sink.
    pub(crate) fn passed(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// How long to wait so that no more than so many bytes a second were read.
    pub(crate) fn ahead_of(&self, bytes_per_s: NonZeroU64) -> Duration {
        let read = self.read.load(Ordering::Relaxed);
        let nanos = u128::from(read) * 1_000_000_000 / u128::from(bytes_per_s.get());
        let due = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        due.saturating_sub(self.begun.elapsed())
    }

    fn spent(&self, stage: Stage) -> Duration {
        let nanos = self.spent.get(stage as usize).map_or(0, |counter| counter.load(Ordering::Relaxed));
        Duration::from_nanos(nanos)
    }

    /// How far it is now.
    pub(crate) fn progress(&self) -> Progress {
        let (read, expected) = (self.read.load(Ordering::Relaxed), self.expected.load(Ordering::Relaxed));
        let rows = self.rows.load(Ordering::Relaxed);
        let elapsed = self.begun.elapsed();
        let fraction = (expected > 0).then(|| share(read, expected));
        let mut message = format!("{:.0} rows/s", per_second(rows, elapsed));
        if let Some(left) =
            fraction.filter(|done| *done > 0.01).map(|done| elapsed.mul_f64((1.0 - done) / done))
        {
            message.push_str(&format!(", {} s left", left.as_secs()));
        }
        Progress { fraction, rows: Some(rows), bytes: Some(read), message: Some(message) }
    }

    /// What the time went into, and what to look at first to have less of it.
    pub(crate) fn summary(&self) -> String {
        let elapsed = self.begun.elapsed();
        let rows = self.rows.load(Ordering::Relaxed);
        let [read, decode, write] = [Stage::Read, Stage::Decode, Stage::Write].map(|stage| self.spent(stage));
        let threads = u32::try_from(self.threads).unwrap_or(u32::MAX);
        let stages = [("reading", read), ("decoding", decode / threads), ("writing", write)];
        let slowest = stages.into_iter().max_by_key(|(_, spent)| *spent).map_or("reading", |(name, _)| name);
        format!(
            "{rows} rows in {:.1} s: reading {:.1} s, decoding {:.1} s on {} threads, writing {:.1} s; {slowest} takes longest",
            elapsed.as_secs_f64(),
            read.as_secs_f64(),
            decode.as_secs_f64(),
            self.threads,
            write.as_secs_f64(),
        )
    }
}

#[allow(clippy::cast_precision_loss, reason = "a speed for people to read")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(1e-6)
}

/// At most 1: a source may have grown since it was looked at.
#[allow(clippy::cast_precision_loss, reason = "a share for people to read")]
fn share(part: u64, whole: u64) -> f64 {
    (part as f64 / whole as f64).min(1.0)
}
