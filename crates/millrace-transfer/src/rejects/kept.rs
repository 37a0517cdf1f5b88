//! The file that rejected rows are in.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{Reject, RejectFile};

/// Rows that are put into Parquet at once.
const AT_ONCE: usize = 1_024;

/// A file that is being written.
pub(super) enum Kept {
    Csv(fs_err::File),
    Parquet(Box<Rows>),
}

/// Rows in Parquet. The file has its end when it is closed, or when nobody wants it any more.
pub(super) struct Rows {
    waiting: Vec<Reject>,
    schema: Arc<Schema>,
    /// `None` once it is closed.
    writer: Option<ArrowWriter<fs_err::File>>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Kept")
    }
}

impl Kept {
    pub(super) fn create(path: &Path, file: RejectFile) -> std::io::Result<Self> {
        let mut out = fs_err::File::create(path)?;
        match file {
            RejectFile::Csv => {
                out.write_all(b"file,line,byte_offset,column,kind,raw,message\n")?;
                Ok(Self::Csv(out))
            }
            RejectFile::Parquet => Ok(Self::Parquet(Box::new(Rows::new(out)?))),
        }
    }

    pub(super) fn add(&mut self, reject: &Reject) -> std::io::Result<()> {
        match self {
            Self::Csv(file) => file.write_all(line(reject).as_bytes()),
            Self::Parquet(rows) => {
                rows.waiting.push(reject.clone());
                if rows.waiting.len() < AT_ONCE { Ok(()) } else { rows.write() }
            }
        }
    }

    /// Everything that was added is in the file, which is whole.
    pub(super) fn close(&mut self) -> std::io::Result<()> {
        match self {
            Self::Csv(_) => Ok(()),
            Self::Parquet(rows) => rows.close(),
        }
    }
}

impl Rows {
    fn new(out: fs_err::File) -> std::io::Result<Self> {
        let field = |name: &str, kind: DataType, nullable: bool| Field::new(name, kind, nullable);
        let schema = Arc::new(Schema::new(vec![
            field("file", DataType::Utf8, false),
            field("line", DataType::Int64, false),
            field("byte_offset", DataType::Int64, false),
            field("column", DataType::Utf8, true),
            field("kind", DataType::Utf8, false),
            field("raw", DataType::Binary, false),
            field("message", DataType::Utf8, false),
        ]));
        let level = ZstdLevel::try_new(1).map_err(std::io::Error::other)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties));
        Ok(Self { waiting: Vec::new(), schema, writer: Some(writer.map_err(std::io::Error::other)?) })
    }

    fn write(&mut self) -> std::io::Result<()> {
        let rows = std::mem::take(&mut self.waiting);
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let texts = |of: fn(&Reject) -> Option<&str>| -> ArrayRef {
            Arc::new(rows.iter().map(of).collect::<StringArray>())
        };
        let numbers = |of: fn(&Reject) -> u64| -> ArrayRef {
            Arc::new(rows.iter().map(|row| number(of(row))).collect::<Int64Array>())
        };
        let raw = BinaryArray::from_iter_values(rows.iter().map(|row| row.raw.as_slice()));
        let columns = vec![
            texts(|row| Some(&row.file)),
            numbers(|row| row.line),
            numbers(|row| row.byte_offset),
            texts(|row| row.column.as_deref()),
            texts(|row| Some(row.kind)),
            Arc::new(raw),
            texts(|row| Some(&row.message)),
        ];
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(std::io::Error::other)?;
        match &mut self.writer {
            Some(writer) => writer.write(&batch).map_err(std::io::Error::other),
            None => Ok(()),
        }
    }

    fn close(&mut self) -> std::io::Result<()> {
        if !self.waiting.is_empty() {
            self.write()?;
        }
        match self.writer.take() {
            Some(writer) => writer.close().map(drop).map_err(std::io::Error::other),
            None => Ok(()),
        }
    }
}

impl Drop for Rows {
    /// A copy that fails has rejects too.
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the file of rejected rows could not be ended");
        }
    }
}

fn line(reject: &Reject) -> String {
    let raw = String::from_utf8_lossy(&reject.raw);
    let row = [
        quoted(&reject.file),
        reject.line.to_string(),
        reject.byte_offset.to_string(),
        quoted(reject.column.as_deref().unwrap_or_default()),
        reject.kind.to_owned(),
        quoted(raw.trim_end_matches(['\r', '\n'])),
        quoted(&reject.message),
    ];
    format!("{}\n", row.join(","))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
