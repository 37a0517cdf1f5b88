//! A log file that hides secrets and does not grow beyond its share of the limit.

use std::collections::VecDeque;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::Path;

use millrace_contract::log_index::{DroppedNote, LOG_TAIL_BYTES as TAIL_BYTES};
use nix::fcntl::{FallocateFlags, fallocate};

use super::mask::Masker;

/// Room that is claimed on the disk before anything is written: a program that fills the disk can then still say that it is full.
const CLAIMED_BYTES: i64 = 32 * 1024;

/// Bytes of the head that both streams of a command may still keep.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) left: u64,
}

/// What a log's file got since somebody asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fresh {
    /// Bytes.
    pub(super) bytes: u64,
    /// Newlines among them.
    pub(super) lines: u64,
    /// Bytes behind the last newline.
    pub(super) unfinished: u64,
}

impl Fresh {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.unfinished += bytes.len() as u64;
        for (index, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' {
                self.lines += 1;
                self.unfinished = (bytes.len() - index - 1) as u64;
            }
        }
    }
}

/// One stream of a program on its way to a file: head and tail are kept, what is between is counted.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: fs_err::File,
    masker: Masker,
    dropped: u64,
    disk_full: bool,
    tail: VecDeque<u8>,
    fresh: Fresh,
}

impl LogFile {
    pub(crate) fn create(path: &Path, secrets: &[String]) -> std::io::Result<Self> {
        let file = fs_err::File::create(path)?;
        // Not every file system can; then it goes without.
        let _ = fallocate(file.file().as_fd(), FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, CLAIMED_BYTES);
        Ok(Self {
            file,
            masker: Masker::new(secrets),
            dropped: 0,
            disk_full: false,
            tail: VecDeque::new(),
            fresh: Fresh::default(),
        })
    }

    /// What the file got since the last call.
    pub(super) fn take_fresh(&mut self) -> Fresh {
        std::mem::take(&mut self.fresh)
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
            let why = if self.disk_full { "the disk is full" } else { "`max_log` is reached" };
            let note = DroppedNote { bytes: self.dropped, reason: why.to_owned() };
            self.append(format!("\n{}\n", note.line()).as_bytes());
        }
        let tail = std::mem::take(&mut self.tail);
        self.append(&Vec::from(tail));
        let _ = self.release();
    }

    fn keep(&mut self, shown: &[u8], budget: &mut Budget) {
        let room = usize::try_from(budget.left).unwrap_or(usize::MAX).min(shown.len());
        budget.left = budget.left.saturating_sub(room as u64);
        let written = self.append(shown.get(..room).unwrap_or_default());
        self.hold(shown.get(written..).unwrap_or_default());
    }

    /// Writes what the disk takes; gives the number of bytes.
    fn append(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => break,
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.disk_full = error.kind() == std::io::ErrorKind::StorageFull;
                    break;
                }
            }
        }
        let written = bytes.len() - rest.len();
        self.fresh.add(bytes.get(..written).unwrap_or_default());
        written
    }

    /// Gives back the claimed room that was not needed.
    fn release(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.file.metadata()?.len())
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
