//! The log of an attempt: `output.log` in its folder, one JSON object a line, written by whoever does the work and read by anyone.

use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use millrace_contract::{Clock, StepLog};
use serde::{Deserialize, Serialize};

/// Name of the log in an attempt's folder.
const LOG_FILE: &str = "output.log";

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Milliseconds since 1970; 0 where the program's own output carries no time.
    pub t: i64,
    /// `stdout`, `stderr` or `system`.
    pub stream: String,
    /// The line, without its newline, secrets masked.
    pub text: String,
}

/// Some lines of a log and where to read on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// In the order they were written.
    pub lines: Vec<LogLine>,
    /// Byte offset behind the last of them.
    pub next_offset: u64,
}

/// Reads at most `max_lines` whole lines from byte `offset` on. A log that does not exist yet is empty.
///
/// # Errors
/// If the file cannot be read.
pub fn read_log(folder: &Path, offset: u64, max_lines: usize) -> std::io::Result<LogPage> {
    let mut file = match fs_err::File::open(folder.join(LOG_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(LogPage { lines: Vec::new(), next_offset: offset });
        }
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut reader = BufReader::new(file);
    let mut page = LogPage { lines: Vec::new(), next_offset: offset };
    let mut buffer = Vec::new();
    while page.lines.len() < max_lines {
        buffer.clear();
        let read = reader.read_until(b'\n', &mut buffer)?;
        if read == 0 || buffer.last() != Some(&b'\n') {
            // A line without its end is still being written.
            break;
        }
        page.next_offset += read as u64;
        page.lines.push(serde_json::from_slice(&buffer).unwrap_or_else(|_| LogLine {
            t: 0,
            stream: "system".to_owned(),
            text: String::from_utf8_lossy(&buffer).trim_end().to_owned(),
        }));
    }
    Ok(page)
}

/// Hands over every whole line of an attempt: what Millrace said, then the program's standard output, then its standard error.
///
/// # Errors
/// If a file that is there cannot be read.
pub fn for_each_line(folder: &Path, mut take: impl FnMut(LogLine)) -> std::io::Result<()> {
    let mut offset = 0;
    loop {
        let page = read_log(folder, offset, 1_000)?;
        offset = page.next_offset;
        let read = page.lines.len();
        page.lines.into_iter().for_each(&mut take);
        if read < 1_000 {
            break;
        }
    }
    for stream in ["stdout", "stderr"] {
        let file = match fs_err::File::open(folder.join(format!("{stream}.log"))) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let mut reader = BufReader::new(file);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes)? > 0 {
            let text = String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned();
            take(LogLine { t: 0, stream: stream.to_owned(), text });
            bytes.clear();
        }
    }
    Ok(())
}

/// The log of a step that runs inside this process. The file is made with the first line.
pub(crate) struct FileLog {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    secrets: Vec<String>,
    file: Mutex<Option<fs_err::File>>,
}

impl FileLog {
    pub(crate) fn new(folder: &Path, clock: Arc<dyn Clock>, secrets: Vec<String>) -> Self {
        let secrets = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
        Self { path: folder.join(LOG_FILE), clock, secrets, file: Mutex::new(None) }
    }

    fn append(&self, text: &str) -> std::io::Result<()> {
        let masked = self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"));
        let line =
            LogLine { t: self.clock.now().as_millisecond(), stream: "system".to_owned(), text: masked };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            if let Some(folder) = self.path.parent() {
                fs_err::create_dir_all(folder)?;
            }
            *slot = Some(fs_err::OpenOptions::new().create(true).append(true).open(&self.path)?);
        }
        match slot.as_mut() {
            Some(file) => file.write_all(&bytes),
            None => Ok(()),
        }
    }
}

impl StepLog for FileLog {
    fn line(&self, text: &str) {
        for part in text.lines() {
            if let Err(error) = self.append(part) {
                // A full disk must not fail the step that merely talks.
                tracing::warn!(path = %self.path.display(), %error, "a log line was lost");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_contract::FixedClock;

    #[test]
    fn lines_are_masked_and_read_back_by_offset() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at(jiff::Timestamp::from_millisecond(5).unwrap()));
        let log = FileLog::new(folder.path(), clock, vec!["hunter22".to_owned(), String::new()]);
        assert_eq!(read_log(folder.path(), 0, 10).unwrap(), LogPage::default());
        log.line("opened with hunter22\nsecond");
        let page = read_log(folder.path(), 0, 1).unwrap();
        assert_eq!(page.lines[0].text, "opened with ***");
        let rest = read_log(folder.path(), page.next_offset, 10).unwrap();
        assert_eq!(rest.lines.len(), 1);
        assert_eq!(read_log(folder.path(), rest.next_offset, 10).unwrap().lines, []);
    }
}
