use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt as _;
use millrace_contract::{BatchStream, QueryError, TableRef};
use object_store::local::LocalFileSystem;

use super::files::FileWriter;
use crate::engine::DataFusionEngine;
use crate::engine::types;

/// Rows in a folder of their own as long as this is there, so that a query can read them more than once and they are computed once.
pub(crate) struct StagedRows {
    folder: PathBuf,
    /// Their columns, as a Delta table stores them.
    pub(crate) schema: SchemaRef,
}

impl Drop for StagedRows {
    fn drop(&mut self) {
        // What stays is in the folder of spilled rows, which nobody reads.
        let _ = fs_err::remove_dir_all(&self.folder);
    }
}

impl StagedRows {
    /// Takes all rows.
    pub(crate) async fn keep(engine: &DataFusionEngine, mut rows: BatchStream) -> Result<Self, QueryError> {
        let refused = |message: String| QueryError::Run { message };
        let schema = types::delta_schema(&rows.schema);
        let folder = engine.config().spill_folder.join(format!("staged-{}", uuid::Uuid::now_v7().simple()));
        fs_err::create_dir_all(&folder).map_err(|error| refused(error.to_string()))?;
        let staged = Self { folder, schema };
        let store = LocalFileSystem::new_with_prefix(&staged.folder);
        let store = store.map_err(|error| refused(error.to_string()))?;
        let mut writer = FileWriter::new(Arc::new(store), staged.schema.clone());
        while let Some(batch) = rows.batches.next().await {
            let batch =
                types::cast_to(&batch?, &staged.schema).map_err(|error| refused(error.to_string()))?;
            writer.write(&batch).await.map_err(refused)?;
        }
        writer.end_file().await.map_err(refused)?;
        if writer.done.is_empty() {
            // A table without rows still tells its columns.
            staged.write_empty().map_err(refused)?;
        }
        Ok(staged)
    }

    /// The rows as a table.
    pub(crate) fn table(&self) -> Result<TableRef, QueryError> {
        let url = url::Url::from_directory_path(&self.folder).map_err(|()| QueryError::Run {
            message: "the folder of spilled rows has no absolute path".to_owned(),
        })?;
        Ok(TableRef::Parquet { uri: url.to_string() })
    }

    fn write_empty(&self) -> Result<(), String> {
        let empty = RecordBatch::new_empty(self.schema.clone());
        let file =
            fs_err::File::create(self.folder.join("empty.parquet")).map_err(|error| error.to_string())?;
        let writer = parquet::arrow::ArrowWriter::try_new(file, empty.schema(), None);
        writer.and_then(parquet::arrow::ArrowWriter::close).map(drop).map_err(|error| error.to_string())
    }
}
