//! The index beside a command's logs, `log.index`: in which order its two streams came, and when.
//!
//! A record of 32 bytes a piece, each number little-endian: the time, milliseconds since 1970; then, as totals up to the end of the piece,
//! the bytes of standard output, the bytes of standard error, and the lines of both. A piece is whole lines of one stream; its last line
//! may lack its newline, if the program kept it waiting. Totals only grow, so that a line, a byte or a time is found by halving.
//!
//! A stream that outgrew its limit is its head, a [`DroppedNote`] and its tail.

/// Name of the file in an attempt's folder.
pub const LOG_INDEX_FILE: &str = "log.index";

/// Bytes of a record.
pub const LOG_RECORD_BYTES: usize = 32;

/// One record: the totals at the end of a piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogRecord {
    /// When the piece was read, milliseconds since 1970.
    pub at_ms: i64,
    /// Bytes of standard output so far.
    pub stdout_bytes: u64,
    /// Bytes of standard error so far.
    pub stderr_bytes: u64,
    /// Lines of both so far.
    pub lines: u64,
}

impl LogRecord {
    /// As it stands in the file.
    pub fn encode(&self) -> [u8; LOG_RECORD_BYTES] {
        let mut bytes = [0; LOG_RECORD_BYTES];
        let numbers = [
            self.at_ms.to_le_bytes(),
            self.stdout_bytes.to_le_bytes(),
            self.stderr_bytes.to_le_bytes(),
            self.lines.to_le_bytes(),
        ];
        for (slot, number) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *slot = number;
        }
        bytes
    }

    /// Reads a record.
    pub fn decode(bytes: &[u8; LOG_RECORD_BYTES]) -> Self {
        let mut numbers = bytes.as_chunks::<8>().0.iter().copied();
        let mut next = || numbers.next().unwrap_or_default();
        Self {
            at_ms: i64::from_le_bytes(next()),
            stdout_bytes: u64::from_le_bytes(next()),
            stderr_bytes: u64::from_le_bytes(next()),
            lines: u64::from_le_bytes(next()),
        }
    }
}

/// Last bytes that a stream keeps beside its head: the words with which a program fails come after its flood.
pub const LOG_TAIL_BYTES: usize = 16 * 1024;

/// What stands between head and tail of a stream that was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedNote {
    /// Bytes that are missing.
    pub bytes: u64,
    /// Why: `` `max_log` is reached ``, or `the disk is full`.
    pub reason: String,
}

impl DroppedNote {
    /// The longest that a note is, with its newlines.
    pub const LONGEST: usize = 256;

    /// As a line of the log, without its newline.
    pub fn line(&self) -> String {
        format!("[{} bytes of output were dropped: {}]", self.bytes, self.reason)
    }

    /// Reads a line of a log; `None` if it is something that a program said.
    pub fn read(line: &str) -> Option<Self> {
        let inner = line.strip_prefix('[')?.strip_suffix(']')?;
        let (bytes, reason) = inner.split_once(" bytes of output were dropped: ")?;
        Some(Self { bytes: bytes.parse().ok()?, reason: reason.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back() {
        let note = DroppedNote { bytes: 7, reason: "`max_log` is reached".to_owned() };
        assert_eq!(note.line(), "[7 bytes of output were dropped: `max_log` is reached]");
        assert_eq!(DroppedNote::read(&note.line()), Some(note));
        assert_eq!(DroppedNote::read("[many bytes of output were dropped: why]"), None);
        assert_eq!(DroppedNote::read("7 bytes of output were dropped: why"), None);
    }

    #[test]
    fn a_record_reads_back() {
        let record = LogRecord { at_ms: -1, stdout_bytes: 1 << 40, stderr_bytes: 7, lines: 3 };
        assert_eq!(LogRecord::decode(&record.encode()), record);
        assert_eq!(record.encode()[8..16], (1_u64 << 40).to_le_bytes());
    }
}
