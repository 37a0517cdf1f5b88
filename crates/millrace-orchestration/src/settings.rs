//! What an engine is told of its workspace, its limits and its place.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use millrace_metastore::runs::PoolClaim;

/// Limits and places.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Root of the workspace.
    pub workspace: PathBuf,
    /// Folder of everything that is not in git.
    pub state_folder: PathBuf,
    /// Attempts that may run at once.
    pub max_running: u32,
    /// The named pools; one that is not named here has one slot.
    pub pools: IndexMap<String, PoolSize>,
    /// Zone of triggers that name none.
    pub timezone: String,
    /// This machine and process, for the other servers on the database.
    pub server: ServerPlace,
}

/// Where a server is, so that one on the same machine sees at once that it was killed, and finds its commands.
#[derive(Debug, Clone)]
pub struct ServerPlace {
    /// An id that no other machine has.
    pub host: String,
    /// Tells whether a process of this machine is still there: its id, and its start in clock ticks since boot.
    pub is_running: fn(pid: i64, started_ticks: i64) -> bool,
    /// Of the state folder, which this process has locked, so that whoever had it before is gone.
    pub state_id: String,
    /// This process: its id, and its start in clock ticks since boot.
    pub process: (i64, i64),
    /// How long others leave this server alone without a word of it.
    pub lease: Duration,
}

/// How much a pool gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSize {
    /// Slots that may be held at once.
    pub slots: u32,
    /// Attempts that may begin in so many milliseconds.
    pub rate: Option<(u32, u64)>,
}

impl EngineSettings {
    /// What an attempt takes from a pool.
    pub(crate) fn claim(&self, pool: &str, slots: u32) -> PoolClaim {
        let size = self.pools.get(pool).copied().unwrap_or(PoolSize { slots: 1, rate: None });
        PoolClaim {
            pool: pool.to_owned(),
            slots: slots.into(),
            size: size.slots.into(),
            rate: size.rate.map(|(most, period_ms)| {
                (most.into(), i64::try_from(period_ms).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000))
            }),
        }
    }
}
