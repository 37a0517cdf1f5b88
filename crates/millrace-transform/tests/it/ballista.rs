//! The same flows and queries here and on a cluster, row for row: a scheduler and two executors of Ballista, as `millrace ballista` starts them.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use millrace_contract::{
    Cluster, EngineElsewhere, FlowPreview, RemoteEngines, StepError, StepKind as _, TableRef,
};
use millrace_transform::ballista::{BallistaSettings, Executor, Scheduler};
use millrace_transform::flow::{Flow, Plan};
use millrace_transform::steps::{FlowStep, SqlStep};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::elsewhere::{One, cases, differences, engine, here, ordered};
use crate::steps::{context, setup};

/// A cluster that ends with the test.
struct Nodes {
    cluster: Cluster,
    tasks: Vec<JoinHandle<()>>,
}

impl Nodes {
    async fn start(folder: &Path) -> Self {
        let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let scheduler = Scheduler::bind(&engine(folder), local, None).await.unwrap();
        let address = scheduler.address().unwrap();
        let mut tasks = vec![tokio::spawn(async move { scheduler.serve().await.unwrap() })];
        for number in 0..2 {
            let work_folder = folder.join(format!("executor-{number}"));
            std::fs::create_dir_all(&work_folder).unwrap();
            let executor = Executor {
                scheduler: ("127.0.0.1".to_owned(), address.port()),
                listen: free(),
                control_port: free().port(),
                advertise: None,
                cores: Some(2),
                memory_bytes: 256 << 20,
                work_folder,
            };
            let engine = engine(folder);
            tasks.push(tokio::spawn(async move { executor.serve(&engine).await.unwrap() }));
        }
        let settings = json!({"ballista": {"url": format!("df://{address}"), "partitions": 4}});
        let cluster = BallistaSettings::read("cluster", &settings).unwrap().unwrap();
        Self { cluster, tasks }
    }

    fn engines(&self) -> Arc<dyn RemoteEngines> {
        Arc::new(One(EngineElsewhere::Cluster(self.cluster.clone())))
    }
}

/// An address that nobody listens at.
fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// What a step with a flow leaves, as rows.
async fn there(
    flow: &Value,
    tables: &IndexMap<String, TableRef>,
    nodes: &Nodes,
    folder: &Path,
) -> Result<Vec<Value>, String> {
    let flow = Flow::parse(flow).unwrap();
    let told = |error: millrace_transform::flow::PlanError| error.problem_in(None, "").message;
    let mut plan = Plan::on_cluster(&engine(folder), &flow, tables, &nodes.cluster).await.map_err(told)?;
    let (_, rows) = plan.sent(|_, _| ()).await.map_err(told)?.remove(0);
    let rows = rows.collect().await.map_err(|error| error.to_string())?;
    Ok(millrace_transform::rows::to_json(&rows))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_gives_the_rows_of_the_local_engine() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = Nodes::start(folder.path()).await;
    let mut wrong = String::new();
    let mut count = 0;
    // Two runs of a flow that asks for the time see two times.
    for case in cases().into_iter().filter(|case| case.title != "this moment") {
        let temp = tempfile::tempdir().unwrap();
        let expected = ordered(here(&case, temp.path()).await);
        let (flow, tables) = (case.flow(), case.tables(temp.path()));
        let asked = there(&flow, &tables, &nodes, folder.path());
        match tokio::time::timeout(Duration::from_secs(60), asked).await {
            Ok(Ok(found)) => {
                let differ = differences(&expected, &ordered(found));
                if !differ.is_empty() {
                    writeln!(wrong, "## {}\n{differ}", case.title).unwrap();
                }
            }
            Ok(Err(told)) => writeln!(wrong, "## {}\n{told}", case.title).unwrap(),
            Err(_) => writeln!(wrong, "## {}\nno rows within a minute", case.title).unwrap(),
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 40, "only {count} cases were compared");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_leaves_the_same_dataset_on_a_cluster() {
    let temp = tempfile::tempdir().unwrap();
    let (engine, catalog, flights) = setup(temp.path());
    let nodes = Nodes::start(temp.path()).await;
    let sql = SqlStep::new(engine.clone(), catalog.clone()).with_remotes(nodes.engines());
    let query = "select id, month, delay, delay / 7.0 as share, date '2026-01-01' as day from flights";
    let first =
        sql.run(context(temp.path(), json!(query), &[("flights", flights.to_value())])).await.unwrap();
    let table = first.outputs["data"].clone();
    let flow = json!({
        "flights": {"source": "flights"},
        "filled": {"fill_missing": {"delay": "median"}, "from": "flights"},
        "scaled": {"normalize": {"delay": "z_score"}, "from": "filled"},
        "months": {"aggregate": {"by": "month", "values": {"n": "count(*)", "last": "max(day)", "worst": "max(id)"}}, "from": "scaled"},
        "joined": {"join": {"on": "month"}, "from": ["scaled", "months"]},
        "out": {"sort": "id", "from": "joined"},
    });
    let step = FlowStep::new(engine, catalog.clone()).with_remotes(nodes.engines());
    let mut seen = Vec::new();
    for engine in [
        json!("local"),
        json!("cluster"),
        json!({"ballista": "cluster"}),
        json!({"auto": "cluster", "above": "1B"}),
    ] {
        let config = json!({"nodes": flow, "output": "out", "to": "data:months", "engine": engine});
        let outcome = step.run(context(temp.path(), config, &[("flights", table.clone())])).await;
        let outcome = outcome.unwrap_or_else(|error| panic!("{engine}: {}", error.problem.message));
        assert_eq!(outcome.outputs["rows"], json!(200), "{engine}");
        assert!(!outcome.columns.is_empty(), "where the columns come from");
        seen.push((outcome.outputs["data"]["digest"].clone(), outcome.outputs["engine"]["name"].clone()));
    }
    let names: Vec<&Value> = seen.iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["local", "cluster", "cluster", "cluster"]);
    assert!(seen.iter().all(|(digest, _)| *digest == seen[0].0), "{seen:?}");

    // SQL with a value, over the same version; and one that is known to have no rows.
    let config = |sql: &str, engine: &str| json!({"query": {"text": sql, "params": [3]}, "to": "data:few", "engine": engine});
    for sql_text in [
        "select month, count(*) as n from flights where month in (select max(month) from flights) and delay > $1 group by month order by month",
        "select month from flights where delay > $1 and month not in (select month from flights where id > 3) order by month",
        "select month, delay from flights where $1 > 5",
    ] {
        let mut digests = Vec::new();
        for engine in ["local", "cluster"] {
            let asked = context(temp.path(), config(sql_text, engine), &[("flights", table.clone())]);
            let outcome = sql.run(asked).await;
            let outcome = outcome.unwrap_or_else(|error| panic!("{engine}: {}", error.problem.message));
            digests.push(outcome.outputs["data"]["digest"].clone());
        }
        assert_eq!(digests[0], digests[1], "{sql_text}");
    }
    let wrong = config("select 1 / (id - id) as x from flights where delay < $1", "cluster");
    let error = sql.run(context(temp.path(), wrong, &[("flights", table.clone())])).await.unwrap_err();
    assert!(error.problem.message.contains("DivideByZero"), "{}", error.problem.message);
    let spark = json!({"query": "select 1 as x", "engine": {"spark": "cluster"}});
    let error = sql.run(context(temp.path(), spark, &[])).await.unwrap_err();
    assert_eq!(error.problem.message, "`cluster` is not a `spark` connection");
}

/// Functions that have settings, of the engine's own kind, and rows that a node makes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_known_by_its_name_travels_to_a_cluster() {
    let temp = tempfile::tempdir().unwrap();
    let nodes = Nodes::start(temp.path()).await;
    let mut csv = String::from("id,late,text\n");
    for id in 0..60 {
        writeln!(
            csv,
            "{id},{},\"{{\"\"n\"\": {}, \"\"tags\"\": [\"\"a{id}\"\"]}}\"",
            u8::from(id % 6 == 0),
            id * 3
        )
        .unwrap();
    }
    std::fs::write(temp.path().join("t.csv"), csv).unwrap();
    let uri = format!("file://{}", temp.path().join("t.csv").display());
    let tables = IndexMap::from([("t".to_owned(), TableRef::Csv { uri })]);
    let flow = json!({"nodes": {
        "t": {"source": "t"},
        "read": {"parse": {"column": "text", "as": {"n": "integer", "tags": ["string"]}, "expand": true}, "from": "t"},
        "some": {"select": ["late", "n"], "from": "read"},
        "more": {"smote": {"target": "late", "neighbours": 2, "seed": 7}, "from": "some"},
        "out": {"aggregate": {"by": "late", "values": {"rows": "count(*)", "sum": "sum(n)", "skew": "skewness(n)"}}, "from": "more"},
    }, "output": "out"});
    let here = FlowPreview::preview_flow(&engine(temp.path()), &flow, &tables, "out", 100).await.unwrap();
    let here = ordered(here.rows.into_iter().map(Value::Object).collect());
    let there = ordered(there(&flow, &tables, &nodes, temp.path()).await.unwrap());
    assert_eq!(here.len(), 2);
    assert_eq!(here[0]["rows"], here[1]["rows"], "rows were made");
    assert_eq!(differences(&here, &there), "");
}

/// All places of all executors are taken by work without an end; when nobody waits for it any more, others get them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn work_that_nobody_waits_for_ends_on_the_executors_too() {
    let temp = tempfile::tempdir().unwrap();
    let nodes = Nodes::start(temp.path()).await;
    let rows: String = (0..3000).map(|id| format!("{id},{}\n", id % 4)).collect();
    std::fs::write(temp.path().join("t.csv"), format!("id,k\n{rows}")).unwrap();
    let uri = format!("file://{}", temp.path().join("t.csv").display());
    let tables = IndexMap::from([("t".to_owned(), TableRef::Csv { uri })]);
    let source = json!({"source": {"name": "t", "columns": {"id": "integer", "k": "integer"}}});
    let joined = |join: Value| {
        json!({"nodes": {
            "t": source,
            "pairs": {"join": join, "from": ["t", "t"]},
            "two": {"select": ["id", "k"], "from": "pairs"},
            "triples": {"join": join, "from": ["t", "two"]},
            "three": {"select": ["id", "k"], "from": "triples"},
            "four": {"join": join, "from": ["t", "three"]},
            "out": {"aggregate": {"by": "k", "values": {"rows": "count(*)", "most": "max(id)"}}, "from": "four"},
        }, "output": "out"})
    };
    let few = json!({"nodes": {
        "t": source,
        "out": {"aggregate": {"by": "k", "values": {"rows": "count(*)"}}, "from": "t"},
    }, "output": "out"});
    // One that has many tasks in its second stage, and four that have one in their first.
    for (join, jobs) in [(json!({"on": "k"}), 1), (json!({"how": "cross"}), 4)] {
        let flow = joined(join);
        let endless = (0..jobs).map(|_| there(&flow, &tables, &nodes, temp.path()));
        let endless = futures::future::select_all(endless.map(Box::pin));
        if let Ok((ended, ..)) = tokio::time::timeout(Duration::from_secs(5), endless).await {
            panic!("it ended by itself: {ended:?}");
        }
        let asked = there(&few, &tables, &nodes, temp.path());
        let found = tokio::time::timeout(Duration::from_secs(60), asked).await.expect("no place became free");
        assert_eq!(found.unwrap().len(), 4);
        let idle = async {
            loop {
                let before = processor_ticks();
                tokio::time::sleep(Duration::from_millis(500)).await;
                if processor_ticks() - before < 20 {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), idle).await.expect("the work goes on without a place");
    }
}

/// What this process has used of the processor, hundredths of a second.
fn processor_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The second field is the name, which may have spaces; user and system time are the 14th and 15th.
    let fields = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_more_than_files_is_refused_before_anything_is_sent() {
    let temp = tempfile::tempdir().unwrap();
    let nodes = Nodes::start(temp.path()).await;
    let log = temp.path().join("t/_delta_log");
    std::fs::create_dir_all(&log).unwrap();
    let field = |name: &str| json!({"name": name, "type": "long", "nullable": true, "metadata": {}});
    let schema = json!({"type": "struct", "fields": [field("id"), field("part")]});
    let actions = [
        json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
        json!({"metaData": {"id": "t", "format": {"provider": "parquet", "options": {}}, "schemaString": schema.to_string(), "partitionColumns": ["part"], "configuration": {}, "createdTime": 0}}),
        json!({"add": {"path": "part=1/a.parquet", "partitionValues": {"part": "1"}, "size": 1, "modificationTime": 0, "dataChange": true}}),
    ];
    let text: String = actions.iter().map(|action| format!("{action}\n")).collect();
    std::fs::write(log.join("00000000000000000000.json"), text).unwrap();
    let uri = format!("file://{}", temp.path().join("t").display());
    let tables = IndexMap::from([("t".to_owned(), TableRef::Delta { uri, version: 0 })]);
    let flow =
        json!({"nodes": {"t": {"source": "t"}, "out": {"filter": "id > 1", "from": "t"}}, "output": "out"});
    let told = there(&flow, &tables, &nodes, temp.path()).await.unwrap_err();
    assert_eq!(
        told,
        "cannot read the table `t`: `cluster` reads files, and Delta tables without partitions, deletion vectors and renamed columns; `engine: local` reads this one"
    );
}

#[tokio::test]
async fn a_scheduler_that_is_away_is_worth_another_try() {
    let temp = tempfile::tempdir().unwrap();
    let (engine, catalog, flights) = setup(temp.path());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = json!({"ballista": {"url": format!("df://127.0.0.1:{port}")}});
    let cluster = BallistaSettings::read("cluster", &settings).unwrap().unwrap();
    let sql = SqlStep::new(engine, catalog).with_remotes(Arc::new(One(EngineElsewhere::Cluster(cluster))));
    let config = json!({"query": "select id from flights", "engine": "cluster"});
    let error: StepError =
        sql.run(context(temp.path(), config, &[("flights", flights.to_value())])).await.unwrap_err();
    assert!(
        error.problem.message.contains("the engine `cluster` at http://127.0.0.1:"),
        "{}",
        error.problem.message
    );
    assert!(error.problem.message.contains("cannot be reached"), "{}", error.problem.message);
    assert!(error.transient, "a restart must not fail it for good");
}
