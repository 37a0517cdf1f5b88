//! JSON lines; types are inferred from the first rows of the first file.

use std::io::BufReader;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use arrow::json::reader::infer_json_schema;

use super::files::SourceFile;
use super::{BATCH_ROWS, Emit, Reader};
use crate::error::CopyError;

const SAMPLE_ROWS: usize = 10_000;

pub(crate) struct JsonReader {
    files: Vec<SourceFile>,
    schema: SchemaRef,
}

impl JsonReader {
    pub(crate) fn open(files: Vec<SourceFile>) -> Result<Self, CopyError> {
        let mut schemas = Vec::new();
        for file in &files {
            let (schema, _) = infer_json_schema(BufReader::new(file.open()?), Some(SAMPLE_ROWS))
                .map_err(|error| CopyError::read(&file.name, &error))?;
            schemas.push(schema);
        }
        let schema = Schema::try_merge(schemas).map_err(|error| CopyError::read("the source", &error))?;
        Ok(Self { files, schema: Arc::new(schema) })
    }
}

impl Reader for JsonReader {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn read(self: Box<Self>, emit: &mut Emit<'_>) -> Result<(), CopyError> {
        for file in &self.files {
            let reader = ReaderBuilder::new(self.schema.clone())
                .with_batch_size(BATCH_ROWS)
                .build(BufReader::new(file.open()?));
            for batch in reader.map_err(|error| CopyError::read(&file.name, &error))? {
                emit(batch.map_err(|error| CopyError::read(&file.name, &error))?)?;
            }
        }
        Ok(())
    }
}
