use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const EXAMPLE: &str = "fresh:\n  dataset: orders\n  inputs: {orders: \"data:orders@${{ event.dataset.version }}\"}";

/// A new version of a dataset.
///
/// `event.dataset` has its `name`, `version`, `digest` and the `run_id` that made it. A version that a run of this very pipeline made
/// starts nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetPublished {
    /// Name of the dataset.
    pub dataset: String,
}
