//! The log of an attempt: `output.log` in its folder, one JSON object a line, written by whoever does the work inside this process;
//! beside it the two streams of a program and their index. [`AttemptLog`] reads all of them as one.

mod dropped;
mod reader;
mod search;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use millrace_contract::{Clock, StepLog};
use serde::{Deserialize, Serialize};

/// Name of the log in an attempt's folder.
const LOG_FILE: &str = "output.log";

pub use dropped::DroppedPart;
pub use reader::{AttemptLog, LogLine, LogLines, LogStream};
pub use search::{LogMatch, LogPattern, MAX_PATTERN, PatternError, search};

/// A line of `output.log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SystemLine {
    /// Milliseconds since 1970.
    t: i64,
    stream: String,
    /// Without its newline, secrets masked.
    text: String,
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
            SystemLine { t: self.clock.now().as_millisecond(), stream: "system".to_owned(), text: masked };
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
    fn lines_are_masked_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at(jiff::Timestamp::from_millisecond(5).unwrap()));
        let log = FileLog::new(folder.path(), clock, vec!["hunter22".to_owned(), String::new()]);
        log.line("opened with hunter22\nsecond");
        let read = AttemptLog::open(folder.path()).unwrap().read(0, 10).unwrap();
        let lines: Vec<_> =
            read.lines.iter().map(|line| (line.number, line.at_ms, line.text.as_str())).collect();
        assert_eq!(lines, [(0, Some(5), "opened with ***"), (1, Some(5), "second")]);
    }
}
