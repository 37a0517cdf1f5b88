//! Dataset versions as Delta tables: opened at a version, written as one commit.

use std::path::{Path, PathBuf};
use std::sync::Once;

use deltalake::logstore::logstore_factories;
use deltalake::{DeltaTable, DeltaTableBuilder};
use millrace_contract::{QueryError, TableRef};
use object_store::ObjectStoreExt as _;
use url::Url;

use crate::engine::DataFusionEngine;
use crate::engine::store;

mod changes;
mod commit;
mod digest;
mod fenced;
mod files;
mod foreign;
mod merge;
mod moment;
mod once;
mod plain;
mod staged;

pub(crate) use changes::changes;
pub(crate) use commit::write;
pub(crate) use fenced::{newest_under, write_after};
pub(crate) use merge::merge;
pub(crate) use moment::version_at;
pub(crate) use plain::{plain_addresses, provider as plain_provider};
pub(crate) use staged::StagedRows;

/// A handle on the table at `uri`, nothing read yet.
fn handle(engine: &DataFusionEngine, uri: &str) -> Result<DeltaTable, QueryError> {
    builder(engine, uri)?.build().map_err(|error| read_error(uri, &error))
}

fn builder(engine: &DataFusionEngine, uri: &str) -> Result<DeltaTableBuilder, QueryError> {
    let mut url = store::parse(uri)?;
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    let (root, _) = store::store_for(engine.config(), &url)?;
    if let (Ok(path), "file") = (url.to_file_path(), url.scheme()) {
        // Delta refuses a local root that is not there yet.
        fs_err::create_dir_all(path)
            .map_err(|error| QueryError::Write { uri: uri.to_owned(), message: error.to_string() })?;
        return DeltaTableBuilder::from_url(url).map_err(|error| read_error(uri, &error));
    }
    know_buckets();
    let builder = DeltaTableBuilder::from_url(url.clone()).map_err(|error| read_error(uri, &error))?;
    Ok(builder.with_storage_backend(root, url))
}

/// Lets Delta keep its log in buckets as it does in folders: a version is one put that fails if the version is there already. Its own way,
/// with a lock in DynamoDB, is from before S3 had such puts.
fn know_buckets() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let factories = logstore_factories();
        if let (Ok(local), Ok(bucket)) = (Url::parse("file://"), Url::parse("s3://"))
            && let Some(factory) = factories.get(&local).map(|found| found.value().clone())
        {
            factories.insert(bucket, factory);
        }
    });
}

/// The table at a version of its log, the newest if `None`.
pub(crate) async fn open(
    engine: &DataFusionEngine,
    uri: &str,
    version: Option<u64>,
) -> Result<DeltaTable, QueryError> {
    let url = store::parse(uri)?;
    if url.to_file_path().is_ok_and(|path| !path.join("_delta_log").exists()) {
        let message = "there is no Delta table here".to_owned();
        return Err(QueryError::Read { uri: uri.to_owned(), message });
    }
    let mut builder = builder(engine, uri)?;
    if let Some(version) = version {
        builder = builder.with_version(version);
    }
    builder.load().await.map_err(|error| read_error(uri, &error))
}

fn read_error(uri: &str, error: &deltalake::DeltaTableError) -> QueryError {
    QueryError::Read { uri: uri.to_owned(), message: chain(error) }
}

/// An error with its causes, each once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// See [`millrace_contract::QueryEngine::parquet_files`].
pub(crate) async fn parquet_files(
    engine: &DataFusionEngine,
    table: &TableRef,
    folder: &Path,
) -> Result<Vec<PathBuf>, QueryError> {
    match table {
        TableRef::Delta { uri, version } => {
            let opened = open(engine, uri, Some(*version)).await?;
            let plain = opened
                .snapshot()
                .map_err(|error| read_error(uri, &error))?
                .log_data()
                .iter()
                .all(|file| file.deletion_vector_descriptor().is_none());
            if plain && uri.starts_with("file:") {
                let uris = opened.get_file_uris().map_err(|error| read_error(uri, &error))?;
                let mut paths = uris.map(|file| local_path(uri, &file)).collect::<Result<Vec<_>, _>>()?;
                paths.sort();
                return Ok(paths);
            }
        }
        TableRef::Parquet { uri } => {
            let url = store::parse(uri)?;
            if let Ok(path) = url.to_file_path()
                && path.is_file()
            {
                return Ok(vec![path]);
            }
        }
        TableRef::Csv { .. } | TableRef::Json { .. } => {}
    }
    files::copy_below(engine, table, folder).await
}

fn local_path(table: &str, file: &str) -> Result<PathBuf, QueryError> {
    let path = match Url::parse(file) {
        Ok(url) => url.to_file_path().ok(),
        Err(_) => Some(PathBuf::from(file)),
    };
    path.ok_or_else(|| QueryError::Read {
        uri: table.to_owned(),
        message: format!("`{file}` is not a path of this machine"),
    })
}

/// Removes data files of a write that did not become a version; nothing refers to them.
async fn discard(store: &object_store::DynObjectStore, paths: &[object_store::path::Path]) {
    for path in paths {
        // A file that stays is invisible to every reader and goes with the next vacuum.
        let _ = store.delete(path).await;
    }
}
