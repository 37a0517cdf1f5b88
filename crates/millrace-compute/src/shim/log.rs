//! A log file that hides secrets and does not grow beyond its share of the limit.

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::Path;

use super::mask::Masker;

/// Last bytes that a stream keeps beside its head: the words with which a program fails come after its flood.
const TAIL_BYTES: usize = 16 * 1024;

/// Bytes of the head that both streams of a command may still keep.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) left: u64,
}

/// One stream of a program on its way to a file: head and tail are kept, what is between is counted.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: fs_err::File,
    masker: Masker,
    dropped: u64,
    tail: VecDeque<u8>,
}

impl LogFile {
    pub(crate) fn create(path: &Path, secrets: &[String]) -> std::io::Result<Self> {
        let file = fs_err::File::create(path)?;
        Ok(Self { file, masker: Masker::new(secrets), dropped: 0, tail: VecDeque::new() })
    }

    /// Appends a chunk of the program's output.
    pub(crate) fn write(&mut self, chunk: &[u8], budget: &mut Budget) {
        let shown = self.masker.feed(chunk);
        self.keep(&shown, budget);
    }

    /// Writes what was held back and the tail; if something was dropped, says how much.
    pub(crate) fn finish(&mut self, budget: &mut Budget) {
        let shown = self.masker.finish();
        self.keep(&shown, budget);
        // A full disk must not keep the exit record from being written, so nothing here is an error.
        if self.dropped > 0 {
            let note =
                format!("\n[{} bytes of output were dropped: `max_log_bytes` is reached]\n", self.dropped);
            let _ = self.file.write_all(note.as_bytes());
        }
        let _ = self.file.write_all(self.tail.make_contiguous());
    }

    fn keep(&mut self, shown: &[u8], budget: &mut Budget) {
        let room = usize::try_from(budget.left).unwrap_or(usize::MAX).min(shown.len());
        let (head, rest) = shown.split_at(room);
        budget.left = budget.left.saturating_sub(room as u64);
        if !head.is_empty() && self.file.write_all(head).is_err() {
            self.dropped = self.dropped.saturating_add(head.len() as u64);
        }
        self.hold(rest);
    }

    /// Holds the last bytes until the end is known.
    fn hold(&mut self, rest: &[u8]) {
        let last = rest.get(rest.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default();
        let over = (self.tail.len() + last.len()).saturating_sub(TAIL_BYTES);
        self.tail.drain(..over);
        self.tail.extend(last);
        let dropped = over + rest.len().saturating_sub(last.len());
        self.dropped = self.dropped.saturating_add(dropped as u64);
    }
}
