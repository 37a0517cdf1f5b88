//! Rows as elements.

use std::io::Write;

use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use quick_xml::escape::escape;

use super::VALUE;
use crate::format::{Encoder, Failure, FileTarget, Out};

/// The elements around a document and around a record, if `records` does not name them.
const USUAL: (&str, &str) = ("rows", "row");

/// Writes a document.
pub(super) struct XmlEncoder {
    out: Box<dyn Out>,
    root: Vec<String>,
    record: String,
    /// Of columns that become attributes.
    prefix: String,
}

impl XmlEncoder {
    /// Writes what is before the first row.
    pub(super) fn begin(
        mut out: Box<dyn Out>,
        schema: &SchemaRef,
        target: &FileTarget,
    ) -> Result<Self, Failure> {
        let (root, record) = elements(target.records.as_deref())?;
        let prefix = target.attributes.clone().unwrap_or_default();
        schema.fields().iter().try_for_each(|field| check(field, &prefix))?;
        out.write_all(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")?;
        root.iter().try_for_each(|name| writeln!(out, "<{name}>"))?;
        Ok(Self { out, root, record, prefix })
    }
}

impl Encoder for XmlEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let columns = batch.schema_ref().fields().iter().zip(batch.columns());
        let columns = columns.map(|(field, column)| Column::of(field.name(), column));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            element(&mut text, &self.record, &columns, row, &self.prefix)?;
            text.push('\n');
            if text.len() > 64 * 1024 {
                self.out.write_all(text.as_bytes())?;
                text.clear();
            }
        }
        Ok(self.out.write_all(text.as_bytes())?)
    }

    fn finish(mut self: Box<Self>) -> Result<Box<dyn Out>, Failure> {
        for name in self.root.iter().rev() {
            writeln!(self.out, "</{name}>")?;
        }
        Ok(self.out)
    }
}

/// The elements around all records, and that of each: `/orders/order`, `order`.
fn elements(records: Option<&str>) -> Result<(Vec<String>, String), Failure> {
    let Some(records) = records else { return Ok((vec![USUAL.0.to_owned()], USUAL.1.to_owned())) };
    let mut path: Vec<String> = records.trim_start_matches('/').split('/').map(str::to_owned).collect();
    if path.len() == 1 {
        path.insert(0, USUAL.0.to_owned());
    }
    if let Some(odd) = path.iter().find(|name| !is_name(name)) {
        return Err(format!("`records`: `{odd}` is no name of an element; write `/orders/order`").into());
    }
    let record = path.pop().unwrap_or_default();
    Ok((path, record))
}

/// Whether an element can be called so.
fn is_name(name: &str) -> bool {
    let begins = |sign: char| sign.is_alphabetic() || sign == '_';
    name.starts_with(begins)
        && name.chars().all(|sign| begins(sign) || sign.is_numeric() || matches!(sign, '-' | '.'))
}

/// Another name would be changed without a word.
fn check(field: &FieldRef, prefix: &str) -> Result<(), Failure> {
    let name = field.name();
    let attribute =
        Some(name.as_str()).filter(|_| !prefix.is_empty()).and_then(|name| name.strip_prefix(prefix));
    if !is_name(attribute.unwrap_or(name)) {
        let message = format!(
            "`{name}` is no name in XML; `rename: {{\"{name}\": …}}` gives it letters, digits, `_`, `-` and `.`"
        );
        return Err(message.into());
    }
    if attribute.is_some() && field.data_type().is_nested() {
        return Err(format!("`{name}` has an inner structure, which no attribute has").into());
    }
    let mut kind = field.data_type();
    while let DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) =
        kind
    {
        kind = element.data_type();
    }
    match kind {
        DataType::Struct(fields) => fields.iter().try_for_each(|field| check(field, prefix)),
        DataType::Map(entries, _) => check(entries, prefix),
        _ => Ok(()),
    }
}

/// A column, ready to be written row by row.
struct Column<'a> {
    name: &'a str,
    array: &'a dyn Array,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Plain(ArrayFormatter<'a>),
    Parts(Vec<Column<'a>>),
    /// Where the elements of each row begin and end, and all of them.
    Many(Box<dyn Fn(usize) -> std::ops::Range<usize> + 'a>, Box<Column<'a>>),
}

const OPTIONS: FormatOptions<'static> = FormatOptions::new();

impl<'a> Column<'a> {
    fn of(name: &'a str, array: &'a ArrayRef) -> Result<Self, Failure> {
        let parts = |fields: &'a [FieldRef], columns: &'a [ArrayRef]| {
            let parts = fields.iter().zip(columns).map(|(field, column)| Column::of(field.name(), column));
            parts.collect::<Result<Vec<_>, _>>()
        };
        let place = |offset: i64| usize::try_from(offset).unwrap_or(0);
        let kind = match array.data_type() {
            DataType::Struct(fields) => Kind::Parts(parts(fields, array.as_struct().columns())?),
            DataType::List(_) => {
                let (offsets, values) = (array.as_list::<i32>().offsets(), array.as_list::<i32>().values());
                let range = move |row: usize| place(offsets[row].into())..place(offsets[row + 1].into());
                Kind::Many(Box::new(range), Box::new(Column::of(name, values)?))
            }
            DataType::LargeList(_) => {
                let (offsets, values) = (array.as_list::<i64>().offsets(), array.as_list::<i64>().values());
                let range = move |row: usize| place(offsets[row])..place(offsets[row + 1]);
                Kind::Many(Box::new(range), Box::new(Column::of(name, values)?))
            }
            DataType::FixedSizeList(_, size) => {
                let size = usize::try_from(*size).unwrap_or(0);
                let values = Column::of(name, array.as_fixed_size_list().values())?;
                Kind::Many(Box::new(move |row| row * size..(row + 1) * size), Box::new(values))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let entries = Column {
                    name,
                    array: map.entries(),
                    kind: Kind::Parts(vec![Column::of("key", map.keys())?, Column::of(VALUE, map.values())?]),
                };
                let range =
                    move |row: usize| place(map.offsets()[row].into())..place(map.offsets()[row + 1].into());
                Kind::Many(Box::new(range), Box::new(entries))
            }
            _ => Kind::Plain(ArrayFormatter::try_new(array.as_ref(), &OPTIONS)?),
        };
        Ok(Self { name, array: array.as_ref(), kind })
    }

    /// Writes what a row has. Null is no element.
    fn write(&self, out: &mut String, row: usize, prefix: &str) -> Result<(), Failure> {
        if self.array.is_null(row) {
            return Ok(());
        }
        match &self.kind {
            Kind::Plain(_) => {
                out.push_str(&format!("<{}>", self.name));
                self.text(out, row)?;
                out.push_str(&format!("</{}>", self.name));
                Ok(())
            }
            Kind::Parts(parts) => element(out, self.name, parts, row, prefix),
            Kind::Many(range, elements) => {
                for index in range(row) {
                    if elements.array.is_null(index) {
                        out.push_str(&format!("<{}/>", self.name));
                    } else {
                        elements.write(out, index, prefix)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn text(&self, out: &mut String, row: usize) -> Result<(), Failure> {
        let Kind::Plain(formatter) = &self.kind else { return Ok(()) };
        let text = formatter.value(row).try_to_string()?;
        let allowed = |sign: char| !matches!(sign, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
        if let Some(sign) = text.chars().find(|sign| !allowed(*sign)) {
            let message = format!(
                "column `{}` has the character U+{:04X}, which XML has no place for",
                self.name,
                u32::from(sign)
            );
            return Err(message.into());
        }
        // A bare carriage return would be read as the end of a line.
        out.push_str(&escape(&text).replace('\r', "&#13;"));
        Ok(())
    }
}

/// An element with attributes, its own characters and what is within it.
fn element(
    out: &mut String,
    name: &str,
    parts: &[Column<'_>],
    row: usize,
    prefix: &str,
) -> Result<(), Failure> {
    let attribute = |part: &Column<'_>| -> Option<usize> {
        (!prefix.is_empty() && part.name.starts_with(prefix)).then_some(prefix.len())
    };
    out.push('<');
    out.push_str(name);
    for part in parts.iter().filter(|part| part.array.is_valid(row)) {
        if let Some(begin) = attribute(part) {
            let mut text = String::new();
            part.text(&mut text, row)?;
            // Attributes' white space is folded unless it is written so.
            let text = text.replace('\n', "&#10;").replace('\t', "&#9;");
            out.push_str(&format!(" {}=\"{text}\"", part.name.get(begin..).unwrap_or_default()));
        }
    }
    let mut within = String::new();
    // The element's own characters, as they are read, where attributes are told from elements.
    let own =
        |part: &&Column<'_>| part.name == VALUE && matches!(part.kind, Kind::Plain(_)) && !prefix.is_empty();
    for part in parts.iter().filter(|part| attribute(part).is_none()) {
        match own(&part) && part.array.is_valid(row) {
            true => part.text(&mut within, row)?,
            false => part.write(&mut within, row, prefix)?,
        }
    }
    match within.is_empty() {
        true => out.push_str("/>"),
        false => out.push_str(&format!(">{within}</{name}>")),
    }
    Ok(())
}
