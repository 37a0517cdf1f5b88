//! Loops sleep while nothing is committed, and wake when something is, by whichever process.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use millrace_metastore::{Commits, LookAgain, Metastore};

use crate::{begin_server, on_both, run, step};

/// Longer than two rounds.
const ROUNDS: Duration = Duration::from_millis(2_500);
/// Shorter than the time after which everybody looks anyway.
const PATIENCE: Duration = Duration::from_secs(10);

async fn is_woken(commits: &mut Commits) -> bool {
    tokio::time::timeout(PATIENCE, commits.next()).await.is_ok()
}

async fn sleeps_on(commits: &mut Commits) -> bool {
    tokio::time::timeout(ROUNDS, commits.next()).await.is_err()
}

/// Looks until nothing wakes it any more.
async fn look_until_still(commits: &mut Commits) {
    for _ in 0..5 {
        if sleeps_on(commits).await {
            return;
        }
        commits.looked(LookAgain::AfterCommit);
    }
    panic!("it is woken though nothing is committed");
}

#[tokio::test]
async fn a_loop_sleeps_until_somebody_commits_or_something_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("millrace.db").display());
    let store = Metastore::open(&url).await.unwrap();
    begin_server(&store, "a").await;
    let now = Arc::new(AtomicI64::new(1));
    let clock = now.clone();
    let mut commits = store.commits(move || clock.load(Ordering::Relaxed));
    assert!(is_woken(&mut commits).await, "the first look is due at once");
    commits.looked(LookAgain::AfterCommit);
    look_until_still(&mut commits).await;
    // What is read wakes nobody.
    store.list_due_run_notices(99, 9).await.unwrap();
    assert!(sleeps_on(&mut commits).await);
    // Another process commits.
    let other = Metastore::open(&url).await.unwrap();
    other.insert_pipeline_run(run("a", None), vec![step("one")], None).await.unwrap();
    assert!(is_woken(&mut commits).await, "a run came");
    look_until_still(&mut commits).await;
    // So does this one.
    store.insert_pipeline_run(run("b", None), vec![step("one")], None).await.unwrap();
    assert!(is_woken(&mut commits).await);
    look_until_still(&mut commits).await;
    commits.looked(LookAgain::At(50));
    assert!(sleeps_on(&mut commits).await, "it is not due");
    now.store(50, Ordering::Relaxed);
    assert!(is_woken(&mut commits).await, "it is due");
    assert!(is_woken(&mut commits).await, "and remains so until it is looked at");
    commits.looked(LookAgain::Soon);
    assert!(is_woken(&mut commits).await, "the look failed");
    commits.looked(LookAgain::AfterCommit);
    // What rang before it was said that nothing is due.
    look_until_still(&mut commits).await;
}

#[tokio::test]
async fn what_nobody_waited_for_is_told_by_the_next_wait() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("millrace.db").display());
    let store = Metastore::open(&url).await.unwrap();
    begin_server(&store, "a").await;
    let mut commits = store.commits(|| 1);
    look_until_still(&mut commits).await;
    store.insert_pipeline_run(run("a", None), vec![step("one")], None).await.unwrap();
    tokio::time::sleep(ROUNDS).await;
    let told = tokio::time::timeout(Duration::from_millis(1), commits.next()).await;
    assert!(told.is_ok());
}

#[tokio::test]
async fn postgresql_is_asked_every_second() {
    on_both(|store| {
        Box::pin(async move {
            let mut commits = store.commits(|| 1);
            for _ in 0..5 {
                if sleeps_on(&mut commits).await {
                    assert!(!store.is_postgres());
                    return;
                }
                commits.looked(LookAgain::AfterCommit);
            }
            assert!(store.is_postgres());
        })
    })
    .await;
}
