//! Bytes: files below one URL, in a local folder or in a bucket of S3 or of what speaks like it.
//!
//! A file is there whole or not at all, and once it is written it survives a loss of power. Nothing here knows what the files are.

mod bucket;
mod copies;
mod error;
mod links;
mod local;
mod object_list;
mod options;
mod path;
mod storage;
mod uploads;

#[cfg(feature = "testing")]
pub mod testing;

pub use bucket::Failure;
pub use copies::{CopyError, LocalCopies};
pub use error::StorageError;
pub use object_list::ObjectList;
pub use options::{InvalidStorage, StorageOptions};
pub use path::{FilePath, InvalidPath, decode_once, decode_text};
pub use storage::{AskedRange, Entry, FileBody, FileContent, FileFacts, FolderSize, Storage};
pub use uploads::{PartReceipt, Upload, UploadError};
