//! What stands beside a query: `models/NAME.yaml`.

use indexmap::IndexMap;
use millrace_spec::problem::Place;
use serde_json::{Value, json};

use super::query::Query;
use super::{list, text};
use crate::report::Report;
use crate::yaml_out::{Map, Yaml};

/// A file beside a query, in parts until all of them are known.
#[derive(Default)]
pub(super) struct Doc {
    pub(super) comments: Map,
    head: Map,
    /// Description and tests of each column.
    columns: IndexMap<String, (Option<String>, Vec<Yaml>)>,
    pub(super) tests: Vec<Yaml>,
}

impl Doc {
    /// What a node says of itself and its columns.
    pub(super) fn of(node: &Value) -> Self {
        let mut doc = Self::default();
        if let Some(description) = text(node, "/description").filter(|text| !text.is_empty()) {
            doc.head.put("description", description);
        }
        let mut tags = list(node, "/tags");
        tags.extend(list(node, "/config/tags"));
        tags.sort_unstable();
        tags.dedup();
        if !tags.is_empty() {
            doc.head.put("tags", json!(tags));
        }
        for (name, column) in node.get("columns").and_then(Value::as_object).into_iter().flatten() {
            let description = text(column, "/description").filter(|text| !text.is_empty());
            doc.columns.insert(name.clone(), (description.map(str::to_owned), Vec::new()));
        }
        doc
    }

    /// What is kept of the query's rows.
    pub(super) fn kept(
        &mut self,
        node: &Value,
        query: &Query,
        (what, place): (&str, &Place),
        report: &mut Report,
    ) {
        if text(node, "/resource_type") == Some("snapshot") {
            self.head.put("snapshot", snapshot(node));
            return;
        }
        match text(node, "/config/materialized").unwrap_or("view") {
            "table" => {}
            "ephemeral" => self.head.put("ephemeral", json!(true)),
            "view" => {
                let message = format!("{what} is a view there; here its rows are kept");
                report.changed(place, &mut self.comments, &message, Some("`ephemeral: true` keeps none"));
            }
            "incremental" if query.is_compiled => {
                let message = format!(
                    "{what} is incremental, which the compiled query does not say; here each build makes the whole table"
                );
                let hint = "write its query with `is_incremental()` by hand, and `incremental:` beside it";
                report.changed(place, &mut self.comments, &message, Some(hint));
            }
            "incremental" => self.incremental(node, (what, place), report),
            other => {
                let message = format!("{what} is `{other}`; here each build makes the whole table");
                report.changed(place, &mut self.comments, &message, None);
            }
        }
    }

    fn incremental(&mut self, node: &Value, (what, place): (&str, &Place), report: &mut Report) {
        let keys = list(node, "/config/unique_key");
        let mut rule = Map::default();
        match text(node, "/config/incremental_strategy") {
            None => {}
            Some(strategy @ ("append" | "merge")) => rule.put("strategy", strategy),
            Some("delete+insert") => rule.put("strategy", "delete_insert"),
            Some("insert_overwrite") => rule.put("strategy", "insert_overwrite"),
            Some(other) => {
                let message = format!(
                    "{what} has the strategy `{other}`; here it is {}",
                    if keys.is_empty() { "`append`" } else { "`merge`" }
                );
                report.changed(place, &mut self.comments, &message, None);
            }
        }
        if !keys.is_empty() {
            rule.put("unique_key", json!(keys));
        }
        let parts = match text(node, "/config/partition_by/field") {
            Some(field) => vec![field],
            None => list(node, "/config/partition_by"),
        };
        if !parts.is_empty() {
            rule.put("partition_by", json!(parts));
        }
        // What dbt does if nothing is said.
        rule.put("on_schema_change", text(node, "/config/on_schema_change").unwrap_or("ignore"));
        self.head.put("incremental", rule);
    }

    /// A test below a column.
    pub(super) fn test_column(&mut self, column: &str, test: Yaml) {
        self.columns.entry(column.to_owned()).or_default().1.push(test);
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.comments.has_lines()
            && !self.head.has_fields()
            && self.columns.is_empty()
            && self.tests.is_empty()
    }

    pub(super) fn text(self) -> String {
        let mut file = self.comments;
        file.append(self.head);
        let mut columns = Map::default();
        for (name, (description, tests)) in self.columns {
            let mut column = Map::default();
            if let Some(description) = description {
                column.put("description", description);
            }
            if !tests.is_empty() {
                column.put("tests", Yaml::List(tests));
            }
            columns.put(&name, column);
        }
        file.put_some("columns", columns);
        if !self.tests.is_empty() {
            file.put("tests", Yaml::List(self.tests));
        }
        file.text()
    }
}

fn snapshot(node: &Value) -> Map {
    let mut snapshot = Map::default();
    snapshot.put("unique_key", json!(list(node, "/config/unique_key")));
    match text(node, "/config/strategy") {
        Some("check") => {
            let columns = list(node, "/config/check_cols");
            let columns = if columns == ["all"] { Vec::new() } else { columns };
            snapshot.put("check", json!(columns));
        }
        _ => snapshot.put("updated_at", text(node, "/config/updated_at").unwrap_or("updated_at")),
    }
    let invalidates = node.pointer("/config/invalidate_hard_deletes") == Some(&Value::Bool(true));
    match text(node, "/config/hard_deletes") {
        Some(rule @ ("invalidate" | "new_record")) => snapshot.put("hard_deletes", rule),
        None if invalidates => snapshot.put("hard_deletes", "invalidate"),
        _ => {}
    }
    snapshot
}

/// How new a table of a source has to be.
pub(super) fn freshness(source: &Value, table: &mut Map) {
    if let Some(column) = text(source, "/loaded_at_field") {
        table.put("loaded_at", column);
    }
    let mut limits = Map::default();
    for limit in ["warn_after", "error_after"] {
        let count = source.pointer(&format!("/freshness/{limit}/count")).and_then(Value::as_u64);
        let unit = match text(source, &format!("/freshness/{limit}/period")) {
            Some("minute") => "m",
            Some("hour") => "h",
            Some("day") => "d",
            _ => continue,
        };
        if let Some(count) = count {
            limits.put(limit, format!("{count}{unit}"));
        }
    }
    table.put_some("freshness", limits);
}
