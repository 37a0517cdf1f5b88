//! Copies from and to Delta tables. What a table is, the query engine knows.

use std::sync::Arc;

use millrace_contract::{
    BatchStream, ByKey, QueryEngine, QueryError, StepContext, TableMoment, TableRef, WriteMode, WrittenTable,
};
use millrace_spec::asset::Asset;
use schemars::JsonSchema;
use url::Url;

use super::Copy;
use super::existing::Existing;
use crate::address::Address;
use crate::config::{CopyConfig, Write};
use crate::connections::bucket_options;
use crate::error::CopyError;

/// Reads and writes Delta tables that are no datasets of the workspace.
///
/// `delta:lake/orders` is a folder of the workspace, `delta:s3://bucket/orders` a place in a bucket that a connection of the kind `s3` leads to.
/// `@12` after it is the version 12, `@2026-03-01T00:00:00Z` the newest one that was there at that time. Each copy is one version, once for its
/// step, however often that is begun again; `write: {upsert: [id]}` replaces rows by keys, `apply_changes` deletes some too, and both write the whole table anew. Tables that are divided
/// by columns, or that want a writer with other features, are read and not written.
#[derive(JsonSchema)]
pub(crate) struct DeltaTable {}

impl Copy {
    /// The address of a table, and an engine that reaches it.
    pub(super) fn delta_table(&self, place: &str) -> Result<(Arc<dyn QueryEngine>, String), CopyError> {
        let refused =
            |message: String| CopyError::config(message, "delta:lake/orders, delta:s3://lake/orders");
        let engine = self.services.engine.clone();
        if !place.contains("://") {
            let path = self.services.workspace.join(place);
            let url = Url::from_file_path(path).map_err(|()| refused(format!("`{place}` is no path")))?;
            return Ok((engine, url.to_string()));
        }
        let url = Url::parse(place).map_err(|error| refused(format!("`{place}`: {error}")))?;
        let bucket = url.host_str().filter(|_| url.scheme() == "s3" && url.path().len() > 1);
        let bucket =
            bucket.ok_or_else(|| refused(format!("`{place}` is neither a path nor `s3://bucket/path`")))?;
        // A bucket that no connection leads to may be the workspace's own, which the engine knows.
        let engine = match bucket_options("s3", bucket, &self.connections()?) {
            Some(options) => engine.reaching(&options.s3).unwrap_or(engine),
            None => engine,
        };
        Ok((engine, url.to_string()))
    }

    /// The table as it is; `None` if there is none.
    pub(super) async fn delta_there(&self, place: &str) -> Result<Option<Existing>, CopyError> {
        let (engine, uri) = self.delta_table(place)?;
        let name = format!("delta:{place}");
        let version = engine.table_version(&uri, &TableMoment::Newest).await;
        let version = version.map_err(|error| CopyError::read(&name, &said(error)))?;
        Ok(version.map(|version| Existing::Dataset { name, table: TableRef::Delta { uri, version }, engine }))
    }

    pub(super) async fn read_delta(
        &self,
        place: &str,
        moment: &TableMoment,
    ) -> Result<BatchStream, CopyError> {
        let (engine, uri) = self.delta_table(place)?;
        let failed = |error: QueryError| CopyError::read(format!("delta:{place}"), &said(error));
        let version = engine.table_version(&uri, moment).await.map_err(failed)?;
        let absent = || CopyError::read(format!("delta:{place}"), &"there is no Delta table here");
        let version = version.ok_or_else(absent)?;
        engine.scan(&TableRef::Delta { uri, version }, None, None).await.map_err(failed)
    }

    pub(super) async fn write_delta(
        &self,
        place: &str,
        config: &CopyConfig,
        context: &StepContext,
        rows: BatchStream,
    ) -> Result<(Asset, u64), CopyError> {
        let (engine, uri) = self.delta_table(place)?;
        let written = commit(&*engine, &uri, rows, (config, context)).await;
        let written = written.map_err(|error| CopyError::write(format!("delta:{place}"), &said(error)))?;
        let rows = written.rows;
        Ok((written.asset(), rows))
    }
}

/// Without the table's address, which the copy tells in its user's words.
fn said(error: QueryError) -> String {
    match error {
        QueryError::Read { message, .. } | QueryError::Write { message, .. } => message,
        other => other.to_string(),
    }
}

/// Writes rows as one version, once for the step.
pub(super) async fn commit(
    engine: &dyn QueryEngine,
    uri: &str,
    rows: BatchStream,
    (config, context): (&CopyConfig, &StepContext),
) -> Result<WrittenTable, QueryError> {
    let key = &context.idempotency_key;
    match &config.write {
        Write::Append if config.schema.is_some() => {
            engine.write_table_once(uri, rows, WriteMode::AppendColumns, key).await
        }
        Write::Overwrite => engine.write_table_once(uri, rows, WriteMode::Overwrite, key).await,
        Write::Append => engine.write_table_once(uri, rows, WriteMode::Append, key).await,
        Write::Upsert(columns) => {
            engine.merge_table_once(uri, rows, ByKey { columns, change: None }, key).await
        }
        Write::ApplyChanges(changes) => {
            let by = ByKey { columns: &changes.keys, change: Some(&changes.op) };
            engine.merge_table_once(uri, rows, by, key).await
        }
        _ => Err(QueryError::Write {
            uri: uri.to_owned(),
            message: "it is written by `overwrite`, `append`, `upsert` or `apply_changes`".to_owned(),
        }),
    }
}

/// A version of a table.
pub(super) fn of_version(place: &str, version: Option<u64>) -> Address {
    let moment = version.map_or(TableMoment::Newest, TableMoment::Version);
    Address::Delta { place: place.to_owned(), moment }
}
