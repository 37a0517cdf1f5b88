//! Tables of other writers: what of them this one may change.

use deltalake::DeltaTable;

use super::chain;

/// Features of tables that a write of ours keeps as they are to be: <https://github.com/delta-io/delta/blob/master/PROTOCOL.md#table-features>.
const KNOWN: [&str; 6] =
    ["timestampNtz", "appendOnly", "invariants", "deletionVectors", "vacuumProtocolCheck", "v2Checkpoint"];

/// Whether a table that is there can be written. What we do not know about it might be broken by a write.
pub(super) fn check(table: &DeltaTable) -> Result<(), String> {
    let state = table.snapshot().map_err(|error| chain(&error))?;
    let columns = state.metadata().partition_columns();
    if !columns.is_empty() {
        return Err(format!(
            "the table is divided by `{}`, which is not written here; write it with its own engine, or a table of another name",
            columns.join("`, `")
        ));
    }
    let protocol = serde_json::to_value(state.protocol()).map_err(|error| error.to_string())?;
    let version = protocol.get("minWriterVersion").and_then(serde_json::Value::as_i64).unwrap_or(i64::MAX);
    let features = protocol.get("writerFeatures").and_then(serde_json::Value::as_array);
    let features = features.into_iter().flatten().filter_map(serde_json::Value::as_str);
    let unknown: Vec<&str> = features.filter(|feature| !KNOWN.contains(feature)).collect();
    if version <= 2 || version == 7 && unknown.is_empty() {
        return Ok(());
    }
    let what =
        if unknown.is_empty() { format!("version {version} of the protocol") } else { unknown.join(", ") };
    Err(format!("the table wants a writer that knows {what}; write a table of another name"))
}
