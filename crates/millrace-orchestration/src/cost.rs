//! What attempts used, as it is stored.

use millrace_contract::AttemptCost;
use millrace_metastore::runs::AttemptCostRow;

/// The columns of what was measured.
pub(crate) fn row(cost: AttemptCost) -> AttemptCostRow {
    // More than 2^63 of anything was not measured either.
    let stored = |measured: Option<u64>| measured.and_then(|number| i64::try_from(number).ok());
    AttemptCostRow {
        cpu_user_ms: stored(cost.cpu_user_ms),
        cpu_system_ms: stored(cost.cpu_system_ms),
        peak_memory_bytes: stored(cost.peak_memory_bytes),
        read_bytes: stored(cost.read_bytes),
        written_bytes: stored(cost.written_bytes),
    }
}

/// What the columns say.
pub fn of_row(row: &AttemptCostRow) -> AttemptCost {
    let measured = |column: Option<i64>| column.and_then(|number| u64::try_from(number).ok());
    AttemptCost {
        cpu_user_ms: measured(row.cpu_user_ms),
        cpu_system_ms: measured(row.cpu_system_ms),
        peak_memory_bytes: measured(row.peak_memory_bytes),
        read_bytes: measured(row.read_bytes),
        written_bytes: measured(row.written_bytes),
    }
}
