//! Named, versioned datasets and models over the metastore.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use jiff::Timestamp;
use millrace_contract::{
    AssetKey, CatalogError, Clock, DatasetCatalog, DatasetVersion, ModelRegistry, ModelVersion,
    NewDatasetVersion, NewModelVersion, Producer, TableProfile,
};
use millrace_metastore::assets::{AssetNode, AssetVersionRow};
use millrace_metastore::{Metastore, MetastoreError};
use millrace_spec::asset::Asset;
use millrace_spec::suggest::nearest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::reference::{Reference, check_name};

const DATASET: &str = "dataset";
const MODEL: &str = "model";

/// Datasets and models of a workspace. Their bytes lie below one folder.
#[derive(Clone)]
pub struct Catalog {
    store: Metastore,
    storage: PathBuf,
    clock: Arc<dyn Clock>,
}

/// What is stored beside the asset of a version.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Details {
    #[serde(default)]
    schema: Value,
    #[serde(default)]
    profile: Option<TableProfile>,
    #[serde(default)]
    producer: Option<Producer>,
    #[serde(default)]
    inputs: Vec<AssetKey>,
    #[serde(default)]
    tracking_run_id: Option<String>,
    #[serde(default)]
    metrics: IndexMap<String, f64>,
    #[serde(default)]
    description: Option<String>,
}

impl Catalog {
    /// `storage`: absolute folder; datasets lie in `datasets/<name>` below it, models in `models/<name>/<digest>`.
    pub fn new(store: Metastore, storage: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { store, storage, clock }
    }

    async fn insert(
        &self,
        kind: &'static str,
        name: &str,
        asset: &Asset,
        details: &Details,
        aliases: Vec<String>,
    ) -> Result<AssetVersionRow, CatalogError> {
        let row = AssetVersionRow {
            kind: kind.to_owned(),
            name: name.to_owned(),
            version: 0,
            digest: asset.digest.clone(),
            asset: asset.to_value().to_string(),
            details: serde_json::to_string(details).unwrap_or_default(),
            created_at: self.clock.now().as_microsecond(),
        };
        let node = |key: &AssetKey| AssetNode {
            kind: key.kind.clone(),
            name: key.name.clone(),
            version: i64::try_from(key.version).unwrap_or_default(),
        };
        let inputs = details.inputs.iter().map(node).collect();
        self.store.insert_asset_version(row, inputs, aliases).await.map_err(store_error("record the version"))
    }

    async fn find(&self, kind: &'static str, text: &str) -> Result<AssetVersionRow, CatalogError> {
        let reference = Reference::parse(text).map_err(|error| CatalogError::InvalidName {
            kind,
            name: text.to_owned(),
            reason: error.reason,
        })?;
        let found = self.store.find_asset_version(kind, reference.name.clone(), reference.selector).await;
        if let Some(row) = found.map_err(store_error("look for the version"))? {
            return Ok(row);
        }
        let rows = self.store.list_newest_assets(kind).await.map_err(store_error("list the names"))?;
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let suggestion = nearest(&reference.name, &names).map(str::to_owned);
        Err(CatalogError::NotFound { kind, reference: text.to_owned(), suggestion })
    }

    async fn model_from_row(&self, row: AssetVersionRow) -> Result<ModelVersion, CatalogError> {
        let aliases = self
            .store
            .list_asset_aliases(MODEL, row.name.clone())
            .await
            .map_err(store_error("list the aliases"))?;
        let (asset, details, created_at) = read_row(&row)?;
        Ok(ModelVersion {
            aliases: aliases
                .into_iter()
                .filter(|(_, version)| *version == row.version)
                .map(|(alias, _)| alias)
                .collect(),
            asset,
            producer: details.producer,
            tracking_run_id: details.tracking_run_id,
            metrics: details.metrics,
            inputs: details.inputs,
            description: details.description,
            created_at,
        })
    }
}

fn store_error(action: &'static str) -> impl FnOnce(MetastoreError) -> CatalogError {
    move |error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let message = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
        CatalogError::Store { action, message }
    }
}

fn read_row(row: &AssetVersionRow) -> Result<(Asset, Details, Timestamp), CatalogError> {
    let broken = |error: serde_json::Error| CatalogError::Store {
        action: "read a stored version",
        message: error.to_string(),
    };
    let mut asset: Asset = serde_json::from_str(&row.asset).map_err(broken)?;
    asset.name = Some(row.name.clone());
    asset.version = u64::try_from(row.version).ok();
    let details = serde_json::from_str(&row.details).map_err(broken)?;
    Ok((asset, details, Timestamp::from_microsecond(row.created_at).unwrap_or_default()))
}

fn dataset_from_row(row: &AssetVersionRow) -> Result<DatasetVersion, CatalogError> {
    let (asset, details, created_at) = read_row(row)?;
    Ok(DatasetVersion {
        asset,
        schema: details.schema,
        profile: details.profile,
        producer: details.producer,
        inputs: details.inputs,
        created_at,
    })
}

#[async_trait]
impl DatasetCatalog for Catalog {
    fn location(&self, name: &str) -> Result<String, CatalogError> {
        check_name(name).map_err(|error| CatalogError::InvalidName {
            kind: DATASET,
            name: name.to_owned(),
            reason: error.reason,
        })?;
        Ok(format!("file://{}", self.storage.join("datasets").join(name).display()))
    }

    async fn commit(&self, new: NewDatasetVersion) -> Result<DatasetVersion, CatalogError> {
        let details = Details {
            schema: new.schema,
            profile: new.profile,
            producer: new.producer,
            inputs: new.inputs,
            ..Details::default()
        };
        let row = self.insert(DATASET, &new.name, &new.asset, &details, Vec::new()).await?;
        dataset_from_row(&row)
    }

    async fn resolve(&self, reference: &str) -> Result<DatasetVersion, CatalogError> {
        dataset_from_row(&self.find(DATASET, reference).await?)
    }

    async fn list(&self) -> Result<Vec<DatasetVersion>, CatalogError> {
        let rows = self.store.list_newest_assets(DATASET).await.map_err(store_error("list the datasets"))?;
        rows.iter().map(dataset_from_row).collect()
    }

    async fn versions(&self, name: &str) -> Result<Vec<DatasetVersion>, CatalogError> {
        let rows = self
            .store
            .list_asset_versions(DATASET, name.to_owned())
            .await
            .map_err(store_error("list the versions"))?;
        rows.iter().map(dataset_from_row).collect()
    }
}

#[async_trait]
impl ModelRegistry for Catalog {
    async fn register(&self, new: NewModelVersion) -> Result<ModelVersion, CatalogError> {
        check_name(&new.name).map_err(|error| CatalogError::InvalidName {
            kind: MODEL,
            name: new.name.clone(),
            reason: error.reason,
        })?;
        let digest: String = new.asset.digest.trim_start_matches("blake3:").chars().take(32).collect();
        let models = self.storage.join("models");
        let folder = models.join(&new.name).join(digest);
        let source = PathBuf::from(new.asset.uri.trim_start_matches("file://"));
        let target = folder.clone();
        let copied = tokio::task::spawn_blocking(move || copy_folder_whole(&models, &source, &target)).await;
        let failed = |message: String| CatalogError::Store { action: "copy the model", message };
        copied.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
        let asset = Asset { uri: format!("file://{}", folder.display()), ..new.asset };
        let details = Details {
            producer: new.producer,
            inputs: new.inputs,
            tracking_run_id: new.tracking_run_id,
            metrics: new.metrics,
            description: new.description,
            ..Details::default()
        };
        let row = self.insert(MODEL, &new.name, &asset, &details, new.aliases).await?;
        self.model_from_row(row).await
    }

    async fn resolve(&self, reference: &str) -> Result<ModelVersion, CatalogError> {
        let row = self.find(MODEL, reference).await?;
        self.model_from_row(row).await
    }

    async fn list(&self) -> Result<Vec<ModelVersion>, CatalogError> {
        let rows = self.store.list_newest_assets(MODEL).await.map_err(store_error("list the models"))?;
        let mut models = Vec::with_capacity(rows.len());
        for row in rows {
            models.push(self.model_from_row(row).await?);
        }
        Ok(models)
    }

    async fn versions(&self, name: &str) -> Result<Vec<ModelVersion>, CatalogError> {
        let rows = self
            .store
            .list_asset_versions(MODEL, name.to_owned())
            .await
            .map_err(store_error("list the versions"))?;
        let mut models = Vec::with_capacity(rows.len());
        for row in rows {
            models.push(self.model_from_row(row).await?);
        }
        Ok(models)
    }
}

/// Copies a folder so that the copy is there whole or not at all. A copy that is there is left alone: its name is its content's digest.
fn copy_folder_whole(root: &Path, source: &Path, target: &Path) -> std::io::Result<()> {
    if target.exists() {
        return Ok(());
    }
    let staged = crate::staging::stage(root)?;
    copy_folder(source, &staged)?;
    fs_err::create_dir_all(target.parent().unwrap_or(root))?;
    match fs_err::rename(&staged, target) {
        // Somebody else was quicker with the same content.
        Err(_) if target.exists() => fs_err::remove_dir_all(&staged),
        renamed => renamed,
    }
}

fn copy_folder(source: &Path, target: &Path) -> std::io::Result<()> {
    fs_err::create_dir_all(target)?;
    for entry in fs_err::read_dir(source)? {
        let entry = entry?;
        let below = target.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &below)?;
        } else {
            fs_err::copy(entry.path(), &below)?;
            fs_err::File::open(&below)?.sync_all()?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
