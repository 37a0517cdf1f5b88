//! What of rows goes into a request: a body with places for a row, for several, or for a row's values.

use std::fmt::Write as _;
use std::num::NonZeroUsize;

use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use arrow::record_batch::RecordBatch;
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::super::json_path::JsonPath;

/// How rows are sent to a web API.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebTarget {
    /// `connection:path`; `{column}` in it is a row's value of that column, and each row a request of its own.
    pub path: String,
    /// `post` if absent.
    #[serde(default)]
    pub method: Sending,
    /// Rows of a request at most; one if absent.
    #[serde(default)]
    pub rows: Option<NonZeroUsize>,
    /// What is sent, as JSON: `$row` in it is the row, `$rows` the list of the request's rows, `$row.name` the row's value of a column; `$$` begins a
    /// text that begins with `$`. If absent it is the row, and where `rows` is said the list of them.
    #[serde(default)]
    pub body: Option<Value>,
    /// Whether `body` is a list whose items are lines for each row, as bulk interfaces want them: `[{index: {_id: $row.id}}, $row]`.
    #[serde(default)]
    pub lines: bool,
    /// Where an answer whose status is good says what was refused: `$.errors`. Anything there but null, `false`, an empty text, an empty list and an
    /// empty object fails the copy.
    #[serde(default)]
    pub errors: Option<String>,
    /// Requests that are under way at once; one if absent, and the rows arrive in their order.
    #[serde(default)]
    pub at_once: Option<NonZeroUsize>,
}

/// What is asked of what is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sending {
    /// To take something new.
    #[default]
    Post,
    /// To be as it is sent.
    Put,
    /// To change as it is sent.
    Patch,
    /// To go.
    Delete,
}

impl Sending {
    pub(super) fn method(self) -> Method {
        match self {
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }
}

/// A part of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Row,
    Rows,
    Value(String),
}

/// A body with places for rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
    /// Whether it stands in the request once for each row, and not once for all.
    for_each: bool,
}

/// A target whose parts are understood.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) method: Method,
    pub(super) rows: usize,
    pub(super) body: Option<Template>,
    pub(super) lines: bool,
    pub(super) errors: Option<JsonPath>,
    pub(super) at_once: usize,
    /// Columns whose values stand in the path.
    pub(super) in_path: Vec<String>,
}

impl Shape {
    /// Of what stands in a step's `to`; `stream` is its path without the connection.
    ///
    /// # Errors
    /// What cannot be, in words for who wrote it.
    pub(super) fn of(to: &Value, stream: &str) -> Result<Self, String> {
        let target = match to {
            Value::String(path) => serde_json::json!({"path": path}),
            other => other.clone(),
        };
        let target: WebTarget = serde_json::from_value(target).map_err(|error| format!("`to`: {error}"))?;
        let in_path = names_in(stream)?;
        let rows = target.rows.map_or(1, NonZeroUsize::get);
        if rows > 1 && !in_path.is_empty() {
            return Err(format!("`{stream}` has a row's value in it, and `rows` more than one row"));
        }
        let body = match (&target.body, target.method) {
            (Some(body), _) => Some(body.clone()),
            (None, Sending::Delete) => None,
            (None, _) if target.rows.is_some() && !target.lines => Some("$rows".into()),
            (None, _) if target.lines => Some(serde_json::json!(["$row"])),
            (None, _) => Some("$row".into()),
        };
        if target.lines && !body.as_ref().is_some_and(Value::is_array) {
            return Err(
                "`lines` wants a `body` that is a list: what it has becomes the lines of each row".to_owned()
            );
        }
        let body = body.map(|body| Template::of(&body, target.lines)).transpose()?;
        if rows > 1 && body.as_ref().is_some_and(|body| !body.for_each && body.is_of_one()) {
            return Err("`body` has `$row` in it, and `rows` more than one row; write `$rows`".to_owned());
        }
        let errors = target.errors.as_deref().map(str::parse).transpose()?;
        let at_once = target.at_once.map_or(1, NonZeroUsize::get);
        Ok(Self { method: target.method.method(), rows, body, lines: target.lines, errors, at_once, in_path })
    }

    /// The columns whose values are sent beside rows.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        let of_body = self.body.iter().flat_map(|body| &body.parts).filter_map(|part| match part {
            Part::Value(column) => Some(column.as_str()),
            _ => None,
        });
        of_body.chain(self.in_path.iter().map(String::as_str))
    }
}

/// The names in braces of a path.
fn names_in(stream: &str) -> Result<Vec<String>, String> {
    let path = stream.split_once('?').map_or(stream, |(path, _)| path);
    path.split('{')
        .skip(1)
        .map(|part| match part.split_once('}') {
            Some((name, _)) if !name.is_empty() => Ok(name.to_owned()),
            _ => Err(format!("`{stream}` has a brace that names no column")),
        })
        .collect()
}

impl Template {
    fn of(body: &Value, lines: bool) -> Result<Self, String> {
        let mut parts = vec![Part::Text(String::new())];
        match body.as_array().filter(|_| lines) {
            Some(items) => {
                for item in items {
                    put(&mut parts, item)?;
                    text(&mut parts, "\n");
                }
            }
            None => put(&mut parts, body)?,
        }
        if lines && parts.contains(&Part::Rows) {
            return Err("`lines` are of one row each: `$row`, not `$rows`".to_owned());
        }
        Ok(Self { parts, for_each: lines })
    }

    fn is_of_one(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Row | Part::Value(_)))
    }

    /// The body of a request with these rows.
    pub(super) fn filled(&self, rows: &[Row]) -> String {
        let mut body = String::new();
        if self.for_each {
            rows.iter().for_each(|row| self.fill(&mut body, std::slice::from_ref(row)));
        } else {
            self.fill(&mut body, rows);
        }
        body
    }

    fn fill(&self, body: &mut String, rows: &[Row]) {
        for part in &self.parts {
            match part {
                Part::Text(text) => body.push_str(text),
                Part::Row => body.push_str(rows.first().map_or("null", |row| &row.whole)),
                Part::Value(column) => {
                    let found = rows.first().and_then(|row| row.value(column));
                    body.push_str(found.unwrap_or("null"));
                }
                Part::Rows => {
                    body.push('[');
                    for (index, row) in rows.iter().enumerate() {
                        body.push_str(if index == 0 { "" } else { "," });
                        body.push_str(&row.whole);
                    }
                    body.push(']');
                }
            }
        }
    }
}

fn text(parts: &mut Vec<Part>, more: &str) {
    match parts.last_mut() {
        Some(Part::Text(text)) => text.push_str(more),
        _ => parts.push(Part::Text(more.to_owned())),
    }
}

fn put(parts: &mut Vec<Part>, value: &Value) -> Result<(), String> {
    match value {
        Value::String(word) => match word.strip_prefix('$') {
            Some("row") => parts.push(Part::Row),
            Some("rows") => parts.push(Part::Rows),
            Some(literal) if literal.starts_with('$') => text(parts, &Value::from(literal).to_string()),
            Some(other) => match other.strip_prefix("row.") {
                Some(column) if !column.is_empty() => parts.push(Part::Value(column.to_owned())),
                _ => {
                    return Err(format!(
                        "`{word}` in `body` is none of `$row`, `$rows` and `$row.column`; a text that begins so is written `$${other}`"
                    ));
                }
            },
            None => text(parts, &value.to_string()),
        },
        Value::Array(items) => {
            text(parts, "[");
            for (index, item) in items.iter().enumerate() {
                text(parts, if index == 0 { "" } else { "," });
                put(parts, item)?;
            }
            text(parts, "]");
        }
        Value::Object(fields) => {
            text(parts, "{");
            for (index, (name, field)) in fields.iter().enumerate() {
                text(parts, if index == 0 { "" } else { "," });
                let mut name = Value::from(name.as_str()).to_string();
                name.push(':');
                text(parts, &name);
                put(parts, field)?;
            }
            text(parts, "}");
        }
        other => text(parts, &other.to_string()),
    }
    Ok(())
}

/// A row as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    whole: String,
    /// Of the columns that were asked for, as JSON.
    values: Vec<(String, String)>,
}

impl Row {
    /// A column's value as JSON, if it was asked for.
    pub(super) fn value(&self, column: &str) -> Option<&str> {
        self.values.iter().find(|(name, _)| name == column).map(|(_, value)| value.as_str())
    }
}

/// The rows of a batch as JSON, with nulls, and the values of `columns` apart.
///
/// # Errors
/// If a column is not there, or JSON has nothing for its type.
pub(super) fn rows_of(batch: &RecordBatch, columns: &[String]) -> Result<Vec<Row>, String> {
    let mut rows: Vec<Row> =
        lines_of(batch)?.into_iter().map(|whole| Row { whole, values: Vec::new() }).collect();
    for column in columns {
        let index = batch.schema_ref().index_of(column);
        let index = index.map_err(|_| format!("the rows have no column `{column}`"))?;
        let alone = batch.project(&[index]).map_err(|error| error.to_string())?;
        // An object of one field: what stands before its value is as long in each.
        let mut before = String::new();
        write!(before, "{{{}:", Value::from(column.as_str())).map_err(|error| error.to_string())?;
        for (row, line) in rows.iter_mut().zip(lines_of(&alone)?) {
            let value = line.strip_prefix(&before).and_then(|rest| rest.strip_suffix('}'));
            let value = value.ok_or_else(|| format!("the value of `{column}` is no JSON: {line}"))?;
            row.values.push((column.clone(), value.to_owned()));
        }
    }
    Ok(rows)
}

fn lines_of(batch: &RecordBatch) -> Result<Vec<String>, String> {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    writer.write(batch).and_then(|()| writer.finish()).map_err(|error| error.to_string())?;
    let text = String::from_utf8(writer.into_inner()).map_err(|error| error.to_string())?;
    Ok(text.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use serde_json::json;

    use super::*;

    fn rows() -> Vec<Row> {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let names: ArrayRef = Arc::new(StringArray::from(vec!["a\"b\nc", "é"]));
        let batch = RecordBatch::try_from_iter([("id", ids), ("a \"name\"", names)]).unwrap();
        rows_of(&batch, &["id".to_owned(), "a \"name\"".to_owned()]).unwrap()
    }

    fn check(to: Value, expected: Result<&str, &str>) {
        let found =
            Shape::of(&to, "things").map(|shape| shape.body.unwrap().filled(&rows()[..shape.rows.min(2)]));
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{to}");
    }

    #[test]
    fn bodies() {
        let to = |more: Value| {
            let mut to = json!({"path": "api:things"});
            to.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            to
        };
        check(json!("api:things"), Ok(r#"{"id":1,"a \"name\"":"a\"b\nc"}"#));
        check(
            to(json!({"rows": 10})),
            Ok(r#"[{"id":1,"a \"name\"":"a\"b\nc"},{"id":null,"a \"name\"":"é"}]"#),
        );
        check(
            to(json!({"rows": 10, "body": {"all": true, "$type": "$$row", "records": "$rows"}})),
            Ok(
                r#"{"all":true,"$type":"$row","records":[{"id":1,"a \"name\"":"a\"b\nc"},{"id":null,"a \"name\"":"é"}]}"#,
            ),
        );
        check(
            to(json!({"body": {"key": "$row.id", "name": "$row.a \"name\"", "not": [1, null]}})),
            Ok(r#"{"key":1,"name":"a\"b\nc","not":[1,null]}"#),
        );
        check(
            to(json!({"rows": 10, "lines": true, "body": [{"index": {"_id": "$row.id"}}, {"doc": "$row"}]})),
            Ok("{\"index\":{\"_id\":1}}\n{\"doc\":{\"id\":1,\"a \\\"name\\\"\":\"a\\\"b\\nc\"}}\n\
                {\"index\":{\"_id\":null}}\n{\"doc\":{\"id\":null,\"a \\\"name\\\"\":\"é\"}}\n"),
        );
        check(
            to(json!({"rows": 10, "body": {"key": "$row.id"}})),
            Err("`body` has `$row` in it, and `rows` more than one row; write `$rows`"),
        );
        check(
            to(json!({"lines": true, "body": {"a": "$row"}})),
            Err("`lines` wants a `body` that is a list: what it has becomes the lines of each row"),
        );
        check(
            to(json!({"lines": true, "body": ["$rows"]})),
            Err("`lines` are of one row each: `$row`, not `$rows`"),
        );
        check(
            to(json!({"body": "$rwo"})),
            Err(
                "`$rwo` in `body` is none of `$row`, `$rows` and `$row.column`; a text that begins so is written `$$rwo`",
            ),
        );
    }

    #[test]
    fn values_in_a_path_are_of_one_row() {
        let of = |to: Value, stream: &str| Shape::of(&to, stream).map(|shape| shape.in_path);
        assert_eq!(of(json!({"path": "x"}), "a/{id}/{no}?b={c}").unwrap(), ["id", "no"]);
        assert_eq!(
            of(json!({"path": "x", "rows": 2}), "a/{id}").unwrap_err(),
            "`a/{id}` has a row's value in it, and `rows` more than one row"
        );
        assert_eq!(
            of(json!({"path": "x"}), "a/{id").unwrap_err(),
            "`a/{id` has a brace that names no column"
        );
    }
}
