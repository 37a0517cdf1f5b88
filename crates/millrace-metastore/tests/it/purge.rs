//! Deleting for good, against a model that keeps what must be there, as two servers on one database see it.

use std::collections::{BTreeMap, BTreeSet};

use millrace_metastore::experiments::{
    Attribute, DatasetInput, Field, ImportedRun, Kept, LoggedModelRow, MetricRow, ModelLink, ModelMetric,
    Order, PurgeRule, Query, Refusal, Swept, TrackedBatch, TrackedRunRow, View,
};
use millrace_metastore::registry::NewVersion;
use millrace_metastore::{Metastore, MetastoreError};

use crate::{on_both, on_both_urls, run as pipeline_run};

/// A fixed sequence (SplitMix64), so that a failure can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    fn one_of<T: Clone>(&mut self, all: impl IntoIterator<Item = T>) -> Option<T> {
        let all: Vec<T> = all.into_iter().collect();
        if all.is_empty() { None } else { Some(all[self.below(all.len())].clone()) }
    }
}

fn row(id: &str, experiment_id: i64) -> TrackedRunRow {
    TrackedRunRow {
        id: id.to_owned(),
        experiment_id,
        name: id.to_owned(),
        status: "RUNNING".to_owned(),
        started_at: 1,
        ..TrackedRunRow::default()
    }
}

fn model(id: &str, experiment_id: i64, run: &str) -> LoggedModelRow {
    LoggedModelRow {
        id: id.to_owned(),
        experiment_id,
        name: id.to_owned(),
        model_type: String::new(),
        source_run_id: run.to_owned(),
        status: "LOGGED_MODEL_READY".to_owned(),
        created_at: 1,
        updated_at: 1,
        artifact_location: None,
    }
}

fn dataset(name: &str) -> DatasetInput {
    DatasetInput {
        name: name.to_owned(),
        digest: "d".to_owned(),
        source_type: "local".to_owned(),
        source: "{}".to_owned(),
        schema: None,
        profile: None,
        context: None,
        tags: "{}".to_owned(),
    }
}

fn batch(step: i64, number: f64) -> TrackedBatch {
    let point = MetricRow { name: "m".to_owned(), step, logged_at: step * 1_000, number };
    TrackedBatch { metrics: vec![point], ..TrackedBatch::default() }
}

async fn count(store: &Metastore, sql: &'static str) -> i64 {
    let rows = store.read(move |session| Box::pin(async move { session.fetch_all(sql, &[]).await }));
    rows.await.unwrap()[0].int("rows").unwrap()
}

async fn texts(store: &Metastore, sql: &'static str) -> BTreeSet<String> {
    let rows = store.read(move |session| Box::pin(async move { session.fetch_all(sql, &[]).await }));
    rows.await.unwrap().iter().map(|row| row.text("value").unwrap()).collect()
}

#[derive(Debug, Clone)]
struct KnownRun {
    experiment: i64,
    deleted: bool,
    best: Option<f64>,
    datasets: BTreeSet<&'static str>,
    models: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Known {
    /// Name and whether it is deleted.
    experiments: BTreeMap<i64, (String, bool)>,
    runs: BTreeMap<String, KnownRun>,
    gone: BTreeSet<String>,
    ids: usize,
}

impl Known {
    fn of_view(&self, view: View) -> BTreeSet<String> {
        let fits = |run: &KnownRun| match view {
            View::Active => !run.deleted,
            View::Deleted => run.deleted,
            View::All => true,
        };
        self.runs.iter().filter(|(_, run)| fits(run)).map(|(id, _)| id.clone()).collect()
    }

    fn purge(&mut self, id: &str) {
        if let Some(run) = self.runs.remove(id) {
            self.gone.insert(id.to_owned());
            self.gone.extend(run.models);
        }
    }
}

async fn step(store: &Metastore, known: &mut Known, chance: &mut Chance) {
    known.ids += 1;
    let any_run = chance.one_of(known.runs.keys().cloned().collect::<Vec<_>>());
    match (chance.below(16), any_run) {
        (0..3, _) => change_experiment(store, known, chance).await,
        (3..7, Some(id)) => change_run(store, known, chance, id).await,
        (7..12, Some(id)) => write_to_run(store, known, chance, id).await,
        (12, _) => {
            if let Some(id) = chance
                .one_of(known.gone.iter().filter(|id| !id.starts_with("m-")).cloned().collect::<Vec<_>>())
            {
                let refused = store.log_tracked_batch(id.clone(), batch(1, 1.0)).await.unwrap_err();
                assert!(matches!(refused, MetastoreError::Refused(Refusal::NoRun { .. })), "{refused:?}");
                assert!(store.find_tracked_run(id).await.unwrap().is_none());
            }
        }
        (_, _) => begin_run(store, known, chance).await,
    }
}

async fn begin_run(store: &Metastore, known: &mut Known, chance: &mut Chance) {
    let active = known.experiments.iter().filter(|(_, (_, deleted))| !deleted).map(|(id, _)| *id);
    let experiment = chance.one_of(active.collect::<Vec<_>>()).unwrap();
    let id = format!("{:032x}", known.ids);
    store.create_tracked_run(row(&id, experiment), Vec::new()).await.unwrap();
    let run = KnownRun {
        experiment,
        deleted: false,
        best: None,
        datasets: BTreeSet::new(),
        models: BTreeSet::new(),
    };
    known.runs.insert(id, run);
}

async fn change_experiment(store: &Metastore, known: &mut Known, chance: &mut Chance) {
    let now = 1_000;
    let any_experiment = chance.one_of(known.experiments.keys().copied().collect::<Vec<_>>()).unwrap();
    match chance.below(3) {
        0 => {
            let name = format!("name {}", chance.below(4));
            match store.create_experiment(name.clone(), None, Vec::new(), now).await {
                Ok(new) => {
                    assert!(known.experiments.values().all(|(other, _)| *other != name));
                    let greatest = known.experiments.keys().max().copied().unwrap();
                    assert!(new > greatest, "an id was given twice");
                    known.experiments.insert(new, (name, false));
                }
                Err(MetastoreError::Refused(Refusal::NameTaken { .. })) => {
                    assert!(known.experiments.values().any(|(other, _)| *other == name));
                }
                other => panic!("{other:?}"),
            }
        }
        1 if any_experiment != 0 => {
            let (_, deleted) = known.experiments[&any_experiment];
            match deleted {
                true => store.restore_experiment(any_experiment, now).await.unwrap(),
                false => store.delete_experiment(any_experiment, now).await.unwrap(),
            }
            known.experiments.get_mut(&any_experiment).unwrap().1 = !deleted;
            let runs = known.runs.values_mut().filter(|run| run.experiment == any_experiment);
            runs.for_each(|run| run.deleted = !deleted);
        }
        2 if chance.below(3) == 0 => {
            let rule = if chance.below(3) == 0 { PurgeRule::Any } else { PurgeRule::Deleted };
            let deleted = known.experiments[&any_experiment].1;
            match store.purge_experiment(any_experiment, rule, now).await {
                Ok(purged) => {
                    assert!(any_experiment != 0 && (deleted || rule == PurgeRule::Any));
                    let of_it = known.runs.iter().filter(|(_, run)| run.experiment == any_experiment);
                    let of_it: Vec<String> = of_it.map(|(id, _)| id.clone()).collect();
                    assert_eq!(purged.runs, of_it.len() as u64);
                    of_it.iter().for_each(|id| known.purge(id));
                    known.experiments.remove(&any_experiment);
                }
                Err(MetastoreError::Refused(Refusal::DefaultExperiment)) => assert_eq!(any_experiment, 0),
                Err(MetastoreError::Refused(Refusal::ExperimentActive { .. })) => {
                    assert!(!deleted && rule == PurgeRule::Deleted);
                }
                other => panic!("{other:?}"),
            }
        }
        _ => {}
    }
}

async fn change_run(store: &Metastore, known: &mut Known, chance: &mut Chance, id: String) {
    let now = 1_000;
    let deleted = known.runs[&id].deleted;
    if chance.below(2) == 0 {
        match deleted {
            true => store.restore_tracked_run(id.clone()).await.unwrap(),
            false => store.delete_tracked_run(id.clone(), now).await.unwrap(),
        }
        known.runs.get_mut(&id).unwrap().deleted = !deleted;
        return;
    }
    let rule = if chance.below(3) == 0 { PurgeRule::Any } else { PurgeRule::Deleted };
    let purged = store.purge_runs(vec![id.clone()], rule, now).await.unwrap();
    if deleted || rule == PurgeRule::Any {
        assert_eq!((purged.runs, purged.models), (1, known.runs[&id].models.len() as u64));
        known.purge(&id);
        let again = store.purge_runs(vec![id.clone()], PurgeRule::Any, now).await.unwrap();
        assert_eq!(again.kept, [(id, Kept::Absent)]);
    } else {
        assert_eq!(purged.kept, [(id, Kept::NotDeleted)]);
    }
}

async fn write_to_run(store: &Metastore, known: &mut Known, chance: &mut Chance, id: String) {
    let run_deleted = known.runs[&id].deleted;
    match chance.below(5) {
        0 if !run_deleted => {
            let name = ["data", "other"][chance.below(2)];
            store.link_to_run(id.clone(), vec![dataset(name)], Vec::new()).await.unwrap();
            known.runs.get_mut(&id).unwrap().datasets.insert(name);
        }
        1 if !run_deleted => {
            let run = id;
            let made = format!("m-{:032x}", known.ids);
            let experiment = known.runs[&run].experiment;
            if !known.experiments[&experiment].1 {
                store.create_logged_model(model(&made, experiment, &run), Vec::new()).await.unwrap();
                let link = ModelLink { direction: "output", model_id: made.clone(), step: 0 };
                store.link_to_run(run.clone(), Vec::new(), vec![link]).await.unwrap();
                known.runs.get_mut(&run).unwrap().models.insert(made);
            }
        }
        _ => {
            let number = f64::from(u32::try_from(chance.below(50)).unwrap());
            let logged =
                store.log_tracked_batch(id.clone(), batch(i64::try_from(known.ids).unwrap(), number)).await;
            let run = known.runs.get_mut(&id).unwrap();
            if run.deleted {
                assert!(matches!(logged, Err(MetastoreError::Refused(Refusal::RunDeleted { .. }))));
            } else {
                logged.unwrap();
                run.best = Some(number);
            }
        }
    }
}

async fn compare(store: &Metastore, known: &Known, place: &str) {
    for view in [View::Active, View::Deleted, View::All] {
        let query = Query {
            everywhere: true,
            view,
            limit: 10_000,
            order: vec![Order { field: Field::Metric("m".to_owned()), ascending: false }],
            ..Query::default()
        };
        let found = store.search_runs(query, true).await.unwrap();
        assert_eq!(found.total, Some(known.of_view(view).len() as u64), "{place} {view:?}");
        for run in &found.rows {
            let latest = run.values.metrics.first().map(|point| point.number);
            assert_eq!(latest, known.runs[&run.id].best, "{place} {}", run.id);
        }
        let found: BTreeSet<String> = found.rows.into_iter().map(|run| run.id).collect();
        assert_eq!(found, known.of_view(view), "{place} {view:?}");
    }
    let named = Query {
        view: View::All,
        limit: 100,
        order: vec![Order { field: Field::Attribute(Attribute::CreatedAt), ascending: true }],
        ..Query::default()
    };
    let (experiments, _) = store.search_experiments(named).await.unwrap();
    let experiments: BTreeMap<i64, (String, bool)> =
        experiments.into_iter().map(|one| (one.id, (one.name, one.deleted))).collect();
    assert_eq!(experiments, known.experiments, "{place}");
}

/// Nothing of what is gone is left in any table, and its files wait to be deleted.
async fn look_for_rests(store: &Metastore, known: &Known) {
    let ids: BTreeSet<String> = known.runs.keys().cloned().collect();
    assert_eq!(texts(store, "SELECT id AS value FROM tracked_run").await, ids);
    let models: BTreeSet<String> = known.runs.values().flat_map(|run| run.models.clone()).collect();
    assert_eq!(texts(store, "SELECT id AS value FROM logged_model").await, models);
    assert_eq!(texts(store, "SELECT model_id AS value FROM tracked_model_link").await, models);
    let read = known
        .runs
        .values()
        .flat_map(|run| run.datasets.iter().map(move |name| format!("{} {name}", run.experiment)));
    let sql = "SELECT CAST(experiment_id AS TEXT) || ' ' || name AS value FROM tracked_dataset";
    assert_eq!(texts(store, sql).await, read.collect());
    assert_eq!(texts(store, "SELECT owner AS value FROM artifact_garbage").await, known.gone);
    for sql in [
        "SELECT COUNT(*) AS rows FROM tracked_series WHERE run NOT IN (SELECT number FROM tracked_run)",
        "SELECT COUNT(*) AS rows FROM tracked_journal WHERE run NOT IN (SELECT number FROM tracked_run)",
        "SELECT COUNT(*) AS rows FROM tracked_input WHERE run_id NOT IN (SELECT id FROM tracked_run)",
    ] {
        assert_eq!(count(store, sql).await, 0, "{sql}");
    }
}

#[tokio::test]
async fn what_is_purged_is_gone_for_every_server_and_nothing_else_is() {
    on_both_urls(|url| {
        Box::pin(async move {
            let store = Metastore::open(&url).await.unwrap();
            let other = Metastore::open(&url).await.unwrap();
            let mut chance = Chance(40);
            let mut known = Known::default();
            known.experiments.insert(0, ("Default".to_owned(), false));
            for round in 0..50 {
                for _ in 0..25 {
                    step(&store, &mut known, &mut chance).await;
                }
                compare(&store, &known, &format!("round {round}, here")).await;
                if round % 3 == 0 {
                    compare(&other, &known, &format!("round {round}, there")).await;
                }
                if round % 10 == 9 {
                    // The other one is too late for what is forgotten now, and begins anew.
                    assert!(store.trim_gone_runs(1_000 + 25 * 3_600 * 1_000_000).await.unwrap() > 0);
                    assert_eq!(count(&store, "SELECT COUNT(*) AS rows FROM tracked_gone").await, 0);
                }
                look_for_rests(&store, &known).await;
            }
            assert!(known.gone.len() > 50, "the test purged {} things", known.gone.len());
        })
    })
    .await;
}

/// Clients log, restore and delete while runs are purged: nobody waits for ever, and what is gone stays gone.
#[tokio::test]
async fn writers_and_purges_do_not_hinder_each_other() {
    on_both(|store| {
        Box::pin(async move {
            let ids: Vec<String> = (0..24).map(|run| format!("{run:032x}")).collect();
            for id in &ids {
                store.create_tracked_run(row(id, 0), Vec::new()).await.unwrap();
                store.create_logged_model(model(&format!("m-{id}"), 0, id), Vec::new()).await.unwrap();
            }
            let mut writers = tokio::task::JoinSet::new();
            for writer in 0..6_i64 {
                let (store, ids) = (store.clone(), ids.clone());
                writers.spawn(async move {
                    for (at, id) in ids.iter().cycle().take(24 * 6).enumerate() {
                        let at = i64::try_from(at).unwrap();
                        let mut logged = batch(at * 10 + writer, 1.0);
                        let point = logged.metrics[0].clone();
                        let told = ModelMetric {
                            model_id: format!("m-{id}"),
                            point,
                            run_id: String::new(),
                            dataset_name: String::new(),
                            dataset_digest: String::new(),
                        };
                        logged.model_metrics.extend((writer == 0).then_some(told));
                        let outcomes = [
                            store.log_tracked_batch(id.clone(), logged).await,
                            store.link_to_run(id.clone(), vec![dataset("a"), dataset("b")], Vec::new()).await,
                        ];
                        for outcome in outcomes {
                            assert!(
                                matches!(outcome, Ok(()) | Err(MetastoreError::Refused(_))),
                                "{outcome:?}"
                            );
                        }
                    }
                });
            }
            let (first, second) = ids.split_at(12);
            let (one, two) = tokio::join!(
                store.purge_runs(first.to_vec(), PurgeRule::Any, 1),
                store.purge_runs(ids[6..18].to_vec(), PurgeRule::Any, 1),
            );
            assert_eq!(one.unwrap().runs + two.unwrap().runs, 18);
            while let Some(done) = writers.join_next().await {
                done.unwrap();
            }
            let left = texts(&store, "SELECT id AS value FROM tracked_run").await;
            assert_eq!(left, second[6..].iter().cloned().collect());
            let read = count(&store, "SELECT COUNT(*) AS rows FROM tracked_dataset").await;
            assert_eq!(read, 2, "a dataset that a run still read was taken");
        })
    })
    .await;
}

#[tokio::test]
async fn a_run_of_a_pipeline_run_that_goes_on_is_kept() {
    on_both(|store| {
        Box::pin(async move {
            let experiment =
                store.create_experiment("flights".to_owned(), None, Vec::new(), 1).await.unwrap();
            store.insert_pipeline_run(pipeline_run("a", None), Vec::new(), None).await.unwrap();
            store.create_tracked_run(row("a", experiment), Vec::new()).await.unwrap();
            let nested = TrackedRunRow { parent_id: Some("a".to_owned()), ..row("b", experiment) };
            store.create_tracked_run(nested, Vec::new()).await.unwrap();
            let ids = || vec!["a".to_owned(), "b".to_owned()];
            let purged = store.purge_runs(ids(), PurgeRule::Any, 1).await.unwrap();
            assert_eq!(purged.kept, [("a".to_owned(), Kept::InUse), ("b".to_owned(), Kept::InUse)]);
            let refused = store.purge_experiment(experiment, PurgeRule::Any, 1).await.unwrap_err();
            assert!(matches!(refused, MetastoreError::Refused(Refusal::RunInUse { .. })), "{refused:?}");
            assert!(!store.find_experiment(experiment).await.unwrap().deleted, "it was not even deleted");
        })
    })
    .await;
}

#[tokio::test]
async fn a_deleted_experiment_is_renamed_and_its_name_is_free() {
    on_both(|store| {
        Box::pin(async move {
            let create = |name: &str| store.create_experiment(name.to_owned(), None, Vec::new(), 1);
            let old = create("churn").await.unwrap();
            store.delete_experiment(old, 5).await.unwrap();
            assert_eq!(store.find_experiment(old).await.unwrap().deleted_at, Some(5));
            let refused = store.rename_experiment(old, "old churn".to_owned(), 6).await.unwrap_err();
            assert!(matches!(refused, MetastoreError::Refused(Refusal::ExperimentDeleted { .. })));
            store.rename_experiment_in_any_state(old, "old churn".to_owned(), 6).await.unwrap();
            create("churn").await.unwrap();
            store.restore_experiment(old, 7).await.unwrap();
            let restored = store.find_experiment(old).await.unwrap();
            assert_eq!((restored.name.as_str(), restored.deleted_at), ("old churn", None));
        })
    })
    .await;
}

const MINUTE: i64 = 60 * 1_000_000;

#[tokio::test]
async fn files_are_deleted_after_a_while_and_stay_as_long_as_a_version_names_them() {
    on_both(|store| {
        Box::pin(async move {
            let run = "a".repeat(32);
            store.create_tracked_run(row(&run, 0), Vec::new()).await.unwrap();
            store.create_registered_model("churn".to_owned(), None, Vec::new(), 1).await.unwrap();
            let named = NewVersion {
                name: "churn".to_owned(),
                source: format!("mlflow-artifacts:/{run}/model"),
                run_id: Some(run.clone()),
                ..NewVersion::default()
            };
            store.create_model_version(named, 1).await.unwrap();
            store.purge_runs(vec![run.clone()], PurgeRule::Any, 0).await.unwrap();
            assert_eq!(
                store.claim_garbage(MINUTE - 1, 10).await.unwrap(),
                [],
                "who had begun before may end"
            );
            let due = store.claim_garbage(MINUTE, 10).await.unwrap();
            assert_eq!(
                (due[0].path.as_str(), due[0].held.as_slice()),
                (run.as_str(), &["model".to_owned()][..])
            );
            // While the files go, the run cannot come back; afterwards it can, and takes them back.
            let again = || ImportedRun { row: row(&run, 0), ..ImportedRun::default() };
            let refused = store.import_tracked_runs(vec![again()]).await.unwrap_err();
            assert!(matches!(refused, MetastoreError::Refused(Refusal::FilesGoing { .. })), "{refused:?}");
            store.settle_garbage(run.clone(), Swept::Held, MINUTE).await.unwrap();
            assert_eq!(store.claim_garbage(2 * MINUTE, 10).await.unwrap(), []);
            store.delete_model_version(("churn".to_owned(), 1), 2).await.unwrap();
            let due = store.claim_garbage(61 * MINUTE, 10).await.unwrap();
            assert_eq!(due[0].held, Vec::<String>::new());
            let failed = Swept::Failed { error: "no space".to_owned() };
            store.settle_garbage(run.clone(), failed, 61 * MINUTE).await.unwrap();
            assert_eq!(store.count_garbage().await.unwrap(), (1, 1));
            assert_eq!(store.claim_garbage(62 * MINUTE - 1, 10).await.unwrap(), []);
            assert_eq!(store.claim_garbage(62 * MINUTE, 10).await.unwrap()[0].attempts, 1);
            for minute in [62, 8 * 24 * 60] {
                store.settle_garbage(run.clone(), Swept::Empty, minute * MINUTE).await.unwrap();
            }
            assert_eq!(store.count_garbage().await.unwrap(), (0, 0));
            store.import_tracked_runs(vec![again()]).await.unwrap();
            store.purge_runs(vec![run.clone()], PurgeRule::Any, 0).await.unwrap();
            store.claim_garbage(MINUTE, 10).await.unwrap();
            store.release_garbage().await.unwrap();
            assert_eq!(store.import_tracked_runs(vec![again()]).await.unwrap(), 1);
            assert_eq!(store.count_garbage().await.unwrap(), (0, 0));
        })
    })
    .await;
}
