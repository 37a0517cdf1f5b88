//! JSON values whose shape is not ours to say.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ts_rs::TS;
use utoipa::ToSchema;

/// Any JSON value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema, TS)]
#[serde(transparent)]
#[schema(value_type = Value)]
#[ts(type = "null | boolean | number | string | Json[] | { [key: string]: Json }")]
pub struct Json(pub Value);

/// JSON values by name, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema, TS)]
#[serde(transparent)]
#[schema(value_type = Object)]
#[ts(type = "{ [key: string]: Json }")]
pub struct JsonMap(pub IndexMap<String, Value>);

/// Numbers by name, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema, TS)]
#[serde(transparent)]
#[schema(value_type = Object)]
#[ts(type = "{ [key: string]: number }")]
pub struct NumberMap(pub IndexMap<String, f64>);

/// Texts by name, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema, TS)]
#[serde(transparent)]
#[schema(value_type = Object)]
#[ts(type = "{ [key: string]: string }")]
pub struct TextMap(pub IndexMap<String, String>);
