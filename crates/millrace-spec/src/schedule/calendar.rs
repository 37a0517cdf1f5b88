//! Calendars: files in `calendars/` that say on which days schedules fire.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::triggers::Weekday;
use crate::validate;
use crate::yaml;

/// The calendars of a workspace by name.
pub type Calendars = BTreeMap<String, Arc<Calendar>>;

/// Days on which schedules fire, and days on which they do not.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// One sentence for listings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Only these days count; all days if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<Days>>,
    /// These days do not count, also if `only` has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Days>,
}

/// Days of a calendar: a weekday (`sat`), a date (`2026-04-03`), a day of every year (`12-25`), or `{from, until}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Days {
    /// A weekday.
    Weekday(Weekday),
    /// One day.
    Date(Date),
    /// The same day of every year.
    Yearly(MonthDay),
    /// From a day to another, both included.
    Range {
        /// The first day.
        from: Date,
        /// The last day.
        until: Date,
    },
}

/// A day of every year, `12-25`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MonthDay {
    month: i8,
    day: i8,
}

impl TryFrom<String> for MonthDay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // A leap year, so that 29 February is a day.
        let date: Date =
            format!("2000-{text}").parse().map_err(|_| format!("`{text}` is not a day of a year"))?;
        Ok(Self { month: date.month(), day: date.day() })
    }
}

impl From<MonthDay> for String {
    fn from(day: MonthDay) -> Self {
        format!("{:02}-{:02}", day.month, day.day)
    }
}

impl JsonSchema for Days {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Days".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let date = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";
        json_schema!({"anyOf": [
            {"type": "string", "pattern": "^(mon|tue|wed|thu|fri|sat|sun|[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{2}-[0-9]{2})$",
             "examples": ["sat", "2026-04-03", "12-25"]},
            {"type": "object", "additionalProperties": false, "required": ["from", "until"],
             "properties": {"from": {"type": "string", "pattern": date}, "until": {"type": "string", "pattern": date}}},
        ]})
    }
}

impl Days {
    fn has(&self, date: Date) -> bool {
        match self {
            Self::Weekday(day) => day.civil() == date.weekday(),
            Self::Date(day) => *day == date,
            Self::Yearly(day) => day.month == date.month() && day.day == date.day(),
            Self::Range { from, until } => (*from..=*until).contains(&date),
        }
    }
}

impl Calendar {
    /// Reads a file of `calendars/`.
    ///
    /// # Errors
    /// Everything that is wrong with it, with its place.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let tree = yaml::parse(file, text).map_err(|problem| vec![*problem])?;
        let value = tree.to_json();
        let schema = schema();
        let problem = |violation: validate::Violation| {
            let mut problem = Problem::error(violation.code, violation.message.clone());
            problem.place = Some(violation.place_in(&tree));
            problem.hints = violation.hints;
            problem
        };
        let problems: Vec<Problem> =
            validate::violations(schema.as_value(), &value).into_iter().map(problem).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        serde_json::from_value(value).map_err(|_| {
            // The schema lets `2026-02-30` pass.
            let bad = bad_day(&tree).unwrap_or(&tree);
            let day = bad.as_text().unwrap_or_default();
            vec![Problem::error("no-such-day", format!("there is no day `{day}`")).at(bad.place.clone())]
        })
    }

    /// Whether a schedule fires on a day.
    pub fn allows(&self, date: Date) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|days| days.has(date)))
            && !self.except.iter().any(|days| days.has(date))
    }
}

/// JSON Schema of a file in `calendars/`.
pub fn schema() -> Schema {
    schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Calendar>()
}

/// The first text below a node that should be a day and is none.
fn bad_day(node: &yaml::Node) -> Option<&yaml::Node> {
    let is_bad = |node: &yaml::Node| {
        let text = node.as_text().unwrap_or_default();
        text.starts_with(|c: char| c.is_ascii_digit())
            && text.parse::<Date>().is_err()
            && MonthDay::try_from(text.to_owned()).is_err()
    };
    match &node.value {
        yaml::NodeValue::Text(_) => is_bad(node).then_some(node),
        yaml::NodeValue::List(items) => items.iter().find_map(bad_day),
        yaml::NodeValue::Map(fields) => {
            fields.iter().filter(|(key, _)| key.name != "description").find_map(|(_, node)| bad_day(node))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_left_out_and_mistakes_told_where_they_stand() {
        let text = "except: [sat, sun, 12-25, 2026-04-03, {from: 2026-12-28, until: 2027-01-01}]\n";
        let calendar = Calendar::parse("calendars/work.yaml", text).unwrap();
        let allowed = |day: &str| calendar.allows(day.parse().unwrap());
        assert!(allowed("2026-04-02") && allowed("2027-01-04"));
        for day in ["2026-04-04", "2026-04-03", "2030-12-25", "2026-12-30", "2027-01-01"] {
            assert!(!allowed(day), "{day}");
        }
        let only = Calendar::parse("calendars/only.yaml", "only: [2026-02-28]\n").unwrap();
        assert!(only.allows("2026-02-28".parse().unwrap()) && !only.allows("2026-03-01".parse().unwrap()));
        let wrong = |text: &str| {
            let problem = Calendar::parse("calendars/c.yaml", text).unwrap_err().remove(0);
            let place = problem.place.unwrap();
            format!("{}:{}: {}", place.line, place.column, problem.message)
        };
        assert_eq!(wrong("except: [2026-02-30]\n"), "1:10: there is no day `2026-02-30`");
        assert_eq!(wrong("excpt: [sat]\n"), "1:1: there is no key `excpt`");
        assert_eq!(wrong("only: [someday]\n"), "1:8: `someday` cannot be read here");
    }
}
