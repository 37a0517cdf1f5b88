use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::policy::{Boundary, Missed, Overlap};
use super::{Trigger, TriggerKind, check_timezone, place_of};
use crate::duration::Elapsed;
use crate::period::Period;
use crate::problem::Problem;
use crate::schedule::RecurrenceRule;
use crate::yaml::Node;

/// Starts a run again and again: every two weeks, on weekdays, on the last Friday of a month.
///
/// Instants are counted from `from`, never from the last run, so they do not drift. A day that a month lacks is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recurrence {
    /// Elapsed (`90m`, `6h`) or civil (`1d`, `2w`, `1mo`, `1y`).
    pub every: Period,
    /// Times of the day, for example `["08:30", "16:30"]`; that of `from` if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<TimeOfDay>,
    /// Only on these days of the week.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<Weekday>,
    /// Days of the month, from 1; -1 is the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub month_days: Vec<i8>,
    /// Which weekday of the month, for example `[{fri: -1}]` for the last Friday.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nth: Vec<IndexMap<Weekday, i8>>,
    /// Where counting begins; nothing fires before it. Without it, 2000-01-01, for weeks Monday 2000-01-03.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Boundary>,
    /// Nothing fires after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Boundary>,
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

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "their names say it")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Weekday {
    /// The day as jiff counts.
    pub fn civil(self) -> jiff::civil::Weekday {
        use jiff::civil::Weekday as Civil;
        match self {
            Self::Mon => Civil::Monday,
            Self::Tue => Civil::Tuesday,
            Self::Wed => Civil::Wednesday,
            Self::Thu => Civil::Thursday,
            Self::Fri => Civil::Friday,
            Self::Sat => Civil::Saturday,
            Self::Sun => Civil::Sunday,
        }
    }
}

/// A time of the day, `08:30` or `08:30:15`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(pub jiff::civil::Time);

impl TryFrom<String> for TimeOfDay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let padded = if text.find(':') == Some(1) { format!("0{text}") } else { text.clone() };
        padded.parse().map(Self).map_err(|_| format!("`{text}` is not a time of the day"))
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        let form = if time.0.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
        time.0.strftime(form).to_string()
    }
}

impl JsonSchema for TimeOfDay {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeOfDay".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$", "examples": ["08:30", "16:30"]})
    }
}

impl From<Recurrence> for Trigger {
    fn from(recurrence: Recurrence) -> Self {
        Self::Recurrence(recurrence)
    }
}

impl TriggerKind for Recurrence {
    const WORD: &'static str = "every";
    const EXAMPLE: &'static str = "{every: 2w, weekdays: [mon, thu], at: [\"08:30\", \"16:30\"], from: 2026-01-05, timezone: Europe/Berlin}";

    fn check(&self, node: &Node) -> Vec<Problem> {
        let mut problems: Vec<Problem> = check_timezone(self.timezone.as_deref(), node).into_iter().collect();
        let mut wrong = |key: &str, message: String, hint: &str| {
            let problem = Problem::error("bad-recurrence", message).at(place_of(node, key));
            problems.push(if hint.is_empty() { problem } else { problem.hint(hint) });
        };
        let every = self.every;
        let units = [every.months != 0, every.days != 0, every.ms != 0].iter().filter(|unit| **unit).count();
        if !every.is_positive() || units != 1 {
            wrong(
                "every",
                format!("`every: {every}` is not one length of time"),
                "write `6h`, `1d`, `2w` or `1mo`",
            );
        } else if every.ms % 1_000 != 0 {
            wrong("every", "`every` is shorter than a second".to_owned(), "write `every: 1s` or more");
        }
        for (key, given) in [("month_days", !self.month_days.is_empty()), ("nth", !self.nth.is_empty())] {
            if given && every.months == 0 {
                wrong(
                    key,
                    format!("`{key}` needs `every` in months or years, not `{every}`"),
                    "write `every: 1mo`",
                );
            }
        }
        if !self.at.is_empty() && every.is_elapsed() {
            wrong("at", format!("`at` needs `every` in days or more, not `{every}`"), "write `every: 1d`");
        }
        if self.month_days.iter().any(|day| *day == 0 || !(-31..=31).contains(day)) {
            wrong("month_days", "a day of the month is 1 to 31, or -1 to -31 from its end".to_owned(), "");
        }
        let nth = self.nth.iter().flat_map(|days| days.values());
        if nth.clone().any(|n| *n == 0 || !(-5..=5).contains(n)) || self.nth.iter().any(IndexMap::is_empty) {
            wrong(
                "nth",
                "the number of a weekday is 1 to 5, or -1 to -5 from the month's end".to_owned(),
                "`nth: [{fri: -1}]`",
            );
        }
        if problems.is_empty() && RecurrenceRule::new(self, &jiff::tz::TimeZone::UTC).first().is_none() {
            let place = place_of(node, "every");
            problems.push(Problem::error("recurrence-never-fires", "this never fires").at(place));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::problems;

    #[test]
    fn what_does_not_go_together_is_refused_where_it_stands() {
        assert_eq!(
            problems("{every: 6h, at: ['08:30']}"),
            ["2:22: `at` needs `every` in days or more, not `6h` (write `every: 1d`)"]
        );
        assert_eq!(
            problems("{every: 1w, month_days: [1]}"),
            ["2:30: `month_days` needs `every` in months or years, not `1w` (write `every: 1mo`)"]
        );
        assert_eq!(problems("{every: 1mo1d}").len(), 1);
        assert_eq!(
            problems("{every: 1d, at: ['25:00']}"),
            ["2:23: every: `25:00` cannot be read here (write it as `08:30`, `16:30`)"]
        );
        assert_eq!(problems("{every: 12mo, from: 2026-02-01, month_days: [30]}"), ["2:14: this never fires"]);
        assert_eq!(problems("{every: 1d, from: 2026-05-01, until: 2026-04-01}"), ["2:14: this never fires"]);
        assert_eq!(problems("{every: 2w, weekdays: [mon, thu], at: ['08:30', '16:30']}"), [""; 0]);
    }
}
