//! Files that tell their types and give batches of rows: one job a file.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::Opening;
use super::columns::{ByName, of_all};
use crate::error::CopyError;
use crate::meter::Meter;
use crate::source::files::SourceFile;
use crate::source::{Job, Piece, Reader};

/// The rows of a file, batch by batch.
pub(super) struct Batches {
    pub(super) schema: SchemaRef,
    pub(super) batches: Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>,
    /// Bytes of the file, if the meter did not count them as they were read.
    pub(super) bytes: u64,
}

/// Opens a file.
pub(super) type Open = fn(&SourceFile, &Arc<Meter>) -> Result<Batches, CopyError>;

/// Reads files one after another, several at once.
pub(super) struct TypedReader {
    files: std::vec::IntoIter<SourceFile>,
    meter: Arc<Meter>,
    schema: SchemaRef,
    open: Open,
}

impl TypedReader {
    pub(super) fn open(opening: Opening, open: Open) -> Result<Self, CopyError> {
        let Opening { files, meter, .. } = opening;
        let Some(first) = files.first() else {
            return Err(CopyError::read("the source", &"there are no files"));
        };
        let schema = of_all(&open(first, &Arc::new(Meter::new(1)))?.schema, files.len());
        Ok(Self { files: files.into_iter(), meter, schema, open })
    }
}

impl Reader for TypedReader {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next(&mut self) -> Result<Option<Job>, CopyError> {
        let Some(file) = self.files.next() else { return Ok(None) };
        let (open, meter, schema) = (self.open, self.meter.clone(), self.schema.clone());
        Ok(Some(Box::new(move |emit| {
            let failed = |error: ArrowError| CopyError::read(&file.name, &error);
            let Batches { schema: found, batches, bytes } = open(&file, &meter)?;
            let columns = ByName::new(&schema, &found, &file.name)?;
            for batch in batches {
                let batch = batch.and_then(|batch| columns.of(&batch)).map_err(failed)?;
                emit(Piece { batches: vec![batch], ..Piece::of_file(&file.name) })?;
            }
            emit(Piece { bytes, ..Piece::default() })
        })))
    }
}
