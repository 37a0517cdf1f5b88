//! Where bytes are: URLs and the object stores behind them.

use std::sync::Arc;

use millrace_contract::QueryError;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::local::LocalFileSystem;
use object_store::{DynObjectStore, path::Path};
use url::Url;

use super::EngineConfig;

/// Reads an absolute URL, or says that it is none.
pub(crate) fn parse(uri: &str) -> Result<Url, QueryError> {
    let refused = |message: String| QueryError::Read { uri: uri.to_owned(), message };
    let url = Url::parse(uri).map_err(|error| refused(format!("not an absolute URL: {error}")))?;
    match url.scheme() {
        "file" | "s3" => Ok(url),
        other => Err(refused(format!("`{other}://` is not known here; use `file://` or `s3://`"))),
    }
}

/// The store for the root of `url` (a bucket or the file system), and the path within it.
pub(crate) fn store_for(config: &EngineConfig, url: &Url) -> Result<(Arc<DynObjectStore>, Path), QueryError> {
    let refused = |message: String| QueryError::Read { uri: url.to_string(), message };
    let path = Path::from_url_path(url.path()).map_err(|error| refused(error.to_string()))?;
    if url.scheme() == "file" {
        return Ok((Arc::new(LocalFileSystem::new().with_automatic_cleanup(false)), path));
    }
    let bucket = url.host_str().ok_or_else(|| refused("the bucket is missing after `s3://`".to_owned()))?;
    // A Delta commit is a put that must fail if the version is there already.
    let mut builder =
        AmazonS3Builder::new().with_bucket_name(bucket).with_conditional_put(S3ConditionalPut::ETagMatch);
    for (key, value) in &config.s3 {
        let known: AmazonS3ConfigKey =
            key.parse().map_err(|_| refused(format!("`{key}` is not an option of s3")))?;
        builder = builder.with_config(known, value);
    }
    Ok((Arc::new(builder.build().map_err(|error| refused(error.to_string()))?), path))
}
