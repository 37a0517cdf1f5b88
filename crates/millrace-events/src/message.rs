//! A message of a queue, and the event that it is.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use millrace_contract::Event;
use serde_json::{Map, Value, json};

/// Bytes of a body that are taken into an event.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// What stands before the names of a CloudEvent's attributes where they are headers: HTTP and NATS, Kafka, AMQP, MQTT 5.
const PREFIXES: [&str; 5] = ["ce-", "ce_", "cloudevents:", "cloudevents_", ""];

/// A message, in words that all queues share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    /// Tells it from every other of its source, also when it is delivered again.
    pub(crate) id: String,
    /// Subject, topic, channel, routing key.
    pub(crate) subject: String,
    /// What it is partitioned by.
    pub(crate) key: Option<String>,
    /// When it was sent, milliseconds since 1970.
    pub(crate) time_ms: Option<i64>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Body,
    /// What only this kind of queue has: partition, offset.
    pub(crate) more: Map<String, Value>,
}

/// What a message says.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Bytes(Vec<u8>),
    /// Fields of an entry.
    Fields(BTreeMap<String, Vec<u8>>),
    /// A row of a table.
    Json(Value),
}

impl Default for Body {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

impl Body {
    fn size(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Fields(fields) => fields.iter().map(|(name, value)| name.len() + value.len()).sum(),
            Self::Json(value) => value.to_string().len(),
        }
    }

    /// As text, and whether that is JSON. Bytes stay as they are, so that numbers lose nothing.
    pub(crate) fn into_text(self) -> (String, bool) {
        match self {
            Self::Bytes(bytes) => match String::from_utf8(bytes) {
                Ok(text) => {
                    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
                    (text, is_json)
                }
                Err(error) => (STANDARD.encode(error.as_bytes()), false),
            },
            structured => (structured.read().0.to_string(), true),
        }
    }

    /// As a JSON value, and how it was read.
    fn read(self) -> (Value, &'static str) {
        match self {
            Self::Json(value) => (value, "json"),
            Self::Bytes(bytes) => match serde_json::from_slice(&bytes) {
                Ok(value) => (value, "json"),
                Err(_) => text(bytes),
            },
            Self::Fields(fields) => {
                let fields = fields.into_iter().map(|(name, value)| (name, text(value).0));
                (Value::Object(fields.collect()), "fields")
            }
        }
    }
}

fn text(bytes: Vec<u8>) -> (Value, &'static str) {
    match String::from_utf8(bytes) {
        Ok(text) => (Value::String(text), "text"),
        Err(error) => (Value::String(STANDARD.encode(error.as_bytes())), "base64"),
    }
}

impl Message {
    /// The event of a message of `source`. A CloudEvent keeps its own id, source and type.
    pub(crate) fn into_event(self, family: &str, source: &str) -> Event {
        let size = self.body.size();
        let mut message =
            json!({"id": self.id, "subject": self.subject, "headers": self.headers, "size": size});
        let (data, encoding) = if size > MOST_BYTES { (Value::Null, "left_out") } else { self.body.read() };
        if let Some(fields) = message.as_object_mut() {
            fields.insert("encoding".to_owned(), encoding.into());
            fields.extend(self.key.map(|key| ("key".to_owned(), key.into())));
            fields.extend(self.more);
        }
        let time = self.time_ms.and_then(|time| Timestamp::from_millisecond(time).ok());
        let event = structured(&data).or_else(|| binary(&self.headers, &data)).unwrap_or_else(|| Event {
            id: self.id,
            source: source.to_owned(),
            kind: format!("{family}.message"),
            subject: Some(self.subject),
            time: time.map(|time| time.to_string()),
            data,
            facts: Map::new(),
        });
        event.with_fact("message", message)
    }
}

/// A CloudEvent whose attributes are in the body beside its data.
fn structured(body: &Value) -> Option<Event> {
    let fields = body.as_object()?;
    let word = |name: &str| fields.get(name).and_then(Value::as_str).filter(|word| !word.is_empty());
    let decoded = |encoded: &Value| Some(text(STANDARD.decode(encoded.as_str()?).ok()?).0);
    let data = fields.get("data").cloned().or_else(|| fields.get("data_base64").and_then(decoded));
    let known =
        ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data", "data_base64"];
    let extensions = fields.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    let extensions = extensions.map(|(name, value)| (name.clone(), value.clone())).collect();
    of_attributes(word, data.unwrap_or_default(), extensions)
}

/// A CloudEvent whose attributes are headers.
fn binary(headers: &BTreeMap<String, String>, body: &Value) -> Option<Event> {
    let names: BTreeMap<String, &str> =
        headers.iter().map(|(name, value)| (name.to_lowercase(), value.as_str())).collect();
    let prefix = PREFIXES.iter().find(|prefix| names.contains_key(&format!("{prefix}specversion")))?;
    let known = ["specversion", "id", "source", "type", "subject", "time"];
    let extension = |(name, value): (&String, &&str)| {
        let name = name.strip_prefix(prefix).filter(|name| !prefix.is_empty() && !known.contains(name))?;
        Some((name.to_owned(), Value::from(*value)))
    };
    let extensions = names.iter().filter_map(extension).collect();
    let word = |name: &str| names.get(&format!("{prefix}{name}")).copied().filter(|word| !word.is_empty());
    of_attributes(word, body.clone(), extensions)
}

fn of_attributes<'a>(
    word: impl Fn(&str) -> Option<&'a str>,
    data: Value,
    extensions: Map<String, Value>,
) -> Option<Event> {
    word("specversion").filter(|version| *version == "1.0")?;
    let event = Event {
        id: word("id")?.to_owned(),
        source: word("source")?.to_owned(),
        kind: word("type")?.to_owned(),
        subject: word("subject").map(str::to_owned),
        time: word("time").map(str::to_owned),
        data,
        facts: Map::new(),
    };
    Some(event.with_fact("extensions", Value::Object(extensions)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(headers: &[(&str, &str)], body: &[u8]) -> Event {
        let headers = headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let message = Message {
            id: "7".to_owned(),
            subject: "orders".to_owned(),
            time_ms: Some(0),
            headers,
            body: Body::Bytes(body.to_vec()),
            ..Message::default()
        };
        message.into_event("nats", "nats://bus")
    }

    fn check(headers: &[(&str, &str)], body: &[u8], expected: &str) {
        let event = event(headers, body);
        let fact = |name: &str| event.facts["message"][name].clone();
        let said =
            format!("{} {} {} {} {}", event.id, event.source, event.kind, event.data, fact("encoding"));
        assert_eq!(said, expected);
    }

    #[test]
    fn a_body_is_json_text_or_bytes() {
        check(&[], br#"{"n": 1}"#, r#"7 nats://bus nats.message {"n":1} "json""#);
        check(&[], b"21.5", r#"7 nats://bus nats.message 21.5 "json""#);
        check(&[], b"hello", r#"7 nats://bus nats.message "hello" "text""#);
        check(&[], b"\xff\x00", r#"7 nats://bus nats.message "/wA=" "base64""#);
        check(&[], b"", r#"7 nats://bus nats.message "" "text""#);
        check(&[], &vec![b'x'; MOST_BYTES + 1], r#"7 nats://bus nats.message null "left_out""#);
        let event = event(&[("trace", "abc")], b"hello");
        assert_eq!(event.time.as_deref(), Some("1970-01-01T00:00:00Z"));
        let expected = json!({"id": "7", "subject": "orders", "headers": {"trace": "abc"}, "size": 5, "encoding": "text"});
        assert_eq!(event.facts["message"], expected);
    }

    #[test]
    fn a_cloudevent_is_one_in_the_body_and_in_headers() {
        let body = br#"{"specversion": "1.0", "id": "a", "source": "/s", "type": "t", "data": {"n": 1}, "team": "x"}"#;
        check(&[], body, r#"a /s t {"n":1} "json""#);
        assert_eq!(event(&[], body).facts["extensions"], json!({"team": "x"}));
        let encoded =
            br#"{"specversion": "1.0", "id": "a", "source": "/s", "type": "t", "data_base64": "aGk="}"#;
        check(&[], encoded, r#"a /s t "hi" "json""#);
        for prefix in ["ce-", "Ce-", "ce_", "cloudEvents:", "cloudEvents_", ""] {
            let names = ["specversion", "id", "source", "type"].map(|name| format!("{prefix}{name}"));
            let values = ["1.0", "a", "/s", "t"];
            let headers: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(values).collect();
            check(&headers, b"21", r#"a /s t 21 "json""#);
        }
        // Another version, or one without an id, is a message like any other.
        check(&[("ce-specversion", "0.3"), ("ce-id", "a")], b"1", r#"7 nats://bus nats.message 1 "json""#);
        check(&[], br#"{"specversion":"1.0"}"#, r#"7 nats://bus nats.message {"specversion":"1.0"} "json""#);
    }
}
