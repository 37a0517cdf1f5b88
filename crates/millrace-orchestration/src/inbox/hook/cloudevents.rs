//! CloudEvents 1.0 over HTTP: in headers (binary), in the body (structured), or several in one body (batches).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_contract::Event;
use serde_json::{Map, Value};

use super::senders::json_body;
use super::{HookRefusal, HookRequest};

/// The events of a request; `None` if it has none.
pub(super) fn read(request: &HookRequest) -> Result<Option<Vec<Event>>, HookRefusal> {
    let content_type =
        request.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match content_type {
        "application/cloudevents+json" => structured(json_body(request)?).map(|event| Some(vec![event])),
        "application/cloudevents-batch+json" => match json_body(request)? {
            Value::Array(events) => events.into_iter().map(structured).collect::<Result<_, _>>().map(Some),
            _ => Err(HookRefusal::Unreadable("a batch of CloudEvents is a list".to_owned())),
        },
        _ if request.header("ce-id").is_some() => {
            binary(request, content_type).map(|event| Some(vec![event]))
        }
        _ => Ok(None),
    }
}

fn structured(document: Value) -> Result<Event, HookRefusal> {
    let Value::Object(mut fields) = document else {
        return Err(HookRefusal::Unreadable("a CloudEvent is a JSON object".to_owned()));
    };
    let data = match (fields.remove("data"), fields.remove("data_base64")) {
        (Some(data), _) => data,
        (None, Some(Value::String(encoded))) => {
            let bytes = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            bytes
                .map(Value::String)
                .ok_or_else(|| HookRefusal::Unreadable("`data_base64` is no text".to_owned()))?
        }
        _ => Value::Null,
    };
    let attributes = fields.into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, text)),
        Value::Null => None,
        other => Some((name, other.to_string())),
    });
    of_attributes(attributes.collect(), data)
}

fn binary(request: &HookRequest, content_type: &str) -> Result<Event, HookRefusal> {
    let attributes = request.headers.iter().filter_map(|(name, value)| {
        let decoded = percent_decoded(value);
        name.strip_prefix("ce-").map(|name| (name.to_owned(), decoded))
    });
    let data = if request.body.is_empty() {
        Value::Null
    } else if content_type.is_empty() || content_type.ends_with("json") {
        json_body(request)?
    } else {
        String::from_utf8(request.body.clone()).map(Value::String).map_err(|_| {
            HookRefusal::Unreadable(format!("the data, `{content_type}`, is neither JSON nor text"))
        })?
    };
    of_attributes(attributes.collect(), data)
}

/// Header values are percent-encoded where they are not ASCII (HTTP binding, section 3.1.3.2).
fn percent_decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|code| hex::decode(code).ok());
        match code {
            Some(code) => {
                bytes.extend(code);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| value.to_owned())
}

fn of_attributes(mut attributes: Vec<(String, String)>, data: Value) -> Result<Event, HookRefusal> {
    let mut take = |name: &str| {
        let at = attributes.iter().position(|(known, value)| known == name && !value.is_empty())?;
        Some(attributes.swap_remove(at).1)
    };
    let needed = |name: &str, value: Option<String>| {
        value.ok_or_else(|| HookRefusal::Unreadable(format!("the CloudEvent has no `{name}`")))
    };
    if let Some(version) = take("specversion").filter(|version| version != "1.0") {
        return Err(HookRefusal::Unreadable(format!("CloudEvents `{version}` are not known here, only 1.0")));
    }
    let event = Event {
        id: needed("id", take("id"))?,
        source: needed("source", take("source"))?,
        kind: needed("type", take("type"))?,
        subject: take("subject"),
        time: take("time"),
        data,
        facts: Map::new(),
    };
    take("datacontenttype");
    let extensions = attributes.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    Ok(event.with_fact("extensions", Value::Object(extensions)))
}
