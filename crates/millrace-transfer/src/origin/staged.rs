//! Answers that wait in the attempt's folder until all of them are there, and are then read like files.

use std::path::PathBuf;
use std::sync::Arc;

use millrace_contract::BatchStream;

use super::Asking;
use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::format::Format;
use crate::source;
use crate::source::files::SourceFile;

/// What has come so far.
pub(crate) struct Staged {
    folder: PathBuf,
    files: Vec<SourceFile>,
    /// Records in them.
    pub(crate) rows: u64,
    /// Bytes of them.
    pub(crate) bytes: u64,
}

impl Staged {
    pub(crate) async fn new(asking: &Asking<'_>) -> Result<Self, CopyError> {
        let folder = asking.folder.join(uuid::Uuid::now_v7().simple().to_string());
        fs_err::tokio::create_dir_all(&folder)
            .await
            .map_err(|error| CopyError::write("the attempt's folder", &error))?;
        Ok(Self { folder, files: Vec::new(), rows: 0, bytes: 0 })
    }

    /// A new file in the folder; `name` is what messages about its records call it.
    pub(crate) fn place(&mut self, name: String) -> PathBuf {
        let path = self.folder.join(format!("{:08}", self.files.len()));
        self.files.push(SourceFile::local(name, path.clone()));
        path
    }

    /// Keeps a document with so many records.
    pub(crate) async fn add(&mut self, name: String, document: &[u8], rows: u64) -> Result<(), CopyError> {
        let path = self.place(name);
        fs_err::tokio::write(&path, document)
            .await
            .map_err(|error| CopyError::write("the attempt's folder", &error))?;
        self.rows += rows;
        self.bytes += document.len() as u64;
        Ok(())
    }

    /// The rows of everything that was kept. If there are none, the columns are those that the step declares.
    pub(crate) async fn read(
        mut self,
        asking: Asking<'_>,
        format: Format,
        records: Option<String>,
    ) -> Result<BatchStream, CopyError> {
        let mut records = records;
        if self.rows == 0 {
            if asking.config.columns.is_empty() {
                return Err(CopyError::config(
                    format!("`{}` gave no record, and no column is declared", asking.label),
                    "to go on without rows, say which columns there are: `columns: {id: integer}`",
                ));
            }
            (self.files, records) = (Vec::new(), None);
            let nothing: &[u8] = if format == Format::Json { b"[]" } else { b"" };
            self.add(asking.label.clone(), nothing, 0).await?;
        }
        let config = CopyConfig { records, format: Some(format), ..CopyConfig::clone(&asking.config) };
        source::open(self.files, Arc::new(config), asking.outcome).await
    }
}
