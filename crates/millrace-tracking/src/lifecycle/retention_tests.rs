use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use millrace_contract::FixedClock;
use millrace_metastore::Metastore;
use millrace_metastore::experiments::{MetricRow, RunChange, TrackedBatch};
use millrace_metastore::registry::NewVersion;
use millrace_storage::{FilePath, Storage};

use super::*;

async fn lifecycle(folder: &Path) -> (Lifecycle, Arc<FixedClock>) {
    let store = Metastore::open(&format!("sqlite:{}", folder.join("m.db").display())).await.unwrap();
    let clock = Arc::new(FixedClock::at(Timestamp::UNIX_EPOCH));
    (Lifecycle::new(store, Storage::folder(&folder.join("artifacts")), clock.clone()), clock)
}

fn day(number: i64) -> Timestamp {
    Timestamp::from_microsecond(number * DAY).unwrap()
}

/// A run that ended on a day, with a metric and a tag.
async fn run(lifecycle: &Lifecycle, id: &str, ended: Option<i64>, loss: f64, tag: &str) {
    let store = &lifecycle.store;
    let row = TrackedRunRow {
        id: id.to_owned(),
        name: format!("name of {id}"),
        status: "RUNNING".to_owned(),
        started_at: ended.unwrap_or(0) * DAY,
        ..TrackedRunRow::default()
    };
    store.create_tracked_run(row, vec![(tag.to_owned(), "yes".to_owned())]).await.unwrap();
    let point = MetricRow { name: "loss".to_owned(), step: 0, logged_at: 0, number: loss };
    let batch = TrackedBatch { metrics: vec![point], ..TrackedBatch::default() };
    store.log_tracked_batch(id.to_owned(), batch).await.unwrap();
    if let Some(ended) = ended {
        let change =
            RunChange { status: Some("FINISHED".to_owned()), ended_at: Some(ended * DAY), name: None };
        store.update_tracked_run(id.to_owned(), change).await.unwrap();
    }
}

fn names(ids: &[(String, String)]) -> Vec<&str> {
    ids.iter().map(|(id, _)| id.as_str()).collect()
}

fn rules() -> RetentionRules {
    RetentionRules {
        delete_after_days: Some(30),
        keep_best: Some(KeepBest { count: 1, metric: "loss".to_owned(), smallest: true }),
        keep_newest: Some(1),
        keep_tagged: vec!["paper".to_owned(), "team=no".to_owned()],
        purge_after_days: Some(10),
    }
}

#[tokio::test]
async fn old_runs_go_but_for_the_best_the_tagged_the_registered_and_those_that_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (lifecycle, clock) = lifecycle(folder.path()).await;
    for (id, ended, loss, tag) in [
        ("old", Some(1), 0.9, "team"),
        ("older", Some(0), 0.8, "x"),
        ("best", Some(1), 0.1, "x"),
        ("tagged", Some(1), 0.7, "paper"),
        ("registered", Some(1), 0.7, "x"),
        ("young", Some(20), 0.7, "x"),
        ("newest", Some(21), 0.7, "x"),
        ("going-on", None, 0.7, "x"),
    ] {
        run(&lifecycle, id, ended, loss, tag).await;
    }
    let store = &lifecycle.store;
    store.create_registered_model("late".to_owned(), None, Vec::new(), 0).await.unwrap();
    let version = NewVersion {
        name: "late".to_owned(),
        source: "mlflow-artifacts:/registered/model".to_owned(),
        run_id: Some("registered".to_owned()),
        ..NewVersion::default()
    };
    store.create_model_version(version, 0).await.unwrap();

    clock.set(day(40));
    let plan = lifecycle.plan_retention(0, &rules()).await.unwrap();
    assert_eq!(names(&plan.delete), ["older", "old"]);
    assert_eq!((plan.kept, plan.referenced, plan.purge.len(), plan.more), (2, 1, 0, false));
    assert!(!store.find_tracked_run("old".to_owned()).await.unwrap().unwrap().deleted, "a plan does nothing");

    lifecycle.apply_rules(0, &rules()).await.unwrap();
    assert!(store.find_tracked_run("old".to_owned()).await.unwrap().unwrap().deleted);
    clock.set(day(50));
    let plan = lifecycle.plan_retention(0, &rules()).await.unwrap();
    assert_eq!(plan.purge, Vec::<String>::new(), "not before the tenth day is over");
    // One is restored, one is registered meanwhile: neither goes.
    store.delete_tracked_run("registered".to_owned(), 40 * DAY).await.unwrap();
    store.restore_tracked_run("older".to_owned()).await.unwrap();
    clock.set(day(51));
    let applied = lifecycle.apply_rules(0, &rules()).await.unwrap();
    assert_eq!(applied.purge, ["old"]);
    assert!(store.find_tracked_run("old".to_owned()).await.unwrap().is_none());
    assert!(store.find_tracked_run("registered".to_owned()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_deleted_experiment_is_purged_by_the_default_rules_and_its_own_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let (lifecycle, clock) = lifecycle(folder.path()).await;
    let store = &lifecycle.store;
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        ids.push(store.create_experiment(name.to_owned(), None, Vec::new(), 0).await.unwrap());
    }
    for id in &ids {
        store.delete_experiment(*id, 0).await.unwrap();
    }
    let after = |days| RetentionRules { purge_after_days: Some(days), ..RetentionRules::default() };
    lifecycle.set_retention(ALL_EXPERIMENTS, Some(&after(10))).await.unwrap();
    lifecycle.set_retention(ids[1], Some(&after(100))).await.unwrap();
    assert_eq!(lifecycle.retention_of(ids[0]).await.unwrap(), Some(after(10)));
    clock.set(day(11));
    lifecycle.apply_all_rules().await;
    assert!(store.find_experiment(ids[0]).await.is_err());
    assert!(store.find_experiment(ids[1]).await.is_ok());
    assert_eq!(store.create_experiment("one".to_owned(), None, Vec::new(), 0).await.unwrap(), ids[1] + 1);
    lifecycle.set_retention(ids[1], None).await.unwrap();
    lifecycle.apply_all_rules().await;
    assert!(store.find_experiment(ids[1]).await.is_err());
}

#[test]
fn rules_that_do_nothing_or_mean_nothing_are_refused() {
    let refused = |rules: RetentionRules| rules.check().unwrap_err().to_string();
    assert_eq!(refused(RetentionRules::default()), "rules need `delete_after_days` or `purge_after_days`");
    let days = |days| RetentionRules { purge_after_days: Some(days), ..RetentionRules::default() };
    assert_eq!(refused(days(0)), "0 days are not between 1 and 36500");
    let newest = RetentionRules { keep_newest: Some(3), ..days(1) };
    assert!(refused(newest).contains("`delete_after_days`"));
    let tagged = RetentionRules { keep_tagged: vec!["=x".to_owned()], delete_after_days: Some(1), ..days(1) };
    assert_eq!(refused(tagged), "a tag in `keep_tagged` has no key");
    assert!(rules().check().is_ok());
    let text = serde_json::to_string(&rules()).unwrap();
    assert_eq!(parse(&text).unwrap(), rules());
}

#[tokio::test]
async fn the_use_of_storage_follows_runs_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let (lifecycle, _) = lifecycle(folder.path()).await;
    let store = &lifecycle.store;
    let (one, two) = ("1".repeat(32), "2".repeat(32));
    for id in [&one, &two] {
        run(&lifecycle, id, Some(1), 0.5, "x").await;
    }
    let write = async |path: String, content: &'static [u8]| {
        let path = FilePath::new(&path).unwrap();
        lifecycle.artifacts.write_bytes(&path, bytes::Bytes::from_static(content)).await.unwrap();
    };
    write(format!("{one}/a"), b"12345").await;
    lifecycle.measure().await.unwrap();
    let total = store.experiment_usage().await.unwrap()[&0];
    assert_eq!((total.runs, total.artifact_bytes, total.files), (2, 5, 1));
    assert!(total.document_bytes > 0);
    // A file alone is no change of the run: whoever writes one says so.
    write(format!("{one}/b"), b"123").await;
    lifecycle.measure().await.unwrap();
    assert_eq!(store.experiment_usage().await.unwrap()[&0].artifact_bytes, 5);
    lifecycle.touch(one.clone());
    lifecycle.measure().await.unwrap();
    assert_eq!(store.experiment_usage().await.unwrap()[&0].artifact_bytes, 8);
    let points =
        (0..500).map(|step| MetricRow { name: "loss".to_owned(), step, logged_at: step, number: 0.25 });
    let batch = TrackedBatch { metrics: points.collect(), ..TrackedBatch::default() };
    store.log_tracked_batch(two.clone(), batch).await.unwrap();
    let of_run = lifecycle.run_usage(&two).await.unwrap().unwrap();
    assert!(of_run.point_bytes > 400, "{of_run:?}");
    store.purge_runs(vec![two.clone()], PurgeRule::Any, 0).await.unwrap();
    lifecycle.measure().await.unwrap();
    assert_eq!(store.experiment_usage().await.unwrap()[&0].runs, 1);
    assert_eq!(lifecycle.run_usage(&two).await.unwrap(), None);
}
