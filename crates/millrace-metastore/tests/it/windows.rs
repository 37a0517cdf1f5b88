use millrace_metastore::Metastore;
use millrace_metastore::runs::{FiringRow, InsertedRun, RunOrigin};
use millrace_metastore::schedules::TriggerStateRow;
use millrace_metastore::windows::{StaleRange, WindowChange, WindowFilter, WindowRow, WindowRunRow};

use super::{on_both, run};

fn window(start: i64) -> WindowRow {
    WindowRow {
        pipeline: "daily".to_owned(),
        trigger: "t".to_owned(),
        start,
        end: start + 10,
        due_at: start + 10,
        state: "waiting".to_owned(),
        ..WindowRow::default()
    }
}

fn taken(start: i64, attempt: i64) -> Option<RunOrigin> {
    Some(RunOrigin::Window(WindowRunRow {
        trigger: "t".to_owned(),
        start,
        end: start + 10,
        attempt,
        takes: true,
    }))
}

fn moved(start: i64, was: &str, state: &str) -> WindowChange {
    WindowChange {
        pipeline: "daily".to_owned(),
        trigger: "t".to_owned(),
        start,
        was: was.to_owned(),
        state: state.to_owned(),
        reason: None,
        retry_at: None,
        waiting_since: None,
        succeeded_at: (state == "succeeded").then_some(7),
    }
}

fn range(from: i64, until: i64) -> WindowFilter {
    WindowFilter {
        pipeline: "daily".to_owned(),
        trigger: Some("t".to_owned()),
        from: Some(from),
        until: Some(until),
        limit: 100,
    }
}

async fn states(store: &Metastore) -> Vec<String> {
    let rows = store.list_windows(range(0, 1_000)).await.unwrap();
    rows.iter().map(|row| format!("{} {} {}/{}", row.start, row.state, row.tried, row.attempt)).collect()
}

#[tokio::test]
async fn a_window_is_taken_once_and_moves_only_from_the_state_it_is_in() {
    on_both(|store| {
        Box::pin(async move {
            let rows = vec![window(0), window(10), window(20)];
            assert_eq!(store.insert_windows(rows.clone(), 1).await.unwrap(), 3);
            assert_eq!(store.insert_windows(rows, 1).await.unwrap(), 0);
            let started = store.insert_pipeline_run(run("a", None), Vec::new(), taken(0, 1)).await.unwrap();
            assert_eq!(started, InsertedRun::New { number: 1 });
            // Another scheduler comes too late, and nothing of its run stays.
            let started = store.insert_pipeline_run(run("b", None), Vec::new(), taken(0, 1)).await.unwrap();
            assert_eq!(started, InsertedRun::Existing { id: "a".to_owned() });
            assert!(store.find_pipeline_run("b".to_owned()).await.unwrap().is_none());
            assert_eq!(states(&store).await, ["0 running 1/1", "10 waiting 0/0", "20 waiting 0/0"]);
            let moves = vec![moved(0, "running", "succeeded"), moved(10, "running", "succeeded")];
            assert_eq!(store.change_windows(moves, Vec::new(), 5).await.unwrap(), 1);
            assert_eq!(store.rerun_windows(range(0, 20), "again".to_owned(), 6).await.unwrap(), 1);
            assert_eq!(states(&store).await, ["0 waiting 0/1", "10 waiting 0/0", "20 waiting 0/0"]);
            store.insert_pipeline_run(run("c", None), Vec::new(), taken(0, 2)).await.unwrap();
            let (count, runs) = store.cancel_windows(range(0, 20), "enough".to_owned(), 7).await.unwrap();
            assert_eq!((count, runs), (1, vec!["c".to_owned()]));
            let counts = store.count_windows("daily".to_owned(), "t".to_owned()).await.unwrap();
            assert_eq!(
                counts.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>(),
                ["1 cancelled", "1 running", "1 waiting"]
            );
            assert_eq!(store.open_windows("daily".to_owned(), "t".to_owned(), 9).await.unwrap().len(), 2);
        })
    })
    .await;
}

#[tokio::test]
async fn what_was_built_on_a_window_is_stale_with_it() {
    on_both(|store| {
        Box::pin(async move {
            store.insert_windows(vec![window(0), window(10), window(20)], 1).await.unwrap();
            let done = |start| moved(start, "waiting", "succeeded");
            store.change_windows(vec![done(0), done(10)], Vec::new(), 2).await.unwrap();
            let stale = |from, again| StaleRange {
                pipeline: "daily".to_owned(),
                trigger: "t".to_owned(),
                from,
                until: from + 10,
                again,
                reason: "because".to_owned(),
            };
            store
                .change_windows(Vec::new(), vec![stale(0, false), stale(10, true), stale(20, false)], 3)
                .await
                .unwrap();
            assert_eq!(states(&store).await, ["0 stale 0/0", "10 waiting 0/0", "20 waiting 0/0"]);
            let rows = store.list_windows(range(0, 10)).await.unwrap();
            assert_eq!((rows.len(), rows[0].succeeded_at), (1, Some(7)));
        })
    })
    .await;
}

#[tokio::test]
async fn a_firing_is_stored_once_and_says_why_it_started_nothing() {
    on_both(|store| {
        Box::pin(async move {
            let firing = |instant, skip_if_running| {
                Some(RunOrigin::Firing(FiringRow { trigger: "t".to_owned(), instant, skip_if_running }))
            };
            store.insert_pipeline_run(run("a", None), Vec::new(), firing(1, true)).await.unwrap();
            let again = store.insert_pipeline_run(run("b", None), Vec::new(), firing(1, true)).await.unwrap();
            assert_eq!(again, InsertedRun::Existing { id: "a".to_owned() });
            let skipped =
                store.insert_pipeline_run(run("b", None), Vec::new(), firing(2, true)).await.unwrap();
            assert_eq!(skipped, InsertedRun::Skipped { running: "a".to_owned() });
            let last = store.last_firings().await.unwrap();
            assert_eq!((last.len(), last[0].instant, last[0].run.clone()), (1, 2, None));
            assert_eq!(last[0].note.as_deref(), Some("the run a was still going on"));
            let open = store.open_runs_of_trigger("daily".to_owned(), "t".to_owned()).await.unwrap();
            assert_eq!(open, ["a"]);
        })
    })
    .await;
}

#[tokio::test]
async fn a_pause_outlives_what_the_scheduler_stores_and_owes_nothing() {
    on_both(|store| {
        Box::pin(async move {
            let state = |checked_until| TriggerStateRow {
                pipeline: "daily".to_owned(),
                trigger: "t".to_owned(),
                rule: "0 6 * * *".to_owned(),
                checked_until,
                next_at: Some(checked_until + 1),
                ..TriggerStateRow::default()
            };
            let pause = |paused, now| store.pause_trigger("daily".to_owned(), "t".to_owned(), paused, now);
            assert!(pause(true, 5).await.unwrap(), "also before anybody looked at it");
            assert!(!pause(true, 5).await.unwrap());
            store.store_trigger_states(vec![state(10)]).await.unwrap();
            let found = store.find_trigger_state("daily".to_owned(), "t".to_owned()).await.unwrap().unwrap();
            assert_eq!(found, TriggerStateRow { paused: true, ..state(10) });
            assert!(pause(false, 90).await.unwrap());
            let found = store.list_trigger_states().await.unwrap().remove(0);
            assert_eq!((found.paused, found.checked_until), (false, 90));
        })
    })
    .await;
}
