//! A dbt project, by its manifest: each model a `sql` step.

use std::collections::HashMap;
use std::sync::LazyLock;

use millrace_spec::problem::{Place, Problem};
use regex::{Captures, Regex};
use serde_json::{Map as Fields, Value, json};

use crate::names::{Names, name_of};
use crate::report::Gaps;
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
    let place = Place { file: file.path.clone(), line: 1, column: 1, length: 1 };
    let wrong = |message: String| Box::new(Problem::error("import-format", message).at(place.clone()));
    let manifest: Value =
        serde_json::from_str(&file.text).map_err(|error| wrong(format!("this is not JSON: {error}")))?;
    let Some(nodes) = manifest.get("nodes").and_then(Value::as_object) else {
        return Err(wrong("this is not a manifest of dbt: it has no `nodes`".to_owned()));
    };
    let project = text(&manifest, "/metadata/project_name").unwrap_or("dbt");
    let mut importer = Importer {
        nodes,
        sources: manifest.get("sources").and_then(Value::as_object),
        gaps: Gaps::default(),
        names: Names::default(),
        place,
    };
    for node in importer.wanted() {
        importer.names.give(text(node, "/name").unwrap_or_default());
    }
    let mut pipeline = Map::default();
    pipeline.comment(&format!("from {}, the manifest of the dbt project {project}", file.path));
    pipeline.put("pipeline", name_of(project));
    let mut steps = Map::default();
    for node in importer.wanted() {
        importer.node(node, &mut steps);
    }
    importer.rest(&manifest, &mut pipeline);
    pipeline.put("steps", steps);
    let files = vec![(format!("pipelines/{}.yaml", name_of(project)), pipeline.text())];
    Ok(Converted { files, gaps: importer.gaps.0 })
}

struct Importer<'a> {
    nodes: &'a Fields<String, Value>,
    sources: Option<&'a Fields<String, Value>>,
    gaps: Gaps,
    names: Names,
    place: Place,
}

impl<'a> Importer<'a> {
    /// Models and seeds that are not switched off, in the manifest's order.
    fn wanted(&self) -> Vec<&'a Value> {
        let is_wanted = |node: &&Value| {
            matches!(text(node, "/resource_type"), Some("model" | "seed"))
                && node.pointer("/config/enabled") != Some(&Value::Bool(false))
        };
        self.nodes.values().filter(is_wanted).collect()
    }

    fn gap(&mut self, comments: &mut Map, message: &str, hint: Option<&str>) {
        let place = self.place.clone();
        self.gaps.add(&place, comments, message, hint);
    }

    fn node(&mut self, node: &Value, steps: &mut Map) {
        let name = text(node, "/name").unwrap_or_default();
        let id = self.names.give(name);
        let path = text(node, "/original_file_path").unwrap_or_default().to_owned();
        if text(node, "/resource_type") == Some("seed") {
            let mut step = Map::default();
            step.put("copy", json!({"from": path, "to": format!("data:{id}")}));
            steps.put(&id, step);
            return;
        }
        if text(node, "/language").is_some_and(|language| language != "sql") {
            self.gap(
                steps,
                &format!("the model `{name}` ({path}) is not written in SQL"),
                Some("make it a `python` step"),
            );
            return;
        }
        let mut step = Map::default();
        let materialized = text(node, "/config/materialized").unwrap_or("view");
        if !matches!(materialized, "view" | "table" | "ephemeral") {
            let message = format!(
                "the model `{name}` ({path}) is `{materialized}`; here each run makes the whole table"
            );
            self.gap(
                &mut step,
                &message,
                Some("read only what is new with `where` and a window, and `write: append`"),
            );
        }
        let mut inputs = Map::default();
        match self.sql(node, &mut inputs) {
            Ok(sql) => {
                step.put("sql", sql.trim().to_owned() + "\n");
                step.put_some("inputs", inputs);
                steps.put(&id, step);
            }
            Err(found) => {
                steps.comments_of(step);
                let message = format!("the model `{name}` ({path}) uses `{found}`, which is a macro of dbt");
                self.gap(
                    steps,
                    &message,
                    Some("run `dbt compile` and import the manifest in `target/` again"),
                );
            }
        }
    }

    /// The query over tables by their names here: what dbt compiled, or what was written if it needs no macro.
    fn sql(&self, node: &Value, inputs: &mut Map) -> Result<String, String> {
        let written = text(node, "/raw_code").or_else(|| text(node, "/raw_sql")).unwrap_or_default();
        if let Some(compiled) = text(node, "/compiled_code").filter(|sql| !sql.trim().is_empty()) {
            let mut sql = compiled.to_owned();
            for key in list(node, "/depends_on/nodes") {
                let Some((table, value, relation)) = self.table(key) else { continue };
                if !relation.is_empty() {
                    sql = sql.replace(&relation, &table);
                }
                put_once(inputs, &table, &value);
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
                Err(format!("{opening}{}", rest.lines().next().unwrap_or_default().trim_end()))
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

    /// What a manifest has beside models and seeds.
    fn rest(&mut self, manifest: &Value, pipeline: &mut Map) {
        for source in self.sources.into_iter().flat_map(Fields::values) {
            let name = |pointer: &str| text(source, pointer).unwrap_or_default();
            let table = name_of(&format!("{}_{}", name("/source_name"), name("/name")));
            pipeline.comment(&format!(
                "the source {}.{} is the dataset data:{table}; fill it with a `copy` step",
                name("/source_name"),
                name("/name")
            ));
        }
        for (what, hint) in [
            ("test", "check rows with a `sql` step that gives those that are wrong, or with a `monitor`"),
            ("snapshot", "versions of a dataset are kept anyway: `millrace data show NAME`"),
            ("analysis", "keep the query in a file"),
            ("operation", "write it as a step"),
        ] {
            let names: Vec<&str> = self
                .nodes
                .values()
                .filter(|node| text(node, "/resource_type") == Some(what))
                .filter_map(|node| text(node, "/name"))
                .collect();
            for name in names {
                self.gap(pipeline, &format!("the {what} `{name}` has no counterpart"), Some(hint));
            }
        }
        for section in ["exposures", "metrics", "semantic_models", "unit_tests", "saved_queries"] {
            for node in manifest.get(section).and_then(Value::as_object).into_iter().flat_map(Fields::values)
            {
                let name = text(node, "/name").unwrap_or_default();
                let message = format!("`{name}` of `{section}` has no counterpart");
                self.gap(pipeline, &message, None);
            }
        }
    }
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
