//! Which version of a dataset an input is that a client logs: `mlflow.log_input` and `millrace.data` name the same thing.
//!
//! Four ways to say it, in the order in which they are believed: the tags `millrace.dataset` and `millrace.version` of the input; the
//! digest of the version, whole or as MLflow has room for it; a source that names it, `millrace://flights/3`; a source that is a file
//! or the folder of one of its versions. An input that is none of ours stays what the client said.

use std::path::{Path, PathBuf};

use millrace_contract::{CatalogError, DatasetVersion, TableRef};
use millrace_metastore::experiments::DatasetInput;
use millrace_metastore::lineage::{Direction, KnownInput};
use millrace_tracking::short_digest;
use serde_json::Value;

use super::error::MlflowError;
use crate::app::App;

/// Tags of an input that name the version.
const NAME_TAG: &str = "millrace.dataset";
const VERSION_TAG: &str = "millrace.version";
/// The scheme of a source that names a version.
const SCHEME: &str = "millrace://";
/// Fields of a source in MLflow's JSON that have an address.
const ADDRESSES: [&str; 3] = ["uri", "path", "url"];
/// Versions of a dataset whose files are looked through for one that a client read.
const MOST_VERSIONS: usize = 100;

/// Those inputs that are versions of datasets here.
///
/// # Errors
/// If the database fails.
pub(super) async fn known(
    app: &App,
    run_id: &str,
    inputs: &[DatasetInput],
) -> Result<Vec<KnownInput>, MlflowError> {
    let mut found = Vec::new();
    for input in inputs {
        let version = match named(app, input).await {
            Some(version) => Some(version),
            None => by_file(app, run_id, input).await?,
        };
        let of = version
            .and_then(|version| Some((version.asset.name?, i64::try_from(version.asset.version?).ok()?)));
        if let Some((asset_name, asset_version)) = of {
            found.push(KnownInput {
                name: input.name.clone(),
                digest: input.digest.clone(),
                asset_name,
                asset_version,
            });
        }
    }
    Ok(found)
}

/// By its tags, its source or its digest.
async fn named(app: &App, input: &DatasetInput) -> Option<DatasetVersion> {
    let tags: Value = serde_json::from_str(&input.tags).unwrap_or_default();
    let tag = |key: &str| tags.get(key).and_then(Value::as_str);
    let by_tag = tag(NAME_TAG).map(|name| match tag(VERSION_TAG) {
        Some(version) => format!("{name}@{version}"),
        None => name.to_owned(),
    });
    let by_source = address(&input.source).and_then(|address| {
        let named = address.strip_prefix(SCHEME)?;
        Some(named.trim_end_matches('/').replacen('/', "@", 1))
    });
    for reference in [by_tag, by_source].into_iter().flatten() {
        if let Ok(version) = app.datasets.resolve(&reference).await {
            return Some(version);
        }
    }
    let versions = app.datasets.versions(&input.name).await.ok()?;
    versions.into_iter().find(|version| {
        version.asset.digest == input.digest || short_digest(&version.asset.digest) == input.digest
    })
}

/// By the file or the folder that the client read.
async fn by_file(
    app: &App,
    run_id: &str,
    input: &DatasetInput,
) -> Result<Option<DatasetVersion>, MlflowError> {
    let Some(path) = address(&input.source).and_then(|address| local(&address)) else { return Ok(None) };
    if let Some(version) = of_step(app, run_id, &path).await? {
        return Ok(Some(version));
    }
    // A step's inputs are links to the files of a version.
    let links = path.clone();
    let real = tokio::task::spawn_blocking(move || fs_err::canonicalize(links)).await;
    let path = real.ok().and_then(Result::ok).unwrap_or(path);
    let failed = |error: CatalogError| MlflowError::internal(&error);
    for newest in app.datasets.list().await.map_err(failed)? {
        let Some(root) = local(&newest.asset.uri) else { continue };
        let root = fs_err::canonicalize(&root).unwrap_or(root);
        // A folder lies below the dataset's, in one of its own for each version.
        let inside = path.starts_with(&root) || root.parent().is_some_and(|above| path.starts_with(above));
        if !inside {
            continue;
        }
        let name = newest.asset.name.clone().unwrap_or_default();
        let versions = app.datasets.versions(&name).await.map_err(failed)?;
        let delta = delta_version(&input.source);
        for version in versions.into_iter().take(MOST_VERSIONS) {
            let same = path == root && delta.is_some() && delta == version.asset.delta_version;
            if same || has_file(app, &version, &path).await {
                return Ok(Some(version));
            }
        }
        if path == root {
            return Ok(Some(newest));
        }
    }
    Ok(None)
}

/// A step's program reads its inputs from its own folder, `…/runs/<run>/<step>/<attempt>/inputs/<name>`.
async fn of_step(app: &App, tracked: &str, path: &Path) -> Result<Option<DatasetVersion>, MlflowError> {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let Some(at) = parts.windows(6).position(|some| matches!(some, ["runs", _, _, _, "inputs", _])) else {
        return Ok(None);
    };
    let (Some(run), Some(step)) = (parts.get(at + 1), parts.get(at + 2)) else { return Ok(None) };
    let store = app.engine.store();
    // While the step runs, what it reads is known by its tracked run alone.
    let mut reads: Vec<(String, i64)> = store
        .list_tracked_reads_by(tracked.to_owned())
        .await?
        .into_iter()
        .map(|read| (read.asset_name, read.asset_version))
        .collect();
    if reads.is_empty() {
        let used = store.list_uses_of_run((*run).to_owned()).await?.into_iter();
        let own = used.filter(|used| used.step == *step && used.asset.direction == Direction::Read);
        reads = own.map(|used| (used.asset.name, used.asset.version)).collect();
    }
    reads.dedup();
    match reads.as_slice() {
        [(name, version)] => Ok(app.datasets.resolve(&format!("{name}@{version}")).await.ok()),
        _ => Ok(None),
    }
}

async fn has_file(app: &App, version: &DatasetVersion, path: &Path) -> bool {
    let Some(table) = TableRef::of(&version.asset) else {
        return local(&version.asset.uri).is_some_and(|folder| path.starts_with(folder));
    };
    // Files of other machines would be copied first, and no client here can have read them where they are.
    if !matches!(table, TableRef::Delta { .. }) || local(&version.asset.uri).is_none() {
        return local(&version.asset.uri).is_some_and(|file| file == path);
    }
    let files = app.query.parquet_files(&table, Path::new("")).await.unwrap_or_default();
    files.iter().any(|file| file == path || fs_err::canonicalize(file).is_ok_and(|file| file == path))
}

/// The address in a source as MLflow's clients write it: JSON with one of a few fields, or the address itself.
fn address(source: &str) -> Option<String> {
    match serde_json::from_str::<Value>(source) {
        Ok(Value::Object(fields)) => {
            ADDRESSES.iter().find_map(|name| fields.get(*name)?.as_str()).map(str::to_owned)
        }
        Ok(_) => None,
        Err(_) => Some(source.to_owned()),
    }
}

/// The version of a Delta table, as MLflow's source of one says it.
fn delta_version(source: &str) -> Option<u64> {
    serde_json::from_str::<Value>(source).ok()?.get("delta_table_version")?.as_u64()
}

fn local(address: &str) -> Option<PathBuf> {
    if let Some(path) = address.strip_prefix("file://") {
        return Some(PathBuf::from(path));
    }
    let path = PathBuf::from(address);
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_clients_write_them() {
        assert_eq!(address(r#"{"uri": "/a/b.parquet"}"#).as_deref(), Some("/a/b.parquet"));
        assert_eq!(address(r#"{"path": "/a", "delta_table_version": 3}"#).as_deref(), Some("/a"));
        assert_eq!(address("millrace://flights/3").as_deref(), Some("millrace://flights/3"));
        assert_eq!(address(r#"{"tags": {"mlflow.user": "a"}}"#), None);
        assert_eq!(local("relative/path"), None);
        assert_eq!(local("file:///a/b"), Some(PathBuf::from("/a/b")));
    }
}
