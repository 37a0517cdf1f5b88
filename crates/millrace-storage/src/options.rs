//! Where a storage is, and what it takes to reach it.

use std::path::PathBuf;

use object_store::aws::AmazonS3ConfigKey;
use object_store::azure::AzureConfigKey;
use object_store::gcp::GoogleConfigKey;
use url::Url;

/// Where a storage is, and what it takes to reach it. Its `Debug` shows no key.
#[derive(Clone, Default)]
pub struct StorageOptions {
    /// Options of S3 in object_store's words: `aws_access_key_id`, `aws_secret_access_key`, `aws_region`, `aws_endpoint`, `aws_allow_http`, …
    pub s3: Vec<(String, String)>,
    /// Options of Azure Blob Storage in object_store's words: `azure_storage_account_name`, `azure_storage_account_key`, …
    pub azure: Vec<(String, String)>,
    /// Options of Google Cloud Storage in object_store's words: `google_service_account_key`, …
    pub gcs: Vec<(String, String)>,
}

impl std::fmt::Debug for StorageOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names =
            |options: &[(String, String)]| options.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let mut shown = formatter.debug_struct("StorageOptions");
        shown.field("s3", &names(&self.s3)).field("azure", &names(&self.azure));
        shown.field("gcs", &names(&self.gcs)).finish()
    }
}

impl StorageOptions {
    /// Takes from the environment what the vendors' clients read there: variables that begin with `AWS_`, `AZURE_STORAGE_` or `GOOGLE_`
    /// and that are options of the store. Others of these variables, of which there are many, are left alone.
    pub fn from_variables(variables: impl Iterator<Item = (String, String)>) -> Self {
        let mut options = Self::default();
        for (variable, value) in variables.filter(|(_, value)| !value.is_empty()) {
            let name = variable.to_ascii_lowercase();
            if variable.starts_with("AWS_") && name.parse::<AmazonS3ConfigKey>().is_ok() {
                options.s3.push((name, value));
            } else if variable.starts_with("AZURE_STORAGE_") && name.parse::<AzureConfigKey>().is_ok() {
                options.azure.push((name, value));
            } else if variable.starts_with("GOOGLE_") && name.parse::<GoogleConfigKey>().is_ok() {
                options.gcs.push((name, value));
            }
        }
        options
    }
}

/// A URL that names no storage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is no storage: {reason}; write `s3://BUCKET/PREFIX`, or the absolute path of a folder")]
pub struct InvalidStorage {
    /// As it was given.
    pub url: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What a URL means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Folder(PathBuf),
    Bucket { name: String, prefix: String },
}

impl Place {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidStorage> {
        let refused = |reason: &str| InvalidStorage { url: text.to_owned(), reason: reason.to_owned() };
        if text.starts_with('/') {
            return Ok(Self::Folder(PathBuf::from(text)));
        }
        let url = Url::parse(text).map_err(|error| refused(&error.to_string()))?;
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(refused("it has more than a place: no user, no `?`, no `#`"));
        }
        match url.scheme() {
            "file" => {
                let path = url.to_file_path().map_err(|()| refused("it is not a path of this machine"))?;
                Ok(Self::Folder(path))
            }
            "s3" => {
                let name = url.host_str().filter(|host| !host.is_empty());
                let name = name.ok_or_else(|| refused("the bucket is missing after `s3://`"))?.to_owned();
                let prefix = url.path().trim_matches('/').to_owned();
                crate::FilePath::new(&prefix).map_err(|_| refused("its prefix is not a plain path"))?;
                Ok(Self::Bucket { name, prefix })
            }
            other => Err(refused(&format!("`{other}://` is not known here"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let folder = Place::Folder(PathBuf::from("/var/lib/millrace"));
        assert_eq!(Place::parse("/var/lib/millrace"), Ok(folder));
        assert_eq!(Place::parse("file:///a%20b"), Ok(Place::Folder(PathBuf::from("/a b"))));
        let bucket = Place::Bucket { name: "lake".to_owned(), prefix: "teams/one".to_owned() };
        assert_eq!(Place::parse("s3://lake/teams/one/"), Ok(bucket));
        for wrong in [
            "lake",
            "s3://",
            "s3:///a",
            "gs://lake",
            "s3://key@lake/a",
            "s3://lake/a?b",
            "s3://lake/a%2f%2e%2e",
        ] {
            let error = Place::parse(wrong).unwrap_err();
            assert!(error.to_string().starts_with(&format!("`{wrong}` is no storage: ")), "{error}");
        }
    }

    #[test]
    fn variables_of_s3() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let variables = [
            pair("AWS_ACCESS_KEY_ID", "AKIA1"),
            pair("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            pair("AWS_PAGER", "less"),
            pair("AWS_SESSION_TOKEN", ""),
            pair("HOME", "/root"),
        ];
        let options = StorageOptions::from_variables(variables.into_iter());
        assert_eq!(
            options.s3,
            [pair("aws_access_key_id", "AKIA1"), pair("aws_endpoint_url", "http://127.0.0.1:1")]
        );
        assert!(!format!("{options:?}").contains("AKIA1"));
    }
}
