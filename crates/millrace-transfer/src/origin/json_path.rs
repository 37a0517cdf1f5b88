//! Places in JSON documents: `$.data.rows`, `$['@odata.nextLink']`, `$.items[-1].id`.

use std::borrow::Cow;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A place in a document, by names and numbers from its root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonPath {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Name(String),
    /// From 0; below 0 from the end.
    Index(i64),
}

impl JsonPath {
    /// What stands there.
    pub(crate) fn find<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        self.parts.iter().try_fold(document, |at, part| match part {
            Part::Name(name) => at.get(name),
            Part::Index(index) => {
                let list = at.as_array()?;
                let back = usize::try_from(index.unsigned_abs()).ok()?;
                if *index < 0 { list.get(list.len().checked_sub(back)?) } else { list.get(back) }
            }
        })
    }
}

impl std::fmt::Display for JsonPath {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for JsonPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is no path: write `$.data.rows`, `$['a name']` or `$.rows[-1].id`");
        let mut rest = text.strip_prefix('$').ok_or_else(wrong)?;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (part, left) = first_part(rest).ok_or_else(wrong)?;
            parts.push(part);
            rest = left;
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

/// The first part of what follows the root, and what is left.
fn first_part(rest: &str) -> Option<(Part, &str)> {
    if let Some(rest) = rest.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, left) = rest.split_at_checked(end)?;
        return (!name.is_empty()).then(|| (Part::Name(name.to_owned()), left));
    }
    let rest = rest.strip_prefix('[')?;
    for quote in ["'", "\""] {
        if let Some(rest) = rest.strip_prefix(quote) {
            let (name, left) = rest.split_once(&format!("{quote}]"))?;
            return Some((Part::Name(name.to_owned()), left));
        }
    }
    let (index, left) = rest.split_once(']')?;
    Some((Part::Index(index.parse().ok()?), left))
}

impl<'de> Deserialize<'de> for JsonPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for JsonPath {
    fn schema_name() -> Cow<'static, str> {
        "JsonPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^\\$"})
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places() {
        let document =
            json!({"data": {"rows": [{"id": 1}, {"id": 2}]}, "@odata.nextLink": "n", "a b": [[7]]});
        let check = |path: &str, expected: Option<Value>| {
            assert_eq!(path.parse::<JsonPath>().unwrap().find(&document), expected.as_ref(), "{path}");
        };
        check("$", Some(document.clone()));
        check("$.data.rows[-1].id", Some(json!(2)));
        check("$.data.rows[0].id", Some(json!(1)));
        check("$.data.rows[2]", None);
        check("$.data.rows[-3]", None);
        check("$['@odata.nextLink']", Some(json!("n")));
        check("$[\"a b\"][0][0]", Some(json!(7)));
        check("$.absent.more", None);
        for wrong in ["", "data", "$data", "$.", "$..a", "$[", "$[x]", "$['a"] {
            assert!(wrong.parse::<JsonPath>().is_err(), "{wrong}");
        }
    }
}
