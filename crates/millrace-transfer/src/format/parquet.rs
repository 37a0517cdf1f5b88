//! Parquet files of one schema. Row groups are decoded side by side.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use millrace_contract::{KindDoc, KindFamily};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;
use schemars::JsonSchema;
use serde::Deserialize;

use super::columns::{ByName, of_all};
use super::{Compression, Encoder, Failure, FileFormat, FileTarget, Opening, Out};
use crate::error::CopyError;
use crate::source::files::SourceFile;
use crate::source::{BATCH_ROWS, Job, Piece, Reader};

/// Rows of a row group that is written.
const ROW_GROUP_ROWS: usize = 1 << 20;
/// Bytes of a column's dictionary in a row group; a column with more values is written plain. The words to look a value up in then lie in
/// a processor's cache, and zstd makes as little of plain values.
const DICTIONARY_BYTES: usize = 256 << 10;
/// Bytes of a row group that is written, as they are in memory: a row group is whole before any of it is on disk.
const ROW_GROUP_BYTES: usize = 128 << 20;

/// Reads and writes Apache Parquet files.
///
/// Columns are matched by name across files, whatever their order; types may be narrower than those of the first file. New files are compressed with
/// zstd at level 1 unless `to: {path: …, compression: snappy}` says otherwise; a row group has up to `row_group_rows` rows and 128 MB of memory.
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
        target: &FileTarget,
    ) -> Result<Box<dyn Encoder>, Failure> {
        let compression = match target.compression.unwrap_or(Compression::Zstd) {
            Compression::None => Codec::UNCOMPRESSED,
            Compression::Zstd => Codec::ZSTD(ZstdLevel::try_new(target.level_or(1))?),
            Compression::Snappy => Codec::SNAPPY,
            Compression::Gzip => Codec::GZIP(GzipLevel::try_new(target.level.unwrap_or(6))?),
            Compression::Lz4 => Codec::LZ4_RAW,
        };
        let rows = target.row_group_rows.map_or(ROW_GROUP_ROWS, std::num::NonZeroUsize::get);
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_max_row_group_row_count(Some(rows))
            .set_dictionary_page_size_limit(DICTIONARY_BYTES)
            .build();
        Ok(Box::new(ParquetEncoder(ArrowWriter::try_new(out, schema.clone(), Some(properties))?)))
    }
}

struct ParquetEncoder(ArrowWriter<Box<dyn Out>>);

impl Encoder for ParquetEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        self.0.write(batch)?;
        if self.0.memory_size() > ROW_GROUP_BYTES {
            self.0.flush()?;
        }
        Ok(())
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
        let opened = fs_err::File::open(file.path()?).map_err(|error| failed(&error))?.into_file();
        let metadata = ArrowReaderMetadata::load(&opened, ArrowReaderOptions::default())
            .map_err(|error| failed(&error))?;
        Ok(Self { file: file.clone(), metadata, group: 0 })
    }

    /// The next row group, as a job.
    fn next(&mut self, schema: &SchemaRef) -> Result<Option<Job>, CopyError> {
        let group = self.group;
        let Some(facts) = self.metadata.metadata().row_groups().get(group) else { return Ok(None) };
        let bytes = u64::try_from(facts.compressed_size()).unwrap_or(0);
        let columns = ByName::new(schema, self.metadata.schema(), &self.file.name)?;
        self.group += 1;
        let (file, metadata) = (self.file.clone(), self.metadata.clone());
        Ok(Some(Box::new(move |emit| {
            let failed = |error: &dyn std::fmt::Display| CopyError::read(&file.name, error);
            // Opened anew: threads that share an open file share the place in it.
            let opened = fs_err::File::open(file.path()?).map_err(|error| failed(&error))?.into_file();
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(opened, metadata)
                .with_row_groups(vec![group])
                .with_batch_size(BATCH_ROWS)
                .build()
                .map_err(|error| failed(&error))?;
            for batch in reader {
                let batch = batch.and_then(|batch| columns.of(&batch));
                let batches = vec![batch.map_err(|error| failed(&error))?];
                emit(Piece { batches, ..Piece::of_file(&file.name) })?;
            }
            emit(Piece { bytes, ..Piece::default() })
        })))
    }
}

impl ParquetReader {
    fn open(opening: Opening) -> Result<Self, CopyError> {
        let count = opening.files.len();
        let mut files = opening.files.into_iter();
        let Some(first) = files.next() else {
            return Err(CopyError::read("the source", &"there are no files"));
        };
        let open = OpenFile::open(&first)?;
        Ok(Self { files, schema: of_all(open.metadata.schema(), count), open: Some(open) })
    }
}

impl Reader for ParquetReader {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next(&mut self) -> Result<Option<Job>, CopyError> {
        loop {
            if let Some(open) = &mut self.open
                && let Some(job) = open.next(&self.schema)?
            {
                return Ok(Some(job));
            }
            let Some(file) = self.files.next() else { return Ok(None) };
            let open = OpenFile::open(&file)?;
            // A file without rows is looked at too.
            ByName::new(&self.schema, open.metadata.schema(), &file.name)?;
            self.open = Some(open);
        }
    }
}
