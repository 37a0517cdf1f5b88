//! Writes that follow one version and no other. What was computed from a version must not follow a later one: a build that another build
//! overtook computes again.

use millrace_contract::{BatchStream, QueryError, WriteMode, WrittenTable};

use super::commit::{
    NotCommitted, Written, added_to, adds, check_names, commit, drain, kept_bytes, kept_sum,
};
use super::digest::{Hasher, RowSum};
use super::files::FileWriter;
use super::{chain, discard, foreign, once};
use crate::engine::DataFusionEngine;
use crate::engine::types;

/// Writes `rows` as the version after `base` under `key`; `None` if that version is there already. Data files of a write that comes to nothing
/// are removed.
pub(crate) async fn write_after(
    engine: &DataFusionEngine,
    uri: &str,
    base: Option<u64>,
    mut rows: BatchStream,
    mode: WriteMode,
    key: &str,
) -> Result<Option<WrittenTable>, QueryError> {
    let refused = |message: String| QueryError::Write { uri: uri.to_owned(), message };
    let mut table = super::handle(engine, uri)?;
    if table.verify_deltatable_existence().await.map_err(|error| refused(chain(&error)))? {
        table.load().await.map_err(|error| refused(chain(&error)))?;
        foreign::check(&table).map_err(refused)?;
    }
    if table.version() != base {
        return Ok(None);
    }
    let mut schema = types::delta_schema(&rows.schema);
    check_names(&schema).map_err(refused)?;
    if adds(mode) && base.is_some() {
        schema = added_to(&table, &schema, mode).map_err(refused)?;
    }
    let mut hasher = Hasher::new(&schema, RowSum::default()).map_err(|error| refused(error.to_string()))?;
    let store = table.object_store();
    let mut writer = FileWriter::new(store.clone(), schema.clone());
    if let Err(error) = drain(&mut rows, &schema, &mut hasher, &mut writer, uri).await {
        writer.abort().await;
        return Err(error);
    }
    let mut sum = hasher.finish();
    let paths: Vec<_> = writer.done.iter().map(|file| file.path.clone()).collect();
    let mut size_bytes = writer.done.iter().map(|file| file.bytes).sum::<u64>();
    let key = Some(key.to_owned());
    let written = Written { schema: schema.clone(), files: writer.done, sum: sum.clone(), mode, key };
    if adds(mode) && base.is_some() {
        sum.add(&kept_sum(engine, uri, &table, &schema).await?);
        size_bytes += kept_bytes(&table);
    }
    let committed = commit(&table, &written, &sum).await;
    if committed.is_err() {
        discard(&store, &paths).await;
    }
    match committed {
        Ok(delta_version) => Ok(Some(WrittenTable {
            uri: uri.to_owned(),
            delta_version,
            rows: sum.rows,
            size_bytes,
            digest: sum.digest(&schema),
            schema: types::schema_json(&schema),
        })),
        Err(NotCommitted::Late) => Ok(None),
        Err(NotCommitted::Failed(message)) => Err(refused(message)),
    }
}

/// The newest version, if it was written under the key.
pub(crate) async fn newest_under(
    engine: &DataFusionEngine,
    uri: &str,
    key: &str,
) -> Result<Option<WrittenTable>, QueryError> {
    let refused = |message: String| QueryError::Read { uri: uri.to_owned(), message };
    let mut table = super::handle(engine, uri)?;
    table.load().await.map_err(|error| refused(chain(&error)))?;
    let newest = table.version();
    let found = once::found(engine, uri, &table, key).await?;
    Ok(found.filter(|written| Some(written.delta_version) == newest))
}
