use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventKind, EventSpec};

/// An alert of this workspace that fires, or that is resolved.
///
/// `event.alert` has its `name`, `state`, `value` and `threshold`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertChange {
    /// Name of the alert rule.
    pub alert: String,
    /// Which of its changes.
    #[serde(default = "firing")]
    pub states: Vec<AlertWord>,
}

impl EventKind for AlertChange {
    const WORD: &'static str = "alert";
    const EXAMPLE: &'static str = "{alert: churn_feature_drift}";

    fn into_spec(self) -> EventSpec {
        EventSpec::Alert(self)
    }
}

/// A change of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertWord {
    /// It begins to fire.
    Firing,
    /// It is over.
    Resolved,
}

fn firing() -> Vec<AlertWord> {
    vec![AlertWord::Firing]
}
