//! Measures how many bytes runs take.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use millrace_metastore::MetastoreError;
use millrace_metastore::experiments::{MeasuredFiles, StorageUse, ToMeasure};
use millrace_storage::FilePath;

use super::Lifecycle;

/// Runs that are measured in one go.
const TOGETHER: u32 = 100;
/// In the background, the pause after so many, and how often that is done before something else gets its turn: a million runs that were
/// just imported are measured in about two hours, beside which nobody notices it.
const PAUSE: Duration = Duration::from_millis(100);
const TIMES: usize = 100;

impl Lifecycle {
    /// Measures the runs that changed since the last time, or whose files did.
    ///
    /// # Errors
    /// If the database fails. Files that cannot be listed count as none until their run changes again.
    pub async fn measure(&self) -> Result<(), MetastoreError> {
        while self.measure_next().await? {}
        self.measure_touched().await
    }

    /// The same with pauses, and not all of it if there is much.
    pub(super) async fn measure_some(&self) -> Result<(), MetastoreError> {
        for _ in 0..TIMES {
            if !self.measure_next().await? {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.measure_touched().await
    }

    /// Whether there may be more.
    async fn measure_next(&self) -> Result<bool, MetastoreError> {
        let runs = self.store.list_unmeasured_runs(TOGETHER.into()).await?;
        let Some(last) = runs.last() else { return Ok(false) };
        let (seen, full) = ((last.changed, last.number), runs.len() >= TOGETHER as usize);
        self.keep(runs, Some(seen)).await?;
        Ok(full)
    }

    async fn measure_touched(&self) -> Result<(), MetastoreError> {
        let touched = std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner));
        let mut owners = BTreeSet::new();
        for owner in touched {
            if owner.starts_with("m-") {
                let model = self.store.find_logged_model(owner).await;
                owners.extend(model.ok().map(|model| model.source_run_id));
            } else {
                owners.insert(owner);
            }
        }
        if owners.is_empty() {
            return Ok(());
        }
        let runs = self.store.list_runs_to_measure(owners.into_iter().collect()).await?;
        self.keep(runs, None).await
    }

    /// What a run takes now; `None` if there is no such run.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn run_usage(&self, id: &str) -> Result<Option<StorageUse>, MetastoreError> {
        let runs = self.store.list_runs_to_measure(vec![id.to_owned()]).await?;
        self.keep(runs, None).await?;
        Ok(self.store.run_usage(vec![id.to_owned()]).await?.remove(id))
    }

    async fn keep(&self, runs: Vec<ToMeasure>, seen: Option<(i64, i64)>) -> Result<(), MetastoreError> {
        let (mut folders, mut owners) = (Vec::new(), Vec::new());
        for (owner, run) in runs.iter().enumerate() {
            for folder in run.folders.iter().filter_map(|folder| FilePath::new(folder).ok()) {
                folders.push(folder);
                owners.push(owner);
            }
        }
        let mut measured: Vec<MeasuredFiles> =
            runs.iter().map(|run| MeasuredFiles { run: run.number, bytes: 0, files: 0 }).collect();
        for (owner, size) in owners.into_iter().zip(self.artifacts.sizes(folders).await) {
            match (measured.get_mut(owner), size) {
                (Some(run), Ok(size)) => {
                    run.bytes = run.bytes.saturating_add_unsigned(size.bytes);
                    run.files = run.files.saturating_add_unsigned(size.files as u64);
                }
                (_, Err(error)) => tracing::warn!(%error, "files of a run could not be measured"),
                (None, Ok(_)) => {}
            }
        }
        self.store.store_usage(measured, seen, self.now()).await
    }
}
