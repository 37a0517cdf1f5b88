//! What becomes of experiments and runs in the long run: rules of retention, files of what was purged, and how many bytes all takes.
//!
//! The metastore says what is gone and what is due; this does it, in the background of a server. Everything can be interrupted at any
//! instant: what was not done is still due.

mod collector;
mod retention;
mod usage;

pub use retention::{InvalidRules, KeepBest, RetentionPlan, RetentionRules};

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millrace_contract::Clock;
use millrace_metastore::Metastore;
use millrace_storage::Storage;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Time between two looks at what is due.
const ROUND: Duration = Duration::from_secs(30);
/// Microseconds between two evaluations of the rules, and between two measurements of traces.
const RARELY: i64 = 3_600 * 1_000_000;

/// Deletes, collects and measures.
#[derive(Clone)]
pub struct Lifecycle {
    store: Metastore,
    /// The files of runs and logged models.
    artifacts: Storage,
    clock: Arc<dyn Clock>,
    /// Runs and logged models whose files changed since they were measured.
    touched: Arc<Mutex<BTreeSet<String>>>,
    bell: Arc<Notify>,
}

impl std::fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lifecycle").field("artifacts", &self.artifacts).finish_non_exhaustive()
    }
}

impl Lifecycle {
    /// `artifacts`: the files of runs and logged models, each in the folder that a purge writes down.
    pub fn new(store: Metastore, artifacts: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { store, artifacts, clock, touched: Arc::default(), bell: Arc::default() }
    }

    /// Says that there may be something to do.
    pub fn wake(&self) {
        self.bell.notify_one();
    }

    /// Says that files of a run or logged model changed.
    pub fn touch(&self, owner: String) {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).insert(owner);
    }

    fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    /// Works until it is told to stop.
    pub async fn watch(self, stop: CancellationToken) {
        if let Err(error) = self.store.release_garbage().await {
            tracing::error!(%error, "what an earlier server was deleting waits for the next start");
        }
        let mut rare = i64::MIN;
        loop {
            let now = self.now();
            let rarely = rare.saturating_add(RARELY) <= now;
            if rarely {
                rare = now;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.round(rarely) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(ROUND) => {}
                () = self.bell.notified() => {}
            }
        }
    }

    async fn round(&self, rarely: bool) {
        if rarely {
            self.apply_all_rules().await;
            let housekept = async {
                self.store.measure_traces().await?;
                self.store.trim_usage().await?;
                self.discard_trace_files().await?;
                self.store.trim_gone_runs(self.now()).await.map(drop)
            };
            if let Err(error) = housekept.await {
                tracing::error!(%error, "traces were not measured");
            }
        }
        if let Err(error) = self.collect().await {
            tracing::error!(%error, "files of purged runs are not deleted");
        }
        if let Err(error) = self.measure_some().await {
            tracing::error!(%error, "the storage use of runs is not up to date");
        }
    }
}
