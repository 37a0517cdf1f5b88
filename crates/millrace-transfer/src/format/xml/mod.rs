//! XML: elements become records, their attributes and the elements within them columns. A bad record is shown and set aside.

mod cut;
mod element;
mod write;

use std::io::{Cursor, Read};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use indexmap::IndexMap;
use millrace_contract::{KindDoc, KindFamily};
use schemars::JsonSchema;
use serde::Deserialize;

use super::encoding::{Encoding, decoded};
use super::records::{Bad, Cutter, Grammar, RecordReader};
use super::window::Window;
use super::{Encoder, Failure, FileFormat, FileTarget, Opening, Out};
use crate::error::CopyError;
use crate::source::Reader;
use crate::types::{ColumnSpec, ColumnType, Leaf, Node, Shape, Struct};
use cut::{Document, Records};
use element::Element;

/// The column of an element's own characters, where it has attributes or elements too.
const VALUE: &str = "value";

/// Reads and writes XML documents.
///
/// Each record is an element: those within the outermost one, or those that `records` names. Its attributes and the elements within it are columns,
/// by their names without prefixes; elements of one name become a list, elements with attributes or elements of their own a struct, and their own
/// characters the column `value`. An element without anything is null. Types are inferred from the first 10,000 records unless `columns:`
/// declares them. The document is read as a stream; one record has at most 16 MB and 64 elements within each other. Entities are not expanded,
/// except XML's own. A record that is not well-formed fails the copy, or is set aside with `on_error: reject`, with its line, its byte offset and
/// its text. The encoding that the document declares is used unless `encoding` says another.
///
/// Written are elements `row` within `rows`, or those of `to: {path: out/orders.xml, records: /orders/order}`: an element for each column, several of one
/// name for a list, elements within it for a struct. With `attributes: "@"` the columns `@…` become attributes, and a column `value` the element's own
/// characters. Null is no element, so that nulls and empty texts are read as the same.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "the fields are there for their documentation; the step's config holds them")]
struct XmlDoc {
    /// The name of an element, or a path such as `/orders/order`; the elements within the outermost one if absent.
    records: Option<String>,
    /// What stands before the names of columns that are attributes; nothing if absent.
    attributes: Option<String>,
    /// Types of columns by name, also with the form of their values; a column that the sample does not show is null where it is missing.
    columns: Option<IndexMap<String, ColumnSpec>>,
    /// Texts that mean null, beside the empty one.
    null_values: Option<Vec<String>>,
}

/// The format `xml`.
pub(crate) struct Xml;

impl FileFormat for Xml {
    fn doc(&self) -> KindDoc {
        let example = "copy: {from: \"raw/*.xml\", records: /orders/order, to: \"data:orders\"}\n";
        KindDoc::of::<XmlDoc>(KindFamily::Connector, "xml", example)
    }

    fn endings(&self) -> &'static [&'static str] {
        &["xml"]
    }

    fn reader(&self, opening: Opening) -> Result<Box<dyn Reader>, CopyError> {
        let config = &opening.config;
        let grammar = XmlGrammar {
            records: config.records.as_deref().map_or(Ok(Records::Children), records_of)?,
            prefix: config.attributes.clone().unwrap_or_default(),
            nulls: config.null_values.clone(),
            declared_encoding: config.encoding == Encoding::default(),
        };
        Ok(Box::new(RecordReader::open(opening, Arc::new(grammar))?))
    }

    fn encoder(
        &self,
        out: Box<dyn Out>,
        schema: &SchemaRef,
        target: &FileTarget,
    ) -> Result<Box<dyn Encoder>, Failure> {
        Ok(Box::new(write::XmlEncoder::begin(out, schema, target)?))
    }
}

/// `order`, or `/orders/order`.
fn records_of(text: &str) -> Result<Records, CopyError> {
    let name = |name: &str| name.rsplit(':').next().unwrap_or(name).as_bytes().to_vec();
    let records = match text.strip_prefix('/') {
        Some(path) => Records::Path(path.split('/').map(name).collect()),
        None => Records::Named(name(text)),
    };
    let names = match &records {
        Records::Path(names) => names.as_slice(),
        Records::Named(name) => std::slice::from_ref(name),
        Records::Children => &[],
    };
    if names.iter().any(|name| name.is_empty() || name.iter().any(|byte| b"/@[]*$. ".contains(byte))) {
        return Err(CopyError::config(format!("`{text}` does not name elements"), "records: /orders/order"));
    }
    Ok(records)
}

struct XmlGrammar {
    records: Records,
    /// Of names of attributes.
    prefix: String,
    nulls: Vec<String>,
    /// The document tells its encoding.
    declared_encoding: bool,
}

/// What an element has under a name.
#[derive(Clone, Copy)]
enum Value<'e> {
    Text(&'e str),
    Element(&'e Element<'e>),
}

impl Grammar for XmlGrammar {
    fn cutter(&self, text: Box<dyn Read + Send>, file: &str) -> Result<Box<dyn Cutter>, CopyError> {
        let text = if self.declared_encoding { by_declaration(text, file)? } else { text };
        Ok(Box::new(Document::new(Window::new(text, file)?, self.records.clone())))
    }

    fn see(&self, record: &str, columns: &mut IndexMap<String, Shape>) {
        if let Ok(element) = Element::read(record) {
            self.see_fields(&element, columns, 1);
        }
    }

    fn append(&self, record: &str, columns: &mut Struct) -> Result<(), Bad> {
        self.append_fields(&Element::read(record)?, columns, 1)
    }
}

impl XmlGrammar {
    /// Everything that an element has, by name.
    fn fields<'e>(&self, element: &'e Element<'e>) -> IndexMap<String, Vec<Value<'e>>> {
        let mut fields: IndexMap<String, Vec<Value<'e>>> = IndexMap::new();
        for (name, value) in &element.attributes {
            fields.entry(format!("{}{name}", self.prefix)).or_default().push(Value::Text(value));
        }
        for child in &element.children {
            let value = if child.is_plain() { Value::Text(&child.text) } else { Value::Element(child) };
            fields.entry(child.name.clone()).or_default().push(value);
        }
        let text = element.text.trim();
        if !text.is_empty() {
            fields.entry(VALUE.to_owned()).or_default().push(Value::Text(text));
        }
        fields
    }

    fn is_null(&self, text: &str) -> bool {
        text.is_empty() || self.nulls.iter().any(|null| null == text)
    }

    fn see_fields(&self, element: &Element<'_>, columns: &mut IndexMap<String, Shape>, depth: usize) {
        for (name, values) in self.fields(element) {
            let shape = columns.entry(name).or_default();
            if values.len() > 1 && !matches!(shape, Shape::List(_) | Shape::Declared(_)) {
                *shape = Shape::List(Box::new(std::mem::take(shape)));
            }
            for value in values {
                let shape = match &mut *shape {
                    Shape::List(element) => element.as_mut(),
                    other => other,
                };
                self.see_value(value, shape, depth);
            }
        }
    }

    fn see_value(&self, value: Value<'_>, shape: &mut Shape, depth: usize) {
        match (value, shape) {
            (Value::Text(text), _) if self.is_null(text) => {}
            (Value::Text(text), Shape::Struct(fields)) => {
                fields.entry(VALUE.to_owned()).or_default().see_text(text.trim());
            }
            (Value::Text(text), shape) => shape.see_text(text.trim()),
            (Value::Element(element), shape) => {
                if let Shape::Texts(_) = shape {
                    let before = std::mem::take(shape);
                    *shape = Shape::Struct(IndexMap::from([(VALUE.to_owned(), before)]));
                }
                if let Some(fields) = shape.as_struct(depth) {
                    self.see_fields(element, fields, depth + 1);
                }
            }
        }
    }

    fn append_fields(&self, element: &Element<'_>, columns: &mut Struct, depth: usize) -> Result<(), Bad> {
        for (index, (name, values)) in self.fields(element).into_iter().enumerate() {
            let Some((_, node)) = columns.field(&name, index) else {
                let message = format!(
                    "`{name}` is in none of the first records; `columns: {{{name}: string}}` makes it a column"
                );
                return Err(Bad::of_column(&name, "unknown_name", message));
            };
            let named = |bad: Bad| Bad { column: bad.column.or_else(|| Some(name.clone())), ..bad };
            match (node, values.as_slice()) {
                (Node::List(list), values) => {
                    for value in values {
                        self.append_value(*value, &mut list.child, depth).map_err(named)?;
                    }
                    list.append(true);
                }
                (node, [value]) => self.append_value(*value, node, depth).map_err(named)?,
                (_, values) => {
                    let message =
                        format!("`{name}` is there {} times, once in all of the first records", values.len());
                    return Err(Bad::of_column(&name, "repeated", message));
                }
            }
        }
        columns.append(true);
        Ok(())
    }

    fn append_value(&self, value: Value<'_>, node: &mut Node, depth: usize) -> Result<(), Bad> {
        match (value, node) {
            (Value::Text(text), node) if self.is_null(text) => node.append_null(),
            (Value::Text(text), Node::Leaf(leaf)) => return append_text(leaf, text),
            (Value::Text(text), Node::Struct(record)) => {
                let Some((_, node)) = record.field(VALUE, 0) else {
                    return Err(mistyped(text, "an element with elements"));
                };
                self.append_value(value, node, depth + 1)?;
                record.append(true);
            }
            (Value::Element(element), Node::Struct(record)) => {
                self.append_fields(element, record, depth + 1)?
            }
            (Value::Element(element), Node::Leaf(leaf)) if leaf.builder.kind() == ColumnType::String => {
                return append_text(leaf, element.raw);
            }
            (Value::Element(element), Node::Leaf(leaf)) => {
                return Err(mistyped(element.raw, &format!("of the type {}", leaf.builder.kind())));
            }
            // A list within a list is none of XML's.
            (_, Node::List(_)) => return Err(mistyped("", "a list")),
        }
        Ok(())
    }
}

fn append_text(leaf: &mut Leaf, text: &str) -> Result<(), Bad> {
    if leaf.builder.is_null(text.as_bytes()) {
        leaf.builder.append_null();
        return Ok(());
    }
    let kind = leaf.builder.kind();
    if leaf.builder.append(text.as_bytes()) {
        Ok(())
    } else {
        Err(mistyped(text, &format!("of the type {kind}")))
    }
}

fn mistyped(raw: &str, expected: &str) -> Bad {
    let text: String = raw.chars().take(200).collect();
    Bad { column: None, kind: "type", message: format!("`{text}` is not {expected}") }
}

/// The document as UTF-8, from the encoding that its first line declares or its byte order mark tells.
fn by_declaration(mut text: Box<dyn Read + Send>, file: &str) -> Result<Box<dyn Read + Send>, CopyError> {
    let mut head = Vec::new();
    text.by_ref().take(256).read_to_end(&mut head).map_err(|error| CopyError::broken(file, error))?;
    let encoding = match head.as_slice() {
        [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [b'<', 0, ..] => Some("utf-16".to_owned()),
        _ => declared(&head),
    };
    let head_is_text = head.starts_with(b"<?xml");
    let whole = Box::new(Cursor::new(head).chain(text));
    // A first line that can be read is in no encoding of two bytes, whatever it says.
    let two_bytes = encoding.as_ref().is_some_and(|label| label.to_lowercase().starts_with("utf-16"));
    let Some(label) = encoding.filter(|_| !two_bytes || !head_is_text) else { return Ok(whole) };
    let encoding = label.parse::<Encoding>().map_err(|message| CopyError::read(file, &message))?;
    Ok(decoded(whole, encoding))
}

/// The label in `<?xml version="1.0" encoding="…"?>`.
fn declared(head: &[u8]) -> Option<String> {
    let line = head.strip_prefix(b"<?xml")?;
    let line = String::from_utf8_lossy(line.get(..memchr::memmem::find(line, b"?>")?)?).into_owned();
    let (_, after) = line.split_once("encoding")?;
    let value = after.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|letter| matches!(letter, '"' | '\''))?;
    value.get(1..)?.split_once(quote).map(|(label, _)| label.to_owned())
}
