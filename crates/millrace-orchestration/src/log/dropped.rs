//! Where a log was cut, since its program said more than is kept.

use std::io::{Read as _, Seek as _, SeekFrom};

use millrace_contract::log_index::{DroppedNote, LOG_TAIL_BYTES};

use super::reader::{AttemptLog, LogStream, open};

/// Bytes at the end of a cut stream in which its note stands: nothing but the tail follows it.
const WINDOW: u64 = (LOG_TAIL_BYTES + DroppedNote::LONGEST) as u64;

/// A part of a stream that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedPart {
    /// The stream.
    pub stream: LogStream,
    /// Bytes that are missing.
    pub bytes: u64,
    /// Why: `` `max_log` is reached ``, or `the disk is full`.
    pub reason: String,
    /// Number of the line that stands in their place.
    pub line: u64,
}

impl AttemptLog {
    /// The parts that are missing, one a stream at most; they are known when the attempt is over.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn dropped(&self) -> std::io::Result<Vec<DroppedPart>> {
        let mut found = Vec::new();
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let Some((at, note)) = self.note(stream)? else { continue };
            let line = self.line_at(stream, at)?;
            found.push(DroppedPart { stream, bytes: note.bytes, reason: note.reason, line });
        }
        Ok(found)
    }

    /// The note of a stream, and where in its file it begins.
    fn note(&self, stream: LogStream) -> std::io::Result<Option<(u64, DroppedNote)>> {
        let Some(mut file) = open(&self.folder.join(stream.file()))? else { return Ok(None) };
        let mut at = file.metadata()?.len().saturating_sub(WINDOW);
        file.seek(SeekFrom::Start(at))?;
        let mut bytes = Vec::new();
        file.take(WINDOW).read_to_end(&mut bytes)?;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
            if let Some(note) = text.and_then(DroppedNote::read) {
                return Ok(Some((at, note)));
            }
            at += line.len() as u64;
        }
        Ok(None)
    }

    /// Number of the line that has a byte of a stream's file; the number of lines if none has it yet.
    fn line_at(&self, stream: LogStream, at: u64) -> std::io::Result<u64> {
        let mut pieces = self.pieces.iter().rev().filter(|piece| piece.stream == stream);
        let Some(piece) = pieces.find(|piece| (piece.start..piece.start + piece.bytes).contains(&at)) else {
            return Ok(self.lines());
        };
        let before = usize::try_from(at - piece.start).unwrap_or(usize::MAX);
        let ends = self.bytes_of(piece)?.iter().take(before).filter(|byte| **byte == b'\n').count();
        Ok(piece.first_line + ends as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_stream_says_what_is_missing_and_where() {
        let folder = tempfile::tempdir().unwrap();
        let tail = "x".repeat(LOG_TAIL_BYTES - 1);
        let note = "[12 bytes of output were dropped: `max_log` is reached]";
        let cut = format!("one\ntwo\nthr\n{note}\n{tail}\n");
        fs_err::write(folder.path().join("stdout.log"), cut).unwrap();
        fs_err::write(folder.path().join("stderr.log"), "[no bytes of output were dropped: why]\n").unwrap();
        let log = AttemptLog::open_whole(folder.path()).unwrap();
        let (stream, reason) = (LogStream::Stdout, "`max_log` is reached".to_owned());
        assert_eq!(log.dropped().unwrap(), [DroppedPart { stream, bytes: 12, reason, line: 3 }]);
        assert_eq!(log.read(3, 1).unwrap().lines[0].text, note);
    }

    #[test]
    fn a_log_that_speaks_of_others_early_on_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let said = format!("[12 bytes of output were dropped: why]\n{}", "more\n".repeat(10_000));
        fs_err::write(folder.path().join("stdout.log"), said).unwrap();
        assert_eq!(AttemptLog::open_whole(folder.path()).unwrap().dropped().unwrap(), []);
        assert_eq!(AttemptLog::open_whole(&folder.path().join("none")).unwrap().dropped().unwrap(), []);
    }
}
