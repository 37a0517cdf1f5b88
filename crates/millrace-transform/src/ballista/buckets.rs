//! Stores by the addresses that a plan names: a node was not told of them before.

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry};
use object_store::ObjectStore;
use url::Url;

use crate::engine::{EngineConfig, store};

/// Opens a bucket when it is first named.
#[derive(Debug)]
pub(super) struct Buckets {
    config: EngineConfig,
    known: DefaultObjectStoreRegistry,
}

impl Buckets {
    pub(super) fn new(config: EngineConfig) -> Self {
        Self { config, known: DefaultObjectStoreRegistry::new() }
    }
}

impl ObjectStoreRegistry for Buckets {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.known.register_store(url, store)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        match self.known.get_store(url) {
            Err(_) if url.scheme() == "s3" => {
                let opened = store::store_for(&self.config, url);
                let (bucket, _) = opened.map_err(|error| DataFusionError::External(Box::new(error)))?;
                self.known.register_store(url, bucket.clone());
                Ok(bucket)
            }
            known => known,
        }
    }
}
