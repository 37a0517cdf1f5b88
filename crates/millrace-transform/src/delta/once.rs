//! Writes that happen once: a key of the writer is kept in the log as the id of a Delta application transaction, whose number is the version
//! that the write made. It is part of that version's commit, so either both are there or neither.

use deltalake::DeltaTable;
use deltalake::kernel::{Action, Transaction};
use futures::StreamExt as _;
use millrace_contract::{QueryError, WrittenTable};

use super::chain;
use super::commit::{SUM_KEY, kept_bytes, kept_schema};
use super::digest::RowSum;
use crate::engine::DataFusionEngine;
use crate::engine::types;

fn id(key: &str) -> String {
    format!("millrace/{key}")
}

/// What the commit of the version after the table's keeps of a key.
pub(super) fn action(table: &DeltaTable, key: &str) -> Action {
    let version = table.version().map_or(0, |version| version + 1);
    Action::Txn(Transaction::new(id(key), i64::try_from(version).unwrap_or(i64::MAX)))
}

/// The version that was written under the key, if there is one. `table` is loaded, or not there yet.
pub(super) async fn found(
    engine: &DataFusionEngine,
    uri: &str,
    table: &DeltaTable,
    key: &str,
) -> Result<Option<WrittenTable>, QueryError> {
    let refused = |message: String| QueryError::Write { uri: uri.to_owned(), message };
    let Ok(state) = table.snapshot() else { return Ok(None) };
    let log = table.log_store();
    let number =
        state.transaction_version(log.as_ref(), id(key)).await.map_err(|error| refused(chain(&error)))?;
    let Some(version) = number.and_then(|number| u64::try_from(number).ok()) else { return Ok(None) };
    let mut table = super::handle(engine, uri)?;
    table.load_version(version).await.map_err(|error| refused(chain(&error)))?;
    let schema = kept_schema(&table).map_err(refused)?;
    let info = table.history(Some(1)).next().await.and_then(Result::ok);
    let sum = info.and_then(|info| info.info.get(SUM_KEY).cloned());
    let sum: RowSum = sum
        .and_then(|sum| serde_json::from_value(sum).ok())
        .ok_or_else(|| refused(format!("version {version} of the table does not say what was written")))?;
    Ok(Some(WrittenTable {
        uri: uri.to_owned(),
        delta_version: version,
        rows: sum.rows,
        size_bytes: kept_bytes(&table),
        digest: sum.digest(&schema),
        schema: types::schema_json(&schema),
    }))
}
