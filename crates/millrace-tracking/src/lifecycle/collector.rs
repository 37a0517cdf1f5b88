//! Deletes the files of what was purged.

use std::collections::HashSet;

use futures::StreamExt as _;
use millrace_metastore::MetastoreError;
use millrace_metastore::experiments::{Garbage, Swept};
use millrace_storage::{FilePath, Storage, StorageError};

use super::Lifecycle;
use crate::traces::{TRACE_PREFIX, TRACES};

/// Folders that are taken at once, and how many of them are worked on together.
const TAKEN: i64 = 50;
const TOGETHER: usize = 4;

/// Traces that are looked up at once.
const LOOKED_UP: usize = 200;

impl Lifecycle {
    /// Gives the files of traces that are gone to the collector. Few traces have files, so that their folders are gone through instead of
    /// writing down each trace that is deleted.
    ///
    /// # Errors
    /// If the files cannot be listed or the database fails.
    pub(super) async fn discard_trace_files(&self) -> Result<(), MetastoreError> {
        let listed = match FilePath::new(TRACES) {
            Ok(folder) => self.artifacts.list(&folder).await,
            Err(error) => Err(StorageError::InvalidName { path: error.path }),
        };
        let entries = match listed {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(%error, "the files of traces cannot be listed; those of deleted ones stay for now");
                return Ok(());
            }
        };
        let folders =
            entries.into_iter().filter(|entry| entry.is_dir && entry.name.starts_with(TRACE_PREFIX));
        let ids: Vec<String> = folders.map(|entry| entry.name).collect();
        for ids in ids.chunks(LOOKED_UP) {
            let there = self.store.find_traces(ids.to_vec()).await?;
            let there: HashSet<&str> = there.iter().map(|trace| trace.row.id.as_str()).collect();
            for id in ids.iter().filter(|id| !there.contains(id.as_str())) {
                self.store.discard_artifacts(format!("{TRACES}/{id}"), id.clone(), self.now()).await?;
            }
        }
        Ok(())
    }

    /// Deletes the files of every folder that is due, but those that are held. Gives how many folders it looked at.
    ///
    /// # Errors
    /// If the database fails. A file that cannot be deleted is tried again later.
    pub async fn collect(&self) -> Result<usize, MetastoreError> {
        let mut looked = 0;
        loop {
            let due = self.store.claim_garbage(self.now(), TAKEN).await?;
            if due.is_empty() {
                return Ok(looked);
            }
            looked += due.len();
            let mut sweeping = futures::stream::iter(due)
                .map(|one| async move {
                    let swept = sweep(&self.artifacts, &one).await;
                    (one, swept)
                })
                .buffer_unordered(TOGETHER);
            while let Some((one, swept)) = sweeping.next().await {
                if let Swept::Failed { error } = &swept {
                    tracing::warn!(
                        path = one.path,
                        error,
                        "files of a purged run could not be deleted; they are tried again"
                    );
                }
                self.store.settle_garbage(one.path, swept, self.now()).await?;
            }
        }
    }
}

async fn sweep(artifacts: &Storage, one: &Garbage) -> Swept {
    match delete(artifacts, one).await {
        Ok(0) => Swept::Empty,
        Ok(_) => Swept::Held,
        Err(error) => Swept::Failed { error: error.to_string() },
    }
}

/// Deletes what is below a folder but not held, and gives how many files are left.
async fn delete(artifacts: &Storage, one: &Garbage) -> Result<usize, StorageError> {
    let invalid = |error: millrace_storage::InvalidPath| StorageError::InvalidName { path: error.path };
    let folder = FilePath::new(&one.path).map_err(invalid)?;
    // The root of all artifacts is no folder of anything.
    if folder.is_root() {
        return Err(StorageError::InvalidName { path: one.path.clone() });
    }
    if one.held.is_empty() {
        return gone(artifacts.delete(&folder).await).map(|()| 0);
    }
    let mut left = 0;
    for file in artifacts.files(&folder).await? {
        if one.held.iter().any(|held| is_held(&file.path, held)) {
            left += 1;
        } else {
            gone(artifacts.delete(&folder.join(&file.path).map_err(invalid)?).await)?;
        }
    }
    Ok(left)
}

/// What is not there is as good as deleted.
fn gone(deleted: Result<(), StorageError>) -> Result<(), StorageError> {
    match deleted {
        Err(StorageError::NotFound { .. }) => Ok(()),
        other => other,
    }
}

/// Whether a file is a held one or lies in a held folder.
fn is_held(path: &str, held: &str) -> bool {
    let held = held.trim_end_matches('/');
    held.is_empty() || path.strip_prefix(held).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use jiff::Timestamp;
    use millrace_contract::FixedClock;
    use millrace_metastore::Metastore;
    use millrace_metastore::experiments::{PurgeRule, TrackedRunRow};
    use millrace_metastore::registry::NewVersion;
    use millrace_metastore::traces::{Trace, TraceRange, TraceRow};

    use super::*;

    const MINUTE: i64 = 60;

    async fn lifecycle(folder: &Path) -> (Lifecycle, Arc<FixedClock>) {
        let store = Metastore::open(&format!("sqlite:{}", folder.join("m.db").display())).await.unwrap();
        let clock = Arc::new(FixedClock::at(Timestamp::UNIX_EPOCH));
        let artifacts = Storage::folder(&folder.join("artifacts"));
        (Lifecycle::new(store, artifacts, clock.clone()), clock)
    }

    async fn run(lifecycle: &Lifecycle, id: &str, files: &[&str]) {
        let row =
            TrackedRunRow { id: id.to_owned(), status: "FINISHED".to_owned(), ..TrackedRunRow::default() };
        lifecycle.store.create_tracked_run(row, Vec::new()).await.unwrap();
        for file in files {
            let path = FilePath::new(&format!("{id}/{file}")).unwrap();
            lifecycle.artifacts.write_bytes(&path, bytes::Bytes::from_static(b"content")).await.unwrap();
        }
    }

    async fn files(lifecycle: &Lifecycle) -> Vec<String> {
        let all = lifecycle.artifacts.files(&FilePath::default()).await.unwrap();
        all.into_iter().map(|file| file.path).collect()
    }

    #[test]
    fn a_held_folder_holds_what_is_in_it() {
        assert!(is_held("model/MLmodel", "model") && is_held("model", "model/") && is_held("a", ""));
        assert!(!is_held("model2/MLmodel", "model"));
    }

    #[tokio::test]
    async fn files_go_with_their_run_but_for_those_that_a_version_names_and_those_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let (lifecycle, clock) = lifecycle(folder.path()).await;
        let (gone, stays) = ("a".repeat(32), "b".repeat(32));
        run(&lifecycle, &gone, &["model/MLmodel", "model2/MLmodel", "plot.png"]).await;
        run(&lifecycle, &stays, &["plot.png"]).await;
        let store = &lifecycle.store;
        store.create_registered_model("late".to_owned(), None, Vec::new(), 0).await.unwrap();
        let version = NewVersion {
            name: "late".to_owned(),
            source: format!("mlflow-artifacts:/{gone}/model"),
            ..NewVersion::default()
        };
        store.create_model_version(version, 0).await.unwrap();
        store.purge_runs(vec![gone.clone()], PurgeRule::Any, 0).await.unwrap();
        assert_eq!(lifecycle.collect().await.unwrap(), 0, "not at once");
        clock.set(Timestamp::from_second(2 * MINUTE).unwrap());
        assert_eq!(lifecycle.collect().await.unwrap(), 1);
        assert_eq!(files(&lifecycle).await, [format!("{gone}/model/MLmodel"), format!("{stays}/plot.png")]);
        store.delete_model_version(("late".to_owned(), 1), 0).await.unwrap();
        clock.set(Timestamp::from_second(70 * MINUTE).unwrap());
        assert_eq!(lifecycle.collect().await.unwrap(), 1);
        assert_eq!(files(&lifecycle).await, [format!("{stays}/plot.png")]);
        // An upload that a crash left behind its run is found by the last look.
        let late = FilePath::new(&format!("{gone}/late.txt")).unwrap();
        lifecycle.artifacts.write_bytes(&late, bytes::Bytes::from_static(b"late")).await.unwrap();
        clock.set(Timestamp::from_second(8 * 24 * 60 * MINUTE).unwrap());
        assert_eq!(lifecycle.collect().await.unwrap(), 1);
        assert_eq!(files(&lifecycle).await, [format!("{stays}/plot.png")]);
        assert_eq!(store.count_garbage().await.unwrap(), (0, 0));
    }

    #[tokio::test]
    async fn files_of_deleted_traces_go_and_those_of_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (lifecycle, clock) = lifecycle(folder.path()).await;
        lifecycle.discard_trace_files().await.unwrap();
        for id in ["tr-1", "tr-2"] {
            let row = TraceRow { id: id.to_owned(), state: "OK".to_owned(), ..TraceRow::default() };
            lifecycle.store.store_trace(Trace { row, ..Trace::default() }).await.unwrap();
            let path = FilePath::new(&format!("traces/{id}/artifacts/attachments/x")).unwrap();
            lifecycle.artifacts.write_bytes(&path, bytes::Bytes::from_static(b"picture")).await.unwrap();
        }
        // An experiment may keep its runs there.
        let other = FilePath::new(&format!("traces/{}/artifacts/x", "a".repeat(32))).unwrap();
        lifecycle.artifacts.write_bytes(&other, bytes::Bytes::from_static(b"file")).await.unwrap();
        lifecycle.store.delete_traces(0, TraceRange::Ids(vec!["tr-1".to_owned()])).await.unwrap();
        lifecycle.discard_trace_files().await.unwrap();
        clock.set(Timestamp::from_second(2 * MINUTE).unwrap());
        assert_eq!(lifecycle.collect().await.unwrap(), 1);
        assert_eq!(
            files(&lifecycle).await,
            [other.to_string(), "traces/tr-2/artifacts/attachments/x".to_owned()]
        );
    }

    #[tokio::test]
    async fn a_collector_that_was_killed_begins_again() {
        let folder = tempfile::tempdir().unwrap();
        let (lifecycle, clock) = lifecycle(folder.path()).await;
        let id = "c".repeat(32);
        run(&lifecycle, &id, &["a", "b/c"]).await;
        lifecycle.store.purge_runs(vec![id], PurgeRule::Any, 0).await.unwrap();
        clock.set(Timestamp::from_second(2 * MINUTE).unwrap());
        // Claimed, and then nothing more happened.
        assert_eq!(lifecycle.store.claim_garbage(2 * MINUTE * 1_000_000, 10).await.unwrap().len(), 1);
        lifecycle.store.release_garbage().await.unwrap();
        assert_eq!(lifecycle.collect().await.unwrap(), 1);
        assert_eq!(files(&lifecycle).await, Vec::<String>::new());
    }
}
