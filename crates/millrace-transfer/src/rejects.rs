//! Rows that cannot be read: refuse the copy, or set them aside in a file.

mod kept;

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::CopyError;
use kept::Kept;

/// What becomes of a copy when a row cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It fails and nothing is written.
    #[default]
    Fail,
    /// The row goes to `rejects.csv` of the attempt (or `rejects.parquet`, see `rejects`), with its place and the reason; the others are copied.
    Reject,
}

/// How rejected rows are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RejectFile {
    /// As text, `rejects.csv`; what is not UTF-8 is replaced.
    #[default]
    Csv,
    /// As `rejects.parquet`, in which the raw text is the bytes as they came.
    Parquet,
}

impl RejectFile {
    fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// Bad rows that may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RejectLimit {
    /// So many.
    Rows(u64),
    /// So many of a hundred; counted when all rows were read.
    Percent(f64),
}

impl fmt::Display for RejectLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(1) => f.write_str("1 row"),
            Self::Rows(rows) => write!(f, "{rows} rows"),
            Self::Percent(share) => write!(f, "{share}% of the rows"),
        }
    }
}

impl<'de> Deserialize<'de> for RejectLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Rows(u64),
            Share(String),
        }
        let refused =
            || D::Error::custom("`max_rejects` is neither a number of rows nor a share: write `100` or `2%`");
        match Written::deserialize(deserializer).map_err(|_| refused())? {
            Written::Rows(rows) => Ok(Self::Rows(rows)),
            Written::Share(text) => {
                let share = text.trim().strip_suffix('%').and_then(|share| share.trim().parse().ok());
                share.filter(|share| (0.0..=100.0).contains(share)).map(Self::Percent).ok_or_else(refused)
            }
        }
    }
}

impl JsonSchema for RejectLimit {
    fn schema_name() -> Cow<'static, str> {
        "RejectLimit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of rows, or a share of all rows: `2%`.",
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^\\s*[0-9.]+\\s*%\\s*$"}],
        })
    }
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
    limit: Option<RejectLimit>,
    path: PathBuf,
    file: RejectFile,
    kept: Option<Kept>,
    count: u64,
}

impl Rejects {
    /// `path` is without the ending that tells how the rows are kept.
    pub(crate) fn new(on_error: OnError, limit: Option<RejectLimit>, path: &Path, file: RejectFile) -> Self {
        let path = path.with_extension(file.ending());
        Self { on_error, limit, path, file, kept: None, count: 0 }
    }

    /// Every row that was set aside is in the file, which is whole.
    pub(crate) fn close(&mut self) -> Result<(), CopyError> {
        let closed = self.kept.as_mut().map_or(Ok(()), Kept::close);
        closed.map_err(|error| CopyError::write(self.path.to_string_lossy(), &error))
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
            Some(RejectLimit::Rows(rows)) if self.count > rows => Err(self.too_many(RejectLimit::Rows(rows))),
            _ => Ok(()),
        }
    }

    /// Called when every row was read, of which `good` were not rejected.
    ///
    /// # Errors
    /// If the share of the rejected ones is too large.
    #[allow(clippy::cast_precision_loss, reason = "a share; a row in 2^53 does not matter")]
    pub(crate) fn end(&self, good: u64) -> Result<(), CopyError> {
        match self.limit {
            Some(limit @ RejectLimit::Percent(share))
                if self.count as f64 * 100.0 > share * (good + self.count) as f64 =>
            {
                Err(self.too_many(limit))
            }
            _ => Ok(()),
        }
    }

    fn too_many(&self, limit: RejectLimit) -> CopyError {
        CopyError::TooManyRejects { limit, file: self.path.to_string_lossy().into_owned() }
    }

    fn write(&mut self, reject: &Reject) -> std::io::Result<()> {
        match &mut self.kept {
            Some(kept) => kept.add(reject),
            None => self.kept.insert(Kept::create(&self.path, self.file)?).add(reject),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let read = |text: &str| serde_json::from_str::<RejectLimit>(text).map_err(|error| error.to_string());
        assert_eq!(read("3"), Ok(RejectLimit::Rows(3)));
        assert_eq!(read("\" 2.5 %\""), Ok(RejectLimit::Percent(2.5)));
        for text in ["-1", "\"many\"", "\"3\"", "\"101%\"", "\"-1%\"", "\"NaN%\"", "null"] {
            assert!(read(text).is_err_and(|error| error.contains("write `100` or `2%`")), "{text}");
        }
    }
}
