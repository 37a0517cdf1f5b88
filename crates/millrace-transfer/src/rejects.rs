//! Rows that cannot be read: refuse the copy, or set them aside in a file.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::CopyError;

/// What becomes of a copy when a row cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It fails and nothing is written.
    #[default]
    Fail,
    /// The row goes to `rejects.csv` of the attempt, with its place and the reason; the others are copied.
    Reject,
}

/// A bad row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reject {
    pub(crate) file: String,
    pub(crate) line: u64,
    pub(crate) byte_offset: u64,
    pub(crate) column: Option<String>,
    pub(crate) kind: &'static str,
    pub(crate) raw: Vec<u8>,
    pub(crate) message: String,
}

/// Decides about bad rows and keeps the rejected ones.
#[derive(Debug)]
pub(crate) struct Rejects {
    on_error: OnError,
    limit: Option<u64>,
    path: PathBuf,
    file: Option<fs_err::File>,
    count: u64,
}

impl Rejects {
    pub(crate) fn new(on_error: OnError, limit: Option<u64>, path: PathBuf) -> Self {
        Self { on_error, limit, path, file: None, count: 0 }
    }

    /// Rejected rows so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Sets a row aside.
    ///
    /// # Errors
    /// If bad rows are not allowed, or no more of them.
    pub(crate) fn take(&mut self, reject: &Reject) -> Result<(), CopyError> {
        if self.on_error == OnError::Fail {
            return Err(CopyError::Row {
                file: reject.file.clone(),
                line: reject.line,
                column: reject.column.clone(),
                message: reject.message.clone(),
            });
        }
        self.count += 1;
        self.write(reject).map_err(|error| CopyError::write(self.path.to_string_lossy(), &error))?;
        match self.limit {
            Some(limit) if self.count > limit => {
                Err(CopyError::TooManyRejects { limit, file: self.path.to_string_lossy().into_owned() })
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, reject: &Reject) -> std::io::Result<()> {
        if self.file.is_none() {
            let mut file = fs_err::File::create(&self.path)?;
            file.write_all(b"file,line,byte_offset,column,kind,raw,message\n")?;
            self.file = Some(file);
        }
        let raw = String::from_utf8_lossy(&reject.raw);
        let row = [
            quoted(&reject.file),
            reject.line.to_string(),
            reject.byte_offset.to_string(),
            quoted(reject.column.as_deref().unwrap_or_default()),
            reject.kind.to_owned(),
            quoted(raw.trim_end_matches(['\r', '\n'])),
            quoted(&reject.message),
        ];
        match &mut self.file {
            Some(file) => file.write_all(format!("{}\n", row.join(",")).as_bytes()),
            None => Ok(()),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
