//! A dbt project, by its manifest: models are SQL models, seeds are copied, sources and tests are said beside the models.

mod documents;
mod places;
mod query;
mod tests;

use indexmap::IndexMap;
use millrace_spec::problem::{Place, Problem};
use serde_json::{Map as Fields, Value, json};

use self::places::Places;
use crate::names::{Names, name_of};
use crate::report::Report;
use crate::yaml_out::Map;
use crate::{Converted, SourceFile};

/// The source that seeds are tables of.
const SEEDS: &str = "seeds";

pub(crate) fn import(file: &SourceFile) -> Result<Converted, Box<Problem>> {
    let start = Place { file: file.path.clone(), line: 1, column: 1, length: 1 };
    let wrong = |message: String| Box::new(Problem::error("import-format", message).at(start.clone()));
    let manifest: Value =
        serde_json::from_str(&file.text).map_err(|error| wrong(format!("this is not JSON: {error}")))?;
    let Some(nodes) = manifest.get("nodes").and_then(Value::as_object) else {
        return Err(wrong("this is not a manifest of dbt: it has no `nodes`".to_owned()));
    };
    let nothing = Fields::new();
    let mut importer = Importer {
        nodes,
        sources: manifest.get("sources").and_then(Value::as_object).unwrap_or(&nothing),
        report: Report::default(),
        names: Names::default(),
        places: Places::of(file),
        files: Vec::new(),
        docs: IndexMap::new(),
    };
    for (_, node) in importer.all(&["model", "snapshot", "seed"]) {
        importer.names.give(text(node, "/name").unwrap_or_default());
    }
    let project = text(&manifest, "/metadata/project_name").unwrap_or("dbt");
    let path = format!("pipelines/{}.yaml", name_of(project));
    let mut pipeline = Map::default();
    pipeline.comment(&format!("from {}, the manifest of the dbt project {project}", file.path));
    pipeline.put("pipeline", name_of(project));
    importer.report.taken(&start, format!("the project `{project}`"), path.clone());
    let mut steps = Map::default();
    importer.seeds(&project_folder(&file.path), &mut steps);
    for (key, node) in importer.all(&["model", "snapshot"]) {
        importer.model(key, node);
    }
    importer.tests();
    importer.sources();
    importer.rest(&manifest, &mut pipeline);
    if importer.files.is_empty() && !steps.has_fields() {
        return Err(wrong("the manifest has no models, seeds or tests".to_owned()));
    }
    if !importer.files.is_empty() {
        let seeds = importer.all(&["seed"]);
        let needs: Vec<&str> = seeds.iter().filter_map(|(_, node)| importer.named(node)).collect();
        let mut build = Map::default();
        build.put("sql_models", json!({}));
        if !needs.is_empty() {
            build.put("needs", json!(needs));
        }
        steps.put("build", build);
        importer.dialect(&manifest, &start, &mut pipeline);
    }
    pipeline.put("steps", steps);
    let mut files = vec![(path, pipeline.text())];
    files.append(&mut importer.files);
    let docs = importer.docs.into_iter().filter(|(_, doc)| !doc.is_empty());
    files.extend(docs.map(|(path, doc)| (path, doc.text())));
    Ok(Converted { files, findings: importer.report.0 })
}

/// The folder of the project, whose manifest dbt writes into `target/`.
fn project_folder(manifest: &str) -> String {
    let folder = manifest.rsplit_once('/').map_or("", |(folder, _)| folder);
    let root = folder.strip_suffix("target").unwrap_or(folder).trim_end_matches('/');
    if root.is_empty() || root == "." { String::new() } else { format!("{}/", root.trim_start_matches("./")) }
}

fn is_a(node: &Value, what: &str) -> bool {
    text(node, "/resource_type") == Some(what) && is_on(node)
}

fn is_on(node: &Value) -> bool {
    node.pointer("/config/enabled") != Some(&Value::Bool(false))
}

struct Importer<'a> {
    nodes: &'a Fields<String, Value>,
    sources: &'a Fields<String, Value>,
    report: Report,
    names: Names,
    places: Places<'a>,
    /// Queries, and `sources.yaml`.
    files: Vec<(String, String)>,
    /// What stands beside the queries, by the path of the file.
    docs: IndexMap<String, documents::Doc>,
}

/// What a query reads.
enum Read {
    /// Another model, and whether it has a name in the database.
    Model(String),
    /// A table of a source.
    Source(String, String),
}

impl Read {
    /// As it stands in a query.
    fn call(&self) -> String {
        match self {
            Self::Model(name) => format!("{{{{ ref('{name}') }}}}"),
            Self::Source(source, table) => format!("{{{{ source('{source}', '{table}') }}}}"),
        }
    }
}

impl<'a> Importer<'a> {
    /// Nodes of these kinds that are not switched off, in the manifest's order.
    fn all(&self, kinds: &[&str]) -> Vec<(&'a String, &'a Value)> {
        let nodes = self.nodes;
        nodes.iter().filter(|(_, node)| kinds.iter().any(|kind| is_a(node, kind))).collect()
    }

    /// The name here of a model or seed.
    fn named(&self, node: &Value) -> Option<&str> {
        self.names.find(text(node, "/name")?)
    }

    fn seeds(&mut self, folder: &str, steps: &mut Map) {
        for (key, node) in self.all(&["seed"]) {
            let Some(name) = self.named(node).map(str::to_owned) else { continue };
            let path = text(node, "/original_file_path").unwrap_or_default();
            steps.put(
                &name,
                json!({"copy": {"from": format!("{folder}{path}"), "to": format!("data:{name}")}}),
            );
            let here = format!("steps.{name}, data:{name}");
            self.report.taken(&self.places.find(key), format!("the seed `{name}`"), here);
        }
    }

    /// A query in `models/`, and what stands beside it.
    fn model(&mut self, key: &str, node: &Value) {
        let Some(name) = self.named(node).map(str::to_owned) else { return };
        let place = self.places.find(key);
        let source = text(node, "/original_file_path").unwrap_or_default().to_owned();
        let what = format!("the {} `{name}` ({source})", text(node, "/resource_type").unwrap_or("model"));
        let folder = source.strip_prefix("models/").and_then(|path| path.rsplit_once('/'));
        let stem = folder.map_or_else(|| name.clone(), |(folder, _)| format!("{folder}/{name}"));
        let doc_path = format!("models/{stem}.yaml");
        let is_sql = text(node, "/language").is_none_or(|language| language == "sql");
        let written = if is_sql { self.query(node) } else { Err(query::NOT_SQL.to_owned()) };
        let mut doc = documents::Doc::of(node);
        let sql = match written {
            Ok(query) => {
                doc.kept(node, &query, (&what, &place), &mut self.report);
                if query.is_compiled {
                    let message = format!("{what} is what dbt compiled, without its macros and variables");
                    self.report.changed(&place, &mut doc.comments, &message, None);
                }
                self.report.taken(&place, what.clone(), format!("models/{stem}.sql, data:{name}"));
                query.sql
            }
            Err(why) => {
                let message = format!("{what} {why}");
                let hint = match is_sql {
                    true => "run `dbt compile` and import the manifest in `target/` again",
                    false => "make it a `python` step",
                };
                self.report.gap(&place, &mut doc.comments, &message, Some(hint));
                query::stand_in(&message)
            }
        };
        for hook in ["pre-hook", "post-hook"] {
            let hooks = node.pointer(&format!("/config/{hook}")).and_then(Value::as_array);
            if hooks.is_some_and(|hooks| !hooks.is_empty()) {
                let message = format!("the {hook} of {what} has no counterpart");
                let hint = "write it as a step before or after";
                self.report.gap(&place, &mut doc.comments, &message, Some(hint));
            }
        }
        self.files.push((format!("models/{stem}.sql"), sql));
        self.docs.insert(doc_path, doc);
    }

    /// What a key of the manifest is, as a query here names it, and its name in the database.
    fn read(&self, key: &str) -> Option<(Read, String)> {
        if let Some(node) = self.nodes.get(key) {
            let name = self.named(node)?.to_owned();
            let relation = text(node, "/relation_name").unwrap_or_default().to_owned();
            let read =
                if is_a(node, "seed") { Read::Source(SEEDS.to_owned(), name) } else { Read::Model(name) };
            return Some((read, relation));
        }
        let source = self.sources.get(key)?;
        let names = (text(source, "/source_name")?, text(source, "/name")?);
        let relation = text(source, "/relation_name").unwrap_or_default().to_owned();
        Some((Read::Source(names.0.to_owned(), names.1.to_owned()), relation))
    }

    /// `sources.yaml`: seeds are tables of a source of their own.
    fn sources(&mut self) {
        let mut sources: IndexMap<&str, Map> = IndexMap::new();
        let mut comments = Map::default();
        let nodes = self.sources;
        for (key, source) in nodes {
            let name = |pointer: &str| text(source, pointer).unwrap_or_default();
            let dataset = name_of(&format!("{}_{}", name("/source_name"), name("/name")));
            let mut table = Map::default();
            if let Some(description) = text(source, "/description").filter(|text| !text.is_empty()) {
                table.put("description", description);
            }
            table.put("from", format!("data:{dataset}"));
            documents::freshness(source, &mut table);
            let message = format!(
                "the source `{}.{}` is the dataset `data:{dataset}`",
                name("/source_name"),
                name("/name")
            );
            let foreign = format!("CONNECTION:{}.{}", name("/schema"), name("/identifier"));
            let hint = format!(
                "read the database itself, `from: \"{foreign}\"` in sources.yaml, or fill it: `copy: {{from: \"{foreign}\", to: \"data:{dataset}\"}}`"
            );
            self.report.changed(&self.places.find(key), &mut comments, &message, Some(&hint));
            sources.entry(name("/source_name")).or_default().put(name("/name"), table);
        }
        for (_, node) in self.all(&["seed"]) {
            let Some(name) = self.named(node) else { continue };
            sources.entry(SEEDS).or_default().put(name, json!({"from": format!("data:{name}")}));
        }
        if sources.is_empty() {
            return;
        }
        let mut file = comments;
        for (name, tables) in sources {
            let mut source = Map::default();
            source.put("tables", tables);
            file.put(name, source);
        }
        self.files.push(("sources.yaml".to_owned(), file.text()));
    }

    /// What a manifest has beside models, seeds and tests.
    fn rest(&mut self, manifest: &Value, pipeline: &mut Map) {
        for (what, hint) in [("analysis", "keep the query in a file"), ("operation", "write it as a step")] {
            for (key, node) in self.all(&[what]) {
                let name = text(node, "/name").unwrap_or_default();
                let message = format!("the {what} `{name}` has no counterpart");
                self.report.gap(&self.places.find(key), pipeline, &message, Some(hint));
            }
        }
        let nodes = self.nodes;
        for (key, node) in nodes.iter().filter(|(_, node)| !is_on(node)) {
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
    }

    fn dialect(&mut self, manifest: &Value, start: &Place, pipeline: &mut Map) {
        let dialect = text(manifest, "/metadata/adapter_type").unwrap_or("the database");
        let message = format!("the queries are in the SQL of {dialect}, here DataFusion reads them");
        let hint = "run `millrace check` and mend what it does not know";
        self.report.changed(start, pipeline, &message, Some(hint));
    }
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn list<'v>(value: &'v Value, pointer: &str) -> Vec<&'v str> {
    match value.pointer(pointer) {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
