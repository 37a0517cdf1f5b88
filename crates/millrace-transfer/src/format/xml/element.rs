//! A record of an XML document as a tree.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::super::records::Bad;

/// Elements within elements of a record.
const DEEPEST: usize = 64;

/// An element; names are without their prefixes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element<'t> {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Element<'t>>,
    /// Its own characters.
    pub(super) text: String,
    /// All of it as it stands in the document.
    pub(super) raw: &'t str,
    begin: usize,
}

impl<'t> Element<'t> {
    /// Reads a record, which must be one element.
    pub(super) fn read(record: &'t str) -> Result<Self, Bad> {
        let mut reader = Reader::from_str(record);
        let config = reader.config_mut();
        config.check_end_names = true;
        config.check_comments = false;
        let mut open: Vec<Self> = Vec::new();
        loop {
            let begin = place(&reader);
            let event = reader.read_event().map_err(|error| syntax(place(&reader), &error))?;
            let end = place(&reader);
            match event {
                Event::Start(tag) => {
                    if open.len() >= DEEPEST {
                        let message = format!("there are more than {DEEPEST} elements within each other");
                        return Err(Bad { column: None, kind: "depth", message });
                    }
                    open.push(begun(&tag, begin)?);
                }
                Event::Empty(tag) => {
                    let mut element = begun(&tag, begin)?;
                    element.raw = record.get(begin..end).unwrap_or_default();
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => return Ok(element),
                    }
                }
                Event::End(_) => {
                    let Some(mut element) = open.pop() else { break };
                    element.raw = record.get(element.begin..end).unwrap_or_default();
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => return Ok(element),
                    }
                }
                Event::Text(text) => {
                    let text = text.decode().map_err(|error| syntax(begin, &error))?;
                    if text.contains('<') {
                        return Err(syntax(begin, &"`<` is not escaped"));
                    }
                    append(&mut open, &text);
                }
                Event::CData(text) => {
                    append(&mut open, &text.decode().map_err(|error| syntax(begin, &error))?);
                }
                Event::GeneralRef(reference) => append(&mut open, &resolved(&reference)?),
                Event::Comment(_) | Event::PI(_) => {}
                Event::Decl(_) | Event::DocType(_) => {
                    return Err(syntax(begin, &"a declaration stands in a record"));
                }
                Event::Eof => break,
            }
        }
        let name = open.last().map(|element| element.name.as_str()).unwrap_or_default();
        Err(Bad::syntax(format!("`<{name}>` is not closed")))
    }

    /// Whether it is nothing but characters.
    pub(super) fn is_plain(&self) -> bool {
        self.attributes.is_empty() && self.children.is_empty()
    }
}

fn place(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn syntax(place: usize, error: &dyn std::fmt::Display) -> Bad {
    Bad::syntax(format!("{error} at byte {} of the record", place.saturating_add(1)))
}

fn append(open: &mut [Element<'_>], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn begun<'t>(tag: &BytesStart<'_>, begin: usize) -> Result<Element<'t>, Bad> {
    let local =
        |name: &[u8]| std::str::from_utf8(name).map(str::to_owned).map_err(|error| syntax(begin, &error));
    let mut element = Element { name: local(tag.local_name().as_ref())?, begin, ..Element::default() };
    if element.name.is_empty() {
        return Err(syntax(begin, &"a tag has no name"));
    }
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| syntax(begin, &error))?;
        let (name, prefix) = attribute.key.decompose();
        // What declares namespaces and types is no value.
        let prefix = prefix.map(|prefix| prefix.into_inner());
        if attribute.key.as_ref() == b"xmlns" || matches!(prefix, Some(b"xmlns" | b"xsi")) {
            continue;
        }
        let value = attribute.unescape_value().map_err(|error| Bad {
            column: None,
            kind: "entity",
            message: format!("attribute `{}`: {error}", String::from_utf8_lossy(name.as_ref())),
        })?;
        element.attributes.push((local(name.as_ref())?, value.into_owned()));
    }
    Ok(element)
}

/// A character by its number, or one of the five that every document has. Others would have to be declared, and are not expanded: a few lines of
/// declarations can make a text of any length.
fn resolved(reference: &BytesRef<'_>) -> Result<String, Bad> {
    let name = reference.decode().map_err(|error| Bad::syntax(error.to_string()))?;
    let bad = |message: String| Bad { column: None, kind: "entity", message };
    if let Some(letter) = reference.resolve_char_ref().map_err(|error| bad(error.to_string()))? {
        return Ok(letter.to_string());
    }
    match resolve_predefined_entity(&name) {
        Some(text) => Ok(text.to_owned()),
        None => Err(bad(format!("the entity `&{name};` is not one of XML's own; others are not expanded"))),
    }
}
