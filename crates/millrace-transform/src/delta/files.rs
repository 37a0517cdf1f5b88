//! Parquet files as they are written: one after the other, none larger than [`FILE_BYTES`] by much, no more than a row group in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt as _;
use millrace_contract::{QueryEngine as _, QueryError, TableRef};
use object_store::buffered::BufWriter;
use object_store::path::Path as StorePath;
use object_store::{DynObjectStore, local::LocalFileSystem};
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::engine::DataFusionEngine;

/// A data file ends once it has this many bytes.
const FILE_BYTES: usize = 128 << 20;
/// A row group ends once its encoded columns take this much memory, or at this many rows.
const GROUP_BYTES: usize = 32 << 20;
const GROUP_ROWS: usize = 256 << 10;
/// Bytes of a column's dictionary in a row group; a column with more values is written plain.
const DICTIONARY_BYTES: usize = 256 << 10;

/// One finished file.
#[derive(Debug)]
pub(super) struct DataFile {
    pub(super) path: StorePath,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// Writes batches of one schema into files below the root of `store`.
pub(super) struct FileWriter {
    store: Arc<DynObjectStore>,
    schema: SchemaRef,
    open: Option<(StorePath, AsyncArrowWriter<BufWriter>, u64)>,
    pub(super) done: Vec<DataFile>,
}

impl FileWriter {
    pub(super) fn new(store: Arc<DynObjectStore>, schema: SchemaRef) -> Self {
        Self { store, schema, open: None, done: Vec::new() }
    }

    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<(), String> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if self.open.is_none() {
            let path =
                StorePath::from(format!("part-{:05}-{}.zstd.parquet", self.done.len(), uuid::Uuid::now_v7()));
            let sink = BufWriter::new(self.store.clone(), path.clone());
            let writer =
                AsyncArrowWriter::try_new(sink, self.schema.clone(), Some(properties()?)).map_err(text)?;
            self.open = Some((path, writer, 0));
        }
        let Some((_, writer, rows)) = &mut self.open else { return Ok(()) };
        writer.write(batch).await.map_err(text)?;
        *rows += batch.num_rows() as u64;
        if writer.in_progress_size() > GROUP_BYTES {
            writer.flush().await.map_err(text)?;
        }
        if writer.bytes_written() > FILE_BYTES {
            self.end_file().await?;
        }
        Ok(())
    }

    /// Ends the file that is open.
    pub(super) async fn end_file(&mut self) -> Result<(), String> {
        let Some((path, mut writer, rows)) = self.open.take() else { return Ok(()) };
        writer.finish().await.map_err(text)?;
        let bytes = writer.bytes_written() as u64;
        self.done.push(DataFile { path, rows, bytes });
        Ok(())
    }

    /// Gives up: removes what was written.
    pub(super) async fn abort(mut self) {
        if let Some((_, writer, _)) = self.open.take() {
            // `BufWriter::abort` ends an upload in parts; a small file was never sent.
            let _ = writer.into_inner().abort().await;
        }
        let paths: Vec<_> = self.done.iter().map(|file| file.path.clone()).collect();
        super::discard(&self.store, &paths).await;
    }
}

fn properties() -> Result<WriterProperties, String> {
    let zstd = ZstdLevel::try_new(1).map_err(text)?;
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(zstd))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .build())
}

fn text(error: parquet::errors::ParquetError) -> String {
    error.to_string()
}

/// Reads a table and writes it as Parquet files below `folder`.
pub(super) async fn copy_below(
    engine: &DataFusionEngine,
    table: &TableRef,
    folder: &Path,
) -> Result<Vec<PathBuf>, QueryError> {
    let refused = |message: String| QueryError::Write { uri: folder.display().to_string(), message };
    fs_err::create_dir_all(folder).map_err(|error| refused(error.to_string()))?;
    let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| refused(error.to_string()))?;
    let mut rows = engine.scan(table, None, None).await?;
    let mut writer = FileWriter::new(Arc::new(store), rows.schema.clone());
    while let Some(batch) = rows.batches.next().await {
        writer.write(&batch?).await.map_err(refused)?;
    }
    writer.end_file().await.map_err(refused)?;
    Ok(writer.done.iter().map(|file| folder.join(file.path.as_ref())).collect())
}
