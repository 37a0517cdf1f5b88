//! Google Cloud Storage.

use std::sync::Arc;

use millrace_storage::{Failure, StorageOptions};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::bucket::{self, Bucket, client, retries};
use super::settings::{Leads, Settings, endpoint, given};
use super::{FileStore, settings::Kind};
use crate::error::CopyError;

/// The kind of connection `gcs`.
pub(super) const KIND: Kind =
    Kind::of::<GoogleConnection>("copy: {from: \"land:events/*.jsonl.gz\", to: \"data:events\"}\n");

/// Reads and writes files in a bucket of Google Cloud Storage; triggers look into it with the same connection.
///
/// In connections.yaml: `land: {gcs: {bucket: …, service_account_key: …}}`. Then `land:events/*.jsonl.gz` names objects as a path does
/// files; `gs://bucket/events/*.jsonl.gz` too. An object is written whole or not at all.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GoogleConnection {
    /// Name of the bucket.
    bucket: String,
    /// What the names of this connection's objects begin with, for example `raw/2026`.
    #[serde(default)]
    prefix: String,
    /// Key of a service account, the JSON as a text, usually `${{ secrets.… }}`. Without one the machine's own account is used.
    #[serde(default)]
    service_account_key: Option<String>,
    /// URL of the server, if it is not Google's.
    #[serde(default)]
    endpoint: Option<Url>,
    /// Whether requests are not signed, as public buckets allow.
    #[serde(default)]
    anonymous: bool,
    /// Whether `endpoint` may be `http://`, which sends the data unencrypted.
    #[serde(default)]
    allow_http: bool,
}

impl Settings for GoogleConnection {
    const WORD: &'static str = "gcs";
    const SCHEMES: &'static [&'static str] = &["gs"];
    const SECRET: &'static [&'static str] = &["service_account_key"];

    fn declaration(name: &str, place: &str) -> String {
        format!("{name}: {{gcs: {{bucket: {place}, service_account_key: \"${{{{ secrets.{name} }}}}\"}}}}")
    }

    fn check(&self) -> Result<(), String> {
        if self.bucket.is_empty() || self.bucket.contains('/') {
            return Err("`bucket` is a bucket's name alone; objects begin with `prefix`".to_owned());
        }
        if self.anonymous && self.service_account_key.is_some() {
            return Err("`anonymous` needs no key".to_owned());
        }
        endpoint(self.endpoint.as_ref(), self.allow_http)
    }
}

/// The key of nobody, as `object_store` documents it for emulators. Without one its writes ask for the machine's account although their
/// signature is to be skipped.
const NOBODY: &str =
    r#"{"client_email": "", "private_key": "", "private_key_id": "", "disable_oauth": true}"#;

impl GoogleConnection {
    fn options(&self) -> Vec<(String, String)> {
        let endpoint = self.endpoint.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
        let key = if self.anonymous { Some(NOBODY.to_owned()) } else { self.service_account_key.clone() };
        given([
            ("google_service_account_key", key),
            ("google_base_url", endpoint),
            ("google_skip_signature", self.anonymous.then(|| "true".to_owned())),
            ("allow_http", self.allow_http.then(|| "true".to_owned())),
        ])
    }
}

impl Leads for GoogleConnection {
    fn root(&self) -> String {
        bucket::label("gs", &self.bucket, &self.prefix, "")
    }

    fn open(&self) -> Result<Arc<dyn FileStore>, CopyError> {
        let secrets: Vec<String> = self.service_account_key.iter().cloned().collect();
        let refused = |message: String| CopyError::config(message, Self::declaration("land", &self.bucket));
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_client_options(client(self.allow_http))
            .with_retry(retries())
            .with_bucket_name(&self.bucket);
        for (option, value) in self.options() {
            let key: GoogleConfigKey =
                option.parse().map_err(|_| refused(format!("no option `{option}`")))?;
            builder = builder.with_config(key, value);
        }
        let built = builder.build();
        let store = built.map_err(|error| refused(Failure::of(&error, &self.bucket, &secrets).message))?;
        let (name, prefix) = (self.bucket.clone(), self.prefix.trim_matches('/').to_owned());
        Ok(Arc::new(Bucket { store: Arc::new(store), scheme: "gs", name, prefix, secrets, puts: None }))
    }

    fn bucket_options(&self, scheme: &str, bucket: &str) -> Option<StorageOptions> {
        let found = scheme == "gs" && bucket == self.bucket;
        found.then(|| StorageOptions { gcs: self.options(), ..StorageOptions::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(settings: Value, expected: Result<&str, &str>) {
        let found = KIND.read("land", &json!({"gcs": settings}));
        let found = found.map(|it| it.root()).map_err(|error| error.to_string());
        assert_eq!(found, expected.map(str::to_owned).map_err(|it| format!("the connection `land`: {it}")));
    }

    #[test]
    fn settings() {
        check(json!({"bucket": "b", "prefix": "raw", "anonymous": true}), Ok("gs://b/raw/"));
        check(
            json!({"bucket": "b", "anonymous": true, "service_account_key": "{}"}),
            Err("`anonymous` needs no key"),
        );
        check(
            json!({"bucket": "b/c"}),
            Err("`bucket` is a bucket's name alone; objects begin with `prefix`"),
        );
        check(
            json!({"bucket": "b", "service_account_key": {}}),
            Err("`service_account_key` is not text; put it in quotes"),
        );
        check(
            json!({"bucket": "b", "endpoint": "http://127.0.0.1:1"}),
            Err("its endpoint is `http://`, which needs `allow_http: true`"),
        );
    }
}
