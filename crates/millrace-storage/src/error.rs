//! Why a file cannot be read or written.

use std::io::ErrorKind;

/// Why a file cannot be read or written. Messages name the path, never keys of the storage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// Nothing is there.
    #[error("there is no file `{path}`")]
    NotFound {
        /// Below the storage's root.
        path: String,
    },
    /// A folder is where a file should be, or a file where a folder should be.
    #[error("`{path}` is a folder, or lies below a file")]
    NotAFile {
        /// Below the storage's root.
        path: String,
    },
    /// The file system has no such names.
    #[error("`{path}` is no name of a file")]
    InvalidName {
        /// Below the storage's root.
        path: String,
    },
    /// The asked bytes lie behind the file's end.
    #[error("`{path}` has {size_bytes} bytes, and what was asked for lies behind them")]
    OutOfRange {
        /// Below the storage's root.
        path: String,
        /// Of the file.
        size_bytes: u64,
    },
    /// What was to be written broke off; nothing was stored.
    #[error("what was to become `{path}` broke off: {message}")]
    BrokenOff {
        /// Below the storage's root.
        path: String,
        /// What the one who sent it says.
        message: String,
    },
    /// No room is left; nothing was stored.
    #[error("the disk of the storage is full; `{path}` was not stored")]
    Full {
        /// Below the storage's root.
        path: String,
    },
    /// The file system or the server of the bucket failed.
    #[error("the storage failed at `{path}`: {message}")]
    Failed {
        /// Below the storage's root.
        path: String,
        /// In its words.
        message: String,
        /// Whether it may pass by itself.
        transient: bool,
    },
}

impl StorageError {
    /// What an I/O error says of a path.
    pub(crate) fn io(path: &str, error: &std::io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound { path },
            ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::DirectoryNotEmpty
            | ErrorKind::AlreadyExists => Self::NotAFile { path },
            ErrorKind::InvalidFilename => Self::InvalidName { path },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { path },
            kind => {
                let transient = matches!(kind, ErrorKind::Interrupted | ErrorKind::TimedOut);
                Self::Failed { path, message: error.to_string(), transient }
            }
        }
    }
}
