//! JSON: one object a line, or a document with an array of them. A bad record is shown and set aside, like a row of CSV.

mod cut;
mod syntax;

use std::io::Read;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::json::writer::{JsonArray, JsonFormat, LineDelimited};
use arrow::json::{Writer, WriterBuilder};
use arrow::record_batch::RecordBatch;
use indexmap::IndexMap;
use millrace_contract::{KindDoc, KindFamily};
use schemars::JsonSchema;
use serde::Deserialize;

use super::records::{Bad, Cutter, Grammar, RecordReader};
use super::window::{CHUNK, Window};
use super::{Encoder, Failure, FileFormat, FileTarget, Opening, Out};
use crate::error::CopyError;
use crate::source::Reader;
use crate::types::{ColumnSpec, ColumnType, Leaf, Node, Shape, Struct, number_kind};
use cut::{Document, Lines};
use syntax::{Cursor, Token, unescaped};

/// Reads and writes files with one JSON object a line.
///
/// Types are inferred from the first 10,000 rows unless `columns:` declares them: integers beside fractions are numbers, integers of more than 64
/// bits `decimal(38,0)`, and what has nothing in common is text, as are nulls alone. Objects and arrays become structs and lists; where they stand
/// beside plain values, are empty or have more than 1,000 names, they are kept as their JSON text. A line that is no object, has a value of
/// another type, a name twice or a name that no row of the sample has fails the copy, or is set aside with `on_error: reject`, with its line, its
/// byte offset and its text. When it is written, numbers that are not finite become null.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "the fields are there for their documentation; the step's config holds them")]
struct JsonlDoc {
    /// Types of columns by name, also with the form of their values; a column that the sample does not show is null where it is missing.
    columns: Option<IndexMap<String, ColumnSpec>>,
    /// Texts that mean null in declared columns.
    null_values: Option<Vec<String>>,
}

/// Reads and writes JSON documents: an array of objects, or objects one after another.
///
/// A document is read as a stream, whatever its size; one record has at most 16 MB. A file that ends in `.json` may also have one object a line,
/// which is told by its beginning. Types and bad records are as in `jsonl`. It is written as one array.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "the fields are there for their documentation; the step's config holds them")]
struct JsonDoc {
    /// Where the array of records is in the document: `$.data.rows`; the document itself if absent.
    records: Option<String>,
    /// Types of columns by name, also with the form of their values; a column that the sample does not show is null where it is missing.
    columns: Option<IndexMap<String, ColumnSpec>>,
}

/// The format `jsonl`.
pub(crate) struct Jsonl;

/// The format `json`.
pub(crate) struct Json;

impl FileFormat for Jsonl {
    fn doc(&self) -> KindDoc {
        let example = "copy: {from: raw/events.jsonl, to: \"data:events\"}\n";
        KindDoc::of::<JsonlDoc>(KindFamily::Connector, "jsonl", example)
    }

    fn endings(&self) -> &'static [&'static str] {
        &["jsonl", "ndjson"]
    }

    fn reader(&self, opening: Opening) -> Result<Box<dyn Reader>, CopyError> {
        if opening.config.records.is_some() {
            return Err(CopyError::config(
                "`records` is for documents; here each line is a record",
                "format: json",
            ));
        }
        Ok(Box::new(RecordReader::open(opening, Arc::new(JsonGrammar { path: None }))?))
    }

    fn encoder(&self, out: Box<dyn Out>, _: &SchemaRef, _: &FileTarget) -> Result<Box<dyn Encoder>, Failure> {
        let writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(out);
        Ok(Box::new(JsonEncoder(writer)))
    }
}

impl FileFormat for Json {
    fn doc(&self) -> KindDoc {
        let example = "copy: {from: raw/answer.json, records: $.data.rows, to: \"data:rows\"}\n";
        KindDoc::of::<JsonDoc>(KindFamily::Connector, "json", example)
    }

    fn endings(&self) -> &'static [&'static str] {
        &["json"]
    }

    fn reader(&self, opening: Opening) -> Result<Box<dyn Reader>, CopyError> {
        let path = opening.config.records.as_deref().map(path_of).transpose()?;
        let path = Some(path.unwrap_or_default());
        Ok(Box::new(RecordReader::open(opening, Arc::new(JsonGrammar { path }))?))
    }

    fn encoder(&self, out: Box<dyn Out>, _: &SchemaRef, _: &FileTarget) -> Result<Box<dyn Encoder>, Failure> {
        let writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(out);
        Ok(Box::new(JsonEncoder(writer)))
    }
}

/// The names in `$.a.b` or `$.a.b[*]`.
pub(super) fn path_of(text: &str) -> Result<Vec<String>, CopyError> {
    let plain = text.strip_prefix('$').map(|rest| rest.strip_suffix("[*]").unwrap_or(rest));
    let names = match plain {
        Some("") => Some(Vec::new()),
        Some(rest) => rest.strip_prefix('.').map(|names| names.split('.').map(str::to_owned).collect()),
        None => None,
    };
    names
        .filter(|names: &Vec<String>| {
            names.iter().all(|name| !name.is_empty() && !name.contains(['[', ']', '*']))
        })
        .ok_or_else(|| CopyError::config(format!("`{text}` is no path to records"), "records: $.data.rows"))
}

/// The fields of an object, each with its value as it is written.
pub(super) fn fields(text: &str) -> Option<Vec<(String, &str)>> {
    let mut cursor = Cursor::new(text);
    let Ok(Token::Object) = cursor.token() else { return None };
    let mut fields = Vec::new();
    let read = cursor.object(1, &mut |cursor, name, _| {
        cursor.skip_blanks();
        let start = cursor.place();
        let token = cursor.token()?;
        cursor.skip(&token, 2)?;
        fields.push((name.to_owned(), cursor.since(start)));
        Ok(())
    });
    (read.is_ok() && cursor.at_end()).then_some(fields)
}

struct JsonEncoder<F: JsonFormat>(Writer<Box<dyn Out>, F>);

impl<F: JsonFormat> Encoder for JsonEncoder<F> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        Ok(self.0.write(batch)?)
    }

    fn finish(mut self: Box<Self>) -> Result<Box<dyn Out>, Failure> {
        self.0.finish()?;
        Ok(self.0.into_inner())
    }
}

struct JsonGrammar {
    /// To the records of a document; `None` if each line is a record.
    path: Option<Vec<String>>,
}

impl Grammar for JsonGrammar {
    fn cutter(&self, text: Box<dyn Read + Send>, file: &str) -> Result<Box<dyn Cutter>, CopyError> {
        let mut window = Window::new(text, file)?;
        Ok(match &self.path {
            Some(path) if !path.is_empty() || !has_lines(&mut window)? => {
                Box::new(Document::new(window, path))
            }
            _ => Box::new(Lines(window)),
        })
    }

    fn see(&self, record: &str, columns: &mut IndexMap<String, Shape>) {
        let mut cursor = Cursor::new(record);
        let Ok(Token::Object) = cursor.token() else { return };
        // Checked before, so that a bad record widens nothing.
        let mut checked = cursor.clone();
        if checked.skip(&Token::Object, 1).is_err() || !checked.at_end() {
            return;
        }
        let _ = cursor.object(1, &mut |cursor, name, _| see(cursor, of_name(columns, name), 1));
    }

    fn append(&self, record: &str, columns: &mut Struct) -> Result<(), Bad> {
        let mut cursor = Cursor::new(record);
        let Token::Object = cursor.token()? else {
            return Err(Bad {
                column: None,
                kind: "not_an_object",
                message: "the record is no object".to_owned(),
            });
        };
        let mut row = Row { scratch: String::new() };
        let rows = columns.len();
        cursor.object(1, &mut |cursor, name, index| {
            row.field(cursor, columns, rows, (name, index), 1).map_err(|bad| Bad {
                column: bad.column.or_else(|| (bad.kind != "syntax").then(|| name.to_owned())),
                ..bad
            })
        })?;
        if !cursor.at_end() {
            return Err(cursor.expected("the end"));
        }
        columns.append(true);
        Ok(())
    }
}

/// Whether a text has one object a line, as far as its beginning tells.
fn has_lines(window: &mut Window) -> Result<bool, CopyError> {
    window.fill(CHUNK)?;
    let rest = window.rest.trim_ascii_start();
    if rest.first() != Some(&b'{') {
        return Ok(false);
    }
    let Some(end) = memchr::memchr(b'\n', rest) else { return Ok(false) };
    let line = String::from_utf8_lossy(rest.get(..end).unwrap_or_default());
    let mut cursor = Cursor::new(&line);
    let whole = cursor.token().and_then(|token| cursor.skip(&token, 1)).is_ok() && cursor.at_end();
    // `{` alone in its line begins a document that is laid out; anything else that is no object is a bad line.
    Ok(whole || line.trim().len() > 1)
}

fn of_name<'s>(fields: &'s mut IndexMap<String, Shape>, name: &str) -> &'s mut Shape {
    fields.entry(name.to_owned()).or_default()
}

/// Takes a sound value in.
fn see(cursor: &mut Cursor<'_>, shape: &mut Shape, depth: usize) -> Result<(), Bad> {
    match cursor.token()? {
        Token::Null => {}
        Token::Boolean => shape.see(ColumnType::Boolean),
        Token::Number(digits) => shape.see(number_kind(digits)),
        Token::Text(..) => shape.see(ColumnType::String),
        Token::Object => match shape.as_struct(depth) {
            Some(fields) => {
                return cursor
                    .object(depth + 1, &mut |cursor, name, _| see(cursor, of_name(fields, name), depth + 1));
            }
            None => cursor.skip(&Token::Object, depth + 1)?,
        },
        Token::Array => match shape.as_list(depth) {
            Some(element) => return cursor.array(depth + 1, &mut |cursor| see(cursor, element, depth + 1)),
            None => cursor.skip(&Token::Array, depth + 1)?,
        },
    }
    Ok(())
}

/// A record on its way into the columns.
struct Row {
    scratch: String,
}

impl Row {
    /// The value after a name. `rows`: records that the columns have already.
    fn field(
        &mut self,
        cursor: &mut Cursor<'_>,
        columns: &mut Struct,
        rows: usize,
        (name, index): (&str, usize),
        depth: usize,
    ) -> Result<(), Bad> {
        let Some((_, node)) = columns.field(name, index) else {
            let message = format!(
                "`{name}` is in none of the first records; `columns: {{{name}: string}}` makes it a column"
            );
            return Err(Bad::of_column(name, "unknown_name", message));
        };
        if node.len() > rows {
            return Err(Bad::of_column(name, "duplicate_name", format!("`{name}` is there twice")));
        }
        self.value(cursor, node, depth)
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, node: &mut Node, depth: usize) -> Result<(), Bad> {
        cursor.skip_blanks();
        let start = cursor.place();
        let token = cursor.token()?;
        match (node, token) {
            (node, Token::Null) => node.append_null(),
            (Node::Struct(record), Token::Object) => {
                let rows = record.len();
                cursor.object(depth + 1, &mut |cursor, name, index| {
                    self.field(cursor, record, rows, (name, index), depth + 1)
                })?;
                record.append(true);
            }
            (Node::List(list), Token::Array) => {
                cursor.array(depth + 1, &mut |cursor| self.value(cursor, &mut list.child, depth + 1))?;
                list.append(true);
            }
            (Node::Leaf(leaf), token) => {
                cursor.skip(&token, depth + 1)?;
                self.leaf(leaf, &token, cursor.since(start))?;
            }
            (Node::Struct(_), _) => return Err(mistyped(cursor.since(start), "an object")),
            (Node::List(_), _) => return Err(mistyped(cursor.since(start), "an array")),
        }
        Ok(())
    }

    /// `raw`: the value's own text.
    fn leaf(&mut self, leaf: &mut Leaf, token: &Token<'_>, raw: &str) -> Result<(), Bad> {
        let kind = leaf.builder.kind();
        let (text, sound) = match token {
            Token::Text(text, escaped) => {
                let text = if *escaped { unescaped(text, &mut self.scratch)? } else { *text };
                if leaf.declared && leaf.builder.is_null(text.as_bytes()) {
                    leaf.builder.append_null();
                    return Ok(());
                }
                (text, leaf.declared || kind == ColumnType::String)
            }
            Token::Boolean => (raw, matches!(kind, ColumnType::Boolean | ColumnType::String)),
            Token::Number(_) => {
                let number =
                    matches!(kind, ColumnType::Integer | ColumnType::Number | ColumnType::Decimal { .. });
                let finite = kind != ColumnType::Number || raw.parse::<f64>().is_ok_and(f64::is_finite);
                (raw, finite && (number || kind == ColumnType::String))
            }
            _ => (raw, kind == ColumnType::String),
        };
        if sound && leaf.builder.append(text.as_bytes()) {
            Ok(())
        } else {
            Err(mistyped(raw, &format!("of the type {kind}")))
        }
    }
}

fn mistyped(raw: &str, expected: &str) -> Bad {
    let text: String = raw.chars().take(200).collect();
    Bad { column: None, kind: "type", message: format!("`{text}` is not {expected}") }
}
