//! Unit tests of a flow: input rows, the flow, the rows that are expected.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use arrow::json::reader::infer_json_schema_from_iterator;
use datafusion::common::TableReference;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use indexmap::IndexMap;
use millrace_spec::problem::{Place, Problem};
use millrace_spec::yaml;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answers::Answers;
use super::plan::PlanError;
use super::{Flow, Plan, input_table};
use crate::engine::{DataFusionEngine, calls, query};
use crate::rows;
use crate::transforms::scalar_type;

type Row = Map<String, Value>;

/// A file of cases for one flow.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// The flow's file, relative to the workspace.
    pub flow: String,
    /// The cases.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Values of the flow's parameters.
    #[serde(default)]
    with: Map<String, Value>,
    /// Rows of each source: a list of rows, or `{columns, rows}`, or `{csv}`.
    inputs: IndexMap<String, Rows>,
    /// What web APIs answer, by connection and request: `{scores: {"GET customers/7/score?lang=de": {score: 0.5}}}`. A request with a body may
    /// have it at its end: `POST score {"amount":1}`. Nobody else is asked.
    #[serde(default)]
    answers: Answers,
    /// The node, or `node.part`, whose rows are expected; the flow's output if absent.
    #[serde(default)]
    node: Option<String>,
    /// The rows that are expected.
    #[serde(default)]
    expect: Option<Rows>,
    /// Words that the error has which is expected.
    #[serde(default)]
    expect_error: Option<String>,
    /// Whether the order of the rows counts.
    #[serde(default)]
    ordered: bool,
}

/// Rows of a table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Rows {
    /// A row is column to value.
    List(Vec<Row>),
    /// Rows as CSV with a header.
    Csv {
        /// The text.
        csv: String,
    },
    /// Rows with the types of their columns.
    Typed {
        /// Column to type, as a source declares them.
        columns: IndexMap<String, String>,
        /// The rows.
        #[serde(default)]
        rows: Vec<Row>,
    },
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseOutcome {
    /// The case's name.
    pub case: String,
    /// Whether what came out is what was expected.
    pub passed: bool,
    /// What went wrong, if no rows came out, or if the columns differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// Rows that are expected and did not come.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Row>,
    /// Rows that came and are not expected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unexpected: Vec<Row>,
    /// Where the case stands.
    #[serde(skip)]
    pub place: Option<Place>,
}

impl CaseFile {
    /// Reads the text of a case file.
    ///
    /// # Errors
    /// One problem with its place.
    pub fn read(file: &str, text: &str) -> Result<(Self, yaml::Node), Box<Problem>> {
        let tree = yaml::parse(file, text)?;
        match Self::deserialize(tree.to_json()) {
            Ok(cases) => Ok((cases, tree)),
            Err(error) => Err(Box::new(
                Problem::error("flow-test", format!("this is no file of cases: {error}"))
                    .at(tree.place)
                    .hint("flow: flows/clean.yaml, then `cases:` with `name`, `inputs` and `expect`"),
            )),
        }
    }

    /// Runs all cases. `tree` is the file, for places; `files` gives the text of other files of the workspace.
    pub async fn run(
        &self,
        engine: &DataFusionEngine,
        tree: &yaml::Node,
        files: &(dyn Fn(&str) -> Result<String, String> + Sync),
    ) -> Vec<CaseOutcome> {
        let mut outcomes = Vec::new();
        for (at, case) in self.cases.iter().enumerate() {
            let mut outcome = match self.rows_of(case, engine, files).await {
                Ok(found) => case.judged(found),
                Err(problem) => case.judged_error(*problem),
            };
            outcome.place = Some(tree.nearest(&format!("/cases/{at}/name")).place.clone());
            outcomes.push(outcome);
        }
        outcomes
    }

    async fn rows_of(
        &self,
        case: &Case,
        engine: &DataFusionEngine,
        files: &(dyn Fn(&str) -> Result<String, String> + Sync),
    ) -> Result<Vec<Row>, Box<Problem>> {
        let text = files(&self.flow).map_err(|reason| {
            Box::new(Problem::error(
                "flow-file",
                format!("cannot read the flow file `{}`: {reason}", self.flow),
            ))
        })?;
        let flow = Flow::read_with(&self.flow, &text, files, &case.with)?;
        let context = engine.session().map_err(|error| Box::new(crate::steps::query_problem(&error)))?;
        calls::answer_with(&context, Arc::new(case.answers.clone()));
        for (name, given) in &case.inputs {
            given.register(&context, name).map_err(|reason| {
                Box::new(Problem::error(
                    "flow-test",
                    format!("the rows of `{name}` cannot be read: {reason}"),
                ))
            })?;
        }
        for (id, node) in &flow.nodes {
            let Some(source) = node.transform.source().filter(|source| !case.inputs.contains_key(*source))
            else {
                continue;
            };
            let message = format!("the case gives no rows for `{source}`, which node `{id}` reads");
            return Err(Box::new(
                Problem::error("flow-test", message).hint(format!("inputs: {{{source}: […]}}")),
            ));
        }
        let output = || match flow.outputs().values().collect::<Vec<_>>().as_slice() {
            [one] => Ok((*one).clone()),
            _ => Err(Box::new(
                Problem::error("flow-test", "the flow has several outputs").hint("say which: `node: <node>`"),
            )),
        };
        let node = case.node.clone().map_or_else(output, Ok)?;
        let document = yaml::parse(&self.flow, &text).ok();
        let failed = |error: PlanError| Box::new(error.problem_in(document.as_ref(), &text));
        let frame = Plan::over(&flow, context).node(&node).await.map_err(failed)?;
        let stream = query::stream(frame).await.map_err(|error| failed(error.into()))?;
        let batches = stream.collect().await.map_err(|error| failed(error.into()))?;
        Ok(objects(rows::to_json(&batches)))
    }
}

fn objects(values: Vec<Value>) -> Vec<Row> {
    values
        .into_iter()
        .filter_map(|value| if let Value::Object(row) = value { Some(row) } else { None })
        .collect()
}

impl Rows {
    fn register(&self, context: &SessionContext, name: &str) -> Result<(), String> {
        let (schema, batches) = self.batches()?;
        let table = MemTable::try_new(schema, vec![batches]).map_err(|error| error.to_string())?;
        let reference = TableReference::bare(input_table(name));
        context.register_table(reference, Arc::new(table)).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn batches(&self) -> Result<(SchemaRef, Vec<RecordBatch>), String> {
        let told = |error: arrow::error::ArrowError| error.to_string();
        match self {
            Self::Csv { csv } => {
                let format = arrow::csv::reader::Format::default().with_header(true);
                let (schema, _) = format.infer_schema(Cursor::new(csv), None).map_err(told)?;
                let schema = Arc::new(schema);
                let reader = arrow::csv::ReaderBuilder::new(schema.clone()).with_header(true);
                let reader = reader.build(Cursor::new(csv)).map_err(told)?;
                Ok((schema, reader.collect::<Result<_, _>>().map_err(told)?))
            }
            Self::List(rows) => {
                let values = rows.iter().cloned().map(|row| Ok(Value::Object(row)));
                let schema = infer_json_schema_from_iterator(values).map_err(told)?;
                // The schema that is inferred has its columns in the order of their names.
                let mut names: Vec<&String> = Vec::new();
                for name in rows.iter().flat_map(Map::keys) {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                let fields = names.iter().filter_map(|name| schema.field_with_name(name).ok().cloned());
                typed(Arc::new(Schema::new(fields.collect::<Vec<_>>())), rows)
            }
            Self::Typed { columns, rows } => {
                let field = |(name, word): (&String, &String)| {
                    Ok(Field::new(name, scalar_type(word).map_err(|fault| fault.message)?, true))
                };
                typed(
                    Arc::new(Schema::new(columns.iter().map(field).collect::<Result<Vec<_>, String>>()?)),
                    rows,
                )
            }
        }
    }

    fn expected(&self) -> Result<Vec<Row>, String> {
        match self {
            Self::List(rows) => Ok(rows.clone()),
            _ => Ok(objects(rows::to_json(&self.batches()?.1))),
        }
    }
}

fn typed(schema: SchemaRef, rows: &[Row]) -> Result<(SchemaRef, Vec<RecordBatch>), String> {
    let told = |error: arrow::error::ArrowError| error.to_string();
    let mut decoder =
        ReaderBuilder::new(schema.clone()).with_coerce_primitive(true).build_decoder().map_err(told)?;
    decoder.serialize(rows).map_err(told)?;
    let batch = decoder.flush().map_err(told)?;
    Ok((schema, batch.into_iter().collect()))
}

impl Case {
    fn outcome(&self, passed: bool, problem: Option<Problem>) -> CaseOutcome {
        let case = self.name.clone();
        CaseOutcome { case, passed, problem, missing: Vec::new(), unexpected: Vec::new(), place: None }
    }

    fn judged_error(&self, problem: Problem) -> CaseOutcome {
        match &self.expect_error {
            Some(words) if problem.message.contains(words) => self.outcome(true, None),
            _ => self.outcome(false, Some(problem)),
        }
    }

    fn judged(&self, found: Vec<Row>) -> CaseOutcome {
        let wrong = |message: String| self.outcome(false, Some(Problem::error("flow-test", message)));
        if let Some(words) = &self.expect_error {
            return wrong(format!("an error with `{words}` is expected, and {} rows came out", found.len()));
        }
        let Some(expect) = &self.expect else {
            return wrong("the case expects nothing: add `expect` or `expect_error`".to_owned());
        };
        let expected = match expect.expected() {
            Ok(rows) => rows,
            Err(reason) => return wrong(format!("the expected rows cannot be read: {reason}")),
        };
        let (missing, unexpected) =
            if self.ordered { by_position(expected, found) } else { in_any_order(expected, found) };
        let passed = missing.is_empty() && unexpected.is_empty();
        CaseOutcome { missing, unexpected, ..self.outcome(passed, None) }
    }
}

/// Rows that are only here, and rows that are only there; equal rows count one by one.
fn in_any_order(expected: Vec<Row>, found: Vec<Row>) -> (Vec<Row>, Vec<Row>) {
    let mut missing = Vec::new();
    let mut unexpected = found;
    for row in expected {
        match unexpected.iter().position(|other| same_row(&row, other)) {
            Some(at) => {
                unexpected.remove(at);
            }
            None => missing.push(row),
        }
    }
    (missing, unexpected)
}

/// Rows that differ from what stands at their place.
fn by_position(expected: Vec<Row>, found: Vec<Row>) -> (Vec<Row>, Vec<Row>) {
    let (mut missing, mut unexpected) = (Vec::new(), Vec::new());
    let (mut expected, mut found) = (expected.into_iter(), found.into_iter());
    loop {
        match (expected.next(), found.next()) {
            (Some(row), Some(other)) if same_row(&row, &other) => {}
            (None, None) => return (missing, unexpected),
            (row, other) => {
                missing.extend(row);
                unexpected.extend(other);
            }
        }
    }
}

/// Whether two rows have the same columns with the same values. A column that one of them lacks is null there.
fn same_row(expected: &Row, found: &Row) -> bool {
    found.keys().chain(expected.keys()).all(|name| {
        let value = |row: &Row| row.get(name).cloned().unwrap_or(Value::Null);
        same(&value(expected), &value(found))
    })
}

/// Whether two values are the same for a case: numbers, if they differ by rounding alone, whole or not; decimals come as text.
pub fn same_value(expected: &Value, found: &Value) -> bool {
    same(expected, found)
}

fn same(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => same_row(a, b),
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
        }
        (Value::Number(a), Value::String(b)) => {
            b.parse::<f64>().is_ok_and(|b| same(expected, &Value::from(b))) && a.as_f64().is_some()
        }
        (a, b) => a == b,
    }
}
