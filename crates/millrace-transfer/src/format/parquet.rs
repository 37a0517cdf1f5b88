//! Parquet files of one schema. Row groups are decoded side by side.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use millrace_contract::{KindDoc, KindFamily};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Encoder, Failure, FileFormat, Opening, Out};
use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::source::files::SourceFile;
use crate::source::{BATCH_ROWS, Job, Piece, Reader};

/// Reads and writes Apache Parquet files. New ones are compressed with zstd.
#[derive(Debug, Deserialize, JsonSchema)]
struct ParquetDoc {}

/// The format `parquet`.
pub(crate) struct Parquet;

impl FileFormat for Parquet {
    fn doc(&self) -> KindDoc {
        let example = "copy: {from: \"data:flights\", to: out/flights.parquet}\n";
        KindDoc::of::<ParquetDoc>(KindFamily::Connector, "parquet", example)
    }

    fn endings(&self) -> &'static [&'static str] {
        &["parquet", "pq"]
    }

    fn reader(&self, opening: Opening) -> Result<Box<dyn Reader>, CopyError> {
        Ok(Box::new(ParquetReader::open(opening)?))
    }

    fn encoder(
        &self,
        out: Box<dyn Out>,
        schema: &SchemaRef,
        _: &CopyConfig,
    ) -> Result<Box<dyn Encoder>, Failure> {
        let level = ZstdLevel::try_new(3)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        Ok(Box::new(ParquetEncoder(ArrowWriter::try_new(out, schema.clone(), Some(properties))?)))
    }
}

struct ParquetEncoder(ArrowWriter<Box<dyn Out>>);

impl Encoder for ParquetEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        Ok(self.0.write(batch)?)
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn Out>, Failure> {
        Ok(self.0.into_inner()?)
    }
}

struct ParquetReader {
    files: std::vec::IntoIter<SourceFile>,
    schema: SchemaRef,
    open: Option<OpenFile>,
}

/// A file and the row group that comes next.
struct OpenFile {
    file: SourceFile,
    metadata: ArrowReaderMetadata,
    group: usize,
}

impl OpenFile {
    fn open(file: &SourceFile) -> Result<Self, CopyError> {
        let failed = |error: &dyn std::fmt::Display| CopyError::read(&file.name, error);
        let opened = fs_err::File::open(file.path()).map_err(|error| failed(&error))?.into_file();
        let metadata = ArrowReaderMetadata::load(&opened, ArrowReaderOptions::default())
            .map_err(|error| failed(&error))?;
        Ok(Self { file: file.clone(), metadata, group: 0 })
    }

    /// The next row group, as a job.
    fn next(&mut self, schema: &SchemaRef) -> Option<Job> {
        let group = self.group;
        let facts = self.metadata.metadata().row_groups().get(group)?;
        let bytes = u64::try_from(facts.compressed_size()).unwrap_or(0);
        self.group += 1;
        let (file, metadata, schema) = (self.file.clone(), self.metadata.clone(), schema.clone());
        Some(Box::new(move |emit| {
            let failed = |error: &dyn std::fmt::Display| CopyError::read(&file.name, error);
            // Opened anew: threads that share an open file share the place in it.
            let opened = fs_err::File::open(file.path()).map_err(|error| failed(&error))?.into_file();
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(opened, metadata)
                .with_row_groups(vec![group])
                .with_batch_size(BATCH_ROWS)
                .build()
                .map_err(|error| failed(&error))?;
            for batch in reader {
                let batch = batch.and_then(|batch| batch.with_schema(schema.clone()));
                emit(Piece { batches: vec![batch.map_err(|error| failed(&error))?], ..Piece::default() })?;
            }
            emit(Piece { bytes, ..Piece::default() })
        }))
    }
}

impl ParquetReader {
    fn open(opening: Opening) -> Result<Self, CopyError> {
        let mut files = opening.files.into_iter();
        let Some(first) = files.next() else {
            return Err(CopyError::read("the source", &"there are no files"));
        };
        let open = OpenFile::open(&first)?;
        Ok(Self { files, schema: open.metadata.schema().clone(), open: Some(open) })
    }
}

impl Reader for ParquetReader {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next(&mut self) -> Result<Option<Job>, CopyError> {
        loop {
            if let Some(job) = self.open.as_mut().and_then(|open| open.next(&self.schema)) {
                return Ok(Some(job));
            }
            let Some(file) = self.files.next() else { return Ok(None) };
            let open = OpenFile::open(&file)?;
            if open.metadata.schema().fields() != self.schema.fields() {
                return Err(CopyError::read(&file.name, &"its columns are not those of the first file"));
            }
            self.open = Some(open);
        }
    }
}
