//! Web APIs: what REST, OData and GraphQL have in common. Requests are paced, tried again while that may help, and go on page by page. Rows are sent
//! to a REST API in requests whose body the step says ([`target`]).

mod address;
mod auth;
mod client;
mod deliver;
mod fetch;
mod pages;
mod target;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub(super) use address::address;
pub(super) use auth::Auth;
pub(super) use client::{Ask, Client, Parameters, Server};
pub(super) use deliver::{Delivery, check as check_delivery};
pub(super) use fetch::Fetch;
pub use pages::{Cursor, Keyed, NumberedPages, OffsetPages, Pages};
pub use target::{Sending, WebTarget};

/// What a web API is asked for. Values are sent as values: none of them becomes part of a path, a query or a document.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Parameters of the address, `?name=value`. A list gives one several times, null leaves one out that the connection has. `$watermark` is
    /// how far an `incremental` copy has read, and null the first time.
    #[serde(default)]
    pub params: IndexMap<String, Value>,
    /// Values of `{name}` in the path, each one part of it. REST only.
    #[serde(default)]
    pub path: IndexMap<String, Value>,
    /// Sent as JSON, by POST. Parameters of pages are fields of it then. REST only.
    #[serde(default)]
    pub body: Option<Value>,
    /// Values of the query's variables. GraphQL only.
    #[serde(default)]
    pub variables: IndexMap<String, Value>,
    /// How the records are divided into pages; as the connection says if absent.
    #[serde(default)]
    pub pages: Option<Pages>,
    /// Pages after which the copy fails rather than going on; 100,000 if absent.
    #[serde(default)]
    pub max_pages: Option<std::num::NonZeroU64>,
}

/// Stands for how far the source was read, in a request of a step that is `incremental`.
const WATERMARK: &str = "$watermark";

impl Request {
    /// Whether it asks for what is new.
    pub(crate) fn wants_watermark(&self) -> bool {
        let values = self.params.values().chain(self.path.values()).chain(self.variables.values());
        values.chain(&self.body).any(has_watermark)
    }

    /// The request for what is new: null, which leaves a parameter out, if nothing was read yet.
    pub(crate) fn since(&self, watermark: &Value) -> Self {
        let all = |values: &IndexMap<String, Value>| -> IndexMap<String, Value> {
            values.iter().map(|(name, value)| (name.clone(), since(value, watermark))).collect()
        };
        Self {
            params: all(&self.params),
            path: all(&self.path),
            variables: all(&self.variables),
            body: self.body.as_ref().map(|body| since(body, watermark)),
            pages: self.pages.clone(),
            max_pages: self.max_pages,
        }
    }
}

fn has_watermark(value: &Value) -> bool {
    match value {
        Value::String(text) => text == WATERMARK,
        Value::Array(items) => items.iter().any(has_watermark),
        Value::Object(fields) => fields.values().any(has_watermark),
        _ => false,
    }
}

fn since(value: &Value, watermark: &Value) -> Value {
    match value {
        Value::String(text) if text == WATERMARK => watermark.clone(),
        Value::Array(items) => items.iter().map(|item| since(item, watermark)).collect(),
        Value::Object(fields) => Value::Object(
            fields.iter().map(|(name, value)| (name.clone(), since(value, watermark))).collect(),
        ),
        other => other.clone(),
    }
}

/// A value as it stands in an address; `None` if it is a structure.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
