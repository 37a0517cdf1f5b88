use indexmap::IndexMap;
use serde_json::json;

use super::document::{self, Freshness, ModelDoc, QueryTestDoc, SourceTable, Sources, Strategy};
use super::quality::{self, ModelTest};
use super::template::{Call, Template};
use super::{FOLDER, SOURCES, TESTS, Target};
use crate::problem::{Place, Problem};
use crate::suggest::nearest;
use crate::yaml::Node;

/// A file of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectFile {
    /// Path in the workspace.
    pub path: String,
    /// What stands in it.
    pub text: String,
}

/// The models of a workspace with their sources and tests, whatever is wrong with some of them.
#[derive(Debug, Clone, Default)]
pub struct Project {
    /// By name, each behind those that it reads, unless they read each other in a circle.
    pub models: IndexMap<String, SqlModel>,
    /// What `sources.yaml` says.
    pub sources: Sources,
    /// In the order of their models, tests that are queries last.
    pub tests: Vec<ModelTest>,
    /// What is wrong with the files.
    pub problems: Vec<Problem>,
}

/// A query whose rows are kept.
#[derive(Debug, Clone)]
pub struct SqlModel {
    /// The file's name without its ending; the dataset has it too.
    pub name: String,
    /// Path of the query.
    pub file: String,
    /// The query.
    pub template: Template,
    /// Its text.
    pub text: String,
    /// What stands beside it.
    pub doc: ModelDoc,
    /// Path of the file beside it, and what stands where in it.
    pub beside: Option<(String, Node)>,
    /// What it reads, each time that it is named.
    pub calls: Vec<Call>,
}

/// What is kept of a model's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Materialization {
    /// All of them, anew each time.
    Table,
    /// Nothing.
    Ephemeral,
    /// New ones are added.
    Incremental,
    /// Their history.
    Snapshot,
}

impl SqlModel {
    /// What is kept of its rows.
    pub fn materialization(&self) -> Materialization {
        if self.doc.ephemeral {
            Materialization::Ephemeral
        } else if self.doc.incremental.is_some() {
            Materialization::Incremental
        } else if self.doc.snapshot.is_some() {
            Materialization::Snapshot
        } else {
            Materialization::Table
        }
    }

    /// What it reads, each once.
    pub fn reads(&self) -> Vec<&Target> {
        let mut found: Vec<&Target> = Vec::new();
        for call in &self.calls {
            if !found.contains(&&call.target) {
                found.push(&call.target);
            }
        }
        found
    }

    /// The models that it reads, each once.
    pub fn parents(&self) -> Vec<&str> {
        let mut found = Vec::new();
        for target in self.reads() {
            if let Target::Model(name) = target {
                found.push(name.as_str());
            }
        }
        found
    }

    /// Where something stands in the file beside the query, or the query's beginning.
    pub fn place(&self, pointer: &str) -> Place {
        match &self.beside {
            Some((_, node)) => node.nearest(pointer).place.clone(),
            None => self.template.place(0, 1),
        }
    }
}

impl Project {
    /// Reads the files in [`FOLDER`] that end with `.sql`, `.yaml` or `.yml`, and [`SOURCES`]; others are passed over.
    pub fn read(files: &[ProjectFile]) -> Self {
        let mut project = Self::default();
        let mut docs: IndexMap<&str, &ProjectFile> = IndexMap::new();
        let mut queries: Vec<&ProjectFile> = Vec::new();
        for file in files {
            match file.path.rsplit_once('.') {
                _ if file.path == SOURCES => match document::read::<Sources>(SOURCES, &file.text) {
                    Ok((sources, _)) => project.sources = sources,
                    Err(problems) => project.problems.extend(problems),
                },
                Some((stem, "sql")) if stem.starts_with(FOLDER) => queries.push(file),
                Some((stem, "yaml" | "yml")) if stem.starts_with(FOLDER) => {
                    docs.insert(stem, file);
                }
                _ => {}
            }
        }
        for query in queries {
            let stem = query.path.trim_end_matches(".sql");
            let doc = docs.shift_remove(stem);
            if query.path.starts_with(TESTS) {
                project.query_test(query, doc)
            } else {
                project.model(query, doc)
            }
        }
        // A folder without queries has files of somebody else.
        let folder = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        for (stem, file) in docs {
            if !files.iter().any(|other| other.path.ends_with(".sql") && folder(&other.path) == folder(stem))
            {
                continue;
            }
            let problem =
                Problem::error("model-file", format!("there is no query beside it: no `{stem}.sql`"));
            let place = Place { file: file.path.clone(), line: 1, column: 1, length: 1 };
            project.problems.push(problem.at(place));
        }
        project.check_calls();
        project.put_in_order();
        let tests: Vec<ModelTest> = project.models.values().flat_map(quality::of_model).collect();
        project.tests.splice(0..0, tests);
        project.check_tests();
        project
    }

    fn model(&mut self, query: &ProjectFile, doc: Option<&ProjectFile>) {
        let name = stem(&query.path).to_owned();
        let template = Template::new(&query.path, &query.text);
        let start = template.place(0, 1);
        let plain = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
        if !name.chars().all(plain) || name.is_empty() {
            let message = format!("`{name}` cannot name a model");
            self.problems
                .push(Problem::error("model-name", message).at(start).hint("use letters, digits and `_`"));
            return;
        }
        if let Some(other) = self.models.get(&name) {
            let message = format!("two models are named `{name}`: the other one is `{}`", other.file);
            self.problems
                .push(Problem::error("model-name", message).at(start).hint("rename one of the files"));
            return;
        }
        let mut model = SqlModel {
            calls: template.calls(),
            text: query.text.clone(),
            file: query.path.clone(),
            doc: ModelDoc::default(),
            beside: None,
            template,
            name,
        };
        if let Some(file) = doc {
            match document::read::<ModelDoc>(&file.path, &file.text) {
                Ok((doc, node)) => {
                    model.doc = doc;
                    model.beside = Some((file.path.clone(), node));
                }
                Err(problems) => self.problems.extend(problems),
            }
        }
        self.problems.extend(rule_problems(&model));
        self.models.insert(model.name.clone(), model);
    }

    fn query_test(&mut self, query: &ProjectFile, doc: Option<&ProjectFile>) {
        let read = doc.map(|file| document::read::<QueryTestDoc>(&file.path, &file.text));
        let doc = match read {
            Some(Ok((doc, _))) => doc,
            None => QueryTestDoc::default(),
            Some(Err(problems)) => {
                self.problems.extend(problems);
                return;
            }
        };
        self.tests.push(quality::of_query(stem(&query.path), query, doc));
    }

    /// Whether everything that is named is there.
    fn check_calls(&mut self) {
        let of_models = self.models.values().flat_map(|model| &model.calls);
        let of_tests = self.tests.iter().flat_map(ModelTest::calls);
        let wrong: Vec<Problem> =
            of_models.chain(of_tests).filter_map(|call| self.unknown(&call.target, &call.place)).collect();
        self.problems.extend(wrong);
    }

    fn unknown(&self, target: &Target, place: &Place) -> Option<Problem> {
        let (message, wrong, known): (String, &str, Vec<&str>) = match target {
            Target::Model(name) => {
                if self.models.contains_key(name) {
                    return None;
                }
                let known = self.models.keys().map(String::as_str).collect();
                (format!("there is no model `{name}`"), name, known)
            }
            Target::Source(source, table) => match self.sources.0.get(source) {
                Some(found) if found.tables.contains_key(table) => return None,
                Some(found) => {
                    let known = found.tables.keys().map(String::as_str).collect();
                    (format!("the source `{source}` has no table `{table}`"), table, known)
                }
                None => {
                    let known = self.sources.0.keys().map(String::as_str).collect();
                    (format!("there is no source `{source}` in `{SOURCES}`"), source, known)
                }
            },
        };
        let problem = Problem::error("unknown-ref", message).at(place.clone());
        Some(match nearest(wrong, &known) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => problem,
            None => problem.note(format!("there are {}", known.join(", "))),
        })
    }

    /// Puts each model behind those that it reads; of a circle, one problem tells the way.
    fn put_in_order(&mut self) {
        let mut order: Vec<String> = Vec::with_capacity(self.models.len());
        let mut path: Vec<String> = Vec::new();
        let mut circles: Vec<Problem> = Vec::new();
        let names: Vec<String> = self.models.keys().cloned().collect();
        for name in &names {
            self.visit(name, &mut path, &mut order, &mut circles);
        }
        self.problems.extend(circles);
        let position = |name: &String| order.iter().position(|other| other == name);
        self.models.sort_by_cached_key(|name, _| position(name));
    }

    fn visit(&self, name: &str, path: &mut Vec<String>, order: &mut Vec<String>, circles: &mut Vec<Problem>) {
        if order.iter().any(|done| done == name) {
            return;
        }
        let Some(model) = self.models.get(name) else { return };
        path.push(name.to_owned());
        for parent in model.parents() {
            if let Some(start) = path.iter().position(|above| above == parent) {
                let mut way: Vec<&str> = path.iter().skip(start).map(String::as_str).collect();
                way.push(parent);
                let message = format!("models read each other in a circle: {}", way.join(" -> "));
                let call = model.calls.iter().find(|call| call.target == Target::Model(parent.to_owned()));
                let place = call.map_or_else(|| model.place(""), |call| call.place.clone());
                circles.push(Problem::error("model-cycle", message).at(place));
            } else {
                self.visit(parent, path, order, circles);
            }
        }
        path.pop();
        order.push(name.to_owned());
    }

    fn check_tests(&mut self) {
        let mut wrong = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for test in &self.tests {
            if let Some(problem) = &test.problem {
                wrong.push(problem.clone());
            } else if seen.contains(&test.name.as_str()) {
                let message = format!("two tests are named `{}`", test.name);
                let problem = Problem::error("model-test", message).at(test.place.clone());
                wrong.push(problem.hint("give one another `name:`"));
            }
            seen.push(&test.name);
            if let Some(parent) = test.relations() {
                wrong.extend(self.unknown(&Target::Model(parent.to_owned()), &test.place));
            }
        }
        self.problems.extend(wrong);
    }

    /// A table of a source.
    pub fn source(&self, source: &str, table: &str) -> Option<&SourceTable> {
        self.sources.0.get(source)?.tables.get(table)
    }

    /// How new a table of a source has to be.
    pub fn freshness(&self, source: &str, table: &str) -> Option<Freshness> {
        self.source(source, table)?.freshness.or(self.sources.0.get(source)?.freshness)
    }
}

/// What is wrong with how rows are kept.
fn rule_problems(model: &SqlModel) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |pointer: &str, message: &str, hint: &str| {
        let problem = Problem::error("model-file", format!("the model `{}` {message}", model.name));
        problems.push(problem.at(model.place(pointer)).hint(hint));
    };
    let doc = &model.doc;
    if [doc.ephemeral, doc.incremental.is_some(), doc.snapshot.is_some()].iter().filter(|is| **is).count() > 1
    {
        wrong("", "is more than one of `ephemeral`, `incremental` and `snapshot`", "leave one");
    }
    if let Some(rule) = &doc.snapshot {
        if rule.unique_key.is_empty() {
            wrong("/snapshot", "is a `snapshot` without a `unique_key`", "unique_key: [id]");
        }
        if rule.updated_at.is_some() == rule.check.is_some() {
            wrong(
                "/snapshot",
                "says in not exactly one way how a changed row is known",
                "updated_at: COLUMN, or check: [COLUMN, …], or check: [] for all columns",
            );
        }
    }
    let Some(rule) = &doc.incremental else { return problems };
    match rule.strategy() {
        Strategy::Merge | Strategy::DeleteInsert if rule.unique_key.is_empty() => {
            let word = json!(rule.strategy);
            let message =
                format!("has the strategy `{}` and no `unique_key`", word.as_str().unwrap_or_default());
            wrong("/incremental", &message, "unique_key: [id]");
        }
        Strategy::InsertOverwrite if rule.partition_by.is_empty() => {
            wrong(
                "/incremental",
                "has the strategy `insert_overwrite` and no `partition_by`",
                "partition_by: [day]",
            );
        }
        _ => {}
    }
    problems
}

impl document::Incremental {
    /// What becomes of the rows that are there.
    pub fn strategy(&self) -> Strategy {
        self.strategy.unwrap_or(if self.unique_key.is_empty() { Strategy::Append } else { Strategy::Merge })
    }
}

/// What stands before the ending of a path's last part.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}
