//! What becomes of instants that passed, and of firings while an earlier run goes on: the same for every schedule.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::duration::Elapsed;

/// How far back missed firings are made up for, unless `missed_for` says otherwise: a day.
pub const MISSED_FOR: Elapsed = Elapsed::from_ms(86_400_000);

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

/// What a firing does while an earlier run of its trigger goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Its run waits until the earlier ones are over.
    #[default]
    Queue,
    /// It starts no run.
    Skip,
    /// The earlier runs are cancelled, then its run begins.
    CancelRunning,
    /// Both go on side by side.
    Allow,
}

/// Where a rule begins or ends: a date (`2026-01-01`), a date and time in the trigger's zone, or an instant (`2026-01-01T00:00:00Z`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Boundary(Written);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Written {
    Date(jiff::civil::Date),
    Civil(jiff::civil::DateTime),
    Instant(jiff::Timestamp),
}

impl Boundary {
    /// The instant it begins: a date at its first moment, a time that the zone leaves out right after the gap.
    pub fn starts(&self, zone: &jiff::tz::TimeZone) -> Option<jiff::Timestamp> {
        match &self.0 {
            Written::Date(date) => Some(date.to_zoned(zone.clone()).ok()?.timestamp()),
            Written::Civil(time) => Some(time.to_zoned(zone.clone()).ok()?.timestamp()),
            Written::Instant(instant) => Some(*instant),
        }
    }

    /// The instant that it ends before: a date is over when the next one begins, anything else is a moment itself.
    pub fn ends(&self, zone: &jiff::tz::TimeZone) -> Option<jiff::Timestamp> {
        match &self.0 {
            Written::Date(date) => {
                Some(date.tomorrow().ok()?.to_zoned(zone.clone()).ok()?.timestamp() - moment())
            }
            _ => self.starts(zone),
        }
    }
}

/// The smallest step between instants as they are stored.
fn moment() -> jiff::Span {
    jiff::Span::new().microseconds(1)
}

impl TryFrom<String> for Boundary {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = text.trim();
        let written = if text.len() == 10 {
            text.parse().map(Written::Date).ok()
        } else if let Ok(instant) = text.parse() {
            Some(Written::Instant(instant))
        } else {
            text.parse().map(Written::Civil).ok()
        };
        written.map(Self).ok_or_else(|| format!("`{text}` is neither a date nor a time"))
    }
}

impl From<Boundary> for String {
    fn from(boundary: Boundary) -> Self {
        match boundary.0 {
            Written::Date(date) => date.to_string(),
            Written::Civil(time) => time.to_string(),
            Written::Instant(instant) => instant.to_string(),
        }
    }
}

impl JsonSchema for Boundary {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Boundary".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9:]+)?)?$",
            "examples": ["2026-01-01", "2026-01-01T06:00", "2026-01-01T05:00:00Z"]})
    }
}
