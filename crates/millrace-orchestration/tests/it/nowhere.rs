//! Rooms without anything in them, for engines whose steps need none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    CatalogError, Clock, CommandExit, CommandHandle, CommandSpec, ComputeError, ComputeTarget,
    DatasetCatalog, DatasetVersion, ModelRegistry, ModelVersion, NewDatasetVersion, NewModelVersion, Note,
    Notifier, RunTracker, SecretSource, TrackerError,
};
use millrace_orchestration::EngineServices;
use millrace_spec::asset::Asset;
use millrace_spec::problem::Problem;
use millrace_spec::secret::Secrets;

/// Nothing but the time.
pub(crate) fn services(clock: Arc<dyn Clock>) -> EngineServices {
    EngineServices {
        compute: Arc::new(Nowhere),
        datasets: Arc::new(Nowhere),
        models: Arc::new(Nowhere),
        tracker: Arc::new(Nowhere),
        clock,
        secrets: Arc::new(Nowhere),
        notifier: Arc::new(Nowhere),
        address: Arc::new(String::new),
        step_env: IndexMap::new(),
        secret_env: Arc::new(|_| IndexMap::new()),
    }
}

struct Nowhere;

fn none<T>() -> Result<T, CatalogError> {
    Err(CatalogError::Store { action: "use the catalog", message: "there is none".to_owned() })
}

#[async_trait]
impl ComputeTarget for Nowhere {
    async fn start(&self, _: PathBuf, _: CommandSpec) -> Result<CommandHandle, ComputeError> {
        panic!("no step is a command")
    }
    async fn wait(&self, _: &CommandHandle) -> Result<CommandExit, ComputeError> {
        Ok(CommandExit::Lost)
    }
    async fn find(&self, _: &Path) -> Result<Option<CommandHandle>, ComputeError> {
        Ok(None)
    }
    async fn cancel(&self, _: &CommandHandle) -> Result<(), ComputeError> {
        Ok(())
    }
}

#[async_trait]
impl DatasetCatalog for Nowhere {
    fn location(&self, _: &str) -> Result<String, CatalogError> {
        none()
    }
    async fn commit(&self, _: NewDatasetVersion) -> Result<DatasetVersion, CatalogError> {
        none()
    }
    async fn resolve(&self, _: &str) -> Result<DatasetVersion, CatalogError> {
        none()
    }
    async fn list(&self) -> Result<Vec<DatasetVersion>, CatalogError> {
        none()
    }
    async fn versions(&self, _: &str) -> Result<Vec<DatasetVersion>, CatalogError> {
        none()
    }
}

#[async_trait]
impl ModelRegistry for Nowhere {
    async fn register(&self, _: NewModelVersion) -> Result<ModelVersion, CatalogError> {
        none()
    }
    async fn resolve(&self, _: &str) -> Result<ModelVersion, CatalogError> {
        none()
    }
    async fn list(&self) -> Result<Vec<ModelVersion>, CatalogError> {
        none()
    }
    async fn versions(&self, _: &str) -> Result<Vec<ModelVersion>, CatalogError> {
        none()
    }
}

#[async_trait]
impl RunTracker for Nowhere {
    async fn start_run(&self, _: &str, _: &str, _: &str, _: Option<&str>) -> Result<(), TrackerError> {
        Ok(())
    }
    async fn end_run(&self, _: &str, _: &str) -> Result<(), TrackerError> {
        Ok(())
    }
    async fn log(
        &self,
        _: &str,
        _: Vec<(String, f64, i64)>,
        _: Vec<(String, String)>,
        _: Vec<(String, String)>,
    ) -> Result<(), TrackerError> {
        Ok(())
    }
    async fn log_inputs(&self, _: &str, _: Vec<Asset>, _: &str) -> Result<(), TrackerError> {
        Ok(())
    }
    async fn log_artifact(&self, _: &str, _: &str, _: bytes::Bytes) -> Result<(), TrackerError> {
        Ok(())
    }
}

impl SecretSource for Nowhere {
    fn secrets(&self) -> Secrets {
        Secrets::default()
    }
}

#[async_trait]
impl Notifier for Nowhere {
    fn unknown(&self, _: &str) -> Option<Problem> {
        None
    }
    async fn notify(&self, _: &[String], _: Note) -> Result<(), Problem> {
        Ok(())
    }
}
