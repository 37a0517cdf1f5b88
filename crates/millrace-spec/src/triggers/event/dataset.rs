use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventKind, EventSpec};

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

impl EventKind for DatasetPublished {
    const WORD: &'static str = "dataset";
    const EXAMPLE: &'static str =
        "{dataset: orders, inputs: {orders: \"data:orders@${{ event.dataset.version }}\"}}";

    fn into_spec(self) -> EventSpec {
        EventSpec::Dataset(self)
    }
}
