use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    CatalogError, ColumnOrigin, DatasetCatalog, DatasetVersion, NewDatasetVersion, Progress, ProgressSink,
    StepContext, StepKind as _, StepLog, StepOutcome,
};
use millrace_spec::asset::{Asset, AssetType};
use millrace_transform::steps::{FlowStep, SplitStep, SqlStep};
use millrace_transform::{DataFusionEngine, EngineConfig};
use serde_json::{Value, json};

/// Keeps what was committed.
pub(crate) struct Catalog {
    root: String,
    kept: Mutex<Vec<NewDatasetVersion>>,
}

#[async_trait]
impl DatasetCatalog for Catalog {
    fn location(&self, name: &str) -> Result<String, CatalogError> {
        Ok(format!("{}/{name}", self.root))
    }

    async fn commit(&self, new: NewDatasetVersion) -> Result<DatasetVersion, CatalogError> {
        self.kept.lock().unwrap().push(new.clone());
        let asset = Asset { name: Some(new.name), version: Some(1), ..new.asset };
        Ok(DatasetVersion {
            asset,
            schema: new.schema,
            profile: new.profile,
            producer: new.producer,
            inputs: new.inputs,
            created_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        })
    }

    async fn resolve(&self, reference: &str) -> Result<DatasetVersion, CatalogError> {
        Err(CatalogError::NotFound { kind: "dataset", reference: reference.to_owned(), suggestion: None })
    }

    async fn list(&self) -> Result<Vec<DatasetVersion>, CatalogError> {
        Ok(Vec::new())
    }

    async fn versions(&self, _: &str) -> Result<Vec<DatasetVersion>, CatalogError> {
        Ok(Vec::new())
    }
}

struct Quiet;
impl StepLog for Quiet {
    fn line(&self, _: &str) {}
}
impl ProgressSink for Quiet {
    fn report(&self, _: Progress) {}
}

pub(crate) fn context(folder: &Path, config: Value, inputs: &[(&str, Value)]) -> StepContext {
    StepContext {
        run_id: "0".repeat(32),
        pipeline: "late".to_owned(),
        step: "clean".to_owned(),
        attempt: 1,
        idempotency_key: String::new(),
        workspace: folder.to_owned(),
        folder: folder.to_owned(),
        config,
        inputs: inputs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        outputs: IndexMap::new(),
        environment: None,
        env: IndexMap::new(),
        secrets: Vec::new(),
        timeout_ms: None,
        tracking_run_id: String::new(),
        cancel: tokio_util::sync::CancellationToken::new(),
        log: Arc::new(Quiet),
        progress: Arc::new(Quiet),
    }
}

pub(crate) fn setup(folder: &Path) -> (DataFusionEngine, Arc<Catalog>, Asset) {
    let mut csv = String::from("id,month,delay\n");
    for id in 0..200 {
        csv += &format!("{id},{},{}\n", id % 12 + 1, id % 40);
    }
    std::fs::write(folder.join("flights.csv"), csv).unwrap();
    let asset = Asset {
        kind: AssetType::File,
        name: None,
        version: None,
        uri: format!("file://{}", folder.join("flights.csv").display()),
        delta_version: None,
        digest: "blake3:0".to_owned(),
        rows: None,
        size_bytes: None,
    };
    let root = format!("file://{}", folder.join("datasets").display());
    let catalog = Arc::new(Catalog { root, kept: Mutex::default() });
    (DataFusionEngine::new(EngineConfig::new(folder.join("spill"))), catalog, asset)
}

#[tokio::test]
async fn sql_binds_values_and_records_schema_profile_and_lineage() {
    let temp = tempfile::tempdir().unwrap();
    let (engine, catalog, flights) = setup(temp.path());
    let step = SqlStep::new(engine, catalog.clone());
    let config = json!({"text": "select month, count(*) as n from flights where month <= $1 group by month", "params": [3]});
    let outcome = step.run(context(temp.path(), config, &[("flights", flights.to_value())])).await.unwrap();
    assert_eq!(outcome.outputs["rows"], json!(3));
    let kept = catalog.kept.lock().unwrap();
    assert_eq!(kept[0].name, "late_clean");
    assert_eq!(kept[0].profile.as_ref().unwrap().rows, 3);
    assert_eq!(kept[0].inputs[0].name, flights.uri);
    assert_eq!(kept[0].schema[0], json!({"name": "month", "type": "Int64", "nullable": true}));
}

/// The origins of columns, a line each: `column: table.column use, …`; what says which rows there are comes last.
fn told(outcome: &StepOutcome, dataset: &str) -> Vec<String> {
    let Some(lineage) = outcome.columns.iter().find(|lineage| lineage.dataset == dataset) else {
        return Vec::new();
    };
    let line = |name: &str, origins: &[ColumnOrigin]| {
        let origins = origins.iter().map(|origin| {
            let use_as = json!(origin.use_as);
            format!("{} {}", origin.column, use_as.as_str().unwrap())
        });
        format!("{name}: {}", origins.collect::<Vec<_>>().join(", "))
    };
    let columns = lineage.columns.iter().map(|(name, origins)| line(name, origins));
    columns.chain([line("rows", &lineage.rows)]).collect()
}

#[tokio::test]
async fn columns_are_followed_through_queries_and_flows() {
    let temp = tempfile::tempdir().unwrap();
    let (engine, catalog, flights) = setup(temp.path());
    let inputs = [("flights", flights.to_value())];
    let step = SqlStep::new(engine.clone(), catalog.clone());
    let sql = "with late as (select month, delay * 60 as seconds, 1 as one from flights where delay > 15) \
               select month, sum(seconds) as seconds, max(one) as one, (select max(delay) from flights) as most \
               from late where month in (select month from flights) group by month order by 2";
    let outcome = step.run(context(temp.path(), json!(sql), &inputs)).await.unwrap();
    assert_eq!(
        told(&outcome, "late_clean"),
        [
            "month: month identity",
            "seconds: delay aggregation",
            "one: ",
            "most: delay aggregation",
            "rows: delay filter, delay sort, month filter, month group_by",
        ]
    );
    let recursive =
        "with recursive n as (select 1 as i union all select i + 1 from n where i < 3) select i from n";
    let outcome = step.run(context(temp.path(), json!(recursive), &inputs)).await.unwrap();
    assert_eq!(outcome.columns, [], "half a lineage is none");
    // A node that two others read is a table of its own in the plan.
    let nodes = json!({
        "flights": {"source": "flights"},
        "late": {"filter": "delay > 15", "from": "flights"},
        "by_month": {"aggregate": {"by": ["month"], "values": {"n": "count(*)"}}, "from": "late"},
        "both": {"join": {"on": ["month"]}, "from": ["late", "by_month"]},
    });
    let step = FlowStep::new(engine, catalog.clone());
    let config = json!({"nodes": nodes, "output": "both", "to": "data:both"});
    let outcome = step.run(context(temp.path(), config, &inputs)).await.unwrap();
    let told = told(&outcome, "both");
    assert!(told.contains(&"month: month identity".to_owned()), "{told:?}");
    assert!(told.contains(&"n: ".to_owned()), "{told:?}");
    assert_eq!(told.last().unwrap(), "rows: delay filter, month join, month group_by");
}

#[tokio::test]
async fn sql_that_does_more_than_read_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let (engine, catalog, flights) = setup(temp.path());
    let step = SqlStep::new(engine, catalog.clone());
    for sql in [
        "drop table flights",
        "copy flights to 'x.csv'",
        "set a = 1",
        "select 1; select 2",
        "create external table t stored as csv location '/etc/passwd'",
        "select * from '/etc/passwd'",
    ] {
        let error =
            step.run(context(temp.path(), json!(sql), &[("flights", flights.to_value())])).await.unwrap_err();
        assert_eq!(error.problem.code, "sql-plan", "{sql}: {}", error.problem.message);
    }
    assert!(catalog.kept.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_flow_file_runs_with_places_in_its_errors() {
    let temp = tempfile::tempdir().unwrap();
    let (engine, catalog, flights) = setup(temp.path());
    let flow = "flow: clean\nnodes:\n  flights: {source: flights}\n  late: {filter: delay > 15, from: flights}\noutput: late\n";
    std::fs::write(temp.path().join("clean.yaml"), flow).unwrap();
    std::fs::write(temp.path().join("bad.yaml"), flow.replace("filter:", "fliter:")).unwrap();
    let step = FlowStep::new(engine, catalog.clone());
    let inputs = [("flights", flights.to_value())];
    let config = json!({"file": "clean.yaml", "to": "data:cleaned"});
    let outcome = step.run(context(temp.path(), config, &inputs)).await.unwrap();
    assert_eq!(outcome.outputs["rows"], json!(120));
    assert_eq!(catalog.kept.lock().unwrap()[0].name, "cleaned");
    let nodes = outcome.outputs["nodes"].as_array().unwrap();
    let figures: Vec<_> = nodes.iter().map(|node| (&node["node"], &node["kind"], &node["rows"])).collect();
    let expected =
        [(json!("flights"), json!("source"), Value::Null), (json!("late"), json!("filter"), json!(120))];
    assert_eq!(figures, expected.each_ref().map(|(node, kind, rows)| (node, kind, rows)));
    assert!(nodes.iter().all(|node| node["busy_ms"].as_f64().is_some()), "{nodes:?}");
    let error = step.run(context(temp.path(), json!("bad.yaml"), &inputs)).await.unwrap_err();
    assert_eq!(error.problem.message, "node `late`: there is no transform `fliter`");
    assert_eq!(error.problem.hints, ["did you mean `filter`?"]);
    assert_eq!(error.problem.place.unwrap().line, 4);
    let error = step.run(context(temp.path(), json!("../x.yaml"), &inputs)).await.unwrap_err();
    assert_eq!(error.problem.message, "the flow file `../x.yaml` is outside the workspace");
}

#[tokio::test]
async fn a_split_is_complete_disjoint_and_the_same_each_time() {
    let temp = tempfile::tempdir().unwrap();
    let (engine, catalog, flights) = setup(temp.path());
    let step = SplitStep::new(Arc::new(engine), catalog.clone());
    let rows = |value: &Value| value["rows"].as_u64().unwrap();
    let by = json!({"data": flights.to_value(), "by": {"column": "month", "train": {"from": 1, "to": 6}, "test": [7, 8]}});
    let outcome = step.run(context(temp.path(), by, &[])).await.unwrap();
    assert_eq!((rows(&outcome.outputs["train"]), rows(&outcome.outputs["test"])), (102, 34));
    let chance = json!({"data": flights.to_value(), "fractions": {"train": 0.75, "test": 0.25}, "seed": 7, "stratify": "month"});
    let first = step.run(context(temp.path(), chance.clone(), &[])).await.unwrap();
    let second = step.run(context(temp.path(), chance, &[])).await.unwrap();
    assert_eq!(rows(&first.outputs["train"]) + rows(&first.outputs["test"]), 200);
    assert_eq!(first.outputs["train"]["digest"], second.outputs["train"]["digest"]);
    let bad = json!({"data": flights.to_value(), "by": {"column": "mnth", "train": [1]}});
    let error = step.run(context(temp.path(), bad, &[])).await.unwrap_err();
    assert_eq!(error.problem.hints, ["did you mean `month`?"]);
}
