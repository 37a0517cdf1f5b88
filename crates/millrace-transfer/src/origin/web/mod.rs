//! Web APIs: what REST, OData and GraphQL have in common. Requests are paced, tried again while that may help, and go on page by page.

mod address;
mod auth;
mod client;
mod fetch;
mod pages;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub(super) use address::address;
pub(super) use auth::Auth;
pub(super) use client::{Ask, Client, Parameters, Server};
pub(super) use fetch::Fetch;
pub use pages::{Cursor, Keyed, NumberedPages, OffsetPages, Pages};

/// What a web API is asked for. Values are sent as values: none of them becomes part of a path, a query or a document.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Parameters of the address, `?name=value`. A list gives one several times, null leaves one out that the connection has.
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

/// A value as it stands in an address; `None` if it is a structure.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
