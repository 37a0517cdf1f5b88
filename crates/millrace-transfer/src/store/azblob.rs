//! Azure Blob Storage.

use std::sync::Arc;

use millrace_storage::{Failure, StorageOptions};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::blob_put::BlobPuts;
use super::bucket::{self, Bucket, client, retries};
use super::settings::{Leads, Settings, endpoint, given};
use super::{FileStore, settings::Kind};
use crate::error::CopyError;

/// The kind of connection `azblob`.
pub(super) const KIND: Kind =
    Kind::of::<AzureConnection>("copy: {from: \"raw:landing/*.csv\", to: \"data:orders\"}\n");

/// Reads and writes files in a container of Azure Blob Storage; triggers look into it with the same connection.
///
/// In connections.yaml: `raw: {azblob: {container: …, account: …, access_key: …}}`. Then `raw:landing/*.csv` names blobs as a path does
/// files; `az://container/landing/*.csv` too. A blob is written whole or not at all.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AzureConnection {
    /// Name of the container.
    container: String,
    /// What the names of this connection's blobs begin with, for example `raw/2026`.
    #[serde(default)]
    prefix: String,
    /// Name of the storage account.
    account: String,
    /// Key of the account, usually `${{ secrets.… }}`.
    #[serde(default)]
    access_key: Option<String>,
    /// A shared access signature instead of a key, usually `${{ secrets.… }}`.
    #[serde(default)]
    sas_token: Option<String>,
    /// Directory of an application that logs in, with `client_id` and `client_secret`.
    #[serde(default)]
    tenant_id: Option<String>,
    /// The application's id.
    #[serde(default)]
    client_id: Option<String>,
    /// The application's secret, usually `${{ secrets.… }}`.
    #[serde(default)]
    client_secret: Option<String>,
    /// URL of the server, if it is not Microsoft's, the account in its path.
    #[serde(default)]
    endpoint: Option<Url>,
    /// Whether requests are not signed, as public containers allow.
    #[serde(default)]
    anonymous: bool,
    /// Whether `endpoint` may be `http://`, which sends the data unencrypted.
    #[serde(default)]
    allow_http: bool,
}

impl Settings for AzureConnection {
    const WORD: &'static str = "azblob";
    const SCHEMES: &'static [&'static str] = &["az"];
    const SECRET: &'static [&'static str] = &["access_key", "sas_token", "client_secret"];

    fn declaration(name: &str, place: &str) -> String {
        format!(
            "{name}: {{azblob: {{container: {place}, account: …, access_key: \"${{{{ secrets.{name} }}}}\"}}}}"
        )
    }

    fn check(&self) -> Result<(), String> {
        if self.container.is_empty() || self.container.contains('/') {
            return Err("`container` is a container's name alone; blobs begin with `prefix`".to_owned());
        }
        let application = [&self.tenant_id, &self.client_id, &self.client_secret];
        let named = application.iter().filter(|field| field.is_some()).count();
        if named != 0 && named != application.len() {
            return Err("`tenant_id`, `client_id` and `client_secret` go together".to_owned());
        }
        let ways = [self.access_key.is_some(), self.sas_token.is_some(), named > 0, self.anonymous];
        if ways.iter().filter(|way| **way).count() > 1 {
            return Err(
                "it says more than one of `access_key`, `sas_token`, `client_id` and `anonymous`".to_owned()
            );
        }
        endpoint(self.endpoint.as_ref(), self.allow_http)
    }
}

impl AzureConnection {
    fn options(&self) -> Vec<(String, String)> {
        let endpoint = self.endpoint.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
        given([
            ("azure_storage_account_name", Some(self.account.clone())),
            ("azure_storage_account_key", self.access_key.clone()),
            ("azure_storage_sas_token", self.sas_token.clone()),
            ("azure_storage_tenant_id", self.tenant_id.clone()),
            ("azure_storage_client_id", self.client_id.clone()),
            ("azure_storage_client_secret", self.client_secret.clone()),
            ("azure_storage_endpoint", endpoint),
            ("azure_skip_signature", self.anonymous.then(|| "true".to_owned())),
            ("azure_allow_http", self.allow_http.then(|| "true".to_owned())),
        ])
    }
}

impl Leads for AzureConnection {
    fn root(&self) -> String {
        bucket::label("az", &self.container, &self.prefix, "")
    }

    fn open(&self) -> Result<Arc<dyn FileStore>, CopyError> {
        let secrets: Vec<String> = [&self.access_key, &self.sas_token, &self.client_secret]
            .into_iter()
            .flatten()
            .filter(|secret| !secret.is_empty())
            .cloned()
            .collect();
        let refused = |message: String| CopyError::config(message, Self::declaration("raw", &self.container));
        let mut builder = MicrosoftAzureBuilder::new()
            .with_client_options(client(self.allow_http))
            .with_retry(retries())
            .with_container_name(&self.container);
        for (option, value) in self.options() {
            let key: AzureConfigKey = option.parse().map_err(|_| refused(format!("no option `{option}`")))?;
            builder = builder.with_config(key, value);
        }
        let built = builder.build();
        let store = built.map_err(|error| refused(Failure::of(&error, &self.container, &secrets).message))?;
        let (name, prefix) = (self.container.clone(), self.prefix.trim_matches('/').to_owned());
        let store = Arc::new(store);
        // Other logins have their own ways to sign, and go in parts.
        let puts = self
            .access_key
            .is_some()
            .then(|| BlobPuts::new(store.clone(), self.account.clone(), secrets.clone()));
        let puts = puts.transpose().map_err(|error| refused(error.to_string()))?;
        Ok(Arc::new(Bucket { store, scheme: "az", name, prefix, secrets, puts }))
    }

    fn bucket_options(&self, scheme: &str, bucket: &str) -> Option<StorageOptions> {
        let found = scheme == "az" && bucket == self.container;
        found.then(|| StorageOptions { azure: self.options(), ..StorageOptions::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(settings: Value, expected: Result<&str, &str>) {
        let found = KIND.read("raw", &json!({"azblob": settings}));
        let found = found.and_then(|it| it.open().map(|store| store.label("a.csv")));
        assert_eq!(
            found.map_err(|error| error.to_string()),
            expected.map(str::to_owned).map_err(|it| format!("the connection `raw`: {it}"))
        );
    }

    #[test]
    fn settings() {
        let key = "c2VjcmV0";
        check(
            json!({"container": "c", "account": "a", "access_key": key, "prefix": "/raw/"}),
            Ok("az://c/raw/a.csv"),
        );
        check(
            json!({"container": "c", "account": "a", "access_key": key, "sas_token": "s"}),
            Err("it says more than one of `access_key`, `sas_token`, `client_id` and `anonymous`"),
        );
        check(
            json!({"container": "c", "account": "a", "client_id": "i"}),
            Err("`tenant_id`, `client_id` and `client_secret` go together"),
        );
        check(
            json!({"container": "c", "account": "a", "endpoint": "http://127.0.0.1:1/a"}),
            Err("its endpoint is `http://`, which needs `allow_http: true`"),
        );
        check(
            json!({"container": "c", "account": "a", "access_key": 4711}),
            Err("`access_key` is not text; put it in quotes"),
        );
        check(json!({"account": "a"}), Err("missing field `container`"));
    }
}
