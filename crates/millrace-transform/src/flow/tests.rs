use std::sync::{Arc, Mutex};

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::TableReference;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use serde_json::{Value, json};

use super::*;
use crate::engine::query;
use crate::{DataFusionEngine, EngineConfig, rows};

/// A table that notes each time when it is read, and which columns.
#[derive(Debug)]
struct Counting {
    rows: MemTable,
    reads: Arc<Mutex<Vec<Vec<String>>>>,
}

#[async_trait]
impl TableProvider for Counting {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let read = projection.unwrap_or(&all).iter().map(|at| schema.field(*at).name().clone()).collect();
        self.reads.lock().unwrap().push(read);
        self.rows.scan(state, projection, filters, limit).await
    }
}

/// 1,000 rows of `id`, `v` and `name`, in ten batches, and who reads them.
fn flights(context: &SessionContext) -> Arc<Mutex<Vec<Vec<String>>>> {
    let batch = |from: i64| {
        let ids = Int64Array::from_iter_values(from..from + 100);
        let values = Int64Array::from_iter_values((from..from + 100).map(|id| id % 40));
        let names: StringArray = (from..from + 100).map(|id| Some(format!("n{}", id % 7))).collect();
        RecordBatch::try_from_iter([
            ("id", Arc::new(ids) as _),
            ("v", Arc::new(values) as _),
            ("name", Arc::new(names) as _),
        ])
        .unwrap()
    };
    let batches: Vec<RecordBatch> = (0..10).map(|part| batch(part * 100)).collect();
    let rows = MemTable::try_new(batches[0].schema(), vec![batches]).unwrap();
    let reads = Arc::new(Mutex::new(Vec::new()));
    let table = Counting { rows, reads: reads.clone() };
    context.register_table(TableReference::bare(input_table("flights")), Arc::new(table)).unwrap();
    reads
}

/// Runs all outputs of a flow: rows of each, what each node did, and the columns of each read of the source.
async fn run(
    memory_bytes: usize,
    flow: Value,
) -> (IndexMap<String, Vec<Value>>, Vec<NodeFigures>, Vec<Vec<String>>) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = EngineConfig::new(folder.path().join("spill"));
    config.memory_bytes = memory_bytes;
    let engine = DataFusionEngine::new(config);
    let context = engine.session().unwrap();
    let reads = flights(&context);
    let flow = Flow::parse(&flow).unwrap();
    let mut plan = Plan::over(&flow, context).for_run(&engine);
    let mut found = IndexMap::new();
    let mut plans = Vec::new();
    for (output, frame) in plan.outputs().await.unwrap() {
        let (ran, stream) = query::begin(frame).await.unwrap();
        found.insert(output.to_owned(), rows::to_json(&stream.collect().await.unwrap()));
        plans.push(ran);
    }
    let figures = plan.figures(&plans);
    let reads = reads.lock().unwrap().clone();
    (found, figures, reads)
}

fn branches() -> Value {
    json!({
        "nodes": {
            "t": {"source": "flights"},
            "s": {"split": {"when": {"low": "v < 10", "middle": "v < 20"}, "otherwise": "high"}, "from": "t"},
            "doubled": {"derive": {"v": "v * 2"}, "from": "s.low"},
            "count": {"aggregate": {"values": {"n": "count(*)", "sum": "sum(v)"}}, "from": "t"},
        },
        "output": {"low": "doubled", "middle": "s.middle", "high": "s.high", "all": "count"},
    })
}

#[tokio::test]
async fn what_feeds_several_branches_is_read_once_in_memory_and_from_a_file() {
    // With little memory the shared rows go to a file; a table that is sorted or joined is not among them.
    for memory_bytes in [1 << 30, 1 << 14] {
        let (found, figures, reads) = run(memory_bytes, branches()).await;
        assert_eq!(reads.len(), 1, "with {memory_bytes} bytes: {reads:?}");
        let count = |output: &str| found[output].len();
        assert_eq!((count("low"), count("middle"), count("high")), (250, 250, 500));
        assert_eq!(found["all"], [json!({"n": 1000, "sum": 19_500})]);
        assert!(
            found["low"]
                .iter()
                .all(|row| row["v"].as_i64().unwrap() < 20 && row["v"].as_i64().unwrap() % 2 == 0)
        );
        let rows = |node: &str| figures.iter().find(|figure| figure.node == node).unwrap().rows;
        let all = ["t", "s", "s.low", "s.middle", "s.high", "doubled", "count"].map(rows);
        assert_eq!(all, [1000, 1000, 250, 250, 500, 250, 1].map(Some));
    }
}

#[tokio::test]
async fn a_text_is_parsed_once_whatever_is_taken_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let engine = DataFusionEngine::new(EngineConfig::new(folder.path().join("spill")));
    let context = engine.session().unwrap();
    flights(&context);
    let flow = Flow::parse(&json!({
        "nodes": {
            "t": {"source": "flights"},
            "j": {"derive": {"text": "to_json(named_struct('a', id, 'b', v))"}, "from": "t"},
            "p": {"parse": {"column": "text", "as": {"a": "integer", "b": "integer"}, "expand": true}, "from": "j"},
            "f": {"filter": "a >= 0", "from": "p"},
        },
    }))
    .unwrap();
    let frame = Plan::over(&flow, context).for_run(&engine).node("f").await.unwrap();
    let plan = frame.into_optimized_plan().unwrap().display_indent().to_string();
    assert_eq!(plan.matches("parse_text_").count(), 1, "{plan}");
}

#[tokio::test]
async fn of_a_shared_node_only_the_columns_that_somebody_reads_are_kept() {
    let flow = json!({
        "nodes": {
            "t": {"source": "flights"},
            "a": {"select": ["id"], "from": "t"},
            "b": {"aggregate": {"values": {"n": "sum(v)"}}, "from": "t"},
        },
        "output": {"a": "a", "b": "b"},
    });
    let (found, _, reads) = run(1 << 30, flow).await;
    assert_eq!(reads, [["id", "v"]]);
    assert_eq!((found["a"].len(), &found["b"][0]), (1000, &json!({"n": 19_500})));
}

#[tokio::test]
async fn a_node_that_learns_reads_once_too_and_two_sources_of_a_table_are_one_read() {
    let flow = json!({
        "nodes": {
            "t": {"source": "flights"},
            "u": {"source": "flights"},
            "n": {"normalize": {"v": "min_max"}, "from": "t"},
            "j": {"join": {"on": "id"}, "from": ["n", "u"]},
            "c": {"aggregate": {"values": {"n": "count(*)", "least": "min(v)", "most": "max(v)"}}, "from": "j"},
        },
        "output": "c",
    });
    let (found, _, reads) = run(1 << 30, flow).await;
    assert_eq!(reads.len(), 1, "{reads:?}");
    assert_eq!(found["data"], [json!({"n": 1000, "least": 0.0, "most": 1.0})]);
}

#[tokio::test]
async fn a_source_that_one_filter_reads_is_not_counted_and_everything_else_is() {
    let flow = json!({
        "nodes": {
            "t": {"source": "flights"},
            "f": {"filter": "v >= 30", "from": "t"},
            "l": {"limit": 5, "from": "f"},
        },
    });
    let (found, figures, reads) = run(1 << 30, flow).await;
    assert_eq!((found["data"].len(), reads.len()), (5, 1));
    let rows: Vec<_> = figures.iter().map(|figure| (figure.node.as_str(), figure.rows)).collect();
    assert_eq!(rows[0], ("t", None));
    assert_eq!(rows[2], ("l", Some(5)));
    assert!(rows[1].1.unwrap() >= 5, "{rows:?}");
}

fn problem(text: &str) -> Problem {
    let files = |_: &str| Err("no such file".to_owned());
    *Flow::read("flows/f.yaml", text, &files).unwrap_err()
}

async fn checked(text: &str) -> Vec<(String, u32, u32, u32)> {
    let folder = tempfile::tempdir().unwrap();
    let engine = DataFusionEngine::new(EngineConfig::new(folder.path().join("spill")));
    let files = |path: &str| {
        match path {
        "flows/trimmed.yaml" => Ok("parameters: {column: null}\nnodes:\n  t: {source: any}\n  d: {derive: {each: {match: {name: \"${{ parameters.column }}\"}, as: trim($$)}}, from: t}\noutput: d\n".to_owned()),
        _ => Err("no such file".to_owned()),
    }
    };
    let problems = Flow::check(&engine, "flows/f.yaml", text, &files).await;
    problems
        .into_iter()
        .map(|problem| {
            let place = problem.place.unwrap();
            (problem.message, place.line, place.column, place.length)
        })
        .collect()
}

const SOURCE: &str = "nodes:\n  t: {source: {name: t, columns: {id: integer, name: string, day: date}}}\n";

#[tokio::test]
async fn a_mistake_in_an_expression_is_told_with_its_column() {
    let flow = |node: &str| format!("{SOURCE}  x: {{{node}, from: t}}\n");
    // The column counts from the beginning of the line, in quotes or not.
    assert_eq!(
        checked(&flow("filter: id > 3 and nam = 'x'")).await,
        [("node `x`: there is no column `nam` in the condition".to_owned(), 3, 26, 3)]
    );
    assert_eq!(
        checked(&flow("filter: \"id > 3 and nam = 'x'\"")).await,
        [("node `x`: there is no column `nam` in the condition".to_owned(), 3, 27, 3)]
    );
    let found = checked(&flow("derive: {a: id + 1, b: sqrt(name) + 1}")).await;
    assert_eq!((found.len(), found[0].1, found[0].2), (1, 3, 30), "{found:?}");
    assert!(found[0].0.contains("the column `b`"), "{found:?}");
    let found = checked(&flow("filter: id + 1")).await;
    assert_eq!(found[0].0, "node `x`: the condition gives Int64, not true or false");
    let found =
        checked(&format!("{SOURCE}  x:\n    filter: |\n      id > 3\n      and foo(id)\n    from: t\n"))
            .await;
    assert_eq!((found[0].1, found[0].2, found.len()), (6, 11, 1), "{found:?}");
}

#[tokio::test]
async fn types_are_known_down_the_flow_and_each_mistake_is_told_once() {
    let text = format!(
        "{SOURCE}  a: {{derive: {{late: id > 3}}, from: t}}\n  b: {{filter: late, from: a}}\n  c: {{filter: latte, from: b}}\n  d: {{filter: late, from: c}}\n  e: {{select: [nothing], from: b}}\noutput: d\n"
    );
    let found: Vec<_> = checked(&text).await.into_iter().map(|(message, line, ..)| (message, line)).collect();
    assert_eq!(
        found,
        [
            ("node `c`: there is no column `latte` in the condition".to_owned(), 5),
            ("node `e`: there is no column `nothing` here".to_owned(), 7),
        ]
    );
}

#[tokio::test]
async fn nothing_is_said_where_columns_are_not_known_before_a_run() {
    let text = format!(
        "{SOURCE}  a: {{encode: {{name: one_hot}}, from: t}}\n  b: {{filter: name_x = 1, from: a}}\n"
    );
    assert_eq!(checked(&text).await, []);
    assert_eq!(checked("nodes:\n  t: {source: t}\n  b: {filter: anything, from: t}\n").await, []);
}

#[tokio::test]
async fn a_flowlet_is_its_nodes_and_its_parameters_are_given() {
    let node = "{flowlet: {file: flows/trimmed.yaml, with: {column: name}}, from: t}";
    let text = format!("{SOURCE}  f: {node}\n  x: {{filter: name = 'a', from: f}}\noutput: x\n");
    assert_eq!(checked(&text).await, []);
    let found = checked(&text.replace("column: name", "cols: name")).await;
    assert_eq!((found[0].0.as_str(), found[0].1), ("node `f`: the flow has no parameter `cols`", 3));
    let found = checked(&text.replace("with: {column: name}", "with: {}")).await;
    assert_eq!(found[0].0, "node `f`: the parameter `column` has no value");
    let found = checked(&text.replace("trimmed", "gone")).await;
    assert_eq!(found[0].0, "node `f`: cannot read `flows/gone.yaml`: no such file");
}

#[test]
fn an_output_may_not_have_a_name_of_the_step() {
    let problem = problem("nodes:\n  t: {source: t}\noutput: {rows: t}\n");
    assert_eq!(problem.message, "an output cannot be called `rows`: the step has one of that name");
    assert_eq!(problem.place.unwrap().line, 3);
}

#[tokio::test]
async fn the_document_of_what_was_learned_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let engine = DataFusionEngine::new(EngineConfig::new(folder.path().join("spill")));
    let context = engine.session().unwrap();
    flights(&context);
    let flow = json!({"flow": "prepare", "nodes": {
        "t": {"source": "flights"},
        "n": {"normalize": {"v": "z_score"}, "from": "t"},
        "e": {"encode": {"name": "ordinal"}, "from": "n"},
        "b": {"bin": {"id": {"quantiles": 4}}, "from": "e"},
    }});
    let flow = Flow::parse(&flow).unwrap();
    let mut plan = Plan::over(&flow, context);
    plan.node("b").await.unwrap();
    let document = plan.learned().unwrap();
    let (bytes, digest) = document.to_bytes().unwrap();
    assert_eq!(LearnedDocument::parse(&bytes).unwrap(), document);
    assert!(digest.starts_with("blake3:"));
    let newer = "it has version 2, and this program knows 1";
    let text = b"{\"millrace\": \"learned\", \"version\": 2, \"nodes\": {}}";
    assert_eq!(LearnedDocument::parse(text).unwrap_err(), newer);
}
