//! Events of a run, made from its rows: the same ones however often they are made.

use std::collections::BTreeMap;

use millrace_contract::{ColumnLineage, ColumnOrigin, ColumnUse};
use millrace_metastore::lineage::{Direction, StepUse};
use millrace_metastore::runs::StepRunRow;
use millrace_spec::asset::Asset;
use millrace_spec::pipeline::{Pipeline, Step};
use millrace_spec::problem::Problem;
use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;

use super::code::CodePlace;
use super::facts::RunFacts;
use super::names::{Identity, SourceIdentity, plain_identity};
use super::{PRODUCER, SPEC};

/// An event and what tells it from the others of its run.
pub(super) struct Made {
    pub(super) id: String,
    pub(super) body: Value,
}

pub(super) struct EventMaker<'a> {
    pub(super) namespace: &'a str,
    pub(super) facts: &'a RunFacts,
    pub(super) sources: &'a SourceIdentity,
    pub(super) code: Option<&'a CodePlace>,
    pub(super) base_url: &'a str,
    /// Microseconds between two times that it is told that something goes on.
    pub(super) still_running: i64,
}

/// The id of a step's run among systems: made of the run's and the step's name, so that it is always the same.
pub(super) fn step_run_id(run_id: &str, step: &str) -> String {
    let digest = blake3::hash(format!("{run_id}/{step}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(digest.as_bytes().first_chunk::<16>().unwrap_or(&[0; 16]));
    // Version 8: made by a rule of our own (RFC 9562).
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    Uuid::from_bytes(bytes).to_string()
}

/// A run's id among systems.
pub(super) fn run_id(id: &str) -> String {
    Uuid::parse_str(id).map_or_else(|_| id.to_owned(), |id| id.to_string())
}

impl EventMaker<'_> {
    /// All events so far, in the order in which they happened.
    ///
    /// What goes on at `now` (microseconds since 1970) is told again each time that another `still_running` has passed since it began.
    pub(super) fn all(&self, now: i64) -> Vec<Made> {
        let run = &self.facts.run;
        let pipeline: Option<Pipeline> = serde_json::from_str(&run.definition).ok();
        let mut events: Vec<(i64, Made)> = Vec::new();
        let mut add = |at: i64, kind: &str, subject: &str, body: Value| {
            events.push((at, Made { id: format!("{kind} {subject}"), body }));
        };
        // What ended before it could begin has a beginning all the same: the standard asks for one.
        if let Some(at) = run.started_at.or(run.ended_at) {
            add(at, "START", "", self.of_run("START", at, pipeline.as_ref()));
        }
        if let Some((count, at)) = self.still(run.started_at, run.ended_at, now) {
            let kind = format!("RUNNING/{count}");
            add(at, &kind, "", self.of_run("RUNNING", at, pipeline.as_ref()));
        }
        for step in &self.facts.steps {
            let spec = pipeline.as_ref().and_then(|pipeline| {
                pipeline
                    .steps
                    .iter()
                    .chain(&pipeline.finally)
                    .find(|(id, _)| id.as_str() == step.step)
                    .map(|(_, step)| step)
            });
            let never = matches!(step.state.as_str(), "skipped" | "cancelled");
            let Some(started) = step.started_at.or_else(|| step.ended_at.filter(|_| !never)) else {
                continue;
            };
            add(started, "START", &step.step, self.of_step("START", started, step, spec));
            if let Some((count, at)) = self.still(step.started_at, step.ended_at, now) {
                let kind = format!("RUNNING/{count}");
                add(at, &kind, &step.step, self.of_step("RUNNING", at, step, spec));
            }
            if let Some(ended) = step.ended_at {
                let kind = end_of(&step.state);
                add(ended, kind, &step.step, self.of_step(kind, ended, step, spec));
            }
        }
        if let Some(at) = run.ended_at {
            let kind = end_of(&run.state);
            add(at, kind, "", self.of_run(kind, at, pipeline.as_ref()));
        }
        // The run's own beginning is the first of an instant, its end the last: the order in which they were added.
        events.sort_by_key(|(at, made)| (*at, made.id.ends_with(' ') && !made.id.starts_with("START")));
        events.into_iter().map(|(_, made)| made).collect()
    }

    /// The last time that something that goes on is told again, and how often it was by then.
    fn still(&self, started: Option<i64>, ended: Option<i64>, now: i64) -> Option<(i64, i64)> {
        let started = started.filter(|_| ended.is_none())?;
        let count = (now - started) / self.still_running.max(1);
        (count > 0).then(|| (count, started + count * self.still_running))
    }

    fn of_run(&self, kind: &str, at: i64, pipeline: Option<&Pipeline>) -> Value {
        let run = &self.facts.run;
        let mut run_facets = self.run_facets();
        if let (Some(parent), Some(step), Some((pipeline, root))) =
            (&run.parent_run, &run.parent_step, &self.facts.parents)
        {
            let step = step.split('[').next().unwrap_or(step);
            let parent = (step_run_id(parent, step), format!("{pipeline}.{step}"));
            run_facets.insert("parent".to_owned(), self.parent(parent, (run_id(&root.0), root.1.clone())));
        }
        if let Some(error) = run.error.as_deref().filter(|_| kind == "FAIL") {
            run_facets.insert("errorMessage".to_owned(), error_message(error, "pipeline"));
        }
        let mut job_facets =
            self.job_facets("PIPELINE", pipeline.map(|pipeline| (pipeline.file.as_str(), None)));
        if let Some(text) = pipeline.and_then(|pipeline| pipeline.description.as_ref()) {
            job_facets.insert(
                "documentation".to_owned(),
                facet("1-1-0/DocumentationJobFacet", json!({"description": text})),
            );
        }
        let job = json!({"namespace": self.namespace, "name": run.pipeline, "facets": job_facets});
        event(kind, at, json!({"runId": run_id(&run.id), "facets": run_facets}), job, Vec::new(), Vec::new())
    }

    fn of_step(&self, kind: &str, at: i64, step: &StepRunRow, spec: Option<&Step>) -> Value {
        let run = &self.facts.run;
        let mut run_facets = self.run_facets();
        let root = match &self.facts.parents {
            Some((_, root)) => (run_id(&root.0), root.1.clone()),
            None => (run_id(&run.id), run.pipeline.clone()),
        };
        run_facets.insert("parent".to_owned(), self.parent((run_id(&run.id), run.pipeline.clone()), root));
        if let Some(error) = step.error.as_deref().filter(|_| kind == "FAIL") {
            run_facets.insert("errorMessage".to_owned(), error_message(error, &step.kind));
        }
        let place = spec.map(|spec| (spec.place.file.as_str(), Some(spec.place.line)));
        let mut job_facets = self.job_facets("STEP", place);
        if let Some(query) = spec
            .filter(|spec| spec.kind == "sql")
            .and_then(|spec| spec.config.as_str().or_else(|| spec.config.get("query")?.as_str()))
        {
            job_facets.insert("sql".to_owned(), facet("1-1-0/SQLJobFacet", json!({"query": query})));
        }
        let job = json!({"namespace": self.namespace, "name": format!("{}.{}", run.pipeline, step.step), "facets": job_facets});
        let (inputs, outputs) = if kind == "START" { (Vec::new(), Vec::new()) } else { self.datasets(step) };
        let run = json!({"runId": step_run_id(&run.id, &step.step), "facets": run_facets});
        event(kind, at, run, job, inputs, outputs)
    }

    fn run_facets(&self) -> Map<String, Value> {
        let mut facets = Map::new();
        let engine = json!({"version": env!("CARGO_PKG_VERSION"), "name": "Millrace", "openlineageAdapterVersion": env!("CARGO_PKG_VERSION")});
        facets.insert("processing_engine".to_owned(), facet("1-1-1/ProcessingEngineRunFacet", engine));
        let document = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let (cause, options) = (document(&self.facts.run.cause), document(&self.facts.run.options));
        let window = |end: &str| options.get("window")?.get(end)?.as_str();
        let at = cause.get("at").and_then(Value::as_str);
        let nominal = match (window("start"), window("end"), at) {
            (Some(start), Some(end), _) => Some(json!({"nominalStartTime": start, "nominalEndTime": end})),
            (_, _, Some(at)) => Some(json!({"nominalStartTime": at})),
            _ => None,
        };
        if let Some(nominal) = nominal {
            facets.insert("nominalTime".to_owned(), facet("1-0-1/NominalTimeRunFacet", nominal));
        }
        facets
    }

    fn parent(&self, (run, job): (String, String), (root_run, root_job): (String, String)) -> Value {
        let both = |run: String, job: String| json!({"run": {"runId": run}, "job": {"namespace": self.namespace, "name": job}});
        let mut parent = both(run, job);
        parent["root"] = both(root_run, root_job);
        facet("1-2-0/ParentRunFacet", parent)
    }

    fn job_facets(&self, kind: &str, place: Option<(&str, Option<u32>)>) -> Map<String, Value> {
        let mut facets = Map::new();
        let job_type = json!({"processingType": "BATCH", "integration": "MILLRACE", "jobType": kind});
        facets.insert("jobType".to_owned(), facet("2-0-4/JobTypeJobFacet", job_type));
        let Some((code, (path, line))) = self.code.zip(place) else { return facets };
        let path = format!("{}{path}", code.folder);
        let Some(url) = code.page(&path, line) else { return facets };
        let mut location = json!({"type": "git", "url": url, "repoUrl": code.repository, "path": path});
        for (key, value) in [("version", &code.version), ("branch", &code.branch)] {
            if let Some(value) = value {
                location[key] = value.as_str().into();
            }
        }
        facets.insert("sourceCodeLocation".to_owned(), facet("1-1-0/SourceCodeLocationJobFacet", location));
        facets
    }

    /// What a step, with its items, read and left.
    fn datasets(&self, step: &StepRunRow) -> (Vec<Value>, Vec<Value>) {
        let (mut inputs, mut outputs) = (BTreeMap::new(), BTreeMap::new());
        for used in &self.facts.uses {
            if used.step.split('[').next() != Some(step.step.as_str()) {
                continue;
            }
            let target = if used.asset.direction == Direction::Read { &mut inputs } else { &mut outputs };
            if let Some((identity, facets, statistics)) = self.dataset(used) {
                target.insert(identity, (facets, statistics));
            }
        }
        let outcome: Value =
            step.outcome.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        for lineage in column_lineage(&outcome) {
            let written = outputs.iter_mut().find(|(identity, _): &(&Identity, _)| {
                identity.namespace == self.namespace && identity.name == lineage.dataset
            });
            if let Some((_, (facets, _))) = written {
                facets.insert("columnLineage".to_owned(), self.columns_of(&lineage));
            }
        }
        let sources = outcome.get("sources").and_then(Value::as_array).into_iter().flatten();
        for source in sources.filter(|source| source.get("kind").and_then(Value::as_str) == Some("source")) {
            let name = source.get("name").and_then(Value::as_str).unwrap_or_default();
            if let Some(identity) = (self.sources)(name) {
                inputs.entry(identity.clone()).or_insert_with(|| (data_source(&identity), None));
            }
        }
        // What a copy wrote elsewhere is an address, or a file without a name.
        let written = outcome.pointer("/outputs/data").filter(|_| step.kind == "copy");
        let nameless = |data: &&Value| data.get("name").is_none_or(Value::is_null);
        let written = written
            .and_then(|data| data.as_str().or_else(|| Some(data).filter(nameless)?.get("uri")?.as_str()));
        if let Some(identity) = written.and_then(|address| (self.sources)(address)) {
            let statistics =
                outcome.get("rows").and_then(Value::as_u64).map(|rows| json!({"rowCount": rows}));
            outputs.entry(identity.clone()).or_insert_with(|| (data_source(&identity), statistics));
        }
        let shown = |key: &'static str| {
            move |(identity, (facets, statistics)): (Identity, (Map<String, Value>, Option<Value>))| {
                let mut made =
                    json!({"namespace": identity.namespace, "name": identity.name, "facets": facets});
                if let Some(statistics) = statistics.filter(|_| key == "outputFacets") {
                    made[key] = json!({"outputStatistics": facet("1-0-2/OutputStatisticsOutputDatasetFacet", statistics)});
                }
                made
            }
        };
        (
            inputs.into_iter().map(shown("inputFacets")).collect(),
            outputs.into_iter().map(shown("outputFacets")).collect(),
        )
    }

    fn columns_of(&self, lineage: &ColumnLineage) -> Value {
        let field = |origin: &ColumnOrigin| {
            let identity = match origin.of.kind.as_str() {
                "source" => (self.sources)(&origin.of.name)?,
                _ => Identity { namespace: self.namespace.to_owned(), name: origin.of.name.clone() },
            };
            let (kind, subtype) = transformation(origin.use_as);
            let how = json!({"type": kind, "subtype": subtype, "description": "", "masking": false});
            Some(
                json!({"namespace": identity.namespace, "name": identity.name, "field": origin.column, "transformations": [how]}),
            )
        };
        let fields: Map<String, Value> = lineage
            .columns
            .iter()
            .map(|(column, origins)| {
                (column.clone(), json!({"inputFields": origins.iter().filter_map(field).collect::<Vec<_>>()}))
            })
            .collect();
        let rows: Vec<Value> = lineage.rows.iter().filter_map(field).collect();
        facet("1-2-0/ColumnLineageDatasetFacet", json!({"fields": fields, "dataset": rows}))
    }

    fn dataset(&self, used: &StepUse) -> Option<(Identity, Map<String, Value>, Option<Value>)> {
        let asset = &used.asset;
        if asset.name.is_empty() || !matches!(asset.kind.as_str(), "dataset" | "model") {
            return None;
        }
        let name = if asset.kind == "model" { format!("models/{}", asset.name) } else { asset.name.clone() };
        let identity = Identity { namespace: self.namespace.to_owned(), name };
        let mut facets = data_source(&identity);
        if !self.base_url.is_empty() {
            let room = if asset.kind == "model" { "models" } else { "data" };
            let source =
                json!({"name": self.namespace, "uri": format!("{}/{room}/{}", self.base_url, asset.name)});
            facets.insert("dataSource".to_owned(), facet("1-0-1/DatasourceDatasetFacet", source));
        }
        if asset.version > 0 {
            let version = json!({"datasetVersion": asset.version.to_string()});
            facets.insert("version".to_owned(), facet("1-0-1/DatasetVersionDatasetFacet", version));
        }
        let row =
            self.facts.versions.get(&(asset.name.clone(), asset.version)).filter(|_| asset.kind == "dataset");
        let mut statistics = None;
        if let Some(row) = row {
            let details: Value = serde_json::from_str(&row.details).unwrap_or_default();
            let field = |field: &Value| {
                let kind = field
                    .get("type")
                    .map(|kind| kind.as_str().map_or_else(|| kind.to_string(), str::to_owned));
                Some(json!({"name": field.get("name")?.as_str()?, "type": kind?}))
            };
            let fields: Vec<Value> = details
                .get("schema")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(field)
                .collect();
            if !fields.is_empty() {
                facets.insert(
                    "schema".to_owned(),
                    facet("1-2-0/SchemaDatasetFacet", json!({"fields": fields})),
                );
            }
            if let Ok(stored) = serde_json::from_str::<Asset>(&row.asset) {
                if let Some(place) = plain_identity(&stored.uri) {
                    let link = json!({"identifiers": [{"namespace": place.namespace, "name": place.name, "type": "LOCATION"}]});
                    facets.insert("symlinks".to_owned(), facet("1-0-1/SymlinksDatasetFacet", link));
                }
                let mut counted = Map::new();
                counted.extend(stored.rows.map(|rows| ("rowCount".to_owned(), rows.into())));
                counted.extend(stored.size_bytes.map(|size| ("size".to_owned(), size.into())));
                statistics = (!counted.is_empty()).then_some(Value::Object(counted));
            }
        }
        Some((identity, facets, statistics))
    }
}

/// What a step noted of its columns.
fn column_lineage(outcome: &Value) -> Vec<ColumnLineage> {
    outcome
        .get("columns")
        .and_then(|columns| serde_json::from_value(columns.clone()).ok())
        .unwrap_or_default()
}

/// The standard's words.
fn transformation(use_as: ColumnUse) -> (&'static str, &'static str) {
    match use_as {
        ColumnUse::Identity => ("DIRECT", "IDENTITY"),
        ColumnUse::Transformation => ("DIRECT", "TRANSFORMATION"),
        ColumnUse::Aggregation => ("DIRECT", "AGGREGATION"),
        ColumnUse::Filter => ("INDIRECT", "FILTER"),
        ColumnUse::Join => ("INDIRECT", "JOIN"),
        ColumnUse::GroupBy => ("INDIRECT", "GROUP_BY"),
        ColumnUse::Sort => ("INDIRECT", "SORT"),
    }
}

fn data_source(identity: &Identity) -> Map<String, Value> {
    let source = json!({"name": identity.namespace, "uri": uri(&identity.namespace)});
    [("dataSource".to_owned(), facet("1-0-1/DatasourceDatasetFacet", source))].into_iter().collect()
}

/// A namespace as the URI that the standard asks for.
fn uri(namespace: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    match Url::parse(namespace) {
        _ if namespace == "file" => "file:///".to_owned(),
        Ok(url) if namespace.contains("://") && !namespace.contains(char::is_whitespace) => url.into(),
        _ => format!("urn:millrace:{}", namespace.replace(|c| !plain(c), "-")),
    }
}

/// What the end of a run or a step is called.
fn end_of(state: &str) -> &'static str {
    match state {
        "succeeded" | "cached" => "COMPLETE",
        "cancelled" | "skipped" => "ABORT",
        _ => "FAIL",
    }
}

/// What went wrong, with the notes; `kind` of step says in which language.
fn error_message(stored: &str, kind: &str) -> Value {
    let message = serde_json::from_str::<Problem>(stored).map_or_else(
        |_| stored.to_owned(),
        |problem| std::iter::once(problem.message).chain(problem.notes).collect::<Vec<_>>().join("\n"),
    );
    let language = match kind {
        "python" | "notebook" => "PYTHON",
        "r" => "R",
        "sql" => "SQL",
        "run" => "SHELL",
        _ => "RUST",
    };
    facet("1-0-1/ErrorMessageRunFacet", json!({"message": message, "programmingLanguage": language}))
}

/// A facet with who made it and which shape it has; `shape` is version and name.
fn facet(shape: &str, mut fields: Value) -> Value {
    let name = shape.rsplit('/').next().unwrap_or(shape);
    fields["_producer"] = PRODUCER.into();
    fields["_schemaURL"] = format!("{SPEC}/facets/{shape}.json#/$defs/{name}").into();
    fields
}

fn event(kind: &str, at: i64, run: Value, job: Value, inputs: Vec<Value>, outputs: Vec<Value>) -> Value {
    let time = jiff::Timestamp::from_microsecond(at).unwrap_or_default();
    json!({
        "eventType": kind, "eventTime": time.to_string(), "run": run, "job": job, "inputs": inputs, "outputs": outputs,
        "producer": PRODUCER, "schemaURL": format!("{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"),
    })
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
