//! A span as it is kept: a line of JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How a span ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SpanStatus {
    /// Nobody said.
    #[default]
    Unset,
    /// Well.
    Ok,
    /// It failed.
    Error,
}

impl SpanStatus {
    /// MLflow's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unset => "UNSET",
            Self::Ok => "OK",
            Self::Error => "ERROR",
        }
    }
}

/// A unit of work in a trace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// 16 hex digits.
    pub id: String,
    /// The span that it is part of; none for the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// Name.
    pub name: String,
    /// Nanoseconds since 1970.
    pub start_ns: u64,
    /// Nanoseconds since 1970; 0 while it goes on.
    pub end_ns: u64,
    /// How it ended.
    #[serde(default)]
    pub status: SpanStatus,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Everything else that is known of it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
    /// What happened meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// Spans of other traces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

/// Something that happened during a span.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Name.
    pub name: String,
    /// Nanoseconds since 1970.
    pub at_ns: u64,
    /// What is known of it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
}

/// A span elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// What is known of the link.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
}

/// A stored span that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("a stored span cannot be read")]
pub struct UnknownSpan(#[source] serde_json::Error);

impl Span {
    /// An attribute that is a text and not empty.
    pub fn text_attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// An attribute as text: a text as it is, anything else as JSON.
    pub fn attribute_text(&self, name: &str) -> Option<String> {
        self.attributes.get(name).map(|value| match value {
            Value::String(text) => text.clone(),
            other => json_text(other),
        })
    }

    /// MLflow's type of the span, such as `LLM`; empty if nobody said.
    pub fn kind(&self) -> &str {
        self.text_attribute(super::conventions::KIND).unwrap_or_default()
    }

    /// All that a search for text looks through, `"name": value` line by line.
    pub fn full_text(&self) -> String {
        let mut text = format!("\"name\": \"{}\"\n\"status\": \"{}\"\n", self.name, self.status.word());
        if !self.message.is_empty() {
            text += &format!("\"message\": \"{}\"\n", self.message);
        }
        write_attributes(&mut text, &self.attributes);
        for event in &self.events {
            text += &format!("\"event\": \"{}\"\n", event.name);
            write_attributes(&mut text, &event.attributes);
        }
        text
    }

    /// Adds the span to a document, as one line.
    pub(super) fn write_line(&self, lines: &mut Vec<u8>) {
        // Neither a map with other keys than texts nor a failing writer is there.
        if serde_json::to_writer(&mut *lines, self).is_ok() {
            lines.push(b'\n');
        }
    }
}

fn write_attributes(text: &mut String, attributes: &Map<String, Value>) {
    for (name, value) in attributes {
        match value {
            Value::String(value) => *text += &format!("\"{name}\": \"{value}\"\n"),
            value => *text += &format!("\"{name}\": {}\n", json_text(value)),
        }
    }
}

/// Reads the lines of a trace: the root first, then by time. Of several lines of a span the last counts.
///
/// # Errors
/// If a line is no span.
pub fn read_spans(lines: &[u8]) -> Result<Vec<Span>, UnknownSpan> {
    let mut places = std::collections::HashMap::new();
    let mut spans: Vec<Span> = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let span: Span = serde_json::from_slice(line).map_err(UnknownSpan)?;
        match places.get(&span.id).and_then(|place: &usize| spans.get_mut(*place)) {
            Some(earlier) => *earlier = span,
            None => {
                places.insert(span.id.clone(), spans.len());
                spans.push(span);
            }
        }
    }
    spans.sort_by(|one, other| {
        (one.parent_id.is_some(), one.start_ns).cmp(&(other.parent_id.is_some(), other.start_ns))
    });
    Ok(spans)
}

/// JSON as Python writes it, which people who search for text have before their eyes: `{"a": 1, "b": [2, 3]}`.
pub fn json_text(value: &Value) -> String {
    let mut bytes = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut bytes, PythonFormatter);
    value.serialize(&mut writer).ok();
    String::from_utf8(bytes).unwrap_or_default()
}

struct PythonFormatter;

impl serde_json::ser::Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, to: &mut W) -> std::io::Result<()> {
        to.write_all(b": ")
    }
}
