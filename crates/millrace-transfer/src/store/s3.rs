//! S3 and what speaks like it.

use std::sync::Arc;

use millrace_storage::{Failure, StorageOptions};
use object_store::aws::AmazonS3Builder;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::bucket::{self, Bucket, client, retries};
use super::settings::{Leads, Settings, endpoint};
use super::{FileStore, settings::Kind};
use crate::error::CopyError;

/// The kind of connection `s3`.
pub(super) const KIND: Kind =
    Kind::of::<S3Connection>("copy: {from: \"lake:raw/*.csv.zst\", to: \"data:flights\"}\n");

/// Reads and writes files in a bucket of S3, or of a server that speaks like it.
///
/// In connections.yaml: `lake: {s3: {bucket: …, access_key_id: …, secret_access_key: …}}`. Then `lake:raw/*.csv.zst` names objects as a
/// path does files: the same formats, endings, globs and options. An object is written whole or not at all.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct S3Connection {
    /// Name of the bucket.
    bucket: String,
    /// What the keys of this connection begin with, for example `raw/2026`.
    #[serde(default)]
    prefix: String,
    /// Region of the bucket.
    #[serde(default = "first_region")]
    region: String,
    /// URL of the server, if it is not Amazon's.
    #[serde(default)]
    endpoint: Option<Url>,
    /// Id of the access key. Without keys the machine's own role is used.
    #[serde(default)]
    access_key_id: Option<String>,
    /// The access key's secret, usually `${{ secrets.… }}`.
    #[serde(default)]
    secret_access_key: Option<String>,
    /// Token that belongs to a temporary access key.
    #[serde(default)]
    session_token: Option<String>,
    /// Whether requests are not signed, as public buckets allow.
    #[serde(default)]
    anonymous: bool,
    /// Whether `endpoint` may be `http://`, which sends the data unencrypted.
    #[serde(default)]
    allow_http: bool,
    /// Whether the bucket is named in the URL's path; otherwise it is a part of the host's name.
    #[serde(default = "yes")]
    path_style: bool,
}

fn first_region() -> String {
    "us-east-1".to_owned()
}

fn yes() -> bool {
    true
}

impl Settings for S3Connection {
    const WORD: &'static str = "s3";
    const SCHEMES: &'static [&'static str] = &["s3"];
    const SECRET: &'static [&'static str] = &["access_key_id", "secret_access_key", "session_token"];

    fn declaration(name: &str, place: &str) -> String {
        format!(
            "{name}: {{s3: {{bucket: {place}, region: us-east-1, access_key_id: …, secret_access_key: \"${{{{ secrets.{name} }}}}\"}}}}"
        )
    }

    fn check(&self) -> Result<(), String> {
        if self.bucket.is_empty() || self.bucket.contains('/') {
            return Err("`bucket` is a bucket's name alone; keys begin with `prefix`".to_owned());
        }
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            return Err("`access_key_id` and `secret_access_key` go together".to_owned());
        }
        if self.anonymous && self.access_key_id.is_some() {
            return Err("`anonymous` needs no keys".to_owned());
        }
        endpoint(self.endpoint.as_ref(), self.allow_http)
    }
}

impl S3Connection {
    /// The endpoint as the client wants it: with the bucket in the host's name if it belongs there.
    fn base(&self, endpoint: &Url) -> String {
        let mut url = endpoint.clone();
        if !self.path_style
            && let Some(host) = endpoint.host_str()
        {
            // An address in numbers has no names below it and stays as it is.
            let _ = url.set_host(Some(&format!("{}.{host}", self.bucket)));
        }
        url.as_str().trim_end_matches('/').to_owned()
    }
}

impl Leads for S3Connection {
    fn root(&self) -> String {
        bucket::label("s3", &self.bucket, &self.prefix, "")
    }

    fn open(&self) -> Result<Arc<dyn FileStore>, CopyError> {
        let mut builder = AmazonS3Builder::new()
            .with_client_options(client(self.allow_http))
            .with_retry(retries())
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_skip_signature(self.anonymous)
            .with_virtual_hosted_style_request(!self.path_style);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(self.base(endpoint));
        }
        let mut secrets = Vec::new();
        if let (Some(id), Some(secret)) = (&self.access_key_id, &self.secret_access_key) {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret);
            secrets.extend([id.clone(), secret.clone()]);
        }
        if let Some(token) = &self.session_token {
            builder = builder.with_token(token);
            secrets.push(token.clone());
        }
        secrets.retain(|secret| !secret.is_empty());
        let store = builder.build().map_err(|error| {
            let failure = Failure::of(&error, &self.bucket, &secrets);
            CopyError::config(failure.message, Self::declaration("lake", &self.bucket))
        })?;
        let (name, prefix) = (self.bucket.clone(), self.prefix.trim_matches('/').to_owned());
        Ok(Arc::new(Bucket { store: Arc::new(store), scheme: "s3", name, prefix, secrets, puts: None }))
    }

    fn bucket_options(&self, scheme: &str, bucket: &str) -> Option<StorageOptions> {
        if scheme != "s3" || bucket != self.bucket {
            return None;
        }
        let text = |value: &Option<String>| value.clone();
        let options = [
            ("aws_region", Some(self.region.clone())),
            ("aws_endpoint", self.endpoint.as_ref().map(|endpoint| self.base(endpoint))),
            ("aws_access_key_id", text(&self.access_key_id)),
            ("aws_secret_access_key", text(&self.secret_access_key)),
            ("aws_session_token", text(&self.session_token)),
            ("aws_skip_signature", self.anonymous.then(|| "true".to_owned())),
            ("aws_allow_http", self.allow_http.then(|| "true".to_owned())),
            ("aws_virtual_hosted_style_request", (!self.path_style).then(|| "true".to_owned())),
        ];
        Some(StorageOptions { s3: super::settings::given(options), ..StorageOptions::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(settings: Value, expected: Result<(), &str>) {
        let found = KIND.read("lake", &json!({"s3": settings})).and_then(|it| it.open().map(drop));
        assert_eq!(
            found.map_err(|error| error.to_string()),
            expected.map_err(|it| format!("the connection `lake`: {it}"))
        );
    }

    #[test]
    fn settings() {
        check(json!({"bucket": "b"}), Ok(()));
        check(
            json!({"bucket": "b", "access_key_id": "a", "secret_access_key": "s", "endpoint": "https://s3.example.org"}),
            Ok(()),
        );
        check(
            json!({"bucket": "b", "endpoint": "http://127.0.0.1:9000", "allow_http": true, "path_style": false}),
            Ok(()),
        );
        check(
            json!({"bucket": "b", "endpoint": "http://127.0.0.1:9000"}),
            Err("its endpoint is `http://`, which needs `allow_http: true`"),
        );
        check(
            json!({"bucket": "b", "access_key_id": "a"}),
            Err("`access_key_id` and `secret_access_key` go together"),
        );
        check(
            json!({"bucket": "b", "access_key_id": "a", "secret_access_key": 4711}),
            Err("`secret_access_key` is not text; put it in quotes"),
        );
        check(json!({"bucket": "b/raw"}), Err("`bucket` is a bucket's name alone; keys begin with `prefix`"));
        check(
            json!({"bucket": "b", "endpoint": "ftp://host"}),
            Err("`endpoint` begins with `https://` or `http://`"),
        );
        check(json!({}), Err("missing field `bucket`"));
    }

    #[test]
    fn the_bucket_may_be_a_part_of_the_host() {
        let base = |path_style: bool| {
            let settings =
                json!({"bucket": "b", "endpoint": "https://s3.example.org:9000/", "path_style": path_style});
            let settings: S3Connection = serde_json::from_value(settings).unwrap();
            settings.base(settings.endpoint.as_ref().unwrap())
        };
        assert_eq!(base(true), "https://s3.example.org:9000");
        assert_eq!(base(false), "https://b.s3.example.org:9000");
    }
}
