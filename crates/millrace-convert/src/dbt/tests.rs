//! Tests: dbt's own four stand below the column that they are about, every other one is a query for the rows that are wrong.

use millrace_spec::problem::Place;
use serde_json::{Value, json};

use super::{Importer, Read, list, text};
use crate::names::name_of;
use crate::yaml_out::{Map, Yaml};

impl Importer<'_> {
    pub(super) fn tests(&mut self) {
        for (key, node) in self.all(&["test"]) {
            let place = self.places.find(key);
            let name = text(node, "/name").unwrap_or_default();
            if !self.beside(node, name, &place) {
                self.query_test(node, name, &place);
            }
        }
    }

    /// Writes one of dbt's own tests of a model beside that model; `false` if it is none of them.
    fn beside(&mut self, node: &Value, name: &str, place: &Place) -> bool {
        let Some(path) = self.tested_model(node) else { return false };
        let argument = |name: &str| text(node, &format!("/test_metadata/kwargs/{name}"));
        let (Some(kind), Some(column)) = (text(node, "/test_metadata/name"), argument("column_name")) else {
            return false;
        };
        if text(node, "/test_metadata/namespace").is_some_and(|namespace| namespace != "dbt") {
            return false;
        }
        let mut rule = Map::default();
        match kind {
            "unique" | "not_null" => rule.put(kind, json!([])),
            "accepted_values" => match node.pointer("/test_metadata/kwargs/values") {
                Some(values @ Value::Array(_)) => rule.put("accepted_values", values.clone()),
                _ => return false,
            },
            "relationships" => match (self.other_model(node), argument("field")) {
                (Some(other), Some(field)) => {
                    rule.put("relationships", json!({"to": other, "field": field}));
                }
                _ => return false,
            },
            _ => return false,
        }
        let mut options = Map::default();
        if let Some(only) = text(node, "/config/where") {
            options.put("where", only);
        }
        self.limits(node, name, place, &mut options);
        let is_plain = matches!(kind, "unique" | "not_null") && !options.has_fields();
        rule.append(options);
        let test = if is_plain { Yaml::from(kind) } else { Yaml::Map(rule) };
        if let Some(doc) = self.docs.get_mut(&path) {
            doc.test_column(column, test);
        }
        self.report.taken(place, format!("the test `{name}`"), format!("{path}, columns.{column}"));
        true
    }

    /// The file beside the model that a test is of.
    fn tested_model(&self, node: &Value) -> Option<String> {
        let key = text(node, "/attached_node").or_else(|| list(node, "/depends_on/nodes").pop())?;
        let name = match self.read(key)? {
            (Read::Model(name), _) => name,
            (Read::Source(..), _) => return None,
        };
        let is_of = |path: &&String| path.rsplit('/').next() == Some(&format!("{name}.yaml"));
        self.docs.keys().find(is_of).cloned()
    }

    /// The model that `relationships` leads to.
    fn other_model(&self, node: &Value) -> Option<String> {
        let attached = text(node, "/attached_node");
        let keys = list(node, "/depends_on/nodes");
        let key = keys.iter().find(|key| Some(**key) != attached)?;
        match self.read(key)? {
            (Read::Model(name), _) => Some(name),
            (Read::Source(..), _) => None,
        }
    }

    /// A test as a query in `models/tests/`.
    fn query_test(&mut self, node: &Value, name: &str, place: &Place) {
        let sql = match self.own_rule(node) {
            Some(sql) => Ok(sql),
            None => self.query(node).map(|query| query.sql),
        };
        let stem = name_of(name);
        let mut beside = Map::default();
        match sql {
            Ok(sql) => {
                self.limits(node, name, place, &mut beside);
                let path = format!("models/tests/{stem}.sql");
                self.report.taken(place, format!("the test `{name}`"), path.clone());
                self.files.push((path, sql));
                if beside.has_fields() {
                    self.files.push((format!("models/tests/{stem}.yaml"), beside.text()));
                }
            }
            Err(why) => {
                let message = format!("the test `{name}` {why}");
                let hint = "run `dbt compile` and import the manifest in `target/` again, or write it in `models/tests/`";
                self.report.gap(place, &mut beside, &message, Some(hint));
            }
        }
    }

    /// The query of one of dbt's own tests of a seed or a source, or with one, which no model's file can say.
    fn own_rule(&self, node: &Value) -> Option<String> {
        let argument = |name: &str| text(node, &format!("/test_metadata/kwargs/{name}"));
        let keys = list(node, "/depends_on/nodes");
        let attached = text(node, "/attached_node").or_else(|| keys.last().copied())?;
        let table = self.read(attached)?.0.call();
        let column = quoted(argument("column_name")?);
        let only = text(node, "/config/where").map(|only| format!("({only}) and ")).unwrap_or_default();
        Some(match text(node, "/test_metadata/name")? {
            "not_null" => format!("select * from {table}\nwhere {only}{column} is null\n"),
            "unique" => format!(
                "select {column}, count(*) as times from {table}\nwhere {only}{column} is not null\ngroup by {column} having count(*) > 1\n"
            ),
            "accepted_values" => {
                let values = node.pointer("/test_metadata/kwargs/values")?.as_array()?;
                let literal = |value: &Value| match value {
                    Value::String(text) => format!("'{}'", text.replace('\'', "''")),
                    other => other.to_string(),
                };
                let values: Vec<String> = values.iter().map(literal).collect();
                format!("select * from {table}\nwhere {only}{column} not in ({})\n", values.join(", "))
            }
            "relationships" => {
                let other = keys.iter().find(|key| **key != attached)?;
                let parent = self.read(other)?.0.call();
                let field = quoted(argument("field")?);
                format!(
                    "select child.{column} from {table} as child\nleft join {parent} as parent on child.{column} = parent.{field}\n\
                     where {only}child.{column} is not null and parent.{field} is null\n"
                )
            }
            _ => return None,
        })
    }

    /// How failing rows count.
    fn limits(&mut self, node: &Value, name: &str, place: &Place, into: &mut Map) {
        if text(node, "/config/severity").is_some_and(|severity| severity.eq_ignore_ascii_case("warn")) {
            into.put("severity", "warn");
        }
        for limit in ["warn_if", "error_if"] {
            let Some(written) = text(node, &format!("/config/{limit}")).filter(|written| *written != "!= 0")
            else {
                continue;
            };
            let sign = [">=", "!=", ">", "="].into_iter().find(|sign| written.trim().starts_with(sign));
            let count = sign.and_then(|sign| written.trim().strip_prefix(sign)?.trim().parse::<u64>().ok());
            match sign.zip(count) {
                Some((sign, count)) => into.put(limit, format!("{sign} {count}")),
                None => {
                    let message = format!("`{limit}: {written}` of the test `{name}` cannot be said here");
                    self.report.gap(place, into, &message, Some("`>`, `>=`, `=` and `!=` can"));
                }
            }
        }
    }
}

/// A column's name as SQL takes it, whatever its letters.
fn quoted(column: &str) -> String {
    let is_plain =
        column.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if is_plain { column.to_owned() } else { format!("\"{}\"", column.replace('"', "\"\"")) }
}
