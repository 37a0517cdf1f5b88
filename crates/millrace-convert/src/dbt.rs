//! A dbt project, by its manifest: each model a `sql` step.

use std::collections::HashMap;
use std::sync::LazyLock;

use millrace_spec::problem::{Place, Problem};
use regex::{Captures, Regex};
use serde_json::{Map as Fields, Value, json};

use crate::names::{Names, name_of};
use crate::report::{Report, stand_in};
use crate::yaml_out::Map;
use crate::{Converted, SourceFile};

/// `{{ ref('a') }}`, `{{ ref('package', 'a') }}`, `{{ source('s', 't') }}`.
#[allow(clippy::unwrap_used, reason = "the patterns are constants, and a test reads with them")]
static CALL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"\{\{-?\s*(ref|source)\s*\(\s*['"]([^'"]+)['"]\s*(?:,\s*['"]([^'"]+)['"]\s*)?\)\s*-?\}\}"#)
        .unwrap()
});
/// `{{ config(…) }}`, and comments: what the manifest has already, or nobody reads.
#[allow(clippy::unwrap_used, reason = "as above")]
static NOTHING: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?s)\{\{-?\s*config\s*\(.*?\)\s*-?\}\}|\{#.*?#\}").unwrap());

pub(crate) fn import(file: &SourceFile) -> Result<Converted, Box<Problem>> {
    let start = Place { file: file.path.clone(), line: 1, column: 1, length: 1 };
    let wrong = |message: String| Box::new(Problem::error("import-format", message).at(start.clone()));
    let manifest: Value =
        serde_json::from_str(&file.text).map_err(|error| wrong(format!("this is not JSON: {error}")))?;
    let Some(nodes) = manifest.get("nodes").and_then(Value::as_object) else {
        return Err(wrong("this is not a manifest of dbt: it has no `nodes`".to_owned()));
    };
    let project = text(&manifest, "/metadata/project_name").unwrap_or("dbt");
    let mut importer = Importer {
        nodes,
        sources: manifest.get("sources").and_then(Value::as_object),
        report: Report::default(),
        names: Names::default(),
        places: Places::of(file),
        folder: project_folder(&file.path),
        dialect: text(&manifest, "/metadata/adapter_type").unwrap_or("the database").to_owned(),
    };
    for (_, node) in importer.wanted() {
        importer.names.give(text(node, "/name").unwrap_or_default());
    }
    let mut pipeline = Map::default();
    let name = name_of(project);
    let path = format!("pipelines/{name}.yaml");
    importer.report.taken(&start, format!("the project `{project}`"), path.clone());
    pipeline.comment(&format!("from {}, the manifest of the dbt project {project}", file.path));
    pipeline.put("pipeline", name);
    let mut steps = Map::default();
    for (key, node) in importer.wanted() {
        importer.node(key, node, &mut steps);
    }
    let tests: Vec<(&String, &Value)> = nodes.iter().filter(|(_, node)| is_a(node, "test")).collect();
    for (key, node) in tests {
        importer.test(key, node, &mut steps);
    }
    importer.rest(&manifest, &mut pipeline);
    if !steps.has_fields() {
        return Err(wrong("the manifest has no models, seeds or tests".to_owned()));
    }
    pipeline.put("steps", steps);
    Ok(Converted { files: vec![(path, pipeline.text())], findings: importer.report.0 })
}

/// The folder of the project, whose manifest dbt writes into `target/`.
fn project_folder(manifest: &str) -> String {
    let folder = manifest.rsplit_once('/').map_or("", |(folder, _)| folder);
    let root = folder.strip_suffix("target").unwrap_or(folder).trim_end_matches('/');
    if root.is_empty() || root == "." { String::new() } else { format!("{}/", root.trim_start_matches("./")) }
}

/// Where things stand in the manifest.
struct Places<'t> {
    file: String,
    text: &'t str,
    /// Offset of each line's beginning.
    lines: Vec<usize>,
}

impl<'t> Places<'t> {
    fn of(file: &'t SourceFile) -> Self {
        let ends = file.text.match_indices('\n').map(|(at, _)| at + 1);
        Self { file: file.path.clone(), text: &file.text, lines: std::iter::once(0).chain(ends).collect() }
    }

    /// The key of an entry, which nothing but the entry itself has a mapping behind.
    fn find(&self, key: &str) -> Place {
        let quoted = Value::from(key).to_string();
        let is_entry = |(at, _): &(usize, &str)| {
            let after = self.text.get(at + quoted.len()..).unwrap_or_default().trim_start();
            after.strip_prefix(':').is_some_and(|rest| rest.trim_start().starts_with('{'))
        };
        let at = self.text.match_indices(&quoted).find(is_entry).map_or(0, |(at, _)| at);
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(start..at).map_or(0, |before| before.chars().count()) + 1;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Place {
            file: self.file.clone(),
            line: number(line),
            column: number(column),
            length: number(quoted.chars().count()),
        }
    }
}

fn is_a(node: &Value, what: &str) -> bool {
    text(node, "/resource_type") == Some(what) && node.pointer("/config/enabled") != Some(&Value::Bool(false))
}

struct Importer<'a> {
    nodes: &'a Fields<String, Value>,
    sources: Option<&'a Fields<String, Value>>,
    report: Report,
    names: Names,
    places: Places<'a>,
    folder: String,
    /// Whose SQL it is.
    dialect: String,
}

impl<'a> Importer<'a> {
    /// Models and seeds that are not switched off, in the manifest's order.
    fn wanted(&self) -> Vec<(&'a String, &'a Value)> {
        self.nodes.iter().filter(|(_, node)| is_a(node, "model") || is_a(node, "seed")).collect()
    }

    /// Notes that a step has no counterpart, and makes one that fails in its place, so that those which read its table stay whole.
    fn missing(&mut self, key: &str, id: &str, message: &str, hint: &str, steps: &mut Map) {
        let mut step = Map::default();
        self.report.gap(&self.places.find(key), &mut step, message, Some(hint));
        step.append(stand_in(message));
        step.put("outputs", json!({"data": "table"}));
        steps.put(id, step);
    }

    fn node(&mut self, key: &str, node: &Value, steps: &mut Map) {
        let name = text(node, "/name").unwrap_or_default();
        let id = self.names.give(name);
        let place = self.places.find(key);
        let path = text(node, "/original_file_path").unwrap_or_default().to_owned();
        if is_a(node, "seed") {
            let mut step = Map::default();
            step.put("copy", json!({"from": format!("{}{path}", self.folder), "to": format!("data:{id}")}));
            steps.put(&id, step);
            self.report.taken(&place, format!("the seed `{name}`"), format!("steps.{id}, data:{id}"));
            return;
        }
        if text(node, "/language").is_some_and(|language| language != "sql") {
            let message = format!("the model `{name}` ({path}) is not written in SQL");
            self.missing(key, &id, &message, "make it a `python` step", steps);
            return;
        }
        let mut step = Map::default();
        let materialized = text(node, "/config/materialized").unwrap_or("view");
        if !matches!(materialized, "view" | "table" | "ephemeral") {
            let message = format!(
                "the model `{name}` ({path}) is `{materialized}`; here each run makes the whole table"
            );
            let hint = "read only what is new by the edges of a window: `where at >= ${{ window.start }}`";
            self.report.changed(&place, &mut step, &message, Some(hint));
        }
        for hook in ["pre-hook", "post-hook"] {
            if node
                .pointer(&format!("/config/{hook}"))
                .and_then(Value::as_array)
                .is_some_and(|hooks| !hooks.is_empty())
            {
                let message = format!("the {hook} of the model `{name}` has no counterpart");
                self.report.gap(&place, &mut step, &message, Some("write it as a step before or after"));
            }
        }
        let mut inputs = Map::default();
        match self.sql(node, &mut inputs) {
            Ok(sql) => {
                step.put("sql", sql.trim().to_owned() + "\n");
                step.put_some("inputs", inputs);
                steps.put(&id, step);
                self.report.taken(&place, format!("the model `{name}` ({path})"), format!("steps.{id}"));
            }
            Err(found) => {
                let message = format!("the model `{name}` ({path}) uses `{found}`, which is a macro of dbt");
                let hint = "run `dbt compile` and import the manifest in `target/` again";
                self.missing(key, &id, &message, hint, steps);
            }
        }
    }

    /// A test is a query for the rows that are wrong, and a step that fails if there are some.
    fn test(&mut self, key: &str, node: &Value, steps: &mut Map) {
        let name = text(node, "/name").unwrap_or_default();
        let place = self.places.find(key);
        let mut inputs = Map::default();
        let sql = match self.generic(node, &mut inputs) {
            Some(sql) => Ok(sql),
            None => self.sql(node, &mut inputs),
        };
        let sql = match sql {
            Ok(sql) if !sql.trim().is_empty() => sql,
            _ => {
                let message = format!("the test `{name}` has no query that can be read");
                let hint = "run `dbt compile` and import the manifest in `target/` again, or check rows with a `sql` step";
                self.report.gap(&place, steps, &message, Some(hint));
                return;
            }
        };
        let id = self.names.give(&format!("test {name}"));
        let mut query = Map::default();
        query.put("sql", sql.trim().to_owned() + "\n");
        query.put_some("inputs", inputs);
        let rows_id = self.names.give(&format!("{id}_rows"));
        steps.put(&rows_id, query);
        let mut verdict = Map::default();
        let is_warning =
            text(node, "/config/severity").is_some_and(|severity| severity.eq_ignore_ascii_case("warn"));
        let end = if is_warning { "" } else { "; exit 1" };
        verdict
            .put("run", format!("if [ \"$ROWS\" -gt 0 ]; then echo \"$ROWS rows fail {name}\" >&2{end}; fi"));
        verdict.put("env", json!({"ROWS": format!("${{{{ steps.{rows_id}.rows }}}}")}));
        if is_warning {
            let message = format!("the test `{name}` only warns: its step writes into its log and succeeds");
            self.report.changed(&place, &mut verdict, &message, None);
        }
        for limit in ["error_if", "warn_if"] {
            let written = text(node, &format!("/config/{limit}")).filter(|written| *written != "!= 0");
            if let Some(written) = written {
                let message =
                    format!("the test `{name}` allows rows by `{limit}: {written}`; here none is allowed");
                self.report.changed(&place, &mut verdict, &message, Some("change the number in `run`"));
            }
        }
        steps.put(&id, verdict);
        self.report.taken(&place, format!("the test `{name}`"), format!("steps.{id}"));
    }

    /// The query of one of dbt's own four tests, which a manifest that was only parsed has no SQL of.
    fn generic(&self, node: &Value, inputs: &mut Map) -> Option<String> {
        if text(node, "/compiled_code").is_some_and(|sql| !sql.trim().is_empty()) {
            return None;
        }
        let argument = |name: &str| text(node, &format!("/test_metadata/kwargs/{name}"));
        let mut tables = list(node, "/depends_on/nodes").into_iter();
        let attached = text(node, "/attached_node").or_else(|| tables.clone().next_back())?;
        let (table, value, _) = self.table(attached)?;
        let column = quoted(argument("column_name")?);
        let sql = match text(node, "/test_metadata/name")? {
            "not_null" => format!("select * from {table} where {column} is null"),
            "unique" => format!(
                "select {column}, count(*) as times from {table} where {column} is not null group by {column} having count(*) > 1"
            ),
            "accepted_values" => {
                let values = node.pointer("/test_metadata/kwargs/values")?.as_array()?;
                let literal = |value: &Value| match value {
                    Value::String(text) => format!("'{}'", text.replace('\'', "''")),
                    other => other.to_string(),
                };
                let values: Vec<String> = values.iter().map(literal).collect();
                format!("select * from {table} where {column} not in ({})", values.join(", "))
            }
            "relationships" => {
                let other = tables.find(|key| *key != attached)?;
                let (parent, parent_value, _) = self.table(other)?;
                put_once(inputs, &parent, &parent_value);
                let field = quoted(argument("field")?);
                format!(
                    "select child.{column} from {table} as child left join {parent} as parent on child.{column} = parent.{field} \
                     where child.{column} is not null and parent.{field} is null"
                )
            }
            _ => return None,
        };
        put_once(inputs, &table, &value);
        Some(sql)
    }

    /// The query over tables by their names here: what dbt compiled, or what was written if it needs no macro.
    fn sql(&self, node: &Value, inputs: &mut Map) -> Result<String, String> {
        let written = text(node, "/raw_code").or_else(|| text(node, "/raw_sql")).unwrap_or_default();
        if let Some(compiled) = text(node, "/compiled_code").filter(|sql| !sql.trim().is_empty()) {
            let mut sql = compiled.to_owned();
            let mut tables: Vec<_> =
                list(node, "/depends_on/nodes").into_iter().filter_map(|key| self.table(key)).collect();
            // One name may begin like another.
            tables.sort_by_key(|(_, _, relation)| std::cmp::Reverse(relation.len()));
            // What has no relation is an ephemeral model, which stands in the query.
            for (table, value, relation) in tables.iter().filter(|(_, _, relation)| !relation.is_empty()) {
                sql = sql.replace(relation, table);
                put_once(inputs, table, value);
            }
            return Ok(sql);
        }
        let by_name: HashMap<&str, &str> = list(node, "/depends_on/nodes")
            .into_iter()
            .filter_map(|key| Some((key.rsplit('.').next()?, key)))
            .collect();
        let without = NOTHING.replace_all(written, "");
        let mut unknown = None;
        let sql = CALL.replace_all(&without, |found: &Captures<'_>| {
            let last = found.get(3).or_else(|| found.get(2)).map_or("", |part| part.as_str());
            match by_name.get(last).and_then(|key| self.table(key)) {
                Some((table, value, _)) => {
                    put_once(inputs, &table, &value);
                    table
                }
                None => {
                    unknown = Some(found[0].to_owned());
                    String::new()
                }
            }
        });
        let sql = sql.into_owned();
        let macros =
            ["{{", "{%"].iter().find_map(|opening| sql.split_once(opening).map(|(_, rest)| (opening, rest)));
        match (unknown, macros) {
            (Some(found), _) => Err(found),
            (None, Some((opening, rest))) => {
                let closing = if *opening == "{{" { "}}" } else { "%}" };
                let inner = rest.split_once(closing).map_or(rest, |(inner, _)| inner);
                Err(format!("{opening}{}{closing}", inner.lines().next().unwrap_or_default().trim_end()))
            }
            (None, None) => Ok(sql),
        }
    }

    /// Name here, value of the input, and the database's name of what a model reads.
    fn table(&self, key: &str) -> Option<(String, String, String)> {
        if let Some(node) = self.nodes.get(key) {
            let step = self.names.find(text(node, "/name")?)?;
            let relation = text(node, "/relation_name").unwrap_or_default().to_owned();
            let output = format!("${{{{ steps.{step}.data }}}}");
            return Some((step.to_owned(), output, relation));
        }
        let source = self.sources?.get(key)?;
        let table = name_of(&format!("{}_{}", text(source, "/source_name")?, text(source, "/name")?));
        let relation = text(source, "/relation_name").unwrap_or_default().to_owned();
        Some((table.clone(), format!("data:{table}"), relation))
    }

    /// What a manifest has beside models, seeds and tests.
    fn rest(&mut self, manifest: &Value, pipeline: &mut Map) {
        for (key, source) in self.sources.into_iter().flatten() {
            let name = |pointer: &str| text(source, pointer).unwrap_or_default();
            let table = name_of(&format!("{}_{}", name("/source_name"), name("/name")));
            let message = format!(
                "the source `{}.{}` is the dataset `data:{table}`",
                name("/source_name"),
                name("/name")
            );
            let hint = format!(
                "fill it: `copy: {{from: \"CONNECTION:{}.{}\", to: \"data:{table}\"}}`",
                name("/schema"),
                name("/identifier")
            );
            self.report.changed(&self.places.find(key), pipeline, &message, Some(&hint));
        }
        for (what, hint) in [
            ("snapshot", "versions of a dataset are kept anyway: `millrace data show NAME`"),
            ("analysis", "keep the query in a file"),
            ("operation", "write it as a step"),
        ] {
            for (key, node) in self.nodes.iter().filter(|(_, node)| is_a(node, what)) {
                let message =
                    format!("the {what} `{}` has no counterpart", text(node, "/name").unwrap_or_default());
                self.report.gap(&self.places.find(key), pipeline, &message, Some(hint));
            }
        }
        for (key, node) in
            self.nodes.iter().filter(|(_, node)| node.pointer("/config/enabled") == Some(&Value::Bool(false)))
        {
            let message = format!("`{}` is switched off there", text(node, "/name").unwrap_or_default());
            self.report.gap(&self.places.find(key), pipeline, &message, None);
        }
        for section in ["exposures", "metrics", "semantic_models", "unit_tests", "saved_queries"] {
            for (key, node) in manifest.get(section).and_then(Value::as_object).into_iter().flatten() {
                let name = text(node, "/name").unwrap_or_default();
                let message = format!("`{name}` of `{section}` has no counterpart");
                self.report.gap(&self.places.find(key), pipeline, &message, None);
            }
        }
        let message = format!("the queries are in the SQL of {}, here DataFusion reads them", self.dialect);
        let start = Place { file: self.places.file.clone(), line: 1, column: 1, length: 1 };
        self.report.changed(
            &start,
            pipeline,
            &message,
            Some("run the pipeline once and mend what it does not know"),
        );
    }
}

/// A column's name as SQL takes it, whatever its letters.
fn quoted(column: &str) -> String {
    let is_plain =
        column.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if is_plain { column.to_owned() } else { format!("\"{}\"", column.replace('"', "\"\"")) }
}

fn put_once(inputs: &mut Map, name: &str, value: &str) {
    if !inputs.has(name) {
        inputs.put(name, value);
    }
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn list<'v>(value: &'v Value, pointer: &str) -> Vec<&'v str> {
    let items = value.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}
