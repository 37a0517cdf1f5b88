//! Formats of files, and how files are packed.

mod archive;
mod arrow;
mod avro;
mod columns;
mod csv;
mod encoding;
mod excel;
mod json;
mod nested;
mod orc;
mod packing;
mod parquet;
mod records;
mod target;
mod typed;
mod window;
mod xml;

use std::io::Write;
use std::sync::Arc;

use ::arrow::datatypes::SchemaRef;
use ::arrow::record_batch::RecordBatch;
use millrace_contract::KindDoc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use archive::{Entry, unarchived};
pub use encoding::Encoding;
pub(crate) use packing::{Packing, unpacked};
pub(crate) use target::Target;
pub use target::{Compression, FileTarget};

use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::meter::Meter;
use crate::source::Reader;
use crate::source::files::SourceFile;

/// How rows stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Text with a delimiter.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// A JSON document with an array of objects.
    Json,
    /// Apache Parquet.
    Parquet,
    /// Apache Avro.
    Avro,
    /// Apache ORC.
    Orc,
    /// Arrow IPC, the file.
    Arrow,
    /// Arrow IPC, the stream.
    ArrowStream,
    /// A sheet of a workbook.
    Excel,
    /// Elements of an XML document.
    Xml,
}

impl Format {
    /// Every format. A new one: a file beside this one, and a line here and in [`Self::of`].
    pub(crate) const ALL: [Self; 10] = [
        Self::Csv,
        Self::Jsonl,
        Self::Json,
        Self::Parquet,
        Self::Avro,
        Self::Orc,
        Self::Arrow,
        Self::ArrowStream,
        Self::Excel,
        Self::Xml,
    ];

    pub(crate) fn of(self) -> &'static dyn FileFormat {
        match self {
            Self::Csv => &csv::Csv,
            Self::Jsonl => &json::Jsonl,
            Self::Json => &json::Json,
            Self::Parquet => &parquet::Parquet,
            Self::Avro => &avro::Avro,
            Self::Orc => &orc::Orc,
            Self::Arrow => &arrow::ArrowFile,
            Self::ArrowStream => &arrow::ArrowStream,
            Self::Excel => &excel::Excel,
            Self::Xml => &xml::Xml,
        }
    }
}

/// What a format can do. Its configuration is the step's.
pub(crate) trait FileFormat: Sync {
    /// What `millrace explain` prints.
    fn doc(&self) -> KindDoc;

    /// Endings of files that have it, in small letters; the first one is given to new files.
    fn endings(&self) -> &'static [&'static str];

    /// Looks at the beginning of the files; called on a blocking thread.
    fn reader(&self, opening: Opening) -> Result<Box<dyn Reader>, CopyError>;

    /// Begins a file.
    fn encoder(
        &self,
        out: Box<dyn Out>,
        schema: &SchemaRef,
        target: &FileTarget,
    ) -> Result<Box<dyn Encoder>, Failure>;
}

/// Files that are to be read as one table, the first one telling the columns.
pub(crate) struct Opening {
    pub(crate) files: Vec<SourceFile>,
    pub(crate) config: Arc<CopyConfig>,
    /// Counts the bytes that are read.
    pub(crate) meter: Arc<Meter>,
}

/// Why a file cannot be encoded, in words.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where encoded bytes go; it is whole only after [`Out::end`].
pub(crate) trait Out: Write + Send {
    fn end(self: Box<Self>) -> std::io::Result<()>;
}

/// Turns batches into the bytes of a file.
pub(crate) trait Encoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure>;

    /// Writes what ends the file, and gives back where it went.
    fn finish(self: Box<Self>) -> Result<Box<dyn Out>, Failure>;
}

/// Whether this is a path to the records of a JSON document.
pub(crate) fn check_records(path: &str) -> Result<(), CopyError> {
    json::path_of(path).map(drop)
}

/// The fields of a JSON object, each with its value as it is written; `None` if the text is no object.
pub(crate) fn json_fields(text: &str) -> Option<Vec<(String, &str)>> {
    json::fields(text)
}

/// The format that the first file's ending names.
pub(crate) fn of_files(files: &[SourceFile]) -> Result<Format, CopyError> {
    let name = files.first().map(|file| file.name.as_str()).unwrap_or_default();
    of_name(name).ok_or_else(|| unknown(name))
}

/// A name whose ending is none of a format.
pub(crate) fn unknown(name: &str) -> CopyError {
    let words: Vec<&str> = Format::ALL.iter().map(|format| format.of().doc().name).collect();
    CopyError::config(
        format!("the format of `{name}` cannot be told by its ending"),
        format!("end it in `.csv`, or add `format:` with one of {}", words.join(", ")),
    )
}

/// The format that a name's ending tells, below that of how it is packed.
pub(crate) fn of_name(name: &str) -> Option<Format> {
    let name = name.to_lowercase();
    let (_, ending) = Packing::of_name(&name).1.rsplit_once('.')?;
    Format::ALL.into_iter().find(|format| format.of().endings().contains(&ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_by_ending() {
        assert_eq!(of_name("a.CSV.gz"), Some(Format::Csv));
        assert_eq!(of_name("a.ndjson.zst"), Some(Format::Jsonl));
        assert_eq!(of_name("a.json"), Some(Format::Json));
        assert_eq!(of_name("a.XLSX"), Some(Format::Excel));
        assert_eq!(of_name("a.tsv.BZ2"), Some(Format::Csv));
        assert_eq!(of_name("a.bin"), None);
    }
}
