use std::str::FromStr as _;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Trigger, TriggerKind, check_timezone, place_of};
use crate::problem::Problem;
use crate::yaml::Node;

/// Starts a run at the instants of a cron expression in a time zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cron {
    /// Five fields, minute to weekday, or six with seconds first; names, `L`, `W`, `#` and `@daily` are understood.
    pub cron: String,
    /// IANA zone; the workspace's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// What is owed for instants that passed while no server ran.
    #[serde(default)]
    pub missed: Missed,
    /// Inputs of the runs it starts.
    #[serde(default)]
    pub inputs: IndexMap<String, Value>,
}

/// What is owed for firings that passed while nothing ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// Only the newest.
    #[default]
    Last,
    /// Each of them, oldest first.
    All,
    /// Nothing.
    None,
}

impl From<Cron> for Trigger {
    fn from(cron: Cron) -> Self {
        Self::Cron(cron)
    }
}

impl TriggerKind for Cron {
    const WORD: &'static str = "cron";
    const EXAMPLE: &'static str = "{cron: \"30 6 * * mon-fri\", timezone: Europe/Berlin}";

    fn check(&self, node: &Node) -> Vec<Problem> {
        let mut problems: Vec<Problem> = check_timezone(self.timezone.as_deref(), node).into_iter().collect();
        let place = place_of(node, Self::WORD);
        match croner::Cron::from_str(&self.cron) {
            Ok(parsed) if !fires(&parsed) => problems
                .push(Problem::error("cron-never-fires", format!("`{}` never fires", self.cron)).at(place)),
            Ok(_) => {}
            Err(error) => problems.push(
                Problem::error("bad-cron", format!("`{}` is not a cron expression: {error}", self.cron))
                    .at(place)
                    .hint("five fields: minute hour day month weekday, for example `30 6 * * mon-fri`"),
            ),
        }
        problems
    }
}

/// Whether an expression has an instant at all: `0 0 31 2 *` has none. Looked for from a fixed instant, so the answer never changes.
fn fires(cron: &croner::Cron) -> bool {
    let start = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
    cron.find_next_occurrence(&start, false).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::problems;

    #[test]
    fn what_is_no_cron_and_what_never_fires_is_refused() {
        assert_eq!(problems("{cron: '0 0 31 2 *'}"), ["2:13: `0 0 31 2 *` never fires"]);
        assert!(problems("{cron: '61 * * * *'}")[0].contains("`61 * * * *` is not a cron expression"));
    }
}
