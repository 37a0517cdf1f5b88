use millrace_metastore::inbox::{EventCursorRow, NewEventRow};

use super::*;

#[tokio::test]
async fn events_that_do_not_come_and_sources_that_cannot_be_asked_are_overdue() {
    let feed = "{feed: 'http://127.0.0.1:9/a.atom', expected_every: 1h}";
    let world = World::new("2026-05-01T12:00:00Z", &[("news", feed)]).await;
    let store = world.engine.store();
    let listed = async |now: &str| {
        let now = now.parse().unwrap();
        let status = list_triggers(store, &*world.files, now, 1).await.unwrap().remove(0);
        let at =
            |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.strftime("%H:%M").to_string());
        let overdue = at(status.overdue_since);
        format!("next {}, overdue {overdue}, {}", at(status.next_at), status.why.unwrap_or_default())
    };
    let signalled = || world.signals.0.lock().unwrap().last().map(|signal| signal.value);
    let micros = |at: &str| at.parse::<Timestamp>().unwrap().as_microsecond();
    let mut triggers = world.triggers();
    triggers.fire_due().await;
    assert_eq!(listed("2026-05-01T12:00:00Z").await, "next 13:00, overdue -, ");
    // Nothing comes.
    world.at("2026-05-01T13:05:00Z");
    triggers.fire_due().await;
    assert_eq!(listed("2026-05-01T13:05:00Z").await, "next -, overdue 13:00, no event came for 1h");
    assert_eq!(signalled(), Some(300.0));
    // Something does.
    let event = NewEventRow {
        id: "a".to_owned(),
        pipeline: "news".to_owned(),
        trigger: "t".to_owned(),
        source: "feed".to_owned(),
        dedup_key: "1".to_owned(),
        kind: "entry".to_owned(),
        subject: None,
        event: "{}".to_owned(),
    };
    store.receive_events(vec![event], micros("2026-05-01T13:06:00Z")).await.unwrap();
    world.at("2026-05-01T13:06:00Z");
    triggers.fire_due().await;
    assert_eq!(listed("2026-05-01T13:06:00Z").await, "next 14:06, overdue -, ");
    assert_eq!(signalled(), Some(0.0));
    // Its source is gone for two minutes, and is there again.
    let mut cursor = EventCursorRow {
        pipeline: "news".to_owned(),
        trigger: "t".to_owned(),
        rule: "r".to_owned(),
        position: "null".to_owned(),
        asked_at: micros("2026-05-01T13:10:00Z"),
        found_at: None,
        error: Some("it refused".to_owned()),
        failing_since: None,
    };
    store.note_event_source_error(cursor.clone()).await.unwrap();
    world.at("2026-05-01T13:12:00Z");
    triggers.fire_due().await;
    assert_eq!(listed("2026-05-01T13:12:00Z").await, "next 14:06, overdue 13:10, it refused");
    assert_eq!(signalled(), Some(120.0));
    cursor.error = None;
    store.receive_polled(Vec::new(), cursor).await.unwrap();
    world.at("2026-05-01T13:13:00Z");
    triggers.fire_due().await;
    assert_eq!(listed("2026-05-01T13:13:00Z").await, "next 14:06, overdue -, ");
    // Nothing is owed for a pause.
    let pause = |paused, at| store.pause_trigger("news".to_owned(), "t".to_owned(), paused, micros(at));
    assert!(pause(true, "2026-05-01T13:13:00Z").await.unwrap());
    world.at("2026-05-01T18:00:00Z");
    triggers.fire_due().await;
    assert_eq!(listed("2026-05-01T18:00:00Z").await, "next -, overdue -, it is paused");
    assert!(pause(false, "2026-05-01T18:00:00Z").await.unwrap());
    triggers.plan.look_at_events();
    triggers.fire_due().await;
    assert_eq!(listed("2026-05-01T18:00:00Z").await, "next 19:00, overdue -, ");
    // What is no longer expected is not overdue.
    world.at("2026-05-01T19:30:00Z");
    triggers.fire_due().await;
    assert_eq!(listed("2026-05-01T19:30:00Z").await, "next -, overdue 19:00, no event came for 1h");
    world.write(&[("news", "{webhook: hmac, secret: key}")]);
    world.at("2026-05-01T19:31:00Z");
    triggers.fire_due().await;
    assert_eq!(listed("2026-05-01T19:31:00Z").await, "next -, overdue -, ");
    assert_eq!(signalled(), Some(0.0));
}
