//! A log file that hides secrets and does not grow beyond its share of the limit.

use std::io::Write as _;
use std::path::Path;

use super::mask::Masker;

/// Bytes that both streams of a command may still keep.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) left: u64,
}

/// One stream of a program on its way to a file: the head is kept, what is beyond the budget is counted.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: fs_err::File,
    masker: Masker,
    dropped: u64,
}

impl LogFile {
    pub(crate) fn create(path: &Path, secrets: &[String]) -> std::io::Result<Self> {
        Ok(Self { file: fs_err::File::create(path)?, masker: Masker::new(secrets), dropped: 0 })
    }

    /// Appends a chunk of the program's output.
    pub(crate) fn write(&mut self, chunk: &[u8], budget: &mut Budget) {
        if budget.left == 0 {
            self.dropped = self.dropped.saturating_add(chunk.len() as u64);
            return;
        }
        let shown = self.masker.feed(chunk);
        self.keep(&shown, budget);
    }

    /// Writes what was held back and, if something was dropped, says how much.
    pub(crate) fn finish(&mut self, budget: &mut Budget) {
        let shown = self.masker.finish();
        self.keep(&shown, budget);
        if self.dropped > 0 {
            let note = format!(
                "\n[{} more bytes of output were dropped: `max_log_bytes` is reached]\n",
                self.dropped
            );
            // A full disk must not keep the exit record from being written.
            let _ = self.file.write_all(note.as_bytes());
        }
    }

    fn keep(&mut self, shown: &[u8], budget: &mut Budget) {
        let room = usize::try_from(budget.left).unwrap_or(usize::MAX).min(shown.len());
        let (head, tail) = shown.split_at(room);
        budget.left = budget.left.saturating_sub(room as u64);
        self.dropped = self.dropped.saturating_add(tail.len() as u64);
        if !head.is_empty() && self.file.write_all(head).is_err() {
            self.dropped = self.dropped.saturating_add(head.len() as u64);
        }
    }
}
