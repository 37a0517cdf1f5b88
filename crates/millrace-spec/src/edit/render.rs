//! New values as people write them: short ones on a line, long ones below their key.

use serde_json::{Map, Value};

use crate::yaml;

/// Longest list or mapping that stands on a line, bytes.
const LINE: usize = 100;

/// A value as a document of its own, with a newline at its end.
pub(super) fn block(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(fields) if !fields.is_empty() && !fits(value) => mapping(&mut text, fields, 0),
        Value::Array(items) if !items.is_empty() && !fits(value) => list(&mut text, items, 0),
        Value::String(long) if is_literal(long) => literal(&mut text, long, 0),
        _ => text = flow(value),
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// A value on one line.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| format!("{}: {}", key_text(key, true), flow(value));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => plain(text, true),
        other => other.to_string(),
    }
}

/// Whether a value is short and flat enough for one line.
fn fits(value: &Value) -> bool {
    let flat = |value: &Value| match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.iter().all(|item| !item.is_object() && !item.is_array()),
        Value::String(text) => !text.contains('\n'),
        _ => true,
    };
    match value {
        Value::Array(items) => items.iter().all(flat) && flow(value).len() <= LINE,
        Value::Object(fields) => fields.values().all(flat) && flow(value).len() <= LINE,
        _ => true,
    }
}

fn mapping(text: &mut String, fields: &Map<String, Value>, indent: usize) {
    for (key, value) in fields {
        text.push_str(&" ".repeat(indent));
        text.push_str(&key_text(key, false));
        text.push(':');
        below(text, value, indent);
    }
}

fn list(text: &mut String, items: &[Value], indent: usize) {
    for item in items {
        text.push_str(&" ".repeat(indent));
        text.push('-');
        match item {
            // The first key stands beside the dash.
            Value::Object(fields) if !fields.is_empty() && !fits(item) => {
                let mut inner = String::new();
                mapping(&mut inner, fields, indent + 2);
                text.push(' ');
                text.push_str(inner.trim_start());
            }
            _ => below(text, item, indent),
        }
    }
}

/// A value after its key or dash.
fn below(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() && !fits(value) => {
            text.push('\n');
            mapping(text, fields, indent + 2);
        }
        Value::Array(items) if !items.is_empty() && !fits(value) => {
            text.push('\n');
            list(text, items, indent + 2);
        }
        Value::String(long) if is_literal(long) => {
            text.push(' ');
            literal(text, long, indent + 2);
        }
        Value::String(short) => {
            text.push(' ');
            text.push_str(&plain(short, false));
            text.push('\n');
        }
        other => {
            text.push(' ');
            text.push_str(&flow(other));
            text.push('\n');
        }
    }
}

/// Whether a text of several lines can stand as it is under a `|`.
fn is_literal(text: &str) -> bool {
    let odd = |sign: char| sign.is_control() && sign != '\n';
    text.trim_end_matches('\n').contains('\n')
        && !text.starts_with([' ', '\n'])
        && !text.ends_with("\n\n")
        && !text.chars().any(odd)
        && !text.lines().any(|line| line.ends_with(' '))
}

fn literal(text: &mut String, long: &str, indent: usize) {
    text.push_str(if long.ends_with('\n') { "|\n" } else { "|-\n" });
    for line in long.lines() {
        if !line.is_empty() {
            text.push_str(&" ".repeat(indent.max(2)));
            text.push_str(line);
        }
        text.push('\n');
    }
}

/// A key. Words that other readers take for truths stand as they are: `on:` is how people write it.
pub(super) fn key_text(key: &str, flow: bool) -> String {
    if is_truth(key) { key.to_owned() } else { plain(key, flow) }
}

/// Whether readers of YAML 1.1 take a text for a truth.
fn is_truth(text: &str) -> bool {
    ["yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str())
}

/// A text as it is if it is read as the same text again, else in double quotes.
fn plain(text: &str, flow: bool) -> String {
    let document = if flow { format!("[{text}]") } else { format!("k: {text}") };
    let read = yaml::parse("", &document).ok().map(|node| node.to_json());
    let same = match read {
        Some(Value::Array(items)) => matches!(items.as_slice(), [Value::String(read)] if read == text),
        Some(Value::Object(fields)) => fields.get("k").and_then(Value::as_str) == Some(text),
        _ => false,
    };
    // Values that other readers of YAML take for truths, and texts that begin like something else, are quoted for their sake.
    let quotes =
        text.starts_with(['"', '\'', '|', '>', '&', '*', '!', '%', '@', '`', '#', '?', '{', '[', '-', ':']);
    if same && !is_truth(text) && !quotes && !text.contains(['\n', '\t']) {
        return text.to_owned();
    }
    Value::from(text).to_string()
}
