//! S3 and what speaks like it: connections, and the words for what goes wrong.

use std::time::Duration;

use millrace_contract::StepContext;
use millrace_storage::Failure;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::error::CopyError;

/// Fields that must not be quoted in a message.
const SECRET: &[&str] = &["access_key_id", "secret_access_key", "session_token"];
/// How often a request is sent again, and until when after the first; the step's own `retry:` comes on top.
const RETRIES: usize = 4;
const RETRY_FOR: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);
/// How long the server may be silent, its retries included.
pub(crate) const SILENCE: Duration = Duration::from_secs(120);

/// Reads and writes files in a bucket of S3, or of a server that speaks like it.
///
/// In connections.yaml: `lake: {s3: {bucket: …, access_key_id: …, secret_access_key: …}}`. Then `lake:raw/*.csv.zst` names objects as a
/// path does files: the same formats, endings, globs and options. An object is written whole or not at all.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct S3Connection {
    /// Name of the bucket.
    pub(crate) bucket: String,
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

/// What to write into `connections.yaml`.
pub(crate) fn declaration(name: &str, bucket: &str) -> String {
    format!(
        "in connections.yaml: `{name}: {{s3: {{bucket: {bucket}, region: us-east-1, access_key_id: …, secret_access_key: \"${{{{ secrets.{name} }}}}\"}}}}`"
    )
}

impl S3Connection {
    /// Reads and checks what stands under the connection's name.
    pub(crate) fn read(name: &str, connection: &Value) -> Result<Self, CopyError> {
        let refused = |message: String| {
            CopyError::config(format!("the connection `{name}`: {message}"), declaration(name, "…"))
        };
        let settings = connection.get("s3").cloned().unwrap_or_default();
        // The parser would quote a value of another type.
        if let Some(field) =
            SECRET.iter().find(|field| settings.get(field).is_some_and(|it| !it.is_string() && !it.is_null()))
        {
            return Err(refused(format!("`{field}` is not text; put it in quotes")));
        }
        let settings: Self = serde_json::from_value(settings).map_err(|error| refused(error.to_string()))?;
        if settings.bucket.is_empty() || settings.bucket.contains('/') {
            return Err(refused("`bucket` is a bucket's name alone; keys begin with `prefix`".to_owned()));
        }
        if settings.access_key_id.is_some() != settings.secret_access_key.is_some() {
            return Err(refused("`access_key_id` and `secret_access_key` go together".to_owned()));
        }
        if settings.anonymous && settings.access_key_id.is_some() {
            return Err(refused("`anonymous` needs no keys".to_owned()));
        }
        match settings.endpoint.as_ref().map(Url::scheme) {
            Some("http") if !settings.allow_http => {
                Err(refused("its endpoint is `http://`, which needs `allow_http: true`".to_owned()))
            }
            Some("http" | "https") | None => Ok(settings),
            Some(_) => Err(refused("`endpoint` begins with `https://` or `http://`".to_owned())),
        }
    }

    /// The key in the bucket for one that is relative to the prefix.
    pub(crate) fn key(&self, relative: &str) -> String {
        let relative = relative.trim_start_matches('/');
        match self.prefix.trim_matches('/') {
            "" => relative.to_owned(),
            prefix => format!("{prefix}/{relative}"),
        }
    }

    /// Whether the key lies under the prefix.
    pub(crate) fn covers(&self, key: &str) -> bool {
        key.starts_with(&self.key(""))
    }

    /// The server and bucket. Nothing is sent yet.
    pub(crate) fn open(self, name: &str) -> Result<Bucket, CopyError> {
        let backoff = BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() };
        // No limit on a whole request, which may carry gigabytes: `patiently` limits the silence within it.
        let options = ClientOptions::new()
            .with_allow_http(self.allow_http)
            .with_connect_timeout(CONNECT)
            .with_timeout_disabled();
        let mut builder = AmazonS3Builder::new()
            .with_client_options(options)
            .with_retry(RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY_FOR })
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_skip_signature(self.anonymous)
            .with_virtual_hosted_style_request(!self.path_style);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(self.base(endpoint));
        }
        let mut secrets = Vec::new();
        if let (Some(id), Some(secret)) = (self.access_key_id, self.secret_access_key) {
            builder = builder.with_access_key_id(&id).with_secret_access_key(&secret);
            secrets.extend([id, secret]);
        }
        if let Some(token) = self.session_token {
            builder = builder.with_token(&token);
            secrets.push(token);
        }
        secrets.retain(|secret| !secret.is_empty());
        let store = builder.build().map_err(|error| {
            let failure = Failure::of(&error, &self.bucket, &secrets);
            CopyError::config(
                format!("the connection `{name}`: {}", failure.message),
                declaration(name, &self.bucket),
            )
        })?;
        Ok(Bucket { store, name: self.bucket, secrets })
    }

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

/// An open bucket.
pub(crate) struct Bucket {
    pub(crate) store: AmazonS3,
    name: String,
    secrets: Vec<String>,
}

impl Bucket {
    /// The key as its user knows it.
    pub(crate) fn label(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    pub(crate) fn path(&self, key: &str) -> Result<Path, CopyError> {
        Path::parse(key).map_err(|error| {
            CopyError::config(format!("`{}` is not a key: {error}", self.label(key)), "s3://bucket/raw/a.csv")
        })
    }

    pub(crate) fn read_failed(&self, key: &str, error: &object_store::Error) -> CopyError {
        let Failure { message, transient } = Failure::of(error, &self.name, &self.secrets);
        CopyError::Read { what: self.label(key), message, transient }
    }

    pub(crate) fn write_failed(&self, key: &str, error: &object_store::Error) -> CopyError {
        let Failure { message, transient } = Failure::of(error, &self.name, &self.secrets);
        CopyError::Write { what: self.label(key), message, transient }
    }
}

/// Waits for an answer, but not for ever.
pub(crate) async fn patiently<T>(
    limit: Duration,
    answer: impl Future<Output = object_store::Result<T>>,
) -> object_store::Result<T> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(silence) => Err(object_store::Error::Generic { store: "S3", source: Box::new(silence) }),
    }
}

/// Ends with an error as soon as the step is cancelled.
pub(crate) async fn unless_cancelled<T>(
    context: &StepContext,
    work: impl Future<Output = Result<T, CopyError>>,
) -> Result<T, CopyError> {
    tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err(CopyError::Cancelled),
        done = work => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(settings: Value, expected: Result<(), &str>) {
        let found =
            S3Connection::read("lake", &json!({"s3": settings})).and_then(|it| it.open("lake").map(drop));
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
            let settings = json!({"s3": {"bucket": "b", "endpoint": "https://s3.example.org:9000/", "path_style": path_style}});
            let settings = S3Connection::read("lake", &settings).unwrap();
            settings.base(settings.endpoint.as_ref().unwrap())
        };
        assert_eq!(base(true), "https://s3.example.org:9000");
        assert_eq!(base(false), "https://b.s3.example.org:9000");
    }
}
