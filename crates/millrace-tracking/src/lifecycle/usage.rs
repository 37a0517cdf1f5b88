//! Measures how many bytes runs take.

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
        let mut owners: Vec<String> = Vec::with_capacity(touched.len());
        for owner in touched {
            if owner.starts_with("m-") {
                let model = self.store.find_logged_model(owner).await;
                owners.extend(model.ok().map(|model| model.source_run_id));
            } else {
                owners.push(owner);
            }
        }
        if owners.is_empty() {
            return Ok(());
        }
        let runs = self.store.list_runs_to_measure(owners).await?;
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
        let mut measured = Vec::with_capacity(runs.len());
        for run in runs {
            let (mut bytes, mut files) = (0_u64, 0);
            for folder in &run.folders {
                let Ok(folder) = FilePath::new(folder) else { continue };
                match self.artifacts.files(&folder).await {
                    Ok(found) => {
                        bytes += found.iter().map(|file| file.size_bytes).sum::<u64>();
                        files += found.len();
                    }
                    Err(error) => tracing::warn!(%error, "files of a run could not be measured"),
                }
            }
            measured.push(MeasuredFiles {
                run: run.number,
                bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
                files: i64::try_from(files).unwrap_or(i64::MAX),
            });
        }
        self.store.store_usage(measured, seen, self.now()).await
    }
}
