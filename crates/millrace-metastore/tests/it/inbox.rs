use millrace_metastore::inbox::{EventCursorRow, EventFilter, EventVerdict, NewEventRow};
use millrace_metastore::runs::InsertedRun;
use millrace_metastore::{Metastore, MetastoreError};

use super::{on_both, run, step};

fn event(id: &str, key: &str) -> NewEventRow {
    NewEventRow {
        id: id.to_owned(),
        pipeline: "daily".to_owned(),
        trigger: "t".to_owned(),
        source: "s".to_owned(),
        dedup_key: key.to_owned(),
        kind: "made".to_owned(),
        subject: None,
        event: "{}".to_owned(),
    }
}

fn cursor(position: &str, asked_at: i64) -> EventCursorRow {
    EventCursorRow {
        pipeline: "daily".to_owned(),
        trigger: "t".to_owned(),
        rule: "r".to_owned(),
        position: position.to_owned(),
        asked_at,
        found_at: None,
        error: None,
        failing_since: None,
    }
}

fn trigger() -> (String, String) {
    ("daily".to_owned(), "t".to_owned())
}

async fn states(store: &Metastore) -> String {
    let rows = store.list_events(EventFilter { limit: 100, ..EventFilter::default() }).await.unwrap();
    let mut words: Vec<String> = rows
        .into_iter()
        .map(|row| {
            format!("{} {} {}", row.new.id, row.state, row.run_id.unwrap_or_default()).trim().to_owned()
        })
        .collect();
    words.sort();
    words.join(", ")
}

#[tokio::test]
async fn an_event_that_comes_again_is_counted_and_starts_nothing() {
    on_both(|store| {
        Box::pin(async move {
            let came = store
                .receive_events(vec![event("a", "1"), event("b", "1"), event("c", "2")], 5)
                .await
                .unwrap();
            let told: Vec<(&str, bool)> = came.iter().map(|one| (one.id.as_str(), one.repeated)).collect();
            assert_eq!(told, [("a", false), ("a", true), ("c", false)]);
            assert_eq!(store.find_events(vec!["a".to_owned()]).await.unwrap()[0].repeats, 1);
            assert_eq!(store.list_triggers_with_due_events(4).await.unwrap(), []);
            assert_eq!(store.list_triggers_with_due_events(5).await.unwrap(), [trigger()]);
            let newest = || store.newest_event_at("daily".to_owned(), "t".to_owned());
            store.receive_events(vec![event("e", "3")], 6).await.unwrap();
            assert_eq!(newest().await.unwrap(), Some(6));
            let filtered = |id: &str| (id.to_owned(), EventVerdict::Filtered { reason: "no".to_owned() });
            store.judge_events(vec![filtered("e")], 6).await.unwrap();
            assert_eq!(newest().await.unwrap(), Some(5), "what its filter left out was not waited for");
            // Over, it is known still; forgotten, it is new.
            store.judge_events(vec![filtered("a")], 6).await.unwrap();
            assert!(store.receive_events(vec![event("d", "1")], 7).await.unwrap()[0].repeated);
            assert_eq!(store.forget_events(6).await.unwrap(), 1, "what waits is kept");
            assert!(!store.receive_events(vec![event("d", "1")], 8).await.unwrap()[0].repeated);
        })
    })
    .await;
}

#[tokio::test]
async fn a_cursor_moves_together_with_what_was_found() {
    on_both(|store| {
        Box::pin(async move {
            let found = |at| EventCursorRow { found_at: Some(at), ..cursor("1", at) };
            assert_eq!(
                store.receive_polled(vec![event("a", "1"), event("b", "1")], found(5)).await.unwrap(),
                1
            );
            assert_eq!(store.receive_polled(Vec::new(), cursor("2", 6)).await.unwrap(), 0);
            let kept = store.find_event_cursor("daily".to_owned(), "t".to_owned()).await.unwrap().unwrap();
            assert_eq!((kept.position.as_str(), kept.asked_at, kept.found_at), ("2", 6, Some(5)));
            // A failure is noted and moves nothing.
            let failed = EventCursorRow { error: Some("gone".to_owned()), ..cursor("null", 7) };
            store.note_event_source_error(failed).await.unwrap();
            let kept = store.list_event_cursors().await.unwrap().remove(0);
            assert_eq!(
                (kept.position.as_str(), kept.asked_at, kept.error.as_deref()),
                ("2", 7, Some("gone"))
            );
            // It counts from the first of several, until it can be asked again.
            let failed = EventCursorRow { error: Some("still gone".to_owned()), ..cursor("null", 9) };
            store.note_event_source_error(failed).await.unwrap();
            let kept = store.list_event_cursors().await.unwrap().remove(0);
            assert_eq!((kept.asked_at, kept.failing_since), (9, Some(7)));
            store.receive_polled(Vec::new(), cursor("2", 10)).await.unwrap();
            let kept = store.list_event_cursors().await.unwrap().remove(0);
            assert_eq!((kept.error, kept.failing_since), (None, None));
        })
    })
    .await;
}

#[tokio::test]
async fn a_run_and_its_events_are_stored_together_once() {
    on_both(|store| {
        Box::pin(async move {
            store.receive_events(vec![event("a", "1"), event("b", "2")], 5).await.unwrap();
            let both = vec!["a".to_owned(), "b".to_owned()];
            let first =
                store.insert_run_of_events(run("r1", None), vec![step("one")], both.clone()).await.unwrap();
            assert_eq!(first, InsertedRun::New { number: 1 });
            // A second server that had read the same rows is too late, and leaves no run behind.
            let second = store.insert_run_of_events(run("r2", None), vec![step("one")], both).await;
            assert!(matches!(second, Err(MetastoreError::Stale { .. })), "{second:?}");
            assert!(store.find_pipeline_run("r2".to_owned()).await.unwrap().is_none());
            assert_eq!(states(&store).await, "a started r1, b started r1");
            assert_eq!(store.next_event_due().await.unwrap(), None);
        })
    })
    .await;
}

#[tokio::test]
async fn a_key_with_a_run_that_goes_on_starts_no_other() {
    on_both(|store| {
        Box::pin(async move {
            store.receive_events(vec![event("a", "1"), event("b", "2")], 5).await.unwrap();
            let held = |id: &str| {
                (id.to_owned(), EventVerdict::Held { order_key: Some("k".to_owned()), next_at: 9 })
            };
            store.judge_events(vec![held("a"), held("b")], 5).await.unwrap();
            assert_eq!(store.list_held_events(trigger()).await.unwrap().len(), 2);
            store.insert_run_of_events(run("r1", None), Vec::new(), vec!["a".to_owned()]).await.unwrap();
            assert_eq!(store.list_busy_order_keys(trigger()).await.unwrap(), ["k"]);
            let early = store.insert_run_of_events(run("r2", None), Vec::new(), vec!["b".to_owned()]).await;
            assert!(matches!(early, Err(MetastoreError::Stale { .. })), "{early:?}");
            store.postpone_held_events(trigger(), 9, 20).await.unwrap();
            assert_eq!(store.next_event_due().await.unwrap(), Some(20));
        })
    })
    .await;
}

#[tokio::test]
async fn what_fails_is_tried_again_then_dead_then_replayed() {
    on_both(|store| {
        Box::pin(async move {
            store.receive_events(vec![event("a", "1")], 5).await.unwrap();
            let failed =
                |next_at| vec![("a".to_owned(), EventVerdict::Failed { reason: "why".to_owned(), next_at })];
            store.judge_events(failed(Some(8)), 5).await.unwrap();
            assert_eq!(store.list_waiting_events(trigger(), 7, 10).await.unwrap().len(), 0);
            assert_eq!(store.list_waiting_events(trigger(), 8, 10).await.unwrap()[0].attempts, 1);
            store.judge_events(failed(None), 8).await.unwrap();
            assert_eq!(states(&store).await, "a dead");
            assert_eq!(store.forget_events(100).await.unwrap(), 0, "a dead letter stays");
            assert!(store.replay_event("a".to_owned(), 9).await.unwrap());
            assert!(!store.replay_event("a".to_owned(), 9).await.unwrap(), "it waits already");
            let row = store.find_events(vec!["a".to_owned()]).await.unwrap().remove(0);
            assert_eq!(
                (row.state.as_str(), row.attempts, row.reason, row.settled_at),
                ("waiting", 0, None, None)
            );
            assert_eq!(store.count_events().await.unwrap(), [("waiting".to_owned(), 1)]);
        })
    })
    .await;
}
