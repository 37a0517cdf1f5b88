use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One observation of a number that is watched: a latency, a drift score, a row count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Prometheus-style name, for example `millrace_drift_js`.
    pub name: String,
    /// Dimensions, sorted by key.
    pub labels: Vec<(String, String)>,
    /// The number.
    pub value: f64,
    /// When it was observed.
    pub at: Timestamp,
}

/// Takes observations; never blocks and never fails the caller.
pub trait SignalSink: Send + Sync {
    /// Records one observation.
    fn record(&self, signal: Signal);
}
