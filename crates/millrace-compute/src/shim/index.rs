//! Writes the index beside the logs: which stream said what when.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use millrace_contract::log_index::{LOG_INDEX_FILE, LogRecord};
use millrace_contract::{Clock as _, SystemClock};

use super::log::Fresh;

/// What a stream says within this time is one piece.
const GATHER: Duration = Duration::from_millis(50);
/// How long a line may lack its end before it is shown as it is.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes after which a piece ends: whoever wants one line reads its piece.
const PIECE_BYTES: u64 = 64 * 1024;

/// One of a program's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Output,
    Errors,
}

/// Bytes of a stream that are not in the index yet: the beginning of a line.
#[derive(Debug, Default)]
struct Unfinished {
    bytes: u64,
    since: Option<Instant>,
}

/// The piece that still grows.
#[derive(Debug)]
struct Piece {
    source: Source,
    begun: Instant,
    bytes: u64,
}

/// The index of a running command.
#[derive(Debug)]
pub(super) struct LogIndex {
    /// `None` after it could not be written: readers then take what is not in it at the end.
    file: Option<fs_err::File>,
    totals: LogRecord,
    unfinished: [Unfinished; 2],
    piece: Option<Piece>,
}

impl LogIndex {
    pub(super) fn create(folder: &Path) -> std::io::Result<Self> {
        let file = Some(fs_err::File::create(folder.join(LOG_INDEX_FILE))?);
        Ok(Self { file, totals: LogRecord::default(), unfinished: Default::default(), piece: None })
    }

    /// Takes in what a stream's file got.
    pub(super) fn note(&mut self, source: Source, fresh: Fresh, now: Instant) {
        if fresh.bytes == 0 {
            return;
        }
        let unfinished = self.unfinished(source);
        let before = unfinished.bytes;
        if fresh.lines > 0 {
            unfinished.bytes = fresh.unfinished;
            unfinished.since = (fresh.unfinished > 0).then_some(now);
            self.grow(source, before + fresh.bytes - fresh.unfinished, fresh.lines, now);
        } else {
            unfinished.bytes += fresh.bytes;
            unfinished.since.get_or_insert(now);
            if unfinished.bytes >= PIECE_BYTES {
                self.cut(source, now);
            }
        }
    }

    /// Writes what has waited long enough.
    pub(super) fn keep_time(&mut self, now: Instant) {
        for source in [Source::Output, Source::Errors] {
            if self.unfinished(source).since.is_some_and(|since| now >= since + PATIENCE) {
                self.cut(source, now);
            }
        }
        if self.piece.as_ref().is_some_and(|piece| now >= piece.begun + GATHER) {
            self.write();
        }
    }

    /// When [`Self::keep_time`] has something to do.
    pub(super) fn next(&self) -> Option<Instant> {
        let cuts = self.unfinished.iter().filter_map(|unfinished| Some(unfinished.since? + PATIENCE));
        cuts.chain(self.piece.as_ref().map(|piece| piece.begun + GATHER)).min()
    }

    /// Writes everything.
    pub(super) fn finish(&mut self, now: Instant) {
        for source in [Source::Output, Source::Errors] {
            if self.unfinished(source).bytes > 0 {
                self.cut(source, now);
            }
        }
        self.write();
    }

    fn unfinished(&mut self, source: Source) -> &mut Unfinished {
        let [output, errors] = &mut self.unfinished;
        match source {
            Source::Output => output,
            Source::Errors => errors,
        }
    }

    /// Makes a line of what has no end.
    fn cut(&mut self, source: Source, now: Instant) {
        let bytes = std::mem::take(self.unfinished(source)).bytes;
        self.grow(source, bytes, 1, now);
        // Readers see the end of a line only at the end of a piece.
        self.write();
    }

    fn grow(&mut self, source: Source, bytes: u64, lines: u64, now: Instant) {
        if self.piece.as_ref().is_some_and(|piece| piece.source != source || piece.bytes >= PIECE_BYTES) {
            self.write();
        }
        self.piece.get_or_insert(Piece { source, begun: now, bytes: 0 }).bytes += bytes;
        let total = match source {
            Source::Output => &mut self.totals.stdout_bytes,
            Source::Errors => &mut self.totals.stderr_bytes,
        };
        *total += bytes;
        self.totals.lines += lines;
    }

    fn write(&mut self) {
        if self.piece.take().is_none() {
            return;
        }
        self.totals.at_ms = SystemClock.now().as_millisecond();
        if let Some(file) = &mut self.file
            && file.write_all(&self.totals.encode()).is_err()
        {
            self.file = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_contract::log_index::LOG_RECORD_BYTES;

    /// Pieces as (bytes of output, bytes of errors, lines), totals.
    fn check(write: impl FnOnce(&mut LogIndex, Instant), expected: &[(u64, u64, u64)]) {
        let folder = tempfile::tempdir().unwrap();
        let mut index = LogIndex::create(folder.path()).unwrap();
        write(&mut index, Instant::now());
        let bytes = fs_err::read(folder.path().join(LOG_INDEX_FILE)).unwrap();
        let records: Vec<_> = bytes.as_chunks::<LOG_RECORD_BYTES>().0.iter().map(LogRecord::decode).collect();
        let pieces: Vec<_> =
            records.iter().map(|record| (record.stdout_bytes, record.stderr_bytes, record.lines)).collect();
        assert_eq!(pieces, expected);
    }

    fn fresh(text: &str) -> Fresh {
        let mut fresh = Fresh::default();
        fresh.add(text.as_bytes());
        fresh
    }

    #[test]
    fn streams_take_turns_by_whole_lines() {
        let write = |index: &mut LogIndex, now| {
            index.note(Source::Output, fresh("a\nb\nhalf"), now);
            index.note(Source::Errors, fresh("oh\n"), now);
            index.note(Source::Output, fresh(" a line\n"), now);
            index.finish(now);
        };
        check(write, &[(4, 0, 2), (4, 3, 3), (16, 3, 4)]);
    }

    #[test]
    fn what_is_said_together_is_one_piece_and_a_line_without_end_is_shown_after_a_while() {
        let write = |index: &mut LogIndex, now: Instant| {
            index.note(Source::Output, fresh("a\n"), now);
            index.note(Source::Output, fresh("b\n50 %"), now);
            index.keep_time(now + GATHER);
            assert_eq!(index.next(), Some(now + PATIENCE));
            index.keep_time(now + PATIENCE);
            assert_eq!(index.next(), None);
            index.note(Source::Output, fresh(" done"), now);
            index.finish(now);
        };
        check(write, &[(4, 0, 2), (8, 0, 3), (13, 0, 4)]);
    }

    #[test]
    fn a_line_that_never_ends_is_cut() {
        let write = |index: &mut LogIndex, now| {
            for _ in 0..3 {
                index.note(Source::Errors, fresh(&"x".repeat(40_000)), now);
            }
            index.finish(now);
        };
        check(write, &[(0, 80_000, 1), (0, 120_000, 2)]);
    }
}
