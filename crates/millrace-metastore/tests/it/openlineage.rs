//! What others are told of runs, and what they tell of their jobs, on both databases.

use millrace_metastore::lineage_out::Settled;
use millrace_metastore::outside::{OutsideDataset, OutsideEvent, OutsideJob, OutsideRun, OutsideUse};
use millrace_metastore::runs::RunEnd;
use serde_json::{Value, json};

use crate::{begin, begin_server, end, on_both, run, step, transition};

#[tokio::test]
async fn a_change_is_noted_with_its_transition_and_settled_once_its_receiver_knows() {
    on_both(|store| {
        Box::pin(async move {
            let epoch = begin_server(&store, "a").await;
            store.insert_pipeline_run(run("a", None), vec![step("one")], None).await.unwrap();
            let begun = || transition("a", epoch, vec![begin("one", 1, Vec::new())]);
            store.store_transition(begun()).await.unwrap();
            let take = |receiver: &str, now: i64| {
                store.take_lineage_changes(receiver.to_owned(), (now, now + 90), 10)
            };
            assert!(store.list_lineage_backlogs().await.unwrap().is_empty(), "nobody is to be told");
            store.note_lineage_for(vec!["catalog".to_owned(), "other".to_owned()]);
            store.store_transition(transition("a", epoch, vec![end("one", 1)])).await.unwrap();
            assert_eq!(
                store.due_lineage_receivers(9).await.unwrap(),
                ["catalog", "other"].map(str::to_owned).into()
            );
            let taken = take("catalog", 9).await.unwrap();
            assert_eq!((taken.len(), taken[0].run_id.as_str(), taken[0].attempts), (1, "a", 0));
            assert!(take("catalog", 9).await.unwrap().is_empty(), "it is another server's for now");
            assert_eq!(store.due_lineage_receivers(9).await.unwrap(), ["other".to_owned()].into());
            // It changes while it is told: what was told is kept, and the rest comes later.
            let over = RunEnd { state: "succeeded".to_owned(), ..RunEnd::default() };
            let ends = millrace_metastore::runs::RunTransition {
                run: Some(over),
                ..transition("a", epoch, Vec::new())
            };
            store.store_transition(ends).await.unwrap();
            let settled = Settled::Everything { over: false, now: 10 };
            store
                .settle_lineage_change(taken[0].clone(), vec!["START one".to_owned()], settled)
                .await
                .unwrap();
            let again = take("catalog", 10).await.unwrap();
            assert_eq!(again.len(), 1);
            let told = || store.lineage_told("catalog".to_owned(), "a".to_owned());
            assert_eq!(told().await.unwrap(), ["START one".to_owned()].into());
            // The receiver is away, which is nothing to the other one.
            let failed = Settled::Again { at: 50, error: "away".to_owned() };
            store.settle_lineage_change(again[0].clone(), Vec::new(), failed).await.unwrap();
            assert!(take("catalog", 49).await.unwrap().is_empty());
            let other = take("other", 49).await.unwrap();
            assert_eq!((other.len(), other[0].attempts), (1, 0));
            let backlogs = store.list_lineage_backlogs().await.unwrap();
            let seen: Vec<_> = backlogs
                .iter()
                .map(|waits| (waits.receiver.as_str(), waits.runs, waits.attempts, waits.error.as_deref()))
                .collect();
            assert_eq!(seen, [("catalog", 1, 1, Some("away")), ("other", 1, 0, None)]);
            // A round that had no time for it puts it back as it was.
            let last = take("catalog", 50).await.unwrap();
            store
                .settle_lineage_change(last[0].clone(), Vec::new(), Settled::Later { now: 51 })
                .await
                .unwrap();
            let last = take("catalog", 51).await.unwrap();
            assert_eq!(last[0].attempts, 1);
            let settled = Settled::Everything { over: true, now: 52 };
            store
                .settle_lineage_change(last[0].clone(), vec!["COMPLETE ".to_owned()], settled)
                .await
                .unwrap();
            assert!(told().await.unwrap().is_empty(), "nothing is kept of a run that is over");
            let left = store.list_lineage_backlogs().await.unwrap();
            assert_eq!(left.len(), 1, "the other one has not heard of it yet: {left:?}");
        })
    })
    .await;
}

#[tokio::test]
async fn what_waits_too_long_is_forgotten() {
    on_both(|store| {
        Box::pin(async move {
            let epoch = begin_server(&store, "a").await;
            store.insert_pipeline_run(run("a", None), vec![step("one")], None).await.unwrap();
            store.note_lineage_for(vec!["catalog".to_owned()]);
            let begun = transition("a", epoch, vec![begin("one", 1, Vec::new())]);
            let noted_at = begun.now;
            store.store_transition(begun).await.unwrap();
            let told = || store.lineage_told("catalog".to_owned(), "a".to_owned());
            let taken = store.take_lineage_changes("catalog".to_owned(), (noted_at, 99), 10).await.unwrap();
            let later = Settled::Later { now: noted_at };
            store.settle_lineage_change(taken[0].clone(), vec!["START ".to_owned()], later).await.unwrap();
            assert_eq!(store.forget_lineage(noted_at).await.unwrap(), 0);
            assert_eq!(told().await.unwrap().len(), 1);
            assert_eq!(store.forget_lineage(noted_at + 1).await.unwrap(), 1);
            assert!(store.list_lineage_backlogs().await.unwrap().is_empty());
            assert_eq!(
                told().await.unwrap().len(),
                1,
                "the run goes on: what comes next is told without its beginning"
            );
            let over = RunEnd { state: "succeeded".to_owned(), ..RunEnd::default() };
            store.note_lineage_for(Vec::new());
            let ends = millrace_metastore::runs::RunTransition {
                run: Some(over),
                ..transition("a", epoch, vec![end("one", 1)])
            };
            store.store_transition(ends).await.unwrap();
            assert_eq!(store.forget_lineage(0).await.unwrap(), 0);
            assert!(told().await.unwrap().is_empty(), "it is over");
        })
    })
    .await;
}

fn job(facets: Value, now: i64) -> OutsideEvent {
    let job = OutsideJob {
        key: "spark/load".to_owned(),
        namespace: "spark".to_owned(),
        name: "load".to_owned(),
        facets,
        producer: "p".to_owned(),
        run_id: Some("r".to_owned()),
        updated_at: now,
    };
    OutsideEvent { job: Some(job), now, ..OutsideEvent::default() }
}

fn outside_run(state: &str, started_at: Option<i64>, ended_at: Option<i64>) -> Option<OutsideRun> {
    let (id, job) = ("r".to_owned(), "spark/load".to_owned());
    Some(OutsideRun {
        id,
        job,
        state: state.to_owned(),
        started_at,
        ended_at,
        facets: json!({}),
        updated_at: 0,
    })
}

#[tokio::test]
async fn events_of_others_add_up_in_any_order() {
    on_both(|store| {
        Box::pin(async move {
            let uses = |writes: bool, asset: Option<&str>| OutsideUse {
                job: "spark/load".to_owned(),
                writes,
                dataset: "s3://lake/rows".to_owned(),
                asset_name: asset.map(str::to_owned),
                asset_version: if asset.is_some() { 3 } else { 0 },
                run_id: Some("r".to_owned()),
                used_at: 7,
            };
            let dataset = OutsideDataset {
                key: "s3://lake/rows".to_owned(),
                namespace: "s3://lake".to_owned(),
                name: "rows".to_owned(),
                facets: json!({"schema": {"fields": []}}),
            };
            let ended = OutsideEvent {
                run: outside_run("failed", None, Some(9)),
                datasets: vec![dataset.clone()],
                uses: vec![uses(true, None), uses(false, Some("rows"))],
                ..job(json!({"a": 1, "b": 2}), 9)
            };
            let started = OutsideEvent {
                run: outside_run("running", Some(5), None),
                ..job(json!({"b": 3, "a": {"_deleted": true}}), 10)
            };
            let other = OutsideEvent { run: outside_run("unknown", None, None), ..job(json!({"c": 1}), 8) };
            store.take_outside_events(vec![ended.clone(), started, other]).await.unwrap();
            store.take_outside_events(vec![ended]).await.unwrap();
            let jobs = store.list_outside_jobs().await.unwrap();
            assert_eq!(
                (jobs.len(), &jobs[0].facets),
                (1, &json!({"b": 3, "c": 1})),
                "the newest word on each facet, whenever it came"
            );
            let runs = store.list_outside_runs("spark/load".to_owned(), 5).await.unwrap();
            assert_eq!((runs.len(), runs[0].state.as_str()), (1, "failed"), "an end is an end");
            assert_eq!((runs[0].started_at, runs[0].ended_at), (Some(5), Some(9)));
            let of_job = store.list_uses_of_outside_job("spark/load".to_owned()).await.unwrap();
            assert_eq!(
                of_job,
                [uses(false, Some("rows")), uses(true, None)].map(|used| OutsideUse { used_at: 7, ..used })
            );
            assert_eq!(
                store.list_uses_of_outside_dataset("s3://lake/rows".to_owned()).await.unwrap().len(),
                2
            );
            for (version, expected) in [(3, 1), (2, 0)] {
                let found = store.list_outside_uses_of_asset("rows".to_owned(), version).await.unwrap();
                assert_eq!(found.len(), expected, "version {version}");
            }
            assert_eq!(store.find_outside_dataset(dataset.key.clone()).await.unwrap(), Some(dataset));
            assert_eq!(store.find_outside_job("x/y".to_owned()).await.unwrap(), None);
        })
    })
    .await;
}
