//! Arrow's own files and streams.

use std::io::BufReader;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::{FileReader, StreamReader};
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow::record_batch::RecordBatch;
use millrace_contract::{KindDoc, KindFamily};
use schemars::JsonSchema;
use serde::Deserialize;

use super::typed::{Batches, TypedReader};
use super::{Compression, Encoder, Failure, FileFormat, FileTarget, Opening, Out};
use crate::error::CopyError;
use crate::meter::Meter;
use crate::source::Reader;
use crate::source::files::SourceFile;

/// Reads and writes Arrow IPC files, also known as Feather version 2.
///
/// Columns are matched by name across files. New files are compressed with zstd unless `to: {path: …, compression: lz4}` says otherwise.
#[derive(Debug, Deserialize, JsonSchema)]
struct ArrowDoc {}

/// Reads and writes Arrow IPC streams.
///
/// Columns are matched by name across files. New files are compressed with zstd unless `to: {path: …, compression: lz4}` says otherwise.
#[derive(Debug, Deserialize, JsonSchema)]
struct ArrowStreamDoc {}

/// The format `arrow`.
pub(crate) struct ArrowFile;

/// The format `arrow_stream`.
pub(crate) struct ArrowStream;

impl FileFormat for ArrowFile {
    fn doc(&self) -> KindDoc {
        let example = "copy: {from: raw/rows.arrow, to: \"data:rows\"}\n";
        KindDoc::of::<ArrowDoc>(KindFamily::Connector, "arrow", example)
    }

    fn endings(&self) -> &'static [&'static str] {
        &["arrow", "feather"]
    }

    fn reader(&self, opening: Opening) -> Result<Box<dyn Reader>, CopyError> {
        Ok(Box::new(TypedReader::open(opening, open_file)?))
    }

    fn encoder(
        &self,
        out: Box<dyn Out>,
        schema: &SchemaRef,
        target: &FileTarget,
    ) -> Result<Box<dyn Encoder>, Failure> {
        Ok(Box::new(FileEncoder(FileWriter::try_new_with_options(out, schema, options(target)?)?)))
    }
}

impl FileFormat for ArrowStream {
    fn doc(&self) -> KindDoc {
        let example = "copy: {from: raw/rows.arrows, to: \"data:rows\"}\n";
        KindDoc::of::<ArrowStreamDoc>(KindFamily::Connector, "arrow_stream", example)
    }

    fn endings(&self) -> &'static [&'static str] {
        &["arrows"]
    }

    fn reader(&self, opening: Opening) -> Result<Box<dyn Reader>, CopyError> {
        Ok(Box::new(TypedReader::open(opening, open_stream)?))
    }

    fn encoder(
        &self,
        out: Box<dyn Out>,
        schema: &SchemaRef,
        target: &FileTarget,
    ) -> Result<Box<dyn Encoder>, Failure> {
        Ok(Box::new(StreamEncoder(StreamWriter::try_new_with_options(out, schema, options(target)?)?)))
    }
}

fn options(target: &FileTarget) -> Result<IpcWriteOptions, Failure> {
    let compression = match target.compression.unwrap_or(Compression::Zstd) {
        Compression::None => None,
        Compression::Zstd => Some(CompressionType::ZSTD),
        Compression::Lz4 => Some(CompressionType::LZ4_FRAME),
        Compression::Snappy | Compression::Gzip => {
            return Err("Arrow files are compressed with zstd or lz4; write `compression: zstd`".into());
        }
    };
    Ok(IpcWriteOptions::default().try_with_compression(compression)?)
}

/// A file's end tells where its batches are, so that it must lie there as it is.
fn open_file(file: &SourceFile, _: &Arc<Meter>) -> Result<Batches, CopyError> {
    let failed = |error: &dyn std::fmt::Display| CopyError::read(&file.name, error);
    let opened = fs_err::File::open(file.path()?).map_err(|error| failed(&error))?;
    let reader = FileReader::try_new(BufReader::new(opened), None).map_err(|error| failed(&error))?;
    Ok(Batches { schema: reader.schema(), batches: Box::new(reader), bytes: file.size_bytes() })
}

fn open_stream(file: &SourceFile, meter: &Arc<Meter>) -> Result<Batches, CopyError> {
    let reader = StreamReader::try_new(BufReader::new(file.open(meter)?), None)
        .map_err(|error| CopyError::read(&file.name, &error))?;
    Ok(Batches { schema: reader.schema(), batches: Box::new(reader), bytes: 0 })
}

struct FileEncoder(FileWriter<Box<dyn Out>>);

impl Encoder for FileEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        Ok(self.0.write(batch)?)
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn Out>, Failure> {
        Ok(self.0.into_inner()?)
    }
}

struct StreamEncoder(StreamWriter<Box<dyn Out>>);

impl Encoder for StreamEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        Ok(self.0.write(batch)?)
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn Out>, Failure> {
        Ok(self.0.into_inner()?)
    }
}
