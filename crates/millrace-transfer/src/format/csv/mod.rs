//! CSV: a decoder that knows where each row stands, so that a bad one can be shown and set aside.
//!
//! The text is cut into chunks of whole records by one thread (`chunks.rs`); each chunk becomes columns on any thread (`decode.rs`).

mod chunks;
mod decode;
mod marks;
mod scan;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use indexmap::IndexMap;
use millrace_contract::{KindDoc, KindFamily};
use schemars::JsonSchema;
use serde::Deserialize;

use super::encoding::decoded;
use super::nested::AsText;
use super::{Encoder, Failure, FileFormat, FileTarget, Opening, Out};
use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::meter::Meter;
use crate::source::files::SourceFile;
use crate::source::{Job, Reader};
use crate::types::{CellFormat, ColumnSpec, Inference};
use chunks::Chunks;
use decode::Decoding;
use scan::{Dialect, Found};

/// Rows that types are inferred from.
const SAMPLE_ROWS: usize = 10_000;

/// Reads and writes text files with a delimiter.
///
/// Types are inferred from the first 10,000 rows unless `columns:` declares them. A bad row fails the copy, or is set aside with
/// `on_error: reject`, with its line, its byte offset and its text. A quote that is not closed costs one line.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "the fields are there for their documentation; the step's config holds them")]
struct CsvDoc {
    /// One ASCII character, or `tab`.
    delimiter: Option<String>,
    /// Around fields that hold delimiters or lines; `"` if absent.
    quote: Option<String>,
    /// Before a quote within quotes, beside the doubled quote.
    escape: Option<String>,
    /// First character of lines that are none.
    comment: Option<String>,
    /// Lines before the header that are none.
    skip_lines: Option<u64>,
    /// Whether the first row names the columns.
    header: Option<bool>,
    /// Types of columns by name, also with the form of their values.
    columns: Option<IndexMap<String, ColumnSpec>>,
    /// Texts that mean null, beside the empty one.
    null_values: Option<Vec<String>>,
}

/// The format `csv`.
pub(crate) struct Csv;

impl FileFormat for Csv {
    fn doc(&self) -> KindDoc {
        let example = "copy: {from: \"raw/*.csv.gz\", to: \"data:flights\"}\n";
        KindDoc::of::<CsvDoc>(KindFamily::Connector, "csv", example)
    }

    fn endings(&self) -> &'static [&'static str] {
        &["csv", "tsv", "txt"]
    }

    fn reader(&self, opening: Opening) -> Result<Box<dyn Reader>, CopyError> {
        Ok(Box::new(CsvReader::open(opening)?))
    }

    fn encoder(
        &self,
        out: Box<dyn Out>,
        schema: &SchemaRef,
        target: &FileTarget,
    ) -> Result<Box<dyn Encoder>, Failure> {
        let mut builder = arrow::csv::WriterBuilder::new()
            .with_header(target.header.unwrap_or(true))
            .with_delimiter(delimiter(target.delimiter.as_deref(), &target.path)?);
        if let Some(quote) = one_byte("quote", target.quote.as_deref())? {
            builder = builder.with_quote(quote);
        }
        if let Some(null) = &target.null_value {
            builder = builder.with_null(null.clone());
        }
        let as_text = AsText::new(schema);
        let mut writer = builder.build(out);
        // So that a table without rows has its header.
        writer.write(&RecordBatch::new_empty(as_text.schema().clone()))?;
        Ok(Box::new(CsvEncoder { writer, as_text }))
    }
}

struct CsvEncoder {
    writer: arrow::csv::Writer<Box<dyn Out>>,
    as_text: AsText,
}

impl Encoder for CsvEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        Ok(self.writer.write(&self.as_text.of(batch)?)?)
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn Out>, Failure> {
        Ok(self.writer.into_inner())
    }
}

/// Reads CSV files one after another.
struct CsvReader {
    files: std::vec::IntoIter<SourceFile>,
    meter: Arc<Meter>,
    config: Arc<CopyConfig>,
    names: Vec<String>,
    formats: Vec<CellFormat>,
    schema: SchemaRef,
    open: Option<(Chunks, Arc<Decoding>)>,
}

impl CsvReader {
    /// Reads the header and a sample of the first file.
    fn open(opening: Opening) -> Result<Self, CopyError> {
        let Opening { files, config, meter } = opening;
        let Some(first) = files.first() else {
            return Err(CopyError::read("the source", &"there are no files"));
        };
        // The sample is read again later, and counts then.
        let mut text = open_text(first, &config, &Arc::new(Meter::new(1)))?;
        let names = names(&mut text, &config, &first.name)?.unwrap_or_default();
        if names.is_empty() {
            return Err(CopyError::read(&first.name, &"the file is empty"));
        }
        if let Some(unknown) = config.columns.keys().find(|name| !names.contains(name)) {
            return Err(CopyError::config(
                format!("`{}` has no column `{unknown}`", first.name),
                format!("its columns are: {}", names.join(", ")),
            ));
        }
        let inferred = infer(&mut text, &config, names.len())?;
        let format = |(name, inferred): (&String, &Inference)| match config.columns.get(name) {
            None => Ok(CellFormat::plain(inferred.column_type())),
            Some(spec) => CellFormat::of(spec).map_err(|message| {
                CopyError::config(
                    format!("column `{name}`: {message}"),
                    format!("{name}: {{type: date, format: \"%d.%m.%Y\"}}"),
                )
            }),
        };
        let formats: Vec<CellFormat> = names.iter().zip(&inferred).map(format).collect::<Result<_, _>>()?;
        let fields =
            names.iter().zip(&formats).map(|(name, format)| Field::new(name, format.kind.data_type(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok(Self { files: files.into_iter(), meter, config, names, formats, schema, open: None })
    }

    fn open_next(&mut self) -> Result<bool, CopyError> {
        let Some(file) = self.files.next() else { return Ok(false) };
        let mut text = open_text(&file, &self.config, &self.meter)?;
        let header = if self.config.header {
            // A file without anything has no rows either.
            match names(&mut text, &self.config, &file.name)? {
                Some(header) => header,
                None => return self.open_next(),
            }
        } else {
            self.names.clone()
        };
        let decoding = Decoding {
            dialect: text.dialect(),
            schema: self.schema.clone(),
            formats: self.formats.clone(),
            positions: self.positions(&header, &file.name)?,
            width: header.len(),
            nulls: self.config.null_values.iter().map(|text| text.clone().into_bytes()).collect(),
            comment: one_byte("comment", self.config.comment.as_deref())?,
            file: file.name,
        };
        self.open = Some((text, Arc::new(decoding)));
        Ok(true)
    }

    /// For each column of the schema, its position in this file.
    fn positions(&self, header: &[String], file: &str) -> Result<Vec<Option<usize>>, CopyError> {
        let find = |name: &String| header.iter().position(|other| other == name);
        let positions: Vec<Option<usize>> = self.names.iter().map(find).collect();
        if header.len() == self.names.len() && positions.iter().all(Option::is_some) {
            return Ok(positions);
        }
        Err(CopyError::read(
            file,
            &format!(
                "its columns are {}, those of the first file {}",
                header.join(", "),
                self.names.join(", ")
            ),
        ))
    }
}

impl Reader for CsvReader {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next(&mut self) -> Result<Option<Job>, CopyError> {
        loop {
            if let Some((text, decoding)) = &mut self.open {
                if let Some(chunk) = text.next()? {
                    let decoding = decoding.clone();
                    return Ok(Some(Box::new(move |emit| emit(decoding.decode(&chunk)?))));
                }
                self.open = None;
            }
            if !self.open_next()? {
                return Ok(None);
            }
        }
    }
}

fn open_text(file: &SourceFile, config: &CopyConfig, meter: &Arc<Meter>) -> Result<Chunks, CopyError> {
    let delimiter = delimiter(config.delimiter.as_deref(), &file.name)?;
    let dialect = Dialect {
        delimiter,
        quote: one_byte("quote", config.quote.as_deref())?.unwrap_or(b'"'),
        escape: one_byte("escape", config.escape.as_deref())?,
        newline: b'\n',
    };
    let mut text = Chunks::new(decoded(file.open(meter)?, config.encoding), dialect, &file.name)?;
    for _ in 0..config.skip_lines {
        text.take_line()?;
    }
    Ok(text)
}

/// What the step says, or what the file's name does.
fn delimiter(delimiter: Option<&str>, name: &str) -> Result<u8, CopyError> {
    match delimiter {
        None if name.to_lowercase().contains(".tsv") => Ok(b'\t'),
        Some("tab" | "\t") => Ok(b'\t'),
        delimiter => Ok(one_byte("delimiter", delimiter)?.unwrap_or(b',')),
    }
}

fn one_byte(field: &str, text: Option<&str>) -> Result<Option<u8>, CopyError> {
    match text.map(str::as_bytes) {
        None => Ok(None),
        Some([byte]) if byte.is_ascii() => Ok(Some(*byte)),
        Some(other) => Err(CopyError::config(
            format!("`{}` is not one ASCII character", String::from_utf8_lossy(other)),
            format!("{field}: \";\""),
        )),
    }
}

/// The names that the first record tells, or numbers for as many columns as it has; `None` if there is no record.
fn names(text: &mut Chunks, config: &CopyConfig, file: &str) -> Result<Option<Vec<String>>, CopyError> {
    let mut cells: Vec<Vec<u8>> = Vec::new();
    let mut each = |cell: &[u8]| cells.push(cell.to_vec());
    let found = if config.header { text.take_record(&mut each)? } else { text.peek_record(&mut each)? };
    if !found {
        return match config.header {
            true => Ok(None),
            false => Ok(Some(Vec::new())),
        };
    }
    let mut names: Vec<String> = Vec::with_capacity(cells.len());
    for (index, cell) in cells.into_iter().enumerate() {
        let name = match String::from_utf8(cell) {
            Ok(name) if config.header && !name.trim().is_empty() => name.trim().to_owned(),
            Err(_) if config.header => {
                return Err(CopyError::read(file, &"its header is not UTF-8; `encoding: latin-1`?"));
            }
            _ => format!("column_{}", index + 1),
        };
        if names.contains(&name) {
            return Err(CopyError::read(file, &format!("two columns are named `{name}`")));
        }
        names.push(name);
    }
    Ok(Some(names))
}

/// What the first rows say about the types.
fn infer(text: &mut Chunks, config: &CopyConfig, width: usize) -> Result<Vec<Inference>, CopyError> {
    let mut columns = vec![Inference::new(); width];
    let (mut spans, mut scratch) = (Vec::new(), Vec::new());
    let mut left = SAMPLE_ROWS;
    while left > 0 {
        let Some(chunk) = text.next()? else { break };
        let (mut at, mut marks) = (0, text.dialect().marks());
        while at < chunk.text.len() && left > 0 {
            let Found::Record(place) = text.dialect().record(&chunk.text, at, true, &mut spans, &mut marks)
            else {
                break;
            };
            at = place.next;
            left -= 1;
            for (span, column) in spans.iter().zip(&mut columns).filter(|_| spans.len() == width) {
                let cell = text.dialect().field(&chunk.text, *span, &mut scratch);
                let is_null =
                    cell.is_empty() || config.null_values.iter().any(|null| null.as_bytes() == cell);
                match std::str::from_utf8(cell) {
                    Ok(cell) if !is_null => column.see(cell),
                    _ => {}
                }
            }
        }
    }
    Ok(columns)
}
