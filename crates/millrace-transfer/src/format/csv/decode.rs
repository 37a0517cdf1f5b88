//! Chunks of text become columns. A row that cannot be read leaves nothing in them and is told with its place.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use memchr::memchr_iter;

use super::chunks::Chunk;
use super::scan::{Dialect, Found, Place, Span};
use crate::error::CopyError;
use crate::rejects::Reject;
use crate::source::Piece;
use crate::types::{CellFormat, ColumnBuilder, ColumnType};

/// Everything that decoding a chunk of a file takes.
#[derive(Debug)]
pub(crate) struct Decoding {
    pub(crate) file: String,
    pub(crate) dialect: Dialect,
    pub(crate) schema: SchemaRef,
    pub(crate) formats: Vec<CellFormat>,
    /// For each column of the schema, which field of a record it is; `None` is null in every row.
    pub(crate) positions: Vec<Option<usize>>,
    /// Fields of a record.
    pub(crate) width: usize,
    /// Texts that mean null in every column, beside the empty one.
    pub(crate) nulls: Vec<Vec<u8>>,
    /// First byte of lines that are none.
    pub(crate) comment: Option<u8>,
}

struct Bad {
    column: Option<String>,
    kind: &'static str,
    message: String,
}

impl Decoding {
    /// Rows of a chunk.
    pub(crate) fn decode(self: &Arc<Self>, chunk: &Chunk) -> Result<Piece, CopyError> {
        // Whether texts are UTF-8 is seen once a column is whole. That is much cheaper than a look at each cell, which is what finds the ones
        // that are not.
        self.decoded(chunk, true).or_else(|_| self.decoded(chunk, false))
    }

    /// `sound`: all texts are taken for UTF-8, and it is an error if one is not.
    fn decoded(self: &Arc<Self>, chunk: &Chunk, sound: bool) -> Result<Piece, CopyError> {
        let guess = chunk.text.len() / (self.width * 4).max(8);
        let mut builders: Vec<ColumnBuilder> =
            self.formats.iter().map(|format| ColumnBuilder::new(format.clone(), guess)).collect();
        let mut piece = Piece::of_file(&self.file);
        let mut lines = Lines { at: 0, line: chunk.line };
        let (mut at, mut rows) = (0, 0);
        let (mut spans, mut scratch) = (Vec::with_capacity(self.width), Vec::new());
        let mut marks = self.dialect.marks();
        if chunk.unclosed {
            let message = "a quote is opened in this line that is not closed".to_owned();
            let bad = Bad { column: None, kind: "unclosed_quote", message };
            let end = memchr::memchr(self.dialect.newline, &chunk.text).unwrap_or(chunk.text.len());
            piece.rejects.push(self.reject(chunk, Place { start: 0, end, next: end }, bad, &mut lines));
            at = chunk.text.len();
        }
        while at < chunk.text.len() {
            let place = match self.dialect.record(&chunk.text, at, true, &mut spans, &mut marks) {
                Found::Record(place) => place,
                // A chunk has whole records only.
                Found::Open | Found::OpenQuote => break,
            };
            at = place.next;
            let first = chunk.text.get(place.start);
            if place.start == place.end || (self.comment.is_some() && first == self.comment.as_ref()) {
                continue;
            }
            match self.append(&chunk.text, &spans, &mut builders, sound, &mut scratch) {
                Ok(()) => rows += 1,
                Err(bad) => {
                    builders.iter_mut().for_each(|builder| builder.truncate(rows));
                    // A cell before the one that was found may be no UTF-8: the first one is told.
                    let first = match sound {
                        true => self.append(&chunk.text, &spans, &mut builders, false, &mut scratch).err(),
                        false => None,
                    };
                    builders.iter_mut().for_each(|builder| builder.truncate(rows));
                    let bad = first.unwrap_or(bad);
                    piece.rejects.push(self.reject(chunk, place, bad, &mut lines));
                }
            }
        }
        if rows > 0 {
            let columns: Result<Vec<_>, _> = builders.into_iter().map(ColumnBuilder::finish).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let batch = columns.and_then(|columns| {
                RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            });
            piece.batches.push(batch.map_err(|error| CopyError::read(&self.file, &error))?);
        }
        Ok(piece)
    }

    fn append(
        &self,
        text: &[u8],
        spans: &[Span],
        builders: &mut [ColumnBuilder],
        sound: bool,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Bad> {
        if spans.len() != self.width {
            let message = format!("it has {} fields instead of {}", spans.len(), self.width);
            let kind = if spans.len() < self.width { "too_few_fields" } else { "too_many_fields" };
            return Err(Bad { column: None, kind, message });
        }
        for (index, (builder, position)) in builders.iter_mut().zip(&self.positions).enumerate() {
            let Some(span) = position.and_then(|position| spans.get(position)) else {
                builder.append_null();
                continue;
            };
            let cell = self.dialect.field(text, *span, scratch);
            if cell.is_empty() || self.nulls.iter().any(|null| null == cell) || builder.is_null(cell) {
                builder.append_null();
                continue;
            }
            let utf8 = sound || builder.kind() != ColumnType::String || std::str::from_utf8(cell).is_ok();
            if !(utf8 && builder.append(cell)) {
                return Err(self.bad_cell(index, cell, builder.kind()));
            }
        }
        Ok(())
    }

    fn bad_cell(&self, index: usize, cell: &[u8], kind: ColumnType) -> Bad {
        let name = self.schema.fields().get(index).map_or("", |field| field.name());
        let column = Some(name.to_owned());
        match std::str::from_utf8(cell) {
            Err(_) => {
                let message = format!("the cell of column `{name}` is not UTF-8");
                Bad { column, kind: "encoding", message }
            }
            Ok(text) => {
                let text: String = text.chars().take(200).collect();
                let message = format!("`{text}` in column `{name}` is not of the type {kind}");
                Bad { column, kind: "type", message }
            }
        }
    }

    fn reject(&self, chunk: &Chunk, place: Place, bad: Bad, lines: &mut Lines) -> Reject {
        Reject {
            file: self.file.clone(),
            line: lines.of(&chunk.text, place.start, self.dialect.newline),
            byte_offset: chunk.offset + place.start as u64,
            raw: chunk.text.get(place.start..place.end).unwrap_or_default().to_vec(),
            column: bad.column,
            kind: bad.kind,
            message: bad.message,
        }
    }
}

/// Counts lines on from the last place that was asked for.
struct Lines {
    at: usize,
    line: u64,
}

impl Lines {
    fn of(&mut self, text: &[u8], place: usize, newline: u8) -> u64 {
        self.line += memchr_iter(newline, text.get(self.at..place).unwrap_or_default()).count() as u64;
        self.at = place;
        self.line
    }
}
