//! Reads the files of an attempt as one log of numbered lines, from any line on.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use millrace_contract::log_index::{LOG_INDEX_FILE, LOG_RECORD_BYTES, LogRecord};
use serde::Serialize;

use super::{LOG_FILE, SystemLine};

/// Bytes of a line that are given out; the rest is left out and the line says so.
const MAX_LINE: usize = 64 * 1024;
/// Bytes of a file without an index that are looked at together.
const SCAN_BYTES: u64 = 64 * 1024;
/// Bytes of lines that one reading gives out, about.
const MAX_READ: usize = 1024 * 1024;

/// Who said a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// Millrace, or a step that works inside it.
    System,
    /// The program's standard output.
    Stdout,
    /// The program's standard error.
    Stderr,
}

impl LogStream {
    const ALL: [Self; 3] = [Self::System, Self::Stdout, Self::Stderr];

    pub(super) fn file(self) -> &'static str {
        match self {
            Self::System => LOG_FILE,
            Self::Stdout => "stdout.log",
            Self::Stderr => "stderr.log",
        }
    }

    /// The word shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// From 0, over all streams.
    pub number: u64,
    /// When it came, milliseconds since 1970. `None` for programs that an earlier version watched.
    pub at_ms: Option<i64>,
    /// Who said it.
    pub stream: LogStream,
    /// Without its newline; secrets are masked, colours are still in it.
    pub text: String,
    /// Whether it is longer than what is given out.
    pub cut: bool,
    /// Bytes of the log up to its end: where a reader goes on.
    pub end: u64,
}

/// Some lines and where to read on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogLines {
    /// In order.
    pub lines: Vec<LogLine>,
    /// Number of the line behind the last of them.
    pub next: u64,
}

/// Whole lines of one stream that stand together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) stream: LogStream,
    /// Where it begins in the stream's file.
    pub(super) start: u64,
    pub(super) bytes: u64,
    at_ms: Option<i64>,
    /// Totals of the log before it.
    pub(super) first_line: u64,
    offset: u64,
    pub(super) lines: u64,
}

/// An attempt's log. What is written meanwhile comes in with [`Self::refresh`].
#[derive(Debug)]
pub struct AttemptLog {
    pub(super) folder: PathBuf,
    pub(super) pieces: Vec<Piece>,
    /// Bytes of each stream's file that are in pieces.
    taken: [u64; 3],
    /// Bytes of the index that were read.
    index_bytes: u64,
    last_record: LogRecord,
}

impl AttemptLog {
    /// The log of the attempt whose files are in `folder`, as far as it is written. None is as good as an empty one.
    ///
    /// # Errors
    /// If a file that is there cannot be read.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        let mut log = Self {
            folder: folder.to_owned(),
            pieces: Vec::new(),
            taken: [0; 3],
            index_bytes: 0,
            last_record: LogRecord::default(),
        };
        log.refresh(false)?;
        Ok(log)
    }

    /// The same of an attempt that is over: with what has no end of line, or never came into the index.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_whole(folder: &Path) -> std::io::Result<Self> {
        let mut log = Self::open(folder)?;
        log.refresh(true)?;
        Ok(log)
    }

    /// Lines so far.
    pub fn lines(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.first_line + piece.lines)
    }

    /// Bytes so far, of all streams.
    pub fn bytes(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.offset + piece.bytes)
    }

    /// Takes in what was written since. `ended` says that nobody writes any more.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn refresh(&mut self, ended: bool) -> std::io::Result<()> {
        self.scan(LogStream::System, ended)?;
        self.follow_index()?;
        // Programs that an earlier version watched have no index, and one that could not be written is too short.
        let indexed = self.folder.join(LOG_INDEX_FILE).exists();
        if ended || !indexed {
            self.scan(LogStream::Stdout, ended)?;
            self.scan(LogStream::Stderr, ended)?;
        }
        Ok(())
    }

    /// Number of the first line that ends behind byte `offset`: the one after those that a reader has who got so far.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn line_after(&self, offset: u64) -> std::io::Result<u64> {
        let at = self.pieces.partition_point(|piece| piece.offset + piece.bytes <= offset);
        let Some(piece) = self.pieces.get(at) else { return Ok(self.lines()) };
        let lines = self.lines_of(piece)?;
        Ok(lines
            .iter()
            .find(|line| line.end > offset)
            .map_or(piece.first_line + piece.lines, |line| line.number))
    }

    /// Reads at most `max_lines` lines from line `from` on; fewer if they are long.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read(&self, from: u64, max_lines: usize) -> std::io::Result<LogLines> {
        let mut found = LogLines { lines: Vec::new(), next: from.min(self.lines()) };
        let mut bytes = 0;
        let first = self.pieces.partition_point(|piece| piece.first_line + piece.lines <= from);
        for piece in self.pieces.get(first..).unwrap_or_default() {
            for line in self.lines_of(piece)? {
                if found.lines.len() >= max_lines || bytes >= MAX_READ {
                    return Ok(found);
                }
                if line.number >= from {
                    bytes += line.text.len();
                    found.next = line.number + 1;
                    found.lines.push(line);
                }
            }
        }
        Ok(found)
    }

    /// Hands over each piece with its bytes, from the one with line `from` on; stops when told so.
    pub(super) fn for_each_piece(
        &self,
        from: u64,
        mut take: impl FnMut(&Piece, &[u8]) -> std::io::Result<bool>,
    ) -> std::io::Result<()> {
        let first = self.pieces.partition_point(|piece| piece.first_line + piece.lines <= from);
        for piece in self.pieces.get(first..).unwrap_or_default() {
            let bytes = self.bytes_of(piece)?;
            if !take(piece, &bytes)? {
                break;
            }
        }
        Ok(())
    }

    fn lines_of(&self, piece: &Piece) -> std::io::Result<Vec<LogLine>> {
        Ok(split(piece, &self.bytes_of(piece)?))
    }

    /// The bytes of a piece; fewer if its file was cut.
    pub(super) fn bytes_of(&self, piece: &Piece) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(mut file) = open(&self.folder.join(piece.stream.file()))? {
            file.seek(SeekFrom::Start(piece.start))?;
            file.take(piece.bytes).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }

    fn follow_index(&mut self) -> std::io::Result<()> {
        let Some(mut file) = open(&self.folder.join(LOG_INDEX_FILE))? else { return Ok(()) };
        file.seek(SeekFrom::Start(self.index_bytes))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        for record in bytes.as_chunks::<LOG_RECORD_BYTES>().0 {
            self.index_bytes += LOG_RECORD_BYTES as u64;
            let (before, record) = (self.last_record, LogRecord::decode(record));
            self.last_record = record;
            let stdout = record.stdout_bytes.saturating_sub(before.stdout_bytes);
            let stderr = record.stderr_bytes.saturating_sub(before.stderr_bytes);
            let (stream, bytes) =
                if stdout > 0 { (LogStream::Stdout, stdout) } else { (LogStream::Stderr, stderr) };
            self.add(stream, bytes, record.lines.saturating_sub(before.lines), Some(record.at_ms));
        }
        Ok(())
    }

    /// Takes in a file that has no index, or what is not in it: whole lines, and in the end the last one too.
    fn scan(&mut self, stream: LogStream, ended: bool) -> std::io::Result<()> {
        let Some(mut file) = open(&self.folder.join(stream.file()))? else { return Ok(()) };
        loop {
            let start = self.taken(stream);
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            let read = file.by_ref().take(SCAN_BYTES).read_to_end(&mut bytes)? as u64;
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            // A line of millions of bytes is cut; so is the last one, which will get no end any more.
            let whole = if whole == 0 && (ended || read == SCAN_BYTES) { bytes.len() } else { whole };
            let Some(piece) = bytes.get(..whole).filter(|piece| !piece.is_empty()) else { return Ok(()) };
            let ends = piece.iter().filter(|byte| **byte == b'\n').count() as u64;
            let lines = ends + u64::from(piece.last() != Some(&b'\n'));
            self.add(stream, whole as u64, lines, None);
        }
    }

    fn taken(&self, stream: LogStream) -> u64 {
        let index = LogStream::ALL.iter().position(|other| *other == stream);
        index.and_then(|index| self.taken.get(index)).copied().unwrap_or_default()
    }

    fn add(&mut self, stream: LogStream, bytes: u64, lines: u64, at_ms: Option<i64>) {
        if bytes == 0 {
            return;
        }
        let start = self.taken(stream);
        let (first_line, offset) = (self.lines(), self.bytes());
        self.pieces.push(Piece { stream, start, bytes, at_ms, first_line, offset, lines });
        for (other, taken) in LogStream::ALL.iter().zip(&mut self.taken) {
            if *other == stream {
                *taken += bytes;
            }
        }
    }
}

pub(super) fn open(path: &Path) -> std::io::Result<Option<fs_err::File>> {
    match fs_err::File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The lines of a piece: as many as it counts, whatever became of its file.
pub(super) fn split(piece: &Piece, bytes: &[u8]) -> Vec<LogLine> {
    let mut rest = bytes;
    let mut offset = piece.offset;
    let mut lines = Vec::new();
    for index in 0..piece.lines {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, taken) = match end {
            Some(end) => (rest.get(..end).unwrap_or_default(), end + 1),
            None => (rest, rest.len()),
        };
        rest = rest.get(taken..).unwrap_or_default();
        offset += taken as u64;
        let end = if index + 1 == piece.lines { piece.offset + piece.bytes } else { offset };
        lines.push(read_line(piece, piece.first_line + index, line, end));
    }
    lines
}

fn read_line(piece: &Piece, number: u64, bytes: &[u8], end: u64) -> LogLine {
    if piece.stream == LogStream::System
        && let Ok(line) = serde_json::from_slice::<SystemLine>(bytes)
    {
        return LogLine {
            number,
            at_ms: Some(line.t),
            stream: LogStream::System,
            text: line.text,
            cut: false,
            end,
        };
    }
    let cut = bytes.len() > MAX_LINE;
    let shown = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let shown = shown.strip_suffix(b"\r").unwrap_or(shown);
    let text = String::from_utf8_lossy(shown).into_owned();
    LogLine { number, at_ms: piece.at_ms, stream: piece.stream, text, cut, end }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Written(tempfile::TempDir);

    impl Written {
        fn new(stdout: &str, stderr: &str, index: &[(u64, u64, u64)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs_err::write(folder.path().join("stdout.log"), stdout).unwrap();
            fs_err::write(folder.path().join("stderr.log"), stderr).unwrap();
            let written = Self(folder);
            written.index(index);
            written
        }

        fn index(&self, records: &[(u64, u64, u64)]) {
            let records = records.iter().zip(1..).map(|(&(stdout_bytes, stderr_bytes, lines), at_ms)| {
                LogRecord { at_ms, stdout_bytes, stderr_bytes, lines }.encode()
            });
            let bytes: Vec<u8> = records.flatten().collect();
            if !bytes.is_empty() {
                fs_err::write(self.0.path().join(LOG_INDEX_FILE), bytes).unwrap();
            }
        }
    }

    fn check(log: &AttemptLog, from: u64, count: usize, expected: &[&str]) {
        let read = log.read(from, count).unwrap();
        let said: Vec<_> = read
            .lines
            .iter()
            .map(|line| format!("{} {} {}", line.number, line.stream.as_str(), line.text))
            .collect();
        assert_eq!(said, expected);
        assert_eq!(read.next, from.min(log.lines()) + expected.len() as u64);
    }

    #[test]
    fn streams_are_read_in_the_order_of_the_index_from_any_line() {
        let written = Written::new("a\nb\nhalf a line\n", "oh\n", &[(4, 0, 2), (4, 3, 3), (16, 3, 4)]);
        let log = AttemptLog::open(written.0.path()).unwrap();
        check(&log, 0, 9, &["0 stdout a", "1 stdout b", "2 stderr oh", "3 stdout half a line"]);
        check(&log, 1, 2, &["1 stdout b", "2 stderr oh"]);
        check(&log, 9, 2, &[]);
        assert_eq!(log.read(2, 1).unwrap().lines[0].at_ms, Some(2));
        let ends: Vec<u64> = log.read(0, 9).unwrap().lines.iter().map(|line| line.end).collect();
        assert_eq!(ends, [2, 4, 7, 19]);
        let resumed: Vec<u64> =
            [0, 1, 2, 4, 7, 18, 19, 99].iter().map(|at| log.line_after(*at).unwrap()).collect();
        assert_eq!(resumed, [0, 0, 1, 2, 3, 3, 4, 4]);
    }

    #[test]
    fn what_is_not_in_the_index_comes_when_the_attempt_is_over() {
        let written = Written::new("a\nb\nrest", "", &[(2, 0, 1)]);
        let mut log = AttemptLog::open(written.0.path()).unwrap();
        check(&log, 0, 9, &["0 stdout a"]);
        written.index(&[(2, 0, 1), (4, 0, 2)]);
        log.refresh(false).unwrap();
        check(&log, 1, 9, &["1 stdout b"]);
        log.refresh(true).unwrap();
        check(&log, 1, 9, &["1 stdout b", "2 stdout rest"]);
    }

    #[test]
    fn a_file_that_was_cut_keeps_its_numbers() {
        let written = Written::new("a\n", "oh\n", &[(4, 0, 2), (4, 3, 3)]);
        let log = AttemptLog::open_whole(written.0.path()).unwrap();
        check(&log, 0, 9, &["0 stdout a", "1 stdout ", "2 stderr oh"]);
    }

    #[test]
    fn logs_without_an_index_and_without_anything() {
        let long = format!("{}\n", "x".repeat(200_000));
        let written = Written::new(&long, "why\n", &[]);
        let log = AttemptLog::open_whole(written.0.path()).unwrap();
        assert_eq!((log.lines(), log.bytes()), (5, 200_005));
        check(&log, 4, 9, &["4 stderr why"]);
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(
            AttemptLog::open_whole(&empty.path().join("none")).unwrap().read(0, 9).unwrap(),
            LogLines::default()
        );
    }
}
