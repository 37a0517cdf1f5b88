//! What objects there are in Azure Blob Storage and in Google Cloud Storage.

use std::sync::Arc;

use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore};

use crate::bucket::{CONNECT, Failure, facts_below, retries};
use crate::storage::FileFacts;
use crate::{InvalidStorage, StorageError, StorageOptions};

/// The objects below a prefix of a container or bucket. Their content is not read.
#[derive(Debug)]
pub struct ObjectList {
    store: Arc<dyn ObjectStore>,
    name: String,
    prefix: Path,
    secrets: Vec<String>,
}

impl ObjectList {
    /// Opens `az://CONTAINER/PREFIX` or `gs://BUCKET/PREFIX`. Nothing is asked yet.
    ///
    /// # Errors
    /// [`InvalidStorage`] if it is neither, or an option is not one of the vendor's.
    pub fn open(url: &str, options: &StorageOptions) -> Result<Self, InvalidStorage> {
        let refused = |reason: String| InvalidStorage { url: url.to_owned(), reason };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| refused("it is no URL".to_owned()))?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = Path::parse(prefix.trim_matches('/')).map_err(|error| refused(error.to_string()))?;
        let mut secrets = Vec::new();
        let store: Arc<dyn ObjectStore> = match scheme {
            "az" => Arc::new(azure(name, &options.azure, &mut secrets).map_err(refused)?),
            "gs" => Arc::new(google(name, &options.gcs, &mut secrets).map_err(refused)?),
            other => return Err(refused(format!("`{other}://` is not known here"))),
        };
        Ok(Self { store, name: name.to_owned(), prefix, secrets })
    }

    /// Every object below the prefix, by path.
    ///
    /// # Errors
    /// [`StorageError::Failed`] in the vendor's words.
    pub async fn files(&self) -> Result<Vec<FileFacts>, StorageError> {
        let found = facts_below(&*self.store, &self.prefix).await;
        let mut found = found.map_err(|error| {
            let Failure { message, transient } = Failure::of(&error, &self.name, &self.secrets);
            StorageError::Failed { path: self.prefix.to_string(), message, transient }
        })?;
        found.sort();
        Ok(found)
    }
}

fn client() -> ClientOptions {
    ClientOptions::new().with_connect_timeout(CONNECT).with_timeout_disabled()
}

fn azure(
    name: &str,
    options: &[(String, String)],
    secrets: &mut Vec<String>,
) -> Result<object_store::azure::MicrosoftAzure, String> {
    let mut builder = MicrosoftAzureBuilder::new().with_container_name(name).with_retry(retries());
    builder = builder.with_client_options(client());
    for (option, value) in options {
        let key: AzureConfigKey =
            option.parse().map_err(|_| format!("`{option}` is not an option of Azure Blob Storage"))?;
        if matches!(
            key,
            AzureConfigKey::AccessKey
                | AzureConfigKey::ClientSecret
                | AzureConfigKey::SasKey
                | AzureConfigKey::Token
        ) {
            secrets.push(value.clone());
        }
        builder = builder.with_config(key, value);
    }
    builder.build().map_err(|error| Failure::of(&error, name, secrets).message)
}

fn google(
    name: &str,
    options: &[(String, String)],
    secrets: &mut Vec<String>,
) -> Result<object_store::gcp::GoogleCloudStorage, String> {
    let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(name).with_retry(retries());
    builder = builder.with_client_options(client());
    for (option, value) in options {
        let key: GoogleConfigKey =
            option.parse().map_err(|_| format!("`{option}` is not an option of Google Cloud Storage"))?;
        if matches!(key, GoogleConfigKey::ServiceAccountKey) {
            secrets.push(value.clone());
        }
        builder = builder.with_config(key, value);
    }
    builder.build().map_err(|error| Failure::of(&error, name, secrets).message)
}
