//! What comes from elsewhere is stored once, whole, and changes nothing that is here.

use millrace_metastore::experiments::{
    DatasetInput, ExperimentFull, ImportedModel, ImportedRun, LoggedModelRow, MetricRow, ModelLink,
    TrackedRunRow,
};
use millrace_metastore::registry::{ImportedRegistered, ModelVersionRow, RegisteredModelRow, is_deleted};
use millrace_metastore::traces::{ImportedTrace, Trace, TraceRow};

use crate::on_both;

const SOURCE: &str = "file:///mlruns";

fn experiment(id: i64, name: &str) -> ExperimentFull {
    ExperimentFull {
        id,
        name: name.to_owned(),
        created_at: 1_000,
        updated_at: 2_000,
        deleted: id == 9,
        deleted_at: None,
        artifact_location: None,
        tags: vec![("team".to_owned(), "a".to_owned())],
    }
}

fn run(id: &str) -> ImportedRun {
    let point = |step: i64| MetricRow {
        name: "loss".to_owned(),
        step,
        logged_at: step * 1_000,
        number: if step == 2 { f64::NAN } else { 0.5 },
    };
    let data = DatasetInput {
        name: "train".to_owned(),
        digest: "d".to_owned(),
        source_type: "local".to_owned(),
        source: "{}".to_owned(),
        schema: None,
        profile: None,
        context: Some("training".to_owned()),
        tags: r#"{"mlflow.data.context":"training"}"#.to_owned(),
    };
    ImportedRun {
        row: TrackedRunRow {
            id: id.to_owned(),
            experiment_id: 7,
            status: "KILLED".to_owned(),
            started_at: 5_000,
            ended_at: Some(6_000),
            deleted: true,
            ..TrackedRunRow::default()
        },
        points: (0..5).map(point).collect(),
        params: vec![("depth".to_owned(), "7".to_owned())],
        tags: vec![("mlflow.runName".to_owned(), "one".to_owned()), ("t".to_owned(), "u".to_owned())],
        datasets: vec![data],
        models: vec![ModelLink { direction: "output", model_id: "m-1".to_owned(), step: 3 }],
    }
}

#[tokio::test]
async fn what_is_imported_twice_is_there_once() {
    on_both(|store| {
        Box::pin(async move {
            store.begin_import(SOURCE.to_owned(), 1).await.unwrap();
            let import = |number, one| store.import_experiment(SOURCE.to_owned(), number, one);
            assert_eq!(import(0, experiment(0, "Default")).await.unwrap(), 0);
            assert_eq!(import(7, experiment(7, "seven")).await.unwrap(), 7);
            assert_eq!(import(8, experiment(7, "eight")).await.unwrap(), 8);
            assert!(import(9, experiment(9, "seven")).await.unwrap_err().is_unique_violation());
            let known = store.find_import(SOURCE.to_owned()).await.unwrap().unwrap();
            let mut numbers: Vec<(i64, i64)> = known.experiments.into_iter().collect();
            numbers.sort_unstable();
            assert_eq!(numbers, [(0, 0), (7, 7), (8, 8)]);

            let (one, two) = ("1".repeat(32), "2".repeat(32));
            assert_eq!(store.import_tracked_runs(vec![run(&one)]).await.unwrap(), 1);
            assert_eq!(store.import_tracked_runs(vec![run(&one), run(&two)]).await.unwrap(), 1);
            let whole = store.list_whole_runs(vec![7], 0, 10).await.unwrap();
            assert_eq!(whole.len(), 2);
            let found = &whole[0].1;
            assert_eq!((found.row.name.as_str(), found.row.deleted, found.points.len()), ("one", true, 5));
            assert_eq!(
                (&found.params, &found.datasets, &found.models),
                (&run(&one).params, &run(&one).datasets, &run(&one).models)
            );
            assert_eq!(store.find_whole_runs(vec![two]).await.unwrap().len(), 1);

            let row = LoggedModelRow {
                id: "m-1".to_owned(),
                experiment_id: 7,
                name: "model".to_owned(),
                model_type: String::new(),
                source_run_id: one,
                status: "LOGGED_MODEL_READY".to_owned(),
                created_at: 1,
                updated_at: 2,
                artifact_location: None,
            };
            let texts = vec![("tag".to_owned(), "k".to_owned(), "v".to_owned())];
            let model = ImportedModel { row, deleted: true, texts, metrics: Vec::new() };
            assert_eq!(store.import_logged_models(vec![model.clone()]).await.unwrap(), 1);
            assert_eq!(store.import_logged_models(vec![model.clone()]).await.unwrap(), 0);
            assert_eq!(store.find_whole_models(vec!["m-1".to_owned()]).await.unwrap(), [model]);
        })
    })
    .await;
}

#[tokio::test]
async fn registered_models_and_traces_come_with_everything() {
    on_both(|store| {
        Box::pin(async move {
            store.begin_import(SOURCE.to_owned(), 1).await.unwrap();
            let version = |number: i64, stage: &str| ModelVersionRow {
                name: "a".to_owned(),
                version: number,
                stage: stage.to_owned(),
                source: "s3://b/a".to_owned(),
                ..ModelVersionRow::default()
            };
            let row = RegisteredModelRow {
                name: "a".to_owned(),
                aliases: vec![("best".to_owned(), 1)],
                created_at: 5,
                ..RegisteredModelRow::default()
            };
            let mut model = ImportedRegistered { row, versions: vec![(version(1, "Production"), None)] };
            let import = |model: &ImportedRegistered| {
                store.import_registered_model(SOURCE.to_owned(), "a".to_owned(), model.clone())
            };
            assert!(import(&model).await.unwrap());
            // A later look at the source finds a version that was deleted there, whose number is not given again.
            model.versions.push((version(2, "Deleted_Internal"), None));
            assert!(!import(&model).await.unwrap());
            let whole = store.find_whole_registered("a".to_owned()).await.unwrap();
            let seen: Vec<_> = whole.versions.iter().map(|(one, _)| (one.version, is_deleted(one))).collect();
            assert_eq!(
                (seen, whole.row.aliases),
                (vec![(1, false), (2, true)], vec![("best".to_owned(), 1)])
            );

            let row = TraceRow { id: "tr-1".to_owned(), state: "OK".to_owned(), ..TraceRow::default() };
            let trace = ImportedTrace {
                trace: Trace { row, tags: vec![("k".to_owned(), "v".to_owned())], ..Trace::default() },
                lines: b"{}\n".to_vec(),
                links: vec![("run".to_owned(), "r".to_owned())],
                ..ImportedTrace::default()
            };
            assert_eq!(store.import_traces(vec![trace.clone()]).await.unwrap(), 1);
            assert_eq!(store.import_traces(vec![trace.clone()]).await.unwrap(), 0);
            let found = store.list_every_trace(vec![0], String::new(), 10).await.unwrap();
            assert_eq!(found, [trace.trace]);
            let links = store.list_trace_links(vec!["tr-1".to_owned()]).await.unwrap();
            assert_eq!(links["tr-1"], trace.links);
            let lines = store.read_span_lines(vec!["tr-1".to_owned()]).await.unwrap();
            assert_eq!(lines["tr-1"], trace.lines);
        })
    })
    .await;
}
