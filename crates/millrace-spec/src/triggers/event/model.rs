use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventKind, EventSpec};

/// A new version of a registered model, or an alias of it that moved.
///
/// `event.model` has its `name` and `version`, and `alias` where one moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelChange {
    /// Name of the model.
    pub model: String,
    /// What happened to it.
    #[serde(default = "version")]
    pub events: Vec<ModelWord>,
    /// Only these aliases; all if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}

impl EventKind for ModelChange {
    const WORD: &'static str = "model";
    const EXAMPLE: &'static str = "{model: churn, events: [alias], aliases: [champion]}";

    fn into_spec(self) -> EventSpec {
        EventSpec::Model(self)
    }
}

/// What happens to a registered model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelWord {
    /// A version was registered.
    Version,
    /// An alias was set or moved.
    Alias,
}

fn version() -> Vec<ModelWord> {
    vec![ModelWord::Version]
}
