//! Durations as people write them: `30s`, `1h30m`, `250ms`, `7d`.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A length of elapsed time, text in files; a day has 24 hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Elapsed {
    /// Milliseconds.
    pub ms: u64,
}

impl Elapsed {
    /// So many milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self { ms }
    }

    /// Microseconds, as instants are stored.
    pub fn micros(self) -> i64 {
        i64::try_from(self.ms).ok().and_then(|ms| ms.checked_mul(1_000)).unwrap_or(i64::MAX / 4)
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
        let (factor, unit) = units
            .into_iter()
            .find(|(factor, _)| self.ms > 0 && self.ms.is_multiple_of(*factor))
            .unwrap_or((1, "ms"));
        write!(f, "{}{unit}", self.ms / factor)
    }
}

impl TryFrom<String> for Elapsed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_ms(&text).map(Self::from_ms).ok_or_else(|| format!("`{text}` is not a duration"))
    }
}

impl From<Elapsed> for String {
    fn from(elapsed: Elapsed) -> Self {
        elapsed.to_string()
    }
}

impl JsonSchema for Elapsed {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Elapsed".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$", "examples": ["90s", "15m", "1h30m", "7d"]})
    }
}

/// Milliseconds of a duration, or `None` if the text is not one.
///
/// A number and a unit (`ms`, `s`, `m`, `h`, `d`), one or more, without blanks; days are 24 hours.
pub fn parse_ms(text: &str) -> Option<u64> {
    let mut total = 0_u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit_length = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_length);
        let factor = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        rest = next;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_add_up_and_nonsense_is_none() {
        assert_eq!(parse_ms("1h30m"), Some(5_400_000));
        assert_eq!(parse_ms("250ms"), Some(250));
        assert_eq!(parse_ms("7d"), Some(604_800_000));
        for bad in ["", "5", "h", "5 m", "1y", "-1s", "99999999999999999999s", "1.5h"] {
            assert_eq!(parse_ms(bad), None, "{bad}");
        }
    }
}
