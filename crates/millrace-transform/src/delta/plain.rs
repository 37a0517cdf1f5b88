//! Tables that are plain Parquet files: no deletion vectors, no partitions, no renamed columns. Ours are, and most of others.
//!
//! DataFusion reads such files itself, with the statistics of their footers, by which it orders joins. The scan of `deltalake` knows
//! just what the log says; it is twice the work in several of TPC-H's queries.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::file_format::parquet::{ParquetFormat, transform_schema_to_view};
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use millrace_contract::QueryError;
use serde_json::Value;
use url::Url;

use super::commit::kept_schema;
use super::{chain, read_error};
use crate::engine::DataFusionEngine;
use crate::engine::store;

/// Footers that are read before a query begins. Of more files the log says which may be left out.
const MOST_FILES: usize = 256;
/// Files that another engine is told of one by one.
const MOST_ADDRESSES: usize = 10_000;
/// Features that do not change how data files are read, where no file has a deletion vector:
/// <https://github.com/delta-io/delta/blob/master/PROTOCOL.md#table-features>.
const KNOWN: [&str; 4] = ["timestampNtz", "deletionVectors", "vacuumProtocolCheck", "v2Checkpoint"];

/// The table as a list of Parquet files; `None` if it is more than that.
pub(crate) fn provider(
    engine: &DataFusionEngine,
    context: &SessionContext,
    table: &DeltaTable,
    uri: &str,
) -> Result<Option<Arc<dyn TableProvider>>, QueryError> {
    let refused = |message: String| QueryError::Read { uri: uri.to_owned(), message };
    let files = plain_files(table, uri, MOST_FILES)?.filter(|files| !files.is_empty());
    let Some(files) = files else { return Ok(None) };
    let root = store::parse(uri)?;
    if root.scheme() != "file" {
        let (bucket, _) = store::store_for(engine.config(), &root)?;
        context.register_object_store(&root, bucket);
    }
    let files: Result<Vec<_>, _> =
        files.into_iter().map(|file| ListingTableUrl::try_new(file, None)).collect();
    let files = files.map_err(|error| refused(chain(&error)))?;
    let state = context.state();
    // A file is named whole, whatever its name ends with.
    let format = ParquetFormat::default().with_options(state.default_table_options().parquet);
    let options = ListingOptions::new(Arc::new(format)).with_file_extension("");
    // Texts as views: what is filtered or grouped by them is not copied.
    let kept = kept_schema(table).map_err(refused)?;
    let schema = Arc::new(transform_schema_to_view(&kept));
    let config =
        ListingTableConfig::new_with_multi_paths(files).with_listing_options(options).with_schema(schema);
    let listed = ListingTable::try_new(config).map_err(|error| refused(chain(&error)))?;
    Ok(Some(Arc::new(listed)))
}

/// Addresses of the data files of a version, if they are all there is to know: any reader of Parquet reads that version by them.
pub(crate) async fn plain_addresses(
    engine: &DataFusionEngine,
    uri: &str,
    version: u64,
) -> Result<Option<Vec<String>>, QueryError> {
    let table = super::open(engine, uri, Some(version)).await?;
    let files = plain_files(&table, uri, MOST_ADDRESSES)?;
    Ok(files.map(|files| files.into_iter().map(String::from).collect()))
}

/// Addresses of the data files, if they are all there is to know and not more than `most`.
fn plain_files(table: &DeltaTable, uri: &str, most: usize) -> Result<Option<Vec<Url>>, QueryError> {
    let state = table.snapshot().map_err(|error| read_error(uri, &error))?;
    let protocol = serde_json::to_value(state.protocol()).unwrap_or_default();
    let features = protocol.get("readerFeatures").and_then(Value::as_array);
    let mut features = features.into_iter().flatten().filter_map(Value::as_str);
    let is_known = match protocol.get("minReaderVersion").and_then(Value::as_i64) {
        Some(1) => true,
        Some(3) => features.all(|feature| KNOWN.contains(&feature)),
        _ => false,
    };
    if !is_known || !state.metadata().partition_columns().is_empty() {
        return Ok(None);
    }
    let mut root = store::parse(uri)?;
    if !root.path().ends_with('/') {
        root.set_path(&format!("{}/", root.path()));
    }
    let mut files = Vec::new();
    for file in state.log_data().iter() {
        let path = file.path();
        let is_beside = !path.starts_with('/') && Url::parse(&path).is_err();
        if !is_beside || file.deletion_vector_descriptor().is_some() || files.len() == most {
            return Ok(None);
        }
        let mut address = root.clone();
        let Ok(mut segments) = address.path_segments_mut() else { return Ok(None) };
        segments.pop_if_empty().extend(path.split('/'));
        drop(segments);
        files.push(address);
    }
    Ok(Some(files))
}
