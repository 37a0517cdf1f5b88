//! ORC files. Stripes are decoded side by side.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use millrace_contract::{KindDoc, KindFamily};
use orc_rust::arrow_reader::ArrowReaderBuilder;
use orc_rust::arrow_writer::{ArrowWriter, ArrowWriterBuilder};
use orc_rust::compression::CompressionType;
use orc_rust::schema::TimestampPrecision;
use schemars::JsonSchema;
use serde::Deserialize;

use super::columns::{Adapted, ByName, of_all};
use super::{Compression, Encoder, Failure, FileFormat, FileTarget, Opening, Out};
use crate::error::CopyError;
use crate::source::files::SourceFile;
use crate::source::{BATCH_ROWS, Job, Piece, Reader};

/// Bytes of a stripe that is written, as they are in memory.
const STRIPE_BYTES: usize = 64 << 20;

/// Reads and writes Apache ORC files.
///
/// Columns are matched by name across files. Times are read as microseconds. Plain columns can be written; decimals, times of the day, structs and
/// lists cannot. New files are compressed with zstd unless `to: {path: …, compression: snappy}` says otherwise.
#[derive(Debug, Deserialize, JsonSchema)]
struct OrcDoc {}

/// The format `orc`.
pub(crate) struct Orc;

impl FileFormat for Orc {
    fn doc(&self) -> KindDoc {
        let example = "copy: {from: raw/orders.orc, to: \"data:orders\"}\n";
        KindDoc::of::<OrcDoc>(KindFamily::Connector, "orc", example)
    }

    fn endings(&self) -> &'static [&'static str] {
        &["orc"]
    }

    fn reader(&self, opening: Opening) -> Result<Box<dyn Reader>, CopyError> {
        Ok(Box::new(OrcReader::open(opening)?))
    }

    fn encoder(
        &self,
        out: Box<dyn Out>,
        schema: &SchemaRef,
        target: &FileTarget,
    ) -> Result<Box<dyn Encoder>, Failure> {
        let adapted = Adapted::new(schema, "ORC", stored)?;
        let out = Shared(Rc::new(RefCell::new(Some(out))));
        let mut builder =
            ArrowWriterBuilder::new(out.clone(), adapted.schema.clone()).with_stripe_byte_size(STRIPE_BYTES);
        let compression = match target.compression.unwrap_or(Compression::Zstd) {
            Compression::None => None,
            Compression::Zstd => Some(CompressionType::Zstd),
            Compression::Snappy => Some(CompressionType::Snappy),
            Compression::Gzip => Some(CompressionType::Zlib),
            Compression::Lz4 => Some(CompressionType::Lz4),
        };
        if let Some(compression) = compression {
            builder = builder.with_compression(compression);
        }
        Ok(Box::new(OrcEncoder { adapted, writer: builder.try_build()?, out }))
    }
}

struct OrcEncoder {
    adapted: Adapted,
    writer: ArrowWriter<Shared>,
    out: Shared,
}

/// The writer keeps what it is given, so that it is given a handle.
#[derive(Clone)]
struct Shared(Rc<RefCell<Option<Box<dyn Out>>>>);

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut dyn Out) -> std::io::Result<T>) -> std::io::Result<T> {
        match self.0.borrow_mut().as_mut() {
            Some(out) => act(out.as_mut()),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.with(|out| out.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.with(|out| out.flush())
    }
}

impl Encoder for OrcEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        Ok(self.writer.write(&self.adapted.of(batch)?)?)
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn Out>, Failure> {
        self.writer.close()?;
        let out = self.out.0.borrow_mut().take();
        out.ok_or_else(|| "the file was ended already".into())
    }
}

/// The types that orc-rust 0.9 writes; it panics at others.
fn stored(kind: &DataType) -> Option<DataType> {
    use DataType::{Float16, Float32, Int16, Int32, Int64, Timestamp, UInt8, UInt16, UInt32};
    Some(match kind {
        UInt8 => Int16,
        UInt16 => Int32,
        UInt32 => Int64,
        Float16 => Float32,
        // ORC's own limits are those of nanoseconds, years 1677 to 2262, with any other unit too.
        Timestamp(_, zone) => Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "UTC".into())),
        DataType::Date64 => DataType::Date32,
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Boolean
        | DataType::Int8
        | Int16
        | Int32
        | Int64
        | Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Binary
        | DataType::Date32 => kind.clone(),
        _ => return None,
    })
}

struct OrcReader {
    files: std::vec::IntoIter<SourceFile>,
    schema: SchemaRef,
    open: Option<OpenFile>,
}

/// A file and its stripes that come next: where they begin, and their bytes.
struct OpenFile {
    file: SourceFile,
    columns: Option<ByName>,
    found: SchemaRef,
    stripes: std::vec::IntoIter<(u64, u64)>,
}

type Builder = ArrowReaderBuilder<std::fs::File>;

fn builder(file: &SourceFile) -> Result<Builder, CopyError> {
    let failed = |error: &dyn std::fmt::Display| CopyError::read(&file.name, error);
    let opened = fs_err::File::open(file.path()?).map_err(|error| failed(&error))?.into_file();
    let builder = ArrowReaderBuilder::try_new(opened).map_err(|error| failed(&error))?;
    Ok(builder.with_batch_size(BATCH_ROWS).with_timestamp_precision(TimestampPrecision::Microsecond))
}

impl OpenFile {
    fn open(file: SourceFile) -> Result<Self, CopyError> {
        let builder = builder(&file)?;
        let stripes: Vec<(u64, u64)> = builder
            .file_metadata()
            .stripe_metadatas()
            .iter()
            .map(|stripe| {
                (stripe.offset(), stripe.index_length() + stripe.data_length() + stripe.footer_length())
            })
            .collect();
        Ok(Self { columns: None, found: builder.schema(), stripes: stripes.into_iter(), file })
    }

    /// The next stripe, as a job.
    fn next(&mut self, schema: &SchemaRef) -> Result<Option<Job>, CopyError> {
        let columns = match &self.columns {
            Some(columns) => columns.clone(),
            None => self.columns.insert(ByName::new(schema, &self.found, &self.file.name)?).clone(),
        };
        let Some((offset, bytes)) = self.stripes.next() else { return Ok(None) };
        let file = self.file.clone();
        Ok(Some(Box::new(move |emit| {
            let failed = |error: &dyn std::fmt::Display| CopyError::read(&file.name, error);
            let begin = usize::try_from(offset).map_err(|error| failed(&error))?;
            for batch in builder(&file)?.with_file_byte_range(begin..begin + 1).build() {
                let batch = batch.and_then(|batch| columns.of(&batch));
                let batches = vec![batch.map_err(|error| failed(&error))?];
                emit(Piece { batches, ..Piece::of_file(&file.name) })?;
            }
            emit(Piece { bytes, ..Piece::default() })
        })))
    }
}

impl OrcReader {
    fn open(opening: Opening) -> Result<Self, CopyError> {
        let count = opening.files.len();
        let mut files = opening.files.into_iter();
        let Some(first) = files.next() else {
            return Err(CopyError::read("the source", &"there are no files"));
        };
        let open = OpenFile::open(first)?;
        Ok(Self { files, schema: of_all(&open.found, count), open: Some(open) })
    }
}

impl Reader for OrcReader {
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
            self.open = Some(OpenFile::open(file)?);
        }
    }
}
