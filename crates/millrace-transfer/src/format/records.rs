//! Texts of records whose values have an inner structure. One thread cuts the text into chunks of whole records; each chunk becomes columns on
//! any thread. What a record is and what stands in it is the grammar's: JSON or XML.

use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use indexmap::IndexMap;
use millrace_spec::suggest::nearest;

use super::Opening;
use super::encoding::decoded;
use super::window::{Lines, Part};
use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::meter::Meter;
use crate::rejects::Reject;
use crate::source::files::SourceFile;
use crate::source::{Job, Piece, Reader};
use crate::types::{CellFormat, Shape, Struct, fields_of};

/// Rows that types are inferred from.
const SAMPLE_ROWS: usize = 10_000;
/// Of each file after those that gave so many.
const SAMPLE_ROWS_MORE: usize = 100;
/// Letters of names that are too short to be told from others.
const SHORT_NAME: usize = 3;
/// Columns of a table.
const MOST_COLUMNS: usize = 10_000;

/// How records stand in a text.
pub(super) trait Grammar: Send + Sync + 'static {
    /// Begins a text.
    fn cutter(&self, text: Box<dyn Read + Send>, file: &str) -> Result<Box<dyn Cutter>, CopyError>;

    /// Lets a record widen the columns. A bad one does nothing: it is rejected when it is read.
    fn see(&self, record: &str, columns: &mut IndexMap<String, Shape>);

    /// Appends a record to the columns.
    fn append(&self, record: &str, columns: &mut Struct) -> Result<(), Bad>;
}

/// Cuts a text into chunks.
pub(super) trait Cutter: Send {
    /// The next chunk; `None` at the end.
    fn next(&mut self) -> Result<Option<Chunk>, CopyError>;
}

/// Whole records, and where they stand in the file.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) part: Part,
    /// Where in the text the records are.
    pub(super) records: Vec<Range<usize>>,
    /// Why the last record is none.
    pub(super) broken: Option<Bad>,
}

/// Why a record cannot be read.
#[derive(Debug)]
pub(super) struct Bad {
    pub(super) column: Option<String>,
    pub(super) kind: &'static str,
    pub(super) message: String,
}

impl Bad {
    pub(super) fn syntax(message: impl Into<String>) -> Self {
        Self { column: None, kind: "syntax", message: message.into() }
    }

    pub(super) fn of_column(column: &str, kind: &'static str, message: impl Into<String>) -> Self {
        Self { column: Some(column.to_owned()), kind, message: message.into() }
    }
}

/// Reads files of records one after another.
pub(super) struct RecordReader {
    files: std::vec::IntoIter<SourceFile>,
    meter: Arc<Meter>,
    config: Arc<CopyConfig>,
    grammar: Arc<dyn Grammar>,
    columns: Arc<IndexMap<String, Shape>>,
    schema: SchemaRef,
    open: Option<(Box<dyn Cutter>, Arc<Decoding>)>,
}

impl RecordReader {
    /// Looks at the first rows of the files.
    pub(super) fn open(opening: Opening, grammar: Arc<dyn Grammar>) -> Result<Self, CopyError> {
        let Opening { files, config, meter } = opening;
        let columns = sampled(&files, &config, grammar.as_ref())?;
        let name = files.first().map_or("the source", |file| file.name.as_str());
        if columns.is_empty() {
            return Err(CopyError::read(name, &"there is no record in it that tells the columns"));
        }
        if columns.len() > MOST_COLUMNS {
            let message = format!("its first records have more than {MOST_COLUMNS} different names");
            return Err(CopyError::read(name, &message));
        }
        let schema = Arc::new(Schema::new(fields_of(&columns)));
        let columns = Arc::new(columns);
        Ok(Self { files: files.into_iter(), meter, config, grammar, columns, schema, open: None })
    }
}

/// The columns that the first records tell, and those that the user does.
fn sampled(
    files: &[SourceFile],
    config: &CopyConfig,
    grammar: &dyn Grammar,
) -> Result<IndexMap<String, Shape>, CopyError> {
    let mut columns = IndexMap::new();
    let mut left = SAMPLE_ROWS;
    for file in files {
        // The sample is read again later, and counts then.
        let text = decoded(file.open(&Arc::new(Meter::new(1)))?, config.encoding);
        let mut cutter = grammar.cutter(text, &file.name)?;
        let mut wanted = left.max(SAMPLE_ROWS_MORE);
        while wanted > 0 {
            let Some(chunk) = cutter.next()? else { break };
            for range in chunk.records.into_iter().take(wanted) {
                let record = chunk.part.text.get(range).unwrap_or_default();
                if let Ok(record) = std::str::from_utf8(record) {
                    grammar.see(record, &mut columns);
                }
                (wanted, left) = (wanted - 1, left.saturating_sub(1));
            }
            if columns.len() > MOST_COLUMNS {
                return Ok(columns);
            }
        }
    }
    check_names(files, config, &columns)?;
    for (name, spec) in &config.columns {
        let format = CellFormat::of(spec).map_err(|message| {
            CopyError::config(
                format!("column `{name}`: {message}"),
                format!("{name}: {{type: date, format: \"%d.%m.%Y\"}}"),
            )
        })?;
        columns.insert(name.clone(), Shape::Declared(format.with_nulls(&config.null_values)));
    }
    columns.values_mut().for_each(Shape::settle);
    Ok(columns)
}

/// A declared column that no record of the sample has may come later. One whose name is like that of a column nobody declared is a slip.
fn check_names(
    files: &[SourceFile],
    config: &CopyConfig,
    seen: &IndexMap<String, Shape>,
) -> Result<(), CopyError> {
    let undeclared: Vec<&str> =
        seen.keys().map(String::as_str).filter(|name| !config.columns.contains_key(*name)).collect();
    for (name, spec) in &config.columns {
        // Every short name is like some other.
        if seen.contains_key(name) || spec.is_optional() || name.chars().count() <= SHORT_NAME {
            continue;
        }
        if let Some(near) = nearest(name, &undeclared) {
            let file = files.first().map_or("the source", |file| file.name.as_str());
            return Err(CopyError::config(
                format!("the first records of `{file}` have no column `{name}`"),
                format!(
                    "did you mean `{near}`? If it is another one that comes later: `{name}: {{type: {}, optional: true}}`",
                    spec.kind()
                ),
            ));
        }
    }
    Ok(())
}

impl Reader for RecordReader {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next(&mut self) -> Result<Option<Job>, CopyError> {
        loop {
            if let Some((cutter, decoding)) = &mut self.open {
                if let Some(chunk) = cutter.next()? {
                    let decoding = decoding.clone();
                    return Ok(Some(Box::new(move |emit| emit(decoding.decode(chunk)?))));
                }
                self.open = None;
            }
            let Some(file) = self.files.next() else { return Ok(None) };
            let text = decoded(file.open(&self.meter)?, self.config.encoding);
            let cutter = self.grammar.cutter(text, &file.name)?;
            let decoding = Decoding {
                file: file.name,
                grammar: self.grammar.clone(),
                columns: self.columns.clone(),
                schema: self.schema.clone(),
            };
            self.open = Some((cutter, Arc::new(decoding)));
        }
    }
}

/// Everything that decoding a chunk of a file takes.
struct Decoding {
    file: String,
    grammar: Arc<dyn Grammar>,
    columns: Arc<IndexMap<String, Shape>>,
    schema: SchemaRef,
}

impl Decoding {
    fn decode(&self, chunk: Chunk) -> Result<Piece, CopyError> {
        let Chunk { part, records, mut broken } = chunk;
        let mut columns = Struct::new(&self.columns, records.len());
        let mut lines = Lines::new(part.line, b'\n');
        let mut piece = Piece::of_file(&self.file);
        // One look at everything is much cheaper than one at each record.
        let whole = std::str::from_utf8(&part.text).ok();
        let last = records.len().saturating_sub(1);
        for (index, range) in records.into_iter().enumerate() {
            let bytes = part.text.get(range.clone()).unwrap_or_default();
            let record = match whole.and_then(|text| text.get(range.clone())) {
                Some(record) => Ok(record),
                None => std::str::from_utf8(bytes).map_err(|error| not_utf8(&error)),
            };
            let broken = if index == last { broken.take() } else { None };
            let rows = columns.len();
            let appended = match broken {
                Some(broken) => Err(broken),
                None => record.and_then(|record| self.grammar.append(record, &mut columns)),
            };
            if let Err(bad) = appended {
                columns.truncate(rows);
                piece.rejects.push(Reject {
                    file: self.file.clone(),
                    line: lines.of(&part.text, range.start),
                    byte_offset: part.offset + range.start as u64,
                    column: bad.column,
                    kind: bad.kind,
                    raw: bytes.to_vec(),
                    message: bad.message,
                });
            }
        }
        let rows = columns.len();
        if rows > 0 {
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let batch = columns.finish().and_then(|columns| {
                RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            });
            piece.batches.push(batch.map_err(|error| CopyError::read(&self.file, &error))?);
        }
        Ok(piece)
    }
}

fn not_utf8(error: &std::str::Utf8Error) -> Bad {
    let message = format!("byte {} of the record is not UTF-8", error.valid_up_to() + 1);
    Bad { column: None, kind: "encoding", message }
}
