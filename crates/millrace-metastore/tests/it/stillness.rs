//! Rounds are spared while nothing is committed, by whichever process.

use std::time::Duration;

use millrace_metastore::Metastore;

use crate::{begin_server, on_both, run, step};

/// Longer than a file may be written again without a sign of it.
fn let_it_settle() {
    std::thread::sleep(Duration::from_millis(250));
}

#[tokio::test]
async fn a_look_holds_until_somebody_commits_or_something_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("millrace.db").display());
    let store = Metastore::open(&url).await.unwrap();
    begin_server(&store, "a").await;
    let mut still = store.stillness();
    assert!(!still.holds(1), "nobody has looked yet");
    still.looked(None);
    assert!(!still.holds(1), "its files may still change without a sign");
    let_it_settle();
    assert!(!still.holds(1));
    still.looked(Some(50));
    assert!(still.holds(1) && still.holds(49));
    assert!(!still.holds(50), "something is due");
    still.looked(None);
    assert!(still.holds(1_000_000));
    // What is read changes nothing.
    store.list_due_run_notices(99, 9).await.unwrap();
    assert!(still.holds(1));
    // Another process commits.
    let other = Metastore::open(&url).await.unwrap();
    other.insert_pipeline_run(run("a", None), vec![step("one")], None).await.unwrap();
    assert!(!still.holds(1), "a run came");
    let_it_settle();
    assert!(!still.holds(1), "and nobody has looked since");
    still.looked(None);
    assert!(still.holds(1));
    // So does this one.
    store.insert_pipeline_run(run("b", None), vec![step("one")], None).await.unwrap();
    assert!(!still.holds(1));
}

#[tokio::test]
async fn a_look_that_failed_is_repeated_and_postgresql_is_always_asked() {
    on_both(|store| {
        Box::pin(async move {
            let_it_settle();
            let mut still = store.stillness();
            assert!(!still.holds(1));
            assert!(!still.holds(1), "the round told of no end");
            still.looked(None);
            assert_eq!(still.holds(1), !store.is_postgres());
        })
    })
    .await;
}
