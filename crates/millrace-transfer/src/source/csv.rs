//! CSV: a decoder that knows where each row began, so that a bad one can be shown and set aside.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use csv_core::ReadRecordResult;

use super::files::SourceFile;
use super::text::decoded;
use super::{BATCH_ROWS, Emit, Reader};
use crate::columns::{Builder, Cell, ColumnType, Inference};
use crate::copy::CopyConfig;
use crate::error::CopyError;
use crate::rejects::{Reject, Rejects};

/// Rows that types are inferred from.
const SAMPLE_ROWS: usize = 10_000;

/// A record: its fields end to end, and where it stood.
#[derive(Debug, Default)]
struct Record {
    fields: Vec<u8>,
    ends: Vec<usize>,
    raw: Vec<u8>,
    line: u64,
    offset: u64,
}

impl Record {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn field(&self, index: usize) -> Option<&[u8]> {
        let start = if index == 0 { 0 } else { *self.ends.get(index - 1)? };
        self.fields.get(start..*self.ends.get(index)?)
    }

    fn text(&self, index: usize) -> Option<Result<&str, std::str::Utf8Error>> {
        self.field(index).map(std::str::from_utf8)
    }
}

/// Splits a stream of bytes into records.
struct Records {
    input: Box<dyn Read + Send>,
    core: csv_core::Reader,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    line: u64,
    name: String,
}

impl Records {
    fn open(file: &SourceFile, config: &CopyConfig) -> Result<Self, CopyError> {
        let delimiter = match config.delimiter.as_deref() {
            None if file.name.contains(".tsv") => b'\t',
            None => b',',
            Some("tab" | "\t") => b'\t',
            Some(text) => match text.as_bytes() {
                [byte] => *byte,
                _ => {
                    return Err(CopyError::config(
                        format!("`{text}` is not one ASCII character"),
                        "delimiter: \";\"",
                    ));
                }
            },
        };
        let mut records = Self {
            input: decoded(file.open()?, config.encoding),
            core: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            buffer: vec![0; 64 * 1024],
            start: 0,
            end: 0,
            offset: 0,
            line: 1,
            name: file.name.clone(),
        };
        records.fill()?;
        if records.buffer.get(..records.end).is_some_and(|head| head.starts_with(b"\xef\xbb\xbf")) {
            records.start = 3;
            records.offset = 3;
        }
        Ok(records)
    }

    fn fill(&mut self) -> Result<(), CopyError> {
        self.start = 0;
        self.end = self.input.read(&mut self.buffer).map_err(|error| CopyError::read(&self.name, &error))?;
        Ok(())
    }

    /// Reads the next record; `false` at the end. Empty lines are skipped.
    fn next(&mut self, record: &mut Record) -> Result<bool, CopyError> {
        record.raw.clear();
        record.fields.resize(record.fields.capacity().max(1024), 0);
        record.ends.resize(record.ends.capacity().max(64), 0);
        let (mut written, mut ended) = (0, 0);
        (record.offset, record.line) = (self.offset, self.line);
        loop {
            if self.start == self.end {
                self.fill()?;
            }
            let input = self.buffer.get(self.start..self.end).unwrap_or_default();
            let fields = record.fields.get_mut(written..).unwrap_or_default();
            let ends = record.ends.get_mut(ended..).unwrap_or_default();
            let (result, read, wrote, ends_written) = self.core.read_record(input, fields, ends);
            record.raw.extend_from_slice(input.get(..read).unwrap_or_default());
            self.start += read;
            self.offset += read as u64;
            written += wrote;
            ended += ends_written;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => record.fields.resize(record.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => record.ends.resize(record.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    self.count_lines(record);
                    record.fields.truncate(written);
                    record.ends.truncate(ended);
                    return Ok(true);
                }
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    /// The reader swallows a row's end partly with the next row's beginning (`\r\n`, empty lines), so the row's own first line is found by
    /// skipping what stands before its first character.
    fn count_lines(&mut self, record: &mut Record) {
        let blank = record.raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let newlines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        record.line = self.line + newlines(record.raw.get(..blank).unwrap_or_default());
        record.offset += blank as u64;
        self.line += newlines(&record.raw);
        record.raw.drain(..blank);
    }
}

/// Reads CSV files one after another.
pub(crate) struct CsvReader {
    files: Vec<SourceFile>,
    config: Arc<CopyConfig>,
    rejects: Arc<Mutex<Rejects>>,
    names: Vec<String>,
    types: Vec<ColumnType>,
}

impl CsvReader {
    /// Reads the header and a sample of the first file.
    pub(crate) fn open(
        files: Vec<SourceFile>,
        config: Arc<CopyConfig>,
        rejects: Arc<Mutex<Rejects>>,
    ) -> Result<Self, CopyError> {
        let Some(first) = files.first() else {
            return Err(CopyError::read("the source", &"there are no files"));
        };
        let mut records = Records::open(first, &config)?;
        let mut record = Record::default();
        let mut more = records.next(&mut record)?;
        let names = header(&record, &config, &first.name)?;
        if config.header {
            more = more && records.next(&mut record)?;
        }
        let mut columns = vec![Inference::new(); names.len()];
        let mut left = SAMPLE_ROWS;
        while more && left > 0 {
            for (index, column) in columns.iter_mut().enumerate().filter(|_| record.len() == names.len()) {
                if let Some(Ok(text)) =
                    record.text(index).filter(|text| text.is_ok_and(|text| !is_null(&config, text)))
                {
                    column.see(text);
                }
            }
            left -= 1;
            more = records.next(&mut record)?;
        }
        if let Some(unknown) = config.columns.keys().find(|name| !names.contains(name)) {
            return Err(CopyError::config(
                format!("`{}` has no column `{unknown}`", first.name),
                format!("its columns are: {}", names.join(", ")),
            ));
        }
        let declared = |(name, inferred): (&String, &Inference)| {
            config.columns.get(name).copied().unwrap_or_else(|| inferred.column_type())
        };
        let types = names.iter().zip(&columns).map(declared).collect();
        Ok(Self { files, config, rejects, names, types })
    }

    /// For each column of the schema, its position in this file.
    fn positions(&self, header: &[String], file: &str) -> Result<Vec<usize>, CopyError> {
        let find = |name: &String| header.iter().position(|other| other == name);
        let positions: Option<Vec<usize>> = self.names.iter().map(find).collect();
        positions.filter(|_| header.len() == self.names.len()).ok_or_else(|| {
            CopyError::read(
                file,
                &format!(
                    "its columns are {}, those of the first file {}",
                    header.join(", "),
                    self.names.join(", ")
                ),
            )
        })
    }

    fn read_file(&self, file: &SourceFile, batch: &mut Batch, emit: &mut Emit<'_>) -> Result<(), CopyError> {
        let mut records = Records::open(file, &self.config)?;
        let mut record = Record::default();
        let mut positions: Vec<usize> = (0..self.names.len()).collect();
        if self.config.header {
            if !records.next(&mut record)? {
                return Ok(());
            }
            positions = self.positions(&header(&record, &self.config, &file.name)?, &file.name)?;
        }
        while records.next(&mut record)? {
            match self.cells(&record, &positions) {
                Ok(cells) => batch.append(&cells),
                Err(bad) => {
                    let reject = Reject {
                        file: file.name.clone(),
                        line: record.line,
                        byte_offset: record.offset,
                        raw: record.raw.clone(),
                        column: bad.column,
                        kind: bad.kind,
                        message: bad.message,
                    };
                    self.rejects.lock().unwrap_or_else(PoisonError::into_inner).take(&reject)?;
                }
            }
            if batch.rows == BATCH_ROWS {
                emit(batch.finish(&self.schema())?)?;
            }
        }
        Ok(())
    }

    fn cells<'r>(&self, record: &'r Record, positions: &[usize]) -> Result<Vec<Cell<'r>>, Bad> {
        if record.len() != self.names.len() {
            let message = format!("it has {} fields instead of {}", record.len(), self.names.len());
            let kind = if record.len() < self.names.len() { "too_few_fields" } else { "too_many_fields" };
            return Err(Bad { column: None, kind, message });
        }
        let mut cells = Vec::with_capacity(positions.len());
        for ((position, kind), name) in positions.iter().zip(&self.types).zip(&self.names) {
            let bad = |kind, message| Bad { column: Some(name.clone()), kind, message };
            let Some(Ok(text)) = record.text(*position) else {
                return Err(bad("encoding", format!("the cell of column `{name}` is not UTF-8")));
            };
            cells.push(if is_null(&self.config, text) {
                Cell::Null
            } else {
                kind.parse(text).ok_or_else(|| {
                    bad("type", format!("`{text}` in column `{name}` is not of the type {}", kind.word()))
                })?
            });
        }
        Ok(cells)
    }
}

impl Reader for CsvReader {
    fn schema(&self) -> SchemaRef {
        let fields =
            self.names.iter().zip(&self.types).map(|(name, kind)| Field::new(name, kind.data_type(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    fn read(self: Box<Self>, emit: &mut Emit<'_>) -> Result<(), CopyError> {
        let mut batch =
            Batch { builders: self.types.iter().map(|kind| Builder::new(*kind)).collect(), rows: 0 };
        for file in &self.files {
            self.read_file(file, &mut batch, emit)?;
        }
        if batch.rows > 0 {
            emit(batch.finish(&self.schema())?)?;
        }
        Ok(())
    }
}

struct Bad {
    column: Option<String>,
    kind: &'static str,
    message: String,
}

struct Batch {
    builders: Vec<Builder>,
    rows: usize,
}

impl Batch {
    fn append(&mut self, cells: &[Cell<'_>]) {
        for (builder, cell) in self.builders.iter_mut().zip(cells) {
            builder.append(*cell);
        }
        self.rows += 1;
    }

    fn finish(&mut self, schema: &SchemaRef) -> Result<RecordBatch, CopyError> {
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        RecordBatch::try_new_with_options(schema.clone(), columns, &options)
            .map_err(|error| CopyError::read("the source", &error))
    }
}

fn is_null(config: &CopyConfig, text: &str) -> bool {
    text.is_empty() || config.null_values.iter().any(|null| null == text)
}

fn header(record: &Record, config: &CopyConfig, file: &str) -> Result<Vec<String>, CopyError> {
    if record.len() == 0 {
        return Err(CopyError::read(file, &"the file is empty"));
    }
    let mut names = Vec::with_capacity(record.len());
    for index in 0..record.len() {
        let name = match record.text(index) {
            Some(Ok(text)) if config.header && !text.trim().is_empty() => text.trim().to_owned(),
            Some(Err(_)) if config.header => {
                return Err(CopyError::read(file, &"its header is not UTF-8; `encoding: latin-1`?"));
            }
            _ => format!("column_{}", index + 1),
        };
        if names.contains(&name) {
            return Err(CopyError::read(file, &format!("two columns are named `{name}`")));
        }
        names.push(name);
    }
    Ok(names)
}
