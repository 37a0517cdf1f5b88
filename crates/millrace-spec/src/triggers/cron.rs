use std::str::FromStr as _;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::policy::{Missed, Overlap};
use super::{Trigger, TriggerKind, check_timezone, place_of};
use crate::duration::Elapsed;
use crate::problem::Problem;
use crate::yaml::Node;

/// Starts a run at the instants of a cron expression in a time zone.
///
/// A fixed hour and minute that a change of the clock leaves out fires once right after it, and one that comes twice fires the first
/// time; wildcards, steps and ranges follow elapsed time (Vixie cron).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cron {
    /// Five fields, minute to weekday, or six with seconds first; names, `L`, `W`, `#` and `@daily` are understood.
    pub cron: String,
    /// IANA zone; the workspace's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// What is owed for instants that passed while no server ran; `last` if absent.
    #[serde(default)]
    pub missed: Missed,
    /// How far back that goes; `1d` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed_for: Option<Elapsed>,
    /// What a firing does while an earlier run of this trigger goes on; `queue` if absent.
    #[serde(default)]
    pub overlap: Overlap,
    /// Fires later by a part of this, always the same one for a trigger, so that many do not begin at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Elapsed>,
    /// Fires only on the days of this calendar, a file in `calendars/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    /// Inputs of the runs it starts.
    #[serde(default)]
    pub inputs: IndexMap<String, Value>,
}

impl From<Cron> for Trigger {
    fn from(cron: Cron) -> Self {
        Self::Cron(cron)
    }
}

impl TriggerKind for Cron {
    const WORD: &'static str = "cron";
    const EXAMPLE: &'static str = "{cron: \"30 6 * * mon-fri\", timezone: Europe/Berlin, missed: last}";

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
        for sound in ["*/10 * * * * *", "0 6 L * *", "0 6 15W * *", "0 6 * * fri#2", "0 6 * * friL", "@daily"]
        {
            assert_eq!(problems(&format!("{{cron: '{sound}'}}")), [""; 0], "{sound}");
        }
    }

    #[test]
    fn options_are_checked_where_they_stand() {
        assert_eq!(
            problems("{cron: '0 6 * * *', missed: lst}"),
            ["2:34: cron: `lst` is not allowed here (did you mean `last`?)"]
        );
        assert_eq!(
            problems("{cron: '0 6 * * *', missed_for: 1 day}"),
            ["2:38: cron: `1 day` cannot be read here (write it as `90s`, `15m`, `1h30m`, `7d`)"]
        );
        assert_eq!(
            problems("{cron: '0 6 * * *', overlap: cancel_running, jitter: 5m, missed: all}"),
            [""; 0]
        );
    }
}
