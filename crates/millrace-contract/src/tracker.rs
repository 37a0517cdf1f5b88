use async_trait::async_trait;
use bytes::Bytes;
use millrace_spec::asset::Asset;

/// Logging into a tracked run (MLflow's notion), from inside the process.
#[async_trait]
pub trait RunTracker: Send + Sync {
    /// Starts a tracked run in `experiment` (made if absent). `parent` nests it. Calling it again with the same `run_id` is a no-op.
    async fn start_run(
        &self,
        run_id: &str,
        experiment: &str,
        name: &str,
        parent: Option<&str>,
    ) -> Result<(), TrackerError>;

    /// Ends a run with MLflow's status word: `FINISHED`, `FAILED` or `KILLED`. A no-op for one that was never started: a step may fail
    /// before it logs.
    async fn end_run(&self, run_id: &str, status: &str) -> Result<(), TrackerError>;

    /// The newest value of a metric of a run; `None` if it has none.
    async fn metric(&self, run_id: &str, name: &str) -> Result<Option<f64>, TrackerError> {
        let _ = (run_id, name);
        Ok(None)
    }

    /// All values of a metric of a run, in the order of their steps; none if it has none.
    async fn metric_history(&self, run_id: &str, name: &str) -> Result<Vec<f64>, TrackerError> {
        let _ = (run_id, name);
        Ok(Vec::new())
    }

    /// Logs values: metrics as (key, value, step), then parameters and tags as (key, value). One transaction.
    async fn log(
        &self,
        run_id: &str,
        metrics: Vec<(String, f64, i64)>,
        params: Vec<(String, String)>,
        tags: Vec<(String, String)>,
    ) -> Result<(), TrackerError>;

    /// Says which versions of datasets the run read; what has no name and version is left out. `context` is what for: `training`, ….
    async fn log_inputs(&self, run_id: &str, inputs: Vec<Asset>, context: &str) -> Result<(), TrackerError>;

    /// Stores a file of the run under a relative path.
    async fn log_artifact(&self, run_id: &str, path: &str, content: Bytes) -> Result<(), TrackerError>;
}

/// Why something was not logged.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} of the run `{run_id}`: {message}")]
pub struct TrackerError {
    /// What was being done, for example `log the metrics`.
    pub action: &'static str,
    /// Which run.
    pub run_id: String,
    /// The cause, whole chain.
    pub message: String,
}
