//! What the program of an attempt is told and nobody else.

use std::sync::Arc;

use indexmap::IndexMap;

/// Variables of one attempt's program that nobody else may know.
pub type SecretEnv = Arc<dyn Fn(&AttemptIds<'_>) -> IndexMap<String, String> + Send + Sync>;

/// Which attempt.
#[derive(Debug, Clone, Copy)]
pub struct AttemptIds<'a> {
    /// The run.
    pub run_id: &'a str,
    /// The step, with its item: `train[3]`.
    pub step: &'a str,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// The tracked run that it logs into.
    pub tracking_run_id: &'a str,
}
