//! Experiments, runs and their search.

use millrace_metastore::Metastore;
use millrace_metastore::MetastoreError;
use millrace_metastore::experiments::{
    Attribute, Clause, Compare, Condition, Field, MetricRow, NAME_TAG, Order, PARENT_TAG, ParamRule, Query,
    Refusal, Spread, TrackedBatch, TrackedRunRow, View,
};

use crate::on_both;

fn point(name: &str, step: i64, logged_at: i64, number: f64) -> MetricRow {
    MetricRow { name: name.to_owned(), step, logged_at, number }
}

fn of(experiment: i64) -> Query {
    Query { experiments: vec![experiment], limit: 10, ..Query::default() }
}

fn text(family: &str, name: &str, content: &str) -> (String, String, String) {
    (family.to_owned(), name.to_owned(), content.to_owned())
}

async fn begin(store: &Metastore, id: &str, experiment_id: i64, started_at: i64) {
    let row = TrackedRunRow {
        id: id.to_owned(),
        experiment_id,
        name: format!("name of {id}"),
        status: "RUNNING".to_owned(),
        started_at,
        ..TrackedRunRow::default()
    };
    store.create_tracked_run(row, Vec::new()).await.unwrap();
}

async fn log(store: &Metastore, id: &str, metrics: Vec<MetricRow>, texts: Vec<(String, String, String)>) {
    let batch = TrackedBatch { metrics, texts, params: ParamRule::Keep, ..TrackedBatch::default() };
    store.log_tracked_batch(id.to_owned(), batch).await.unwrap();
}

async fn latest(store: &Metastore, id: &str) -> Vec<(String, f64)> {
    let run = store.find_tracked_run(id.to_owned()).await.unwrap().unwrap();
    run.values.metrics.into_iter().map(|point| (point.name, point.number)).collect()
}

#[tokio::test]
async fn the_latest_point_has_the_greatest_step_and_repeats_are_dropped() {
    on_both(|store| {
        Box::pin(async move {
            begin(&store, "r", 0, 1).await;
            let points = || {
                vec![
                    point("m", 2, 10_000, 1.0),
                    point("m", 1, 20_000, 9.0),
                    point("m", 2, 10_000, 3.0),
                    point("m", 2, 10_000, 3.0),
                    point("inf", 0, 1, f64::INFINITY),
                    point("nan", 0, 1, f64::NAN),
                ]
            };
            log(&store, "r", points(), Vec::new()).await;
            log(&store, "r", points(), Vec::new()).await;
            log(&store, "r", vec![point("m", 1, 99_000, 50.0)], Vec::new()).await;
            let found = latest(&store, "r").await;
            assert_eq!(found[0], ("inf".to_owned(), f64::MAX));
            assert_eq!(found[1], ("m".to_owned(), 3.0));
            assert!(found[2].1.is_nan());
            assert_eq!(store.list_tracked_metrics("r".to_owned(), None).await.unwrap().len(), 6);
            // "Not a number" counts as 0: it gives way to 1 and stays before -1 at the same step and time.
            log(&store, "r", vec![point("nan", 0, 1, -1.0)], Vec::new()).await;
            assert!(latest(&store, "r").await[2].1.is_nan());
            log(&store, "r", vec![point("nan", 0, 1, 1.0)], Vec::new()).await;
            assert_eq!(latest(&store, "r").await[2].1, 1.0);
            let mut history = Vec::new();
            let mut after = None;
            loop {
                let page = store.list_metric_history("r".to_owned(), "m".to_owned(), after, 2).await.unwrap();
                after = page.last().cloned();
                history.extend(page.iter().map(|point| point.number));
                if page.len() < 2 {
                    break;
                }
            }
            assert_eq!(history, [1.0, 3.0, 9.0, 50.0]);
        })
    })
    .await;
}

#[tokio::test]
async fn a_batch_is_stored_whole_or_not_at_all() {
    on_both(|store| {
        Box::pin(async move {
            begin(&store, "r", 0, 1).await;
            log(&store, "r", Vec::new(), vec![text("param", "a", "1")]).await;
            log(&store, "r", Vec::new(), vec![text("param", "a", "1")]).await;
            let batch = TrackedBatch {
                metrics: vec![point("m", 0, 1, 1.0)],
                texts: vec![text("param", "b", "2"), text("tag", "t", "x"), text("param", "a", "2")],
                params: ParamRule::Keep,
                ..TrackedBatch::default()
            };
            let refused = store.log_tracked_batch("r".to_owned(), batch.clone()).await;
            assert!(matches!(refused, Err(MetastoreError::Refused(Refusal::ParamChanged { .. }))));
            let values = store.find_tracked_run("r".to_owned()).await.unwrap().unwrap().values;
            assert_eq!((values.params, values.tags), (vec![("a".to_owned(), "1".to_owned())], Vec::new()));
            assert_eq!(store.list_tracked_metrics("r".to_owned(), None).await.unwrap(), []);
            // A step of our own that is tried again may change its parameters.
            let again = TrackedBatch { params: ParamRule::Replace, ..batch };
            store.log_tracked_batch("r".to_owned(), again).await.unwrap();
            store.delete_tracked_run("r".to_owned(), 1).await.unwrap();
            let refused = store.log_tracked_batch("r".to_owned(), TrackedBatch::default()).await;
            assert!(matches!(refused, Err(MetastoreError::Refused(Refusal::RunDeleted { .. }))));
            let refused = store.log_tracked_batch("none".to_owned(), TrackedBatch::default()).await;
            assert!(matches!(refused, Err(MetastoreError::Refused(Refusal::NoRun { .. }))));
        })
    })
    .await;
}

#[tokio::test]
async fn an_experiment_takes_its_runs_along() {
    on_both(|store| {
        Box::pin(async move {
            let id = store.create_experiment("a".to_owned(), None, Vec::new(), 5).await.unwrap();
            assert_eq!(id, 1);
            begin(&store, "r", id, 1).await;
            let taken = store.create_experiment("a".to_owned(), None, Vec::new(), 6).await;
            assert!(matches!(taken, Err(MetastoreError::Refused(Refusal::NameTaken { deleted: false, .. }))));
            store.delete_experiment(id, 7).await.unwrap();
            assert!(store.find_tracked_run("r".to_owned()).await.unwrap().unwrap().deleted);
            assert_eq!(store.list_experiments().await.unwrap(), []);
            assert_eq!(store.search_runs(of(id), false).await.unwrap().rows, []);
            store.restore_experiment(id, 8).await.unwrap();
            assert_eq!(store.search_runs(of(id), false).await.unwrap().rows.len(), 1);
            assert_eq!(store.find_experiment(id).await.unwrap().updated_at, 8);
            // Tags that are columns.
            log(&store, "r", Vec::new(), vec![text("tag", NAME_TAG, "n"), text("tag", PARENT_TAG, "p")])
                .await;
            let run = store.find_tracked_run("r".to_owned()).await.unwrap().unwrap();
            assert_eq!((run.name.as_str(), run.parent_id.as_deref()), ("n", Some("p")));
        })
    })
    .await;
}

fn number(name: &str, compare: Compare, number: f64) -> Clause {
    Clause { field: Field::Metric(name.to_owned()), condition: Condition::Number(compare, number) }
}

async fn pages(store: &Metastore, query: Query) -> Vec<String> {
    let mut found = Vec::new();
    let mut query = query;
    loop {
        let page = store.search_runs(query.clone(), false).await.unwrap();
        found.extend(page.rows.into_iter().map(|row| row.id));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return found,
        }
    }
}

#[tokio::test]
async fn runs_are_found_in_order_and_by_page() {
    on_both(|store| {
        Box::pin(async move {
            for (started_at, id) in ["a", "b", "c", "d", "E"].into_iter().enumerate() {
                begin(&store, id, 0, i64::try_from(started_at).unwrap() * 1000).await;
            }
            log(&store, "a", vec![point("m", 0, 1, 0.1)], vec![text("param", "p", "Ü_1")]).await;
            log(&store, "b", vec![point("m", 0, 1, 0.3)], vec![text("param", "p", "x*1")]).await;
            log(&store, "c", vec![point("m", 0, 1, f64::NAN)], vec![text("param", "p", "X*1")]).await;
            log(&store, "E", vec![point("m", 0, 1, 0.3)], vec![]).await;
            let all = Query { experiments: vec![0], limit: 2, ..Query::default() };
            let ordered =
                |field: Field, ascending| Query { order: vec![Order { field, ascending }], ..all.clone() };
            let metric = || Field::Metric("m".to_owned());
            assert_eq!(pages(&store, all.clone()).await, ["E", "d", "c", "b", "a"]);
            assert_eq!(pages(&store, ordered(metric(), false)).await, ["E", "b", "a", "c", "d"]);
            assert_eq!(pages(&store, ordered(metric(), true)).await, ["a", "E", "b", "c", "d"]);
            let by_param = ordered(Field::Param("p".to_owned()), true);
            assert_eq!(pages(&store, by_param).await, ["c", "b", "a", "E", "d"]);
            let by_name = ordered(Field::Attribute(Attribute::Id), true);
            assert_eq!(pages(&store, by_name).await, ["E", "a", "b", "c", "d"]);
            let filtered = |clause: Clause| Query { filter: clause.into(), ..all.clone() };
            assert_eq!(pages(&store, filtered(number("m", Compare::NotEqual, 0.1))).await, ["E", "c", "b"]);
            assert_eq!(
                pages(&store, filtered(number("m", Compare::NotEqual, 0.0))).await,
                ["E", "c", "b", "a"]
            );
            assert_eq!(pages(&store, filtered(number("m", Compare::Less, 0.3))).await, ["a"]);
            let param = |condition| Clause { field: Field::Param("p".to_owned()), condition };
            let like = |pattern: &str, any_case| {
                filtered(param(Condition::Like { pattern: pattern.to_owned(), any_case, negated: false }))
            };
            assert_eq!(pages(&store, like("x*%", false)).await, ["b"]);
            assert_eq!(pages(&store, like("x*_", true)).await, ["c", "b"]);
            assert_eq!(pages(&store, like("Ü__", false)).await, ["a"]);
            assert_eq!(pages(&store, filtered(param(Condition::Null))).await, ["E", "d"]);
            let started = Clause {
                field: Field::Attribute(Attribute::StartTime),
                condition: Condition::Number(Compare::GreaterOrEqual, 3.0),
            };
            assert_eq!(pages(&store, filtered(started)).await, ["E", "d"]);
            store.delete_tracked_run("a".to_owned(), 1).await.unwrap();
            let deleted = Query { view: View::Deleted, ..all.clone() };
            assert_eq!(pages(&store, deleted).await, ["a"]);
            let foreign = Query { after: Some(Vec::new()), ..all };
            let refused = store.search_runs(foreign, false).await;
            assert!(matches!(refused, Err(MetastoreError::Refused(Refusal::ForeignToken))));
        })
    })
    .await;
}

#[tokio::test]
async fn runs_are_gathered_by_what_they_share() {
    on_both(|store| {
        Box::pin(async move {
            for (id, depth, auc) in [
                ("a", Some("5"), Some(0.5)),
                ("b", Some("5"), Some(0.7)),
                ("c", Some("7"), None),
                ("d", None, Some(f64::NAN)),
                ("e", Some("5"), None),
            ] {
                begin(&store, id, 0, 1).await;
                let metrics = auc.map(|auc| point("auc", 0, 1, auc)).into_iter().collect();
                let texts = depth.map(|depth| text("param", "depth", depth)).into_iter().collect();
                log(&store, id, metrics, texts).await;
            }
            let gathered = async |query: Query, by: Field, metrics: &[&str]| {
                let metrics = metrics.iter().map(|name| (*name).to_owned()).collect();
                let groups = store.group_runs(query, by, metrics).await.unwrap();
                groups.into_iter().map(|group| (group.value, group.runs, group.metrics)).collect::<Vec<_>>()
            };
            let depth = || Field::Param("depth".to_owned());
            let spread = Spread { count: 2, mean: 0.6, min: 0.5, max: 0.7 };
            let none = Spread::default();
            let value = |value: &str| Some(value.to_owned());
            assert_eq!(
                gathered(of(0), depth(), &["auc", "unknown"]).await,
                [
                    (value("5"), 3, vec![spread, none]),
                    (None, 1, vec![none, none]),
                    (value("7"), 1, vec![none, none])
                ]
            );
            let filtered = Query { filter: number("auc", Compare::Greater, 0.6).into(), ..of(0) };
            let [(_, runs, metrics)] = &gathered(filtered, depth(), &["auc"]).await[..] else { panic!() };
            assert_eq!((*runs, metrics[0].count), (1, 1));
            let everything = gathered(of(0), Field::Param("unknown".to_owned()), &[]).await;
            assert_eq!(everything, [(None, 5, Vec::new())]);
            let everywhere = Query { everywhere: true, ..Query::default() };
            let by_experiment = Field::Attribute(Attribute::ExperimentId);
            assert_eq!(gathered(everywhere, by_experiment, &[]).await, [(value("0"), 5, Vec::new())]);
            // A value that changes moves its run to another group.
            log(&store, "c", vec![point("auc", 0, 1, 0.9)], Vec::new()).await;
            let groups = gathered(of(0), depth(), &["auc.max"]).await;
            assert_eq!(groups.iter().map(|(_, _, metrics)| metrics[0].max).fold(0.0, f64::max), 0.9);
            assert_eq!(gathered(Query::default(), depth(), &[]).await, []);
        })
    })
    .await;
}
