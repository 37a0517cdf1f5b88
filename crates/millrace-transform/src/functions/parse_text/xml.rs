//! An XML element as the tree that its type asks for, by the rules by which `copy` reads XML.

use arrow::datatypes::DataType;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use serde_json::{Map, Value};

/// Elements within elements.
const DEEPEST: usize = 64;
/// The field of an element's own characters.
const VALUE: &str = "value";

/// The outermost element as a value of that type; null if there is none.
pub(super) fn value(text: &str, into: &DataType) -> Result<Value, String> {
    Ok(Element::read(text)?.map_or(Value::Null, |element| element.as_type(into)))
}

/// Names are without their prefixes.
#[derive(Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    text: String,
}

impl Element {
    fn read(text: &str) -> Result<Option<Self>, String> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_end_names = true;
        let mut open: Vec<Self> = Vec::new();
        let mut outermost = None;
        loop {
            let event = reader.read_event().map_err(|error| error.to_string())?;
            match event {
                Event::Start(_) | Event::Empty(_) if outermost.is_some() => {
                    return Err("there is more than one outermost element".to_owned());
                }
                Event::Start(_) if open.len() >= DEEPEST => {
                    return Err(format!("there are more than {DEEPEST} elements within each other"));
                }
                Event::Start(tag) => open.push(Self::begun(&tag)?),
                Event::Empty(tag) => ended(Self::begun(&tag)?, &mut open, &mut outermost),
                Event::End(_) => {
                    if let Some(element) = open.pop() {
                        ended(element, &mut open, &mut outermost);
                    }
                }
                Event::Text(text) => append(&mut open, &text.decode().map_err(|error| error.to_string())?)?,
                Event::CData(text) => append(&mut open, &text.decode().map_err(|error| error.to_string())?)?,
                Event::GeneralRef(reference) => append(&mut open, &resolved(&reference)?)?,
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) => {}
                Event::Eof if open.is_empty() => return Ok(outermost),
                Event::Eof => return Err("it ends within an element".to_owned()),
            }
        }
    }

    fn begun(tag: &BytesStart<'_>) -> Result<Self, String> {
        let mut element = Self { name: local(tag.name().as_ref()), ..Self::default() };
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let key = attribute.key.as_ref();
            // What declares namespaces and types is no value.
            if key == b"xmlns" || key.starts_with(b"xmlns:") || key.starts_with(b"xsi:") {
                continue;
            }
            let value = std::str::from_utf8(&attribute.value).map_err(|error| error.to_string())?;
            let value = quick_xml::escape::unescape(value).map_err(|error| error.to_string())?;
            element.attributes.push((local(key), value.into_owned()));
        }
        Ok(element)
    }

    fn as_type(&self, into: &DataType) -> Value {
        match into {
            DataType::Struct(fields) => {
                let value = |name: &str, kind: &DataType| self.field(name, kind);
                let fields =
                    fields.iter().map(|field| (field.name().clone(), value(field.name(), field.data_type())));
                Value::Object(fields.collect::<Map<_, _>>())
            }
            // The elements within it, whatever they are called.
            DataType::List(item) => {
                self.children.iter().map(|child| child.as_type(item.data_type())).collect()
            }
            _ => plain(&self.text, into),
        }
    }

    /// What the element has under a name.
    fn field(&self, name: &str, kind: &DataType) -> Value {
        let mut children = self.children.iter().filter(|child| child.name == name);
        if let DataType::List(item) = kind {
            return children.map(|child| child.as_type(item.data_type())).collect();
        }
        if let Some((_, value)) = self.attributes.iter().find(|(key, _)| key == name) {
            return plain(value, kind);
        }
        match children.next() {
            Some(child) => child.as_type(kind),
            None if name == VALUE => plain(&self.text, kind),
            None => Value::Null,
        }
    }
}

/// Characters without the blanks around them; none are null. The decoder makes numbers and times of texts itself.
fn plain(text: &str, kind: &DataType) -> Value {
    match (text.trim(), kind) {
        ("", _) => Value::Null,
        ("true" | "1", DataType::Boolean) => Value::Bool(true),
        ("false" | "0", DataType::Boolean) => Value::Bool(false),
        (text, _) => Value::from(text),
    }
}

fn ended(element: Element, open: &mut [Element], outermost: &mut Option<Element>) {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None => *outermost = Some(element),
    }
}

fn append(open: &mut [Element], text: &str) -> Result<(), String> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err("there are characters outside of the outermost element".to_owned()),
    }
    Ok(())
}

/// XML's own entities and numbers of characters; no others are looked up.
fn resolved(reference: &BytesRef<'_>) -> Result<String, String> {
    if let Some(letter) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(letter.to_string());
    }
    let name = reference.decode().map_err(|error| error.to_string())?;
    match resolve_predefined_entity(&name) {
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("the entity `&{name};` is not one of XML's own")),
    }
}

fn local(name: &[u8]) -> String {
    let start = name.iter().rposition(|byte| *byte == b':').map_or(0, |colon| colon + 1);
    String::from_utf8_lossy(name.get(start..).unwrap_or_default()).into_owned()
}
