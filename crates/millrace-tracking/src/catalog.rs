//! Named, versioned datasets and models over the metastore.

use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use jiff::Timestamp;
use millrace_contract::{
    AssetKey, CatalogError, Clock, DatasetCatalog, DatasetVersion, ModelRegistry, ModelVersion,
    NewDatasetVersion, NewModelVersion, Producer, TableProfile,
};
use millrace_metastore::assets::{AssetNode, AssetVersionRow};
use millrace_metastore::registry::{NewModelAsset, NewVersion, RegisteredAsset, RegistryRefusal};
use millrace_metastore::{Metastore, MetastoreError};
use millrace_spec::asset::Asset;
use millrace_spec::suggest::nearest;
use millrace_storage::{FilePath, InvalidPath, LocalCopies, Storage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::reference::{InvalidReference, Reference, check_name};

const DATASET: &str = "dataset";
const MODEL: &str = "model";
/// The folder of registered models among the artifacts that this server serves: `mlflow-artifacts:/.registry/<name>/<digest>`.
pub const REGISTERED: &str = ".registry";

/// Datasets and models of a workspace. Their bytes lie below one folder.
#[derive(Clone)]
pub struct Catalog {
    store: Metastore,
    storage: Storage,
    models: Storage,
    copies: LocalCopies,
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
    metrics: IndexMap<String, f64>,
}

impl Details {
    fn nodes(&self) -> Vec<AssetNode> {
        let node = |key: &AssetKey| AssetNode {
            kind: key.kind.clone(),
            name: key.name.clone(),
            version: i64::try_from(key.version).unwrap_or_default(),
        };
        self.inputs.iter().map(node).collect()
    }
}

impl Catalog {
    /// `storage`: datasets lie in its `datasets/<name>`. `models`: models lie in its `<name>/<digest>`.
    /// `copies`: reaches models that are registered again from where they lie.
    pub fn new(
        store: Metastore,
        storage: Storage,
        models: Storage,
        copies: LocalCopies,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, storage, models, copies, clock }
    }

    /// A row of a new version; its number is given by the database.
    fn row(&self, kind: &str, name: &str, asset: &Asset, details: &Details) -> AssetVersionRow {
        AssetVersionRow {
            kind: kind.to_owned(),
            name: name.to_owned(),
            version: 0,
            digest: asset.digest.clone(),
            asset: asset.to_value().to_string(),
            details: serde_json::to_string(details).unwrap_or_default(),
            created_at: self.clock.now().as_microsecond(),
        }
    }

    async fn find_dataset(&self, text: &str) -> Result<AssetVersionRow, CatalogError> {
        let reference = Reference::parse(text).map_err(invalid_name(DATASET, text))?;
        let found = self.store.find_asset_version(DATASET, reference.name.clone(), reference.selector).await;
        match found.map_err(store_error("look for the version"))? {
            Some(row) => Ok(row),
            None => Err(self.not_found(DATASET, &reference.name, text).await?),
        }
    }

    async fn find_model(&self, text: &str) -> Result<RegisteredAsset, CatalogError> {
        let reference = Reference::parse_model(text).map_err(invalid_name(MODEL, text))?;
        let found = self.store.find_model_asset(reference.name.clone(), reference.selector).await;
        match found.map_err(store_error("look for the version"))? {
            Some(row) => Ok(row),
            None => Err(self.not_found(MODEL, &reference.name, text).await?),
        }
    }

    async fn not_found(
        &self,
        kind: &'static str,
        name: &str,
        text: &str,
    ) -> Result<CatalogError, CatalogError> {
        let rows = self.store.list_newest_assets(kind).await.map_err(store_error("list the names"))?;
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let suggestion = nearest(name, &names).map(str::to_owned);
        Ok(CatalogError::NotFound { kind, reference: text.to_owned(), suggestion })
    }
}

fn invalid_name(kind: &'static str, name: &str) -> impl FnOnce(InvalidReference) -> CatalogError {
    let name = name.to_owned();
    move |error| CatalogError::InvalidName { kind, name, reason: error.reason }
}

fn bad_path(kind: &'static str, name: &str) -> impl FnOnce(InvalidPath) -> CatalogError {
    let name = name.to_owned();
    move |error| CatalogError::InvalidName { kind, name, reason: error.to_string() }
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

fn model_from_rows((content, version): RegisteredAsset) -> Result<ModelVersion, CatalogError> {
    let (asset, details, created_at) = read_row(&content)?;
    Ok(ModelVersion {
        asset,
        producer: details.producer,
        tracking_run_id: version.run_id,
        metrics: details.metrics,
        inputs: details.inputs,
        description: version.description,
        aliases: version.aliases,
        stage: version.stage,
        tags: version.tags.into_iter().collect(),
        run_link: version.run_link,
        created_at,
    })
}

#[async_trait]
impl DatasetCatalog for Catalog {
    fn location(&self, name: &str) -> Result<String, CatalogError> {
        check_name(name).map_err(invalid_name(DATASET, name))?;
        let path = FilePath::new(&format!("datasets/{name}"));
        Ok(self.storage.url(&path.map_err(bad_path(DATASET, name))?))
    }

    async fn commit(&self, new: NewDatasetVersion) -> Result<DatasetVersion, CatalogError> {
        let details = Details {
            schema: new.schema,
            profile: new.profile,
            producer: new.producer,
            inputs: new.inputs,
            ..Details::default()
        };
        let row = self.row(DATASET, &new.name, &new.asset, &details);
        let stored = self.store.insert_asset_version(row, details.nodes()).await;
        dataset_from_row(&stored.map_err(store_error("record the version"))?)
    }

    async fn resolve(&self, reference: &str) -> Result<DatasetVersion, CatalogError> {
        dataset_from_row(&self.find_dataset(reference).await?)
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
        check_name(&new.name).map_err(invalid_name(MODEL, &new.name))?;
        let digest: String = new.asset.digest.trim_start_matches("blake3:").chars().take(32).collect();
        let folder = FilePath::new(&format!("{}/{digest}", new.name)).map_err(bad_path(MODEL, &new.name))?;
        let failed = |error: &dyn std::error::Error| CatalogError::Store {
            action: "copy the model",
            message: error.to_string(),
        };
        let source = self.copies.path(&new.asset.uri).await.map_err(|error| failed(&error))?;
        let stored = self.models.store_folder(&source, &folder, "MLmodel").await;
        stored.map_err(|error| failed(&error))?;
        let asset = Asset { uri: self.models.url(&folder), ..new.asset };
        let details = Details {
            producer: new.producer,
            inputs: new.inputs,
            metrics: new.metrics,
            ..Details::default()
        };
        let row = self.row(MODEL, &new.name, &asset, &details);
        let now = row.created_at;
        let version = NewVersion {
            source: format!("mlflow-artifacts:/{REGISTERED}/{}/{digest}", new.name),
            name: new.name.clone(),
            run_id: new.tracking_run_id,
            description: new.description,
            content: Some(row),
            ..NewVersion::default()
        };
        let new_asset = NewModelAsset { version, inputs: details.nodes(), aliases: new.aliases };
        match self.store.register_model_asset(new_asset, now).await {
            Ok(registered) => model_from_rows(registered),
            Err(MetastoreError::Registry(refusal @ RegistryRefusal::IsPrompt { .. })) => {
                Err(CatalogError::InvalidName { kind: MODEL, name: new.name, reason: refusal.to_string() })
            }
            Err(error) => Err(store_error("record the version")(error)),
        }
    }

    async fn resolve(&self, reference: &str) -> Result<ModelVersion, CatalogError> {
        model_from_rows(self.find_model(reference).await?)
    }

    async fn list(&self) -> Result<Vec<ModelVersion>, CatalogError> {
        let rows = self.store.list_newest_model_assets().await.map_err(store_error("list the models"))?;
        rows.into_iter().map(model_from_rows).collect()
    }

    async fn versions(&self, name: &str) -> Result<Vec<ModelVersion>, CatalogError> {
        let rows = self.store.list_model_assets(name.to_owned()).await;
        rows.map_err(store_error("list the versions"))?.into_iter().map(model_from_rows).collect()
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
pub(crate) mod tests;
