//! Parquet files of one schema.

use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::files::SourceFile;
use super::{BATCH_ROWS, Emit, Reader};
use crate::error::CopyError;

pub(crate) struct ParquetReader {
    files: Vec<SourceFile>,
    schema: SchemaRef,
}

fn builder(file: &SourceFile) -> Result<ParquetRecordBatchReaderBuilder<std::fs::File>, CopyError> {
    let opened = fs_err::File::open(&file.path).map_err(|error| CopyError::read(&file.name, &error))?;
    ParquetRecordBatchReaderBuilder::try_new(opened.into_file())
        .map_err(|error| CopyError::read(&file.name, &error))
}

impl ParquetReader {
    pub(crate) fn open(files: Vec<SourceFile>) -> Result<Self, CopyError> {
        let Some(first) = files.first() else {
            return Err(CopyError::read("the source", &"there are no files"));
        };
        let schema = builder(first)?.schema().clone();
        Ok(Self { files, schema })
    }
}

impl Reader for ParquetReader {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn read(self: Box<Self>, emit: &mut Emit<'_>) -> Result<(), CopyError> {
        for file in &self.files {
            let builder = builder(file)?;
            if builder.schema().fields() != self.schema.fields() {
                return Err(CopyError::read(&file.name, &"its columns are not those of the first file"));
            }
            let reader = builder
                .with_batch_size(BATCH_ROWS)
                .build()
                .map_err(|error| CopyError::read(&file.name, &error))?;
            for batch in reader {
                let batch = batch.map_err(|error| CopyError::read(&file.name, &error))?;
                let batch = batch
                    .with_schema(self.schema.clone())
                    .map_err(|error| CopyError::read(&file.name, &error))?;
                emit(batch)?;
            }
        }
        Ok(())
    }
}
