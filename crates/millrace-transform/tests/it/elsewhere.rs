//! The same flows here and on Spark's SQL, row for row.
//!
//! A case: a heading, `csv <name>` blocks as inputs, a flow, and the rows of its output as `expected`, or as `refused` what Spark cannot do the
//! same. `MILLRACE_TEST_SAIL` names an interpreter with Sail, `MILLRACE_TEST_SPARK` one with Spark itself.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use arrow::datatypes::{DataType, Schema};
use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    BatchStream, EngineElsewhere, FlowPreview as _, RemoteEngine, RemoteEngines, RemoteError, RemoteQuery,
    StepKind as _, TableRef,
};
use millrace_spec::problem::Problem;
use millrace_transform::flow::{Flow, Plan};
use millrace_transform::steps::{FlowStep, SqlStep};
use millrace_transform::{DataFusionEngine, EngineConfig, rows};
use serde_json::{Value, json};

use crate::cases::Case;
use crate::steps::{context, setup};

impl Case {
    fn block(&self, head: &str) -> Option<&str> {
        self.blocks
            .iter()
            .find(|(found, _)| found.split(' ').next() == Some(head))
            .map(|(_, body)| body.as_str())
    }

    pub(crate) fn flow(&self) -> Value {
        millrace_spec::yaml::parse("flow.yaml", self.block("yaml").unwrap()).unwrap().to_json()
    }

    pub(crate) fn tables(&self, folder: &Path) -> IndexMap<String, TableRef> {
        let inputs = self.blocks.iter().filter_map(|(head, body)| Some((head.strip_prefix("csv ")?, body)));
        let table = |(name, body): (&str, &String)| {
            let path = folder.join(format!("{name}.csv"));
            std::fs::write(&path, body).unwrap();
            (name.to_owned(), TableRef::Csv { uri: format!("file://{}", path.display()) })
        };
        inputs.map(table).collect()
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/elsewhere");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| crate::cases::cases(&std::fs::read_to_string(file).unwrap())).collect()
}

/// Rows in an order of their own: only a flow that ends with a `sort` says one.
pub(crate) fn ordered(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(|row| {
        let cells = row.as_object().unwrap().values();
        cells
            .map(|cell| cell.as_f64().map_or_else(|| cell.to_string(), |number| format!("{number:.6}")))
            .collect::<String>()
    });
    rows
}

fn csv(rows: &[Value]) -> String {
    let Some(Value::Object(first)) = rows.first() else { return "(no rows)\n".to_owned() };
    let mut text = first.keys().cloned().collect::<Vec<_>>().join(",") + "\n";
    for row in rows {
        let cells = row.as_object().unwrap().values().map(|cell| match cell {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        writeln!(text, "{}", cells.collect::<Vec<_>>().join(",")).unwrap();
    }
    text
}

pub(crate) fn engine(folder: &Path) -> DataFusionEngine {
    DataFusionEngine::new(EngineConfig::new(folder.join("spill")))
}

pub(crate) async fn here(case: &Case, folder: &Path) -> Vec<Value> {
    let flow = case.flow();
    let node = Flow::parse(&flow).unwrap().outputs()["data"].clone();
    let preview = engine(folder).preview_flow(&flow, &case.tables(folder), &node, 100).await;
    preview
        .unwrap_or_else(|problem| panic!("{}: {}", case.title, problem.message))
        .rows
        .into_iter()
        .map(Value::Object)
        .collect()
}

/// The query of the one output, or what is told to the user.
async fn written(
    case: &Case,
    folder: &Path,
    remote: Option<Arc<dyn RemoteEngine>>,
) -> Result<RemoteQuery, String> {
    let flow = Flow::parse(&case.flow()).unwrap();
    let tables = case.tables(folder);
    let told = |error: millrace_transform::flow::PlanError| {
        let problem = error.problem_in(None, "");
        let hints: String = problem.hints.iter().map(|hint| format!("hint: {hint}\n")).collect();
        format!("{}\n{hints}", problem.message)
    };
    let mut plan = Plan::elsewhere(&engine(folder), &flow, &tables, remote).await.map_err(told)?;
    Ok(plan.statements().await.map_err(told)?.remove(0).1)
}

#[tokio::test]
async fn the_local_engine_gives_what_the_corpus_says() {
    let mut wrong = String::new();
    for case in cases() {
        let temp = tempfile::tempdir().unwrap();
        let (head, found) = match case.block("refused") {
            Some(_) => (
                "refused",
                written(&case, temp.path(), None).await.map_or_else(|told| told, |query| query.sql),
            ),
            None => ("expected", csv(&ordered(here(&case, temp.path()).await))),
        };
        if case.block(head) != Some(found.as_str()) {
            writeln!(wrong, "## {}\nfound:\n{found}", case.title).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test]
async fn sail_gives_the_same_rows() {
    same_rows("sail", var("MILLRACE_TEST_SAIL")).await;
}

/// Apart from the other tests: `cargo xtask test engines` runs it.
#[tokio::test]
async fn spark_gives_the_same_rows() {
    same_rows("spark", var("MILLRACE_TEST_SPARK")).await;
}

/// The engines of a workspace with one connection.
pub(crate) struct One(pub(crate) EngineElsewhere);

impl RemoteEngines for One {
    fn names(&self) -> Vec<String> {
        vec![self.0.name().to_owned()]
    }

    fn open(&self, name: &str) -> Result<EngineElsewhere, Box<Problem>> {
        match name == self.0.name() {
            true => Ok(self.0.clone()),
            false => Err(Box::new(Problem::error("engine-unknown", format!("there is no engine `{name}`")))),
        }
    }
}

#[tokio::test]
async fn a_step_leaves_the_same_dataset_wherever_it_runs() {
    let Some(python) = var("MILLRACE_TEST_SAIL") else {
        eprintln!("skipped: no interpreter with sail is named");
        return;
    };
    let temp = tempfile::tempdir().unwrap();
    let (engine, catalog, flights) = setup(temp.path());
    let remotes: Arc<dyn RemoteEngines> =
        Arc::new(One(EngineElsewhere::SparkSql(Arc::new(Answering::start(&python, "sail", temp.path())))));
    let sql = SqlStep::new(engine.clone(), catalog.clone()).with_remotes(remotes.clone());
    let query = "select id, month, delay, delay / 7.0 as share, date '2026-01-01' as day from flights";
    let first =
        sql.run(context(temp.path(), json!(query), &[("flights", flights.to_value())])).await.unwrap();
    let table = first.outputs["data"].clone();
    let nodes = json!({
        "flights": {"source": "flights"},
        "filled": {"fill_missing": {"delay": "median"}, "from": "flights"},
        "months": {"aggregate": {"by": "month", "values": {"n": "count(*)", "mean": "avg(share)", "last": "max(day)"}}, "from": "filled"},
        "out": {"sort": "month", "from": "months"},
    });
    let step = FlowStep::new(engine, catalog.clone()).with_remotes(remotes);
    let mut seen = Vec::new();
    for engine in [json!("local"), json!("sail"), json!({"auto": "sail", "above": "1B"}), json!("auto")] {
        let config = json!({"nodes": nodes, "output": "out", "to": "data:months", "engine": engine});
        let outcome = step.run(context(temp.path(), config, &[("flights", table.clone())])).await;
        let outcome = outcome.unwrap_or_else(|error| panic!("{engine}: {}", error.problem.message));
        assert_eq!(outcome.outputs["rows"], json!(12), "{engine}");
        seen.push((outcome.outputs["data"]["digest"].clone(), outcome.outputs["engine"]["name"].clone()));
        let reason = outcome.outputs["engine"]["reason"].as_str().unwrap();
        assert!(
            engine != json!("auto") || reason.contains("and `auto` asks `sail` from 20.0 GB on"),
            "{reason}"
        );
    }
    let names: Vec<&Value> = seen.iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["local", "sail", "sail", "local"]);
    assert!(seen.iter().all(|(digest, _)| *digest == seen[0].0), "{seen:?}");

    // SQL with a value, over the same version.
    let config = |engine: &str| {
        let query = json!({"text": "select month, count(*) as n from flights where month in (select max(month) from flights) and delay > $1 group by month order by month", "params": [3]});
        json!({"query": query, "to": "data:few", "engine": engine})
    };
    let mut digests = Vec::new();
    for engine in ["local", "sail"] {
        let outcome = sql.run(context(temp.path(), config(engine), &[("flights", table.clone())])).await;
        digests.push(outcome.unwrap_or_else(|error| panic!("{engine}: {}", error.problem.message)).outputs["data"]["digest"].clone());
    }
    assert_eq!(digests[0], digests[1]);
    let error = sql.run(context(temp.path(), config("other"), &[("flights", table)])).await.unwrap_err();
    assert_eq!(error.problem.code, "engine-unknown");
}

#[allow(clippy::disallowed_methods, reason = "a test is told where its servers are")]
fn var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

async fn same_rows(kind: &str, python: Option<String>) {
    let Some(python) = python else {
        eprintln!("skipped: no interpreter with {kind} is named");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let remote: Arc<dyn RemoteEngine> = Arc::new(Answering::start(&python, kind, folder.path()));
    let mut wrong = String::new();
    let mut count = 0;
    for case in cases().iter().filter(|case| case.block("refused").is_none()) {
        let temp = tempfile::tempdir().unwrap();
        let expected = ordered(here(case, temp.path()).await);
        let query = match written(case, temp.path(), Some(remote.clone())).await {
            Ok(query) => query,
            Err(told) => {
                writeln!(wrong, "## {}\n{told}", case.title).unwrap();
                continue;
            }
        };
        let sql = query.sql.clone();
        let found = match remote.query(query).await {
            Ok(stream) => ordered(rows::to_json(&stream.collect().await.unwrap())),
            Err(error) => {
                writeln!(wrong, "## {}\n{error}\n{sql}\n", case.title).unwrap();
                continue;
            }
        };
        count += 1;
        let differ = differences(&expected, &found);
        if !differ.is_empty() {
            writeln!(wrong, "## {}\n{differ}{sql}\n", case.title).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 30, "only {count} cases were compared");
}

/// Cells that differ, a line each. The last bits of a function's result depend on its library.
pub(crate) fn differences(expected: &[Value], found: &[Value]) -> String {
    if expected.len() != found.len() {
        return format!("{} rows, and not {}:\n{}", found.len(), expected.len(), csv(found));
    }
    let mut text = String::new();
    for (number, (here, there)) in expected.iter().zip(found).enumerate() {
        let (here, there) = (here.as_object().unwrap(), there.as_object().unwrap());
        for (column, value) in here {
            let other = there.get(column).unwrap_or(&Value::Null);
            let is_near = match (value.as_f64(), other.as_f64()) {
                (Some(a), Some(b)) => a == b || (a - b).abs() <= 1e-12 * a.abs().max(b.abs()).max(1e-3),
                _ => value == other,
            };
            if !is_near {
                writeln!(text, "row {number}, `{column}`: {value} here, {other} there").unwrap();
            }
        }
    }
    text
}

/// A process that answers queries.
struct Answering {
    name: String,
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    child: Mutex<Child>,
}

impl Answering {
    fn start(python: &str, kind: &str, folder: &Path) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../python/tests/engines/answer.py");
        let mut child = Command::new(python)
            .args([script, kind, &folder.to_string_lossy()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let started =
            Self { name: kind.to_owned(), talk: Mutex::new((input, output)), child: Mutex::new(child) };
        assert!(started.said().get("ready").is_some(), "{kind} did not start");
        started
    }

    /// The next line that is JSON; servers may print others.
    fn said(&self) -> Value {
        let mut talk = self.talk.lock().unwrap();
        loop {
            let mut line = String::new();
            assert!(talk.1.read_line(&mut line).unwrap() > 0, "{} ended", self.name);
            if let Ok(said @ Value::Object(_)) = serde_json::from_str(&line) {
                return said;
            }
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

#[async_trait]
impl RemoteEngine for Answering {
    fn name(&self) -> &str {
        &self.name
    }

    fn auto_above(&self) -> Option<u64> {
        None
    }

    async fn query(&self, query: RemoteQuery) -> Result<BatchStream, RemoteError> {
        let refused = |message: String| RemoteError::Refused { engine: self.name.clone(), message };
        let views: Vec<Value> = query
            .views
            .iter()
            .map(|view| json!({"name": view.name, "format": view.format, "paths": view.paths, "schema": view.schema, "options": view.options}))
            .collect();
        let job = json!({"views": views, "options": query.options, "sql": query.sql});
        writeln!(self.talk.lock().unwrap().0, "{job}").unwrap();
        let said = self.said();
        let Some(path) = said["rows"].as_str() else {
            return Err(refused(said["error"].as_str().unwrap_or_default().to_owned()));
        };
        let reader =
            arrow::ipc::reader::FileReader::try_new(std::fs::File::open(path).unwrap(), None).unwrap();
        let found = types(&reader.schema());
        let wanted = types(&query.schema);
        if found != wanted {
            return Err(refused(format!("the types are {found:?}, and not {wanted:?}")));
        }
        Ok(BatchStream::from_batches(reader.schema(), reader.collect::<Result<_, _>>().unwrap()))
    }
}

/// Types without what is only a layout.
fn types(schema: &Schema) -> Vec<String> {
    let plain = |kind: &DataType| match kind {
        DataType::LargeUtf8 | DataType::Utf8View => "Utf8".to_owned(),
        DataType::UInt64 => "Int64".to_owned(),
        DataType::Timestamp(_, zone) => format!("Timestamp {zone:?}"),
        other => other.to_string().replace(", field: 'element'", "").replace("non-null ", ""),
    };
    schema.fields().iter().map(|field| plain(field.data_type())).collect()
}
