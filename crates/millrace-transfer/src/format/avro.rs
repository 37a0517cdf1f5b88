//! Avro object container files.

use std::io::BufReader;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use arrow_avro::codec::Tz;
use arrow_avro::compression::CompressionCodec;
use arrow_avro::reader::ReaderBuilder;
use arrow_avro::writer::format::AvroOcfFormat;
use arrow_avro::writer::{Writer, WriterBuilder};
use millrace_contract::{KindDoc, KindFamily};
use schemars::JsonSchema;
use serde::Deserialize;

use super::columns::Adapted;
use super::typed::{Batches, TypedReader};
use super::{Compression, Encoder, Failure, FileFormat, FileTarget, Opening, Out};
use crate::error::CopyError;
use crate::meter::Meter;
use crate::source::files::SourceFile;
use crate::source::{BATCH_ROWS, Reader};

/// Reads and writes Apache Avro files.
///
/// Columns are matched by name across files. New files are compressed with zstd unless `to: {path: …, compression: snappy}` says otherwise. Avro's
/// names are letters, digits and `_`; it has no unsigned integers: they are written as wider signed ones, those of 64 bits as `decimal(20,0)`.
/// Seconds are written as milliseconds.
#[derive(Debug, Deserialize, JsonSchema)]
struct AvroDoc {}

/// The format `avro`.
pub(crate) struct Avro;

impl FileFormat for Avro {
    fn doc(&self) -> KindDoc {
        let example = "copy: {from: raw/events.avro, to: \"data:events\"}\n";
        KindDoc::of::<AvroDoc>(KindFamily::Connector, "avro", example)
    }

    fn endings(&self) -> &'static [&'static str] {
        &["avro"]
    }

    fn reader(&self, opening: Opening) -> Result<Box<dyn Reader>, CopyError> {
        Ok(Box::new(TypedReader::open(opening, open)?))
    }

    fn encoder(
        &self,
        out: Box<dyn Out>,
        schema: &SchemaRef,
        target: &FileTarget,
    ) -> Result<Box<dyn Encoder>, Failure> {
        let codec = match target.compression.unwrap_or(Compression::Zstd) {
            Compression::None => None,
            Compression::Zstd => Some(CompressionCodec::ZStandard),
            Compression::Snappy => Some(CompressionCodec::Snappy),
            Compression::Gzip => Some(CompressionCodec::Deflate),
            Compression::Lz4 => return Err("Avro has no lz4; write `compression: zstd`".into()),
        };
        schema.fields().iter().try_for_each(check_names)?;
        let adapted = Adapted::new(schema, "Avro", stored)?;
        let writer = WriterBuilder::new(adapted.schema.as_ref().clone()).with_compression(codec);
        Ok(Box::new(AvroEncoder { adapted, writer: writer.build::<_, AvroOcfFormat>(out)? }))
    }
}

fn open(file: &SourceFile, meter: &Arc<Meter>) -> Result<Batches, CopyError> {
    let input = BufReader::with_capacity(256 * 1024, file.open(meter)?);
    let reader = ReaderBuilder::new()
        .with_batch_size(BATCH_ROWS)
        .with_tz(Tz::Utc)
        .build(input)
        .map_err(|error| CopyError::read(&file.name, &error))?;
    Ok(Batches { schema: reader.schema(), batches: Box::new(reader), bytes: 0 })
}

struct AvroEncoder {
    adapted: Adapted,
    writer: Writer<Box<dyn Out>, AvroOcfFormat>,
}

impl Encoder for AvroEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        Ok(self.writer.write(&self.adapted.of(batch)?)?)
    }

    fn finish(mut self: Box<Self>) -> Result<Box<dyn Out>, Failure> {
        self.writer.finish()?;
        Ok(self.writer.into_inner())
    }
}

/// Another name would be changed without a word.
fn check_names(field: &FieldRef) -> Result<(), Failure> {
    let name = field.name();
    let letter = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    let sound = name.starts_with(letter) && name.chars().all(|other| letter(other) || other.is_ascii_digit());
    if !sound {
        let message = format!(
            "`{name}` is no name in Avro; `rename: {{\"{name}\": …}}` gives it letters, digits and `_`"
        );
        return Err(message.into());
    }
    match field.data_type() {
        DataType::Struct(fields) => fields.iter().try_for_each(check_names),
        DataType::List(element) | DataType::LargeList(element) => match element.data_type() {
            DataType::Struct(fields) => fields.iter().try_for_each(check_names),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn stored(kind: &DataType) -> Option<DataType> {
    use DataType::{
        Date64, Float16, Float32, Int8, Int16, Int32, Int64, Time32, Time64, Timestamp, UInt8, UInt16,
        UInt32, UInt64,
    };
    Some(match kind {
        Int8 | Int16 | UInt8 | UInt16 => Int32,
        UInt32 => Int64,
        UInt64 => DataType::Decimal128(20, 0),
        Float16 => Float32,
        Date64 => Timestamp(TimeUnit::Millisecond, None),
        Time32(TimeUnit::Second) => Time32(TimeUnit::Millisecond),
        Time64(TimeUnit::Nanosecond) => Time64(TimeUnit::Microsecond),
        Timestamp(unit, zone) => {
            let unit = if *unit == TimeUnit::Second { TimeUnit::Millisecond } else { *unit };
            // An instant; the zone it is shown in has no place.
            Timestamp(unit, zone.as_ref().map(|_| "UTC".into()))
        }
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Null => DataType::Utf8,
        DataType::Map(entries, sorted) => DataType::Map(Arc::new(Field::clone(entries)), *sorted),
        DataType::Boolean
        | Int32
        | Int64
        | Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Binary
        | DataType::FixedSizeBinary(_)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..)
        | DataType::Date32
        | Time32(TimeUnit::Millisecond)
        | Time64(TimeUnit::Microsecond)
        | DataType::Struct(_)
        | DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..) => kind.clone(),
        _ => return None,
    })
}
